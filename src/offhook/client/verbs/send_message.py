"""Send a message: a text, media or both.

``messaging.state`` tells how it goes. A message that comes in is told by ``messaging.receive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offhook.client.calls.messages import Message, Messages
from offhook.client.events import MessageStateEvent
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose
from offhook.errors import CallerError
from offhook.protocol.messaging import SendMessage

__all__ = ["SendMessageVerb"]


class SendMessageVerb:
    """``send_message``."""

    _messages: Messages

    async def send_message(
        self,
        *,
        to_number: str,
        from_number: str,
        context: str | None = None,
        body: str | None = None,
        media: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        region: str | None = None,
        on_completed: Handler[MessageStateEvent] | None = None,
        tag: str | None = None,
        status_callback: str | None = None,
        send_as_mms: bool | None = None,
        message_type: str | None = None,
        template_id: str | None = None,
        header_template_parameters: Any = None,
        body_template_parameters: Any = None,
        button_template_parameters: Any = None,
        **extra: Any,
    ) -> Message:
        """Send a message: ``body``, ``media`` or both. ``wait`` on the result tells how it went.

        Args:
            to_number: E.164.
            from_number: E.164, a number of yours.
            context: that gets its events, default this session's own.
            body: its text.
            media: at most 8 URLs.
            tags: your own, given back with the Message.
            region: older hint.
            on_completed: called with the last event, sync or async.
            tag: your own, given back in its events.
            status_callback: https URL that is POSTed the events.
            send_as_mms: send a text as MMS.
            message_type: of WhatsApp: ``whatsapp_media_text`` and so on.
            template_id: of WhatsApp; then ``body`` may be absent.
            header_template_parameters: of the template.
            body_template_parameters: of the template.
            button_template_parameters: of the template.
            extra: sent as it is.

        Raises:
            CallerError: there is nothing to send.
            RelayError: the server refused it.
        """
        if not body and not media and not template_id:
            raise CallerError("send_message needs `body` or `media`, or both")
        given = {
            "to_number": to_number,
            "from_number": from_number,
            "context": context or self._messages.own_context,
            "body": body,
            "media": media,
            "tags": tags,
            "region": region,
            "tag": tag,
            "status_callback": status_callback,
            "send_as_mms": send_as_mms,
            "message_type": message_type,
            "template_id": template_id,
            "header_template_parameters": header_template_parameters,
            "body_template_parameters": body_template_parameters,
            "button_template_parameters": button_template_parameters,
        }
        return await self._messages.send(compose(SendMessage, given, extra), on_completed)
