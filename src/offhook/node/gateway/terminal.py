"""Which event ends an accepted verb, and what ends one whose node died (relay-protocol 4, keyed actions)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ends_control", "is_start", "lost_events", "must_settle", "told_state"]

_COLLECTS: Final = frozenset({"calling.collect", "calling.play_and_collect"})
_GOES_ON: Final = frozenset({"calling.play", "calling.record"})
"""Verbs that another node can take over."""
_STEERING: Final = frozenset({"pause", "resume", "stop", "volume", "start_input_timers"})


def is_start(method: str) -> bool:
    """Whether a method starts a verb (and does not steer one that runs)."""
    return method.rpartition(".")[2] not in _STEERING


def must_settle(method: str) -> bool:
    """Whether the events of a verb wait until its result had time to arrive (relay-protocol 10.5, rule 1)."""
    return method in _COLLECTS


def _is_finished(params: Mapping[str, Any]) -> bool:
    return params.get("state") in ("finished", "error", "no_input")


def _is_collected(params: Mapping[str, Any]) -> bool:
    if params.get("state") in ("finished", "error"):
        return True
    result = params.get("result")
    kind = result.get("type") if isinstance(result, dict) else None
    is_update = params.get("final") is False or params.get("state") == "collecting"
    return kind not in (None, "start_of_input") and not is_update


_ENDS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any]], bool]]]] = MappingProxyType(
    {
        "calling.play": ("calling.call.play", _is_finished),
        "calling.record": ("calling.call.record", _is_finished),
        "calling.collect": ("calling.call.collect", _is_collected),
        "calling.play_and_collect": ("calling.call.collect", _is_collected),
        "calling.send_digits": ("calling.call.send_digits", _is_finished),
    }
)


def ends_control(method: str, event_type: str, params: Mapping[str, Any]) -> bool:
    """Whether this event is the terminal one of a verb that was started by ``method``."""
    if method not in _ENDS:
        return False
    wanted, is_end = _ENDS[method]
    return event_type == wanted and is_end(params)


def told_state(method: str, event_type: str, params: Mapping[str, Any]) -> str:
    """The state that this event tells of a play or record; empty: another event. The next node must not repeat it."""
    if method not in _GOES_ON or event_type != _ENDS[method][0]:
        return ""
    return str(params.get("state", ""))


def lost_events(method: str, address: Mapping[str, str], control_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Types and params of the events that end a verb with ``error``; none for one that no event ends."""
    if method not in _ENDS:
        return []
    event_type = _ENDS[method][0]
    params: dict[str, Any] = {**address, "control_id": control_id}
    if event_type == "calling.call.collect":
        return [(event_type, {**params, "result": {"type": "error"}})]
    ends = [(event_type, {**params, "state": "error"})]
    if method == "calling.record":  # the TypeScript client settles on nothing else (relay-protocol 10.4)
        ends.append((event_type, {**params, "state": "no_input"}))
    return ends
