"""What one client may send: how often, how deep, how long, how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from offhook.node.gateway.settings import GatewaySettings
from offhook.protocol.frames import FrameId

__all__ = ["Budget", "TokenBucket", "find_excess", "is_long"]


class TokenBucket:
    """``burst`` at once, ``rate_per_s`` in the long run, and what a taker earned beside. Time (seconds) is an input."""

    def __init__(self, rate_per_s: float, burst: int, level: int | None = None) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._level = float(burst if level is None else min(level, burst))
        self._at: float | None = None

    def take(self, now: float, more_per_s: float = 0.0) -> bool:
        """Take one; False when none is left. ``more_per_s`` is added to the rate since the last time."""
        self._refill(now, more_per_s)
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def spend(self, now: float, amount: float, more_per_s: float = 0.0) -> float:
        """Take what was spent already, on credit if need be; returns after how long (seconds) it is paid."""
        self._refill(now, more_per_s)
        self._level -= amount
        return max(0.0, -self._level / (self._rate + more_per_s))

    def wait_s(self, now: float, amount: float, more_per_s: float = 0.0) -> float:
        """After how long (seconds) so much is there."""
        self._refill(now, more_per_s)
        return max(0.0, (amount - self._level) / (self._rate + more_per_s))

    def _refill(self, now: float, more_per_s: float) -> None:
        if self._at is not None and now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * (self._rate + more_per_s))
        self._at = now


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
