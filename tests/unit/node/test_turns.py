"""Who waits for whom, by orders and counts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.node.turns import Crowded, Turns
from offhook.testing.clock import VirtualClockLoop

SECONDS = st.floats(0, 9)
pytestmark = pytest.mark.virtual_clock


class Work:
    """Work of some seconds each; notes the order in which it began."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.begun: list[str] = []
        self.running = 0
        self.most = 0

    def ask(
        self, asker: str, name: str, *, seconds: float = 1.0, group: str = "", due_s: float = 0.0, cost: float = 1.0
    ) -> asyncio.Task[None]:
        ticket = self.turns.ticket(asker, group=group, due_s=due_s, cost=cost)

        async def run() -> None:
            async with ticket:
                self.begun.append(name)
                self.running += 1
                self.most = max(self.most, self.running)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    self.running -= 1

        task = asyncio.create_task(run())
        task.ticket = ticket  # type: ignore[attr-defined]
        return task


async def test_sixty_things_of_one_asker_let_the_first_of_another_by() -> None:
    work = Work(Turns(2))
    many = [work.ask("loud", f"loud {number}") for number in range(60)]
    await asyncio.sleep(0.5)
    await work.ask("quiet", "quiet")
    assert work.begun.index("quiet") == 2
    await asyncio.gather(*many)
    assert work.most == 2


async def test_who_comes_back_again_and_again_is_no_newcomer() -> None:
    """A text of many pieces asks for one at a time."""
    work = Work(Turns(1))

    async def long() -> None:
        for number in range(6):
            await work.ask("long", f"long {number}")

    first, second = asyncio.create_task(long()), [work.ask("other", f"other {number}") for number in range(3)]
    await asyncio.gather(first, *second)
    assert work.begun[:6] in (
        ["other 0", "long 0", "other 1", "long 1", "other 2", "long 2"],
        ["long 0", "other 0", "long 1", "other 1", "long 2", "other 2"],
    )


async def test_turns_are_by_cost_not_by_number() -> None:
    work = Work(Turns(1))
    tasks = [work.ask("big", f"big {number}", cost=4.0) for number in range(2)]
    tasks += [work.ask("small", f"small {number}") for number in range(5)]
    await asyncio.gather(*tasks)
    assert work.begun.index("big 1") > work.begun.index("small 3")


async def test_what_is_not_due_yet_waits_for_what_is() -> None:
    work = Work(Turns(1))
    now = asyncio.get_running_loop().time()
    tasks = [
        work.ask("a", "running"),
        work.ask("a", "later", due_s=now + 10),
        work.ask("b", "now"),
        work.ask("c", "soon", due_s=now + 1.5),
    ]
    await asyncio.gather(*tasks)
    assert work.begun == ["running", "now", "soon", "later"]


async def test_one_group_has_its_share_of_the_slots_and_the_rest_goes_to_others() -> None:
    work = Work(Turns(4, per_group=2))
    tasks = [work.ask(f"asker {number}", f"slow {number}", group="slow.example") for number in range(10)]
    tasks += [work.ask("other", f"other {number}", group="quick.example") for number in range(2)]
    await asyncio.sleep(0.5)
    assert sorted(work.begun) == ["other 0", "other 1", "slow 0", "slow 1"]
    await asyncio.gather(*tasks)


async def test_one_asker_has_its_share_of_the_slots() -> None:
    work = Work(Turns(4, per_asker=2))
    tasks = [work.ask("loud", f"loud {number}") for number in range(5)]
    await asyncio.sleep(0.5)
    tasks.append(work.ask("quiet", "quiet"))
    await asyncio.sleep(0.1)
    assert sorted(work.begun) == ["loud 0", "loud 1", "quiet"]
    await asyncio.gather(*tasks)


async def test_equal_work_has_the_best_turn_of_those_who_wait_for_it() -> None:
    """Else who asked for your greeting behind a hundred texts of its own would make you wait for all of them."""
    work = Work(Turns(1, per_asker=1))
    many = [work.ask("loud", f"loud {number}") for number in range(5)]
    await asyncio.sleep(0.5)
    many[4].ticket.join("quiet")  # type: ignore[attr-defined]
    await asyncio.gather(*many)
    assert work.begun[1] == "loud 4"


async def test_one_asker_may_let_so_much_wait_and_the_others_are_served() -> None:
    work = Work(Turns(1, waiting_per_asker=3))
    tasks = [work.ask("loud", f"loud {number}") for number in range(5)]
    tasks.append(work.ask("quiet", "quiet"))
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [*[type(None)] * 4, Crowded, type(None)]


async def test_when_all_places_are_taken_who_has_most_of_them_pays() -> None:
    work = Work(Turns(1, waiting=4))
    tasks = [work.ask("loud", f"loud {number}") for number in range(5)]
    await asyncio.sleep(0.5)
    tasks += [work.ask("quiet", "quiet 0"), work.ask("loud", "loud 5")]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [index for index, end in enumerate(ends) if isinstance(end, Crowded)] == [4, 6]
    assert "quiet 0" in work.begun


async def test_who_does_not_wait_any_more_costs_no_turn_and_no_slot() -> None:
    work = Work(Turns(1))
    tasks = [work.ask("a", f"a {number}") for number in range(30)]
    await asyncio.sleep(0.5)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await work.ask("a", "last")
    assert work.begun == ["a 0", "last"]


async def test_a_slot_that_was_given_to_who_is_cancelled_at_that_moment_is_free_again() -> None:
    turns = Turns(1)
    first, second = turns.ticket("a"), turns.ticket("b")
    entering = asyncio.create_task(second.__aenter__())
    async with first:
        await asyncio.sleep(0)
    assert second.granted.done()
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    async with turns.ticket("c"):
        pass


async def test_a_slot_passes_by_who_was_cancelled_a_moment_ago() -> None:
    work = Work(Turns(1))
    leaving, staying = work.ask("b", "leaving"), work.ask("c", "staying")
    async with work.turns.ticket("a"):
        await asyncio.sleep(0)
        leaving.cancel()
    await staying
    assert work.begun == ["staying"]
    assert leaving.cancelled()


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 5), st.floats(0, 5), st.booleans(), SECONDS
        ),
        max_size=40,
    )
)
def test_in_any_order_all_are_served_or_told_and_every_slot_is_given_back(
    asked: list[tuple[str, str, float, float, bool, float]],
) -> None:
    async def scenario() -> None:
        turns = Turns(3, per_group=2, per_asker=2, waiting=8, waiting_per_asker=5)
        work = Work(turns)

        async def one(asker: str, group: str, at_s: float, takes_s: float, leaves: bool, after_s: float) -> None:
            await asyncio.sleep(at_s)
            task = work.ask(asker, asker, seconds=takes_s, group=group)
            if leaves:
                await asyncio.sleep(after_s)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await asyncio.gather(*(one(*each) for each in asked))
        assert work.most <= 3
        begun = len(work.begun)
        await asyncio.gather(*(work.ask(f"z{number}", "end", group=f"g{number}") for number in range(3)))
        assert len(work.begun) == begun + 3

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(asyncio.wait_for(scenario(), 1000))
