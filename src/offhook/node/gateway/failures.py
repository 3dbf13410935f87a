"""Who tried wrong credentials, and how often: by address, in bounded memory (reliability T5). Time is an input."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, deque

__all__ = ["FailedConnects"]


class FailedConnects:
    """``most`` different failures of an address in ``window_s`` block it for ``block_s``.

    The same credential again is no guess: programs that were not told of a new token try theirs for ever, and lock out
    nobody behind their address. Of credentials a hash with a key of this process is kept; who failed longest ago is
    forgotten.

    What comes from this machine (an empty address) is never blocked: one program's mistake would lock all others out.
    """

    def __init__(self, most: int, window_s: float, block_s: float, addresses_max: int) -> None:
        self._most = most
        self._window_s = window_s
        self._block_s = block_s
        self._addresses_max = addresses_max
        self._key = secrets.token_bytes(16)
        self._failures: OrderedDict[str, deque[tuple[float, bytes]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, address: str, credential: str, now: float) -> None:
        """A credential was wrong."""
        if not address:
            return
        guess = hashlib.blake2b(credential.encode(), digest_size=8, key=self._key).digest()
        guesses = self._failures.setdefault(address, deque(maxlen=self._most))
        self._failures.move_to_end(address)
        if all(guess != earlier for _, earlier in guesses):
            guesses.append((now, guess))
        while len(self._failures) > self._addresses_max:
            self._failures.popitem(last=False)

    def blocked_for(self, address: str, now: float) -> float:
        """For how many seconds more nothing of an address is judged; 0: it may try."""
        guesses = self._failures.get(address)
        if guesses is None or len(guesses) < self._most:
            return 0.0
        first, last = guesses[0][0], guesses[-1][0]
        if last - first > self._window_s:
            return 0.0
        left = last + self._block_s - now
        if left <= 0:
            del self._failures[address]
        return max(0.0, left)
