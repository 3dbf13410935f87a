"""offhook: programmable voice that you run yourself. This is the SDK's front door."""

from __future__ import annotations

from offhook._version import __version__
from offhook.client.action import Action
from offhook.client.call import Call
from offhook.client.events import (
    CallReceiveEvent,
    CallStateEvent,
    CollectEvent,
    DialEvent,
    EchoEvent,
    PlayEvent,
    RecordEvent,
    RelayEvent,
    SendDigitsEvent,
)
from offhook.client.relay import RelayClient
from offhook.client.verbs.collect import StandaloneCollectAction
from offhook.client.verbs.play import PlayAction
from offhook.client.verbs.play_and_collect import CollectAction
from offhook.client.verbs.record import RecordAction
from offhook.errors import (
    CallReleased,
    ConfigurationError,
    ConnectionLost,
    DialFailed,
    OffhookError,
    RelayError,
    RequestTimeout,
)

__all__ = [
    "Action",
    "Call",
    "CallReceiveEvent",
    "CallReleased",
    "CallStateEvent",
    "CollectAction",
    "CollectEvent",
    "ConfigurationError",
    "ConnectionLost",
    "DialEvent",
    "DialFailed",
    "EchoEvent",
    "OffhookError",
    "PlayAction",
    "PlayEvent",
    "RecordAction",
    "RecordEvent",
    "RelayClient",
    "RelayError",
    "RelayEvent",
    "RequestTimeout",
    "SendDigitsEvent",
    "StandaloneCollectAction",
    "__version__",
]
