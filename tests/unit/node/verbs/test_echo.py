from __future__ import annotations

import pytest

from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock


@pytest.mark.parametrize(("asked", "given_s"), [(None, 60), (30, 30), (1, 5), (500, 120), (0, 120), (-1, 120)])
async def test_the_timeout_is_clamped(bench, asked, given_s):
    call = await bench.talk()
    params = {} if asked is None else {"timeout": asked}
    result = await bench.run("calling.echo", call, **params)
    assert result == {"code": "200", "message": "Echoing", "call_id": call.call_id}
    [sent] = bench.engine.sent(ops.Echo)
    assert sent.timeout_ms == given_s * 1000
    await bench.sink.when("calling.call.echo", state="finished")
    states = bench.sink.of("calling.call.echo")
    assert [params["state"] for params in states] == ["echoing", "finished"]
    assert all("control_id" not in params for params in states)


async def test_one_echo_at_a_time(bench):
    call = await bench.talk()
    first = await bench.run("calling.echo", call)
    assert await bench.run("calling.echo", call) == first
    assert (await bench.refused("calling.echo", call, timeout=9))[0] == "409"
    assert len(bench.engine.sent(ops.Echo)) == 1
