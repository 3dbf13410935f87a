"""What each method brings on the scripted node: one table, from the event catalogue (relay-protocol 5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from offhook.testing.scripts.agents import AGENTS
from offhook.testing.scripts.base import Scene, Script, Told
from offhook.testing.scripts.input import INPUT
from offhook.testing.scripts.media import MEDIA
from offhook.testing.scripts.people import PEOPLE

__all__ = ["SCRIPTS", "Scene", "Script", "Told"]

SCRIPTS: Final[Mapping[str, Script]] = MappingProxyType({**MEDIA, **INPUT, **PEOPLE, **AGENTS})
"""Scripts by method. A method of the protocol that is not here is answered with 200 and brings nothing."""
