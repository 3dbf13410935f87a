"""Messages: ``messaging.send`` and the events of messages (relay-protocol 6)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import Params, Url

__all__ = ["FINAL_STATES", "RECEIVE_EVENT", "STATE_EVENT", "MessageEvent", "SendMessage"]

RECEIVE_EVENT: Final = "messaging.receive"
STATE_EVENT: Final = "messaging.state"

FINAL_STATES: Final = frozenset({"delivered", "undelivered", "failed"})
"""States that nothing follows. MMS has no delivery receipt: it stays at ``sent``."""

Number = Annotated[str, msgspec.Meta(min_length=1, description="a number such as +15551234567")]


class SendMessage(Params, frozen=True, kw_only=True):
    """Params of ``messaging.send``: ``body``, ``media`` or both, or a template. ``context`` gets the message's events.

    ``tags`` and ``region`` are older forms.
    """

    method: ClassVar[str] = "messaging.send"
    accepted: ClassVar[str] = "Message accepted"

    from_number: Number
    to_number: Number
    context: str = "default"
    body: str | None = None
    media: Annotated[list[Url], msgspec.Meta(max_length=8, description="a list of at most 8 URLs")] = msgspec.field(
        default_factory=list
    )
    tag: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    region: str | None = None
    status_callback: Url | None = None
    send_as_mms: bool | None = None
    message_type: str | None = None
    template_id: str | None = None
    header_template_parameters: Any = None
    body_template_parameters: Any = None
    button_template_parameters: Any = None

    def __post_init__(self) -> None:
        if not self.body and not self.media and not self.template_id:
            raise ValueError("a message needs `body` or `media`, or both")

    def __repr__(self) -> str:
        return "SendMessage(***)"


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of ``messaging.receive`` (``received``) and ``messaging.state``. ``reason`` on failures alone."""

    message_id: str
    context: str
    direction: Literal["inbound", "outbound"]
    from_number: str
    to_number: str
    message_state: str
    body: str = ""
    media: list[str] = msgspec.field(default_factory=list)
    segments: int = 1
    tag: str = ""
    tags: list[str] = msgspec.field(default_factory=list)
    reason: str = ""

    def __repr__(self) -> str:
        return f"MessageEvent(message_state={self.message_state!r})"
