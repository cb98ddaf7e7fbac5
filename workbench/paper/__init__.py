"""The paper as data: one Experiment per cell of its tables and curve of its figures, with config, claims and sources.

"Paper" is Li, Li, Cook, Gao, Deep Independently Recurrent Neural Network (IndRNN), arXiv:1910.06251v2. "Official
code" is the authors' PyTorch repository (MNIST, PTB, NTU) and, for the adding problem, their Theano one; "official log"
a training log they published. Where paper and code differ, the settings are the code's, and the note says so.
"""

from __future__ import annotations

from .. import files
from ..config.frozen import nearest
from ..errors import ParameterError
from ..errors import quoted as shown  # `quoted` is a module of this package
from . import cycle
from .experiment import Claim as Claim
from .experiment import Experiment as Experiment
from .published import EXHIBITS as EXHIBITS
from .published import Exhibit as Exhibit

# Every file here with a function `experiments`, in the order of their names; then the cycles of what they name.
_FOUND = [e for _, source in files.modules("paper") if hasattr(source, "experiments") for e in source.experiments()]
EXPERIMENTS: dict[str, Experiment] = {e.id: e for e in (*_FOUND, *cycle.cycles(_FOUND))}


def experiment(name: str) -> Experiment:
    """The experiment of a name; a ParameterError offers the nearest names."""
    if name not in tuple(EXPERIMENTS):  # a tuple takes any value, hashable or not
        all_ = f"choose one of the {len(EXPERIMENTS)} of `workbench list`, such as {next(iter(EXPERIMENTS))}"
        raise ParameterError(f"experiment: {shown(name)} is unknown; {nearest(name, EXPERIMENTS, 3, all_)}")
    return EXPERIMENTS[name]
