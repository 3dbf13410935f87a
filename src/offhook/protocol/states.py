"""States and reasons as they stand on the wire (relay-protocol 4 and 5)."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

__all__ = [
    "CALL_STATE_ORDER",
    "CALL_TRANSITIONS",
    "CallState",
    "CollectResultType",
    "CollectState",
    "DialState",
    "Direction",
    "EchoState",
    "EndReason",
    "EndSource",
    "PlayState",
    "RecordState",
    "SendDigitsState",
    "parse_end_reason",
]


class CallState(enum.StrEnum):
    """Where a call is in its life. States may be skipped, never repeated backwards."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"


CALL_STATE_ORDER: Final = MappingProxyType({state.value: place for place, state in enumerate(CallState)})
"""States of a call by name, and which comes after which."""

CALL_TRANSITIONS: Final = MappingProxyType(
    {
        CallState.CREATED: frozenset({CallState.RINGING, CallState.ANSWERED, CallState.ENDING, CallState.ENDED}),
        CallState.RINGING: frozenset({CallState.ANSWERED, CallState.ENDING, CallState.ENDED}),
        CallState.ANSWERED: frozenset({CallState.ENDING, CallState.ENDED}),
        CallState.ENDING: frozenset({CallState.ENDED}),
        CallState.ENDED: frozenset[CallState](),
    }
)


class Direction(enum.StrEnum):
    """Who began the call: ``inbound`` the network, ``outbound`` us."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class EndReason(enum.StrEnum):
    """Why a call ended."""

    HANGUP = "hangup"
    CANCEL = "cancel"
    BUSY = "busy"
    NO_ANSWER = "noAnswer"
    DECLINE = "decline"
    ERROR = "error"
    ABANDONED = "abandoned"
    MAX_DURATION = "maxDuration"
    NOT_FOUND = "notFound"


_OTHER_SPELLINGS: Final = MappingProxyType(
    {
        "max_duration": EndReason.MAX_DURATION,
        "not_found": EndReason.NOT_FOUND,
        "no_answer": EndReason.NO_ANSWER,
        "declined": EndReason.DECLINE,
    }
)


def parse_end_reason(text: str) -> EndReason | None:
    """Read an end reason in any of its spellings (relay-protocol 9, row 4); None for one nobody lists."""
    if text in _OTHER_SPELLINGS:
        return _OTHER_SPELLINGS[text]
    return EndReason(text) if text in EndReason.__members__.values() else None


class EndSource(enum.StrEnum):
    """Who ended the call: ``inbound`` the remote party, ``outbound`` our side, ``none`` neither."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    NONE = "none"


class DialState(enum.StrEnum):
    """Where a dial is."""

    DIALING = "dialing"
    ANSWERED = "answered"
    FAILED = "failed"


class PlayState(enum.StrEnum):
    """Where a play is."""

    PLAYING = "playing"
    PAUSED = "paused"
    FINISHED = "finished"
    ERROR = "error"


class RecordState(enum.StrEnum):
    """Where a recording is. ``no_input``: nobody spoke within ``initial_timeout``."""

    RECORDING = "recording"
    PAUSED = "paused"
    FINISHED = "finished"
    NO_INPUT = "no_input"
    ERROR = "error"


class CollectState(enum.StrEnum):
    """State of a collect's partial and continuous events; one-shot events carry none."""

    COLLECTING = "collecting"
    FINISHED = "finished"
    ERROR = "error"


class CollectResultType(enum.StrEnum):
    """What a collect heard, or why it ended."""

    DIGIT = "digit"
    SPEECH = "speech"
    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    START_OF_INPUT = "start_of_input"
    FINISHED = "finished"
    ERROR = "error"


class SendDigitsState(enum.StrEnum):
    """How sending digits ended."""

    FINISHED = "finished"
    ERROR = "error"


class EchoState(enum.StrEnum):
    """Where an echo is."""

    ECHOING = "echoing"
    FINISHED = "finished"
