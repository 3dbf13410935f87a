"""Each action ends by the rule of its verb (relay-protocol 4), and is told apart from what only looks like an end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import pytest

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent, parse_event
from offhook.client.listening.tasks import Tasks
from offhook.errors import CallReleased, RelayError
from offhook.protocol.frames import EventParams
from rig.sdk_commands import AGENT, TTS
from rig.sdk_sequences import SEQUENCES, Sequence, detected


class Client:
    """What a call needs of its client: everything is accepted."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.sent: list[str] = []
        self.refuses: dict[str, int] = {}

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.sent.append(method)
        if method in self.refuses:
            raise RelayError(self.refuses[method], "refused")
        return {"code": "200", "message": "OK"}

    def call_over(self, call: CallBase) -> None:
        """Nothing to forget."""

    def find_call(self, call_id: str) -> Call | None:
        return None


def event(event_type: str, **params: Any) -> RelayEvent:
    return parse_event(EventParams(event_type=event_type, params={"node_id": "n", "call_id": "c", **params}))


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def call(client: Client) -> Call:
    return Call(client, event("calling.call.receive", call_state="answered"))


def promised(action: Action) -> Any:
    """The class of event that the type of the action names: what an editor shows for ``wait`` and ``result``."""
    bases = (base for kind in type(action).__mro__ for base in vars(kind).get("__orig_bases__", ()))
    return next(get_args(base)[0] for base in bases if get_origin(base) is Action)


async def begin(call: Call, sequence: Sequence, **options: Any) -> Action:
    action = await getattr(call, sequence.verb)(*sequence.args, **sequence.options, control_id="k", **options)
    assert isinstance(action, Action)
    return action


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
async def test_it_ends_with_its_event(client: Client, call: Call, sequence: Sequence) -> None:
    told: list[RelayEvent] = []
    action = await begin(call, sequence, on_completed=told.append)
    last = sequence.done if sequence.last is None else sequence.last
    for number, (event_type, params) in enumerate(sequence.events):
        assert action.is_done is (sequence.done is not None and number > sequence.done)
        call.handle(event(event_type, control_id="other", **params))
        happened = event(event_type, control_id="k", **params)
        call.handle(happened)
        if number == sequence.done:
            assert action.result is happened
        if number == last and sequence.verb != "detect":
            assert action.is_over
    assert action.is_done is (sequence.done is not None)
    assert told == ([] if action.result is None else [action.result])
    call.close("closed")
    assert isinstance(action.result, promised(action))
    assert len(told) == 1
    assert action.is_over


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
@pytest.mark.parametrize("code", [404, 410])
async def test_it_ends_gone_where_the_call_is(client: Client, call: Call, sequence: Sequence, code: int) -> None:
    client.refuses[sequence.method] = code
    told: list[RelayEvent] = []
    action = await begin(call, sequence, on_completed=told.append)
    assert isinstance(action.result, promised(action))
    assert (action.result.cause, action.result.params) == ("gone", {})
    assert told == [action.result]
    call.close("closed")


async def test_a_detector_is_stopped_until_the_server_says_it_finished(client: Client, call: Call) -> None:
    async with await call.detect({"type": "machine"}, control_id="k") as action:
        kind, params = detected("HUMAN")
        call.handle(event(kind, control_id="k", **params))
        assert (action.is_done, action.is_over) == (True, False)
    assert client.sent == ["calling.detect", "calling.detect.stop"]
    kind, params = detected("finished")
    call.handle(event(kind, control_id="k", **params))
    await action.stop()
    assert client.sent == ["calling.detect", "calling.detect.stop"]


async def test_ready_and_the_beep_have_waits_of_their_own(call: Call) -> None:
    action = await call.detect_answering_machine(control_id="k")
    ready, beep = asyncio.create_task(action.wait_for_ready()), asyncio.create_task(action.wait_for_beep())
    for word, more in (("MACHINE", {}), ("READY", {}), ("NOT_READY", {}), ("READY", {"beep": True})):
        await asyncio.sleep(0)
        assert not beep.done()
        kind, params = detected(word, **more)
        call.handle(event(kind, control_id="k", **params))
    assert (await ready).params["detect"]["params"] == {"event": "READY"}
    assert (await beep).params["detect"]["params"] == {"event": "READY", "beep": True}
    assert (await action.wait()).params["detect"]["params"] == {"event": "MACHINE"}


async def test_a_wait_for_the_beep_ends_with_the_detector(call: Call) -> None:
    action = await call.detect_answering_machine(control_id="k")
    kind, params = detected("finished")
    call.handle(event(kind, control_id="k", **params))
    assert (await action.wait_for_beep(1)).params["detect"]["params"]["event"] == "finished"


async def test_an_agent_ends_by_its_stop_event_which_names_no_control_id(call: Call) -> None:
    action = await call.ai(prompt=AGENT, control_id="k")
    call.handle(event("calling.ai.stop", start_time=1, end_time=2))
    assert not action.is_done, "that was an earlier agent's: this one has not begun"
    call.handle(event("calling.ai.start"))
    call.handle(event("calling.ai.stop", start_time=1, end_time=2))
    assert action.result is not None
    assert action.result.event_type == "calling.ai.stop"


@pytest.mark.parametrize("leave", ["pass_", "transfer"])
async def test_after_leaving_all_is_released_and_commands_raise(client: Client, call: Call, leave: str) -> None:
    told: list[RelayEvent] = []
    action = await call.play([TTS], on_completed=told.append)
    ended, waited = asyncio.create_task(call.wait_for_ended()), asyncio.create_task(call.wait_for("calling.call.play"))
    await asyncio.sleep(0)
    await getattr(call, leave)(*(["context:other"] if leave == "transfer" else []))
    for event_ in (await ended, await waited, await action.wait(), await call.wait_for_ended()):
        assert (event_.cause, event_.params) == ("released", {})
    assert told == [action.result]
    with pytest.raises(CallReleased):
        await call.play([TTS])
    with pytest.raises(CallReleased):
        await call.hangup()
    assert client.sent == ["calling.play", f"calling.{leave.strip('_')}"]


@pytest.mark.parametrize("verb", ["hold", "unhold"])
@pytest.mark.parametrize("code", [404, -32601, 501])
async def test_hold_on_a_service_that_refuses_it_raises(client: Client, call: Call, verb: str, code: int) -> None:
    client.refuses[f"calling.{verb}"] = code
    with pytest.raises(RelayError) as refused:
        await getattr(call, verb)()
    assert refused.value.code == code


async def test_a_404_of_what_a_command_names_is_not_the_end_of_the_call(client: Client, call: Call) -> None:
    client.refuses["calling.leave_conference"] = 404
    assert await call.leave_conference("c") == {}
    action = await call.play([TTS])
    client.refuses["calling.play.stop"] = 404
    assert await action.stop() == {}
    assert action.result is not None
    assert action.result.cause == "gone"
    assert (await call.answer())["code"] == "200"


class Late(Client):
    """An operation that ends while its stop is on the way, on a server to which that is a mistake."""

    def __init__(self, last: RelayEvent | None) -> None:
        super().__init__()
        self.last = last
        self.call = Call(self, event("calling.call.receive", call_state="answered"))

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method.endswith(".stop"):
            if self.last is not None:
                self.call.handle(self.last)
            raise RelayError(409, "It has ended")
        return await super().execute(method, params)


async def test_a_stop_that_comes_too_late_is_no_error() -> None:
    client = Late(event("calling.call.play", control_id="k", state="finished"))
    async with await client.call.play([TTS], control_id="k") as action:
        assert not action.is_over
    assert action.is_over


async def test_a_stop_that_is_refused_for_another_reason_is_an_error() -> None:
    action = await Late(None).call.play([TTS], control_id="k")
    with pytest.raises(RelayError, match="It has ended"):
        await action.stop()
