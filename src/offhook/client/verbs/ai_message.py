"""Speak to a running agent, or put it on hold."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.ai_message import AiHold, AiMessage, AiUnhold

__all__ = ["AiMessageVerb", "AiReset"]


class AiReset(TypedDict, total=False):
    """Begin anew, with another ``system_prompt``; ``user_prompt`` is what the caller then seems to say.

    ``full_reset``: forget what was said.
    """

    full_reset: bool
    user_prompt: str
    system_prompt: str


class AiMessageVerb(CallBase):
    """``ai_message``, ``ai_hold`` and ``ai_unhold``."""

    async def ai_message(
        self,
        *,
        message_text: str | None = None,
        role: Literal["system", "user", "assistant"] | None = None,
        reset: AiReset | None = None,
        global_data: dict[str, Any] | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Send a message to the running agent.

        Args:
            message_text: what to say to it.
            role: who says it.
            reset: begin anew; the other arguments are then ignored.
            global_data: merged into the session's; None deletes a key.
            extra: sent as it is.
        """
        given = {"message_text": message_text, "role": role, "reset": reset, "global_data": global_data}
        return await self.command(AiMessage.method, compose(AiMessage, given, extra))

    async def ai_hold(
        self, *, timeout: str | float | None = None, prompt: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """Put the agent on hold: it neither listens nor speaks.

        Args:
            timeout: seconds, or a text such as ``"60"`` (seconds) or ``"5m"``; at most 300 s, the default.
            prompt: what the agent is to say before.
            extra: sent as it is.
        """
        return await self.command(AiHold.method, compose(AiHold, {"timeout": timeout, "prompt": prompt}, extra))

    async def ai_unhold(self, *, prompt: str | None = None, **extra: Any) -> dict[str, Any]:
        """Take the agent off hold.

        Args:
            prompt: what it is to say.
            extra: sent as it is.
        """
        return await self.command(AiUnhold.method, compose(AiUnhold, {"prompt": prompt}, extra))
