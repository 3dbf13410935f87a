from __future__ import annotations

import pytest

from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock

PHONE = {"from_uri": "sip:+15551230001@127.0.0.1", "to_uri": "sip:+15551230002@127.0.0.1"}


async def test_codecs_limit_and_order(bench):
    call = bench.ring()
    assert await bench.run("calling.answer", call, codecs=["PCMA", "PCMU"]) == {
        "code": "200",
        "message": "Answering call",
    }
    [answer] = bench.engine.sent(ops.LegAnswer)
    assert answer.codecs == ["PCMA", "PCMU"]


@pytest.mark.parametrize(
    ("invite", "codec", "code"),
    [(PHONE, "OPUS", "400"), (PHONE, "G729", "501"), ({}, "OPUS", "501"), ({}, "nonsense", "400")],
)
async def test_codecs_that_the_call_cannot_have_are_named(bench, invite, codec, code):
    call = bench.ring(**invite)
    refused, sentence = await bench.refused("calling.answer", call, codecs=["PCMU", codec])
    assert refused == code
    assert "codecs" in sentence
    assert not bench.engine.sent(ops.LegAnswer)


async def test_a_call_we_placed_is_not_ours_to_answer(bench):
    device = {"type": "sip", "params": {"to": "sip:bob@127.0.0.1"}}
    await bench.run("calling.dial", tag="t", devices=[[device]])
    params = await bench.sink.when("calling.call.state", call_state="ringing")
    address = {"node_id": params["node_id"], "call_id": params["call_id"]}
    assert (await bench.refused("calling.answer", **address))[0] == "409"
    assert (await bench.refused("calling.pass", **address))[0] == "409"
    play = [{"type": "silence", "params": {"duration": 1}}]
    code, sentence = await bench.refused("calling.play", **address, control_id="p", play=play)
    assert (code, sentence) == ("409", "The call is not answered yet")
