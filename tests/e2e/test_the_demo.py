"""``make demo`` says what it did, and fails when what was heard or recorded is not what was said."""

from __future__ import annotations

import os
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rig import audio
from rig.demo import Demos, started_demo
from rig.node import working_in
from rig.processes import wait_for


@pytest.mark.judges_time
def test_the_demo_prints_a_time_line_and_leaves_a_recording_and_its_picture(demos: Demos) -> None:
    """vocodedev/vocode-core#714: none of the examples worked."""
    status, told, seconds = demos.outcome("right")
    assert status == 0, told
    assert seconds < 120, "a minute, where the machine does nothing else"
    times = [float(line.split()[0]) for line in told.splitlines() if line[:7].strip().replace(".", "").isdigit()]
    assert times == sorted(times)
    for line in (
        "-> INVITE",
        "<- SIP/2.0 200 OK",
        "calling.call.receive",
        "calling.call.collect",
        "the phone presses 1",
    ):
        assert line in told, told
    out = demos.work["right"] / "out" / "demo"
    says, hears = audio.read_wav(out / "recording.wav")
    assert abs(says).max() > 1000
    assert abs(hears).max() > 1000
    assert ET.parse(out / "recording.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("variant", "wrong"),
    [("says other words", "the menu, as heard"), ("records too late", "the menu, as recorded")],
)
def test_the_demo_fails_when_a_sound_is_not_what_was_said(demos: Demos, variant: str, wrong: str) -> None:
    status, told, _ = demos.outcome(variant)
    assert status == 1, told
    assert "FAILED" in told
    assert wrong in told.partition("FAILED")[2]


def test_a_demo_that_is_killed_leaves_nothing_alive(tmp_path: Path) -> None:
    """An ``offhook dev`` with node, engine and voices was found an hour after the demo that started it was killed."""
    work = tmp_path / "demo"
    demo = started_demo(work)
    try:
        wait_for(lambda: len([s for s in working_in(work) if "offhook-engine" in s.cmdline]) == 2, 60, "it calls")
        demo.kill()
        wait_for(lambda: not working_in(work), 15, "nothing lives")
    finally:
        for stat in working_in(work):
            os.kill(stat.pid, signal.SIGKILL)
        demo.communicate()
