"""Children that do not outlive their parent, however it dies (Linux: PR_SET_PDEATHSIG, prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["bound_to_parent"]

_PR_SET_PDEATHSIG = 1


def bound_to_parent(death_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """A ``preexec_fn`` after which the child gets ``death_signal`` when the thread that made it ends.

    None where the kernel cannot do it: there a child ends when its standard input or its boot pipe closes.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return bind
