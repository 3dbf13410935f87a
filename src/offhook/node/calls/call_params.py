"""What clients and the engine are told of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.node.calls.endings import end_params
from offhook.node.calls.label import CallLabel, OpenAction
from offhook.protocol.states import CallState, Direction

if TYPE_CHECKING:
    from offhook.node.calls.call import Call

__all__ = ["address_params", "brief", "label_of", "receive_params", "state_params", "withdrawn_params"]

MAX_LABELLED_URI = 512


def receive_params(call: Call) -> dict[str, Any]:
    """Params of ``calling.call.receive``: always ``created``, which one published client insists on."""
    return _address(call) | {
        "project_id": call.settings.project_id,
        "context": call.context,
        "direction": call.identity.direction.value,
        "call_state": "created",
        "device": call.identity.device,
    }


def withdrawn_params(call: Call) -> dict[str, Any]:
    """Params of ``ended`` for a session that lost the offer."""
    params = state_params(call) | {"call_state": "ended", "end_reason": "cancel", "end_source": "none"}
    params["end_time"] = call.wall_ms()
    params.pop("end_detail", None)
    return params


def state_params(call: Call) -> dict[str, Any]:
    """Params of ``calling.call.state``; whole, because clients replace what they had."""
    params = address_params(call) | {
        "start_time": call.start_time,
        "answer_time": call.answer_time if call.state is not CallState.CREATED else 0,
        "end_time": call.end_time if call.state in (CallState.ENDING, CallState.ENDED) else 0,
    }
    if call.ending is not None and call.state in (CallState.ENDING, CallState.ENDED):
        params |= end_params(call.ending)
    return params


def address_params(call: Call) -> dict[str, Any]:
    """A call's state without times and end: the ``call`` of a dial's event."""
    params = _address(call) | {
        "call_state": call.state.value,
        "direction": call.identity.direction.value,
        "device": call.identity.device,
    }
    if call.dial_winner and call.identity.parent is None:
        params["dial_winner"] = "true"
    if call.identity.parent is not None:
        params["parent"] = call.identity.parent
    if call.identity.sip_data:
        params["sip_data"] = call.identity.sip_data
    return params


def label_of(call: Call, actions: list[OpenAction]) -> CallLabel:
    """What a new node needs to adopt the call, with these actions."""
    return CallLabel(
        call_id=call.call_id,
        segment_id=call.identity.segment_id,
        direction=call.identity.direction,
        tag=call.tag,
        context=call.context,
        dialled_by=call.dialled_by,
        device=call.brief_device,
        start_time=call.start_time,
        answer_time=call.answer_time,
        dial_winner=call.dial_winner,
        rings_last=call.rings_last,
        is_on_trunk=call.is_on_trunk,
        ring_timeout_s=0.0 if call.answer_time else call.ring_timeout_s,
        max_duration_s=call.max_duration_s,
        actions=actions,
    )


def _address(call: Call) -> dict[str, Any]:
    return {
        "node_id": call.settings.node_id,
        "call_id": call.call_id,
        "segment_id": call.identity.segment_id,
        "tag": _public_tag(call),
    }


def _public_tag(call: Call) -> str:
    """A leg that did not win ends without its tag: clients stop to track a tag on its first ``ended``."""
    lost = call.identity.direction is Direction.OUTBOUND and not call.dial_winner
    return "" if lost and call.state in (CallState.ENDING, CallState.ENDED) else call.tag


def brief(device: dict[str, Any]) -> dict[str, Any]:
    """A device for the label: without headers, and with nothing that is out of all proportion."""
    params = {
        key: value
        for key, value in device.get("params", {}).items()
        if isinstance(value, str) and len(value) <= MAX_LABELLED_URI
    }
    return device | {"params": params} if device else {}
