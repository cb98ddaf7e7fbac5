"""Sequence length: the adding problem and digits, 10 to 5,000 steps, trained live (Li et al. 2019, section 5.1)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import Any

from torch import Tensor

from ...analysis.figures import height
from ...analysis.figures.style import EACH, Picture, Time, thinned, timed, whiskers
from ...analysis.memory import gradient_through_time
from ...config import Adding, Budget, Config, Model, Pixels, Task, Train
from ...tasks import spec
from . import own_records
from .alive import living
from .base import NAMES, NETS, Choice, Control, Exercise, ExplorerBase, Job, Panel, Slider, Switch, Tell, View, decades
from .loaded import published_costs
from .trained_nets import TrainedNet, evaluations, trained_net
from .widget import Explorer

LENGTHS = {"adding": (10, 20, 50, 100, 200, 500, 1000, 2000, 5000), "digits": (64, 128, 256, 512, 1024, 2048, 4992)}
GUESSES = {"adding": (1 / 6, "always answering 1: 1/6"), "digits": (10.0, "guessing: 10 %")}
GOALS = (20, 50, 100, 200, 300, 400, 600, 800, 1000, 1500, 2000)
END = 20_000  # no run here goes further
HIDDEN, BATCH = 32, 8
PASSES, PATIENCE = 6, 0.12  # at most so many passes are timed, and begun within so many seconds
RNN_LIMIT = 1000  # steps that an LSTM or IRNN is run through at once here
GOOD = {"adding": (1 / 12, "the error is half of guessing's"), "digits": (50.0, "half of the digits are right")}
Points = list[tuple[int, float]]
Milestone = tuple[int, bool] | None  # the step at which a net was good, or (False) to which it was not; None: not run


def config(task: str, steps: int, kind: str) -> Config:
    """A small net that learns in seconds: two IndRNN layers of 32 neurons, or one of 32 LSTM or IRNN units."""
    fields: dict[str, Any] = {"kind": kind, "hidden": HIDDEN}
    if kind == "plain":
        gamma, norm = (2.0, "none") if task == "adding" else (5.0, "after")
        fields |= {"depth": 2, "gamma": gamma, "norm": norm, "last_near_one": True}
    digits = Pixels(name="pixels", source="digits", repeats=max(1, round(steps / 64)))
    which: Task = Adding(name="adding", length=steps) if task == "adding" else digits
    lr = 1e-4 if kind == "irnn" else 2e-3
    train = Train(batch=32, lr=lr, steps=END, evaluate_every=20 if steps <= 200 else 25)
    return Config(task=which, model=Model.model_validate(fields), train=train)


class Length(ExplorerBase):
    """Effect of a sequence's length: who learns, what a step costs, what is still remembered."""

    name = "length"
    title = "Sequence length: who still learns?"
    look = (
        "at which training step each net's error leaves the dashed line of guessing, how much later where the sequence "
        "is longer, what of the input it then remembers, and how a pass's cost grows with T."
    )
    exercises = (
        Exercise("Twice as long", {"steps": 100}, "IndRNN leaves the dashed line later than at 50 steps.", True),
        Exercise("IRNN beside it", {"irnn": True}, "It stays on the dashed line, as LSTM does, for 1,000 steps.", True),
        Exercise("Digits", {"task": "digits"}, "Both read half of the digits right within 400 steps.", True),
    )
    sweep = ("steps", "task")
    leading = ("task",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.budget, self.device = budget, device
        self.remembered: dict[str, Tensor] = {}
        self.untrained: set[str] = set()  # those of them that are as they start
        self.milestones: dict[tuple[str, int, str], Milestone] = {}
        self.training = False
        self.own = own_records.look_again()
        self.tasks = {"adding": "adding problem", "digits": "digits, read again and again", **own_records.titles()}

    def lengths(self, task: str) -> Sequence[int]:
        """The lengths of a task; of one's own sequences all of it, a half, a quarter and an eighth."""
        if task not in self.own:
            return LENGTHS.get(task, LENGTHS["adding"])
        longest = spec(self.own[task].config.task).steps
        return sorted({max(min(2, longest), longest >> halved) for halved in range(4)})

    def config(self, task: str, steps: int, kind: str) -> tuple[Config, int]:
        """The config and seed of a kind of net at a length."""
        if (own := self.own.get(task)) is None:
            return config(task, steps, kind), 0
        made = own_records.of_kind(own.config, kind)
        return made if steps == spec(made.task).steps else made.set({"task.longest": steps}), own.seed

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        task = values.get("task", "adding")
        lengths = self.lengths(task)
        first = 50 if task == "adding" else lengths[-1 if task in self.own else 0]
        start = 20 if self.budget == "smoke" else 400
        return [
            Choice("task", "Task", self.tasks, "adding", "records of your own IndRNNs by name"),
            Slider("steps", "Sequence length T", lengths, first, "steps", play=True),
            Slider("goal", "Train to step", GOALS, start, "", "a longer run goes on from a shorter one"),
            Switch("lstm", "LSTM beside it", True),
            Switch("irnn", "IRNN beside it"),
        ]

    def nets(self, task: str, steps: int, goal: int, lstm: bool, irnn: bool) -> dict[str, TrainedNet]:
        own = self.own.get(task)
        kinds = ["plain" if own is None else own.config.model.kind, *["lstm"] * lstm, *["irnn"] * irnn]
        configs = {kind: self.config(task, steps, kind) for kind in kinds}
        return {kind: trained_net(config, seed=seed, until=goal) for kind, (config, seed) in configs.items()}

    def view(self, task: str, steps: int, goal: int, lstm: bool, irnn: bool) -> View:
        nets = self.nets(task, steps, goal, lstm, irnn)
        of = next(iter(nets.values()))
        steps = spec(of.config.task).steps  # of digits a multiple of their 64
        first, goal = of.config.model.kind, of.goal if task in self.own else goal
        guess = GUESSES[task] if task in GUESSES else own_records.guess(of.config.task, of.seed, of.data)
        good = GOOD[task] if task in GOOD else own_records.good(of.config.task, of.seed, of.data)
        curves = {kind: curve(net.config, net.seed) for kind, net in nets.items()}
        words = [f"{NAMES[k]} {self.progress(curves[k], goal, of.target, net.published)}" for k, net in nets.items()]
        reached = {kind: self.along(task, kind, {steps: points}, good) for kind, points in curves.items()}
        if not self.training:
            self.remembered = {k: memory(net)[0] for k, net in nets.items() if k == first or steps <= RNN_LIMIT}
            self.untrained = {k for k in self.remembered if nets[k].step == 0}
        asked = {k: f"{float(g[-1]):.2g} at the first step" for k, g in self.remembered.items()}
        times = {k: [1000 * s for s in memory(net.fresh)[1]] for k, net in nets.items() if k in self.remembered}
        said = f"T = {steps:,}: {'; '.join(words)}."
        unit = "mean squared error" if of.target == "real" else "validation accuracy, %"
        todo = [net for net in nets.values() if evaluated(net) < goal]
        panels = {
            "learning": Panel(learning(curves, unit, goal, guess), f"{unit} over training steps. {said}", wide=True),
            "lengths": Panel(
                by_length(reached, steps, f"When {good[1]}", of.time),
                f"The training step at which {good[1]}, by sequence length: "
                + "; ".join(f"{NAMES[kind]} {milestones(found)}" for kind, found in reached.items())
                + ".",
            ),
            "memory": Panel(
                remembered(self.remembered, self.untrained, [kind for kind in nets if kind not in asked]).timed(
                    "x", "time before the end", of.time
                ),
                "How strongly the answer depends on the input k steps before the end, relative to the last step: "
                + ", ".join(f"{NAMES[kind]} {asked.get(kind, 'not asked here')}" for kind in nets),
            ),
            "cost": Panel(
                step_costs({} if task in self.own else published_costs(), times, steps).timed("x", "length T", of.time),
                "Milliseconds of a forward and backward pass against sequence length, both logarithmic; here: "
                + ", ".join(f"{NAMES[k]} {timed(ms)}" for k, ms in times.items()),
                wide=True,
            ),
        }
        return View(panels, said, self.job(todo), all(net.published for net in nets.values()), {"steps": steps})

    def along(self, task: str, kind: str, now: Mapping[int, Points], good: tuple[float, str]) -> dict[int, Milestone]:
        """The milestone of a kind of net at every length of a task; `now` holds the curves at hand."""
        for steps in self.lengths(task):
            if steps in now or (task, steps, kind) not in self.milestones:
                points = now[steps] if steps in now else curve(*self.config(task, steps, kind))
                found = [step for step, value in points if (value < good[0]) == ("the error" in good[1])]
                last = (points[-1][0], False) if points else None
                self.milestones[task, steps, kind] = (found[0], True) if found else last
        return {steps: self.milestones[task, steps, kind] for steps in self.lengths(task)}

    def progress(self, points: Points, goal: int, target: str, published: bool) -> str:
        """Say how far a net has come, in words."""
        if not points:
            return "is not trained yet"
        step, last = points[-1]
        reached = f"reached {f'{last:.3g}' if target == 'real' else f'{last:.1f} % right'} at step {step:,}"
        if published:
            return f"{reached} (published record)"
        return reached + (f" of {goal:,} (stopped there)" if step < goal - 25 else "")

    def alive(self) -> dict[str, Any]:
        return living(self, ("task", "steps"), {"names": {kind: NAMES[kind] for kind in ("lstm", "irnn")}})

    def job(self, nets: list[TrainedNet]) -> Job | None:
        """Train those that are not at the goal, one after another."""
        if not nets:
            return None

        def run(tell: Tell, stop: threading.Event) -> None:
            self.training = True
            try:
                for net in nets:
                    net.train(tell, stop, self.device, NAMES[net.config.model.kind])
            finally:
                self.training = False
                self.milestones.clear()

        begun = any(evaluated(net) for net in nets)
        return Job("Resume training" if begun else "Train live", run)


def curve(config: Config, seed: int) -> Points:
    """Validation scores of the furthest record of a config and seed: (step, score)."""
    return [(row["step"], height(row["valid"])) for row in evaluations(config, seed)]


def evaluated(net: TrainedNet) -> int:
    """The last step of the goal's reach that is recorded here; what is published is to look at, and trained anew."""
    rows = [] if net.published else evaluations(net.config, net.seed)
    every = net.config.train.evaluate_every
    last: int = rows[-1]["step"] if rows else 0
    return last if last + every <= net.goal else net.goal


@lru_cache(maxsize=64)
def memory(net: TrainedNet) -> tuple[Tensor, tuple[float, ...]]:
    """Measure how strongly the answer depends on each earlier step, and the seconds of the passes that found it out.

    A few passes, as far as they fit into the time of a move; the first of several only warms up.
    """
    batch, seconds = net.batch(BATCH), [0.0]
    while len(seconds) <= PASSES and sum(seconds) < PATIENCE:
        began = time.perf_counter()
        found = gradient_through_time(net.net, batch.x, batch.lengths)
        seconds.append(time.perf_counter() - began)
    return found, tuple(seconds[2:] or seconds[1:])


def explore_length(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of sequence length, its controls at the given values (`task="digits", steps=512`)."""
    return Explorer(Length(budget, device), **values)


# --- its figures: data in, a picture out ---


def learning(curves: Mapping[str, Points], unit: str, goal: int, guess: tuple[float, str]) -> Picture:
    """Validation scores while nets train, (step, score), with what guessing reaches, and where training here ends."""
    level, words = guess
    picture = Picture("training step", unit, "Learning: who leaves the dashed line of guessing?", height=360)
    for kind, points in curves.items():
        name = NAMES[kind] if points else f"{NAMES[kind]}, not run"
        shown = points or [(0, math.inf)]  # in the legend alone
        picture.line([s for s, _ in shown], [v for _, v in shown], name, NETS[kind])
        picture.data[-1] |= {"mode": "lines+markers", "marker": {"size": 5}}
    picture.level(level, legend=words).axis("yaxis", range=[0, 100] if unit.endswith("%") else [0, 1.5 * level])
    last = max([goal, *(points[-1][0] for points in curves.values() if points)])
    side = {"xanchor": "right", "xshift": -4} if goal > last / 2 else {"xanchor": "left", "xshift": 4}
    picture.upright(goal).note(f"Train to step {goal:,}", x=goal, y=1, yref="paper", yanchor="top", **side)
    return picture.axis("xaxis", range=[0, last * 1.02])


def by_length(reached: Mapping[str, Mapping[int, Milestone]], steps: int, title: str, time: Time = EACH) -> Picture:
    """The training step at which each net was good, by length; hatched the step to which it was not; an x: not run."""
    picture = Picture("length T (hatched: not until then; x: not run)", "training step", title)
    lengths = list(next(iter(reached.values())))
    for kind, found in reached.items():
        words = [milestones({T: one}) for T, one in found.items()]
        hover = {"hovertext": words, "hovertemplate": f"%{{hovertext}}<extra>{NAMES[kind]}</extra>"}
        text = {"text": ["" if one else "x" for one in found.values()], "textposition": "outside", "cliponaxis": False}
        shapes = ["" if one and one[1] else "/" for one in found.values()]
        bars = {"marker": {"color": NETS[kind], "pattern": {"shape": shapes, "fillmode": "replace"}}, **text, **hover}
        across = [f"{T}" if time == EACH else time.words(T) for T in lengths]
        picture.trace("bar", x=across, y=[one[0] if one else 0 for one in found.values()], name=NAMES[kind], **bars)
    if steps in lengths:
        at = lengths.index(steps)
        picture.band(at - 0.5, at + 0.5, axis="x")
    picture.set(barmode="group").axis("yaxis", rangemode="tozero", automargin=True)
    picture.layout["yaxis"]["title"]["standoff"] = 6  # clear of numbers of four digits
    return picture.axis("xaxis", type="category", tickangle=0, tickfont={"size": 11})


def milestones(found: Mapping[int, Milestone]) -> str:
    """Milestones in words."""
    said = {T: f"{'by' if one[1] else 'not by'} step {one[0]:,}" if one else "not run" for T, one in found.items()}
    return ", ".join(f"T = {T:,} {words}" for T, words in said.items())


def step_costs(
    measured: Mapping[str, Sequence[tuple[int, float]]], here: Mapping[str, Sequence[float]], steps: int
) -> Picture:
    """Milliseconds of a pass against T: measured once (lines), and now, here: the median, from fastest to slowest."""
    picture = Picture("length T, steps", "ms, forward and backward", "What a pass costs; points: timed as drawn")
    for kind, points in measured.items():
        picture.line([T for T, _ in points], [ms for _, ms in points], f"{NAMES[kind]}, published", NETS[kind])
        picture.data[-1]["showlegend"] = kind not in here
    for kind, ms in here.items():
        middle = median(ms)
        bars = whiskers([middle], [min(ms)], [max(ms)])
        marker = {"symbol": "circle" if len(ms) > 1 else "circle-open", "line": {"width": 2}}
        more = {"error_y": bars, "marker": marker, "text": [timed(ms)], "hovertemplate": "%{text}<extra></extra>"}
        picture.dots([steps], [middle], f"{NAMES[kind]} {middle:.3g} ms", NETS[kind], 10, **more)
    at = math.log10(steps)
    across = {"type": "log", "dtick": 1, "range": [min(0.9, at - 0.3), max(3.8, at + 0.3)]}
    return picture.axis("xaxis", **across).axis("yaxis", type="log", dtick=1)


def remembered(gradients: Mapping[str, Tensor], untrained: Collection[str], absent: Sequence[str]) -> Picture:
    """Draw how strongly a net's answer depends on the input k steps before the end, relative to the last step's."""
    picture = Picture("steps before the end", "dependence, last step = 1", "What it still remembers")
    for kind, gradient in gradients.items():
        shown = thinned(len(gradient), 300)
        values = [v if v > 0 else math.inf for v in gradient[shown].tolist()]
        name = f"{NAMES[kind]}, as it starts" if kind in untrained else NAMES[kind]
        picture.line(shown, values, name, NETS[kind]).linked(step=len(gradient))
    for kind in absent:
        picture.line([0], [math.inf], f"{NAMES[kind]}, not asked", NETS[kind], dash="dot")  # in the legend alone
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))
