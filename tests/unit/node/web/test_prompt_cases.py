"""What is fetched as audio: the files of ``vectors/prompts``, which the engine's tests play."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.node.web.audio import AudioCheck, NotAudio

VECTORS = Path(__file__).parents[4] / "vectors" / "prompts"
CASES = json.loads((VECTORS / "cases.json").read_text())


def content(parts: list[Any]) -> bytes:
    def one(part: Any) -> bytes:
        if isinstance(part, str):
            return bytes.fromhex(part)
        if "file" in part:
            return (VECTORS / part["file"]).read_bytes()[part.get("from") : part.get("to")]
        return bytes.fromhex(part["fill"]) * int(part["times"])

    return b"".join(one(part) for part in parts)


def checked(data: bytes, piece: int) -> str | None:
    """Why it is refused, given in pieces; None: it is not."""
    check = AudioCheck()
    try:
        for at in range(0, len(data), piece):
            check.feed(data[at : at + piece])
        check.finish()
    except NotAudio as why:
        return str(why)
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_prompt_is_taken_or_refused_with_its_sentence_in_whatever_pieces_it_comes(case: dict[str, Any]) -> None:
    data = content(case["parts"])
    refused = case.get("refused")
    answers = {checked(data, piece) for piece in (1 << 16, 1000, 1 if len(data) < 30_000 else 7)}
    if refused is None:
        assert answers == {None}
        return
    [why] = answers
    assert why is not None
    if refused not in ("no WAV or MP3", "empty answer"):  # these are said by who fetches
        assert refused in why


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"<!DOCTYPE html>", "HTML"),
        (b"\xef\xbb\xbf\r\n <html>", "HTML"),
        (b'{"error": 1}', "JSON"),
        (b"OggS\0\2", "Ogg"),
        (b"\0\0\0\x18ftypM4A ", "M4A"),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"\xff\xfb\0\xc4" + b"\x55" * 300 + b"\xff\xfb\0\xc4", "free format"),
    ],
)
def test_what_is_neither_is_named_when_it_is_known(start: bytes, what: str) -> None:
    why = checked(start + b"\x01" * 100, 16)
    assert why is not None
    assert what in why


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfb" * (1 << 20),
        b"ID3\x04\0\0\0\0\0\0" * (1 << 18),
        b"\xff\xfb\x50\xc4\0\0\0" * (1 << 18),
        b"APETAGEX" * (1 << 18),
        b"RIFF\0\0\0\0WAVE" + b"abcd\0\0\0\0" * (1 << 18),
        b"RIFF\0\0\0\0WAVE" + b"\0" * (1 << 21),
        b"\0" * (1 << 21),
    ],
    ids=["sync", "tags", "headers and zeros", "APE", "chunks", "WAV of zeros", "zeros"],
)
def test_no_content_keeps_the_loop_busy(data: bytes) -> None:
    """2 MiB that are written to be looked at often take far less than the time in which they came."""
    began = time.process_time()
    assert checked(data, 1 << 16) is not None
    assert time.process_time() - began < 1.0


PARTS = [
    b"RIFF",
    b"WAVE",
    b"fmt ",
    b"data",
    b"ID3",
    b"\xff\xfb\x50\xc4",
    b"\0" * 9,
    b"\x10\0\0\0",
    b"\xff" * 5,
    b"x" * 40,
]


@given(st.lists(st.sampled_from(PARTS)), st.integers(1, 50))
def test_pieces_mean_nothing(parts: list[bytes], piece: int) -> None:
    """RFC 9112, 7.1."""
    data = b"".join(parts)
    assert checked(data, piece) == checked(data, 1 << 20)
