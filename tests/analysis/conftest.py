"""Fixtures shared by tests of tables."""

import pytest
from constructed import UNDER_WAY, Constructed, of

import workbench as wb
from workbench.analysis import counting


@pytest.fixture
def results(monkeypatch, store):
    """All rows, from constructed records: a claim of every word."""
    solving = [Constructed("adding_indrnn_T1000", seed, 0.001, "mse") for seed in range(3)]
    records = [
        *of("seqmnist_plain6", 0.95, 1.0, 1.05),
        *of("seqmnist_plain6_cycle", 1.4, 1.5, 1.6),
        *of("seqmnist_dense_cycle", 0.5, 0.51, 0.52),
        *of("seqmnist_dense", 0.5, 0.51),
        *of("permmnist_plain6", 4.0, 5.9, 5.1),
        *of("permmnist_dense", 5.0, 5.1, 5.2),
        *of("seqmnist_res", UNDER_WAY, UNDER_WAY),
        *of("seqmnist_lstm", 2.0, 2.1, 1.9),
        *of("seqmnist_plain12_cycle", 1.4, 1.5, 1.6),
        *of("permmnist_res", 3.0, 3.0, 3.0, numerics=1),
        *solving,
    ]
    monkeypatch.setattr(counting, "records", lambda own=False, of=None: records)
    return wb.results_table()
