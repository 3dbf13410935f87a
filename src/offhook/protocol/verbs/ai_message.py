"""``calling.ai_message``, ``ai_hold`` and ``ai_unhold``: speak to a running agent (relay-protocol 4.13)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "AiHold", "AiMessage", "AiReset", "AiUnhold"]


class AiReset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Begin the conversation anew."""

    full_reset: bool = False
    user_prompt: str | None = None
    system_prompt: str | None = None

    def __repr__(self) -> str:
        return f"AiReset(full_reset={self.full_reset})"


class AiMessage(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_message``. With ``reset`` the others are ignored; a null in ``global_data`` deletes."""

    method: ClassVar[str] = "calling.ai_message"
    accepted: ClassVar[str] = "+OK"

    message_text: str | None = None
    role: Literal["system", "user", "assistant"] | None = None
    reset: AiReset | None = None
    global_data: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"AiMessage(role={self.role!r})"


class AiHold(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_hold``. ``timeout`` is a text: seconds, or ``5m``; at most 300 s, which is the default."""

    method: ClassVar[str] = "calling.ai_hold"
    accepted: ClassVar[str] = "+OK"

    timeout: Annotated[str | float, msgspec.Meta(description='a time such as "60" or "5m"')] = "300"
    prompt: str | None = None


class AiUnhold(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_unhold``."""

    method: ClassVar[str] = "calling.ai_unhold"
    accepted: ClassVar[str] = "+OK"

    prompt: str | None = None


SPECS: Final = (
    VerbSpec(section=(4, 13), start=AiMessage),
    VerbSpec(section=(4, 13), start=AiHold),
    VerbSpec(section=(4, 13), start=AiUnhold),
)
