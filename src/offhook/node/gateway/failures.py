"""Who tried wrong credentials, and how often: by address, in bounded memory (reliability T5). Time is an input."""

from __future__ import annotations

from collections import OrderedDict, deque

__all__ = ["FailedConnects"]


class FailedConnects:
    """``most`` failures of an address in ``window_s`` block it for ``block_s``. Who failed longest ago is forgotten.

    What comes from this machine (an empty address) is never blocked: one program's mistake would lock all others out.
    """

    def __init__(self, most: int, window_s: float, block_s: float, addresses_max: int) -> None:
        self._most = most
        self._window_s = window_s
        self._block_s = block_s
        self._addresses_max = addresses_max
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, address: str, now: float) -> None:
        """A credential was wrong."""
        if not address:
            return
        times = self._failures.setdefault(address, deque(maxlen=self._most))
        times.append(now)
        self._failures.move_to_end(address)
        while len(self._failures) > self._addresses_max:
            self._failures.popitem(last=False)

    def blocked_for(self, address: str, now: float) -> float:
        """For how many seconds more nothing of an address is judged; 0: it may try."""
        times = self._failures.get(address)
        if times is None or len(times) < self._most or times[-1] - times[0] > self._window_s:
            return 0.0
        left = times[-1] + self._block_s - now
        if left <= 0:
            del self._failures[address]
        return max(0.0, left)
