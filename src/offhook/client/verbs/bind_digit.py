"""Have keys start methods on the node, without a round trip to the program."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.bind_digit import BindDigit, ClearDigitBindings

__all__ = ["BindDigitVerb"]


class BindDigitVerb(CallBase):
    """``bind_digit`` and ``clear_digit_bindings``."""

    async def bind_digit(
        self,
        digits: str,
        bind_method: str,
        *,
        bind_params: dict[str, Any] | None = None,
        realm: str | None = None,
        max_triggers: int | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Have a sequence of keys start a method on the node. The method's own events tell when it did.

        Args:
            digits: ``0-9 * # A-D``.
            bind_method: such as ``calling.play``.
            bind_params: params of that method.
            realm: groups bindings, default ``default``.
            max_triggers: how often, 1 or more; without it always.
            extra: sent as it is.
        """
        given = {
            "digits": digits,
            "bind_method": bind_method,
            "params": bind_params,
            "realm": realm,
            "max_triggers": max_triggers,
        }
        return await self.command(BindDigit.method, compose(BindDigit, given, extra))

    async def clear_digit_bindings(self, *, realm: str | None = None, **extra: Any) -> dict[str, Any]:
        """Forget the bindings of a realm.

        Args:
            realm: which, default ``default``; ``all`` for all.
            extra: sent as it is.
        """
        return await self.command(ClearDigitBindings.method, compose(ClearDigitBindings, {"realm": realm}, extra))
