"""The prompts directory stays within its bound, and a half-written file is never taken for a whole one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from offhook.node.engine.prompts import PromptCache


def put(cache: PromptCache, name: str, size: int, now: float) -> None:
    cache.begin(name).write_bytes(bytes(size))
    cache.complete(name, now)


def test_a_file_is_found_once_it_is_complete(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path)
    cache.begin("a").write_bytes(b"12")
    assert cache.find("a", 1.0) is None
    assert cache.complete("a", 1.0) == 2
    assert cache.find("a", 2.0) == 2


def test_a_file_that_others_left_half_written_is_begun_anew(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path)
    with cache.begin("a").open("wb") as reader_keeps:
        reader_keeps.write(b"old")
        cache.begin("a")
        put(cache, "a", 5, 1.0)
    assert cache.find("a", 1.0) == 5


def test_the_least_recently_used_go_first_and_none_that_may_be_playing(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, max_bytes=100, keep_s=10.0)
    for at, name in enumerate("abcd"):
        put(cache, name, 50, float(at))
    cache.find("a", 50.0)
    assert cache.trim(11.5) == 50
    assert cache.trim(55.0) == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d"]


def test_a_file_that_goes_while_the_directory_is_looked_at_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = PromptCache(tmp_path, max_bytes=10, keep_s=0.0)
    put(cache, "a", 50, 1.0)
    put(cache, "b", 50, 1.0)
    listed = list(os.scandir(tmp_path))
    cache.discard("a")
    monkeypatch.setattr(os, "scandir", lambda _: iter(listed))
    assert cache.trim(100.0) == 50


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "../a", "a\0", "a\n", "x" * 129])
def test_a_name_with_a_path_in_it_is_a_bug(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a prompt name"):
        PromptCache(tmp_path).path(name)


def test_a_full_directory_is_not_looked_at_for_every_prompt(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path)
    assert [cache.is_trim_due(at) for at in (1000.0, 1001.0, 1009.9, 1010.0, 1015.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]
