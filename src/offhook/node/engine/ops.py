"""The control protocol between node and engine: operations go down, reports come up.

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
    "AudioReport",
    "Credit",
    "DigitReport",
    "Echo",
    "EndCause",
    "Failure",
    "FileSource",
    "Header",
    "Hello",
    "LegAnswer",
    "LegAnswered",
    "LegChanged",
    "LegDial",
    "LegEnded",
    "LegHangup",
    "LegIncoming",
    "LegLabel",
    "LegProgress",
    "LegRing",
    "LegSnapshot",
    "LegStats",
    "Listen",
    "Operation",
    "OperationEnded",
    "OperationSnapshot",
    "OperationStarted",
    "Pause",
    "Pcm",
    "PcmCredit",
    "PcmSource",
    "Ping",
    "Play",
    "PromptDone",
    "Record",
    "Reply",
    "Report",
    "Resume",
    "SendDigits",
    "SilenceSource",
    "SipTrace",
    "Source",
    "Stats",
    "Stop",
    "Tone",
    "ToneSource",
    "Volume",
    "Welcome",
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
    where ``PromptDone`` says.
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
    """First on a connection. A newer epoch displaces the older controller; an older or equal one is refused."""

    version: int
    epoch: int
    secret: bytes
    last_seq: int = 0


class Ack(Operation, frozen=True, tag="ack"):
    """All reports up to and with ``seq`` are journalled; the engine may forget them. Not replied to."""

    seq: int


class Ping(Operation, frozen=True, tag="ping"):
    """Answered with a Reply."""

    id: int


class LegDial(Operation, frozen=True, tag="leg_dial"):
    """Place a call. ``destination`` is a resolved ``ip:port``; the R-URI is ``to_uri``.

    ``ring_timeout_ms``: CANCEL and end with cause ``timeout`` when nobody answered by then.
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


class LegRing(Operation, frozen=True, tag="leg_ring"):
    """180, or with ``early_media`` 183 with SDP. May be repeated."""

    id: int
    leg: str
    early_media: bool = False


class LegAnswer(Operation, frozen=True, tag="leg_answer"):
    """200 with SDP. ``codecs`` (PCMU, PCMA) limits and orders; empty: the peer's order. Refused if none fits."""

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
    """Record to ``recording`` (a name without a path) in the recordings directory: WAV, 16 bit, 8 kHz.

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


# --- reports ----------------------------------------------------------------------------------------------------


class Report(msgspec.Struct, frozen=True, tag_field="report", tag=True, kw_only=True):
    """Base of all reports. ``seq`` > 0: kept until acked, in order; 0 (audio, statistics, trace, replies): not kept."""

    seq: int = 0
    at_us: int = 0


class Failure(msgspec.Struct, frozen=True):
    """Why an operation was refused: a slug that never changes, and a sentence that says what to change."""

    code: Literal[
        "bad_request",
        "unknown_leg",
        "unknown_operation",
        "wrong_state",
        "not_negotiated",
        "not_found",
        "no_capacity",
        "unreachable",
        "internal",
    ]
    message: str


class OperationSnapshot(msgspec.Struct, frozen=True):
    """One running operation."""

    id: int
    kind: Literal["play", "record", "send_digits", "echo", "listen"]


class LegSnapshot(msgspec.Struct, frozen=True):
    """One live leg, as the engine knows it."""

    leg: str
    direction: Literal["inbound", "outbound"]
    state: Literal["trying", "ringing", "answered", "ending"]
    from_uri: str
    to_uri: str
    label: str = ""
    started_us: int = 0
    answered_us: int = 0
    operations: list[OperationSnapshot] = []


class Welcome(Report, frozen=True, tag="welcome"):
    """Answer to Hello: who the engine is, where it listens, and all that lives in it. Kept reports follow."""

    version: int
    boot: str
    sip_udp: str
    sip_tcp: str
    legs: list[LegSnapshot] = []


class Reply(Report, frozen=True, tag="reply"):
    """An operation was accepted (and done, where it is a command) or refused."""

    op: int
    error: Failure | None = None


class LegIncoming(Report, frozen=True, tag="leg_incoming"):
    """An INVITE that may be taken; 100 is sent. ``headers``: all of the request, at most 64 and 8 KiB."""

    leg: str
    transport: Literal["udp", "tcp"]
    source: str
    sip_call_id: str
    request_uri: str
    from_uri: str
    to_uri: str
    from_display: str = ""
    headers: list[Header] = []
    codecs: list[str] = []


class LegProgress(Report, frozen=True, tag="leg_progress"):
    """A provisional response (101-199) to our INVITE."""

    leg: str
    status: int
    reason: str = ""
    early_media: bool = False


class LegAnswered(Report, frozen=True, tag="leg_answered"):
    """Media flows: our 200 left, or theirs came (and was acknowledged)."""

    leg: str
    codec: str
    digits: Literal["rfc4733", "inband"]
    remote_media: str = ""


class LegChanged(Report, frozen=True, tag="leg_changed"):
    """A re-INVITE of the peer took effect. ``hold``: the peer does not want to hear us."""

    leg: str
    hold: bool
    remote_media: str = ""


class LegEnded(Report, frozen=True, tag="leg_ended"):
    """The leg is gone; all its operations ended before. Exactly once per leg.

    ``by``: who ended it. ``cause``: ``bye``; ``cancel`` (before answer, by the caller: remote, or by us: local);
    ``rejected`` (a final response >= 300, ``status`` and ``reason`` tell); ``timeout`` (ring timeout, no response);
    ``ack_timeout`` (no ACK within 32 s); ``media_timeout``; ``unreachable``; ``fork`` (another fork answered);
    ``error``. ``label``: the leg's, for a node that has not seen the call.
    """

    leg: str
    by: Literal["local", "remote", "none"]
    cause: Literal[
        "bye",
        "cancel",
        "rejected",
        "timeout",
        "ack_timeout",
        "media_timeout",
        "unreachable",
        "fork",
        "error",
    ]
    status: int = 0
    reason: str = ""
    stats: LegStats | None = None
    label: str = ""


class DigitReport(Report, frozen=True, tag="digit"):
    """One key was pressed; reported once, when recognised (not at its end)."""

    leg: str
    digit: str
    method: Literal["rfc4733", "info", "inband"]
    duration_ms: int = 0


class OperationStarted(Report, frozen=True, tag="op_started"):
    """The first frame of a Play left, or the first of a Record was taken. ``rtp_timestamp``: of that frame."""

    op: int
    leg: str
    rtp_timestamp: int = 0


class OperationEnded(Report, frozen=True, tag="op_ended"):
    """Exactly once per accepted Play, Record, SendDigits, Echo and Listen.

    Record: ``duration_ms`` and ``size_bytes`` of the file. ``digit``: the one that interrupted or terminated.
    """

    op: int
    leg: str
    cause: EndCause
    detail: str = ""
    digit: str = ""
    duration_ms: int = 0
    size_bytes: int = 0
    started_us: int = 0
    first_frame_us: int = 0


class PcmCredit(Report, frozen=True, tag="pcm_credit"):
    """The node may push ``ms`` more of a PcmSource."""

    stream: int
    ms: int


class AudioReport(Report, frozen=True, tag="audio"):
    """One block of a Listen: int16, little endian, mono, 8 kHz. ``offset_ms`` from its start; gaps show drops."""

    op: int
    leg: str
    offset_ms: int
    samples: bytes


class LegStats(msgspec.Struct, frozen=True):
    """Counters of one leg's media since it began."""

    leg: str
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    packets_dropped: int = 0
    packets_foreign: int = 0
    frames_concealed: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    playout_delay_ms: int = 0


class Stats(Report, frozen=True, tag="stats"):
    """Statistics of many legs at once, every few seconds. ``panics``: calls that a fault of the engine ended."""

    legs: list[LegStats]
    ticks_late: int = 0
    panics: int = 0


class SipTrace(Report, frozen=True, tag="sip"):
    """One SIP message as it went over the wire, for the time line: start line and CSeq, never the body."""

    leg: str
    sent: bool
    summary: str
    peer: str


AnyReport = (
    Welcome
    | Reply
    | LegIncoming
    | LegProgress
    | LegAnswered
    | LegChanged
    | LegEnded
    | DigitReport
    | OperationStarted
    | OperationEnded
    | PcmCredit
    | AudioReport
    | Stats
    | SipTrace
)
