"""SIP URIs as calls need them: user, host, parameters (RFC 3261 section 19.1), and the ``sip_data`` of events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from offhook.errors import CallerError

__all__ = ["SipUri", "is_phone_number", "parse_uri", "sip_data"]

_URI = re.compile(
    r"^(?P<scheme>sips?):(?:(?P<user>[^@\s<>]*)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<params>(?:;[^;?\s<>]*)*)(?:\?\S*)?\Z",
    re.IGNORECASE,
)
_USER_CHARACTERS = "-_.!~*'()&=+$,;?/"  # RFC 3261 section 25.1: unreserved and user-unreserved
_PHONE = re.compile(r"^\+[1-9]\d{5,14}\Z")


class SipUri(msgspec.Struct, frozen=True):
    """A parsed URI. ``port`` 0: none given."""

    scheme: str
    user: str
    host: str
    port: int = 0
    parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SipUri({self.scheme}, host={self.host!r})"

    def __str__(self) -> str:
        """Without parameters."""
        user = f"{quote(self.user, safe=_USER_CHARACTERS)}@" if self.user else ""
        return f"{self.scheme}:{user}{self.host}" + (f":{self.port}" if self.port else "")


def parse_uri(text: str) -> SipUri:
    """Parse ``sip:user@host:port;params``.

    Raises:
        CallerError: not a SIP URI; says what one looks like.
    """
    match = _URI.match(text.strip().removeprefix("<").removesuffix(">"))
    if match is None or (port := int(match["port"] or 0)) > 65535:
        raise CallerError(f"{text[:80]!r} is not a SIP URI; write it as sip:user@host or sip:user@host:port")
    parameters: dict[str, str] = {}
    for part in filter(None, match["params"].split(";")):
        name, _, value = part.partition("=")
        parameters[name.lower()] = value
    user = unquote((match["user"] or "").partition(":")[0])
    return SipUri(match["scheme"].lower(), user, match["host"], port, parameters)


def is_phone_number(user: str) -> bool:
    """Whether a SIP user is a number in E.164 form."""
    return _PHONE.match(user) is not None


def sip_data(*, request: str, from_uri: str, to_uri: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """``sip_data`` of ``calling.call.state``. ``headers``: by lower-case name."""
    data: dict[str, Any] = {}
    contact = headers.get("contact", "")
    if "<" in contact:
        contact = contact.partition("<")[2].partition(">")[0]
    for word, text in (("req", request), ("from", from_uri), ("to", to_uri), ("contact", contact)):
        try:
            uri = parse_uri(text)
        except CallerError:
            continue
        data[f"sip_{word}_user"] = uri.user
        data[f"sip_{word}_host"] = uri.host
        data[f"sip_{word}_uri"] = str(uri).partition(":")[2]
        data[f"sip_{word}_params"] = uri.parameters
        if word == "contact":
            data["sip_contact_port"] = str(uri.port) if uri.port else ""
    if identity := headers.get("p-asserted-identity", ""):
        data["sip_p_asserted_identity"] = identity
    return data
