"""Scripts: each says what it does without doing it, refuses what cannot be meant, and loses nothing that it wrote."""

import csv
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench import files, paper
from workbench.errors import RunError
from workbench.runs.provenance import NUMERICS

SCRIPTS = files.project() / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture
def called(monkeypatch, capsys):
    """called(name, *arguments): its exit code, what it said, and what it complained of."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def loaded(name):
    """The names of a script, as its functions see them."""
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"].__globals__


@pytest.mark.parametrize("name", NAMES)
def test_a_script_that_is_asked_for_help_gives_it_and_does_nothing_else(name, called):
    code, out, _ = called(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: {name}.py ")


@pytest.mark.parametrize(
    ("name", "arguments", "code", "said"),
    [
        ("borrowed", ["OUT", "--back", "nowhere"], 2, "--back: nowhere is no earlier OUT"),
        ("check_links", ["nowhere"], 2, "folder: nowhere is none"),
        ("fuzzing", ["idx", "idy"], 2, "TARGET: 'idy' is unknown; choose one of idx, skeleton"),
        ("imports", ["--package", "nowhere", "--out", "rooms.svg"], 2, "--out: nowhere has other rooms than the order"),
        ("publish", ["nothing"], 2, "'nothing': no notebook or experiment of that name"),
        ("publish", ["timing"], 1, "fig2_timing_quick.ipynb: not executed; `workbench reproduce timing`"),
        ("publish", ["--remove", "0" * 16], 1, f"{'0' * 16}: not among the published records"),
        ("publish", ["--books", "nothing.ipynb"], 3, "nothing.ipynb: cannot be read"),
        ("steps", ["--budget", "smok", "--device", "cpu"], 2, "--budget: invalid choice: 'smok'"),
        ("weights", [], 2, "NAME or --cards is needed"),
        ("weights", ["nothing"], 2, "experiment: 'nothing' is unknown"),
    ],
)
def test_what_a_script_cannot_do_is_one_line_and_nothing_begins(
    name, arguments, code, said, called, store, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ended, _, err = called(name, *arguments)
    assert ended == code
    assert said in err.splitlines()[-1]
    assert not [path for path in tmp_path.iterdir() if path != store]


def test_fuzzing_fuzzes_every_reader_and_counts_nothing_that_never_ran(tmp_path, monkeypatch):
    script, table, begun = loaded("fuzzing"), tmp_path / "fuzz.csv", []
    done = SimpleNamespace(returncode=0, stdout="", stderr="number_of_executed_units: 7")
    for name, value in {
        "TABLE": table,
        "WORK": tmp_path,
        "start": lambda target, _: begun.append(target) or done,
    }.items():
        monkeypatch.setitem(script, name, value)
    monkeypatch.setattr(sys, "argv", ["fuzzing.py"])
    monkeypatch.setattr(script["importlib"].util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="atheris is not installed"):
        script["main"]()
    assert not table.exists()
    monkeypatch.setattr(script["importlib"].util, "find_spec", lambda _: object())
    with pytest.raises(SystemExit, match="0"):
        script["main"]()
    assert begun == list(script["NAMES"])
    written = table.read_text()
    done.returncode = 1
    with pytest.raises(SystemExit, match="idx did not run to its end"):
        script["main"]()
    assert table.read_text() == written
    monkeypatch.setitem(script, "start", lambda *_: (tmp_path / "crashes" / "idx-crash-1").write_bytes(b"") or done)
    for _ in range(2):  # the same input again has the same name
        assert script["fuzz"]("idx", 1)["found"] == 1


def test_a_version_that_cannot_be_fetched_keeps_the_rows_that_it_has(tmp_path, monkeypatch, capsys):
    script = loaded("triton_versions")
    monkeypatch.setitem(script, "OUT", tmp_path / "triton.csv")
    rows = [dict.fromkeys(script["COLUMNS"], "1") | {"triton": version} for version in ("3.4.0", "3.10.0", "3.9.0rc1")]
    files.publish_rows(script["OUT"], script["COLUMNS"], rows)
    monkeypatch.setitem(script, "tried", lambda version: [] if version == "3.4.0" else [rows[1]])
    monkeypatch.setattr(sys, "argv", ["triton_versions.py", "3.4.0", "3.10.0"])
    script["main"]()
    with script["OUT"].open(newline="") as file:
        assert [row["triton"] for row in csv.DictReader(file)] == ["3.4.0", "3.9.0rc1", "3.10.0"]
    assert "3.4.0 cannot be had here" in capsys.readouterr().err


def test_a_table_of_mutants_that_cannot_be_written_is_the_one_before(tmp_path, monkeypatch):
    script = loaded("mutants")
    monkeypatch.setitem(script, "TABLE", tmp_path / "mutants.csv")
    row = dict.fromkeys(script["COLUMNS"], "1")
    script["write"]([row])
    before = script["TABLE"].read_bytes()
    with pytest.raises(ValueError, match="no line"):
        script["write"]([row, row | {"line": "no line"}])
    assert script["TABLE"].read_bytes() == before


@pytest.mark.parametrize("name", ["properties", "crossovers"])
def test_measurements_lie_where_they_are_read_whatever_the_folder_is(name, tmp_path, monkeypatch):
    script, asked = loaded(name), []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    parse = script["argparse"].ArgumentParser.parse_args

    def parsed(*given):
        asked.append(parse(*given))
        raise KeyboardInterrupt

    monkeypatch.setattr(script["argparse"].ArgumentParser, "parse_args", parsed)
    with pytest.raises(KeyboardInterrupt):
        script["main"]()
    assert asked[0].file == files.published() / "bench" / f"{name}.json"
    assert asked[0].file.is_file()


def test_a_document_without_its_marks_is_left_alone(tmp_path, monkeypatch):
    script, page = loaded("readme"), tmp_path / "README.md"
    page.write_text("<!-- holds -->\n\nno end\n")
    for name, value in {
        "README": page,
        "RESULTS": page,
        "ROOT": tmp_path,
        "results": lambda: ("", ""),
        "speed": lambda: "",
    }.items():
        monkeypatch.setitem(script, name, value)
    monkeypatch.setattr(sys, "argv", ["readme.py"])
    with pytest.raises(SystemExit, match=r"README\.md: <!-- holds --> and <!-- /holds --> are needed"):
        script["main"]()
    assert page.read_text() == "<!-- holds -->\n\nno end\n"


def test_the_ledger_counts_runs_of_the_whole_schedule_alone(monkeypatch):
    """A short cycle, and an older numerics, end too: they answer another question."""
    script, name = loaded("ledger"), "seqmnist_plain6_cycle"
    known = paper.experiment(name)
    told = {"step": 1, "provenance": {"device": "CPU"}, "cost": {"cpu_s": 3600.0}}
    run = SimpleNamespace(result=dict)

    def record(config, numerics=NUMERICS):
        return SimpleNamespace(experiment=name, config=config, numerics=numerics, smoke=False, run=run, budgets=[told])

    short = known.at("quick")[0]
    found = [record(known.config), record(short), record(known.config, NUMERICS - 1)]
    monkeypatch.setitem(script, "records", lambda: found)
    (line,) = (line for line in script["lines"]({}).splitlines() if f"`{name}`" in line)
    assert [cell.strip() for cell in line.split("|")][4:6] == ["3", "1"]


def test_the_best_lstm_is_chosen_when_all_of_them_were_tried(monkeypatch):
    script = loaded("japanese_vowels")
    kinds = [settings for settings in script["TRIED"] if settings.get("kind") == "lstm"]
    folds = [(settings, fold) for settings in kinds for fold in range(script["FOLDS"])]
    rows = [{"settings": script["json"].dumps(s), "fold": str(f), "right": str(s is kinds[1])} for s, f in folds]
    rows = [row | {"right": str(int(row["right"] == "True"))} for row in rows]
    monkeypatch.setitem(script, "rows", lambda _: rows)
    assert script["best_lstm"]() == kinds[1]
    monkeypatch.setitem(script, "rows", lambda _: rows[:-1])
    with pytest.raises(RunError, match="some LSTMs lack folds"):
        script["best_lstm"]()


def test_a_site_that_is_half_moved_leaves_the_one_before(tmp_path, monkeypatch):
    """As where the temporary folder is on another disk, and the copy is cut off; the next call is not hindered."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    script, out = loaded("build_site"), tmp_path / "site"
    for name in ("site", "fresh"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)

    def cut_off(_, to):
        to.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(script["shutil"], "move", cut_off)
        with pytest.raises(KeyboardInterrupt):
            script["put"](tmp_path / "fresh", out)
    assert (out / "index.html").read_text() == "site"
    script["put"](tmp_path / "fresh", out)
    assert (out / "index.html").read_text() == "fresh"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_an_app_without_voila_is_one_line_that_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    monkeypatch.setattr(sys, "argv", ["app"])
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("workbench.notebook.app", run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("workbench: voila is not installed; `")


def test_nothing_measured_is_no_measure_of_what_is_left_out(called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert called("excluded")[0] == "excluded: nothing is measured here yet; `make coverage` does it"
    assert Path.cwd() == tmp_path
