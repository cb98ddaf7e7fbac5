"""From data to the explorers' pictures: pure, one function a picture, one file an explorer."""

from __future__ import annotations

from ..wording import NAMES as NAMES
from ..wording import fading as fading
from ..wording import span as span
from .architecture import architecture as architecture
from .architecture import shares as shares
from .bounds import funnel as funnel
from .bounds import neurons_by_layer as neurons_by_layer
from .bounds import survival as survival
from .bounds import tightening as tightening
from .depth import by_layer as by_layer
from .depth import by_step as by_step
from .depth import costs as costs
from .depth import gradient_maps as gradient_maps
from .length import learning as learning
from .length import remembered as remembered
from .length import step_costs as step_costs
from .neurons import painted as painted
from .neurons import painted_steps as painted_steps
from .neurons import painted_text as painted_text
from .neurons import responses as responses
from .neurons import roll as roll
from .neurons import surprise as surprise
from .neurons import trace as trace
from .neurons import votes as votes
