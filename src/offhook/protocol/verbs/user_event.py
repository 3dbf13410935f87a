"""``calling.user_event``: tell all applications on the call's context something (relay-protocol 4.1)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "UserEvent"]

EVENT: Final = "calling.user_event"


class UserEvent(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.user_event``. ``event`` is an object, or a name with free keys beside it (9, row 23).

    The event ``calling.user_event`` carries the object's keys, or the free ones, next to the call's address.
    """

    method: ClassVar[str] = "calling.user_event"
    accepted: ClassVar[str] = "Sending user event"

    event: Annotated[str | dict[str, Any], msgspec.Meta(description="an object, or a name")]


SPECS: Final = (VerbSpec(section=(4, 1), start=UserEvent, tells=(EVENT,)),)
