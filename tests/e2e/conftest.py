"""Fixtures of these tests; they live in the rig."""

from rig.fixtures import audio_server, callers, demos, node, nothing_stays_open, relay, talk

__all__ = ["audio_server", "callers", "demos", "node", "nothing_stays_open", "relay", "talk"]
