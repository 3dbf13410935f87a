"""What the checks of fetched content raise."""

from __future__ import annotations

__all__ = ["NotAudio"]


class NotAudio(Exception):
    """The text says what the content is or has wrong, to go behind "the server sent"; it may be empty."""
