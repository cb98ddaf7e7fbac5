"""A whole training step: forward, loss, backward and Adam, of the six-layer net for sequential MNIST."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...models import build
from ...paper import experiment
from ...runs.asked import pinned_threads
from ...tasks.contract import Spec
from ...training.cuda_graphs import graphed
from .layers import multiplied, products
from .timing import PRECISIONS, Rivals, Row, compared, interleave, products_in


def training_step(threads: Sequence[int] = (1,), device: str = "cpu", repeats: int = 5, T: int = 784) -> list[Row]:
    """A training step of `seqmnist_plain6`, at its published sizes if T is 784, against six layers of torch.nn.LSTM and
    the official composition: layer by layer a product, a Python loop over time, batch norm on the (B, N, T) view.

    The floor is the products of its five square layers, at the fastest that was seen. On a CUDA device ours and the
    LSTM also run as CUDA graphs.
    """
    rows: list[Row] = []
    for count in threads if device == "cpu" else [torch.get_num_threads()]:
        with pinned_threads(count):
            row = {"table": "step", "shape": "seqmnist_plain6 step", "T": T, "device": device, "threads": count}
            for precision in PRECISIONS[: 1 if device == "cpu" else None]:
                with products_in(precision, device) as column:
                    times = interleave(_rivals(T, device), repeats, device)
                    rows += compared(row | column, times, 5 * multiplied(times))
    return rows


def _rivals(T: int, device: str) -> Rivals:
    config, spec = experiment("seqmnist_plain6").config, Spec(inputs=1, outputs=10, steps=T, target="class")
    B, N, depth = config.train.batch, config.model.hidden, config.model.depth
    chance = torch.Generator().manual_seed(0)
    nets = {
        "ours": build(config.model, spec, chance),
        "nn.LSTM": _LastStep(nn.LSTM(1, N, depth), nn.Linear(N, 10)),
        "official": _Official(N, depth, config.model.dropout),
    }
    x = torch.rand(T, B, 1, generator=chance).to(device)
    y = torch.randint(10, (B,), generator=chance).to(device)
    wide, weight = torch.randn(T, B, N, generator=chance).to(device), torch.randn(N, N, generator=chance).to(device)
    rivals: Rivals = {name: _step(net.to(device), x, y) for name, net in nets.items()}
    if device != "cpu":
        rivals |= {f"{name}, graph": graphed(rivals[name]) for name in ("ours", "nn.LSTM")}
    return rivals | products(wide, wide, weight, True)


def _step(net: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    capturable = next(net.parameters()).is_cuda  # within a CUDA graph the optimiser's step count lies on the device
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4, fused=True, capturable=capturable)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    return step


class _LastStep(nn.Module):
    """A recurrent net of torch.nn, read at its last step."""

    def __init__(self, rnn: nn.LSTM, readout: nn.Linear):
        super().__init__()
        self.rnn, self.readout = rnn, readout

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.readout(self.rnn(x)[0][-1])
        return out


class _Official(nn.Module):
    """The six layers as the official PyTorch code composes them where it runs without its CUDA kernel."""

    def __init__(self, N: int, depth: int, dropout: float):
        super().__init__()
        self.products = nn.ModuleList(nn.Linear(1 if i == 0 else N, N) for i in range(depth))
        self.weights = nn.ParameterList(torch.rand(N) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(N) for _ in range(depth))
        self.readout, self.dropout = nn.Linear(N, 10), dropout

    def forward(self, x: Tensor) -> Tensor:
        for product, u, norm in zip(self.products, self.weights, self.norms, strict=True):
            T, B, M = x.shape
            a = product(x.reshape(T * B, M)).view(T, B, -1)
            h, states = torch.zeros_like(a[0]), []
            for a_t in a.unbind(0):
                h = torch.relu(a_t + u.expand_as(h) * h)
                states.append(h)
            x = norm(torch.stack(states).permute(1, 2, 0)).permute(2, 0, 1)
            mask = nn.functional.dropout(torch.ones_like(x[0]), self.dropout)
            x = x * mask
        out: Tensor = self.readout(x[-1])
        return out
