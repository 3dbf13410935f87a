"""The names of a node, by what they are for: none of them can use up the lookups of another."""

from __future__ import annotations

import asyncio

import structlog

from offhook.errors import OffhookError
from offhook.node.names.names import LookUp, NameLimits, Names
from offhook.node.names.system import look_up

__all__ = ["NodeNames"]

_log = structlog.get_logger(__name__)
_STALE_S = 3600.0
_KEEP_S = 600.0
_PARALLEL = 64
_PER_ASKER = 24
_OF_SETTINGS = 8


class NodeNames:
    """Hosts of URLs, of devices that programs name, and of the settings (trunk, ``dial.allow``)."""

    def __init__(self, *, dial_s: float, fetch_s: float, look_up: LookUp = look_up) -> None:
        self._urls = Names(NameLimits(timeout_s=fetch_s, parallel=_PARALLEL, per_asker=_PER_ASKER), look_up)
        devices = NameLimits(timeout_s=dial_s, parallel=_PARALLEL, per_asker=_PER_ASKER, stale_s=_STALE_S)
        self._devices = Names(devices, look_up)
        self._settings = Names(NameLimits(timeout_s=dial_s, parallel=_OF_SETTINGS, stale_s=_STALE_S), look_up)

    async def of_url(self, host: str, call: str) -> list[str]:
        """Addresses of a URL's host, for a call. Raises OffhookError."""
        return await self._urls.resolve(host, call)

    async def of_call(self, host: str, session: str) -> list[str]:
        """The ``ResolveHost`` of ``calls.ports``."""
        return await (self._devices.resolve(host, session) if session else self._settings.resolve(host, ""))

    async def keep(self, host: str) -> None:
        """Look up a name of the settings again and again, so that it serves when its servers fail, until cancelled."""
        while True:
            try:
                await self._settings.resolve(host, "")
            except OffhookError as error:
                _log.warning("a host of the settings is not resolved", host=host, reason=str(error))
            await asyncio.sleep(_KEEP_S)

    async def close(self) -> None:
        """Wait for nothing any more."""
        await asyncio.gather(self._urls.close(), self._devices.close(), self._settings.close())
