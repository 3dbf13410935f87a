"""The session machine with servers in trouble, wrong or hostile: nothing is forgotten without need, nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.client.events import parse_event
from offhook.client.session import outputs
from offhook.client.session.session import State
from offhook.errors import ConnectionLost
from rig.session_bench import TOKEN, SessionBench, event


def cut(bench: SessionBench) -> None:
    bench.session.lost("cut", bench.now)


def stay_away(bench: SessionBench, until: float) -> None:
    """Nobody is there, whenever it tries."""
    while (due := bench.session.deadline) is not None and due <= until:
        bench.pass_time(due - bench.now)
        if bench.session.state is State.OPENING:
            cut(bench)
    bench.pass_time(until - bench.now)


def resumed_as(bench: SessionBench) -> str | None:
    """The session that the next connect asks for."""
    bench.wait_for_open()
    params = bench.open()["params"]
    cut(bench)
    return params.get("protocol")


# --- refusals of a resume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-32000, -32004, -32005, -32603])
def test_a_refusal_that_says_try_again_forgets_nothing_of_the_session(code: int) -> None:
    """Our own node says so to each resume while it cannot read its journal: all calls were lost by it."""
    bench = SessionBench()
    bench.ready()
    bench.feed(id="e", **event("signalwire.authorization.state", authorization_state="a:b"))
    cut(bench)
    for _ in range(10):
        params = bench.refuse(code, "try again in a second")
        assert (params["protocol"], params["authorization_state"]) == ("sig_a", "a:b")
    bench.reopen("sig_a")
    assert bench.seen[-1] != outputs.Connected(resumed=False, again=True)
    assert outputs.Connected(resumed=True, again=True) in bench.drain() + bench.seen


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_result_that_says_try_again_does_so_too(code: int) -> None:
    bench = SessionBench()
    bench.session.connect()
    for _ in range(5):
        bench.refuse(code, as_result=True)
    bench.reopen("sig_a")
    cut(bench)
    for _ in range(5):
        assert bench.refuse(code, as_result=True)["protocol"] == "sig_a"


@pytest.mark.parametrize("code", [-32001, -32002])
def test_a_refusal_of_who_we_are_says_nothing_of_the_session(code: int) -> None:
    """A node started with another token by mistake, and again with the right one: the calls are still there."""
    bench = SessionBench()
    bench.ready()
    cut(bench)
    for _ in range(5):
        assert bench.refuse(code, "Authentication service failed with status ProtocolError")["protocol"] == "sig_a"


def test_a_session_that_lapsed_while_it_was_refused_is_asked_for_no_more() -> None:
    """Should a server say so of sessions it does not know, the client gets in again all the same."""
    bench = SessionBench(away_s=600)
    bench.ready()
    cut(bench)
    until = bench.now + 600
    while bench.now < until:
        asked_for = bench.refuse(-32002).get("protocol")
        assert asked_for == "sig_a" or bench.now >= until
    assert resumed_as(bench) is None


def test_a_state_that_is_refused_is_left_out_before_the_session_is() -> None:
    bench = SessionBench()
    bench.ready()
    bench.feed(id="e", **event("signalwire.authorization.state", authorization_state="corrupt"))
    cut(bench)
    refused = bench.refuse(-32003, "Requester validation failed: `authorization_state` is not ours")
    assert (refused["protocol"], refused["authorization_state"]) == ("sig_a", "corrupt")
    refused = bench.refuse(-32003, "Requester validation failed")
    assert refused["protocol"] == "sig_a"
    assert "authorization_state" not in refused
    assert resumed_as(bench) is None, "then it is the session that is not allowed"


@pytest.mark.parametrize("message", ["unknown protocol", "`protocol`: no such session", "sig_a is gone"])
def test_a_refusal_that_names_the_session_is_followed_by_a_fresh_one(message: str) -> None:
    bench = SessionBench()
    bench.ready()
    cut(bench)
    bench.refuse(-32602, message)
    assert resumed_as(bench) is None


def test_a_resume_that_is_refused_again_and_again_without_a_reason_is_given_up() -> None:
    bench = SessionBench()
    bench.ready()
    cut(bench)
    assert [bench.refuse(-32602, "no").get("protocol") for _ in range(4)] == ["sig_a", "sig_a", "sig_a", None]


def test_a_reply_to_connect_without_a_session_is_one_more_refusal() -> None:
    bench = SessionBench()
    bench.ready()
    cut(bench)
    for expected in ("sig_a", "sig_a", "sig_a", None):
        bench.wait_for_open()
        connect = bench.open()
        assert connect["params"].get("protocol") == expected
        bench.feed(id=connect["id"], result={"identity": "x"})


# --- what a server writes where a number or a short text is expected ----------------------------------------------


@pytest.mark.parametrize(
    "code", ["1" * 5000, "-" * 5000, "٤٠١", "4e2", "", None, 1.5, True, 10**400, -(10**400), [], {}, "999999999999"]
)
def test_whatever_code_a_connect_is_refused_with_the_client_tries_again(code: Any) -> None:
    bench = SessionBench(max_refusals=100)
    bench.session.connect()
    connect = bench.open()
    bench.feed(id=connect["id"], result={"code": code, "message": "no"})
    assert bench.session.state is State.WAITING
    bench.reopen()


def test_our_token_in_a_refusal_stands_neither_in_the_error_nor_in_what_is_logged() -> None:
    bench = SessionBench(max_refusals=2)
    bench.session.connect()
    for _ in range(2):
        bench.refuse(-32002, f"no such token: {TOKEN}")
    stopped = bench.drain()[-1]
    assert isinstance(stopped, outputs.Stopped)
    assert "no such token: ***" in str(stopped.error)
    assert TOKEN not in repr(bench.seen)


def test_nor_in_the_error_of_a_request_or_in_why_the_socket_went() -> None:
    bench = SessionBench()
    bench.ready()
    request = bench.session.request("m", {}, bench.now)
    bench.feed(id=request, error={"code": -32602, "message": f"{TOKEN}?"})
    late = bench.session.request("m", {}, bench.now)
    bench.session.lost(f"HTTP 401 {TOKEN}", bench.now)
    assert str(bench.failures()[request]) == "RELAY error -32602: ***?"
    assert "HTTP 401 ***" in str(bench.failures()[late])
    assert TOKEN not in repr([one for one in bench.seen if not isinstance(one, outputs.Send)])


def test_a_refusal_of_any_length_is_told_in_short() -> None:
    bench = SessionBench()
    bench.ready()
    request = bench.session.request("m", {}, bench.now)
    bench.feed(id=request, error={"code": -32602, "message": "x" * 1_000_000})
    assert len(str(bench.failures()[request])) < 3_000


# --- waits that end -----------------------------------------------------------------------------------------------


def test_a_request_waits_for_a_connection_no_longer_than_its_time() -> None:
    """It waited as long as the node was away, and with it Ctrl-C."""
    bench = SessionBench(queue_timeout_s=60)
    bench.ready()
    cut(bench)
    began = bench.now
    first = bench.session.request("calling.answer", {}, began)
    bench.wait_for_open()
    cut(bench)
    stay_away(bench, began + 50)
    second = bench.session.request("calling.end", {}, bench.now)
    stay_away(bench, began + 60)
    error = bench.failures()[first]
    assert isinstance(error, ConnectionLost)
    assert not error.was_sent
    assert str(error) == "RELAY error -1: calling.answer: no connection for 60 s; it was not sent"
    assert second not in bench.failures()
    bench.reopen()
    assert [one["method"] for one in bench.sent()] == ["calling.end"]


def test_one_that_was_sent_before_the_socket_went_waits_as_long_and_fails_with_word_of_it() -> None:
    bench = SessionBench(queue_timeout_s=60)
    bench.ready(keeps_request_ids_s=600.0)
    request = bench.session.request("calling.answer", {}, bench.now)
    cut(bench)
    bench.pass_time(59)
    assert request not in bench.failures()
    bench.pass_time(1)
    error = bench.failures()[request]
    assert isinstance(error, ConnectionLost)
    assert error.was_sent


def test_a_session_that_was_away_for_its_time_is_told_as_lapsed_once_and_still_asked_for() -> None:
    bench = SessionBench(away_s=600)
    bench.ready()
    cut(bench)
    began = bench.now
    for second in range(590, 3_000, 10):
        stay_away(bench, began + second)
        bench.drain()
        assert (outputs.Lapsed() in bench.seen) == (second >= 600)
    assert bench.seen.count(outputs.Lapsed()) == 1
    assert resumed_as(bench) == "sig_a"
    bench.reopen()
    cut(bench)
    bench.pass_time(601)
    assert bench.drain().count(outputs.Lapsed()) == 1, "each absence counts anew"


def test_a_client_that_never_was_connected_has_nothing_that_lapses() -> None:
    bench = SessionBench(away_s=600)
    bench.session.connect()
    for _ in range(100):
        cut(bench)
        bench.pass_time(30)
    assert outputs.Lapsed() not in bench.drain()


# --- events that the server could not keep --------------------------------------------------------------------------


def test_that_events_were_truncated_is_told_with_what_lives() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    known = {"c1": ["k1", "k2"], "c2": []}
    bench.feed(id="e1", **event("signalwire.events_truncated", **{"from": 1, "to": 7, "calls": known}))
    acked, told = bench.drain()
    assert isinstance(acked, outputs.Send)
    assert told == outputs.Truncated({"c1": frozenset({"k1", "k2"}), "c2": frozenset()})


@pytest.mark.parametrize("calls", [None, [], "c1", {"c1": None}, {"c1": [7]}, {"c1": {"k": 1}}])
def test_that_events_were_truncated_is_told_also_where_nobody_says_what_lives(calls: Any) -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    bench.feed(id="e1", **event("signalwire.events_truncated", calls=calls))
    assert bench.drain()[1] == outputs.Truncated(None)


# --- anything ---------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    # as a server writes it, so no lone surrogates
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(
        ["signalwire.ping", "signalwire.event", "signalwire.disconnect", "calling.call.state", "9" * 5000]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcdefg", max_size=3), inner, max_size=3),
    max_leaves=6,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "event_type": json_values,
        "params": json_values,
        "timestamp": json_values,
        "context": json_values,
        "seq": json_values,
        "message": json_values,
    },
)
frames = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values | st.sampled_from(["id1", "id2"]),
        "method": json_values,
        "params": json_values | envelopes,
        "result": json_values | st.fixed_dictionaries({"code": json_values, "protocol": json_values}),
        "error": json_values | st.fixed_dictionaries({"code": json_values, "message": json_values}),
    },
)


@given(st.lists(frames, max_size=6), st.sampled_from(["before", "after"]))
def test_no_frame_of_any_kind_raises(sent: list[dict[str, Any]], when: str) -> None:
    bench = SessionBench()
    if when == "after":
        bench.ready()
        bench.session.request("calling.play", {}, bench.now)
    else:
        bench.session.connect()
        bench.open()
    for one in sent:
        bench.session.received(json.dumps(one).encode(), bench.now)
        for output in bench.drain():
            repr(output)
            if isinstance(output, outputs.Arrived):
                read_all(output)
        bench.pass_time(1)


def read_all(arrived: outputs.Arrived) -> None:
    happened = parse_event(arrived.event)
    repr(happened)
    for name in dir(type(happened)):
        getattr(happened, name)


@pytest.mark.parametrize("kind", ["calling.conference", "calling.call.queue", "calling.call.record"])
@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308, True, "7", None, [], {}])
def test_reading_an_event_never_fails_whatever_its_numbers_are(kind: str, value: object) -> None:
    params = dict.fromkeys(("size", "position", "recording_duration", "avg_time", "duration", "enqueue_ts"), value)
    bench = SessionBench()
    bench.ready()
    bench.drain()
    bench.feed(**event(kind, **params))
    [arrived] = bench.drain()
    assert isinstance(arrived, outputs.Arrived)
    read_all(arrived)
