"""Which URLs and addresses a program may make the node reach. No IO.

An address is judged in its canonical form: IPv4 inside IPv6 is taken out first (mapped, compatible, 6to4, NAT64,
ISATAP), then checked against the special-purpose registries (RFC 6890, RFC 8190) and what clouds put elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urljoin

from yarl import URL

from offhook.errors import CallerError

__all__ = ["MAX_URL", "canonical", "check_addresses", "parse_url", "redirected"]

MAX_URL = 2048

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")  # could end a line, or is a slash to some
_FORBIDDEN_IN_FRONT = re.compile(r"[ <>\"{}|^`]")
_UNESCAPED = re.compile(r"[ <>\"{}|^`]|[^\x00-\x7f]+")
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
)
_NOT_GLOBAL_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # the host agent of one cloud, in public space
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def parse_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> URL:
    """A URL of one of ``schemes``, without credentials, whose escapes are those of ``text``: an escaped reserved
    character is another URL (RFC 3986, 2.2), and signatures break. Behind the host is escaped what may not stand there
    and means nothing else: what is not ASCII (RFC 3987, 3.1), and what browsers escape (a blank, a bar, braces, quotes,
    ``<>^``, a grave accent).

    Raises:
        CallerError: says what is wrong with it.
    """
    text = text.strip(" ")
    if len(text) > MAX_URL:
        raise CallerError(f"the URL has {len(text)} characters, at most {MAX_URL} are fetched")
    front, rest = _parted(text)
    if _FORBIDDEN.search(text):
        raise CallerError("the URL has a character that must be percent-encoded (control or backslash)")
    if _FORBIDDEN_IN_FRONT.search(front):
        raise CallerError("the URL has a character in front of its path that no host has (space, quote or bar)")
    try:
        url = URL(front)
        port = url.port
    except ValueError as error:
        raise CallerError(f"this is no URL: {error}") from error
    if url.scheme not in schemes:
        named = url.scheme or "one without a scheme"
        raise CallerError(f"only {' and '.join(schemes)} URLs are fetched, not {named}")
    try:
        host = url.host
    except UnicodeError as error:  # xn-- with something behind it that means no name
        raise CallerError(f"the URL's host {url.raw_host} is no name of a host (RFC 5891): check it") from error
    if not host or port is None:
        raise CallerError("the URL names no host")
    if url.user is not None or url.password is not None:
        raise CallerError("the URL carries a user name or password: leave them out")
    if "%" in host:
        raise CallerError("the URL's host names a network interface: leave it out")
    return _exact(url, rest)


def redirected(url: URL, location: str) -> URL:
    """Where ``url`` is redirected to, relative or not (RFC 9110, 10.2.2).

    Raises:
        CallerError: as of ``parse_url``.
    """
    location = location.strip(" ").partition("#")[0]
    if location == "?":
        return parse_url(str(url).partition("?")[0] + "?")
    joined = urljoin(str(url), location)
    if location.endswith("?") and not joined.endswith("?"):
        joined += "?"  # urljoin leaves out an empty query
    return parse_url(joined)


def _parted(text: str) -> tuple[str, str]:
    """Up to the host with its port, and from the path on, without a fragment."""
    text = text.partition("#")[0]
    scheme, slashes, behind = text.partition("//")
    path = re.search(r"[/?]", behind)
    start = path.start() if path else len(behind)
    return scheme + slashes + behind[:start], behind[start:]


def _exact(url: URL, rest: str) -> URL:
    """The URL with path and query as they were given."""
    try:
        escaped = _UNESCAPED.sub(lambda found: _escape(found[0]), rest)
    except UnicodeError as error:
        raise CallerError("the URL has half a character: check how it was put together") from error
    path, _, query = escaped.partition("?")
    if not query:  # an empty one is one, but not to yarl: so it stays in the path
        path = escaped
    if not path.startswith("/"):
        path = f"/{path}"
    return URL.build(scheme=url.scheme, authority=url.raw_authority, path=path, query_string=query, encoded=True)


def _escape(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def check_addresses(url: URL, addresses: list[str], *, ports: tuple[int, ...], allow_loopback: bool) -> None:
    """See that a host may be reached at every one of its addresses; loopback, where allowed, on any port.

    Raises:
        CallerError: names the host, never the address behind it.
    """
    if not addresses:
        raise CallerError(f"{url.host} has no address")
    judged = [canonical(address) for address in addresses]
    local = allow_loopback and all(address.is_loopback for address in judged)
    if not local and any(not _is_public(address) for address in judged):
        hint = "; loopback needs fetch.allow_loopback" if all(address.is_loopback for address in judged) else ""
        raise CallerError(f"{url.host} leads to a private or special address, which is never fetched from{hint}")
    if not local and url.port not in ports:
        listed = ", ".join(str(port) for port in ports)
        raise CallerError(f"port {url.port} is not fetched from: use {listed}, or add it to fetch.ports")


def canonical(address: str) -> IPv4Address | IPv6Address:
    """An address with IPv4 taken out of IPv6 where it is inside."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv4Address):
        return parsed
    low = IPv4Address(int(parsed) & 0xFFFFFFFF)
    if parsed.ipv4_mapped is not None or parsed in _NAT64:
        return low
    if parsed in _COMPATIBLE and int(parsed) > 0xFFFF:
        return low
    if parsed.sixtofour is not None and not _is_public(parsed.sixtofour):
        return parsed.sixtofour
    if (int(parsed) >> 32) & 0xFDFFFFFF == 0x5EFE and not _is_public(low):  # ISATAP, RFC 5214 6.1
        return low
    return parsed


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_GLOBAL_V6)
