"""The experiments on skeletons against the published tables, and the figures that show them."""

import numpy as np
import pytest
import torch

from workbench import paper, tasks
from workbench.analysis import figures, learning_curves
from workbench.models.build import count_of
from workbench.paper.published import published
from workbench.paper.skeletons import PUBLISHED, experiments

TABLE = published("table5_ntu")
MODELS = {
    "plain4": "IndRNN (4 layers)",
    "plain6": "IndRNN (6 layers)",
    "dense": "dense-IndRNN",
    "denseaug": "dense-IndRNN-aug",
}
NTU = [e for e in experiments() if e.id.startswith("ntu_")]
FIG5 = published("fig5_recurrent_weight_histograms")


def test_the_claims_of_table_5_are_the_printed_ones():
    printed = {
        (r["setting"].lower(), r["model"]): float(r["value"])
        for r in TABLE
        if r["source"] == "paper v2 Table 5" and r["ours"] == "True"
    }
    claimed = {
        (known.id.split("_")[1], MODELS[known.id.split("_")[2]]): claim.value
        for known in NTU
        for claim in known.claims
        if claim.source == "paper Table 5"
    }
    assert claimed == printed
    assert len(claimed) == 8


def test_the_logs_accuracies_are_the_logged_ones():
    """Scores averaged over all samplings, with stored statistics and with those of the test batch."""
    logged = {}
    for row in TABLE:
        if row["metric"].startswith("accuracy %, mean score of"):
            logged.setdefault(row["source"].split()[-1], []).append(float(row["value"]))
    found = {e.id: [c.value for c in e.claims if c.log] for e in NTU if e.curve}
    assert found == {name: logged[PUBLISHED[name].log] for name in found}
    assert len(found) == 8
    assert all("statistics of the test batch" in e.claims[-1].source for e in NTU if e.curve)


def test_ntu_120_has_its_unverified_number():
    (row,) = [r for r in TABLE if r["experiment"] == "NTU RGB+D 120"]
    known = paper.experiment("ntu120_cs_denseaug")
    assert [c.value for c in known.claims] == [float(row["value"])]
    assert "unverified" in known.claims[0].source
    assert paper.experiment("ntu120_cset_denseaug").claims == ()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ntu_cs_plain4", 902_204),
        ("ntu_cv_plain6", 1_430_588),
        ("ntu_cs_res", 2_751_548),
        ("ntu_cv_dense", 2_314_428),
        ("ntu_cs_denseaug", 5_640_108),
    ],
)
def test_the_nets_have_the_official_number_of_parameters(name, parameters):
    config = paper.experiment(name).config
    assert count_of(config.model, tasks.spec(config.task)) == parameters


def test_settings_are_the_specifications():
    plain, dense = paper.experiment("ntu_cs_plain6").config, paper.experiment("ntu_cv_denseaug").config
    assert (plain.model.hidden, plain.model.dropout, plain.model.gamma, plain.task.length) == (512, 0.4, 5.0, 20)
    assert (plain.train.batch, plain.train.lr, plain.train.weight_decay, plain.train.patience) == (128, 2e-4, 1e-4, 100)
    assert (plain.train.decay_gains, plain.model.last_near_one) == (False, False)
    assert (plain.task.samplings, dense.task.samplings, dense.train.patience) == (20, 40, 150)
    assert (dense.model.growth, dense.model.blocks, dense.model.differences) == (48, (8, 6, 4), True)
    assert (dense.task.geometry, dense.task.random_length, dense.model.last_near_one) == (True, "training", True)
    assert [paper.experiment(f"ntu_{s}_plain4").config.model.dropout for s in ("cs", "cv")] == [0.25, 0.1]
    assert {e.config.task.protocol for e in NTU if "_cv_" in e.id} == {"view"}


def test_every_evaluation_of_a_log_is_one_of_ours():
    for known in NTU:
        if known.curve:
            log = learning_curves.official_curve(known.id)
            assert bool((log["step"] % known.config.train.evaluate_every == 0).all())


def test_no_experiment_on_utd_mhad_has_a_claim():
    utd = [e for e in experiments() if e.config.task.source == "utd_mhad"]
    assert len(utd) >= 4
    assert all(e.claims == () and e.where == "not in the paper" and "NTU" in e.note for e in utd)


# --- figures ---


def test_the_histograms_of_fig_5_show_every_neuron_once():
    rng = torch.Generator().manual_seed(0)
    after = {f"layers.{i}": torch.empty(512).uniform_(-0.4, 1.08, generator=rng) for i in range(6)}
    before = {name: torch.empty(512).uniform_(0, 1.08, generator=rng) for name in after}
    figure = figures.weight_histograms(after, before, FIG5, 5 ** (1 / 20))
    assert len(figure.data) == 18
    for trace in figure.data:
        assert sum(trace.y) == pytest.approx(100)
        assert len(trace.x) == 40
    assert [a.text for a in figure.layout.annotations] == [f"layer {i}" for i in range(1, 7)]
    last = [t for t in figure.data if t.name == "paper, Fig. 5"][-1]
    assert last.y[-1] == pytest.approx(100 * 237 / 512)  # nearly half of the last layer sits at the bound


def test_a_histogram_has_its_neurons_in_the_right_bins():
    u = {"layer": torch.tensor([-0.499, 0.2, 0.2, 1.08])}
    figure = figures.weight_histograms(u, u, (), 5 ** (1 / 20))
    bars = figure.data[0]
    filled = [(round(x, 2), y) for x, y in zip(bars.x, bars.y, strict=True) if y]
    assert filled == [(-0.48, 25.0), (0.19, 50.0), (1.06, 25.0)]


def test_the_official_logs_are_drawn_to_their_ends():
    names = [e.id for e in NTU]
    figure = figures.official(names, "valid_accuracy")
    assert [trace.name for trace in figure.data] == [
        paper.experiment(name).title for name in names if paper.experiment(name).curve
    ]
    assert max(np.max(trace.x) for trace in figure.data) > 400_000
    assert all(np.min(trace.y) > 0 and np.max(trace.y) < 100 for trace in figure.data)
    looks = {(t.line.color, t.line.dash) for t in figure.data}
    assert len(looks) == len(figure.data)
