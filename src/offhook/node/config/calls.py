"""The settings of calls: where they go, how many, how long, and when there are too many."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from offhook.node.config.kinds import Seconds, about

__all__ = ["DAY_MOST", "Calls", "Dial", "Overload", "RouteRule", "Trunk"]

DAY_MOST = 10_000_000
"""Calls and minutes of a day."""


class RouteRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to numbers that match go to clients of a context. The longest match wins; no match is refused with 404."""

    match: Annotated[
        str,
        Meta(min_length=1),
        about("A number (`+15551230002`), a SIP user, `user@host`, a prefix that ends in `*`, or `*` for all."),
    ]
    context: Annotated[str, Meta(min_length=1), about("The context that clients subscribe to.")]


class Dial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where calls may be placed."""

    allow: Annotated[
        tuple[str, ...],
        about(
            "Hosts that `sip` devices may reach. This machine need not be listed where nobody else is served "
            "(`relay.listen` and `sip.listen` are loopback).",
            "host, host:port, IP network",
        ),
    ] = ()
    resolve_s: Annotated[
        float,
        Meta(ge=0.1, le=60),
        about(
            "To resolve the name of a device or trunk; its last addresses serve for an hour when its servers fail.",
            "seconds",
        ),
    ] = 2.0
    calls_at_once: Annotated[
        int,
        Meta(ge=0, le=100_000),
        about(
            "Calls placed at once, of all clients; one leaves half of what is free to the others. "
            "0: half of `engine.max_calls`.",
            "calls",
        ),
    ] = 0
    calls_per_s: Annotated[
        float, Meta(gt=0, le=1000), about("Calls placed in the long run; twice as many at once.", "per second")
    ] = 50.0
    wait_s: Annotated[
        float,
        Meta(ge=0, le=600),
        about(
            "A call beyond `calls_per_s`, of `[trunk]` too, waits for its turn, so long at most, and no longer than it "
            "may ring.",
            "seconds",
        ),
    ] = 30.0


class Trunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The carrier that `phone` devices go to. Without it no call leaves this machine."""

    host: Annotated[
        str,
        about(
            "Its host; empty: no trunk. Of a name with several addresses the next is called where nobody listens, or "
            "for 503.",
            "host",
        ),
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535), about("Its SIP port.")] = 5060
    transport: Annotated[Literal["udp", "tcp"], about("How SIP goes there.")] = "udp"
    from_number: Annotated[str, about("Caller's number when the program gives none.", "E.164")] = ""
    allow: Annotated[
        tuple[str, ...],
        about(
            "Prefixes of numbers that may be dialled, `*` for all. Empty: none in `serve`, all in `offhook dev`.",
            "+1, +4420",
        ),
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        about("Prefixes that may not, unless `allow` has a longer one: premium rates, satellites.", "+1900"),
    ] = ("+1900", "+1976", "+870", "+881", "+882", "+883", "+979")
    calls_at_once: Annotated[
        int, Meta(ge=1, le=100_000), about("Calls placed to it at once, of all clients.", "calls")
    ] = 10
    calls_per_s: Annotated[
        float, Meta(gt=0, le=1000), about("Calls placed to it in the long run; at least ten at once.", "per second")
    ] = 1.0
    calls_per_day: Annotated[
        int,
        Meta(ge=1, le=DAY_MOST),
        about("Calls placed to it in 24 hours, answered or not; kept over a restart. In `dev` ten million.", "calls"),
    ] = 1000
    minutes_per_day: Annotated[
        int,
        Meta(ge=1, le=DAY_MOST),
        about("Talked in calls placed to it in 24 hours; those that go on then do. In `dev` ten million.", "minutes"),
    ] = 3000


class Calls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long things in a call may last."""

    max_s: Annotated[Seconds, about("A call.", "seconds")] = 4 * 3600.0
    hold_s: Annotated[Seconds, about("A party that holds us.", "seconds")] = 3600.0
    ringing_s: Annotated[Seconds, about("An inbound call that nobody answers.", "seconds")] = 120.0
    orphan_s: Annotated[
        Seconds, about("A call or a dial whose client is gone, and may come back to it until then.", "seconds")
    ] = 120.0
    ring_timeout_s: Annotated[Seconds, about("An outbound call, when the program gives no `timeout`.", "seconds")] = (
        30.0
    )


class Overload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When new calls get 503 and new dials are refused, so that the calls that are there go on."""

    lag_ms: Annotated[
        float,
        Meta(ge=10, le=60_000),
        about(
            "How late the node does most of what is due, for 5 s; calls are taken again after 2 s of half of it.", "ms"
        ),
    ] = 250.0
    skipped_ticks: Annotated[
        float,
        Meta(ge=0.01, le=1),
        about("The part of its ticks (20 ms) that a media thread leaves out, for 10 s; taken again after 5 s of half."),
    ] = 0.1
