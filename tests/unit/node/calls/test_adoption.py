"""A node that was killed and started again takes over the calls that its engine kept."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench import SETTINGS, Bench
from bench.scripts import ScriptOf
from offhook.node.engine import ops, reports
from offhook.testing.engine import Peer
from offhook.testing.ports import FakeOfferDesk, RecordingSink
from rig.whole import Wire

pytestmark = pytest.mark.virtual_clock

SILENCE = [{"type": "silence", "params": {"duration": 500}}]


async def start(bench: Bench) -> None:
    bench.sink, bench.desk = RecordingSink(bench.journal), FakeOfferDesk()
    bench.exchange, bench.registry = bench.build(SETTINGS, Wire(bench.engine))
    await bench.exchange.__aenter__()
    await bench.exchange.attach()


async def die(bench: Bench) -> None:
    """The node dies without a word. What is left of it is kept, so that its tasks are not collected unfinished."""
    bench.exchange.engine.is_cut = True
    bench.dead.append(bench.exchange)
    bench.journal += bench.sink.events
    await bench.engine.close()


async def kill(bench: Bench) -> Bench:
    """The node dies without a word; another one starts on the same engine."""
    await die(bench)
    await asyncio.sleep(1)
    await start(bench)
    return bench


@pytest.fixture
async def mortal(tmp_path):
    before = asyncio.all_tasks()
    bench = Bench(tmp_path, SETTINGS)
    bench.dead, bench.journal = [], []
    await start(bench)
    yield bench
    await bench.exchange.__aexit__(None, None, None)
    of_the_dead = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in of_the_dead:
        task.cancel()
    await asyncio.gather(*of_the_dead, return_exceptions=True)


async def test_an_answered_call_goes_on_with_all_it_was(mortal):
    old = await mortal.talk()
    before = mortal.sink.of("calling.call.state", call_state="answered")[0]
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    assert call.call_id == old.call_id
    assert bench.desk.owners == {}, "who owns it the journal knows, not the engine"
    await bench.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 1}}])
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    await bench.run("calling.end", call)
    ended = await bench.ended(call)
    for name in ("node_id", "segment_id", "tag", "direction", "device", "start_time", "answer_time"):
        assert ended[name] == before[name], name


async def test_what_the_engine_plays_and_records_by_itself_goes_on_and_ends_as_it_would_have(mortal):
    """The prompt was cut 0.14 s after the node was killed, and the recording ended there with an error."""
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 20}}])
    await mortal.run("calling.record", call, control_id="r", record={"audio": {"stereo": True, "max_length": 30}})
    await mortal.sink.when("calling.call.play", state="playing")
    old = await mortal.sink.when("calling.call.record", state="recording")
    await asyncio.sleep(5)
    bench = await kill(mortal)
    await asyncio.sleep(5)
    assert bench.told("p") == bench.told("r") == []
    await asyncio.sleep(60)
    assert bench.told("p") == ["play finished"]
    assert bench.told("r") == ["record finished"]
    [finished] = bench.sink.of("calling.call.record")
    assert (finished["recording_id"], finished["record"]) == (old["recording_id"], old["record"])
    assert finished["duration"] == 30.0
    assert finished["url"]


def unwritten(bench: Bench, event_type: str, **params: object) -> None:
    """The node died before this event was in its journal."""
    bench.journal[:] = [
        event
        for event in bench.journal
        if event.event_type != event_type or any(event.params.get(key) != value for key, value in params.items())
    ]


async def test_what_goes_on_can_be_stopped_and_steered_and_survives_a_second_death(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.run("calling.record", call, control_id="r", record={"audio": {}})
    await mortal.sink.when("calling.call.record", state="recording")
    bench = await kill(await kill(mortal))
    [call] = list(bench.exchange.calls)
    await bench.run("calling.play.pause", call, control_id="p")
    await bench.run("calling.play.resume", call, control_id="p")
    await bench.run("calling.play.stop", call, control_id="p")
    await bench.run("calling.record.stop", call, control_id="r")
    await asyncio.sleep(1)
    assert bench.told("p")[-1] == "play finished"
    assert bench.told("r") == ["record finished"]


async def test_what_went_on_ends_with_its_call(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.run("calling.record", call, control_id="r", record={"audio": {}})
    await mortal.sink.when("calling.call.record", state="recording")
    bench = await kill(mortal)
    bench.engine.hang_up(call.leg.id)
    [call] = list(bench.exchange.calls)
    await bench.ended(call)
    assert bench.told("p") == ["play finished"]
    assert bench.told("r") == ["record finished"]


async def test_what_ended_by_itself_while_no_node_was_there_is_told_as_it_ended(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 5}}])
    await mortal.run("calling.record", call, control_id="r", record={"audio": {"max_length": 5}})
    await mortal.sink.when("calling.call.record", state="recording")
    await die(mortal)
    await asyncio.sleep(20)
    await start(mortal)
    await asyncio.sleep(1)
    assert mortal.told("p") == ["play finished"]
    assert mortal.told("r") == ["record finished"]


async def test_a_node_that_died_before_it_acked_a_first_frame_tells_it_once(mortal):
    """A program saw ``playing`` and ``recording`` twice, from the node that died and from the next one."""
    call = await mortal.talk()
    await mortal.run("calling.record", call, control_id="r", record={"audio": {}})
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.sink.when("calling.call.play", state="playing")
    await die(mortal)
    assert [kept for kept in mortal.engine.kept if isinstance(kept, reports.OperationStarted)], "not acked yet"
    await start(mortal)
    await asyncio.sleep(1)
    assert mortal.told("p") == mortal.told("r") == []
    [call] = list(mortal.exchange.calls)
    await mortal.run("calling.play.pause", call, control_id="p")
    await mortal.run("calling.play.resume", call, control_id="p")
    assert mortal.told("p") == ["play paused", "play playing"], "what is new is told"


async def test_a_first_frame_that_was_not_written_down_is_told_by_the_next_node(mortal):
    call = await mortal.talk()
    await mortal.run("calling.record", call, control_id="r", record={"audio": {}})
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.sink.when("calling.call.play", state="playing")
    await die(mortal)
    unwritten(mortal, "calling.call.play")
    unwritten(mortal, "calling.call.record")
    await start(mortal)
    await asyncio.sleep(1)
    assert (mortal.told("p"), mortal.told("r")) == (["play playing"], ["record recording"])


async def test_what_was_made_to_go_on_and_not_told_so_is_told_by_the_next_node(mortal):
    call = await mortal.talk()
    await mortal.run("calling.record", call, control_id="r", record={"audio": {}})
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.sink.when("calling.call.play", state="playing")
    await asyncio.sleep(1)
    for what, key in (("play", "p"), ("record", "r")):
        await mortal.run(f"calling.{what}.pause", call, control_id=key)
    paused = len(mortal.sink.events)
    for what, key in (("play", "p"), ("record", "r")):
        await mortal.run(f"calling.{what}.resume", call, control_id=key)
    await die(mortal)
    del mortal.journal[paused:]
    await start(mortal)
    await asyncio.sleep(1)
    assert (mortal.told("p"), mortal.told("r")) == (["play playing"], ["record recording"])


async def test_a_node_that_died_with_an_answer_told_and_an_old_label_tells_it_once(mortal):
    """The label, which comes later than the journal, did not say that it was answered: ``answered`` came twice."""
    call = mortal.ring()
    old = call.label()
    await mortal.run("calling.answer", call)
    await die(mortal)
    mortal.engine._update(call.leg.id, label=old)
    await start(mortal)
    await asyncio.sleep(1)
    [adopted] = list(mortal.exchange.calls)
    assert (adopted.state, adopted.answer_time) == ("answered", call.answer_time)
    assert mortal.states(adopted) == []


async def test_an_answer_that_stands_in_the_label_and_was_not_told_is_told(mortal):
    call = await mortal.talk()
    await die(mortal)
    unwritten(mortal, "calling.call.state", call_state="answered")
    await start(mortal)
    await asyncio.sleep(1)
    assert mortal.states(call) == ["answered"]
    assert mortal.desk.offers == [], "it has its owner"


@pytest.mark.parametrize("is_told", [True, False])
async def test_the_answer_of_a_dial_is_told_once_whatever_the_label_says(mortal, is_told):
    """Where the label was ahead of the journal the dial was told to have failed, and its call lived on unknown."""
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"))
    [call] = list(mortal.exchange.calls)
    old = call.label()
    mortal.engine._answers(call.leg.id, Peer())
    await mortal.sink.when("calling.call.dial", dial_state="answered")
    await die(mortal)
    if is_told:
        mortal.engine._update(call.leg.id, label=old)
    else:
        unwritten(mortal, "calling.call.state", call_state="answered")
        unwritten(mortal, "calling.call.dial", dial_state="answered")
    await start(mortal)
    await asyncio.sleep(1)
    [adopted] = list(mortal.exchange.calls)
    assert (adopted.state, adopted.dial_winner) == ("answered", True)
    assert mortal.states(adopted) == ([] if is_told else ["answered"])
    assert mortal.sink.of("calling.call.dial") == [] if is_told else dialled(mortal) == [("answered", "")]


async def test_a_dial_whose_answer_was_told_does_not_fail_when_its_call_ended_meanwhile(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"))
    [call] = list(mortal.exchange.calls)
    old = call.label()
    mortal.engine._answers(call.leg.id, Peer())
    await mortal.sink.when("calling.call.dial", dial_state="answered")
    await die(mortal)
    mortal.engine._update(call.leg.id, label=old)
    mortal.engine.hang_up(call.leg.id)
    await start(mortal)
    assert mortal.exchange.past[call.call_id].events == []


@pytest.mark.parametrize("is_told", [True, False])
async def test_ringing_of_what_we_dialled_is_told_once(mortal, is_told):
    """Ringing that the former node had heard and not written down was never told."""
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"))
    [call] = list(mortal.exchange.calls)
    mortal.engine.kept = list(mortal.engine.reports)
    await die(mortal)
    if not is_told:
        unwritten(mortal, "calling.call.state", call_state="ringing")
    await start(mortal)
    await asyncio.sleep(1)
    assert mortal.states(call) == ([] if is_told else ["ringing"])
    [adopted] = list(mortal.exchange.calls)
    assert adopted.state == "ringing"


async def test_a_call_of_which_clients_know_that_it_ends_is_ended_by_the_next_node(mortal):
    """``ending`` was told and written, the node died before its BYE: the call lived on, for hours."""
    call = await mortal.talk()
    mortal.exchange.engine.is_cut = True
    await mortal.run("calling.end", call, reason="busy")
    told = await mortal.sink.when("calling.call.state", call_state="ending")
    await die(mortal)
    await start(mortal)
    ended = await mortal.ended(call)
    assert mortal.states(call) == ["ended"]
    for name in ("end_reason", "end_source", "answer_time"):
        assert ended[name] == told[name], name
    assert mortal.engine._legs == {}


PROMPTS = [{"type": "tts", "params": {"text": "a" * 300}}, {"type": "tts", "params": {"text": "b" * 300}}]


async def test_what_an_adopted_play_names_is_kept_until_it_ends(mortal):
    """Its files were nobody's for the new node, which removed them when it had no room: the prompt broke off."""
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=PROMPTS)
    await mortal.sink.when("calling.call.play", state="playing")
    await asyncio.sleep(1)
    bench = await kill(mortal)
    assert bench.fetcher.kept == ["tts-1", "tts-2"]
    await asyncio.sleep(70)
    assert bench.told("p") == ["play finished"]
    assert bench.fetcher.kept == []


RECORD = {"audio": {"max_length": 500, "direction": "both"}}


async def test_a_start_that_is_repeated_after_an_adoption_is_answered_as_it_was(mortal):
    """A client whose reply was lost with the node asks again under a new id, and got 409 for its own play."""
    call = await mortal.talk()
    played = await mortal.run("calling.play", call, control_id="p", play=PROMPTS, volume=2.0)
    recorded = await mortal.run("calling.record", call, control_id="r", record=RECORD)
    await mortal.sink.when("calling.call.play", state="playing")
    await asyncio.sleep(1)
    for _ in range(2):
        bench = await kill(mortal)
        [call] = list(bench.exchange.calls)
        assert await bench.run("calling.play", call, control_id="p", play=PROMPTS, volume=2.0) == played
        assert await bench.run("calling.record", call, control_id="r", record=RECORD) == recorded
        [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
        assert len(snapshot.operations) == 2, "nothing runs twice"
    assert recorded["url"]


async def test_another_start_with_the_control_id_of_an_adopted_action_is_a_conflict(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=PROMPTS)
    await mortal.run("calling.record", call, control_id="r", record=RECORD)
    await mortal.sink.when("calling.call.play", state="playing")
    await asyncio.sleep(1)
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    text = [PROMPTS[0], {"type": "tts", "params": {"text": "c" * 300}}]
    assert (await bench.refused("calling.play", call, control_id="p", play=text))[0] == "409"
    assert (await bench.refused("calling.play", call, control_id="p", play=PROMPTS, volume=1.0))[0] == "409"
    assert (await bench.refused("calling.record", call, control_id="p", record=RECORD))[0] == "409"
    assert (await bench.refused("calling.record", call, control_id="r", record={"audio": {}}))[0] == "409"


async def test_what_is_paused_ends_with_error_as_nobody_could_know_that_it_is(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.sink.when("calling.call.play", state="playing")
    await mortal.run("calling.play.pause", call, control_id="p")
    bench = await kill(mortal)
    await asyncio.sleep(1)
    assert bench.told("p") == ["play error"]


async def test_an_adopted_call_is_not_too_old_by_a_clock_that_was_set(mortal, monkeypatch):
    await mortal.talk()
    real_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + 31 * 86_400 * 10**9)
    bench = await kill(mortal)
    await asyncio.sleep(60)
    [call] = list(bench.exchange.calls)
    assert call.state == "answered"


async def test_open_actions_end_once_with_error_and_fall_silent(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=SILENCE)
    await mortal.sink.when("calling.call.play", state="playing")
    await mortal.run("calling.play.pause", call, control_id="p")
    await mortal.run("calling.record", call, control_id="r", record={"audio": {"stereo": True}})
    await mortal.run("calling.collect", call, control_id="c", digits={"max": 9})
    collect = {"digits": {"max": 1}}
    await mortal.run("calling.play_and_collect", call, control_id="m", play=SILENCE, collect=collect)
    await mortal.run("calling.send_digits", call, control_id="d", digits="W" * 50)
    await mortal.run("calling.echo", call)
    old = await mortal.sink.when("calling.call.record", state="recording")
    await mortal.run("calling.record.pause", call, control_id="r")
    bench = await kill(mortal)
    await asyncio.sleep(1)
    assert bench.told("p") == ["play error"]
    assert bench.told("r") == ["record error", "record no_input"]
    assert bench.told("c") == ["collect error"]
    assert bench.told("m") == ["play error", "collect error"]
    assert bench.told("d") == ["send_digits error"]
    assert [params["state"] for params in bench.sink.of("calling.call.echo")] == ["finished"]
    recorded = bench.sink.of("calling.call.record")[0]
    assert recorded["recording_id"] == old["recording_id"]
    assert recorded["record"] == old["record"]
    [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
    assert snapshot.operations == []
    assert '"actions"' not in snapshot.label


async def test_what_a_script_did_goes_with_its_node_and_nobody_is_told(mortal):
    """What the engine could play and record by itself has nobody who waits for it any more."""
    call = await mortal.talk()
    script = ScriptOf(mortal.registry, call)
    await script.start("calling.play", control_id="p", play=SILENCE)
    await script.start("calling.record", control_id="r", record={"audio": {}})
    await mortal.run("calling.play", call, control_id="of a client", play=SILENCE)
    for event_type in ("play", "record"):
        await script.heard.when(f"calling.call.{event_type}")
    await mortal.sink.when("calling.call.play", state="playing")
    bench = await kill(mortal)
    await asyncio.sleep(1)
    [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
    assert len(snapshot.operations) == 1
    assert bench.sink.events == []
    await bench.run("calling.play.stop", call, control_id="of a client")
    await bench.sink.when("calling.call.play", control_id="of a client", state="finished")
    assert {event.params["control_id"] for event in bench.sink.events} == {"of a client"}


async def test_max_duration_counts_from_the_answer_not_from_the_adoption(mortal):
    call = mortal.ring()
    await mortal.run("calling.answer", call, max_duration=100)
    await asyncio.sleep(60)
    ended, took_s = await end_under_the_next_node(mortal)
    assert ended["end_reason"] == "maxDuration"
    assert took_s == pytest.approx(40, abs=1)


STEPS_MS = [3_600_000, -3_600_000, 40_000, 31 * 86_400_000]


async def end_under_the_next_node(mortal, step_ms=0):
    """Kill the node when the wall clock is set by so much: how its only call ends, and after how long."""
    mortal.wall_ahead_ms = step_ms
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    began = asyncio.get_running_loop().time()
    ended = await bench.ended(call)
    return ended, asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_max_duration_counts_by_the_time_that_passed_wherever_the_clock_was_set(mortal, step_ms):
    call = mortal.ring()
    await mortal.run("calling.answer", call, max_duration=100)
    await asyncio.sleep(60)
    ended, took_s = await end_under_the_next_node(mortal, step_ms)
    assert ended["end_reason"] == "maxDuration"
    assert took_s == pytest.approx(39, abs=1)


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_a_hold_counts_by_the_time_that_passed_wherever_the_clock_was_set(mortal, step_ms):
    call = await mortal.talk()
    mortal.engine.report(reports.LegChanged(leg=call.leg.id, hold=True))
    await asyncio.sleep(3000)
    ended, took_s = await end_under_the_next_node(mortal, step_ms)
    assert ended["end_detail"] == "hold_limit"
    assert took_s == pytest.approx(599, abs=1)


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_ringing_counts_by_the_time_that_passed_wherever_the_clock_was_set(mortal, step_ms):
    """What a former node let ring for a minute and a half rang for two minutes more."""
    mortal.ring()
    await asyncio.sleep(90)
    ended, took_s = await end_under_the_next_node(mortal, step_ms)
    assert ended["end_detail"] == "ringing_limit"
    assert took_s == pytest.approx(29, abs=1)


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_what_we_dialled_rings_by_the_time_that_passed_wherever_the_clock_was_set(mortal, step_ms):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"), timeout=100)
    await asyncio.sleep(60)
    mortal.wall_ahead_ms = step_ms
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    for timer in bench.engine._legs[call.leg.id].timers:
        timer.cancel()  # an engine that forgot to end it
    began = asyncio.get_running_loop().time()
    await bench.ended(call)
    limits = bench.exchange.settings.limits
    assert asyncio.get_running_loop().time() - began == pytest.approx(38 + limits.hangup_s, abs=3)


async def test_an_answer_that_came_while_no_node_was_there_counts_from_when_it_came(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"), max_duration=60)
    [call] = list(mortal.exchange.calls)
    await die(mortal)
    mortal.engine._answers(call.leg.id, Peer())
    await asyncio.sleep(40)
    await start(mortal)
    [call] = list(mortal.exchange.calls)
    began = asyncio.get_running_loop().time()
    assert (await mortal.ended(call))["end_reason"] == "maxDuration"
    assert asyncio.get_running_loop().time() - began == pytest.approx(20, abs=1)


async def test_a_ringing_call_is_offered_again_when_nobody_took_it(mortal):
    mortal.ring()
    bench = await kill(mortal)
    assert [call.context for call in bench.desk.offers] == ["default"]
    [call] = list(bench.exchange.calls)
    await bench.run("calling.answer", call)
    assert bench.states(call) == ["answered"]


async def test_an_answer_that_came_while_no_node_was_there_is_told(mortal):
    call = mortal.ring()
    await die(mortal)
    bench = mortal
    await bench.engine.start(lambda report: None)
    await bench.engine.execute(ops.LegAnswer(bench.engine.next_id(), call.leg.id))
    bench = await kill(bench)
    [call] = list(bench.exchange.calls)
    assert bench.states(call) == ["answered"]


def group(*names: str) -> list[dict[str, object]]:
    return [{"type": "sip", "params": {"to": f"sip:{name}@127.0.0.1"}} for name in names]


async def ringing(bench: Bench, *groups: list[dict[str, object]], **more: object) -> Bench:
    """A dial whose first devices ring."""
    await bench.run("calling.dial", tag="t", devices=list(groups), **more)
    for _ in groups[0]:
        await bench.sink.when("calling.call.state", call_state="ringing")
    await asyncio.sleep(0.5)
    return bench


def dialled(bench: Bench) -> list[tuple[str, str]]:
    """How the dial went after the node was started again."""
    told = bench.sink.of("calling.call.dial")
    assert {params["tag"] for params in told} <= {"t"}
    return [(params["dial_state"], params.get("reason", "")) for params in told]


async def test_a_dial_that_rings_its_last_devices_goes_on_and_the_first_answer_wins(mortal):
    mortal.engine.peers = {"sip:bob@127.0.0.1": Peer(answer_after_s=None), "sip:eve@127.0.0.1": Peer(answer_after_s=9)}
    bench = await kill(await ringing(mortal, group("bob", "eve")))
    assert dialled(bench) == []
    assert {call.state for call in bench.exchange.calls} == {"ringing"}
    await asyncio.sleep(10)
    assert dialled(bench) == [("answered", "")]
    [answered] = bench.sink.of("calling.call.dial")
    assert (answered["call"]["dial_winner"], answered["call"]["tag"]) == ("true", "t")
    [lost] = bench.sink.of("calling.call.state", call_state="ended")
    assert (lost["tag"], lost["end_reason"]) == ("", "cancel")
    [call] = list(bench.exchange.calls)
    assert (call.state, call.dialled_by) == ("answered", "session-1")
    assert [event.session for event in bench.sink.events if event.event_type == "calling.call.dial"] == ["session-1"]


async def at_its_second_address(bench: Bench) -> None:
    """A dial that rings where it was placed again; its node has acked nothing."""
    bench.engine.peers = {"192.0.2.1:5060": Peer(answer_after_s=0.5, is_there=False)}
    bench.engine.default_peer = Peer(answer_after_s=None)
    await ringing(bench, [{"type": "sip", "params": {"to": "sip:bob@two.example"}}])
    bench.engine.kept = list(bench.engine.reports)


async def test_a_call_that_was_placed_at_a_second_address_goes_on_there(mortal):
    await at_its_second_address(mortal)
    bench = await kill(mortal)
    assert bench.exchange.past == {}, "the leg that was not served is not the end of it"
    await asyncio.sleep(1)
    [call] = list(bench.exchange.calls)
    assert bench.sink.events == []
    bench.engine._answers(call.leg.id, Peer())
    await asyncio.sleep(1)
    assert dialled(bench) == [("answered", "")]


async def test_a_call_that_ended_at_a_second_address_while_no_node_was_there_is_told_as_it_ended(mortal):
    await at_its_second_address(mortal)
    await die(mortal)
    [leg] = mortal.engine._legs
    mortal.engine.end_leg(leg, reports.LegEnded(leg=leg, by="remote", cause="rejected", status=486, reason="Busy"))
    await start(mortal)
    [past] = mortal.exchange.past.values()
    assert past.params["end_reason"] == "busy"
    assert [event.params["reason"] for event in past.events] == ["busy"]


async def test_a_dial_that_goes_on_fails_once_when_the_last_of_its_devices_is_gone(mortal):
    busy = Peer(answer_after_s=8, status=486, reason="Busy Here")
    mortal.engine.peers = {"sip:bob@127.0.0.1": busy, "sip:eve@127.0.0.1": Peer(answer_after_s=9, status=603)}
    bench = await kill(await ringing(mortal, group("bob", "eve")))
    await asyncio.sleep(10)
    assert dialled(bench) == [("failed", "decline")]
    assert not len(bench.exchange.calls)


async def test_the_tag_of_a_dial_that_goes_on_is_in_use_until_it_is_told_how_it_went(mortal):
    """The same tag was dialled twice, and nobody could tell which of both was answered."""
    mortal.engine.default_peer = Peer(answer_after_s=5)
    bench = await kill(await ringing(mortal, group("bob")))
    assert (await bench.refused("calling.dial", tag="t", devices=[group("bob")]))[0] == "409"
    await bench.sink.when("calling.call.dial", dial_state="answered")
    await asyncio.sleep(0)
    await bench.run("calling.dial", tag="t", devices=[group("bob")])


async def test_a_dial_that_goes_on_is_given_up_when_its_client_is_gone_for_good(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    bench = await kill(await ringing(mortal, group("bob", "eve")))
    bench.exchange.cancel_dials("session-1", "Its client is gone")
    await asyncio.sleep(1)
    assert [params["message"] for params in bench.sink.of("calling.call.dial")] == ["Its client is gone"]
    assert dialled(bench) == [("failed", "cancel")]
    assert bench.engine._legs == {}


async def test_a_dial_that_was_answered_while_no_node_was_there_is_told(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob"))
    [call] = list(mortal.exchange.calls)
    await die(mortal)
    mortal.engine._answers(call.leg.id, Peer())
    await start(mortal)
    await asyncio.sleep(1)
    assert dialled(mortal) == [("answered", "")]


async def test_one_of_the_last_devices_that_ended_while_no_node_was_there_fails_nothing(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    await ringing(mortal, group("bob", "eve"))
    gone, _ = [call.leg.id for call in mortal.exchange.calls]
    await die(mortal)
    mortal.engine.end_leg(gone, reports.LegEnded(leg=gone, by="remote", cause="rejected", status=486, reason="Busy"))
    await start(mortal)
    await asyncio.sleep(1)
    assert [event for past in mortal.exchange.past.values() for event in past.events] == []
    assert dialled(mortal) == []
    [call] = list(mortal.exchange.calls)
    mortal.engine._answers(call.leg.id, Peer())
    await asyncio.sleep(1)
    assert dialled(mortal) == [("answered", "")]


@pytest.mark.parametrize("more", [{}, {"send_digits": "1"}], ids=["devices to try", "digits to press"])
async def test_a_dial_with_more_to_do_fails_and_its_legs_are_cancelled(mortal, more):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    groups = [group("bob", "eve")] if more else [group("bob", "eve"), group("carol")]
    bench = await kill(await ringing(mortal, *groups, **more))
    await asyncio.sleep(1)
    [failed] = bench.sink.of("calling.call.dial")
    assert (failed["dial_state"], failed["tag"], failed["reason"]) == ("failed", "t", "error")
    assert {event.tag for event in bench.sink.events} == {"t"}, "all in one order"
    dialled = [event for event in bench.sink.events if event.event_type == "calling.call.dial"]
    assert [event.session for event in dialled] == ["session-1"]
    ended = bench.sink.of("calling.call.state", call_state="ended")
    assert [(params["tag"], params["end_detail"]) for params in ended] == [("", "node_failure")] * 2
    assert not len(bench.exchange.calls)


async def test_reports_that_nobody_acked_are_told_once(mortal):
    call = await mortal.talk()
    bench = await kill(mortal)
    bench.engine.hang_up(call.leg.id)
    [call] = list(bench.exchange.calls)
    await bench.ended(call)
    assert bench.states(call) == ["ending", "ended"]


async def test_what_was_stopped_while_the_connection_was_away_is_silent_when_it_is_back(mortal):
    call = await mortal.talk()
    await mortal.run("calling.play", call, control_id="p", play=[{"type": "ringtone", "params": {"name": "us"}}])
    await mortal.run("calling.send_digits", call, control_id="d", digits="W" * 50)
    await mortal.sink.when("calling.call.play", state="playing")
    mortal.engine.lose()
    await mortal.run("calling.play.stop", call, control_id="p")
    await mortal.sink.when("calling.call.play", state="finished")
    await mortal.exchange.attach()
    await asyncio.sleep(1)
    [snapshot] = (await mortal.engine.start(mortal.exchange.report)).legs
    assert [operation.kind for operation in snapshot.operations] == ["send_digits"]
    assert '"p"' not in snapshot.label
    await mortal.sink.when("calling.call.send_digits", state="finished")


async def test_a_call_that_was_given_up_is_hung_up_when_the_engine_is_back_after_all(mortal):
    call = await mortal.talk()
    mortal.engine.lose()
    mortal.exchange.engine_died()
    assert (await mortal.ended(call))["end_detail"] == "node_failure"
    await asyncio.sleep(1)
    await mortal.exchange.attach()
    await asyncio.sleep(1)
    assert (await mortal.engine.start(mortal.exchange.report)).legs == []
    assert mortal.states(call).count("ended") == 1


async def test_who_was_adopted_is_known_even_if_it_ends_at_once(mortal):
    call = await mortal.talk()
    await die(mortal)
    await start(mortal)
    mortal.engine.hang_up(call.leg.id)
    assert mortal.exchange.adopted == {call.call_id}
    await mortal.ended(call)


async def test_a_call_that_ended_while_no_node_was_there_is_told_with_its_reason(mortal):
    call = await mortal.talk()
    await die(mortal)
    mortal.engine.hang_up(call.leg.id)
    await start(mortal)
    past = mortal.exchange.past[call.call_id]
    assert {name: past.params[name] for name in ("end_reason", "end_source")} == {
        "end_reason": "hangup",
        "end_source": "inbound",
    }
    assert past.params["end_time"] > 0
    assert past.events == []
    assert not mortal.exchange.adopted


async def test_a_dial_that_failed_while_no_node_was_there_says_so_once(mortal):
    mortal.engine.default_peer = Peer(answer_after_s=None)
    devices = [[{"type": "sip", "params": {"to": f"sip:{name}@127.0.0.1"}} for name in ("bob", "eve")]]
    await mortal.run("calling.dial", tag="t", devices=devices)
    await mortal.sink.when("calling.call.state", call_state="ringing")
    legs = [call.leg.id for call in mortal.exchange.calls]
    await die(mortal)
    for leg in legs:
        mortal.engine.end_leg(leg, reports.LegEnded(leg=leg, by="remote", cause="rejected", status=486, reason="Busy"))
    await start(mortal)
    assert {past.params["end_reason"] for past in mortal.exchange.past.values()} == {"busy"}
    [event] = [event for past in mortal.exchange.past.values() for event in past.events]
    assert (event.params["dial_state"], event.params["reason"], event.session) == ("failed", "busy", "session-1")


async def test_what_happened_while_the_connection_was_away_is_told_as_it_was(mortal):
    call = await mortal.talk()
    mortal.engine.lose()
    mortal.engine.hang_up(call.leg.id)
    new = mortal.engine.ring_in()
    await mortal.exchange.attach()
    ended = await mortal.ended(call)
    assert (ended["end_reason"], ended["end_source"]) == ("hangup", "inbound")
    await asyncio.sleep(1)
    assert mortal.exchange.calls.by_leg(new) is not None


async def test_a_call_on_hold_that_is_adopted_still_ends_an_hour_after_its_hold_began(mortal):
    """The limit was not armed again: such a call was held until the limit of all calls."""
    call = await mortal.talk()
    mortal.engine.report(reports.LegChanged(leg=call.leg.id, hold=True, codec="PCMA"))
    await asyncio.sleep(3000)
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    assert call.is_on_hold
    assert call.leg.codec == "PCMA"
    await asyncio.sleep(590)
    assert not call.is_ending
    await asyncio.sleep(20)
    ended = bench.sink.of("calling.call.state", call_id=call.call_id, call_state="ended")
    assert [params["end_detail"] for params in ended] == ["hold_limit"]


async def test_an_adopted_call_that_is_taken_off_hold_goes_on(mortal):
    call = await mortal.talk()
    mortal.engine.report(reports.LegChanged(leg=call.leg.id, hold=True))
    bench = await kill(mortal)
    [call] = list(bench.exchange.calls)
    bench.engine.report(reports.LegChanged(leg=call.leg.id, hold=False))
    await asyncio.sleep(4000)
    assert not call.is_ending
