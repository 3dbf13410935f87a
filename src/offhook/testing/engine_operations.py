"""How the fake engine plays, records and sends digits: the same reports as the real one, on the loop's clock."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from offhook.node.engine import ops, reports

__all__ = ["Echoing", "Host", "Listening", "Playing", "Recording", "Running", "SendingDigits", "source_length_s"]

TICK_S = 0.02
BEEP_S = 0.3


class Host(Protocol):
    """What a running operation needs of the fake engine."""

    prompts: Path
    recordings: Path
    prompt_lengths_s: dict[str, float]

    def report(self, report: reports.AnyReport) -> None:
        """Number the report and hand it up."""
        ...

    def now_us(self) -> int:
        """The loop's clock as microseconds of an epoch."""
        ...

    def forget(self, running: Running) -> None:
        """It ended."""
        ...


class PausableTimer:
    """Calls back once ``length_s`` has passed while it ran. Without a length it only counts."""

    def __init__(self, length_s: float | None, callback: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._length_s = length_s
        self._callback = callback
        self._before_s = 0.0
        self._since_s: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    @property
    def elapsed_s(self) -> float:
        """How long it ran."""
        return self._before_s + (0.0 if self._since_s is None else self._loop.time() - self._since_s)

    def run(self) -> PausableTimer:
        """Start or go on."""
        if self._since_s is None:
            self._since_s = self._loop.time()
            self._arm()
        return self

    def pause(self) -> None:
        """Stand still."""
        self._before_s, self._since_s = self.elapsed_s, None
        self.cancel()

    def set_length(self, length_s: float) -> None:
        """The length is known now."""
        self._length_s = length_s
        self.cancel()
        if self._since_s is not None:
            self._arm()

    def cancel(self) -> None:
        """Never call back (unless it is run or given a length again)."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._length_s is not None:
            self._handle = self._loop.call_later(max(0.0, self._length_s - self.elapsed_s), self._callback)


def source_length_s(source: ops.Source, host: Host) -> float | None:
    """Seconds that a source plays; None while nobody can know (growing, pushed, or until stopped)."""
    match source:
        case ops.SilenceSource():
            return source.duration_ms / 1000
        case ops.ToneSource(duration_ms=0):
            return sum(tone.duration_ms for tone in source.cadence) / 1000
        case ops.ToneSource():
            return None if source.duration_ms < 0 else source.duration_ms / 1000
        case ops.PcmSource():
            return None
        case ops.FileSource():
            if source.prompt in host.prompt_lengths_s:
                return host.prompt_lengths_s[source.prompt]
            return None if source.growing else _file_length_s(source, host.prompts / source.prompt)


def _file_length_s(source: ops.FileSource, path: Path) -> float:
    if source.encoding == "pcm_s16le":
        return path.stat().st_size / 2 / source.rate_hz
    with wave.open(str(path), "rb") as audio:
        return audio.getnframes() / audio.getframerate()


class Running:
    """One accepted operation; ends exactly once."""

    kind: str = ""

    def __init__(self, host: Host, operation: int, leg: str) -> None:
        self.host = host
        self.id = operation
        self.leg = leg
        self.is_ended = False
        self.is_paused = False
        self.started_us = 0
        self._timers: list[PausableTimer] = []

    def begin(self) -> None:
        """The operation was accepted."""

    def digit(self, digit: str) -> None:
        """The remote party pressed a key."""

    def speech(self, is_speaking: bool) -> None:
        """The remote party began or ceased to speak."""

    def pause(self, _behavior: str) -> None:
        """Stand still."""
        self.is_paused = True
        for timer in self._timers:
            timer.pause()

    def resume(self) -> None:
        """Go on."""
        self.is_paused = False
        for timer in self._timers:
            timer.run()

    def end(self, cause: ops.EndCause, *, digit: str = "", detail: str = "") -> None:
        """End once; later causes are ignored."""
        if self.is_ended:
            return
        self.is_ended = True
        for timer in self._timers:
            timer.cancel()
        duration_ms, size_bytes = self.result()
        self.host.forget(self)
        self.host.report(
            reports.OperationEnded(
                op=self.id,
                leg=self.leg,
                cause=cause,
                detail=detail,
                digit=digit,
                duration_ms=duration_ms,
                size_bytes=size_bytes,
                started_us=self.started_us,
                first_frame_us=self.started_us,
            )
        )

    @property
    def prompts(self) -> list[str]:
        """Names of files that it plays."""
        return []

    def result(self) -> tuple[int, int]:
        """Milliseconds and bytes that the end reports."""
        return 0, 0

    def timer(self, length_s: float | None, callback: Callable[[], None]) -> PausableTimer:
        """A timer that pauses and dies with the operation."""
        timer = PausableTimer(length_s, lambda: None if self.is_ended else callback())
        self._timers.append(timer)
        return timer if self.is_paused else timer.run()

    def started(self) -> None:
        """Report the first frame."""
        self.started_us = self.host.now_us()
        self.host.report(reports.OperationStarted(op=self.id, leg=self.leg))


class Playing(Running):
    """A Play: its sources one after another, each as long as it is."""

    kind = "play"

    def __init__(self, host: Host, play: ops.Play) -> None:
        super().__init__(host, play.id, play.leg)
        self.play = play
        self.volume_db = play.volume_db
        self._sources = list(play.sources)
        self._more = play.more
        self._loops_left = play.loops
        self._index = 0
        self._current: PausableTimer | None = None
        self._played_s = 0.0

    def begin(self) -> None:
        self.timer(TICK_S, self._first_frame)

    def digit(self, digit: str) -> None:
        if "digit" in self.play.interrupt:
            self.end("interrupted", digit=digit)

    def speech(self, is_speaking: bool) -> None:
        if is_speaking and "speech" in self.play.interrupt:
            self.end("interrupted")

    def append(self, sources: list[ops.Source], more: bool) -> bool:
        """Add sources; false when the list was closed before."""
        if not self._more:
            return False
        self._sources += sources
        self._more = more
        if self._current is None and self.started_us:
            self._next()
        return True

    @property
    def prompts(self) -> list[str]:
        return sorted({source.prompt for source in self._sources if isinstance(source, ops.FileSource)})

    def length_known(self, prompt: str, length_s: float | None) -> None:
        """A growing prompt is complete; None: writing it failed."""
        source = self._sources[self._index] if self._index < len(self._sources) else None
        if self._current is None or not isinstance(source, ops.FileSource) or source.prompt != prompt:
            return
        if length_s is None:
            self.end("error", detail="the prompt could not be written")
        else:
            self._current.set_length(length_s)

    def pushed(self, stream: int, length_s: float, last: bool) -> None:
        """Samples of a PcmSource came."""
        source = self._sources[self._index] if self._index < len(self._sources) else None
        if isinstance(source, ops.PcmSource) and source.stream == stream:
            self._played_s += length_s
            if last and self._current is not None:
                self._current.set_length(self._played_s)

    def result(self) -> tuple[int, int]:
        if not self.started_us:
            return 0, 0
        return (self.host.now_us() - self.started_us) // 1000, 0

    def _first_frame(self) -> None:
        if not self._is_missing():
            self.started()
        self._next()

    def _is_missing(self) -> bool:
        match self._sources[self._index : self._index + 1]:
            case [ops.FileSource(prompt=prompt)]:
                return prompt not in self.host.prompt_lengths_s and not (self.host.prompts / prompt).exists()
        return False

    def _next(self) -> None:
        if self._index >= len(self._sources):
            self._list_over()
            return
        if self._is_missing():
            self.end("error", detail="file: No such file or directory")
            return
        self._played_s = 0.0
        self._current = self.timer(source_length_s(self._sources[self._index], self.host), self._source_over)

    def _source_over(self) -> None:
        self._current = None
        self._index += 1
        self._next()

    def _list_over(self) -> None:
        if self._more:
            return
        self._loops_left -= 1
        if self._loops_left == 0:
            self.end("finished")
            return
        self._index = 0
        self._next()


class Recording(Running):
    """A Record: writes silence of the right length."""

    kind = "record"

    def __init__(self, host: Host, record: ops.Record) -> None:
        super().__init__(host, record.id, record.leg)
        self.record = record
        self._clock: PausableTimer | None = None
        self._initial: PausableTimer | None = None
        self._silence: PausableTimer | None = None
        self._keeps_pause = False

    def begin(self) -> None:
        self.timer(TICK_S + (BEEP_S if self.record.beep else 0.0), self._first_frame)

    def digit(self, digit: str) -> None:
        if self._clock is not None and digit in self.record.terminators:
            self.end("terminator", digit=digit)

    def speech(self, is_speaking: bool) -> None:
        if self._clock is None:
            return
        for timer in (self._initial, self._silence):
            if timer is not None:
                timer.cancel()
                self._timers.remove(timer)
        self._initial = self._silence = None
        if not is_speaking and self.record.end_silence_timeout_ms:
            self._silence = self.timer(self.record.end_silence_timeout_ms / 1000, lambda: self.end("silence"))

    def pause(self, behavior: str) -> None:
        self._keeps_pause = behavior == "silence"
        super().pause(behavior)
        if self._keeps_pause and self._clock is not None:
            self._clock.run()

    def result(self) -> tuple[int, int]:
        recorded_s = 0.0 if self._clock is None else self._clock.elapsed_s
        frames = round(recorded_s * 8000)
        path = self.host.recordings / self.record.recording
        with wave.open(str(path), "wb") as audio:
            audio.setnchannels(2 if self.record.stereo else 1)
            audio.setsampwidth(2)
            audio.setframerate(8000)
            audio.writeframes(bytes(frames * 2 * audio.getnchannels()))
        return round(recorded_s * 1000), path.stat().st_size

    def _first_frame(self) -> None:
        self.started()
        maximum_s = self.record.max_length_ms / 1000 or None
        self._clock = self.timer(maximum_s, lambda: self.end("max_length"))
        if self.record.initial_timeout_ms:
            self._initial = self.timer(self.record.initial_timeout_ms / 1000, lambda: self.end("no_input"))


class SendingDigits(Running):
    """A SendDigits: as long as its digits, gaps and waits."""

    kind = "send_digits"

    def __init__(self, host: Host, send: ops.SendDigits) -> None:
        super().__init__(host, send.id, send.leg)
        self.send = send

    def begin(self) -> None:
        waits_ms = {"w": 500, "W": 1000}
        length_ms = sum(waits_ms.get(key, self.send.duration_ms + self.send.gap_ms) for key in self.send.digits)
        self.timer(length_ms / 1000, lambda: self.end("finished"))


class Echoing(Running):
    """An Echo: nothing but its time."""

    kind = "echo"

    def __init__(self, host: Host, echo: ops.Echo) -> None:
        super().__init__(host, echo.id, echo.leg)
        self.echo = echo

    def begin(self) -> None:
        self.timer(self.echo.timeout_ms / 1000, lambda: self.end("timeout"))


class Listening(Running):
    """A Listen: hands up what the test lets it hear, while there is credit."""

    kind = "listen"

    def __init__(self, host: Host, listen: ops.Listen) -> None:
        super().__init__(host, listen.id, listen.leg)
        self.listen = listen
        self.credit_ms = listen.credit_ms
        self.offset_ms = 0

    def hear(self, samples: bytes) -> None:
        """Audio of the remote party: int16 mono 8 kHz; beyond the credit it is dropped."""
        block_bytes = self.listen.block_ms * 16
        for begin in range(0, len(samples), block_bytes):
            block = samples[begin : begin + block_bytes]
            if self.credit_ms >= self.listen.block_ms:
                self.credit_ms -= self.listen.block_ms
                self.host.report(reports.AudioReport(op=self.id, leg=self.leg, offset_ms=self.offset_ms, samples=block))
            self.offset_ms += self.listen.block_ms
