"""States of a call: two tables that say the same."""

from __future__ import annotations

from offhook.protocol.states import CALL_STATE_ORDER, CALL_TRANSITIONS, CallState


def test_a_call_moves_to_every_state_that_comes_later_and_to_no_other() -> None:
    for state, following in CALL_TRANSITIONS.items():
        later = {one for one in CallState if CALL_STATE_ORDER[one] > CALL_STATE_ORDER[state]}
        assert following == later
