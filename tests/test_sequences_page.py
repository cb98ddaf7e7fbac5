"""SEQUENCES.md: every command and every line of code in it runs, in its order."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "SEQUENCES.md").read_text(encoding="utf-8"), flags=re.M | re.S)
ENTRY = "import sys; from workbench.__main__ import main; sys.exit(main(sys.argv[1:]))"


def run_page(python, folder, environment):
    """Run the blocks of the page in a folder -> what each printed; installing is the caller's."""
    said = []
    for language, text in BLOCKS:
        words = shlex.split(text) if language == "sh" else []
        if words[:2] == ["pip", "install"]:
            continue
        assert language == "python" or words[0] == "workbench", text
        command = [python, "-c", ENTRY, *words[1:]] if words else [python, "-c", text]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        said.append(done.stdout)
    return said


def test_the_page_is_done_as_it_is_written(tmp_path):
    kept = os.environ | {"WORKBENCH_RESULTS": str(tmp_path / "results"), "PYTHONPATH": str(ROOT)}
    _, indrnn, lstm, record, estimator = run_page(sys.executable, tmp_path, kept)
    told = [dict(line.split(maxsplit=1) for line in said.splitlines()) for said in (indrnn, lstm)]
    assert float(told[0]["test_accuracy"]) > 0.9
    assert "test_accuracy" in told[1]
    assert float(record) == float(told[0]["test_accuracy"]), "the same run, from its record"
    assert "left" in estimator or "right" in estimator
