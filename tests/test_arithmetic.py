"""The arithmetic of a process: a hash of its results, the instruction sets it uses, and runs kept bit by bit."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from workbench import recurrence
from workbench.runs import arithmetic, instructions
from workbench.runs.provenance import NUMERICS

GOLDEN = Path(__file__).parent / "golden" / "golden.json"
SCRIPT = Path(__file__).parents[1] / "scripts" / "golden.py"
ASK = """
from workbench.runs import instructions
instructions.fix()
from workbench.runs import arithmetic
print(arithmetic.arithmetic())
"""


def child(*command, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in instructions.FIXED} | environment
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, env=clean)
    return done.stdout


def test_two_processes_of_a_machine_have_one_arithmetic_and_another_instruction_set_has_another():
    first, second = child("-c", ASK).strip(), child("-c", ASK).strip()
    assert first == second
    assert len(first) == 12
    if instructions.has_avx2():
        assert child("-c", ASK, ATEN_CPU_CAPABILITY="default", MKL_CBWR="COMPATIBLE").strip() != first


def test_the_arithmetic_is_cheap_touches_no_chance_and_is_another_where_an_engine_is_missing(monkeypatch):
    fresh = arithmetic.arithmetic.__wrapped__
    whole, chance = fresh(), torch.get_rng_state()
    began = time.thread_time()
    assert fresh() == whole
    assert time.thread_time() - began < 0.3
    assert torch.equal(torch.get_rng_state(), chance)
    monkeypatch.setattr(recurrence, "unavailable", lambda name: "no C compiler" if name == "cpu" else None)
    assert fresh() != whole


def test_one_bit_in_one_result_is_another_arithmetic(monkeypatch):
    fresh = arithmetic.arithmetic.__wrapped__
    whole, values = fresh(), list(arithmetic._values())
    assert sum(isinstance(v, torch.Tensor) for v in values) > 40
    values[20] = torch.nextafter(values[20], torch.tensor(9.0))
    monkeypatch.setattr(arithmetic, "_values", lambda: iter(values))
    assert fresh() != whole


def test_instruction_sets_are_fixed_before_torch_and_a_users_own_choice_wins(monkeypatch):
    monkeypatch.setattr(instructions, "has_avx2", lambda: True)
    environment = {"MKL_CBWR": "COMPATIBLE"}
    instructions.fix(environment)
    assert environment == {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    monkeypatch.setattr(instructions, "has_avx2", lambda: False)  # ATen would take an instruction that is not there
    instructions.fix(bare := {})
    assert bare == {}


def test_where_torch_is_loaded_nothing_is_pretended(monkeypatch):
    monkeypatch.setattr(instructions, "has_avx2", lambda: True)
    for name in instructions.FIXED:
        monkeypatch.delenv(name, raising=False)
    instructions.fix()
    assert instructions.in_force() == dict.fromkeys(instructions.FIXED)


@pytest.mark.parametrize(
    ("machine", "told", "has"),
    [
        ("x86_64", "model\t: 1\nflags\t\t: fpu avx2 fma\nbugs\t: x\n", True),
        ("x86_64", "model\t: 1\nflags\t\t: fpu avx\nbugs\t: avx2 fma\n", False),
        ("aarch64", "flags\t\t: fpu avx2 fma\n", False),
        ("x86_64", None, False),
    ],
)
def test_avx2_is_what_the_system_says_of_an_x86(machine, told, has, monkeypatch, tmp_path):
    monkeypatch.setattr(instructions.platform, "machine", lambda: machine)
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(instructions, "Path", lambda path: tmp_path / "cpuinfo")
    assert instructions.has_avx2() is has


def differing(computed, stored):
    """Reasons why computed golden runs do not agree with the stored ones, a line each."""
    alike = {key: entry for key, entry in stored.items() if entry["numerics"] == computed["numerics"]}
    if not alike:
        return ["none stored under these numerics: python scripts/golden.py"]
    own, wrong = alike.get(computed["arithmetic"]), []
    for run, values in computed["runs"].items():
        if own is not None and own["torch"] == computed["torch"]:
            if own["runs"].get(run, values) != values:
                wrong.append(f"{run}: not bit for bit")
            continue
        known = [entry["runs"][run]["losses"][:5] for entry in alike.values() if run in entry["runs"]]
        if known and not any(values["losses"][:5] == pytest.approx(losses, rel=1e-4) for losses in known):
            wrong.append(f"{run}: {values['losses'][:5]}")
    return wrong


def test_golden_runs_are_bit_for_bit_under_a_stored_arithmetic_and_near_elsewhere():
    stored, computed = json.loads(GOLDEN.read_text()), json.loads(child(str(SCRIPT), "--print"))
    assert computed["numerics"] == NUMERICS
    assert len(computed["runs"]) >= 10
    assert differing(computed, stored) == []
    run = "digits lstm, auto"
    computed["runs"][run]["losses"][5] *= 1 + 1e-7  # behind the first five: only bits tell
    same = stored.get(computed["arithmetic"], {}).get("torch") == computed["torch"]  # another build may differ in bits
    assert bool(differing(computed, stored)) is same
    computed["arithmetic"] = "another"
    assert differing(computed, stored) == []
    computed["runs"][run]["losses"][4] *= 1 + 3e-4
    assert [line.partition(":")[0] for line in differing(computed, stored)] == [run]
    assert differing(computed | {"numerics": NUMERICS + 1}, stored) != []


def test_golden_values_change_only_with_the_numerics_or_on_demand(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("golden", SCRIPT)
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    monkeypatch.setattr(golden, "GOLDEN", tmp_path / "golden" / "golden.json")
    monkeypatch.setattr(golden, "compute", lambda: {"a, loop": {"losses": [1.0]}})
    assert golden.main([]) == 0
    monkeypatch.setattr(golden, "compute", lambda: {"a, loop": {"losses": [2.0]}})
    assert golden.main([]) == 1
    assert "a, loop: other values stand" in capsys.readouterr().err
    monkeypatch.setattr(golden, "NUMERICS", NUMERICS + 1)
    assert golden.main([]) == 0
    monkeypatch.setattr(golden, "compute", lambda: {"a, loop": {"losses": [3.0]}})
    assert golden.main(["--replace"]) == 0
    (entry,) = json.loads(golden.GOLDEN.read_text()).values()
    assert entry["runs"]["a, loop"]["losses"] == [3.0]
    monkeypatch.setattr(golden, "compute", lambda: {"b, loop": {"losses": [4.0]}})  # the data of `a` are not here
    assert golden.main(["--replace"]) == 0
    (entry,) = json.loads(golden.GOLDEN.read_text()).values()
    assert {run: values["losses"] for run, values in entry["runs"].items()} == {"a, loop": [3.0], "b, loop": [4.0]}
