"""Where the client's settings come from: arguments, then our environment names, then the published SDK's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from offhook.errors import ConfigurationError
from offhook.protocol.frames import Authentication
from offhook.protocol.wellformed import mend

__all__ = ["DEFAULT_HOST", "ClientSettings", "check_texts", "parse_host", "read_settings"]

DEFAULT_HOST: Final = "relay.signalwire.com"
_DEFAULT_MAX_ACTIVE_CALLS: Final = 1000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_PROJECT: Final = ("OFFHOOK_PROJECT_ID", "SIGNALWIRE_PROJECT_ID")
_TOKEN: Final = ("OFFHOOK_API_TOKEN", "SIGNALWIRE_API_TOKEN")
_JWT: Final = ("OFFHOOK_JWT_TOKEN", "SIGNALWIRE_JWT_TOKEN")
_HOST: Final = ("OFFHOOK_SPACE", "SIGNALWIRE_SPACE")
_CA_FILE: Final = ("OFFHOOK_RELAY_CA_FILE", "SIGNALWIRE_RELAY_CA_FILE")
_SCHEME: Final = ("OFFHOOK_RELAY_SCHEME", "SIGNALWIRE_RELAY_SCHEME")
_MAX_CALLS: Final = ("OFFHOOK_MAX_ACTIVE_CALLS", "RELAY_MAX_ACTIVE_CALLS")


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was told. ``url`` is the WebSocket to open."""

    authentication: Authentication
    url: str
    ca_file: str | None
    max_active_calls: int


def parse_host(host: str) -> str:
    """Turn ``relay.example.com``, ``localhost:7443`` or ``wss://...`` into the URL to open.

    Raises:
        ConfigurationError: it is no bare host, or it would send the token in clear to another machine.
    """
    if any(character in host.removeprefix("wss://").removeprefix("ws://") for character in "/@?#\\\r\n\t "):
        raise ConfigurationError("host", "give a bare host name, with :port if need be, and no path or user")
    url = host if host.startswith(("ws://", "wss://")) else f"wss://{host}"
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ConfigurationError("host", f"not a host name: {error}") from error
    if not parts.hostname:
        raise ConfigurationError("host", "give the host name of a node or space")
    if parts.scheme == "ws" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError("host", "ws:// would send the token in clear; use wss:// beyond this machine")
    return url


def check_texts(setting: str, texts: Sequence[str]) -> None:
    """Refuse what cannot be sent.

    Raises:
        ConfigurationError: one has half a character, as also a variable has that is no UTF-8 (PEP 383).
    """
    if any(mend(text) != text for text in texts):
        raise ConfigurationError(setting, "has half a character, which no UTF-8 can hold: give it whole")


def read_settings(
    environment: Mapping[str, str],
    *,
    project: str | None,
    token: str | None,
    jwt_token: str | None,
    host: str | None,
    ca_file: str | None,
    max_active_calls: int | None,
) -> ClientSettings:
    """Put the settings together.

    Raises:
        ConfigurationError: one is missing or wrong; names it and its environment variable.
    """

    def read(given: str | None, names: Sequence[str]) -> str | None:
        return given or next((environment[name] for name in names if environment.get(name)), None)

    place = read(host, _HOST) or DEFAULT_HOST
    scheme = read(None, _SCHEME)
    if scheme is not None and "://" not in place:
        if scheme not in ("ws", "wss"):
            raise ConfigurationError(_SCHEME[0], "must be ws or wss")
        place = f"{scheme}://{place}"
    return ClientSettings(
        authentication=_authentication(read(project, _PROJECT), read(token, _TOKEN), read(jwt_token, _JWT)),
        url=parse_host(place),
        ca_file=read(ca_file, _CA_FILE),
        max_active_calls=_max_calls(max_active_calls, read(None, _MAX_CALLS)),
    )


def _authentication(project: str | None, token: str | None, jwt_token: str | None) -> Authentication:
    for name, given in {"project": project, "token": token, "jwt_token": jwt_token}.items():
        check_texts(name, [given or ""])
    if jwt_token:
        return Authentication(jwt_token=jwt_token)
    if not project:
        raise ConfigurationError("project", f"pass project=..., or set {_PROJECT[0]} (or {_PROJECT[1]})")
    if not token:
        raise ConfigurationError("token", f"pass token=..., or set {_TOKEN[0]} (or {_TOKEN[1]})")
    return Authentication(project=project, token=token)


def _max_calls(given: int | None, text: str | None) -> int:
    if given is None and text is not None and not text.isdecimal():
        raise ConfigurationError(_MAX_CALLS[0], "must be a whole number, 1 or more")
    number = given if given is not None else int(text or _DEFAULT_MAX_ACTIVE_CALLS)
    return max(1, number)
