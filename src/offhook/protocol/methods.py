"""Every method name of the protocol (relay-protocol 1 and 4), built or not.

A node answers a name in ``KNOWN`` that it does not do yet with result code 501, any other with -32601.
"""

from __future__ import annotations

from typing import Final

from offhook.protocol.verbs import METHODS

__all__ = [
    "CONNECT",
    "DISCONNECT",
    "EVENT",
    "KNOWN",
    "PING",
    "REAUTHENTICATE",
    "RECEIVE",
    "UNRECEIVE",
]

CONNECT: Final = "signalwire.connect"
EVENT: Final = "signalwire.event"
PING: Final = "signalwire.ping"
DISCONNECT: Final = "signalwire.disconnect"
RECEIVE: Final = "signalwire.receive"
UNRECEIVE: Final = "signalwire.unreceive"
REAUTHENTICATE: Final = "signalwire.reauthenticate"

_SESSION: Final = frozenset({CONNECT, PING, RECEIVE, UNRECEIVE, REAUTHENTICATE})

KNOWN: Final = _SESSION | METHODS | {"messaging.send"}
"""Every method that a client may send, by the protocol."""
