"""node/gateway: connect, resume, displacement, contexts, pings, the end of a socket. Raw frames over real sockets."""

from __future__ import annotations

import re

import aiohttp
import pytest
from gateway_rig import OTHER_PROJECT, OTHER_TOKEN, OfferedCall, connect_params, play, state

from offhook.node.calls.ports import Client

PROTOCOL = re.compile(
    r"signalwire_[0-9a-f]{40}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


async def test_connect_gives_what_both_published_clients_need(node):
    """The TypeScript client resumes only when the second part of protocol equals authorization.signature (10.2)."""
    async with node.client() as client:
        hello = client.hello
        assert PROTOCOL.fullmatch(hello["protocol"])
        assert hello["authorization"]["signature"] == hello["protocol"].split("_")[1]
        assert hello["ice_servers"] == []
        assert hello["identity"].endswith("@node-1")
        assert hello["session_restored"] is False
        assert hello["keeps_request_ids_s"] == 600
        assert "code" not in hello
        event = await client.asked("signalwire.authorization.state")
        assert ":" in event["params"]["params"]["authorization_state"]
        assert event["params"]["event_channel"] == hello["protocol"]
        assert event["params"]["space_id"] == "space-1"


@pytest.mark.parametrize(
    "authentication",
    [
        {"project": "project-1", "token": "wrong"},
        {"project": "wrong", "token": "PTsecret"},
        {"project": "project-1", "token": "PTother"},
        {"project": "project-1"},
        {"jwt_token": "x.y.z"},
        {"project": "", "token": ""},
    ],
)
async def test_a_wrong_credential_gets_32002_and_a_closed_socket(node, authentication):
    async with node.client(connect=False) as client:
        reply = await client.request("signalwire.connect", {**connect_params(), "authentication": authentication})
        assert reply["error"]["code"] == -32002
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1008


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        ((0, 0, 0), True),
        ((2, 0, 0), True),
        ((3, 0, 0), True),
        ((4, 0, 7), True),
        ((4, 1, 0), False),
        ((5, 0, 0), False),
    ],
)
async def test_versions_up_to_4_with_minor_0_are_taken(node, version, accepted):
    async with node.client(connect=False) as client:
        reply = await client.request("signalwire.connect", connect_params(version=version))
        assert ("result" in reply) is accepted
        if not accepted:
            assert reply["error"]["code"] == -32001


async def test_connect_without_version_names_the_field(node):
    async with node.client(connect=False) as client:
        params = connect_params()
        del params["version"]
        reply = await client.request("signalwire.connect", params)
        assert reply["error"]["code"] == -32602
        assert "`version` is missing" in reply["error"]["message"]


async def test_nothing_is_done_before_connect(node):
    async with node.client(connect=False) as client:
        reply = await client.request("calling.dial", {"tag": "t", "devices": []})
        assert reply["error"]["code"] == -32002
        assert reply["error"]["data"]["signalwire_error_code"] == "AUTH_REQUIRED"
    assert node.runner.ran == []


async def test_a_second_connect_on_one_socket_is_refused(node):
    async with node.client() as client:
        reply = await client.request("signalwire.connect", connect_params())
        assert reply["error"]["code"] == -32600


async def test_resume_by_protocol_alone_goes_on_with_the_session(node):
    async with node.client(contexts=["office"]) as client:
        protocol = client.hello["protocol"]
    async with node.client(protocol=protocol) as client:
        assert client.hello["protocol"] == protocol
        assert client.hello["session_restored"] is True
        assert await client.asked("signalwire.authorization.state")
        call = OfferedCall()
        node.desk.offer(call)
        assert (await client.event())["params"]["params"]["call_id"] == call.call_id


async def test_an_unknown_protocol_gives_a_fresh_session_never_an_error(node):
    async with node.client(protocol="signalwire_0_1_2") as client:
        assert client.hello["session_restored"] is False
        assert client.hello["protocol"] != "signalwire_0_1_2"


async def test_the_session_of_another_credential_cannot_be_resumed(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
    async with node.client(project=OTHER_PROJECT, token=OTHER_TOKEN, protocol=protocol) as client:
        assert client.hello["protocol"] != protocol


async def test_a_good_state_restores_and_no_new_one_is_sent(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
        event = await client.asked("signalwire.authorization.state")
        blob = event["params"]["params"]["authorization_state"]
    async with node.client(protocol=protocol, authorization_state=blob) as client:
        assert client.hello["session_restored"] is True
        await client.request("signalwire.ping", {})
        assert [frame for frame in client.frames if frame.get("method") == "signalwire.event"] == []


async def test_an_expired_state_is_ignored_and_a_new_one_is_sent(make_node):
    async with make_node(authorization_state_s=-1.0) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            event = await client.asked("signalwire.authorization.state")
        blob = event["params"]["params"]["authorization_state"]
        async with node.client(protocol=protocol, authorization_state=blob) as client:
            assert client.hello["session_restored"] is True
            assert await client.asked("signalwire.authorization.state")


async def test_a_corrupt_state_gets_32003(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
        event = await client.asked("signalwire.authorization.state")
        blob = event["params"]["params"]["authorization_state"]
    tampered = blob[:-6] + ("A" if blob[-6] != "A" else "B") + blob[-5:]
    for bad in (tampered, "garbage", "a:b:c", "", ":"):
        async with node.client(connect=False) as client:
            params = connect_params(protocol=protocol, authorization_state=bad)
            reply = await client.request("signalwire.connect", params)
            assert reply["error"]["code"] == -32003
            assert "Requester validation failed" in reply["error"]["message"]


async def test_a_state_without_protocol_is_refused(node):
    async with node.client(connect=False) as client:
        reply = await client.request("signalwire.connect", connect_params(authorization_state="x:y"))
        assert reply["error"]["code"] == -32602
        assert "protocol" in reply["error"]["message"]


async def test_a_state_of_another_session_proves_nothing(node):
    async with node.client() as client:
        event = await client.asked("signalwire.authorization.state")
        blob = event["params"]["params"]["authorization_state"]
        async with node.client() as second:
            protocol = second.hello["protocol"]
        async with node.client(protocol=protocol, authorization_state=blob) as third:
            assert third.hello["session_restored"] is True
            assert await third.asked("signalwire.authorization.state")


async def test_a_newer_connection_displaces_the_older(node):
    async with node.client() as older, node.client(protocol=older.hello["protocol"]) as newer:
        request = await older.asked("signalwire.disconnect")
        assert request["params"] == {"restart": False}
        await older.until(older.closed.is_set)
        assert await newer.request("signalwire.ping", {"payload": "x"})


async def test_contexts_come_and_go_by_receive_and_unreceive(node):
    async with node.client() as client:
        reply = await client.request("signalwire.receive", {"contexts": ["a"], "context": "b"})
        assert reply["result"]["code"] == "200"
        call = OfferedCall(context="b")
        node.desk.offer(call)
        assert (await client.event())["params"]["context"] == "b"
        reply = await client.request("signalwire.unreceive", {"contexts": ["a", "b"]})
        assert reply["result"] == {"code": "200", "message": "Unreceiving events"}
        reply = await client.request("signalwire.receive", {"contexts": []})
        assert reply["error"]["code"] == -32602
        reply = await client.request("signalwire.receive", {"contexts": "a"})
        assert reply["error"]["code"] == -32602
        reply = await client.request("signalwire.receive", {"contexts": [f"c{n}" for n in range(300)]})
        assert reply["result"]["code"] == "400"


async def test_receive_ended_with_version_4(node):
    async with node.client(version=(4, 0, 0), contexts=["a"]) as client:
        for method in ("signalwire.receive", "signalwire.unreceive"):
            reply = await client.request(method, {"contexts": ["a"]})
            assert reply["error"]["code"] == -32001


async def test_pings_are_answered_with_what_they_carry(node):
    async with node.client() as client:
        reply = await client.request("signalwire.ping", {"timestamp": 1.5, "payload": "p", "other": 1})
        assert reply["result"] == {"timestamp": 1.5, "payload": "p"}
        assert (await client.request("signalwire.ping", {}))["result"] == {}


async def test_the_node_pings_and_drops_who_stays_silent(make_node):
    async with make_node(ping_interval_s=0.05, silence_max_s=0.3) as node, node.client() as client:
        first = await client.asked("signalwire.ping")
        assert first["params"]["timestamp"] > 0
        await client.asked("signalwire.ping")  # never answered
        await client.until(client.closed.is_set)


async def test_who_does_not_connect_in_time_is_closed(make_node):
    async with make_node(connect_timeout_s=0.05) as node, node.client(connect=False) as client:
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1008


async def test_a_drain_says_goodbye_and_awaits_the_reply(node):
    async with node.client() as client:
        await node.gateway.drain(restart=True)
        request = await client.asked("signalwire.disconnect")
        assert request["params"] == {"restart": True}
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1001


async def test_a_client_that_does_not_reply_to_disconnect_is_closed_all_the_same(make_node):
    async with make_node(disconnect_timeout_s=0.05) as node, node.client() as client:
        client.replies_disconnect = False
        await node.gateway.drain()
        await client.until(client.closed.is_set)


async def test_an_origin_that_is_not_listed_gets_403_before_the_upgrade(make_node):
    origins = frozenset({"https://good.example"})
    async with make_node(allowed_origins=origins) as node, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{node.port}/"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, origin="https://evil.example")
        assert refused.value.status == 403
        async with http.ws_connect(url, origin="https://good.example"):
            pass
        async with http.get(url) as response:
            assert response.status == 426


async def test_compression_is_declined(node):
    url = f"http://127.0.0.1:{node.port}/"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, compress=15) as socket:
        assert socket.compress == 0


async def test_events_wait_for_a_session_that_is_away_and_come_in_order(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
        node.desk.assign("call", Client(protocol))
        node.outbox.emit(state("call", "answered"))
        await client.event("calling.call.state")
    for number in range(600):
        node.outbox.emit(play("call", number))
    async with node.client(protocol=protocol) as client:
        node.outbox.emit(play("call", 600))
        got = [(await client.event())["params"] for _ in range(601)]
        assert [params["params"]["control_id"] for params in got] == [f"control-{number}" for number in range(601)]
        assert [params["seq"] for params in got] == list(range(2, 603))


async def test_acked_events_do_not_come_again_and_unacked_ones_keep_their_id(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
        client.acks = False
        node.desk.assign("call", Client(protocol))
        for number in range(4):
            node.outbox.emit(play("call", number))
        first = [await client.event() for _ in range(4)]
        await client.ack(first[1])
        await client.request("signalwire.ping", {})
    async with node.client(protocol=protocol) as client:
        again = [await client.event() for _ in range(3)]
        assert [frame["id"] for frame in again] == [first[0]["id"], first[2]["id"], first[3]["id"]]
        assert again[0] == first[0]


async def test_a_client_without_acks_gets_nothing_twice(node):
    async with node.client(event_acks=False) as client:
        protocol = client.hello["protocol"]
        client.acks = False
        node.desk.assign("call", Client(protocol))
        node.outbox.emit(play("call", 1))
        await client.event()
        await client.request("signalwire.ping", {})
    node.outbox.emit(play("call", 2))
    async with node.client(protocol=protocol, event_acks=False) as client:
        assert (await client.event())["params"]["params"]["control_id"] == "control-2"


async def test_what_is_too_much_to_keep_is_told_as_truncated(make_node):
    async with make_node(retention_max_events=5) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            client.acks = False
            node.desk.assign("call", Client(protocol))
            for number in range(12):
                node.outbox.emit(play("call", number))
            seqs = [(await client.event())["params"]["session_seq"] for _ in range(12)]
        async with node.client(protocol=protocol) as client:
            frame = await client.event()
            assert frame["params"]["event_type"] == "signalwire.events_truncated"
            assert frame["params"]["params"] == {"from": seqs[0], "to": seqs[6], "calls": {"call": []}}
            got = [(await client.event())["params"]["session_seq"] for _ in range(5)]
            assert got == seqs[7:]


async def test_a_slow_reader_is_disconnected_and_resumes_without_loss(make_node):
    async with make_node(queue_max_events=50, disconnect_timeout_s=0.1) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            client.reading.cancel()
            filler = "x" * 60_000
            for number in range(400):
                event = play("call", number)
                event.params["filler"] = filler
                node.outbox.emit(event)
            await node.outbox.journalled()
            session = node.gateway._sessions.get(protocol)
            assert session is not None
            await client_gone(session)
        async with node.client(protocol=protocol) as client:
            got = [(await client.event())["params"]["seq"] for _ in range(session.delivery.unacked)]
            assert got == list(range(401 - len(got), 401))
            assert len(got) >= 300


async def client_gone(session):
    import asyncio

    async with asyncio.timeout(10):
        while session.is_connected:
            await asyncio.sleep(0.01)
