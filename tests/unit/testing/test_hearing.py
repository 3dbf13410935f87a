from __future__ import annotations

import math
import random
from array import array

import pytest

from offhook.testing.hearing import Hearing, level_dbm0, tone_share


def sine(*frequencies_hz: float, seconds: float, peak: float = 8000.0) -> bytes:
    count = round(seconds * 8000)
    waves = [[math.sin(2 * math.pi * hz * n / 8000) for n in range(count)] for hz in frequencies_hz]
    return array("h", [round(peak * sum(values)) for values in zip(*waves, strict=True)]).tobytes()


def test_a_full_scale_sine_is_at_3_dbm0():
    assert level_dbm0(array("h", sine(1000, seconds=0.1, peak=32767))) == pytest.approx(3.14, abs=0.05)
    assert level_dbm0([0] * 160) == -120


def test_tones_are_told_apart_from_each_other_and_from_noise():
    ringing = array("h", sine(440, 480, seconds=0.05))
    assert tone_share(ringing, 440, 480) > 0.8
    assert tone_share(ringing, 697, 1209) < 0.1
    dice = random.Random(1)
    noise = [dice.randrange(-8000, 8000) for _ in range(400)]
    assert tone_share(noise, 1000) < 0.2


def test_questions_are_answered_in_the_order_of_what_was_heard():
    hearing = Hearing()
    hearing.add(0, bytes(16 * 1000) + sine(440, seconds=0.5) + bytes(16 * 1000) + sine(880, seconds=0.5))
    assert hearing.find_tone((440,), 0.2) == pytest.approx(1.0, abs=0.05)
    assert hearing.find_silence(-45, 0.5) == pytest.approx(1.5, abs=0.05)
    assert hearing.find_tone((440,), 0.1) is None
    assert hearing.find_tone((880,), 0.1) is None, "the search for 440 went past it"


def test_a_tone_that_comes_in_pieces_is_found_where_it_began():
    hearing = Hearing()
    data = bytes(3200) + sine(440, seconds=0.4)
    found = None
    for index in range(0, len(data), 320):
        hearing.add(index // 16, data[index : index + 320])
        found = found or hearing.find_tone((440,), 0.2)
    assert found == pytest.approx(0.2, abs=0.051)


def test_dropped_blocks_are_silence_at_their_time():
    hearing = Hearing()
    hearing.add(0, sine(440, seconds=0.1))
    hearing.add(500, sine(440, seconds=0.1))
    assert hearing.length_s == pytest.approx(0.6)
    assert hearing.find_silence(-45, 0.3) == pytest.approx(0.1, abs=0.02)
