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
    from .analysis import figures as figures
    from .analysis.claims import results_table as results_table
    from .analysis.variants import Variants as Variants
    from .config import Config as Config
    from .errors import WorkbenchError as WorkbenchError
    from .models import ConvIndRNN as ConvIndRNN
    from .models import IndRNN as IndRNN
    from .models import bound as bound
    from .models.build import build as build
    from .notebook.explorers import explore_architecture as explore_architecture
    from .notebook.explorers import explore_bounds as explore_bounds
    from .notebook.explorers import explore_depth as explore_depth
    from .notebook.explorers import explore_length as explore_length
    from .notebook.explorers import explore_neurons as explore_neurons
    from .notebook.run_board import Board as Board
    from .notebook.study import Study as Study
    from .recurrence import available as available
    from .recurrence import recur as recur
    from .runs.record import Record as Record
    from .runs.record import list_records as list_records
    from .runs.run import run as run
    from .runs.sweep import Sweep as Sweep
    from .training import dynamic_evaluation as dynamic

_HOME = {
    "Variants": "analysis.variants",
    "Board": "notebook.run_board",
    "Config": "config",
    "ConvIndRNN": "models",
    "IndRNN": "models",
    "Record": "runs.record",
    "Study": "notebook.study",
    "Sweep": "runs.sweep",
    "WorkbenchError": "errors",
    "available": "recurrence",
    "bound": "models",
    "build": "models",
    "explore_architecture": "notebook.explorers",
    "explore_bounds": "notebook.explorers",
    "explore_depth": "notebook.explorers",
    "explore_length": "notebook.explorers",
    "explore_neurons": "notebook.explorers",
    "list_records": "runs.record",
    "recur": "recurrence",
    "results_table": "analysis.claims",
    "run": "runs.run",
}
_MODULES = {"analysis": "analysis", "dynamic": "training.dynamic_evaluation", "figures": "analysis.figures"}

__all__ = [
    "Board",
    "Config",
    "ConvIndRNN",
    "IndRNN",
    "Record",
    "Study",
    "Sweep",
    "Variants",
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
        return importlib.import_module(f".{_MODULES[name]}", __name__)
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
