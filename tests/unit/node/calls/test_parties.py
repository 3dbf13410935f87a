"""Whatever a caller and a dialled number are written as, the program sees them and `[[routes]]` find them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import CallerError
from offhook.node.calls.routing import RoutingTable
from offhook.node.calls.settings import Route
from offhook.node.calls.sip import sip_data
from offhook.node.calls.uris import parse_party, party_of
from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock


@pytest.mark.parametrize(
    ("uri", "number", "written"),
    [
        ("sip:+15550100@h", "+15550100", "sip:+15550100@h"),
        ("tel:+15550100", "+15550100", "tel:+15550100"),
        ("TEL:+1-(555).0100;ext=9;isub=1", "+15550100", "tel:+15550100"),
        ("tel:7042;phone-context=pbx.example", "7042", "tel:7042"),
        ("tel:*31#", "*31#", "tel:*31#"),
        ("sip:+1-555-0100@h;user=phone", "+15550100", "sip:+1-555-0100@h"),
        ("sip:+15550100;npdi;rn=+15550000@h", "+15550100", "sip:+15550100;npdi;rn=+15550000@h"),
        ("sip:7042;phone-context=+1@h;user=phone", "7042", "sip:7042;phone-context=+1@h"),
        ("sip:555-0100@h", "555-0100", "sip:555-0100@h"),
        ("sip:555-0100@h;user=phone", "5550100", "sip:555-0100@h"),
        ("sip:4021%2315550100@h", "4021#15550100", "sip:4021%2315550100@h"),
        ("sip:alice;x=y@h", "alice;x=y", "sip:alice;x=y@h"),
        ("sip:10.9.8.7", "", "sip:10.9.8.7"),
        ("sip:@10.9.8.7", "", "sip:10.9.8.7"),
        ("sip:anonymous@anonymous.invalid", "anonymous", "sip:anonymous@anonymous.invalid"),
        ("sip:Zo%C3%AB@h", "Zoë", "sip:Zo%C3%AB@h"),
    ],
)
def test_a_party_has_a_number_however_it_is_written(uri, number, written):
    party = parse_party(uri)
    assert (party.number, str(party)) == (number, written)


@pytest.mark.parametrize("text", ["", "tel:", "tel:call-me", "tel:+1@h", "urn:service:sos", "mailto:a@h", "sip:"])
def test_what_is_neither_a_sip_uri_nor_a_number_is_refused_with_what_to_write(text):
    with pytest.raises(CallerError, match="tel:\\+15551234567"):
        parse_party(text)


@pytest.mark.parametrize(
    ("match", "uri"),
    [
        ("+15550100", "tel:+15550100"),
        ("+15550100", "tel:+1-555-0100;ext=2"),
        ("+15550100", "sip:+1-555-0100@any;user=phone"),
        ("+15550100", "sip:+15550100;npdi;rn=+15550000@any"),
        ("+1555*", "tel:+1(555)0100"),
        ("tel:+1-555-0100", "sip:+15550100@any"),
        ("tel:+1-555-0100", "tel:+15550100"),
        ("+15550100@gw.example", "sip:+1-555-0100@gw.example;user=phone"),
        ("7042", "tel:7042;phone-context=pbx.example"),
        ("4021#15550100", "sip:4021%2315550100@any"),
        ("*", "tel:911"),
    ],
)
def test_a_route_finds_a_number_in_every_form(match, uri):
    """OpenSIPS/opensips#2408: a carrier sends `INVITE tel:`."""
    table = RoutingTable([Route(match, "found")])
    assert table.context_of(parse_party(uri)) == "found"
    assert table.context_of(parse_party("tel:+4930999")) == ("found" if match == "*" else None)
    assert "+4930999" in table.advice(parse_party("tel:+4930999"))


async def test_a_caller_by_tel_is_seen_by_the_program(bench):
    """onsip/SIP.js#953."""
    call = bench.ring(from_uri="tel:+15550199", to_uri="sip:100@127.0.0.1")
    params = call.receive_params()
    assert params["device"] == {"type": "sip", "params": {"from": "tel:+15550199", "to": "sip:100@127.0.0.1"}}


@pytest.mark.parametrize("dialled", ["tel:+1-555-123-0002", "sip:+15551230002;npdi@127.0.0.1"])
async def test_numbers_on_both_sides_make_a_phone_device_in_every_form(bench, dialled):
    call = bench.ring(from_uri="tel:+1-555-123-0001", to_uri=dialled)
    assert call.receive_params()["device"] == {
        "type": "phone",
        "params": {"from_number": "+15551230001", "to_number": "+15551230002"},
    }


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        ("sip:@10.9.8.7", "sip:10.9.8.7"),
        ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
        ("urn:service:sos", "urn:service:sos"),
        ("mailto:a@h.example", "mailto:a@h.example"),
    ],
)
async def test_a_caller_without_a_number_is_a_caller(bench, caller, seen):
    """meetecho/janus-gateway#3164, ringcentral/ringcentral-web-phone#104."""
    assert bench.ring(from_uri=caller).receive_params()["device"]["params"]["from"] == seen


async def test_sip_data_has_numbers_too(bench):
    contact = '"A <b>" <sip:a@10.0.0.9:5071>;expires=1'
    call = bench.ring(from_uri="tel:+1-555-0199;ext=3", headers=[ops.Header("Contact", contact)])
    await bench.run("calling.end", call, reason="hangup")
    await bench.ended(call)
    data = bench.sink.of("calling.call.state")[-1]["sip_data"]
    assert (data["sip_from_user"], data["sip_from_host"], data["sip_from_uri"]) == ("+15550199", "", "+15550199")
    assert data["sip_from_params"] == {"ext": "3"}
    assert (data["sip_contact_user"], data["sip_contact_host"]) == ("a", "10.0.0.9")
    bare = sip_data(request=party_of("tel:+1"), sender=None, to=None, headers={"contact": "sip:a@10.0.0.9;x=y"})
    assert (bare["sip_req_user"], bare["sip_contact_host"]) == ("+1", "10.0.0.9")


def test_a_tel_number_is_not_in_the_repr():
    assert "555" not in repr(parse_party("tel:+15551230001"))


async def test_a_caller_by_tel_may_be_the_sender_of_a_dial(bench):
    device = {"type": "sip", "params": {"to": "sip:bob@127.0.0.1", "from": "tel:+1-555-0199;ext=3"}}
    await bench.run("calling.dial", tag="t", devices=[[device]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    (dial,) = bench.engine.sent(ops.LegDial)
    assert dial.from_uri.startswith("sip:+15550199@")


async def test_a_dial_to_tel_says_what_to_use(bench):
    device = {"type": "sip", "params": {"to": "tel:+15550199"}}
    code, sentence = await bench.refused("calling.dial", tag="t", devices=[[device]])
    assert (code, "type phone" in sentence) == ("400", True)


@given(st.text(max_size=60) | st.from_regex(r"(sips?|tel):[ -~é]{0,40}", fullmatch=True))
def test_any_text_is_a_party_or_refused(text):
    with contextlib.suppress(CallerError):
        party = parse_party(text)
        assert parse_party(str(party)).number == party.number or party.parameters
        RoutingTable([Route("*", "all")]).context_of(party)
