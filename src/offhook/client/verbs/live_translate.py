"""Have two parties speak two languages, each hearing their own."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from offhook.client.actions.call_base import CallBase
from offhook.client.verbs.live_transcribe import LiveOptions, Party, Summarize
from offhook.client.words.compose import compose
from offhook.protocol.verbs.live_translate import LiveTranslate

__all__ = ["LiveTranslateAction", "LiveTranslateVerb"]


class LiveTranslateStart(LiveOptions, total=False):
    """``source``, ``target``: such as en-US and es; some services know them as ``from_lang`` and ``to_lang``.

    ``from_voice``, ``to_voice``: who speaks them. ``filter_from``, ``filter_to``: polite, rude, professional,
    shakespeare, gen-z, or ``prompt:<text>``. ``mode``: default classic.
    """

    source: str
    target: str
    from_lang: str
    to_lang: str
    from_voice: str
    to_voice: str
    filter_from: str
    filter_to: str
    mode: Literal["classic", "realtime"]


class Inject(TypedDict):
    """A ``message`` to translate, and to speak in the ``direction`` of one of the two."""

    message: str
    direction: Party


class LiveTranslateAction(TypedDict, total=False):
    """Exactly one of the four: ``start``, ``stop`` (an empty dict), ``summarize`` and ``inject``."""

    start: LiveTranslateStart
    stop: dict[str, Any]
    summarize: Summarize
    inject: Inject


class LiveTranslateVerb(CallBase):
    """``live_translate``."""

    async def live_translate(
        self,
        action_obj: LiveTranslateAction | Literal["stop", "summarize"],
        *,
        status_url: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Start, stop, summarise or speak into a live translation: ``{"start": {"source": "en-US", "target": "es"}}``.

        ``calling.ai.translate.*`` tell what is said.

        Args:
            action_obj: what to do: exactly one of ``start``, ``stop``, ``summarize`` and ``inject``, with its settings.
            status_url: reserved.
            extra: sent as it is.
        """
        given = {"action": action_obj, "status_url": status_url}
        return await self.command(LiveTranslate.method, compose(LiveTranslate, given, extra))
