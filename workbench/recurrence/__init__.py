"""One operation, the recurrence of an IndRNN layer, with one signature and one file an engine.

`loop` is the specification; the others are faster and equal to it in value and gradient.
"""

from __future__ import annotations

from .dispatch import ENGINES as ENGINES
from .dispatch import available as available
from .dispatch import chosen as chosen
from .dispatch import layer as layer
from .dispatch import recur as recur
from .dispatch import refuses as refuses
from .dispatch import unavailable as unavailable

__all__ = ["ENGINES", "available", "chosen", "layer", "recur", "refuses", "unavailable"]
