"""``calling.queue.enter`` and ``calling.queue.leave`` (relay-protocol 4.10)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from offhook.protocol.params import ControlParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "QueueEnter", "QueueEvent", "QueueLeave"]

EVENT: Final = "calling.call.queue"

QueueName = Annotated[str, msgspec.Meta(min_length=1, description="the name of a queue")]
Script = Annotated[str | dict[str, Any], msgspec.Meta(description="a URL or an inline SWML document")]


class QueueEnter(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.queue.enter``. The queue is made if there is none of that name.

    ``wait_url``: audio, repeated. ``wait_time``: seconds. ``execute_after_queue`` runs after the bridge,
    ``whisper_url`` is played to the agent before it.
    """

    method: ClassVar[str] = "calling.queue.enter"
    accepted: ClassVar[str] = "Entering queue"

    queue_name: QueueName
    status_url: Url | None = None
    wait_url: Url | None = None
    wait_time: Annotated[int, msgspec.Meta(ge=1, description="a whole number of seconds, 1 or more")] = 180
    execute_after_queue: Script | None = None
    whisper_url: Script | None = None


class QueueLeave(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.queue.leave``."""

    method: ClassVar[str] = "calling.queue.leave"
    accepted: ClassVar[str] = "Leaving queue"

    queue_name: QueueName
    queue_id: str | None = None
    status_url: Url | None = None


class QueueEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.queue``. ``status``: enqueue, stats, dequeue or leave. ``*_ts`` are microseconds of the
    Unix epoch, ``avg_time`` seconds. On dequeue ``position``, ``size`` and ``enqueue_ts`` are 0."""

    node_id: str
    call_id: str
    control_id: str | None
    status: str
    id: str
    name: str
    position: int = 0
    size: int = 0
    avg_time: int = 0
    enqueue_ts: int = 0
    dequeue_ts: int = 0
    leave_ts: int = 0
    status_url: str = ""


SPECS: Final = (
    VerbSpec(section=(4, 10), start=QueueEnter, tells=(EVENT,), exclusive="blocking"),
    VerbSpec(section=(4, 10), start=QueueLeave, tells=(EVENT,)),
)
