"""What a stolen token or a loop may dial (reliability 5.7): numbers, calls at once, calls a second."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import structlog

from bench import NODE, SETTINGS, Bench, open_bench
from offhook.errors import CallerError
from offhook.node.calls.caps import OutboundCaps, check_number
from offhook.node.calls.endings import Ending
from offhook.node.calls.ports import Client
from offhook.node.calls.settings import DialSettings, TrunkSettings
from offhook.node.engine import ops
from offhook.protocol.states import EndReason, EndSource
from offhook.testing.engine import Peer

pytestmark = pytest.mark.virtual_clock

TRUNK = TrunkSettings("trunk.example", 5080, from_number="+15550000000", allow=["+1555", "+44"], calls_at_once=3)


def phone(number: str) -> dict[str, object]:
    return {"type": "phone", "params": {"to_number": number}}


def sip(name: str) -> dict[str, object]:
    return {"type": "sip", "params": {"to": f"sip:{name}@127.0.0.1"}}


async def dial(bench: Bench, tag: str, *devices: dict[str, object], session: str = "session-1") -> None:
    """Devices that ring at once."""
    params = {"node_id": NODE, "tag": tag, "devices": [list(devices)]}
    await bench.registry.run("calling.dial", params, Client(session))


async def told(bench: Bench, tag: str) -> str:
    """Why a dial failed."""
    return str((await bench.sink.when("calling.call.dial", tag=tag, dial_state="failed"))["message"])


def refusals(bench: Bench) -> list[str]:
    """Why dials failed before anybody was called."""
    failed = bench.sink.of("calling.call.dial", dial_state="failed", reason="error")
    assert failed
    return [str(params["message"]) for params in failed]


@pytest.mark.parametrize(
    ("number", "allow", "deny", "says"),
    [
        ("+15551234567", ["+1"], [], ""),
        ("+15551234567", ["*"], [], ""),
        ("+15551234567", [], [], "[trunk] allow"),
        ("+442071234567", ["+1"], [], "[trunk] allow"),
        ("15551234567", ["+1"], [], "[trunk] allow"),  # another number, for a carrier that takes national ones
        ("+19001234567", ["+1"], ["+1900"], "[trunk] deny"),
        ("+19001234567", ["+1", "+19001234"], ["+1900"], ""),
        ("+19001234567", ["*"], ["+1900"], "[trunk] deny"),
        ("+19001234567", ["+1900"], ["+1900"], "[trunk] deny"),
        ("+88212345678", ["*"], TrunkSettings().deny, "[trunk] deny"),
    ],
)
def test_the_longest_prefix_says_whether_a_number_may_be_dialled(number, allow, deny, says):
    trunk = TrunkSettings("trunk.example", allow=allow, deny=deny)
    if not says:
        check_number(number, trunk)
        return
    with pytest.raises(CallerError) as refused:
        check_number(number, trunk)
    assert says in str(refused.value)


async def test_a_number_that_is_not_allowed_is_not_dialled_and_the_sentence_names_the_setting(tmp_path):
    async with open_bench(tmp_path, trunk=TRUNK) as bench:
        await dial(bench, "t", phone("+33123456789"))
        assert '"+3", to [trunk] allow' in await told(bench, "t")
        assert bench.engine.sent(ops.LegDial) == []
        await dial(bench, "u", phone("+15551234567"))
        await bench.sink.when("calling.call.dial", tag="u", dial_state="answered")


async def test_by_default_no_number_is_allowed(tmp_path):
    async with open_bench(tmp_path, trunk=TrunkSettings("trunk.example", from_number="+15550000000")) as bench:
        await dial(bench, "t", phone("+15551234567"))
        assert "[trunk] allow" in await told(bench, "t")


async def test_calls_to_the_trunk_at_once_are_bounded_and_the_next_goes_when_one_is_over(tmp_path):
    async with open_bench(tmp_path, trunk=TRUNK) as bench:
        for number in range(3):
            await dial(bench, f"t{number}", phone(f"+1555000000{number}"))
            await bench.sink.when("calling.call.dial", tag=f"t{number}", dial_state="answered")
        await dial(bench, "more", phone("+15550000009"))
        assert "trunk.calls_at_once" in await told(bench, "more")
        await dial(bench, "near", sip("bob"))
        await bench.sink.when("calling.call.dial", tag="near", dial_state="answered")
        first = next(iter(bench.exchange.calls))
        await bench.run("calling.end", first)
        await bench.ended(first)
        await asyncio.sleep(0)
        await dial(bench, "again", phone("+15550000009"))
        await bench.sink.when("calling.call.dial", tag="again", dial_state="answered")


async def test_a_loop_that_dials_the_trunk_is_slowed_to_its_calls_a_second(tmp_path):
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=10_000)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.1, status=486)
        for number in range(600):
            await dial(bench, f"t{number}", phone("+15551234567"))
            await asyncio.sleep(0.1)
        assert 60 <= len(bench.engine.sent(ops.LegDial)) <= 71
        assert all("trunk.calls_per_s" in text for text in refusals(bench))


async def test_calls_to_the_trunk_that_come_too_soon_wait_for_their_turns_in_order(tmp_path):
    """25 at once were 10 calls and 15 failures."""
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.1)
        for number in range(25):
            await dial(bench, f"t{number}", phone(f"+155512345{number:02}"))
        await asyncio.sleep(0.5)
        assert len(bench.engine.sent(ops.LegDial)) == 10
        assert len(bench.sink.of("calling.call.dial", dial_state="dialing")) == 25
        for passed in range(1, 16):
            await asyncio.sleep(1)
            assert len(bench.engine.sent(ops.LegDial)) == 10 + passed
        await asyncio.sleep(0.5)
        answered = [params["tag"] for params in bench.sink.of("calling.call.dial", dial_state="answered")]
        assert answered[10:] == [f"t{number}" for number in range(10, 25)]
        assert not bench.exchange.caps._trunk_pace._waiting


@pytest.mark.parametrize(("timeout_s", "placed"), [(5, 15), (20, 25), (None, 25)])
async def test_none_waits_longer_than_it_may_ring_nor_who_would_have_no_turn_then(tmp_path, timeout_s, placed):
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.1, status=486)
        for number in range(40):  # of one client, which may have half of the 30 turns
            device = phone("+15551234567")
            if timeout_s:
                device["params"]["timeout"] = timeout_s
            await dial(bench, f"t{number}", device)
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        texts = refusals(bench)
        assert len(texts) == 40 - placed  # at once: nobody waits in vain
        assert all("trunk.calls_per_s" in text for text in texts)
        await asyncio.sleep(60)
        assert len(bench.engine.sent(ops.LegDial)) == placed
        assert len(bench.sink.of("calling.call.dial", dial_state="failed")) == 40


async def test_one_client_that_waits_leaves_turns_for_others(tmp_path):
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        for number in range(40):
            await dial(bench, f"g{number}", phone("+15551234567"), session="greedy")
        await asyncio.sleep(0.05)
        await dial(bench, "modest", phone("+15551234567"), session="modest")
        await bench.sink.when("calling.call.dial", tag="modest", dial_state="answered")


async def test_without_a_wait_what_comes_too_soon_fails_at_once(tmp_path):
    dialling = DialSettings(calls_per_s=5, wait_s=0)
    async with open_bench(tmp_path, dial=dialling) as bench:
        for number in range(11):
            await dial(bench, f"t{number}", sip("bob"))
        await asyncio.sleep(0.05)
        assert "dial.calls_per_s" in await told(bench, "t10")


async def test_who_goes_while_its_call_waits_gives_its_turn_and_its_place_back(tmp_path):
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.1, status=486)
        for number in range(25):
            await dial(bench, f"t{number}", phone("+15551234567"), session="gone" if number >= 10 else "here")
        await asyncio.sleep(0.5)
        bench.exchange.cancel_dials("gone", "Its client is gone")
        await asyncio.sleep(0.5)
        assert bench.sink.of("calling.call.dial", tag="t24")[-1]["message"] == "Its client is gone"
        caps = bench.exchange.caps
        assert not caps._by_session
        assert not caps._on_trunk
        assert not caps._trunk_pace._waiting
        assert caps.spending.calls(asyncio.get_running_loop().time()) == 10
        await dial(bench, "next", phone("+15551234567"), session="here")
        await asyncio.sleep(1)
        assert len(bench.engine.sent(ops.LegDial)) == 11
        await asyncio.sleep(60)
        assert len(bench.engine.sent(ops.LegDial)) == 11


async def test_a_turn_that_is_forgone_goes_back_to_every_pace_that_counted_it():
    """A call that waited for the trunk alone took a turn of all calls with it for good."""
    dial = DialSettings(calls_per_s=10, wait_s=60)
    trunk = TrunkSettings("trunk.example", allow=["*"], calls_per_s=1, calls_at_once=100)
    caps = OutboundCaps(msgspec.structs.replace(SETTINGS, dial=dial, trunk=trunk))
    for _ in range(10):
        assert not caps.admit("a", to_trunk=True, patience_s=60).wait_s
    turn = caps.admit("a", to_trunk=True, patience_s=60)
    assert turn.wait_s
    before = caps._pace._left
    caps.forgo(turn)
    assert caps._pace._left == before + 1
    assert not caps._trunk_pace._waiting


async def test_of_devices_that_ring_together_those_that_may_ring_and_the_others_in_their_turn(tmp_path):
    trunk = TrunkSettings("trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.default_peer = Peer(answer_after_s=None)
        await dial(bench, "t", *(phone(f"+155512345{number:02}") for number in range(13)))
        await asyncio.sleep(0.5)
        assert len(bench.engine.sent(ops.LegDial)) == 10
        bench.engine.default_peer = Peer(answer_after_s=0.1)
        dialled = await bench.sink.when("calling.call.dial", tag="t", dial_state="answered")
        assert dialled["call"]["device"]["params"]["to_number"] == "+15551234510"
        await asyncio.sleep(30)
        assert len(bench.engine.sent(ops.LegDial)) == 11  # the two that waited are not called any more


async def test_one_client_leaves_lines_for_the_others_and_all_together_for_calls_that_come_in(tmp_path):
    """100 requests of 50 devices took all 2000 lines of the node, and callers got 503."""
    async with open_bench(tmp_path, dial=DialSettings(calls_at_once=40, calls_per_s=1000)) as bench:
        bench.engine.default_peer = Peer(answer_after_s=None)
        await dial(bench, "greedy", *(sip(f"g{number}") for number in range(50)))
        await asyncio.sleep(1)
        assert len(bench.exchange.calls) == 20
        for number in range(30):
            await dial(bench, f"o{number}", *(sip(f"o{number}-{n}") for n in range(2)), session=f"s{number}")
        await asyncio.sleep(1)
        assert len(bench.exchange.calls) == 40
        assert "dial.calls_at_once" in await told(bench, "o29")
        bench.ring()
        assert len(bench.exchange.calls) == 41


async def test_calls_a_second_are_bounded_for_all_together(tmp_path):
    async with open_bench(tmp_path, dial=DialSettings(calls_per_s=5)) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.05, status=486)
        for number in range(600):
            await dial(bench, f"t{number}", sip("bob"), session=f"s{number}")
            await asyncio.sleep(0.1)
        assert 300 <= len(bench.engine.sent(ops.LegDial)) <= 311
        assert all("dial.calls_per_s" in text for text in refusals(bench))


async def test_whatever_becomes_of_calls_their_places_are_free_again(bench):
    bench.engine.peers = {"sip:busy@127.0.0.1": Peer(status=486), "sip:never@127.0.0.1": Peer(answer_after_s=None)}
    bench.engine.refuse_next(ops.LegDial)
    for name in ("refused", "busy", "never", "fine"):
        await dial(bench, name, sip(name))
    await asyncio.sleep(40)
    [call] = list(bench.exchange.calls)
    await bench.run("calling.end", call)
    await asyncio.sleep(1)
    assert not bench.exchange.caps._by_session
    assert bench.exchange.caps._on_trunk == 0


async def test_calls_that_were_adopted_count(tmp_path):
    async with open_bench(tmp_path) as old:
        old.engine.default_peer = Peer(answer_after_s=None)
        await dial(old, "t", sip("bob"))
        await asyncio.sleep(1)
        exchange, _ = old.build(SETTINGS)
        async with exchange:
            await exchange.attach()
            assert exchange.caps._by_session == {"session-1": 1}
            await old.exchange.attach()


# --- a day ------------------------------------------------------------------------------------------------------


def trunk_of_a_day(**most: int) -> TrunkSettings:
    return TrunkSettings(
        "trunk.example", from_number="+15550000000", allow=["+1"], calls_at_once=100, calls_per_s=100.0, **most
    )


async def test_a_stolen_token_places_so_many_calls_to_the_trunk_a_day_and_the_day_moves_on(tmp_path):
    """And says so once in the log, before it is used up and then; other calls are placed all the same."""
    async with open_bench(tmp_path, trunk=trunk_of_a_day(calls_per_day=50)) as bench:
        bench.engine.default_peer = Peer(answer_after_s=0.05, status=486)
        with structlog.testing.capture_logs() as logs:
            for number in range(570):
                await dial(bench, f"t{number}", phone("+15551234567"))
                await asyncio.sleep(0.1)
        assert len(bench.engine.sent(ops.LegDial)) == 50
        assert "trunk.calls_per_day" in await told(bench, "t569")
        told_once = [line for line in logs if line.get("setting") == "trunk.calls_per_day"]
        assert [(line["log_level"], line["spent_in_24_hours"]) for line in told_once] == [
            ("warning", 40),
            ("warning", 50),
        ]
        await dial(bench, "near", sip("bob"))
        await bench.sink.when("calling.call.dial", tag="near", dial_state="failed", reason="busy")
        await asyncio.sleep(23 * 3600)
        await dial(bench, "early", phone("+15551234567"))
        assert "trunk.calls_per_day" in await told(bench, "early")
        await asyncio.sleep(2 * 3600)
        await dial(bench, "next day", phone("+15551234567"))
        await bench.sink.when("calling.call.dial", tag="next day", dial_state="failed", reason="busy")


async def test_minutes_of_a_day_are_counted_while_they_are_talked_and_calls_that_go_on_do(tmp_path):
    async with open_bench(tmp_path, trunk=trunk_of_a_day(minutes_per_day=60)) as bench:
        for number in range(3):
            await dial(bench, f"t{number}", phone("+15551234567"))
            await bench.sink.when("calling.call.dial", tag=f"t{number}", dial_state="answered")
        await asyncio.sleep(19 * 60)
        await dial(bench, "fourth", phone("+15551234567"))
        await bench.sink.when("calling.call.dial", tag="fourth", dial_state="answered")
        await asyncio.sleep(5 * 60)
        await dial(bench, "fifth", phone("+15551234567"))
        assert "trunk.minutes_per_day" in await told(bench, "fifth")
        assert len(bench.exchange.calls) == 4
        bench.exchange.end_all(Ending(EndReason.HANGUP, EndSource.NONE))
        await asyncio.sleep(10)
        minutes = bench.exchange.caps.spending.minutes(asyncio.get_running_loop().time())
        assert minutes == pytest.approx(3 * 24 + 5, abs=0.2)


async def test_minutes_of_a_call_that_rings_or_is_not_on_the_trunk_cost_nothing(tmp_path):
    async with open_bench(tmp_path, trunk=trunk_of_a_day(minutes_per_day=60)) as bench:
        bench.engine.default_peer = Peer(answer_after_s=20)
        await dial(bench, "t", phone("+15551234567"))
        await dial(bench, "near", sip("bob"))
        await asyncio.sleep(60)
        minutes = bench.exchange.caps.spending.minutes(asyncio.get_running_loop().time())
        assert minutes == pytest.approx(40 / 60, abs=0.05)


async def test_a_call_that_was_adopted_goes_on_to_cost_minutes(tmp_path):
    settings = msgspec.structs.replace(SETTINGS, trunk=trunk_of_a_day())
    async with open_bench(tmp_path, trunk=settings.trunk) as old:
        await dial(old, "t", phone("+15551234567"))
        await old.sink.when("calling.call.dial", tag="t", dial_state="answered")
        exchange, _ = old.build(settings)
        async with exchange:
            await exchange.attach()
            await asyncio.sleep(600)
            assert exchange.caps.spending.minutes(asyncio.get_running_loop().time()) == pytest.approx(10, abs=0.1)
            await old.exchange.attach()


# --- loopback ---------------------------------------------------------------------------------------------------


async def test_where_others_than_this_machine_are_served_loopback_must_be_listed_too(tmp_path):
    """A token of somebody far away reached every local port by SIP over TCP."""
    async with open_bench(tmp_path, dial=DialSettings(allow=["127.0.0.1:5070"], loopback=False)) as bench:
        for tag, to in (("t", "sip:a@127.0.0.1:6379;transport=tcp"), ("u", "sip:a@localhost:22"), ("v", "sip:a@[::1]")):
            await dial(bench, tag, {"type": "sip", "params": {"to": to}})
            assert "allow" in await told(bench, tag) or "not found" in await told(bench, tag)
        assert bench.engine.sent(ops.LegDial) == []
        await dial(bench, "w", {"type": "sip", "params": {"to": "sip:a@127.0.0.1:5070"}})
        await bench.sink.when("calling.call.dial", tag="w", dial_state="answered")
