"""Checks of a layer for code of your own: its settings, by name and value when it is made and when one is set; and the
tensors that come into it, whether their shape, dtype and device fit its weights."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from .. import recurrence
from ..errors import FixedError, InputError, KindError, ParameterError, choices, quoted, whole
from ..recurrence.activation import ACTIVATIONS
from .bounds import positive


def size(name: str, value: object) -> int:
    """A number of neurons, features or layers."""
    return whole(name, value, 1, 2**31 - 1, "a size")


def flag(name: str, value: object) -> bool:
    """True or False and nothing that merely counts as such: the text "False" would count as true."""
    if not isinstance(value, bool):
        raise KindError(f"{name}: {quoted(value)} received; True or False is needed")
    return value


def probability(name: str, value: object) -> float:
    """A share of values to drop, 0 to 1, both allowed."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0 <= value <= 1):  # type: ignore[operator]
        raise (ParameterError if number else KindError)(f"{name}: {quoted(value)} is not a probability in [0, 1]")
    return float(value)  # type: ignore[arg-type]


def activation(name: str, value: Any) -> str:
    """The name of an activation, a key of `ACTIVATIONS`."""
    if value not in tuple(ACTIVATIONS):
        raise ParameterError(f"{name}: {quoted(value)} is unknown; choose one of {choices(ACTIVATIONS)}")
    return str(value)


def bound(name: str, value: Any) -> float | None:
    """A bound on |u|, above 0, or None."""
    if value is not None and not positive(value):
        raise ParameterError(f"{name}: {quoted(value)} cannot bound |u|; a finite number above 0 is needed, or None")
    return None if value is None else float(value)


def backend(name: str, value: Any) -> str:
    """`auto`, or the name of an engine that can run here."""
    if value != "auto" and (reason := recurrence.unavailable(value)) is not None:
        raise ParameterError(f"{name}: {value!r} cannot run here: {reason}")
    return str(value)


def place(device: torch.device | str | None, dtype: torch.dtype | None) -> dict[str, Any]:
    """The device and dtype of the parameters, as keywords, tried out on an empty tensor."""
    made: dict[str, Any] = {"device": device, "dtype": dtype}
    for name, value in made.items():
        try:
            tried = torch.empty(0, **{name: value})
        except (RuntimeError, TypeError, AssertionError) as error:
            here = torch.accelerator.current_accelerator()  # what torch says of a device it lacks fills a page
            there = "cpu" if here is None else f"cpu or {here.type}"
            reason = f"torch finds no such device; choose {there}" if name == "device" else str(error).splitlines()[0]
            raise ParameterError(f"{name}: {quoted(value)} cannot be used here: {reason}") from None
        if not tried.is_floating_point():
            raise ParameterError(f"{name}: {value} received; a floating-point dtype is needed")
    return made


_CHANGEABLE: dict[str, Callable[[str, Any], Any]] = {"batch_first": flag, "dropout": probability}
_CHANGEABLE |= {"activation": activation, "bound": bound, "backend": backend}
_FIXED = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional", "mode", "proj_size")


class Settings(nn.Module):
    """A layer with the settings of `IndRNN`: a change is checked and obeyed, or refused where weights rest on it."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    activation: str
    bound: float | None
    backend: str
    __jit_unused_properties__ = ("all_weights", "mode", "nonlinearity", "proj_size")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHANGEABLE:
            value = _CHANGEABLE[name](name, value)
        elif name in _FIXED and (name in self.__dict__ or name in ("mode", "proj_size")):
            now = getattr(self, name)
            if value is not now and value != now:
                raise FixedError(f"{name}: {quoted(value)} received; it is {now!r} since the layer was made")
        else:
            super().__setattr__(name, value)
            return
        self.__dict__[name] = value

    @property
    def nonlinearity(self) -> str:
        """torch.nn.RNN's name for `activation`."""
        return self.activation

    @nonlinearity.setter
    def nonlinearity(self, value: str) -> None:
        self.activation = activation("nonlinearity", value)

    @property
    def mode(self) -> str:
        """`INDRNN_RELU` and so on, by the activation."""
        return f"INDRNN_{self.activation.upper()}"

    @property
    def proj_size(self) -> int:
        """0: nothing is projected."""
        return 0

    def extra_repr(self) -> str:
        """The sizes, then whatever is not as it comes, as torch.nn.RNN prints itself."""
        usual: dict[str, object] = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0}
        usual |= {"bidirectional": False, "activation": "relu", "bound": None, "backend": "auto"}
        said = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *said])


# --- tensors ---


@torch.no_grad()
def clamp_(layer: nn.Module, name: str, bound: float | None) -> None:
    """Project a layer's u of this name into [-bound, bound], of a pruned one the values behind the mask.

    Raises ParameterError where a u beyond the bound is computed from other parameters: only they can change it.
    """
    kept = layer._parameters.get(name, layer._parameters.get(f"{name}_orig"))
    if bound is not None and kept is not None:
        kept.clamp_(-bound, bound)
    elif bound is not None and bool((getattr(layer, name).abs() > bound).any()):
        raise ParameterError(f"clamp_: {name} is computed from other parameters and beyond {bound}")


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
    if not isinstance(h0, Tensor) or tuple(h0.shape) != shape:
        raise wrong("h0", h0, f"{shape}" if isinstance(h0, Tensor) else f"a tensor of shape {shape}, or None,")
    if h0.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise InputError(f"h0: dtype {h0.dtype} received; the layer holds {weight.dtype}, convert one of them")
    if h0.device != weight.device:
        raise InputError(f"h0: on {h0.device}; the layer is on {weight.device}, move one of them")


def wrong(name: str, value: object, needed: str) -> ParameterError:
    """Error of a tensor of a wrong shape, or of what is no tensor."""
    if isinstance(value, Tensor):
        return InputError(f"{name}: shape {tuple(value.shape)} received; {needed} is needed")
    return KindError(f"{name}: {type(value).__name__} received; {needed} is needed")


def by_name(input: Any, hx: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    """The input and the state, whichever names they came by."""
    for name, also, value in (("x", "input", input), ("h0", "hx", hx)):
        if value is not None and named.get(name) is not None:
            raise KindError(f"{also}: received beside {name}; both name the same, give one")
    if unknown := sorted(named.keys() - {"x", "h0"}):
        raise KindError(f"{unknown[0]}: forward takes no such argument; choose one of input, x, hx, h0, lengths")
    x, h0 = named.get("x"), named.get("h0")
    return (input if x is None else x), (hx if h0 is None else h0)
