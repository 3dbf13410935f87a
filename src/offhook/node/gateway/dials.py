"""Accepted dials whose outcome has not been told: it is told once, whatever happens to the node meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from offhook.node.calls.ports import OutgoingEvent
from offhook.node.store.port import Journal, OpenControl
from offhook.protocol.states import DialState, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT

__all__ = ["DIAL", "Dials"]

DIAL = "calling.dial"
_LOST = "The node was restarted before it called anybody: dial again"


class Dials:
    """In the journal a dial is a verb of its session, as others are of a call."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def has_any_of(self, session: str) -> bool:
        """Whether something is dialled for a session."""
        return any(owner == session for owner, _ in self._open)

    def is_open(self, session: str, tag: str) -> bool:
        """Whether it was accepted, and its outcome not told."""
        return (session, tag) in self._open

    def open(self, session: str, tag: str) -> None:
        """It was accepted."""
        if (session, tag) not in self._open:
            self._open.add((session, tag))
            self._journal.open_control(OpenControl(session, tag, DIAL, session))

    def left(self, event: OutgoingEvent) -> None:
        """An event leaves: an outcome closes its dial."""
        key = (event.session, event.tag)
        if event.event_type == EVENT and key in self._open and event.params.get("dial_state") != DialState.DIALING:
            self._open.discard(key)
            self._journal.forget_control(*key)

    def restore(self, controls: Iterable[OpenControl]) -> None:
        """Take up those of a node that ran before."""
        self._open.update((control.session, control.control_id) for control in controls if control.method == DIAL)

    def lost(self, going_on: Collection[tuple[str, str]], node_id: str) -> list[OutgoingEvent]:
        """The ends of those that nobody goes on with (``going_on``: sessions and tags), to be told."""
        ends = []
        for session, tag in sorted(self._open - set(going_on)):
            params = {
                "node_id": node_id,
                "tag": tag,
                "dial_state": DialState.FAILED.value,
                "reason": EndReason.ERROR.value,
                "source": EndSource.NONE.value,
                "message": _LOST,
            }
            ends.append(OutgoingEvent(EVENT, params, tag=tag, session=session))
        return ends
