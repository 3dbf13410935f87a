"""The text that the engine keeps with a leg, so that a new node can adopt the call."""

from __future__ import annotations

from typing import Any

import msgspec

from offhook.protocol.states import Direction

__all__ = ["MAX_LABEL_BYTES", "CallLabel", "Inherited", "OpenAction", "dump_label", "parse_label"]

MAX_LABEL_BYTES = 8192
"""The engine keeps no longer one: about a hundred open actions."""


class OpenAction(msgspec.Struct, frozen=True, array_like=True):
    """An action that has not sent its terminal event. ``data``: what its verb needs to end it (a recording's id).

    ``operation``: the engine's operation that is all that is left of it, so that it can go on under another node; 0:
    its node has more to do. ``digest``: of its params, so that a repetition is known.
    """

    control_id: str
    method: str
    data: str = ""
    operation: int = 0
    digest: str = ""


class Inherited(msgspec.Struct, frozen=True):
    """What is known of an action that a former node began.

    ``runs``: its operation does, or the end of it is kept for us. ``prompts``: what that plays. ``told``: its last
    state that clients know; empty: none.
    """

    action: OpenAction
    runs: bool = False
    prompts: list[str] = []
    told: str = ""


class CallLabel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of a call that the engine does not know itself.

    ``dialled_by``: the session that dialled it. Who controls a call is not here: the journal alone knows.
    ``rings_last``: its dial has no other devices to try and nothing to do after the answer, so that it can go on
    under another node.
    """

    call_id: str
    segment_id: str
    direction: Direction = Direction.INBOUND
    tag: str = ""
    context: str = ""
    dialled_by: str = ""
    device: dict[str, Any] = {}
    start_time: int = 0
    answer_time: int = 0
    dial_winner: bool = False
    rings_last: bool = False
    is_on_trunk: bool = False
    ring_timeout_s: float = 0.0
    max_duration_s: float = 0.0
    actions: list[OpenAction] = []

    def __repr__(self) -> str:
        return f"CallLabel({self.call_id})"


_decoder = msgspec.json.Decoder(CallLabel)


def dump_label(label: CallLabel) -> str:
    """As JSON."""
    return msgspec.json.encode(label).decode()


def parse_label(text: str) -> CallLabel | None:
    """Read a label; None for one that is not ours."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return None
