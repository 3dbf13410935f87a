"""The control protocol between node and engine: operations go down, reports (``reports.py``) come up.

Every message is one msgpack map behind a big-endian u32 length, at most 1 MiB. Operations carry ``op``, reports
carry ``report`` as their tag. The same words stand in ``crates/engine/src/control/wire.rs``; a test reads the
vectors that each side writes. The rules (acks, epochs, snapshot) are in ``docs/internals/control-socket.md``.

Ids: an operation's ``id`` is chosen by the node and unique for the engine's life (epoch in the upper 32 bits).
A ``leg`` is a UUID; the engine makes it for an incoming call, the node for one it places.
Times ending in ``_us`` are microseconds of the Unix epoch (UTC), those in ``_ms`` are durations in milliseconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "CONTROL_VERSION",
    "MAX_FRAME_BYTES",
    "Ack",
    "Append",
    "Credit",
    "Echo",
    "EndCause",
    "FileSource",
    "Header",
    "Hello",
    "LegAnswer",
    "LegDial",
    "LegHangup",
    "LegLabel",
    "LegRing",
    "Listen",
    "Operation",
    "Pause",
    "Pcm",
    "PcmSource",
    "Ping",
    "Play",
    "PromptDone",
    "Record",
    "Resume",
    "SendDigits",
    "SilenceSource",
    "Source",
    "Stop",
    "Tone",
    "ToneSource",
    "Volume",
]

CONTROL_VERSION = 1
MAX_FRAME_BYTES = 1 << 20

Side = Literal["listen", "speak", "both"]
"""``listen``: what the remote party hears; ``speak``: what it says; ``both``."""

EndCause = Literal[
    "finished",
    "stopped",
    "interrupted",
    "silence",
    "terminator",
    "max_length",
    "no_input",
    "timeout",
    "hangup",
    "error",
]
"""Why an operation ended. ``interrupted``: an input named in ``Play.interrupt`` came."""


class Header(msgspec.Struct, frozen=True):
    """One SIP header field, unfolded, without CR or LF."""

    name: str
    value: str


# --- what is played ---------------------------------------------------------------------------------------------


class FileSource(msgspec.Struct, frozen=True, tag="file", tag_field="kind"):
    """A file of the prompts directory. ``auto``: told by its content (WAV or MP3).

    ``pcm_s16le`` is headerless mono at ``rate_hz``. A ``growing`` file is played while it is written; the end is
    where ``PromptDone`` says. The name of a file that grew is never given to another: what was said of it stays.
    """

    prompt: str
    encoding: Literal["auto", "pcm_s16le"] = "auto"
    rate_hz: int = 8000
    growing: bool = False


class Tone(msgspec.Struct, frozen=True):
    """One step of a cadence: up to four frequencies at once, none for silence."""

    duration_ms: int
    frequencies_hz: list[float] = []
    level_dbm0: float = -13.0


class ToneSource(msgspec.Struct, frozen=True, tag="tone", tag_field="kind"):
    """A cadence, repeated until ``duration_ms`` is over (0: the cadence once; -1: until stopped)."""

    cadence: list[Tone]
    duration_ms: int = 0


class SilenceSource(msgspec.Struct, frozen=True, tag="silence", tag_field="kind"):
    """Digital silence."""

    duration_ms: int


class PcmSource(msgspec.Struct, frozen=True, tag="pcm", tag_field="kind"):
    """Samples that the node pushes with ``Pcm`` operations (int16, little endian, mono)."""

    stream: int
    rate_hz: int = 8000


Source = FileSource | ToneSource | SilenceSource | PcmSource


# --- operations -------------------------------------------------------------------------------------------------


class Operation(msgspec.Struct, frozen=True, tag_field="op", tag=True):
    """Base of all operations."""


class Hello(Operation, frozen=True, tag="hello"):
    """First on a connection. A newer epoch displaces the older controller; an older or equal one is refused.

    ``traces``: it wants a ``SipTrace`` for each SIP message of its legs.
    """

    version: int
    epoch: int
    secret: bytes
    last_seq: int = 0
    traces: bool = False


class Ack(Operation, frozen=True, tag="ack"):
    """All reports up to and with ``seq`` are journalled; the engine may forget them. Not replied to."""

    seq: int


class Ping(Operation, frozen=True, tag="ping"):
    """Answered with a Reply."""

    id: int


class LegDial(Operation, frozen=True, tag="leg_dial"):
    """Place a call. ``destination`` is a resolved ``ip:port``; the R-URI is ``to_uri``.

    ``ring_timeout_ms``: CANCEL and end with cause ``timeout`` when nobody answered by then.
    ``response_timeout_ms``: the same when no response at all came, not even 100; 0: SIP's own limit, 32 s.
    """

    id: int
    leg: str
    to_uri: str
    from_uri: str
    destination: str
    transport: Literal["udp", "tcp"] = "udp"
    from_display: str = ""
    headers: list[Header] = []
    codecs: list[str] = []
    ring_timeout_ms: int = 30_000
    label: str = ""
    response_timeout_ms: int = 0


class LegRing(Operation, frozen=True, tag="leg_ring"):
    """180, or with ``early_media`` 183 with SDP. May be repeated."""

    id: int
    leg: str
    early_media: bool = False


class LegAnswer(Operation, frozen=True, tag="leg_answer"):
    """200 with SDP. ``codecs`` (PCMU, PCMA, G722) limits and orders; empty: the peer's order. Refused if none fits."""

    id: int
    leg: str
    codecs: list[str] = []


class LegHangup(Operation, frozen=True, tag="leg_hangup"):
    """End the leg the way its state asks for: a final response, CANCEL, or BYE with a Reason header.

    ``status`` (>= 400) and ``reason`` are used for the final response, and in the Reason of CANCEL and BYE when
    ``status`` is not 0. Idempotent.
    """

    id: int
    leg: str
    status: int = 0
    reason: str = ""


class LegLabel(Operation, frozen=True, tag="leg_label"):
    """Keep an opaque text (at most 4 KiB) with the leg, given back in the snapshot. Not replied to."""

    leg: str
    label: str


class Play(Operation, frozen=True, tag="play"):
    """Play sources one after another without a gap. OperationStarted at the first frame of the first source.

    ``loops``: how often the list is played, 0 without end. ``more``: do not end at the end of the list, wait for
    ``Append``. ``interrupt``: what ends it, silent within the tick that read the input.
    A file is opened when its turn comes: one that cannot be ends the play with ``error``. At most 512 ``sources``.
    ``volume_db`` -40 (mute) to 40.
    """

    id: int
    leg: str
    sources: list[Source]
    side: Side = "listen"
    volume_db: float = 0.0
    loops: int = 1
    more: bool = False
    interrupt: list[Literal["digit", "speech"]] = []


class Append(Operation, frozen=True, tag="append"):
    """Add sources to a Play that was opened with ``more``."""

    id: int
    target: int
    sources: list[Source]
    more: bool = False


class Record(Operation, frozen=True, tag="record"):
    """Record to ``recording`` (a name without a path) in the recordings directory: WAV, 16 bit, 8 kHz, or 16 kHz
    on a leg that began with G.722.

    ``side`` both and ``stereo``: left is what the remote party says, right what it hears; mono mixes.
    Timeouts of 0 are off. ``sensitivity`` 0-100: the higher, the quieter the speech that counts.
    OperationStarted at the first frame; OperationEnded when the file is closed and synced. Until then its name ends in
    ``.part``, with a header that is valid all the time; the next engine finishes what a crash left.
    """

    id: int
    leg: str
    recording: str
    side: Side = "speak"
    stereo: bool = False
    beep: bool = False
    initial_timeout_ms: int = 0
    end_silence_timeout_ms: int = 0
    max_length_ms: int = 0
    terminators: str = ""
    sensitivity: float = 44.0


class SendDigits(Operation, frozen=True, tag="send_digits"):
    """Send ``0-9 * # A-D``; ``w`` waits 0.5 s, ``W`` 1 s. RFC 4733 where negotiated, else in-band."""

    id: int
    leg: str
    digits: str
    duration_ms: int = 100
    gap_ms: int = 100


class Echo(Operation, frozen=True, tag="echo"):
    """Send back what is received, until ``timeout_ms`` or Stop."""

    id: int
    leg: str
    timeout_ms: int


class Listen(Operation, frozen=True, tag="listen"):
    """Report the audio of one side as AudioReport in blocks of ``block_ms`` (20-500), while there is credit."""

    id: int
    leg: str
    side: Side = "speak"
    block_ms: int = 100
    credit_ms: int = 500


class Credit(Operation, frozen=True, tag="credit"):
    """Allow ``ms`` more of a Listen. Not replied to."""

    target: int
    ms: int


class Pcm(Operation, frozen=True, tag="pcm"):
    """Samples for a PcmSource; ``last`` ends it. Beyond the credit they are dropped and counted. Not replied to."""

    stream: int
    samples: bytes
    last: bool = False


class Pause(Operation, frozen=True, tag="pause"):
    """Pause a Play or Record. ``behavior`` (Record alone): cut the paused span, or keep it as silence."""

    id: int
    target: int
    behavior: Literal["skip", "silence"] = "skip"


class Resume(Operation, frozen=True, tag="resume"):
    """Go on with a paused Play or Record."""

    id: int
    target: int


class Volume(Operation, frozen=True, tag="volume"):
    """Set the volume of a Play, -40 (mute) to 40 dB."""

    id: int
    target: int
    volume_db: float


class Stop(Operation, frozen=True, tag="stop"):
    """End an operation: silent one tick later. On an ended or unknown target: Reply without error."""

    id: int
    target: int


class PromptDone(Operation, frozen=True, tag="prompt_done"):
    """A growing prompt has its final size. ``size_bytes`` -1: writing failed; what plays it ends with ``error``."""

    id: int
    prompt: str
    size_bytes: int


AnyOperation = (
    Hello
    | Ack
    | Ping
    | LegDial
    | LegRing
    | LegAnswer
    | LegHangup
    | LegLabel
    | Play
    | Append
    | Record
    | SendDigits
    | Echo
    | Listen
    | Credit
    | Pcm
    | Pause
    | Resume
    | Volume
    | Stop
    | PromptDone
)
