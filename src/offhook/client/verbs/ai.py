"""Have an agent talk to the party: a prompt says what it is to do, functions (SWAIG) let it act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events import AiEvent, AiStopEvent, RelayEvent
from offhook.client.listening.tasks import Handler
from offhook.client.words.agent import AiLanguage, AiParams, AiPrompt, Hint, Pronounce, Swaig
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import ai

__all__ = ["AIAction", "AiVerb"]


class AIAction(Action[AiEvent | AiStopEvent]):
    """An agent on the call. Ends with ``calling.call.ai`` or ``calling.ai.stop``, whichever comes first.

    ``calling.ai.stop`` names no action: it is ours if the agent has started since, else an earlier agent's.
    """

    spec = ai.SPECS[0]
    _has_started = False

    def is_last(self, event: RelayEvent) -> bool:
        """Say whether nothing follows this event of ours."""
        return (event.event_type == ai.STOP_EVENT and self._has_started) or super().is_last(event)

    def handle(self, event: RelayEvent) -> bool:
        """Take an event of ours; True when it was the last."""
        self._has_started |= event.event_type == ai.START_EVENT
        return super().handle(event)


class AiVerb(CallBase):
    """``ai`` and ``amazon_bedrock``."""

    async def ai(
        self,
        *,
        control_id: str | None = None,
        prompt: AiPrompt | None = None,
        SWAIG: Swaig | None = None,  # noqa: N803
        ai_params: AiParams | Mapping[str, Any] | None = None,
        agent: str | None = None,
        post_prompt: AiPrompt | None = None,
        post_prompt_url: str | None = None,
        post_prompt_auth_user: str | None = None,
        post_prompt_auth_password: str | None = None,
        global_data: dict[str, Any] | None = None,
        pronounce: Sequence[Pronounce] | None = None,
        hints: Sequence[str | Hint] | None = None,
        languages: Sequence[AiLanguage] | None = None,
        multilingual: dict[str, Any] | None = None,
        on_completed: Handler[AiEvent | AiStopEvent] | None = None,
        **extra: Any,
    ) -> AIAction:
        """Start an agent on the call: a ``prompt``, or a stored ``agent``. One at a time.

        Args:
            control_id: id of the action, default a new UUID.
            prompt: who the agent is and what it is to do.
            SWAIG: functions that it may call.
            ai_params: settings of the session.
            agent: id of a stored agent.
            post_prompt: what to make of the conversation at its end.
            post_prompt_url: is POSTed that.
            post_prompt_auth_user: for that URL.
            post_prompt_auth_password: for that URL.
            global_data: what the session knows, for prompts and functions.
            pronounce: how to speak words.
            hints: words to expect.
            languages: that it speaks.
            multilingual: settings of speaking several.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = AIAction(self, control_id or new_id(), on_completed)
        given = {
            "control_id": action.control_id,
            "prompt": prompt,
            "SWAIG": SWAIG,
            "params": ai_params,
            "agent": agent,
            "post_prompt": post_prompt,
            "post_prompt_url": post_prompt_url,
            "post_prompt_auth_user": post_prompt_auth_user,
            "post_prompt_auth_password": post_prompt_auth_password,
            "global_data": global_data,
            "pronounce": pronounce,
            "hints": hints,
            "languages": languages,
            "multilingual": multilingual,
        }
        return await self.start(action, compose(ai.Ai, given, extra))

    async def amazon_bedrock(
        self,
        *,
        prompt: AiPrompt | None = None,
        SWAIG: Swaig | None = None,  # noqa: N803
        ai_params: AiParams | Mapping[str, Any] | None = None,
        global_data: dict[str, Any] | None = None,
        post_prompt: AiPrompt | None = None,
        post_prompt_url: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Connect to an Amazon Bedrock agent; the arguments are those of ``ai``. ``calling.ai.stop`` tells its end."""
        given = {
            "prompt": prompt,
            "SWAIG": SWAIG,
            "params": ai_params,
            "global_data": global_data,
            "post_prompt": post_prompt,
            "post_prompt_url": post_prompt_url,
        }
        return await self.command(ai.AmazonBedrock.method, compose(ai.AmazonBedrock, given, extra))
