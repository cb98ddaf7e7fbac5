"""Every notebook, executed at the smoke budget in a real kernel, and what must hold for its source."""

import ast
import json
import os
import re
import subprocess
import sys

import nbformat
import pytest

from workbench import doctor, files, paper
from workbench.analysis.tables import write_tables
from workbench.errors import ParameterError, RunError
from workbench.notebook.study import Study
from workbench.runs.jobs import notebook_parameters, papermill, plan
from workbench.runs.jobs.kernel import OwnKernels

BOOKS = sorted(files.notebooks().glob("*.ipynb"))
NAMES = [path.stem for path in BOOKS]
QUIET = {"PYTHONWARNINGS": "ignore", "JUPYTER_PLATFORM_DIRS": "1"}


def cells(path):
    return json.loads(path.read_text())["cells"]


def test_the_default_study_is_there():
    assert set(plan.DEFAULT_STUDY) <= set(NAMES)
    assert plan.DEFAULT_STUDY == ("00_tour", "fig4_adding", "table2_pixels")


@pytest.mark.parametrize("path", BOOKS, ids=NAMES)
def test_a_notebook_is_prose_and_calls(path):
    code = [c for c in cells(path) if c["cell_type"] == "code"]
    for cell in code:
        source = "".join(cell["source"])
        assert not re.search(r"^\s*(def|for|while|class)\b", source, re.M), source
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert cells(path)[0]["cell_type"] == "markdown"
    values = notebook_parameters.check(path, {})
    assert values["notebook"] == path.stem
    assert {"budget", "device"} <= set(values)


@pytest.mark.parametrize("path", BOOKS, ids=NAMES)
def test_every_parameter_is_annotated_and_every_run_is_known(path):
    tagged = next(c for c in cells(path) if "parameters" in c["metadata"].get("tags", []))
    source = "".join(tagged["source"])
    assert len(notebook_parameters.parameters(path)) == len(ast.parse(source).body)
    assert all(line.count("=") <= 1 for line in source.splitlines())  # papermill reads no others
    for planned_run in notebook_parameters.planned(notebook_parameters.check(path, {"budget": "smoke"})):
        assert planned_run.experiment in paper.EXPERIMENTS
        assert (planned_run.budget, planned_run.seed >= 0) == ("smoke", True)


@pytest.fixture(scope="module")
def common_store(tmp_path_factory):
    """A results folder for all notebooks: a run that two of them show is trained once, as `reproduce` does."""
    return tmp_path_factory.mktemp("common") / "results"


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # papermill's own
@pytest.mark.parametrize("path", BOOKS, ids=NAMES)
def test_a_notebook_runs_at_the_smoke_budget(path, common_store, forked_kernels, tmp_path, monkeypatch):
    """As papermill users run it: from another folder, parameters on papermill's own command line; it really trains."""
    from papermill.cli import papermill as command

    output, known = tmp_path / "out.ipynb", notebook_parameters.parameters(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(common_store))
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    own = ("-p", "records", "own") if "records" in known else ()
    values = ("-p", "budget", "smoke", *own, "-k", "python3", "--no-progress-bar")
    command([str(path), str(output), *values], standalone_mode=False)
    outputs = [o for c in cells(output) if c["cell_type"] == "code" for o in c["outputs"]]
    figures = [o for o in outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]
    assert len(figures) >= 2
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o["text"] for o in outputs if o.get("name") == "stderr"]
    assert output.stat().st_size < 2_000_000
    planned = notebook_parameters.planned(
        notebook_parameters.at_hand(notebook_parameters.check(path, {"budget": "smoke"}), lambda _: None)
    )
    assert all(run.recorded() for run in planned)


@pytest.mark.notebook
def test_a_wrong_parameter_is_refused_inside_the_notebook(store, tmp_path):
    """Papermill itself only warns about a name it does not know, and runs on with the default."""
    extra, message = ["-p", "sedes", "2"], "did you mean seeds"
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(notebook_parameters.find("fig4_adding")),
        str(tmp_path / "o.ipynb"),
    ]
    done = subprocess.run(
        [*command, "-p", "budget", "smoke", *extra], capture_output=True, text=True, env=os.environ | QUIET
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert not (store / "runs").exists()


def test_reproduce_trains_and_a_notebook_that_a_person_opens_does_not():
    """The parameter `records`: `own` from the command line, `published` where nobody says; a notebook that has runs has
    it, and no other."""
    for path in BOOKS:
        known = notebook_parameters.parameters(path)
        assert ("records" in known) == bool({"experiments", "sweeps", "grid"} & set(known)), path.stem
        assert "records" not in known or known["records"].default == "published"
    ((_, book, runs),), planned = plan.plan(["table2_pixels"], "smoke", None, {}, "auto")
    assert (book["records"], planned) == ("own", runs)
    assert len(runs) == 1
    asked = plan.plan(["table2_pixels"], "smoke", None, {"records": "published"}, "auto")
    assert asked[1] == []
    with pytest.raises(ParameterError, match="records: 'all' is unknown; choose one of own, published"):
        plan.plan(["table2_pixels"], "smoke", None, {"records": "all"}, "auto")


def test_a_sweep_s_runs_are_planned_like_any():
    path = notebook_parameters.find("sweep")
    runs = notebook_parameters.planned(notebook_parameters.check(path, {"budget": "smoke", "seeds": 2}))
    assert len(runs) == 8  # two depths, two bounds, two seeds
    assert {run.experiment for run in runs} == {"seqdigits_plain6"}


def test_an_unchanged_notebook_is_not_executed_again(store, monkeypatch):
    """reproduce twice: the second time everything is reused, no child is started, and no picture is drawn."""
    said, values, drawn = [], {"experiments": ["seqdigits_lstm"]}, []
    monkeypatch.setattr(plan.pictures, "draw", lambda paths: drawn.extend(paths) or "no pictures: no browser")
    plan.reproduce(["table2_pixels"], "smoke", values=values, report=write_tables, say=said.append)
    output = store / "notebooks" / "table2_pixels_smoke.ipynb"
    before = output.stat().st_mtime_ns
    assert any("done in" in line for line in said)
    assert said.count("no pictures: no browser") == 1
    assert drawn == [output]
    said.clear()
    plan.reproduce(["table2_pixels"], "smoke", values=values, report=write_tables, say=said.append)
    assert output.stat().st_mtime_ns == before
    assert said[0].startswith("1 runs, 1 of them recorded")
    assert "table2_pixels: unchanged" in said
    assert not any("done in" in line for line in said)
    assert drawn == [output]
    assert {p.name for p in (store / "tables").iterdir()} == {f"results.{e}" for e in ("csv", "html", "json", "tex")}
    assert (store / "figures" / "table2_train_smoke.html").exists()


def test_a_failing_notebook_is_reported_and_kept_apart(store, forked_kernels, tmp_path):
    book = json.loads(notebook_parameters.find("table2_pixels").read_text())
    book["cells"].append(
        {"cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "execution_count": None, "source": "1 / 0"}
    )
    path = tmp_path / "table2_pixels.ipynb"
    path.write_text(json.dumps(book))
    output = tmp_path / "out" / "table2_pixels_smoke.ipynb"
    values = notebook_parameters.check(path, {"budget": "smoke", "experiments": ["seqdigits_lstm"]})
    here = os.getcwd()
    try:
        with pytest.raises(RunError, match="table2_pixels: ZeroDivisionError: division by zero"):
            papermill.execute(path, values, output)
    finally:
        os.chdir(here)
    assert not output.exists()
    assert [p.name for p in output.parent.iterdir()] == ["table2_pixels_smoke.failed.ipynb"]


@pytest.mark.parametrize("names", [True, False], ids=["one that is not here", "none"])
def test_this_python_runs_a_notebook_whatever_kernel_it_names_and_says_where_there_is_none(
    names, tmp_path, monkeypatch
):
    named = {"kernelspec": {"name": "nonesuch", "display_name": "", "language": "python"}}
    book = nbformat.v4.new_notebook(metadata=named if names else {})
    book.cells = [nbformat.v4.new_code_cell("import sys; sys.executable")]
    nbformat.write(book, tmp_path / "book.ipynb")
    papermill.execute(tmp_path / "book.ipynb", {}, tmp_path / "out.ipynb")
    (cell,) = (c for c in nbformat.read(tmp_path / "out.ipynb", 4).cells if "executable" in c.source)
    assert cell.outputs[0]["data"]["text/plain"] == repr(sys.executable)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelspec", None)
    with pytest.raises(RunError, match=r"kernel: 'python3' is not installed in .*ipykernel"):
        papermill.execute(tmp_path / "book.ipynb", {}, tmp_path / "other.ipynb")
    assert not (tmp_path / "other.ipynb").exists()


def test_a_foreign_python3_does_not_get_a_notebook(tmp_path, monkeypatch, capsys):
    """One of another environment on JUPYTER_PATH, or a user's leftover: its Python has none of this, or is gone."""
    foreign = tmp_path / "shared" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": [str(tmp_path / "gone" / "python"), "-m", "x"], "display_name": "Theirs", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "shared"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    book.cells = [nbformat.v4.new_code_cell("import sys; sys.executable")]
    nbformat.write(book, tmp_path / "book.ipynb")
    papermill.execute(tmp_path / "book.ipynb", {}, tmp_path / "out.ipynb")
    (cell,) = (c for c in nbformat.read(tmp_path / "out.ipynb", 4).cells if "executable" in c.source)
    assert cell.outputs[0]["data"]["text/plain"] == repr(sys.executable)
    (row,) = doctor._kernel()
    assert row["state"] == "note"
    assert str(foreign) in row["detail"]
    monkeypatch.delenv("JUPYTER_PATH")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "none"))
    (row,) = doctor._kernel()
    assert (row["state"], row["detail"]) == ("ok", "`python3` is this Python")
    assert OwnKernels().get_all_specs()["python3"]["spec"]["argv"][0] == sys.executable


def test_an_unknown_target_offers_the_nearest(store):
    with pytest.raises(ParameterError, match="did you mean fig4_adding"):
        plan.reproduce(["fig4_ading"], "smoke")


def test_what_is_recorded_is_not_trained_again_live(store, capsys):
    scope = {
        "notebook": "table2_pixels",
        "budget": "smoke",
        "experiments": ["seqdigits_lstm"],
        "baselines": [],
        "seeds": 1,
        "records": "own",
    }
    study = Study(scope)
    (record,) = study.records
    study.live()
    assert "all 1 runs are recorded already; they are shown below" in capsys.readouterr().out
    assert [found.id for found in study.records] == [record.id]
    assert study.results()["experiment"].tolist() == ["seqdigits_lstm"]  # smoke nets are not set beside the paper's
    assert "LSTM" in study.table()


def test_a_whole_number_is_a_float_where_one_is_needed_and_an_exhibit_is_its_notebook():
    found = notebook_parameters.Parameter("gamma", float, 2.0).check(3)
    assert (found, type(found)) == (3.0, float)
    with pytest.raises(ParameterError, match="gamma: True received; a value of type float is needed"):
        notebook_parameters.Parameter("gamma", float, 2.0).check(True)
    assert notebook_parameters.find("timing").stem == "fig2_timing"
