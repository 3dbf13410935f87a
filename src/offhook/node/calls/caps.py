"""How many calls this node places, how fast, and to which numbers: what a stolen token, or a loop, may cost."""

from __future__ import annotations

import asyncio
from collections import Counter

from offhook.errors import CallerError
from offhook.node.calls.settings import CallSettings, TrunkSettings

__all__ = ["OutboundCaps", "check_number"]


class _Pace:
    """``per_s`` in the long run, and as many at once as come in two seconds, at least ten."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._most = self._left = max(10.0, 2 * per_s)
        self._at = 0.0

    def take(self, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class OutboundCaps:
    """All calls that are placed, those to the trunk counted twice: there they cost money."""

    def __init__(self, settings: CallSettings) -> None:
        self._dial, self._trunk = settings.dial, settings.trunk
        self._pace, self._trunk_pace = _Pace(self._dial.calls_per_s), _Pace(self._trunk.calls_per_s)
        self._by_session: Counter[str] = Counter()
        self._on_trunk = 0

    def admit(self, session: str, *, to_trunk: bool) -> None:
        """Count one more call of a session; ``release`` it once it is over.

        Raises:
            CallerError: it would be one too many; names the setting.
        """
        now = asyncio.get_running_loop().time()
        mine, most = self._by_session[session], self._dial.calls_at_once
        others = self._by_session.total() - mine
        if mine + others >= most:
            raise CallerError(f"{most} calls are placed already: wait for one to end, or raise dial.calls_at_once")
        if mine >= max(1, (most - others + 1) // 2):
            raise CallerError(
                f"this client has {mine} of {most} calls that may be placed at once, the others are left to others: "
                "wait for one to end, or raise dial.calls_at_once"
            )
        if to_trunk and self._on_trunk >= self._trunk.calls_at_once:
            raise CallerError(
                f"{self._on_trunk} calls are placed to the trunk already: "
                "wait for one to end, or raise trunk.calls_at_once"
            )
        if not self._pace.take(now):
            per_s = self._dial.calls_per_s
            raise CallerError(f"more than {per_s:g} calls a second: dial slower, or raise dial.calls_per_s")
        if to_trunk and not self._trunk_pace.take(now):
            raise CallerError(
                f"more than {self._trunk.calls_per_s:g} calls a second to the trunk: "
                "dial slower, or raise trunk.calls_per_s"
            )
        self.count(session, to_trunk=to_trunk)

    def count(self, session: str, *, to_trunk: bool) -> None:
        """One that is there already, of a node that ran before."""
        self._by_session[session] += 1
        self._on_trunk += to_trunk

    def release(self, session: str, *, to_trunk: bool) -> None:
        """It is over."""
        self._by_session[session] -= 1
        if self._by_session[session] <= 0:
            del self._by_session[session]
        self._on_trunk -= to_trunk


def check_number(number: str, trunk: TrunkSettings) -> None:
    """Whether the trunk may be asked for a number: the longest prefix of ``allow`` and ``deny`` decides.

    Raises:
        CallerError: it may not; says what to configure.
    """
    allowed = max((len(prefix) for prefix in trunk.allow if _begins(number, prefix)), default=-1)
    denied = max((len(prefix) for prefix in trunk.deny if number.startswith(prefix)), default=-1)
    if denied >= max(allowed, 0):
        raise CallerError(
            f"{number} begins like numbers that cost much ([trunk] deny): add a longer prefix of it to [trunk] allow"
        )
    if allowed < 0:
        raise CallerError(f'{number} may not be called: add its prefix, such as "{number[:2]}", to [trunk] allow')


def _begins(number: str, prefix: str) -> bool:
    return prefix == "*" or number.startswith(prefix)
