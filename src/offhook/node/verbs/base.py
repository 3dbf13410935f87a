"""What every verb promises: accepted once, ended once, in every order of stop, hangup, engine error and finish."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
import structlog

from offhook.errors import CommandRefused, EngineLost, EngineRefused, OffhookError
from offhook.node.calls.action import Cause, Outcome
from offhook.node.calls.call import Call
from offhook.node.calls.exchange import Exchange
from offhook.node.calls.label import Inherited, OpenAction
from offhook.node.calls.ports import AudioFetcher, Client, Events, OutgoingEvent, RecordingLinks, Speech
from offhook.node.calls.refusals import refusal_of
from offhook.node.calls.waiting import until_any
from offhook.protocol.codes import ResultCode
from offhook.protocol.params import CallParams, ControlParams
from offhook.protocol.spec import VerbSpec
from offhook.protocol.verbs import SPECS

__all__ = ["Command", "Frame", "Unbuilt", "Verb", "VerbPorts", "event_of"]

log = structlog.get_logger(__name__)

FINISH_LIMIT_S = 2.0

P = TypeVar("P", bound=CallParams)

Frame = tuple[str, dict[str, Any]]
"""Type of an event, and its params without the call's address."""

Unbuilt = Mapping[str, frozenset[Any] | None]
"""Paths of params that answer 501: with any value (None), or with those values alone."""


class VerbPorts(msgspec.Struct, frozen=True):
    """What verbs reach besides their call."""

    exchange: Exchange
    speech: Speech
    fetcher: AudioFetcher
    links: RecordingLinks


class Command(ABC):
    """A method that is done when it is answered (answer, end, pass)."""

    spec: ClassVar[VerbSpec]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({})

    @classmethod
    @abstractmethod
    async def execute(cls, call: Call, params: Any, client: Client, ports: VerbPorts) -> None:
        """Do it.

        Raises:
            CommandRefused: with the wire's code and a sentence.
        """


class Verb(ABC, Generic[P]):
    """One running action of a call. A subclass writes ``run`` and ``finish``, and a method per command."""

    spec: ClassVar[VerbSpec]
    event: ClassVar[str]
    """The type of its events, by its spec."""
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "spec" in vars(cls):
            cls.event = cls.spec.event

    def __init__(self, call: Call, params: P, ports: VerbPorts, events: Events) -> None:
        loop = asyncio.get_running_loop()
        self.call = call
        self.leg = call.leg
        self.params = params
        self.ports = ports
        self.events = events
        """Where its events go."""
        self.failure = ""
        self.reply: dict[str, Any] = {}
        self.has_begun = False
        """The event of its first frame was told."""
        self.is_paused = False
        self.is_held_for_paused = False
        """A former node made it go on, and did not come to tell."""
        self._digest = ""
        self._is_inherited = False
        self._accepted: asyncio.Future[CommandRefused | None] = loop.create_future()
        self._cause: asyncio.Future[Cause] = loop.create_future()
        self._outcome: asyncio.Future[Outcome] = loop.create_future()

    # --- what a verb writes ----------------------------------------------------------------------------------

    @classmethod
    def check(cls, params: P) -> None:
        """Refuse params that no struct can refuse."""

    @abstractmethod
    async def run(self) -> None:
        """Do the work: ``accept`` when it is sure to begin; return when finished. Cancelled by any other cause."""

    @abstractmethod
    async def finish(self, cause: Cause) -> Sequence[Frame]:
        """Clean up, and tell the terminal events."""

    @classmethod
    def broken(cls, action: OpenAction, message: str, ports: VerbPorts) -> Sequence[Frame]:  # noqa: ARG003
        """Terminal events of an action that could not ``finish``, or whose node went; by default what its spec says."""
        return [(cls.event, {**said, "message": message}) for said in cls.spec.lost]

    @property
    def label_data(self) -> str:
        """What ``broken`` needs to know of it."""
        return ""

    @property
    def lasting_operation(self) -> int:
        """The engine's operation, once nothing is left to do but to wait for its end; else 0."""
        return 0

    @classmethod
    def adopted(cls, call: Call, inherited: Inherited, ports: VerbPorts) -> Self | None:  # noqa: ARG003
        """The verb of an action whose ``operation`` goes on, though the node that began it is gone; None: it cannot."""
        return None

    def inherit(self, inherited: Inherited) -> None:
        """Be the action that a former node began, for who asks again and for what was told."""
        self._digest = inherited.action.digest
        self._is_inherited = True
        self.is_held_for_paused = inherited.told == "paused"
        self.has_begun = inherited.told not in ("", "paused")

    # --- for the registry ------------------------------------------------------------------------------------

    @classmethod
    def key_of(cls, params: CallParams) -> str:
        """The ``control_id``, or the method for actions without one."""
        return params.control_id if isinstance(params, ControlParams) else params.method

    @property
    def key(self) -> str:
        """Names the action on its call."""
        return self.key_of(self.params)

    @property
    def open_action(self) -> OpenAction:
        """What the label keeps of it."""
        operation = self.lasting_operation
        if operation and not self._digest:
            self._digest = _digest(self.params)
        return OpenAction(self.key, self.params.method, self.label_data, operation, self._digest)

    def is_asked_by(self, params: CallParams) -> bool:
        """Whether a command asks for just this action, and so repeats the one that began it."""
        if self._is_inherited:  # its own params are only as much as the label knows
            return type(params) is type(self.params) and self._digest != "" and self._digest == _digest(params)
        return params == self.params

    async def accepted(self) -> dict[str, Any]:
        """Wait until it was accepted; returns what its result carries.

        Raises:
            CommandRefused: it was not.
        """
        refused = await asyncio.shield(self._accepted)
        if refused is not None:
            raise CommandRefused(refused.code, refused.message)
        return self.reply

    async def ended(self) -> Outcome:
        """Wait until it has ended.

        Raises:
            CommandRefused: it was not accepted.
        """
        await self.accepted()
        await until_any(self._outcome)
        return self._outcome.result()

    async def stop(self, _params: object = None) -> None:
        """End it, answered at once; the terminal event follows."""
        self.end(Cause.STOPPED)

    @contextmanager
    def pausing(self, is_paused: bool) -> Iterator[None]:
        """Tell the engine's label first: a node that does not know of a pause would wait for the end for ever.

        When the engine refuses, it is as it was.
        """
        self.is_paused = is_paused
        self.call.relabel()
        try:
            yield
        except BaseException:
            self.is_paused = not is_paused
            self.call.relabel()
            raise

    # --- the course of an action -----------------------------------------------------------------------------

    def end(self, cause: Cause) -> None:
        """Begin to end; the first cause counts."""
        if not self._cause.done():
            self._cause.set_result(cause)

    @property
    def is_ending(self) -> bool:
        """Whether what ends it has happened."""
        return self._cause.done()

    async def live(self) -> None:
        """Run until the terminal events are out, which happens once, or not at all when it was never accepted."""
        work = asyncio.create_task(self._work(), name=f"run {self.params.method}")
        try:
            await until_any(work, self._cause)
            self.end(work.result() if work.done() else Cause.ERROR)  # without effect when a cause came first
        finally:
            work.cancel()
            await until_any(work)
        cause = self._cause.result()
        frames = await self._finished(cause)
        if not self._accepted.done():
            self._refuse(_too_late(cause))
        elif self._accepted.result() is None:
            ends = [params for event_type, params in frames if event_type == self.event]
            self._outcome.set_result(Outcome(cause, ends[0]))  # the others settle clients that do not know the first
            for event_type, params in frames:
                self.emit(event_type, params)

    async def _work(self) -> Cause:
        try:
            await self.run()
        except CommandRefused as error:
            self._refuse(error)
            self.failure = error.message
        except (EngineRefused, EngineLost) as error:
            self._refuse(refusal_of(error))
            self.failure = str(error)
        except OffhookError as error:
            self.failure = str(error)
        except Exception:
            self.failure = "The node failed: this is a bug"
            log.exception("verb failed", method=self.params.method, call_id=self.call.call_id)
        else:
            return Cause.FINISHED
        return Cause.ERROR

    async def _finished(self, cause: Cause) -> Sequence[Frame]:
        try:
            async with asyncio.timeout(FINISH_LIMIT_S):
                return await self.finish(cause)
        except (OffhookError, TimeoutError) as error:
            log.warning("verb did not finish", method=self.params.method, reason=str(error))
        except Exception:
            log.exception("verb failed to finish", method=self.params.method, call_id=self.call.call_id)
        return self.broken(self.open_action, self.failure or "The node could not finish this action", self.ports)

    def accept(self, **reply: Any) -> None:
        """It is sure to begin: answer 200."""
        self.reply = reply
        if not self._accepted.done():
            self._accepted.set_result(None)

    def _refuse(self, error: CommandRefused) -> None:
        if not self._accepted.done():
            self._accepted.set_result(error)

    def emit(self, event_type: str, params: Mapping[str, Any]) -> None:
        """Send an event of this action."""
        self.events.emit(event_of(self.call, self.open_action, event_type, params))


def event_of(call: Call, action: OpenAction, event_type: str, params: Mapping[str, Any]) -> OutgoingEvent:
    """An event of an action, with the address of its call."""
    address: dict[str, Any] = {
        "node_id": call.settings.node_id,
        "call_id": call.call_id,
        "segment_id": call.identity.segment_id,
        "tag": call.tag,
    }
    if action.control_id != action.method:
        address["control_id"] = action.control_id
    spec = SPECS[action.method]
    settle = spec.settles and event_type == spec.event
    is_recorded = "recording_id" in params and spec.ends_with(event_type, params)
    return OutgoingEvent(event_type, address | dict(params), call.call_id, call.tag, settle=settle, durable=is_recorded)


def _digest(params: CallParams) -> str:
    """The same for the same params, by this node and the next; empty: it cannot be told."""
    try:
        text = msgspec.msgpack.encode(params, order="deterministic")
    except (OverflowError, ValueError):  # half a surrogate pair
        return ""
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def _too_late(cause: Cause) -> CommandRefused:
    if cause is Cause.STOPPED:
        return CommandRefused(ResultCode.CONFLICT, "It was stopped before it began")
    if cause is Cause.HANGUP:
        return CommandRefused(ResultCode.GONE, "The call ended before this began")
    return CommandRefused(ResultCode.SERVER_ERROR, "The node could not begin this: try again")
