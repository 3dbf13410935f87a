"""Send and receive faxes. An event comes for each page, and one at the end."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Flag, RelayEvent, Text, Whole
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import fax

__all__ = ["FaxAction", "FaxEvent", "FaxVerb"]


class FaxEvent(RelayEvent, of=fax.EVENT):
    """A page of a fax, or its end."""

    __slots__ = ()

    type = Text("fax.type")
    """``page`` or ``finished``."""
    direction = Text("fax.params.direction")
    """``send`` or ``receive``."""
    number = Whole("fax.params.number")
    """Of a page: which, from 1."""
    pages = Whole("fax.params.pages")
    """At the end: how many there were."""
    success = Flag("fax.params.success")
    """At the end: it went through."""
    result = Whole("fax.params.result")
    """At the end: 0 is success."""
    result_text = Text("fax.params.result_text")
    """At the end: the result in words."""
    document = Text("fax.params.document")
    """At the end: where the document can be fetched."""
    identity = Text("fax.params.identity")
    """Our number, as faxes write it on top."""
    remote_identity = Text("fax.params.remote_identity")
    """Theirs."""


_SEND, _RECEIVE = fax.SPECS


class FaxAction(Action[FaxEvent]):
    """A fax that goes out or comes in. Ends when ``fax.type`` is ``finished`` (see ``FaxEvent``), not by a state."""

    spec = _SEND


class FaxVerb(CallBase):
    """``send_fax`` and ``receive_fax``."""

    async def send_fax(
        self,
        document: str,
        *,
        identity: str | None = None,
        header_info: str | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[FaxEvent] | None = None,
        **extra: Any,
    ) -> FaxAction:
        """Send a fax. Nothing else may run on the call, and it may not be bridged.

        Args:
            document: URL of a PDF.
            identity: our number on top of the page, default the call's.
            header_info: text on top of the page, ``""`` for none.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = FaxAction(self, control_id or new_id(), on_completed)
        given = {
            "control_id": action.control_id,
            "document": document,
            "identity": identity,
            "header_info": header_info,
            "status_url": status_url,
        }
        return await self.start(action, compose(fax.SendFax, given, extra))

    async def receive_fax(
        self,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[FaxEvent] | None = None,
        **extra: Any,
    ) -> FaxAction:
        """Receive a fax. Nothing else may run on the call, and it may not be bridged.

        Args:
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = FaxAction(self, control_id or new_id(), on_completed)
        action.spec = _RECEIVE
        given = {"control_id": action.control_id, "status_url": status_url}
        return await self.start(action, compose(fax.ReceiveFax, given, extra))
