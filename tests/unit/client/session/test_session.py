"""The session machine on a clock of our own: every request ends once, whatever the socket does."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from offhook.client.session import outputs
from offhook.client.session.session import TRANSITIONS, State
from offhook.errors import ConnectionLost, RequestTimeout
from rig.session_bench import TOKEN, SessionBench, event


def test_the_first_frame_says_who_we_are_and_asks_for_acks() -> None:
    bench = SessionBench()
    bench.session.connect()
    assert bench.drain() == [outputs.Open()]
    params = bench.open()["params"]
    assert params["version"] == {"major": 2, "minor": 0, "revision": 0}
    assert params["authentication"] == {"project": "p", "token": TOKEN}
    assert params["event_acks"] is True
    assert params["contexts"] == ["office"]
    assert "protocol" not in params
    assert TOKEN not in repr(bench.session) + repr(bench.seen)


def test_a_resume_brings_protocol_and_authorization_state_and_a_restart_neither() -> None:
    bench = SessionBench()
    bench.ready()
    bench.feed(id="e", **event("signalwire.authorization.state", authorization_state="a:b"))
    bench.session.lost("cut", bench.now)
    bench.drain()
    bench.pass_time(30)
    resume = bench.open()["params"]
    assert (resume["protocol"], resume["authorization_state"]) == ("sig_a", "a:b")
    bench.feed(id="id2", result={"protocol": "sig_a"})
    bench.feed(id="d", method="signalwire.disconnect", params={"restart": True})
    assert bench.session.state is State.DRAINING
    assert bench.sent()[-1] == {"jsonrpc": "2.0", "id": "d", "result": {}}
    bench.session.lost("closed", bench.now)
    bench.pass_time(30)
    bench.drain()
    fresh = bench.open()["params"]
    assert "protocol" not in fresh
    assert "authorization_state" not in fresh


def test_contexts_taken_later_are_subscribed_again_after_a_reconnect() -> None:
    """signalwire-legacy-js#1187: a reconnected client got no more calls."""
    bench = SessionBench()
    bench.ready()
    bench.session.contexts = ["office", "support"]
    bench.session.lost("cut", bench.now)
    bench.pass_time(30)
    bench.drain()
    assert bench.open()["params"]["contexts"] == ["office", "support"]


def test_events_are_acked_at_once_and_a_repeat_after_a_resume_is_acked_and_dropped() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    bench.feed(id="e1", **event("calling.call.play", state="playing"))
    fresh = bench.drain()
    assert isinstance(fresh[0], outputs.Send)
    assert json.loads(fresh[0].data) == {"jsonrpc": "2.0", "id": "e1", "result": {}}
    assert isinstance(fresh[1], outputs.Arrived)
    bench.session.lost("cut", bench.now)
    bench.reopen()
    bench.drain()
    bench.feed(id="e1", **event("calling.call.play", state="playing"))
    assert [type(one) for one in bench.drain()] == [outputs.Send]


@pytest.mark.parametrize("pinged", [False, True])
def test_a_client_that_stood_still_asks_before_it_takes_the_server_for_dead(pinged: bool) -> None:
    """A laptop that was suspended: the answer lay in the socket, and the connection was dropped unread."""
    bench = SessionBench()
    bench.ready()
    bench.drain()
    if pinged:
        bench.pass_time(8)
        bench.drain()
    bench.pass_time(3600)
    assert [frame["method"] for frame in bench.sent()] == ["signalwire.ping"]
    assert bench.session.state is State.READY
    assert bench.session.deadline == bench.now + 10
    bench.pass_time(10)
    assert bench.session.state is State.WAITING
    assert any(isinstance(one, outputs.Lost) and "nothing was heard for 18 s" in one.reason for one in bench.drain())


def test_a_server_ping_is_echoed() -> None:
    bench = SessionBench()
    bench.ready()
    bench.feed(id="p", method="signalwire.ping", params={"timestamp": 1.5, "payload": "x"})
    assert bench.sent() == [{"jsonrpc": "2.0", "id": "p", "result": {"timestamp": 1.5, "payload": "x"}}]


def test_a_silent_peer_is_pinged_and_dropped_within_twenty_seconds() -> None:
    bench = SessionBench()
    bench.ready()
    bench.pass_time(8)
    assert [frame["method"] for frame in bench.sent()] == ["signalwire.ping"]
    bench.pass_time(8)
    assert bench.sent() == []
    bench.pass_time(2)
    fresh = bench.drain()
    assert outputs.Drop() in fresh
    assert bench.session.state is State.WAITING


def test_any_frame_is_a_sign_of_life() -> None:
    bench = SessionBench()
    bench.ready()
    for _ in range(5):
        bench.pass_time(7)
        bench.feed(id="p", method="signalwire.ping", params={})
    assert bench.session.state is State.READY
    assert not any(json.loads(one.data).get("method") for one in bench.drain() if isinstance(one, outputs.Send))


def test_a_request_times_out_from_sending_and_a_late_reply_is_ignored() -> None:
    bench = SessionBench()
    bench.session.connect()
    queued = bench.session.request("calling.play", {}, bench.now)
    bench.pass_time(60)
    assert bench.failures() == {}
    bench.ready()
    bench.pass_time(9.9)
    assert bench.failures() == {}
    bench.pass_time(0.1)
    assert isinstance(bench.failures()[queued], RequestTimeout)
    bench.feed(id=queued, result={"code": "200"})
    assert not any(isinstance(one, outputs.Completed) for one in bench.drain())


def test_a_request_refused_for_now_is_sent_again_under_another_id_with_growing_pauses() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    request = bench.session.request("calling.play", {"call_id": "c"}, bench.now)
    (frame,) = bench.sent()
    ids, pauses = [frame["id"]], []
    for _ in range(4):
        bench.refuse_for_now(ids[-1])
        assert bench.drain() == []
        assert bench.session.deadline is not None
        pauses.append(bench.session.deadline - bench.now)
        bench.pass_time(pauses[-1])
        (frame,) = bench.sent()
        assert (frame["method"], frame["params"]) == ("calling.play", {"call_id": "c"})
        ids.append(frame["id"])
    assert pauses == pytest.approx([0.15, 0.3, 0.6, 1.2])
    assert len(set(ids)) == len(ids), "a server may repeat its reply to an id that it knows"
    bench.feed(id=ids[0], result={"code": "late"})
    assert bench.drain() == []
    bench.feed(id=ids[-1], result={"code": "200"})
    assert bench.drain() == [outputs.Completed(request, {"code": "200"})]


def test_a_request_refused_for_now_as_long_as_its_time_lasts_fails_with_the_refusal() -> None:
    bench = SessionBench(request_timeout_s=2.0)
    bench.ready()
    bench.drain()
    began = bench.now
    request = bench.session.request("m", {}, bench.now)
    while True:
        (frame,) = bench.sent()
        bench.refuse_for_now(frame["id"])
        if bench.failures():
            break
        assert bench.session.deadline is not None
        bench.pass_time(bench.session.deadline - bench.now)
    assert bench.failures()[request].code == -32005
    assert began < bench.now < began + 2.0


def test_a_retry_that_gets_no_reply_times_out_with_the_first_sending() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    request = bench.session.request("m", {}, bench.now)
    bench.refuse_for_now(bench.sent()[0]["id"])
    bench.pass_time(1)
    assert len(bench.sent()) == 1
    bench.pass_time(8.9)
    assert not bench.failures()
    bench.pass_time(0.1)
    assert isinstance(bench.failures()[request], RequestTimeout)


@pytest.mark.parametrize("protocol", ["sig_a", "sig_b"])
def test_a_request_refused_for_now_had_no_effect_and_goes_into_any_next_session(protocol: str) -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    request = bench.session.request("m", {}, bench.now)
    bench.refuse_for_now(bench.sent()[0]["id"])
    bench.session.lost("cut", bench.now)
    bench.reopen(protocol)
    assert not bench.failures()
    again = [json.loads(one.data) for one in bench.seen if isinstance(one, outputs.Send)][-1]
    assert again["method"] == "m"
    bench.feed(id=again["id"], result={"code": "200"})
    assert outputs.Completed(request, {"code": "200"}) in bench.drain()


def test_nothing_refused_for_now_is_sent_again_after_the_server_asked_us_to_leave() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    early, late = (bench.session.request("m", {}, bench.now) for _ in range(2))
    frames = bench.sent()
    bench.refuse_for_now(frames[0]["id"])
    bench.feed(id="d", method="signalwire.disconnect", params={})
    bench.refuse_for_now(frames[1]["id"])
    assert [one["id"] for one in bench.sent()] == ["d"]
    bench.pass_time(4)
    assert bench.sent() == []
    bench.session.close()
    assert set(bench.failures()) == {early, late}
    assert "was not sent" in bench.failures()[early].message


def test_a_refused_request_that_is_forgotten_is_not_sent_again() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    request = bench.session.request("m", {}, bench.now)
    bench.refuse_for_now(bench.sent()[0]["id"])
    assert bench.session.forget(request)
    bench.pass_time(5)
    assert bench.sent() == []


def test_in_flight_requests_fail_with_word_that_they_were_sent_where_ids_are_not_kept() -> None:
    bench = SessionBench()
    bench.ready()
    request = bench.session.request("calling.play", {}, bench.now)
    bench.session.lost("cut", bench.now)
    error = bench.failures()[request]
    assert isinstance(error, ConnectionLost)
    assert error.was_sent


def test_in_flight_requests_are_sent_again_with_their_id_where_ids_are_kept() -> None:
    bench = SessionBench()
    bench.ready(keeps_request_ids_s=600)
    first = bench.session.request("calling.play", {"a": 1}, bench.now)
    bench.session.lost("cut", bench.now)
    second = bench.session.request("calling.record", {}, bench.now)
    bench.drain()
    bench.reopen(keeps_request_ids_s=600)
    again = [(frame["id"], frame["method"]) for frame in bench.sent()]
    assert again == [(first, "calling.play"), (second, "calling.record")]
    bench.feed(id=first, result={"code": "200"})
    assert outputs.Completed(first, {"code": "200"}) in bench.drain()


def test_in_flight_requests_are_not_repeated_into_another_session() -> None:
    bench = SessionBench()
    bench.ready(keeps_request_ids_s=600)
    request = bench.session.request("calling.dial", {}, bench.now)
    bench.session.lost("cut", bench.now)
    bench.reopen("sig_other", keeps_request_ids_s=600)
    error = bench.failures()[request]
    assert isinstance(error, ConnectionLost)
    assert error.was_sent
    assert outputs.Connected(resumed=False, again=True) in bench.seen


def test_requests_beyond_the_queue_fail_and_those_in_it_go_out_in_order() -> None:
    bench = SessionBench(max_queued=3)
    bench.session.connect()
    kept = [bench.session.request("m", {"n": n}, bench.now) for n in range(3)]
    over = bench.session.request("m", {}, bench.now)
    assert "Execute queue full" in bench.failures()[over].message
    bench.ready()
    assert [frame["id"] for frame in bench.sent()] == kept


def test_a_queued_request_that_is_forgotten_is_never_sent() -> None:
    bench = SessionBench()
    bench.session.connect()
    request = bench.session.request("calling.dial", {}, bench.now)
    assert bench.session.forget(request) is False
    bench.ready()
    assert bench.sent() == []


def test_three_refusals_before_the_first_success_stop_with_the_servers_message() -> None:
    bench = SessionBench()
    bench.session.connect()
    for attempt in range(3):
        bench.drain()
        connect = bench.open()
        bench.feed(id=connect["id"], error={"code": -32002, "message": "Authentication failed"})
        if attempt < 2:
            bench.pass_time(30)
    stopped = [one for one in bench.drain() if isinstance(one, outputs.Stopped)]
    assert stopped[0].error is not None
    assert (stopped[0].error.code, stopped[0].error.message) == (-32002, "Authentication failed")
    assert bench.session.state is State.CLOSED


def test_a_result_with_a_code_that_is_not_2xx_refuses_too() -> None:
    bench = SessionBench(max_refusals=1)
    bench.session.connect()
    connect = bench.open()
    bench.feed(id=connect["id"], result={"code": "401", "message": "no"})
    assert bench.session.state is State.CLOSED


@pytest.mark.parametrize("code", [-32000, -32005, -32603])
def test_a_server_in_trouble_is_tried_for_ever(code: int) -> None:
    bench = SessionBench()
    bench.session.connect()
    for _ in range(10):
        connect = bench.open()
        bench.feed(id=connect["id"], error={"code": code, "message": "later"})
        bench.pass_time(60)
        bench.drain()
    assert bench.session.state is State.OPENING


def test_a_refused_resume_is_tried_afresh() -> None:
    bench = SessionBench()
    bench.ready()
    bench.session.lost("cut", bench.now)
    bench.pass_time(30)
    bench.drain()
    connect = bench.open()
    bench.feed(id=connect["id"], error={"code": -32003, "message": "Requester validation failed"})
    bench.pass_time(30)
    bench.drain()
    assert "protocol" not in bench.open()["params"]


def test_back_off_grows_from_one_to_thirty_seconds_and_starts_again_after_success() -> None:
    bench = SessionBench()
    bench.session.connect()
    delays = []
    for _ in range(8):
        bench.session.lost("refused", bench.now)
        delays += [one.delay_s for one in bench.drain() if isinstance(one, outputs.Lost)]
        bench.pass_time(delays[-1])
    assert delays == sorted(delays)
    assert 1 <= delays[0] <= 2
    assert delays[-1] <= 30
    bench.drain()
    bench.ready()
    bench.session.lost("cut", bench.now)
    assert next(one.delay_s for one in bench.drain() if isinstance(one, outputs.Lost)) == delays[0]


def test_unreadable_frames_are_told_and_ignored() -> None:
    bench = SessionBench()
    bench.ready()
    bench.drain()
    bench.session.received("{", bench.now)
    bench.session.received('"text"', bench.now)
    assert [type(one) for one in bench.drain()] == [outputs.Ignored, outputs.Ignored]
    assert bench.session.state is State.READY


def test_closed_is_final_and_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)
    assert TRANSITIONS[State.CLOSED] == frozenset()
    bench = SessionBench()
    bench.ready()
    bench.session.close()
    bench.session.close()
    request = bench.session.request("m", {}, bench.now)
    assert isinstance(bench.failures()[request], ConnectionLost)
    assert sum(isinstance(one, outputs.Stopped) for one in bench.seen) == 1


class AnyOrder(RuleBasedStateMachine):
    """Any order of drops, resumes, replies, silence and closing: each request ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = SessionBench(max_queued=5)
        self.session = self.bench.session
        self.session.connect()
        self.requests: list[str] = []
        self.forgotten: set[str] = set()
        self.events: list[str] = []

    def _connect_id(self) -> str | None:
        self.bench.drain()
        sent = [json.loads(one.data) for one in self.bench.seen if isinstance(one, outputs.Send)]
        return next((one["id"] for one in reversed(sent) if one.get("method") == "signalwire.connect"), None)

    @rule()
    def opened(self) -> None:
        self.session.opened(self.bench.now)

    @rule()
    def lost(self) -> None:
        self.session.lost("cut", self.bench.now)

    @rule(protocol=st.sampled_from(["sig_a", "sig_b"]), keeps=st.sampled_from([0, 20, 600]))
    def accepted(self, protocol: str, keeps: int) -> None:
        if (connect := self._connect_id()) is not None:
            self.bench.feed(id=connect, result={"protocol": protocol, "keeps_request_ids_s": keeps})

    @rule()
    def refused(self) -> None:
        if (connect := self._connect_id()) is not None:
            self.bench.feed(id=connect, error={"code": -32002, "message": "no"})

    @rule()
    def request(self) -> None:
        self.requests.append(self.session.request("calling.play", {}, self.bench.now))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        self.bench.feed(id=data.draw(st.sampled_from(self.requests)), result={"code": "200"})

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def refuse_for_now(self, data: st.DataObject) -> None:
        self.bench.drain()
        sent = [json.loads(one.data) for one in self.bench.seen if isinstance(one, outputs.Send)]
        ids = [one["id"] for one in sent if one.get("method") == "calling.play"]
        if ids:
            self.bench.refuse_for_now(data.draw(st.sampled_from(ids)))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.requests))
        self.bench.drain()
        self.session.forget(request)
        self.forgotten.add(request)

    @rule(number=st.integers(0, 5))
    def event_arrives(self, number: int) -> None:
        self.bench.feed(id=f"e{number}", **event("calling.call.play"))

    @rule(restart=st.booleans())
    def server_leaves(self, restart: bool) -> None:
        self.bench.feed(id="d", method="signalwire.disconnect", params={"restart": restart})

    @rule(seconds=st.sampled_from([0.5, 5.0, 11.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    @invariant()
    def each_request_ends_at_most_once(self) -> None:
        self.bench.drain()
        ended = [one.request_id for one in self.bench.seen if isinstance(one, outputs.Completed | outputs.Failed)]
        assert len(ended) == len(set(ended))

    @invariant()
    def a_deadline_lies_ahead_or_is_due(self) -> None:
        if self.session.state in (State.READY, State.WAITING, State.AUTHENTICATING, State.DRAINING):
            assert self.session.deadline is not None

    def teardown(self) -> None:
        self.session.close()
        self.bench.drain()
        ended = {one.request_id for one in self.bench.seen if isinstance(one, outputs.Completed | outputs.Failed)}
        assert set(self.requests) - self.forgotten <= ended
        assert sum(isinstance(one, outputs.Stopped) for one in self.bench.seen) == 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
