"""``calling.pay``: collect a payment by keys (relay-protocol 4.9 and 7.4). Every scalar is a text on the wire."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import Media
from offhook.protocol.params import ControlParams, Url
from offhook.protocol.spec import EventFields, VerbSpec, is_finished

__all__ = ["EVENT", "SPECS", "Pay", "PayEvent", "PayParameter", "PayPrompt", "PayStop", "PromptAction"]

EVENT: Final = "calling.call.pay"

Flag = Annotated[bool | str, msgspec.Meta(description='"true" or "false"')]
Number = Annotated[int | str, msgspec.Meta(description="a whole number, as text")]
Amount = Annotated[float | str, msgspec.Meta(description='an amount such as "25.99", as text')]

PromptFor = Literal[
    "payment-card-number",
    "expiration-date",
    "security-code",
    "postal-code",
    "bank-routing-number",
    "bank-account-number",
    "payment-processing",
    "payment-completed",
    "payment-failed",
    "payment-canceled",
]


class PayParameter(msgspec.Struct, frozen=True):
    """A name and value for the payment connector."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"PayParameter(name={self.name!r})"


class PromptAction(msgspec.Struct, frozen=True):
    """``Say`` a phrase, or ``Play`` the URL in it."""

    type: Literal["Say", "Play"]
    phrase: str


class PayPrompt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"for_": "for"}):
    """What to say when. Lists are texts with spaces between; ``attempts`` is another name of ``attempt``."""

    for_: PromptFor
    card_type: str | None = None
    error_type: str | None = None
    attempt: Number | None = None
    attempts: Number | None = None
    require_matching_inputs: Flag | None = None
    actions: list[PromptAction] = msgspec.field(default_factory=list)
    play: list[Media] = msgspec.field(default_factory=list)


class Pay(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.pay``.

    ``timeout`` is seconds between digits. ``postal_code`` is a flag, or the code itself when it is known.
    ``charge_amount`` 0: make a token, charge nothing. ``valid_card_types`` is a text with spaces between.
    """

    method: ClassVar[str] = "calling.pay"
    accepted: ClassVar[str] = "Processing payment"

    payment_connector_url: Url
    input: Literal["dtmf", "voice"] = "dtmf"
    status_url: Url | None = None
    payment_method: Literal["credit-card"] = "credit-card"
    bank_account_type: Literal["consumer-checking", "consumer-savings", "commercial-checking"] = "consumer-checking"
    timeout: Number = "5"
    max_attempts: Number = "1"
    security_code: Flag = "true"
    postal_code: Flag = "true"
    min_postal_code_length: Number = "0"
    token_type: Literal["one-time", "reusable"] = "reusable"  # noqa: S105  a kind of token, not one
    charge_amount: Amount = "0.00"
    currency: str = "usd"
    language: str = "en-US"
    voice: str = "woman"
    say_voice: str | None = None
    description: str | None = None
    valid_card_types: str = "visa mastercard amex"
    parameters: list[PayParameter] = msgspec.field(default_factory=list)
    prompts: list[PayPrompt] = msgspec.field(default_factory=list)

    def __repr__(self) -> str:
        return f"Pay(control_id={self.control_id!r})"


class PayStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.pay.stop``."""

    method: ClassVar[str] = "calling.pay.stop"
    accepted: ClassVar[str] = "Stopping payment"


class PayEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"for_": "for"}):
    """Params of ``calling.call.pay``: progress has ``for``, the last one ``result`` (and ``state``: 9, row 19).

    Card data is masked.
    """

    node_id: str
    call_id: str
    control_id: str
    for_: PromptFor | None = None
    result: str | None = None
    state: Literal["finished", "error"] | None = None
    error_type: str | None = None
    attempt: str | None = None
    security_code: str | None = None
    expiration_date: str | None = None
    payment_token: str | None = None
    payment_confirmation_code: str | None = None
    payment_error: str | None = None
    payment_error_code: str | None = None
    payment_connector_error_code: str | None = None
    payment_connector_error_message: str | None = None
    payment_method: str | None = None
    payment_card_number: str | None = None
    payment_card_type: str | None = None
    payment_card_postal_code: str | None = None
    payment_card_security_code: str | None = None
    payment_card_expiration_date: str | None = None
    status_url: str | None = None
    status_url_method: str | None = None

    def __repr__(self) -> str:
        return f"PayEvent(control_id={self.control_id!r}, result={self.result!r})"


def is_paid(params: EventFields) -> bool:
    """Whether this event is the last of a payment: it says what it came to, or has a state (9, row 19)."""
    result = params.get("result")
    return (isinstance(result, str) and result != "") or is_finished(params)


SPECS: Final = (
    VerbSpec(
        section=(4, 9),
        start=Pay,
        commands=(PayStop,),
        event=EVENT,
        is_end=is_paid,
        lost=({"result": "internal-error", "state": "error"},),
        exclusive="blocking",
        not_found="call",
    ),
)
