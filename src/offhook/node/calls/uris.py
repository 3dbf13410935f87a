"""SIP URIs and numbers as calls need them (RFC 3261 section 19.1, RFC 3966)."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import msgspec

from offhook.errors import CallerError

__all__ = ["SipUri", "is_phone_number", "parse_party", "parse_uri", "party_of", "plain_number"]

_URI = re.compile(
    r"^(?P<scheme>sips?):(?:(?P<user>[^@\s<>]*)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<params>(?:;[^;?\s<>]*)*)(?:\?\S*)?\Z",
    re.IGNORECASE,
)
_USER_CHARACTERS = "-_.!~*'()&=+$,;?/"  # RFC 3261 section 25.1: unreserved and user-unreserved
_PHONE = re.compile(r"^\+[1-9]\d{5,14}\Z")
_TEL = re.compile(r"^tel:(?P<number>[^;?@\s<>]+)(?P<params>(?:;[^;?\s<>]*)*)\Z", re.IGNORECASE)
_GLOBAL = re.compile(r"^\+[0-9().-]+\Z")
_LOCAL = re.compile(r"^[0-9A-F*#().-]+\Z", re.IGNORECASE)
_VISUAL = str.maketrans("", "", "-.()")  # RFC 3966 section 3: separators that only please the eye


class SipUri(msgspec.Struct, frozen=True):
    """A parsed URI. ``port`` 0: none given. Of ``tel:``, ``user`` is the number without separators, ``host`` empty."""

    scheme: str
    user: str
    host: str
    port: int = 0
    parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SipUri({self.scheme}, host={self.host!r})"

    @property
    def number(self) -> str:
        """The number in ``user`` without what may stand around it (``+1-555-0100``, ``+15550100;npdi``), else ``user``.

        RFC 3261 section 19.1.6: a user may be a whole telephone subscriber of RFC 3966. Without ``+`` it is one if the
        URI says ``user=phone``.
        """
        number = self.user.partition(";")[0]
        is_local = self.parameters.get("user", "").lower() == "phone" and _is_number(_LOCAL, number)
        return plain_number(number) if is_local or _is_number(_GLOBAL, number) else self.user

    def __str__(self) -> str:
        """Without parameters."""
        if self.scheme == "tel":
            return f"tel:{self.user}"
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
    user = unquote((match["user"] or "").partition(":")[0])
    return SipUri(match["scheme"].lower(), user, match["host"], port, _parameters(match["params"]))


def parse_party(text: str) -> SipUri:
    """Parse what a caller may be, or may have dialled: a SIP URI, or a number as ``tel:+15551234567``.

    Raises:
        CallerError: neither; says what both look like.
    """
    match = _TEL.match(text)
    if match and (_is_number(_GLOBAL, match["number"]) or _is_number(_LOCAL, match["number"])):
        return SipUri("tel", plain_number(match["number"]), "", 0, _parameters(match["params"]))
    try:
        return parse_uri(text)
    except CallerError as error:
        message = f"{text[:80]!r} is neither a SIP URI nor a number; write it as sip:user@host or tel:+15551234567"
        raise CallerError(message) from error


def party_of(text: str) -> SipUri | None:
    """The same; None for what is neither."""
    try:
        return parse_party(text)
    except CallerError:
        return None


def plain_number(number: str) -> str:
    """A number without its visual separators."""
    return number.translate(_VISUAL)


def _is_number(form: re.Pattern[str], text: str) -> bool:
    return form.match(text) is not None and any(character in "0123456789*#" for character in text)


def _parameters(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(";") if part)
    return {name.lower(): value for name, _, value in parts}


def is_phone_number(user: str) -> bool:
    """Whether a SIP user is a number in E.164 form."""
    return _PHONE.match(user) is not None
