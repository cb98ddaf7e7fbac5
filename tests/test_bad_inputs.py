"""Every case of the table `bad_inputs` is refused by our own exception, in one line, before anything is started."""

import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest
import torch
from bad_inputs import CASES
from bad_inputs.case import ADDING, TINY, Case, Link
from bad_inputs.required import REQUIRED

import workbench as wb
from workbench import files
from workbench.__main__ import main
from workbench.config import run_id
from workbench.errors import DataError, ParameterError, RunError, StoreError
from workbench.notebook.explorers import EXPLORERS, Explorer, trained_nets
from workbench.runs import status
from workbench.tasks import data_hashes

KINDS = {1: RunError, 2: ParameterError, 3: DataError, 4: StoreError}
CALLS = [case for case in CASES if callable(case.call)]
COMMANDS = [case for case in CASES if not callable(case.call)]
SPAWNED = ["a list of nothing known", "results that are a file"]
DAMAGED = ["a spec {}", "a spec with a wrong seed", "a result {}", "an event of one list"]


def named(cases):
    return [pytest.param(c, id=c.id, marks=[pytest.mark.skip("there is a CUDA device")] * c.skip) for c in cases]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A small run, once begun and once done, to be copied and damaged."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        for name, until in (("begun", 1), ("done", None)):
            patch.setenv("WORKBENCH_RESULTS", str(root / name))
            wb.run(ADDING, "smoke", changes=TINY, until=until, progress=False)
    return root


@pytest.fixture
def here(request, tmp_path, store, monkeypatch):
    """The folder of a case, with its files, settings and damaged run in place."""
    case = request.getfixturevalue("case")
    for name, content in case.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.to)
        elif content is None:
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    for name, value in case.env.items():
        monkeypatch.setenv(name, value.format(here=tmp_path))
    if case.run:
        shutil.copytree(request.getfixturevalue("runs") / case.run, store)
        (folder,) = (store / "runs").iterdir()
        if case.damage is not None:
            case.damage(folder)
    return tmp_path


def tree(folder):
    """Every path below a folder with a hash of what it holds, links not followed."""
    return sorted((str(p.relative_to(folder)), held(p)) for p in folder.rglob("*"))


def held(path):
    if path.is_symlink():
        return os.readlink(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def assert_says(case, message):
    assert message
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 1600
    for fragment in case.says:
        assert fragment in message


@pytest.mark.parametrize("case", named(CALLS))
def test_a_call_raises_our_own_exception_and_leaves_nothing(case, here):
    before = tree(here)
    with pytest.raises(KINDS[case.code]) as caught:
        case.call(here)
    assert caught.value.code == case.code
    assert_says(case, str(caught.value))
    left = [line for line in tree(here) if line not in before]
    assert not left or case.id == "images and labels of different counts"  # which writes its own files


@pytest.mark.parametrize("case", named(COMMANDS))
def test_a_command_line_ends_with_one_line_and_leaves_nothing(case, here, capsys):
    before = tree(here)
    code = main([argument.format(here=here) for argument in case.call])
    out, err = capsys.readouterr()
    assert code == case.code, err
    assert out == ""
    assert err.startswith("workbench: ")
    assert err.endswith("\n")
    assert "Traceback" not in err
    assert_says(case, err.removesuffix("\n"))
    assert tree(here) == before


@pytest.mark.parametrize("case", named(c for c in COMMANDS if c.id in SPAWNED))
def test_a_process_of_its_own_ends_the_same_way(case, here):
    command = [sys.executable, "-m", "workbench", *(argument.format(here=here) for argument in case.call)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, cwd=here)
    assert ended.returncode == case.code
    assert ended.stdout == ""
    assert ended.stderr.startswith("workbench: ")
    assert ended.stderr.count("\n") == 1
    assert_says(case, ended.stderr.removesuffix("\n"))


def test_the_table_has_no_case_twice_and_every_section_and_door():
    assert len({case.id for case in CASES}) == len(CASES)
    allowed = get_type_hints(Case)
    assert {case.section for case in CASES} == set(get_args(allowed["section"]))
    assert {case.door for case in CASES} == set(get_args(allowed["door"]))
    assert sum(c.id in SPAWNED for c in COMMANDS) == len(SPAWNED)


@pytest.mark.parametrize("case", named(c for c in CALLS if c.id.removesuffix(", read by a run") in DAMAGED))
def test_one_damaged_record_never_makes_a_page_empty(case, here, capsys):
    assert main(["status", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "damaged"
    assert row["error"]
    for page in (["list"], ["tables"]):
        assert main(page) == 0
        assert ADDING in capsys.readouterr().out


def test_what_is_unusual_but_right_is_taken():
    rnn = wb.IndRNN(2, 3, bound=wb.bound(1))
    assert rnn(torch.zeros(1, 1, 2))[0].shape == (1, 1, 3)
    assert rnn(torch.zeros(4, 2))[0].shape == (4, 3)
    assert wb.bound(1, gamma=1) == 1
    with pytest.warns(UserWarning, match="exactly in float32"):
        wb.bound(10**8)


@pytest.mark.parametrize("section", REQUIRED)
def test_every_item_that_must_be_refused_has_its_cases(section):
    for item, names in REQUIRED[section].items():
        for name in names:
            assert [case.id for case in CASES if case.id.startswith(name)], f"{item}: {name}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--device", "tpu"], ("device: 'tpu'", "auto, cpu, cuda")),
        (["--threads", "0"], ("threads: 0", "1 to 1024")),
        (["--repeats", "0"], ("repeats: 0", "1 to 1024")),
        (["{here}"], ("file: '", "a file to be written is needed")),
        (["{here}/none/below/a.json", "--threads", "x"], ("--threads", "'x'")),
    ],
)
def test_a_script_refuses_before_it_measures(arguments, says, tmp_path, monkeypatch, capsys):
    script = files.project() / "scripts" / "crossovers.py"
    monkeypatch.setattr(sys, "argv", [str(script), *(argument.format(here=tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert all(fragment in last for fragment in says)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{}", "", "[]", '{"schema": 99}'])
def test_an_explorer_opens_over_a_damaged_record(content, store):
    """As if there were none: an explorer is no place to mend a store; `workbench status` says which it is."""
    net = trained_nets.trained_net("seqdigits_plain6", "smoke")
    folder = store / "runs" / run_id(net.config, 0, data_hashes(net.config.task))
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(content)
    explorer = Explorer(EXPLORERS["neurons"]("smoke"))
    assert not explorer.complaints
    assert "as it starts" in explorer.said
    (row,) = status.rows()
    assert row["status"] == "damaged"
