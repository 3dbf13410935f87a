"""The real engine: its control socket, as an EnginePort."""

from __future__ import annotations

import asyncio
import struct
import time
from pathlib import Path
from typing import cast

import msgspec
import structlog

from offhook.errors import EngineLost, EngineRefused
from offhook.node.engine import ops, reports
from offhook.node.engine.port import LostSink, ReportSink

__all__ = ["EngineProcess"]

log = structlog.get_logger(__name__)
_LENGTH = struct.Struct(">I")
_RETRY_S = 0.05
_HELLO_S = 5.0
_UNREAD_BYTES = 8 << 20
_EPOCHS_PER_S = 4
_EPOCHS_BEGAN_S = 1_577_836_800
_PATIENCE_S = 0.01


class EngineProcess:
    """The controller of one engine. ``start`` connects, and connects again after a loss.

    ``epoch``: greater than that of every controller before; by default told by the clock. ``traces``: it
    wants a ``SipTrace`` for each SIP message. One unix socket connection, decoded in batches; no task per message.
    """

    def __init__(
        self,
        socket: Path,
        secret: bytes,
        *,
        prompts: Path,
        recordings: Path,
        epoch: int = 0,
        traces: bool = False,
        connect_timeout_s: float = 10.0,
        reply_timeout_s: float = 10.0,
    ) -> None:
        self.prompts = prompts
        self.recordings = recordings
        self._socket = socket
        self._secret = secret
        self._epoch = epoch or int((time.time() - _EPOCHS_BEGAN_S) * _EPOCHS_PER_S)
        self._traces = traces
        self._connect_timeout_s = connect_timeout_s
        self._reply_timeout_s = reply_timeout_s
        self._connection: _Connection | None = None
        self._first_id = (self._epoch & 0x7FFF_FFFF) << 32
        self._last_id = self._first_id

    def next_id(self) -> int:
        """A fresh operation id: the epoch in the upper half."""
        self._last_id += 1
        return self._last_id

    async def start(self, sink: ReportSink, *, last_seq: int = 0, on_lost: LostSink | None = None) -> reports.Welcome:
        """Connect, say hello, and hand reports to ``sink`` once the caller has the snapshot."""
        await self.close()
        loop = asyncio.get_running_loop()
        connection = _Connection(sink, on_lost)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._connect(loop, connection)
        except TimeoutError as error:
            raise EngineLost("no engine listens on its control socket") from error
        self._connection = connection
        hello = ops.Hello(ops.CONTROL_VERSION, self._epoch, self._secret, last_seq, self._traces)
        self._epoch += 1
        connection.write(hello)
        try:
            async with asyncio.timeout(_HELLO_S):
                welcome = await connection.welcome
        except TimeoutError as error:
            connection.let_go()
            raise EngineLost("the engine did not answer our hello") from error
        loop.call_soon(connection.release)
        return welcome

    async def execute(self, operation: ops.AnyOperation) -> None:
        """Send and wait for the reply."""
        connection = self._live()
        operation_id = getattr(operation, "id", None)
        if not isinstance(operation_id, int):
            raise TypeError(f"{type(operation).__name__} is not replied to: use send")
        reply = connection.expect(operation_id, self._reply_timeout_s)
        try:
            connection.write(operation)
            failure = await reply
        except (ValueError, OverflowError) as error:
            raise EngineRefused("bad_request", str(error)) from error
        finally:
            connection.forget(operation_id)
        if failure is not None:
            raise EngineRefused(failure.code, failure.message)

    def send(self, operation: ops.AnyOperation, *, patient: bool = False) -> None:
        """Send what has no reply; without a connection it is nobody's. ``patient``: it may wait 10 ms for others."""
        if self._connection is not None and self._connection.is_open:
            self._connection.write(operation, patient=patient)

    async def close(self) -> None:
        """Let go of the engine; it lives on and waits for a node."""
        if self._connection is not None:
            self._connection.let_go()
            self._connection = None

    def _live(self) -> _Connection:
        if self._connection is None or not self._connection.is_open:
            raise EngineLost("the engine is not connected")
        return self._connection

    async def _connect(self, loop: asyncio.AbstractEventLoop, connection: _Connection) -> None:
        while True:
            try:
                await loop.create_unix_connection(lambda: connection, str(self._socket))
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(_RETRY_S)
            else:
                return


class _Awaited:
    """A reply that somebody waits for, and until when. Lighter than ``asyncio.timeout``: each command has some."""

    __slots__ = ("patience", "reply", "timeout_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self.reply: asyncio.Future[reports.Failure | None] = loop.create_future()
        self.timeout_s = timeout_s
        self.patience = loop.call_later(timeout_s, self._give_up)

    def _give_up(self) -> None:
        self.fail(EngineLost(f"the engine did not reply within {self.timeout_s:g} s"))

    def fail(self, error: EngineLost) -> None:
        """No reply will come."""
        if not self.reply.done():
            self.reply.set_exception(error)


class _Connection(asyncio.Protocol):
    """Frames in, operations out, and who waits for which reply.

    Operations of two turns of the loop leave in one write, in their order, because each write wakes the engine; what is
    patient waits a little for others.
    """

    def __init__(self, sink: ReportSink, on_lost: LostSink | None) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self.welcome: asyncio.Future[reports.Welcome] = loop.create_future()
        self.is_open = False
        self.failures = 0
        """Reports that nobody could handle."""
        self._sink = sink
        self._on_lost = on_lost
        self._replies: dict[int, _Awaited] = {}
        self._legs: list[reports.LegSnapshot] = []
        self._held: list[reports.AnyReport] | None = []
        self._buffer = bytearray()
        self._outgoing = bytearray()
        self._is_leaving = False
        self._waiting: asyncio.TimerHandle | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[reports.AnyReport] = msgspec.msgpack.Decoder(reports.AnyReport)
        self._transport: asyncio.Transport | None = None
        self._why = ""

    # --- asyncio ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        begin = 0
        with memoryview(buffer) as view:
            while self.is_open and len(buffer) - begin >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, begin)
                if length > ops.MAX_FRAME_BYTES:
                    self.abandon("the engine sent a frame of more than 1 MiB")
                    break
                end = begin + _LENGTH.size + length
                if end > len(buffer):
                    break
                self._frame(view[begin + _LENGTH.size : end])
                begin = end
        del buffer[:begin]

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        error = EngineLost(self._why or (str(exc) if exc else "the engine closed the connection"))
        for awaited in self._replies.values():
            awaited.fail(error)
        if not self.welcome.done():
            self.welcome.set_exception(error)
            return
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(error)

    # --- for EngineProcess --------------------------------------------------------------------------------------

    def write(self, operation: ops.AnyOperation, *, patient: bool = False) -> None:
        """Send one operation at the end of the next turn, or with others; an engine that does not read is lost."""
        outgoing, begin = self._outgoing, len(self._outgoing)
        try:
            self._encoder.encode_into(operation, outgoing, begin + _LENGTH.size)
        except (OverflowError, TypeError):  # half of it may stand there, and would break the stream
            del outgoing[begin:]
            raise
        size_bytes = len(outgoing) - begin - _LENGTH.size
        if size_bytes > ops.MAX_FRAME_BYTES:
            del outgoing[begin:]
            raise ValueError(f"an operation of {size_bytes} bytes does not fit a frame of 1 MiB")
        _LENGTH.pack_into(outgoing, begin, size_bytes)
        if not patient:
            if not self._is_leaving:
                self._is_leaving = True
                self._loop.call_soon(self._loop.call_soon, self._flush)
        elif self._waiting is None:
            self._waiting = self._loop.call_later(_PATIENCE_S, self._flush)

    def _flush(self) -> None:
        self._is_leaving = False
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._transport is None or not self._outgoing or not self.is_open:
            return
        outgoing, self._outgoing = self._outgoing, bytearray()
        self._transport.write(outgoing)
        if self._transport.get_write_buffer_size() > _UNREAD_BYTES:
            self._why = "the engine does not read what we send"
            self.is_open = False
            self._transport.abort()

    def expect(self, operation: int, timeout_s: float) -> asyncio.Future[reports.Failure | None]:
        """Wait for the reply to an operation; EngineLost when none comes in time."""
        awaited = self._replies[operation] = _Awaited(self._loop, timeout_s)
        return awaited.reply

    def forget(self, operation: int) -> None:
        """Nobody waits for this reply any more."""
        self._replies.pop(operation).patience.cancel()

    def release(self) -> None:
        """The caller has the snapshot: hand over what came since."""
        held, self._held = self._held or [], None
        for report in held:
            self._hand_over(report)

    def let_go(self) -> None:
        """Close, and tell nobody of a loss: we wanted it."""
        self._on_lost = None
        self._flush()
        self.abandon("the node let go of the engine")

    def abandon(self, why: str) -> None:
        """Close because the engine breaks the protocol."""
        self._why = why
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _frame(self, frame: memoryview) -> None:
        try:
            report = self._decoder.decode(frame)
        except msgspec.DecodeError as error:
            self.abandon(f"the engine sent a frame that does not parse: {error}")
            return
        match report:
            case reports.Reply():
                self._replied(report)
            case reports.Welcome() if not self.welcome.done():
                self._welcomed(report)
            case _ if self._held is not None:
                self._held.append(report)
            case _:
                self._hand_over(report)

    def _welcomed(self, part: reports.Welcome) -> None:
        """It is whole with the last of its parts."""
        self._legs += part.legs
        if not part.more:
            self.welcome.set_result(msgspec.structs.replace(part, legs=self._legs))

    def _hand_over(self, report: reports.AnyReport) -> None:
        """What fails on one report keeps no other one back."""
        try:
            self._sink(report)
        except Exception:  # the wall of the adapter
            self.failures += 1
            log.exception("report not handled", report=type(report).__name__)

    def _replied(self, reply: reports.Reply) -> None:
        if reply.op == 0 and reply.error is not None and not self.welcome.done():
            self.welcome.set_exception(EngineLost(reply.error.message))
            self.let_go()
            return
        # Late replies are ignored here, in one place.
        awaited = self._replies.get(reply.op)
        if awaited is not None and not awaited.reply.done():
            awaited.reply.set_result(reply.error)
