"""What comes up from the engine: the reports of the control protocol. Frames, ids and times: see ``ops.py``."""

from __future__ import annotations

from typing import Literal

import msgspec

from offhook.node.engine.ops import EndCause, Header

__all__ = [
    "AudioReport",
    "DigitReport",
    "Failure",
    "LegAnswered",
    "LegChanged",
    "LegEnded",
    "LegIncoming",
    "LegProgress",
    "LegSnapshot",
    "LegStats",
    "OperationEnded",
    "OperationSnapshot",
    "OperationStarted",
    "PcmCredit",
    "Reply",
    "Report",
    "SipTrace",
    "Stats",
    "Welcome",
]


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
    """One running operation. ``prompts``: what a play names, as long as it runs; at most 512."""

    id: int
    kind: Literal["play", "record", "send_digits", "echo", "listen"]
    prompts: list[str] = []


class LegSnapshot(msgspec.Struct, frozen=True):
    """One live leg, as the engine knows it. ``codec``: of settled media.

    ``age_ms``, ``answered_ms``, ``held_ms``: for how long it lives, media flows, the peer holds (None: it does not), by
    a clock that nobody sets. ``started_us`` and ``answered_us`` are for telling.
    """

    leg: str
    direction: Literal["inbound", "outbound"]
    state: Literal["trying", "ringing", "answered", "ending"]
    from_uri: str
    to_uri: str
    label: str = ""
    started_us: int = 0
    answered_us: int = 0
    operations: list[OperationSnapshot] = []
    codec: str = ""
    age_ms: int = 0
    answered_ms: int | None = None
    held_ms: int | None = None


class Welcome(Report, frozen=True, tag="welcome"):
    """Answer to Hello: who the engine is, where it listens, and all that lives in it. Kept reports follow.

    ``more``: another one with the next legs comes first, as all of them may not fit a frame.
    """

    version: int
    boot: str
    sip_udp: str
    sip_tcp: str
    legs: list[LegSnapshot] = []
    more: bool = False


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
    """A re-INVITE of the peer took effect. ``hold``: the peer does not want to hear us. ``codec``: that of now."""

    leg: str
    hold: bool
    remote_media: str = ""
    codec: str = ""


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
    """Statistics of the legs of one media thread, every 5 s. ``panics``: calls that a fault of the engine ended.

    ``thread``: which, from 0. Of its ticks (50 a second) since its start ``ticks_late`` began more than 5 ms late, and
    ``ticks_skipped`` were left out, since the one before them ended more than 100 ms late: nobody heard anything then.
    """

    legs: list[LegStats]
    thread: int = 0
    ticks_late: int = 0
    ticks_skipped: int = 0
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
