"""A call on the scripted node, as its party sees it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any, Final, Protocol

import msgspec

from offhook.protocol.devices import ReportedDevice
from offhook.protocol.states import CallState, Direction, EndReason, EndSource
from offhook.protocol.verbs import collect, connect, detect, play
from offhook.protocol.verbs.state import STATE_EVENT, Parent, Peer, ReceiveEvent, StateEvent
from offhook.testing.scripted_session import ScriptedSession
from offhook.testing.scripts import SCRIPTS, Scene, Script, Told

__all__ = ["NODE_ID", "ScriptedCall", "Stage"]

NODE_ID: Final = "scripted-node"
_COLLECTS: Final = frozenset({"calling.collect", "calling.play_and_collect"})
_PARTIAL: Final = "start_of_input"
_CONNECT: Final = "calling.connect"


class Stage(Protocol):
    """What a call needs of its node."""

    async def until(self, method: str, call_id: str | None = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """Wait for a request."""
        ...

    async def settle(self, condition: Any, *, timeout_s: float = 5.0) -> None:
        """Wait for a condition."""
        ...

    def stirred(self) -> None:
        """Something changed."""
        ...

    def add_leg(self, tag: str, device: dict[str, Any], session: ScriptedSession) -> ScriptedCall:
        """Make an outbound leg."""
        ...


class ScriptedCall:
    """A call. ``open`` are its running operations: the method by ``control_id``, or by itself where it has none."""

    def __init__(self, node: Stage, session: ScriptedSession, direction: Direction, device: dict[str, Any]) -> None:
        self.call_id = str(uuid.uuid4())
        self.direction = direction
        self.state = CallState.CREATED
        self.tag = ""
        self.device = device
        self.open: dict[str, str] = {}
        self.peer: ScriptedCall | None = None
        self._parent: ScriptedCall | None = None
        self._node = node
        self._session = session
        self._segment_id = str(uuid.uuid4())
        self.begun: set[str] = set()
        """Operations by ``control_id``: those that are open, and those that were."""
        self._asked: dict[str, dict[str, Any]] = {}
        self._memory: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ScriptedCall(call_id={self.call_id!r}, state={self.state.value!r})"

    # --- what the party does --------------------------------------------------------------------------------

    async def until(self, method: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Wait until the app sends this method for the call, or return at once if it did: its params, taken once."""
        return await self._node.until(method, self.call_id, timeout_s=timeout_s)

    async def press(self, digits: str, terminator: str = "") -> None:
        """Press keys, as soon as a collect is open; it settles."""
        await self._collected({"type": "digit", "params": {"digits": digits, "terminator": terminator}})

    async def say(self, text: str, confidence: float = 90.0) -> None:
        """Say something, as soon as a collect is open; it settles."""
        await self._collected({"type": "speech", "params": {"text": text, "confidence": confidence}})

    async def be_silent(self) -> None:
        """Let the collects that are open find no input."""
        await self._collected({"type": "no_input"})

    async def be_detected(self, event: str, **more: Any) -> None:
        """Let the detectors that are open (held) find ``MACHINE``, ``READY`` (``beep=True``), a tone or a key."""
        for control_id in await self._running(frozenset({"calling.detect"})):
            kind = self._asked[control_id]["detect"].get("type", "machine")
            found = {"type": kind, "params": {"event": event, **more}}
            await self.send(detect.EVENT, {"control_id": control_id, "detect": found})

    async def finish(self, control_id: str, state: str = "finished") -> None:
        """End a held operation, as soon as it has begun; one without ``control_id`` goes by its method."""
        await self._node.settle(lambda: control_id in self.open)
        await self._end_operation(control_id, state)

    async def hangup(self, reason: EndReason = EndReason.HANGUP) -> None:
        """Hang up."""
        await self.end(reason, EndSource.INBOUND)

    async def send(self, event_type: str, params: dict[str, Any]) -> None:
        """Send any event of this call; the address is added."""
        await self._session.event(event_type, {"node_id": NODE_ID, "call_id": self.call_id, **params})

    # --- its life -------------------------------------------------------------------------------------------

    async def move(self, state: CallState, **more: Any) -> None:
        """Enter a state and tell the app."""
        self.state = state
        known: dict[str, Any] = {}
        if self._parent is not None:
            kind = str(self._parent.device.get("type", ""))
            known["parent"] = Parent(node_id=NODE_ID, call_id=self._parent.call_id, device_type=kind)
        if self.peer is not None:
            known["peer"] = Peer(node_id=NODE_ID, call_id=self.peer.call_id)
        event = StateEvent(
            node_id=NODE_ID,
            call_id=self.call_id,
            segment_id=self._segment_id,
            tag=self.tag,
            call_state=state,
            direction=self.direction,
            device=msgspec.convert(self.device, ReportedDevice),
            start_time=int(time.time() * 1000),
            **known,
            **more,
        )
        await self._session.event(STATE_EVENT, msgspec.to_builtins(event))

    async def end(self, reason: EndReason, source: EndSource) -> None:
        """End: the bridge, all that is open, then the call. A party that was called for this call goes with it."""
        if self.state in (CallState.ENDING, CallState.ENDED):
            return
        peer = self.peer
        await self.unbridge()
        await self.move(CallState.ENDING, end_reason=reason, end_source=source)
        for control_id in list(self.open):
            await self._end_operation(control_id, "stopped")
        await self.move(CallState.ENDED, end_reason=reason, end_source=source)
        if peer is not None and peer._parent is self:
            await peer.end(reason, EndSource.NONE)

    def receive_params(self, context: str, project: str) -> dict[str, Any]:
        """Params of its offer."""
        offer = ReceiveEvent(
            node_id=NODE_ID,
            call_id=self.call_id,
            segment_id=self._segment_id,
            project_id=project,
            context=context,
            device=msgspec.convert(self.device, ReportedDevice),
        )
        params: dict[str, Any] = msgspec.to_builtins(offer)
        return params

    def winner_params(self) -> dict[str, Any]:
        """What the dial event says of the leg that answered."""
        return {
            "node_id": NODE_ID,
            "call_id": self.call_id,
            "segment_id": self._segment_id,
            "tag": self.tag,
            "call_state": "answered",
            "direction": "outbound",
            "device": self.device,
            "dial_winner": "true",
        }

    # --- operations -----------------------------------------------------------------------------------------

    def result_of(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """What its result has beside code and message.

        Raises:
            CommandRefused: the script of the method refuses it.
        """
        return SCRIPTS[method].result(self._scene(params)) if method in SCRIPTS else {}

    async def begin_operation(self, method: str, params: dict[str, Any], *, held: bool) -> None:
        """What follows the 200 of a method."""
        key = str(params.get("control_id", method))
        script = SCRIPTS[method]
        await self._tell(script.begin(self._scene(params)))
        if script.end is None:
            return
        self.open[key] = method
        self.begun.add(key)
        self._asked[key] = params
        self._node.stirred()
        if not (held or script.waits):
            await self._end_operation(key, "finished")

    async def steer(self, method: str, control_id: str) -> None:
        """Pause, resume or stop what is open."""
        script, scene = SCRIPTS[self.open[control_id]], self._scene(self._asked[control_id])
        command = method.rpartition(".")[2]
        if command == "stop":
            await self._end_operation(control_id, "stopped")
        elif command == "pause":
            await self._tell(script.paused(scene))
        elif command == "resume":
            await self._tell(script.resumed(scene))

    async def _end_operation(self, key: str, how: str) -> None:
        method, params = self.open.pop(key), self._asked.pop(key)
        if method == _CONNECT:
            await self._connected(params, how)
            return
        script: Script = SCRIPTS[method]
        assert script.end is not None
        await self._tell(script.end(self._scene(params, how)))

    def _scene(self, params: dict[str, Any], how: str = "finished") -> Scene:
        return Scene(
            node_id=NODE_ID,
            call_id=self.call_id,
            segment_id=self._segment_id,
            params=params,
            memory=self._memory,
            how=how,
            now=time.time(),
        )

    async def _tell(self, events: Iterable[Told]) -> None:
        for event_type, params in events:
            await self.send(event_type, params)

    async def _running(self, methods: frozenset[str]) -> list[str]:
        await self._node.settle(lambda: not methods.isdisjoint(self.open.values()))
        return [control_id for control_id, method in self.open.items() if method in methods]

    async def _collected(self, result: dict[str, Any]) -> None:
        for control_id in await self._running(_COLLECTS):
            if self.open[control_id] == "calling.play_and_collect":
                await self.send(play.EVENT, {"control_id": control_id, "state": "finished"})
            if result["type"] != _PARTIAL:
                del self.open[control_id], self._asked[control_id]
            await self.send(collect.EVENT, {"control_id": control_id, "result": result})

    # --- the bridge -----------------------------------------------------------------------------------------

    async def bridge(self, params: dict[str, Any], *, held: bool) -> None:
        """Connect: the first device answers at once, or when the test finishes ``calling.connect``."""
        await self._send_connect("connecting")
        self.open[_CONNECT] = _CONNECT
        self._asked[_CONNECT] = params
        self._node.stirred()
        if not held:
            await self._end_operation(_CONNECT, "finished")

    async def _connected(self, params: dict[str, Any], how: str) -> None:
        if how != "finished":
            reason = "cancel" if how == "stopped" else how
            await self._send_connect("failed", failed_reason=reason)
            return
        leg = self._node.add_leg(params.get("tag", ""), params["devices"][0][0], self._session)
        leg._parent = self
        await leg.move(CallState.CREATED)
        await leg.move(CallState.RINGING)
        self.peer, leg.peer = leg, self
        await leg.move(CallState.ANSWERED)
        await self._send_connect("connected", peer=leg.as_peer())

    async def unbridge(self) -> None:
        """Take the bridge down; both parties stay, and both are told."""
        peer, self.peer = self.peer, None
        if peer is None:
            return
        peer.peer = None
        await self._send_connect("disconnected", peer=peer.as_peer())
        await peer._send_connect("disconnected", peer=self.as_peer())

    def as_peer(self) -> dict[str, Any]:
        """What the other end of a bridge is told of it."""
        return {"node_id": NODE_ID, "call_id": self.call_id, "tag": self.tag, "device": self.device}

    async def _send_connect(self, state: str, **more: Any) -> None:
        told = {"segment_id": self._segment_id, "tag": self.tag, "connect_state": state, **more}
        await self.send(connect.EVENT, told)
