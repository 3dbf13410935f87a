"""``calling.disconnect``: take a bridge down; both parties stay up (relay-protocol 4.5)."""

from __future__ import annotations

from typing import ClassVar, Final

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec
from offhook.protocol.verbs import connect

__all__ = ["SPECS", "Disconnect"]


class Disconnect(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.disconnect``. ``reason`` is opaque."""

    method: ClassVar[str] = "calling.disconnect"
    accepted: ClassVar[str] = "Disconnecting call"

    reason: str | None = None


SPECS: Final = (VerbSpec(section=(4, 5), start=Disconnect, tells=(connect.EVENT,)),)
