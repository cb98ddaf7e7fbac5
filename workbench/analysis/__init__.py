"""From records to numbers and figures. Its own names: what u keeps of the past, and for how long.

They load when they are first used, for a listing needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..files import names_of

if TYPE_CHECKING:
    from .memory import bounds_table as bounds_table
    from .memory import by_length as by_length
    from .memory import deviation as deviation
    from .memory import gradient_through_time as gradient_through_time
    from .memory import impulse_response as impulse_response
    from .memory import last_tokens as last_tokens
    from .memory import memory_of as memory_of
    from .memory import neuron_gradients as neuron_gradients
    from .memory import official_ranges as official_ranges
    from .memory import ranges_table as ranges_table
    from .memory import untrained_memory as untrained_memory

__all__ = sorted(names_of(__file__))


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(".memory", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
