"""``offhook serve``: a node for production, supervised."""

from __future__ import annotations

import asyncio
import sys

import structlog

from offhook.errors import ConfigurationError
from offhook.node.config.settings import Settings
from offhook.node.processes.dev import stop_on_signals
from offhook.node.processes.supervision import NodeMessage, Ready
from offhook.node.processes.supervisor import NodeSupervisor, with_ports
from offhook.node.state.directory import Identity, StateDirectory

__all__ = ["run_serve"]

_log = structlog.get_logger(__name__)
_MARGIN_S = 10.0


async def run_serve(settings: Settings, state: StateDirectory, identity: Identity) -> None:
    """Until SIGTERM (calls go on until they end, at most ``limits.drain_s``; a second one ends them).

    Raises:
        OffhookError: something does not start, or ends again and again.
    """
    if settings.dev.enabled:
        raise ConfigurationError("dev.enabled", "serve is for production: remove it, or use offhook dev")
    if not settings.routes:
        _log.warning("no [[routes]]: every inbound call is refused with 404 until a number is given a context")
    settings = with_ports(settings)
    stop = asyncio.Event()
    drain_s = settings.limits.drain_s + _MARGIN_S
    supervisor = NodeSupervisor(settings, state, identity, drain_s=drain_s, keeps_spare=True, hear=_hear)
    stop_on_signals(stop, supervisor.hurry)
    await supervisor.run(stop)


def _hear(message: NodeMessage) -> None:
    if isinstance(message, Ready):
        node = message.node
        _log.info("offhook serves", relay=node.relay.host, sip_udp=node.sip.udp, sip_tcp=node.sip.tcp)
        sys.stderr.flush()
