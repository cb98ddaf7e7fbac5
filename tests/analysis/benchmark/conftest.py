"""Two small layers, timed once for every test that reads their rows."""

import pytest

from workbench.analysis import benchmark


@pytest.fixture(scope="session")
def rows():
    engines, rivals = ["auto", "torch", "loop"], ["nn.LSTM", "nn.GRU", "nn.RNN"]
    return benchmark.layers(
        ["4,2,3,5", "4,2,1,5"], threads=[1], engines=engines, repeats=3, rivals=rivals, forward=True
    )
