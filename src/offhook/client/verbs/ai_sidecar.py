"""Have an agent listen to the call and advise the program; the parties do not hear it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Object, Text
from offhook.client.verbs.ai import AiSessionEvent
from offhook.client.verbs.live_transcribe import Party
from offhook.client.words.agent import AiParams, Swaig
from offhook.client.words.compose import compose
from offhook.protocol.verbs import ai_sidecar

__all__ = ["AiSidecarEvent", "AiSidecarVerb"]


class AiSidecarEvent(AiSessionEvent, of=ai_sidecar.EVENT):
    """An agent that listens beside the call."""

    __slots__ = ()

    sidecar_event = Object("sidecar_event")
    """All of it; its shape is not stable."""
    type = Text("sidecar_event.type")
    """``start``, ``insight``, ``ask_answer``, ``final`` and so on."""
    raw = Text("sidecar_event.raw")
    """Text of an insight or answer."""
    ask_id = Text("sidecar_event.ask_id")
    """The question that is answered."""


class AiSidecarVerb(CallBase):
    """``ai_sidecar`` and its commands."""

    async def ai_sidecar(
        self,
        lang: str,
        *,
        prompt: str | dict[str, Any] | None = None,
        model: str | None = None,
        direction: Sequence[Party] | None = None,
        customer_role: Party | None = None,
        url: str | None = None,
        SWAIG: Swaig | None = None,  # noqa: N803
        permissions: dict[str, Any] | None = None,
        global_data: dict[str, Any] | None = None,
        hints: Sequence[str] | None = None,
        ai_params: AiParams | Mapping[str, Any] | None = None,
        action: dict[str, Any] | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Have an agent listen to an answered call and advise; ``calling.ai.sidecar`` tells what it thinks.

        Args:
            lang: what is spoken, such as en-US.
            prompt: what it is to look for.
            model: default gpt-4o-mini.
            direction: whom it hears, default both.
            customer_role: who is the customer, default ``remote-caller``.
            url: is POSTed what it thinks.
            SWAIG: functions that it may call.
            permissions: what functions may do.
            global_data: what the session knows.
            hints: words to expect.
            ai_params: settings of the session.
            action: ``{"summarize": {"webhook": ..., "prompt": ...}}``.
            extra: sent as it is.
        """
        given = {
            "lang": lang,
            "prompt": prompt,
            "model": model,
            "direction": direction,
            "customer_role": customer_role,
            "url": url,
            "SWAIG": SWAIG,
            "permissions": permissions,
            "global_data": global_data,
            "hints": hints,
            "params": ai_params,
            "action": action,
        }
        return await self.command(ai_sidecar.AiSidecar.method, compose(ai_sidecar.AiSidecar, given, extra))

    async def ai_sidecar_poke(self, text: str) -> dict[str, Any]:
        """Tell the agent something.

        Args:
            text: what it is to know.
        """
        return await self.command(ai_sidecar.AiSidecarPoke.method, {"text": text})

    async def ai_sidecar_ask(self, text: str) -> dict[str, Any]:
        """Ask the agent. The result has the ``ask_id`` of the event that will answer.

        Args:
            text: the question.
        """
        return await self.command(ai_sidecar.AiSidecarAsk.method, {"text": text})

    async def ai_sidecar_stop(self) -> dict[str, Any]:
        """Send the agent away."""
        return await self.command(ai_sidecar.AiSidecarStop.method, {})

    async def ai_sidecar_status(self) -> dict[str, Any]:
        """How the agent does: counters in the result's ``message``."""
        return await self.command(ai_sidecar.AiSidecarStatus.method, {})
