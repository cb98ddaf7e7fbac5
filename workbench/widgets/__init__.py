"""What moves in a notebook: controls and live figures, wired to figures.py, with no mathematics of their own."""

from __future__ import annotations

from .live import LiveTraining as LiveTraining

__all__ = ["LiveTraining"]
