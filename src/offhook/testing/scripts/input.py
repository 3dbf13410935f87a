"""Input, detection and payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from offhook.protocol.verbs import collect, detect, pay, play
from offhook.testing.scripts.base import Scene, Script, Told

__all__ = ["INPUT"]


def _collect_end(scene: Scene) -> list[Told]:
    """Without input: the first of the two settles every client, the second is what 4.4 says of a stop."""
    return [scene.tell(collect.EVENT, result={"type": kind}) for kind in (scene.state, "no_input")]


def _detected(scene: Scene, event: str) -> Told:
    kind = scene.params["detect"].get("type", "machine")
    return scene.tell_long(detect.EVENT, detect={"type": kind, "params": {"event": event}})


def _detect_end(scene: Scene) -> list[Told]:
    """By itself it finds a person, the tone that was asked for, or the first of the keys."""
    if scene.how != "finished":
        return [_detected(scene, scene.state)]
    asked = scene.params["detect"].get("params", {})
    kind = scene.params["detect"].get("type", "machine")
    found = {"machine": "HUMAN", "fax": asked.get("tone", "CED"), "digit": asked.get("digits", "0")[:1]}[kind]
    return [_detected(scene, found), _detected(scene, "finished")]


_CARD: Final = {"payment_method": "credit-card", "payment_card_number": "************4242", "payment_card_type": "visa"}


def _pay_begin(scene: Scene) -> list[Told]:
    steps = ("payment-card-number", "expiration-date", "payment-processing")
    return [scene.tell(pay.EVENT, **{"for": step, "error_type": "", "attempt": "1"}, **_CARD) for step in steps]


def _pay_end(scene: Scene) -> list[Told]:
    """The final event, with the ``state`` that the published SDK waits for (9, row 19)."""
    told: dict[str, Any] = {"result": "relay-pay-stop" if scene.how == "stopped" else "success", "state": "finished"}
    if scene.how == "finished":
        token = scene.params.get("token_type", "reusable")
        told |= {"payment_token": token, "payment_confirmation_code": "scripted", **_CARD}
    return [scene.tell(pay.EVENT, **told)]


INPUT: Final[Mapping[str, Script]] = {
    "calling.collect": Script(end=_collect_end, waits=True),
    "calling.play_and_collect": Script(
        begin=lambda scene: [scene.tell(play.EVENT, state="playing")], end=_collect_end, waits=True
    ),
    "calling.detect": Script(end=_detect_end),
    "calling.pay": Script(begin=_pay_begin, end=_pay_end),
}
