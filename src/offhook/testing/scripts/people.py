"""Conferences, rooms, queues, hold, noise reduction, refer, events of users. ``connect`` is the call's own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from offhook.errors import CommandRefused
from offhook.protocol.codes import ResultCode
from offhook.protocol.verbs import denoise, hold, join_conference, join_room, queue, refer, user_event
from offhook.testing.scripts.base import Scene, Script, Told

__all__ = ["PEOPLE"]

_SPACE: Final = uuid.UUID("7b1f2c00-0000-4000-8000-000000000000")


# --- conference -------------------------------------------------------------------------------------------------


def _conference_id(scene: Scene) -> str:
    return str(uuid.uuid5(_SPACE, scene.params["name"]))


def _conference(scene: Scene, conference_id: str, status: str, size: int, **more: Any) -> Told:
    name = scene.memory["conferences"][conference_id]
    told = {"conference_id": conference_id, "name": name, "region": "global", "size": size, "status": status, **more}
    return join_conference.EVENT, told


def _member(scene: Scene) -> dict[str, Any]:
    asked = scene.params
    known = {"node_id": scene.node_id, "call_id": scene.call_id, "hold": False, "coaching": "coach" in asked}
    start, end = asked.get("start_on_enter", True), asked.get("end_on_exit", False)
    return {**known, "muted": asked.get("muted", False), "start_on_join": start, "end_on_leave": end}


def _join_conference(scene: Scene) -> list[Told]:
    conference_id = _conference_id(scene)
    scene.memory.setdefault("conferences", {})[conference_id] = scene.params["name"]
    return [
        _conference(scene, conference_id, "conference-start", 1),
        _conference(scene, conference_id, "participant-join", 1, **_member(scene)),
    ]


def _leave_conference(scene: Scene) -> list[Told]:
    conference_id = scene.params["conference_id"]
    reason = {"reason_ended": "last-participant-left", "call_id_ending_conf": scene.call_id}
    told = [
        _conference(scene, conference_id, "participant-leave", 0, **_member(scene)),
        _conference(scene, conference_id, "conference-end", 0, **reason),
    ]
    del scene.memory["conferences"][conference_id]
    return told


def _is_member(scene: Scene) -> dict[str, Any]:
    if scene.params["conference_id"] not in scene.memory.get("conferences", {}):
        raise CommandRefused(ResultCode.NOT_FOUND, "the call is not in a conference of this `conference_id`")
    return {}


# --- room, queue ------------------------------------------------------------------------------------------------


def _join_room(scene: Scene) -> list[Told]:
    scene.memory["room"] = scene.params["name"]
    return [scene.tell(join_room.EVENT, join_status="joined", room_name=scene.params["name"])]


def _leave_room(scene: Scene) -> list[Told]:
    return [scene.tell(join_room.EVENT, join_status="leave", room_name=scene.memory.pop("room", ""))]


def _queue(status: str) -> Script:
    def begin(scene: Scene) -> list[Told]:
        name = scene.params["queue_name"]
        micros = int(scene.now * 1_000_000)
        place = {"position": 1, "size": 1, "enqueue_ts": micros} if status == "enqueue" else {"leave_ts": micros}
        told = {"status": status, "id": str(uuid.uuid5(_SPACE, name)), "name": name, **place}
        return [scene.tell(queue.EVENT, **told, status_url=scene.params.get("status_url", ""))]

    return Script(begin=begin)


# --- hold, noise, refer, events of users ------------------------------------------------------------------------


def _hold(state: str) -> Script:
    return Script(
        begin=lambda scene: [scene.tell(hold.EVENT, state=state)],
        result=lambda _: {"state": state},
    )


def _denoise(*, wanted: bool) -> Script:
    def result(scene: Scene) -> dict[str, Any]:
        if scene.memory.get("denoised", False) is wanted:
            raise CommandRefused(ResultCode.CONFLICT, f"the denoiser is {'on' if wanted else 'off'} already")
        scene.memory["denoised"] = wanted
        return {}

    return Script(begin=lambda scene: [scene.tell_long(denoise.EVENT, denoised=wanted)], result=result)


def _refer(scene: Scene) -> list[Told]:
    where = {"sip_refer_to": scene.params["device"]["params"]["to"], "sip_refer_response_code": "202"}
    return [
        scene.tell_long(refer.EVENT, state="inProgress", **where),
        scene.tell_long(refer.EVENT, state="success", sip_notify_response_code="200", **where),
    ]


def _user_event(scene: Scene) -> list[Told]:
    said = scene.params["event"]
    beside = {key: value for key, value in scene.params.items() if key not in ("node_id", "call_id", "event")}
    return [(user_event.EVENT, said if isinstance(said, dict) else {"event": said, **beside})]


PEOPLE: Final[Mapping[str, Script]] = {
    "calling.join_conference": Script(
        begin=_join_conference, result=lambda scene: {"conference_id": _conference_id(scene)}
    ),
    "calling.leave_conference": Script(begin=_leave_conference, result=_is_member),
    "calling.join_room": Script(begin=_join_room),
    "calling.leave_room": Script(begin=_leave_room),
    "calling.queue.enter": _queue("enqueue"),
    "calling.queue.leave": _queue("leave"),
    "calling.hold": _hold("hold"),
    "calling.unhold": _hold("unhold"),
    "calling.denoise": _denoise(wanted=True),
    "calling.denoise.stop": _denoise(wanted=False),
    "calling.refer": Script(begin=_refer),
    "calling.user_event": Script(begin=_user_event),
}
