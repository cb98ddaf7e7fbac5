"""Moving parts of a notebook: explorers and live curves, wired to pictures and probes, no mathematics of their own."""

from __future__ import annotations

from .architecture import Architecture
from .architecture import explore_architecture as explore_architecture
from .base import ExplorerBase as ExplorerBase
from .bounds import Bounds
from .bounds import explore_bounds as explore_bounds
from .depth import Depth
from .depth import explore_depth as explore_depth
from .digit import Digit
from .digit import explore_digit as explore_digit
from .length import Length
from .length import explore_length as explore_length
from .neurons import Neurons
from .neurons import explore_neurons as explore_neurons
from .sentence import Sentence
from .sentence import explore_sentence as explore_sentence
from .widget import Explorer as Explorer

EXPLORERS: dict[str, type[ExplorerBase]] = {
    content.name: content for content in (Bounds, Depth, Length, Neurons, Digit, Sentence, Architecture)
}
