"""Every method name of the protocol (relay-protocol 1 and 4), built or not.

A node answers a name in ``KNOWN`` that it does not do yet with result code 501, any other with -32601.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONNECT",
    "DISCONNECT",
    "EVENT",
    "KNOWN",
    "KNOWN_CALLING",
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

# One row per verb of section 4: the method, then the commands that follow it after a dot.
_CALLING: Final[dict[str, tuple[str, ...]]] = {
    # 4.1 lifecycle
    "dial": (),
    "begin": (),
    "answer": (),
    "accept": (),
    "end": (),
    "pass": (),
    "transfer": (),
    "refer": (),
    "user_event": (),
    # 4.2 playback, 4.3 recording
    "play": ("pause", "resume", "stop", "volume"),
    "record": ("pause", "resume", "stop"),
    # 4.4 input
    "collect": ("stop", "start_input_timers"),
    "play_and_collect": ("stop", "volume"),
    "bind_digit": (),
    "clear_digit_bindings": (),
    "send_digits": (),
    # 4.5 bridging
    "connect": (),
    "disconnect": (),
    # 4.6 detection
    "detect": ("stop",),
    # 4.7 fax
    "send_fax": ("stop",),
    "receive_fax": ("stop",),
    # 4.8 tap and stream
    "tap": ("stop",),
    "stream": ("stop",),
    # 4.9 payment
    "pay": ("stop",),
    # 4.10 conference, room, queue
    "join_conference": (),
    "leave_conference": (),
    "join_room": (),
    "leave_room": (),
    "queue.enter": (),
    "queue.leave": (),
    # 4.11 audio processing
    "hold": (),
    "unhold": (),
    "denoise": ("stop",),
    "echo": (),
    # 4.12 transcription and translation
    "transcribe": ("stop",),
    "live_transcribe": (),
    "live_translate": (),
    # 4.13 AI
    "ai": ("stop",),
    "amazon_bedrock": (),
    "ai_message": (),
    "ai_hold": (),
    "ai_unhold": (),
    "ai_sidecar": ("poke", "ask", "stop", "status"),
}

KNOWN_CALLING: Final = frozenset(
    f"calling.{name}"
    for verb, commands in _CALLING.items()
    for name in (verb, *(f"{verb}.{command}" for command in commands))
)
"""Every ``calling.*`` method that the protocol lists."""

KNOWN: Final = _SESSION | KNOWN_CALLING | {"messaging.send"}
"""Every method that a client may send, by the protocol."""
