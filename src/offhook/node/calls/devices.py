"""From a device of ``calling.dial`` to places that the engine may call, or a sentence why not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Literal

import msgspec

from offhook.errors import CallerError, CommandRefused, MachineError, ProviderError
from offhook.node.calls.caps import check_number
from offhook.node.calls.ports import ResolveHost
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.uris import SipUri, parse_party, parse_uri
from offhook.node.engine.ops import Header
from offhook.protocol.codes import ResultCode
from offhook.protocol.devices import DialDevice, FabricDevice, PhoneDevice, SipDevice, SipParams, WebrtcDevice

__all__ = ["DevicePlanner", "Placement", "SipTarget"]

BUILT_CODECS = frozenset({"PCMU", "PCMA", "G722"})
_NUMBER = re.compile(r"^\+?[0-9]{1,20}\Z")
_MOST_TARGETS = 8


class SipTarget(msgspec.Struct, frozen=True):
    """Where an INVITE may go: ``ip:port``."""

    destination: str
    transport: Literal["udp", "tcp"] = "udp"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a device: all that the engine needs for it, and the device as events report it.

    ``targets``: who may serve it, best first. The next is asked where one is not there (RFC 3263, section 4.3).
    """

    device: dict[str, Any]
    to_uri: str
    from_uri: str
    targets: list[SipTarget]
    from_display: str = ""
    headers: list[Header] = []
    codecs: list[str] = []
    ring_timeout_s: float | None = None
    to_trunk: bool = False

    def __repr__(self) -> str:
        return f"Placement({self.targets})"


class DevicePlanner:
    """Applies ``[dial] allow`` and ``[trunk]`` to devices, after resolution."""

    def __init__(self, settings: CallSettings, resolve: ResolveHost) -> None:
        self._settings = settings
        self._resolve = resolve

    def check(self, device: DialDevice) -> None:
        """Refuse what can never be called, before anything is tried.

        Raises:
            CommandRefused: 400 for what is wrong, 501 for what is not built.
        """
        match device:
            case PhoneDevice(params=phone):
                for field, number in (("to_number", phone.to_number), ("from_number", phone.from_number)):
                    if number and not _NUMBER.match(number):
                        raise CommandRefused(ResultCode.BAD_REQUEST, f"`{field}` must be a number such as +15551234567")
            case SipDevice(params=sip):
                self._check_sip(sip)
            case FabricDevice() | WebrtcDevice():
                kind = type(device).__struct_config__.tag
                raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"Devices of type {kind} are not built yet")

    def _check_sip(self, sip: SipParams) -> None:
        if sip.from_name and not sip.from_name.isprintable():
            raise CommandRefused(ResultCode.BAD_REQUEST, "`from_name` must be a text without control characters")
        target = self._target(sip.to)
        for uri in [target, *([self._sender(sip.from_)] if sip.from_ else [])]:
            if uri.scheme == "sips":
                raise CommandRefused(ResultCode.NOT_IMPLEMENTED, "sips: URIs are not built yet: use sip:")
        if (transport := target.parameters.get("transport", "udp").lower()) not in ("udp", "tcp"):
            message = f"`to`: transport={transport} is not built yet: use udp or tcp"
            raise CommandRefused(ResultCode.NOT_IMPLEMENTED, message)
        if unbuilt := [codec for codec in sip.codecs if codec not in BUILT_CODECS]:
            names = ", ".join(unbuilt)
            raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"codecs {names} are not built yet: PCMU, PCMA, G722")

    async def plan(self, device: DialDevice, session: str) -> list[Placement]:
        """Find where to call a device that ``check`` let pass, for a session; all of it is called at the same time.

        Raises:
            CallerError: it may not be called, or its host is not found or not in time; says what to configure.
        """
        if isinstance(device, PhoneDevice):
            return [await self._plan_phone(device)]
        if isinstance(device, SipDevice):
            return [await self._plan_sip(device, session)]
        raise CallerError("Devices of this type are not built yet")

    async def _plan_phone(self, device: PhoneDevice) -> Placement:
        trunk = self._settings.trunk
        if not trunk.host:
            raise CallerError("phone devices need a trunk: set [trunk] host (and port) in the configuration")
        sender = device.params.from_number or trunk.from_number
        if not sender:
            raise CallerError("Give the device a from_number, or set [trunk] from_number in the configuration")
        check_number(device.params.to_number, trunk)
        addresses = await self._addresses(trunk.host, "")
        return Placement(
            device={"type": "phone", "params": {"from_number": sender, "to_number": device.params.to_number}},
            to_uri=f"sip:{device.params.to_number}@{trunk.host}",
            from_uri=f"sip:{sender}@{self._settings.sip_host}",
            targets=_targets(addresses, trunk.port, trunk.transport),
            ring_timeout_s=device.params.timeout,
            to_trunk=True,
        )

    async def _plan_sip(self, device: SipDevice, session: str) -> Placement:
        params = device.params
        target = self._target(params.to)
        sender = str(self._sender(params.from_)) if params.from_ else f"sip:offhook@{self._settings.sip_host}"
        port = target.port or 5060
        addresses = await self._allowed(target.host, port, session)
        reported: dict[str, Any] = {"from": sender, "to": str(target)}
        if params.headers:
            reported["headers"] = [{"name": header.name, "value": header.value} for header in params.headers]
        return Placement(
            device={"type": "sip", "params": reported},
            to_uri=str(target),
            from_uri=sender,
            targets=_targets(addresses, port, target.parameters.get("transport", "")),
            from_display=params.from_name or "",
            headers=[Header(header.name, header.value) for header in params.headers],
            codecs=list(params.codecs),
            ring_timeout_s=params.timeout,
        )

    async def _allowed(self, host: str, port: int, session: str) -> list[str]:
        allowed = [a for a in await self._addresses(host, session) if await self._is_allowed(a, port)]
        if allowed:
            return allowed
        raise CallerError(f'{host}:{port} may not be called: add "{host}:{port}" to [dial] allow in the configuration')

    async def _is_allowed(self, address: str, port: int) -> bool:
        is_ours = self._settings.dial.loopback and ipaddress.ip_address(address).is_loopback
        return is_ours or await self._is_listed(address, port)

    async def _is_listed(self, address: str, port: int) -> bool:
        for entry in self._settings.dial.allow:
            host, allowed_port = _split(entry)
            if allowed_port not in (0, port):
                continue
            try:
                if ipaddress.ip_address(address) in ipaddress.ip_network(host, strict=False):
                    return True
            except ValueError:  # a name
                if address in await self._addresses(host, ""):
                    return True
        return False

    async def _addresses(self, host: str, session: str) -> list[str]:
        host = host.removeprefix("[").removesuffix("]")
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            return await self._resolve(host, session)
        except (ProviderError, MachineError) as error:
            raise CallerError(f"{error}, or give an IP address") from error

    def _target(self, text: str) -> SipUri:
        if _is_number(text):
            message = "`to`: a tel: number has no host: use a device of type phone, or sip:number@host"
            raise CommandRefused(ResultCode.BAD_REQUEST, message)
        return self._uri(text if _has_scheme(text) else f"sip:{text}", "to")

    def _sender(self, text: str) -> SipUri:
        if _is_number(text):
            text = self._uri(text, "from", parse_party).number
        host = "" if "@" in text else f"@{self._settings.sip_host}"
        return self._uri(text if _has_scheme(text) else f"sip:{text}{host}", "from")

    @staticmethod
    def _uri(text: str, field: str, parse: Callable[[str], SipUri] = parse_uri) -> SipUri:
        try:
            return parse(text)
        except CallerError as error:
            raise CommandRefused(ResultCode.BAD_REQUEST, f"`{field}`: {error}") from error


def _has_scheme(text: str) -> bool:
    return text.lower().startswith(("sip:", "sips:"))


def _is_number(text: str) -> bool:
    return text.lower().startswith("tel:")


def _split(entry: str) -> tuple[str, int]:
    """``host``, ``host:port``, ``[v6]:port`` or a network."""
    match = re.match(r"^(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?\Z", entry)
    if match is None:  # a bare IPv6 address or network
        return entry, 0
    return match["v6"] or match["host"], int(match["port"] or 0)


def _targets(addresses: Iterable[str], port: int, transport: str) -> list[SipTarget]:
    ends = (f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in addresses)
    return [SipTarget(end, "tcp" if transport.lower() == "tcp" else "udp") for end in islice(ends, _MOST_TARGETS)]
