"""What one client may send: how often, how deep, how long, how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from offhook.node.gateway.settings import GatewaySettings
from offhook.protocol.frames import FrameId

__all__ = ["Allowance", "Budget", "Share", "TokenBucket", "find_excess", "is_long"]


class TokenBucket:
    """``burst`` at once, ``rate_per_s`` in the long run, and what is earned beside. Time (seconds) is an input."""

    def __init__(self, rate_per_s: float, burst: int, level: int | None = None) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._level = float(burst if level is None else min(level, burst))
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take one; False when none is left."""
        if self.level(now) < 1.0:
            return False
        self._level -= 1.0
        return True

    def level(self, now: float) -> float:
        """How much is there; less than nothing where more was spent."""
        self.earn(now, 0.0)
        return self._level

    def spend(self, now: float, amount: float) -> None:
        """Take what was spent already, on credit if need be."""
        self._level = self.level(now) - amount

    def wait_s(self, now: float, amount: float, more_per_s: float = 0.0) -> float:
        """After how long (seconds) so much is there, if ``more_per_s`` is earned beside."""
        return max(0.0, (amount - self.level(now)) / (self._rate + more_per_s))

    def earn(self, now: float, amount: float) -> None:
        """Add what the time brought, and this."""
        if self._at is not None and now > self._at:
            amount += (now - self._at) * self._rate
        self._at = now
        self._level = min(self._burst, self._level + amount)


class Share:
    """What all sessions of one token have together, whatever their number."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.requests = TokenBucket(settings.requests_per_s_per_token, settings.requests_burst_per_token)
        self._bursts = TokenBucket(settings.fresh_bursts_per_s, settings.fresh_bursts_max)

    def may_burst(self, now: float) -> bool:
        """Who comes again and again has no new burst each time: so many new sessions have one, and some more later."""
        return self._bursts.take(now)


class Allowance:
    """What a session may ask for: of its own, and out of the share of its token. Time (seconds) is an input.

    What its live calls earn is added to both, so that the calls of one client are no burden to the others.
    """

    def __init__(self, settings: GatewaySettings, share: Share, *, is_burst: bool) -> None:
        self._settings = settings
        level = settings.requests_burst if is_burst else settings.fresh_requests
        self._own = TokenBucket(settings.requests_per_s, settings.requests_burst, level)
        self._shared = share.requests
        self._earned_per_s = 0.0
        self._at: float | None = None

    def look(self, now: float, calls: int) -> None:
        """It is so late, and the session had so many live calls since the last time."""
        self._earned_per_s = calls * self._settings.requests_per_s_per_call
        if self._at is not None and now > self._at and calls:
            earned = (now - self._at) * self._earned_per_s
            self._own.earn(now, earned)
            self._shared.earn(now, earned)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; False when none is left."""
        if self._shared.level(now) < 1.0 or not self._own.take(now):
            return False
        self._shared.spend(now, 1.0)
        return True

    def spend(self, now: float, amount: float) -> float:
        """Take what was spent already, on credit if need be; returns after how long (seconds) it is paid."""
        self._own.spend(now, amount)
        self._shared.spend(now, amount)
        return self.wait_s(now, 0.0)

    def wait_s(self, now: float, amount: float) -> float:
        """After how long (seconds) so much is there."""
        own_s = self._own.wait_s(now, amount, self._earned_per_s)
        return max(own_s, self._shared.wait_s(now, amount, self._earned_per_s))

    def excess(self, now: float) -> str:
        """Which rate is exceeded, in words."""
        settings = self._settings
        beside = f"and {settings.requests_per_s_per_call:g} for each live call"
        if self._shared.level(now) < self._own.level(now):
            return f"more than {settings.requests_per_s_per_token:g} requests a second of all with this token {beside}"
        return f"more than {settings.requests_per_s:g} requests a second {beside}"


class Budget:
    """Bytes that all sessions share; ``on_over`` makes room when there are more."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self.on_over: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        """More is used than may be."""
        return self._used_bytes > self._max_bytes

    def add(self, size_bytes: int) -> None:
        """Use so many more, or fewer."""
        self._used_bytes += size_bytes
        if self._used_bytes > self._max_bytes and size_bytes > 0:
            self.on_over()


def is_long(frame_id: FrameId | None, settings: GatewaySettings) -> bool:
    """Whether an id is too long to be kept, or to be told again."""
    if isinstance(frame_id, int):
        return frame_id.bit_length() > 3 * settings.id_max_characters  # at least 0.9 digits of each 3 bits
    return frame_id is not None and len(frame_id) > settings.id_max_characters


def find_excess(value: Any, settings: GatewaySettings) -> str:
    """Say in a sentence which limit a decoded frame breaks; empty when none."""
    level: list[Any] = [value]
    room = settings.values_max
    for _ in range(settings.depth_max):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if len(item) > settings.text_max_bytes:
                    return f"a text in this frame is longer than {settings.text_max_bytes} bytes: shorten it"
            elif isinstance(item, dict):
                if len(item) > settings.keys_max:
                    return f"an object in this frame has more than {settings.keys_max} keys: send fewer"
                for key in item:
                    if len(key) > settings.key_max_characters:
                        return (
                            f"a key in this frame is longer than {settings.key_max_characters} characters: shorten it"
                        )
                room -= len(item)
                below.extend(item.values())
            elif isinstance(item, list):
                room -= len(item)
                if room >= 0:
                    below.extend(item)
            if room < 0:
                return f"this frame has more than {settings.values_max} values: send fewer"
        if not below:
            return ""
        level = below
    return f"this frame is nested deeper than {settings.depth_max}: flatten it"
