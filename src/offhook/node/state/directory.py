"""The state directory: what a node keeps between starts, and where."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
import uuid
from pathlib import Path

import msgspec
import structlog

from offhook.errors import ConfigurationError, MachineError
from offhook.node.config.check import MIN_TOKEN
from offhook.node.config.settings import Settings
from offhook.node.web.private import private_directory, read_private, refuse_foreign, write_private

__all__ = ["Identity", "ReadyNode", "StateDirectory"]

_log = structlog.get_logger(__name__)
_SOCKET_PATH_MAX = 100
_EPOCH_STEP = 1000
_EPOCH_MOST = 1 << 48
_KEY_BYTES = 32


class Identity(msgspec.Struct, frozen=True):
    """Who this node is, and who may connect; made at the first start."""

    node_id: str
    project: str
    token: str
    app_tokens: tuple[str, str]
    """Of the programs that ``offhook dev`` runs: one for the present, one for the one that replaces it."""
    state_key: bytes
    space_id: str

    def __repr__(self) -> str:
        return f"Identity(node_id={self.node_id!r})"


class ReadyNode(msgspec.Struct, frozen=True):
    """Where a running node can be reached: the line of ``offhook dev --json``."""

    class Relay(msgspec.Struct, frozen=True):
        host: str
        project: str
        token: str

    class Sip(msgspec.Struct, frozen=True):
        udp: str
        tcp: str

    relay: Relay
    ca_file: str
    sip: Sip
    http: str

    def __repr__(self) -> str:
        return f"ReadyNode(relay={self.relay.host!r}, sip={self.sip!r})"


class StateDirectory:
    """Paths below ``root``. The subdirectories with secrets, audio or code are 0700."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.tls = self.root / "tls"
        self.prompts = self.root / "prompts"
        self.recordings = self.root / "recordings"
        self.byte_code = self.root / "pycache"
        self.journal = self.root / "journal.sqlite"
        self.link_key = self.root / "recordings.key"
        self.ready = self.root / "ready.json"
        self.housekeeping = self.root / "housekeeping.json"
        self.spending = self.root / "spending.json"
        self._lock = -1
        self._epoch = 0

    def prepare(self) -> None:
        """Make what is missing.

        Raises:
            MachineError: it cannot be made.
            ConfigurationError: others may write there.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            mode = stat.S_IMODE(self.root.stat().st_mode)
        except OSError as error:
            raise MachineError(f"state_dir {self.root} cannot be made: {error.strerror}") from error
        if mode & 0o022:
            raise ConfigurationError("state_dir", f"others may write to {self.root}: chmod 700 {self.root}")
        for directory in (self.prompts, self.recordings, self.byte_code, self.control):
            private_directory(directory)
        refuse_foreign(self.control)

    @property
    def control(self) -> Path:
        """Where the engine's socket lies: here, or in a short path when this one is too long for a socket."""
        inside = self.root / "control"
        if len(str(inside)) < _SOCKET_PATH_MAX:
            return inside
        mark = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"offhook-{os.getuid()}-{mark}"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.control / "s"

    def lock(self) -> None:
        """Keep other nodes out until this process ends.

        Raises:
            MachineError: another node runs here, or that cannot be known.
        """
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MachineError(f"{self.root / 'lock'} cannot be opened: {error.strerror}; move it away") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise MachineError(
                f"another offhook runs with the state directory {self.root}: end it, or choose another --state-dir"
            ) from error
        self._lock = descriptor

    def identity(self) -> Identity:
        """As kept, or made now.

        Raises:
            ConfigurationError: others may read it, or it is damaged.
        """
        file = self.root / "identity.json"
        kept = read_private(file)
        if kept is not None:
            try:
                identity = msgspec.json.decode(kept, type=Identity)
                if len(identity.state_key) != _KEY_BYTES or min(map(len, _secrets_of(identity))) < MIN_TOKEN:
                    raise msgspec.ValidationError("a key or token of it was cut")
            except msgspec.DecodeError as error:
                raise ConfigurationError(str(file), f"damaged: remove {file}; clients then need new tokens") from error
            return identity
        made = Identity(
            node_id=str(uuid.uuid4()),
            project=str(uuid.uuid4()),
            token=_token(),
            app_tokens=(_token(), _token()),
            state_key=secrets.token_bytes(_KEY_BYTES),
            space_id=str(uuid.uuid4()),
        )
        write_private(file, msgspec.json.encode(made))
        return made

    def identity_for(self, settings: Settings) -> Identity:
        """The identity, with the project and token that the settings give."""
        relay = settings.relay
        token = relay.token
        if relay.token_file:
            content = read_private(Path(relay.token_file).expanduser())
            token = (content or b"").decode("utf-8", "replace").strip()
            if len(token) < MIN_TOKEN:
                raise ConfigurationError("relay.token_file", f"must hold at least {MIN_TOKEN} characters")
        identity = self.identity()
        return msgspec.structs.replace(
            identity, project=relay.project or identity.project, token=token or identity.token
        )

    def describe(self, settings: Settings, identity: Identity) -> ReadyNode:
        """Where a node with these settings (and ports that are not 0) is reached."""
        relay, sip = settings.relay, settings.sip
        host = relay.public_host or f"localhost:{relay.port}"
        address = f"[{sip.listen}]" if ":" in sip.listen else sip.listen
        return ReadyNode(
            relay=ReadyNode.Relay(host, identity.project, identity.token),
            ca_file=relay.certificate or str(self.tls / "ca.pem"),
            sip=ReadyNode.Sip(f"{address}:{sip.port}", f"{address}:{sip.port}"),
            http=f"https://{host}",
        )

    def next_epoch(self) -> int:
        """More than at the last start of a node; the engine port counts up from it.

        A disk that takes nothing hinders no start: an engine lives no longer than the process that counts here.
        """
        file = self.root / "epoch"
        self._epoch = max(self._epoch, _epoch_in(read_private(file) or b"0")) + _EPOCH_STEP
        try:
            write_private(file, str(self._epoch).encode())
        except MachineError as error:
            _log.error("the epoch is kept in memory alone", reason=str(error))
        return self._epoch

    def write_ready(self, ready: ReadyNode) -> None:
        """Let ``offhook call`` and ``offhook dev --env`` find the running node."""
        content = msgspec.json.encode(ready)
        if read_private(self.ready) != content:
            write_private(self.ready, content)

    def remove_socket(self) -> None:
        """Make room for an engine's socket.

        Raises:
            MachineError: something else is in its place.
        """
        try:
            self.socket.unlink(missing_ok=True)
        except OSError as error:
            raise MachineError(f"{self.socket} cannot be removed: {error.strerror}; move it away") from error

    def read_ready(self) -> ReadyNode | None:
        """Where the node that runs here is; None if none does."""
        kept = read_private(self.ready) if self.root.is_dir() else None
        if kept is None or not self._is_locked():
            return None
        try:
            return msgspec.json.decode(kept, type=ReadyNode)
        except msgspec.DecodeError:
            return None

    def _is_locked(self) -> bool:
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _epoch_in(kept: bytes) -> int:
    """0 for what no node wrote."""
    epoch = int(kept) if len(kept) < 32 and kept.strip().isdigit() else 0
    return epoch if epoch < _EPOCH_MOST else 0


def _secrets_of(identity: Identity) -> tuple[str, ...]:
    return (identity.token, *identity.app_tokens)


def _token() -> str:
    """256 random bits."""
    return f"PT{secrets.token_hex(32)}"
