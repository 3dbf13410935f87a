"""What one client may send: how often, how deep, how long."""

from __future__ import annotations

from typing import Any

from offhook.node.gateway.settings import GatewaySettings

__all__ = ["TokenBucket", "find_excess"]


class TokenBucket:
    """``burst`` at once, ``rate_per_s`` in the long run, and what a taker earned beside. Time (seconds) is an input."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._level = float(burst)
        self._at = 0.0

    def take(self, now: float, more_per_s: float = 0.0) -> bool:
        """Take one; False when none is left. ``more_per_s`` is added to the rate since the last time."""
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * (self._rate + more_per_s))
        self._at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


def find_excess(value: Any, settings: GatewaySettings) -> str:
    """Say in a sentence which limit a decoded frame breaks; empty when none."""
    level: list[Any] = [value]
    for _ in range(settings.depth_max):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if len(item) > settings.text_max_bytes:
                    return f"a text in this frame is longer than {settings.text_max_bytes} bytes: shorten it"
            elif isinstance(item, dict):
                if len(item) > settings.keys_max:
                    return f"an object in this frame has more than {settings.keys_max} keys: send fewer"
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return ""
        level = below
    return f"this frame is nested deeper than {settings.depth_max}: flatten it"
