"""Every method: its signature is the reference's, and what it sends is the protocol's."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from typing import Any

import pytest

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.calls.messages import Message
from offhook.errors import RelayError
from offhook.protocol.params import all_paths, parse_params
from offhook.protocol.verbs import PARAMS
from offhook.testing.node import NODE_ID, ScriptedCall, ScriptedNode
from rig.sdk_commands import KEYED, LEAVING, STAYING, STEERING, STEERING_BY_KEYWORD, Command, Steering

REFERENCE = """
answer(**kwargs) -> dict
hangup(reason="hangup") -> dict
pass_() -> dict
play(media, *, volume=None, direction=None, loop=None, control_id=None) -> PlayAction
record(audio=None, *, control_id=None) -> RecordAction
play_and_collect(media, collect, *, volume=None, control_id=None) -> CollectAction
collect(*, digits=None, speech=None, ..., control_id=None) -> StandaloneCollectAction
connect(devices, *, ringback=None, tag=None, max_duration=None, max_price_per_minute=None, status_url=None) -> dict
disconnect() -> dict
send_digits(digits, *, control_id=None) -> dict
detect(detect, *, timeout=None, control_id=None) -> DetectAction
refer(device, *, status_url=None) -> dict
transfer(dest) -> dict
send_fax(document, *, identity=None, header_info=None, control_id=None) -> FaxAction
receive_fax(*, control_id=None) -> FaxAction
tap(tap, device, *, control_id=None) -> TapAction
stream(url, *, name=None, codec=None, track=None, control_id=None, ...) -> StreamAction
pay(payment_connector_url, *, control_id=None, charge_amount=None, currency=None, ...) -> PayAction
join_conference(name, *, muted=None, beep=None, max_participants=None, record=None, ...) -> dict
leave_conference(conference_id) -> dict
hold() -> dict
unhold() -> dict
denoise() -> dict
denoise_stop() -> dict
transcribe(*, control_id=None, status_url=None) -> TranscribeAction
live_transcribe(action_obj) -> dict
live_translate(action_obj, *, status_url=None) -> dict
echo(*, timeout=None, status_url=None) -> dict
ai(*, control_id=None, prompt=None, SWAIG=None, ai_params=None, ...) -> AIAction
amazon_bedrock(*, prompt=None, SWAIG=None, ...) -> dict
ai_message(*, message_text=None, role=None, ...) -> dict
ai_hold(*, timeout=None, prompt=None) -> dict
ai_unhold(*, prompt=None) -> dict
join_room(name, *, status_url=None) -> dict
leave_room() -> dict
queue_enter(queue_name, *, control_id=None, status_url=None) -> dict
queue_leave(queue_name, *, control_id=None, queue_id=None, status_url=None) -> dict
bind_digit(digits, bind_method, *, bind_params=None, realm=None, max_triggers=None) -> dict
clear_digit_bindings(*, realm=None) -> dict
user_event(*, event=None, **kwargs) -> dict
wait_for(event_type, predicate=None, timeout=None) -> RelayEvent
wait_for_ended(timeout=None) -> RelayEvent
"""

SIGNATURE = re.compile(r"^(?P<name>\w+)\((?P<params>.*)\) -> (?P<returns>\w+)$", re.MULTILINE)
ALL = [*STAYING, *LEAVING]


def read(params: str) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Names with their defaults, before and after the star."""
    before: list[tuple[str, Any]] = []
    after: list[tuple[str, Any]] = []
    into = before
    for item in filter(None, (item.strip() for item in params.split(","))):
        if item == "*":
            into = after
        elif item != "..." and not item.startswith("**"):
            name, _, default = item.partition("=")
            value = {"": inspect.Parameter.empty, "None": None}.get(default, default.strip('"'))
            into.append((name, value))
    return before, after


@pytest.mark.parametrize("line", list(SIGNATURE.finditer(REFERENCE)), ids=lambda line: line["name"])
def test_the_signature_is_the_references(line: re.Match[str]) -> None:
    ours = inspect.signature(getattr(Call, line["name"]), eval_str=True)
    positional = [p for p in ours.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    keywords = [p for p in ours.parameters.values() if p.kind is p.KEYWORD_ONLY]
    before, after = read(line["params"])
    assert [(p.name, p.default) for p in positional] == before
    wanted = dict(after)
    assert [(p.name, p.default) for p in keywords if p.name in wanted] == after
    assert all(p.default is None for p in keywords), "whatever is not given is not sent"
    returns = ours.return_annotation
    assert line["returns"] in [kind.__name__ for kind in getattr(returns, "__origin__", returns).__mro__]
    if issubclass(getattr(returns, "__origin__", returns), Action):
        assert "on_completed" in ours.parameters
    if line["name"] not in ("wait_for", "wait_for_ended", "hangup"):
        assert any(p.kind is p.VAR_KEYWORD for p in ours.parameters.values())


def test_the_clients_own_verbs_say_to_a_running_program_what_they_give() -> None:
    """The classes are imported for that: tools that read signatures find what checkers find."""
    assert inspect.signature(RelayClient.dial, eval_str=True).return_annotation is Call
    assert inspect.signature(RelayClient.send_message, eval_str=True).return_annotation is Message


def test_hangup_passes_other_keywords_on_too() -> None:
    kinds = [p.kind for p in inspect.signature(Call.hangup).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD in kinds


def test_every_method_of_the_reference_has_commands_here() -> None:
    verbs = {command.verb for command in ALL}
    reference = {line["name"] for line in SIGNATURE.finditer(REFERENCE)} - {"wait_for", "wait_for_ended"}
    assert reference - verbs == set()


def test_every_parameter_of_the_protocol_is_set_by_a_command() -> None:
    """But for older names of others, and commands of their own."""
    older = {"calling.collect": {"continue"}}
    for method in {command.method for command in ALL}:
        given = {key for command in ALL if command.method == method for key in command.params}
        top = {path for path in all_paths(PARAMS[method]) if "." not in path and "[" not in path}
        keyed = {"control_id"} & top
        assert top - {"node_id", "call_id"} - given - keyed == older.get(method, set()), method


@pytest.fixture
async def pair(node: ScriptedNode, client: RelayClient) -> tuple[Call, ScriptedCall]:
    """A call, as the app has it and as its party sees it; every operation goes on until it is stopped."""
    caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Call) -> None:
        caught.set_result(call)

    node.hold(*PARAMS)
    party = await node.offer()
    return await caught, party


@pytest.mark.parametrize("command", ALL, ids=lambda c: f"{c.verb}-{'-'.join(c.options)}"[:60])
async def test_what_is_sent_is_what_the_protocol_says(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall], command: Command
) -> None:
    call, _ = pair
    for method in ("calling.leave_conference", "calling.denoise.stop"):
        node.answer(method, {"code": "200", "message": "OK"})
    with warnings.catch_warnings():
        if command.verb == "user_event":
            warnings.simplefilter("error")
        outcome = await getattr(call, command.verb)(*command.args, **command.options)
    sent = await node.until(command.method)
    keyed = {"control_id": sent.get("control_id")} if command.verb in KEYED else {}
    assert sent == {"node_id": NODE_ID, "call_id": call.call_id, **keyed, **command.params}
    parse_params(PARAMS[command.method], sent)
    if isinstance(outcome, Action):
        assert outcome.control_id == sent["control_id"]
        assert outcome.accepted["code"] == "200"
    else:
        assert outcome["code"] == "200"
        assert "message" in outcome


@pytest.mark.parametrize(
    ("steering", "options"),
    [*((steering, {}) for steering in STEERING), *STEERING_BY_KEYWORD],
    ids=lambda value: value.verb if isinstance(value, Steering) else "",
)
async def test_every_command_of_an_action_is_sent(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall], steering: Steering, options: dict[str, Any]
) -> None:
    call, _ = pair
    action = await getattr(call, steering.verb)(*steering.args, **options)
    for command, args, method, params in steering.commands:
        result = await getattr(action, command)(*args)
        assert result["code"] == "200"
        sent = await node.until(method)
        assert sent == {"node_id": NODE_ID, "call_id": call.call_id, "control_id": action.control_id, **params}
    event = await action.wait(5)
    assert (event.cause, action.is_done, action.completed, action.result) == (None, True, True, event)
    assert await action.stop() == {}, "to stop what is over is no mistake, and nothing is sent"


@pytest.mark.parametrize(
    ("steering", "options"),
    [*((steering, {}) for steering in STEERING), *STEERING_BY_KEYWORD],
    ids=lambda value: value.verb if isinstance(value, Steering) else "",
)
async def test_a_command_of_an_action_that_is_over_is_refused_by_the_node_and_stop_is_not_sent(
    pair: tuple[Call, ScriptedCall], steering: Steering, options: dict[str, Any]
) -> None:
    call, _ = pair
    action = await getattr(call, steering.verb)(*steering.args, **options)
    await action.stop()
    await action.wait(5)
    for command, args, _, _ in steering.commands:
        if command == "stop":
            assert await action.stop() == {}
        else:
            with pytest.raises(RelayError, match="RELAY error 409: It has ended"):
                await getattr(action, command)(*args)
    await call.hangup()
    await call.wait_for_ended(5)
    for command, args, _, _ in steering.commands:
        assert await getattr(action, command)(*args) == {}


def test_every_command_of_the_protocol_is_here() -> None:
    every = [*STEERING, *(steering for steering, _ in STEERING_BY_KEYWORD)]
    told = {method for steering in every for _, _, method, _ in steering.commands}
    sidecar = {name for name in PARAMS if name.startswith("calling.ai_sidecar.")}
    commands = {name for name in PARAMS if name.count(".") == 2 and not name.startswith("calling.queue.")}
    assert commands - sidecar - {"calling.denoise.stop"} == told
