"""Agents, live transcription and translation."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from offhook.protocol.verbs import ai, ai_sidecar
from offhook.testing.scripts.base import Scene, Script, Told

__all__ = ["AGENTS"]

_SAID: Final = "Hello from the scripted node."


def _ai_begin(scene: Scene) -> list[Told]:
    """A greeting; then the agent listens."""
    return [
        (ai.START_EVENT, {"segment_id": scene.segment_id}),
        ("calling.ai.response_utterance", {"utterance": _SAID}),
        ("calling.ai.completion", {"text": _SAID, "type": "normal"}),
    ]


def _stopped(scene: Scene) -> Told:
    micros = int(scene.now * 1_000_000)
    return ai.STOP_EVENT, {"start_time": micros - 1_500_000, "end_time": micros}


def _ai_end(scene: Scene) -> list[Told]:
    return [scene.tell(ai.EVENT, state=scene.state), _stopped(scene)]


# --- live transcription and translation -------------------------------------------------------------------------


def _addressed(scene: Scene, event_type: str, **params: Any) -> Told:
    info = {"call_id": scene.call_id, "content_type": "text/json", "conversation_type": "voice"}
    return event_type, {**params, "call_info": info, "channel_data": {"call_id": scene.call_id}}


def _asked(scene: Scene) -> str:
    action = scene.params["action"]
    return action if isinstance(action, str) else next(iter(action))


def _transcribe(scene: Scene) -> list[Told]:
    said = {"role": "remote-caller", "content": _SAID, "lang": "en", "confidence": 0.9}
    log = {"conversation_log": [said], "conversation_summary": "Somebody said hello."}
    return [
        {
            "start": _addressed(scene, "calling.ai.transcribe.utterance", utterance=said, confidence=0.9),
            "summarize": _addressed(scene, "calling.ai.transcribe.live_summarize", **log),
            "stop": _addressed(scene, "calling.ai.transcribe.conversation_log", **log),
        }[_asked(scene)]
    ]


def _translate(scene: Scene) -> list[Told]:
    said, heard = {"language": "en", "delta": _SAID}, {"language": "es", "delta": "Hola."}
    delta = {"input_utterance": said, "output_utterance": heard}
    summaries = {"primary_conversation_summary": "Hello.", "secondary_conversation_summary": "Hola."}
    logs: dict[str, Any] = {"primary_conversation_log": [], "secondary_conversation_log": []}
    name = {"start": "transcript_delta", "inject": "transcript_delta", "summarize": "live_summary"}.get(
        _asked(scene), "conversation_log"
    )
    told = {"transcript_delta": delta, "live_summary": summaries | logs, "conversation_log": logs}[name]
    return [_addressed(scene, f"calling.ai.translate.{name}", **told)]


# --- sidecar ----------------------------------------------------------------------------------------------------


def _sidecar(kind: str) -> Callable[[Scene], list[Told]]:
    def begin(scene: Scene) -> list[Told]:
        answer = {"ask_id": _ask_id(scene)["ask_id"], "raw": _SAID} if kind == "ask_answer" else {}
        said = {"type": kind, "ts": int(scene.now * 1_000_000), "channel_data": {"call_id": scene.call_id}, **answer}
        return [(ai_sidecar.EVENT, {"call_info": {"call_id": scene.call_id}, "sidecar_event": said})]

    return begin


def _ask_id(scene: Scene) -> dict[str, Any]:
    return {"ask_id": str(uuid.uuid5(uuid.NAMESPACE_OID, scene.params["text"]))}


AGENTS: Final[Mapping[str, Script]] = {
    "calling.ai": Script(begin=_ai_begin, end=_ai_end),
    "calling.amazon_bedrock": Script(begin=_ai_begin, end=lambda scene: [_stopped(scene)]),
    "calling.live_transcribe": Script(begin=_transcribe),
    "calling.live_translate": Script(begin=_translate),
    "calling.ai_sidecar": Script(begin=_sidecar("start")),
    "calling.ai_sidecar.ask": Script(begin=_sidecar("ask_answer"), result=_ask_id),
    "calling.ai_sidecar.stop": Script(begin=_sidecar("stop")),
}
