"""Every parameter that section 4 of the RELAY reference lists for the verbs built here: done, or 501 by name."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from offhook.errors import CommandRefused
from offhook.node.verbs.registry import BUILT, unbuilt_of
from offhook.protocol.params import all_paths
from offhook.protocol.verbs import PARAMS

pytestmark = pytest.mark.virtual_clock

SILENCE = {"type": "silence", "params": {"duration": 30}}
TTS = {"type": "tts", "params": {"text": "x"}}
RINGTONE = {"type": "ringtone", "params": {"name": "us"}}
AUDIO = {"type": "audio", "params": {"url": "https://a.example/a.wav"}}
SIP = {"type": "sip", "params": {"to": "sip:bob@127.0.0.1"}}
PHONE = {"type": "phone", "params": {"to_number": "+15551234567"}}
URL = "https://a.example/hook"
LATE = {"initial_timeout": 1, "digits": {"max": 1}}
HASH = {"digits": {"max": 2, "terminators": "#"}}
FAST = {"digits": {"max": 2, "digit_timeout": 1}}
DONE, UNBUILT = "200", "501"
REFERENCE = json.loads((Path(__file__).parents[4] / "vectors/relay/calling-parameters.json").read_text())
"""What the RELAY reference lists, written by hand from the reference (see its README)."""


def within(base: dict, **params: Any) -> dict:
    """A media element or device with more params."""
    return base | {"params": base["params"] | params}


def dial(device: dict, **params: Any) -> dict:
    return {"tag": "t", "devices": [[device]]} | params


def record(**audio: Any) -> dict:
    return {"control_id": "new", "record": {"audio": audio}}


def play(*media: dict, **params: Any) -> dict:
    return {"control_id": "new", "play": list(media or [SILENCE])} | params


def collect(**params: Any) -> dict:
    return {"control_id": "new", "digits": {"max": 1}} | params


def prompt(media: dict = SILENCE, *, collect: dict | None = None, **params: Any) -> dict:
    return {"control_id": "new", "play": [media], "collect": collect or {"digits": {"max": 1}}} | params


MEDIA = [
    ("play[].type", [SILENCE], DONE),
    ("play[].params.url", [AUDIO], DONE),
    ("play[].params.text", [TTS], DONE),
    ("play[].params.language", [within(TTS, language="de-DE")], DONE),
    ("play[].params.gender", [within(TTS, gender="male")], DONE),
    ("play[].params.voice", [within(TTS, voice="x")], DONE),
    ("play[].params.duration", [within(RINGTONE, duration=1)], DONE),
    ("play[].params.name", [RINGTONE], DONE),
]
DEVICE = [
    ("devices[][].type", SIP, DONE),
    ("devices[][].params.to", SIP, DONE),
    ("devices[][].params.to_number", PHONE, DONE),
    ("devices[][].params.from_number", within(PHONE, from_number="+15550001111"), DONE),
    ("devices[][].params.from", within(SIP, **{"from": "sip:me@127.0.0.1"}), DONE),
    ("devices[][].params.from_name", within(SIP, from_name="Me"), DONE),
    ("devices[][].params.timeout", within(SIP, timeout=5), DONE),
    ("devices[][].params.headers", within(SIP, headers=[]), DONE),
    ("devices[][].params.headers[].name", within(SIP, headers=[{"name": "X-A", "value": "1"}]), DONE),
    ("devices[][].params.headers[].value", within(SIP, headers=[{"name": "X-A", "value": "1"}]), DONE),
    ("devices[][].params.codecs", within(SIP, codecs=["PCMU"]), DONE),
    ("devices[][].params.webrtc_media", within(SIP, webrtc_media=False), DONE),
    ("devices[][].params.webrtc_media", within(SIP, webrtc_media=True), UNBUILT),
    ("devices[][].params.encryption", within(SIP, encryption="optional"), DONE),
    ("devices[][].params.encryption", within(SIP, encryption="mandatory"), UNBUILT),
    ("devices[][].params.username", within(SIP, username="u"), UNBUILT),
    ("devices[][].params.password", within(SIP, password="p"), UNBUILT),
    ("devices[][].params.session_timeout", within(SIP, session_timeout=90), UNBUILT),
    ("devices[][].params.call_state_url", within(SIP, call_state_url=URL), UNBUILT),
    ("devices[][].params.call_state_events", within(PHONE, call_state_events=["ended"]), UNBUILT),
    ("devices[][].params.confirm", within(SIP, confirm=URL), UNBUILT),
    ("devices[][].params.confirm_timeout", within(PHONE, confirm_timeout=5), UNBUILT),
]
ROWS: list[tuple[str, str, dict, str]] = [
    ("calling.dial", "tag", dial(SIP), DONE),
    ("calling.dial", "devices", dial(SIP), DONE),
    ("calling.dial", "timeout", dial(SIP, timeout=9.5), DONE),
    ("calling.dial", "max_duration", dial(SIP, max_duration=9), DONE),
    ("calling.dial", "send_digits", dial(SIP, send_digits="1w2"), DONE),
    ("calling.dial", "node_id", dial(SIP, node_id="node-1"), DONE),
    ("calling.dial", "max_price_per_minute", dial(SIP, max_price_per_minute=0.1), UNBUILT),
    ("calling.dial", "dest_swml", dial(SIP, dest_swml=URL), UNBUILT),
    ("calling.dial", "region", dial(SIP, region="us"), UNBUILT),
    *(("calling.dial", path, dial(device), code) for path, device, code in DEVICE),
    ("calling.answer", "codecs", {"codecs": ["PCMU"]}, DONE),
    ("calling.answer", "codecs", {"codecs": ["G729"]}, UNBUILT),
    ("calling.answer", "max_duration", {"max_duration": 5}, DONE),
    ("calling.accept", "early_media", {"early_media": False}, DONE),
    ("calling.accept", "early_media", {"early_media": True}, UNBUILT),
    ("calling.end", "reason", {"reason": "busy"}, DONE),
    ("calling.play", "control_id", play(), DONE),
    ("calling.play", "play", play(), DONE),
    ("calling.play", "volume", play(volume=-40), DONE),
    ("calling.play", "direction", play(direction="speak"), DONE),
    ("calling.play", "loop", play(loop=0), DONE),
    ("calling.play", "language", play(TTS, language="de-DE"), DONE),
    ("calling.play", "voice", play(TTS, voice="x"), DONE),
    ("calling.play", "gender", play(TTS, gender="male"), DONE),
    ("calling.play", "status_url", play(status_url=URL), UNBUILT),
    *(("calling.play", path, play(*media), code) for path, media, code in MEDIA),
    ("calling.play", "play[].params.name", play(within(RINGTONE, name="fr")), UNBUILT),
    ("calling.play.pause", "control_id", {"control_id": "play"}, DONE),
    ("calling.play.resume", "control_id", {"control_id": "play"}, DONE),
    ("calling.play.stop", "control_id", {"control_id": "play"}, DONE),
    ("calling.play.volume", "control_id", {"control_id": "play", "volume": 1}, DONE),
    ("calling.play.volume", "volume", {"control_id": "play", "volume": 40}, DONE),
    ("calling.record", "control_id", record(), DONE),
    ("calling.record", "record", record(), DONE),
    ("calling.record", "record.audio", record(), DONE),
    ("calling.record", "record.audio.beep", record(beep=True), DONE),
    ("calling.record", "record.audio.format", record(format="wav"), DONE),
    ("calling.record", "record.audio.format", record(format="mp3"), UNBUILT),
    ("calling.record", "record.audio.format", record(format="mp4"), UNBUILT),
    ("calling.record", "record.audio.stereo", record(stereo=True), DONE),
    ("calling.record", "record.audio.direction", record(direction="both"), DONE),
    ("calling.record", "record.audio.initial_timeout", record(initial_timeout=5), DONE),
    ("calling.record", "record.audio.end_silence_timeout", record(end_silence_timeout=1), DONE),
    ("calling.record", "record.audio.terminators", record(terminators="#*"), DONE),
    ("calling.record", "record.audio.max_length", record(max_length=1), DONE),
    ("calling.record", "record.audio.input_sensitivity", record(input_sensitivity=10), DONE),
    ("calling.record", "status_url", record() | {"status_url": URL}, UNBUILT),
    ("calling.record.pause", "control_id", {"control_id": "record"}, DONE),
    ("calling.record.pause", "behavior", {"control_id": "record", "behavior": "silence"}, DONE),
    ("calling.record.resume", "control_id", {"control_id": "record"}, DONE),
    ("calling.record.stop", "control_id", {"control_id": "record"}, DONE),
    ("calling.collect", "control_id", collect(), DONE),
    ("calling.collect", "digits", collect(), DONE),
    ("calling.collect", "digits.max", collect(), DONE),
    ("calling.collect", "digits.terminators", collect(digits={"max": 1, "terminators": "#"}), DONE),
    ("calling.collect", "digits.digit_timeout", collect(digits={"max": 1, "digit_timeout": 1}), DONE),
    ("calling.collect", "speech", collect(speech={}), UNBUILT),
    *(
        ("calling.collect", f"speech.{name}", collect(speech={name: value}), UNBUILT)
        for name, value in {
            "end_silence_timeout": 1, "speech_timeout": 9, "language": "en-US", "hints": ["a"], "model": "default",
            "engine": "Google",
        }.items()
    ),
    ("calling.collect", "initial_timeout", collect(initial_timeout=1), DONE),
    ("calling.collect", "start_input_timers", collect(start_input_timers=True), DONE),
    ("calling.collect", "partial_results", collect(partial_results=True), DONE),
    ("calling.collect", "continuous", collect(continuous=True), DONE),
    ("calling.collect", "continue", collect(**{"continue": True}), DONE),
    ("calling.collect", "send_start_of_input", collect(send_start_of_input=True), DONE),
    ("calling.collect", "status_url", collect(status_url=URL), UNBUILT),
    ("calling.collect.stop", "control_id", {"control_id": "collect"}, DONE),
    ("calling.collect.start_input_timers", "control_id", {"control_id": "collect"}, DONE),
    ("calling.play_and_collect", "control_id", prompt(), DONE),
    ("calling.play_and_collect", "play", prompt(), DONE),
    *(("calling.play_and_collect", path, prompt(media[0]), code) for path, media, code in MEDIA),
    ("calling.play_and_collect", "collect", prompt(), DONE),
    ("calling.play_and_collect", "collect.initial_timeout", prompt(collect=LATE), DONE),
    ("calling.play_and_collect", "collect.digits", prompt(), DONE),
    ("calling.play_and_collect", "collect.digits.max", prompt(), DONE),
    ("calling.play_and_collect", "collect.digits.min", prompt(collect={"digits": {"max": 2, "min": 1}}), DONE),
    ("calling.play_and_collect", "collect.digits.terminators", prompt(collect=HASH), DONE),
    ("calling.play_and_collect", "collect.digits.digit_timeout", prompt(collect=FAST), DONE),
    ("calling.play_and_collect", "collect.speech", prompt(collect={"speech": {}}), UNBUILT),
    *(
        ("calling.play_and_collect", f"collect.speech.{name}", prompt(collect={"speech": {name: value}}), UNBUILT)
        for name, value in {
            "end_silence_timeout": 1, "speech_timeout": 9, "language": "en-US", "hints": ["a"], "model": "default",
            "engine": "Google",
        }.items()
    ),
    ("calling.play_and_collect", "volume", prompt(volume=3), DONE),
    ("calling.play_and_collect", "status_url", prompt(status_url=URL), UNBUILT),
    ("calling.play_and_collect.stop", "control_id", {"control_id": "prompt"}, DONE),
    ("calling.play_and_collect.volume", "control_id", {"control_id": "prompt", "volume": 1}, DONE),
    ("calling.play_and_collect.volume", "volume", {"control_id": "prompt", "volume": 1}, DONE),
    ("calling.send_digits", "control_id", {"control_id": "new", "digits": "1"}, DONE),
    ("calling.send_digits", "digits", {"control_id": "new", "digits": "09*#AdwW"}, DONE),
    ("calling.echo", "timeout", {"timeout": 5}, DONE),
    ("calling.echo", "status_url", {"status_url": URL}, UNBUILT),
]  # fmt: skip
ADDRESS = {"node_id", "call_id"}


async def running_call(bench, method: str):
    """A call on which the method may be used."""
    if method in ("calling.accept", "calling.answer"):
        return bench.ring()
    if method == "calling.dial":
        return None
    call = await bench.talk()
    starts = {
        "calling.play.": ("calling.play", {"control_id": "play", "play": [SILENCE]}),
        "calling.record.": ("calling.record", {"control_id": "record", "record": {"audio": {}}}),
        "calling.collect.": ("calling.collect", {"control_id": "collect", "digits": {"max": 1}}),
        "calling.play_and_collect.": (
            "calling.play_and_collect",
            {"control_id": "prompt", "play": [SILENCE], "collect": {"digits": {"max": 1}}},
        ),
    }
    for prefix, (start, params) in starts.items():
        if method.startswith(prefix):
            await bench.run(start, call, **params)
    return call


@pytest.mark.parametrize(
    ("method", "path", "params", "code"), ROWS, ids=[f"{row[0]} {row[1]} {row[3]}" for row in ROWS]
)
async def test_each_parameter_is_done_or_501_by_name(bench, method, path, params, code):
    bench.fetcher.lengths_s["https://a.example/a.wav"] = 1.0
    call = await running_call(bench, method)
    before = len(bench.sink.events)
    if code == DONE:
        assert (await bench.run(method, call, **params))["code"] == "200"
    else:
        refused, sentence = await bench.refused(method, call, **params)
        assert refused == code
        assert path.removeprefix("devices[][].params.").split("speech.")[0].rstrip(".") in sentence
        assert len(bench.sink.events) == before
    assert not bench.registry.ignored


def reference_of(method: str) -> dict[str, list[Any] | None]:
    """Paths and enumerated values of a method, as the reference lists them."""
    paths: dict[str, list[Any] | None] = {}
    for path, values in REFERENCE["methods"][method].items():
        if values not in ("@media", "@devices"):
            paths[path] = values
            continue
        prefix, group = (f"{path}[]", "media") if values == "@media" else (f"{path}[][]", "devices")
        paths[path] = paths[f"{prefix}.type"] = None
        for members in REFERENCE[group].values():
            paths |= {f"{prefix}.params.{name}": listed for name, listed in members.items()}
    return paths


def test_the_walk_leaves_out_no_parameter_that_the_reference_lists():
    walked: dict[str, set[str]] = {}
    for method, path, _, _ in ROWS:
        walked.setdefault(method, set()).add(path)
    assert REFERENCE["methods"].keys() == BUILT
    for method in REFERENCE["methods"]:
        assert reference_of(method).keys() == walked.get(method, set()), method


def test_the_dictionary_lists_what_the_reference_lists():
    for method in REFERENCE["methods"]:
        listed = {path for path in all_paths(PARAMS[method]) if not path.endswith(".params")}
        assert listed - (set() if method == "calling.dial" else ADDRESS) == reference_of(method).keys(), method


def replace(params: Any, steps: list[str], value: Any) -> None:
    """Put a value where the steps of a path lead, in the first element of each list."""
    name, depth = steps[0].rstrip("[]"), steps[0].count("[]")
    if len(steps) == 1:
        params[name] = [value] if isinstance(params[name], list) else value
        return
    inner = params[name]
    for _ in range(depth):
        inner = inner[0]
    replace(inner, steps[1:], value)


def enumerated() -> Iterator[Any]:
    """Each value that the reference lists, in a request that has its parameter."""
    for method in REFERENCE["methods"]:
        for path, values in reference_of(method).items():
            base = next(row[2] for row in ROWS if row[:2] == (method, path))
            for value in values or []:
                params = copy.deepcopy(base)
                replace(params, path.split("."), value)
                yield pytest.param(method, path, value, params, id=f"{method} {path} {value}")


@pytest.mark.parametrize(("method", "path", "value", "params"), list(enumerated()))
async def test_each_value_that_the_reference_lists_is_done_or_501_by_name(bench, method, path, value, params):
    call = await running_call(bench, method)
    try:
        code, sentence = (await bench.run(method, call, **params))["code"], ""
    except CommandRefused as error:
        code, sentence = str(error.code), error.message
    assert code in (DONE, UNBUILT), sentence
    assert code == DONE or any(word in sentence for word in (str(value), path.split(".")[-1], "speech"))


@pytest.mark.parametrize("kind", ["fabric", "webrtc"])
async def test_devices_that_are_not_built_answer_501_by_their_type(bench, kind):
    code, sentence = await bench.refused("calling.dial", **dial({"type": kind, "params": {"to": "/private/support"}}))
    assert (code, kind in sentence) == (UNBUILT, True)


HUGE = [1e7, 1e308, "inf", "nan", "-inf", 10**30]


@pytest.mark.parametrize("value", HUGE, ids=str)
async def test_numbers_without_bound_are_refused_by_name(bench, value):
    """A number that does not fit the engine's message once cost the node its connection, and every call its audio."""
    call = await bench.talk()
    requests: list[tuple[str, str, dict]] = [
        ("calling.play", "duration", play(within(SILENCE, duration=value))),
        ("calling.play", "loop", play(loop=value)),
        ("calling.record", "max_length", record(max_length=value)),
        ("calling.record", "end_silence_timeout", record(end_silence_timeout=value)),
        ("calling.collect", "digit_timeout", collect(digits={"max": 1, "digit_timeout": value})),
        ("calling.collect", "initial_timeout", collect(initial_timeout=value)),
        ("calling.play_and_collect", "initial_timeout", prompt(collect=LATE | {"initial_timeout": value})),
        ("calling.echo", "timeout", {"timeout": value}),
        ("calling.dial", "timeout", dial(SIP, timeout=value)),
        ("calling.dial", "timeout", dial(within(SIP, timeout=value))),
        ("calling.dial", "max_duration", dial(SIP, max_duration=value)),
    ]
    for method, name, params in requests:
        code, sentence = await bench.refused(method, None if method == "calling.dial" else call, **params)
        assert (code, name in sentence) == ("400", True), (method, sentence)
    assert (await bench.refused("calling.answer", bench.ring(), max_duration=value))[0] == "400"


def test_every_method_done_has_its_words_and_nothing_unbuilt_is_misspelt():
    assert PARAMS.keys() >= BUILT
    for method in BUILT:
        assert set(unbuilt_of(method)) <= set(all_paths(PARAMS[method]))


@pytest.mark.parametrize("method", sorted(PARAMS.keys() - BUILT))
async def test_every_method_that_is_not_built_answers_501_by_name(bench, method):
    call = await bench.talk()
    assert await bench.refused(method, call) == ("501", f"{method} is not built yet")


async def test_keys_that_nobody_lists_are_ignored_and_counted(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[within(SILENCE, colour="red")], _devices=[])
    assert bench.registry.ignored == {
        "calling.play _devices": 1,
        "calling.play play[].params.colour": 1,
    }


async def test_missing_and_wrong_params_are_named(bench):
    call = await bench.talk()
    for params, field in [({}, "control_id"), (play(volume=99), "volume"), (play(loop=-1), "loop")]:
        code, sentence = await bench.refused("calling.play", call, **params)
        assert code == "400"
        assert field in sentence
    assert (await bench.refused("calling.play"))[0] == "400"  # a call without an id


async def test_a_call_of_another_node_is_404(bench):
    call = await bench.talk()
    code, sentence = await bench.refused("calling.end", node_id="node-2", call_id=call.call_id)
    assert code == "404"
    assert "node_id" in sentence


async def test_commands_on_a_call_that_is_ending_are_410_but_end_is_not(bench):
    call = await bench.talk()
    await bench.run("calling.end", call)
    assert (await bench.refused("calling.play", call, **play()))[0] == "410"
    assert (await bench.run("calling.end", call))["code"] == "200"
    await bench.ended(call)
    assert len(bench.sink.of("calling.call.state", call_state="ended")) == 1


async def test_the_label_bounds_how_many_actions_are_open(bench):
    call = await bench.talk()
    code, sentence = "200", ""
    for index in range(40):
        try:
            await bench.run("calling.play", call, control_id=f"{index:0>200}", play=[SILENCE])
        except CommandRefused as error:
            code, sentence = error.code, error.message
            break
    assert (code, "stop one first" in sentence) == ("409", True)
    assert 20 < len(call.actions) == index
    [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
    assert len(snapshot.label) <= 8192


async def test_the_label_still_fits_when_each_action_has_got_its_operation(bench):
    """The engine left a longer one out without a word: a node that came later did not end what ran."""
    bench.engine._last_id = 0x7FFF_FFFF << 32  # as long as ids are after years
    call = await bench.talk()
    asked = [bench.run("calling.play", call, control_id=f"{index:0>36}", play=[SILENCE]) for index in range(200)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert {error.code for error in results if isinstance(error, CommandRefused)} == {"409"}
    async with asyncio.timeout(0.5):  # of the virtual clock
        while not all(action.open_action.operation for action in call.actions.values()):
            await asyncio.sleep(0.01)
    assert len(call.actions) > 64
    [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
    assert len(snapshot.label) <= 8192
    assert all(action.open_action.control_id in snapshot.label for action in call.actions.values())
