"""Runs on disk: one run's folder, record and lock; a run by name; many runs. Nothing here unpickles code."""
