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

from .files import names_of

__version__ = "0.2.0.dev0"

# The table of public names: to add one, a line here.
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
    from .notebook.explorers import explore_digit as explore_digit
    from .notebook.explorers import explore_length as explore_length
    from .notebook.explorers import explore_neurons as explore_neurons
    from .notebook.explorers import explore_sentence as explore_sentence
    from .notebook.run_board import Board as Board
    from .notebook.sequence_study import SequenceStudy as SequenceStudy
    from .notebook.study import Study as Study
    from .recurrence import available as available
    from .recurrence import recur as recur
    from .runs.estimator import IndRNNClassifier as IndRNNClassifier
    from .runs.estimator import IndRNNRegressor as IndRNNRegressor
    from .runs.pretrained import pretrained as pretrained
    from .runs.record import Record as Record
    from .runs.run import run as run
    from .runs.status import list_records as list_records
    from .runs.sweep import Sweep as Sweep
    from .training import dynamic_evaluation as dynamic  # noqa: F401  (under its public name)


_HOMES = names_of(__file__)
_MODULES = ("analysis", "dynamic", "figures")
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    module, own = _HOMES[name]
    if name in _MODULES:
        return importlib.import_module(f".{module}.{own}".replace("..", "."), __name__)
    return getattr(importlib.import_module(f".{module}", __name__), own)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
