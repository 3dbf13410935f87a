"""Stand-ins for what calls and verbs need of the node: an event sink that remembers, a desk, speech, audio, links."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from offhook.errors import ProviderError
from offhook.node.calls.ports import Controller, OfferedCall, OutgoingEvent, Told
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker
from offhook.protocol.verbs.state import STATE_EVENT
from offhook.testing.engine import FakeEngine

__all__ = ["FakeAudioFetcher", "FakeLinks", "FakeOfferDesk", "FakeSpeech", "RecordingSink"]


class RecordingSink:
    """Keeps every event in order; ``when`` waits for one. ``journal``: what nodes before told; None: it was lost."""

    def __init__(self, journal: Sequence[OutgoingEvent] | None = None) -> None:
        self.events: list[OutgoingEvent] = []
        self._journal = journal
        self._more = asyncio.Event()

    def emit(self, event: OutgoingEvent) -> None:
        """Remember."""
        self.events.append(event)
        self._more.set()

    async def journalled(self) -> None:
        """At once."""

    def told(self, call_id: str) -> Told | None:
        """By ``journal``."""
        if self._journal is None:
            return None
        state: dict[str, Any] = {}
        actions: dict[str, str] = {}
        for event in self._journal:
            if event.call_id == call_id and event.event_type == STATE_EVENT:
                state = event.params
            elif event.call_id == call_id and "state" in event.params:
                actions[event.params.get("control_id", "")] = event.params["state"]
        return Told(state, actions)

    def of(self, event_type: str, **params: Any) -> list[dict[str, Any]]:
        """Params of the events of one type that have all of ``params``."""
        return [
            event.params
            for event in self.events
            if event.event_type == event_type and all(event.params.get(key) == value for key, value in params.items())
        ]

    async def when(self, event_type: str, **params: Any) -> dict[str, Any]:
        """Wait for the first event of a type that has all of ``params``."""
        while not (found := self.of(event_type, **params)):
            self._more.clear()
            await self._more.wait()
        return found[0]


class FakeOfferDesk:
    """Remembers who was offered, passed, assigned and forgotten."""

    def __init__(self) -> None:
        self.offers: list[OfferedCall] = []
        self.passes: list[tuple[str, str]] = []
        self.owners: dict[str, Controller] = {}
        self.forgotten: list[str] = []

    def offer(self, call: OfferedCall) -> None:
        """Remember."""
        self.offers.append(call)

    def passed(self, call_id: str, session: str) -> None:
        """Remember."""
        self.passes.append((call_id, session))

    def assign(self, call_id: str, controller: Controller) -> None:
        """Remember."""
        self.owners[call_id] = controller

    def forget(self, call_id: str) -> None:
        """Remember."""
        self.forgotten.append(call_id)


class FakeSpeech:
    """A text lasts ``seconds_per_character``; those in ``failures`` fail. ``released``: nobody plays them."""

    def __init__(self, engine: FakeEngine, *, takes_s: float = 0.05, seconds_per_character: float = 0.1) -> None:
        self.spoken: list[tuple[str, str, str, str]] = []
        self.failures: set[str] = set()
        self.released: list[str] = []
        self._engine = engine
        self._takes_s = takes_s
        self._seconds_per_character = seconds_per_character

    async def synthesize(self, text: str, asker: Asker, *, language: str, gender: str, voice: str) -> FileSource:
        """A prompt of the fake engine."""
        asker.keep(lambda: self.released.append(text))
        await asyncio.sleep(self._takes_s)
        if text in self.failures:
            raise ProviderError("The synthesiser failed")
        self.spoken.append((text, language, gender, voice))
        prompt = f"tts-{len(self.spoken)}"
        self._engine.prompt_lengths_s[prompt] = len(text) * self._seconds_per_character
        return FileSource(prompt)


class FakeAudioFetcher:
    """URLs in ``lengths_s`` exist, all others fail. ``released``: nobody plays them. ``kept``: prompts kept by name."""

    def __init__(self, engine: FakeEngine, *, takes_s: float = 0.1) -> None:
        self.lengths_s: dict[str, float] = {}
        self.released: list[str] = []
        self.kept: list[str] = []
        self._engine = engine
        self._takes_s = takes_s

    def keep(self, prompt: str, asker: Asker) -> None:
        """Remember, until the asker closes."""
        self.kept.append(prompt)
        asker.keep(lambda: self.kept.remove(prompt))

    async def fetch(self, url: str, asker: Asker) -> FileSource:
        """A prompt of the fake engine."""
        asker.keep(lambda: self.released.append(url))
        await asyncio.sleep(self._takes_s)
        if url not in self.lengths_s:
            raise ProviderError("404")
        prompt = f"url-{list(self.lengths_s).index(url)}"
        self._engine.prompt_lengths_s[prompt] = self.lengths_s[url]
        return FileSource(prompt)


class FakeLinks:
    """Links without proof."""

    def url(self, recording: str) -> str:
        """A link."""
        return f"https://node.example/recordings/{recording}"
