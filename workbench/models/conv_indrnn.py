"""`ConvIndRNN`: the IndRNN layer for sequences of images or signals, its product a convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import recurrence
from ..errors import InputError, ParameterError, quoted
from . import settings
from .layer import Recurrent

Sizes = int | tuple[int, ...]


class ConvIndRNN(Recurrent):
    """One layer that convolves each frame and, at each place, remembers what the same channel said there before.

        h_t = f(W * x_t + b + u * h_{t-1})        Li et al. 2019, section 3; W * x_t a convolution, u one a channel

    `kernel_size`: (height, width) for frames (C, H, W), (width,) for signals (C, L); a whole number for square ones of
    frames. `stride`, `padding` and `dilation` as in torch.nn.Conv2d; `conv` is one, or a Conv1d. `bound`: |u| starts
    in [0, bound) and `clamp_()` brings it back after a step; None starts u in [0, 1) and leaves it free.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        *,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        bias: bool = True,
        activation: str = "relu",
        bound: float | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        dimensions = 1 if isinstance(kernel_size, tuple) and len(kernel_size) == 1 else 2
        (inputs,), (outputs,) = _sizes("in_channels", in_channels, 1), _sizes("out_channels", out_channels, 1)
        steps = _sizes("stride", stride, dimensions)
        if isinstance(padding, str):
            if padding not in ("same", "valid") or (padding == "same" and max(steps) > 1):
                raise ParameterError(f"padding: {padding!r} received; sizes, 'valid', or at stride 1 'same' are needed")
        else:
            padding = _sizes("padding", padding, dimensions, least=0)
        convolution = nn.Conv1d if dimensions == 1 else nn.Conv2d
        self.conv: nn.Conv1d | nn.Conv2d = convolution(
            inputs,
            outputs,
            _sizes("kernel_size", kernel_size, dimensions),  # type: ignore[arg-type]
            stride=steps,  # type: ignore[arg-type]
            padding=padding,  # type: ignore[arg-type]
            dilation=_sizes("dilation", dilation, dimensions),  # type: ignore[arg-type]
            bias=settings.flag("bias", bias),
        )
        self.bound, self.activation = settings.bound("bound", bound), settings.activation("activation", activation)
        self.backend = settings.backend("backend", backend)
        self.u = nn.Parameter(torch.empty(outputs).uniform_(0, 1 if bound is None else bound))

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (T, B, C, H, W), or (T, B, C, L), and h0 (B, C', H', W'), zeros if None -> all states (T, B, C', H', W')
        and the last (B, C', H', W'); B may be 0. Raises InputError (a RuntimeError and ValueError) for a shape, dtype
        or device that does not fit, KindError (a TypeError) for what is no tensor."""
        frame, channels = len(self.conv.kernel_size), self.conv.in_channels
        if not isinstance(x, Tensor) or x.ndim != 3 + frame or x.shape[2] != channels or len(x) == 0:
            raise settings.wrong("x", x, f"(T, B, {channels}, {'H, W' if frame == 2 else 'L'}), T at least 1,")
        try:
            a = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        except RuntimeError as error:  # a kernel larger than the padded frame, another dtype or device
            raise InputError(f"x: {str(error).splitlines()[0]}") from None
        places = a.shape[3:]
        before = None
        if h0 is not None:
            settings.state_fits(h0, tuple(a.shape[1:]), self.conv.weight)
            before = h0.flatten(1).to(a.dtype)  # under autocast they may differ
        u = self.u.repeat_interleave(places.numel())  # the recurrence knows neurons: channels times places
        h = recurrence.recur(a.flatten(2), u, before, activation=self.activation, backend=self.backend)
        out = h.unflatten(2, a.shape[2:])
        return out, out[-1]

    def extra_repr(self) -> str:
        return f"activation={self.activation}, bound={self.bound}"


def _sizes(name: str, value: Sizes, count: int, least: int = 1) -> tuple[int, ...]:
    """A size for each of `count` dimensions, or a ParameterError."""
    sizes = value if isinstance(value, tuple) else (value,) * count
    if len(sizes) != count or not all(type(size) is int and least <= size < 2**31 for size in sizes):
        numbers = "a whole number" if count == 1 else f"a whole number, or {count} of them,"
        raise ParameterError(f"{name}: {quoted(value)} is not a size; {numbers} from {least} on is needed")
    return sizes
