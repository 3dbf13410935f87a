"""The client's conversation with a node, without IO: text frames and time in; frames, outcomes and a deadline out.

A driver opens sockets when asked (``Open``), feeds what arrives (``opened``, ``received``, ``lost``), sends what
comes out (``Send``), drops the socket on ``Drop``, and calls ``tick`` at ``deadline``. It decides nothing.

    idle -> opening -> authenticating -> ready -> draining (the server asked us to leave)
               ^            |              |          |
               +- waiting <-+--------------+----------+        closed: final, from anywhere

Every request ends exactly once, with ``Completed`` or ``Failed``, unless ``forget`` was called for it. Rules with
their sections are those of relay-protocol 1.4 to 1.11.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from offhook.client import outputs
from offhook.client.outputs import Output
from offhook.client.session_states import TRANSITIONS, SessionSettings, State
from offhook.errors import ConnectionLost, RelayError, RequestTimeout
from offhook.protocol import codes, methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import (
    AUTHORIZATION_STATE,
    ConnectParams,
    ConnectResult,
    EventParams,
    FrameError,
    Request,
    Response,
    RpcError,
    Version,
    dump_frame,
    parse_frame,
)

__all__ = ["TRANSITIONS", "Session", "SessionSettings", "State"]

_VERSION: Final = Version(2, 0, 0)
"""The newest version that still has ``signalwire.receive`` (relay-protocol 9, row 1)."""

_TRANSIENT: Final = frozenset(
    {RpcCode.REQUEST_TIMEOUT, RpcCode.NOT_AVAILABLE, RpcCode.CAPACITY_EXCEEDED, RpcCode.INTERNAL}
)
"""Refusals of a connect that say nothing about the credentials: tried again without being counted."""

_REMEMBERED_EVENTS: Final = 20_000
"""Ids of events kept for telling repeats: twice what a node keeps for replay."""


class _Pending:
    """A request that has no outcome yet. ``sent_at`` None: queued, perhaps to be sent again with its id."""

    __slots__ = ("first_sent_at", "frame", "sent_at")

    def __init__(self, frame: Request) -> None:
        self.frame = frame
        self.sent_at: float | None = None
        self.first_sent_at: float | None = None


class Session:
    """One client's authenticated conversation, over as many sockets as it takes.

    ``random`` gives floats in [0, 1) for the jitter, ``new_id`` the ids of requests.
    """

    def __init__(self, settings: SessionSettings, *, random: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.state = State.IDLE
        self.contexts = list(settings.contexts)
        self._settings = settings
        self._random = random
        self._new_id = new_id
        self._outputs: deque[Output] = deque()
        self._pending: dict[str, _Pending] = {}
        self._protocol: str | None = None
        self._authorization_state: str | None = None
        self._keeps_ids_s = 0.0
        self._connect_id: str | None = None
        self._ping_id: str | None = None
        self._was_connected = False
        self._refusals = 0
        self._attempt = 0
        self._state_deadline: float | None = None
        self._heard_at = 0.0
        self._seen: OrderedDict[str | int, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"Session(state={self.state.value}, pending={len(self._pending)})"

    # --- what the driver reads ------------------------------------------------------------------------------

    def poll(self) -> Output | None:
        """Take the next output, None when there is none."""
        return self._outputs.popleft() if self._outputs else None

    @property
    def protocol(self) -> str | None:
        """Name of the session at the server; None before the first connect."""
        return self._protocol

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due, in the time the driver passes in."""
        times = [self._state_deadline] if self._state_deadline is not None else []
        oldest = next(iter(self._pending.values()), None)  # sent in the order of the dict, all with one timeout
        if oldest is not None and oldest.sent_at is not None:
            times.append(oldest.sent_at + self._timeout_s)
        if self.state is State.READY:
            times.append(self._heard_at + (self._settings.silence_s if self._ping_id else self._settings.quiet_s))
        return min(times, default=None)

    # --- what the app asks ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Begin: ask for a socket. Only once."""
        self._enter(State.OPENING)
        self._outputs.append(outputs.Open())

    def request(self, method: str, params: Mapping[str, Any], now: float) -> str:
        """Send a request, or queue it while away. Its outcome comes out under the id returned."""
        request_id = self._new_id()
        pending = _Pending(Request(request_id, method, dict(params)))
        if self.state is State.CLOSED:
            self._fail(request_id, ConnectionLost(f"{method}: the client is closed", was_sent=False))
        elif self.state is State.READY:
            self._pending[request_id] = pending
            self._transmit(pending, now)
        elif len(self._pending) >= self._settings.max_queued:
            text = f"Execute queue full \N{EM DASH} too many requests while disconnected ({method})"
            self._fail(request_id, ConnectionLost(text, was_sent=False))
        else:
            self._pending[request_id] = pending
        return request_id

    def forget(self, request_id: str) -> bool:
        """Nobody waits for this request any more. False: it was not sent yet, and now never will be."""
        pending = self._pending.pop(request_id, None)
        return pending is None or pending.first_sent_at is not None

    def close(self) -> None:
        """End the session for good. What has no outcome fails."""
        if self.state is not State.CLOSED:
            self._stop(None)

    # --- what the driver feeds ------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """A socket is open: say who we are, and what session to go on with (1.4)."""
        if self.state is not State.OPENING:
            return
        self._enter(State.AUTHENTICATING, now + self._settings.connect_timeout_s)
        self._heard_at = now
        resume = self._protocol is not None
        params = ConnectParams(
            version=_VERSION,
            authentication=self._settings.authentication,
            agent=self._settings.agent,
            event_acks=True,
            contexts=self.contexts,
            protocol=self._protocol,
            authorization_state=self._authorization_state if resume else None,
        )
        self._connect_id = self._new_id()
        self._send(Request(self._connect_id, methods.CONNECT, msgspec.to_builtins(params)))

    def received(self, data: str | bytes, now: float) -> None:
        """A frame arrived."""
        if self.state not in _ON_SOCKET:
            return
        self._heard_at = now
        self._ping_id = None
        try:
            frame = parse_frame(data)
        except FrameError as error:
            self._outputs.append(outputs.Ignored(str(error)))
            return
        if isinstance(frame, Request):
            self._serve(frame, now)
        elif frame.id == self._connect_id:
            self._connect_id = None
            self._authenticated(frame, now)
        else:
            self._settle(frame)

    def lost(self, reason: str, now: float) -> None:
        """The socket went, or could not be opened. Try again later (1.11)."""
        if self.state in (State.OPENING, *_ON_SOCKET):
            self._away(reason, now)

    def tick(self, now: float) -> None:
        """A deadline may have passed."""
        self._expire_requests(now)
        if self._state_deadline is not None and now >= self._state_deadline:
            self._state_deadline = None
            if self.state is State.WAITING:
                self._enter(State.OPENING)
                self._outputs.append(outputs.Open())
            elif self.state is State.AUTHENTICATING:
                self._abandon_socket("no reply to signalwire.connect", now)
            elif self.state is State.DRAINING:
                self._abandon_socket("the server asked us to leave", now)
        if self.state is State.READY:
            self._check_silence(now)

    # --- connecting -----------------------------------------------------------------------------------------

    def _authenticated(self, frame: Response, now: float) -> None:
        if self.state is not State.AUTHENTICATING:
            return
        refusal = _refusal(frame)
        if refusal is not None:
            self._refused(refusal, now)
            return
        try:
            result = msgspec.convert(frame.result, ConnectResult, strict=False)
        except msgspec.ValidationError as error:
            self._refused(RelayError(codes.LOCAL_ERROR, f"the reply to signalwire.connect is unusable: {error}"), now)
            return
        resumed = self._protocol is not None and result.protocol == self._protocol
        if not resumed:
            self._seen.clear()
            self._authorization_state = None
        self._protocol = result.protocol
        self._keeps_ids_s = result.keeps_request_ids_s
        self._refusals = self._attempt = 0
        self._enter(State.READY)
        self._outputs.append(outputs.Connected(resumed=resumed, again=self._was_connected))
        self._was_connected = True
        self._flush(resumed=resumed, now=now)

    def _refused(self, error: RelayError, now: float) -> None:
        """Three refusals before the first success are final. A refused resume is tried afresh."""
        self._protocol = self._authorization_state = None
        if error.code not in _TRANSIENT:
            self._refusals += 1
        if not self._was_connected and self._refusals >= self._settings.max_refusals:
            self._stop(error)
        else:
            self._abandon_socket(f"signalwire.connect was refused: {error.message}", now)

    def _flush(self, *, resumed: bool, now: float) -> None:
        """Send again what was in flight (only into the same session), then what was queued, in order."""
        for request_id, pending in list(self._pending.items()):
            first_sent_at = pending.first_sent_at
            if first_sent_at is not None and not (resumed and now - first_sent_at < self._keeps_ids_s):
                self._lose(request_id, "the connection was lost and the session could not be resumed in time")
            else:
                self._transmit(pending, now)

    # --- requests -------------------------------------------------------------------------------------------

    @property
    def _timeout_s(self) -> float:
        return self._settings.request_timeout_s

    def _transmit(self, pending: _Pending, now: float) -> None:
        pending.sent_at = now
        pending.first_sent_at = now if pending.first_sent_at is None else pending.first_sent_at
        self._send(pending.frame)

    def _settle(self, frame: Response) -> None:
        """The one place where late and unknown replies end."""
        pending = self._pending.pop(str(frame.id), None)
        if pending is None:
            return
        if isinstance(frame.error, RpcError):
            self._fail(str(frame.id), RelayError(frame.error.code, frame.error.message))
        elif isinstance(frame.result, dict):
            self._outputs.append(outputs.Completed(str(frame.id), frame.result))

    def _expire_requests(self, now: float) -> None:
        for request_id, pending in list(self._pending.items()):
            if pending.sent_at is None or now < pending.sent_at + self._timeout_s:
                return
            del self._pending[request_id]
            self._fail(request_id, RequestTimeout(pending.frame.method, self._timeout_s))

    def _fail(self, request_id: str, error: RelayError) -> None:
        self._outputs.append(outputs.Failed(request_id, error))

    def _lose(self, request_id: str, reason: str) -> None:
        pending = self._pending.pop(request_id)
        sent = pending.first_sent_at is not None
        told = "it was sent, its outcome is unknown" if sent else "it was not sent"
        self._fail(request_id, ConnectionLost(f"{pending.frame.method}: {reason}; {told}", was_sent=sent))

    # --- what the server asks -------------------------------------------------------------------------------

    def _serve(self, frame: Request, now: float) -> None:
        if frame.method == methods.EVENT:
            self._event(frame)
        elif frame.method == methods.PING:
            self._reply(frame, frame.params)
        elif frame.method == methods.DISCONNECT:
            self._leave(frame, now)
        elif frame.id is not None:
            error = RpcError(RpcCode.METHOD_NOT_FOUND, f"a client does not serve {frame.method}")
            self._send(Response(id=frame.id, error=error))

    def _event(self, frame: Request) -> None:
        """Ack at once, before anybody handles it (1.5); a repeat after a resume is acked and dropped."""
        self._reply(frame, {})
        if frame.id is not None:
            if frame.id in self._seen:
                return
            self._seen[frame.id] = None
            if len(self._seen) > _REMEMBERED_EVENTS:
                self._seen.popitem(last=False)
        try:
            event = msgspec.convert(frame.params, EventParams, strict=False)
        except msgspec.ValidationError as error:
            self._outputs.append(outputs.Ignored(f"an event without its envelope: {error}"))
            return
        if event.event_type == AUTHORIZATION_STATE:
            state = event.params.get("authorization_state")
            self._authorization_state = state if isinstance(state, str) else None
        else:
            self._outputs.append(outputs.Arrived(event))

    def _leave(self, frame: Request, now: float) -> None:
        """The server wants us elsewhere: reply as the last message, then wait for its close (1.8)."""
        self._reply(frame, {})
        if frame.params.get("restart") is True:
            self._protocol = self._authorization_state = None
        if self.state is not State.DRAINING:
            self._enter(State.DRAINING, now + self._settings.drain_timeout_s)

    def _reply(self, frame: Request, result: dict[str, Any]) -> None:
        if frame.id is not None:
            self._send(Response(id=frame.id, result=result))

    def _send(self, frame: Request | Response) -> None:
        self._outputs.append(outputs.Send(dump_frame(frame)))

    # --- life and death of a socket -------------------------------------------------------------------------

    def _check_silence(self, now: float) -> None:
        if now >= self._heard_at + self._settings.silence_s:  # as in `deadline`, to the last bit
            self._abandon_socket(f"nothing was heard for {self._settings.silence_s:g} s", now)
        elif now >= self._heard_at + self._settings.quiet_s and self._ping_id is None:
            self._ping_id = self._new_id()
            self._send(Request(self._ping_id, methods.PING, {}))

    def _abandon_socket(self, reason: str, now: float) -> None:
        self._outputs.append(outputs.Drop())
        self._away(reason, now)

    def _away(self, reason: str, now: float) -> None:
        """No socket: keep what may be sent again with its id, fail what may not, and wait."""
        self._connect_id = self._ping_id = None
        for request_id, pending in list(self._pending.items()):
            if pending.sent_at is None:
                continue
            if self._protocol is not None and now - pending.sent_at < self._keeps_ids_s:
                pending.sent_at = None
            else:
                self._lose(request_id, f"the connection was lost ({reason})")
        self._attempt += 1
        ceiling = min(self._settings.backoff_max_s, self._settings.backoff_min_s * 2 ** min(self._attempt, 10))
        delay_s = self._settings.backoff_min_s + self._random() * (ceiling - self._settings.backoff_min_s)
        self._enter(State.WAITING, now + delay_s)
        self._outputs.append(outputs.Lost(reason, delay_s))

    def _stop(self, error: RelayError | None) -> None:
        if self.state in (State.OPENING, *_ON_SOCKET):
            self._outputs.append(outputs.Drop())
        self._enter(State.CLOSED)
        for request_id in list(self._pending):
            self._lose(request_id, "the client is closed" if error is None else error.message)
        self._outputs.append(outputs.Stopped(error))

    def _enter(self, state: State, deadline: float | None = None) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a session does not go from {self.state.value} to {state.value}")
        self.state = state
        self._state_deadline = deadline


_ON_SOCKET: Final = (State.AUTHENTICATING, State.READY, State.DRAINING)


def _refusal(frame: Response) -> RelayError | None:
    """What a reply to connect refuses with: an error, or a result whose code is not 2xx (9, row 2)."""
    if isinstance(frame.error, RpcError):
        return RelayError(frame.error.code, frame.error.message)
    result = frame.result if isinstance(frame.result, dict) else {}
    code = str(result.get("code", "200"))
    if codes.is_success(code):
        return None
    return RelayError(int(code) if code.isdecimal() else codes.LOCAL_ERROR, str(result.get("message", "refused")))
