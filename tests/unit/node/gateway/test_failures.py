"""node/gateway/failures: guessing tokens ends after ten wrong ones, and costs nobody else anything."""

from __future__ import annotations

import pytest
from gateway_rig import PROJECT, TOKEN, connect_params

from offhook.node.gateway.failures import FailedConnects
from offhook.node.gateway.handshake import HandshakeRefused
from offhook.protocol.codes import RpcCode


def table() -> FailedConnects:
    return FailedConnects(10, 60.0, 300.0, 64)


def test_ten_failures_in_a_minute_block_for_five_and_nine_do_not():
    failures = table()
    for number in range(9):
        failures.failed("192.0.2.1", f"guess {number}", float(number))
    assert failures.blocked_for("192.0.2.1", 9.0) == 0
    failures.failed("192.0.2.1", "guess 9", 9.0)
    assert failures.blocked_for("192.0.2.1", 10.0) == 299.0
    assert failures.blocked_for("192.0.2.2", 10.0) == 0
    assert failures.blocked_for("192.0.2.1", 308.9) > 0
    assert failures.blocked_for("192.0.2.1", 309.1) == 0
    failures.failed("192.0.2.1", "guess 10", 310.0)
    assert failures.blocked_for("192.0.2.1", 310.0) == 0, "it begins anew"


def test_failures_that_come_slowly_block_nobody():
    failures = table()
    for number in range(100):
        failures.failed("192.0.2.1", f"guess {number}", number * 7.0)
        assert failures.blocked_for("192.0.2.1", number * 7.0) == 0


def test_programs_with_a_token_that_is_no_longer_right_lock_out_nobody_behind_their_address():
    failures = table()
    for number in range(1000):
        failures.failed("192.0.2.1", "the old token", number / 100)
    assert failures.blocked_for("192.0.2.1", 10.0) == 0
    for number in range(9):
        failures.failed("192.0.2.1", f"guess {number}", 20.0)
    assert failures.blocked_for("192.0.2.1", 20.0) > 0, "a guesser among them is one all the same"


def test_the_table_is_bounded_and_this_machine_is_never_in_it():
    failures = table()
    for number in range(1000):
        failures.failed(f"192.0.2.{number}", "guess", float(number))
        failures.failed("", f"guess {number}", float(number))
    assert len(failures) == 64
    assert failures.blocked_for("", 1000.0) == 0


async def test_a_right_credential_from_a_blocked_address_waits_and_one_from_elsewhere_does_not(node):
    handshake = node.gateway._handshake
    admission = await handshake.admit(connect_params(project=PROJECT, token=TOKEN), "192.0.2.1")
    for number in range(10):
        with pytest.raises(HandshakeRefused, match="project or token is wrong"):
            await handshake.admit(connect_params(token=f"PTwrong{number}"), "192.0.2.1")
    with pytest.raises(
        HandshakeRefused, match="different wrong credentials came from this address: try again in"
    ) as refused:
        await handshake.admit(connect_params(), "192.0.2.1")
    assert (refused.value.code, refused.value.is_final) == (RpcCode.CAPACITY_EXCEEDED, True)
    await handshake.admit(connect_params(), "192.0.2.2")
    back = await handshake.admit(connect_params(protocol=admission.session.protocol), "192.0.2.1")
    assert back.is_restored, "who was here before comes back to its calls, whoever guesses behind the same address"
    with pytest.raises(HandshakeRefused, match="try again in"):
        await handshake.admit(connect_params(protocol="guessed"), "192.0.2.1")


async def test_the_address_of_a_socket_is_what_counts(node, monkeypatch):
    monkeypatch.setattr("offhook.node.web.door.address_of", lambda _host: "192.0.2.7")
    for number in range(10):
        async with node.client(connect=False) as client:
            reply = await client.connect(token=f"PTwrong{number}")
            assert reply["error"]["code"] == -32002
    async with node.client(connect=False) as client:
        reply = await client.connect()
        assert reply["error"]["code"] == -32005
