"""node/gateway/events: what a burst of commands costs, counted."""

from __future__ import annotations

import pytest
from gateway_rig import PROJECT, Node, play, state

from offhook.node.calls.ports import OutgoingEvent

pytestmark = pytest.mark.virtual_clock


def counted(owner, name: str) -> list[int]:
    calls, inner = [0], getattr(owner, name)

    def watched(*arguments):
        calls[0] += 1
        return inner(*arguments)

    setattr(owner, name, watched)
    return calls


@pytest.fixture
async def outbox(tmp_path):
    node = Node(tmp_path)
    await node.gateway.start()
    yield node.outbox
    await node.gateway.close()


def leaving(outbox) -> list[OutgoingEvent]:
    """What leaves from now on."""
    left, inner = [], outbox._leave

    def leave(stamped):
        left.append(stamped.event)
        inner(stamped)

    outbox._leave = leave
    return left


async def test_replies_of_many_calls_look_at_their_own_call_each(outbox):
    """500 commands of an SDK that is back took 4 s of the loop: every reply looked at every call and every command."""
    left, looks = leaving(outbox), counted(outbox, "_is_held")
    turns = [outbox.begin_turn("calling.play", {"call_id": f"call-{number}"}) for number in range(500)]
    for number in range(500):
        outbox.emit(play(f"call-{number}", 1))
        outbox.emit(play(f"call-{number}", 2))
    assert left == []
    for turn in turns:
        turn.replied()
    assert len(left) == 1000
    assert looks[0] < 5 * 1000


async def test_replies_of_many_dials_look_at_their_own_legs_each(outbox):
    left, looks = leaving(outbox), counted(outbox, "_is_held")
    turns = [outbox.begin_turn("calling.dial", {"tag": f"tag-{number}"}) for number in range(300)]
    for number in range(300):
        outbox.emit(state(f"call-{number}", "created", tag=f"tag-{number}"))
        outbox.emit(OutgoingEvent("calling.call.dial", {"tag": f"tag-{number}"}, session=PROJECT, tag=f"tag-{number}"))
    assert left == []
    for number, turn in enumerate(turns):
        turn.replied()
        assert len(left) == 2 * (number + 1)
    assert [event.event_type for event in left[:2]] == ["calling.call.state", "calling.call.dial"]
    assert looks[0] < 10 * 600


async def test_an_event_waits_for_every_command_on_its_call_in_any_order_of_their_replies(outbox):
    left = leaving(outbox)
    first = outbox.begin_turn("calling.play", {"call_id": "call"})
    second = outbox.begin_turn("calling.play", {"call_id": "call"})
    dial = outbox.begin_turn("calling.dial", {"tag": "tag"})
    outbox.emit(state("call", "created", tag="tag"))
    outbox.emit(play("call", 1))
    for turn in (second, second, dial):
        turn.replied()
        assert left == [], "a turn ends once"
    first.replied()
    assert len(left) == 2


async def test_a_call_that_ends_looks_at_its_own_verbs_only(outbox):
    for number in range(200):
        for control in range(3):
            outbox.open_control(f"call-{number}", f"control-{control}", "calling.play", "session")
    assert outbox.open_controls == 600
    entry = outbox._ownership.ensure("call-7", PROJECT)
    outbox.emit(state("call-7", "ended"))
    assert entry.over_at is not None
    assert outbox.open_controls == 597
    assert "call-7" not in outbox._controls
    assert len(outbox._controls) == 199
