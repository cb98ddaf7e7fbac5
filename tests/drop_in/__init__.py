"""Uses of torch.nn.RNN, case by case, done with it and with wb.IndRNN on every engine.

`case.py` says what a case is; the files beside it hold them by what is done; `run.py` runs them in a child process,
so that a crash is an outcome, and makes the table results/drop_in.csv and .md.
"""

from . import called, derived, kept, made, traced
from .case import CASES, CONTROL, ENGINES

__all__ = ["CASES", "CONTROL", "ENGINES", "called", "derived", "kept", "made", "traced"]
