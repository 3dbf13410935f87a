"""node/web/crowd: places at the door by age and address. Pure: the time is given."""

from __future__ import annotations

import pytest

from offhook.node.web.crowd import Crowd, CrowdLimits, address_of

LIMITS = CrowdLimits(strangers=6, strangers_per_address=2, patience_s=2.0, guests=3, guests_per_address=1)


def crowd() -> Crowd[str]:
    return Crowd(LIMITS)


@pytest.mark.parametrize(
    ("host", "share"),
    [
        ("127.0.0.1", ""),
        ("127.9.9.9", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_share_is_an_ipv4_address_or_an_ipv6_network_and_loopback_has_one_of_its_own(host, share):
    assert address_of(host) == share


def test_the_oldest_of_an_address_goes_for_the_next_one_of_it():
    door = crowd()
    assert door.enter("a", "A", 0.0) is None
    assert door.enter("b", "A", 1.0) is None
    assert door.enter("c", "A", 3.0) == "a"
    assert door.enter("d", "A", 3.5) == "b"
    assert door.strangers == 2


def test_nobody_goes_before_it_had_its_time_and_the_newcomer_of_a_full_address_is_refused():
    door = crowd()
    door.enter("a", "A", 0.0)
    door.enter("b", "A", 0.0)
    assert door.enter("c", "A", 1.9) == "c"
    assert not door.is_stranger("c")
    assert door.is_stranger("a")


def test_one_address_takes_no_place_of_another():
    door = crowd()
    for number in range(100):
        door.enter(f"greedy {number}", "A", number * 0.01)
    assert door.full_until(1.0) is None
    assert door.enter("program", "B", 1.0) is None


def test_when_all_places_are_taken_newcomers_wait_in_the_kernel_until_the_oldest_had_its_time():
    door = crowd()
    for number in range(6):
        assert door.enter(f"{number}", f"address {number // 2}", number * 0.1) is None
    assert door.full_until(0.6) == 2.0
    assert door.full_until(2.0) is None
    assert door.enter("new", "other", 2.05) == "0"
    door.leave("3")
    assert door.full_until(2.05) is None


def test_a_fleet_on_one_machine_has_all_places_and_none_is_sent_away_by_the_next():
    door = crowd()
    assert [door.enter(f"{number}", "", 0.0) for number in range(6)] == [None] * 6
    assert door.full_until(0.5) == 2.0
    door.admit("0")
    assert door.full_until(0.5) is None
    assert door.enter("6", "", 0.5) is None


def test_a_client_that_connected_takes_no_place_and_never_goes():
    door = crowd()
    for number in range(1000):
        assert door.enter(f"{number}", "A", float(number)) is None
        door.admit(f"{number}")
    assert door.strangers == 0


def test_downloads_have_places_of_their_own_by_address_and_give_them_back():
    door = crowd()
    for name, address in (("a", "A"), ("b", "A"), ("c", "C"), ("d", "D"), ("e", "E")):
        door.enter(name, address, 0.0)
    assert door.receive("a")
    assert door.receive("a"), "again on the same connection"
    assert not door.receive("b"), "one of an address"
    assert door.receive("c")
    assert door.receive("d")
    assert not door.receive("e"), "three in all"
    door.served("a", 5.0)
    assert door.receive("e")
    assert door.is_stranger("a")
    assert door.is_stranger("b")
    door.leave("c")
    door.leave("never came")
    assert door.strangers == 2


def test_a_guest_is_not_sent_away_however_old_it_is():
    door = crowd()
    door.enter("guest", "A", 0.0)
    door.receive("guest")
    gone = [door.enter(f"{number}", "A", 10.0 + number * 3) for number in range(20)]
    assert "guest" not in gone
