"""The node's process: the only place where ports meet their adapters."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import faulthandler
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from offhook.errors import EngineLost, EngineRefused, OffhookError, PeerError
from offhook.node.calls.exchange import Exchange
from offhook.node.calls.overload import Load
from offhook.node.calls.settings import CallSettings, DialSettings, Limits, OverloadSettings, Route, TrunkSettings
from offhook.node.config.settings import DAY_MOST, Settings
from offhook.node.engine.ops import PromptDone
from offhook.node.engine.process import EngineProcess
from offhook.node.engine.prompts import PromptCache
from offhook.node.gateway.auth import token_id_of
from offhook.node.gateway.server import Gateway
from offhook.node.gateway.settings import Credential, GatewaySettings
from offhook.node.gateway.steady import SteadyTime
from offhook.node.log import set_up_logging
from offhook.node.names.node import NodeNames
from offhook.node.names.system import bound_the_system
from offhook.node.processes.held import held
from offhook.node.processes.port_numbers import is_loopback, loopbacks
from offhook.node.processes.supervision import Boot, Idle, Ready, Retire, Serve, Subscribed, Supervision
from offhook.node.processes.watchdog import BEAT_S
from offhook.node.speech.espeak import EspeakSpeech
from offhook.node.speech.workers import SpeechWorkers
from offhook.node.state.directory import Identity, StateDirectory
from offhook.node.state.housekeeping import Housekeeping
from offhook.node.state.spending_book import SpendingBook
from offhook.node.store.journal import SqliteJournal
from offhook.node.verbs.registry import VerbRegistry
from offhook.node.web.crowd import CrowdLimits
from offhook.node.web.descriptors import Places, places, raise_limit
from offhook.node.web.door import Door, DoorSettings
from offhook.node.web.fetch import WebFetcher
from offhook.node.web.outbound import Outbound
from offhook.node.web.policy import OutboundLimits, Policy
from offhook.node.web.recordings import RecordingServer, load_link_key
from offhook.node.web.tls import LocalCertificates, server_context

__all__ = ["Node", "main"]

_log = structlog.get_logger(__name__)
_ENGINE_GONE_S = 10.0
_ENGINE_RETRY_S = 0.1
_IDLE_POLL_S = 0.5
_HURRIED_S = 5.0
_GC_THRESHOLD = 10_000
"""New objects between two collections; Python's 700 are made, and freed without one, several times a call."""


class Node:
    """One node, from its ``Boot`` to its end."""

    def __init__(self, boot: Boot, supervision: Supervision) -> None:
        settings, identity = boot.settings, boot.identity
        self._settings = settings
        self._identity = identity
        self._supervision = supervision
        self._state = StateDirectory(Path(settings.state_dir))
        self._ready = self._state.describe(settings, identity)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._places = _places(settings)
        state = self._state
        self.engine = EngineProcess(
            socket=state.socket,
            secret=boot.secret,
            epoch=boot.epoch,
            prompts=state.prompts,
            recordings=state.recordings,
        )
        cache = PromptCache(state.prompts, max_bytes=settings.tts.cache_mib << 20)
        self.speech = EspeakSpeech(
            cache,
            SpeechWorkers(timeout_s=settings.tts.timeout_s, number=settings.tts.workers),
            self._prompt_end,
            max_characters=settings.tts.max_characters,
            names=settings.tts.voices,
            wait_s=settings.tts.wait_s,
        )
        clock = SteadyTime()
        self.recordings = RecordingServer(
            state.recordings,
            load_link_key(state.link_key),
            lambda: self._ready.http,
            settings.recordings.link_lifetime_s,
            clock,
        )
        self.gateway = Gateway(
            gateway_settings(settings, identity, self._places.sessions), SqliteJournal(state.journal)
        )
        self.names = NodeNames(dial_s=settings.dial.resolve_s, fetch_s=settings.fetch.connect_s)
        self.exchange = Exchange(
            self.engine,
            self.gateway.outbox,
            self.gateway.desk,
            call_settings(settings, identity),
            resolve=self.names.of_call,
        )
        outbound = Outbound(outbound_limits(settings), resolve=self.names.of_url)
        self.fetcher = WebFetcher(cache, outbound, fetch_policy(settings))
        self.verbs = VerbRegistry(self.exchange, self.speech, self.fetcher, self.recordings)

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Serve until ``stop``, then let calls end (in ``serve``), until ``hurry`` at the latest.

        Raises:
            OffhookError: something does not start.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end_tasks)
            stack.push_async_callback(self.engine.close)
            stack.push_async_callback(self.speech.close)
            stack.push_async_callback(self.names.close)
            stack.push_async_callback(self.fetcher.close)
            self._spawn(self._warm_up(), "warm up")
            if trunk := self._settings.trunk.host:
                self._spawn(self.names.keep(trunk), "trunk's name")
            door = self._door()
            stack.push_async_callback(door.close)
            await self.gateway.start()
            stack.push_async_callback(self.gateway.close)
            book = SpendingBook(self._state.spending)
            stack.callback(book.close)
            self.exchange.caps.spending = book.spending
            self._spawn(book.run(), "spending")
            await stack.enter_async_context(self.exchange)
            lost = asyncio.Event()
            await self.exchange.attach(lambda _: lost.set())
            self.gateway.recover(self.exchange.adopted, self.exchange.past, self.exchange.dialling)
            self.gateway.use_runner(self.verbs, self.exchange.overload.refuses)
            self._spawn(self._keep_engine(lost), "keep engine")
            self._spawn(self.exchange.overload.watch(), "watch load")
            self._spawn(self._supervised(), "supervision")
            await door.open(loopbacks(self._settings.relay.listen), self._settings.relay.port, self._context())
            self._spawn(self._housekeeping().run(), "housekeeping")
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell_held)
            self._supervision.send(Ready(self._ready))
            gc.freeze()  # code and settings live as long as the process: no collection looks at them again
            gc.set_threshold(_GC_THRESHOLD)
            await stop.wait()
            await self._drain(hurry)

    # --- HTTP ------------------------------------------------------------------------------------------------

    def _door(self) -> Door:
        application = web.Application()
        application.add_routes([*self.gateway.routes(), *self.recordings.routes(), web.get("/healthz", self._health)])
        application.on_response_prepare.append(_anonymous)
        return Door(application, DoorSettings(crowd=self._places.crowd))

    def _context(self) -> ssl.SSLContext:
        """TLS by the configured certificate, or by our own for this machine, which is renewed in time."""
        relay = self._settings.relay
        if relay.certificate:
            return server_context(Path(relay.certificate).expanduser(), Path(relay.private_key).expanduser())
        certificates = LocalCertificates(self._state.tls)
        certificates.ensure(datetime.datetime.now(datetime.UTC))
        context = server_context(certificates.chain_file, certificates.key_file)
        self._renew = lambda: (
            context.load_cert_chain(certificates.chain_file, certificates.key_file)
            if certificates.ensure(datetime.datetime.now(datetime.UTC))
            else None
        )
        return context

    _renew: Callable[[], None] = staticmethod(lambda: None)

    async def _health(self, _: web.Request) -> web.Response:
        """Only whether calls are taken."""
        if self._is_draining:
            return web.Response(status=503, text="draining\n")
        is_full = len(self.exchange.calls) >= self._settings.engine.max_calls
        is_busy = is_full or self.exchange.overload.load is not Load.NORMAL
        return web.Response(status=429, text="busy\n") if is_busy else web.Response(text="ok\n")

    # --- the engine ------------------------------------------------------------------------------------------

    async def _keep_engine(self, lost: asyncio.Event) -> None:
        """Connect again whenever the engine went; after 10 s without one its calls are given up."""
        while True:
            await lost.wait()
            lost.clear()
            _log.error("the engine is gone")
            await self._attach_again(lost)
            _log.info("the engine is back")

    async def _attach_again(self, lost: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        give_up_at: float | None = loop.time() + _ENGINE_GONE_S
        while True:
            try:
                await self.exchange.attach(lambda _: lost.set())
            except (EngineLost, EngineRefused) as error:
                _log.debug("the engine is not back yet", reason=str(error))
            except Exception:  # noqa: BLE001  one that stopped to connect would keep its calls and hear nothing of them
                _log.exception("the engine could not be met: trying again")
            else:
                return
            if give_up_at is not None and loop.time() > give_up_at:
                self.exchange.engine_died()
                give_up_at = None
            await asyncio.sleep(_ENGINE_RETRY_S)

    async def _prompt_end(self, prompt: str, size_bytes: int) -> None:
        try:
            await self.engine.execute(PromptDone(self.engine.next_id(), prompt, size_bytes))
        except (EngineRefused, EngineLost) as error:
            _log.warning("the engine was not told the end of a prompt", prompt=prompt, reason=str(error))

    # --- dev: which of two programs takes calls ----------------------------------------------------------------

    async def _supervised(self) -> None:
        tokens = self._identity.app_tokens
        ids = [token_id_of(token) for token in tokens]
        self.gateway.on_subscribed = lambda token_id: (
            self._supervision.send(Subscribed(ids.index(token_id))) if token_id in ids else None
        )
        async for message in self._supervision.from_supervisor():
            match message:
                case Serve():
                    self.gateway.readmit(tokens[message.slot])
                case Retire():
                    self.gateway.retire(tokens[message.slot])
                    self._spawn(self._tell_idle(message.slot), "tell idle")
                case Boot():
                    raise PeerError("a node boots once")

    async def _tell_idle(self, slot: int) -> None:
        token = self._identity.app_tokens[slot]
        while self.gateway.is_retired(token):
            if self.gateway.calls_of(token) == 0:
                self._supervision.send(Idle(slot))
                return
            await asyncio.sleep(_IDLE_POLL_S)

    # --- around ----------------------------------------------------------------------------------------------

    async def _warm_up(self) -> None:
        """So that the first text of the first call need not wait."""
        try:
            await self.speech.start()
        except OffhookError as error:
            _log.error("no speech", reason=str(error))

    def _housekeeping(self) -> Housekeeping:
        days = self._settings.recordings.retention_days
        return Housekeeping(self._state.recordings, self._state.housekeeping, days, self._renew)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """In ``serve`` calls go on until they end; in ``dev`` they end now."""
        self._is_draining = True
        self.gateway.refuse_new_calls()
        if self._settings.dev.enabled:
            return
        try:
            async with asyncio.timeout(self._settings.limits.drain_s):
                while len(self.exchange.calls) and not hurry.is_set():
                    _log.info("draining", calls=len(self.exchange.calls))
                    await _either(hurry, 5.0)
        except TimeoutError:
            _log.warning("calls are ended", calls=len(self.exchange.calls))

    def _tell_held(self) -> None:
        """All but the clients, and what is remembered of them, is over some time after the last call."""
        _log.info("held", calls=len(self.exchange.calls), **held("offhook.node"))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the node failed", task=task.get_name(), exc_info=error)

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _places(settings: Settings) -> Places:
    """Of clients and strangers, as far as this process has descriptors for them."""
    limits = settings.limits
    crowd = CrowdLimits(strangers=limits.strangers, strangers_per_address=limits.strangers_per_address)
    descriptors = raise_limit()
    found = places(descriptors, limits.sessions, crowd)
    if found.sessions < limits.sessions:
        _log.warning("fewer clients than limits.sessions: raise LimitNOFILE (ulimit -n)", most=found.sessions)
    return found


def gateway_settings(settings: Settings, identity: Identity, sessions: int) -> GatewaySettings:
    """What the gateway is told; ``sessions``: for how many there is room."""
    tokens = (identity.token, *(identity.app_tokens if settings.dev.enabled else ()))
    return GatewaySettings(
        credentials=[Credential(identity.project, token) for token in tokens],
        state_key=identity.state_key,
        node_id=identity.node_id,
        space_id=identity.space_id,
        frame_max_bytes=settings.limits.frame_bytes,
        requests_per_s=float(settings.limits.requests_per_s),
        requests_per_s_per_call=float(settings.limits.requests_per_s_per_call),
        requests_burst=6 * settings.limits.requests_per_s,  # what an SDK queues while away (500) comes at once
        requests_per_s_per_token=float(settings.limits.requests_per_s_per_token),
        requests_burst_per_token=6 * settings.limits.requests_per_s_per_token,
        ringing_s=settings.calls.ringing_s,
        orphan_s=settings.calls.orphan_s,
        allowed_origins=frozenset(settings.relay.origins),
        sessions_max=sessions,
        retention_s=settings.limits.kept_s,
    )


def call_settings(settings: Settings, identity: Identity) -> CallSettings:
    """What calls are told; in dev every number goes to one context."""
    dev = settings.dev.enabled
    everything = [Route("*", settings.dev.context)] if dev else []
    at_once = settings.dial.calls_at_once or max(1, settings.engine.max_calls // 2)
    trunk, calls = settings.trunk, settings.calls
    return CallSettings(
        node_id=identity.node_id,
        project_id=identity.project,
        routes=[*(Route(route.match, route.context) for route in settings.routes), *everything],
        dial=DialSettings(
            list(settings.dial.allow),
            loopback=is_loopback(settings.relay.listen) and is_loopback(settings.sip.listen),
            calls_at_once=at_once,
            calls_per_s=settings.dial.calls_per_s,
            wait_s=settings.dial.wait_s,
        ),
        trunk=TrunkSettings(
            trunk.host,
            trunk.port,
            trunk.transport,
            trunk.from_number,
            allow=["*"] if dev and not trunk.allow else list(trunk.allow),
            deny=trunk.deny,
            calls_at_once=max(trunk.calls_at_once, at_once if dev else 0),
            calls_per_s=max(trunk.calls_per_s, settings.dial.calls_per_s if dev else 0),
            calls_per_day=max(trunk.calls_per_day, DAY_MOST if dev else 0),
            minutes_per_day=max(trunk.minutes_per_day, DAY_MOST if dev else 0),
        ),
        limits=Limits(
            call_s=calls.max_s, hold_s=calls.hold_s, ringing_s=calls.ringing_s, ended_kept_s=settings.limits.kept_s
        ),
        overload=OverloadSettings(settings.overload.lag_ms, settings.overload.skipped_ticks),
        sip_host=settings.sip.listen,
        ring_timeout_s=calls.ring_timeout_s,
    )


def outbound_limits(settings: Settings) -> OutboundLimits:
    """Where to the node may go by URL, and how much at once."""
    fetch = settings.fetch
    return OutboundLimits(
        ports=fetch.ports,
        allow_loopback=fetch.allow_loopback,
        parallel=fetch.parallel,
        per_host=fetch.parallel_per_host,
        per_asker=max(1, fetch.parallel // 4),
    )


def fetch_policy(settings: Settings) -> Policy:
    """What the audio of one URL may cost."""
    fetch = settings.fetch
    return Policy(
        max_bytes=fetch.max_mib << 20,
        connect_s=fetch.connect_s,
        read_s=fetch.read_s,
        total_s=fetch.total_s,
        max_bytes_setting="fetch.max_mib",
    )


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "offhook"


async def _either(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


async def _run(descriptor: int) -> int:
    supervision = await Supervision.over(socket.socket(fileno=descriptor))
    boot = await anext(supervision.from_supervisor(), None)
    if boot is None:  # a spare that was not needed
        return 0
    if not isinstance(boot, Boot):
        raise PeerError("the first line must be the boot")
    beating = asyncio.create_task(supervision.beat(BEAT_S), name="beat")
    set_up_logging(boot.settings.log)
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, on_signal)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    status = 0
    try:
        await Node(boot, supervision).run(stop, hurry)
    except* OffhookError as errors:
        status = 1
        for error in _leaves(errors):
            _log.error("the node cannot run", reason=str(error))
    finally:
        beating.cancel()
        supervision.close()
    return status


def _leaves(group: BaseExceptionGroup[OffhookError]) -> list[BaseException]:
    """The errors themselves, out of groups in groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def main() -> None:
    """Started by the supervisor, never by hand."""
    parser = argparse.ArgumentParser(description="A node, as its supervisor starts it.")
    parser.add_argument("--supervision-fd", type=int, required=True)
    arguments = parser.parse_args()
    faulthandler.enable()  # a node that hangs is ended by SIGABRT, and says where: names of ours, no data
    bound_the_system()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        sys.exit(runner.run(_run(arguments.supervision_fd)))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
