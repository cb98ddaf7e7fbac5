"""Tensor-likes that answer for themselves (`__torch_function__`), as torch's own functions let them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function


def overridden(function: Callable[..., Tensor], arguments: tuple[Any, ...], **settings: Any) -> Tensor:
    """Hand a call to the arguments' own `__torch_function__`, or to a mode, and return its answer."""
    answer: Tensor = handle_torch_function(function, arguments, *arguments, **settings)
    return answer
