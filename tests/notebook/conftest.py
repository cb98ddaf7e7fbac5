"""Fixtures of the tests of explorers."""

import pytest

from workbench.notebook.explorers import EXPLORERS, Explorer


@pytest.fixture
def opened(store):
    """An explorer by name, over an empty store, at the smoke budget."""
    return lambda name, **values: Explorer(EXPLORERS[name]("smoke"), **values)
