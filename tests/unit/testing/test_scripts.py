"""The scripted node answers every method of the protocol with the events of the catalogue, and those can be read."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from offhook.protocol import frames, messaging, methods, verbs
from offhook.protocol.frames import EventParams, Request, Response, dump_frame, parse_frame
from offhook.testing.node import ScriptedCall, ScriptedNode

TTS = {"type": "tts", "params": {"text": "hello"}}
PHONE = {"type": "phone", "params": {"to_number": "+15550000003"}}
SIP = {"type": "sip", "params": {"to": "sip:bob@example.com"}}
URL = "https://x.example/a"

# method, params beside the call's address, and what follows: event types with the word that says how far it is
STORIES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("calling.answer", {}, [("calling.call.state", "answered")]),
    ("calling.accept", {}, [("calling.call.state", "ringing")]),
    ("calling.end", {}, [("calling.call.state", "ending"), ("calling.call.state", "ended")]),
    ("calling.pass", {}, []),
    ("calling.transfer", {"dest": URL}, []),
    ("calling.refer", {"device": SIP}, [("calling.call.refer", "inProgress"), ("calling.call.refer", "success")]),
    ("calling.user_event", {"event": {"topic": "t"}}, [("calling.user_event", "")]),
    ("calling.play", {"play": [TTS]}, [("calling.call.play", "playing"), ("calling.call.play", "finished")]),
    ("calling.record", {"record": {"audio": {}}}, [("calling.call.record", s) for s in ("recording", "finished")]),
    ("calling.bind_digit", {"digits": "*1", "bind_method": "calling.play"}, []),
    ("calling.clear_digit_bindings", {}, []),
    ("calling.send_digits", {"digits": "1"}, [("calling.call.send_digits", "finished")]),
    (
        "calling.connect",
        {"devices": [[SIP]], "tag": "t"},
        [
            ("calling.call.connect", "connecting"),
            ("calling.call.state", "created"),
            ("calling.call.state", "ringing"),
            ("calling.call.state", "answered"),
            ("calling.call.connect", "connected"),
        ],
    ),
    ("calling.disconnect", {}, []),
    (
        "calling.detect",
        {"detect": {"type": "machine"}},
        [("calling.call.detect", "HUMAN"), ("calling.call.detect", "finished")],
    ),
    ("calling.send_fax", {"document": URL}, [("calling.call.fax", "page"), ("calling.call.fax", "finished")]),
    ("calling.receive_fax", {}, [("calling.call.fax", "page"), ("calling.call.fax", "finished")]),
    (
        "calling.tap",
        {
            "tap": {"type": "audio", "params": {"direction": "both"}},
            "device": {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
        },
        [("calling.call.tap", "tapping"), ("calling.call.tap", "finished")],
    ),
    ("calling.stream", {"url": "wss://x.example"}, [("calling.call.stream", s) for s in ("streaming", "finished")]),
    ("calling.pay", {"payment_connector_url": URL}, [*[("calling.call.pay", "")] * 3, ("calling.call.pay", "success")]),
    (
        "calling.join_conference",
        {"name": "c"},
        [("calling.conference", "conference-start"), ("calling.conference", "participant-join")],
    ),
    ("calling.join_room", {"name": "r"}, [("calling.call.room", "joined")]),
    ("calling.leave_room", {}, [("calling.call.room", "leave")]),
    ("calling.queue.enter", {"queue_name": "q"}, [("calling.call.queue", "enqueue")]),
    ("calling.queue.leave", {"queue_name": "q"}, [("calling.call.queue", "leave")]),
    ("calling.hold", {}, [("calling.call.hold", "hold")]),
    ("calling.unhold", {}, [("calling.call.hold", "unhold")]),
    ("calling.denoise", {}, [("calling.call.denoise", "")]),
    ("calling.echo", {}, [("calling.call.echo", "echoing"), ("calling.call.echo", "finished")]),
    ("calling.transcribe", {}, [("calling.call.transcribe", s) for s in ("transcribing", "finished")]),
    (
        "calling.live_transcribe",
        {"action": {"start": {"lang": "en", "direction": ["remote-caller"]}}},
        [("calling.ai.transcribe.utterance", "")],
    ),
    ("calling.live_transcribe", {"action": "summarize"}, [("calling.ai.transcribe.live_summarize", "")]),
    ("calling.live_transcribe", {"action": "stop"}, [("calling.ai.transcribe.conversation_log", "")]),
    (
        "calling.live_translate",
        {"action": {"start": {"from_lang": "en", "to_lang": "es", "direction": ["remote-caller"]}}},
        [("calling.ai.translate.transcript_delta", "")],
    ),
    ("calling.live_translate", {"action": "stop"}, [("calling.ai.translate.conversation_log", "")]),
    (
        "calling.ai",
        {"prompt": {"text": "be kind"}},
        [
            ("calling.ai.start", ""),
            ("calling.ai.response_utterance", ""),
            ("calling.ai.completion", ""),
            ("calling.call.ai", "finished"),
            ("calling.ai.stop", ""),
        ],
    ),
    (
        "calling.amazon_bedrock",
        {"prompt": {"text": "be kind"}},
        [
            ("calling.ai.start", ""),
            ("calling.ai.response_utterance", ""),
            ("calling.ai.completion", ""),
            ("calling.ai.stop", ""),
        ],
    ),
    ("calling.ai_message", {"message_text": "hi", "role": "user"}, []),
    ("calling.ai_hold", {}, []),
    ("calling.ai_unhold", {}, []),
    ("calling.ai_sidecar", {"lang": "en"}, [("calling.ai.sidecar", "start")]),
    ("calling.ai_sidecar.poke", {"text": "go on"}, []),
    ("calling.ai_sidecar.ask", {"text": "why"}, [("calling.ai.sidecar", "ask_answer")]),
    ("calling.ai_sidecar.stop", {}, [("calling.ai.sidecar", "stop")]),
    ("calling.ai_sidecar.status", {}, []),
]

WORDS = ("call_state", "connect_state", "result", "state", "status", "join_status")


def event_structs() -> dict[str, list[type[msgspec.Struct]]]:
    """The protocol's own structs of events, by type."""
    found: dict[str, list[type[msgspec.Struct]]] = {}
    for info in pkgutil.iter_modules(verbs.__path__):
        module = importlib.import_module(f"{verbs.__name__}.{info.name}")
        structs = [value for name, value in vars(module).items() if name.endswith("Event") and name in module.__all__]
        if hasattr(module, "EVENT"):
            found[module.EVENT] = [s for s in structs if not hasattr(s, "method")]
    return found


STRUCTS = event_structs()


def word(event: EventParams) -> str:
    """How far it is."""
    params = event.params
    if "detect" in params:
        return str(params["detect"]["params"]["event"])
    if "fax" in params:
        return str(params["fax"]["type"])
    if "sidecar_event" in params:
        return str(params["sidecar_event"]["type"])
    return next((str(params[key]) for key in WORDS if isinstance(params.get(key), str)), "")


class Peer:
    """A client by hand: sends frames, keeps events."""

    def __init__(self, node: ScriptedNode, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.node = node
        self.events: list[EventParams] = []
        self._socket = socket
        self._number = 0

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result. A ping behind it brings in all that followed."""
        result = await self._ask(method, params)
        await self._ask(methods.PING, {})
        return result

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_str(dump_frame(Request(str(self._number), method, params)))
        while True:
            frame = parse_frame(await self._socket.receive_str(timeout=5))
            if isinstance(frame, Response):
                assert isinstance(frame.result, dict), frame
                return frame.result
            event = msgspec.convert(frame.params, EventParams)
            if event.event_type != frames.AUTHORIZATION_STATE:
                self.events.append(event)
            await self._socket.send_str(dump_frame(Response(id=frame.id, result={})))

    async def offer(self) -> tuple[ScriptedCall, dict[str, str]]:
        """Take a call: its party, and its address."""
        party = await self.node.offer()
        await self.ask(methods.PING, {})
        self.events.clear()
        return party, {"node_id": "scripted-node", "call_id": party.call_id}


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with ScriptedNode() as node, aiohttp.ClientSession() as http, http.ws_connect(node.host) as socket:
        peer = Peer(node, socket)
        version = {"major": 2, "minor": 0, "revision": 0}
        login = {"project": "project", "token": "token"}
        await peer.ask(methods.CONNECT, {"version": version, "authentication": login, "contexts": ["default"]})
        yield peer


@pytest.mark.parametrize(("method", "params", "story"), STORIES, ids=lambda value: value if type(value) is str else "")
async def test_every_method_brings_its_events(
    peer: Peer, method: str, params: dict[str, Any], story: list[tuple[str, str]]
) -> None:
    _, address = await peer.offer()
    keyed = {"control_id": "k"} if "control_id" in verbs.PARAMS[method].__struct_fields__ else {}
    result = await peer.ask(method, {**address, **keyed, **params})
    assert result["code"] == "200", result
    assert result["message"] == verbs.PARAMS[method].accepted
    assert [(event.event_type, word(event)) for event in peer.events] == story
    for event in peer.events:
        for struct in STRUCTS.get(event.event_type, []):
            msgspec.convert(event.params, struct)


def test_every_method_of_the_protocol_has_a_story_here() -> None:
    told = {method for method, _, _ in STORIES}
    steering = {name for name in verbs.METHODS if name.count(".") == 2 and name not in told}
    waiting = {"calling.collect", "calling.play_and_collect", "calling.leave_conference"}  # tests of their own
    assert verbs.METHODS - told - steering - waiting == {"calling.dial", "calling.begin"}


@pytest.mark.parametrize("method", ["calling.collect", "calling.play_and_collect"])
async def test_a_collect_waits_for_the_party_or_a_stop(peer: Peer, method: str) -> None:
    party, address = await peer.offer()
    both = {"play": [TTS], "collect": {"digits": {"max": 1}}}
    asked = both if method.endswith("play_and_collect") else {"digits": {"max": 1}}
    await peer.ask(method, {**address, "control_id": "a", **asked})
    await party.press("1")
    await peer.ask(method, {**address, "control_id": "b", **asked})
    await peer.ask(f"{method}.stop", {**address, "control_id": "b"})
    results = [event.params["result"]["type"] for event in peer.events if event.event_type == "calling.call.collect"]
    assert results == ["digit", "finished", "no_input"]


async def test_pause_resume_and_stop_steer_what_is_held(peer: Peer) -> None:
    peer.node.hold("calling.play")
    _, address = await peer.offer()
    await peer.ask("calling.play", {**address, "control_id": "p", "play": [TTS]})
    for command in ("pause", "resume", "stop"):
        await peer.ask(f"calling.play.{command}", {**address, "control_id": "p"})
    assert [word(event) for event in peer.events] == ["playing", "paused", "playing", "finished"]
    late = {
        (command, key): (await peer.ask(f"calling.play.{command}", {**address, "control_id": key}))["code"]
        for command in ("stop", "pause")
        for key in ("p", "never")
    }
    assert late == {("stop", "p"): "200", ("pause", "p"): "409", ("stop", "never"): "404", ("pause", "never"): "404"}
    assert len(peer.events) == 4


async def test_a_bridge_has_a_leg_and_both_are_told_of_its_end(peer: Peer) -> None:
    party, address = await peer.offer()
    await peer.ask("calling.connect", {**address, "devices": [[PHONE]], "tag": "agent"})
    leg = party.peer
    assert leg is not None
    assert (leg.tag, leg.peer) == ("agent", party)
    created = next(event for event in peer.events if event.event_type == "calling.call.state")
    assert created.params["parent"]["call_id"] == party.call_id
    peer.events.clear()
    await peer.ask("calling.disconnect", address)
    told = [(event.params["call_id"], word(event)) for event in peer.events]
    assert told == [(party.call_id, "disconnected"), (leg.call_id, "disconnected")]


async def test_the_party_that_was_called_goes_with_the_call(peer: Peer) -> None:
    party, address = await peer.offer()
    await peer.ask("calling.connect", {**address, "devices": [[PHONE]]})
    leg = party.peer
    await party.hangup()
    assert leg is not None
    assert leg.state.value == "ended"


async def test_a_held_connect_fails_with_the_reason_of_the_test(peer: Peer) -> None:
    peer.node.hold("calling.connect")
    party, address = await peer.offer()
    await peer.ask("calling.connect", {**address, "devices": [[PHONE]]})
    await party.finish("calling.connect", "busy")
    await peer.ask(methods.PING, {})
    assert [event.params.get("failed_reason") for event in peer.events] == [None, "busy"]


async def test_a_detector_that_is_held_finds_what_the_test_says(peer: Peer) -> None:
    peer.node.hold("calling.detect")
    party, address = await peer.offer()
    await peer.ask("calling.detect", {**address, "control_id": "d", "detect": {"type": "machine"}})
    await party.be_detected("MACHINE")
    await party.be_detected("READY", beep=True)
    await peer.ask("calling.detect.stop", {**address, "control_id": "d"})
    assert [word(event) for event in peer.events] == ["MACHINE", "READY", "finished"]


async def test_a_conference_can_be_left_once(peer: Peer) -> None:
    _, address = await peer.offer()
    joined = await peer.ask("calling.join_conference", {**address, "name": "c"})
    peer.events.clear()
    asked = {**address, "conference_id": joined["conference_id"]}
    assert (await peer.ask("calling.leave_conference", asked))["code"] == "200"
    assert [word(event) for event in peer.events] == ["participant-leave", "conference-end"]
    assert (await peer.ask("calling.leave_conference", asked))["code"] == "404"


async def test_the_denoiser_is_switched_on_once(peer: Peer) -> None:
    _, address = await peer.offer()
    assert (await peer.ask("calling.denoise.stop", address))["code"] == "409"
    assert (await peer.ask("calling.denoise", address))["code"] == "200"
    assert (await peer.ask("calling.denoise", address))["code"] == "409"


async def test_messages_go_out_and_come_in(peer: Peer) -> None:
    numbers = {"from_number": "+15550000001", "to_number": "+15550000002"}
    sent = await peer.ask(messaging.SendMessage.method, {**numbers, "body": "hi", "context": "default"})
    states = [event.params["message_state"] for event in peer.events]
    assert states == ["queued", "initiated", "sent", "delivered"]
    assert {event.params["message_id"] for event in peer.events} == {sent["message_id"]}
    message_id = await peer.node.message("hello")
    await peer.ask(methods.PING, {})
    assert (peer.events[-1].event_type, peer.events[-1].params["message_id"]) == ("messaging.receive", message_id)


async def test_an_open_operation_ends_before_its_call(peer: Peer) -> None:
    peer.node.hold("calling.stream", "calling.ai")
    party, address = await peer.offer()
    await peer.ask("calling.stream", {**address, "control_id": "s", "url": "wss://x.example"})
    peer.events.clear()
    await party.hangup()
    await peer.ask(methods.PING, {})
    assert [word(event) for event in peer.events] == ["ending", "finished", "ended"]


async def test_a_wrong_parameter_is_refused_with_a_sentence(peer: Peer) -> None:
    _, address = await peer.offer()
    result = await peer.ask("calling.play", {**address, "control_id": "p"})
    assert result["code"] == "400"
    assert "play" in result["message"]
