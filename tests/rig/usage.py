"""What the processes of a node use: CPU seconds and memory, by what they are."""

from __future__ import annotations

from dataclasses import dataclass

from rig.node import NodeProcess, Stat

__all__ = ["Usage", "usage"]


@dataclass
class Usage:
    """CPU (seconds) and resident memory (bytes) by process."""

    cpu_s: dict[str, float]
    rss_bytes: dict[str, int]

    def since(self, before: Usage) -> dict[str, float]:
        return {name: cpu - before.cpu_s.get(name, 0.0) for name, cpu in self.cpu_s.items()}


def kind(stat: Stat, node: NodeProcess) -> str:
    """What a process is."""
    if "offhook-engine" in stat.cmdline.split(" ")[0]:
        return "engine"
    if stat.pid == node.process.pid:
        return "supervisor"
    if "greeter" in stat.cmdline or "busy" in stat.cmdline:
        return "program"
    return "speech" if "espeak" in stat.cmdline else "node"


def usage(node: NodeProcess) -> Usage:
    """As it is now."""
    found = Usage({}, {})
    for stat in node.processes():
        name = kind(stat, node)
        found.cpu_s[name] = found.cpu_s.get(name, 0.0) + stat.cpu_s
        found.rss_bytes[name] = found.rss_bytes.get(name, 0) + stat.rss_bytes
    return found
