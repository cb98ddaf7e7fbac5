"""A notebook that a person opens: what is recorded at once, labelled so; what is missing; training by the button."""

import re
import shutil

import pytest

from workbench import files
from workbench.errors import RunError
from workbench.notebook.live_training import NothingRecorded, Offer
from workbench.notebook.study import Study
from workbench.runs import planned_run as planned_runs
from workbench.runs.planned_run import PlannedRun

SMALL = {"notebook": "table2_pixels", "experiments": ["seqdigits_lstm"], "baselines": [], "budget": "smoke"}


@pytest.fixture
def published(store):
    """A store without a record beside a published one: seed 0 of an LSTM at the smoke budget."""
    run = PlannedRun("seqdigits_lstm", "smoke", 0)
    record = run.train("cpu", progress=False)
    (files.published() / "runs").mkdir(parents=True)
    shutil.move(record.run.path, files.published() / "runs" / record.id)
    shutil.rmtree(store)
    return record.id


def test_what_is_published_is_shown_at_once_and_nothing_is_trained(published, store, monkeypatch, capsys):
    monkeypatch.setattr(planned_runs, "run_experiment", lambda *_, **__: pytest.fail("it trains"))
    study = Study({**SMALL, "seeds": 1})
    said = capsys.readouterr().out
    assert [(record.id, record.published) for record in study.records] == [(published, True)]
    assert "Shown: 1 published record, none of your own." in said
    assert "Nothing was trained to show it." in said
    assert "Missing" not in said
    assert study.offer.button.description == "Train them here (1 run)"
    assert study.rows()["whose"].tolist() == ["published"]
    assert not (store / "runs").exists()


def test_a_run_that_two_variants_share_is_counted_once(published):
    same = PlannedRun("seqdigits_lstm", "smoke", 0)
    runs = [same, same._replace(changes=(("model.depth", 1),))]
    offer = Offer(runs, [run.found() for run in runs])
    assert offer.said.startswith("Shown: 1 published record, none of your own. Nothing was trained to show it.")
    assert offer.button.description == "Train them here (1 run)"


def test_what_is_missing_is_named_and_the_button_trains_it_and_says_what_next(published, store, capsys):
    study = Study({**SMALL, "seeds": 2})
    assert "Missing: sequential digits (8 x 8), LSTM, seed 1." in capsys.readouterr().out
    offer = study.offer
    assert offer.button.description == "Train what is missing (1 run)"
    offer.start()
    offer.wait(60)
    assert "Trained: 1 record of your own. Run → Run All Cells shows them" in offer.told.value
    assert offer.button.layout.display == "none"
    (curve,) = offer.plot.outputs[0]["data"]["application/vnd.plotly.v1+json"]["data"]
    assert curve["name"] == "sequential digits (8 x 8), LSTM, seed 1"
    again = Study({**SMALL, "seeds": 2})
    assert [(record.seed, record.published) for record in again.records] == [(0, True), (1, False)]
    assert "Shown: 1 published record and 1 of your own." in capsys.readouterr().out
    assert again.offer.button.description == "Train them here (1 run)"


def test_training_stops_at_the_second_press_and_an_error_is_told(published, store, monkeypatch):
    study = Study({**SMALL, "seeds": 2})
    monkeypatch.setattr(planned_runs, "run_experiment", lambda *_, stop, **__: stop.wait(60) and refuse())

    def refuse():
        raise RunError("the disk is full")

    study.offer.start()
    study.offer.button.click()
    study.offer.wait(60)
    assert "Failed: the disk is full" in study.offer.told.value
    assert study.offer.button.description == "Train what is missing (1 run)"


def test_where_nothing_is_recorded_the_notebook_stops_with_a_line_and_no_traceback(store, capsys):
    with pytest.raises(NothingRecorded) as stopped:
        Study({**SMALL, "seeds": 1})
    (line,) = stopped.value._render_traceback_()
    assert "press the button" in line
    assert "Nothing of this is recorded yet" in capsys.readouterr().out


def test_every_seed_that_is_recorded_is_shown_as_tables_count_them():
    """n of figure and table agree, whatever the parameter `seeds` says."""
    study = Study({"notebook": "fig4_adding", "seeds": 1})
    counted = study.results()
    n = counted.loc[counted["experiment"] == "adding_indrnn_T100", "n"].max()
    assert len(study.of("adding_indrnn_T100")) == n >= 3


def test_a_table_of_the_paper_stands_in_its_shape_and_its_verdict_stays_in_sight():
    study = Study({"notebook": "table2_pixels", "seeds": 1})
    shown = study.table("Table 2")
    assert re.findall('<th scope="col"[^>]*>([^<]*)</th>', shown) == ["Table 2", "sequential MNIST", "permuted MNIST"]
    assert "IndRNN (6 layers)" in shown
    rows = study.table()
    assert re.search('<th scope="col" style="[^"]*position:sticky[^"]*right:0[^"]*">verdict</th>', rows)
    assert not re.search(r"(?<!run )\bseqmnist_plain6", rows), "but in the command that trains it"
    assert "sequential MNIST, IndRNN, 6 layers" in rows
