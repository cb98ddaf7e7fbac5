"""An estimator on a CUDA device; by itself, since a device may lack what the tests of estimators need."""

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

import workbench as wb


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["plain", "lstm", "bidirectional"])
def test_on_the_device_an_estimator_learns_and_its_net_answers_on_both_alike(kind):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    given = {"kind": kind, "hidden": 16, "depth": 2, "epochs": 15, "lr": 0.02, "dropout": 0.0, "progress": False}
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = [(2 * k - 1) * np.linspace(-1, 1, int(rng.integers(5, 10)))[:, None] for k in y]  # rises or falls
    twice = [wb.IndRNNClassifier(device="cuda", random_state=0, **given).fit(X, y) for _ in range(2)]
    assert twice[0].score(X, y) > 0.9
    there, again = (one.predict_proba(X) for one in twice)
    np.testing.assert_array_equal(there, again)
    np.testing.assert_allclose(twice[0].set_params(device="cpu").predict_proba(X), there, rtol=1e-3, atol=1e-4)
