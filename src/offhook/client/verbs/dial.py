"""Place a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offhook.client.calls.call import Call
from offhook.client.calls.calls import Calls
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import Device
from offhook.protocol.verbs import dial

__all__ = ["DialVerb"]


class DialVerb:
    """``dial``."""

    _calls: Calls

    async def dial(
        self,
        devices: Sequence[Sequence[Device]],
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | dict[str, Any] | None = None,
        region: str | None = None,
        **extra: Any,
    ) -> Call:
        """Place a call and return it when it is answered.

        When this times out or is cancelled, every leg of the dial is ended, also those that appear later.

        Args:
            devices: the outer list is tried in order, the devices of an inner one ring at the same time.
            tag: correlates events, default a new UUID.
            max_duration: end the call after so many seconds.
            dial_timeout: seconds to wait for an answer, default 120.
            timeout: seconds to ring a device that says nothing itself, default 30.
            max_price_per_minute: skip dearer devices.
            send_digits: DTMF to send after the answer; ``w`` pauses 0.5 s, ``W`` 1 s.
            dest_swml: SWML to run on the call, inline or by https URL.
            region: older hint.
            extra: sent as it is.

        Raises:
            DialFailed: nobody answered; ``reason`` says why.
            RelayError: the dial was refused, or the connection was lost for good.
        """
        given = {
            "tag": tag or new_id(),
            "devices": devices,
            "max_duration": max_duration,
            "timeout": timeout,
            "max_price_per_minute": max_price_per_minute,
            "send_digits": send_digits,
            "dest_swml": dest_swml,
            "region": region,
        }
        params = compose(dial.Dial, given, extra)
        return await self._calls.place(params, 120.0 if dial_timeout is None else dial_timeout)
