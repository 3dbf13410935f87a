"""Events as the app sees them. Attributes read from ``params``, which stay as they came.

Those of a verb stand with it, in ``client/verbs``; here is what all have in common, and what belongs to no verb of
a call.
"""

from __future__ import annotations

from offhook.client.events.base import EVENT_TYPES, RelayEvent, StateOfAction
from offhook.client.events.calls import CallReceiveEvent, CallStateEvent, DialEvent, ErrorEvent
from offhook.client.events.messages import MessageEvent, MessageReceiveEvent, MessageStateEvent, TaskEvent
from offhook.client.events.table import made_here, parse_event

__all__ = [
    "EVENT_TYPES",
    "CallReceiveEvent",
    "CallStateEvent",
    "DialEvent",
    "ErrorEvent",
    "MessageEvent",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "RelayEvent",
    "StateOfAction",
    "TaskEvent",
    "made_here",
    "parse_event",
]
