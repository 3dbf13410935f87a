"""Pages of the reference, in Markdown: one for each verb, and those that all verbs share."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import get_args, get_origin

from docs.site.docstrings import attribute_words, code, read_docstring
from docs.site.shapes import shapes_of
from docs.site.verbs import VERBS, Method, Verb, public_methods

import offhook
from offhook import errors
from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.app.relay import RelayClient
from offhook.client.events import EVENT_TYPES, RelayEvent
from offhook.client.listening.all_events import AllEvents
from offhook.client.listening.call_events import CallEvents
from offhook.client.listening.call_waits import CallWaits
from offhook.protocol.verbs import SPECS

__all__ = ["ROOT", "action_page", "call_page", "client_page", "errors_page", "events_page", "verb_page"]

ROOT = Path(__file__).resolve().parents[2]
_WIDTH = 96


def verb_page(verb: Verb) -> str:
    """All there is to know of a verb, the example first."""
    title = verb.methods[0].name
    parts = [f"# {title}\n", verb.words.text or code(verb.methods[0].docstring.summary), _standing(verb)]
    if (example := ROOT / verb.example).exists():
        parts.append(f"## Example\n\n`{verb.example}` runs in every test run.\n\n{_fence(example.read_text())}")
    parts += [method_entry(method, verb.subject) for method in verb.methods]
    parts += [_action_entry(action) for action in verb.actions]
    parts += [_handle_entry(kind) for kind in verb.handles]
    annotations = [str(one.annotation) for method in verb.methods for one in method.parameters]
    if shapes := shapes_of(annotations, sys.modules[verb.owner.__module__], verb.ranges):
        parts.append(f"## Types\n\nAll are dicts in programs and on the wire.{_importable(shapes)}\n\n{_fence(shapes)}")
    if verb.events:
        parts.append("## Events\n\nAll events have what [every event](events.md#every-event) has, and these:")
        parts += [_event_entry(name) for name in verb.events]
    parts.append(f"## Errors\n\n{_raised(verb)}")
    return _joined(parts)


def client_page() -> str:
    """RelayClient, but for the verbs that have a page."""
    elsewhere = [verb.name for verb in VERBS if verb.subject == "client"]
    words = read_docstring(RelayClient)
    constructor = Method(RelayClient, vars(RelayClient)["__init__"])
    parts = ["# RelayClient\n", words.text, _parameters(constructor, words.args), _raises(words.raises)]
    parts.append("## Attributes\n\n" + _attributes(RelayClient))
    parts.append(f"Its verbs: {', '.join(f'[{name}]({name}.md)' for name in elsewhere)}.")
    parts += [method_entry(method, "client") for owner in (RelayClient, AllEvents) for method in public_methods(owner)]
    return _joined(parts)


def call_page() -> str:
    """What every call has, whatever its verbs."""
    words = read_docstring(CallBase)
    parts = ["# Call\n", words.text, "## Attributes\n", _items(words.attributes), _attributes(CallBase)]
    parts.append("## Listening\n\nWhat events there are is [listed here](events.md).")
    parts += [
        method_entry(method, "call", "###") for owner in (CallEvents, CallWaits) for method in public_methods(owner)
    ]
    return _joined(parts)


def action_page() -> str:
    """What every action has."""
    parts = ["# Actions\n", read_docstring(Action).text, "## Attributes\n\n" + _attributes(Action)]
    parts += [method_entry(method, "action") for method in public_methods(Action)]
    rows = [f"| [{kind.__name__}]({verb.name}.md#{kind.__name__.lower()}) | {_ends(kind)} |" for verb, kind in _kinds()]
    parts.append("## Kinds\n\n| action | how it ends |\n|---|---|\n" + "\n".join(rows))
    return _joined(parts)


def events_page() -> str:
    """Every type of event there is a class for."""
    words = read_docstring(RelayEvent)
    parts = ["# Events\n", "## Every event\n", words.text, _items(words.attributes), _attributes(RelayEvent)]
    return _joined(parts + [_event_entry(name, "##") for name in sorted(EVENT_TYPES)])


def errors_page() -> str:
    """The error tree, as it is drawn in the source."""
    text, _, tree = (errors.__doc__ or "").partition("\n\n")
    return _joined(
        [
            "# Errors\n",
            f"{text}\n\n```text\n{tree.strip()}\n```",
            *(_error_entry(getattr(errors, name)) for name in errors.__all__),
        ]
    )


# --- parts ------------------------------------------------------------------------------------------------------


def method_entry(method: Method, subject: str, level: str = "##") -> str:
    """Signature, words, parameters, what comes back, what is sent."""
    parts = [f"{level} {subject}.{method.name}\n", _fence(_signature(method, subject)), method.docstring.text]
    parts.append(_parameters(method, subject=subject))
    parts.append(_returned(method))
    parts.append(_raises(method.docstring.raises))
    if method.sends:
        sent = ", ".join(f"`{struct.method}`" for struct in method.sends)
        parts.append(f"On the wire: {sent}{'' if method.is_built else ' (this node answers 501 today)'}.")
    return _joined(parts)


def _importable(shapes: str) -> str:
    names = [
        name for name in re.findall(r"^(?:class )?(\w+)(?=\(| = )", shapes, re.MULTILINE) if name in offhook.__all__
    ]
    return f" For annotations, `offhook` has `{'`, `'.join(names)}`." if names else ""


def _standing(verb: Verb) -> str:
    refused = [method.name for method in verb.methods if not method.is_built]
    if not refused:
        return ""
    sent = "it" if len(refused) == len(verb.methods) else f"`{'`, `'.join(refused)}`"
    return (
        f":::{{admonition}} Not on this node yet\n:class: note\n\nThe SDK sends {sent}; this node answers code 501 "
        "and a sentence that says what is missing ([what works today](../about.md#what-works-today)). Hosted "
        "services may have it.\n:::"
    )


def _signature(method: Method, subject: str) -> str:
    """As one calls it, a parameter a line when it is long."""
    lines = [_bare(one) for one in method.parameters]
    keywords = [place for place, one in enumerate(method.parameters) if one.kind is one.KEYWORD_ONLY]
    if keywords:
        lines.insert(keywords[0], "*")
    waits = "await " if inspect.iscoroutinefunction(method.function) else ""
    head, result = f"{waits}{subject}.{method.name}", method.signature.return_annotation
    result = _plain(str(result))
    inline = f"{head}({', '.join(lines)}) -> {result}"
    if len(inline) <= _WIDTH:
        return inline
    inside = "".join(f"    {line},\n" for line in lines)
    return f"{head}(\n{inside}) -> {result}"


def _bare(one: inspect.Parameter) -> str:
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{'**' if one.kind is one.VAR_KEYWORD else ''}{one.name}: {one.annotation}{default}"


def _parameters(method: Method, words: dict[str, str] | None = None, subject: str = "call") -> str:
    """A row for each that has words here; the others by the neighbour that has them."""
    rows: list[str] = []
    elsewhere: dict[str, list[str]] = {}
    for one in method.parameters:
        if neighbour := method.as_in(one.name):
            elsewhere.setdefault(neighbour.name, []).append(f"`{one.name}`")
        elif said := (words or {}).get(one.name) or method.words(one.name):
            rows.append(_row(method, one, said))
    table = ["| parameter | type | what it is |\n|---|---|---|\n" + "\n".join(rows)] if rows else []
    shared = [f"As in [{subject}.{name}](#{subject}{name}): {', '.join(names)}." for name, names in elsewhere.items()]
    return "\n\n".join(table + shared)


def _row(method: Method, one: inspect.Parameter, said: str) -> str:
    limits = method.range(one.name)
    if "default" in said:
        limits = limits.partition("default")[0].rstrip("; ")
    limits = limits.replace("*", "\\*")
    numbers = re.findall(r"\d+", limits)
    is_said = bool(numbers) and set(numbers) <= set(re.findall(r"\d+", said))
    key = method.wire_key(one.name)
    cell = (
        said
        + (f"<br>*{limits}*" if limits and not is_said else "")
        + (f"<br>*on the wire:* `{key}`" if key != one.name else "")
    )
    kind = str(one.annotation).removesuffix(" | None") if one.default is None else str(one.annotation)
    needed = ", needed" if one.default is one.empty and one.kind is not one.VAR_KEYWORD else ""
    return f"| `{one.name}` | `{_cell(kind)}`{needed} | {_cell(cell)} |"


def _returned(method: Method) -> str:
    result = str(method.signature.return_annotation)
    if result.endswith("Action"):
        return (
            f"Returns a [{result}](#{result.lower()}) when the node has accepted it, long before it is over. On a call "
            "that is over: one that has ended, with a cause."
        )
    if result == "Message":
        return "Returns a [Message](#message) when the server has taken it, before it is delivered."
    if result == "dict[str, Any]" and method.owner is not RelayClient:
        what = "action" if issubclass(method.owner, Action) and method.name == "stop" else "call"
        return f"Returns the whole result of the reply; `{{}}` when the {what} is over."
    return ""


def _raises(raises: dict[str, str]) -> str:
    if not raises:
        return ""
    return "Raises:\n\n" + "\n".join(f"* [`{name}`]({_page_of(name)}): {words}" for name, words in raises.items())


def _page_of(error: str) -> str:
    known = error in errors.__all__
    return f"errors.md#{error.lower()}" if known else "https://docs.python.org/3/library/exceptions.html#" + error


def _raised(verb: Verb) -> str:
    if verb.subject == "client":
        return "See above; [all errors](errors.md)."
    return (
        "[`RelayError`](errors.md#relayerror) when the node refuses: `code` is its code, `message` its sentence. "
        "[`RequestTimeout`](errors.md#requesttimeout) and [`ConnectionLost`](errors.md#connectionlost) are such. "
        "[`CallReleased`](errors.md#callreleased) after `pass_` or `transfer`. A call that is gone (404, 410) is no "
        f"error: the method returns at once.{_exclusive(verb)}"
    )


def _exclusive(verb: Verb) -> str:
    """Which verbs keep it from beginning, by what the dictionary says of both."""
    sent = {struct.method for method in verb.methods for struct in method.sends}
    kinds = {spec.exclusive for spec in SPECS.values() if spec.method in sent} - {""}
    named = [spec.method for spec in SPECS.values() if spec.exclusive in kinds]
    if not named:
        return ""
    others = f"`{'`, `'.join(named)}`"
    return f"\n\nOf {others} one runs at a time on a call: the next is refused (409)."


def _action_entry(kind: type[Action]) -> str:
    words = read_docstring(kind)
    parts = [f"## {kind.__name__}\n", words.text]
    parts.append(
        "It has what [every action](actions.md) has: `stop`, `is_done`, `async with`; `wait`, `result` and "
        f"`on_completed` have its last event, a `{_last_event(kind)}` (below)."
    )
    for owner in [one for one in kind.__mro__ if issubclass(one, Action) and one is not Action]:
        parts.append(_attributes(owner))
        parts += [method_entry(method, "action", "###") for method in public_methods(owner)]
    return _joined(parts)


def _handle_entry(kind: type) -> str:
    subject = kind.__name__.lower()
    parts = [f"## {kind.__name__}\n", read_docstring(kind).text, _attributes(kind)]
    return _joined(parts + [method_entry(method, subject, "###") for method in public_methods(kind)])


def _last_event(kind: type[Action]) -> str:
    """What stands in ``Action[...]``, in the class or a base of it."""
    bases = [base for one in kind.__mro__ for base in vars(one).get("__orig_bases__", ()) if get_origin(base) is Action]
    [event] = get_args(bases[0])
    return " | ".join(one.__name__ for one in get_args(event) or (event,))


def _event_entry(name: str, level: str = "###") -> str:
    kind = EVENT_TYPES[name]
    own = [one for one in kind.__mro__ if issubclass(one, RelayEvent) and one is not RelayEvent]
    rows = {key: words for owner in reversed(own) for key, words in attribute_words(owner).items()}
    return _joined([f"{level} {name}\n", f"`{kind.__name__}`: {read_docstring(kind).text}", _typed(kind, rows)])


def _error_entry(kind: type[BaseException]) -> str:
    return f"## {kind.__name__}\n\n{read_docstring(kind).text}"


def _attributes(owner: type) -> str:
    hidden = _WIRING if issubclass(owner, Action) else frozenset[str]()
    return _typed(owner, {name: words for name, words in attribute_words(owner).items() if name not in hidden})


_WIRING = frozenset({"spec", "method", "event_type", "is_continuous"})
"""Attributes of actions that say how they hang on the wire."""


def _typed(owner: type, words: dict[str, str]) -> str:
    if not words:
        return ""
    rows = [f"| `{name}` | `{_cell(_kind(owner, name))}` | {_cell(said)} |" for name, said in words.items()]
    return "| attribute | type | what it is |\n|---|---|---|\n" + "\n".join(rows)


def _kind(owner: type, name: str) -> str:
    """The type of an attribute: of a property's result, or of what a field of an event reads."""
    member = inspect.getattr_static(owner, name, None)
    if isinstance(member, property) and member.fget is not None:
        return _plain(str(inspect.signature(member.fget).return_annotation))
    if member is not None and hasattr(member, "read"):
        return str(inspect.signature(member.read).return_annotation)
    return str(inspect.get_annotations(owner).get(name, ""))


def _plain(annotation: str) -> str:
    """Without the variables of generic classes: what they stand for at least."""
    return annotation.replace("Event_co", "RelayEvent")


def _items(words: dict[str, str]) -> str:
    return "\n".join(f"* `{name}`: {said}" for name, said in words.items())


def _ends(kind: type[Action]) -> str:
    return _cell(read_docstring(kind).summary)


def _kinds() -> list[tuple[Verb, type[Action]]]:
    return [(verb, kind) for verb in VERBS for kind in verb.actions]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _fence(text: str) -> str:
    return f"```python\n{text.strip()}\n```"


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
