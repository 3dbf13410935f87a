"""The node as a process of its own, as a person starts it: ``offhook dev --json`` or ``offhook serve``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offhook.node.processes.lifeline import bound_to_parent

__all__ = [
    "NodeProcess",
    "command",
    "environment",
    "processes_of",
    "running_node",
    "serving",
    "working_in",
    "written_since",
]

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 30.0
LOG_LINES = 80
GONE_S = 10.0
"""A process that was told to go needs a CPU for it."""
SETTINGS = """
state_dir = "{state}"
[relay]
port = 0
[sip]
port = 0
[limits]
drain_s = 5
"""
ROUTES = """
[fetch]
allow_loopback = true
[[routes]]
match = "1*"
context = "default"
"""


_logs: list[Path] = []


def command() -> list[str]:
    """The command line that starts ``offhook`` (``OFFHOOK_COMMAND`` replaces it)."""
    if given := os.environ.get("OFFHOOK_COMMAND"):
        return given.split()
    return [sys.executable, "-m", "offhook.node.cli"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a node: ours, with ``src`` importable and no settings of the person who runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
    if engine := os.environ.get("OFFHOOK_ENGINE_BINARY"):
        kept["OFFHOOK_ENGINE_BINARY"] = engine
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **extra}


@dataclass
class Stat:
    """One line of /proc: what a process is and what it has used."""

    pid: int
    parent: int
    name: str
    state: str
    cpu_s: float
    rss_bytes: int
    cmdline: str


def read_stat(pid: int) -> Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        cmdline = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return Stat(
        pid=pid,
        parent=int(rest[1]),
        name=name,
        state=rest[0],
        cpu_s=(int(rest[11]) + int(rest[12])) / ticks,
        rss_bytes=int(rest[21]) * os.sysconf("SC_PAGE_SIZE"),
        cmdline=cmdline,
    )


def processes_of(root: int) -> list[Stat]:
    """A process and all its descendants that live now."""
    stats = [s for p in Path("/proc").iterdir() if p.name.isdigit() and (s := read_stat(int(p.name)))]
    children: dict[int, list[Stat]] = {}
    for stat in stats:
        children.setdefault(stat.parent, []).append(stat)
    found = [s for s in stats if s.pid == root]
    for stat in found:  # grows while it is walked
        found.extend(children.get(stat.pid, []))
    return [s for s in found if s.state != "Z"]


def working_in(directory: Path) -> list[Stat]:
    """All processes that live now and work in this directory, whoever their parents are."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and (process / "cwd").readlink() == directory:
                found.append(read_stat(int(process.name)))
    return [stat for stat in found if stat and stat.state != "Z"]


@dataclass
class NodeProcess:
    """A running node: where it listens, who may connect, and the processes it is made of."""

    process: subprocess.Popen[bytes]
    state_dir: Path
    stderr_path: Path
    ready: dict[str, Any] = field(default_factory=dict)
    started_in_s: float = 0.0
    said_later: bytes = b""
    """What stood on standard output after the line that says where it listens."""

    @property
    def relay_host(self) -> str:
        return str(self.ready["relay"]["host"])

    @property
    def relay_port(self) -> int:
        return int(self.relay_host.rpartition(":")[2])

    @property
    def project(self) -> str:
        return str(self.ready["relay"]["project"])

    @property
    def token(self) -> str:
        return str(self.ready["relay"]["token"])

    @property
    def ca_file(self) -> Path:
        return Path(self.ready["ca_file"])

    @property
    def http(self) -> str:
        return str(self.ready["http"])

    def sip(self, transport: str = "udp") -> tuple[str, int]:
        host, _, port = str(self.ready["sip"][transport]).rpartition(":")
        return host, int(port)

    def sdk_environment(self, relay_host: str = "") -> dict[str, str]:
        """The variables that point a published SDK (Python or TypeScript) at this node."""
        return {
            "SIGNALWIRE_PROJECT_ID": self.project,
            "SIGNALWIRE_API_TOKEN": self.token,
            "SIGNALWIRE_SPACE": relay_host or self.relay_host,
            "SIGNALWIRE_RELAY_CA_FILE": str(self.ca_file),
            "NODE_EXTRA_CA_CERTS": str(self.ca_file),
        }

    def processes(self) -> list[Stat]:
        return processes_of(self.process.pid)

    def engine(self) -> Stat:
        """The engine's process."""
        return next(s for s in self.processes() if "offhook-engine" in s.cmdline.split(" ")[0])

    def log(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def wait_ready(self, within_s: float = START_S) -> None:
        """Read the one line that says where it listens.

        Raises:
            RuntimeError: it ended, or said nothing in time; with the end of its log.
        """
        began = time.monotonic()
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        line = b""
        while not line.endswith(b"\n"):
            line += self.process.stdout.read() or b""
            if self.process.poll() is not None or time.monotonic() - began > within_s:
                raise RuntimeError(f"the node said {line!r} (exit {self.process.poll()}):\n{self.log()[-4000:]}")
            time.sleep(0.01)
        self.ready = json.loads(line)
        self.started_in_s = time.monotonic() - began

    def end(self) -> int:
        """SIGTERM, and what it left: its exit code. Kills what is still there and says so."""
        family = [s.pid for s in self.processes()]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            code = -1
        left = self.left_of(family)
        for stat in left:
            os.kill(stat.pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        if self.process.stdout:
            self.said_later = self.process.stdout.read() or b""
            self.process.stdout.close()
        assert not left, f"still there {GONE_S:g} s after the end: {[(s.pid, s.cmdline) for s in left]}"
        return code

    @staticmethod
    def left_of(pids: Sequence[int], within_s: float = GONE_S) -> list[Stat]:
        """Which of these processes still live after ``within_s``."""
        until = time.monotonic() + within_s
        while True:
            left = [s for pid in pids if (s := read_stat(pid)) and s.state != "Z"]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.05)


def start(arguments: Sequence[str], state_dir: Path, extra: Mapping[str, str] | None = None) -> NodeProcess:
    state_dir.mkdir(parents=True, exist_ok=True)
    stderr_path = state_dir / f"stderr-{time.monotonic_ns()}.log"
    with stderr_path.open("wb") as stderr:
        process = subprocess.Popen(
            [*command(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(**(extra or {})),
            cwd=ROOT,
            preexec_fn=bound_to_parent(),
        )
    _logs.append(stderr_path)
    return NodeProcess(process, state_dir, stderr_path)


def written_since(began: float) -> Iterator[tuple[str, str]]:
    """The log of each node of this process that wrote to it since then (seconds since the epoch), its last lines."""
    for path in _logs:
        if path.exists() and path.stat().st_mtime >= began:
            lines = path.read_text(errors="replace").splitlines()
            yield str(path), "\n".join(lines[-LOG_LINES:])


@contextmanager
def running_node(
    state_dir: Path, *, app: Path | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[NodeProcess]:
    """``offhook dev [APP] --json`` on free ports, ended by SIGTERM; must exit 0 and leave nothing behind."""
    arguments = ["dev", *([str(app)] if app else []), "--json", "--state-dir", str(state_dir)]
    node = start([*arguments, "--sip-port", "0", "--relay-port", "0"], state_dir, extra)
    try:
        node.wait_ready()
        yield node
    finally:
        ended = node.process.poll()
        code = node.end()
    assert ended is None, f"the node ended by itself with {ended}:\n{node.log()[-4000:]}"
    assert code == 0, f"exit {code} after SIGTERM:\n{node.log()[-4000:]}"
    assert node.said_later == b"", "more than one line on standard output"


@contextmanager
def serving(work: Path, settings: str = ROUTES, *, extra: Mapping[str, str] | None = None) -> Iterator[NodeProcess]:
    """``offhook serve`` on free ports with these settings; must exit 0 after SIGTERM and leave nothing behind.

    Where it served before it goes on with what it kept. ``extra``: variables of its environment.
    """
    configuration = work / "offhook.toml"
    work.mkdir(parents=True, exist_ok=True)
    state = work / "state"
    configuration.write_text(SETTINGS.format(state=state) + settings)
    (state / "ready.json").unlink(missing_ok=True)
    node = start(["serve", "--config", str(configuration)], state, extra)
    try:
        began = time.monotonic()
        while not (state / "ready.json").exists():
            assert node.process.poll() is None, node.log()[-4000:]
            assert time.monotonic() - began < START_S, node.log()[-4000:]
            time.sleep(0.05)
        node.started_in_s = time.monotonic() - began
        node.ready = json.loads((state / "ready.json").read_text())
        yield node
    finally:
        code = node.end()
    assert code == 0, node.log()[-4000:]
