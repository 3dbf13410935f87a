"""What a stolen token or a loop may dial (reliability 5.7): numbers, calls at once, calls a second."""

from __future__ import annotations

import asyncio

import pytest

from bench import NODE, SETTINGS, Bench, open_bench
from offhook.errors import CallerError
from offhook.node.calls.caps import check_number
from offhook.node.calls.ports import Origin
from offhook.node.calls.settings import DialSettings, TrunkSettings
from offhook.node.engine import ops
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
    await bench.registry.run("calling.dial", params, Origin(session, "project-1"))


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
        for number in range(300):
            await dial(bench, f"t{number}", sip("bob"), session=f"s{number}")
            await asyncio.sleep(0.1)
        assert 150 <= len(bench.engine.sent(ops.LegDial)) <= 161
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
