"""Params of a command, put together from keywords."""

from __future__ import annotations

import inspect
import itertools
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from offhook.protocol.params import Params

__all__ = ["compose", "new_id", "numbered_ids"]


def new_id() -> str:
    """Choose a control_id or tag: a random UUID (RFC 9562, 5.4). A third of the time that ``uuid.uuid4`` takes."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def numbered_ids() -> Callable[[], str]:
    """Make a source of request ids: UUIDs in form, random at first, then counted, which costs nothing."""
    first = new_id()[:24]
    numbers = itertools.count(1)
    return lambda: f"{first}{next(numbers):012x}"


def compose(struct: type[Params], given: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Put params together: what is None is left out, other keywords go as they are, with a warning that names them."""
    if not extra:
        return {key: value for key, value in given.items() if value is not None}
    known = struct.__struct_encode_fields__
    for key in extra:
        if key not in known:
            hint = _nearest(key, known)
            text = f"{struct.method} has no parameter {key!r}; it is sent as it is.{hint}"
            warnings.warn(text, stacklevel=_level_of_the_program())
    return {key: value for key, value in {**given, **extra}.items() if value is not None}


def _level_of_the_program() -> int:
    """How far up, from ``compose``, the line is that asked: short forms ask by their neighbours."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("offhook."):
        frame, level = frame.f_back, level + 1
    return max(level, 1)


def _nearest(key: str, known: tuple[str, ...]) -> str:
    import difflib  # here: rarely needed, and slow to import

    near = difflib.get_close_matches(key, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
