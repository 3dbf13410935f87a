"""The verbs of the SDK: their methods, what these send, and which actions and events belong to them."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from docs.site.docstrings import Docstring, read_docstring

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.calls.messages import Message
from offhook.client.events import EVENT_TYPES
from offhook.node.verbs.registry import BUILT
from offhook.protocol.params import Params
from offhook.protocol.verbs import SPECS

__all__ = ["OF_THE_CLIENT_ITSELF", "VERBS", "Method", "Verb", "public_methods"]

OF_THE_CLIENT_ITSELF = frozenset(
    (
        *("close", "command", "learn", "learn_peer", "lose", "missed_all", "missed_events", "start", "steer", "handle"),
        *("end", "is_result", "is_last"),
    )
)
"""Methods of calls, actions and messages that are public for the client, of no use to programs."""

_EXAMPLES = {"queue": "queue_enter"}  # a program beside a queue.py could not import Python's own


@dataclass(frozen=True)
class Method:
    """One public method of a class."""

    owner: type
    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """Its name."""
        return self.function.__name__

    @property
    def signature(self) -> inspect.Signature:
        """As written, without ``self``."""
        signature = inspect.signature(self.function)
        parameters = [
            one.replace(annotation=self._plain(one.annotation)) for one in list(signature.parameters.values())[1:]
        ]
        return signature.replace(parameters=parameters, return_annotation=self._plain(signature.return_annotation))

    def _plain(self, annotation: Any) -> Any:
        """What a variable of types stands for at least."""
        variable = vars(sys.modules[self.function.__module__]).get(str(annotation))
        if not isinstance(variable, TypeVar):
            return annotation
        bound = variable.__bound__
        return bound.__name__ if isinstance(bound, type) else re.sub(r"\b[\w.]+\.(?=\w)", "", str(bound))

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """All but ``extra``, which every method has."""
        return [one for one in self.signature.parameters.values() if one.name != "extra"]

    @property
    def docstring(self) -> Docstring:
        """What it says of itself."""
        return read_docstring(self.function)

    def words(self, parameter: str) -> str:
        """What a parameter is: said here, or by the neighbour that the docstring names."""
        neighbour = self.as_in(parameter)
        return (neighbour or self).docstring.args.get(parameter, "")

    def as_in(self, parameter: str) -> Method | None:
        """The neighbour that says what a parameter is, when this docstring leaves it to one."""
        own = self.docstring
        for name in re.findall(r"`(\w+)`", own.text) if parameter not in own.args else ():
            other = vars(self.owner).get(name)
            if inspect.isfunction(other) and parameter in read_docstring(other).args:
                return Method(self.owner, other)
        return None

    @cached_property
    def sends(self) -> list[type[Params]]:
        """Structs of the wire that it sends, itself or by a neighbour."""
        return list(dict.fromkeys(_sent(self.owner, self.function)))

    @property
    def is_built(self) -> bool:
        """Our node does it today."""
        return all(struct.method in BUILT for struct in self.sends)

    def wire_key(self, parameter: str) -> str:
        """The key of the wire that a parameter goes out as."""
        for node in ast.walk(_tree(self.function)):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Name) and value.id == parameter:
                        return str(key.value)
        return parameter

    def range(self, parameter: str) -> str:
        """What the wire wants of it, where that is more than a type; empty otherwise."""
        key = self.wire_key(parameter)
        for struct in self.sends:
            _, shapes = msgspec.json.schema_components([struct])
            properties = {name: shape.get("properties", {}) for name, shape in shapes.items()}
            places = [properties[struct.__name__], *properties.values()]
            found = [_range(place[key]) for place in places if key in place]
            if key in places[0] or len(set(found)) == 1:  # inside, it must be plain which is meant
                return found[0]
        return ""


@dataclass(frozen=True)
class Verb:
    """One module of ``client/verbs``."""

    name: str
    owner: type
    methods: list[Method]

    @property
    def example(self) -> str:
        """Its program, from the root of the repository."""
        return f"examples/verbs/{_EXAMPLES.get(self.name, self.name)}.py"

    @property
    def source(self) -> str:
        """The module that has its words, from the root of the repository."""
        return f"src/{self.owner.__module__.replace('.', '/')}.py"

    @property
    def words(self) -> Docstring:
        """What the module says of itself."""
        return read_docstring(sys.modules[self.owner.__module__])

    @cached_property
    def ranges(self) -> dict[tuple[str, str], str]:
        """What the wire wants of the keys of objects, by the object's name and the key."""
        _, shapes = msgspec.json.schema_components([struct for method in self.methods for struct in method.sends])
        return {
            (name, key): said
            for name, shape in shapes.items()
            for key, wanted in shape.get("properties", {}).items()
            if (said := _range(wanted))
        }

    @property
    def subject(self) -> str:
        """What the methods are called on, in programs."""
        return "client" if issubclass(RelayClient, self.owner) else "call"

    @property
    def actions(self) -> list[type[Action]]:
        """Handles that its methods return."""
        returned = [str(method.signature.return_annotation) for method in self.methods]
        return [kind for kind in _kinds(Action) if kind.__name__ in returned]

    @property
    def handles(self) -> list[type]:
        """What else its methods return that has attributes and methods of its own."""
        return [Message] if any(method.signature.return_annotation == "Message" for method in self.methods) else []

    @property
    def events(self) -> list[str]:
        """Types of events that the dictionary has of what it sends, or its words name."""
        sent = [struct.method for method in self.methods for struct in method.sends]
        found = [event for spec in SPECS.values() if spec.method in sent for event in spec.events]
        words = [self.words.text, *(method.function.__doc__ or "" for method in self.methods)]
        for name in re.findall(r"`((?:calling|messaging)\.[\w.*]+)`", "\n".join(words)):
            found += fnmatch.filter(EVENT_TYPES, name)
        return [name for name in dict.fromkeys(found) if name in EVENT_TYPES]


def public_methods(owner: type) -> list[Method]:
    """Those for programs, in the order of the source."""
    return [
        Method(owner, member)
        for name, member in vars(owner).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in OF_THE_CLIENT_ITSELF
    ]


def _verbs() -> Iterator[Verb]:
    for owner in (*Call.__bases__, *RelayClient.__bases__):
        if owner.__module__.startswith("offhook.client.verbs."):
            yield Verb(owner.__module__.rpartition(".")[2], owner, public_methods(owner))


def _kinds(of: type[Action]) -> Iterator[type[Action]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _tree(function: Callable[..., Any]) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _sent(owner: type, function: Callable[..., Any], *seen: object) -> Iterator[type[Params]]:
    names = vars(sys.modules[function.__module__])
    neighbours = []
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            neighbours.append(vars(owner).get(node.attr))
        elif isinstance(node, ast.Attribute | ast.Name):
            struct = _resolve(names, ast.unparse(node))
            if isinstance(struct, type) and issubclass(struct, Params):
                yield struct
    for neighbour in neighbours:
        if inspect.isfunction(neighbour) and neighbour not in (function, *seen):
            yield from _sent(owner, neighbour, function, *seen)


def _resolve(names: Mapping[str, Any], dotted: str) -> Any:
    first, *rest = dotted.split(".")
    found = names.get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _range(wanted: Mapping[str, Any]) -> str:
    """A schema in words: its description, and its default."""
    kinds = [wanted, *wanted.get("anyOf", ())]
    said = next((str(kind["description"]) for kind in kinds if kind.get("description")), "")
    default = wanted.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict):
        return said
    return f"{said}; default {msgspec.json.encode(default).decode()}".removeprefix("; ")


VERBS: list[Verb] = list(_verbs())
