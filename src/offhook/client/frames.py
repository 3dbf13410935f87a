"""Frames as the client reads and writes them: one pass over the bytes, also for events, which most of them are."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from offhook.protocol import methods
from offhook.protocol.frames import EventParams, FrameId, Request, Response, parse_frame

__all__ = ["BrokenEvent", "EventFrame", "dump_ack", "dump_frame", "parse_incoming"]


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
_decoder: Final = msgspec.json.Decoder(EventFrame, strict=False)
_encoder: Final = msgspec.json.Encoder()


def parse_incoming(data: str | bytes) -> EventFrame | BrokenEvent | Request | Response:
    """Read one text frame.

    Raises:
        FrameError: not JSON (-32700), or not a request or response (-32600).
    """
    text = data if isinstance(data, bytes) else data.encode()
    if text.find(_IS_EVENT) < 0:  # `in` takes bytes for a number first, and an exception to find that they are none
        return parse_frame(text)
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)  # no event after all, or none that can be read: the slow way tells
    frame = parse_frame(text)
    if isinstance(frame, Request) and frame.method == methods.EVENT:
        return BrokenEvent(frame.id, reason)
    return frame


def dump_frame(frame: Request | Response) -> bytes:
    """Write one frame."""
    return _encoder.encode(frame)


def dump_ack(frame_id: FrameId) -> bytes:
    """Write the reply to an event."""
    return b'{"jsonrpc":"2.0","id":%b,"result":{}}' % _encoder.encode(frame_id)
