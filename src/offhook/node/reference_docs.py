"""docs/reference.md, made from signatures and docstrings of the SDK.

python -m offhook.node.reference_docs > docs/reference.md
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from offhook.client.action import Action
from offhook.client.base import CallBase
from offhook.client.call import Call
from offhook.client.events import RelayEvent
from offhook.client.events.table import EVENT_TYPES
from offhook.client.relay import RelayClient
from offhook.node.verbs.registry import BUILT

__all__ = ["documented", "reference_page"]

_INTRODUCTION = """# Reference of the SDK

Made from the docstrings of `offhook.client`; an editor shows the same. Every method takes further keyword arguments and
sends them as they are. Commands on a call that is over return at once: `{}`, or an action that has ended. A refusal
raises `RelayError` with the node's code and sentence.

Each verb has an example that runs: on the scripted node of `offhook.testing` in every test run.

A method marked (501) is asked of the node and refused by it today; hosted services may have it.
"""
_WIDTH = 110
_INHERITED = ("on", "wait_for", "wait_for_ringing", "wait_for_answered", "wait_for_ending", "wait_for_ended")

Method = Callable[..., Any]


def reference_page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION, "\n## RelayClient\n", _text(RelayClient.__doc__ or "")]
    parts += [_entry("client", method, _mark(RelayClient, method)) for method in _public(RelayClient)]
    parts += [_example("dial"), _example("send_message")]
    parts += ["\n## Call: listening\n", *(_entry("call", getattr(CallBase, name), "") for name in _INHERITED)]
    parts.append("\n## Call: asking\n")
    for verb in Call.__bases__:
        parts += [_entry("call", method, _mark(verb, method)) for method in _public(verb)]
        parts.append(_example(verb.__module__.rpartition(".")[2]))
    parts += ["\n## Actions\n", _text(Action.__doc__ or "")]
    for action in sorted(_actions(Action), key=lambda one: one.__name__):
        parts.append(f"\n### {action.__name__}\n\n{_text(action.__doc__ or '')}\n")
        parts += [_line(method) for method in _public(action)]
    parts += ["\n## Events\n\n", _text(RelayEvent.__doc__ or ""), *_attributes(RelayEvent)]
    for name, kind in sorted(EVENT_TYPES.items()):
        parts += [f"\n### {name}\n\n`{kind.__name__}`: {_text(kind.__doc__ or '')}\n", *_attributes(kind)]
    return "".join(parts)


def _example(name: str) -> str:
    name = {"queue": "queue_enter"}.get(name, name)  # a program beside a queue.py could not import Python's own
    return f"\nExample: [examples/verbs/{name}.py](../examples/verbs/{name}.py)\n"


def documented() -> dict[str, list[str]]:
    """Methods of a call and of the client (``call.play``), and their parameters."""
    owners = [("client", RelayClient), *(("call", verb) for verb in Call.__bases__)]
    return {
        f"{name}.{method.__name__}": list(inspect.signature(method).parameters)[1:]
        for name, owner in owners
        for method in _public(owner)
    }


def _public(owner: type) -> list[Method]:
    hidden = ("handle", "end", "is_result", "is_last")  # of actions, for calls
    return [
        member
        for name, member in vars(owner).items()
        if inspect.isfunction(member)
        and not name.startswith("_")
        and not (issubclass(owner, Action) and name in hidden)
    ]


def _actions(owner: type[Action]) -> Iterator[type[Action]]:
    for child in owner.__subclasses__():
        yield from _actions(child) if child.__subclasses__() else [child]


def _entry(owner: str, method: Method, mark: str) -> str:
    return f"\n### {owner}.{method.__name__}{mark}\n\n{_signature(method)}\n{_text(inspect.getdoc(method) or '')}"


def _signature(method: Method) -> str:
    """As written, a parameter a line, without what stands for "further"; an indented block."""
    signature = inspect.signature(method)
    given = [one for one in list(signature.parameters.values())[1:] if one.kind is not inspect.Parameter.VAR_KEYWORD]
    lines = [_parameter(one) for one in given]
    for place, one in enumerate(given):
        if one.kind is inspect.Parameter.KEYWORD_ONLY:
            lines.insert(place, "*")
            break
    waits = "await " if inspect.iscoroutinefunction(method) else ""
    result = f" -> {signature.return_annotation}".replace(" -> H", "")
    inline = f"    {waits}{method.__name__}({', '.join(lines)}){result}\n"
    if len(inline) <= _WIDTH:
        return inline
    inside = "".join(f"        {line},\n" for line in lines)
    return f"    {waits}{method.__name__}(\n{inside}    ){result}\n"


def _parameter(one: inspect.Parameter) -> str:
    kind = "" if one.annotation is one.empty else f": {one.annotation}"
    return f"{one.name}{kind}" if one.default is one.empty else f"{one.name}{kind} = {one.default!r}"


def _line(method: Method) -> str:
    names = ", ".join(list(inspect.signature(method).parameters)[1:])
    summary = (inspect.getdoc(method) or "").split("\n\n")[0].replace("\n", " ")
    return f"* `{method.__name__}({names})`: {_code(summary)}\n"


def _text(docstring: str) -> str:
    """A docstring in Markdown: sections as lists."""
    lines: list[str] = []
    in_section = False
    for line in inspect.cleandoc(docstring).splitlines():
        if section := re.fullmatch(r"(Args|Raises|Attributes):", line):
            in_section = True
            lines += [{"Args": "Parameters"}.get(section[1], section[1]) + ":", ""]
        elif line == "    extra: sent as it is.":
            continue
        elif in_section and (item := re.match(r" {4}([\w.]+): (.*)", line)):
            lines.append(f"* `{item[1]}`: {_code(item[2])}")
        elif in_section:
            lines.append(_code(line.strip()) if not line.strip() else f"  {_code(line.strip())}")
        else:
            lines.append(line if line.startswith("    ") else _code(line))
    return "\n".join(lines).rstrip() + "\n"


def _code(text: str) -> str:
    return text.replace("``", "`")


def _mark(owner: type, method: Method) -> str:
    """Says which methods this node refuses."""
    return "" if _sent(owner, method) <= BUILT else " (501)"


def _sent(owner: type, method: Method) -> set[str]:
    """Methods of the wire that one sends, itself or by another one of its owner."""
    source = inspect.getsource(method)
    names = vars(sys.modules[method.__module__])
    asked = re.findall(r"([\w.]+)\.method\b", source) + re.findall(r"\b(\w+Action)\(", source)
    if sent := {getattr(_resolve(names, name), "method", "") for name in asked} - {""}:
        return sent
    others = [getattr(owner, name, None) for name in re.findall(r"\bself\.(\w+)\(", source)]
    return {
        sent for other in others if inspect.isfunction(other) and other is not method for sent in _sent(owner, other)
    }


def _attributes(event: type[RelayEvent]) -> list[str]:
    """Attributes of one class of events, with the words below them."""
    [body] = [
        node.body
        for node in ast.parse(textwrap.dedent(inspect.getsource(event))).body
        if isinstance(node, ast.ClassDef)
    ]
    found = []
    for first, second in pairwise(body):
        if isinstance(first, ast.Assign) and isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant):
            name = first.targets[0].id if isinstance(first.targets[0], ast.Name) else ""
            found.append(f"* `{name}`: {_code(' '.join(str(second.value.value).split()))}\n")
    return found


def _resolve(names: dict[str, Any], dotted: str) -> Any:
    first, *rest = dotted.split(".")
    found = names.get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found


if __name__ == "__main__":
    sys.stdout.write(reference_page())
