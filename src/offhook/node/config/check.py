"""What must hold between settings, and what no type can say of one."""

from __future__ import annotations

import ipaddress
import re
import stat
from pathlib import Path

from offhook.errors import ConfigurationError
from offhook.node.config.settings import Settings

__all__ = ["MIN_TOKEN", "check", "refuse_readable"]

MIN_TOKEN = 16

_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]+(/\d{1,3})?")
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+")


def check(settings: Settings) -> None:
    """Refuse what types cannot say.

    Raises:
        ConfigurationError: names the setting, and what to change.
    """
    relay, sip, rtp = settings.relay, settings.sip, settings.rtp
    if not settings.state_dir:
        raise ConfigurationError("state_dir", "must name a directory")
    if bool(relay.certificate) != bool(relay.private_key):
        raise ConfigurationError("relay.certificate", "certificate and private_key go together: give both or neither")
    if relay.private_key:
        refuse_readable("relay.private_key", Path(relay.private_key))
    if not _is_loopback("relay.listen", relay.listen) and not relay.certificate:
        raise ConfigurationError(
            "relay.listen", f"{relay.listen} is not loopback: give relay.certificate and relay.private_key first"
        )
    for origin in relay.origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(
                "relay.origins", f"{origin!r} is no origin: write https://host or https://host:port"
            )
    if relay.token and relay.token_file:
        raise ConfigurationError("relay.token", "token and token_file are both given: keep one")
    if relay.token and len(relay.token) < MIN_TOKEN:
        raise ConfigurationError(
            "relay.token", f"must have at least {MIN_TOKEN} characters; leave it out to get one made"
        )
    if relay.token_file:
        refuse_readable("relay.token_file", Path(relay.token_file))
    public = [
        name
        for name, address in (("sip.listen", sip.listen), ("rtp.listen", rtp.listen or sip.listen))
        if not _is_loopback(name, address)
    ]
    if public and not sip.allow_public:
        raise ConfigurationError(
            public[0], "is not loopback: set sip.allow_public = true and list callers in sip.trust"
        )
    for network in sip.trust:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigurationError("sip.trust", f"{network!r} is no IP address or network") from error
    if rtp.port_max - rtp.port_min < 3:
        raise ConfigurationError("rtp.port_max", f"must be at least {rtp.port_min + 3}: a call takes two ports")
    for name, hosts in (("dial.allow", settings.dial.allow), ("trunk.host", (settings.trunk.host,))):
        for host in hosts:
            if host and not _HOST.fullmatch(host):
                raise ConfigurationError(name, f"{host!r} is no host, host:port or network")
    matches = [route.match for route in settings.routes]
    for match in matches:
        if matches.count(match) > 1:
            raise ConfigurationError("routes", f"{match!r} is given twice: keep one")
    if settings.dev.enabled and (public or not _is_loopback("relay.listen", relay.listen)):
        raise ConfigurationError(
            "dev.enabled", "dev listens on loopback alone: use serve, or remove the other addresses"
        )


def _is_loopback(name: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError as error:
        raise ConfigurationError(name, f"{address!r} is no IP address (127.0.0.1 for this machine)") from error


def refuse_readable(name: str, file: Path) -> None:
    """Refuse a file with a secret that others may read."""
    try:
        mode = stat.S_IMODE(file.expanduser().stat().st_mode)
    except OSError as error:
        raise ConfigurationError(name, f"{file} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(name, f"others may read {file} (mode {mode:04o}): chmod 600 {file}")
