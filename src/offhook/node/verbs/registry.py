"""Which verb does which method; starts verbs for whoever asks, and runs the commands of clients."""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import msgspec
import structlog

from offhook.errors import CommandRefused
from offhook.node import verbs
from offhook.node.calls.action import ActionKey, Running
from offhook.node.calls.call import Call
from offhook.node.calls.exchange import Exchange
from offhook.node.calls.label import Inherited
from offhook.node.calls.ports import AudioFetcher, Client, Controller, RecordingLinks, Script, Speech
from offhook.node.verbs import dial as dialing
from offhook.node.verbs.base import Command, Unbuilt, Verb, VerbPorts, event_of
from offhook.protocol.codes import ResultCode
from offhook.protocol.params import CallParams, ControlParams, Params, dump_params, parse_params, survey
from offhook.protocol.states import CallState, Direction
from offhook.protocol.verbs import PARAMS
from offhook.protocol.verbs.dial import Dial

__all__ = ["ACTIONS", "BUILT", "COMMANDS", "STEERING", "VerbRegistry", "unbuilt_of"]

log = structlog.get_logger(__name__)


def _built() -> Iterator[type[Verb[Any]] | type[Command]]:
    """What the modules beside this one do. A module that is here is found: nothing lists it by hand."""
    for found in pkgutil.iter_modules(verbs.__path__):
        if found.name == "registry":
            continue
        module = import_module(f"{verbs.__name__}.{found.name}")
        for value in vars(module).values():
            is_kind = isinstance(value, type) and issubclass(value, Verb | Command)
            if is_kind and value.__module__ == module.__name__ and "spec" in vars(value):
                yield value


def _steering() -> Iterator[tuple[str, tuple[type[Verb[Any]], ...], str]]:
    commands = {struct.method: None for kind in ACTIONS.values() for struct in kind.spec.commands}
    for method in commands:
        name = method.rpartition(".")[2]
        kinds = [kind for kind in ACTIONS.values() if method in {struct.method for struct in kind.spec.commands}]
        if built := tuple(kind for kind in kinds if hasattr(kind, name)):
            yield method, built, name


_KINDS: Final = {kind.spec.method: kind for kind in _built()}

ACTIONS: Final[Mapping[str, type[Verb[Any]]]] = MappingProxyType(
    {method: kind for method, kind in _KINDS.items() if issubclass(kind, Verb)}
)
"""Methods that start an action."""

COMMANDS: Final[Mapping[str, type[Command]]] = MappingProxyType(
    {method: kind for method, kind in _KINDS.items() if issubclass(kind, Command)}
)
"""Methods that are done when they are answered."""

STEERING: Final[Mapping[str, tuple[tuple[type[Verb[Any]], ...], str]]] = MappingProxyType(
    {method: (kinds, name) for method, kinds, name in _steering()}
)
"""Methods that steer a running action: of which verbs, and by which of their methods."""

BUILT: Final = frozenset({Dial.method, *ACTIONS, *COMMANDS, *STEERING})
"""Methods that this node does; the others that the protocol lists answer 501."""

_SILENT_ON_CALL_ID = frozenset({"calling.dial", "calling.answer", "calling.end"})
_MAX_COUNTED = 1000


def unbuilt_of(method: str) -> Unbuilt:
    """Params of a method that answer 501."""
    if method == Dial.method:
        return dialing.UNBUILT
    verb = ACTIONS.get(method) or COMMANDS.get(method)
    return verb.unbuilt if verb else {}


class VerbRegistry:
    """The ``CommandRunner`` of the node. ``ignored`` counts keys that nobody lists, by method and path."""

    def __init__(self, exchange: Exchange, speech: Speech, fetcher: AudioFetcher, links: RecordingLinks) -> None:
        self._exchange = exchange
        self._ports = VerbPorts(exchange, speech, fetcher, links)
        self.ignored: Counter[str] = Counter()
        exchange.on_orphan = self.take_over

    async def run(self, method: str, params: Mapping[str, Any], client: Client) -> dict[str, Any]:
        """Start or steer a verb and return the ``result`` of the wire.

        Raises:
            CommandRefused: with the wire's code and a sentence.
        """
        struct = PARAMS.get(method)
        if struct is None or method not in BUILT:
            raise _unbuilt(method)
        parsed = parse_params(struct, params)
        extra: dict[str, Any] = {}
        if isinstance(parsed, Dial):
            self._check(struct, params)
            dialing.start_dial(parsed, client, self._ports)
        elif isinstance(parsed, CallParams):
            call = self._find(parsed)
            self._check(struct, params)
            extra = await self._run_on(call, parsed, client)
        return _result(parsed, extra)

    async def start(self, call: Call, params: CallParams, controller: Controller) -> Running:
        """Start a verb that runs (one of ``ACTIONS``); once more with the same params while it runs it is the same one.

        ``params`` are what ``parse_params`` made. The events of a client's verb go to the call's outbox, those of a
        script's to the script alone.

        Raises:
            CommandRefused: as ``run``; what it finds out later ``Running.accepted`` raises.
        """
        if params.method not in BUILT:
            raise _unbuilt(params.method)
        self._check(type(params), dump_params(params))
        return await self._start(call, params, controller)

    def abandon(self, session: str, why: str) -> None:
        """End the dials of a session that is gone for good."""
        self._exchange.cancel_dials(session, why)

    def take_over(self, call: Call, inherited: Inherited) -> bool:
        """Go on with an action whose verb went with a former node, or end it, once, with ``error``."""
        action = inherited.action
        kind = ACTIONS.get(action.method)
        if kind is None:
            return False
        if inherited.runs and (verb := kind.adopted(call, inherited, self._ports)) is not None:
            call.adopt_action(ActionKey(verb.key), verb)
            return True
        for event_type, params in kind.broken(action, "The node was restarted", self._ports):
            call.events.emit(event_of(call, action, event_type, params))
        return False

    # --- inside ----------------------------------------------------------------------------------------------

    def _find(self, params: CallParams) -> Call:
        call = self._exchange.calls.find(params.call_id)
        if params.node_id != self._exchange.settings.node_id:
            raise CommandRefused(ResultCode.NOT_FOUND, "`node_id` is not this node's: use that of the call's events")
        return call

    def _check(self, struct: type[Params], params: Mapping[str, Any]) -> None:
        """Answer 501 to what is listed and not built; count what nobody lists."""
        found = survey(struct, params)
        for path, values in unbuilt_of(struct.method).items():
            if path in found.known and (wrong := _unbuilt_value(params, path, values)) is not None:
                raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"`{path}`{wrong} is not built yet: leave it out")
        for path in found.unknown:
            if len(self.ignored) < _MAX_COUNTED or f"{struct.method} {path}" in self.ignored:
                self.ignored[f"{struct.method} {path}"] += 1
            log.debug("parameter ignored", method=struct.method)

    async def _run_on(self, call: Call, params: CallParams, client: Client) -> dict[str, Any]:
        method = params.method
        if command := COMMANDS.get(method):
            await command.execute(call, params, client, self._ports)
            return {}
        if method in STEERING:
            return await self._steer(call, params)
        running = await self._start(call, params, client)
        return await running.accepted()

    async def _start(self, call: Call, params: CallParams, controller: Controller) -> Running:
        kind = ACTIONS[params.method]
        kind.check(params)
        await _wait_for_answer(call)
        script, events = (controller.id, controller.events) if isinstance(controller, Script) else ("", call.events)
        key = ActionKey(kind.key_of(params), script)
        if (running := call.actions.get(key)) is not None:
            if isinstance(running, Verb) and running.is_asked_by(params):
                return running
            message = f"`control_id` belongs to a running {_name(running.open_action.method)}: choose another"
            raise CommandRefused(ResultCode.CONFLICT, message)
        for other in call.actions.values():
            if isinstance(other, Verb) and kind.spec.exclusive and other.spec.exclusive == kind.spec.exclusive:
                message = f"{_name(other.params.method)} {other.key} is running: stop it first, or wait for its end"
                raise CommandRefused(ResultCode.CONFLICT, message)
        verb = kind(call, params, self._ports, events)
        call.add_action(key, verb)
        return verb

    async def _steer(self, call: Call, params: CallParams) -> dict[str, Any]:
        assert isinstance(params, ControlParams)
        kinds, name = STEERING[params.method]
        key = ActionKey(params.control_id)
        running = call.actions.get(key)
        if running is not None and isinstance(running, kinds):
            await getattr(running, name)(params)
        elif key not in call.past_actions:
            message = f"No {_name(params.method)} with this `control_id` runs on the call"
            raise CommandRefused(ResultCode.NOT_FOUND, message)
        elif name != "stop":  # to stop what has ended is no mistake
            raise CommandRefused(ResultCode.CONFLICT, "It has ended")
        return {}


async def _wait_for_answer(call: Call) -> None:
    if call.answering is not None:  # a client may send answer and play in one breath
        await call.answering_over()
    if call.is_ending:
        raise CommandRefused(ResultCode.GONE, "The call is ending")
    if call.state is not CallState.ANSWERED:
        inbound = call.identity.direction is Direction.INBOUND
        raise CommandRefused(ResultCode.CONFLICT, "answer() first" if inbound else "The call is not answered yet")


def _unbuilt(method: str) -> CommandRefused:
    return CommandRefused(ResultCode.NOT_IMPLEMENTED, f"{method} is not built yet")


def _name(method: str) -> str:
    return method.removeprefix("calling.").partition(".")[0]


def _result(params: Params, extra: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"code": ResultCode.OK.value, "message": params.accepted}
    if isinstance(params, CallParams) and params.method not in _SILENT_ON_CALL_ID:
        result["call_id"] = params.call_id
    if isinstance(params, ControlParams):
        result["control_id"] = params.control_id
    return result | dict(extra)


def _unbuilt_value(params: Any, path: str, values: frozenset[Any] | None) -> str | None:
    """The first value at a path that is not built, as text for the sentence; None when there is none."""
    for value in _values(params, path.split(".")):
        if values is None:
            return ""
        if isinstance(value, str | bool) and value in values:
            return f" {msgspec.json.encode(value).decode()}"
    return None


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        if value is not None:
            yield value
        return
    name = steps[0].rstrip("[]")
    depth = steps[0].count("[]")
    if isinstance(value, dict) and name in value:
        items = [value[name]]
        for _ in range(depth):
            items = [entry for item in items if isinstance(item, list) for entry in item]
        for item in items:
            yield from _values(item, steps[1:])
