"""Requests that have no outcome yet: when they are sent, sent again, and given up. Time comes in, frames go out.

queued -> sent -> (refused with -32005 -> waiting -> sent)* -> Completed or Failed
   ^       |
   +- away +   only where the server keeps ids; else Failed, with word that it was sent

What is queued fails when its time is over, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from offhook.client.session import outputs
from offhook.client.session.frames import dump_request
from offhook.client.session.outputs import Output
from offhook.client.session.states import SessionSettings
from offhook.errors import ConnectionLost, RelayError, RequestTimeout
from offhook.protocol.codes import RpcCode, number_of_code
from offhook.protocol.frames import FrameId, Request, Response, RpcError

__all__ = ["PendingRequests"]


class _Pending:
    """A request. ``sent_at`` None: queued. ``retry_at``: refused for now, to be sent again then."""

    __slots__ = ("asked_at", "data", "first_sent_at", "frame", "refusals", "refused", "retry_at", "sent_at")

    def __init__(self, frame: Request, now: float) -> None:
        self.frame = frame
        self.asked_at = now
        self.data = dump_request(frame)
        self.sent_at: float | None = None
        self.first_sent_at: float | None = None
        self.retry_at: float | None = None
        self.refused: RelayError | None = None
        self.refusals = 0


class PendingRequests:
    """The requests of one session, in the order of their sending. Outcomes go to the session's outputs.

    A request refused with -32005 had no effect: it is sent again, under another id, as long as its time lasts.
    """

    def __init__(
        self,
        settings: SessionSettings,
        emit: deque[Output],
        *,
        random: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._outputs = emit
        self._random = random
        self._new_id = new_id
        self._pending: dict[str, _Pending] = {}
        self._waiting: dict[str, _Pending] = {}
        self._queued: dict[str, float] = {}
        """Since when each waits for a connection, the oldest first."""
        self._renamed: dict[FrameId, str] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __repr__(self) -> str:
        return f"PendingRequests({len(self._pending)}, waiting={len(self._waiting)})"

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due."""
        due: float | None = None
        for oldest in self._pending.values():  # sent in the order of the dict, all with one time-out
            if oldest.sent_at is not None:
                due = oldest.sent_at + self._settings.request_timeout_s
                if self._waiting:
                    due = min([due, *(one.retry_at for one in self._waiting.values() if one.retry_at is not None)])
            break
        if self._queued:
            queued_due = next(iter(self._queued.values())) + self._settings.queue_timeout_s
            due = queued_due if due is None else min(due, queued_due)
        return due

    def send(self, method: str, params: Mapping[str, Any], now: float) -> str:
        """Send a request at once: its id."""
        request_id = self._new_id()
        pending = self._pending[request_id] = _Pending(Request(request_id, method, dict(params)), now)
        pending.sent_at = pending.first_sent_at = now
        self._outputs.append(outputs.Send(pending.data))
        return request_id

    def queue(self, method: str, params: Mapping[str, Any], now: float) -> str:
        """Keep a request until the next ``flush``: its id. Beyond the limit it fails."""
        if len(self._pending) >= self._settings.max_queued:
            text = f"Execute queue full \N{EM DASH} too many requests while disconnected ({method})"
            return self.refuse(text)
        request_id = self._new_id()
        self._pending[request_id] = _Pending(Request(request_id, method, dict(params)), now)
        self._queued[request_id] = now
        return request_id

    def refuse(self, text: str) -> str:
        """Fail a request that is not to be sent: its id."""
        request_id = self._new_id()
        self._fail(request_id, ConnectionLost(text, was_sent=False))
        return request_id

    def forget(self, request_id: str) -> bool:
        """Nobody waits for this request any more. False: it was not sent yet, and now never will be."""
        pending = self._pop(request_id)
        return pending is None or pending.first_sent_at is not None

    def settle(self, frame: Response, now: float) -> None:
        """Take a reply. The one place where late and unknown ones end."""
        request_id = self._renamed.get(frame.id, frame.id) if self._renamed and frame.id is not None else frame.id
        pending = self._pending.get(request_id) if isinstance(request_id, str) else None
        if pending is None or pending.frame.id != frame.id or not isinstance(request_id, str):
            return
        if isinstance(frame.result, dict):
            self._pop(request_id)
            self._outputs.append(outputs.Completed(request_id, frame.result))
        elif isinstance(frame.error, RpcError):
            code = number_of_code(frame.error.code)
            error = RelayError(code, self._settings.mask(frame.error.message))
            if code != RpcCode.CAPACITY_EXCEEDED or not self._wait(request_id, pending, error, now):
                self._pop(request_id)
                self._fail(request_id, error)

    def tick(self, now: float) -> None:
        """Give up what has waited too long, and send again what was refused for now."""
        for request_id, pending in list(self._pending.items()):
            if pending.sent_at is None or now < pending.sent_at + self._settings.request_timeout_s:
                break
            self._pop(request_id)
            late = RequestTimeout(pending.frame.method, self._settings.request_timeout_s)
            self._fail(request_id, pending.refused if pending.retry_at is not None and pending.refused else late)
        for request_id, since in list(self._queued.items()):
            if now < since + self._settings.queue_timeout_s:
                break
            self._lose(request_id, f"no connection for {self._settings.queue_timeout_s:g} s")
        for request_id, pending in list(self._waiting.items()):
            if pending.retry_at is not None and now >= pending.retry_at:
                del self._waiting[request_id]
                pending.retry_at = None
                self._outputs.append(outputs.Send(pending.data))

    def away(self, reason: str, now: float, *, keeps_ids_s: float) -> None:
        """The socket is gone: keep what may be sent again with its id, fail what may not, or was asked too long ago."""
        self.hold(now)
        for request_id, pending in list(self._pending.items()):
            if now - pending.asked_at >= self._settings.away_s:
                self._lose(request_id, f"it had no reply in {self._settings.away_s:g} s, on any connection")
            elif pending.sent_at is None:
                continue
            elif now - pending.sent_at < keeps_ids_s:
                pending.sent_at = None
                self._queued[request_id] = now
            else:
                self._lose(request_id, f"the connection was lost ({reason})")

    def hold(self, now: float) -> None:
        """Nothing more may be sent on this socket: what was refused for now had no effect, and is as good as new."""
        for request_id, pending in self._waiting.items():
            pending.sent_at = pending.first_sent_at = pending.retry_at = None
            self._pending[request_id] = self._pending.pop(request_id)
            self._queued[request_id] = now
        self._waiting.clear()

    def flush(self, now: float, *, resumed: bool, keeps_ids_s: float) -> None:
        """Send again what was in flight (only into the same session), then what was queued, in order."""
        for request_id, pending in list(self._pending.items()):
            first_sent_at = pending.first_sent_at
            if first_sent_at is not None and not (resumed and now - first_sent_at < keeps_ids_s):
                self._lose(request_id, "the connection was lost and the session could not be resumed in time")
            else:
                self._transmit(pending, now)
        self._queued.clear()

    def lose_all(self, reason: str) -> None:
        """Nothing can be sent any more."""
        self.hold(0.0)  # they end at once
        for request_id in list(self._pending):
            self._lose(request_id, reason)

    def _transmit(self, pending: _Pending, now: float) -> None:
        pending.sent_at = now
        if pending.first_sent_at is None:
            pending.first_sent_at = now
        self._outputs.append(outputs.Send(pending.data))

    def _wait(self, request_id: str, pending: _Pending, error: RelayError, now: float) -> bool:
        """Plan to send it again; False: its time would be over by then."""
        settings = self._settings
        ceiling = min(settings.retry_max_s, settings.retry_min_s * 2 ** min(pending.refusals, 10))
        retry_at = now + ceiling * (0.5 + self._random() / 2)
        if pending.sent_at is None or retry_at >= pending.sent_at + settings.request_timeout_s:
            return False
        self._renamed.pop(str(pending.frame.id), None)
        pending.refusals += 1
        pending.refused, pending.retry_at = error, retry_at
        pending.frame = msgspec.structs.replace(pending.frame, id=self._new_id())
        pending.data = dump_request(pending.frame)
        self._renamed[str(pending.frame.id)] = request_id
        self._waiting[request_id] = pending
        return True

    def _pop(self, request_id: str) -> _Pending | None:
        pending = self._pending.pop(request_id, None)
        if self._queued:
            self._queued.pop(request_id, None)
        if pending is not None and pending.refused is not None:
            self._waiting.pop(request_id, None)
            self._renamed.pop(str(pending.frame.id), None)
        return pending

    def _fail(self, request_id: str, error: RelayError) -> None:
        self._outputs.append(outputs.Failed(request_id, error))

    def _lose(self, request_id: str, reason: str) -> None:
        pending = self._pop(request_id)
        if pending is None:
            return
        sent = pending.first_sent_at is not None
        told = "it was sent, its outcome is unknown" if sent else "it was not sent"
        self._fail(request_id, ConnectionLost(f"{pending.frame.method}: {reason}; {told}", was_sent=sent))
