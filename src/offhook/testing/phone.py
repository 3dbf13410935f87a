"""A simulated phone: places and takes real SIP calls, says, presses, listens.

    async with Phone() as phone:
        call = await phone.call("sip:100@127.0.0.1:5060")
        await call.hears_energy(within_s=2)
        await call.press("1")
        await call.hears_tone(440, within_s=3)
        await call.hangup()

It is an engine of its own, on ports of its own; what it hears is judged from what came by RTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import socket
import tempfile
import uuid
import wave
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from offhook.errors import CallerError, EngineLost, EngineRefused, MachineError
from offhook.node.engine import ops, reports
from offhook.node.engine.launch import EngineOptions, LaunchedEngine, find_engine, launch_engine
from offhook.node.engine.process import EngineProcess
from offhook.testing.hearing import RATE_HZ, SILENCE_DBM0, Hearing, level_dbm0

__all__ = ["CallFailed", "NotHeard", "Phone", "PhoneCall", "Synthesiser"]

Synthesiser = Callable[[str], Awaitable[Path]]
"""Speaks a text into a WAV file."""

_SIP_URI = re.compile(
    r"^sip:(?:[^@\s<>]+@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?(?:[;?]\S*)?\Z",
    re.IGNORECASE,
)
_MAX_PORT = 65535
_BLOCK_MS = 20
_CREDIT_MS = 2000


class CallFailed(MachineError):
    """The call did not come to be. ``ended`` says how."""

    def __init__(self, ended: reports.LegEnded) -> None:
        super().__init__(f"the call failed: {ended.cause} {ended.status or ''} {ended.reason}".strip())
        self.ended = ended


class NotHeard(AssertionError):
    """What was waited for did not come in time."""


class PhoneCall:
    """One call of the phone, answered."""

    def __init__(self, phone: Phone, leg: str) -> None:
        self.leg = leg
        self.hearing = Hearing()
        self.reports: list[reports.AnyReport] = []
        self.digits = ""
        self.ended: reports.LegEnded | None = None
        self.answered: reports.LegAnswered | None = None
        self.incoming: reports.LegIncoming | None = None
        self.is_ringing = False
        self._phone = phone
        self._unheard_digits: deque[str] = deque()
        self._operations: dict[int, reports.OperationEnded] = {}
        self._listen = 0
        self._news = asyncio.Event()

    # --- doing --------------------------------------------------------------------------------------------------

    async def says(self, text: str) -> None:
        """Say a text, to its end. The phone needs a synthesiser.

        Raises:
            offhook.errors.CallerError: it has none.
        """
        if self._phone.synthesiser is None:
            raise CallerError("this phone cannot speak: give Phone a synthesiser, or play a WAV file with plays()")
        await self.plays(await self._phone.synthesiser(text))

    async def plays(self, path: Path) -> reports.OperationEnded:
        """Play a WAV or MP3 file, to its end."""
        return await self.plays_source(ops.FileSource(self._phone.prompt(path)))

    async def plays_source(self, source: ops.Source) -> reports.OperationEnded:
        """Play a tone, silence or a prompt, to its end."""
        operation = self._phone.port.next_id()
        await self._phone.port.execute(ops.Play(id=operation, leg=self.leg, sources=[source]))
        return await self._over(operation)

    async def press(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys (``0-9 * # A-D``; ``w`` waits half a second), until the last is released."""
        operation = self._phone.port.next_id()
        await self._phone.port.execute(
            ops.SendDigits(id=operation, leg=self.leg, digits=digits, duration_ms=duration_ms, gap_ms=gap_ms)
        )
        await self._over(operation)

    async def hangup(self, *, within_s: float = 5.0) -> reports.LegEnded:
        """Hang up, and wait until the call is gone."""
        await self._phone.port.execute(ops.LegHangup(id=self._phone.port.next_id(), leg=self.leg))
        return await self.waits_ended(within_s=within_s)

    # --- hearing ------------------------------------------------------------------------------------------------

    async def hears_tone(self, *frequencies_hz: float, within_s: float = 5.0, lasting_s: float = 0.1) -> float:
        """Wait for a tone (of one or several frequencies at once); returns when it began, in seconds of what was heard.

        Raises:
            NotHeard: it did not come in time, or the call ended before.
        """
        what = f"a tone of {', '.join(f'{hz:g}' for hz in frequencies_hz)} Hz"
        return await self._hears(what, lambda: self.hearing.find_tone(frequencies_hz, lasting_s), within_s)

    async def hears_energy(
        self, *, within_s: float = 5.0, lasting_s: float = 0.1, least_dbm0: float = SILENCE_DBM0 + 5
    ) -> float:
        """Wait for any sound; returns when it began. Raises NotHeard."""
        return await self._hears("sound", lambda: self.hearing.find_energy(least_dbm0, lasting_s), within_s)

    async def hears_silence(
        self, *, within_s: float = 10.0, lasting_s: float = 0.5, most_dbm0: float = SILENCE_DBM0
    ) -> float:
        """Wait for a silence; returns when it began. Raises NotHeard."""
        return await self._hears("silence", lambda: self.hearing.find_silence(most_dbm0, lasting_s), within_s)

    async def hears_digit(self, digit: str = "", *, within_s: float = 5.0) -> str:
        """Wait for the next key of the other party, and check that it is ``digit``. Raises NotHeard."""
        await self._until(lambda: bool(self._unheard_digits), f"the digit {digit}".strip(), within_s)
        heard = self._unheard_digits.popleft()
        if digit and heard != digit:
            raise NotHeard(f"expected the digit {digit}, heard {heard}")
        return heard

    async def waits_ringing(self, *, within_s: float = 10.0) -> None:
        """Wait until the party that was called says that it rings (180), if it did not yet. Raises NotHeard."""
        await self._until(lambda: self.is_ringing, "ringing", within_s)

    async def waits_ended(self, *, within_s: float = 30.0) -> reports.LegEnded:
        """Wait until the call is over. Raises NotHeard."""
        await self._until(lambda: self.ended is not None, "the end of the call", within_s)
        assert self.ended is not None
        return self.ended

    def heard_wav(self, path: Path) -> Path:
        """Write all that was heard to a WAV file (16 bit, mono, 8 kHz)."""
        with wave.open(str(path), "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(RATE_HZ)
            audio.writeframes(self.hearing.samples.tobytes())
        return path

    # --- for Phone ----------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Begin to hear; what is over already has nothing to be heard."""
        self._listen = self._phone.port.next_id()
        try:
            await self._phone.port.execute(
                ops.Listen(id=self._listen, leg=self.leg, block_ms=_BLOCK_MS, credit_ms=_CREDIT_MS)
            )
        except EngineRefused as refused:
            if refused.code != "unknown_leg":
                raise
            await self.waits_ended()  # the report of it may come after the refusal

    async def waits_answer(self) -> None:
        """Wait until it is answered; the dial's own time limit ends the wait. It may be over by then."""
        await self._until(lambda: self.answered is not None or self.ended is not None, "an answer", None)
        if self.answered is None:
            assert self.ended is not None
            raise CallFailed(self.ended)

    def receive(self, report: reports.AnyReport) -> None:
        """A report of this leg."""
        match report:
            case reports.AudioReport():
                self.hearing.add(report.offset_ms, report.samples)
                self._phone.port.send(ops.Credit(target=report.op, ms=_BLOCK_MS))
            case reports.DigitReport():
                self.digits += report.digit
                self._unheard_digits.append(report.digit)
            case reports.OperationEnded():
                self._operations[report.op] = report
            case reports.LegProgress(status=180):
                self.is_ringing = True
            case reports.LegAnswered():
                self.answered = report
            case reports.LegEnded():
                self.ended = report
            case _:
                pass
        if not isinstance(report, reports.AudioReport):
            self.reports.append(report)
        self._news.set()

    async def _over(self, operation: int) -> reports.OperationEnded:
        await self._until(lambda: operation in self._operations, "the end of an operation", None)
        return self._operations.pop(operation)

    async def _hears(self, what: str, find: Callable[[], float | None], within_s: float) -> float:
        found: list[float] = []

        def is_found() -> bool:
            at_s = find()
            found.extend([] if at_s is None else [at_s])
            return bool(found)

        await self._until(is_found, what, within_s)
        return found[0]

    async def _until(self, holds: Callable[[], bool], what: str, within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    if self.ended is not None:
                        raise NotHeard(f"waited for {what}, but the call ended: {self.ended.cause}")
                    self._phone.check()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            level = level_dbm0(self.hearing.samples[-RATE_HZ:])
            heard = f"heard {self.hearing.length_s:.1f} s, the last second at {level:.0f} dBm0"
            raise NotHeard(f"waited {within_s:g} s for {what}; {heard}") from error

    def wake(self) -> None:
        """Look again."""
        self._news.set()


class Phone:
    """An engine of its own with one address; use it with ``async with``.

    ``synthesiser``: for ``says``. ``trust``: networks whose calls it takes, beyond loopback.
    """

    def __init__(
        self,
        *,
        binary: str = "",
        address: str = "127.0.0.1",
        synthesiser: Synthesiser | None = None,
        trust: tuple[str, ...] = (),
    ) -> None:
        self.synthesiser = synthesiser
        self.sip = ""
        """Where it listens, ``ip:port``."""
        self.log: deque[bytes] = deque(maxlen=1000)
        """What its engine logged: JSON lines."""
        self._binary = binary
        self._address = address
        self._trust = trust
        self._stack = contextlib.AsyncExitStack()
        self._calls: dict[str, PhoneCall] = {}
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._lost: EngineLost | None = None
        self.port: EngineProcess

    @property
    def uri(self) -> str:
        """How to call this phone."""
        return f"sip:phone@{self.sip}"

    async def __aenter__(self) -> Phone:
        async with contextlib.AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oh-phone-")))
            for name in ("prompts", "recordings"):
                (home / name).mkdir(mode=0o700)
            options = EngineOptions(
                socket=home / "control",
                prompts=home / "prompts",
                recordings=home / "recordings",
                sip_udp=f"{self._address}:0",
                sip_tcp=f"{self._address}:0",
                rtp_ip=self._address,
                trust=self._trust,
            )
            secret = secrets.token_bytes(32)
            launched: LaunchedEngine = await launch_engine(
                find_engine(self._binary), options, secret, hear=self.log.append
            )
            stack.push_async_callback(launched.end)
            self.port = EngineProcess(
                options.socket,
                secret,
                prompts=options.prompts,
                recordings=options.recordings,
                epoch=1,
                traces=True,
            )
            stack.push_async_callback(self.port.close)
            welcome = await self.port.start(self._receive, on_lost=self._on_lost)
            self.sip = welcome.sip_udp
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def call(
        self,
        uri: str,
        *,
        from_uri: str = "",
        from_display: str = "",
        headers: Mapping[str, str] | None = None,
        codecs: tuple[str, ...] = (),
        ring_timeout_s: float = 30.0,
    ) -> PhoneCall:
        """Call a SIP URI (``sip:100@127.0.0.1:5060``, ``;transport=tcp``) and wait for the answer.

        Raises:
            CallFailed: nobody answered; its ``ended`` has the SIP status.
            offhook.errors.CallerError: no SIP URI.
        """
        call = await self.dial(
            uri,
            from_uri=from_uri,
            from_display=from_display,
            headers=headers,
            codecs=codecs,
            ring_timeout_s=ring_timeout_s,
        )
        await call.waits_answer()
        await call.listen()
        return call

    async def dial(
        self,
        uri: str,
        *,
        from_uri: str = "",
        from_display: str = "",
        headers: Mapping[str, str] | None = None,
        codecs: tuple[str, ...] = (),
        ring_timeout_s: float = 30.0,
    ) -> PhoneCall:
        """As ``call``, without waiting for the answer; ``PhoneCall.waits_ringing`` tells when it rings."""
        call = PhoneCall(self, str(uuid.uuid4()))
        self._calls[call.leg] = call
        await self.port.execute(
            ops.LegDial(
                id=self.port.next_id(),
                leg=call.leg,
                to_uri=uri,
                from_uri=from_uri or self.uri,
                destination=await _destination(uri, self._address),
                transport="tcp" if "transport=tcp" in uri.lower() else "udp",
                from_display=from_display,
                headers=[ops.Header(name, value) for name, value in (headers or {}).items()],
                codecs=list(codecs),
                ring_timeout_ms=round(ring_timeout_s * 1000),
            )
        )
        return call

    async def rings(self, *, within_s: float = 30.0) -> PhoneCall:
        """Wait for the next incoming call and ring, without answering. Raises NotHeard."""
        try:
            async with asyncio.timeout(within_s):
                call = await self._incoming.get()
        except TimeoutError as error:
            self.check()
            raise NotHeard(f"nobody called within {within_s:g} s") from error
        await self.port.execute(ops.LegRing(id=self.port.next_id(), leg=call.leg))
        return call

    async def answer_next(self, *, within_s: float = 30.0) -> PhoneCall:
        """Wait for the next incoming call and answer it. Raises NotHeard."""
        call = await self.rings(within_s=within_s)
        await self.port.execute(ops.LegAnswer(id=self.port.next_id(), leg=call.leg))
        await call.waits_answer()
        await call.listen()
        return call

    async def reject_next(self, status: int, reason: str = "", *, within_s: float = 30.0) -> PhoneCall:
        """Wait for the next incoming call and refuse it. Raises NotHeard."""
        call = await self.rings(within_s=within_s)
        await self.port.execute(ops.LegHangup(id=self.port.next_id(), leg=call.leg, status=status, reason=reason))
        return call

    # --- for PhoneCall ------------------------------------------------------------------------------------------

    def prompt(self, path: Path) -> str:
        """Put a file where the engine can play it; returns its name there."""
        name = f"{uuid.uuid4().hex}{path.suffix}"
        shutil.copyfile(path, self.port.prompts / name)
        return name

    def check(self) -> None:
        """Raise if the phone's engine is gone."""
        if self._lost is not None:
            raise self._lost

    def _receive(self, report: reports.AnyReport) -> None:
        if isinstance(report, reports.LegIncoming):
            call = PhoneCall(self, report.leg)
            call.incoming = report
            self._calls[report.leg] = call
            self._incoming.put_nowait(call)
        leg = getattr(report, "leg", None)
        if isinstance(leg, str) and leg in self._calls:
            self._calls[leg].receive(report)
            if isinstance(report, reports.LegEnded):
                del self._calls[leg]
        if report.seq:
            self.port.send(ops.Ack(report.seq))

    def _on_lost(self, error: EngineLost) -> None:
        self._lost = error
        for call in self._calls.values():
            call.wake()


async def _destination(uri: str, address: str) -> str:
    """``ip:port`` of a SIP URI; a name is looked up, for an address of the kind that the phone has.

    Raises:
        offhook.errors.CallerError: no SIP URI, or a name that nobody has.
    """
    match = _SIP_URI.match(uri)
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        raise CallerError(f"{uri[:80]!r} is no SIP URI: write sip:user@host or sip:user@host:port")
    host, port = match["host"], int(match["port"] or 5060)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, family=family)
    except OSError as error:
        raise CallerError(f"{host} is not found from {address}: name a host or an address it can reach") from error
    ip = found[0][4][0]
    return f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}"
