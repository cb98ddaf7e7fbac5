"""From data to plotly figures; pure functions, no state, no disk. Every axis has its label and unit."""

from __future__ import annotations

from .adding import adding as adding
from .learning import accuracy_by_length as accuracy_by_length
from .learning import curves_of as curves_of
from .learning import height as height
from .learning import height_unit as height_unit
from .learning import learning as learning
from .learning import nearness as nearness
from .learning import official as official
from .learning import passes as passes
from .style import COLOURS as COLOURS
from .style import GRID as GRID
from .style import INK as INK
from .style import PAPER as PAPER
from .style import blank as blank
from .timings import floors as floors
from .timings import layers as layers
from .timings import scaling as scaling
from .timings import timing as timing
from .variants import over_depth as over_depth
from .variants import parallel as parallel
from .variants import sweep_map as sweep_map
from .variants import variant_curves as variant_curves
from .variants import variant_differences as variant_differences
from .variants import variant_panels as variant_panels
from .variants import variant_scores as variant_scores
from .weights import breakdown as breakdown
from .weights import gradients as gradients
from .weights import impulse as impulse
from .weights import memory_range as memory_range
from .weights import queue as queue
from .weights import recurrent_weights as recurrent_weights
from .weights import recurrent_weights_of as recurrent_weights_of
from .weights import weight_histograms as weight_histograms
from .weights import weight_histograms_of as weight_histograms_of
from .weights import weight_shares as weight_shares

# their former names
arm_curves, arm_panels, arm_scores = variant_curves, variant_panels, variant_scores
arm_differences = variant_differences
