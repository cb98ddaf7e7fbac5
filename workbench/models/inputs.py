"""Tensors that come into a layer: whether their shape, dtype and device fit its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, KindError


def fits(x: Tensor, weight: Tensor) -> None:
    """An input (..., M) for a weight (N, M), or an InputError; autocast may change the dtype."""
    if x.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise InputError(f"x: dtype {x.dtype} received; the layer holds {weight.dtype}, convert one of them")
    if x.device != weight.device:
        raise InputError(f"x: on {x.device}; the layer is on {weight.device}, move one of them")
    if x.shape[-1] != weight.shape[1]:
        raise InputError(f"x: {x.shape[-1]} features received; input_size is {weight.shape[1]}")


def state_fits(h0: object, shape: tuple[int, ...], weight: Tensor) -> None:
    """A state before the first step that has this shape and the weight's dtype and device, or an error of ours."""
    if not isinstance(h0, Tensor):
        raise KindError(f"h0: {type(h0).__name__} received; a tensor, or None, is needed")
    if tuple(h0.shape) != shape:
        raise InputError(f"h0: shape {tuple(h0.shape)} received; {shape} is needed")
    if h0.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise InputError(f"h0: dtype {h0.dtype} received; the layer holds {weight.dtype}, convert one of them")
    if h0.device != weight.device:
        raise InputError(f"h0: on {h0.device}; the layer is on {weight.device}, move one of them")


def got(x: object) -> str:
    """Description of a received value, for a message: a tensor's shape, or a kind."""
    return f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__


def by_name(input: Any, hx: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    """The input and the state, whichever names they came by."""
    for name, also, value in (("x", "input", input), ("h0", "hx", hx)):
        if value is not None and named.get(name) is not None:
            raise KindError(f"{also}: received beside {name}; both name the same, give one")
    if unknown := sorted(named.keys() - {"x", "h0"}):
        raise KindError(f"{unknown[0]}: forward takes no such argument; choose one of input, x, hx, h0, lengths")
    x, h0 = named.get("x"), named.get("h0")
    return (input if x is None else x), (hx if h0 is None else h0)
