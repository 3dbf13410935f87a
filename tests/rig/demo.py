"""The demo as a process: as it is, and with an IVR that does not do what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from offhook.node.processes.lifeline import bound_to_parent
from rig.node import ROOT, environment

__all__ = ["VARIANTS", "Demos", "started_demo"]

TURN = '[{"type": "tts", "params": {"text": MENU}}]'
RECORD = '    await call.record({"format": "wav", "stereo": True, "direction": "both"})\n'
HANGUP = "    await (await call.play("
OTHER = '[{"type": "tts", "params": {"text": "These are other words, and nobody expects them to be said."}}]'

VARIANTS = {
    "right": lambda ivr: ivr,
    "says other words": lambda ivr: ivr.replace(TURN, OTHER),
    "records too late": lambda ivr: ivr.replace(RECORD, "").replace(HANGUP, RECORD + HANGUP),
}
"""What is done to the IVR of the example."""


class Outcome(NamedTuple):
    """How one demo went: exit status, what it printed, how long it took."""

    status: int
    told: str
    seconds: float


def started_demo(work: Path, variant: str = "right") -> subprocess.Popen[str]:
    """``examples/demo.py`` in a directory of its own; all that it starts works there as well."""
    work.mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "demo.py", work)
    original = (ROOT / "examples" / "ivr.py").read_text()
    changed = VARIANTS[variant](original)
    assert variant == "right" or changed != original, "the example has changed: change this too"
    (work / "ivr.py").write_text(changed)
    return subprocess.Popen(
        [sys.executable, "demo.py"],
        cwd=work,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=bound_to_parent(),
    )


class Demos:
    """All variants, one after another in the background: side by side they would take the machine from other tests."""

    def __init__(self, root: Path) -> None:
        self.work = {variant: root / variant.replace(" ", "-") for variant in VARIANTS}
        self._is_closed = False
        self._process: subprocess.Popen[str] | None = None
        self._worker = ThreadPoolExecutor(1, "demos")
        self._runs = {variant: self._worker.submit(self._run, variant) for variant in VARIANTS}

    def outcome(self, variant: str, within_s: float = 230.0) -> Outcome:
        """What came of one of them."""
        return self._runs[variant].result(within_s)

    def _run(self, variant: str) -> Outcome:
        """Run ``examples/demo.py`` in a directory of its own."""
        if self._is_closed:
            return Outcome(-1, "nobody asked for it", 0.0)
        began = time.monotonic()
        self._process = started_demo(self.work[variant], variant)
        try:
            out, _ = self._process.communicate(timeout=200)
        finally:
            self._process.kill()
        return Outcome(self._process.returncode, out, time.monotonic() - began)

    def close(self) -> None:
        """End what nobody asked for."""
        self._is_closed = True
        for run in self._runs.values():
            run.cancel()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._worker.shutdown()
