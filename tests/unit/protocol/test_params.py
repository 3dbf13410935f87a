"""Params are read leniently, and what is wrong is said in a sentence that names the field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from offhook.errors import CommandRefused
from offhook.protocol.params import all_paths, dump_params, parse_params, survey
from offhook.protocol.verbs import PARAMS
from offhook.protocol.verbs.collect import Collect
from offhook.protocol.verbs.dial import Begin, Dial
from offhook.protocol.verbs.play import Play, PlayVolume
from offhook.protocol.verbs.play_and_collect import PlayAndCollect
from offhook.protocol.verbs.record import Record
from offhook.protocol.verbs.send_digits import SendDigits

ADDRESS = {"node_id": "n", "call_id": "c"}
KEYED = {**ADDRESS, "control_id": "k"}
TTS = {"type": "tts", "params": {"text": "hello"}}
PHONE = {"type": "phone", "params": {"to_number": "+15551230001"}}


def refusal(struct: type[msgspec.Struct], params: dict[str, Any]) -> str:
    with pytest.raises(CommandRefused) as caught:
        parse_params(struct, params)
    assert caught.value.code == "400"
    return caught.value.message


def test_defaults_are_those_of_the_reference() -> None:
    play = parse_params(Play, {**KEYED, "play": [TTS]})
    assert (play.volume, play.direction, play.loop) == (0.0, "listen", 1)
    audio = parse_params(Record, {**KEYED, "record": {"audio": {}}}).record.audio
    assert (audio.beep, audio.format, audio.stereo, audio.direction) == (False, None, False, "speak")
    assert (audio.initial_timeout, audio.end_silence_timeout, audio.terminators) == (0.0, 0.0, "#")
    assert (audio.max_length, audio.input_sensitivity) == (0.0, 44.0)
    collect = parse_params(Collect, {**KEYED, "digits": {"max": 4}})
    assert collect.digits is not None
    assert (collect.initial_timeout, collect.digits.digit_timeout, collect.is_continuous) == (4.0, 5.0, False)


def test_unknown_keys_and_nulls_are_ignored_and_numbers_may_be_int_float_or_text() -> None:
    params = parse_params(
        Play, {**KEYED, "play": [TTS], "volume": "3", "loop": 2.0, "status_url": None, "_devices": [1], "async": True}
    )
    assert (params.volume, params.loop, params.status_url) == (3.0, 2, None)


@pytest.mark.parametrize(
    ("struct", "params", "sentence"),
    [
        (Play, {**KEYED, "play": [TTS], "volume": 41}, "`volume` must be a number of decibels from -40 (mute) to 40"),
        (Play, {**KEYED, "play": [TTS], "direction": "up"}, "`direction` must be one of listen, speak, both"),
        (Play, KEYED, "`play` is missing; it must be a list of at least one media element"),
        (Play, {**KEYED, "play": []}, "`play` must be a list of at least one media element"),
        (Play, {**KEYED, "play": [{"type": "tts", "params": {}}]}, "`play[0].params.text` is missing"),
        (
            Play,
            {**KEYED, "play": [TTS, {"type": "song", "params": {}}]},
            "`play[1].type` must be one of audio, tts, silence, ringtone",
        ),
        (
            Play,
            {**KEYED, "play": [{"type": "silence", "params": {"duration": 0}}]},
            "`play[0].params.duration` must be a number of seconds greater than 0",
        ),
        (Play, {"call_id": "c"}, "`node_id` is missing; it must be the node_id of the call"),
        (PlayVolume, KEYED, "`volume` is missing"),
        (Collect, KEYED, "collect needs `digits` or `speech`, or both"),
        (PlayAndCollect, {**KEYED, "play": [TTS], "collect": {}}, "collect needs `digits` or `speech`, or both"),
        (SendDigits, {**KEYED, "digits": "12x"}, "`digits` must be a text of the digits 0-9, *, # and A-D, with w"),
        (SendDigits, {**KEYED, "digits": "12\n"}, "`digits` must be a text"),
        (Dial, {"tag": "t", "devices": [PHONE]}, "`devices[0]` must be a list of at least one device"),
        (
            Dial,
            {"tag": "t", "devices": [[{"type": "agora", "params": {}}]]},
            "`devices[0][0].type` must be one of phone, sip, fabric, webrtc",
        ),
        (
            Dial,
            {
                "tag": "t",
                "devices": [
                    [{"type": "sip", "params": {"to": "sip:a@b", "headers": [{"name": "X-CID", "value": "1"}]}}]
                ],
            },
            "`devices[0][0].params.headers[0].name` must be a header name that begins with X-",
        ),
        (
            Dial,
            {
                "tag": "t",
                "devices": [
                    [{"type": "sip", "params": {"to": "sip:a@b", "headers": [{"name": "X-A", "value": "1\r\nB: 2"}]}}]
                ],
            },
            "`devices[0][0].params.headers[0].value` must be a text without line breaks",
        ),
    ],
)
def test_a_refusal_names_the_field_and_says_what_it_must_be(
    struct: type[msgspec.Struct], params: dict[str, Any], sentence: str
) -> None:
    assert refusal(struct, params).startswith(sentence)


def test_a_refusal_does_not_repeat_what_was_said() -> None:
    said = "confidential"
    assert said not in refusal(Play, {**KEYED, "play": [TTS], "direction": said})
    assert said not in refusal(Play, {**KEYED, "play": [{"type": said, "params": {}}]})


def test_repr_keeps_what_people_say_and_dial() -> None:
    shown = repr(parse_params(Play, {**KEYED, "play": [TTS]})) + repr(
        parse_params(SendDigits, {**KEYED, "digits": "98765"})
    )
    assert "hello" not in shown
    assert "98765" not in shown


def test_a_survey_tells_listed_from_unlisted_paths_in_nested_params() -> None:
    found = survey(
        Dial,
        {
            "tag": "t",
            "region": "us",
            "colour": 1,
            "devices": [[{**PHONE, "x": 1}, {"type": "sip", "params": {"y": 1}}]],
        },
    )
    assert {"tag", "region", "devices", "devices[][].type", "devices[][].params.to_number"} <= found.known
    assert found.unknown == {"colour", "devices[][].x", "devices[][].params.y"}


@pytest.mark.parametrize("struct", PARAMS.values(), ids=PARAMS.keys())
def test_every_verb_lists_its_paths_and_a_survey_of_them_finds_nothing_unknown(struct: type[msgspec.Struct]) -> None:
    paths = all_paths(struct)
    assert {"method", "accepted"}.isdisjoint(paths)
    top = {path: "x" for path in paths if "." not in path and "[" not in path}
    assert survey(struct, top).unknown == frozenset()
    if struct not in (Dial, Begin):
        assert {"node_id", "call_id"} <= paths


def test_dumped_params_are_read_back_the_same() -> None:
    play = parse_params(Play, {**KEYED, "play": [TTS, {"type": "ringtone", "params": {"name": "us"}}], "loop": 0})
    assert parse_params(Play, dump_params(play)) == play
    assert dump_params(play)["play"][1] == {"type": "ringtone", "params": {"name": "us"}}
