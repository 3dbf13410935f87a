"""Half characters and numbers that are none: what JSON lets through and neither Unicode nor IEEE 754 does."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import FrameError, Request, Response, RpcError, dump_frame, parse_frame
from offhook.protocol.wellformed import find_ill_formed, mend

HALVES = ["\\ud83d", "\\uDE00", "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\uD83Dx", "\\ud83d\\n\\ude00", "\\udbff\\\\ude00"]


def request(params: str, frame_id: str = '"2"', method: str = '"calling.play"') -> str:
    return f'{{"jsonrpc":"2.0","id":{frame_id},"method":{method},"params":{params}}}'


def refused(text: str | bytes) -> FrameError:
    with pytest.raises(FrameError) as caught:
        parse_frame(text)
    return caught.value


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("encode", [str, str.encode])
def test_half_a_character_in_a_text_is_read_as_the_replacement_character(half: str, encode: Any) -> None:
    """What JavaScript sends after ``text.slice(0, n)``: the caller hears what is left of it (RFC 8259 section 8.2)."""
    frame = parse_frame(encode(request(f'{{"play":[{{"params":{{"text":"Well done {half}"}}}}],"n":1.5}}')))
    assert isinstance(frame, Request)
    assert frame.id == "2"
    text = frame.params["play"][0]["params"]["text"]
    assert text.startswith("Well done ")
    assert "\N{REPLACEMENT CHARACTER}" in text
    assert text.encode().decode() == text
    assert frame.params["n"] == 1.5


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\\\ud83d", "\N{GRINNING FACE}", "\\ufffd"])
def test_whole_characters_stay_as_they_are(text: str) -> None:
    frame = parse_frame(request(f'{{"a":"{text}","b":"\\ud83d"}}'))
    assert isinstance(frame, Request)
    assert frame.params == {"a": json.loads(f'"{text}"'), "b": "\N{REPLACEMENT CHARACTER}"}


def test_half_a_character_in_a_key_is_a_key_that_nobody_lists() -> None:
    frame = parse_frame(request('{"a\\ud83d":{"\\ude00":1}}'))
    assert isinstance(frame, Request)
    assert frame.params == {"a\ufffd": {"\ufffd": 1}}


@pytest.mark.parametrize("name", ["control_id", "tag", "payload"])
def test_half_a_character_in_what_is_sent_back_is_refused_by_name_to_its_id(name: str) -> None:
    """Events with another control_id than the client's would never be told to it."""
    error = refused(request(f'{{"{name}":"k\\ud83d"}}'))
    assert (error.code, error.frame_id) == (RpcCode.INVALID_PARAMS, "2")
    assert f"`params.{name}`" in str(error)
    assert "half a character" in str(error)


def test_half_a_character_in_the_id_is_refused_to_exactly_this_id() -> None:
    error = refused(request("{}", frame_id='"2\\ud83d"'))
    assert (error.code, error.frame_id) == (RpcCode.INVALID_REQUEST, "2\ud83d")
    reply = dump_frame(Response(id=error.frame_id, error=RpcError(int(error.code), str(error))))
    assert reply.isascii()
    assert json.loads(reply)["id"] == "2\ud83d"


def test_half_a_character_in_a_response_changes_nothing_else_of_it() -> None:
    assert parse_frame('{"jsonrpc":"2.0","id":"e","result":{"a":"\\udc00"}}') == Response(
        id="e", result={"a": "\ufffd"}
    )
    error = parse_frame('{"jsonrpc":"2.0","id":"e","error":{"code":1,"message":"\\udc00"}}')
    assert error == Response(id="e", error=RpcError(1, "\ufffd"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 6000])
def test_a_number_that_is_none_is_refused_to_its_id(number: str) -> None:
    """``json.dumps`` of Python writes NaN, and reads it."""
    error = refused(request(f'{{"play":[{{"volume":{number}}}]}}'))
    assert error.frame_id == "2"
    assert (error.code is RpcCode.PARSE) is number.endswith(("N", "y"))
    assert "number" in str(error) or "out of range" in str(error)


def test_numbers_that_are_none_are_named() -> None:
    assert "`params.play[0].volume`" in str(refused(request('{"play":[{"volume":NaN}]}')))


def test_what_is_nearly_json_is_refused_to_its_id() -> None:
    error = refused(request('{"text":"two\nlines"}'))
    assert (error.code, error.frame_id) == (RpcCode.PARSE, "2")
    assert refused(request('{"text":"two\nlines \\ud83d"}')).frame_id == "2"


@pytest.mark.parametrize(
    ("text", "frame_id"), [(b'{"id":"2","method":"m","params":{"t":"\xed\xa0\xbd"}}', "2"), (b'{"id":"\xff"}', None)]
)
def test_bytes_that_are_no_utf_8_are_no_frame(text: bytes, frame_id: str | None) -> None:
    assert (refused(text).code, refused(text).frame_id) == (RpcCode.PARSE, frame_id)


def test_a_text_of_python_with_half_a_character_is_read_like_one_of_json() -> None:
    frame = parse_frame('{"id":"2","method":"m","params":{"t":"\ud83d"}}')
    assert frame == Request("2", "m", {"t": "\ufffd"})


@given(st.text(st.characters(categories=["Cs", "Ll", "So"]), max_size=20))
def test_any_text_of_halves_is_read_as_unicode_of_the_same_length(text: str) -> None:
    frame = parse_frame(request(json.dumps({"a": text})))
    assert isinstance(frame, Request)
    paired = json.loads(json.dumps(text))  # two halves that meet are one character
    assert len(frame.params["a"]) == len(paired)
    assert frame.params["a"] == mend(paired)
    dump_frame(frame).encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"play": [{"params": {"text": "ab\ud83d"}}]}, "`play[0].params.text`"),
        ({"a": {"b\ude00": 1}}, "`a.b\ufffd`"),
        ({"volume": math.nan}, "`volume`"),
        ({"a": [1, [math.inf]]}, "`a[1][0]`"),
        ({"a": (1, -math.inf)}, "`a[1]`"),
        ({"a": ["x", 1.5, None, True, {"b": "\N{GRINNING FACE}"}]}, ""),
    ],
)
def test_what_cannot_be_sent_is_named(value: Any, said: str) -> None:
    found = find_ill_formed(value)
    assert found.startswith(said) if said else not found
    found.encode()
