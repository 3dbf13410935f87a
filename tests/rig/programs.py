"""Programs of others, as peers: Kamailio as a proxy, baresip as a phone. Loopback only, ended by their own id."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from offhook.node.processes.lifeline import bound_to_parent
from rig.ports import free_port, free_ports, is_bound

__all__ = ["Baresip", "baresip", "kamailio"]

CONFIGURATION = Path(__file__).resolve().parents[1] / "interop" / "kamailio" / "proxy.cfg"


async def ended(process: asyncio.subprocess.Process) -> None:
    """End a process that was started here."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def kamailio(work: Path, node_port: int, phone_port: int) -> AsyncIterator[int]:
    """Kamailio between the node and a phone; its port."""
    port = free_port()
    text = CONFIGURATION.read_text()
    for name, value in (("PROXY_PORT", port), ("NODE_PORT", node_port), ("PHONE_PORT", phone_port)):
        text = text.replace(name, str(value))
    configuration = work / "kamailio.cfg"
    configuration.write_text(text)
    with (work / "kamailio.log").open("wb") as log:
        command = [
            "kamailio",
            "-DD",
            "-E",
            "-f",
            str(configuration),
            "-P",
            str(work / "kamailio.pid"),
            "-m",
            "16",
            "-M",
            "4",
        ]
        process = await asyncio.create_subprocess_exec(
            *command, "-Y", str(work), stdout=log, stderr=log, preexec_fn=bound_to_parent(SIGTERM)
        )
    try:
        for _ in range(600):
            await asyncio.sleep(0.05)
            assert process.returncode is None, (work / "kamailio.log").read_text()[-2000:]
            if is_bound(port):
                break
        else:
            raise AssertionError(f"kamailio has no port after 30 s: {(work / 'kamailio.log').read_text()[-2000:]}")
        yield port
    finally:
        await ended(process)


@dataclass
class Baresip:
    """A phone that says ``said`` and writes what it hears."""

    process: asyncio.subprocess.Process
    keys_port: int
    control_port: int
    uri: str
    work: Path

    def press(self, key: str) -> None:
        """One key, as on its console."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(key.encode(), ("127.0.0.1", self.keys_port))

    async def command(self, name: str, params: str = "") -> None:
        """One command of its control interface (a netstring of JSON)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control_port)
        data = json.dumps({"command": name, "params": params, "token": "t"})
        writer.write(f"{len(data)}:{data},".encode())
        await writer.drain()
        await asyncio.wait_for(reader.read(1000), 30)
        writer.close()

    async def accept(self) -> None:
        """Wait until it rings, and answer."""
        while "Incoming call from" not in self.log():
            await asyncio.sleep(0.05)
        await self.command("accept")

    def heard(self) -> list[Path]:
        """What it heard, decoded by itself."""
        return sorted(self.work.glob("dump-*-dec.wav"))

    def log(self) -> str:
        return (self.work / "baresip.log").read_text(errors="replace")


@asynccontextmanager
async def baresip(
    work: Path, said: Path, codecs: str = "PCMU/8000/1,PCMA/8000/1", rate_hz: int = 8000
) -> AsyncIterator[Baresip]:
    """Start a phone that says a WAV file of ``rate_hz``; dial with ``command("dial", uri)``."""
    work.mkdir(parents=True, exist_ok=True)
    sip, keys, control = free_ports(3)
    lines = {
        "poll_method": "epoll",
        "sip_listen": f"127.0.0.1:{sip}",
        "audio_source": f"aufile,{said}",
        "audio_player": f"aufile,{work}/player.wav",
        "audio_alert": f"aufile,{work}/alert.wav",
        "ausrc_srate": str(rate_hz),
        "auplay_srate": str(rate_hz),
        "ausrc_channels": "1",
        "auplay_channels": "1",
        "rtp_ports": "32000-32600",
        "net_interface": "127.0.0.1",
        "module_path": "/usr/lib/baresip/modules",
        "snd_path": str(work),
        "cons_listen": f"127.0.0.1:{keys}",
        "ctrl_tcp_listen": f"127.0.0.1:{control}",
    }
    text = "".join(f"{name}\t{value}\n" for name, value in lines.items())
    for module in ("g711", "g722", "aufile", "sndfile"):
        text += f"module\t{module}.so\n"
    for module in ("account", "menu", "cons", "ctrl_tcp"):
        text += f"module_app\t{module}.so\n"
    (work / "config").write_text(text)
    (work / "accounts").write_text(f"<sip:phone@127.0.0.1>;regint=0;audio_codecs={codecs}\n")
    (work / "contacts").write_text("")
    with (work / "baresip.log").open("wb") as log:
        command = ["baresip", "-f", str(work), "-t", "60"]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    phone = Baresip(process, keys, control, f"sip:phone@127.0.0.1:{sip}", work)
    try:
        for _ in range(600):
            await asyncio.sleep(0.05)
            assert process.returncode is None, phone.log()[-2000:]
            if "baresip is ready" in phone.log():
                break
        yield phone
    finally:
        await ended(process)
