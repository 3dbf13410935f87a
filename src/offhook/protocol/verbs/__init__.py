"""One module per verb: its params, commands, events, and what every floor must know of it (``SPECS``).

A module that is here is found: nothing lists it by hand.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from offhook.protocol.params import Params
from offhook.protocol.spec import VerbSpec

__all__ = ["METHODS", "PARAMS", "SPECS", "spec_of"]


def _specs() -> Iterator[VerbSpec]:
    for module in pkgutil.iter_modules(__path__):
        yield from getattr(import_module(f"{__name__}.{module.name}"), "SPECS", ())


SPECS: Final[Mapping[str, VerbSpec]] = MappingProxyType(
    {spec.method: spec for spec in sorted(_specs(), key=lambda spec: spec.section)}
)
"""Every verb of the protocol by the method that starts it, built on a node or not, as the reference has them."""

PARAMS: Final[Mapping[str, type[Params]]] = MappingProxyType(
    {struct.method: struct for spec in SPECS.values() for struct in spec.structs}
)
"""Params of every ``calling.*`` method."""

METHODS: Final = frozenset(PARAMS)
"""Their names. What of them a node does not do yet is answered with result code 501."""


def spec_of(method: str) -> VerbSpec | None:
    """The verb that this method starts; None for one that steers a verb, and for what is none of the protocol."""
    return SPECS.get(method)
