"""All that people do with torch.nn.RNN, wb.IndRNN does on every engine or refuses in words; never silently wrong."""

from __future__ import annotations

import pytest

from drop_in import CASES, CONTROL, ENGINES
from drop_in.run import outcomes

# What torch.nn.RNN does and these engines do not, five cases at most: why.
LESS = {
    "the equation with tanh": ({"scan"}, "steps with tanh do not compose to a map of fixed size; `auto` takes another"),
    "float16": ({"cpu"}, "the C code has no half precision but bfloat16; `auto` takes another engine"),
    "onnx by trace": (set(ENGINES), "that exporter would fix the number of steps; workbench.recurrence.onnx does not"),
    "onnx by export": (set(ENGINES), "torch.onnx.export knows no translation of ours; workbench.recurrence.onnx does"),
}
MISSING = "is not installed"  # what a case says that needs an optional package, here onnx and onnxscript


@pytest.fixture(scope="session")
def found():
    return outcomes()


@pytest.mark.parametrize("name", CASES)
def test_ours_does_what_torchs_does_or_refuses_in_words(name, found):
    control = found[name, CONTROL][0] if CASES[name].control else "passes"
    for engine in ENGINES:
        kind, says, _ = found[name, engine]
        assert kind not in ("wrong", "crashes"), f"{engine}: {says}"
        if control == "passes" and kind != "passes" and MISSING not in says:
            assert kind == "refuses", f"{engine}: {says}"
            assert engine in LESS.get(name, ((), ""))[0], f"{engine}: {says}"


def test_ours_passes_as_many_as_torchs_less_those_with_a_reason(found):
    passed = {s: {n for n in CASES if CASES[n].control and found[n, s][0] == "passes"} for s in (CONTROL, *ENGINES)}
    assert len(passed[CONTROL]) >= 87
    assert len(LESS) <= 5
    for engine in ENGINES:
        assert len(passed[engine]) >= len(passed[CONTROL]) - 5, engine


def test_a_case_that_goes_wrong_is_told_from_one_that_is_refused_and_one_that_crashes():
    judged = outcomes(planted=True)
    assert {name: kind for (name, _), (kind, *_) in judged.items()} == {
        kind: kind for kind in ("passes", "refuses", "fails", "wrong", "crashes")
    }
    assert judged["refuses", "loop"][1] == "KindError: x: list received; (T, B, 3) or (T, 3) is needed"
    assert judged["fails", "loop"][1] == "OSError: no such thing"
