"""node/store: what is left of many changes does to the database what all of them would have done, one by one."""

from __future__ import annotations

import contextlib
import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.node.store.changes import SCHEMA, STATEMENTS, Change, fold

TABLES = ("sessions", "events", "replies", "calls", "controls", "told")

few = st.integers(0, 2)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), few, few),
        st.tuples(st.just("ack"), few, st.integers(1, 3)),
        st.tuples(st.sampled_from(["session", "call", "forget session", "forget call"]), few, few),
        st.tuples(
            st.sampled_from(
                ["control", "close_control", "forget_control", "told", "untold", "reply", "forget_old_replies"]
            ),
            few,
            few,
        ),
    ),
    max_size=40,
)


def changes_of(steps: list[tuple[str, int, int]]) -> list[Change]:
    """As a gateway makes them: numbers of sessions and calls only rise, an event is put once."""
    found: list[Change] = []
    numbers: dict[str, int] = {}
    for at, (what, one, other) in enumerate(steps):
        session, call = f"s{one}", f"c{other}"
        if what == "event":
            numbers[session] = numbers.get(session, 0) + 1
            numbers[call] = numbers.get(call, 0) + 1
            row = (session, numbers[session], f"id{at}", call, numbers[call], "calling.call.play", float(at), "{}")
            found.append(Change("event", row))
        elif what == "ack":
            found.append(Change("ack", (session, other)))
        elif what == "session":
            row = (session, "p", "t", "i", 2, True, "[]", float(at), numbers.get(session, 0), 0, 0)
            found.append(Change("session", row))
        elif what == "call":
            found.append(Change("call", (call, "p", session, numbers.get(call, 0), f"{at}", "[]")))
        elif what == "forget session":
            found += [Change(name, (session,)) for name in ("forget_session", "forget_events", "forget_replies")]
        elif what == "forget call":
            found += [Change(name, (call,)) for name in ("forget_call", "forget_controls", "forget_told")]
        elif what == "control":
            found.append(Change("control", (call, f"k{one}", "calling.play", session, False)))
        elif what == "close_control":
            found.append(Change("close_control", (call, f"k{one}")))
        elif what == "forget_control":
            found.append(Change("forget_control", (call, f"k{one}")))
        elif what == "told":
            found.append(Change("told", (call, f"k{one}", f"{at}")))
        elif what == "untold":
            found.append(Change("untold", (call, f"k{one}")))
        elif what == "reply":
            found.append(Change("reply", (session, f"r{other}", f"{at}", float(at))))
        else:
            found.append(Change("forget_old_replies", (at - 5.0,)))
    return found


def state_after(*parts: list[Change]) -> list[list[tuple[object, ...]]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.executescript(SCHEMA)
        for change in (change for part in parts for change in part):
            database.execute(STATEMENTS[change.name], change.row)
        return [sorted(database.execute(f"SELECT * FROM {table}")) for table in TABLES]


def raised(changes: list[Change]) -> list[Change]:
    """With the numbers that each event raises right behind it, which a fold tells once."""
    found = []
    for change in changes:
        found.append(change)
        if change.name == "event":
            found += [Change("session_seq", change.row[:2]), Change("call_seq", change.row[3:5])]
    return found


@settings(max_examples=500)
@given(steps, st.integers(0, 40))
def test_a_fold_does_what_all_changes_do(steps, cut):
    changes = changes_of(steps)
    one_by_one = state_after(raised(changes))
    first, second = changes[:cut], changes[cut:]
    assert state_after(fold(changes)) == one_by_one
    assert state_after(fold(first), fold(second)) == one_by_one


def test_what_was_acknowledged_meanwhile_never_goes_to_the_database():
    events = changes_of([("event", 0, 0)] * 3)
    left = fold([*events, *(Change("ack", ("s0", seq)) for seq in (1, 2, 3))])
    assert [change.name for change in left] == ["session_seq", "call_seq"]
