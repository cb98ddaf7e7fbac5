"""A drop-in case: something people do with torch.nn.RNN, written once and done with either layer.

A case takes `make`, which makes the layer: torch.nn.RNN, the control, or wb.IndRNN with one engine. It passes if it
returns. `control` False: only ours has the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import workbench as wb

CONTROL = "nn.RNN"
ENGINES = ("auto", *wb.available())


@dataclass(frozen=True)
class Make:
    """Makes the layer of one subject, with the same weights every time; relu unless a case says otherwise."""

    subject: str

    @property
    def ours(self) -> bool:
        return self.subject != CONTROL

    def __call__(self, *args: Any, **settings: Any) -> nn.Module:
        torch.manual_seed(0)
        if len(args) < 4:
            settings.setdefault("nonlinearity", "relu")
        if not self.ours:
            return nn.RNN(*args, **settings)
        layer = wb.IndRNN(*args, **settings, backend=self.subject)
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                if name.startswith("u_"):
                    parameter.mul_(0.9)
        return layer


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    call: Callable[[Make], object]
    control: bool


CASES: dict[str, Case] = {}


def case(group: str, control: bool = True) -> Callable[[Callable[[Make], object]], Callable[[Make], object]]:
    """Enter a function as a case; its name is the sentence that the table shows."""

    def enter(call: Callable[[Make], object]) -> Callable[[Make], object]:
        name = call.__name__.replace("_", " ").strip()
        assert name not in CASES, name
        CASES[name] = Case(group, name, call, control)
        return call

    return enter


def drawn(*shape: int, seed: int = 1, **more: Any) -> Tensor:
    """Random numbers, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=more.pop("dtype", None)).to(**more)


def sequences(**more: Any) -> Tensor:
    """Four sequences of six steps and three features."""
    return drawn(6, 4, 3, **more)


@contextmanager
def raises(*kinds: type[Exception]) -> Iterator[None]:
    """An error that is of every one of these kinds."""
    caught: list[Exception] = []
    try:
        yield
    except Exception as error:
        caught.append(error)
    assert caught, f"no {kinds[0].__name__}"
    wrong = [kind.__name__ for kind in kinds if not isinstance(caught[0], kind)]
    assert not wrong, f"{type(caught[0]).__name__} is no {wrong[0]}: {str(caught[0])[:80]}"


def gradients(out: Tensor, layer: nn.Module, *more: Tensor) -> list[Tensor]:
    """Of the sum of squares: those of every parameter, and of `more`."""
    return list(torch.autograd.grad(out.square().sum(), [*layer.parameters(), *more]))


def by_hand(layer: nn.Module, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The equation written out for either kind: x (T, B, M) -> (T, B, directions N), (layers directions, B, N)."""
    directions = ("", "_reverse") if layer.bidirectional else ("",)
    f, finals = {"relu": torch.relu, "tanh": torch.tanh}[layer.nonlinearity], []
    for k in range(layer.num_layers):
        outs = []
        for suffix in directions:
            p = {
                n.removesuffix(f"_l{k}{suffix}"): v for n, v in layer.named_parameters() if n.endswith(f"_l{k}{suffix}")
            }
            h = x.new_zeros(x.shape[1], layer.hidden_size) if h0 is None else h0[len(finals)]
            steps = []
            for x_t in x.flip(0) if suffix else x:
                a = x_t @ p["weight_ih"].T + sum(v for n, v in p.items() if n.startswith("bias"))
                h = f(a + (h @ p["weight_hh"].T if "weight_hh" in p else p["u"] * h))
                steps.append(h)
            finals.append(h)
            outs.append(torch.stack(steps[::-1] if suffix else steps))
        x = torch.cat(outs, -1)
    return x, torch.stack(finals)
