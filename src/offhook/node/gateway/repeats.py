"""A command sent again under a new request id after a lost connection, when what it started has ended meanwhile.

The first reply may have been lost with its connection. As long as the client has not acked the event that told the
end, it cannot know that it was answered: the same command is the same action then. Later, or on the same connection,
it is a new one (clients may use one ``control_id`` for all their prompts).
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Any

import msgspec

from offhook.node.calls.ports import OutgoingEvent
from offhook.node.gateway.sessions import Session
from offhook.protocol.frames import Request
from offhook.protocol.verbs import spec_of
from offhook.protocol.verbs.dial import EVENT as DIAL_EVENT

__all__ = ["Repeats"]

_Key = tuple[str, str, str]
"""Session, call (none for a dial), ``control_id`` or ``tag``."""


class _Start(msgspec.Struct):
    method: str
    digest: bytes
    """Of its params: who asks again is to ask the same, and what a client sends is not kept."""
    result: dict[str, Any]
    connections: int
    """Which connection of the session it came by."""
    end_id: str = ""
    end_seq: int = 0
    """The event that told its end, once it left."""


class Repeats:
    """The last start of each ``control_id`` and ``tag``; bounded in number."""

    def __init__(self, max_starts: int) -> None:
        self._max_starts = max_starts
        self._starts: OrderedDict[_Key, _Start] = OrderedDict()

    def started(self, session: Session, request: Request, result: dict[str, Any]) -> None:
        """A command was accepted."""
        key = _key(session.protocol, request.params)
        if key[2]:
            self._starts.pop(key, None)
            self._starts[key] = _Start(request.method, _digest(request.params), result, session.connections)
            if len(self._starts) > self._max_starts:
                self._starts.popitem(last=False)

    def left(self, session: Session, event: OutgoingEvent, event_id: str, session_seq: int) -> None:
        """An event goes to a session."""
        if event.event_type == DIAL_EVENT:
            key = (session.protocol, "", str(event.params.get("tag", "")))
        else:
            key = (session.protocol, event.call_id, str(event.params.get("control_id", "")))
        start = self._starts.get(key)
        if start is not None and not start.end_id and _is_end(start.method, event):
            start.end_id, start.end_seq = event_id, session_seq

    def find(self, session: Session, request: Request) -> dict[str, Any] | None:
        """The first result, if this is a repetition of a command whose end the client does not know."""
        start = self._starts.get(_key(session.protocol, request.params))
        if start is None or not start.end_id or start.connections == session.connections:
            return None
        if start.method != request.method or not session.delivery.is_unacked(start.end_id, start.end_seq):
            return None
        return start.result if start.digest == _digest(request.params) else None


def _digest(params: dict[str, Any]) -> bytes:
    """The same for the same params in any order of their keys."""
    try:
        text = msgspec.msgpack.encode(params, order="deterministic")
    except (OverflowError, ValueError):  # a number of more than 64 bits, half a surrogate pair: in a key nobody reads
        text = json.dumps(params, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def _is_end(method: str, event: OutgoingEvent) -> bool:
    spec = spec_of(method)
    return spec is not None and spec.ends_with(event.event_type, event.params)


def _key(protocol: str, params: dict[str, Any]) -> _Key:
    call_id = str(params.get("call_id", ""))
    return protocol, call_id, str(params.get("control_id" if call_id else "tag", ""))
