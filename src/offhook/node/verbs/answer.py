"""``calling.answer``: take an inbound call."""

from __future__ import annotations

from typing import Any

from offhook.errors import CommandRefused
from offhook.node.calls.call import Call
from offhook.node.calls.devices import BUILT_CODECS
from offhook.node.calls.ports import Client
from offhook.node.verbs.base import Command, VerbPorts
from offhook.protocol.codes import ResultCode
from offhook.protocol.verbs import answer

__all__ = ["Answer"]

PHONE_CODECS = frozenset({"PCMU", "PCMA", "G729", "G722", "AMR-WB"})


class Answer(Command):
    """Done when media flows."""

    spec = answer.SPECS[0]

    @classmethod
    async def execute(cls, call: Call, params: Any, client: Client, ports: VerbPorts) -> None:  # noqa: ARG003
        assert isinstance(params, answer.Answer)
        _check_codecs(call, params.codecs)
        await call.answer(list(params.codecs), float(params.max_duration or 0))


def _check_codecs(call: Call, codecs: list[Any]) -> None:
    impossible = [codec for codec in codecs if codec not in PHONE_CODECS]
    if call.identity.device.get("type") == "phone" and impossible:
        message = f"`codecs`: a phone call cannot have {', '.join(impossible)}; PCMU and PCMA work everywhere"
        raise CommandRefused(ResultCode.BAD_REQUEST, message)
    if unbuilt := [codec for codec in codecs if codec not in BUILT_CODECS]:
        message = f"`codecs`: {', '.join(unbuilt)} is not built yet: use PCMU, PCMA or G722"
        raise CommandRefused(ResultCode.NOT_IMPLEMENTED, message)
