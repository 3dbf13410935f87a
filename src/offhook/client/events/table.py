"""Which class an event has, by its type."""

from __future__ import annotations

from offhook.client.events.base import EVENT_TYPES, RelayEvent, text_of
from offhook.protocol.frames import EventParams

__all__ = ["made_here", "parse_event"]


def parse_event(envelope: EventParams) -> RelayEvent:
    """Make the typed event of an envelope. The flat body of a task becomes its params."""
    params = envelope.params if envelope.message is None else envelope.message
    kind = EVENT_TYPES.get(envelope.event_type, RelayEvent)
    context = envelope.context or text_of(params, "context")
    return kind(envelope.event_type, params, envelope.timestamp, context)  # keywords would take twice as long


def made_here(event_type: str, cause: str) -> RelayEvent:
    """Make an ending of the client's own: empty params and a cause."""
    return EVENT_TYPES.get(event_type, RelayEvent)(event_type, {}, cause=cause)
