"""The settings of a node: names, defaults, units and ranges. ``read`` reads them, docs are made from them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from offhook.node.config.calls import DAY_MOST, Calls, Dial, Overload, RouteRule, Trunk
from offhook.node.config.kinds import Count, Port, Seconds, about

__all__ = [
    "DAY_MOST",
    "Calls",
    "Dev",
    "Dial",
    "Engine",
    "Fetch",
    "Limits",
    "Log",
    "Overload",
    "Recordings",
    "Relay",
    "RouteRule",
    "Rtp",
    "Settings",
    "Sip",
    "Trunk",
    "Tts",
    "Watch",
]


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one TLS port where clients connect, with HTTP beside it."""

    listen: Annotated[
        str,
        about(
            "Address to listen on; 127.0.0.1 stands for ::1 too. Other than loopback needs a certificate of your own.",
            "IP address",
        ),
    ] = "127.0.0.1"
    port: Annotated[Port, about("Port to listen on; 0 takes a free one.")] = 7443
    public_host: Annotated[
        str, about("Host and port in links to recordings; empty: `localhost` and the port.", "host:port")
    ] = ""
    project: Annotated[str, about("Project id that clients name; empty: made at the first start.")] = ""
    token: Annotated[
        str,
        about("Token of the project, at least 16 characters; empty: made at the first start, kept in `state_dir`."),
    ] = ""
    token_file: Annotated[str, about("File with the token, readable by its owner alone.", "path")] = ""
    certificate: Annotated[
        str, about("Certificate chain; empty: one for localhost, under a CA kept in `state_dir`.", "path, PEM")
    ] = ""
    private_key: Annotated[str, about("Key of `certificate`, readable by its owner alone.", "path, PEM")] = ""
    origins: Annotated[
        tuple[str, ...],
        about("Web pages that may connect, by the Origin that their browser sends; others get 403.", "https://host"),
    ] = ()


class Sip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where phones and trunks reach the engine."""

    listen: Annotated[str, about("Address to listen on, UDP and TCP.", "IP address")] = "127.0.0.1"
    port: Annotated[Port, about("One port for UDP and TCP; 0 takes a free one.")] = 5060
    allow_public: Annotated[
        bool, about("Must be true to listen on anything but loopback; `trust` then says who is heard.")
    ] = False
    trust: Annotated[
        tuple[str, ...], about("Who may call; a stranger's packets get no answer.", "IP addresses and networks")
    ] = ("127.0.0.0/8", "::1/128")
    tcp_idle_s: Annotated[
        Seconds, about("A TCP connection is closed when no call and no ping used it for so long.", "seconds")
    ] = 120.0


class Rtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where audio flows."""

    listen: Annotated[str, about("Address of media, written in SDP; empty: that of SIP.", "IP address")] = ""
    port_min: Annotated[int, Meta(ge=1024, le=65534), about("First port.")] = 20000
    port_max: Annotated[int, Meta(ge=1025, le=65535), about("Last port; a call takes two.")] = 29999
    timeout_s: Annotated[
        float, Meta(ge=1, le=3600), about("A call that hears nothing for so long ends.", "seconds")
    ] = 60.0


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The process that does SIP and media."""

    binary: Annotated[
        str, about("Its program; empty: `offhook-engine` beside Python, on PATH, or built in a checkout.", "path")
    ] = ""
    orphan_s: Annotated[
        float, Meta(ge=1, le=3600), about("Without a node for so long it ends its calls and itself.", "seconds")
    ] = 30.0
    max_calls: Annotated[int, Meta(ge=1, le=100_000), about("More calls at once get 503.", "calls")] = 2000


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may ask for. Nothing is without a limit."""

    frame_bytes: Annotated[int, Meta(ge=4096, le=16 << 20), about("One WebSocket message of a client.", "bytes")] = (
        1 << 20
    )
    requests_per_s: Annotated[Count, about("Requests of one session.", "per second")] = 100
    requests_per_s_per_call: Annotated[Count, about("What each live call of it adds.", "per second")] = 10
    requests_per_s_per_token: Annotated[
        Count, about("Requests of all sessions of one token together; live calls add to it too.", "per second")
    ] = 1000
    sessions: Annotated[
        Count, about("Clients at once, those included that went and may resume; more are refused with -32005.")
    ] = 1000
    strangers: Annotated[
        Count, about("Connections that proved nothing yet, at once; for another one the oldest is closed.")
    ] = 512
    strangers_per_address: Annotated[
        Count, about("The same of one address (IPv6: one /64); those of this machine share all places.")
    ] = 64
    kept_s: Annotated[
        float,
        Meta(ge=1, le=86400),
        about("How long events without an ack, first replies, lost sessions and ended calls are kept.", "seconds"),
    ] = 600.0
    drain_s: Annotated[
        float, Meta(ge=0, le=86400), about("How long `serve` waits for its calls after SIGTERM.", "seconds")
    ] = 1800.0


class Recordings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of recordings, and for how long a link to one works."""

    link_lifetime_s: Annotated[
        float, Meta(ge=60, le=366 * 86400), about("A link answers 410 after so long.", "seconds")
    ] = 86400.0
    retention_days: Annotated[
        float, Meta(ge=0, le=36500), about("Older recordings are removed; 0 keeps them for ever.", "days")
    ] = 30.0


class Tts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text to speech by espeak-ng."""

    timeout_s: Annotated[
        float,
        Meta(ge=0.1, le=60),
        about("Longest time for one sentence; then the worker is started again.", "seconds"),
    ] = 5.0
    wait_s: Annotated[
        float, Meta(ge=0.1, le=60), about("Longest wait for the first words, behind texts of other calls.", "seconds")
    ] = 5.0
    workers: Annotated[int, Meta(ge=1, le=16), about("Processes that speak.", "processes")] = 2
    max_characters: Annotated[int, Meta(ge=1, le=100_000), about("Longest text.", "characters")] = 10_000
    cache_mib: Annotated[
        int,
        Meta(ge=16, le=1 << 20),
        about("Spoken and fetched audio at most; what is not played goes for what is new.", "MiB"),
    ] = 1024
    voices: Annotated[
        dict[str, str],
        about('Names of voices that programs use, and the espeak-ng voice for each, such as `josh = "en-us+m3"`.'),
    ] = {}


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Audio by URL. Private and special addresses are never reached."""

    allow_loopback: Annotated[bool, about("Let URLs reach loopback, on any port. On in `offhook dev`.")] = False
    ports: Annotated[tuple[Port, ...], about("Ports that URLs may name.")] = (80, 443, 8080, 8443)
    max_mib: Annotated[int, Meta(ge=1, le=1024), about("Largest file.", "MiB")] = 50
    connect_s: Annotated[float, Meta(gt=0, le=60), about("To resolve and connect.", "seconds")] = 2.0
    read_s: Annotated[float, Meta(gt=0, le=60), about("Between two pieces of the answer.", "seconds")] = 5.0
    total_s: Annotated[
        float, Meta(gt=0, le=600), about("For all of it, redirects and the wait for a slot too.", "seconds")
    ] = 15.0
    parallel: Annotated[int, Meta(ge=1, le=1024), about("Fetches at once; a call has a quarter.", "fetches")] = 32
    parallel_per_host: Annotated[int, Meta(ge=1, le=1024), about("The same from one host.", "fetches")] = 6


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a part that says nothing counts as hung; waiting for a CPU or a disk does not count."""

    node_s: Annotated[
        float,
        Meta(ge=2, le=3600),
        about("The node is ended then, with a traceback in the log, and started again; its calls go on.", "seconds"),
    ] = 5.0
    engine_s: Annotated[
        float, Meta(ge=2, le=3600), about("The engine is ended then, and started again; its calls end.", "seconds")
    ] = 15.0


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes to standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], about("Least severe that is written.")] = "info"
    format: Annotated[Literal["text", "json"], about("For people or for machines.")] = "text"


class Dev(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `offhook dev` does differently; `serve` refuses it."""

    enabled: Annotated[bool, about("Any dialled number goes to `context`, and loopback may be fetched from.")] = False
    context: Annotated[str, Meta(min_length=1), about("Where calls go.")] = "default"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    state_dir: Annotated[str, about("Certificates, credentials, journal, prompts and recordings.", "path")] = (
        "~/.local/state/offhook"
    )
    relay: Relay = Relay()
    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    engine: Engine = Engine()
    routes: Annotated[tuple[RouteRule, ...], about("Which numbers go to which context.")] = ()
    dial: Dial = Dial()
    trunk: Trunk = Trunk()
    calls: Calls = Calls()
    limits: Limits = Limits()
    overload: Overload = Overload()
    recordings: Recordings = Recordings()
    tts: Tts = Tts()
    fetch: Fetch = Fetch()
    watch: Watch = Watch()
    log: Log = Log()
    dev: Dev = Dev()
