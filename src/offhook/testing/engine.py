"""An engine without SIP or audio: a complete EnginePort that a test scripts, driven by the loop's clock.

    engine = FakeEngine(tmp_path)
    engine.peers["sip:bob@example.com"] = Peer(ring_after_s=0.1, answer_after_s=2)
    leg = engine.ring_in(to_uri="sip:sales@example.com")     # an incoming call
    engine.press(leg, "1")                                   # the caller's key

With ``offhook.testing.clock.VirtualClockLoop`` a call of an hour takes milliseconds.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from offhook.errors import EngineLost, EngineRefused
from offhook.node.engine import ops, reports
from offhook.node.engine.port import LostSink, ReportSink
from offhook.testing import engine_operations as running

__all__ = ["FakeEngine", "Peer"]

EPOCH_US = 1_700_000_000_000_000


class Peer(msgspec.Struct, frozen=True):
    """How a dialled party behaves. ``answer_after_s`` None: never; ``status`` not 0: a final response instead.

    ``is_there`` False: instead, the network says that nobody serves SIP there.
    """

    ring_after_s: float | None = 0.1
    answer_after_s: float | None = 1.0
    status: int = 0
    reason: str = ""
    early_media: bool = False
    is_there: bool = True


class _Leg(msgspec.Struct):
    """One leg of the fake engine."""

    snapshot: reports.LegSnapshot
    running: dict[int, running.Running] = {}
    timers: list[asyncio.TimerHandle] = []
    held_us: int = 0


class FakeEngine:
    """Accepts every operation of ``ops`` and reports as the real engine does.

    ``peers``: by ``ip:port``, or by URI.
    ``operations``: all that came down, ``reports``: all that went up, in order. Prompts must exist in ``prompts``
    (WAV or ``pcm_s16le``) or have their length in ``prompt_lengths_s``.
    """

    def __init__(self, directory: Path) -> None:
        self.prompts = directory / "prompts"
        self.recordings = directory / "recordings"
        for path in (self.prompts, self.recordings):
            path.mkdir(parents=True, exist_ok=True)
        self.operations: list[ops.AnyOperation] = []
        self.reports: list[reports.AnyReport] = []
        self.kept: list[reports.AnyReport] = []
        self.prompt_lengths_s: dict[str, float] = {}
        self.peers: dict[str, Peer] = {}
        self.default_peer = Peer()
        self.codec = "PCMU"
        self.digits: Literal["rfc4733", "inband"] = "rfc4733"
        self.reply_after_s = 0.0
        self.boot = uuid.uuid4().hex
        self._legs: dict[str, _Leg] = {}
        self._refusals: list[tuple[type[object], str, str]] = []
        self._sink: ReportSink | None = None
        self._on_lost: LostSink | None = None
        self._seq = 0
        self._last_id = 0

    # --- the port -----------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """A fresh operation id."""
        self._last_id += 1
        return self._last_id

    async def start(self, sink: ReportSink, *, last_seq: int = 0, on_lost: LostSink | None = None) -> reports.Welcome:
        """Hand out the snapshot, then what was kept beyond ``last_seq``."""
        legs = [self._snapshot(leg) for leg in self._legs.values()]
        self._sink, self._on_lost = sink, on_lost
        asyncio.get_running_loop().call_soon(self._repeat, sink, [entry for entry in self.kept if entry.seq > last_seq])
        return reports.Welcome(
            version=ops.CONTROL_VERSION, boot=self.boot, sip_udp="127.0.0.1:5060", sip_tcp="127.0.0.1:5060", legs=legs
        )

    def _repeat(self, sink: ReportSink, kept: list[reports.AnyReport]) -> None:
        for report in kept:
            sink(report)

    async def execute(self, operation: ops.AnyOperation) -> None:
        """Do an operation or refuse it, after ``reply_after_s``."""
        if self._sink is None:
            raise EngineLost("the engine is not connected")
        await asyncio.sleep(self.reply_after_s)
        if self._sink is None:
            raise EngineLost("the engine went before it replied")
        self.operations.append(operation)
        for index, (kind, code, message) in enumerate(self._refusals):
            if isinstance(operation, kind):
                del self._refusals[index]
                raise EngineRefused(code, message)
        self._do(operation)

    def send(self, operation: ops.AnyOperation, *, patient: bool = False) -> None:  # noqa: ARG002
        """Take an operation that has no reply."""
        self.operations.append(operation)
        if self._sink is not None:
            self._do(operation)

    async def close(self) -> None:
        """Let go; legs live on, as they do in the real engine."""
        self._sink = self._on_lost = None

    # --- the script ---------------------------------------------------------------------------------------------

    def refuse_next(self, kind: type[object], code: str = "internal", message: str = "scripted") -> None:
        """The next operation of this type is refused."""
        self._refusals.append((kind, code, message))

    def sent(self, kind: type[object]) -> list[ops.AnyOperation]:
        """Operations of one type that came down."""
        return [operation for operation in self.operations if isinstance(operation, kind)]

    def ring_in(
        self,
        *,
        from_uri: str = "sip:alice@127.0.0.1",
        to_uri: str = "sip:100@127.0.0.1",
        from_display: str = "",
        headers: list[ops.Header] | None = None,
        codecs: list[str] | None = None,
    ) -> str:
        """An INVITE comes; returns its leg."""
        leg = self._new_leg(str(uuid.uuid4()), "inbound", from_uri, to_uri, "")
        self.report(
            reports.LegIncoming(
                leg=leg,
                transport="udp",
                source="127.0.0.1:5061",
                sip_call_id=f"{leg}@fake",
                request_uri=to_uri,
                from_uri=from_uri,
                to_uri=to_uri,
                from_display=from_display,
                headers=headers or [],
                codecs=codecs or ["PCMU", "PCMA"],
            )
        )
        return leg

    def press(self, leg: str, digits: str) -> None:
        """The remote party presses keys, all at this moment."""
        for digit in digits:
            self.report(reports.DigitReport(leg=leg, digit=digit, method="rfc4733", duration_ms=100))
            for operation in list(self._legs[leg].running.values()):
                operation.digit(digit)

    def speak(self, leg: str, duration_s: float) -> None:
        """The remote party speaks from now for a while."""
        self._speech(leg, True)
        self._later(leg, duration_s, lambda: self._speech(leg, False))

    def hear(self, leg: str, samples: bytes) -> None:
        """The remote party's audio, for what listens: int16, little endian, mono, 8 kHz."""
        for operation in list(self._legs[leg].running.values()):
            if isinstance(operation, running.Listening):
                operation.hear(samples)

    def hang_up(self, leg: str, *, reason: str = "") -> None:
        """The remote party sends BYE, or CANCEL before the answer; nothing happens when the leg is gone already."""
        if leg not in self._legs:
            return
        cause: Literal["bye", "cancel"] = "bye" if self._legs[leg].snapshot.state == "answered" else "cancel"
        self.end_leg(leg, reports.LegEnded(leg=leg, by="remote", cause=cause, reason=reason))

    def end_leg(self, leg: str, ended: reports.LegEnded) -> None:
        """End a leg in a way of the test's choice."""
        gone = self._legs.pop(leg, None)
        if gone is None:
            return
        for timer in gone.timers:
            timer.cancel()
        for operation in list(gone.running.values()):
            operation.end("hangup")
        self.report(msgspec.structs.replace(ended, label=gone.snapshot.label))

    def end_operation(self, operation: int, cause: ops.EndCause, detail: str = "") -> None:
        """End a running operation in a way of the test's choice."""
        target = self._running(operation)
        if target is None:
            raise LookupError(f"operation {operation} is not running")
        target.end(cause, detail=detail)

    def lose(self) -> None:
        """The connection goes; legs live on and reports are kept until the next ``start``."""
        on_lost, self._sink, self._on_lost = self._on_lost, None, None
        if on_lost is not None:
            on_lost(EngineLost("scripted"))

    def crash(self) -> None:
        """The engine dies: legs and kept reports are gone; ``start`` finds a new one."""
        for leg in self._legs.values():
            for timer in leg.timers:
                timer.cancel()
            for operation in leg.running.values():
                operation.is_ended = True
        self._legs.clear()
        self.kept.clear()
        self._seq += 1 << 20
        self.boot = uuid.uuid4().hex
        self.lose()

    # --- for running operations ---------------------------------------------------------------------------------

    def report(self, report: reports.AnyReport) -> None:
        """Number a report, keep it, hand it up."""
        is_kept = not isinstance(report, reports.AudioReport | reports.PcmCredit | reports.Stats | reports.SipTrace)
        self._seq += is_kept
        numbered = msgspec.structs.replace(report, seq=self._seq if is_kept else 0, at_us=self.now_us())
        self.reports.append(numbered)
        if is_kept:
            self.kept.append(numbered)
        if isinstance(numbered, reports.LegChanged) and numbered.leg in self._legs:
            self._change(numbered)
        if self._sink is not None:
            self._sink(numbered)

    def now_us(self) -> int:
        """The loop's clock, on an epoch."""
        return EPOCH_US + round(asyncio.get_running_loop().time() * 1_000_000)

    def forget(self, running: running.Running) -> None:
        """An operation ended."""
        if running.leg in self._legs:
            self._legs[running.leg].running.pop(running.id, None)

    # --- operations ---------------------------------------------------------------------------------------------

    def _do(self, operation: ops.AnyOperation) -> None:
        match operation:
            case ops.LegDial() | ops.LegRing() | ops.LegAnswer() | ops.LegHangup() | ops.LegLabel():
                self._signal(operation)
            case ops.Play():
                self._begin(running.Playing(self, operation))
            case ops.Record():
                self._begin(running.Recording(self, operation))
            case ops.SendDigits():
                self._check_digits(operation)
                self._begin(running.SendingDigits(self, operation))
            case ops.Echo():
                self._begin(running.Echoing(self, operation))
            case ops.Listen():
                self._begin(running.Listening(self, operation))
            case ops.Append() | ops.Pause() | ops.Resume() | ops.Volume():
                self._steer(operation)
            case ops.Stop():
                self._stop(operation)
            case ops.Ack():
                self.kept = [report for report in self.kept if report.seq > operation.seq]
            case ops.Credit():
                listening = self._running(operation.target)
                if isinstance(listening, running.Listening):
                    listening.credit_ms += operation.ms
            case ops.Pcm():
                self._push(operation)
            case ops.PromptDone():
                self._prompt_done(operation)
            case ops.Ping() | ops.Hello():
                pass

    def _signal(self, operation: ops.LegDial | ops.LegRing | ops.LegAnswer | ops.LegHangup | ops.LegLabel) -> None:
        match operation:
            case ops.LegDial():
                self._dial(operation)
            case ops.LegRing():
                self._move(operation.leg, ("trying", "ringing"), "ringing")
            case ops.LegAnswer():
                self._move(operation.leg, ("trying", "ringing"), "answered")
                self._answered(operation.leg)
            case ops.LegHangup() if operation.leg in self._legs:
                self._hang_up(operation)
            case ops.LegLabel() if operation.leg in self._legs:
                self._update(operation.leg, label=operation.label)
            case _:
                pass

    def _dial(self, dial: ops.LegDial) -> None:
        if dial.leg in self._legs:
            raise EngineRefused("bad_request", f"leg {dial.leg} exists; choose another UUID")
        self._new_leg(dial.leg, "outbound", dial.from_uri, dial.to_uri, dial.label)
        peer = self.peers.get(dial.destination) or self.peers.get(dial.to_uri, self.default_peer)
        self._later(dial.leg, dial.ring_timeout_ms / 1000, lambda: self._ring_timeout(dial.leg))
        if dial.response_timeout_ms and peer.ring_after_s is None and peer.answer_after_s is None:
            self._later(dial.leg, dial.response_timeout_ms / 1000, lambda: self._ring_timeout(dial.leg))
        if peer.ring_after_s is not None and peer.is_there:
            self._later(dial.leg, peer.ring_after_s, lambda: self._rings(dial.leg, peer))
        if peer.answer_after_s is not None:
            final = self._rejects if peer.status or not peer.is_there else self._answers
            self._later(dial.leg, peer.answer_after_s, lambda: final(dial.leg, peer))

    def _rings(self, leg: str, peer: Peer) -> None:
        self._update(leg, state="ringing")
        status, reason = (183, "Session Progress") if peer.early_media else (180, "Ringing")
        self.report(reports.LegProgress(leg=leg, status=status, reason=reason, early_media=peer.early_media))

    def _answers(self, leg: str, _peer: Peer) -> None:
        self._update(leg, state="answered")
        self._answered(leg)

    def _rejects(self, leg: str, peer: Peer) -> None:
        if peer.is_there:
            ended = reports.LegEnded(leg=leg, by="remote", cause="rejected", status=peer.status, reason=peer.reason)
        else:
            ended = reports.LegEnded(leg=leg, by="none", cause="unreachable", status=503, reason="not reached")
        self.end_leg(leg, ended)

    def _ring_timeout(self, leg: str) -> None:
        if self._legs[leg].snapshot.state != "answered":
            self.end_leg(leg, reports.LegEnded(leg=leg, by="local", cause="timeout", status=408, reason="ring timeout"))

    def _change(self, changed: reports.LegChanged) -> None:
        now = self._leg(changed.leg).snapshot
        entry = self._leg(changed.leg)
        entry.held_us = (entry.held_us or changed.at_us) if changed.hold else 0
        self._update(changed.leg, codec=changed.codec or now.codec)

    def _answered(self, leg: str) -> None:
        self._update(leg, answered_us=self.now_us(), codec=self.codec)
        media = "127.0.0.1:4000"
        self.report(reports.LegAnswered(leg=leg, codec=self.codec, digits=self.digits, remote_media=media))

    def _hang_up(self, hangup: ops.LegHangup) -> None:
        snapshot = self._legs[hangup.leg].snapshot
        cause: Literal["bye", "cancel", "rejected"] = "bye"
        if snapshot.state != "answered":
            cause = "cancel" if snapshot.direction == "outbound" else "rejected"
        self._update(hangup.leg, state="ending")
        ended = reports.LegEnded(leg=hangup.leg, by="local", cause=cause, status=hangup.status, reason=hangup.reason)
        self._later(hangup.leg, running.TICK_S, lambda: self.end_leg(hangup.leg, ended))

    def _begin(self, operation: running.Running) -> None:
        leg = self._leg(operation.leg)
        if leg.snapshot.state != "answered":
            words = "answer() first" if leg.snapshot.direction == "inbound" else "not answered yet"
            raise EngineRefused("wrong_state", words)
        leg.running[operation.id] = operation
        operation.begin()

    def _steer(self, operation: ops.Append | ops.Pause | ops.Resume | ops.Volume) -> None:
        target = self._running(operation.target)
        match operation, target:
            case ops.Pause(), running.Playing() | running.Recording():
                target.pause(operation.behavior)
            case ops.Resume(), running.Playing() | running.Recording():
                target.resume()
            case ops.Volume(), running.Playing():
                target.volume_db = operation.volume_db
            case ops.Append(), running.Playing():
                if not target.append(operation.sources, operation.more):
                    raise EngineRefused("wrong_state", "this Play takes no more sources; open it with more")
            case _, None:
                raise EngineRefused("unknown_operation", f"operation {operation.target} is not running")
            case _:
                raise EngineRefused("wrong_state", f"a {target.kind} cannot do that")

    def _stop(self, stop: ops.Stop) -> None:
        target = self._running(stop.target)
        if target is not None:
            asyncio.get_running_loop().call_later(running.TICK_S, target.end, "stopped")

    def _push(self, pcm: ops.Pcm) -> None:
        for playing in self._playing():
            playing.pushed(pcm.stream, len(pcm.samples) / 16000, pcm.last)

    def _prompt_done(self, done: ops.PromptDone) -> None:
        length_s = None if done.size_bytes < 0 else done.size_bytes / 16000
        if length_s is not None:
            self.prompt_lengths_s.setdefault(done.prompt, length_s)
            length_s = self.prompt_lengths_s[done.prompt]
        for playing in self._playing():
            playing.length_known(done.prompt, length_s)

    # --- legs ---------------------------------------------------------------------------------------------------

    def _new_leg(self, leg: str, direction: str, from_uri: str, to_uri: str, label: str) -> str:
        snapshot = reports.LegSnapshot(
            leg=leg,
            direction="inbound" if direction == "inbound" else "outbound",
            state="trying",
            from_uri=from_uri,
            to_uri=to_uri,
            label=label,
            started_us=self.now_us(),
        )
        self._legs[leg] = _Leg(snapshot, {}, [])
        return leg

    def _leg(self, leg: str) -> _Leg:
        if leg not in self._legs:
            raise EngineRefused("unknown_leg", f"leg {leg} does not exist (any more)")
        return self._legs[leg]

    def _update(self, leg: str, **changes: object) -> None:
        entry = self._legs[leg]
        entry.snapshot = msgspec.structs.replace(entry.snapshot, **changes)

    def _move(self, leg: str, allowed: tuple[str, ...], state: str) -> None:
        snapshot = self._leg(leg).snapshot
        if snapshot.direction != "inbound" or snapshot.state not in allowed:
            raise EngineRefused("wrong_state", f"the leg is {snapshot.direction} and {snapshot.state}")
        self._update(leg, state=state)

    def _snapshot(self, leg: _Leg) -> reports.LegSnapshot:
        operations = [
            msgspec.convert({"id": entry.id, "kind": entry.kind, "prompts": entry.prompts}, reports.OperationSnapshot)
            for entry in leg.running.values()
        ]
        started_us, answered_us = leg.snapshot.started_us, leg.snapshot.answered_us
        return msgspec.structs.replace(
            leg.snapshot,
            operations=operations,
            age_ms=self._ms_since(started_us),
            answered_ms=self._ms_since(answered_us) if answered_us else None,
            held_ms=self._ms_since(leg.held_us) if leg.held_us else None,
        )

    def _ms_since(self, then_us: int) -> int:
        return (self.now_us() - then_us) // 1000

    def _later(self, leg: str, after_s: float, callback: Callable[[], None]) -> None:
        def run() -> None:
            if leg in self._legs:
                callback()

        self._legs[leg].timers.append(asyncio.get_running_loop().call_later(after_s, run))

    def _speech(self, leg: str, is_speaking: bool) -> None:
        for operation in list(self._legs[leg].running.values()):
            operation.speech(is_speaking)

    def _running(self, operation: int) -> running.Running | None:
        return next((leg.running[operation] for leg in self._legs.values() if operation in leg.running), None)

    def _playing(self) -> list[running.Playing]:
        entries = [entry for leg in self._legs.values() for entry in leg.running.values()]
        return [entry for entry in entries if isinstance(entry, running.Playing)]

    def _check_digits(self, send: ops.SendDigits) -> None:
        wrong = set(send.digits) - set("0123456789*#ABCDwW")
        if wrong or not send.digits:
            raise EngineRefused("bad_request", "digits are 0-9, *, #, A-D, w and W, at least one")
