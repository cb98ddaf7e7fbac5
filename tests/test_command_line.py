"""The command line: every verb, its exit code, its JSON."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from workbench import paper
from workbench.__main__ import main
from workbench.runs.jobs import notebook_parameters, plan


def run(capsys, *arguments):
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_list_gives_every_experiment_with_claim_and_parameters(capsys, store):
    code, out, _ = run(capsys, "list", "--json")
    rows = {row["id"]: row for row in json.loads(out)}
    assert code == 0
    assert set(rows) == set(paper.EXPERIMENTS) | set(paper.EXHIBITS)
    assert rows["timing"]["where"] == "Fig. 2"
    assert rows["timing"]["note"].startswith("workbench reproduce fig2_timing")
    row = rows["seqmnist_plain6"]
    assert row["parameters"] == 86_410
    assert row["claim"][0] == {"metric": "test error %", "value": 1.0, "source": "paper Table 2"}
    assert row["where"] == "Table 2"
    assert row["budgets"]["quick"] == 1_700


def test_run_reports_and_is_listed(capsys, store):
    code, out, _ = run(capsys, "run", "seqdigits_lstm", "--budget", "smoke", "--seed", "2", "--json")
    row = json.loads(out)
    assert (code, row["status"], row["seed"]) == (0, "done", 2)
    code, out, _ = run(capsys, "list", "runs", "--json")
    assert [r["id"] for r in json.loads(out) if not r["published"]] == [row["id"]]
    code, out, _ = run(capsys, "status", "--json")
    assert code == 0
    assert row["id"] in out


def test_reproduce_plans_each_notebook_once(capsys, store, monkeypatch):
    seen = []
    planned = notebook_parameters.planned
    monkeypatch.setattr(notebook_parameters, "planned", lambda book: seen.append(book["notebook"]) or planned(book))
    monkeypatch.setattr(plan, "carry_out", lambda *_: None)
    code, out, _ = run(capsys, "reproduce", "fig4_adding", "seqdigits_lstm", "--budget", "quick")
    assert (code, seen) == (0, ["fig4_adding"])
    assert "adding_indrnn_T100" in out  # the table of what it was about


def test_run_takes_a_config_file(capsys, store, tmp_path):
    config = paper.experiment("seqdigits_lstm").at("smoke")[0]
    path = tmp_path / "mine.json"
    path.write_text(config.model_dump_json())
    code, out, _ = run(capsys, "run", str(path), "--json")
    assert (code, json.loads(out)["experiment"]) == (0, "custom")


def test_set_changes_a_field(capsys, store):
    code, out, _ = run(capsys, "run", "seqdigits_lstm", "--budget", "smoke", "--set", "model.hidden=3", "--json")
    assert (code, json.loads(out)["experiment"]) == (0, "seqdigits_lstm*")


def test_the_time_limit_stops_resumable_with_5(capsys, store):
    code, _, err = run(capsys, "run", "seqdigits_lstm", "--time-limit", "0.001s")
    assert code == 5
    assert "stopped at the time limit" in err.splitlines()[-1]


@pytest.mark.parametrize("format_", ["text", "csv", "latex", "html", "json", "markdown"])
def test_tables_come_in_every_format(capsys, store, format_):
    code, out, _ = run(capsys, "tables", "--format", format_)
    assert code == 0
    assert "seqmnist" in out


def test_tables_json_has_the_promised_fields(capsys, store):
    rows = json.loads(run(capsys, "tables", "--json")[1])
    promised = "table experiment metric ours n low high paper source budget step steps device protocol verdict".split()
    assert all(set(promised) <= set(row) for row in rows)


def test_all_records_without_verify_is_refused(capsys, store):
    code, out, err = run(capsys, "tables", "--all")
    assert (code, out, err) == (2, "", "workbench: --all: it has no meaning without --verify; leave it out\n")


def test_tables_verify_finds_a_damaged_record(capsys, store):
    run(capsys, "run", "seqdigits_lstm", "--budget", "smoke")
    assert run(capsys, "tables", "--verify")[0] == 0
    result = next(store.glob("runs/*/result.json"))
    result.write_text(result.read_text().replace('"step": 4', '"step": 5'))
    code, _, err = run(capsys, "tables", "--verify")
    assert code == 4
    assert "altered" in err


def test_a_record_that_comes_out_different_ends_with_1_and_one_that_comes_out_alike_with_0(capsys, store, monkeypatch):
    from workbench.runs import verify

    run(capsys, "run", "seqdigits_lstm", "--budget", "smoke")
    code, out, err = run(capsys, "tables", "--verify", "--all", "--json")
    assert code == 0, err
    assert "bit for bit" in err
    assert json.loads(out)
    monkeypatch.setattr(verify, "again", lambda record: ([0.0] * 5, {}))
    code, _, err = run(capsys, "tables", "--verify")
    assert code == 1
    assert "1 records came out different: seqdigits_lstm seed 0" in err.splitlines()[-1]


def test_import_takes_over_what_is_further(capsys, store, tmp_path, monkeypatch):
    run(capsys, "run", "seqdigits_lstm", "--budget", "smoke")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "other"))
    assert run(capsys, "import", str(store))[1] == "1 runs taken over, 0 kept as they are\n"
    assert run(capsys, "import", str(store))[1] == "0 runs taken over, 1 kept as they are\n"
    code, out, _ = run(capsys, "run", "seqdigits_lstm", "--budget", "smoke", "--json")
    assert (code, json.loads(out)["status"]) == (0, "done")


def test_doctor_says_what_works(capsys, store):
    code, out, _ = run(capsys, "doctor", "--json")
    rows = {row["what"]: row for row in json.loads(out)}
    assert rows["engine loop"]["state"] == rows["torch"]["state"] == rows["results"]["state"] == "ok"
    assert code == 0


def test_data_says_where_the_sets_are(capsys, real_data):
    code, out, _ = run(capsys, "data", "mnist", "--check", "--json")
    assert code == 0
    assert json.loads(out)[0]["folder"] == str(real_data.absolute() / "mnist")


def test_without_arguments_help_is_shown(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    for verb in ("list", "run", "reproduce", "status", "tables", "data", "lab", "doctor"):
        assert f"  {verb} " in out


@pytest.mark.slow
def test_a_pipe_that_closes_early_is_no_error(store):
    command = f"{sys.executable} -m workbench list | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("id")


def test_what_cannot_be_listed_is_refused_with_what_can(capsys, store):
    code, _, err = run(capsys, "list", "nothing")
    assert (code, err) == (2, "workbench: list: 'nothing' cannot be listed; choose one of data, experiments, runs\n")


def test_the_version_is_the_packages(capsys):
    import workbench

    assert run(capsys, "--version")[:2] == (0, f"workbench {workbench.__version__}\n")


def test_status_is_drawn_again_until_ctrl_c(capsys, store, monkeypatch):
    waited = []

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", wait)
    code, out, err = run(capsys, "status", "--watch")
    assert (code, err, waited) == (5, "workbench: stopped\n", [2, 2])
    assert out.count("\x1b[2J\x1b[H") == 2
    waited.clear()
    code, out, _ = run(capsys, "status", "--watch", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [[], []]  # for a program, no drawing


def test_a_run_that_diverges_is_recorded_and_ends_with_an_error(capsys, store, monkeypatch):
    from workbench.training import evaluate

    loss_of = evaluate.loss_of
    monkeypatch.setattr(evaluate, "loss_of", lambda *given: loss_of(*given) * float("nan"))
    code, out, err = run(capsys, "run", "seqdigits_lstm", "--budget", "smoke", "--set", "train.steps=9", "--json")
    assert (code, json.loads(out)["status"]) == (1, "diverged")
    assert "seed 0: diverged at step 2; recorded as such" in err


def test_a_sweep_ends_in_its_table(capsys, store, monkeypatch):
    from workbench.runs.jobs import plan

    asked = []

    def sweep(*given):
        asked.append(given)
        return pd.DataFrame([{"model.depth": 1, "seed": 0, "test_accuracy": 0.5}])

    monkeypatch.setattr(plan, "sweep", sweep)
    given = ["sweep", "seqdigits_lstm", "--grid", "depth=1", "--seeds", "1", "--budget", "smoke"]
    assert run(capsys, *given, "--json")[1] == '[{"model.depth":1,"seed":0,"test_accuracy":0.5}]\n'
    assert run(capsys, *given)[1].split() == ["model.depth", "seed", "test_accuracy", "1", "0", "0.5"]
    assert [tuple(call[:4]) for call in asked] == [("seqdigits_lstm", ["depth=1"], "smoke", 1)] * 2


def test_layers_are_timed_and_the_training_step_where_it_is_asked_for(capsys, store, tmp_path, monkeypatch):
    from workbench.analysis.benchmark import series

    monkeypatch.setattr(series, "layers", lambda shapes, **_: [{"table": "layer", "shape": s} for s in shapes])
    monkeypatch.setattr(series, "training_step", lambda **_: [{"table": "step"}])
    out = tmp_path / "bench.json"
    rows = json.loads(run(capsys, "bench", "--shapes", "mnist", "--step", "--json", "--out", str(out))[1])
    assert rows == [{"table": "layer", "shape": "mnist"}, {"table": "step"}]
    assert json.loads(out.read_text())["rows"] == rows
    assert json.loads(run(capsys, "bench", "--shapes", "mnist", "--json")[1]) == rows[:1]


def test_explorers_are_exported_by_name_and_a_wrong_name_before_anything_is_written(capsys, store, monkeypatch):
    from workbench.notebook.explorers import EXPLORERS

    monkeypatch.setattr(EXPLORERS["bounds"], "sweep", ("memory",))
    code, out, _ = run(capsys, "export", "bounds")
    (page,) = (store / "pages").iterdir()
    assert (code, out) == (0, f"{page}\n")
    assert page.name == "explore_bounds.html"
    assert page.read_text().startswith("<!doctype html>")
    code, _, err = run(capsys, "export", "bounds", "nothing", "--out", str(store / "other"))
    assert code == 2
    assert "export: 'nothing' is no explorer; choose one of" in err
    assert not (store / "other").exists()


def test_nets_are_exported_when_every_name_is_known(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "results"))
    out = tmp_path / "nets"
    code, _, err = run(capsys, "export", "seqdigits_plain6", "nothing", "--to", "safetensors", "--out", str(out))
    assert (code, err.startswith("workbench: experiment: 'nothing' is unknown")) == (2, True)
    assert not out.exists()
    code, said, _ = run(capsys, "export", "seqdigits_plain6", "--to", "safetensors", "--out", str(out))
    assert (code, said) == (0, f"{out / 'seqdigits_plain6.safetensors'}\n")


def test_a_reader_that_went_away_is_no_error(store, monkeypatch):
    from workbench.analysis import listing

    def broken(*_):
        raise BrokenPipeError

    monkeypatch.setattr(listing, "show", broken)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert main(["list"]) == 0
    assert sys.stderr.closed, "or Python would complain while it ends"


def test_a_stream_that_was_closed_takes_what_is_said_and_the_other_one_nothing(capsys, store, monkeypatch):
    for closed in ("stdout", "stderr"):
        monkeypatch.setattr(sys, closed, None)
    assert (main(["list", "data"]), main(["list", "nothing"])) == (0, 2)
    sys.stdout.close()
    sys.stderr.close()
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")


def test_what_an_encoding_lacks_is_escaped(monkeypatch, tmp_path):
    (tmp_path / "Größe").mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "Größe"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert main(["list", "data"]) == 0
    assert rb"Gr\xf6\xdfe" in sys.stdout.buffer.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_one_line(store):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "workbench", "list", "data"], stdout=full, stderr=-1, text=True)
    assert (done.returncode, done.stderr) == (1, "workbench: the output cannot be written: No space left on device\n")


MISSING = {
    "pandas": (["list", "runs"], "pandas"),
    "sklearn": (["run", "seqdigits_lstm", "--budget", "smoke"], "scikit-learn"),
    "plotly": (["export", "bounds"], "plotly"),
    "anywidget": (["export", "bounds"], "anywidget"),
}
LACKING = """
import json, os, sys
import torch
from workbench.__main__ import main
for package, (command, _) in json.loads(sys.argv[1]).items():
    assert package not in sys.modules
    if os.fork() == 0:
        sys.modules[package] = None
        sys.exit(main(command))
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 1
"""


def test_a_package_that_is_missing_is_one_line_that_names_the_command(store):
    quiet = ["-W", "ignore::DeprecationWarning"]  # Python 3.12 warns of every fork beside a thread, numpy's here
    command = [sys.executable, *quiet, "-c", LACKING, json.dumps(MISSING)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line, (_, named) in zip(done.stderr.splitlines(), MISSING.values(), strict=True):
        assert line.startswith(f"workbench: {named} is not installed; `")
        assert f"-m pip install {named}` adds it" in line


def test_results_that_cannot_be_written_name_the_setting(monkeypatch, capsys, tmp_path):
    """A folder in which nobody may make one, not even root."""
    monkeypatch.setenv("WORKBENCH_RESULTS", "/sys/results")
    code, _, err = run(capsys, "run", "seqdigits_lstm", "--budget", "smoke")
    assert code == 4
    assert "; make it writable, or WORKBENCH_RESULTS=FOLDER names another place" in err.splitlines()[-1]
    assert len(err.splitlines()) == 1


def test_a_home_is_a_home_in_workbench_results(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_RESULTS", "~/mine")
    assert run(capsys, "run", "seqdigits_lstm", "--budget", "smoke")[0] == 0
    assert list(tmp_path.glob("mine/runs/*/result.json"))
