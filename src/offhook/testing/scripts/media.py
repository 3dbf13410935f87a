"""Playback, recording, fax, tap, stream, transcription, digits and echo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from offhook.protocol.verbs import echo, fax, play, record, send_digits, stream, tap, transcribe
from offhook.testing.scripts.base import Scene, Script, Told

__all__ = ["MEDIA"]

_DURATION_S: Final = 1.5
_SIZE_BYTES: Final = 24_044


def _state(event_type: str, state: str) -> Callable[[Scene], list[Told]]:
    return lambda scene: [scene.tell(event_type, state=state)]


def _ends(event_type: str) -> Callable[[Scene], list[Told]]:
    return lambda scene: [scene.tell(event_type, state=scene.state)]


# --- recording --------------------------------------------------------------------------------------------------


def _record(state: str | None) -> Callable[[Scene], list[Told]]:
    return lambda scene: [_recorded(scene, scene.state if state is None else state)]


def _recorded(scene: Scene, state: str) -> Told:
    asked = scene.params.get("record", {}).get("audio", {})
    audio = {"format": "wav", "stereo": False, "direction": "speak", **asked}
    done: dict[str, Any] = {}
    if state == "finished":
        times = {"start_time": scene.now - _DURATION_S, "end_time": scene.now}
        done = {"url": _recording_url(scene), "duration": _DURATION_S, "size": _SIZE_BYTES, **times}
    record_id = {"recording_id": scene.control_id}
    return scene.tell_long(record.EVENT, state=state, record={"audio": audio}, **record_id, **done)


def _recording_url(scene: Scene) -> str:
    return f"https://scripted.example/{scene.control_id}.wav"


# --- fax --------------------------------------------------------------------------------------------------------


def _fax(direction: str) -> Script:
    def begin(scene: Scene) -> list[Told]:
        return [scene.tell(fax.EVENT, fax={"type": "page", "params": {"direction": direction, "number": 1}})]

    def end(scene: Scene) -> list[Told]:
        good = scene.how == "finished"
        outcome = {"success": good, "result": 0 if good else 49, "result_text": "OK" if good else "The call dropped"}
        document = scene.params.get("document", f"https://scripted.example/{scene.control_id}.pdf")
        told = {"direction": direction, "pages": 1, "document": document, "format": "pdf", **outcome}
        told |= {"identity": scene.params.get("identity", ""), "remote_identity": ""}
        return [scene.tell(fax.EVENT, fax={"type": "finished", "params": told}, state="finished")]

    return Script(begin=begin, end=end)


# --- tap, stream, transcription ---------------------------------------------------------------------------------


def _tap(state: str) -> Callable[[Scene], list[Told]]:
    return lambda scene: [
        scene.tell_long(tap.EVENT, state=state, tap=scene.params["tap"], device=scene.params["device"])
    ]


def _tap_result(scene: Scene) -> dict[str, Any]:
    source = {"addr": "192.0.2.1", "port": 30_000, "codec": "PCMU", "ptime": 20, "rate": 8000}
    return {"source_device": {"type": scene.params["device"]["type"], "params": source}}


def _stream(state: str) -> Callable[[Scene], list[Told]]:
    return lambda scene: [
        scene.tell_long(stream.EVENT, state=state, url=scene.params["url"], name=scene.params.get("name", ""))
    ]


def _transcribed(scene: Scene, state: str, **more: Any) -> list[Told]:
    told = {"url": _recording_url(scene), "recording_id": scene.control_id}
    return [scene.tell_long(transcribe.EVENT, state=state, **told, **more)]


def _transcribe_end(scene: Scene) -> list[Told]:
    times = {"start_time": scene.now - _DURATION_S, "end_time": scene.now}
    return _transcribed(scene, "finished", duration=_DURATION_S, size=_SIZE_BYTES, **times)


MEDIA: Final[Mapping[str, Script]] = {
    "calling.play": Script(
        begin=_state(play.EVENT, "playing"),
        end=_ends(play.EVENT),
        paused=_state(play.EVENT, "paused"),
        resumed=_state(play.EVENT, "playing"),
    ),
    "calling.record": Script(
        begin=_record("recording"),
        end=_record(None),
        paused=_record("paused"),
        resumed=_record("recording"),
        result=lambda scene: {"url": _recording_url(scene)},
    ),
    "calling.send_digits": Script(end=_ends(send_digits.EVENT)),
    "calling.echo": Script(begin=_state(echo.EVENT, "echoing"), end=_ends(echo.EVENT)),
    "calling.send_fax": _fax("send"),
    "calling.receive_fax": _fax("receive"),
    "calling.tap": Script(begin=_tap("tapping"), end=_tap("finished"), result=_tap_result),
    "calling.stream": Script(begin=_stream("streaming"), end=_stream("finished")),
    "calling.transcribe": Script(
        begin=lambda scene: _transcribed(scene, "transcribing"),
        end=_transcribe_end,
        result=lambda scene: {"url": _recording_url(scene)},
    ),
}
