"""protocol/spec: every verb of the reference is there, and what ends it."""

from __future__ import annotations

import pytest

from offhook.protocol.params import ControlParams
from offhook.protocol.verbs import METHODS, PARAMS, SPECS, spec_of

# One row per verb of section 4: the method, then the commands that follow it after a dot.
CALLING: dict[str, tuple[str, ...]] = {
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


def test_every_method_of_the_reference_has_its_params():
    named = {f"calling.{name}" for verb, rest in CALLING.items() for name in (verb, *(f"{verb}.{one}" for one in rest))}
    assert named == METHODS
    assert all(struct.method == method for method, struct in PARAMS.items())


def test_what_steers_a_verb_starts_none():
    assert set(SPECS) == {f"calling.{verb}" for verb in CALLING}
    assert spec_of("calling.play.stop") is None
    assert spec_of("calling.nothing") is None


@pytest.mark.parametrize("method", SPECS)
def test_what_ends_a_lost_one_is_its_last_event(method):
    spec = SPECS[method]
    events = spec.lost_events({"call_id": "c", "control_id": "k"})
    assert bool(events) == bool(spec.event)
    if events:
        assert spec.ends_with(*events[0])
        assert all(params["call_id"] == "c" and params["control_id"] == "k" for _, params in events)


def test_only_verbs_with_a_control_id_settle_or_outlive_their_node():
    assert all(issubclass(spec.start, ControlParams) for spec in SPECS.values() if spec.settles or spec.outlives_node)
    assert [spec.method for spec in SPECS.values() if spec.settles] == ["calling.collect", "calling.play_and_collect"]
    assert [spec.method for spec in SPECS.values() if spec.outlives_node] == ["calling.play", "calling.record"]


@pytest.mark.parametrize(
    ("method", "params", "is_end"),
    [
        ("calling.play", {"state": "playing"}, False),
        ("calling.play", {"state": "finished"}, True),
        ("calling.record", {"state": "no_input"}, True),
        ("calling.record", {"state": "paused"}, False),
        ("calling.collect", {"result": {"type": "digit"}}, True),
        ("calling.collect", {"result": {"type": "start_of_input"}}, False),
        ("calling.collect", {"state": "collecting", "final": True, "result": {"type": "digit"}}, False),
        ("calling.collect", {"final": False, "result": {"type": "digit"}}, False),
        ("calling.collect", {"state": "finished", "final": True, "result": {"type": "finished"}}, True),
        ("calling.collect", {"result": "no object"}, False),
        ("calling.dial", {"dial_state": "dialing"}, False),
        ("calling.dial", {"dial_state": "answered"}, True),
    ],
)
def test_the_last_event_is_known(method, params, is_end):
    spec = SPECS[method]
    assert spec.ends_with(spec.event, params) is is_end
    assert not spec.ends_with("calling.call.state", params)
