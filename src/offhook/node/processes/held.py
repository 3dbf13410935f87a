"""What a Python process of ours holds, exactly: live objects by class, tasks, and blocks of Python's allocator."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter

__all__ = ["held"]


def held(package: str = "offhook") -> dict[str, int]:
    """How many objects of each class of a package live, by ``module.Class``; what waits to be collected is not counted.

    ``tasks``: of this loop; ``blocks``: that Python's allocator gave out and did not get back. Objects that were frozen
    (``gc.freeze``), as old as the process, are left out. Takes some tens of milliseconds.
    """
    gc.collect()
    blocks = sys.getallocatedblocks()
    prefix = f"{package}."
    counts: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = type(one)
        module = kind.__module__
        if isinstance(module, str) and module.startswith(prefix):
            counts[f"{module.removeprefix(prefix)}.{kind.__qualname__}"] += 1
    return {"tasks": len(asyncio.all_tasks()), "blocks": blocks, **dict(sorted(counts.items()))}
