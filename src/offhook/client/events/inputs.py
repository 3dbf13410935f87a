"""Events of what the party does: input, detection, payment."""

from __future__ import annotations

from offhook.client.events.base import Flag, Number, Object, RelayEvent, StateOfAction, Text

__all__ = ["CollectEvent", "DetectEvent", "PayEvent"]


class CollectEvent(StateOfAction):
    """Input of a collect. ``state`` is empty but for partial and continuous collects."""

    __slots__ = ()

    result = Object("result")
    """``type`` and ``params`` of what was heard."""
    result_type = Text("result.type")
    """``digit``, ``speech``, ``no_input``, ``no_match``, ``start_of_input``, ``finished`` or ``error``."""
    digits = Text("result.params.digits")
    """The keys pressed, without the terminator."""
    terminator = Text("result.params.terminator")
    """The terminator pressed, empty if none."""
    text = Text("result.params.text")
    """What was said."""
    confidence = Number("result.params.confidence")
    """How sure the recogniser is, 0 to 100; 0 when unscored."""

    @property
    def is_final(self) -> bool:
        """False for a partial result."""
        return self.params.get("final") is not False


class DetectEvent(RelayEvent):
    """Something was detected, or detection is over."""

    __slots__ = ()

    detect = Object("detect")
    """``type`` and ``params`` of what was detected."""
    type = Text("detect.type")
    """``machine``, ``fax`` or ``digit``."""
    result = Text("detect.params.event")
    """``MACHINE``, ``HUMAN``, ``UNKNOWN``, ``READY``, ``NOT_READY``, ``CED``, ``CNG``, a key, or ``finished``."""
    beep = Flag("detect.params.beep")
    """With ``READY``: a beep was heard."""


class PayEvent(StateOfAction):
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
