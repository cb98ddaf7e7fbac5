"""Make what the explorers show before anything runs here, in results/published/explorers/.

`costs`: step_cost.csv, a pass of each net of the length explorer against T, in turns, medians: kind, T, ms (forward and
backward, B = 8, 32 neurons, one thread, its processor time, which other work on the machine hardly changes).
`silencing`: silencing.json, of each net of the neurons explorer what silencing each of its neurons changes, with the
interval, see analysis/interventions.py.
`nets`: runs/, packs of small nets trained for the explorers of depth, length, bounds and neurons; of a run the curve
and the best weights are kept, nothing to go on from.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from workbench import files
from workbench.analysis import interventions, memory
from workbench.errors import ended
from workbench.files import make_folder
from workbench.notebook.explorers import depth, length
from workbench.notebook.explorers.neurons import SENTENCES, Neurons
from workbench.notebook.explorers.trained_nets import TESTED, TrainedNet, trained_net
from workbench.runs import pack
from workbench.runs.folder import Run
from workbench.runs.pretrained import card_of, pretrained
from workbench.runs.record import Record, find_id

TURNS = {10: 15, 100: 9, 1000: 5, 5000: 3}
KINDS = ("plain", "lstm", "irnn")
CURVES = {
    ("adding", 10): 600,
    ("adding", 20): 600,
    ("adding", 50): 1000,
    ("adding", 100): 1000,
    ("adding", 200): 600,
    ("adding", 500): 1000,
    ("adding", 1000): 1000,
    ("digits", 64): 400,
}
DEPTH = 8
PIXELS = "seqmnist_plain6_cycle"  # the published net which reads a drawn digit of 28 by 28
FREE = ("seqdigits_plain6", "quick", {"model.gamma": None})  # Fig. 5 without the bound


def costs() -> None:
    """Time one pass of each net against T."""
    torch.set_num_threads(1)
    rows = []
    for T in length.LENGTHS["adding"]:
        nets = {kind: trained_net(length.config("adding", T, kind), until=1).fresh for kind in KINDS}
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        turns = next(n for limit, n in TURNS.items() if limit >= T)
        for turn in range(turns + 1):  # the first warms up
            for kind, net in nets.items():
                x = net.batch(length.BATCH).x
                began = time.process_time()
                memory.gradient_through_time(net.net, x)
                if turn:
                    seconds[kind].append(time.process_time() - began)
        rows += [{"kind": k, "T": T, "ms": f"{1000 * statistics.median(seconds[k]):.3g}"} for k in KINDS]
        print(*rows[-3:], flush=True)
    folder = make_folder(files.published() / "explorers")
    rows.sort(key=lambda row: (row["kind"], row["T"]))
    files.publish_rows(folder / "step_cost.csv", ("kind", "T", "ms"), rows)


def silencing() -> None:
    """Silence each neuron of the published nets in turn."""
    torch.set_num_threads(1)
    found = {}
    explorer = Neurons()
    for record in explorer.nets:
        net = explorer.net_of(record)
        if net.path is None or not net.published:
            continue
        batch = net.batch(TESTED)
        costs = [interventions.silencing(net.net, batch, net.target, layer) for layer in range(len(net.weights[0]))]
        layers = [[[_short(v) for v in (c.mean, c.low, c.high)] for c in layer] for layer in costs]
        found[net.path.name] = {"net": net.experiment, "step": net.step, "examples": TESTED, "layers": layers}
        print(record, net.path.name, flush=True)
    folder = make_folder(files.published() / "explorers")
    text = json.dumps(found, separators=(",", ":")) + "\n"
    files.publish(folder / "silencing.json", text.encode(), replace=True)


def _short(value: float | None) -> float:
    assert value is not None
    return float(f"{value:.5g}")


def nets() -> None:
    """Train what is not in this user's store yet, and publish it without what only training needs."""
    for find in _wanted():
        if find().own is None or find().step < find().goal:
            find().train(lambda *_: None, threading.Event(), "cpu")
        net = find()
        assert net.record is not None
        publish(net.record, net.net, net.step)
        print(net.experiment, net.config.model.kind, net.config.task.name, net.step, flush=True)
    card = card_of(mnist := pretrained(PIXELS))
    record = find_id(card.run)
    assert record is not None
    publish(record, mnist, card.step)


def publish(record: Record, net: nn.Module, step: int) -> None:
    """A run's spec, curve, result and best weights; u at each evaluation only where an explorer shows it."""
    source = record.run
    with tempfile.TemporaryDirectory() as folder:
        run = Run(make_folder(Path(folder) / record.id))
        for name in ("spec.json", "chance.json", "result.json"):
            if (source.path / name).exists():
                (run.path / name).write_bytes((source.path / name).read_bytes())
        for event in source.events():
            run.append({**event, "u": {} if record.experiment == "custom" else event["u"]} if "u" in event else event)
        run.save_checkpoint(step, {"best": None, "net": net.state_dict()}, {})
        contents = {path.name: path.read_bytes() for path in run.path.iterdir()}
    name = record.experiment.removesuffix("*")
    pack.put(files.published() / "explorers" / "runs" / f"{name}.zip", {record.id: contents})


def _wanted() -> Iterator[Callable[[], TrainedNet]]:
    """Each net, looked up anew at each call."""
    for net in (SENTENCES, FREE):
        yield partial(trained_net, *net)
    for kind in depth.KINDS:
        yield partial(trained_net, depth.config(kind, DEPTH))
    for (task, steps), goal in CURVES.items():
        for kind in KINDS:
            yield partial(trained_net, length.config(task, steps, kind), until=goal)


def main() -> None:
    made = {"costs": costs, "silencing": silencing, "nets": nets}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=made)
    made[parser.parse_args().what]()


if __name__ == "__main__":
    sys.exit(ended(main))
