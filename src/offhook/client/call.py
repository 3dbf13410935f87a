"""The call, assembled from its verbs."""

from __future__ import annotations

from offhook.client.verbs.answer import AnswerVerb
from offhook.client.verbs.collect import CollectVerb
from offhook.client.verbs.echo import EchoVerb
from offhook.client.verbs.end import EndVerb
from offhook.client.verbs.pass_ import PassVerb
from offhook.client.verbs.play import PlayVerb
from offhook.client.verbs.play_and_collect import PlayAndCollectVerb
from offhook.client.verbs.record import RecordVerb
from offhook.client.verbs.send_digits import SendDigitsVerb

__all__ = ["Call"]


class Call(
    AnswerVerb,
    EndVerb,
    PassVerb,
    PlayVerb,
    RecordVerb,
    CollectVerb,
    PlayAndCollectVerb,
    SendDigitsVerb,
    EchoVerb,
):
    """A live phone call: from ``@client.on_call`` (inbound) or ``client.dial`` (outbound).

    Commands on a call that is over return at once: ``{}``, or an action that has ended, with a cause.
    """
