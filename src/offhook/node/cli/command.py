"""The commands of ``offhook`` and their options, checked before anything starts."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from offhook._version import __version__
from offhook.errors import CallerError, OffhookError
from offhook.node.cli.phone import CallPlan, place_call
from offhook.node.config.read import read_settings
from offhook.node.config.settings import Settings
from offhook.node.log import set_up_logging
from offhook.node.processes.dev import Program, dev_settings, export_lines, run_dev
from offhook.node.processes.lifeline import bind_to_parent
from offhook.node.processes.serve import run_serve
from offhook.node.state.directory import ReadyNode, StateDirectory

__all__ = ["main"]

Config = Annotated[Path | None, Parameter(help="TOML file; docs/configuration.md lists the settings.")]
State = Annotated[Path | None, Parameter(help="Where certificates, credentials and recordings are kept.")]
Port = Annotated[int | None, Parameter(help="0 takes a free one.")]

_KEYS = re.compile(r"^[0-9*#A-DwW]*\Z", re.IGNORECASE)

app = cyclopts.App(
    name="offhook",
    help="Programmable voice that you run yourself.",
    version=__version__,
    result_action="return_value",
)


@app.command
def dev(
    program: Annotated[Path | None, Parameter(help="Python program to run; started anew when it changes.")] = None,
    /,
    *,
    config: Config = None,
    state_dir: State = None,
    sip_port: Port = None,
    relay_port: Port = None,
    python: Annotated[
        str, Parameter(help="Interpreter for the program; by default that of offhook.", show_default=False)
    ] = sys.executable,
    json: Annotated[
        bool, Parameter(help="Print one line of JSON when ready, and nothing else.", negative="", show_default=False)
    ] = False,
    env: Annotated[
        bool, Parameter(help="Print the export lines for a shell and end.", negative="", show_default=False)
    ] = False,
    parent: Annotated[int, Parameter(show=False)] = 0,
) -> None:
    """Run a node and your program in one terminal; any dialled number goes to context ``default``."""
    if parent:  # whoever started it for a while, a test or a demo, may be killed
        bind_to_parent(parent)
    if program is not None and not program.is_file():
        raise CallerError(f"{program} is no file: name the Python program to run")
    if shutil.which(python) is None:
        raise CallerError(f"--python: {python} is no program that can be run: name a Python interpreter")
    overrides = {
        "state_dir": str(state_dir) if state_dir is not None else None,
        "sip.port": sip_port,
        "relay.port": relay_port,
    }
    settings = dev_settings(_settings(config, overrides))
    set_up_logging(settings.log)
    state = StateDirectory(Path(settings.state_dir))
    state.prepare()
    if env:
        sys.stdout.write(export_lines(state.read_ready() or _expected(settings, state)))
        return
    state.lock()
    chosen = Program(program, python) if program is not None else None
    asyncio.run(run_dev(settings, state, state.identity_for(settings), chosen, as_json=json))


@app.command
def serve(*, config: Config = None, state_dir: State = None) -> None:
    """Run a node for production: engine and node supervised, each restarted alone."""
    settings = _settings(config, {"state_dir": str(state_dir) if state_dir is not None else None})
    set_up_logging(settings.log)
    state = StateDirectory(Path(settings.state_dir))
    state.prepare()
    state.lock()
    asyncio.run(run_serve(settings, state, state.identity_for(settings)))


@app.command
def call(
    to: Annotated[str, Parameter(help="SIP URI, or a number at the node that runs with the state directory.")] = "demo",
    /,
    *,
    say: Annotated[
        tuple[str, ...], Parameter(help="A text to say; may be given again.", negative="", show_default=False)
    ] = (),
    press: Annotated[
        str, Parameter(help="Keys to press: 0-9 * # A-D, w waits half a second.", show_default=False)
    ] = "",
    play: Annotated[Path | None, Parameter(help="WAV or MP3 file to play.")] = None,
    out: Annotated[Path | None, Parameter(help="Write what was heard to this WAV file.")] = None,
    seconds: Annotated[float, Parameter(help="Ring at most so long, and hang up so long after the answer.")] = 30.0,
    config: Config = None,
    state_dir: State = None,
) -> None:
    """Call a node (or any SIP phone on this machine) from the terminal, as a simulated phone.

    It waits until the other end has spoken and pauses, then says each text, presses the keys and plays the file, each
    after another prompt; then it listens until the other end hangs up.

    Example: offhook call 100 --say "Two pizzas, please" --press 1 --out heard.wav
    """
    settings = _settings(config, {"state_dir": str(state_dir) if state_dir is not None else None})
    set_up_logging(settings.log)
    if play is not None and not play.is_file():
        raise CallerError(f"--play: {play} is no file: name a WAV or MP3 file")
    if out is not None and not out.absolute().parent.is_dir():
        raise CallerError(f"--out: there is no directory {out.parent}: make it first")
    if seconds <= 0:
        raise CallerError("--seconds: must be more than 0")
    if not _KEYS.match(press):
        raise CallerError(f"--press: {press} has characters that are no keys: use 0-9 * # A-D, and w to wait")
    if ":" in to.partition("@")[0] and not to.lower().startswith("sip:"):
        raise CallerError(f"{to} cannot be called: give a number (100) or a SIP URI (sip:100@127.0.0.1:5060)")
    uri = to if to.lower().startswith("sip:") else f"sip:{to}@{_sip_of(settings)}"
    plan = CallPlan(uri=uri, say=say, press=press, play=play, out=out, seconds=seconds)
    asyncio.run(place_call(plan, settings.engine.binary))


def _sip_of(settings: Settings) -> str:
    ready = StateDirectory(Path(settings.state_dir)).read_ready()
    if ready is None:
        raise CallerError(
            f"no node runs with {settings.state_dir}: start offhook dev, or give a URI (sip:100@127.0.0.1)"
        )
    return ready.sip.udp


def _settings(config: Path | None, overrides: Mapping[str, object]) -> Settings:
    given = {name: value for name, value in overrides.items() if value is not None}
    return read_settings(config, os.environ, given)


def _expected(settings: Settings, state: StateDirectory) -> ReadyNode:
    """Where a node with these settings will be."""
    identity = state.identity_for(settings)
    if settings.relay.port == 0:
        raise CallerError("no node runs with this state directory, and its port is not known: start offhook dev first")
    return state.describe(settings, identity)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; a mistake of the caller ends with a sentence and status 2."""
    try:
        app(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except CallerError as error:
        sys.stderr.write(f"offhook: {error}\n")
        sys.exit(2)
    except OffhookError as error:
        sys.stderr.write(f"offhook: {error}\n")
        sys.exit(1)
