"""Tell who is there: a person, a machine, a fax, a key.

``wait`` returns the first result, the detector goes on: for a message after the beep, wait with ``wait_for_beep`` (or
``wait_for_ready`` for the silence after the greeting). ``stop`` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Flag, Object, RelayEvent, Text
from offhook.client.listening.outcome import Outcome
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import detect

__all__ = ["Detect", "DetectAction", "DetectEvent", "DetectVerb"]


class MachineParams(TypedDict, total=False):
    """What tells a machine from a person; as the parameters of ``detect_answering_machine``."""

    initial_timeout: float  # seconds to the first speech, default 4.5
    end_silence_timeout: float  # seconds of silence that end a greeting, default 1
    machine_ready_timeout: float  # seconds of silence that make it ready, default end_silence_timeout
    machine_voice_threshold: float  # seconds of speech that make it a machine, default 1.25
    machine_words_threshold: int  # words that make it a machine, default 6
    detect_interruptions: bool  # tell NOT_READY when the greeting goes on
    detect_message_end: bool  # wait for the end of the greeting, the default; else end at MACHINE


class FaxParams(TypedDict, total=False):
    """``tone``: ``CED`` (default) of a called fax, ``CNG`` of a calling one."""

    tone: Literal["CED", "CNG"]


class DigitParams(TypedDict, total=False):
    """``digits``: keys that count, default ``0123456789#*``."""

    digits: str


class DetectMachine(TypedDict):
    """Who answered?"""

    type: Literal["machine"]
    params: NotRequired[MachineParams]


class DetectFax(TypedDict):
    """Is it a fax?"""

    type: Literal["fax"]
    params: NotRequired[FaxParams]


class DetectDigit(TypedDict):
    """Is a key pressed?"""

    type: Literal["digit"]
    params: NotRequired[DigitParams]


Detect = DetectMachine | DetectFax | DetectDigit


class DetectEvent(RelayEvent, of=detect.EVENT):
    """Something was detected, or detection is over."""

    __slots__ = ()

    detect = Object("detect")
    """``type`` and ``params`` of what was detected."""
    type = Text("detect.type")
    """``machine``, ``fax`` or ``digit``."""
    result = Text("detect.params.event")
    """``MACHINE``, ``HUMAN``, ``UNKNOWN``, ``READY``, ``NOT_READY``, ``CED``, ``CNG``, a key, or ``finished``."""
    beep = Flag("detect.params.beep")
    """With ``READY``: a beep was heard."""


class DetectAction(Action[DetectEvent]):
    """A detector. ``wait`` returns the first result, or ``finished`` if there was none.

    The detector goes on after its first result; ``stop`` ends it. ``wait_for_ready`` and ``wait_for_beep`` are for
    leaving a message.
    """

    spec = detect.SPECS[0]

    def __init__(self, call: CallBase, control_id: str, on_completed: Handler[DetectEvent] | None) -> None:
        super().__init__(call, control_id, on_completed)
        self._ready: Outcome[DetectEvent] = Outcome()
        self._beep: Outcome[DetectEvent] = Outcome()

    def handle(self, event: RelayEvent) -> bool:
        """Take an event with our control_id; True when it was the last."""
        if isinstance(event, DetectEvent) and event.result == "READY":
            self._ready.settle(event)
        if isinstance(event, DetectEvent) and event.beep:
            self._beep.settle(event)
        return super().handle(event)

    def end(self, event: RelayEvent) -> None:
        """Nothing more comes; only the first time counts."""
        if isinstance(event, DetectEvent):
            self._ready.settle(event)
            self._beep.settle(event)
        super().end(event)

    async def wait_for_ready(self, timeout: float | None = None) -> DetectEvent:
        """Wait until the machine's greeting is over (``READY``), or the detector is: look at ``result``.

        Args:
            timeout: seconds, default as long as it takes.

        Raises:
            TimeoutError: after ``timeout`` seconds.
        """
        return await self._ready.wait(timeout)

    async def wait_for_beep(self, timeout: float | None = None) -> DetectEvent:
        """Wait until the machine beeps (``beep``), or the detector is over.

        Args:
            timeout: seconds, default as long as it takes.

        Raises:
            TimeoutError: after ``timeout`` seconds.
        """
        return await self._beep.wait(timeout)


class DetectVerb(CallBase):
    """``detect`` and its short forms."""

    async def detect(
        self,
        detect: Detect,
        *,
        timeout: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[DetectEvent] | None = None,
        **extra: Any,
    ) -> DetectAction:
        """Detect a machine, a fax or digits. Several detectors may run at once.

        Args:
            detect: what to detect: ``{"type": "machine"}``, ``fax`` or ``digit``, with ``params``.
            timeout: seconds until it gives up, default 30.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the first result, sync or async.
            extra: sent as it is.
        """
        action = DetectAction(self, control_id or new_id(), on_completed)
        given = {"control_id": action.control_id, "detect": detect, "timeout": timeout, "status_url": status_url}
        return await self.start(action, compose(_DETECT, given, extra))

    async def detect_answering_machine(
        self,
        *,
        initial_timeout: float | None = None,
        end_silence_timeout: float | None = None,
        machine_voice_threshold: float | None = None,
        machine_words_threshold: int | None = None,
        detect_interruptions: bool | None = None,
        detect_message_end: bool | None = None,
        machine_ready_timeout: float | None = None,
        timeout: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[DetectEvent] | None = None,
        **extra: Any,
    ) -> DetectAction:
        """Tell a person (``HUMAN``) from a machine (``MACHINE``, then ``READY``).

        Args:
            initial_timeout: seconds to the first speech, default 4.5.
            end_silence_timeout: seconds of silence that end a greeting, default 1.
            machine_voice_threshold: seconds of speech that make it a machine, default 1.25.
            machine_words_threshold: words that make it a machine, default 6.
            detect_interruptions: tell ``NOT_READY`` when the greeting goes on.
            detect_message_end: wait for the end of the greeting, the default; else end at ``MACHINE``.
            machine_ready_timeout: seconds of silence that make it ready, default ``end_silence_timeout``.
            timeout: seconds until it gives up, default 30.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the first result, sync or async.
            extra: sent as it is.
        """
        options = {"control_id": control_id, "status_url": status_url, "on_completed": on_completed, **extra}
        given = {
            "initial_timeout": initial_timeout,
            "end_silence_timeout": end_silence_timeout,
            "machine_voice_threshold": machine_voice_threshold,
            "machine_words_threshold": machine_words_threshold,
            "detect_interruptions": detect_interruptions,
            "detect_message_end": detect_message_end,
            "machine_ready_timeout": machine_ready_timeout,
        }
        return await self._detect("machine", given, timeout, options)

    async def detect_fax(
        self,
        *,
        tone: Literal["CED", "CNG"] | None = None,
        timeout: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[DetectEvent] | None = None,
        **extra: Any,
    ) -> DetectAction:
        """Detect a fax. The other parameters are those of ``detect``.

        Args:
            tone: ``CED`` (default) the tone of a called fax, ``CNG`` of a calling one.
            extra: sent as it is.
        """
        options = {"control_id": control_id, "status_url": status_url, "on_completed": on_completed, **extra}
        return await self._detect("fax", {"tone": tone}, timeout, options)

    async def detect_digit(
        self,
        *,
        digits: str | None = None,
        timeout: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[DetectEvent] | None = None,
        **extra: Any,
    ) -> DetectAction:
        """Detect a key. The other parameters are those of ``detect``.

        Args:
            digits: keys that count, default ``0123456789#*``.
            extra: sent as it is.
        """
        options = {"control_id": control_id, "status_url": status_url, "on_completed": on_completed, **extra}
        return await self._detect("digit", {"digits": digits}, timeout, options)

    async def _detect(
        self, kind: str, given: Mapping[str, Any], timeout: float | None, options: Mapping[str, Any]
    ) -> DetectAction:
        params = {key: value for key, value in given.items() if value is not None}
        what: Any = {"type": kind, "params": params}
        return await self.detect(what, timeout=timeout, **options)


_DETECT = detect.Detect  # the keyword of the same name hides the module
