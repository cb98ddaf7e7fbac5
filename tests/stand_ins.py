"""Stand-ins in PyTorch for the Triton kernels, one for one, where there is no Triton: each does what a kernel promises.

The kernels themselves run in `recurrence/test_engine_triton.py`. What is launched, with which sizes and constants, can
be looked at; a counter (counted.py) asks for no more than that.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import torch

from workbench import recurrence
from workbench.recurrence import engine_triton
from workbench.recurrence.activation import ACTIVATIONS

WIDE = {"float64": torch.float64, "float32": torch.float32}


class Launch:
    """One launch of a stand-in: its grid, sizes and constants, and the chains of the tensors that it was given."""

    def __init__(self, grid, given, constants):
        self.blocks, self.grid_chunks = grid
        count = next(i for i, v in enumerate(given) if isinstance(v, int))
        self.tensors, sizes = given[:count], given[count:]
        self.T, self.length, self.chains, self.N = sizes[0], sizes[1], sizes[-2], sizes[-1]
        self.rows = sizes[2]  # of sums, where there are any
        self.flow = constants
        self.act = ACTIVATIONS[constants.get("ACTIVATION", "relu")]
        self.wide = WIDE[constants["WIDE"]]
        assert (self.blocks - 1) * constants["BLOCK"] < self.chains <= self.blocks * constants["BLOCK"]
        assert all(tensor.is_contiguous() for tensor in self.tensors)
        assert constants.get("FLIGHT", 16) >= constants.get("UNROLL", 1)

    def lines(self, tensor):
        """(..., chains) of a tensor, the same memory."""
        return tensor.view(-1, self.chains)

    def weights(self, u):
        return u.to(self.wide).repeat(self.chains // self.N)

    def steps(self, chunk):
        """The steps of a chunk; a kernel takes UNROLL of them at a time and does not stop in between."""
        steps = range(chunk * self.length, min(self.T, (chunk + 1) * self.length))
        assert len(steps) % self.flow.get("UNROLL", 1) == 0
        return steps

    def run(self, a, weight, chunk, state, linear=False):
        """The states after each step of a chunk, from the one before it."""
        for t in self.steps(chunk):
            state = a[t].to(self.wide) + weight * state
            state = state if linear else self.act.value(state)
            yield t, state

    def back(self, g, h, weight, chunk, grad):
        for t in reversed(self.steps(chunk)):
            grad = self.act.derivative(h[t].to(self.wide)) * (g[t].to(self.wide) + weight * grad)
            yield t, grad


def states(on):
    a, u, before, h, sums = on.tensors
    a, h = map(on.lines, (a, h))
    for chunk in range(on.grid_chunks):
        state = torch.zeros(on.chains, dtype=on.wide)
        if not on.flow["ZERO"]:
            state = on.lines(before)[chunk].to(on.wide)
        for t, value in on.run(a, on.weights(u), chunk, state):
            h[t] = value
    if on.flow["MOMENTS"]:
        assert on.grid_chunks == 1
        on.lines(sums).copy_(torch.stack((h.double().sum(0), h.double().square().sum(0))))


def gradients(on):
    g, h, u, h0, after, d, learned, grad_h0, sums, found, gain, drop, normed = on.tensors
    g, h, d, learned = map(on.lines, (g, h, d, learned))
    weight = on.weights(u)
    if on.flow["NORM"] or on.flow["DROP"]:
        scale, factor, level = drawn_back(on, sums, found, gain, drop, normed)
        g = (level + h.to(on.wide) * factor) + g.to(on.wide) * scale if on.flow["NORM"] else g.to(on.wide) * scale
    for chunk in range(on.grid_chunks):
        grad = on.lines(after)[chunk] if on.flow["AFTER"] else torch.zeros(on.chains, dtype=on.wide)
        total, bias = torch.zeros_like(grad), torch.zeros_like(grad)
        for t, before in on.back(g, h, weight, chunk, grad):
            total += grad * h[t].to(on.wide)
            bias += before
            d[t] = grad = before
        if chunk == 0 and not on.flow["ZERO"]:
            total += grad * on.lines(h0)[0].to(on.wide)
            on.lines(grad_h0)[0] = weight * grad
        learned[chunk], learned[on.grid_chunks + chunk] = total, bias


def drawn_back(on, sums, found, gain, drop, normed):
    scale = drop.view(-1).to(on.wide) if on.flow["DROP"] else torch.ones(on.chains, dtype=on.wide)
    if not on.flow["NORM"]:
        return scale, 0, 0
    assert sums.shape == (2, on.rows, on.N)
    (plain, weighed), (mean, variance) = sums.sum(1), found
    inverse = 1 / torch.sqrt(variance + on.flow["EPS"])
    normed.copy_(torch.stack((weighed * inverse, plain)))
    slope = inverse * gain.double()
    line = slope.to(on.wide).repeat(on.chains // on.N) * scale
    slope = slope / -float(on.T * (on.chains // on.N))
    factor = (slope * inverse * inverse * weighed).to(on.wide)
    level = (slope * plain - mean * factor.double()).to(on.wide)
    return line, factor.repeat(on.chains // on.N), level.repeat(on.chains // on.N)


def normalize(on):
    h, sums, gain, shift, drop, y, found, mean_, variance_, tracked = on.tensors
    scale, level = torch.ones((), dtype=on.wide), torch.zeros((), dtype=on.wide)
    if on.flow["NORM"]:
        assert sums.shape == (2, on.rows, on.N)
        count = on.T * (on.chains // on.N)
        mean, square = sums.sum(1) / count
        variance = (square - mean * mean).clamp(0)
        scale = (gain.double() / torch.sqrt(variance + on.flow["EPS"])).to(on.wide)
        level = (shift.double() - mean * scale.double()).to(on.wide).repeat(on.chains // on.N)
        scale = scale.repeat(on.chains // on.N)
        found.copy_(torch.stack((mean, variance)))
        if on.flow["SHARE"] is not None:
            mean_ += on.flow["SHARE"] * (mean.to(on.wide) - mean_)
            variance_ += on.flow["SHARE"] * ((variance * (count / (count - 1))).to(on.wide) - variance_)
            tracked += 1
    if on.flow["DROP"]:
        scale, level = scale * drop.view(-1).to(on.wide), level * drop.view(-1).to(on.wide)
    on.lines(y).copy_(level + on.lines(h).to(on.wide) * scale)


def weigh(on):
    g, h, found, drop, sums = on.tensors
    g, h = on.lines(g).double(), on.lines(h).double()
    off = h - found[0].repeat(on.chains // on.N)
    keep = drop.view(-1).double() if on.flow["DROP"] else 1.0
    on.lines(sums).copy_(torch.stack((g.sum(0) * keep, (g * off).sum(0) * keep)))


def summarise_states(on):
    a, u, p, lo, hi = on.tensors
    a, p, lo, hi = map(on.lines, (a, p, lo, hi))
    top = torch.full((on.chains,), on.flow["TOP"], dtype=on.wide)
    for chunk in range(on.grid_chunks):
        (*_, (_, p[chunk])) = on.run(a, on.weights(u), chunk, torch.zeros_like(top), linear=True)
        ends = [list(on.run(a, on.weights(u), chunk, state))[-1][1] for state in (-top, top)]
        lo[chunk], hi[chunk] = torch.minimum(*ends), torch.maximum(*ends)


def link_states(on):
    """From the summaries alone: the inputs of these tests stay in their range."""
    _, u, h0, p, lo, hi, before = on.tensors
    h0, p, lo, hi, before = map(on.lines, (h0, p, lo, hi, before))
    state = h0[0].to(on.wide)
    for chunk in range(len(before)):
        before[chunk] = state
        if chunk < len(before) - 1:
            state = p[chunk] + on.weights(u) ** on.length * state
            state = state.clamp(lo[chunk], hi[chunk]) if on.act is ACTIVATIONS["relu"] else state


def summarise_gradients(on):
    g, h, u, p, lowest = on.tensors
    g, h, p, lowest = map(on.lines, (g, h, p, lowest))
    for chunk in range(on.grid_chunks):
        (*_, (_, p[chunk])) = on.back(g, h, on.weights(u), chunk, torch.zeros(on.chains, dtype=on.wide))
        off = on.act is ACTIVATIONS["relu"]
        lowest[chunk] = h[list(on.steps(chunk))].to(on.wide).amin(0) if off else 1


def link_gradients(on):
    _, _, u, p, lowest, after = on.tensors
    p, lowest, after = map(on.lines, (p, lowest, after))
    grad = torch.zeros(on.chains, dtype=on.wide)
    for chunk in reversed(range(len(after))):
        after[chunk] = grad
        grad = p[chunk] + torch.where(lowest[chunk] > 0, on.weights(u) ** on.length, 0) * grad


KERNELS = {
    "triton_kernels": (states, gradients),
    "triton_scan": (summarise_states, link_states, summarise_gradients, link_gradients),
    "triton_norm": (normalize, weigh),
}


def find(norms, loss, output, y, told, bad, wrong, in_a_row, n, B, C, BLOCK, ROWS, COLUMNS, CLASSES, GIVE_UP):
    assert len(norms) == n <= BLOCK
    assert not CLASSES or (output.shape == (B, C) and B <= ROWS and C <= COLUMNS)
    right = (output.argmax(-1) == y).sum() if CLASSES else loss.new_zeros(())
    told.copy_(torch.stack((loss.double(), right.double(), norms.double().norm())))
    wrong.copy_(~torch.isfinite(told).all() | (in_a_row >= GIVE_UP))
    in_a_row.add_(1).mul_(wrong)
    bad.copy_(wrong)


def stand_in(monkeypatch, launched):
    """Let stand-ins take the places of Triton and the kernels; `launched(name, launch, run)` is told of each."""

    class Kernel:
        def __init__(self, run):
            self.run = run

        def __getitem__(self, grid):
            return lambda *given, **constants: launched(self.run.__name__, Launch(grid, given, constants), self.run)

    class Find:
        def __getitem__(self, grid):
            def launch(*given, **constants):
                launched("find", SimpleNamespace(tensors=given[:8]), lambda _: find(*given, **constants))

            return launch

    language = ModuleType("triton.language")
    language.float64, language.float32 = WIDE
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setitem(sys.modules, "triton.language", language)
    for module, runs in KERNELS.items():
        kernels = SimpleNamespace(**{run.__name__: Kernel(run) for run in runs})
        monkeypatch.setitem(sys.modules, f"workbench.recurrence.{module}", kernels)
        monkeypatch.setattr(recurrence, module, kernels, raising=False)
    monkeypatch.setitem(sys.modules, "workbench.training.triton_findings", SimpleNamespace(find=Find()))
    monkeypatch.setattr(engine_triton, "_installed", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
