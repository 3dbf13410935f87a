"""What JSON has a way to write and nobody can use: half a character, and a number that is none.

``"\\ud83d"`` is what is left of an emoji when a text was cut inside it: JavaScript and Python write it, readers differ
(RFC 8259 section 8.2), and no UTF-8 can hold it. ``NaN`` and ``Infinity`` are no JSON (section 6); Python writes them.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, Final

__all__ = ["find_ill_formed", "mend"]

_HALF: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_MOST_LOOKED_AT: Final = 10_000


def mend(text: str) -> str:
    """Put U+FFFD where half a character is; a text without one is given back as it is."""
    return _HALF.sub(_REPLACEMENT, text)


def find_ill_formed(value: Any) -> str:
    """Name the first of either kind, as the beginning of a sentence that says what to change; empty: none was found.

    At most the first 10,000 values are looked at.
    """
    ahead: list[tuple[str, Any]] = [("", value)]
    for _ in range(_MOST_LOOKED_AT):
        if not ahead:
            break
        path, item = ahead.pop()
        if isinstance(item, str):
            if half := _HALF.search(item):
                return _half(path, half)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return f"`{path}` is {item} or beyond what a number can be: send a finite number"
        elif isinstance(item, dict):
            for key in itertools.islice(item, _MOST_LOOKED_AT):
                if isinstance(key, str) and (half := _HALF.search(key)):
                    return _half(_under(path, key), half)
            some = list(itertools.islice(item.items(), _MOST_LOOKED_AT))
            ahead += [(_under(path, key), below) for key, below in reversed(some)]
        elif isinstance(item, list | tuple):
            ahead += [(f"{path}[{index}]", below) for index, below in reversed(list(enumerate(item[:_MOST_LOOKED_AT])))]
    return ""


def _under(path: str, key: object) -> str:
    return mend(f"{path}.{key}" if path else f"{key}")


def _half(path: str, half: re.Match[str]) -> str:
    return (
        f"`{path}` has half a character (U+{ord(half[0]):04X} at index {half.start()}), as a text has that was cut "
        "inside an emoji: cut it between characters"
    )
