"""Properties: what the paper says of the layer and of its trained nets, measured as results/paper/claims.csv words it.

EXACT needs no training and takes a second; CURVES reads records alone, one of each experiment that the claim names;
WEIGHTS asks a trained net. measurements.py keeps what they find and makes it the seeds of a claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import paper
from ..config import Model
from ..models.bounds import bound
from ..models.build import build, recurrent_weights
from ..models.layer import Recurrent
from ..paper.claims import Claim, claim
from ..recurrence import layer
from ..runs.record import Record
from ..seeds import generator
from ..tasks import Batch, Spec, Task
from ..tasks import spec as spec_of
from .interventions import through_time
from .memory import gradient_through_time

GAMMAS = {20: (2.0, 5.0), 100: (2.0,), 500: (2.0,), 784: (2.0, 5.0), 1000: (2.0,), 5000: (2.0,)}  # by length
RANGES = [(T, gamma) for T, gammas in GAMMAS.items() for gamma in gammas]
ALLOWED = {"valid_accuracy": 0.005, "valid_bpc": 0.02}  # that a last row may be worse, beside the claim's bound
AT_LEAST = ("fig5-short_memory_below", "fig5-long_memory_above", "fig5-different_kinds")
SHORT, LONG = 0.2, 0.9  # |u| below is short memory, u above long
EXAMPLES = 64  # test sequences of a gradient through time
BATCH, LEARNED = 50, 32  # of one neuron's readout: sequences read at once, training batches it is fitted on


def holds(claim: Claim, value: float) -> bool:
    """Say whether a measured number is as a claim has it."""
    limit = claim.value or 0.0
    if claim.id == "abstract-no_vanishing":
        return limit <= value <= 1 / limit
    if claim.id in AT_LEAST:
        return value >= limit
    return value < limit if claim.metric.startswith("test ") else value <= limit


def asked(claim: Claim) -> str:
    """Say what `holds` asks of a number: `at most 1.01`."""
    limit = claim.value or 0.0
    if claim.id == "abstract-no_vanishing":
        return f"{limit:g} to {1 / limit:g}"
    word = "at least" if claim.id in AT_LEAST else "below" if claim.metric.startswith("test ") else "at most"
    return f"{word} {limit:g}"


def _largest(found: Sequence[float]) -> float:
    """The largest of some numbers; no number where one of them is none, which `max` may leave out."""
    return math.nan if any(map(math.isnan, found)) else max(found)


# --- of the layer ---


def upper_end(seed: int) -> float:
    """The largest relative error of the bound and of a net's clamp, on both sides of 0: of gamma^(1/T)."""
    errors = []
    for T, gamma in RANGES:
        ends = [bound(T, gamma)]
        net = build(Model(kind="plain", hidden=4, gamma=gamma), Spec(1, 1, T, "real"), generator(seed, "property"))
        for unit in (module for module in net.modules() if isinstance(module, Recurrent)):
            for sign in (1, -1):
                with torch.no_grad():
                    unit.u.fill_(2.0 * sign)
                unit.clamp_()
                ends += (sign * unit.u.detach().double()).tolist()
        errors += [abs(end / math.exp(math.log(gamma) / T) - 1) for end in ends]
    return _largest(errors)


def lower_end(seed: int) -> float:
    """The largest relative error of the gradient after T steps at the lower end of u, epsilon = 1 / gamma.

    Infinite where a smaller u has no smaller gradient.
    """
    errors = []
    for T, gamma in RANGES:
        low = bound(T, 1 / gamma)
        at, below = through_time([low, 0.999 * low], T)[T].tolist()
        errors.append(abs(at * gamma - 1) if below < at else math.inf)
    return max(errors)


def short_memory(seed: int) -> float:
    """The largest gradient after T steps over epsilon, of 100 values of u from 0 to epsilon^(1/T)."""
    found = []
    for T, gamma in RANGES:
        us = torch.linspace(0, bound(T, 1 / gamma), 100, dtype=torch.float64).tolist()
        found.append(float(through_time(us, T)[T].max()) * gamma)
    return _largest(found)


def start(seed: int) -> float:
    """The share of u outside its range in freshly built nets: the last layer near 1, those before from 0 to the bound.

    The ends are those that float32 has.
    """
    outside = total = 0
    for config in (paper.experiment(name).config for name in claim("section3-start").experiments):
        spec, gamma = spec_of(config.task), config.model.gamma or math.nan
        high, low = (torch.tensor(math.exp(sign * math.log(gamma) / spec.steps)) for sign in (1, -1))
        *below, last = recurrent_weights(build(config.model, spec, generator(seed, "init"))).values()
        for us, least in [(u, torch.tensor(0.0)) for u in below] + [(last, low)]:
            outside += int((~((us >= least) & (us <= high))).sum())  # what is no number lies nowhere
            total += len(us)
    return outside / total


def powers(seed: int) -> float:
    """The largest relative deviation of |d h_T / d a_(T-k)| from u^k, ReLU neurons that stay on, T = 784."""
    T = 784
    us = [0.5, 0.9, 0.99, 1.0, *(gamma ** (1 / T) for gamma in GAMMAS[T])]
    wanted = torch.tensor([[u**k for u in us] for k in range(T + 1)], dtype=torch.float64)
    return float((through_time(us, T) / wanted - 1).abs().max())


def independence(seed: int) -> float:
    """The largest |d h_t,i / d h_(t-1),j|, i not j, of a layer of 128 units on 16 random inputs.

    Infinite where all of the diagonal is 0, for then nothing is remembered at all.
    """
    rng, B, M, N = generator(seed, "property", "independence"), 16, 8, 128
    x, weight, u = torch.randn(1, B, M, generator=rng), torch.randn(N, M, generator=rng), torch.rand(N, generator=rng)
    h0 = torch.rand(B, N, generator=rng).requires_grad_()
    h = layer(x, weight, None, u, h0)[-1]
    jacobian = torch.stack([torch.autograd.grad(h[:, i].sum(), h0, retain_graph=True)[0] for i in range(N)], 1)
    own = jacobian.diagonal(dim1=1, dim2=2)
    return float((jacobian - own.diag_embed()).abs().max()) if bool(own.any()) else math.inf


EXACT: dict[str, Callable[[int], float]] = {
    "table1-no_explosion": upper_end,
    "table1-long_memory": lower_end,
    "table1-short_memory": short_memory,
    "section3-start": start,
    "section3-gradient_is_u_to_the_k": powers,
    "section3-independent": independence,
}


# --- of records ---


def explosion(records: Sequence[Record]) -> float:
    """The largest |u|^T over gamma in the last rows of the curves: in every layer of every net."""
    found = []
    for record in records:
        rows = record.recurrent_weights()
        T, gamma = spec_of(record.config.task).steps, record.config.model.gamma or math.nan
        found += [float(u.double().abs().max()) ** T / gamma for u in rows[max(rows)].values()] if rows else [math.nan]
    return _largest(found)


def robustness(records: Sequence[Record]) -> float:
    """The validation error of the last row, less what is allowed beside, over the best one: the largest of the runs.

    Infinite where one diverged or its last row is no number.
    """
    return max(_worsened(record) for record in records)


def _worsened(record: Record) -> float:
    column = next((name for name in ALLOWED if name in record.curve), None)
    if record.status == "diverged" or column is None:
        return math.inf
    errors = [1 - float(v) if column == "valid_accuracy" else float(v) for v in record.curve[column]]
    best = min((error for error in errors if math.isfinite(error)), default=0.0)
    over = errors[-1] - ALLOWED[column]
    if over <= 0:
        return 0.0
    return over / best if best > 0 and math.isfinite(over) else math.inf


def _shares(records: Sequence[Record]) -> tuple[list[float], list[float]]:
    """The shares of |u| < 0.2 and of u > 0.9 in each layer, with the best-validation weights; no number without them.

    The row of the best step has them: weights are remembered when they are scored.
    """
    (record,) = records
    layers = record.recurrent_weights().get(record.budgets[-1]["best_step"], {}).values()
    if not layers:
        return [math.nan, math.nan], [math.nan, math.nan]
    return [float((u.abs() < SHORT).float().mean()) for u in layers], [float((u > LONG).float().mean()) for u in layers]


def short_memory_below(records: Sequence[Record]) -> float:
    """The share of |u| < 0.2 in the first layer, less that in the last."""
    short, _ = _shares(records)
    return short[0] - short[-1]


def long_memory_above(records: Sequence[Record]) -> float:
    """The share of u > 0.9 in the last layer."""
    return _shares(records)[1][-1]


def different_kinds(records: Sequence[Record]) -> float:
    """The smallest share of either kind in a layer below the last."""
    return min(min(shares[:-1]) for shares in _shares(records))


CURVES: dict[str, Callable[[Sequence[Record]], float]] = {
    "abstract-no_explosion": explosion,
    "abstract-relu_robust": robustness,
    "fig5-short_memory_below": short_memory_below,
    "fig5-long_memory_above": long_memory_above,
    "fig5-different_kinds": different_kinds,
}


# --- of trained weights ---


def vanishing(net: nn.Module, task: Task) -> float:
    """The gradient of the answer through time: its mean over the first tenth of the steps, over that of the last."""
    batch = next(iter(task.examples("test", EXAMPLES)))
    back = gradient_through_time(net, batch.x, batch.lengths)
    tenth = len(back) // 10
    return float(back[-tenth:].mean() / back[:tenth].mean())


def one_neuron(net: nn.Module, task: Task) -> float:
    """Test MSE with one neuron left in the last layer and a readout of its own, one weight and one bias.

    The neuron is the one whose last state predicts the target best on validation; the readout is least squares on
    training data. Neurons being independent, those left out change nothing of it.
    """
    states, y = _last(net, task.examples("valid", BATCH))
    errors = [_squared(_line(h, y), h, y) for h in states.T]
    chosen = min(range(len(errors)), key=errors.__getitem__)
    states, y = _last(net, (task.batch(index) for index in range(LEARNED)))
    line = _line(states[:, chosen], y)
    states, y = _last(net, task.examples("test", BATCH))
    return _squared(line, states[:, chosen], y)


@torch.no_grad()
def _last(net: nn.Module, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Inputs of the readout, (examples, N), and the targets, in double precision."""
    given: list[Tensor] = []
    readout: Any = net.readout
    targets = []
    with readout.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].double())):
        for batch in batches:
            net(batch.x)
            targets.append(batch.y.double())
    return torch.cat(given), torch.cat(targets)


def _line(h: Tensor, y: Tensor) -> Tensor:
    """Weight and bias of the least squares from h (examples,) to y."""
    found: Tensor = torch.linalg.lstsq(torch.stack((h, torch.ones_like(h)), 1), y[:, None], driver="gelsd").solution
    return found[:, 0]


def _squared(line: Tensor, h: Tensor, y: Tensor) -> float:
    return float((line[0] * h + line[1] - y).square().mean())


WEIGHTS: dict[str, Callable[[nn.Module, Task], float]] = {
    "abstract-no_vanishing": vanishing,
    "2018-one_neuron": one_neuron,
}
