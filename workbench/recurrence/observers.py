"""Checks for observers of a running recurrence, and for tensors with their values where torch keeps them.

C reads memory: it is given only tensors that are `plain`, and is called only where nobody follows the operations.
Transforms of torch.func, forward derivatives, dispatch modes (fake tensors, make_fx, the FLOP counter) and tracers
see operations of torch alone, so a recurrence under one of them is such an operation, or made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import handle_torch_function

from ..errors import ParameterError

_transforms, _modes = torch._C._are_functorch_transforms_active, torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
_OWN = frozenset((Tensor, nn.Parameter))  # of these types are nearly all


def observed() -> bool:
    """Does a transform, a dispatch mode, a tracer or a forward derivative follow what is done?"""
    return _transforms() or _modes() > 0 or _tracing() or forward_ad._current_level >= 0


def transformed() -> bool:
    """Is a transform of torch.func at work, or a forward derivative? They ask for a rule of each function."""
    return bool(torch._C._are_functorch_transforms_active()) or forward_ad._current_level >= 0


def dispatched() -> bool:
    """Does a dispatch mode see every operation?"""
    return bool(_modes() > 0)


def traced() -> bool:
    """Does torch.jit.trace write down every operation?"""
    return bool(_tracing())


def functionalized() -> bool:
    """Is torch.func.functionalize among the transforms? It has no rule for a function of autograd."""
    stack = torch._C._functorch.get_interpreter_stack() or []
    return any(it.key() == torch._C._functorch.TransformType.Functionalize for it in stack)


def plain(*tensors: Tensor) -> bool:
    """Is each dense, on a device, its values as they stand in memory: nothing fake, wrapped, batched or negated?

    A ParameterError for one whose memory was freed: torch itself would read it, and crash.
    """
    try:
        for tensor in tensors:  # this line, not the next, is what an ordinary call pays for: 0.3 us
            if (type(tensor) not in _OWN or tensor.data_ptr() == 0 or tensor.is_neg()) and not _is_plain(tensor):
                return False
    except RuntimeError:  # torch's, of a tensor that has no storage
        return False
    return True


def _is_plain(tensor: Tensor) -> bool:
    """From its keys, `DispatchKeySet(CPU, ADInplaceOrView, AutogradCPU, AutocastCPU)`: those of one device alone."""
    names = str(torch._C._dispatch_keys(tensor)).removeprefix("DispatchKeySet(").removesuffix(")").split(", ")
    device = names[0]
    if device == "Meta" or not set(names[1:]) <= {"ADInplaceOrView", f"Autograd{device}", f"Autocast{device}"}:
        return False
    if tensor.data_ptr() == 0 and tensor.numel() > 0:
        raise ParameterError(f"storage: a tensor of shape {tuple(tensor.shape)} received whose memory was freed")
    return True


def overridden(function: Callable[..., Tensor], arguments: tuple[Any, ...], **settings: Any) -> Tensor:
    """Hand a call to the arguments' own `__torch_function__`, or to a mode, and return its answer."""
    answer: Tensor = handle_torch_function(function, arguments, *arguments, **settings)
    return answer
