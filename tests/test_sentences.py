"""Sentences that were false once and must not come back; and those that a setting decides, held to it."""

import json
from pathlib import Path

import pytest

from workbench import files, paper
from workbench.models.bounds import half_life
from workbench.runs.jobs.notebook_parameters import check, planned
from workbench.runs.record import find
from workbench.tasks.download import SETS

ROOT = Path(__file__).parent.parent
FALSE = {
    "last layer started near 1": "the tour's net starts all of its layers alike",
    "an LSTM takes about ten times as long": "how long it takes is a measurement, of one device",
    "solve on the curve of the paper": "no curve decides a verdict",
    "no published number stands beside": "five of those rows had one",
    "128 units, batch 32, Adam": "the paper does not say its batch",
    "Gao, Cook, Deng": "the authors are Li, Li, Cook, Gao",
    "of the floor's time": "a ratio has one direction",
    "bytes at the speed of a copy. `make": "a floor that half of the layers ran below",
    "must lie on the official learning curve": "curves at equal steps are a description and decide nothing",
    "tour takes about two minutes": "the README says ten, and a reader needs them",
    "left end of the digit": "the first pixels are its top row",
    "sums over thousands of steps": "a quarter of that layer's neurons remember so far",
    "any of these bounds allows": "one of them, of gamma 10^6, allows far more",
    "as soon as some $|u|": "the composed maps fail where |u|^T leaves the range of floats, and not before",
    "of one depth have about equal parameters": "at 2 layers the residual net has 70 % more",
    "days on two cores": "nobody measured it",
    "validation chooses the weights, the test": "under one cycle the last weights count",
    "Adam at 2e-4, dropout, no cycle": "on digits the paper's net learns at 1e-3",
    "best of three for 6 layers": "0.003 is the worst of the three for six IndRNN layers",
    "and the spoken digits are not ours": "the Penn Treebank stood among them, and it is fetched",
    "ptb` says where it goes": "it fetches the Penn Treebank",
    "indrnn-workbench[": "no package index has the project",
    "nothing random is ever saved": "a run keeps its split and permutation",
    "`workbench tables` gives the command": "its text has none; `--format markdown` has",
}
RETIRED = ("on course", "inconclusive")  # words of the former verdicts
HISTORY = ("CHANGELOG.md", "MIGRATION.md", "LOG.md")  # they say what was
SOURCES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "*.cff",
        "notebooks/*.ipynb",
        "results/*.md",
        "workbench/**/*.py",
        "scripts/*.py",
    )
    for path in ROOT.glob(pattern)
)
EXECUTED = sorted((files.published() / "notebooks").glob("*.ipynb"))


def text_of(path):
    """A file's words on one line; of a notebook also what its cells put out, pictures and data of figures apart."""
    if path.suffix != ".ipynb":
        return " ".join(path.read_text(encoding="utf-8").split())
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        parts += cell["source"]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            parts += [*output.get("text", []), *data.get("text/plain", []), *data.get("text/html", [])]
    return " ".join("".join(parts).split())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_false_sentence_and_no_retired_word_stands_anywhere(path):
    text = text_of(path)
    assert not [said for said in FALSE if said in text]
    if path.name not in HISTORY:
        assert not [word for word in RETIRED if word in text.lower()]


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_executed_notebook_holds_no_false_sentence_and_no_retired_word(path):
    text = text_of(path)
    assert not [said for said in (*FALSE, *RETIRED) if said.lower() in text.lower()]


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_executed_notebook_is_its_source_executed(path):
    """Cell by cell, but for the values that papermill put in."""

    def cells(book):
        found = json.loads(book.read_text(encoding="utf-8"))["cells"]
        return ["".join(c["source"]) for c in found if "injected-parameters" not in c["metadata"].get("tags", [])]

    assert cells(path) == cells(files.notebooks() / f"{path.stem.rpartition('_')[0]}.ipynb")


def test_the_tour_says_where_its_net_starts():
    model = paper.experiment("seqdigits_plain6").config.model
    assert (model.start, model.last_near_one, model.gamma) == ("uniform", False, 5.0)
    text = text_of(files.notebooks() / "00_tour.ipynb")
    assert "Every layer started evenly between 0 and the bound" in text
    assert "multiplies eight times as much" in text


def test_fig_4_says_which_settings_are_the_papers_and_which_the_scripts():
    config = paper.experiment("adding_indrnn_T100").config
    assert (config.train.batch, config.train.lr, config.model.hidden, config.model.gamma) == (32, 2e-4, 128, 2.0)
    assert config.model.last_near_one
    text = text_of(files.notebooks() / "fig4_adding.ipynb")
    assert "The settings are the paper's: 128 units, Adam with 2e-4 (ReLU nets) or 2e-3 (tanh nets)" in text
    assert "What it does not say is the official script's: batches of 32" in text


def test_what_is_said_of_rates_is_in_the_configs_and_the_published_records():
    assert paper.experiment("seqdigits_plain6").config.train.lr == 1e-3
    assert "but for the rate, which is 1e-3 for digits" in text_of(files.notebooks() / "study_recipe.ipynb")
    rates = files.notebooks() / "study_rates.ipynb"
    found = {run for run in planned(check(rates, {})) if run.experiment == "seqdigits_plain6"}
    scores = {}
    for run in found:
        scores.setdefault(dict(run.changes)["train.lr"], []).append(run.found().budgets[-1]["valid"]["accuracy"])
    means = {rate: sum(values) / len(values) for rate, values in scores.items()}
    assert min(means, key=means.get) == 0.003
    assert all(0.02 < mean - means[0.003] < 0.03 for rate, mean in means.items() if rate != 0.003)
    said = "0.003 the worst for six IndRNN layers, by 2 to 3 points on validation"
    assert said in text_of(files.notebooks() / "study_depth.ipynb")


def test_what_the_readme_says_is_fetched_is_what_an_address_gives():
    fetched = {name for name, known in SETS.items() if not known.asked and not known.needs}
    assert fetched == {"mnist", "ptb"}
    assert "MNIST and the Penn Treebank are fetched if they are not there" in text_of(ROOT / "README.md")


def test_the_authors_are_named_alike_everywhere():
    """Li, Li, Cook, Gao, as arXiv lists them; the paper module, the README and the file for citations."""
    assert "Li, Li, Cook, Gao, Deep Independently Recurrent" in " ".join((paper.__doc__ or "").split())
    cited = text_of(ROOT / "CITATION.cff")
    names = [part.split(",")[0] for part in cited.split("family-names: ")[1:]]
    assert names == ["Li", "Li", "Cook", "Gao"]
    assert "author = {Li, Shuai and Li, Wanqing and Cook, Chris and Gao, Yanbo}" in text_of(ROOT / "README.md")


def last_weights(experiment):
    """u of each layer of a published record at its last evaluation."""
    weights = find(experiment, 0).recurrent_weights()
    return [u.double() for u in weights[max(weights)].values()]


def test_what_is_said_of_recurrent_weights_is_in_the_published_records():
    last = last_weights("speech_plain")[-1]
    assert float(sum(half_life(u) > 1_000 for u in last.tolist())) / len(last) == pytest.approx(1 / 4, abs=0.02)
    assert "a quarter of its neurons keep half of a state for more than 1,000 steps" in text_of(
        files.notebooks() / "speech_digits.ipynb"
    )
    layers = last_weights("ptbchar_small")
    near = [int((u > 0.985).sum()) for u in layers]
    assert (1 <= near[0] <= 5, near[1:]) == (True, [0, 0, 0])  # "a handful of the first layer"
    assert float((layers[-1] < 0.5).double().mean()) == pytest.approx(4 / 5, abs=0.02)
    assert round(half_life(0.99)) == 69
    said = text_of(files.notebooks() / "table3_ptb_char.ipynb")
    assert "a handful of the first layer stand at the bound, where half of a state is left after 69 characters" in said
    assert "in the last layer four of five have $u$ below 0.5" in said
