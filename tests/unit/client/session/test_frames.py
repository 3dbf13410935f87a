"""Frames are read in one pass, and as leniently as in two."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.client.session.frames import BrokenEvent, EventFrame, dump_ack, parse_incoming
from offhook.protocol.frames import FrameError, Request, Response, parse_frame

EVENT = "signalwire.event"


@pytest.mark.parametrize("frame_id", ["e1", "12", "null", 'a"b\\', 7, None])
def test_the_id_of_an_event_stays_what_it_was(frame_id: str | int | None) -> None:
    body = {"id": frame_id, "method": EVENT, "params": {"event_type": "t", "timestamp": "1.5", "params": {"a": "1"}}}
    frame = parse_incoming(json.dumps(body))
    assert isinstance(frame, EventFrame)
    assert (frame.id, type(frame.id)) == (frame_id, type(frame_id))
    assert (frame.params.timestamp, frame.params.params) == (1.5, {"a": "1"})
    if frame.id is not None:
        assert json.loads(dump_ack(frame.id)) == {"jsonrpc": "2.0", "id": frame_id, "result": {}}


@pytest.mark.parametrize("params", [None, {}, {"event_type": 5}, {"event_type": "t", "params": []}])
def test_an_event_without_its_envelope_says_what_is_wrong_and_keeps_its_id(params: object) -> None:
    frame = parse_incoming(json.dumps({"id": "e", "method": EVENT, "params": params}))
    assert isinstance(frame, BrokenEvent)
    assert frame.id == "e"
    assert "params" in frame.reason


def test_what_only_mentions_events_is_no_event() -> None:
    assert parse_incoming(f'{{"id":"1","method":"signalwire.ping","params":{{"payload":"{EVENT}"}}}}') == Request(
        "1", "signalwire.ping", {"payload": EVENT}
    )
    assert parse_incoming(f'{{"id":"1","result":{{"message":"{EVENT}"}}}}') == Response(
        id="1", result={"message": EVENT}
    )
    with pytest.raises(FrameError):
        parse_incoming(f'["{EVENT}"')


@given(st.binary() | st.text().map(lambda text: json.dumps({"method": EVENT, "id": text}).encode()))
def test_reading_fails_as_it_does_for_the_node(data: bytes) -> None:
    try:
        parse_frame(data)
    except FrameError:
        with pytest.raises(FrameError):
            parse_incoming(data)
    else:
        parse_incoming(data)
