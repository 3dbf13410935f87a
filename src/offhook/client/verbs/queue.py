"""Have the caller wait in a queue until somebody connects to it."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import RelayEvent, Text, Whole
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs.queue import EVENT, QueueEnter, QueueLeave

__all__ = ["QueueEvent", "QueueVerb"]


class QueueEvent(RelayEvent, of=EVENT):
    """The call's place in a queue. Times are microseconds of the Unix epoch, 0 until they happen."""

    __slots__ = ()

    status = Text("status")
    """``enqueue``, ``stats``, ``dequeue`` or ``leave``."""
    id = Text("id")
    """Id of the queue."""
    name = Text("name")
    """Name of the queue."""
    position = Whole("position")
    """From 1; 0 when it left."""
    size = Whole("size")
    """How many wait."""
    average_wait_s = Whole("avg_time")
    """How long callers wait, in seconds."""
    enqueued_at_us = Whole("enqueue_ts")
    """When it was queued."""
    dequeued_at_us = Whole("dequeue_ts")
    """When it was taken out."""
    left_at_us = Whole("leave_ts")
    """When it left."""


class QueueVerb(CallBase):
    """``queue_enter`` and ``queue_leave``."""

    async def queue_enter(
        self,
        queue_name: str,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        wait_url: str | None = None,
        wait_time: int | None = None,
        execute_after_queue: str | dict[str, Any] | None = None,
        whisper_url: str | dict[str, Any] | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Wait in a queue, which is made if there is none of that name; ``calling.call.queue`` tells the place.

        Args:
            queue_name: of the queue.
            control_id: id in the events, default a new UUID.
            status_url: is POSTed the events.
            wait_url: audio that the caller hears, repeated.
            wait_time: seconds to wait at most, default 180.
            execute_after_queue: SWML for the caller after the bridge, inline or by URL.
            whisper_url: SWML that the agent hears before the bridge, inline or by URL.
            extra: sent as it is.
        """
        given = {
            "control_id": control_id or new_id(),
            "queue_name": queue_name,
            "status_url": status_url,
            "wait_url": wait_url,
            "wait_time": wait_time,
            "execute_after_queue": execute_after_queue,
            "whisper_url": whisper_url,
        }
        return await self.command(QueueEnter.method, compose(QueueEnter, given, extra))

    async def queue_leave(
        self,
        queue_name: str,
        *,
        control_id: str | None = None,
        queue_id: str | None = None,
        status_url: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Leave a queue.

        Args:
            queue_name: of the queue.
            control_id: id in the events, default a new UUID.
            queue_id: of the queue's events.
            status_url: is POSTed the events.
            extra: sent as it is.
        """
        given = {
            "control_id": control_id or new_id(),
            "queue_name": queue_name,
            "queue_id": queue_id,
            "status_url": status_url,
        }
        return await self.command(QueueLeave.method, compose(QueueLeave, given, extra))
