"""Figures of this machine: ``python -m benchmarks``. Tables on stdout, JSON under ``out/``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
