"""sipp calls the engine and is called by it; the controller is as small as can be."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from offhook.node.engine import ops, reports
from rig.engine import Controller, running_engine
from rig.ports import free_port, until_bound
from rig.sipp import run_sipp, sipp_command

pytestmark = pytest.mark.peers


async def answers_plays_and_hangs_up(controller: Controller, calls: int) -> None:
    """One after another from the reports, as a node does it: no task per call."""
    seen = 0
    port = controller.port
    ended = 0
    legs: dict[int, str] = {}
    while ended < calls:
        await asyncio.sleep(0.005)
        fresh, seen = controller.reports[seen:], len(controller.reports)
        for report in fresh:
            match report:
                case reports.LegIncoming():
                    await port.execute(ops.LegAnswer(id=port.next_id(), leg=report.leg))
                    play = port.next_id()
                    legs[play] = report.leg
                    tone = ops.ToneSource([ops.Tone(200, [440.0])])
                    await port.execute(ops.Play(id=play, leg=report.leg, sources=[tone]))
                case reports.OperationEnded():
                    await port.execute(ops.LegHangup(id=port.next_id(), leg=legs[report.op]))
                case reports.LegEnded():
                    assert (report.by, report.cause) == ("local", "bye")
                    ended += 1
                case _:
                    pass


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_calls_and_every_call_is_answered_played_to_and_hung_up(tmp_path, transport):
    async with running_engine() as engine:
        controller, welcome = await engine.connected()
        host, _, port = welcome.sip_udp.rpartition(":")
        working = asyncio.create_task(answers_plays_and_hangs_up(controller, 50))
        result = await run_sipp("short_call", (host, int(port)), tmp_path, m=50, r=25, t=transport, timeout=30)
        await asyncio.wait_for(working, 30)
    assert (result.exit_code, result.successful, result.failed) == (0, 50, 0), result.output


async def test_sipp_is_called_rings_answers_and_is_hung_up(tmp_path):
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *sipp_command("callee", None, tmp_path, m=1, p=port),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until_bound(port)
        async with running_engine() as engine:
            controller, _ = await engine.connected()
            dial = ops.LegDial(
                id=1,
                leg="dialled",
                to_uri=f"sip:100@127.0.0.1:{port}",
                from_uri="sip:alice@127.0.0.1",
                destination=f"127.0.0.1:{port}",
            )
            await controller.port.execute(dial)
            assert (await controller.sees(reports.LegProgress)).status == 180
            answered = await controller.sees(reports.LegAnswered)
            assert (answered.codec, answered.digits) == ("PCMU", "inband")
            await controller.port.execute(ops.LegHangup(id=2, leg="dialled"))
            ended = await controller.sees(reports.LegEnded)
            assert (ended.by, ended.cause) == ("local", "bye")
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
