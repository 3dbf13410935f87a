"""Fetchers of audio as a node has them, by limits of both kinds in one list."""

from __future__ import annotations

import time
from collections.abc import Callable

from offhook.node.engine.prompts import PromptCache
from offhook.node.web.fetch import WebFetcher
from offhook.node.web.outbound import Outbound, Resolve
from offhook.node.web.policy import OutboundLimits, Policy

__all__ = ["fetcher_of"]


def fetcher_of(
    cache: PromptCache,
    *,
    resolve: Resolve,
    now: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    **limits: object,
) -> WebFetcher:
    """``limits``: fields of ``OutboundLimits`` and of ``Policy``; what is left out is as in the settings."""
    of_all = {name: limits.pop(name) for name in OutboundLimits.__struct_fields__ if name in limits}
    of_one = {"max_bytes": 50 << 20, "max_bytes_setting": "fetch.max_mib", **limits}
    outbound = Outbound(OutboundLimits(**of_all), resolve=resolve)  # type: ignore[arg-type]
    return WebFetcher(cache, outbound, Policy(**of_one), now=now, steady=steady)  # type: ignore[arg-type]
