"""The prompts directory: audio that the engine plays, by name, within a bound that holds.

A file that is still written has mode 0600, a complete one 0400: after a crash the two can be told apart. The engine
opens a file when its turn comes, and what it plays goes on when that is removed. Until then, and so that the bound is
that of the disk, what live operations name stays (``Asker``).

A name of a growing file is for one making of it: the engine remembers what it was told of a name, and must not take
what is made anew for what was whole, or failed, before. What is made again, by this node or the next, is named anew.
"""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

from offhook.errors import MachineError

__all__ = ["Asker", "PromptCache"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_LOOK_BYTES = 1 << 20
_RESERVE_BYTES = 256 << 20
_RESERVE_SHARE = 20


class Asker:
    """One playback that asks for audio. ``turn``: whose turns it takes; what it got is kept until ``close``."""

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self._releases: list[Callable[[], None]] = []
        self._is_closed = False

    def keep(self, release: Callable[[], None]) -> None:
        """Call ``release`` at the end, or now when that is over."""
        if self._is_closed:
            release()
        else:
            self._releases.append(release)

    def close(self) -> None:
        """It plays no more. A second time changes nothing."""
        self._is_closed = True
        releases, self._releases = self._releases, []
        for release in releases:
            release()


class PromptCache:
    """Files of ``directory``, ``max_bytes`` together: for a new one the least recently used go that nobody plays.

    What one asker plays takes half of what the others leave at most, so that there is always room for the next.

    ``free_bytes`` says how much the disk has for us, of how much in all; the default asks it. Below the reserve (a
    twentieth of the disk, at most 256 MiB) nothing is written: the rest of the disk is for calls.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 1 << 30,
        free_bytes: Callable[[Path], tuple[int, int]] | None = None,
    ) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._free_bytes = free_bytes or _free_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._made: dict[str, str] = {}
        self._held: dict[str, Counter[str]] = {}
        self._played: Counter[str] = Counter()
        self._total = 0
        self._held_bytes = 0
        self._unlooked = 0
        self._take_stock()

    @property
    def total_bytes(self) -> int:
        """Of all files, the room included that was reserved."""
        return self._total

    @property
    def room_bytes(self) -> int:
        """What is played by nobody, or by nobody yet."""
        return max(0, self._max_bytes - self._held_bytes)

    def share(self, turn: str) -> int:
        """What an asker may play at once, in bytes: half of what the others leave."""
        return (self._max_bytes - (self._held_bytes - self._played[turn])) // 2

    def path(self, name: str) -> Path:
        """Where ``name`` lies. Names are made by us; anything else is a bug."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a prompt name: {name!r}")
        return self.directory / name

    def find(self, name: str, now: float) -> int | None:
        """Size of a complete prompt in bytes, marked as used at ``now`` (Unix time); None if there is none."""
        path = self.path(name)
        try:
            entry = path.lstat()
            if not stat.S_ISREG(entry.st_mode) or entry.st_mode & stat.S_IWUSR:
                return None
            os.utime(path, (now, now))
        except FileNotFoundError:
            self._forget(name)
            return None
        self._resize(name, entry.st_size)
        self._sizes.move_to_end(name)
        return entry.st_size

    def made(self, what: str, now: float) -> str | None:
        """The complete file that was made of ``what``, marked as used at ``now`` (Unix time); None if it is gone."""
        name = self._made.get(what)
        return None if name is None or self.find(name, now) is None else name

    @staticmethod
    def name_anew(what: str) -> str:
        """For a file that is made of ``what`` (no dots): one that no file had."""
        return f"{what}.{uuid.uuid4().hex}"

    def has(self, name: str) -> bool:
        """Whether there is such a file, complete or not."""
        return name in self._sizes

    # --- who uses what ---------------------------------------------------------------------------------------

    def hold(self, name: str, asker: Asker) -> None:
        """Keep ``name`` until the asker is over."""
        self.pin(name, asker.turn)
        asker.keep(lambda: self.unpin(name, asker.turn))

    def is_held(self, name: str) -> bool:
        """Whether something live names it."""
        return name in self._held

    def pin(self, name: str, turn: str = "") -> None:
        """Keep ``name`` until as many ``unpin``. ``turn``: for whom; empty: for the node itself."""
        size = self._sizes.get(name, 0)
        holders = self._held.get(name)
        if holders is None:
            holders = self._held[name] = Counter()
            self._held_bytes += size
        if turn not in holders:
            self._played[turn] += size
        holders[turn] += 1

    def unpin(self, name: str, turn: str = "") -> None:
        """The counterpart of ``pin``."""
        size = self._sizes.get(name, 0)
        holders = self._held[name]
        holders[turn] -= 1
        if not holders[turn]:
            del holders[turn]
            self._played[turn] -= size
            if not self._played[turn]:
                del self._played[turn]
        if not holders:
            del self._held[name]
            self._held_bytes -= size

    # --- writing ---------------------------------------------------------------------------------------------

    def begin(self, name: str) -> Path:
        """Make an empty file to write to, in place of any incomplete one (whoever reads that, keeps it)."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        self._resize(name, 0)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return path

    def grow(self, name: str, size_bytes: int) -> None:
        """Make room for a file of ``size_bytes``, before it has them.

        Raises:
            MachineError: what is played takes all the room, or the disk is nearly full; says what to change.
        """
        grown = size_bytes - self._sizes.get(name, 0)
        self._resize(name, size_bytes)
        try:
            self._share(name)
            self._make_room(name)
            self._unlooked += max(grown, 0)
            if self._unlooked >= _LOOK_BYTES or size_bytes == grown:
                self._unlooked = 0
                self._spare_the_disk(name, grown)
        except MachineError:
            self._resize(name, size_bytes - grown)
            raise

    def complete(self, name: str, now: float) -> int:
        """Mark as whole and return its size in bytes."""
        path = self.path(name)
        path.chmod(0o400)
        os.utime(path, (now, now))
        size = path.stat().st_size
        self._resize(name, size)
        self._sizes.move_to_end(name)
        return size

    def rename(self, name: str, new: str) -> None:
        """Give a complete file its lasting name."""
        self.path(name).replace(self.path(new))
        self._resize(new, self._sizes.get(name, 0))
        self._forget(name)

    def discard(self, name: str) -> None:
        """Remove what could not be completed."""
        self.path(name).unlink(missing_ok=True)
        self._forget(name)

    # --- inside ----------------------------------------------------------------------------------------------

    def _take_stock(self) -> None:
        """What nodes before us left; half-written files of theirs go."""
        found: list[tuple[float, int, str]] = []
        for entry in os.scandir(self.directory):
            known = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(known.st_mode):
                continue
            if known.st_mode & stat.S_IWUSR:
                Path(entry.path).unlink(missing_ok=True)
            else:
                found.append((known.st_mtime, known.st_size, entry.name))
        for _, size, name in sorted(found):
            self._resize(name, size)
        while self._total > self._max_bytes and self._evict(""):
            pass

    def _share(self, name: str) -> None:
        """What is for several is within the share of one of them."""
        turns = [turn for turn in self._held.get(name, ()) if turn]
        if turns and all(self._played[turn] > self.share(turn) for turn in turns):
            raise MachineError(
                f"this call plays half of what others leave of {self._max_bytes >> 20} MiB for audio (tts.cache_mib): "
                "play less at once, or raise it"
            )

    def _make_room(self, name: str) -> None:
        while self._total > self._max_bytes:
            if not self._evict(name):
                raise MachineError(
                    f"all {self._max_bytes >> 20} MiB for audio are being played (tts.cache_mib): "
                    "play less at once, or raise it"
                )

    def _spare_the_disk(self, name: str, grown: int) -> None:
        while True:
            free, size = self._free_bytes(self.directory)
            reserve = min(_RESERVE_BYTES, size // _RESERVE_SHARE)
            if free - grown >= reserve:
                return
            if not self._evict(name):
                raise MachineError(
                    f"the disk has {free >> 20} MiB left, which are kept for calls: free {reserve >> 20} MiB "
                    f"where prompts are"
                )

    def _evict(self, new: str) -> bool:
        """Remove the least recently used that nobody plays, but ``new``; False if there is none."""
        for name in self._sizes:
            if name != new and name not in self._held:
                self.discard(name)
                return True
        return False

    def _resize(self, name: str, size: int) -> None:
        if name not in self._sizes:
            self._made[_what(name)] = name
        grown = size - self._sizes.get(name, 0)
        self._sizes[name] = size
        self._total += grown
        if name in self._held:
            self._held_bytes += grown
            for turn in self._held[name]:
                self._played[turn] += grown

    def _forget(self, name: str) -> None:
        if name in self._sizes:
            self._resize(name, 0)
            del self._sizes[name]
            if self._made[_what(name)] == name:
                del self._made[_what(name)]


def _what(name: str) -> str:
    """What a file is made of, by its name."""
    return name.partition(".")[0]


def _free_bytes(directory: Path) -> tuple[int, int]:
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
