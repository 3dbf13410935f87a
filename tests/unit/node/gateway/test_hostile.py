"""What hostile and odd clients try: each thing is answered or closed, has no effect, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from gateway_rig import OTHER_PROJECT, OTHER_TOKEN, PROJECT, TOKEN, connect_params

from offhook.node.calls.ports import Client

WRONG = [
    {},
    {"project": PROJECT},
    {"token": TOKEN},
    {"project": None, "token": None},
    {"project": [PROJECT], "token": [TOKEN]},
    {"project": {"$ne": ""}, "token": {"$ne": ""}},
    {"project": PROJECT.upper(), "token": TOKEN},
    {"project": PROJECT, "token": TOKEN.upper()},
    {"project": PROJECT, "token": TOKEN + "\0"},
    {"project": PROJECT, "token": TOKEN[:-1]},
    {"project": PROJECT, "token": f" {TOKEN}"},
    {"project": PROJECT, "token": True},
    {"project": PROJECT, "token": OTHER_TOKEN},
    {"project": OTHER_PROJECT, "token": TOKEN},
    {"jwt_token": "eyJhbGciOiJub25lIn0.eyJwcm9qZWN0IjoicHJvamVjdC0xIn0."},
    f"{PROJECT}:{TOKEN}",
    [PROJECT, TOKEN],
    None,
]


@pytest.mark.parametrize("authentication", WRONG, ids=range(len(WRONG)))
async def test_no_form_of_a_wrong_credential_connects(node, authentication):
    async with node.client(connect=False) as client:
        reply = await client.request("signalwire.connect", {**connect_params(), "authentication": authentication})
        assert reply["error"]["code"] in (-32002, -32602)
        assert TOKEN not in json.dumps(reply)
        assert list(node.gateway._sessions) == []


@pytest.mark.parametrize("major", [-1, 5, 2.5, "5", True, None, 2**70, -(2**63), [2], {}])
async def test_an_odd_version_is_refused_with_a_sentence(node, major):
    async with node.client(connect=False) as client:
        params = {**connect_params(), "version": {"major": major, "minor": 0, "revision": 0}}
        error = (await client.request("signalwire.connect", params))["error"]
        assert error["code"] in (-32001, -32602)
        assert "`version" in error["message"]


@pytest.mark.parametrize(
    "method",
    ["signalwire.ping", "signalwire.receive", "signalwire.event", "calling.dial", "calling.end", "messaging.send", "x"],
)
async def test_before_connect_every_method_is_told_to_connect(node, method):
    async with node.client(connect=False) as client:
        assert (await client.request(method, {"call_id": "c"}))["error"]["code"] == -32002
    assert node.runner.ran == []


async def test_of_six_connects_at_once_one_is_judged(node):
    async with node.client(connect=False) as client:
        ids = [
            await client.ask("signalwire.connect", connect_params(token=TOKEN if number % 2 else "wrong"), f"c{number}")
            for number in range(6)
        ]
        await client.until(lambda: client.closed.is_set() or all(one in client.responses for one in ids))
        assert len(list(node.gateway._sessions)) <= 1
        assert [one for one in ids if "result" in client.responses.get(one, {})] in ([], *[[one] for one in ids])


@pytest.mark.parametrize(
    "change",
    [
        lambda protocol: "unknown",
        lambda protocol: protocol.upper(),
        lambda protocol: protocol + "\0",
        lambda protocol: protocol[:-1],
        lambda protocol: f" {protocol}",
        lambda protocol: "x" * 60_000,
        lambda protocol: "",
    ],
    ids=["unknown", "upper case", "NUL", "cut", "space", "60 kB", "empty"],
)
async def test_a_name_that_is_not_quite_a_sessions_resumes_nothing(node, change):
    async with node.client() as owner, node.client(protocol=change(owner.hello["protocol"])) as other:
        assert other.hello["session_restored"] is False
        assert other.hello["protocol"] != owner.hello["protocol"]
        assert (await owner.request("signalwire.ping", {}))["result"] == {}


@pytest.mark.parametrize("call_id", ["other", "CALL", "call\0", "", 5, None, [], {"$ne": 1}, "x" * 60_000])
@pytest.mark.parametrize("method", ["calling.end", "calling.play", "calling.answer", "calling.pass"])
async def test_a_call_of_another_client_is_touched_by_no_spelling_of_its_id(node, method, call_id):
    async with node.client() as owner, node.client() as other:
        node.desk.assign("call", Client(owner.hello["protocol"]))
        params = {"node_id": "node-1", "call_id": "call", "control_id": "k"}
        assert (await other.request(method, params))["result"]["code"] == "409"
        await other.request(method, {**params, "call_id": call_id})
        assert node.gateway._ownership.get("call").owner == Client(owner.hello["protocol"])
        assert "call" not in [params["call_id"] for _, params, _ in node.runner.ran]


FRAMES = [
    '{"id":1e308,"method":"signalwire.ping"}',
    '{"id":1.5,"method":"signalwire.ping"}',
    '{"id":true,"method":"signalwire.ping"}',
    '{"id":"x","id":"y","method":"signalwire.ping"}',
    '{"id":"x","method":"signalwire.ping","method":"no.method"}',
    '[{"id":"1","method":"signalwire.ping"},{"id":"2","method":"signalwire.ping"}]',
    '\ufeff{"id":"x","method":"signalwire.ping"}',
    '{"id":"x","method":"signalwire.ping","params":{"a":"\\u0000"}}',
    '{"id":"x\\u0000","method":"signalwire.ping"}',
    '{"id":"x","method":"signalwire.ping","params":{"a":' + "[" * 31 + "]" * 31 + "}}",
    '{"id":"x","method":"signalwire.ping","params":' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"id":"x","method":"signalwire.ping","params":{"a":[' + ",".join("1" * 1 for _ in range(200_000)) + "]}}",
    '{"id":"x","method":"signalwire.ping","params":{"a":' + "9" * 400 + "}}",
    '{"id":"x","method":"signalwire.ping","params":{"a":' + "9" * 100_000 + "}}",
    '{"id":' + "9" * 4000 + ',"method":"signalwire.ping"}',
    '{"id":' + "9" * 100_000 + ',"method":"signalwire.ping"}',
    '{"id":"x","method":"signalwire.ping","params":{"a":1e999}}',
    '{"id":"x","method":"calling.play","params":{"' + "k" * 900_000 + '":1}}',
    '{"id":"x","result":{"a":' + "[" * 500 + "]" * 500 + "}}",
    '{"jsonrpc":"1.0","id":"x","method":"signalwire.ping"}',
    "\x00",
    '"text"',
    "{}" * 100,
]


@pytest.mark.parametrize("text", FRAMES, ids=range(len(FRAMES)))
async def test_an_odd_frame_is_answered_or_ignored_and_the_next_one_is_served(node, text):
    async with node.client() as client:
        await client.socket.send_str(text)
        assert (await client.request("signalwire.ping", {}, "after"))["result"] == {}
    assert node.gateway._tasks.failures == 0
    assert node.runner.ran == []


VALUES = [None, True, -1, 1e308, 2**99, "", "\u202e", "a\r\nb", "%n%s", "\ud800", "\x00", [], {}, [[[]]], {"a": {}}]
PARAMS = {"node_id": "node-1", "call_id": "call", "control_id": "k", "play": [{"type": "tts", "params": {"text": "a"}}]}


def spoilt(dice: random.Random, value, wrong):
    """A copy with one value replaced somewhere."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        return {**value, key: spoilt(dice, value[key], wrong)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        return [spoilt(dice, value[0], wrong), *value[1:]]
    return wrong


async def test_any_value_at_any_place_of_a_command_is_answered(node):
    dice = random.Random(7)
    async with node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        ids = []
        for number in range(400):
            method = dice.choice(["calling.play", "calling.dial", "calling.record", "calling.answer"])
            params = spoilt(dice, PARAMS, dice.choice(VALUES))
            ids.append(await client.ask(method, params, f"s{number}"))
        await client.until(lambda: sum(one in client.responses for one in ids) + errors(client) >= len(ids))
        assert (await client.request("signalwire.ping", {}))["result"] == {}
    assert node.gateway._tasks.failures == 0
    assert node.gateway._commands.failures == 0


def errors(client) -> int:
    return sum("error" in frame and frame["id"] is None for frame in client.frames)


async def test_four_clients_that_do_all_this_do_not_slow_a_fifth(node):
    async with node.client() as good:

        async def attack(number: int) -> None:
            async with node.client() as client:
                for text in FRAMES[number::4]:
                    await client.socket.send_str(text)
                await client.request("signalwire.ping", {}, "after")

        loop, waits = asyncio.get_running_loop(), []
        attacks = [asyncio.create_task(attack(number)) for number in range(4)]
        while not all(task.done() for task in attacks):
            began_at = loop.time()
            await good.request("signalwire.ping", {})
            waits.append(loop.time() - began_at)
            await asyncio.sleep(0.01)
        await asyncio.gather(*attacks)
        assert sorted(waits)[len(waits) // 2] < 1.0
