"""The vectors of G.722 are what spandsp makes."""

from __future__ import annotations

from rig import g722


def test_the_vectors_are_what_spandsp_makes_today() -> None:
    made = dict(g722.vectors())
    assert made == {name: (g722.VECTORS / name).read_bytes() for name in made}
