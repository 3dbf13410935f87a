"""``calling.record``: what the party says, hears, or both, into a WAV file."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from offhook.errors import EngineLost, EngineRefused
from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.label import Inherited, OpenAction
from offhook.node.calls.leg import EngineOperation
from offhook.node.calls.ports import Events
from offhook.node.calls.refusals import steered
from offhook.node.engine import ops, reports
from offhook.node.verbs.base import Frame, Unbuilt, Verb, VerbPorts
from offhook.protocol.params import parse_params
from offhook.protocol.states import RecordState
from offhook.protocol.verbs import record

__all__ = ["Record"]


class Record(Verb[record.Record]):
    """Ends when stopped, at a terminator, after silence or the longest time, or with the call."""

    spec = record.SPECS[0]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType(
        {"status_url": None, "record.audio.format": frozenset({"mp3", "mp4"})}
    )

    def __init__(self, call: Call, params: record.Record, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        self.recording_id = str(uuid.uuid4())
        self._operation: EngineOperation | None = None
        self._operation_id = 0
        self._behavior: record.PauseBehavior | None = None

    async def run(self) -> None:
        operation = self._operation
        if operation is None:
            record = self._record()
            self._operation_id = record.id
            self.call.relabel()
            operation = self._operation = await self.leg.start(record)
            self.accept(url=self.ports.links.url(_file_name(self.recording_id)))
        if self.is_held_for_paused or await operation.first_frame():
            self._begun()
        await operation.over()

    async def finish(self, cause: Cause) -> Sequence[Frame]:
        if self._operation is None:
            return []
        with contextlib.suppress(EngineRefused, EngineLost):  # its end comes with the leg's
            await self.leg.stop(self._operation)
        ended = await self._operation.over()
        if ended.cause == "error" or cause is Cause.ENGINE_LOST:
            message = ended.detail or "The recording could not be written"
            return self.broken(self.open_action, message, self.ports)
        state = RecordState.NO_INPUT if ended.cause == "no_input" else RecordState.FINISHED
        return [(self.event, self._params(state) | self._result(ended))]

    @classmethod
    def broken(cls, action: OpenAction, message: str, ports: VerbPorts) -> Sequence[Frame]:
        """``error``, then ``no_input`` for a client that knows no ``error`` here and would wait for ever."""
        recording_id, stereo, direction = action.data.split(" ")
        params = _common(recording_id, stereo == "stereo", direction)
        params["url"] = ports.links.url(_file_name(recording_id))  # what was written until then
        return [(cls.event, params | said | {"message": message}) for said in cls.spec.lost]

    @property
    def label_data(self) -> str:
        audio = self.params.record.audio
        return f"{self.recording_id} {'stereo' if audio.stereo else 'mono'} {audio.direction}"

    @property
    def lasting_operation(self) -> int:
        return 0 if self.is_paused else self._operation_id

    @classmethod
    def adopted(cls, call: Call, inherited: Inherited, ports: VerbPorts) -> Record:
        action = inherited.action
        recording_id, stereo, direction = action.data.split(" ")
        audio = {"stereo": stereo == "stereo", "direction": direction}
        address = {"node_id": call.settings.node_id, "call_id": call.call_id, "control_id": action.control_id}
        verb = cls(call, parse_params(record.Record, {**address, "record": {"audio": audio}}), ports, call.events)
        verb.inherit(inherited)
        verb.recording_id = recording_id
        verb._operation = call.leg.adopt(action.operation)
        verb._operation_id = action.operation
        verb.accept(url=ports.links.url(_file_name(recording_id)))
        return verb

    async def pause(self, params: record.RecordPause) -> None:
        """Leave out what comes now, or keep it as silence; a second time changes nothing."""
        if self.is_paused or self._operation is None:
            return
        operation = ops.Pause(self.leg.next_id(), self._operation.id, params.behavior)
        with self.pausing(True):
            await steered(self.leg.pause(self._operation, operation))
        self._behavior = params.behavior
        self._say(RecordState.PAUSED)

    async def resume(self, _params: record.RecordResume) -> None:
        """Go on; without a pause it changes nothing."""
        if not self.is_paused or self._operation is None:
            return
        with self.pausing(False):
            await steered(self.leg.resume(self._operation))
        self._say(RecordState.RECORDING)

    def _record(self) -> ops.Record:
        audio = self.params.record.audio
        return ops.Record(
            self.leg.next_id(),
            self.leg.id,
            _file_name(self.recording_id),
            side=audio.direction,
            stereo=audio.stereo,
            beep=audio.beep,
            initial_timeout_ms=round(audio.initial_timeout * 1000),
            end_silence_timeout_ms=round(audio.end_silence_timeout * 1000),
            max_length_ms=round(audio.max_length * 1000),
            terminators=audio.terminators.upper(),
            sensitivity=audio.input_sensitivity,
        )

    def _begun(self) -> None:
        if not self.has_begun:
            self.has_begun = True
            self._say(RecordState.RECORDING)

    def _say(self, state: RecordState) -> None:
        if not self.is_ending:
            self.emit(self.event, self._params(state))

    def _params(self, state: RecordState) -> dict[str, Any]:
        audio = self.params.record.audio
        params = _common(self.recording_id, audio.stereo, audio.direction) | {"state": state.value}
        return params | ({"pause_behavior": self._behavior} if self._behavior else {})

    def _result(self, ended: reports.OperationEnded) -> dict[str, Any]:
        end_us = ended.at_us or ended.started_us + ended.duration_ms * 1000
        return {
            "url": self.ports.links.url(_file_name(self.recording_id)),
            "duration": ended.duration_ms / 1000,
            "size": ended.size_bytes,
            "start_time": ended.started_us / 1e6,
            "first_frame_time": ended.first_frame_us / 1e6,
            "end_time": end_us / 1e6,
        }


def _file_name(recording_id: str) -> str:
    return f"{recording_id}.wav"


def _common(recording_id: str, stereo: bool, direction: str) -> dict[str, Any]:
    audio = {"format": "wav", "stereo": stereo, "direction": direction}
    return {"recording_id": recording_id, "record": {"audio": audio}}
