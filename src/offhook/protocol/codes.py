"""Codes of the two failure channels: JSON-RPC errors, and the ``code`` of a result (relay-protocol 1.3 and 2)."""

from __future__ import annotations

import enum
import re
from types import MappingProxyType
from typing import Final

__all__ = ["LOCAL_ERROR", "RESULT_MEANINGS", "ResultCode", "RpcCode", "is_success", "number_of_code"]

LOCAL_ERROR: Final = -1
"""The code of a failure that the client itself found: no reply came, the socket went, the queue is full."""


class RpcCode(enum.IntEnum):
    """Codes of a JSON-RPC ``error``: the request did not reach an operation."""

    REQUEST_TIMEOUT = -32000
    VERSION_INCOMPATIBLE = -32001
    AUTHENTICATION_FAILED = -32002
    NOT_ALLOWED = -32003
    NOT_AVAILABLE = -32004
    CAPACITY_EXCEEDED = -32005
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    PARSE = -32700


class ResultCode(enum.StrEnum):
    """The ``code`` of a result: what became of a request that reached its operation. A string on the wire."""

    OK = "200"
    BAD_REQUEST = "400"
    PAYMENT_REQUIRED = "402"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    CONFLICT = "409"
    GONE = "410"
    SERVER_ERROR = "500"
    NOT_IMPLEMENTED = "501"


RESULT_MEANINGS: Final = MappingProxyType(
    {
        ResultCode.OK: "accepted; what follows comes as events",
        ResultCode.BAD_REQUEST: "a parameter is missing or wrong; the message names it",
        ResultCode.PAYMENT_REQUIRED: "the account or its permissions do not cover this",
        ResultCode.FORBIDDEN: "this client may not do that",
        ResultCode.NOT_FOUND: "no such call or resource",
        ResultCode.CONFLICT: "the call's state, its owner or a running operation stands against it",
        ResultCode.GONE: "the call existed and is over",
        ResultCode.SERVER_ERROR: "the node failed; the request may be tried again",
        ResultCode.NOT_IMPLEMENTED: "the protocol lists this, this node does not do it; the message names it",
    }
)


def is_success(code: str) -> bool:
    """Say whether a result's ``code`` is 2xx (RELAY counts all of them as success)."""
    return len(code) == 3 and code[0] == "2" and code.isdecimal()


_NUMBER: Final = re.compile(r"-?[0-9]{1,9}", re.ASCII)


def number_of_code(code: object) -> int:
    """Read a ``code`` as a number, whatever a server wrote there; ``LOCAL_ERROR`` when it is none."""
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < 10**9 else LOCAL_ERROR
    return int(code) if isinstance(code, str) and _NUMBER.fullmatch(code) else LOCAL_ERROR
