"""How calls end, on the wire: each reason as a SIP response with its sentence, and each response as a reason."""

from __future__ import annotations

import pytest

from rig.cpu import Stopwatch
from rig.dialog import sdp
from rig.fixtures import Callers, Talk, answered, offer
from rig.processes import clock_of
from rig.relay import RelayPeer
from rig.sip import assert_helpful, sentence

REASONS = {"hangup": 603, "decline": 603, "busy": 486, "noAnswer": 480, "cancel": 487, "error": 500}


@pytest.mark.parametrize(("reason", "status"), REASONS.items())
async def test_an_unanswered_call_is_refused_with_its_status_and_a_sentence(
    callers: Callers, relay: RelayPeer, reason: str, status: int
) -> None:
    """livekit/sip#362 and six more: a refusal whose cause cannot be read is taken for a flood."""
    caller = await callers()
    call = await offer(caller, relay)
    await relay.command(call, "end", reason=reason)
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, status)
    ended = await relay.state(call, "ended")
    assert (ended.params["end_reason"], ended.params["end_source"]) == (reason, "outbound")
    assert ended.params["answer_time"] == 0


@pytest.mark.judges_time
async def test_an_invite_gets_100_at_once_and_180_while_its_program_thinks(callers: Callers, relay: RelayPeer) -> None:
    """livekit/livekit#4374: silence until somebody answers is taken for a dead line."""
    caller = await callers()
    clock = Stopwatch(relay.node.engine().pid)
    began = clock.start()
    caller.invite()
    trying = await caller.sip.expect(lambda m: m.status == 100, what="100")
    assert clock.took(began, trying.at) < 0.2
    call = await relay.event("receive")
    assert trying.at < call.at, "the engine says so by itself"
    ringing = await caller.sip.expect(lambda m: m.status == 180, what="180")
    await relay.command(call, "answer")
    answer = await caller.accept()
    assert ringing.to_tag == answer.to_tag
    await caller.bye()
    await relay.state(call, "ended")


@pytest.mark.judges_time
async def test_a_call_of_limited_duration_is_ended_with_a_bye_that_says_so(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    clock = clock_of(relay.node)
    clock.start()
    await relay.command(call, "answer", max_duration=1)
    answer = await caller.accept()
    bye = await caller.ended_by_node()
    assert bye.at - answer.at > 0.95, "by the kernel's clock"
    took = clock.took(answer.at, bye.at)
    print(f"ended after {bye.at - answer.at:.3f} s, {took:.3f} s of it not for want of a CPU")
    assert took < 1.3
    assert "duration" in sentence(bye)
    ended = await relay.state(call, "ended")
    assert (ended.params["end_reason"], ended.params["end_source"]) == ("maxDuration", "none")


@pytest.mark.parametrize(
    ("address", "port"), [("8.8.8.8", 40000), ("localhost", 40000), ("127.0.0.1", 0)], ids=["public", "name", "port-0"]
)
async def test_media_that_cannot_be_reached_is_refused_before_the_answer(
    callers: Callers, relay: RelayPeer, address: str, port: int
) -> None:
    """restsend/rustpbx#280: answered, silent, and hung up later; here the caller learns at once what to change."""
    caller = await callers()
    caller.invite(sdp(port, host=address))
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 488)
    assert [e for e in relay.events if e.type == "calling.call.receive"] == []


async def test_a_reinvite_to_where_no_way_leads_leaves_the_call_as_it_was(talk: Talk) -> None:
    caller = talk.caller
    caller.request("INVITE", sdp(40000, host="8.8.8.8", version=2))
    final = await caller.final()
    caller.ack_reinvite_failure(final)
    assert_helpful(final, 488)
    await caller.rtp.hears(10, caller.rtp.mark())


async def test_requests_in_a_call_that_are_not_served_say_so_and_the_call_goes_on(
    callers: Callers, relay: RelayPeer
) -> None:
    talk = await answered(await callers(), relay)
    caller = talk.caller
    for method, status in (("MESSAGE", 405), ("REFER", 405), ("SUBSCRIBE", 405), ("MADEUP", 501)):
        caller.request(method)
        response = await caller.response(method)
        assert_helpful(response, status)
        assert "INVITE" in response.get("Allow")
    caller.request("INFO", "hello", content_type="text/plain")
    response = await caller.response("INFO")
    assert_helpful(response, 415)
    assert "application/dtmf-relay" in response.get("Accept")
    caller.request("INFO", "Signal=Z\r\nDuration=160\r\n", content_type="application/dtmf-relay")
    assert_helpful(await caller.response("INFO"), 400)
    caller.request("OPTIONS")
    assert (await caller.response("OPTIONS")).status == 200
    await caller.bye()
    ended = await relay.state(talk.call, "ended")
    assert (ended.params["end_reason"], ended.params["end_source"]) == ("hangup", "inbound")
    caller.request("INFO", "Signal=1\r\n", content_type="application/dtmf-relay")
    assert_helpful(await caller.response("INFO"), 481)
