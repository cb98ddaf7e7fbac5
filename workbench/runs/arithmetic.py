"""A hash of what arithmetic gives in this process: two that agree compute a run alike, bit for bit, on one thread.

It is taken over results, not over names of processors: fixed products, sums and functions, one step of Adam, and a
training step of a tiny net with each engine and of an LSTM. Nothing in it is random and no random state is touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from .. import recurrence

ENGINES = ("loop", "torch", "cpu", "scan")
PRODUCTS = ((1, 2, 128), (32, 128, 128), (50, 11, 64), (64, 129, 100), (250, 200, 400))  # (rows, inner, columns)


@cache
def arithmetic() -> str:
    """Twelve hex digits, computed once a process, on one thread of the CPU; an engine that cannot run changes them."""
    digest, threads = hashlib.sha256(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.enable_grad():
            for value in _values():
                digest.update(value.encode() if isinstance(value, str) else value.detach().numpy().tobytes())
    finally:
        torch.set_num_threads(threads)
    return digest.hexdigest()[:12]


def _values() -> Iterator[Tensor | str]:
    for rows, inner, columns in PRODUCTS:
        x, w = numbers(rows, inner), numbers(columns, inner)
        yield from (x @ w.T, nn.functional.linear(x, w, w[:, 0]), (x @ w.T).T @ x)
    x = numbers(37, 129)
    yield from (x.exp(), x.tanh(), x.sigmoid(), x.sqrt(), x.log_softmax(-1), (x * 3).cos(), x.double().exp())
    yield from (x.sum(), x.sum(0), x.mean(1), x.var(0), x.norm(), (x * x).cumsum(0))
    yield from _adam(x)
    for engine in ENGINES:
        yield engine
        yield from _step(engine) if recurrence.unavailable(engine) is None else ["unavailable"]
    yield from _lstm()


def _adam(x: Tensor) -> list[Tensor]:
    weight = nn.Parameter(x.clone())
    adam = torch.optim.Adam([weight], lr=1e-3, weight_decay=1e-4)
    for _ in range(2):
        weight.grad = x * x
        adam.step()
    return [weight]


def _step(engine: str) -> list[Tensor]:
    """A layer of 10 steps, 5 sequences, 19 neurons under batch norm, forward and backward."""
    x, weight, u = numbers(10, 5, 17), _leaf(19, 17), _leaf(19)
    h = recurrence.layer(x, weight, None, u, backend=engine)
    loss = (nn.functional.batch_norm(h.flatten(0, 1), None, None, training=True) ** 3).sum()
    return [h, loss, *torch.autograd.grad(loss, (weight, u))]


def _lstm() -> list[Tensor]:
    """An LSTM of 7 steps, 5 sequences, 24 neurons, forward and backward."""
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, then replaced
        net = nn.LSTM(3, 24)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(numbers(*weight.shape) / 2)
    h = net(numbers(7, 5, 3))[0]
    return [h, *torch.autograd.grad((h**2).sum(), list(net.parameters()))]


def _leaf(*shape: int) -> Tensor:
    return numbers(*shape).div_(2).requires_grad_()


def numbers(*shape: int) -> Tensor:
    """Float32 numbers between 0.001 and 1 that are the same everywhere: whole numbers, one exact division."""
    count = torch.Size(shape).numel()
    return (torch.arange(1, count + 1) * 7919 % 1009 + 1).float().div_(1024).view(shape)
