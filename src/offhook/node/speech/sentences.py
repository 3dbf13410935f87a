"""Cutting a text where a speaker would breathe, so that the first words can be heard before the last are made."""

from __future__ import annotations

import re

__all__ = ["BOUNDARY", "ENOUGH", "MAX_PIECE", "split"]

MAX_PIECE = 400
"""Characters of a piece at most."""

ENOUGH = 80
"""A piece of so many characters ends at the next place where it may."""

BOUNDARY = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n\s*\n")
"""What is between two sentences."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def split(text: str) -> list[str]:
    """Pieces of whole sentences, 80 to 400 characters where the text allows; nothing but space gives no pieces."""
    pieces: list[str] = []
    current = ""
    for sentence in BOUNDARY.split(_CONTROL.sub(" ", text)):
        for part in _cut(sentence.strip()):
            if current and (len(current) >= ENOUGH or len(current) + len(part) >= MAX_PIECE):
                pieces.append(current)
                current = part
            else:
                current = f"{current} {part}" if current else part
    return [*pieces, current] if current else pieces


def _cut(sentence: str) -> list[str]:
    """Cut what is too long for one piece, at a space if there is one."""
    parts: list[str] = []
    while len(sentence) > MAX_PIECE:
        at = sentence.rfind(" ", 1, MAX_PIECE)
        at = MAX_PIECE if at < 0 else at
        parts.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*parts, sentence] if sentence else parts
