"""node/web/outbound by its face, as whoever posts to the web or hands a target on will use it, on real servers."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from offhook.errors import CallerError, MachineError, ProviderError
from offhook.node.web.outbound import Outbound, Reply
from offhook.node.web.pinned import Target
from offhook.node.web.policy import OutboundLimits, Policy
from offhook.node.web.tls import LocalCertificates, server_context
from rig.waiting import until

JSON = {"Content-Type": "application/json"}
EVENT = json.dumps({"call_state": "answered"}).encode()
SOCKETS = ("ws", "wss")


def patient(max_bytes: int = 1024, **policy: float) -> Policy:
    """One whose times do not end on a busy machine, but for those that are given."""
    return Policy(max_bytes=max_bytes, **{"connect_s": 60.0, "read_s": 60.0, "total_s": 60.0, **policy})  # type: ignore[arg-type]


Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Web:
    """Every name is this server, until ``addresses`` says otherwise. Paths with ``slow`` wait for ``go``."""

    def __init__(self) -> None:
        self.addresses = ["127.0.0.1"]
        self.looked_up: list[str] = []
        self.asked: list[str] = []
        self.running: list[str] = []
        self.most: dict[str, int] = {}
        self.go = asyncio.Event()
        self.page: Page = self.echo
        self.port = 0
        self.outbound = self.make()

    def make(self, **limits: object) -> Outbound:
        return Outbound(OutboundLimits(**{"allow_loopback": True, **limits}), resolve=self.resolve)  # type: ignore[arg-type]

    async def resolve(self, host: str, _asker: str) -> list[str]:
        self.looked_up.append(host)
        return self.addresses

    async def handle(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        self.asked.append(f"{request.method} {host}{request.path_qs}")
        if "slow" in request.path:
            self.running.append(host)
            for name, number in (("", len(self.running)), (host, self.running.count(host))):
                self.most[name] = max(self.most.get(name, 0), number)
            try:
                await self.go.wait()
            finally:
                self.running.remove(host)
        return await self.page(request)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=201, body=await request.read(), content_type=request.content_type)

    def url(self, path: str, host: str = "hooks.example") -> str:
        return f"http://{host}:{self.port}{path}"

    async def post(
        self, path: str, *, host: str = "hooks.example", asker: str = "project", policy: Policy | None = None
    ) -> Reply:
        kept = policy or patient()
        return await self.outbound.post(self.url(path, host), asker, kept, headers=JSON, content=EVENT)

    async def get(self, path: str, *, policy: Policy | None = None) -> Reply:
        kept = policy or patient()
        return await self.outbound.get(self.url(path), "project", kept, headers={"Accept": "application/json"})

    def posting(self, path: str, **how: str) -> asyncio.Task[Reply]:
        return asyncio.create_task(self.post(path, **how))  # type: ignore[arg-type]


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    made = Web()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    async with TestServer(application, host="127.0.0.1") as server:
        assert server.port is not None
        made.port = server.port
        yield made
        made.go.set()


def redirecting(location: str, status: int) -> Page:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": location})

    return page


# --- what is sent, and what comes back ---


async def test_what_is_posted_arrives_as_it_is_and_the_reply_is_given(site: Web) -> None:
    seen: list[web.Request] = []

    async def page(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await site.echo(request)

    site.page = page
    assert await site.post("/a?b=%2F") == Reply(201, EVENT)
    assert site.asked == ["POST hooks.example/a?b=%2F"]
    assert seen[0].headers["Host"] == f"hooks.example:{site.port}"
    assert (seen[0].content_type, seen[0].headers["User-Agent"]) == ("application/json", "offhook")
    assert "Transfer-Encoding" not in seen[0].headers


async def test_what_a_url_has_is_got(site: Web) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.json_response({"accept": request.headers["Accept"]})

    site.page = page
    assert await site.get("/script") == Reply(200, b'{"accept": "application/json"}')


@pytest.mark.parametrize("status", [204, 304, 400, 404, 500, 503])
async def test_whatever_a_server_answers_is_for_who_asked_to_judge(site: Web, status: int) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    site.page = page
    assert await site.post("/") == Reply(status, b"")


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize(("size", "is_taken"), [(1024, True), (1025, False), (4 << 20, False)])
async def test_a_reply_is_bounded_whether_its_length_is_told_or_not(
    site: Web, is_told: bool, size: int, is_taken: bool
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        if is_told:
            return web.Response(body=bytes(size))
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, size, 1000):
            await response.write(bytes(min(1000, size - at)))
        return response

    site.page = page
    if is_taken:
        assert await site.post("/") == Reply(200, bytes(size))
        return
    with pytest.raises(ProviderError, match=r"^hooks\.example sent more than 1024 bytes$"):
        await site.post("/")


async def test_a_server_that_answers_without_reading_costs_nothing_more(site: Web) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(status=413)

    site.page = page
    url = site.url("/")
    reply = await site.outbound.post(url, "project", patient(), headers=JSON, content=bytes(1 << 20))
    assert reply == Reply(413, b"")


# --- redirects ---


async def test_what_is_posted_goes_along_where_a_redirect_says_so(site: Web) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        if request.path == "/new":
            return await site.echo(request)
        return web.Response(status=307, headers={"Location": "/other" if request.path == "/" else "/new"})

    site.page = page
    assert await site.post("/") == Reply(201, EVENT)
    assert [line.partition("example")[2] for line in site.asked] == ["/", "/other", "/new"]
    assert {line.partition(" ")[0] for line in site.asked} == {"POST"}


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_loses_what_is_posted_is_refused(site: Web, status: int) -> None:
    """RFC 9110, 15.4: after these a client may ask by GET, and does."""
    site.page = redirecting("/new", status)
    with pytest.raises(ProviderError, match=f"redirects by {status}, which leaves out what is sent"):
        await site.post("/")
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "location", ["http://10.0.0.1/", "http://169.254.169.254/latest", "//[::ffff:10.0.0.1]/", "file:///etc/passwd"]
)
async def test_a_redirect_to_a_private_address_is_refused(site: Web, location: str) -> None:
    async def literal(host: str, _asker: str) -> list[str]:
        return ["127.0.0.1"] if host == "hooks.example" else [host]

    site.outbound = Outbound(OutboundLimits(allow_loopback=True), resolve=literal)
    site.page = redirecting(location, 307)
    for ask in (site.post, site.get):
        with pytest.raises(CallerError):
            await ask("/")
    assert len(site.asked) == 2


@pytest.mark.parametrize("location", ["", "http://[::1", "http://xn--a/", "http://a:99999/", "ws://hooks.example/"])
async def test_a_redirect_to_nowhere_gets_a_sentence(site: Web, location: str) -> None:
    site.page = redirecting(location, 307)
    with pytest.raises((CallerError, ProviderError)):
        await site.post("/")
    assert len(site.asked) == 1


async def test_a_redirect_to_the_same_name_is_checked_anew(site: Web) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        site.addresses = ["192.168.0.1"]
        return web.Response(status=308, headers={"Location": "/again"})

    site.page = page
    with pytest.raises(CallerError, match="private or special"):
        await site.post("/")
    assert site.looked_up == ["hooks.example"] * 2
    assert len(site.asked) == 1


@pytest.mark.parametrize("redirects", [0, 2])
async def test_so_many_redirects_are_followed_as_the_policy_says(site: Web, redirects: int) -> None:
    site.page = redirecting("/again", 307)
    with pytest.raises(ProviderError, match=f"redirects more than {redirects} times"):
        await site.post("/", policy=patient(redirects=redirects))
    assert len(site.asked) == redirects + 1


# --- time ---


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
async def test_a_host_that_drips_is_cut_off_at_its_time_and_its_connection_closed(head: bytes) -> None:
    """Neither in its head nor in its content is it ever silent for as long as it may be."""
    closed = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            end = asyncio.create_task(reader.read())
            while not end.done():
                writer.write(b"a")
                await asyncio.sleep(0.02)
        finally:
            closed.set()
            writer.close()

    async def here(_host: str, _asker: str) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    outbound = Outbound(OutboundLimits(allow_loopback=True), resolve=here)
    async with server:
        url = f"http://drip.example:{server.sockets[0].getsockname()[1]}/"
        policy = patient(1 << 20, total_s=1.0)
        with pytest.raises(ProviderError, match=r"drip\.example took longer than 1 s in all"):
            await outbound.post(url, "project", policy, headers=JSON, content=EVENT)
        async with asyncio.timeout(60):
            await closed.wait()


async def test_the_time_is_over_all_redirects(site: Web) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.15)
        return web.Response(status=307, headers={"Location": "/again"})

    site.page = page
    with pytest.raises(ProviderError, match=r"longer than 0\.4 s in all"):
        await site.post("/", policy=patient(total_s=0.4, redirects=1000))


async def test_the_wait_for_a_slot_is_within_the_time_and_gives_nothing_back_that_others_have(site: Web) -> None:
    site.outbound = site.make(parallel=1)
    slow = site.posting("/slow")
    await until(lambda: site.running, "the slow one is asked")
    policy = patient(total_s=0.2)
    with pytest.raises(ProviderError, match=r"was not asked within 0\.2 s: other fetches take all slots"):
        await site.post("/late", policy=policy)
    site.go.set()
    assert (await slow).status == 201
    assert (await site.post("/next")).status == 201
    assert "POST hooks.example/late" not in site.asked


# --- slots ---


async def test_two_projects_share_the_slots_whoever_asks_for_more(site: Web) -> None:
    site.outbound = site.make(parallel=4, per_host=4, per_asker=4)
    loud = [site.posting(f"/loud/slow/{number}", asker="loud") for number in range(24)]
    await until(lambda: len(site.asked) == 4, "the loud one has all slots")
    quiet = [site.posting(f"/quiet/slow/{number}", asker="quiet") for number in range(8)]
    await asyncio.sleep(0.05)
    site.go.set()
    await asyncio.gather(*loud, *quiet)
    order = ["quiet" if "quiet" in line else "loud" for line in site.asked[4:]]
    assert order[:16].count("quiet") >= 6, "about every other slot, until it has all that it wanted"


async def test_a_project_has_its_share_of_the_slots_and_no_more(site: Web) -> None:
    site.outbound = site.make(parallel=8, per_host=8, per_asker=2)
    loud = [site.posting(f"/slow/{number}", asker="loud") for number in range(10)]
    await until(lambda: len(site.running) == 2, "the loud one has two")
    assert (await site.post("/quick", asker="quiet")).status == 201
    assert site.most[""] == 2
    site.go.set()
    await asyncio.gather(*loud)
    assert site.most[""] == 2


async def test_each_host_has_the_same_number_of_slots(site: Web) -> None:
    site.outbound = site.make(parallel=32, per_host=3, per_asker=32)
    hosts = ("one.example", "two.example", "three.example")
    asked = [site.posting(f"/slow/{number}", host=host, asker=host) for host in hosts for number in range(9)]
    await until(lambda: len(site.running) == 9, "all have theirs")
    await asyncio.sleep(0.05)
    site.go.set()
    await asyncio.gather(*asked)
    assert site.most == {"": 9, **dict.fromkeys(hosts, 3)}


async def test_what_waits_beyond_the_bound_is_refused_with_a_sentence(site: Web) -> None:
    site.outbound = site.make(parallel=1)
    waiting = [site.posting(f"/slow/{number}") for number in range(66)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [str(task.exception()) for task in done] == [
        "too much waits for hooks.example and others: ask for less at once"
    ]
    assert all(isinstance(task.exception(), MachineError) for task in done)
    site.go.set()
    await asyncio.gather(*pending)


async def test_who_gives_up_leaves_its_slot_to_the_next(site: Web) -> None:
    site.outbound = site.make(parallel=1)
    first, second = site.posting("/slow/1"), site.posting("/slow/2")
    await until(lambda: site.running, "the first is asked")
    first.cancel()
    site.go.set()
    assert (await second).status == 201


# --- what was checked is what is connected to ---


async def test_a_name_that_changes_between_check_and_connection_changes_nothing(site: Web) -> None:
    site.outbound = site.make(parallel=1)
    slow = site.posting("/slow", host="slow.example")
    await until(lambda: site.running, "the slow one has the slot")
    waiting = site.posting("/a")
    await until(lambda: "hooks.example" in site.looked_up, "the other one was checked, and waits")
    site.addresses = ["10.0.0.1"]
    site.go.set()
    assert (await slow).status == (await waiting).status == 201
    assert site.looked_up == ["slow.example", "hooks.example"]
    with pytest.raises(CallerError, match="private or special"):
        await site.post("/a")


async def test_a_target_is_what_was_checked_whatever_the_name_becomes(site: Web, tmp_path: Path) -> None:
    """It goes to somebody else, who asks no name server: the certificate is still that of the name."""
    certificates = LocalCertificates(tmp_path / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(await reader.readline())
        writer.close()

    context = server_context(certificates.chain_file, certificates.key_file)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"wss://localhost:{port}/media?call=%2F1"
        target = await site.outbound.open(url, "project", schemes=SOCKETS)
        assert target == Target(("127.0.0.1",), port, "localhost", True, "/media?call=%2F1")
        site.addresses = ["10.0.0.1"]
        trusting = ssl.create_default_context(cafile=certificates.ca_file)
        reader, writer = await asyncio.open_connection(
            target.addresses[0], target.port, ssl=trusting, server_hostname=target.server_name
        )
        writer.write(f"GET {target.path} HTTP/1.1\r\n".encode())
        assert await reader.read() == b""
        writer.close()
    assert served == [b"GET /media?call=%2F1 HTTP/1.1\r\n"]
    assert site.looked_up == ["localhost"]
    with pytest.raises(CallerError, match="private or special"):
        await site.outbound.open(url, "project", schemes=SOCKETS)


async def test_a_certificate_that_nobody_trusts_is_refused(site: Web, tmp_path: Path) -> None:
    certificates = LocalCertificates(tmp_path / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    context = server_context(certificates.chain_file, certificates.key_file)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ProviderError, match="its certificate is not trusted"):
            await site.outbound.post(url, "project", patient(), headers=JSON, content=EVENT)


@pytest.mark.parametrize(
    ("url", "port", "server_name", "is_tls", "path"),
    [
        ("ws://media.example", 80, "media.example", False, "/"),
        ("wss://Media.Example./a?", 443, "media.example", True, "/a?"),
        ("wss://pr\u00fcfung.example:8443/\u00fc", 8443, "xn--prfung-4ya.example", True, "/%C3%BC"),
    ],
)
async def test_a_target_says_all_that_a_connection_needs(
    url: str, port: int, server_name: str, is_tls: bool, path: str
) -> None:
    async def public(_host: str, _asker: str) -> list[str]:
        return ["8.8.8.8", "2606:4700::1111"]

    outbound = Outbound(OutboundLimits(), resolve=public)
    target = await outbound.open(url, "call", schemes=SOCKETS)
    assert target == Target(("8.8.8.8", "2606:4700::1111"), port, server_name, is_tls, path)


@pytest.mark.parametrize(
    ("url", "addresses", "sentence"),
    [
        ("https://media.example/", ["8.8.8.8"], "only ws and wss URLs are fetched, not https"),
        ("ws://media.example:5060/", ["8.8.8.8"], "port 5060 is not fetched from"),
        ("ws://media.example/", ["8.8.8.8", "10.0.0.1"], "private or special"),
        ("ws://media.example/", ["127.0.0.1"], "loopback needs fetch.allow_loopback"),
        ("ws://a:b@media.example/", ["8.8.8.8"], "user name or password"),
    ],
)
async def test_no_target_is_given_that_may_not_be_reached(url: str, addresses: list[str], sentence: str) -> None:
    async def resolve(_host: str, _asker: str) -> list[str]:
        return addresses

    with pytest.raises(CallerError, match=sentence):
        await Outbound(OutboundLimits(), resolve=resolve).open(url, "call", schemes=SOCKETS)


async def test_web_sockets_are_not_asked_by_http(site: Web) -> None:
    with pytest.raises(CallerError, match="only http and https"):
        await site.outbound.post("ws://a.example/", "call", patient(), headers=JSON, content=EVENT)
