"""Actions: handles on operations that run on the node."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from offhook.client.events import RelayEvent
from offhook.client.listening.outcome import Outcome
from offhook.client.listening.tasks import Handler
from offhook.errors import RelayError
from offhook.protocol.codes import ResultCode
from offhook.protocol.spec import VerbSpec

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # checkers bring it; typing has defaults from Python 3.13 on

    from offhook.client.actions.call_base import CallBase

    Event_co = TypeVar("Event_co", bound=RelayEvent, default=RelayEvent, covariant=True)
else:
    from typing import TypeVar

    Event_co = TypeVar("Event_co", bound=RelayEvent, covariant=True)

__all__ = ["Action"]

log = logging.getLogger("offhook.client")


class Action(Generic[Event_co]):
    """An operation on a call. It ends once: by its last event, or because the call or the client is gone.

    Many may wait; a wait that times out or is cancelled leaves the action alone. In ``async with`` it is stopped
    on the way out. ``on_completed`` gets the last event; its failures are logged. Commands but ``stop`` are refused by
    the node, with a RelayError of code 409, when the action is over and the call is not.

    The last event is of the verb's own class, such as PlayEvent, also where the client makes it because the call is
    gone: it then has a ``cause`` and empty params, so that its attributes read as empty, 0 or False.
    """

    spec: VerbSpec
    """What the protocol says of the verb: which events are the action's, and which of them is the last."""
    event_type: ClassVar[str]
    """The type of its events, by its spec."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "spec" in vars(cls):
            cls.event_type = cls.spec.event

    def __init__(self, call: CallBase, control_id: str, on_completed: Handler[Event_co] | None) -> None:
        self.call = call
        self.control_id = control_id
        self._on_completed = on_completed
        self._end: Outcome[Event_co] = Outcome()
        self._is_over = False
        self.accepted: dict[str, Any] = {}
        """The whole result with which the server took the action."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(control_id={self.control_id!r}, is_done={self.is_done})"

    @property
    def is_done(self) -> bool:
        """The action is over."""
        return self._end.event is not None

    @property
    def completed(self) -> bool:
        """The action reached a terminal state."""
        return self._end.event is not None

    @property
    def result(self) -> Event_co | None:
        """The last event, None while the action runs. See ``RelayEvent.cause`` for endings of the client's own."""
        return self._end.event

    async def wait(self, timeout: float | None = None) -> Event_co:
        """Wait until the action is over and return its last event; ``cause`` says why if the client made it.

        Args:
            timeout: seconds, default as long as it takes.

        Raises:
            TimeoutError: after ``timeout`` seconds; the action goes on.
        """
        return await self._end.wait(timeout)

    async def stop(self) -> dict[str, Any]:
        """Ask the node to stop. The last event follows.

        When nothing more can come from the action nothing is sent, and the result is empty; so it is when the action
        ended while we asked, whatever the node makes of that.
        """
        if self._is_over:
            return {}
        try:
            return await self._command("stop")
        except RelayError as error:
            if self._is_over and error.code == int(ResultCode.CONFLICT):
                return {}
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def is_over(self) -> bool:
        """Nothing more comes from the server. Later than ``is_done`` where a result comes before the end."""
        return self._is_over

    @property
    def method(self) -> str:
        """The method that starts it; its commands follow after a dot."""
        return self.spec.method

    def is_result(self, event: RelayEvent) -> bool:
        """Say whether this event of ours is what ``wait`` returns, though the action goes on."""
        return self.spec.results_in(event.event_type, event.params)

    def is_last(self, event: RelayEvent) -> bool:
        """Say whether nothing follows this event of ours."""
        return self.spec.ends_with(event.event_type, event.params)

    def handle(self, event: RelayEvent) -> bool:
        """Take an event with our control_id, or one that has none and may concern us; True when it was the last."""
        if self.is_last(event):
            self.end(event)
            return True
        if self.is_result(event):
            self._resolve(event)
        return False

    def end(self, event: RelayEvent) -> None:
        """Nothing more comes; only the first time counts."""
        self._is_over = True
        self._resolve(event)

    def _resolve(self, event: Any) -> None:
        """Its class is that of ``event_type`` in the table of events, which checkers cannot know."""
        if self._end.settle(event) and self._on_completed is not None:
            self.call.tasks.call(self._on_completed, event, what="on_completed", call_id=self.call.call_id)

    async def _command(self, command: str, **params: Any) -> dict[str, Any]:
        return await self._send(f"{self.method}.{command}", params)

    async def _send(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self.call.steer(self, method, {"control_id": self.control_id, **params})
