"""Fixtures of these tests; they live in the bench."""

from bench.fixtures import bench

__all__ = ["bench"]
