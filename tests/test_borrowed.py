"""The script for a borrowed device, rehearsed without one: what it brings home, also when it is killed."""

import argparse
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import workbench as wb
from workbench import paper
from workbench.runs import bundle
from workbench.runs.bundle import adopt

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "borrowed.py"
CHANGES = {"model.hidden": 8, "train.steps": 60, "train.evaluate_every": 20}
SECONDS = "0.5"  # minutes; each stage here takes a moment


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script's names, its loan begun now; the store is where its stages write."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "work" / "results"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return runpy.run_path(str(SCRIPT))


def stages(script, monkeypatch, *commands):
    """Let a loan have these stages: (name, Python code)."""
    made = [script["Stage"](name, 0.5, (sys.executable, "-c", code)) for name, code in commands]
    monkeypatch.setitem(script["main"].__globals__, "measuring", lambda *_: made)


def borrowed(script, tmp_path, *more, spent=0.0):
    script["main"].__globals__["BEGAN"] = time.monotonic() - spent  # not when this process began
    out, work = str(tmp_path / "out"), str(tmp_path / "work")
    code = script["main"]([out, "--device", "cpu", "--minutes", SECONDS, "--work", work, *more])
    return code, json.loads((tmp_path / "out" / "stages.json").read_text())


def test_all_that_was_done_lies_in_one_folder_and_the_same_command_does_the_rest(script, tmp_path, monkeypatch):
    measure = f"open({str(tmp_path / 'work' / 'bench.json')!r}, 'w').write('[1]'); print('said')"
    stages(script, monkeypatch, ("one", measure), ("two", "raise SystemExit(3)"))
    wb.run("adding_rnn_tanh_T100", "smoke", changes=CHANGES, until=20, progress=False)
    code, done = borrowed(script, tmp_path)
    assert code == 5
    assert {name: entry["code"] for name, entry in done.items()} == {"one": 0, "two": 3}
    out = tmp_path / "out"
    files = {path.name for path in out.iterdir()}
    assert files == {"stages.json", "log.txt", "bench.json", "campaign.json", "campaign.tar.1"}
    assert "said" in (out / "log.txt").read_text()
    stages(script, monkeypatch, ("one", "raise SystemExit(1)"), ("two", "pass"))  # one is not done again
    code, again = borrowed(script, tmp_path)
    assert (code, again["one"], again["two"]["code"]) == (0, done["one"], 0)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(out) == (1, 0)


@pytest.mark.parametrize(("measured", "parts"), [((), 4), (("bench.json", "steps.json", "crossovers.json"), 2)])
def test_a_bundle_has_what_is_left_of_eight_files_and_what_is_not_in_it_is_told_once(
    script, tmp_path, monkeypatch, capsys, measured, parts
):
    loan, asked = script["Loan"](tmp_path / "out", tmp_path / "work", 4, 0.0), []
    monkeypatch.setattr(bundle, "pack", lambda runs, folder, say, parts: asked.append(parts) or say("one left out"))
    (loan.work / "results" / "runs" / "one").mkdir(parents=True)
    loan.out.mkdir()
    for name in ("log.txt", *measured):
        (loan.work / name).write_text("said")
    loan.keep()
    loan.keep()
    assert asked == [parts] * 2
    assert len(list(loan.out.iterdir())) + 1 + parts <= 8
    assert capsys.readouterr().err == "one left out\n"


def test_what_came_back_is_gone_on_from(script, tmp_path, monkeypatch):
    stages(script, monkeypatch, ("one", "pass"))
    wb.run("adding_rnn_tanh_T100", "smoke", changes=CHANGES, until=20, progress=False)
    borrowed(script, tmp_path)
    look = "import os, pathlib; print(len(list(pathlib.Path(os.environ['WORKBENCH_RESULTS'], 'runs').iterdir())))"
    stages(script, monkeypatch, ("look", look))
    (tmp_path / "second").mkdir()
    code, _ = borrowed(script, tmp_path / "second", "--back", str(tmp_path / "out"))
    assert code == 0
    assert (tmp_path / "second" / "out" / "log.txt").read_text().splitlines()[-1] == "1"


def test_a_stage_has_its_share_of_the_time_and_no_more(script, tmp_path, monkeypatch):
    monkeypatch.setitem(script["main"].__globals__, "MERCY", 1.0)
    stages(script, monkeypatch, ("endless", "import time; time.sleep(600)"), ("short", "pass"))
    code, done = borrowed(script, tmp_path, spent=24)
    assert (code, done["endless"]["cut"]) == (5, True)
    assert done["endless"]["seconds"] < 30


def test_killed_at_any_moment_it_leaves_what_there_was(store, tmp_path, monkeypatch):
    """The real script, killed while a stage of its own sleeps, leaves a whole bundle."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "work" / "results"))
    wb.run("adding_rnn_tanh_T100", "smoke", changes=CHANGES, until=20, progress=False)
    code = (
        f"import runpy, sys; s = runpy.run_path({str(SCRIPT)!r}); g = s['main'].__globals__; g['EVERY'] = 0.1\n"
        "sleep = s['Stage']('sleep', 1.0, (sys.executable, '-c', 'import time; time.sleep(60)'))\n"
        "g['measuring'] = lambda *_: [sleep]\n"
        f"s['main']([{str(tmp_path / 'out')!r}, '--device', 'cpu', '--work', {str(tmp_path / 'work')!r}])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
    try:
        for _ in range(1200):
            if (tmp_path / "out" / "log.txt").exists() and (tmp_path / "out" / bundle.NAME).exists():
                break
            time.sleep(0.1)
    finally:
        os.killpg(child.pid, signal.SIGKILL)  # its stage too
        child.wait()
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(tmp_path / "out") == (1, 0)
    assert json.loads((tmp_path / "out" / "stages.json").read_text()) == {}


@pytest.mark.parametrize(
    ("given", "said"), [(("--minutes", "0.1"), "--minutes: 0.1 received"), (("--megabytes", "10"), "--megabytes: 10")]
)
def test_what_cannot_be_meant_is_refused(script, tmp_path, given, said, capsys):
    with pytest.raises(SystemExit):
        script["main"]([str(tmp_path), *given])
    assert said in capsys.readouterr().err


def test_the_stages_name_commands_experiments_and_files_that_there_are(script):
    known = script["main"].__globals__
    for runs in known["TRAINED"].values():
        for experiment, seeds, share in runs:
            assert paper.experiment(experiment).id == experiment
            assert seeds >= 1
            assert 0 < share < 1
        assert sum(share for *_, share in runs) == pytest.approx(1)
    assert all((ROOT / path).is_file() for path in known["GPU_TESTS"])


def test_the_list_in_the_lab_book_is_the_script_s_stages(script):
    known = script["main"].__globals__
    given = argparse.Namespace(device="cuda", budget="paper", minutes=5.0, workers=8)
    stages = {1: [stage.name for stage in known["measuring"](given, Path("work"))]}
    for loan, runs in known["TRAINED"].items():
        stages[loan] = [f"{name} ({seeds} seeds)" if seeds > 1 else name for name, seeds, _ in runs]
    book = (ROOT / "results" / "LOG.md").read_text(encoding="utf-8").partition("## GPU list")[2]
    listed = re.findall(r"^\| (\d) \| (.+) \| \d+ \|$", book, re.MULTILINE)
    assert {int(loan): names.split(", ") for loan, names in listed} == stages


def test_a_bundle_packed_over_itself_is_whole_at_every_moment(store, tmp_path, monkeypatch):
    run = wb.run("adding_rnn_tanh_T100", "smoke", changes=CHANGES, until=20, progress=False).run
    bundle.pack([run], tmp_path / "out")
    before, publish = {}, bundle.publish

    def stopped(path, content, replace):
        if path.name == bundle.NAME:
            before.update({p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()})
            raise KeyboardInterrupt
        publish(path, content, replace=replace)

    monkeypatch.setattr(bundle, "publish", stopped)
    with pytest.raises(KeyboardInterrupt):
        bundle.pack([run], tmp_path / "out")
    monkeypatch.setattr(bundle, "publish", publish)
    assert len(before) == 3  # the new part lies beside the old bundle
    for name in ("first", "second"):
        monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / name))
        assert adopt(tmp_path / "out") == (1, 0)
        bundle.pack([run], tmp_path / "out")
        assert len(list((tmp_path / "out").iterdir())) == 2
