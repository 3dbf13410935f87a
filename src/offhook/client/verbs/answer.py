"""Answer an inbound call: from then on both sides hear each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.devices import Codec
from offhook.protocol.verbs.answer import Answer

__all__ = ["AnswerVerb"]


class AnswerVerb(CallBase):
    """``answer``."""

    async def answer(
        self, *, codecs: Sequence[Codec] | None = None, max_duration: int | None = None, **extra: Any
    ) -> dict[str, Any]:
        """Answer an inbound call. ``calling.call.state`` tells ``answered``.

        Args:
            codecs: what to speak, in order of preference.
            max_duration: seconds after which the node ends the call.
            extra: sent as it is.
        """
        return await self.command(
            Answer.method, compose(Answer, {"codecs": codecs, "max_duration": max_duration}, extra)
        )
