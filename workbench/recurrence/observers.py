"""Who looks on while a recurrence runs, and which tensors hold their values where torch keeps them.

C reads memory: it is given only tensors that are `plain`, and is called only where nobody follows the operations.
Transforms of torch.func, forward derivatives, dispatch modes (fake tensors, make_fx, the FLOP counter) and tracers
see operations of torch alone, so a recurrence under one of them is such an operation, or made of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

_keys_of = torch._C._dispatch_keys
_transforms, _modes = torch._C._are_functorch_transforms_active, torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
_judged: dict[int, bool] = {}  # by the dispatch keys of a tensor


def observed() -> bool:
    """Does a transform, a dispatch mode, a tracer or a forward derivative follow what is done?"""
    return _transforms() or _modes() > 0 or _tracing() or forward_ad._current_level >= 0


def transformed() -> bool:
    """Is a transform of torch.func at work, or a forward derivative? They ask for a rule of each function."""
    return bool(_transforms()) or forward_ad._current_level >= 0


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
    """Is each dense, on a device, its values as they stand in memory: nothing fake, wrapped, batched or negated?"""
    for tensor in tensors:
        keys = _keys_of(tensor)
        number = keys.raw_repr()
        if number not in _judged:
            _judged[number] = _is_plain(str(keys))
        if not _judged[number]:
            return False
    return True


def _is_plain(keys: str) -> bool:
    """From `DispatchKeySet(CPU, ADInplaceOrView, AutogradCPU, AutocastCPU)`: of one device, and nothing besides."""
    names = keys.removeprefix("DispatchKeySet(").removesuffix(")").split(", ")
    device = names[0]
    return device != "Meta" and set(names[1:]) <= {"ADInplaceOrView", f"Autograd{device}", f"Autocast{device}"}
