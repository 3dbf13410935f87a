"""Have an agent talk to the party: a prompt says what it is to do, functions (SWAIG) let it act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Flag, Number, Object, RelayEvent, StateOfAction, Text, Whole, text_of
from offhook.client.listening.tasks import Handler
from offhook.client.words.agent import AiLanguage, AiParams, AiPrompt, Hint, Pronounce, Swaig
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import ai

__all__ = [
    "AIAction",
    "AiCompletionEvent",
    "AiEvent",
    "AiPartialResultEvent",
    "AiPostPromptEvent",
    "AiResponseEvent",
    "AiSessionEvent",
    "AiSpeechEvent",
    "AiStopEvent",
    "AiSwaigEvent",
    "AiUtteranceEvent",
    "AiVerb",
    "AiWarningEvent",
]


class AiSessionEvent(RelayEvent, of=(ai.START_EVENT, ai.BEGIN_SPEAKING_EVENT, ai.USER_SPEAKING_EVENT)):
    """Something happened in an agent's session (``calling.ai.*``); types without more to say are of this class."""

    __slots__ = ()


class AiEvent(StateOfAction, of=ai.EVENT):
    """The session is over. ``state``: ``finished`` or ``error``."""

    __slots__ = ()


class AiStopEvent(AiSessionEvent, of=ai.STOP_EVENT):
    """The session stopped."""

    __slots__ = ()

    state = Text("state")
    """Empty, as the server says none with this event; it is here for who waits for an agent's end, whichever it is."""
    start_time_us = Whole("start_time")
    """When it began: microseconds of the Unix epoch."""
    end_time_us = Whole("end_time")
    """When it ended: microseconds of the Unix epoch."""
    billing = Object("billing")
    """``this_visit`` and ``cumulative``."""


class AiSpeechEvent(AiSessionEvent, of=(ai.SPEECH_DETECT_EVENT, ai.TRANSPARENT_BARGE_EVENT)):
    """The caller said something (``speech_detect``), or talked on (``transparent_barge``)."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """What was said."""
        return text_of(self.params, "text") or text_of(self.params, "combined_text")


class AiPartialResultEvent(AiSessionEvent, of=ai.PARTIAL_RESULT_EVENT):
    """The caller is saying something."""

    __slots__ = ()

    text = Text("text")
    """What was heard so far."""
    barged = Flag("barged")
    """It interrupted the agent."""


class AiResponseEvent(AiSessionEvent, of=ai.RESPONSE_EVENT):
    """The agent's answer."""

    __slots__ = ()

    response = Text("response")
    """Its text."""


class AiUtteranceEvent(AiSessionEvent, of=ai.RESPONSE_UTTERANCE_EVENT):
    """A piece of the agent's answer, as it is spoken."""

    __slots__ = ()

    utterance = Text("utterance")
    """Its text."""


class AiCompletionEvent(AiSessionEvent, of=ai.COMPLETION_EVENT):
    """The agent finished speaking, or was interrupted."""

    __slots__ = ()

    text = Text("text")
    """What was spoken."""
    type = Text("type")
    """``normal`` or ``barged``."""


class AiWarningEvent(AiSessionEvent, of=ai.WARNING_EVENT):
    """Something about the session wants attention."""

    __slots__ = ()

    error = Text("error")
    """What."""
    tokens = Number("tokens")
    """How many tokens it is about."""


class AiSwaigEvent(AiSessionEvent, of=(ai.SWAIG_EVENT, ai.SWAIG_ACTION_EVENT)):
    """The agent called a function (``swaig``), or an action ran (``swaig_action``): its keys are in ``params``."""

    __slots__ = ()

    command_name = Text("command_name")
    """The function."""
    command_arg = Text("command_arg")
    """Its arguments, JSON."""


class AiPostPromptEvent(AiSessionEvent, of=ai.POST_PROMPT_EVENT):
    """What the agent made of the conversation."""

    __slots__ = ()

    data = Object("post_prompt_data")
    """``parsed``, ``raw`` and ``substituted``."""
    raw = Text("post_prompt_data.raw")
    """Its text."""


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
