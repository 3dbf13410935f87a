"""A node as its configuration says: routes to contexts, the trunk, what may be fetched and dialled."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from rig.dialog import Caller
from rig.fixtures import AudioServer, answered, offer
from rig.node import NodeProcess, serving
from rig.ports import free_port
from rig.relay import RelayPeer
from rig.responder import Responder
from rig.rtp import RtpPeer
from rig.sip import SipEndpoint, assert_helpful, sentence

SETTINGS = """
[[routes]]
match = "1*"
context = "default"
[[routes]]
match = "155*"
context = "sales"
[trunk]
host = "127.0.0.1"
port = {trunk}
from_number = "+15550000000"
allow = ["+1555"]
"""


@pytest.fixture(scope="module")
def trunk_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, trunk_port: int) -> Iterator[NodeProcess]:
    """``offhook serve``, in place of the ``dev`` that other tests have."""
    settings, extra = SETTINGS.format(trunk=trunk_port), {"OFFHOOK_LIMITS_KEPT_S": "500"}
    with serving(tmp_path_factory.mktemp("configured"), settings, extra=extra) as running:
        yield running


@pytest.fixture
async def trunk(trunk_port: int) -> AsyncIterator[Responder]:
    """The carrier."""
    made = Responder(await SipEndpoint.udp(trunk_port), RtpPeer())
    yield made
    made.close()


async def test_a_client_is_told_for_how_long_the_node_remembers(node: NodeProcess) -> None:
    async with RelayPeer(node) as peer:
        assert peer.connected["keeps_request_ids_s"] == 500


async def test_a_number_without_a_route_gets_404_that_names_what_to_configure(node: NodeProcess) -> None:
    """livekit/sip#227 and six more: a call that matches nothing was called a flood and got 486."""
    caller = await Caller.open(node.sip(), to="999")
    caller.invite()
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 404)
    assert "routes" in sentence(final)
    caller.close()


async def test_the_longest_route_decides_the_context(node: NodeProcess) -> None:
    async with RelayPeer(node, contexts=["default"]) as general, RelayPeer(node, contexts=["sales"]) as sales:
        for number, wanted, other in (("155", sales, general), ("154", general, sales)):
            caller = await Caller.open(node.sip(), to=number)
            talk = await answered(caller, wanted)
            assert talk.call.params["context"] == wanted.contexts[0]
            await caller.bye()
            await wanted.state(talk.call, "ended")
            caller.close()
            assert other.of_call(talk.call.call_id) == []


async def test_contexts_come_and_go_while_a_client_is_connected(node: NodeProcess) -> None:
    """signalwire/signalwire-legacy-js#1187: a client that is connected and not subscribed hears of no call."""
    async with RelayPeer(node, contexts=[]) as relay:
        for _ in range(2):
            result = await relay.request("signalwire.receive", {"contexts": ["sales"]})
            assert result["code"] == "200"
            caller = await Caller.open(node.sip(), to="155")
            call = await offer(caller, relay)
            await relay.command(call, "end", reason="busy")
            caller.ack_failure(await caller.final())
            await relay.state(call, "ended")
            assert (await relay.request("signalwire.unreceive", {"contexts": ["sales"]}))["code"] == "200"
            caller.close()
            seen = len(relay.events)
            unheard = await Caller.open(node.sip(), to="155")
            unheard.invite()
            await unheard.sip.expect(lambda m: m.status == 180, what="180: a client is looked for")
            assert (await relay.request("signalwire.unreceive", {"contexts": ["sales"]}))["code"] == "200"
            assert len(relay.events) == seen
            unheard.cancel()
            unheard.ack_failure(await unheard.final())
            unheard.close()


async def test_phone_numbers_go_to_the_trunk_and_come_with_a_number(
    node: NodeProcess, trunk: Responder, trunk_port: int
) -> None:
    async with RelayPeer(node) as relay:
        tag = f"dial-{uuid.uuid4()}"
        device = {"type": "phone", "params": {"to_number": "+15551230001"}}
        await relay.request("calling.dial", {"tag": tag, "devices": [[device]]})
        invite = await trunk.offered()
        assert invite.uri.startswith("sip:+15551230001@127.0.0.1")
        assert "<sip:+15550000000@" in invite.get("From")
        trunk.answer()
        await trunk.acknowledged()
        done = await relay.event("dial", lambda e: e.state == "answered")
        call = done.params["call"]
        assert call["device"] == {
            "type": "phone",
            "params": {"from_number": "+15550000000", "to_number": "+15551230001"},
        }
        await relay.command(call, "end")
        await trunk.ended()
        await relay.state(call, "ended")


async def test_loopback_is_not_fetched_from_and_the_sentence_says_what_to_set(
    node: NodeProcess, audio_server: AudioServer
) -> None:
    """T25: outside of ``dev`` no URL of a client reaches what listens on this machine, redirected or not."""
    async with RelayPeer(node) as relay:
        talk = await answered(await Caller.open(node.sip()), relay)
        for url in (audio_server.publish("x.wav", talk.caller.rtp.samples()), f"https://{node.relay_host}/"):
            control_id = str(uuid.uuid4())
            item = {"type": "audio", "params": {"url": url}}
            await relay.command(talk.call, "play", control_id=control_id, play=[item])
            failed = await relay.event("play", lambda e, c=control_id: e.params["control_id"] == c)
            assert failed.state == "error"
            assert len(failed.params["message"].split()) >= 4
        await talk.caller.bye()
        await relay.state(talk.call, "ended")
        talk.caller.close()
