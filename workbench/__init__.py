"""IndRNN Workbench: see, reproduce and trust what a recurrent net gains when each neuron remembers only itself.

    import workbench as wb
    h = wb.recur(a, u)                    one layer's recurrence, h_t = relu(a_t + u * h_{t-1})
    rnn = wb.IndRNN(2, 128)               a layer used like torch.nn.RNN
    record = wb.run("adding_indrnn_T100") train, or return what is recorded

Names load when they are first used: importing the package imports nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import analysis as analysis
    from . import dynamic as dynamic
    from . import figures as figures
    from .arms import Arms as Arms
    from .compare import results_table as results_table
    from .config import Config as Config
    from .errors import WorkbenchError as WorkbenchError
    from .models import ConvIndRNN as ConvIndRNN
    from .models import IndRNN as IndRNN
    from .models import bound as bound
    from .models.build import build as build
    from .notebook import Study as Study
    from .record import Record as Record
    from .record import list_records as list_records
    from .recurrence import available as available
    from .recurrence import recur as recur
    from .study import run as run
    from .study.sweep import Sweep as Sweep
    from .widgets import explore_architecture as explore_architecture
    from .widgets import explore_bounds as explore_bounds
    from .widgets import explore_depth as explore_depth
    from .widgets import explore_length as explore_length
    from .widgets import explore_neurons as explore_neurons
    from .widgets.board import Board as Board

_HOME = {
    "Arms": "arms",
    "Board": "widgets.board",
    "Config": "config",
    "ConvIndRNN": "models",
    "IndRNN": "models",
    "Record": "record",
    "Study": "notebook",
    "Sweep": "study.sweep",
    "WorkbenchError": "errors",
    "available": "recurrence",
    "bound": "models",
    "build": "models",
    "explore_architecture": "widgets",
    "explore_bounds": "widgets",
    "explore_depth": "widgets",
    "explore_length": "widgets",
    "explore_neurons": "widgets",
    "list_records": "record",
    "recur": "recurrence",
    "results_table": "compare",
    "run": "study",
}
_MODULES = ("analysis", "dynamic", "figures")

__all__ = [
    "Arms",
    "Board",
    "Config",
    "ConvIndRNN",
    "IndRNN",
    "Record",
    "Study",
    "Sweep",
    "WorkbenchError",
    "analysis",
    "available",
    "bound",
    "build",
    "dynamic",
    "explore_architecture",
    "explore_bounds",
    "explore_depth",
    "explore_length",
    "explore_neurons",
    "figures",
    "list_records",
    "recur",
    "results_table",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
