"""The control socket of the real engine: who may speak, what a bad frame costs, what outlives a node."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import stat
import struct

import pytest

from offhook.errors import EngineLost, EngineRefused
from offhook.node.engine import ops
from rig.engine import RawControl, running_engine

NOBODY = 65534


@pytest.fixture
async def engine():
    async with running_engine() as engine:
        yield engine


async def test_a_welcome_tells_where_sip_listens_and_the_socket_is_ours_alone(engine):
    controller, welcome = await engine.connected()
    assert welcome.version == ops.CONTROL_VERSION
    assert welcome.sip_udp.startswith("127.0.0.1:")
    assert stat.S_IMODE(engine.options.socket.stat().st_mode) == 0o600
    await controller.port.execute(ops.Ping(id=controller.port.next_id()))


async def test_a_wrong_secret_is_refused_and_the_controller_stays(engine):
    controller, _ = await engine.connected()
    with pytest.raises(EngineLost, match="secret"):
        await engine.controller(secret=bytes(32)).start()
    await controller.port.execute(ops.Ping(id=1))
    assert not controller.lost


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
async def test_another_user_is_not_heard_though_the_door_is_open_and_the_secret_right(engine):
    controller, _ = await engine.connected()
    engine.options.socket.parent.chmod(0o755)
    engine.options.socket.chmod(0o666)
    stranger = socket.socket(socket.AF_UNIX)
    os.seteuid(NOBODY)
    try:
        stranger.connect(str(engine.options.socket))
    finally:
        os.seteuid(0)
    raw = RawControl(*await asyncio.open_unix_connection(sock=stranger))
    raw.say(ops.Hello(version=ops.CONTROL_VERSION, epoch=99, secret=engine.secret))
    assert await raw.hears() is None
    await raw.close()
    await controller.port.execute(ops.Ping(id=1))
    assert not controller.lost


async def test_an_older_epoch_is_refused_and_a_newer_one_takes_over(engine):
    first = engine.controller(epoch=10)
    await first.start()
    with pytest.raises(EngineLost, match="epoch"):
        await engine.controller(epoch=10).start()
    with pytest.raises(EngineLost, match="epoch"):
        await engine.controller(epoch=9).start()
    second = engine.controller(epoch=11)
    await second.start()
    await first.is_lost()
    await second.port.execute(ops.Ping(id=1))
    with pytest.raises(EngineLost):
        await first.port.execute(ops.Ping(id=2))


async def test_another_version_is_refused_with_a_sentence(engine):
    raw = await RawControl.open(engine)
    raw.say(ops.Hello(version=99, epoch=1, secret=engine.secret))
    answer = await raw.hears()
    assert "version 1" in answer["error"]["message"]
    assert await raw.hears() is None
    await raw.close()


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\xc1", id="no-msgpack"),
        pytest.param(b"\x93\x01\x02\x03", id="no-map"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x81\xa2op\xa4what", id="unknown-operation"),
        pytest.param(b"\x82\xa2op\xa4ping\xa2id\xff", id="negative-id"),
        pytest.param(b"\x91" * 10_000, id="deeply-nested"),
    ],
)
async def test_a_bad_frame_closes_that_connection_and_the_next_one_works(engine, frame):
    raw = await RawControl.open(engine)
    raw.say(ops.Hello(version=1, epoch=1, secret=engine.secret))
    assert (await raw.hears())["report"] == "welcome"
    raw.say(frame)
    assert await raw.hears() is None
    await raw.close()
    controller = engine.controller(epoch=2)
    await controller.start()
    await controller.port.execute(ops.Ping(id=1))


async def test_a_frame_of_more_than_a_mebibyte_is_refused_before_it_is_read(engine):
    raw = await RawControl.open(engine)
    raw.say(ops.Hello(version=1, epoch=1, secret=engine.secret))
    await raw.hears()
    raw.writer.write(struct.pack(">I", (1 << 20) + 1))
    assert await raw.hears() is None
    await raw.close()
    stranger = await RawControl.open(engine)
    stranger.writer.write(struct.pack(">I", 0xFFFF_FFFF))
    assert await stranger.hears() is None
    await stranger.close()


async def test_a_frame_of_just_a_mebibyte_is_read(engine):
    raw = await RawControl.open(engine)
    raw.say(ops.Hello(version=1, epoch=1, secret=engine.secret))
    await raw.hears()
    pcm = ops.Pcm(stream=1, samples=b"")
    raw.say(ops.Pcm(stream=1, samples=bytes((1 << 20) - 200)))
    raw.say(pcm)
    raw.say(ops.Ping(id=5))
    assert (await raw.hears())["op"] == 5
    await raw.close()


async def test_garbage_from_strangers_never_disturbs_the_controller(engine):
    controller, _ = await engine.connected()
    dice = random.Random(4)
    for _ in range(50):
        stranger = await RawControl.open(engine)
        stranger.writer.write(dice.randbytes(dice.randrange(1, 2000)))
        await stranger.close()
    await controller.port.execute(ops.Ping(id=1))
    assert not controller.lost


async def test_silent_strangers_do_not_keep_a_node_out(engine):
    strangers = [await RawControl.open(engine) for _ in range(40)]
    await strangers[0].close()
    await asyncio.sleep(5.5)
    controller, _ = await engine.connected()
    await controller.port.execute(ops.Ping(id=1))
    for stranger in strangers[1:]:
        await stranger.close()


async def test_operations_on_what_does_not_exist_are_refused_with_their_slugs(engine):
    controller, _ = await engine.connected()
    port = controller.port
    for operation, code in [
        (ops.Play(id=1, leg="nobody", sources=[ops.SilenceSource(100)]), "unknown_leg"),
        (ops.LegAnswer(id=2, leg="nobody"), "unknown_leg"),
        (ops.Pause(id=3, target=77), "unknown_operation"),
        (
            ops.LegDial(id=4, leg="a", to_uri="sip:a@127.0.0.1", from_uri="sip:b@127.0.0.1", destination="nowhere"),
            "bad_request",
        ),
    ]:
        with pytest.raises(EngineRefused) as refused:
            await port.execute(operation)
        assert refused.value.code == code, operation
        assert len(refused.value.message) > 10
    await port.execute(ops.Stop(id=5, target=77))
    await port.execute(ops.LegHangup(id=6, leg="nobody"))


async def test_without_a_node_the_engine_exits_in_time():
    async with running_engine(orphan_s=0.6) as engine:
        assert await asyncio.wait_for(engine.launched.process.wait(), 30) == 3


async def test_a_node_that_comes_back_in_time_keeps_the_engine_alive():
    async with running_engine(orphan_s=4.0) as engine:
        for _ in range(4):  # together longer than it waits; each far shorter
            controller, _ = await engine.connected()
            await controller.port.close()
            await asyncio.sleep(1.2)
        assert engine.launched.process.returncode is None


async def test_the_lifeline_ends_it_long_before_it_would_give_up_waiting_for_a_node(engine):
    await engine.connected()
    engine.launched.let_go()
    assert await asyncio.wait_for(engine.launched.process.wait(), 15) == 0
    assert not engine.options.socket.exists()


async def test_sigterm_ends_it_cleanly(engine):
    await engine.connected()
    os.kill(engine.launched.process.pid, signal.SIGTERM)
    assert await asyncio.wait_for(engine.launched.process.wait(), 30) == 0
