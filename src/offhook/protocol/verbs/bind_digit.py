"""``calling.bind_digit`` and ``calling.clear_digit_bindings``: keys that start methods (relay-protocol 4.4)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from offhook.protocol.params import CallParams, DialDigits
from offhook.protocol.spec import VerbSpec

__all__ = ["ALL_REALMS", "SPECS", "BindDigit", "ClearDigitBindings"]

ALL_REALMS = "all"
"""The realm that clears every other."""


class BindDigit(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.bind_digit``. ``params`` are those of ``bind_method``; 0 ``max_triggers``: unlimited."""

    method: ClassVar[str] = "calling.bind_digit"
    accepted: ClassVar[str] = "Digit binding created"

    digits: DialDigits
    bind_method: Annotated[str, msgspec.Meta(pattern=r"^calling\.", description="a method such as calling.play")]
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    realm: str = "default"
    max_triggers: Annotated[int, msgspec.Meta(ge=0, description="a whole number, 1 or more (0: unlimited)")] = 0

    def __repr__(self) -> str:
        return f"BindDigit(bind_method={self.bind_method!r}, realm={self.realm!r})"


class ClearDigitBindings(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.clear_digit_bindings``. Without ``realm`` only ``default`` is cleared, ``all`` clears all."""

    method: ClassVar[str] = "calling.clear_digit_bindings"
    accepted: ClassVar[str] = "Digit bindings cleared"

    realm: str = "default"


SPECS: Final = (
    VerbSpec(section=(4, 4), start=BindDigit),
    VerbSpec(section=(4, 4), start=ClearDigitBindings),
)
