"""The prompts directory stays within its bound, and a half-written file is never taken for a whole one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import MachineError
from offhook.node.engine.prompts import Asker, PromptCache


def put(cache: PromptCache, name: str, size: int, now: float) -> None:
    path = cache.begin(name)
    cache.grow(name, size)
    path.write_bytes(bytes(size))
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


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def bytes_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_the_least_recently_used_go_for_what_is_new_however_new_they_are(tmp_path: Path) -> None:
    """Nothing that was used in the last four hours went: 1,821 MiB lay under a bound of 16."""
    cache = PromptCache(tmp_path, max_bytes=100)
    for at, name in enumerate("ab"):
        put(cache, name, 50, float(at))
    cache.find("a", 2.0)
    put(cache, "c", 50, 3.0)
    assert names(tmp_path) == ["a", "c"]
    assert cache.total_bytes == bytes_of(tmp_path) == 100


def test_what_somebody_plays_stays_and_what_comes_then_is_refused_with_a_sentence(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, max_bytes=100)
    first, second = Asker("call"), Asker("call")
    put(cache, "a", 60, 1.0)
    cache.hold("a", first)
    cache.hold("a", second)
    first.close()
    first.close()
    put(cache, "b", 30, 2.0)
    with pytest.raises(MachineError, match=r"being played \(tts\.cache_mib\): play less at once, or raise it"):
        put(cache, "c", 60, 3.0)
    cache.discard("c")
    assert names(tmp_path) == ["a"]
    second.close()
    put(cache, "c", 60, 4.0)
    assert names(tmp_path) == ["c"]


def test_what_was_asked_for_by_one_who_is_over_is_not_kept_for_it(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, max_bytes=100)
    put(cache, "a", 60, 1.0)
    over = Asker("call")
    over.close()
    cache.hold("a", over)
    assert not cache.is_held("a")
    assert cache.room_bytes == 100


def test_a_file_that_grows_is_kept_within_the_bound_as_it_grows(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, max_bytes=100)
    put(cache, "old", 40, 1.0)
    path = cache.begin("new")
    cache.pin("new")
    for size in (20, 60, 80, 100):
        cache.grow("new", size)
        path.write_bytes(bytes(size))
        assert bytes_of(tmp_path) <= 100
    assert names(tmp_path) == ["new"]
    with pytest.raises(MachineError):
        cache.grow("new", 101)
    assert cache.total_bytes == 100
    cache.discard("new")
    cache.unpin("new")
    assert (cache.total_bytes, cache.room_bytes) == (0, 100)


def test_what_a_node_before_left_is_within_the_bound_at_once_the_oldest_goes_and_so_does_what_is_half(
    tmp_path: Path,
) -> None:
    before = PromptCache(tmp_path, max_bytes=1000)
    for at, name in enumerate("cab"):
        put(before, name, 50, 1000.0 + at)
    before.begin("half").write_bytes(bytes(500))
    after = PromptCache(tmp_path, max_bytes=100)
    assert names(tmp_path) == ["a", "b"]
    assert after.total_bytes == 100
    put(after, "d", 50, 2000.0)
    assert names(tmp_path) == ["b", "d"]


def test_who_reads_a_file_that_goes_reads_on(tmp_path: Path) -> None:
    """As the engine does for what a node before us began: it opened the file when it took the operation."""
    cache = PromptCache(tmp_path, max_bytes=100)
    put(cache, "a", 60, 1.0)
    with cache.path("a").open("rb") as playing:
        put(cache, "b", 60, 2.0)
        assert names(tmp_path) == ["b"]
        assert len(playing.read()) == 60


def test_below_the_reserve_of_the_disk_nothing_is_written_and_what_nobody_plays_goes_first(tmp_path: Path) -> None:
    """A disk that prompts fill refuses calls: the journal cannot be written then."""
    free = 10 << 30

    def disk(directory: Path) -> tuple[int, int]:
        return free - bytes_of(directory), 100 << 30

    cache = PromptCache(tmp_path, free_bytes=disk)
    for at, name in enumerate("ab"):
        put(cache, name, 1000, float(at))
    free = (256 << 20) + 1500
    put(cache, "c", 1000, 3.0)
    assert names(tmp_path) == ["c"]
    free = 0
    with pytest.raises(MachineError, match="the disk has 0 MiB left, which are kept for calls: free 256 MiB"):
        put(cache, "d", 10, 4.0)


def test_the_reserve_of_a_small_disk_is_a_twentieth(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, free_bytes=lambda _: (60, 1000))
    put(cache, "a", 10, 1.0)
    cache = PromptCache(tmp_path, free_bytes=lambda _: (49, 1000))
    with pytest.raises(MachineError):
        put(cache, "b", 10, 1.0)


def test_a_file_that_somebody_removed_by_hand_is_not_counted_any_more(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, max_bytes=100)
    put(cache, "a", 60, 1.0)
    cache.path("a").unlink()
    assert cache.find("a", 2.0) is None
    assert cache.total_bytes == 0


def test_one_call_plays_half_of_what_others_leave_so_that_there_is_room_for_the_next(tmp_path: Path) -> None:
    """Sixty long texts of one call would leave no room for one word of another."""
    cache = PromptCache(tmp_path, max_bytes=100)
    loud, quiet = Asker("loud"), Asker("quiet")
    for name, asker, size in (("a", loud, 30), ("b", loud, 20), ("d", quiet, 25)):
        cache.hold(name, asker)
        put(cache, name, size, 1.0)
    for name, asker in (("c", loud), ("e", quiet)):
        cache.hold(name, asker)
        with pytest.raises(MachineError, match="this call plays half of what others leave of 0 MiB for audio"):
            put(cache, name, 1, 2.0)
        cache.discard(name)
    shared = Asker("third")
    cache.hold("c", shared)
    put(cache, "c", 10, 3.0)
    assert names(tmp_path) == ["a", "b", "c", "d"]
    for asker in (loud, quiet, shared):
        asker.close()
    assert cache.room_bytes == 100
    assert cache.share("loud") == 50


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "hold", "release", "find"]), st.sampled_from("abcdef"), st.integers(1, 60)),
        max_size=40,
    )
)
def test_in_any_order_the_bound_holds_and_what_is_held_is_there(steps: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        cache = PromptCache(directory, max_bytes=100)
        askers: dict[str, Asker] = {}
        for at, (step, name, size) in enumerate(steps):
            if step == "put" and name not in askers:
                try:
                    put(cache, name, size, float(at))
                except MachineError:
                    cache.discard(name)
            elif step == "hold" and name not in askers and cache.find(name, float(at)) is not None:
                askers[name] = Asker("call")
                cache.hold(name, askers[name])
            elif step == "release" and name in askers:
                askers.pop(name).close()
            elif step == "find":
                cache.find(name, float(at))
            assert bytes_of(directory) == cache.total_bytes <= 100
            assert set(askers) <= set(names(directory))
        held = sum(cache.path(name).stat().st_size for name in askers)
        assert cache.room_bytes == 100 - held


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "../a", "a\0", "a\n", "x" * 129])
def test_a_name_with_a_path_in_it_is_a_bug(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a prompt name"):
        PromptCache(tmp_path).path(name)
