"""Makes what follows from the SDK's verbs (``make generate``); ``--check`` only tells which files are old.

A module of ``client/verbs`` says in its ``__all__`` what programs may use of it: its actions, the classes of its
events, its shapes. Its verb, the class that stands on ``CallBase``, becomes a base of ``Call``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/offhook"
FRONT_DOOR = PACKAGE / "__init__.py"
REFERENCE = ROOT / "docs/reference.md"
CALL = PACKAGE / "client/calls/call.py"
CALL_EVENTS = PACKAGE / "client/calls/typed_events.py"
CLIENT_EVENTS = PACKAGE / "client/app/typed_events.py"
LISTENING = "offhook.client.listening"

SECTIONS = {
    "Life of a call": {(4, 1)},
    "Sound": {(4, 2), (4, 3), (4, 11)},
    "Keys and speech": {(4, 4), (4, 6), (4, 9)},
    "More parties": {(4, 5), (4, 10)},
    "Audio to elsewhere": {(4, 7), (4, 8), (4, 12)},
    "Agents": {(4, 13)},
}
"""Titles of the tables of verbs, and which sections of the RELAY reference each has."""

MADE = "Made by ``make generate`` from the verbs."


def stand_alone() -> None:
    """Let modules of the SDK be imported without its front door, which may be of before a verb came or went."""
    package = types.ModuleType("offhook")
    package.__path__ = [str(PACKAGE)]
    sys.modules["offhook"] = package
    sys.path.insert(0, str(ROOT / "src"))


def import_verbs() -> list[types.ModuleType]:
    """The modules of a call's verbs, as the reference has them: by its section, then by name."""
    protocol = importlib.import_module("offhook.protocol.verbs")
    base = importlib.import_module("offhook.client.actions.call_base").CallBase
    sections = sections_of(protocol)
    found = []
    for path in sorted((PACKAGE / "client/verbs").glob("*.py")):
        if "(CallBase)" in path.read_text():  # the others are the client's, and stand on the call
            module = importlib.import_module(f"offhook.client.verbs.{path.stem}")
            assert any(issubclass(one, base) for one in vars(module).values() if isinstance(one, type))
            found.append(module)
    return sorted(found, key=lambda module: sections[module.__name__.rpartition(".")[2]])


def sections_of(protocol: types.ModuleType) -> dict[str, tuple[int, int]]:
    """Which section of the RELAY reference a verb is of, by the name of its modules."""
    return {spec.start.__module__.rpartition(".")[2]: spec.section for spec in protocol.SPECS.values()}


def mixin_of(module: types.ModuleType) -> str:
    """The name of a module's verb."""
    [name] = [name for name in module.__all__ if name.endswith("Verb")]
    return str(name)


def public_of(module: types.ModuleType) -> list[str]:
    """Names of a module that the SDK's front door has: all types but the verb."""
    return sorted(name for name in module.__all__ if name[0].isupper() and name != mixin_of(module))


def import_line(module: types.ModuleType, names: list[str]) -> str:
    """An import."""
    return f"from {module.__name__} import {', '.join(names)}" if names else ""


# --- files ------------------------------------------------------------------------------------------------------


def call(verbs: list[types.ModuleType]) -> str:
    """The call: all verbs in one."""
    lines = [
        f'"""The call, assembled from its verbs. {MADE}"""',
        "from __future__ import annotations",
        "from offhook.client.calls.typed_events import TypedCallEvents",
        *(import_line(module, [mixin_of(module)]) for module in verbs),
        '__all__ = ["Call"]',
        "class Call(TypedCallEvents,",
        *(f"    {mixin_of(module)}," for module in verbs),
        "):",
        '    """A live phone call: from ``@client.on_call`` (inbound) or ``client.dial`` (outbound).',
        "",
        "    Commands on a call that is over return at once: ``{}``, or an action that has ended, with a cause.",
        '    """',
    ]
    return "\n".join(lines)


def classes_of_events() -> dict[type, list[str]]:
    """Types of events by their class."""
    found: dict[type, list[str]] = {}
    for event_type, kind in sorted(importlib.import_module("offhook.client.events").EVENT_TYPES.items()):
        found.setdefault(kind, []).append(event_type)
    return found


def typed_call_events(verbs: list[types.ModuleType]) -> str:
    """``on`` and ``wait_for`` of a call: no call gets what makes one, or tells how a dial goes."""
    dial = importlib.import_module("offhook.protocol.verbs.dial")
    state = importlib.import_module("offhook.protocol.verbs.state")
    others = {state.RECEIVE_EVENT, dial.EVENT}
    told = {
        kind: names
        for kind, names in classes_of_events().items()
        if names[0].startswith("calling.") and not others & set(names)
    }
    lines = [
        f'"""What a call tells, typed by the name of the event. {MADE}"""',
        *_imports_of(told, verbs),
        "from offhook.client.actions.call_base import CallBase",
        '__all__ = ["TypedCallEvents"]',
        "class TypedCallEvents(CallBase):",
        '    """An overload for each class of event: an editor completes the names, and knows what comes."""',
        *typed(importlib.import_module(f"{LISTENING}.call_events").CallEvents.on, told),
        *typed(importlib.import_module(f"{LISTENING}.call_waits").CallWaits.wait_for, told),
    ]
    return "\n".join(lines)


def typed_client_events(verbs: list[types.ModuleType]) -> str:
    """``on`` of a client."""
    told = classes_of_events()
    lines = [
        f'"""What a client hears, typed by the name of the event. {MADE}"""',
        *_imports_of(told, verbs),
        f"from {LISTENING}.all_events import AllEvents",
        '__all__ = ["TypedClientEvents"]',
        "class TypedClientEvents(AllEvents):",
        '    """An overload for each class of event: an editor completes the names, and knows what comes."""',
        *typed(importlib.import_module(f"{LISTENING}.all_events").AllEvents.on, told),
    ]
    return "\n".join(lines)


def _imports_of(told: dict[type, list[str]], verbs: list[types.ModuleType]) -> list[str]:
    events = importlib.import_module("offhook.client.events")
    own = [kind.__name__ for kind in told if kind.__module__.startswith(events.__name__)]
    return [
        "from __future__ import annotations",
        "from collections.abc import Callable",
        "from typing import Any, Literal, overload",
        import_line(events, [*own, "RelayEvent"]),
        f"from {LISTENING}.tasks import Handler",
        *(import_line(one, [kind.__name__ for kind in told if kind.__module__ == one.__name__]) for one in verbs),
    ]


def typed(method: Any, by_class: dict[type, list[str]]) -> Iterator[str]:
    """A method again, once for each class of event, and once that does what it did."""
    signature = inspect.signature(method)
    what = "async def" if inspect.iscoroutinefunction(method) else "def"
    named = [(f"Literal[{', '.join(map(repr, names))}]", kind.__name__) for kind, names in by_class.items()]
    for event_type, event in [*named, ("str", "RelayEvent")]:
        yield f"    @overload\n    {what} {method.__name__}{_written(signature, event_type, event)}: ..."
    words = textwrap.indent(inspect.getdoc(method) or "", "        ").strip()
    given = ", ".join(list(signature.parameters)[1:])
    called = f"super().{method.__name__}({given})"
    yield f"    {what} {method.__name__}{_written(signature)}:"
    yield f'        """{words}\n        """'
    yield f"        return {'await ' if what.startswith('async') else ''}{called}"


def _written(signature: inspect.Signature, event_type: str = "str", event: str = "Any") -> str:
    """A signature as source: of an event in place of any."""

    def kind(annotation: str) -> str:
        return annotation.replace("[Any]", f"[{event}]").replace("[[Any]", f"[[{event}]")

    parameters = ["self"]
    for one in list(signature.parameters.values())[1:]:
        annotation = event_type if one.name == "event_type" else kind(str(one.annotation))
        parameters.append(f"{one.name}: {annotation}" + ("" if one.default is one.empty else f" = {one.default!r}"))
    result = str(signature.return_annotation)
    if event != "Any":
        result = result.replace("RelayEvent", event)
    return f"({', '.join(parameters)}) -> {result}"


def front_door(verbs: list[types.ModuleType]) -> str:
    """The front door: what it has of the verbs is made, the rest stays."""
    source = FRONT_DOOR.read_text()
    tree = ast.parse(source)
    kept = [node for node in tree.body if not _is_made(node)]
    lines = [ast.get_source_segment(source, node) or "" for node in kept]
    lines += [import_line(module, public_of(module)) for module in verbs]
    names = {alias.asname or alias.name for node in kept if isinstance(node, ast.ImportFrom) for alias in node.names}
    names |= {name for module in verbs for name in public_of(module)}
    exported = ", ".join(f'"{name}"' for name in sorted(names - {"annotations"}))
    return "\n".join([*lines, f"__all__ = [{exported}]"])


def reference(verbs: list[types.ModuleType]) -> str:
    """The page that lists the verbs: its tables of them are made, what stands before them stays."""
    sections = sections_of(importlib.import_module("offhook.protocol.verbs"))
    kept = REFERENCE.read_text().partition(f"\n## {next(iter(SECTIONS))}\n")[0]
    tables = []
    for title, numbers in SECTIONS.items():
        rows = [row_of(module) for module in verbs if sections[module.__name__.rpartition(".")[2]] in numbers]
        tables.append(f"\n## {title}\n\n| verb | what it does |\n|---|---|\n" + "\n".join(rows) + "\n")
    return kept + "".join(tables)


def row_of(module: types.ModuleType) -> str:
    """A verb's methods, and the first sentence of its module."""
    methods = [name for name, one in vars(getattr(module, mixin_of(module))).items() if inspect.isfunction(one)]
    names = ", ".join(name for name in methods if not name.startswith("_"))
    sentence = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`").partition(". ")[0]
    path = Path(str(module.__file__)).relative_to(ROOT)
    return f"| [{names}](../{path}) | {sentence[:1].lower()}{sentence[1:].rstrip('.')} |"


def _is_made(node: ast.stmt) -> bool:
    """Imports from verbs, and ``__all__``."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith("offhook.client.verbs.")
    return isinstance(node, ast.Assign)


# --- writing ----------------------------------------------------------------------------------------------------


def in_order(path: Path, text: str) -> str:
    """As the formatter writes it."""
    for command in (["check", "--quiet", "--fix", "--exit-zero", "--select", "I,RUF022"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"]
        text = subprocess.run(ruff, cwd=ROOT, input=text, capture_output=True, text=True, check=True).stdout
    return text


def made() -> dict[Path, str]:
    """Every file that is made, as it should be."""
    verbs = import_verbs()
    texts = {
        CALL: call(verbs),
        CALL_EVENTS: typed_call_events(verbs),
        CLIENT_EVENTS: typed_client_events(verbs),
        FRONT_DOOR: front_door(verbs),
    }
    return {path: in_order(path, text) for path, text in texts.items()} | {REFERENCE: reference(verbs)}


def main() -> None:
    stand_alone()
    old = {path: text for path, text in made().items() if not path.exists() or path.read_text() != text}
    for path, text in old.items():
        if "--check" in sys.argv[1:]:
            print(f"{path.relative_to(ROOT)} is not what follows from the verbs: run `make generate`")
        else:
            path.write_text(text)
            print(f"{path.relative_to(ROOT)} is made anew")
    sys.exit(bool(old) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    main()
