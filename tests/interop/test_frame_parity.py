"""The published SDK and ours make the same calls on a scripted node: the same frames, and the same seen by the app."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from offhook.node.web.tls import LocalCertificates, server_context
from offhook.testing.node import ScriptedNode

pytestmark = pytest.mark.peers

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "rig" / "parity_app.py"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\b1[0-9]{9}(\.[0-9]+|[0-9]{3}|[0-9]{6})\b")


def same(value: object) -> Any:
    """What differs from run to run (ids, times), made equal."""
    return json.loads(TIME.sub("0", UUID.sub("UUID", json.dumps(value, sort_keys=True))))


async def run(python: str, module: str, directory: Path) -> tuple[list[Any], dict[str, Any]]:
    """Requests of the program in their order, and what it saw."""
    certificates = LocalCertificates(directory)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    async with ScriptedNode(tls=server_context(certificates.chain_file, certificates.key_file)) as node:
        node.hold("calling.play", "calling.record", "calling.collect", "calling.play_and_collect")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
        environment = {**kept, "NODE_HOST": node.host, "SIGNALWIRE_RELAY_CA_FILE": str(certificates.ca_file)}
        if module == "offhook":
            environment["PYTHONPATH"] = str(ROOT / "src")
        process = await asyncio.create_subprocess_exec(
            python,
            str(PROGRAM),
            module,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await node.until("calling.end", timeout_s=20)
            await node.offer()
            output, errors = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()
        return [list(pair) for pair in node.requests], json.loads(output)


async def test_the_same_calls_make_the_same_frames_and_the_same_story(tmp_path: Path) -> None:
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    published = home / "bin" / "python"
    if not published.exists():
        pytest.fail(f"no published Python SDK in {home}: run `make install`, or set OFFHOOK_PUBLISHED_VENV")
    their_frames, their_story = await run(str(published), "signalwire.relay", tmp_path / "tls")
    our_frames, our_story = await run(sys.executable, "offhook", tmp_path / "tls")
    assert same(our_story) == same(their_story)
    over = next(
        place for place, (method, _) in enumerate(their_frames) if place and method == "calling.end" and place > 5
    )
    # Ours sends nothing for a call that is known to be over; theirs asks and swallows the 410.
    assert same(our_frames) == same(their_frames[: over + 1])
    assert {method for method, _ in their_frames[over + 1 :]} <= {"calling.end", "signalwire.ping"}
    assert len(our_frames) > 40
