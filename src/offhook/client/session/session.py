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

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from offhook.client.session import outputs
from offhook.client.session.frames import BrokenEvent, EventFrame, dump_ack, dump_frame, parse_incoming, read_live_calls
from offhook.client.session.handshake import Handshake
from offhook.client.session.outputs import Output
from offhook.client.session.requests import PendingRequests
from offhook.client.session.states import TRANSITIONS, SessionSettings, State
from offhook.errors import RelayError
from offhook.protocol import methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import (
    AUTHORIZATION_STATE,
    EVENTS_TRUNCATED,
    EventParams,
    FrameError,
    FrameId,
    Request,
    Response,
    RpcError,
)

__all__ = ["TRANSITIONS", "Session", "SessionSettings", "State"]

_REMEMBERED_EVENTS: Final = 20_000
"""Ids of events kept for telling repeats, at least: twice what a node keeps for replay."""
_LATE_S: Final = 1.0
"""A tick that comes so long after its deadline shows that the program, or its machine, stood still."""


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
        self.outputs: deque[Output] = deque()
        """What the driver is to do, in order; it takes them out."""
        self._requests = PendingRequests(settings, self.outputs, random=random, new_id=new_id)
        self._handshake = Handshake(settings)
        self._connect_id: str | None = None
        self._ping_id: str | None = None
        self._attempt = 0
        self._state_deadline: float | None = None
        self._lapses_at: float | None = None
        self._is_current = False
        """The server told us all up to the loss of this socket, if it goes."""
        self._heard_at = 0.0
        self._seen: set[FrameId] = set()
        self._seen_before: set[FrameId] = set()

    def __repr__(self) -> str:
        return f"Session(state={self.state.value}, pending={len(self._requests)})"

    # --- what the driver reads ------------------------------------------------------------------------------

    def poll(self) -> Output | None:
        """Take the next output, None when there is none."""
        return self.outputs.popleft() if self.outputs else None

    @property
    def protocol(self) -> str | None:
        """Name of the session at the server; None before the first connect."""
        return self._handshake.protocol

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due, in the time the driver passes in."""
        due = self._state_deadline
        request_due = self._requests.deadline
        if request_due is not None and (due is None or request_due < due):
            due = request_due
        if self._lapses_at is not None and (due is None or self._lapses_at < due):
            due = self._lapses_at
        if self.state is State.READY:
            silence_due = self._heard_at + (self._settings.silence_s if self._ping_id else self._settings.quiet_s)
            if due is None or silence_due < due:
                due = silence_due
        return due

    def mask(self, text: str) -> str:
        """A text of the server's as it may stand in errors and logs."""
        return self._settings.mask(text)

    # --- what the app asks ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Begin: ask for a socket. Only once."""
        self._enter(State.OPENING)
        self.outputs.append(outputs.Open())

    def request(self, method: str, params: Mapping[str, Any], now: float) -> str:
        """Send a request, or queue it while away. Its outcome comes out under the id returned."""
        if self.state is State.READY:
            return self._requests.send(method, params, now)
        if self.state is State.CLOSED:
            return self._requests.refuse(f"{method}: the client is closed")
        return self._requests.queue(method, params, now)

    def forget(self, request_id: str) -> bool:
        """Nobody waits for this request any more. False: it was not sent yet, and now never will be."""
        return self._requests.forget(request_id)

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
        self._connect_id = self._new_id()
        self._send(self._handshake.request(self._connect_id, self.contexts))

    def received(self, data: str | bytes, now: float) -> None:
        """A frame arrived."""
        if self.state not in _ON_SOCKET:
            return
        self._heard_at = now
        self._ping_id = None
        try:
            frame = parse_incoming(data)
        except FrameError as error:
            self.outputs.append(outputs.Ignored(str(error)))
            return
        if isinstance(frame, EventFrame):
            if self._is_new(frame.id):
                self._event(frame.params)
        elif isinstance(frame, BrokenEvent):
            self._is_new(frame.id)
            self.outputs.append(outputs.Ignored(f"an event without its envelope: {frame.reason}"))
        elif isinstance(frame, Request):
            self._serve(frame, now)
        elif frame.id == self._connect_id:
            self._connect_id = None
            self._answered(frame, now)
        else:
            self._requests.settle(frame, now)
            if self.state is not State.READY:
                self._requests.hold(now)

    def lost(self, reason: str, now: float) -> None:
        """The socket went, or could not be opened. Try again later (1.11)."""
        if self.state in (State.OPENING, *_ON_SOCKET):
            self._away(reason, now)

    def tick(self, now: float) -> None:
        """A deadline may have passed."""
        self._requests.tick(now)
        if self._lapses_at is not None and now >= self._lapses_at:
            self._lapses_at = None
            self._handshake.lapse()
            self.outputs.append(outputs.Lapsed())
        if self._state_deadline is not None and now >= self._state_deadline:
            self._state_deadline = None
            if self.state is State.WAITING:
                self._enter(State.OPENING)
                self.outputs.append(outputs.Open())
            elif self.state is State.AUTHENTICATING:
                self._abandon_socket("no reply to signalwire.connect", now)
            elif self.state is State.DRAINING:
                self._abandon_socket("the server asked us to leave", now)
        if self.state is State.READY:
            self._check_silence(now)

    # --- connecting -----------------------------------------------------------------------------------------

    def _answered(self, frame: Response, now: float) -> None:
        """The server's word on who we are. Three refusals before the first success are final."""
        if self.state is not State.AUTHENTICATING:
            return
        again = self._handshake.was_connected
        outcome = self._handshake.accept(frame)
        if isinstance(outcome, RelayError):
            if self._handshake.is_hopeless:
                self._stop(outcome)
            else:
                self._abandon_socket(f"signalwire.connect was refused: {outcome.message}", now)
            return
        if not outcome:
            self._seen.clear()
            self._seen_before.clear()
        self._attempt = 0
        self._lapses_at = None
        self._is_current = True
        self._enter(State.READY)
        self.outputs.append(outputs.Connected(resumed=outcome, again=again))
        self._requests.flush(now, resumed=outcome, keeps_ids_s=self._handshake.keeps_ids_s)

    # --- what the server asks -------------------------------------------------------------------------------

    def _is_new(self, event_id: FrameId | None) -> bool:
        """Ack an event at once, before anybody handles it (1.5). A repeat after a resume is acked, and nothing else."""
        if event_id is None:
            return True
        self.outputs.append(outputs.Send(dump_ack(event_id)))
        seen = self._seen
        if event_id in seen or event_id in self._seen_before:
            return False
        seen.add(event_id)
        if len(seen) >= _REMEMBERED_EVENTS:
            self._seen_before, self._seen = seen, set()
        return True

    def _event(self, event: EventParams) -> None:
        if event.event_type == AUTHORIZATION_STATE:
            state = event.params.get("authorization_state")
            self._handshake.authorization_state = state if isinstance(state, str) else None
        elif event.event_type == EVENTS_TRUNCATED:
            self.outputs.append(outputs.Truncated(read_live_calls(event.params.get("calls"))))
        else:
            self.outputs.append(outputs.Arrived(event))

    def _serve(self, frame: Request, now: float) -> None:
        if frame.method == methods.PING:
            self._reply(frame, frame.params)
        elif frame.method == methods.DISCONNECT:
            self._leave(frame, now)
        elif frame.id is not None:
            error = RpcError(RpcCode.METHOD_NOT_FOUND, f"a client does not serve {frame.method}")
            self._send(Response(id=frame.id, error=error))

    def _leave(self, frame: Request, now: float) -> None:
        """The server wants us elsewhere: reply as the last message, then wait for its close (1.8)."""
        self._reply(frame, {})
        if frame.params.get("restart") is True:
            self._handshake.forget()
        if self.state is not State.DRAINING:
            self._enter(State.DRAINING, now + self._settings.drain_timeout_s)
            self._requests.hold(now)

    def _reply(self, frame: Request, result: dict[str, Any]) -> None:
        if frame.id is not None:
            self._send(Response(id=frame.id, result=result))

    def _send(self, frame: Request | Response) -> None:
        self.outputs.append(outputs.Send(dump_frame(frame)))

    # --- life and death of a socket -------------------------------------------------------------------------

    def _check_silence(self, now: float) -> None:
        settings = self._settings
        dead_at = self._heard_at + settings.silence_s  # as in `deadline`, to the last bit
        if now >= dead_at + _LATE_S:  # nobody listened meanwhile: an answer may lie in the socket
            self._heard_at = now - settings.quiet_s
            self._ask_for_life()
        elif now >= dead_at:
            self._abandon_socket(f"nothing was heard for {settings.silence_s:g} s", now)
        elif now >= self._heard_at + settings.quiet_s and self._ping_id is None:
            self._ask_for_life()

    def _ask_for_life(self) -> None:
        self._ping_id = self._new_id()
        self._send(Request(self._ping_id, methods.PING, {}))

    def _abandon_socket(self, reason: str, now: float) -> None:
        self.outputs.append(outputs.Drop())
        self._away(reason, now)

    def _away(self, reason: str, now: float) -> None:
        """No socket: keep what may be sent again with its id, fail what may not, and wait."""
        reason = self._settings.mask(reason)
        self._connect_id = self._ping_id = None
        keeps_ids_s = self._handshake.keeps_ids_s if self._handshake.protocol is not None else 0.0
        self._requests.away(reason, now, keeps_ids_s=keeps_ids_s)
        if self._is_current:
            self._is_current, self._lapses_at = False, now + self._settings.away_s
        self._attempt += 1
        ceiling = min(self._settings.backoff_max_s, self._settings.backoff_min_s * 2 ** min(self._attempt, 10))
        delay_s = self._settings.backoff_min_s + self._random() * (ceiling - self._settings.backoff_min_s)
        self._enter(State.WAITING, now + delay_s)
        self.outputs.append(outputs.Lost(reason, delay_s))

    def _stop(self, error: RelayError | None) -> None:
        if self.state in (State.OPENING, *_ON_SOCKET):
            self.outputs.append(outputs.Drop())
        self._enter(State.CLOSED)
        self._lapses_at = None
        self._requests.lose_all("the client is closed" if error is None else error.message)
        self.outputs.append(outputs.Stopped(error))

    def _enter(self, state: State, deadline: float | None = None) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a session does not go from {self.state.value} to {state.value}")
        self.state = state
        self._state_deadline = deadline


_ON_SOCKET: Final = (State.AUTHENTICATING, State.READY, State.DRAINING)
