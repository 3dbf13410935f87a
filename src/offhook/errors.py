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
"""

from __future__ import annotations

__all__ = [
    "CallerError",
    "CommandRefused",
    "ConfigurationError",
    "EngineLost",
    "EngineRefused",
    "MachineError",
    "OffhookError",
    "PeerError",
    "ProviderError",
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
