"""protocol/spec: every verb of the reference is there, and what ends it."""

from __future__ import annotations

import pytest

from offhook.protocol.params import ControlParams
from offhook.protocol.verbs import METHODS, PARAMS, SPECS, spec_of
from offhook.protocol.verbs.collect import is_collected, is_collecting_over

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
        ("calling.collect", {"state": "finished", "final": False}, True),
        ("calling.collect", {"result": {"type": ""}}, False),
        ("calling.collect", {"result": {"type": ["digit"]}}, False),
        ("calling.detect", {"detect": {"type": "machine", "params": {"event": "MACHINE"}}}, False),
        ("calling.detect", {"detect": {"type": "machine", "params": {"event": "finished"}}}, True),
        ("calling.detect", {"detect": {"type": "machine", "params": "finished"}}, False),
        ("calling.send_fax", {"fax": {"type": "page", "params": {"number": 1}}}, False),
        ("calling.send_fax", {"fax": {"type": "finished"}}, True),
        ("calling.receive_fax", {"fax": {"type": "error"}}, True),
        ("calling.receive_fax", {"fax": "finished"}, False),
        ("calling.receive_fax", {"state": "error"}, True),
        ("calling.pay", {"for": "payment-card-number", "result": ""}, False),
        ("calling.pay", {"result": "success"}, True),
        ("calling.pay", {"result": {}}, False),
        ("calling.tap", {"state": "tapping"}, False),
        ("calling.tap", {"state": "finished"}, True),
        ("calling.ai", {"state": "error"}, True),
        ("calling.refer", {"state": "inProgress"}, False),
        ("calling.refer", {"state": "noAnswer"}, True),
        ("calling.dial", {"dial_state": "dialing"}, False),
        ("calling.dial", {"dial_state": "answered"}, True),
    ],
)
def test_the_last_event_is_known(method, params, is_end):
    spec = SPECS[method]
    assert spec.ends_with(spec.event, params) is is_end
    assert not spec.ends_with("calling.call.state", params)


def test_a_detector_has_its_result_before_its_end_and_no_other_verb_does():
    def detected(word):
        return {"detect": {"type": "machine", "params": {"event": word}}}

    detector = SPECS["calling.detect"]
    words = ("", "MACHINE", "READY", "5", "finished", "error")
    assert [detector.results_in(detector.event, detected(word)) for word in words] == [0, 1, 1, 1, 0, 0]
    assert not detector.results_in("calling.call.play", detected("MACHINE"))
    assert [spec.method for spec in SPECS.values() if spec.is_result is not None] == ["calling.detect"]


def test_what_a_continuous_collect_hears_does_not_end_it():
    heard, stopped = {"final": True, "result": {"type": "digit"}}, {"result": {"type": "finished"}}
    assert [is_collected(heard), is_collecting_over(heard)] == [True, False]
    assert [is_collected(stopped), is_collecting_over(stopped)] == [True, True]
    assert is_collecting_over({"state": "error"})


def test_verbs_that_run_one_at_a_time_are_those_of_the_reference():
    """The classes of blocking of section 4."""
    named = {}
    for spec in SPECS.values():
        if spec.exclusive:
            named.setdefault(spec.exclusive, []).append(spec.method.removeprefix("calling."))
    blocking = (
        "ai",
        "amazon_bedrock",
        "connect",
        "join_conference",
        "join_room",
        "pay",
        "play_and_collect",
        "queue.enter",
    )
    assert {kind: sorted(names) for kind, names in named.items()} == {
        "blocking": sorted(blocking),
        "ai_sidecar": ["ai_sidecar"],
        "collect": ["collect"],
        "echo": ["echo"],
        "transcribe": ["transcribe"],
    }


def test_types_of_events_stand_once_and_begin_with_the_one_that_ends():
    for spec in SPECS.values():
        assert len(spec.events) == len(set(spec.events))
        assert not spec.event or spec.events[0] == spec.event
    assert SPECS["calling.play_and_collect"].events == ("calling.call.collect", "calling.call.play")
