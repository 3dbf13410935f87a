"""node/gateway/replay without IO: each row of its tables, and any order of what can happen to it."""

from __future__ import annotations

import asyncio
import itertools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_rig import settings as gateway_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_delivery import OPERATIONS as STORY_OPERATIONS
from test_delivery import Story as WholeStory

from offhook.node.gateway.limits import Budget
from offhook.node.gateway.replay import Read, Replay, Rest
from offhook.node.gateway.replay_states import LOADED, SENDING, STEPS, TRANSITIONS, Cause, Phase, State, Step
from offhook.node.gateway.unacked import Truncation, Unacked
from offhook.node.gateway.walk import Walk
from offhook.node.store.port import StoredEvent
from offhook.protocol.verbs.state import RECEIVE_EVENT
from offhook.testing.clock import VirtualClockLoop

SETTINGS = gateway_settings(replay_window=3)
PAGE = Path(__file__).resolve().parents[4] / "docs/internals/gateway.md"
DIALLED = ["d", ""]
"""Calls that were dialled together, and the dial itself, which has no call: one lane. They are never on offer."""
BEATS = 2000
"""Steps in which a replay of a story is over; more is a loop."""


class WatchedReplay(Replay):
    """Notes its moves."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.moves: list[tuple[State, Cause, State]] = []

    def _move(self, cause: Cause) -> None:
        before = self.state
        super()._move(cause)
        self.moves.append((before, cause, self.state))


def lane_of(event: StoredEvent) -> str:
    return "dialled" if event.call_id in DIALLED else event.call_id


class Bench:
    """A journal, a clock and a client around a replay, which do what it says and judge it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.disk: dict[int, StoredEvent] = {}
        self.is_readable = True
        self.is_slow = False
        """A page is as the disk was when it was asked for, not as it is when it comes."""
        self.under_way: list[StoredEvent] = []
        self.syncing: list[StoredEvent] = []
        """Written, and to be on the disk before they leave."""
        self.durable: set[str] = set()
        self.emitted: list[StoredEvent] = []
        self.ids = itertools.count()
        self.acked: set[str] = set()
        self.taken_back: set[str] = set()
        self.connections: list[list[StoredEvent]] = []
        self.is_connected = self.is_heard = False
        self.rests_until: float | None = None
        self.was_here_s: dict[str, list[float]] = {}
        """Of each offer that went out: for how long the client was here since, unheard and heard."""
        self.start(last_seq=0, is_new=True)

    def start(self, *, last_seq: int, is_new: bool) -> None:
        self.unacked = Unacked(SETTINGS, Budget(1 << 30), Truncation(0, 0))
        self.replay = WatchedReplay(self.unacked, SETTINGS, last_seq=last_seq, is_new=is_new)
        self.read: Read | None = None
        self.page: list[StoredEvent] = []
        self.is_over = True

    # --- what happens ---

    def emit(self, call_id: str, event_type: str = "calling.call.play") -> StoredEvent:
        seq = self.replay.number()
        event = StoredEvent("s", seq, f"id-{next(self.ids)}", call_id, seq, event_type, 0.0, "{}")
        self.disk[seq] = event
        self.emitted.append(event)
        self.under_way.append(event)
        return event

    def emit_durable(self, call_id: str) -> StoredEvent:
        event = self.emit(call_id)
        self.durable.add(event.id)
        return event

    def offer(self, call_id: str) -> StoredEvent:
        return self.emit(call_id, RECEIVE_EVENT)

    def hand_over(self, count: int = 1000) -> None:
        for event in self.under_way[:count]:
            is_synced = event.id not in self.durable
            if not is_synced:
                self.syncing.append(event)
            if self.replay.journalled(event, self.now, lane_of(event), is_synced=is_synced):
                self.send(event)
        del self.under_way[:count]
        self.forget()

    def sync(self, count: int = 1000) -> None:
        for event in self.syncing[:count]:
            self.syncing.remove(event)
            for free in self.replay.synced(event):
                self.send(free)

    def connect(self) -> None:
        self.drop()
        self.connections.append([])
        self.is_connected = True
        self.replay.attach(self.now)
        self.is_over = False

    def hear(self) -> None:
        if self.is_connected:
            self.is_heard = True
            self.replay.heard(self.now)

    def drop(self) -> None:
        self.replay.detach(self.now)
        self.is_connected = self.is_heard = False
        self.is_over, self.read = True, None

    def retract(self, call_id: str) -> None:
        self.replay.retract(call_id)
        offers = [event for event in self.emitted if event.event_type == RECEIVE_EVENT]
        self.taken_back |= {offer.id for offer in offers if offer.call_id == call_id}
        self.forget()

    def ack(self, event: StoredEvent) -> None:
        assert (self.unacked.forget(event.id) is not None) == (event.id not in self.acked | self.taken_back)
        self.acked.add(event.id)
        self.forget()

    def ack_all(self) -> None:
        for event in self.connections[-1] if self.is_connected else ():
            if event.id not in self.acked and event.id in self.unacked:
                self.ack(event)

    def wait(self, seconds: float) -> None:
        """Time passes, or the clock is set back, which none that we use may be."""
        self.now += seconds
        if self.is_connected and seconds > 0:
            for here in self.was_here_s.values():
                here[self.is_heard] += seconds

    def restart(self) -> None:
        """Another node goes on with what is on the disk. What it was not told was taken back it cannot know."""
        self.drop()
        self.under_way.clear()
        self.syncing.clear()
        self.taken_back -= {event.id for event in self.disk.values()}
        self.start(last_seq=self.replay.last_seq, is_new=False)

    # --- what it says ---

    def beat(self) -> None:
        """The next thing that it wants; a page comes one beat after it was asked for."""
        if self.is_over:
            return
        if self.read is not None:
            read, self.read = self.read, None
            if self.is_readable:
                self.replay.read(self.page if self.is_slow else self.page_after(read.after))
            else:
                self.replay.unreadable(self.now)
            return
        step = self.replay.next(self.now)
        self.forget()
        self.rests_until = None
        if isinstance(step, StoredEvent):
            self.send(step)
            assert len(self.unacked.replayed) < 2 * SETTINGS.replay_window
        elif isinstance(step, Read):
            self.read, self.page = step, self.page_after(step.after)
        elif isinstance(step, Rest):
            assert step.until is None or step.until > self.now
            self.rests_until = step.until
        else:
            self.is_over = True
            assert self.replay.state is State.LIVE

    def page_after(self, seq: int) -> list[StoredEvent]:
        rest = sorted(one for one in self.disk if one > seq)
        return [self.disk[one] for one in rest[: SETTINGS.replay_window]]

    def beats(self, count: int = 100) -> None:
        for _ in range(count):
            self.beat()

    def send(self, event: StoredEvent) -> None:
        assert self.is_connected
        sent = self.connections[-1]
        assert event.id not in {one.id for one in sent}, "an event came twice on one connection"
        assert all(one.session_seq < event.session_seq for one in sent if one.call_id == event.call_id), "order"
        dialled = [one for one in sent if one.call_id in DIALLED] if event.call_id in DIALLED else []
        assert all(one.session_seq < event.session_seq for one in dialled), "order of what was dialled together"
        assert event.id not in self.acked, "an event came after its ack"
        before = [one for one in self.syncing if one.session_seq <= event.session_seq]
        before = [one for one in before if lane_of(one) == lane_of(event)]
        assert before == [], "an event came before it, or one before it in its lane, was on the disk"
        assert event.id not in self.taken_back, "an offer came after it was taken back"
        if event.event_type == RECEIVE_EVENT:
            unheard_s, heard_s = self.was_here_s.get(event.id, (99.0, 99.0))
            assert heard_s > 0.499 or unheard_s > 9.99, "an offer came again too early"
            self.was_here_s[event.id] = [0.0, 0.0]
        sent.append(event)

    def forget(self) -> None:
        for seq in self.unacked.to_forget:
            self.disk.pop(seq, None)
        self.unacked.to_forget = []

    def finish(self) -> None:
        """The client stays, speaks and acks; then nothing may be left anywhere."""
        self.is_readable = True
        if not self.is_connected:
            self.connect()
        self.hear()
        for _ in range(BEATS):
            self.hand_over()
            self.sync(1)
            self.beat()
            self.ack_all()
            if self.is_over and not self.syncing:
                break
            self.wait(max(0.0, (self.rests_until or self.now) - self.now))
        assert self.replay.state is State.LIVE
        assert (len(self.unacked), self.unacked.size_bytes, self.disk) == (0, 0, {})
        came = {event.id for sent in self.connections for event in sent}
        assert [event.id for event in self.emitted if event.id not in came | self.taken_back] == [], "lost"


# --- any order ---

SOME_CALL = st.sampled_from(["a", "b", "c"])
ANY = SOME_CALL | st.sampled_from(DIALLED)

Story = list[tuple[str, *tuple[object, ...]]]


def one(name: str, *args: st.SearchStrategy[object]) -> st.SearchStrategy[Story]:
    return st.tuples(st.just(name), *args).map(lambda operation: [operation])


def several(*parts: st.SearchStrategy[Story]) -> st.SearchStrategy[Story]:
    return st.tuples(*parts).map(lambda stories: [operation for story in stories for operation in story])


HANDED_OVER = one("hand_over", st.just(9))
BACK = several(one("connect"), one("hear") | st.just([]))
BEATS_ON = one("beats", st.integers(1, 12) | st.just(60))
TIME = one("wait", st.sampled_from([0.01, 0.2, 0.3, 0.5, 6.0, 3600.0, -0.3, -3600.0]))
OPERATIONS = st.one_of(
    one("emit", ANY),
    one("emit_durable", ANY),
    one("sync", st.integers(1, 3)),
    one("offer", SOME_CALL),
    several(one("emit_durable", ANY), one("emit", ANY) | one("offer", SOME_CALL), HANDED_OVER),
    several(one("emit", SOME_CALL) | one("offer", SOME_CALL), HANDED_OVER),
    several(one("offer", SOME_CALL), HANDED_OVER, one("drop") | one("restart")),
    several(BACK, BEATS_ON, one("offer", SOME_CALL), HANDED_OVER, BACK, BEATS_ON, TIME, BEATS_ON),
    one("retract", SOME_CALL),
    one("hand_over", st.integers(1, 3)),
    BEATS_ON,
    one("ack", st.integers(0, 4)),
    one("ack_all"),
    one("connect"),
    several(BACK, BEATS_ON, TIME, BEATS_ON),
    one("hear"),
    one("drop"),
    one("disk", st.booleans(), st.booleans()),
    several(TIME, BEATS_ON),
    one("restart"),
)


@hypothesis_settings(max_examples=500, deadline=None)
@given(st.lists(OPERATIONS, max_size=40).map(lambda stories: [operation for story in stories for operation in story]))
def test_whatever_happens_nothing_is_lost_or_reordered_and_no_offer_comes_twice_or_late(operations):
    bench = Bench()
    for name, *args in operations:
        if name == "ack":
            late = [event for sent in bench.connections for event in sent if event.id in bench.unacked]
            if late:
                bench.ack(late[args[0] % len(late)])
        elif name == "disk":
            bench.is_readable, bench.is_slow = args
        else:
            getattr(bench, name)(*args)
        assert all(TRANSITIONS[before, cause] is after for before, cause, after in bench.replay.moves)
    bench.finish()
    bench.emit_durable("b")
    bench.emit("a")
    bench.hand_over()
    assert bench.connections[-1][-1] is bench.emitted[-1], "live, an event goes out at once"


class SpeakingStory(WholeStory):
    """On its real driver, with a client that says something whenever it is back."""

    def resume(self) -> None:
        super().resume()
        self.session.delivery.heard(self.sockets[-1])


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STORY_OPERATIONS, max_size=40))
def test_the_same_on_the_journal_with_a_client_that_speaks(operations):
    async def story(directory: Path) -> SpeakingStory:
        tale = SpeakingStory(directory)
        await tale.start()
        for operation in operations:
            await tale.run(operation)
        await tale.finish()
        return tale

    with tempfile.TemporaryDirectory() as directory, asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(story(Path(directory))).check()


# --- syncs ---


def test_what_is_to_be_on_the_disk_holds_up_its_own_call_alone():
    """A disk that takes 200 ms for a sync made every caller wait for 400 ms to be answered."""
    bench = Bench()
    bench.connect()
    first, second, third = bench.emit_durable("a"), bench.emit_durable("a"), bench.emit("a")
    other = bench.emit("b")
    bench.hand_over()
    assert bench.connections[-1] == [other]
    bench.sync(1)
    assert bench.connections[-1] == [other, first]
    bench.sync(1)
    assert bench.connections[-1] == [other, first, second, third]


def test_what_was_not_on_the_disk_when_a_walk_came_by_goes_out_when_it_is():
    bench = away()
    durable, behind, other = bench.emit_durable("a"), bench.emit("a"), bench.emit("b")
    bench.hand_over()
    bench.connect()
    bench.beats()
    assert bench.replay.state is State.LIVE
    assert bench.connections[-1] == [other]
    bench.drop()
    bench.connect()
    bench.beats(2)  # the page is asked for and has come: the walk is not there yet
    bench.sync()
    assert bench.connections[-1] == []
    bench.beats()
    assert bench.connections[-1] == [durable, behind, other]


def test_an_offer_that_was_taken_back_behind_what_is_not_on_the_disk_does_not_go_out():
    bench = Bench()
    bench.connect()
    durable = bench.emit_durable("a")
    bench.offer("a")
    bench.hand_over()
    bench.retract("a")
    bench.sync()
    assert bench.connections[-1] == [durable]


# --- each row ---


def unread(*, with_offer: bool = False) -> Bench:
    bench = Bench()
    bench.offer("a") if with_offer else bench.emit("a")
    bench.restart()
    return bench


def loading(*, with_offer: bool = False) -> Bench:
    bench = unread(with_offer=with_offer)
    bench.connect()
    return bench


def away(*, calls: str = "") -> Bench:
    bench = Bench()
    bench.connect()
    bench.beats()
    for call_id in calls:
        bench.offer(call_id)
    bench.hand_over()
    bench.drop()
    return bench


def replaying(*, calls: str = "") -> Bench:
    bench = away(calls=calls)
    bench.emit("x")
    bench.hand_over()
    bench.connect()
    return bench


def live() -> Bench:
    bench = away()
    bench.connect()
    return bench


def waiting(calls: str = "a") -> Bench:
    bench = replaying(calls=calls)
    bench.hear()
    bench.beats()
    return bench


def repeating(calls: str = "a") -> Bench:
    bench = waiting(calls)
    bench.retract("a")
    bench.beat()
    return bench


def close(bench: Bench) -> None:
    bench.replay.close()
    bench.replay.close()


def emit_and_connect(bench: Bench) -> None:
    bench.emit("a")
    bench.hand_over()
    bench.connect()


ROWS: dict[tuple[State, Cause], tuple[Callable[[], Bench], Callable[[Bench], None]]] = {
    (State.UNREAD, Cause.ATTACHED): (unread, Bench.connect),
    (State.UNREAD, Cause.GONE): (unread, close),
    (State.LOADING, Cause.DETACHED): (loading, Bench.drop),
    (State.LOADING, Cause.THROUGH): (loading, Bench.beats),
    (State.LOADING, Cause.HELD): (lambda: loading(with_offer=True), Bench.beats),
    (State.LOADING, Cause.GONE): (loading, close),
    (State.AWAY, Cause.ATTACHED): (away, emit_and_connect),
    (State.AWAY, Cause.ATTACHED_CURRENT): (away, Bench.connect),
    (State.AWAY, Cause.GONE): (away, close),
    (State.REPLAYING, Cause.DETACHED): (replaying, Bench.drop),
    (State.REPLAYING, Cause.THROUGH): (replaying, Bench.beats),
    (State.REPLAYING, Cause.HELD): (lambda: replaying(calls="a"), Bench.beats),
    (State.REPLAYING, Cause.GONE): (replaying, close),
    (State.LIVE, Cause.DETACHED): (live, Bench.drop),
    (State.LIVE, Cause.GONE): (live, close),
    (State.WAITING, Cause.DETACHED): (waiting, Bench.drop),
    (State.WAITING, Cause.DUE): (waiting, lambda bench: (bench.wait(0.5), bench.beat())),
    (State.WAITING, Cause.GONE): (waiting, close),
    (State.REPEATING, Cause.DETACHED): (repeating, Bench.drop),
    (State.REPEATING, Cause.THROUGH): (repeating, Bench.beats),
    (State.REPEATING, Cause.HELD): (lambda: repeating("ab"), Bench.beats),
    (State.REPEATING, Cause.GONE): (repeating, close),
}


@pytest.mark.parametrize(("state", "cause"), list(ROWS), ids=lambda one: one.name)
def test_each_row_of_the_replay(state, cause):
    prepare, happen = ROWS[state, cause]
    bench = prepare()
    assert bench.replay.state is state
    del bench.replay.moves[:]
    happen(bench)
    assert bench.replay.moves == [(state, cause, TRANSITIONS[state, cause])]


def test_no_row_is_left_out_and_closed_is_final():
    assert set(ROWS) == set(TRANSITIONS)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.CLOSED}
    assert set(TRANSITIONS.values()) == set(State)
    assert SENDING <= LOADED
    bench = live()
    close(bench)
    event = bench.emit("a")
    assert not bench.replay.journalled(event, bench.now, "a", is_synced=True)
    for happen in (Bench.connect, Bench.hear, Bench.drop, lambda bench: bench.retract("a")):
        happen(bench)
        assert bench.replay.state is State.CLOSED
        assert bench.replay.next(bench.now) is None
    assert len(bench.unacked) == 0


@pytest.mark.parametrize("prepare", [unread, away, live], ids=lambda one: one.__name__)
def test_a_page_that_nobody_asked_for_is_ignored(prepare):
    bench = prepare()
    bench.replay.read([])
    bench.replay.unreadable(bench.now)
    assert bench.replay.state is prepare().replay.state


def event_of(seq: int) -> StoredEvent:
    return StoredEvent("s", seq, f"id-{seq}", "a", seq, "calling.call.play", 0.0, "{}")


def asked() -> Walk:
    walk = Walk(None)
    assert walk.ask(7) == Read(0)
    return walk


def sending() -> Walk:
    walk = asked()
    walk.read([event_of(3), event_of(8)], 7)
    return walk


def at_the_end_of_a_page(*, is_full: bool) -> Walk:
    walk = sending()
    assert (walk.take().session_seq, walk.take()) == (3, None), "what was not handed over is read again"
    assert walk.go_on(0.0, is_full=is_full) is None
    return walk


def retrying() -> Walk:
    walk = asked()
    walk.unreadable(10.0)
    assert walk.go_on(10.4, is_full=False) == Rest(10.5)
    return walk


def full() -> Walk:
    walk = at_the_end_of_a_page(is_full=True)
    assert walk.go_on(0.0, is_full=True) == Rest(None)
    return walk


WALKS: dict[tuple[Phase, Step], tuple[Callable[[], Walk], Callable[[Walk], object]]] = {
    (Phase.ASK, Step.ASKED): (lambda: Walk(None), lambda walk: walk.ask(7)),
    (Phase.ASKED, Step.PAGE): (asked, lambda walk: walk.read([event_of(1)], 7)),
    (Phase.ASKED, Step.OVERTAKEN): (asked, lambda walk: walk.read([], 8)),
    (Phase.ASKED, Step.NOTHING): (asked, lambda walk: walk.read([event_of(8)], 7)),
    (Phase.ASKED, Step.UNREADABLE): (asked, lambda walk: walk.unreadable(0.0)),
    (Phase.SEND, Step.SENT): (sending, lambda walk: (walk.take(), walk.take(), walk.go_on(0.0, is_full=False))),
    (Phase.SEND, Step.FILLED): (sending, lambda walk: (walk.take(), walk.take(), walk.go_on(0.0, is_full=True))),
    (Phase.FULL, Step.ACKED): (full, lambda walk: walk.go_on(0.0, is_full=False)),
    (Phase.RETRY, Step.RETRIED): (retrying, lambda walk: walk.go_on(10.5, is_full=True)),
}


@pytest.mark.parametrize(("phase", "step"), list(WALKS), ids=lambda one: one.name)
def test_each_row_of_a_walk(phase, step):
    prepare, happen = WALKS[phase, step]
    walk = prepare()
    assert walk.phase is phase
    happen(walk)
    assert walk.phase is STEPS[phase, step]


def test_no_row_of_a_walk_is_left_out_and_it_goes_on_behind_what_it_has_seen():
    assert set(WALKS) == set(STEPS)
    assert {phase for phase, _ in STEPS} == set(Phase) - {Phase.OVER}
    assert at_the_end_of_a_page(is_full=False).ask(9) == Read(3)


def rows_of_the_docs(head: str) -> dict[tuple[str, str], str]:
    """(from, why) -> to, of the table whose first column is ``head``."""
    table = PAGE.read_text().split(f"| {head} |", 1)[1].split("\n\n", 1)[0]
    found = {}
    for line in table.splitlines()[2:]:
        name, _, goes = (cell.strip() for cell in line.strip("|").split("|"))
        for why, to in re.findall(r"([^;:]+): `(\w+)`", goes):
            found[name.strip("`"), why.strip()] = to
    return found


@pytest.mark.parametrize(("head", "table"), [("state", TRANSITIONS), ("phase", STEPS)], ids=["replay", "walk"])
def test_the_tables_of_the_docs_are_those_of_the_code(head, table):
    assert rows_of_the_docs(head) == {(at.value, why.value): to.value for (at, why), to in table.items()}


# --- what was wrong once, or nearly ---


def test_an_offer_taken_back_before_it_was_read_from_the_journal_is_forgotten_there():
    """It stayed on the disk, and the next node offered it again."""
    bench = unread(with_offer=True)
    bench.retract("a")
    bench.connect()
    bench.beats()
    assert (bench.connections, bench.disk) == ([[]], {})


def test_an_offer_whose_second_sending_was_cut_short_waits_again():
    """Its time was over, and so it went out a third time at once."""
    bench = waiting()
    bench.wait(0.5)
    while not bench.connections[-1] or bench.connections[-1][-1].event_type != RECEIVE_EVENT:
        bench.beat()
    assert bench.replay.state is State.REPEATING
    bench.connect()
    bench.hear()
    bench.beats()
    assert [event.call_id for event in bench.connections[-1]] == ["x"]
    bench.wait(0.5)
    bench.beats()
    assert [event.call_id for event in bench.connections[-1]] == ["x", "a"]


def test_what_was_acked_while_it_was_loaded_is_not_loaded_again_if_the_journal_lags():
    bench = unread()
    bench.emit("b")
    bench.hand_over()
    bench.connect()
    bench.beats(3)
    [first] = bench.connections[-1]
    assert bench.unacked.forget(first.id) is not None
    bench.unacked.to_forget.clear()  # the journal is told later
    bench.acked.add(first.id)
    bench.connect()
    bench.beats()
    assert [event.call_id for event in bench.connections[-1]] == ["b"]


def test_what_stands_before_an_offer_of_its_call_is_not_sent_again_with_it():
    """A call that came back to who had it before: its events until then came twice on one connection."""
    bench = away()
    bench.connect()
    bench.emit("a")
    bench.offer("a")
    bench.hand_over()
    bench.connect()
    bench.hear()
    bench.beats()
    bench.wait(0.5)
    bench.emit("a")
    bench.hand_over()
    bench.beats()
    assert bench.connections[-1] == bench.emitted[-3:]
