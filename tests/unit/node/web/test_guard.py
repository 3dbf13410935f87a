"""The battery of URL tricks (CVE-2026-27624 and its kin): none may lead to a private or special address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import CallerError
from offhook.node.names.system import look_up
from offhook.node.web.guard import canonical, check_addresses, parse_url

PORTS = (80, 443, 8080, 8443)

_HOSTS = """
127.0.0.1 127.1 127.0.1 127.255.255.254 127.0.0.1. 0 0.0.0.0 00000000.0 0x7f000001 0x7f.0.0.1 0x7f.1 2130706433
017700000001 0177.0.0.1 0177.1 127.000.000.001 localhost LOCALHOST localhost. ip6-localhost
[::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001] [::127.0.0.1] [::7f00:1]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::a00:1] [2002:7f00:1::] [2002:a00:1::1] [2002:c0a8:101::]
[2001:0:7f00:1::] [fe80::1] [fe80::1%25lo] [fe80::5efe:7f00:1] [2600::5efe:a00:1] [fc00::1] [fd00::1]
[fd00:ec2::254] [fec0::1] [ff02::1] [ff0e::1] [100::1] [2001:db8::1] [3fff::1] [5f00::1] [::2] [2001:20::1]
169.254.169.254 169.254.170.2 0xa9fea9fe 2852039166 0251.0376.0251.0376 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe]
10.0.0.1 10.1 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 100.64.0.1 100.100.100.200 192.0.0.1 192.0.0.192
192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 192.88.99.1
168.63.129.16 ⑫7.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1
"""
HOSTS = _HOSTS.split()

URLS = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/a.wav",
    "dict://example.com:11211/",
    "data:audio/wav;base64,AAAA",
    "javascript:1",
    "//example.com/a.wav",
    "/etc/passwd",
    "example.com/a.wav",
    "http:///a.wav",
    "http://",
    "",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com /",
    "http://exam|ple.com/",
    "http://exa{m}ple.com/",
    'http://"example.com"/',
    "http://<example.com>/",
    "http://a^b.example/",
    "http://example.com|@127.0.0.1/",
    "http:// example.com/",
    "http ://example.com/",
    "http|://example.com/",
    "http://example.com/a\\b",
    "http://example.com/a\tb",
    "http://example.com/a\u2028b",
    "http://example.com/a\x7fb",
    "http://example.com/\r\nHost: a",
    "http://example.com\n/",
    "http://exa\x00mple.com/",
    "http://example.com:99999/",
    "http://example.com:-1/",
    "http://example.com:port/",
    "http://[::1/",
    "http://[fe80::1%25lo]/",
    "http://example.com/" + "a" * 3000,
    "unix:/run/docker.sock",
    "http+unix://run/docker.sock",
]


async def refused(text: str, *, allow_loopback: bool = False) -> str:
    """The sentence that refuses a URL, or nothing. A name that nobody resolves is refused as well."""
    try:
        url = parse_url(text)
        assert url.host is not None
        assert url.port is not None
        try:
            addresses = await look_up(url.host)
        except (OSError, UnicodeError):
            return "cannot be resolved"
        check_addresses(url, addresses, ports=PORTS, allow_loopback=allow_loopback)
    except CallerError as error:
        return str(error)
    return ""


def test_the_battery_is_big_enough() -> None:
    assert len(HOSTS) + len(URLS) >= 60


@pytest.mark.parametrize("host", HOSTS)
async def test_no_notation_of_a_private_address_passes(host: str) -> None:
    assert await refused(f"http://{host}/a.wav")


@pytest.mark.parametrize("url", URLS)
async def test_no_trick_in_the_url_passes(url: str) -> None:
    assert await refused(url)


def test_a_url_with_an_empty_query_is_not_the_one_without() -> None:
    """RFC 3986, 6.2.3: what is known of one says nothing of the other."""
    assert parse_url("http://example.com/x?") != parse_url("http://example.com/x")
    assert str(parse_url("http://example.com/x?#y")) == "http://example.com/x?"


@pytest.mark.parametrize("port", [1, 22, 25, 53, 110, 2375, 3306, 4222, 5060, 5432, 6379, 9200, 11211, 27017])
def test_ports_of_other_services_are_refused(port: int) -> None:
    with pytest.raises(CallerError, match=r"fetch\.ports"):
        check_addresses(parse_url(f"http://example.com:{port}/"), ["8.8.8.8"], ports=PORTS, allow_loopback=True)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("addresses", [["8.8.8.8"], ["2606:4700::1111"], ["1.1.1.1", "2606:4700::1111"]])
def test_public_addresses_pass(port: int, addresses: list[str]) -> None:
    check_addresses(parse_url(f"http://example.com:{port}/"), addresses, ports=PORTS, allow_loopback=False)


@pytest.mark.parametrize(
    "addresses", [["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "::1"], ["8.8.8.8", "::ffff:10.0.0.1"], []]
)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_one_bad_address_among_good_ones_refuses_all(addresses: list[str], allow_loopback: bool) -> None:
    with pytest.raises(CallerError):
        check_addresses(parse_url("http://example.com/"), addresses, ports=PORTS, allow_loopback=allow_loopback)


async def test_loopback_is_reached_on_any_port_where_allowed_and_nothing_else_is() -> None:
    assert not await refused("http://127.0.0.1:6000/", allow_loopback=True)
    assert not await refused("http://localhost:80/", allow_loopback=True)
    assert await refused("http://10.0.0.1/", allow_loopback=True)
    assert await refused("http://169.254.169.254/", allow_loopback=True)
    assert await refused("http://0.0.0.0/", allow_loopback=True)


def test_the_sentence_does_not_tell_the_address() -> None:
    with pytest.raises(CallerError) as caught:
        check_addresses(parse_url("http://intern.example/"), ["10.7.8.9"], ports=PORTS, allow_loopback=False)
    assert "10.7.8.9" not in str(caught.value)


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_global))
def test_a_private_address_inside_any_ipv6_form_is_refused(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address(number),
    ]
    for form in forms:
        with pytest.raises(CallerError):
            check_addresses(parse_url("http://a.example/"), [str(form)], ports=PORTS, allow_loopback=False)


@given(st.ip_addresses())
def test_python_s_own_registry_never_knows_better(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    try:
        check_addresses(parse_url("http://a.example/"), [str(address)], ports=PORTS, allow_loopback=False)
    except CallerError:
        return
    assert canonical(str(address)).is_global
    assert not canonical(str(address)).is_multicast
