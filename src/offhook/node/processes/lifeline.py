"""Children that do not outlive their parent, however it dies (Linux: PR_SET_PDEATHSIG, prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

__all__ = ["bind_to_parent", "bound_to_parent"]

_PR_SET_PDEATHSIG = 1


def bound_to_parent(death_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """A ``preexec_fn`` after which the child gets ``death_signal`` when the thread that made it ends.

    None where the kernel cannot do it: there a child ends when its standard input or its boot pipe closes.
    """
    if not sys.platform.startswith("linux"):
        return None
    return partial(_bind, ctypes.CDLL(None, use_errno=True).prctl, os.getpid(), death_signal)


def bind_to_parent(parent: int) -> None:
    """The same from within the child, for a parent with threads: it should start a child without ``preexec_fn``."""
    if sys.platform.startswith("linux"):
        _bind(ctypes.CDLL(None, use_errno=True).prctl, parent, signal.SIGKILL)


def _bind(prctl: Callable[..., int], parent: int, death_signal: signal.Signals) -> None:
    prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it died before prctl
        os._exit(1)
