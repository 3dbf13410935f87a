"""node/gateway/offers on virtual time: who is asked, when the next is, who owns, who loses, when it is given up."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from gateway_rig import PROJECT, Node, OfferedCall, QuietSocket, state

from offhook.errors import CommandRefused
from offhook.node.calls.ports import Client
from offhook.node.gateway.auth import token_id_of

pytestmark = pytest.mark.virtual_clock


class Desk:
    """A desk with clients that come, go, ack and command on virtual time."""

    def __init__(self, directory) -> None:
        self.node = Node(directory)
        self.began_at = asyncio.get_running_loop().time()

    def client(self, *contexts: str):
        sessions = self.node.gateway._sessions
        session = sessions.create(PROJECT, "token")
        self.attach(session)
        sessions.subscribe(session, contexts)
        return session

    def attach(self, session, *, speaks: bool = True) -> None:
        socket = QuietSocket()
        self.node.gateway._sessions.connect(session, socket)
        session.delivery.attach(socket)
        if speaks:
            session.delivery.heard(socket)
        self.node.gateway._session_changed(session)

    def lose(self, session) -> None:
        self.node.gateway._sessions.disconnected(session, session.connection)

    def got(self, session, call) -> list[str]:
        """What the client got of the call: event types, and states."""
        found = []
        for frame in session.connection.frames:
            params = frame["params"]["params"]
            if params.get("call_id") == call.call_id:
                kind = frame["params"]["event_type"].rpartition(".")[2]
                found.append(f"{params['call_state']} {params.get('end_reason')}" if kind == "state" else kind)
        return found

    async def ack(self, session) -> None:
        await self.node.journal.flushed()
        for frame in session.connection.frames:
            session.delivery.acknowledge(frame["id"])

    def command(self, session, call) -> str:
        try:
            self.node.gateway._ownership.claim(call.call_id, session)
        except CommandRefused as refused:
            return refused.code
        return "200"

    async def offer(self, context="office") -> OfferedCall:
        call = OfferedCall(context=context)
        self.node.desk.offer(call)
        await asyncio.sleep(0)
        await self.node.journal.flushed()
        return call

    async def at(self, seconds: float) -> None:
        """Let time pass until then, from the start."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self.began_at + seconds - loop.time()))
        await self.node.journal.flushed()


@pytest.fixture
async def desk(tmp_path):
    desk = Desk(tmp_path)
    await desk.node.gateway.start()
    desk.node.gateway.use_runner(desk.node.runner)
    yield desk
    for session in list(desk.node.gateway._sessions):
        session.connection = None
    with contextlib.suppress(TimeoutError):
        await desk.node.gateway.close()


async def test_a_call_goes_to_one_client_only(desk):
    clients = [desk.client("office") for _ in range(3)]
    call = await desk.offer()
    await desk.at(1)
    assert sorted(len(desk.got(client, call)) for client in clients) == [0, 0, 1]


async def test_the_least_loaded_client_is_asked_and_equals_take_turns(desk):
    busy, idle = desk.client("office"), desk.client("office")
    desk.node.desk.assign("other call", Client(busy.protocol))
    call = await desk.offer()
    assert desk.got(idle, call) == ["receive"]
    desk.command(idle, call)
    first, second = await desk.offer(), await desk.offer()
    assert len(desk.got(busy, first)) + len(desk.got(busy, second)) == 1


async def test_other_contexts_are_not_asked(desk):
    other = desk.client("sales")
    call = await desk.offer()
    await call.decided
    assert desk.got(other, call) == []
    assert call.rejected[0] == 480


async def test_without_an_ack_in_2_s_the_next_is_asked(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.at(1.9)
    assert desk.got(second, call) == []
    await desk.at(2.1)
    assert (desk.got(first, call), desk.got(second, call)) == (["receive"], ["receive"])


async def test_an_ack_gives_10_s_to_think_then_one_more_is_asked_without_withdrawing(desk):
    first, second, third = (desk.client("office") for _ in range(3))
    call = await desk.offer()
    await desk.ack(first)
    await desk.at(9.9)
    assert desk.got(second, call) == []
    await desk.at(10.1)
    assert (desk.got(first, call), desk.got(second, call)) == (["receive"], ["receive"])
    await desk.ack(second)
    await desk.at(60)
    assert desk.got(third, call) == []
    assert call.is_open


async def test_the_first_command_owns_and_the_others_lose(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.ack(first)
    await desk.at(11)
    await desk.ack(second)
    assert desk.command(second, call) == "200"
    assert desk.command(first, call) == "409"
    await desk.at(12)
    assert desk.got(first, call) == ["receive", "ended cancel"]
    assert desk.got(second, call) == ["receive"]
    desk.node.outbox.emit(state(call.call_id, "answered"))
    call.decide()
    await desk.at(13)
    assert desk.got(second, call) == ["receive", "answered None"]
    assert desk.got(first, call) == ["receive", "ended cancel"]


async def test_who_was_not_offered_the_call_cannot_take_it(desk):
    desk.client("office")
    call = await desk.offer()
    stranger = desk.client("sales")
    assert desk.command(stranger, call) == "409"


async def test_a_pass_goes_to_the_next_at_once_and_is_final(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    desk.node.desk.passed(call.call_id, first.protocol)
    await desk.at(0.1)
    assert desk.got(second, call) == ["receive"]
    assert desk.command(first, call) == "409"
    assert desk.command(second, call) == "200"
    await desk.at(1)
    assert desk.got(first, call) == ["receive"]


async def test_a_socket_lost_for_3_s_counts_as_gone(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.ack(first)
    await desk.at(1)
    desk.lose(first)
    await desk.at(3.9)
    assert desk.got(second, call) == []
    await desk.at(4.1)
    assert desk.got(second, call) == ["receive"]


async def test_a_client_that_is_back_within_3_s_keeps_the_offer(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.ack(first)
    await desk.at(1)
    desk.lose(first)
    await desk.at(2)
    desk.attach(first)
    await desk.at(9)
    assert desk.got(second, call) == []
    assert desk.command(first, call) == "200"


async def test_nobody_there_is_held_10_s_with_ringing_then_480_names_the_context(desk):
    gone = desk.client("office")
    desk.lose(gone)
    call = await desk.offer()
    await desk.at(0.5)
    assert call.alerts == 1
    await desk.at(9.9)
    assert call.is_open
    await desk.at(10.1)
    assert call.rejected[0] == 480
    assert "'office'" in call.rejected[1]


async def test_a_client_that_comes_within_the_hold_gets_the_call(desk):
    desk.lose(desk.client("office"))
    call = await desk.offer()
    await desk.at(8)
    late = desk.client("office")
    await desk.at(8.1)
    assert desk.got(late, call) == ["receive"]
    await desk.ack(late)
    await desk.at(15)
    assert desk.command(late, call) == "200"


async def test_a_context_nobody_ever_subscribed_to_is_refused_at_once(desk):
    desk.client("office")
    call = await desk.offer("sales")
    await desk.at(0.1)
    assert call.rejected[0] == 480
    assert "No client has subscribed to context 'sales'" in call.rejected[1]
    assert call.alerts == 0


async def test_ringing_ends_after_120_s(desk):
    first = desk.client("office")
    call = await desk.offer()
    await desk.ack(first)
    await desk.at(119)
    assert call.is_open
    assert call.alerts == 1
    await desk.at(121)
    assert call.rejected == (480, "Nobody took the call within 120 s")


async def test_a_late_ack_still_counts(desk):
    only = desk.client("office")
    call = await desk.offer()
    await desk.at(5)
    await desk.ack(only)
    await desk.at(30)
    assert call.is_open
    assert desk.command(only, call) == "200"


async def test_an_owner_that_goes_before_it_answers_gives_the_call_back(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    desk.command(first, call)
    desk.lose(first)
    await desk.at(2.9)
    assert desk.got(second, call) == []
    await desk.at(3.2)
    assert desk.got(second, call) == ["receive"]


async def test_a_receive_is_not_replayed_once_anybody_acted(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.at(2.5)
    desk.lose(first)
    assert desk.command(second, call) == "200"
    desk.attach(first)
    await desk.at(3)
    assert desk.got(first, call) == ["ended cancel"]


async def test_a_receive_nobody_acted_on_is_replayed_when_its_client_had_time_to_act(desk):
    only = desk.client("office")
    call = await desk.offer()
    desk.lose(only)
    await desk.at(1)
    desk.attach(only)
    await desk.at(1.4)
    assert desk.got(only, call) == []
    await desk.at(1.6)
    assert desk.got(only, call) == ["receive"]


async def test_on_a_line_that_is_cut_again_and_again_a_receive_comes_all_the_same(desk):
    only = desk.client("office")
    call = await desk.offer()
    desk.lose(only)
    for back in (1, 2, 3):
        await desk.at(back)
        desk.attach(only)
        await desk.at(back + 0.2)
        assert desk.got(only, call) == (["receive"] if back == 3 else [])
        await desk.at(back + 0.22)
        desk.lose(only) if back < 3 else None


async def test_the_time_to_act_begins_with_the_first_word_of_a_client_that_is_back(desk):
    """Its process had no CPU to speak when it was back, and its handler ran twice."""
    only = desk.client("office")
    call = await desk.offer()
    desk.lose(only)
    await desk.at(1)
    desk.attach(only, speaks=False)
    await desk.at(6)
    only.delivery.heard(only.connection)
    await desk.at(6.3)
    only.delivery.heard(only.connection)
    await desk.at(6.4)
    assert desk.got(only, call) == []
    await desk.at(6.6)
    assert desk.got(only, call) == ["receive"]


async def test_a_client_that_never_says_a_word_gets_a_receive_again_after_10_s(desk):
    only = desk.client("office")
    call = await desk.offer()
    desk.lose(only)
    await desk.at(1)
    desk.attach(only, speaks=False)
    await desk.at(10.9)
    assert desk.got(only, call) == []
    await desk.at(11.1)
    assert desk.got(only, call) == ["receive"]


async def test_the_10_s_go_on_over_sockets_that_are_cut_before_a_word_came(desk):
    only = desk.client("office")
    call = await desk.offer()
    for back in (1, 6, 11):
        desk.lose(only)
        await desk.at(back)
        desk.attach(only, speaks=False)
        await desk.at(back + 1.9)
        assert desk.got(only, call) == []
        await desk.at(back + 4)
        assert desk.got(only, call) == (["receive"] if back == 11 else [])


async def test_a_word_on_a_socket_that_was_replaced_says_nothing_of_the_new_one(desk):
    only = desk.client("office")
    call = await desk.offer()
    old = only.connection
    await desk.at(1)
    desk.attach(only, speaks=False)
    only.delivery.heard(old)
    await desk.at(5)
    assert desk.got(only, call) == []


async def test_a_receive_that_never_left_goes_out_with_the_next_socket(desk):
    only = desk.client("office")
    call = OfferedCall(context="office")
    desk.node.desk.offer(call)
    await asyncio.sleep(0)
    desk.lose(only)  # it is on its way through the journal
    await desk.at(1)
    desk.attach(only)
    await desk.at(1.1)
    assert desk.got(only, call) == ["receive"]


async def test_a_client_that_acts_when_it_is_back_is_not_asked_twice(desk):
    """reliability 4.2, rule 5: stock clients would run their handler twice. What waited behind the offer comes."""
    only = desk.client("office")
    call = await desk.offer()
    other = await desk.offer()
    desk.lose(only)
    await desk.at(1)
    desk.attach(only)
    await desk.at(1.3)
    assert desk.command(only, call) == "200"
    desk.node.outbox.emit(state(call.call_id, "answered"))
    await desk.at(1.4)
    assert desk.got(only, call) == ["answered None"]
    assert desk.got(only, other) == []
    desk.node.outbox.emit(state(call.call_id, "ended", end_reason="hangup"))
    await desk.at(4)
    assert desk.got(only, call) == ["answered None", "ended hangup"]
    assert desk.got(only, other) == ["receive"]


async def test_a_client_that_acts_while_it_is_sent_what_it_missed_is_not_kept_waiting(desk):
    """An offer taken back in the middle of the replay was noticed only when its time was up."""
    only = desk.client("office")
    call = await desk.offer()
    desk.lose(only)
    await desk.at(1)
    desk.attach(only)
    while not only.delivery.holds(call.call_id):
        await asyncio.sleep(0)
    assert desk.command(only, call) == "200"
    desk.node.outbox.emit(state(call.call_id, "answered"))
    await desk.at(1.2)
    assert desk.got(only, call) == ["answered None"]


async def test_who_was_asked_hears_that_the_caller_gave_up(desk):
    first, second = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.at(2.5)
    call.decide()
    desk.node.outbox.emit(state(call.call_id, "ended", end_reason="abandoned"))
    desk.node.desk.forget(call.call_id)
    await desk.at(3)
    for client in (first, second):
        assert desk.got(client, call) == ["receive", "ended abandoned"]
    await desk.at(5)
    assert desk.node.desk._offers == {}


async def test_a_call_whose_client_is_gone_for_120_s_is_hung_up_once(desk):
    owner = desk.client("office")
    desk.node.desk.assign("call", Client(owner.protocol))
    desk.node.outbox.emit(state("call", "answered"))
    desk.lose(owner)
    await desk.at(100)
    desk.attach(owner)
    await desk.at(130)
    assert desk.node.runner.ran == []
    desk.lose(owner)
    await desk.at(249)
    assert desk.node.runner.ran == []
    await desk.at(251)
    [(method, params, asker)] = desk.node.runner.ran
    assert method == "calling.end"
    assert params == {"node_id": "node-1", "call_id": "call", "reason": "hangup"}
    assert asker == Client(owner.protocol)


async def test_a_session_is_forgotten_600_s_after_its_socket_but_not_while_it_controls_a_call(desk):
    idle, busy = desk.client("office"), desk.client("office")
    desk.node.desk.assign("call", Client(busy.protocol))
    desk.lose(idle)
    desk.lose(busy)
    sessions = desk.node.gateway._sessions
    await desk.at(590)
    assert sessions.get(idle.protocol) is not None
    await desk.at(610)
    assert sessions.get(idle.protocol) is None
    assert sessions.get(busy.protocol) is not None
    desk.node.desk.forget("call")
    await desk.at(620)
    assert sessions.get(busy.protocol) is None


async def test_a_retired_token_gets_no_more_offers_but_keeps_its_calls(desk):
    sessions = desk.node.gateway._sessions
    old, new = sessions.create(PROJECT, token_id_of("old")), sessions.create(PROJECT, token_id_of("new"))
    for session in (old, new):
        desk.attach(session)
        sessions.subscribe(session, ["office"])
    first = await desk.offer()
    assert desk.command(old, first) == "200"
    desk.node.gateway.retire("old")
    for _ in range(3):
        call = await desk.offer()
        assert (desk.got(old, call), desk.got(new, call)) == ([], ["receive"])
    assert desk.node.gateway.calls_of("old") == 1
    desk.node.outbox.emit(state(first.call_id, "answered"))
    await desk.at(0.1)
    assert desk.got(old, first) == ["receive", "answered None"]
    desk.node.gateway.readmit("old")
    call = await desk.offer()
    assert desk.got(old, call) == ["receive"]


async def test_a_subscriber_that_never_acks_stands_last_until_it_acks_something(desk):
    """It was never busy, and so the first to be asked: every call reached the others 2 s late, for ever."""
    dead, good = desk.client("office"), desk.client("office")
    delayed = 0
    for number in range(6):
        await desk.at(10 * number)
        call = await desk.offer()
        await desk.at(10 * number + 0.1)
        await desk.ack(good)
        at_once = desk.got(good, call) == ["receive"]
        delayed += not at_once
        await desk.at(10 * number + 3)
        assert desk.got(good, call) == ["receive"]
        desk.command(good, call)
        desk.node.desk.forget(call.call_id)
    assert delayed <= 1
    call = await desk.offer()
    desk.command(good, call)
    busy = await desk.offer()
    assert desk.got(good, busy) == ["receive"], "also when the other is busy"
    desk.lose(good)
    alone = await desk.offer()
    assert desk.got(dead, alone) == ["receive"], "nobody else is there"
    desk.attach(good)
    await desk.ack(dead)
    later = await desk.offer()
    assert desk.got(dead, later) == ["receive"]


async def test_a_client_that_is_back_on_a_new_socket_does_not_stand_last(desk):
    dead, good = desk.client("office"), desk.client("office")
    call = await desk.offer()
    await desk.at(3)
    silent = dead if dead.is_silent else good
    other = good if silent is dead else dead
    assert silent.is_silent
    desk.command(other, call)
    desk.lose(silent)
    desk.attach(silent)
    assert not silent.is_silent
    later = await desk.offer()
    assert desk.got(silent, later) == ["receive"]


async def test_a_call_that_is_taken_is_looked_for_only_where_it_was_offered(desk):
    """Each claim and each end went through every unacked event of every session."""
    taker, others = desk.client("office"), [desk.client("sales") for _ in range(20)]
    searched = []
    for session in (taker, *others):
        retract = session.delivery.retract

        def watched(call_id, retract=retract, session=session):
            searched.append(session)
            retract(call_id)

        session.delivery.retract = watched
    call = await desk.offer()
    desk.command(taker, call)
    desk.node.desk.forget(call.call_id)
    assert set(searched) == {taker}
