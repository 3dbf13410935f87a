"""Starting a process that is to be a node: without its boot, so that it can wait as a spare."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import NamedTuple

from offhook.errors import MachineError
from offhook.node.processes.lifeline import bound_to_parent
from offhook.node.processes.supervision import Supervision

__all__ = ["WaitingNode", "has_ended", "start_waiting_node"]


class WaitingNode(NamedTuple):
    """A node without its boot."""

    process: Process
    supervision: Supervision


async def start_waiting_node(byte_code: Path) -> WaitingNode:
    """A node without its boot."""
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise MachineError(f"the node cannot be started: {error.strerror}") from error
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "offhook.node.app",
            "--supervision-fd",
            str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            preexec_fn=bound_to_parent(),
            umask=0o077,
            env=_environment(byte_code),
        )
    except OSError as error:
        ours.close()
        raise MachineError(f"the node cannot be started: {error.strerror}") from error
    finally:
        theirs.close()
    return WaitingNode(process, await Supervision.over(ours))


def has_ended(process: Process) -> bool:
    """Also when nobody was told yet: who kills the node may have killed the spare in the same moment."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _environment(byte_code: Path) -> dict[str, str]:
    """Ours without credentials, and with our own path, so that the same code runs.

    Where byte code may not be kept beside the sources it is kept in ``byte_code``: a killed node is back sooner.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OFFHOOK_", "SIGNALWIRE_")) and not name.lower().endswith("_proxy")
    }
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(byte_code)
    return {**kept, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
