from __future__ import annotations

import pytest

from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock


async def test_finished_when_the_last_digit_was_sent(bench):
    call = await bench.talk()
    result = await bench.run("calling.send_digits", call, control_id="d", digits="1wW#aD")
    assert result["message"] == "Sending"
    await bench.sink.when("calling.call.send_digits", control_id="d", state="finished")
    [sent] = bench.engine.sent(ops.SendDigits)
    assert sent.digits == "1wW#AD"


async def test_any_other_character_refuses_the_whole_request(bench):
    call = await bench.talk()
    code, sentence = await bench.refused("calling.send_digits", call, control_id="d", digits="12x")
    assert code == "400"
    assert "digits" in sentence
    assert not bench.engine.sent(ops.SendDigits)


async def test_a_hangup_before_the_last_digit_is_an_error(bench):
    call = await bench.talk()
    await bench.run("calling.send_digits", call, control_id="d", digits="1" * 50)
    bench.engine.hang_up(call.leg.id)
    await bench.ended(call)
    assert bench.told("d") == ["send_digits error"]
