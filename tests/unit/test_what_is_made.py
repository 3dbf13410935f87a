"""Files that follow from the verbs are what follows from them; a class of events is for types that have no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from offhook import PlayEvent, RelayEvent
from offhook.client.events import EVENT_TYPES
from offhook.protocol.verbs import SPECS

ROOT = Path(__file__).resolve().parents[2]
OF_NO_SPEC = {
    *("calling.call.receive", "calling.call.state", "calling.error"),
    *("messaging.receive", "messaging.state", "queuing.relay.tasks"),
}


def test_no_file_that_is_made_is_old() -> None:
    done = subprocess.run([sys.executable, "scripts/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_event_of_a_verb_has_a_class_and_every_class_is_of_one_that_is_told() -> None:
    told = {event for spec in SPECS.values() for event in spec.events}
    assert set(EVENT_TYPES) == told | OF_NO_SPEC


def test_a_second_class_for_a_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"calling\.call\.play has a class: PlayEvent"):

        class _Second(RelayEvent, of="calling.call.play"):
            pass

    assert EVENT_TYPES["calling.call.play"] is PlayEvent
