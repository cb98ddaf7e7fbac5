"""The recurrence as one operator, `torch.ops.indrnn.recur`, for whoever sees operations of torch alone.

torch.compile would unroll the loop over time, 73 seconds for 200 steps. To it, to make_fx, fake tensors and wrappers
of tensors this operator is one opaque step, and whichever engine `auto` means runs inside. torch.export gets torch's
own scan instead: what it saves is loaded where nobody imports us, and runs for any number of steps. torch.jit.trace
writes down `steps`, in TorchScript, where the loop stays a loop, so that a traced net takes sequences of any length.
"""

from __future__ import annotations

import sys
import warnings
from contextvars import ContextVar
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from ..errors import ParameterError
from . import autograd, engine_loop, engine_torch
from .activation import ACTIVATIONS, SLOPE
from .autograd import Engine, folded, gradients
from .engines import choose
from .observers import dispatched, functionalized, plain, traced, transformed

exporting: ContextVar[bool] = ContextVar("exporting", default=False)  # are translations to ONNX at hand?


def run(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> Tensor:
    """The states, in the way that suits who looks on: the operator, unless a transform wants something else."""
    if torch.compiler.is_compiling():
        if torch.compiler.is_exporting() and not _writes_onnx():
            return scanned(a, u, h0, activation)
        if backend == "loop" and not torch.compiler.is_exporting():
            return engine_loop.recur(a, u, h0, activation)
        return recur(a, u, h0, activation, backend)  # type: ignore[no-any-return]
    refuse_export()
    if dispatched():
        _tell_counters()
    engine = choose(a, activation, backend)
    if traced():
        return compiled()(a, u, h0, activation, SLOPE)  # type: ignore[no-any-return]
    if functionalized() or (backend == "loop" and not (dispatched() and plain(a, u, h0))):
        return engine_loop.recur(a, u, h0, activation)
    if transformed():
        return autograd.recur(a, u, h0, activation, engine, False)
    _tell_of_shards(a, u, h0)
    return recur(a, u, h0, activation, backend)  # type: ignore[no-any-return]


def scanned(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The states by torch's higher-order operator `scan`, as torch.export writes them down: one step, for every T."""
    from torch._higher_order_ops.scan import scan  # it loads the compiler, a second and a half

    dtype, wide, f = a.dtype, torch.promote_types(a.dtype, torch.float32), ACTIVATIONS[activation].value
    h0, a, u = h0.to(wide).contiguous(), a.to(wide).contiguous(), u.to(wide)

    def step(h: Tensor, a_t: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        h = f(a_t + u * h)
        return h, h.clone()  # what is carried and what is kept may not be one

    if torch.compiler.is_dynamo_compiling():
        h: Tensor = scan(lambda h, a_t: step(h, a_t, u), h0, a)[1]
    else:  # where `scan` itself would start a compiler, which takes seconds
        h = torch.ops.higher_order.scan(step, [h0], [a], (u,))[1]
    return h.to(dtype)


def _writes_onnx() -> bool:
    """Does torch.onnx.export run? It has a translation of our operator, or fails by it."""
    return bool(torch.onnx.is_in_onnx_export())


# What torch.compiler.assume_constant_result sets, without loading the compiler: its answer is asked, not traced.
_writes_onnx._dynamo_marked_constant = True  # type: ignore[attr-defined]


def refuse_export() -> None:
    """A ParameterError where torch.onnx.export runs without our translations."""
    if torch.onnx.is_in_onnx_export() and not exporting.get():
        raise ParameterError("ONNX: torch.onnx.export alone cannot; use workbench.recurrence.onnx.export")


@torch.library.custom_op("indrnn::recur", mutates_args=())
def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N)."""
    return _engine(backend, activation, a, u, h0).forward(a, u, h0, activation, False)


@torch.library.custom_op("indrnn::recur_backward", mutates_args=())
def recur_backward(
    g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    """From the gradient g of h (T, B, N): those of a (T, B, N), u (N,) and h0 (B, N)."""
    g, h = g.contiguous(), h.contiguous()
    return _engine(backend, activation, g, h, u, h0).backward(g, h, u, h0, activation)


def _engine(backend: str, activation: str, *tensors: Tensor) -> Engine:
    """The engine that is named; made of torch's operations where the values are not to be had otherwise."""
    engine: Any = choose(tensors[0], activation, backend)
    return engine if plain(*tensors) else engine_torch


@recur.register_fake
def _(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> Tensor:
    refuse_export()
    return torch.empty_like(a, memory_format=torch.contiguous_format)


@recur_backward.register_fake
def _(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    d, grad_u, grad_h0 = (torch.empty_like(v, memory_format=torch.contiguous_format) for v in (h, u, h0))
    return d, grad_u, grad_h0


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, u, h0, ctx.activation, ctx.backend = inputs
    ctx.save_for_backward(output, u, h0)


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    h, u, h0 = ctx.saved_tensors
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # it shall be differentiated again
        return *gradients(g, h, u, h0, ctx.activation), None, None
    return *recur_backward(g, h, u, h0, ctx.activation, ctx.backend), None, None


recur.register_autograd(_gradients, setup_context=_keep)


@recur.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], a: Tensor, u: Tensor, h0: Tensor, *rest: Any) -> tuple[Tensor, int]:
    a, u, h0 = folded(info.batch_size, in_dims, a, u, h0)
    h: Tensor = recur(a.flatten(-2), u.flatten(), h0.flatten(-2), *rest)
    return h.view(a.shape), 2


@recur_backward.register_vmap
def _(
    info: Any, in_dims: tuple[int | None, ...], g: Tensor, h: Tensor, u: Tensor, h0: Tensor, *rest: Any
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, int, int]]:
    g, h, u, h0 = folded(info.batch_size, in_dims, g, h, u, h0)
    d, grad_u, grad_h0 = recur_backward(g.flatten(-2), h.flatten(-2), u.flatten(), h0.flatten(-2), *rest)
    return (d.view(h.shape), grad_u.view(u.shape), grad_h0.view(h0.shape)), (2, 0, 1)


@cache
def count_flops() -> None:
    """Tell torch's FLOP counter, once, what the operators cost; it loads Triton, so importing us must not do it."""
    from torch.utils.flop_counter import register_flop_formula

    @register_flop_formula(torch.ops.indrnn.recur)
    def _(a: tuple[int, ...], *_: Any, **__: Any) -> int:
        """A product and a sum a step."""
        return 2 * prod(a)

    @register_flop_formula(torch.ops.indrnn.recur_backward)
    def _(g: tuple[int, ...], *_: Any, **__: Any) -> int:
        """Twice as many: one for the gradient of the state, one for that of u."""
        return 4 * prod(g)


def _tell_counters() -> None:
    """Let the FLOP counters that are at work know our operators: each has copied the table as it was before."""
    if "torch.utils.flop_counter" not in sys.modules:
        return
    count_flops()
    from torch.utils.flop_counter import flop_registry

    for mode in _get_current_dispatch_mode_stack():
        known = getattr(getattr(mode, "counter", None), "flop_registry", {})
        for operator in (torch.ops.indrnn.recur, torch.ops.indrnn.recur_backward):
            known.setdefault(operator, flop_registry[operator])


# --- in TorchScript ---


def steps(a: Tensor, u: Tensor, h0: Tensor, activation: str, slope: float) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), in the part of Python that TorchScript knows; half precision has a
    float32 state."""
    wide = torch.float64 if a.dtype == torch.float64 else torch.float32
    weight, h = u.to(wide), h0.to(wide)
    states: list[Tensor] = []
    for a_t in a.to(wide).unbind(0):
        z = a_t + weight * h
        if activation == "relu":
            h = torch.relu(z)
        elif activation == "tanh":
            h = torch.tanh(z)
        elif activation == "leaky_relu":
            h = torch.nn.functional.leaky_relu(z, slope)
        else:
            h = z
        states.append(h)
    return torch.stack(states).to(a.dtype)


@cache
def compiled() -> Any:
    """`steps`, compiled once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript: who traces has chosen it
        return torch.jit.script(steps)


# --- spread over machines ---


def _tell_of_shards(*tensors: Tensor) -> None:
    """Tell PyTorch, on the first sight of a DTensor, how the operator is cut: sequences and neurons are independent.

    Cut along the batch, or along the neurons, each part is computed where it lies; the gradient of u is then a sum over
    the parts of the batch. Time cannot be cut: DTensor gathers it first.
    """
    module = sys.modules.get("torch.distributed.tensor")
    if module is not None and any(isinstance(tensor, module.DTensor) for tensor in tensors):
        _register_shards()


@cache
def _register_shards() -> None:
    from torch.distributed.tensor import Partial, Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    whole = Replicate()

    @register_sharding(torch.ops.indrnn.recur.default)  # type: ignore[untyped-decorator]
    def _(a: Any, u: Any, h0: Any, activation: str, backend: str) -> list[Any]:
        return [
            ([whole], [whole, whole, whole, None, None]),
            ([Shard(1)], [Shard(1), whole, Shard(0), None, None]),
            ([Shard(2)], [Shard(2), Shard(0), Shard(1), None, None]),
        ]

    @register_sharding(torch.ops.indrnn.recur_backward.default)  # type: ignore[untyped-decorator]
    def _(g: Any, h: Any, u: Any, h0: Any, activation: str, backend: str) -> list[Any]:
        return [
            ([whole] * 3, [whole, whole, whole, whole, None, None]),
            ([Shard(1), Partial(), Shard(0)], [Shard(1), Shard(1), whole, Shard(0), None, None]),
            ([Shard(2), Shard(0), Shard(1)], [Shard(2), Shard(2), Shard(0), Shard(1), None, None]),
        ]
