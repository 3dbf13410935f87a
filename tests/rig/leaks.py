"""Series of calls at a node that serves, and what each of its processes holds before and after them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offhook.node.processes.lifeline import bound_to_parent
from rig.load import Load
from rig.node import ROOT, NodeProcess, environment, serving

__all__ = ["FORGOTTEN_S", "KINDS", "Holding", "Kind", "Round", "Stage", "left", "stage"]

PROCESSES = ("supervisor", "engine", "speech", "node", "spare node", "program")
KEPT_S = 4.0
"""For how long the node remembers calls that are over, and replies; a user's node does so for 600 s."""
QUIET_S = KEPT_S + 6.0
"""After so long (it looks every 5 s) a node holds nothing of calls that are over."""
FORGOTTEN_S = 42.0
"""After so long an engine has begun to forget them: it knows a call for 64 s after its end, for what may come late."""
SETTINGS = {
    "OFFHOOK_LOG_FORMAT": "json",
    "OFFHOOK_LIMITS_KEPT_S": f"{KEPT_S:g}",
    "OFFHOOK_LIMITS_REQUESTS_PER_S": "1000",
}
TOLD = {"engine": "engine: held", "node": "held", "program": "held"}
"""What the line of a process that tells what it holds is called."""


SETTLED_S = 100.0
"""An engine knows a call for 64 s after its end, and transactions of it for 32 s more at most."""
BOUNDED = {
    "gateway.repeats._Start": "the last commands of clients, so many and no more, in case they are repeated",
    "log._Seen": "one for each sentence of the log",
    "speech.voices.Voices": "one, from the first text on",
    "store.changes.Change": "what the journal's writer is at",
    "store.writer._Write": "what the journal's writer is at",
    "store.tail._File": "the journal's files",
}
"""What the calls that are over may have made, of the node's: none of it is of a call."""


def left(before: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """What is counted now and was not before, by process and name; memory is not looked at."""
    return {
        f"{process} {what}": f"{before[process].get(what, 0)} -> {number}"
        for process, counts in now.items()
        for what, number in counts.items()
        if what != "blocks" and what not in BOUNDED and number > before[process].get(what, 0)
    }


@dataclass(frozen=True)
class Kind:
    """One kind of call: the number that is dialled, and how a call of it ends for its caller."""

    number: str
    status: int = 200
    cancels: bool = False


KINDS = {
    "answered": Kind("100"),
    "spoken to and recorded": Kind("110"),
    "refused": Kind("120", 486),
    "abandoned": Kind("130", 487, cancels=True),
    "failed": Kind("140", 480),
}
"""``failed``: two dials of the program, where nothing listens and to nobody's number; the caller is then refused."""


@dataclass(frozen=True)
class Holding:
    """What one process holds. ``private_kib``: memory that is its own alone."""

    pid: int
    rss_kib: int
    pss_kib: int
    private_kib: int
    descriptors: int


@dataclass(frozen=True)
class Round:
    """A series, and what each process held before it and after the rest behind it. ``wrong``: ends, by how many."""

    calls: dict[str, int]
    before: dict[str, Holding]
    after: dict[str, Holding]
    wrong: Counter[str]

    @property
    def grown_mib(self) -> dict[str, float]:
        """By process: memory of its own that it holds more than before."""
        return {name: (self.after[name].private_kib - held.private_kib) / 1024 for name, held in self.before.items()}

    @property
    def more_descriptors(self) -> dict[str, int]:
        """By process: descriptors that it holds more than before."""
        return {name: self.after[name].descriptors - held.descriptors for name, held in self.before.items()}


@dataclass
class Stage:
    """A node that serves, and a program."""

    node: NodeProcess
    program: subprocess.Popen[bytes]
    log: Path
    last: dict[str, Holding] | None = None

    def run(self, calls: Mapping[str, int], rate: float, limit_s: float = 120.0) -> Counter[str]:
        """Place so many calls of each kind, side by side, ``rate`` a second in all; how those ended that ended wrong.

        Calls that come in a heap, because the machine had no time for them before, may be turned away with 503.
        """
        total = sum(calls.values())
        loads = {
            name: Load(
                self.node.sip(),
                rate * number / total,
                number,
                to=KINDS[name].number,
                cancels=KINDS[name].cancels,
                limit_s=limit_s,
            )
            for name, number in calls.items()
        }
        threads = [threading.Thread(target=load.run) for load in loads.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wrong: Counter[str] = Counter()
        for name, load in loads.items():
            status = KINDS[name].status
            expected = "" if status == 200 else f"SIP/2.0 {status} "
            wrong.update(f"{name}: {c.failure}" for c in load.done if not _is_as_told(c.failure, expected))
        return wrong

    def measured(self, calls: Mapping[str, int], rate: float, rest_s: float = QUIET_S) -> Round:
        """Run a series, rest, and see what is held then."""
        before = self.holdings() if self.last is None else self.last
        wrong = self.run(calls, rate)
        time.sleep(rest_s)
        after = self.last = {name: _holding(held.pid) for name, held in before.items()}
        return Round(dict(calls), before, after, wrong)

    def holdings(self) -> dict[str, Holding]:
        """By what a process is."""
        return {name: _holding(pid) for name, pid in self._pids().items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """What engine, node and program count of what they hold, each by what it is."""
        asked = {name: len(self._told(name)) for name in TOLD}
        for process in (self.node.process, self.program):
            process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 30
        while any(len(self._told(name)) == number for name, number in asked.items()):
            assert time.monotonic() < until, f"{asked}: not every process told what it holds"
            time.sleep(0.05)
        return {name: self._told(name)[-1] for name in TOLD}

    def settled(
        self, before: Mapping[str, Mapping[str, int]], within_s: float = SETTLED_S
    ) -> dict[str, dict[str, int]]:
        """The counts once nothing is ``left`` beside what was ``before``, or those after ``within_s``."""
        until = time.monotonic() + within_s
        while left(before, now := self.counts()) and time.monotonic() < until:
            time.sleep(2.0)
        return now

    def _told(self, name: str) -> list[dict[str, int]]:
        """What a process told so far."""
        text = self.log.read_text() if name == "program" else self.node.log()
        whole = text[: text.rfind("\n") + 1].splitlines()
        lines = [
            json.loads(line) for line in whole if line.startswith("{") and '"held"' in line.replace("engine: ", "")
        ]
        numbers = [line for line in lines if line["event"] == TOLD[name]]
        return [{what: value for what, value in line.items() if isinstance(value, int)} for line in numbers]

    def _pids(self) -> dict[str, int]:
        """All that there are in the end: the spare node starts last."""
        until = time.monotonic() + 30
        while len(pids := self._found()) < len(PROCESSES):
            assert time.monotonic() < until, f"only {sorted(pids)}"
            time.sleep(0.1)
        return pids

    def _found(self) -> dict[str, int]:
        pids = {"supervisor": self.node.process.pid, "program": self.program.pid}
        for stat in self.node.processes():
            if "offhook-engine" in stat.cmdline.split(" ")[0]:
                pids["engine"] = stat.pid
            elif "espeak" in stat.cmdline:
                pids["speech"] = stat.pid
            elif stat.parent == self.node.process.pid:
                pids["node" if self._has_journal(stat.pid) else "spare node"] = stat.pid
        return pids

    def _has_journal(self, pid: int) -> bool:
        return any("journal" in str(link) for link in _links(pid))


def _links(pid: int) -> Iterator[Path]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed meanwhile
            yield descriptor.readlink()


def _is_as_told(failure: str, expected: str) -> bool:
    return failure.startswith(expected) if expected else not failure


def _holding(pid: int) -> Holding:
    fields: Counter[str] = Counter()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name.rstrip(":")] += int(value)
    private = fields["Private_Clean"] + fields["Private_Dirty"] + fields["Swap"]
    return Holding(pid, fields["Rss"], fields["Pss"], private, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def stage(work: Path) -> Iterator[Stage]:
    """Node and program, connected; both are ended."""
    with serving(work / "node", extra=SETTINGS) as node:
        host, port = node.sip()
        extra = {"SERIES_NOWHERE": "sip:nobody@127.0.0.1:9", "SERIES_UNKNOWN": f"sip:999@{host}:{port}"}
        log = work / "program.log"
        with log.open("wb") as stderr:
            program = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "rig" / "series_app.py")],
                env=environment(**node.sdk_environment(), **extra),
                stderr=stderr,
                preexec_fn=bound_to_parent(),
            )
        try:
            until = time.monotonic() + 30
            while "client connected" not in node.log():
                assert time.monotonic() < until, log.read_text()[-4000:] + node.log()[-4000:]
                time.sleep(0.05)
            yield Stage(node, program, log)
            assert program.poll() is None, log.read_text()[-4000:]
        finally:
            program.terminate()
            program.wait(30)
