"""sipp as a generator: scenarios of ours, bounded in calls and time, its statistics read back."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SCENARIOS", "SippResult", "run_sipp", "sipp_command"]

SCENARIOS = Path(__file__).resolve().parents[1] / "interop" / "sipp"


@dataclass
class SippResult:
    """What sipp counted."""

    exit_code: int
    successful: int
    failed: int
    retransmissions: int
    output: str


def sipp_command(scenario: str, remote: tuple[str, int] | None, work: Path, **options: str | int) -> list[str]:
    """A command line that ends by itself: ``m`` calls (1), ``timeout`` seconds (30)."""
    given = {"m": 1, "timeout": 30, "i": "127.0.0.1", "mi": "127.0.0.1", **options}
    arguments = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml")]
    for name, value in given.items():
        arguments += [f"-{name}", str(value)] if value != "" else [f"-{name}"]
    arguments += ["-nostdin", "-trace_stat", "-stf", str(work / f"{scenario}.csv"), "-fd", "1", "-timeout_error"]
    arguments += ["-trace_err", "-error_file", str(work / f"{scenario}.err")]
    return [*arguments, *([f"{remote[0]}:{remote[1]}"] if remote else [])]


async def run_sipp(scenario: str, remote: tuple[str, int] | None, work: Path, **options: str | int) -> SippResult:
    """Run one scenario to its end."""
    process = await asyncio.create_subprocess_exec(
        *sipp_command(scenario, remote, work, **options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=work,
    )
    output, _ = await asyncio.wait_for(process.communicate(), float(options.get("timeout", 30)) + 10)
    rows = list(csv.DictReader((work / f"{scenario}.csv").read_text().splitlines(), delimiter=";"))
    last = rows[-1] if rows else {}
    errors = work / f"{scenario}.err"
    said = errors.read_text(errors="replace")[-3000:] if errors.exists() else ""
    return SippResult(
        exit_code=process.returncode or 0,
        successful=int(last.get("SuccessfulCall(C)", 0)),
        failed=int(last.get("FailedCall(C)", 0)),
        retransmissions=int(last.get("Retransmissions(C)", 0)),
        output=output.decode(errors="replace")[-3000:] + said,
    )
