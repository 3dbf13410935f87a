"""The demo as a process: as it is, and with an IVR that does not do what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from rig.node import ROOT, environment

__all__ = ["VARIANTS", "DemoRun", "start_demo"]

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


class DemoRun:
    """One run; ``outcome`` waits for it."""

    def __init__(self, process: subprocess.Popen[str], work: Path) -> None:
        self.process = process
        self.work = work

    def outcome(self, within_s: float = 60.0) -> tuple[int, str]:
        """Its status, and what it printed."""
        out, _ = self.process.communicate(timeout=within_s)
        return self.process.returncode, out

    def close(self) -> None:
        """End it if nobody asked for its outcome."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        if self.process.stdout:
            self.process.stdout.close()


def start_demo(variant: str, work: Path) -> DemoRun:
    """Start ``examples/demo.py`` in a directory of its own."""
    work.mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "demo.py", work)
    original = (ROOT / "examples" / "ivr.py").read_text()
    changed = VARIANTS[variant](original)
    assert variant == "right" or changed != original, "the example has changed: change this too"
    (work / "ivr.py").write_text(changed)
    process = subprocess.Popen(
        [sys.executable, "demo.py"],
        cwd=work,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return DemoRun(process, work)
