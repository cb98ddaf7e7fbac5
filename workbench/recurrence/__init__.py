"""One operation, the recurrence of an IndRNN layer, with one signature and one file an engine.

`loop` is the specification; the others are faster and equal to it in value and gradient.
"""

from __future__ import annotations

from .engines import ENGINES as ENGINES
from .engines import available as available
from .engines import chosen as chosen
from .engines import refuses as refuses
from .engines import unavailable as unavailable
from .functional import layer as layer
from .functional import linear as linear
from .functional import neurons as neurons
from .functional import normalize as normalize
from .functional import recur as recur
