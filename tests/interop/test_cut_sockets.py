"""The client's socket cut 30 times at random bytes: no event lost, each handler once, audio never stops."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rig import audio
from rig.apps import AppProcess, published_python, published_typescript
from rig.chopper import Chopper
from rig.dialog import Caller
from rig.node import NodeProcess, running_node
from rig.together import Together

pytestmark = [pytest.mark.peers, pytest.mark.judges_time, pytest.mark.timeout(300)]

CUTS = 30
ORDER = ["answered", "ending", "ended"]


@dataclass
class Outcome:
    """What the long scenario saw."""

    app: AppProcess
    cuts: int
    short_calls: int
    finals: list[int]
    largest_gap_ms: float
    broken: list[str]
    quiet_after_tone: int
    seconds: float


async def short_call(node: NodeProcess, seed: int) -> int:
    """A caller who waits to be answered and hung up; the final status."""
    caller = await Caller.open(node.sip(), to=f"short{seed}")
    try:
        caller.invite()
        final = await caller.final(60)
        if final.status != 200:
            caller.ack_failure(final)
            return final.status
        caller.answer = final
        caller.ack()
        caller.rtp.start(final.media)
        await caller.ended_by_node(90)
        return 200
    finally:
        caller.close()


async def taken(node: NodeProcess, to: str) -> Caller:
    """A call that is answered: before the program has subscribed, calls are refused."""
    while True:
        caller = await Caller.open(node.sip(), to=to)
        caller.invite()
        final = await caller.final()
        if final.status == 200:
            caller.answer = final
            caller.ack()
            caller.rtp.start(final.media)
            return caller
        caller.ack_failure(final)
        caller.close()
        assert final.status == 480
        await asyncio.sleep(0.2)


async def serve_tone(directory: Path) -> tuple[web.AppRunner, str]:
    audio.write_wav(directory / "tone.wav", audio.tone(440, 240))
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/tone.wav"


async def cut_often(node: NodeProcess, launch: Any, work: Path, seed: int) -> Outcome:
    """A long call with a tone and short calls beside it, while the socket is cut again and again."""
    dice = random.Random(seed)
    loop = asyncio.get_running_loop()
    runner, url = await serve_tone(work)
    remote = ("127.0.0.1", node.relay_port)
    async with Chopper(remote, seed, CUTS) as chopper:  # noqa: SIM117  the app needs its port
        async with launch(node, "resilient", url, relay_host=chopper.host) as app:
            long = await taken(node, "long")
            long.rtp.watch(node.engine().pid)
            tone = await app.line("tone")
            await asyncio.sleep(0.5)
            mark = long.rtp.mark()
            chopper.armed, began = True, loop.time()
            calls: list[asyncio.Task[int]] = []
            while not chopper.done.is_set() and loop.time() - began < 150:
                calls.append(asyncio.create_task(short_call(node, len(calls))))
                await asyncio.sleep(dice.uniform(1.0, 4.0))
            chopper.armed = False
            finals = list(await asyncio.gather(*calls))
            await asyncio.sleep(6)
            quiet = sum(1 for _, rms in long.rtp.loudness(mark) if rms < 500)
            await long.bye()
            await app.line("done", lambda x: x.data["call_id"] == tone.data["call_id"], 60)
            outcome = Outcome(
                app=app,
                cuts=chopper.cuts,
                short_calls=len(calls),
                finals=finals,
                largest_gap_ms=long.rtp.largest_stop_ms(mark),
                broken=long.rtp.broken(mark),
                quiet_after_tone=quiet,
                seconds=loop.time() - began,
            )
            long.close()
    await runner.cleanup()
    return outcome


@pytest.fixture(scope="module")
def long_scenarios(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    together = Together()
    work = {name: tmp_path_factory.mktemp(name) for name in ("python", "typescript")}
    with running_node(work["python"] / "node") as first, running_node(work["typescript"] / "node") as second:
        together.start("python", lambda: cut_often(first, published_python, work["python"], 41))
        together.start("typescript", lambda: cut_often(second, published_typescript, work["typescript"], 42))
        try:
            yield together
        finally:
            together.close()


@pytest.mark.parametrize("sdk", ["python", "typescript"])
def test_a_socket_cut_thirty_times_costs_nothing(long_scenarios: Together, sdk: str) -> None:
    """signalwire-legacy-js#1187, #1329; jambonz-feature-server#103, #633: each stage of this was wrong once."""
    outcome: Outcome = long_scenarios.outcome(sdk, 280)
    app = outcome.app
    print(
        f"{sdk}: {outcome.cuts} cuts in {outcome.seconds:.0f} s, {outcome.short_calls} calls beside, "
        f"{len(app.all('retry'))} commands given again, {len(app.all('action'))} actions, "
        f"largest audio gap {outcome.largest_gap_ms:.1f} ms"
    )
    assert outcome.cuts == CUTS
    assert outcome.broken == []
    assert outcome.largest_gap_ms < 100
    assert outcome.quiet_after_tone == 0, "the tone stopped"
    # A client that is away for longer than a call is held leaves its caller with 480, and nothing else.
    assert set(outcome.finals) <= {200, 480}
    assert outcome.finals.count(200) >= outcome.short_calls // 3
    assert app.all("failed") == []
    handled = Counter(line["call_id"] for line in app.all("call"))
    assert set(handled.values()) == {1}, "a handler ran twice"
    assert {line["call_id"] for line in app.all("done")} == set(handled), "a handler never saw its end"
    answered = 0
    for line in app.all("call"):
        number = re.search(r"short(\d+)@", json.dumps(line["to"]))
        seen = [x["state"] for x in app.all("state") if x["call_id"] == line["call_id"]]
        if number and outcome.finals[int(number.group(1))] != 200:
            assert "ended" in seen
            continue
        answered += 1
        assert list(dict.fromkeys(seen)) == ORDER, f"{line['call_id']}: {seen}"
    assert answered == outcome.finals.count(200) + 1, "a call that was answered had no handler"
