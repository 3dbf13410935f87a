"""How many calls this node places, how fast, and to which numbers: what a stolen token, or a loop, may cost."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import structlog

from offhook.errors import CallerError
from offhook.node.calls.pace import Pace, TooFast
from offhook.node.calls.settings import CallSettings, TrunkSettings
from offhook.node.calls.spending import Spending, Spent

__all__ = ["OutboundCaps", "Turn", "check_number"]

log = structlog.get_logger(__name__)
_NEARLY = 0.8


class Turn(msgspec.Struct, frozen=True):
    """A call that may be placed in ``wait_s``; it is counted already, at ``at_s`` of the loop.

    ``paces``: all that count it; ``waits``: by these it came too soon.
    """

    session: str
    to_trunk: bool
    wait_s: float
    at_s: float
    paces: tuple[Pace, ...]
    waits: tuple[Pace, ...]


class OutboundCaps:
    """All calls that are placed, those to the trunk counted twice: there they cost money."""

    def __init__(self, settings: CallSettings) -> None:
        self._dial, self._trunk = settings.dial, settings.trunk
        self._pace = Pace(self._dial.calls_per_s, self._dial.wait_s)
        self._trunk_pace = Pace(self._trunk.calls_per_s, self._dial.wait_s)
        self._by_session: Counter[str] = Counter()
        self._on_trunk = 0
        self.spending = Spending(Spent())
        """Of the trunk; whoever keeps it sets it before the first call."""
        self._told: Counter[str] = Counter()

    def admit(self, session: str, *, to_trunk: bool, patience_s: float) -> Turn:
        """Count one more call of a session that may wait so long; ``release`` it once it is over.

        One with a ``wait_s`` is for ``came`` when that has passed, or for ``forgo``.

        Raises:
            CallerError: it would be one too many; names the setting.
        """
        now = asyncio.get_running_loop().time()
        self._check_at_once(session, to_trunk)
        if to_trunk:
            self._tell_day(now)
            self._check_day(now)
        waits = {}
        paces = [(self._pace, self._dial.calls_per_s, "calls a second", "dial.calls_per_s")]
        if to_trunk:
            paces.append(
                (self._trunk_pace, self._trunk.calls_per_s, "calls a second to the trunk", "trunk.calls_per_s")
            )
        for pace, per_s, what, name in paces:
            try:
                waits[pace] = pace.wait_s(session, patience_s, now)
            except TooFast:
                raise CallerError(
                    f"more than {per_s:g} {what}, and too many wait for their turn: dial slower, or raise {name}"
                ) from None
        for pace, wait_s in waits.items():
            pace.take(session, waits=wait_s > 0)
        if to_trunk:
            self.spending.placed(now)
            self._tell_day(now)
        self.count(session, to_trunk=to_trunk)
        waiting = tuple(pace for pace, wait_s in waits.items() if wait_s)
        return Turn(session, to_trunk, max(waits.values()), now, tuple(waits), waiting)

    def came(self, turn: Turn) -> None:
        """Its time has passed: the call is placed."""
        for pace in turn.waits:
            pace.came(turn.session)

    def forgo(self, turn: Turn) -> None:
        """It waited, and is not placed after all."""
        for pace in turn.paces:
            pace.give_back(turn.session, waits=pace in turn.waits)
        if turn.to_trunk:
            self.spending.not_placed(asyncio.get_running_loop().time(), turn.at_s)
        self.release(turn.session, to_trunk=turn.to_trunk)

    def count(self, session: str, *, to_trunk: bool) -> None:
        """One that is there already, of a node that ran before."""
        self._by_session[session] += 1
        self._on_trunk += to_trunk

    def answered(self, call_id: str, *, to_trunk: bool) -> None:
        """A call that was placed was answered, perhaps when a node before this one ran."""
        if to_trunk:
            self.spending.answered(call_id, asyncio.get_running_loop().time())

    def release(self, session: str, *, to_trunk: bool, call_id: str = "") -> None:
        """It is over."""
        self._by_session[session] -= 1
        if self._by_session[session] <= 0:
            del self._by_session[session]
        self._on_trunk -= to_trunk
        now = asyncio.get_running_loop().time()
        self.spending.over(call_id, now)
        if to_trunk:
            self._tell_day(now)

    def _check_at_once(self, session: str, to_trunk: bool) -> None:
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

    def _check_day(self, now: float) -> None:
        for what, name, spent, most in self._day(now):
            if spent >= most:
                raise CallerError(f"{most} {what} the trunk in the last 24 hours: wait, or raise {name}")

    def _tell_day(self, now: float) -> None:
        """To the log, once until it is less again: most is spent, or all."""
        for _, name, spent, most in self._day(now):
            level = int(spent >= _NEARLY * most) + int(spent >= most)
            if level > self._told[name]:
                text = "the trunk may be used no more for now" if level > 1 else "the trunk may soon be used no more"
                log.warning(text, setting=name, spent_in_24_hours=round(spent), most=most)
            self._told[name] = level

    def _day(self, now: float) -> list[tuple[str, str, float, int]]:
        calls, minutes = self.spending.calls(now), self.spending.minutes(now)
        return [
            ("calls were placed to", "trunk.calls_per_day", calls, self._trunk.calls_per_day),
            ("minutes were talked over", "trunk.minutes_per_day", minutes, self._trunk.minutes_per_day),
        ]


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
