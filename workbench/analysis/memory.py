"""Memory of a net: impulse responses, gradients through time. Exact, from the net itself, not from a formula."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from ..errors import ParameterError, quoted
from ..models.bounds import bound, half_life, length, near_one
from ..models.build import build
from ..paper import experiment
from ..paper.published import published
from ..recurrence import recur
from ..runs.record import Record
from ..seeds import generator
from ..tasks import download, load
from ..tasks.treebank import last_token, read
from .interventions import answers


def impulse_response(u: float, steps: int) -> Tensor:
    """The states of one ReLU neuron after an input of 1 at its first step: u^k while u >= 0. -> (steps,)."""
    a = torch.zeros(length(steps), 1, 1, dtype=torch.float64)
    a[0] = 1
    return recur(a, torch.tensor([u], dtype=torch.float64))[:, 0, 0]


def neuron_gradients(us: Sequence[float], steps: int) -> dict[str, Tensor]:
    """Gradient of a ReLU neuron's last state with respect to its input k steps before, by backpropagation.

    An input of 1 at every step keeps it on for any u > -1, and eq. (4) of Li et al. 2018 then says u^k.
    -> {"u = 0.99": (steps,), ...}, k = 0 first, float64.
    """
    u = torch.tensor(list(us), dtype=torch.float64)
    a = torch.ones(length(steps), 1, len(u), dtype=torch.float64, requires_grad=True)
    h = recur(a, u)
    if not bool(torch.isfinite(h).all() and (h > 0).all()):
        raise ParameterError(f"us: {quoted(list(us))} received; above -1, and states that stay finite, are needed")
    gradient: Tensor = torch.autograd.grad(h[-1].sum(), a)[0]
    return {f"u = {value:g}": gradient[:, 0, i].flip(0) for i, value in enumerate(us)}


def deviation(us: Sequence[float], steps: int) -> float:
    """The largest relative difference of `neuron_gradients` from u^k; 0.0 would be every bit."""
    k = torch.arange(length(steps), dtype=torch.float64)
    gradients = neuron_gradients(us, steps).values()
    return max(float((g - u**k).abs().div((u**k).abs()).max()) for u, g in zip(us, gradients, strict=True))


def gradient_through_time(net: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Gradient of a net's answer at each time step: |d sum(output) / d x_t|, counted back from the last step.

    x (T, B, M), and lengths (B,) where sequences end apart -> (T,), the norm over features, its root mean square over
    the sequences that reach so far back, divided by the last step's; in evaluation mode.
    """
    was_training = net.training
    net.eval()
    x = x.detach().clone().requires_grad_()
    output = net(x) if lengths is None else net(x, lengths)
    gradient: Tensor = torch.autograd.grad(output.sum(), x)[0]
    net.train(was_training)
    T, B = x.shape[:2]
    ends = torch.full((B,), T) if lengths is None else lengths.cpu()
    back = ends - 1 - torch.arange(T)[:, None]  # (T, B): the step so many before the end, negative before the start
    squares = gradient.square().sum(-1).cpu().gather(0, back.clamp_min(0)) * (back >= 0)
    norms = (squares.sum(1) / (back >= 0).sum(1).clamp_min(1)).sqrt()
    relative: Tensor = norms / norms[0].clamp_min(torch.finfo(norms.dtype).tiny)
    return relative


def memory_of(records: Sequence[Record], count: int = 64) -> dict[str, Tensor]:
    """`gradient_through_time` of the trained nets of some records, on their own test examples; name -> (T,)."""
    examples = [(record, record.examples(count)) for record in records]
    return {r.experiment: gradient_through_time(r.net(), batch.x, batch.lengths) for r, batch in examples}


def untrained_memory(experiments: Sequence[str], seed: int = 0) -> dict[str, Tensor]:
    """`gradient_through_time` of the nets of some experiments as they start, on their first batch; name -> (T,)."""
    memories = {}
    for name in experiments:
        config = experiment(name).config
        task = load(config.task, seed, config.train.batch)
        batch = task.batch(0)
        net = build(config.model, task.spec, generator(seed, "init"))
        memories[name] = gradient_through_time(net, batch.x, batch.lengths)
    return memories


def by_length(record: Record, edges: Sequence[int]) -> pd.DataFrame:
    """Test accuracy of a record's best weights by length of the sequence: a row for each stretch between two edges.

    Columns: `over`, `to` (steps; sequences longer than `over`, at most `to`), `sequences`, `right`.
    """
    net, config = record.net(), record.config
    lengths, right = [], []
    for batch in load(config.task, record.seed, config.train.batch).examples("test", 250):
        ends = torch.full(batch.y.shape, len(batch.x)) if batch.lengths is None else batch.lengths
        lengths += ends.tolist()
        right += answers(net, batch, "class").tolist()
    table = pd.DataFrame({"over": edges[:-1], "to": edges[1:]})
    counted = pd.Series(right).groupby(pd.cut(pd.Series(lengths), list(edges)), observed=False).agg(["size", "sum"])
    return table.assign(sequences=counted["size"].to_numpy(), right=counted["sum"].to_numpy().astype(int))


def ranges_table(steps: int, gamma: float = 2.0, epsilon: float | None = None, slope: float = 1.0) -> pd.DataFrame:
    """Table 1 of Li et al. 2019 for one length: its ranges of |u|, as formulas and in numbers.

    `epsilon` is the smallest gradient that counts as memory, 1 / gamma if None; `slope` the activation's derivative,
    the same at each step: 1 for a ReLU that stays on.
    """
    if isinstance(slope, bool) or not isinstance(slope, int | float) or not 0 < slope <= 1:
        raise ParameterError(f"slope: {quoted(slope)} is no derivative of relu or tanh; a number in (0, 1] is needed")
    low, high = bound(steps, 1 / gamma if epsilon is None else epsilon) / slope, bound(steps, gamma) / slope
    rows: list[tuple[str, str, float, float]] = [
        ("long-term memory: gradient over T steps above epsilon", "epsilon^(1/T) / slope to ∞", low, math.inf),
        ("short-term memory: gradient at most epsilon", "0 to epsilon^(1/T) / slope", 0.0, low),
        ("no explosion: gradient at most gamma", "0 to gamma^(1/T) / slope", 0.0, high),
        ("first values, any layer", "0 to gamma^(1/T) / slope", 0.0, high),
        ("first values, last layer read at its last step", "epsilon^(1/T) / slope to gamma^(1/T) / slope", low, high),
    ]
    shown = [(what, formula, f"{a:.8f}", "∞" if b == math.inf else f"{b:.8f}") for what, formula, a, b in rows]
    return pd.DataFrame(shown, columns=["what for", "|u|", "from", "to"])


def official_ranges() -> pd.DataFrame:
    """The ranges of u in the official settings beside ours: T, gamma, which end, both numbers, whether they agree."""
    rows = []
    for row in published("table1_recurrent_weight_ranges"):
        if not (found := re.match(r"T=(\d+), gamma=MAG=(\d+), eps=1/MAG", row["setting"])):
            continue
        steps, gamma = int(found[1]), float(found[2])
        low, high = near_one(steps, gamma)
        ours = f"{high if row['metric'].startswith('upper') else low:.8f}"
        rows.append((row["experiment"], steps, gamma, row["metric"], ours, row["value"], ours == row["value"]))
    return pd.DataFrame(rows, columns="experiment T gamma what ours official equal".split())


def bounds_table(lengths: Sequence[int], gamma: float = 2.0) -> pd.DataFrame:
    """Table 1 in numbers: for each length T the range of u for long memory, and the half-life at its lower end."""
    ends = [(steps, *near_one(steps, gamma)) for steps in lengths]
    rows = [(steps, round(low, 8), round(high, 8), round(half_life(low))) for steps, low, high in ends]
    named = ["lower end, gamma^(-1/T)", "bound on |u|, gamma^(1/T)", "half-life at the lower end, steps"]
    return pd.DataFrame(rows, columns=["T", *named])


def last_tokens() -> pd.DataFrame:
    """Count how often the treebank's splits hold the last word and the last character of the vocabulary, the ones
    whose embedding the official code gives no gradient from the lookup; no row where the treebank cannot be had."""
    if not download.obtainable("ptb"):
        return pd.DataFrame()
    folder = download.locate("ptb")
    return pd.DataFrame([{"unit": unit, **last_token(read(folder, unit))} for unit in ("char", "word")])
