from __future__ import annotations

import pytest

from offhook.errors import CallerError
from offhook.node.calls.routing import RoutingTable
from offhook.node.calls.settings import Route
from offhook.node.calls.sip import sip_data
from offhook.node.calls.uris import SipUri, is_phone_number, parse_uri, party_of

ROUTES = [
    Route("+1555*", "us"),
    Route("+15551230002", "office"),
    Route("+15*", "wide"),
    Route("sales@pbx.example", "sales"),
    Route("sip:door@10.0.0.1", "door"),
]


@pytest.mark.parametrize(
    ("uri", "context"),
    [
        ("sip:+15551230002@any.example", "office"),
        ("sip:+15551@any.example", "us"),
        ("sip:+1599@any.example", "wide"),
        ("sip:sales@pbx.example;transport=tcp", "sales"),
        ("sip:sales@other.example", None),
        ("sip:door@10.0.0.1:5099", "door"),
        ("sip:10.0.0.1", None),
    ],
)
def test_the_longest_match_wins(uri, context):
    assert RoutingTable(ROUTES).context_of(parse_uri(uri)) == context


def test_the_case_of_a_host_means_nothing_and_that_of_a_user_something():
    """RFC 3261 section 19.1.4: gateways write the host in capitals."""
    table = RoutingTable([Route("sales@PBX.example", "sales"), Route("a*", "prefix"), Route("Node.example", "host")])
    for uri in ("sip:sales@pbx.example", "sip:sales@PBX.Example", "SIP:sales@pbx.EXAMPLE"):
        assert table.context_of(parse_uri(uri)) == "sales", uri
    assert table.context_of(parse_uri("sip:SALES@pbx.example")) is None
    assert table.context_of(parse_uri("sip:Node.example")) == "host"
    assert table.context_of(parse_uri("sip:NODE.example")) == "host"


def test_a_star_takes_all_even_a_uri_without_user():
    table = RoutingTable([Route("*", "default")])
    assert table.context_of(parse_uri("sip:node.example")) == "default"
    assert table.context_of(parse_uri("sip:1@node.example")) == "default"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:a@b.example", SipUri("sip", "a", "b.example")),
        ("<SIP:a%20b:secret@[::1]:5070;lr;transport=TCP?x=y>", None),
        ("sips:b.example:1", SipUri("sips", "", "b.example", 1)),
    ],
)
def test_uris_are_parsed(text, uri):
    parsed = parse_uri(text)
    if uri is None:
        uri = SipUri("sip", "a b", "[::1]", 5070, {"lr": "", "transport": "TCP"})
    assert parsed == uri


def test_a_uri_is_written_with_its_user_escaped():
    assert str(parse_uri("sip:a%20b%23@h:5070;lr")) == "sip:a%20b%23@h:5070"


@pytest.mark.parametrize("text", ["", "a@b", "sip:", "sip:a@b:99999", "sip:a b@c", "tel:+1", "sip:a@b\r\nVia: x"])
def test_what_is_no_sip_uri_is_refused_with_an_example(text):
    with pytest.raises(CallerError, match="sip:user@host"):
        parse_uri(text)


def test_phone_numbers_are_e164():
    assert is_phone_number("+15551230001")
    assert not is_phone_number("15551230001")
    assert not is_phone_number("+1 555")
    assert not is_phone_number("+15551230001\n")


def test_sip_data_names_all_parties_and_leaves_out_what_is_not_there():
    headers = {"contact": '"A" <sip:a@10.0.0.9:5071;ob>', "p-asserted-identity": "<sip:x@y>"}
    parties = party_of("sip:r@n"), party_of("sip:f@h;x=1"), party_of("broken")
    data = sip_data(request=parties[0], sender=parties[1], to=parties[2], headers=headers)
    assert data["sip_req_user"] == "r"
    assert data["sip_from_params"] == {"x": "1"}
    assert (data["sip_contact_host"], data["sip_contact_port"]) == ("10.0.0.9", "5071")
    assert data["sip_p_asserted_identity"] == "<sip:x@y>"
    assert "sip_to_user" not in data


def test_what_a_caller_dialled_cannot_break_the_status_line_of_the_404():
    dialled = parse_uri("sip:1%0d%0aVia:%20x@h")
    assert "\r" in dialled.user
    advice = RoutingTable.advice(dialled)
    assert advice.isprintable()
    assert "1%0D%0AVia" in advice


def test_numbers_are_not_in_the_repr():
    assert "555" not in repr(parse_uri("sip:+15551230001@h"))
