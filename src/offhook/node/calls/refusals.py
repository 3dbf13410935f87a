"""What the engine's refusals mean for a client."""

from __future__ import annotations

from collections.abc import Awaitable

from offhook.errors import CommandRefused, EngineLost, EngineRefused
from offhook.protocol.codes import ResultCode

__all__ = ["refusal_of", "steered"]

_REFUSALS = {
    "bad_request": ResultCode.BAD_REQUEST,
    "not_negotiated": ResultCode.BAD_REQUEST,
    "wrong_state": ResultCode.CONFLICT,
    "unknown_leg": ResultCode.GONE,
    "unknown_operation": ResultCode.CONFLICT,
}


def refusal_of(error: EngineRefused | EngineLost) -> CommandRefused:
    """What the engine's refusal of a command means for the client."""
    if isinstance(error, EngineLost):
        return CommandRefused(ResultCode.SERVER_ERROR, "The engine is not connected: try again in a moment")
    return CommandRefused(_REFUSALS.get(error.code, ResultCode.SERVER_ERROR), error.message)


async def steered(work: Awaitable[None]) -> None:
    """Wait for what a command asks of the engine.

    Raises:
        CommandRefused: the engine refused it.
    """
    try:
        await work
    except (EngineRefused, EngineLost) as error:
        raise refusal_of(error) from error
