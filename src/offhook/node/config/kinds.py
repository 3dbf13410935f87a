"""Kinds of settings, for the structs of settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

__all__ = ["Count", "Port", "Seconds", "about"]

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=7 * 86400)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


def about(text: str, unit: str = "") -> Meta:
    """What a setting is, and in which unit."""
    return Meta(description=text, extra={"unit": unit})
