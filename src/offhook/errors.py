"""The error tree of offhook. The type says whose fault it is; the message says what to change.

OffhookError
+-- CallerError            the program asked for something that cannot be
|   +-- CommandRefused     a command, with the wire's code ("400", "404", "409", "410", "501")
|   +-- ConfigurationError a setting, named
+-- PeerError              the other side of a connection broke a rule
+-- MachineError           this machine: a disk, a port, a process
|   +-- EngineRefused      the engine said no; carries its slug
|   +-- EngineLost         the engine's connection went away
+-- ProviderError          speech, audio or another service we asked
+-- RelayError             a request of the SDK failed; carries RELAY's code
    +-- RequestTimeout     no reply came in time
    +-- ConnectionLost     the connection went; says whether the request had been sent
    +-- DialFailed         nobody answered a dial; carries the reason
    +-- CallReleased       a command for a call that was passed on
"""

from __future__ import annotations

__all__ = [
    "CallReleased",
    "CallerError",
    "CommandRefused",
    "ConfigurationError",
    "ConnectionLost",
    "DialFailed",
    "EngineLost",
    "EngineRefused",
    "MachineError",
    "OffhookError",
    "PeerError",
    "ProviderError",
    "RelayError",
    "RequestTimeout",
]


class OffhookError(Exception):
    """Base of all errors that offhook raises."""


class CallerError(OffhookError):
    """The program asked for something that cannot be done as asked."""


class CommandRefused(CallerError):
    """A command was refused. ``code`` is the wire's: a string such as ``"409"``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConfigurationError(CallerError):
    """A setting is missing or wrong. ``setting`` names it."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class PeerError(OffhookError):
    """The other side of a connection broke a rule of the protocol."""


class MachineError(OffhookError):
    """A disk, a port or a process of this machine failed."""


class EngineRefused(MachineError):
    """The engine refused an operation. ``code`` is the slug of ``ops.Failure``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class EngineLost(MachineError):
    """The connection to the engine went before it replied."""


class ProviderError(OffhookError):
    """A service that the node asked (speech, audio by URL) failed."""


class RelayError(OffhookError):
    """A request failed. ``code`` is the server's (``409``, ``-32002``), or -1 when the client itself gave up."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"RELAY error {code}: {message}")
        self.code = code
        self.message = message


class RequestTimeout(RelayError):
    """No reply came in time. The request may have had its effect."""

    def __init__(self, method: str, timeout_s: float) -> None:
        super().__init__(-1, f"Request timeout for {method} (no reply in {timeout_s:g} s)")
        self.method = method


class ConnectionLost(RelayError):
    """The connection went, or was closed. ``was_sent``: the request may have had its effect."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(-1, message)
        self.was_sent = was_sent


class DialFailed(RelayError):
    """A dial ended without an answered call. ``reason`` is the wire's (``busy``, ``noAnswer``, ...), or ``timeout``."""

    def __init__(self, message: str, *, tag: str, reason: str, source: str = "") -> None:
        super().__init__(-1, message)
        self.tag = tag
        self.reason = reason
        self.source = source


class CallReleased(RelayError):
    """The call was passed on; this client no longer controls it."""

    def __init__(self, method: str) -> None:
        super().__init__(-1, f"{method}: the call was passed on, so this client no longer controls it")
