"""Pictures and comparisons of recordings."""

from __future__ import annotations

import array
import math
import random
import wave
from pathlib import Path
from xml.etree import ElementTree

from offhook.testing.waveform import channels_of, draw_waveform, envelope, likeness, place_of


def syllables(seed: int, seconds: float = 2.0) -> array.array[int]:
    """Noise whose loudness changes every 60 to 200 ms, as speech does."""
    dice = random.Random(seed)
    samples: array.array[int] = array.array("h")
    while len(samples) < seconds * 8000:
        level = dice.choice([0, 300, 3000, 9000])
        samples.extend(int(dice.uniform(-level, level)) for _ in range(dice.randrange(480, 1600)))
    return samples


def test_a_recording_is_found_in_itself_with_silence_around_it() -> None:
    speech = syllables(1)
    heard = array.array("h", [0] * 1600) + speech + array.array("h", [0] * 800)
    offset, score = place_of(envelope(speech), envelope(heard))
    assert (offset, score > 0.99) == (10, True)


def test_other_speech_is_not_taken_for_it() -> None:
    assert likeness(syllables(1), syllables(2, 3.0)) < 0.6


def test_nothing_heard_is_no_likeness() -> None:
    assert likeness(syllables(1), array.array("h", [0] * 32000)) == 0.0
    assert likeness(syllables(1), array.array("h")) == 0.0


def test_a_picture_has_a_lane_for_each_channel_and_a_mark_for_each_second(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    tone = [int(8000 * math.sin(i / 3)) for i in range(16000)]
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(array.array("h", [s for pair in zip(tone, tone, strict=True) for s in pair]).tobytes())
    assert [len(channel) for channel in channels_of(path)[1]] == [16000, 16000]
    draw_waveform(path, tmp_path / "a.svg")
    root = ElementTree.fromstring((tmp_path / "a.svg").read_text())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["0 s", "1 s", "caller", "node"]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 2
