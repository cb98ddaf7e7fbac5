"""Publish trained nets in results/published/weights/: NAME.safetensors and its card, NAME.md, to be committed.

    python scripts/weights.py NAME ...           the net of `workbench export NAME`: of a run's id, or of an experiment;
                                                 of this store's records that with the best validation score, else of
                                                 the published ones
    python scripts/weights.py --cards            write the cards of the nets that are there anew

A net is published only where its record has a score on test at that very step, and only if the net, scored again here,
is within a thousandth of it (another processor rounds otherwise); the card has the new score. Nets of data without a
clear licence (Penn Treebank, UTD-MHAD, NTU) are not published: `workbench export` writes them for oneself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from torch import nn

from workbench.analysis import statistics
from workbench.config import Config
from workbench.errors import RunError, ended
from workbench.files import make_folder, publish
from workbench.models import count
from workbench.runs import export, pretrained
from workbench.runs.folder import config_of
from workbench.runs.record import find_id
from workbench.tasks import load
from workbench.training import evaluate
from workbench.training.scored import EVALUATION_BATCH

LARGEST = 1_000_000  # bytes of a file
CLOSE = 1e-3  # of a score, its share by which another processor may differ
OWN = {  # data that no experiment has: the file -> the name of its net, the licence of what it learnt from
    "JapaneseVowels_TRAIN.ts": ("japanese_vowels", "CC BY 4.0 (UCI Machine Learning Repository, 10.24432/C5NS47)"),
}
CLOSED = ("treebank", "skeletons")  # tasks whose data give no clear right


def publish_net(name: str, folder: Path) -> Path:
    """Publish the net of a name after scoring it again -> its file."""
    net = export.taken(name)
    card = pretrained.card_of(net)
    if card.task["name"] in CLOSED:
        raise RunError(f"{name}: its data give no clear right to publish what was learnt from them ({card.licence})")
    record = find_id(card.run)
    if record is None or card.test is None or card.valid is None:
        raise RunError(f"{name}: run {card.run} has no score on test at step {card.step}; carry it on to its budget")
    config = config_of(record.run)
    again = scored(net, config, card.seed)
    if any(abs(again[key] - value) > CLOSE * abs(value) for key, value in card.test.items()):
        raise RunError(f"{name}: the net scores {again}, its record says {card.test}")
    called, licence = OWN.get(card.name, (card.name, card.licence))
    net.card = card = card.model_copy(update={"test": again, "name": called, "licence": licence})  # type: ignore[assignment]
    content = pretrained.packed(net)
    if len(content) > LARGEST:
        raise RunError(f"{name}: {len(content):,} bytes; at most {LARGEST:,} are published")
    path = make_folder(folder) / f"{card.name}{pretrained.SUFFIX}"
    publish(path, content, replace=True)
    return path


def scored(net: nn.Module, config: Config, seed: int) -> evaluate.Scores:
    """The score of a net on test, as the trainer takes it."""
    task = load(config.task, seed, config.train.batch)
    return evaluate.score(net, task.examples("test", EVALUATION_BATCH), task.spec.target)


def write_card(path: Path) -> None:
    """Write the card of a published net beside it, from the file alone."""
    net = pretrained.read(path)
    card = pretrained.card_of(net)
    size = {field: getattr(card.model, field) for field in ("depth", "hidden") if card.model.kind != "dense"}
    model = size | card.model.model_dump(mode="json", exclude_defaults=True)
    shown = ", ".join(f"{field} {value}" for field, value in model.items() if field != "kind")
    train = ", ".join(f"{field} {value}" for field, value in card.train.items())
    task = ", ".join(f"{k} {v}" for k, v in card.task.items() if k != "name" and v not in (None, False, ""))
    cycle = card.train.get("schedule") == "one_cycle" and "early_stop" not in card.train  # whose last weights count
    chose = "" if cycle else " (chose the weights)"
    scaler = "none"
    if card.scaler is not None:
        scaler = f"x = {list(card.scaler.scale)} * raw + {list(card.scaler.shift)}; raw: {card.scaler.raw}"
    lines = [
        f"# {card.name}",
        "",
        f"A trained net of IndRNN Workbench: `net = wb.pretrained({card.name!r})`. This card is written from the file.",
        "",
        "| | |",
        "|---|---|",
        f"| task | {card.task['name']}: {task} |",
        f"| input, output | x (T, B, {card.spec.inputs}) -> (B, {card.spec.outputs}), {card.spec.target}; "
        f"trained on {card.spec.steps:,} steps |",
        f"| scaler | {scaler} |",
        f"| net | {card.model.kind}: {shown}; {count(net):,} parameters |",
        f"| recipe | {train} |",
        f"| trained | run `{card.run}`, seed {card.seed}, step {card.step:,}, numerics {card.numerics} |",
        f"| test | {score_line(card.test, card.spec.target)} |",
        f"| validation{chose} | {score_line(card.valid, card.spec.target)} |",
        f"| data's licence | {card.licence} |",
        f"| weights, SHA-256 | `{card.weights_sha256}` |",
        f"| file | {path.stat().st_size:,} bytes |",
        "",
    ]
    publish(path.with_suffix(".md"), "\n".join(lines).encode(), replace=True)


def score_line(scores: dict[str, float] | None, target: str) -> str:
    """A score in words, an accuracy with its interval over examples, an error with their number."""
    if scores is None:
        return "none"
    n = int(scores["n"])
    if target != "class":
        return f"mean squared error {scores['mse']:.3g} over {n:,} sequences; one seed"
    low, high = statistics.wilson(scores["accuracy"], n)
    return (
        f"{100 * scores['accuracy']:.2f} % of {n:,} right, 95 % interval {100 * low:.2f} to {100 * high:.2f} over "
        "examples (Wilson); one seed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--cards", action="store_true")
    given, folder = parser.parse_args(), pretrained.folder()
    if bool(given.names) == given.cards:
        parser.error("NAME or --cards is needed, one of them")
    published = [publish_net(name, folder) for name in given.names]
    for path in published or sorted(folder.glob(f"*{pretrained.SUFFIX}")):
        write_card(path)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(ended(main))
