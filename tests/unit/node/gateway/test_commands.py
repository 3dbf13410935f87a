"""node/gateway/commands and dispatcher: one effect per id, ownership, every request answered, garbage survived."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from gateway_rig import OTHER_PROJECT, OTHER_TOKEN, OfferedCall, state

from offhook.errors import CommandRefused, EngineLost
from offhook.node.calls.ports import Client, OutgoingEvent


def gate(result=None):
    """A command that waits until it is let go."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def act(params, origin):
        begun.set()
        await go.wait()
        return result or {"code": "200", "message": "let go"}

    return act, begun, go


async def test_a_command_reaches_the_runner_with_its_client(node):
    async with node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        result = await client.command("calling.play", "call", control_id="k", play=[])
        assert result["code"] == "200"
        method, params, asker = node.runner.ran[0]
        assert (method, params["control_id"]) == ("calling.play", "k")
        assert asker == Client(client.hello["protocol"])


async def test_the_same_request_id_has_one_effect_and_one_reply(node):
    async with node.client() as client:
        first = await client.command("calling.play", "call", "id-1", control_id="k")
        node.runner.script["calling.play"] = gate()[0]
        assert await client.command("calling.play", "call", "id-1", control_id="k") == first
        protocol = client.hello["protocol"]
    async with node.client(protocol=protocol) as client:
        assert await client.command("calling.play", "call", "id-1", control_id="k") == first
    assert node.runner.methods() == ["calling.play"]


async def test_a_duplicate_waits_for_the_first_also_over_a_lost_socket(node):
    act, begun, go = gate()
    node.runner.script["calling.play"] = act
    async with node.client() as client:
        protocol = client.hello["protocol"]
        await client.ask("calling.play", {"call_id": "call", "control_id": "k"}, "id-1")
        await begun.wait()
    async with node.client(protocol=protocol) as client:
        await client.ask("calling.play", {"call_id": "call", "control_id": "k"}, "id-1")
        await client.request("signalwire.ping", {})
        go.set()
        await client.until(lambda: "id-1" in client.responses)
        assert client.responses["id-1"]["result"]["message"] == "let go"
    assert node.runner.methods() == ["calling.play"]


async def test_first_replies_outlive_the_node(make_node):
    async with make_node() as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            first = await client.command("calling.dial", "", "id-1", tag="t")
        await node.crash()
        port = node.port
    second = make_node()
    second.port = port
    async with second, second.client(protocol=protocol) as client:
        assert client.hello["session_restored"] is True
        assert await client.command("calling.dial", "", "id-1", tag="t") == first
    assert second.runner.ran == []


async def test_a_number_as_id_is_echoed_and_is_not_the_text(node):
    async with node.client() as client:
        await client.command("calling.play", "call", 7)
        await client.command("calling.play", "call", "7")
        await client.command("calling.play", "call", 7)
    assert len(node.runner.ran) == 2


async def test_refusals_are_results_with_code_and_sentence(node):
    async def refuse(params, origin):
        raise CommandRefused("409", "answer() first")

    async def lose(params, origin):
        raise EngineLost("the engine went away: try again in a second")

    async def crash(params, origin):
        raise RuntimeError("secret detail of the code")

    async def nonsense(params, origin):
        return {"code": "200", "odd": object()}

    node.runner.script.update(
        {"calling.play": refuse, "calling.answer": lose, "calling.end": crash, "calling.echo": nonsense}
    )
    async with node.client() as client:
        assert await client.command("calling.play", "c") == {"code": "409", "message": "answer() first"}
        lost = await client.command("calling.answer", "c")
        assert lost["code"] == "500"
        assert "try again" in lost["message"]
        crashed = await client.command("calling.end", "c")
        assert crashed["code"] == "500"
        assert "secret" not in crashed["message"]
        assert node.gateway._commands.failures == 1
        assert (await client.command("calling.echo", "c"))["code"] == "500"
        refused = await client.command("messaging.send", "")
        assert (refused["code"], "no carrier for messages" in refused["message"]) == ("501", True)


async def test_unknown_methods_get_32601(node):
    async with node.client() as client:
        for method in ("calling.fly", "video.room", "signalwire.subscribe", "", "calling", "signalwire.disconnect"):
            reply = await client.request(method, {})
            assert reply["error"]["code"] == -32601
    assert node.runner.ran == []


async def test_a_slow_command_is_answered_in_time(make_node):
    async with make_node(reply_timeout_s=0.05) as node, node.client() as client:
        act, _, go = gate()
        node.runner.script["calling.play"] = act
        result = await client.command("calling.play", "c")
        assert result["code"] == "500"
        assert "may still take effect" in result["message"]
        go.set()


async def test_another_projects_call_is_as_if_it_did_not_exist(node):
    """reliability T21: the runner never hears of that call; it judges a call id that nobody has."""
    async with node.client() as owner, node.client(project=OTHER_PROJECT, token=OTHER_TOKEN) as stranger:
        node.desk.assign("call", Client(owner.hello["protocol"]))
        for method in ("calling.end", "calling.pass", "calling.play"):
            await stranger.command(method, "call", control_id="k")
        asked_for = [params["call_id"] for _, params, _ in node.runner.ran]
        assert len(asked_for) == 3
        assert "call" not in asked_for
        assert (await owner.command("calling.end", "call"))["code"] == "200"
        assert node.runner.ran[-1][1]["call_id"] == "call"


async def test_another_clients_call_gets_409(node):
    async with node.client() as owner, node.client() as other:
        node.desk.assign("call", Client(owner.hello["protocol"]))
        for method in ("calling.end", "calling.pass", "calling.play"):
            result = await other.command(method, "call")
            assert result["code"] == "409"
            assert "another client controls this call" in result["message"]
    assert node.runner.ran == []


async def test_events_never_overtake_the_reply_of_the_command_that_caused_them(node):
    async with node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))

        async def end(params, origin):
            node.outbox.emit(state("call", "ending"))
            await asyncio.sleep(0)
            node.outbox.emit(state("call", "ended"))
            await node.journal.flushed()
            await client.request("signalwire.ping", {}, "ping")  # what could leave has left
            return {"code": "200", "message": "Ending call"}

        node.runner.script["calling.end"] = end
        await client.ask("calling.end", {"call_id": "call"}, "id-1")
        await client.until(lambda: len(client.events) == 2)
        assert client.order[1:] == ["reply ping", "reply id-1", *["calling.call.state"] * 2]


async def test_events_of_a_dial_follow_its_reply_in_the_order_of_emission(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]

        async def dial(params, origin):
            node.desk.assign("leg", Client(protocol))
            node.outbox.emit(OutgoingEvent("calling.call.dial", {"dial_state": "dialing"}, tag="t", session=protocol))
            node.outbox.emit(state("leg", "answered", tag="t", dial_winner="true"))
            node.outbox.emit(OutgoingEvent("calling.call.dial", {"dial_state": "answered"}, tag="t", session=protocol))
            await node.journal.flushed()
            await client.request("signalwire.ping", {}, "ping")
            return {"code": "200", "message": "Dialing"}

        node.runner.script["calling.dial"] = dial
        await client.ask("calling.dial", {"tag": "t"}, "id-1")
        await client.until(lambda: len(client.events) == 3)
        assert client.order[2:] == ["reply id-1", "calling.call.dial", "calling.call.state", "calling.call.dial"]


async def test_a_collect_event_settles_50_ms_after_the_result_and_holds_what_is_behind(node, monkeypatch):
    """relay-protocol 10.5 rule 1: the TypeScript client hangs when both arrive in one segment."""
    async with node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        params = {"call_id": "call", "control_id": "k", "result": {"type": "no_input"}}

        async def collect(given, origin):
            event = OutgoingEvent("calling.call.collect", params, call_id="call", settle=True)
            node.outbox.emit(event)
            node.outbox.emit(state("call", "ending"))
            return {"code": "200", "message": "Collecting"}

        node.runner.script["calling.collect"] = collect
        loop, replied_at = asyncio.get_running_loop(), []
        reply_written = node.outbox.reply_written
        monkeypatch.setattr(
            node.outbox, "reply_written", lambda turn: (replied_at.append(loop.time()), reply_written(turn))
        )
        await client.request("calling.collect", {"call_id": "call", "control_id": "k"})
        assert (await client.event())["params"]["event_type"] == "calling.call.collect"
        assert client.order[client.order.index("calling.call.collect") - 1].startswith("reply")
        assert loop.time() - replied_at[0] >= 0.04
        assert (await client.event())["params"]["params"]["call_state"] == "ending"
        node.outbox.emit(OutgoingEvent("calling.call.collect", params, call_id="call", settle=True))
        begun_at = loop.time()
        await client.event()
        assert loop.time() - begun_at < 0.04


async def test_a_settling_event_does_not_wait_for_a_client_that_is_gone(node):
    act, begun, go = gate()
    node.runner.script["calling.collect"] = act
    async with node.client() as client:
        protocol = client.hello["protocol"]
        node.desk.assign("call", Client(protocol))
        await client.ask("calling.collect", {"call_id": "call", "control_id": "k"}, "id-1")
        await begun.wait()
    params = {"call_id": "call", "control_id": "k", "result": {"type": "no_input"}}
    node.outbox.emit(OutgoingEvent("calling.call.collect", params, call_id="call", settle=True))
    go.set()
    async with node.client(protocol=protocol) as client:
        assert (await client.event())["params"]["params"]["control_id"] == "k"


async def test_new_calls_are_refused_while_the_journal_cannot_be_written(node):
    async with node.client() as client:
        node.fill_disk()
        await client.request("signalwire.receive", {"contexts": ["office"]})
        await node.journal.flushed()
        result = await client.command("calling.dial", "", "id-1", tag="t")
        assert result["code"] == "503"
        assert "free space" in result["message"]
        call = OfferedCall()
        node.desk.offer(call)
        await call.decided
        assert call.rejected[0] == 503
        node.free_disk()
        async with asyncio.timeout(5):
            while not node.journal.is_healthy:
                await node.journal.flushed()
                await asyncio.sleep(0.01)
        assert (await client.command("calling.dial", "", "id-1", tag="t"))["code"] == "200"


async def test_a_draining_node_takes_no_new_call(node):
    async with node.client(contexts=["office"]) as client:
        node.gateway.refuse_new_calls()
        assert (await client.command("calling.dial", "", tag="t"))["code"] == "503"
        call = OfferedCall()
        node.desk.offer(call)
        await call.decided
        assert call.rejected[0] == 503
        assert (await client.command("calling.play", "c"))["code"] == "200"


async def test_an_overloaded_node_places_no_new_call_and_does_everything_else(node):
    async with node.client(contexts=["office"]) as client:
        node.gateway.use_runner(node.runner, lambda: why)
        why = "This node is overloaded; try again in a few seconds"
    async with node.client(contexts=["office"]) as client:
        refused = await client.command("calling.dial", "", "id-1", tag="t")
        assert (refused["code"], refused["message"]) == ("503", why)
        assert (await client.command("calling.play", "c"))["code"] == "200"
        why = ""
        assert (await client.command("calling.dial", "", "id-1", tag="t"))["code"] == "200"  # the refusal is not kept


async def test_a_dial_that_is_under_way_is_not_refused_when_it_is_asked_for_again(node):
    """Its program would take it for one that calls nobody, and nobody would take its answer."""
    async with node.client(contexts=["office"]) as client:
        assert (await client.command("calling.dial", "", tag="t"))["code"] == "200"
        node.gateway.refuse_new_calls()
        assert (await client.command("calling.dial", "", tag="t"))["code"] == "200"
        assert (await client.command("calling.dial", "", tag="u"))["code"] == "503"


@pytest.mark.virtual_clock
async def test_too_many_requests_get_32005_and_a_sentence(make_node):
    async with make_node(requests_per_s=1.0, requests_burst=5) as node, node.client() as client:
        ids = [await client.ask("signalwire.ping", {}, f"p{number}") for number in range(15)]
        await client.until(lambda: all(frame_id in client.responses for frame_id in ids))
        refused = [frame_id for frame_id in ids if "error" in client.responses[frame_id]]
        assert len(refused) >= 4
        error = client.responses[refused[0]]["error"]
        assert error["code"] == -32005
        assert "send slower" in error["message"]


async def test_each_live_call_of_a_client_adds_to_its_rate(make_node):
    limits = {"requests_per_s": 0.001, "requests_burst": 5, "requests_per_s_per_call": 1e9}
    async with make_node(**limits) as node, node.client() as client, node.client() as idle:
        node.desk.assign("call", Client(client.hello["protocol"]))
        ids = [await client.ask("signalwire.ping", {}, f"p{number}") for number in range(100)]
        refused = [await idle.ask("signalwire.ping", {}, f"p{number}") for number in range(100)]
        await client.until(lambda: all(frame_id in client.responses for frame_id in ids))
        assert all("result" in client.responses[frame_id] for frame_id in ids)
        await idle.until(lambda: all(frame_id in idle.responses for frame_id in refused))
        assert "error" in idle.responses[refused[-1]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        ('{"id":"x","method":"signalwire.ping","params":{"a":NaN}}', -32700),
        ("[" * 100_000, -32700),
        ("[]", -32600),
        ('[{"jsonrpc":"2.0","id":"1","method":"signalwire.ping"}]', -32600),
        ("1", -32600),
        ("null", -32600),
        ('{"id":"x"}', -32600),
        ('{"method":"signalwire.ping"}', -32600),
        ('{"id":{},"method":"signalwire.ping"}', -32600),
        ('{"id":"x","method":5}', -32600),
        ('{"id":"x","method":"signalwire.ping","params":[]}', -32600),
        ('{"id":"x","method":"signalwire.ping","params":' + '{"a":' * 40 + "1" + "}" * 41, -32600),
        (json.dumps({"id": "x", "method": "signalwire.ping", "params": {"a": "b" * 70_000}}), -32600),
        (json.dumps({"id": "x", "method": "calling.play", "params": {str(n): n for n in range(65)}}), -32600),
    ],
)
async def test_garbage_is_answered_and_nothing_dies(node, text, code):
    async with node.client() as client:
        await client.socket.send_str(text)
        await client.until(lambda: any("error" in frame for frame in client.frames))
        errors = [frame["error"]["code"] for frame in client.frames if "error" in frame]
        assert errors == [code]
        assert (await client.request("signalwire.ping", {}))["result"] == {}


@pytest.mark.parametrize(
    ("text", "frame_id"),
    [
        ('{"id":"x","method":"signalwire.ping","params":{"a":NaN}}', "x"),
        ('{"id":"x","method":"signalwire.ping","params":{"a":1e999}}', "x"),
        ('{"id":7,"method":"signalwire.ping","params":{"a":' + "9" * 6000 + "}}", 7),
        ('{"id":"x","method":"signalwire.ping","params":{"payload":"a\\ud83d"}}', "x"),
        ('{"id":"x\\ud83d","method":"signalwire.ping","params":{}}', "x\ud83d"),
        ('{"id":"x","method":"signalwire.ping","params":{"a":"two\nlines"}}', "x"),
    ],
)
async def test_what_is_refused_is_refused_to_its_id_with_a_sentence(node, text, frame_id):
    async with node.client() as client:
        await client.socket.send_str(text)
        await client.until(lambda: frame_id in client.responses)
        error = client.responses[frame_id]["error"]
        assert error["code"] in (-32700, -32600, -32602)
        assert len(error["message"].split()) >= 4
        assert (await client.request("signalwire.ping", {}))["result"] == {}
    assert node.gateway._tasks.failures == 0


async def test_half_a_character_in_a_text_reaches_the_verb_as_unicode(node):
    """What a JavaScript program sends after ``text.slice(0, n)``: the frame is taken, and nothing of it is lost."""
    got = asyncio.get_running_loop().create_future()

    async def play(params, _origin):
        got.set_result(params)
        return {"code": "200", "message": "ok"}

    node.runner.script["calling.play"] = play
    half = '{"text":"Well done \\ud83d","a\\ude00":["\\udc00"]}'
    async with node.client() as client:
        await client.socket.send_str(
            f'{{"jsonrpc":"2.0","id":"2","method":"calling.play","params":{{"call_id":"c","control_id":"k","p":{half}}}}}'
        )
        await client.until(lambda: "2" in client.responses)
        assert client.responses["2"]["result"]["code"] == "200"
    assert got.result()["p"] == {"text": "Well done \ufffd", "a\ufffd": ["\ufffd"]}


async def test_bytes_that_are_no_utf_8_close_with_1007(node):
    """RFC 6455 section 8.1; a lone surrogate encoded by hand is no UTF-8 either (RFC 3629 section 3)."""
    for data in (b'{"id":"x","method":"signalwire.ping","params":{"a":"\xff"}}', b'"\xed\xa0\xbd"'):
        async with node.client() as client:
            await client.socket._writer.send_frame(data, 1)
            await client.until(client.closed.is_set)
            assert client.socket.close_code == 1007
    async with node.client() as client:
        assert (await client.request("signalwire.ping", {}))["result"] == {}


async def test_random_mutations_of_frames_kill_nothing(node):
    dice = random.Random(20)
    base = json.dumps({"jsonrpc": "2.0", "id": "x", "method": "calling.play", "params": {"call_id": "c", "play": [1]}})
    async with node.client() as stranger, node.client() as client:
        for _ in range(150):
            text = list(base)
            for _ in range(dice.randint(1, 6)):
                text[dice.randrange(len(text))] = chr(dice.choice([dice.randrange(32, 127), 0, 0x7F, 0xFFFD, 0x1F600]))
            await client.socket.send_str("".join(text))
        assert (await client.request("signalwire.ping", {}))["result"] == {}
        assert (await stranger.request("signalwire.ping", {}))["result"] == {}
    assert node.gateway._tasks.failures == 0


async def test_a_frame_over_1_mib_closes_with_1009_and_binary_with_1003(node):
    async with node.client() as client:
        await client.socket.send_str("x" * ((1 << 20) + 1))
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1009
    async with node.client() as client:
        await client.socket.send_bytes(b"\x00")
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1003
    async with node.client() as client:
        assert await client.request("signalwire.ping", {})


async def test_an_ack_for_nothing_and_replies_to_nothing_are_ignored(node):
    async with node.client() as client:
        await client.send({"jsonrpc": "2.0", "id": "never sent", "result": {}})
        await client.send({"jsonrpc": "2.0", "id": 5, "result": None})
        await client.send({"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": "no"}})
        assert (await client.request("signalwire.ping", {}))["result"] == {}
        assert [frame for frame in client.frames if "error" in frame] == []


async def test_a_flood_costs_itself_only(node):
    """Garbage, stray acks and requests beyond the rate are read ever slower; a neighbour notices nothing."""
    async with node.client() as flooder, node.client() as neighbour:

        async def flood() -> None:
            for number in range(20_000):
                text = ("{", '{"id":"stray","result":{}}', '{"id":"p","method":"signalwire.ping"}')[number % 3]
                await flooder.socket.send_str(text)

        flooding = asyncio.create_task(flood())
        loop = asyncio.get_running_loop()
        waits = []
        for _ in range(50):
            begun_at = loop.time()
            await neighbour.request("signalwire.ping", {})
            waits.append(loop.time() - begun_at)
            await asyncio.sleep(0.005)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert sorted(waits)[25] < 0.2
        assert len(flooder.frames) < 1000


async def test_only_so_many_ids_are_remembered(make_node):
    async with make_node(reply_ids_max=3) as node, node.client() as client:
        for number in range(5):
            await client.command("calling.play", "call", f"id-{number}")
        await client.command("calling.play", "call", "id-4")
        assert len(node.runner.ran) == 5
        await client.command("calling.play", "call", "id-0")
        assert len(node.runner.ran) == 6


async def test_a_client_that_reads_no_replies_holds_up_nobody_else(make_node):
    """Its command's events wait for a reply that overflows its queue: they and the engine's acks must still leave."""
    async with make_node(queue_max_bytes=1 << 16, requests_burst=1000) as node, node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        is_asked, may_answer = asyncio.Event(), asyncio.Event()

        async def answer(_params, _origin):
            is_asked.set()
            await may_answer.wait()
            return {"code": "200", "message": "OK"}

        node.runner.script["calling.answer"] = answer
        await client.ask("calling.answer", {"node_id": "node-1", "call_id": "call"})
        await is_asked.wait()
        client.reading.cancel()
        node.outbox.emit(state("call", "answered"))
        connection = next(iter(node.gateway._connections))
        while connection._queued_bytes < 1 << 15:
            connection.send("r" * 10_000)
            await asyncio.sleep(0)
        connection.send("r" * ((1 << 16) - connection._queued_bytes - 50))
        may_answer.set()
        async with asyncio.timeout(5):
            await node.outbox.journalled()
