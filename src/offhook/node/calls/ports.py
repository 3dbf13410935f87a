"""What calls and verbs need of the rest of the node. The gateway, speech and web implement these."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker

__all__ = [
    "AudioFetcher",
    "Client",
    "CommandRunner",
    "Controller",
    "EventSink",
    "Events",
    "OfferDesk",
    "OfferedCall",
    "OutgoingEvent",
    "PastEnd",
    "RecordingLinks",
    "ResolveHost",
    "Script",
    "Speech",
    "Told",
]

ResolveHost = Callable[[str, str], Awaitable[list[str]]]
"""Addresses of a host, best first, for a session, or (empty) for the node's own settings.

Raises OffhookError: a sentence that says whether it is not found or was not resolved in time.
"""


class OutgoingEvent(msgspec.Struct, frozen=True):
    """One event of a call, on its way to the session that controls the call.

    ``settle``: hold it (and what is behind it) until 50 ms after the result of its ``control_id`` went out
    (collect, detect). ``tag``: of what was dialled; the dial and all its calls, also those that lost, are told in
    one order. ``session``: who dialled, for events of a dial before any call is known (elsewhere empty: the session
    that controls the call). ``durable``: synced to the disk before it leaves (answered, ended, recording finished).
    """

    event_type: str
    params: dict[str, Any]
    call_id: str = ""
    tag: str = ""
    session: str = ""
    settle: bool = False
    durable: bool = False

    def __repr__(self) -> str:
        return f"OutgoingEvent({self.event_type}, call_id={self.call_id!r})"


class PastEnd(msgspec.Struct, frozen=True):
    """The end of a call while no node was there. ``params`` complete its last state; ``events`` go before ``ended``."""

    params: dict[str, Any]
    events: list[OutgoingEvent] = []


class Told(msgspec.Struct, frozen=True):
    """What clients were told of a live call before this node came, by the journal.

    ``state``: params of the last ``calling.call.state``; empty: none was told. ``actions``: the last state of each open
    play and record, by ``control_id``.
    """

    state: dict[str, Any] = {}
    actions: dict[str, str] = {}


class Events(Protocol):
    """Where the events of an action go."""

    def emit(self, event: OutgoingEvent) -> None:
        """Take the next one. Order is kept per call; never waits, never raises."""
        ...


class Client(msgspec.Struct, frozen=True):
    """A client. ``session``: the ``protocol`` of its connect, the same after a resume."""

    session: str


class Script(msgspec.Struct, frozen=True):
    """What this node itself does with a call, step after step; it goes with the node.

    Its actions have names of their own, so that a client neither meets nor steers them, and tell ``events``, not the
    call's outbox.
    """

    id: str
    events: Events


Controller = Client | Script
"""Who controls a call, and starts verbs."""


class EventSink(Events, Protocol):
    """The ordered outbox of each call."""

    async def journalled(self) -> None:
        """Wait until all that was emitted so far is in the journal; then engine reports may be acked."""
        ...

    def told(self, call_id: str) -> Told | None:
        """What a former node told of a call; None for one that the journal does not know."""
        ...


class CommandRunner(Protocol):
    """Runs a ``calling.*`` method for a client, as the wire has it."""

    async def run(self, method: str, params: Mapping[str, Any], client: Client) -> dict[str, Any]:
        """Start or steer a verb and return the ``result`` of the wire (``code``, ``message``, ...).

        Raises:
            offhook.errors.CommandRefused: with the wire's code and a sentence.
        """
        ...

    def abandon(self, session: str, why: str) -> None:
        """The session is gone for good: call nobody else for it. ``why``: a sentence, should it come back after all."""
        ...


class OfferedCall(Protocol):
    """An inbound call, as the offer desk sees it."""

    call_id: str
    context: str

    def receive_params(self) -> dict[str, Any]:
        """Params of ``calling.call.receive``."""
        ...

    def withdrawn_params(self) -> dict[str, Any]:
        """Params of the ``calling.call.state`` ``ended``, reason ``cancel``, for a session that lost the offer."""
        ...

    @property
    def is_open(self) -> bool:
        """Not answered, not ended, no answer under way."""
        ...

    @property
    def decided(self) -> asyncio.Future[None]:
        """Done when it was answered, or its end began: nobody need be found any more."""
        ...

    async def answering_over(self) -> None:
        """Wait until an answer under way is settled; it may be refused, and the call is as it was."""
        ...

    async def alert(self) -> None:
        """Send 180 (nobody is there yet, or the app is thinking)."""
        ...

    async def reject(self, status: int, reason: str) -> None:
        """Refuse the call on SIP with a sentence; ends it. Without effect on a call that is decided."""
        ...


class OfferDesk(Protocol):
    """Finds one client for an inbound call and knows who controls which call."""

    def offer(self, call: OfferedCall) -> None:
        """Begin to offer a call to the subscribers of its context."""
        ...

    def passed(self, call_id: str, session: str) -> None:
        """The session declined: offer to another."""
        ...

    def assign(self, call_id: str, controller: Controller) -> None:
        """It controls this call from the start (a client what it dialled). One that has its owner keeps it."""
        ...

    def forget(self, call_id: str) -> None:
        """The call is over."""
        ...


class Speech(Protocol):
    """Text to speech."""

    async def synthesize(self, text: str, asker: Asker, *, language: str, gender: str, voice: str) -> FileSource:
        """Speak a text into a prompt file, which may still grow when this returns, and stays until ``asker`` closes.

        Raises:
            offhook.errors.CallerError: the text or the voice cannot be spoken; says what to change.
            offhook.errors.ProviderError: the synthesiser failed or took too long.
            offhook.errors.MachineError: no room, or too many texts wait; says what to change.
        """
        ...


class AudioFetcher(Protocol):
    """Audio by URL."""

    async def fetch(self, url: str, asker: Asker) -> FileSource:
        """Fetch into a prompt file (guarded against forbidden addresses), which stays until ``asker`` closes.

        Raises:
            offhook.errors.CallerError: the URL is not allowed; says why.
            offhook.errors.ProviderError: the server failed or sent no audio.
            offhook.errors.MachineError: no room, or too many URLs wait; says what to change.
        """
        ...

    def keep(self, prompt: str, asker: Asker) -> None:
        """A prompt file, of a URL or a text, that a former node had played stays until ``asker`` closes, too."""
        ...


class RecordingLinks(Protocol):
    """Where a finished recording can be fetched."""

    def url(self, recording: str) -> str:
        """A link that carries its own proof and expiry."""
        ...
