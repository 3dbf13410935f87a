"""Cutting loses no word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.node.speech.sentences import MAX_PIECE, split


def test_short_sentences_stay_together() -> None:
    assert split("Dr. Smith is in. Press one. Press two.") == ["Dr. Smith is in. Press one. Press two."]


def test_a_long_text_is_cut_at_a_sentence() -> None:
    first = "This is the first sentence, and it is long enough to be a piece of its own for certain."
    assert split(f"{first} This is the second.") == [first, "This is the second."]


def test_a_word_without_end_is_cut() -> None:
    assert [len(piece) for piece in split("x" * 1000)] == [400, 400, 200]


def test_nothing_to_say_gives_nothing() -> None:
    assert split(" \n\t\x00 ") == []


@given(st.text(alphabet="ab .!?\n\t\x07é。", max_size=3000))
def test_no_letter_is_lost_and_no_piece_is_too_long(text: str) -> None:
    pieces = split(text)
    letters = [letter for letter in text if letter in "abé"]
    assert [letter for piece in pieces for letter in piece if letter in "abé"] == letters
    assert all(0 < len(piece) <= MAX_PIECE for piece in pieces)
