"""From data to plotly figures; pure functions, no state, no disk. Every axis has its label and unit."""

from __future__ import annotations

from .arms import arm_curves as arm_curves
from .arms import arm_panels as arm_panels
from .arms import arm_scores as arm_scores
from .canvas import COLOURS as COLOURS
from .canvas import GRID as GRID
from .canvas import INK as INK
from .canvas import PAPER as PAPER
from .canvas import blank as blank
from .costs import floors as floors
from .costs import layers as layers
from .costs import scaling as scaling
from .costs import timing as timing
from .depth import over_depth as over_depth
from .differences import arm_differences as arm_differences
from .scans import breakdown as breakdown
from .scans import queue as queue
from .scores import accuracy_by_length as accuracy_by_length
from .scores import adding as adding
from .scores import curves_of as curves_of
from .scores import height as height
from .scores import learning as learning
from .scores import nearness as nearness
from .scores import official as official
from .scores import passes as passes
from .sweeps import parallel as parallel
from .sweeps import sweep_map as sweep_map
from .weights import gradients as gradients
from .weights import impulse as impulse
from .weights import memory_range as memory_range
from .weights import recurrent_weights as recurrent_weights
from .weights import recurrent_weights_of as recurrent_weights_of
from .weights import weight_histograms as weight_histograms
from .weights import weight_histograms_of as weight_histograms_of
from .weights import weight_shares as weight_shares
