"""JSON-RPC frames and the session's own methods (relay-protocol 1.3 to 1.10).

``parse_frame`` reads one text frame; ``dump_frame`` writes one. Params and results stay plain dicts here; the structs
below and in ``verbs`` are read from them by ``params.parse_params``.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from offhook.errors import PeerError
from offhook.protocol import methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.wellformed import find_ill_formed, mend

__all__ = [
    "AUTHORIZATION_STATE",
    "EVENTS_TRUNCATED",
    "Authentication",
    "ConnectParams",
    "ConnectResult",
    "ContextsParams",
    "DisconnectParams",
    "EventParams",
    "FrameError",
    "FrameId",
    "IceServer",
    "PingParams",
    "ReauthenticateParams",
    "Request",
    "Response",
    "RpcError",
    "Version",
    "dump_frame",
    "mended_json",
    "parse_frame",
]

AUTHORIZATION_STATE: Final = "signalwire.authorization.state"
"""Type of the event that carries the latest ``authorization_state`` (not a method)."""

EVENTS_TRUNCATED: Final = "signalwire.events_truncated"
"""Type of the event by which our node tells a session, after a resume, that events were too many or too old to keep.

``from`` and ``to`` are the first and last ``session_seq`` lost; ``calls`` has the session's calls that live, each with
the ``control_id`` of what runs on it.
"""

FrameId = str | int
"""SDKs choose UUID strings; a number is read too and echoed as it came."""


class FrameError(PeerError):
    """A frame that is no JSON-RPC 2.0 request or response. ``code`` and ``frame_id`` serve for the error reply."""

    def __init__(self, code: RpcCode, message: str, frame_id: FrameId | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.frame_id = frame_id


class Request(msgspec.Struct, frozen=True):
    """A request of either side. ``id`` None: a notification, which wants no reply."""

    id: FrameId | None
    method: str
    params: dict[str, Any] = {}
    jsonrpc: str = "2.0"


class RpcError(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ``error`` of a response."""

    code: int
    message: str = ""
    data: Any = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A reply: ``result`` or ``error``, never both. A result that is no object arrives as ``{"raw": value}``."""

    id: FrameId | None
    result: dict[str, Any] | UnsetType = UNSET
    error: RpcError | UnsetType = UNSET
    jsonrpc: str = "2.0"


class _Frame(msgspec.Struct):
    id: FrameId | None = None
    method: str | UnsetType = UNSET
    params: dict[str, Any] | None = None
    result: Any = UNSET
    error: RpcError | UnsetType = UNSET


class _OnlyId(msgspec.Struct):
    id: FrameId | None = None


_decoder = msgspec.json.Decoder(_Frame)
_id_decoder = msgspec.json.Decoder(_OnlyId)
_encoder = msgspec.json.Encoder()
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_SENT_BACK: Final = frozenset({"control_id", "tag", "payload"})
"""Params by which a client knows events and replies again."""


def parse_frame(data: str | bytes) -> Request | Response:
    """Read one text frame. U+FFFD stands for half a character (an escape of a lone surrogate, RFC 8259 section 8.2).

    Raises:
        FrameError: not JSON (-32700), not a request or response (-32600), or a param that nobody can use (-32602).
    """
    try:
        frame = _decoder.decode(data)
    except _UNREADABLE as error:
        frame = _read_again(data, error)
    if frame.method is not UNSET:
        return Request(frame.id, frame.method, frame.params or {})
    if frame.error is not UNSET:
        return Response(id=frame.id, error=frame.error)
    if frame.result is UNSET:
        raise FrameError(RpcCode.INVALID_REQUEST, "a frame needs `method`, `result` or `error`", frame.id)
    result = frame.result if isinstance(frame.result, dict) else {"raw": frame.result}
    return Response(id=frame.id, result=result)


def mended_json(data: str | bytes) -> str | None:
    """The same JSON with U+FFFD for each half of a character; None when it has none, or cannot be read at all."""
    import json  # here: rarely needed, and slow to import

    try:
        text = json.dumps(json.loads(data if isinstance(data, str) else data.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    mended = mend(text)
    return None if mended == text else mended


def _read_again(data: str | bytes, error: Exception) -> _Frame:
    """Read what others write and msgspec does not: halves of characters. What is sent back must be whole."""
    import json  # here: rarely needed, and slow to import

    mended = mended_json(data)
    if mended is None:
        raise _refusal(data, error) from error
    try:
        frame = _decoder.decode(mended)
    except _UNREADABLE as still:
        raise _refusal(data, still) from still
    given = json.loads(data)
    if frame.method is not UNSET and (half := find_ill_formed({"id": frame.id and given["id"]})):
        raise FrameError(RpcCode.INVALID_REQUEST, half, given["id"])
    names = {name: value for name, value in (given.get("params") or {}).items() if name in _SENT_BACK}
    if half := find_ill_formed({"params": names}):
        raise FrameError(RpcCode.INVALID_PARAMS, half, frame.id)
    return frame


def _refusal(data: str | bytes, error: Exception) -> FrameError:
    """Tell JSON that is no frame from what is not JSON. Its id serves for the reply, wherever it can be found."""
    import json  # here: rarely needed, and slow to import

    try:
        loose = json.loads(data if isinstance(data, str) else data.decode(), strict=False)
    except (ValueError, RecursionError) as unreadable:
        loose = _only_id(data)
        error = error if loose else unreadable
    found = loose.get("id") if isinstance(loose, dict) else None
    frame_id = found if isinstance(found, str | int) and not isinstance(found, bool) else None
    is_json = isinstance(error, msgspec.ValidationError)
    if number := find_ill_formed(loose):
        return FrameError(RpcCode.INVALID_PARAMS if is_json else RpcCode.PARSE, number, frame_id)
    if is_json:
        return FrameError(RpcCode.INVALID_REQUEST, f"not a JSON-RPC 2.0 frame: {error}", frame_id)
    return FrameError(RpcCode.PARSE, f"not JSON: {error}", frame_id)


def _only_id(data: str | bytes) -> dict[str, Any] | None:
    """What has a number too long for Python has an id all the same."""
    try:
        return {"id": _id_decoder.decode(data).id}
    except _UNREADABLE:
        return None


def dump_frame(frame: Request | Response) -> str:
    """Write one frame as text. An id that is no Unicode, of a request that is refused, is escaped as it came."""
    try:
        return _encoder.encode(frame).decode()
    except UnicodeEncodeError:
        import json  # here: rarely needed, and slow to import

        return json.dumps(msgspec.to_builtins(frame))


class Version(msgspec.Struct, frozen=True, order=True):
    """Protocol version that a client declares. Major at most 4, minor 0; ours sends 2.0.0."""

    major: int
    minor: int
    revision: int = 0


class Authentication(msgspec.Struct, frozen=True, omit_defaults=True):
    """Credentials: project and token, or a JWT. Never shown by ``repr``."""

    project: str | None = None
    token: str | None = None
    jwt_token: str | None = None

    def __repr__(self) -> str:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"Authentication({', '.join(f'{name}=***' for name in given)})"


class ConnectParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Params of ``signalwire.connect``. ``authorization_state`` needs ``protocol`` beside it."""

    method: ClassVar[str] = methods.CONNECT

    version: Version
    authentication: Authentication
    agent: str | None = None
    event_acks: bool | None = None
    contexts: list[str] = []
    topics: list[str] = []
    protocol: str | None = None
    authorization_state: str | None = None
    dpop_token: str | None = None
    eventing: list[str] | None = None

    def __repr__(self) -> str:
        state = "no" if self.protocol is None else "yes"
        return f"ConnectParams(version={self.version}, agent={self.agent!r}, contexts={self.contexts}, resume={state})"


class IceServer(msgspec.Struct, frozen=True, rename={"credential_type": "credentialType"}):
    """One TURN or STUN server. ``username`` is ``<expiry epoch>:<project>``."""

    urls: list[str] = []
    username: str = ""
    credential: str = ""
    credential_type: str = "password"

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls})"


class ConnectResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Result of ``signalwire.connect``; it has no ``code``.

    ``protocol`` names the session to resume; its second ``_`` part equals ``authorization["signature"]``, which the
    TypeScript client compares, so ``authorization`` must be an object. ``keeps_request_ids_s`` is ours (others leave
    it out: 0): for so many seconds a request repeated with its id gets its first reply and has one effect.
    """

    protocol: str
    identity: str = ""
    authorization: Annotated[dict[str, Any], msgspec.Meta(description="opaque")] = {}
    ice_servers: list[IceServer] = []
    session_restored: bool = False
    keeps_request_ids_s: float = 0.0

    def __repr__(self) -> str:
        return f"ConnectResult(session_restored={self.session_restored}, keeps={self.keeps_request_ids_s})"


class EventParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Params of ``signalwire.event``: the envelope. ``timestamp`` is seconds of the Unix epoch.

    ``seq`` (per call, from 1) is ours; other clients ignore it. ``message`` is the flat body of a task.
    """

    method: ClassVar[str] = methods.EVENT

    event_type: str
    params: dict[str, Any] = {}
    event_channel: str | list[str] = ""
    timestamp: float = 0.0
    project_id: str = ""
    space_id: str = ""
    context: str = ""
    node_id: str = ""
    seq: int = 0
    message: dict[str, Any] | None = None


class PingParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """Params of ``signalwire.ping``, echoed in its result."""

    method: ClassVar[str] = methods.PING

    timestamp: float | None = None
    payload: str | None = None


class DisconnectParams(msgspec.Struct, frozen=True):
    """Params of ``signalwire.disconnect``. ``restart``: forget the session, connect afresh."""

    method: ClassVar[str] = methods.DISCONNECT

    restart: bool = False


class ContextsParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """Params of ``signalwire.receive`` and ``signalwire.unreceive``. ``context`` is the deprecated single form."""

    contexts: list[str] = []
    context: str | None = None

    @property
    def all(self) -> list[str]:
        """Both forms merged, each context once."""
        given = [*self.contexts, *([self.context] if self.context else [])]
        return list(dict.fromkeys(given))


class ReauthenticateParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """Params of ``signalwire.reauthenticate`` (JWT clients)."""

    method: ClassVar[str] = methods.REAUTHENTICATE

    authentication: Authentication
    dpop_token: str | None = None
