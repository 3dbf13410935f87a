"""Frames as the client reads and writes them: one pass over the bytes, also for events, which most of them are."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from offhook.errors import CallerError
from offhook.protocol import methods
from offhook.protocol.frames import EventParams, FrameError, FrameId, Request, Response, mended_json, parse_frame
from offhook.protocol.wellformed import find_ill_formed, mend

__all__ = ["BrokenEvent", "EventFrame", "dump_ack", "dump_frame", "dump_request", "parse_incoming", "read_live_calls"]


class EventFrame(msgspec.Struct, frozen=True):
    """An event."""

    method: Literal["signalwire.event"]
    params: EventParams
    id: FrameId | None = None


class BrokenEvent(msgspec.Struct, frozen=True):
    """An event without its envelope."""

    id: FrameId | None
    reason: str


_IS_EVENT: Final = b'"signalwire.event"'
_NOTHING: Final = b"null"
_decoder: Final = msgspec.json.Decoder(EventFrame, strict=False)
_encoder: Final = msgspec.json.Encoder()


def parse_incoming(data: str | bytes) -> EventFrame | BrokenEvent | Request | Response:
    """Read one text frame.

    Half a character is read as U+FFFD: what the server says is taken as far as it can be.

    Raises:
        FrameError: not JSON (-32700), or not a request or response (-32600).
    """
    text = data if isinstance(data, bytes) else mend(data).encode()
    try:
        if text.find(_IS_EVENT) < 0:  # `in` takes bytes for a number first, and an exception to find that they are none
            return parse_frame(text)
        return _decoder.decode(text)
    except (FrameError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _parse_slowly(text, error)


def _parse_slowly(text: bytes, error: Exception) -> EventFrame | BrokenEvent | Request | Response:
    """Read what has half a character, is no event after all, or is none that can be read."""
    if (mended := mended_json(text)) is not None:
        return parse_incoming(mended)
    frame = parse_frame(text)
    if isinstance(frame, Request) and frame.method == methods.EVENT:
        return BrokenEvent(frame.id, str(error))
    return frame


def dump_frame(frame: Request | Response) -> bytes:
    """Write one frame."""
    return _encoder.encode(frame)


def dump_request(frame: Request) -> bytes:
    """Write what the program asks for.

    Raises:
        CallerError: it has what JSON cannot hold; says where, and what to change.
    """
    try:
        data = _encoder.encode(frame)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
        raise CallerError(f"{frame.method}: {find_ill_formed(frame.params) or error}") from error
    if data.find(_NOTHING) >= 0 and (number := find_ill_formed(frame.params)):  # msgspec writes null for NaN
        raise CallerError(f"{frame.method}: {number}")
    return data


def dump_ack(frame_id: FrameId) -> bytes:
    """Write the reply to an event."""
    return b'{"jsonrpc":"2.0","id":%b,"result":{}}' % _encoder.encode(frame_id)


def read_live_calls(calls: Any) -> dict[str, frozenset[str]] | None:
    """What ``signalwire.events_truncated`` says of the calls that live; None when it does not, or not as expected."""
    try:
        return msgspec.convert(calls, dict[str, frozenset[str]])
    except msgspec.ValidationError:
        return None
