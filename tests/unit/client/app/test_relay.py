"""The client against a scripted node on a real socket: life, calls, dials, reconnects."""

from __future__ import annotations

import asyncio
import datetime
import functools
import logging
from pathlib import Path
from typing import Any

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.app.settings import parse_host
from offhook.client.calls.call import Call
from offhook.client.session.session import SessionSettings
from offhook.client.transport.connection import make_tls_context
from offhook.errors import CallReleased, ConfigurationError, ConnectionLost, DialFailed, RelayError, RequestTimeout
from offhook.node.web.tls import LocalCertificates, server_context
from offhook.protocol.states import CallState, DialState, EndReason, EndSource
from offhook.protocol.verbs import dial
from offhook.testing.node import NODE_ID, ScriptedNode

PHONE: Any = [[{"type": "phone", "params": {"to_number": "+15550000003", "from_number": "+15550000004"}}]]


def catch(client: RelayClient) -> asyncio.Future[Call]:
    """The next inbound call."""
    caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Call) -> None:
        if not caught.done():
            caught.set_result(call)

    return caught


async def test_an_ivr_from_offer_to_end(node: ScriptedNode, client: RelayClient) -> None:
    story: list[str] = []
    told = asyncio.Event()

    @client.on_call
    async def ivr(call: Call) -> None:
        await call.answer()
        await call.wait_for_answered()
        prompt = await call.play_and_collect(
            [{"type": "tts", "params": {"text": "Press one."}}], {"digits": {"max": 1, "digit_timeout": 5.0}}
        )
        event = await prompt.wait()
        story.append(event.params.get("result", {}).get("params", {}).get("digits", ""))
        recording = await call.record(audio={"format": "wav", "stereo": True, "direction": "both"})
        story.append(str((await recording.wait()).params.get("url")))
        await call.hangup()
        story.append(str((await call.wait_for_ended()).params.get("end_reason")))
        told.set()

    call = await node.offer()
    await call.press("1")
    await asyncio.wait_for(told.wait(), 30)
    assert story[0] == "1"
    assert story[1].startswith("https://")
    assert story[2] == "hangup"
    assert client.calls == []


async def test_a_call_has_its_seven_properties(node: ScriptedNode, client: RelayClient) -> None:
    caught = catch(client)
    offered = await node.offer()
    call = await caught
    assert (call.call_id, call.node_id, call.direction, call.state, call.tag) == (
        offered.call_id,
        NODE_ID,
        "inbound",
        "created",
        "",
    )
    assert call.device["params"]["from_number"] == "+15550000001"
    assert call.segment_id
    assert (call.context, call.project_id) == ("default", "project")


async def test_a_failing_handler_is_logged_with_its_call_and_leaves_others_alone(
    node: ScriptedNode, client: RelayClient, caplog: pytest.LogCaptureFixture
) -> None:
    @client.on_call
    async def handle(call: Call) -> None:
        if call.device["params"]["from_number"] == "+1":
            raise LookupError("no such customer")
        await call.answer()

    bad = await node.offer(from_number="+1")
    good = await node.offer(from_number="+2")
    await good.until("calling.answer")
    assert bad.call_id in caplog.text
    assert "no such customer" in caplog.text


async def test_calls_over_the_limit_are_passed_on(node: ScriptedNode) -> None:
    async with RelayClient("project", "token", node.host, ["default"], max_active_calls=1) as client:
        caught = catch(client)
        await node.offer()
        await caught
        surplus = await node.offer()
        await surplus.until("calling.pass")


async def test_a_call_nobody_handles_is_passed_on(node: ScriptedNode, client: RelayClient) -> None:
    await (await node.offer()).until("calling.pass")


async def test_after_pass_open_actions_end_released_and_commands_raise(node: ScriptedNode, client: RelayClient) -> None:
    caught = catch(client)
    node.hold("calling.play")
    await node.offer()
    call = await caught
    action = await call.play_silence(9)
    assert await call.pass_()
    assert (await action.wait(1)).cause == "released"
    assert (await call.wait_for_ended(1)).cause == "released"
    with pytest.raises(CallReleased):
        await call.answer()
    with pytest.raises(CallReleased):
        await call.play_silence(1)


async def test_a_dial_returns_the_answered_call(node: ScriptedNode, client: RelayClient) -> None:
    call = await client.dial(PHONE, tag="t1", max_duration=60, timeout=20)
    assert (call.state, call.direction, call.tag) == ("answered", "outbound", "t1")
    assert await node.until("calling.dial") == {"tag": "t1", "devices": PHONE, "max_duration": 60, "timeout": 20}
    assert (await call.wait_for_answered()).params["call_state"] == "answered"
    action = await call.play_tts("hello")
    assert (await action.wait()).params["state"] == "finished"


async def test_a_failed_dial_says_why(node: ScriptedNode, client: RelayClient) -> None:
    node.hold("calling.dial")
    dialling = asyncio.create_task(client.dial(PHONE, tag="t1"))
    await node.until("calling.dial")
    failed = {"node_id": NODE_ID, "tag": "t1", "dial_state": DialState.FAILED, "reason": "busy", "source": "inbound"}
    await node.send(dial.EVENT, failed)
    with pytest.raises(DialFailed, match="busy") as caught:
        await dialling
    assert (caught.value.reason, caught.value.source, caught.value.code) == ("busy", "inbound", -1)


async def test_a_refused_dial_raises_the_servers_code(node: ScriptedNode, client: RelayClient) -> None:
    with pytest.raises(RelayError) as caught:
        await client.dial([])
    assert caught.value.code == 400
    assert "devices" in caught.value.message


async def test_a_dial_that_times_out_ends_its_legs_also_those_that_come_later(
    node: ScriptedNode, client: RelayClient
) -> None:
    """signalwire-legacy-js#1329: the SDK gave up, the call came later and the callee heard silence."""
    node.hold("calling.dial")
    dialling = asyncio.create_task(client.dial(PHONE, tag="t1", dial_timeout=0.2))
    await node.until("calling.dial")
    early = node.leg("t1")
    await early.move(CallState.RINGING)
    with pytest.raises(DialFailed) as caught:
        await dialling
    assert caught.value.reason == "timeout"
    assert (await early.until("calling.end"))["reason"] == "cancel"
    late = node.leg("t1")
    await late.move(CallState.ANSWERED)
    assert (await late.until("calling.end"))["reason"] == "hangup"
    unseen = node.leg("t1")
    await node.send(
        dial.EVENT, {"node_id": NODE_ID, "tag": "t1", "dial_state": "answered", "call": unseen.winner_params()}
    )
    await unseen.until("calling.end")


async def test_a_cancelled_dial_ends_its_legs(node: ScriptedNode, client: RelayClient) -> None:
    node.hold("calling.dial")
    dialling = asyncio.create_task(client.dial(PHONE, tag="t1"))
    await node.until("calling.dial")
    leg = node.leg("t1")
    await leg.move(CallState.RINGING)
    await node.settle(lambda: True)
    await client.execute("signalwire.ping", {})
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling
    await leg.until("calling.end")


async def test_leaving_right_after_a_dial_timed_out_still_ends_its_legs(node: ScriptedNode) -> None:
    node.hold("calling.dial")
    async with RelayClient("project", "token", node.host) as client:
        dialling = asyncio.create_task(client.dial(PHONE, tag="t1", dial_timeout=0.2))
        await node.until("calling.dial")
        leg = node.leg("t1")
        await leg.move(CallState.RINGING)
        with pytest.raises(DialFailed):
            await dialling
    await leg.until("calling.end", timeout_s=1)


async def test_a_pending_dial_survives_a_resume(node: ScriptedNode, client: RelayClient) -> None:
    node.hold("calling.dial")
    dialling = asyncio.create_task(client.dial(PHONE, tag="t1"))
    await node.until("calling.dial")
    await node.drop()
    leg = node.leg("t1")
    await leg.move(CallState.ANSWERED)
    await node.send(
        dial.EVENT, {"node_id": NODE_ID, "tag": "t1", "dial_state": "answered", "call": leg.winner_params()}
    )
    call = await dialling
    assert call.call_id == leg.call_id
    assert node.connects[-1].protocol is not None


async def test_a_second_dial_with_the_same_tag_is_refused(node: ScriptedNode, client: RelayClient) -> None:
    node.hold("calling.dial")
    first = asyncio.create_task(client.dial(PHONE, tag="t1"))
    await node.until("calling.dial")
    with pytest.raises(DialFailed, match="choose another"):
        await client.dial(PHONE, tag="t1")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_events_of_a_gap_arrive_once_and_in_order_after_the_resume(
    node: ScriptedNode, client: RelayClient
) -> None:
    caught = catch(client)
    offered = await node.offer()
    call = await caught
    seen: list[str] = []
    call.on("calling.call.play", lambda event: seen.append(event.params["state"]))
    await offered.send("calling.call.play", {"control_id": "x", "state": "1"})
    await node.drop()
    for number in range(2, 9):
        await offered.send("calling.call.play", {"control_id": "x", "state": str(number)})
    await node.until_connected(2)
    await offered.hangup()
    await call.wait_for_ended(5)
    assert seen == [str(number) for number in range(1, 9)]


async def test_a_request_in_flight_is_sent_again_with_its_id_and_done_once(
    node: ScriptedNode, client: RelayClient
) -> None:
    caught = catch(client)
    await node.offer()
    call = await caught
    node.mute("calling.answer")
    answering = asyncio.create_task(call.answer())
    await node.until("calling.answer", call.call_id)
    node.unmute()
    await node.drop()
    assert (await answering)["code"] == "200"


async def test_a_request_in_flight_fails_where_ids_are_not_kept() -> None:
    async with ScriptedNode(keeps_ids=False) as node, RelayClient("project", "token", node.host, ["default"]) as client:
        node.mute("signalwire.receive")
        asking = asyncio.create_task(client.receive(["more"]))
        await node.until("signalwire.receive")
        await node.drop()
        with pytest.raises(ConnectionLost) as caught:
            await asking
        assert caught.value.was_sent


async def test_a_node_that_falls_silent_is_left_for_a_new_socket(
    node: ScriptedNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    impatient = functools.partial(SessionSettings, backoff_min_s=0.01, backoff_max_s=0.02, quiet_s=0.05, silence_s=0.15)
    monkeypatch.setattr("offhook.client.app.relay.SessionSettings", impatient)
    async with RelayClient("project", "token", node.host, ["default"]) as client:
        caught = catch(client)
        await node.offer()
        call = await caught
        node.freeze()
        answering = asyncio.create_task(call.answer())
        await node.until_connected(2)
        assert (await answering)["code"] == "200"
    assert "nothing was heard for 0.15 s" in caplog.text


async def test_a_server_that_orders_a_restart_gets_a_fresh_session(node: ScriptedNode, client: RelayClient) -> None:
    await node.disconnect(restart=True)
    await node.until_connected(2)
    assert node.connects[1].protocol is None


async def test_after_a_fresh_session_calls_actions_waits_and_dials_are_gone(
    node: ScriptedNode, client: RelayClient
) -> None:
    """Nothing may wait for events that can no longer come; the call may live on, so hangup is still sent."""
    node.hold("calling.play", "calling.dial")
    caught = catch(client)
    party = await node.offer()
    call = await caught
    action = await call.play_silence(9)
    waits = [asyncio.create_task(call.wait_for_ended()), asyncio.create_task(call.wait_for("custom"))]
    dialling = asyncio.create_task(client.dial(PHONE))
    await node.until("calling.dial")
    await node.disconnect(restart=True)
    assert [(await wait).cause for wait in waits] == ["gone", "gone"]
    assert (await action.wait(5)).cause == "gone"
    with pytest.raises(ConnectionLost, match="the session was lost during dial"):
        await dialling
    assert client.calls == []
    assert await call.play_tts("nobody hears it") is not None
    await call.hangup()
    assert (await party.until("calling.end"))["call_id"] == call.call_id


async def test_bad_credentials_stop_with_the_servers_message(node: ScriptedNode) -> None:
    client = RelayClient("project", "wrong-secret", node.host)
    with pytest.raises(RelayError, match="Authentication failed") as caught:
        await client.connect()
    assert caught.value.code == -32002
    assert "wrong-secret" not in repr(client)


async def test_a_request_without_reply_times_out(node: ScriptedNode) -> None:
    async with RelayClient("project", "token", node.host, request_timeout=0.1) as client:
        node.mute("signalwire.receive")
        with pytest.raises(RequestTimeout, match=r"signalwire\.receive"):
            await client.receive(["more"])


async def test_contexts_are_received_and_kept_for_the_next_connect(node: ScriptedNode, client: RelayClient) -> None:
    assert (await client.receive(["support"]))["code"] == "200"
    assert await client.receive([]) == {}
    await client.unreceive(["default"])
    await node.drop()
    await node.until_connected(2)
    assert node.connects[1].contexts == ["support"]


async def test_disconnect_ends_what_is_open_with_cause_closed(node: ScriptedNode, client: RelayClient) -> None:
    node.hold("calling.play", "calling.dial")
    caught = catch(client)
    await node.offer()
    call = await caught
    action = await call.play_silence(9)
    waiting = asyncio.create_task(call.wait_for("calling.call.play"))
    dialling = asyncio.create_task(client.dial(PHONE))
    await node.until("calling.dial")
    await client.disconnect()
    assert (await action.wait(1)).cause == "closed"
    assert (await waiting).cause == "closed"
    assert (await call.wait_for_ended(1)).cause == "closed"
    with pytest.raises(ConnectionLost):
        await dialling


async def test_disconnect_from_a_handler_works(node: ScriptedNode) -> None:
    client = RelayClient("project", "token", node.host, ["default"])
    done = asyncio.Event()

    @client.on_call
    async def leave(call: Call) -> None:
        await client.disconnect()
        done.set()

    await client.connect()
    await node.offer()
    await asyncio.wait_for(done.wait(), 30)
    assert not client.is_connected


async def test_a_client_can_connect_again(node: ScriptedNode) -> None:
    client = RelayClient("project", "token", node.host)
    for _ in range(2):
        async with client:
            assert client.is_connected
        assert not client.is_connected


async def test_a_node_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    client = RelayClient("project", "token", "ws://127.0.0.1:1")
    with caplog.at_level(logging.WARNING), pytest.raises(TimeoutError):
        await asyncio.wait_for(client.connect(), 0.5)
    assert "no connection to ws://127.0.0.1:1" in caplog.text


async def test_peer_legs_are_calls_too(node: ScriptedNode, client: RelayClient) -> None:
    leg = node.leg("bridge")
    await leg.move(CallState.RINGING, parent={"node_id": NODE_ID, "call_id": "other", "device_type": "phone"})
    await client.execute("signalwire.ping", {})
    (peer,) = client.calls
    assert (peer.call_id, peer.parent["call_id"], peer.state) == (leg.call_id, "other", "ringing")
    await leg.end(EndReason.HANGUP, EndSource.INBOUND)
    await client.execute("signalwire.ping", {})
    assert client.calls == []


@pytest.mark.parametrize(
    "host",
    ["", "a/b", "user@host", "host?x", "host\n", "host name", "ws://relay.example.com", "host:port", "wss://", "a..b"],
)
def test_a_host_that_is_no_bare_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_host(host)


def test_hosts_become_urls() -> None:
    assert parse_host("relay.example.com") == "wss://relay.example.com"
    assert parse_host("localhost:7443") == "wss://localhost:7443"
    assert parse_host("ws://127.0.0.1:80") == "ws://127.0.0.1:80"


def test_settings_come_from_arguments_then_our_names_then_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OFFHOOK_PROJECT_ID", "SIGNALWIRE_PROJECT_ID", "OFFHOOK_API_TOKEN", "SIGNALWIRE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="OFFHOOK_PROJECT_ID"):
        RelayClient()
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", "theirs")
    with pytest.raises(ConfigurationError, match="OFFHOOK_API_TOKEN"):
        RelayClient()
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", "t")
    assert RelayClient().project == "theirs"
    monkeypatch.setenv("OFFHOOK_PROJECT_ID", "ours")
    assert RelayClient().project == "ours"
    assert RelayClient("given").project == "given"


def test_a_ca_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        make_tls_context("/nowhere/missing.pem")


async def test_tls_trusts_the_ca_file_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificates = LocalCertificates(tmp_path)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    async with ScriptedNode(tls=server_context(certificates.chain_file, certificates.key_file)) as node:
        async with RelayClient("project", "token", node.host, ca_file=str(certificates.ca_file)) as client:
            assert client.is_connected
        stranger = RelayClient("project", "token", node.host)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stranger.connect(), 0.5)
    assert "certificate" in caplog.text.lower()
