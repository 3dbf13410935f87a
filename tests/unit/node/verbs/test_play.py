from __future__ import annotations

import asyncio

import pytest

from offhook.errors import CommandRefused
from offhook.node.calls.label import parse_label
from offhook.node.engine import ops, reports

pytestmark = pytest.mark.virtual_clock

SILENCE = [{"type": "silence", "params": {"duration": 2}}]
RINGTONE = [{"type": "ringtone", "params": {"name": "us"}}]


def tts(text: str) -> dict:
    return {"type": "tts", "params": {"text": text}}


async def test_playing_goes_out_at_the_first_frame_and_finished_at_the_last(bench):
    call = await bench.talk()
    result = await bench.run("calling.play", call, control_id="p", play=SILENCE)
    assert result == {"code": "200", "message": "Playing", "call_id": call.call_id, "control_id": "p"}
    assert bench.told("p") == []
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    assert [type(report) for report in bench.engine.reports].count(reports.OperationStarted) == 1
    began = asyncio.get_running_loop().time()
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert asyncio.get_running_loop().time() - began == pytest.approx(2, abs=0.01)
    assert bench.told("p") == ["play playing", "play finished"]


async def test_media_before_the_answer_is_refused_with_what_to_do(bench):
    call = bench.ring()
    assert await bench.refused("calling.play", call, control_id="p", play=SILENCE) == ("409", "answer() first")


async def test_a_play_sent_in_one_breath_with_the_answer_waits_for_it(bench):
    call = bench.ring()
    answer = asyncio.create_task(bench.run("calling.answer", call))
    await asyncio.sleep(0)
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    assert (await answer)["code"] == "200"
    await bench.sink.when("calling.call.play", control_id="p", state="finished")


async def test_texts_play_in_order_and_the_first_does_not_wait_for_the_second(bench):
    call = await bench.talk()
    bench.fetcher.lengths_s["https://a.example/x.wav"] = 1.0
    media = [tts("hello"), {"type": "audio", "params": {"url": "https://a.example/x.wav"}}]
    await bench.run("calling.play", call, control_id="p", play=media, language="de-DE", volume=-6)
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    [play] = bench.engine.sent(ops.Play)
    [append] = bench.engine.sent(ops.Append)
    assert (play.sources, play.more, play.volume_db) == ([ops.FileSource("tts-1")], True, -6)
    assert (append.sources, append.more) == ([ops.FileSource("url-0")], False)
    assert bench.speech.spoken == [("hello", "de-DE", "female", "")]


async def test_a_loop_plays_the_whole_list_again(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[tts("a"), *SILENCE], loop=3, direction="both")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    [play] = bench.engine.sent(ops.Play)
    assert (play.loops, play.side, len(play.sources), play.more) == (3, "both", 2, False)


async def test_the_american_ringtone_rings_until_it_is_stopped(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=RINGTONE)
    await asyncio.sleep(600)
    assert bench.told("p") == ["play playing"]
    assert (await bench.run("calling.play.stop", call, control_id="p"))["message"] == "Stopping"
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    [play] = bench.engine.sent(ops.Play)
    tone = ops.ToneSource([ops.Tone(2000, [440.0, 480.0]), ops.Tone(4000)], -1)
    assert play.sources == [tone]


@pytest.mark.parametrize(("name", "code"), [("fr", "501"), ("nowhere", "400")])
async def test_other_ringtones_are_refused(bench, name, code):
    call = await bench.talk()
    media = [{"type": "ringtone", "params": {"name": name}}]
    refused, sentence = await bench.refused("calling.play", call, control_id="p", play=media)
    assert refused == code
    assert "us" in sentence


async def test_pausing_twice_changes_nothing_and_resuming_plays_on(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    await bench.run("calling.play.pause", call, control_id="p")
    await bench.run("calling.play.pause", call, control_id="p")
    await asyncio.sleep(60)
    await bench.run("calling.play.resume", call, control_id="p")
    await bench.run("calling.play.resume", call, control_id="p")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert bench.told("p") == ["play playing", "play paused", "play playing", "play finished"]
    assert len(bench.engine.sent(ops.Pause)) == 1


def operation_of_label(bench, kind: type) -> list[int]:
    """What the label said lasts, each time an operation of this kind went down."""
    said, label = [], None
    for operation in bench.engine.operations:
        if isinstance(operation, ops.LegLabel):
            label = parse_label(operation.label)
        elif isinstance(operation, kind):
            assert label is not None
            said += [action.operation for action in label.actions]
    return said


async def test_the_engine_knows_what_goes_on_under_another_node_before_it_begins(bench):
    """A node killed right after `playing` left plays that the next one ended with `error`: the label came after."""
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    await bench.run("calling.play.pause", call, control_id="p")
    await bench.run("calling.play.resume", call, control_id="p")
    [play] = bench.engine.sent(ops.Play)
    assert operation_of_label(bench, ops.Play) == [play.id]
    assert operation_of_label(bench, ops.Pause) == [0], "a paused one would never end under a node that does not know"
    assert operation_of_label(bench, ops.Resume) == [play.id]


async def test_of_a_list_it_goes_on_with_the_last_of_its_items(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[*SILENCE, *SILENCE, *SILENCE])
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    [play] = bench.engine.sent(ops.Play)
    assert operation_of_label(bench, ops.Play) == [0]
    assert operation_of_label(bench, ops.Append) == [0, play.id]


async def test_a_resume_that_the_engine_refuses_leaves_it_paused(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    await bench.run("calling.play.pause", call, control_id="p")
    bench.engine.refuse_next(ops.Resume, "wrong_state", "not now")
    assert await bench.refused("calling.play.resume", call, control_id="p") == ("409", "not now")
    await bench.run("calling.play.resume", call, control_id="p")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert bench.told("p") == ["play playing", "play paused", "play playing", "play finished"]


async def test_a_pause_waits_for_a_text_that_is_still_being_spoken_into_its_file(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[tts("a long text")])
    await bench.run("calling.play.pause", call, control_id="p")
    assert bench.engine.sent(ops.Pause)
    await bench.run("calling.play.stop", call, control_id="p")


async def test_volume_reaches_the_engine_before_and_after_the_play_began(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[tts("hello there")])
    await bench.run("calling.play.volume", call, control_id="p", volume=-3)
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    await bench.run("calling.play.volume", call, control_id="p", volume=4)
    assert [play.volume_db for play in bench.engine.sent(ops.Play)] == [-3]
    assert [volume.volume_db for volume in bench.engine.sent(ops.Volume)] == [4]


async def test_what_cannot_be_fetched_ends_the_play_with_error(bench):
    call = await bench.talk()
    media = [*SILENCE, {"type": "audio", "params": {"url": "https://a.example/none.wav"}}]
    await bench.run("calling.play", call, control_id="p", play=media)
    params = await bench.sink.when("calling.call.play", control_id="p", state="error")
    assert params["message"] == "404"
    assert bench.told("p")[-1] == "play error"
    assert not [report for report in bench.engine.kept if isinstance(report, reports.LegEnded)]


async def test_a_play_refused_by_the_engine_ends_with_error(bench):
    call = await bench.talk()
    bench.engine.refuse_next(ops.Play, "not_found", "no such prompt")
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    await bench.sink.when("calling.call.play", control_id="p", state="error")
    assert bench.told("p") == ["play error"]


class Forgetful(dict[str, float]):
    """What was fetched is gone when it is to be played: the engine finds no file."""

    def __setitem__(self, prompt: str, length_s: float) -> None:
        pass


@pytest.mark.parametrize("before", [[], SILENCE], ids=["first", "later"])
async def test_a_prompt_that_the_engine_cannot_open_ends_the_play_with_error(bench, before):
    call = await bench.talk()
    bench.fetcher.lengths_s["https://a/b.wav"] = 1.0
    audio = {"type": "audio", "params": {"url": "https://a/b.wav"}}
    bench.engine.prompt_lengths_s = Forgetful()
    await bench.run("calling.play", call, control_id="p", play=[*before, audio])
    await bench.sink.when("calling.call.play", control_id="p", state="error")
    assert bench.told("p") == ["play playing"] * bool(before) + ["play error"]


async def test_the_same_control_id_gets_the_same_reply_while_active_and_others_409(bench):
    call = await bench.talk()
    first = await bench.run("calling.play", call, control_id="p", play=SILENCE)
    assert await bench.run("calling.play", call, control_id="p", play=SILENCE) == first
    code, sentence = await bench.refused("calling.play", call, control_id="p", play=RINGTONE)
    assert code == "409"
    assert "control_id" in sentence
    code, _ = await bench.refused("calling.record", call, control_id="p", record={"audio": {}})
    assert code == "409"
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert len(bench.engine.sent(ops.Play)) == 1


async def test_a_stop_repeated_after_the_end_is_no_mistake_but_a_pause_is(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=SILENCE)
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert (await bench.run("calling.play.stop", call, control_id="p"))["code"] == "200"
    assert await bench.refused("calling.play.pause", call, control_id="p") == ("409", "It has ended")
    code, _ = await bench.refused("calling.play.stop", call, control_id="never")
    assert code == "404"


async def test_a_play_that_is_stopped_while_its_text_is_synthesised_never_sounds(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[tts("hello")])
    await bench.run("calling.play.stop", call, control_id="p")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    await asyncio.sleep(1)
    assert not bench.engine.sent(ops.Play)


async def test_a_stop_while_the_engine_has_not_replied_leaves_nothing_playing(bench):
    call = await bench.talk()
    bench.engine.reply_after_s = 0.2
    await bench.run("calling.play", call, control_id="p", play=RINGTONE)
    await asyncio.sleep(0.1)
    await bench.run("calling.play.stop", call, control_id="p")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    await asyncio.sleep(5)
    welcome = await bench.engine.start(bench.exchange.report)
    assert [leg.operations for leg in welcome.legs] == [[]]


async def test_a_hangup_finishes_a_play_before_the_call_ends(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=RINGTONE)
    await asyncio.sleep(1)
    bench.engine.hang_up(call.leg.id)
    await bench.ended(call)
    kinds = [(e.event_type, e.params.get("state") or e.params.get("call_state")) for e in bench.sink.events][-3:]
    assert kinds.index(("calling.call.play", "finished")) < kinds.index(("calling.call.state", "ended"))


async def test_an_unknown_call_is_404_and_an_ended_one_410_for_ten_minutes(bench):
    call = await bench.talk()
    bench.engine.hang_up(call.leg.id)
    await bench.ended(call)
    await asyncio.sleep(1)
    code, _ = await bench.refused("calling.play", call, control_id="p", play=SILENCE)
    assert code == "410"
    await asyncio.sleep(600)
    code, _ = await bench.refused("calling.play", call, control_id="p", play=SILENCE)
    assert code == "404"
    with pytest.raises(CommandRefused, match="No such call"):
        await bench.run("calling.end", node_id="node-1", call_id="nobody")


async def test_a_long_list_is_fetched_a_few_at_a_time_and_has_an_end(bench):
    call = await bench.talk()
    await bench.run("calling.play", call, control_id="p", play=[tts(f"text {index}") for index in range(40)])
    await asyncio.sleep(0.06)  # a text takes 0.05 s
    assert len(bench.speech.spoken) == 4
    code, sentence = await bench.refused("calling.play", call, control_id="q", play=SILENCE * 501)
    assert (code, "500" in sentence) == ("400", True)
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    assert len(bench.speech.spoken) == 40


@pytest.mark.parametrize("ends", ["by itself", "stopped", "hung up", "failed"])
async def test_what_is_played_is_kept_until_the_play_is_over_however_that_comes(bench, ends):
    call = await bench.talk()
    bench.fetcher.lengths_s["https://a.example/x.wav"] = 1.0
    last = "https://a.example/missing.wav" if ends == "failed" else "https://a.example/x.wav"
    media = [tts("a text of some words"), {"type": "audio", "params": {"url": last}}]
    await bench.run("calling.play", call, control_id="p", play=media)
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    if ends == "stopped":
        await bench.run("calling.play.stop", call, control_id="p")
    elif ends == "hung up":
        await bench.run("calling.end", call)
    elif ends == "by itself":
        assert bench.speech.released == []
    state = "error" if ends == "failed" else "finished"
    await bench.sink.when("calling.call.play", control_id="p", state=state)
    assert bench.speech.released == ["a text of some words"]
    assert bench.fetcher.released == [last]
