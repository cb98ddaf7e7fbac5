"""The work of each process of `test_distributed.py`: every case trained for a few steps, the outcome in a folder.

In float64, where one process and several differ by 1e-12 and a wrong statistic, mask or weight by far more.
"""

import sys
from itertools import islice
from pathlib import Path

import torch

from workbench import paper, tasks
from workbench.config import Config, Model, Train, Treebank
from workbench.models.distributed import ALONE, join
from workbench.tasks.treebank import Text, TreebankTask
from workbench.training import Trainer, weights_sha256

STEPS, CUT = 6, 3  # CUT: where a checkpoint is taken, after one evaluation of three


def named(name, **changes):
    changes = {k.replace("_", ".", 1): v for k, v in changes.items()}
    small = {"train.evaluate_every": 2, "train.steps": STEPS, "train.lr": 1e-3}
    return paper.experiment(name).at("smoke")[0].set({**small, **changes})


def language(**model):
    return Config(
        task=Treebank(name="treebank", length=10, chunks="fixed"),
        model=Model.model_validate({"hidden": 6, "embedding": 6, "dropout": 0.2, "dropout_words": 0.2, **model}),
        train=Train(batch=5, steps=STEPS, evaluate_every=2, bn_statistics="running", clamp="after", lr=1e-3),
    )


STEPWISE = {"kind": "plain", "norm": "before", "norm_over": "step", "u_max": 0.99}
CASES = {  # odd batches: two processes have unequal parts
    "adding": named("adding_indrnn_T100", train_batch=7, task_length=20),
    "plain": named("seqdigits_plain6", train_batch=9, model_dropout=0.3),
    "padded": named("seqdigits_plain6", train_batch=9, model_depth=2),
    "dense": named("seqdigits_dense", train_batch=8),
    "residual": named("seqdigits_res", train_batch=9),
    "lstm": named("seqdigits_lstm", train_batch=5),
    "transformer": named("seqdigits_transformer", train_batch=5),
    "words, norm a step": language(**STEPWISE),
    "words, lstm": language(kind="lstm"),
}


class Double:
    """A task in float64; with `padded`, one whose sequences have lengths of their own, those of process 1 full."""

    def __init__(self, task, padded):
        self.task, self.padded = task, padded

    def __getattr__(self, name):
        return getattr(self.task, name)

    def _wide(self, batch):
        x = batch.x if batch.x.dtype == torch.int64 else batch.x.double()
        y = batch.y.double() if batch.y.is_floating_point() else batch.y
        T, B = x.shape[:2]
        lengths = (T - B // 2 + 1 + torch.arange(B)).clamp(max=T) if self.padded else None
        return batch._replace(x=x, y=y, lengths=lengths)

    def batch(self, step):
        return self._wide(self.task.batch(step))

    def clean(self, index):
        return self._wide(self.task.clean(index))

    def examples(self, split, size):
        return map(self._wide, islice(self.task.examples(split, min(size, 50)), 2))


def text(config, seed, batch):
    """A treebank of random words, that needs no files."""
    rng = torch.Generator().manual_seed(0)
    tokens = {s: torch.randint(0, 12, (k,), generator=rng) for s, k in (("train", 600), ("valid", 60), ("test", 60))}
    return TreebankTask(Text(tokens, ("<eos>", *map(str, range(11)))), config, seed, batch)


def follow(case, ranks=ALONE, state=None):
    """A case trained to its end, from a state if one is given -> rows, weights, the state at CUT, the loss sums."""
    config, load = CASES[case], tasks.load
    tasks.load = lambda *given: Double(text(*given) if case.startswith("words") else load(*given), case == "padded")
    torch.set_default_dtype(torch.float64)
    try:
        trainer, rows, cut = Trainer(config, 3, ranks=ranks), [], None
        if state is not None:
            trainer.load(state)
        while not trainer.ended:
            trainer.advance()
            if trainer.due:
                rows.append(trainer.evaluation())
            if trainer.step == CUT:
                cut = trainer.state()
        found = {"rows": rows, "test": trainer.test(), "net": trainer.net.state_dict(), "cut": cut}
        return found | {"sha": weights_sha256(trainer.net)}
    finally:
        tasks.load = load
        torch.set_default_dtype(torch.float32)


def main(folder):
    torch.set_num_threads(1)
    ranks = join("cpu")
    for case in CASES:
        alone = torch.load(folder / f"{case}.pt", weights_only=False)
        found = {"whole": follow(case, ranks), "resumed": follow(case, ranks, alone["cut"])}
        torch.save(found, folder / f"{case}-{ranks.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
