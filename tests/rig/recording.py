"""Recordings as a client makes and fetches them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp

from rig.fixtures import Talk
from rig.node import NodeProcess

__all__ = ["fetch", "record", "stop"]


async def fetch(node: NodeProcess, url: str, path: Path) -> Path:
    """A recording over HTTPS, by its own link alone."""
    context = ssl.create_default_context(cafile=str(node.ca_file))
    async with aiohttp.ClientSession() as http, http.get(url, ssl=context) as response:
        assert response.status == 200, await response.text()
        path.write_bytes(await response.read())
    return path


async def record(talk: Talk, **wanted: Any) -> None:
    await talk.relay.command(talk.call, "record", control_id="r", record={"audio": {"format": "wav", **wanted}})
    await talk.relay.event("record", lambda e: e.state == "recording")


async def stop(talk: Talk) -> dict[str, Any]:
    await talk.relay.command(talk.call, "record.stop", control_id="r")
    return (await talk.relay.finished("record", "r")).params
