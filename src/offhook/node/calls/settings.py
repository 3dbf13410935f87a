"""What calls need of the configuration. ``app.py`` fills it from the file and the environment."""

from __future__ import annotations

import msgspec

__all__ = ["CallSettings", "DialSettings", "Limits", "OverloadSettings", "Route", "TrunkSettings"]


class Route(msgspec.Struct, frozen=True):
    """Which context a dialled number goes to.

    ``match``: a number or SIP user (``+15551230002``), a URI without scheme (``sales@pbx.example``), a prefix
    that ends in ``*`` (``+1555*``), or ``*`` for all. The longest match wins.
    """

    match: str
    context: str


class Limits(msgspec.Struct, frozen=True):
    """Seconds; none is infinite."""

    call_s: float = 4 * 3600.0
    hold_s: float = 3600.0
    ringing_s: float = 120.0
    hangup_s: float = 40.0
    """How long the engine may take to report the end of a leg that we hung up."""
    ended_kept_s: float = 600.0
    """How long commands on an ended call get 410 before 404."""
    answer_s: float = 5.0
    """How long the engine may take from our answer to media."""


class DialSettings(msgspec.Struct, frozen=True):
    """Where ``sip`` devices may go: ``host`` or ``host:port``, IP addresses and networks too; and how many calls."""

    allow: list[str] = []
    loopback: bool = True
    """This machine too, on any port: where nobody else is served."""
    calls_at_once: int = 1000
    """Calls that are placed, of all clients; one client leaves half of what is free to others."""
    calls_per_s: float = 50.0
    wait_s: float = 30.0
    """How long a call may wait for its turn when more are placed a second."""


class TrunkSettings(msgspec.Struct, frozen=True):
    """The one place that ``phone`` devices go to. ``host`` empty: no trunk."""

    host: str = ""
    port: int = 5060
    transport: str = "udp"
    from_number: str = ""
    """Caller's number when the device names none."""
    allow: list[str] = []
    """Prefixes of numbers that may be dialled; ``*``: all."""
    deny: tuple[str, ...] = ("+1900", "+1976", "+870", "+881", "+882", "+883", "+979")
    """Prefixes that may not, though a shorter one may: premium rates and satellites."""
    calls_at_once: int = 10
    calls_per_s: float = 1.0
    calls_per_day: int = 1000
    """In 24 hours, answered or not."""
    minutes_per_day: int = 3000
    """In 24 hours, of all calls that were placed; calls that go on are not ended by it."""


class OverloadSettings(msgspec.Struct, frozen=True):
    """When new calls are refused, so that those that are there go on."""

    lag_ms: float = 250.0
    """How late the loop runs most of what is due, for 5 s."""
    skipped_ticks: float = 0.1
    """The share of its ticks that a media thread leaves out, for 10 s."""


class CallSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the calls room."""

    node_id: str
    project_id: str
    routes: list[Route] = []
    dial: DialSettings = DialSettings()
    trunk: TrunkSettings = TrunkSettings()
    limits: Limits = Limits()
    overload: OverloadSettings = OverloadSettings()
    sip_host: str = "127.0.0.1"
    """Host of the From URI of ``phone`` devices and of ``sip`` devices that name no ``from``."""
    ring_timeout_s: float = 30.0
