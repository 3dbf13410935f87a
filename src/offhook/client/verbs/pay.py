"""Take a card payment by keys.

The node asks for the card, the connector at your URL charges it; the program sees the number masked. Numbers and
booleans may be given as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction, Text
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import Media
from offhook.protocol.verbs import pay

__all__ = ["PayAction", "PayEvent", "PayParameter", "PayPrompt", "PayVerb"]

Scalar = str | float | Decimal | bool
"""A text, a number or a boolean; the wire gets a text."""


class PayParameter(TypedDict):
    """For the payment connector: a ``name`` of your own, and its ``value``."""

    name: str
    value: Scalar


class PayEvent(StateOfAction, of=pay.EVENT):
    """A step of a payment, or its end. Card data is masked."""

    __slots__ = ()

    step = Text("for")
    """What is asked for: ``payment-card-number``, ``expiration-date``, ...; empty at the end."""
    error_type = Text("error_type")
    """What was wrong with the input, empty if nothing."""
    attempt = Text("attempt")
    """Which attempt, from ``"1"``."""
    result = Text("result")
    """``success`` or what else it came to; empty until the end."""
    payment_token = Text("payment_token")
    """The token, at the end."""
    payment_confirmation_code = Text("payment_confirmation_code")
    """What the connector confirms with, at the end."""
    payment_error = Text("payment_error")
    """What failed."""
    payment_error_code = Text("payment_error_code")
    """``"700"`` to ``"706"``."""
    payment_connector_error_code = Text("payment_connector_error_code")
    """The connector's own code."""
    payment_connector_error_message = Text("payment_connector_error_message")
    """The connector's own words."""
    payment_method = Text("payment_method")
    """``credit-card``."""
    payment_card_number = Text("payment_card_number")
    """Masked but for the last four."""
    payment_card_type = Text("payment_card_type")
    """``visa``, ``mastercard``, ..."""
    payment_card_postal_code = Text("payment_card_postal_code")
    """Postal code."""
    payment_card_expiration_date = Text("payment_card_expiration_date")
    """Month and year, ``MMYY``, at the end."""
    payment_card_security_code = Text("payment_card_security_code")
    """Masked."""


class PromptAction(TypedDict):
    """``Say`` a ``phrase``, or ``Play`` the URL in it."""

    type: Literal["Say", "Play"]
    phrase: str


_For = TypedDict(
    "_For",
    {
        "for": Literal[
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
    },
)


class PayPrompt(_For):
    """What to say (``actions``, or ``play``) when (``for``).

    ``card_type``, ``error_type`` and ``attempt`` narrow it: lists, or text with spaces between;
    ``require_matching_inputs``: all of them must fit.
    """

    card_type: NotRequired[str | Sequence[str]]
    error_type: NotRequired[str | Sequence[str]]
    attempt: NotRequired[str | int | Sequence[int]]
    require_matching_inputs: NotRequired[bool | str]
    actions: NotRequired[list[PromptAction]]
    play: NotRequired[list[Media]]


class PayAction(Action[PayEvent]):
    """A payment that is made. Ends with the event that has a ``result``; ``stop`` gives ``relay-pay-stop``."""

    spec = pay.SPECS[0]


class PayVerb(CallBase):
    """``pay``."""

    async def pay(
        self,
        payment_connector_url: str,
        *,
        control_id: str | None = None,
        charge_amount: Scalar | None = None,
        currency: str | None = None,
        input_method: Literal["dtmf", "voice"] | None = None,
        status_url: str | None = None,
        payment_method: Literal["credit-card"] | None = None,
        timeout: Scalar | None = None,
        max_attempts: Scalar | None = None,
        security_code: Scalar | None = None,
        postal_code: Scalar | None = None,
        min_postal_code_length: Scalar | None = None,
        token_type: Literal["one-time", "reusable"] | None = None,
        language: str | None = None,
        voice: str | None = None,
        description: str | None = None,
        valid_card_types: str | Sequence[str] | None = None,
        parameters: Sequence[PayParameter] | None = None,
        prompts: Sequence[PayPrompt] | None = None,
        bank_account_type: Literal["consumer-checking", "consumer-savings", "commercial-checking"] | None = None,
        say_voice: str | None = None,
        on_completed: Handler[PayEvent] | None = None,
        **extra: Any,
    ) -> PayAction:
        """Collect a payment by keys. Numbers and booleans go out as the texts that the wire wants.

        Args:
            payment_connector_url: https; gets the card and charges it.
            control_id: id of the action, default a new UUID.
            charge_amount: what to charge, such as ``"25.99"``; 0 (the default) makes a token and charges nothing.
            currency: ISO 4217 letters, default ``usd``.
            input_method: ``dtmf``; ``voice`` is reserved.
            status_url: is POSTed the events.
            payment_method: ``credit-card``.
            timeout: seconds between digits, default 5.
            max_attempts: how often to ask for each step, default 1.
            security_code: ask for it, the default.
            postal_code: ask for it, the default; or the code, when it is known.
            min_postal_code_length: fewer characters are refused, default 0.
            token_type: whether the token serves once or again, default ``reusable``.
            language: of the prompts, default en-US.
            voice: of the prompts.
            description: of the payment.
            valid_card_types: default visa, mastercard, amex.
            parameters: for the connector.
            prompts: what to say instead of the node's own words.
            bank_account_type: reserved.
            say_voice: voice of ``Say`` in prompts.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = PayAction(self, control_id or new_id(), on_completed)
        scalars = {
            "charge_amount": charge_amount,
            "currency": currency,
            "input": input_method,
            "status_url": status_url,
            "payment_method": payment_method,
            "timeout": timeout,
            "max_attempts": max_attempts,
            "security_code": security_code,
            "postal_code": postal_code,
            "min_postal_code_length": min_postal_code_length,
            "token_type": token_type,
            "language": language,
            "voice": voice,
            "description": description,
            "valid_card_types": valid_card_types,
            "bank_account_type": bank_account_type,
            "say_voice": say_voice,
        }
        given = {
            "control_id": action.control_id,
            "payment_connector_url": payment_connector_url,
            **{key: as_text(value) for key, value in scalars.items()},
            "parameters": None if parameters is None else [_parameter(item) for item in parameters],
            "prompts": None if prompts is None else [_prompt(prompt) for prompt in prompts],
        }
        return await self.start(action, compose(pay.Pay, given, extra))


def as_text(value: Any) -> Any:
    """Write a scalar as the wire wants it: ``true``, ``5``, ``25.99``; a list with spaces between."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return " ".join(str(as_text(item)) for item in value)
    return value


def _parameter(item: PayParameter) -> dict[str, Any]:
    return {**item, "value": as_text(item["value"])}


def _prompt(prompt: PayPrompt) -> dict[str, Any]:
    return {key: value if key in ("actions", "play") else as_text(value) for key, value in prompt.items()}
