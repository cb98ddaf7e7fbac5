"""Estimators with scikit-learn's interface: the recipe for sequences of one's own over the project's trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, assert_all_finite, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor

from ..errors import DataError, ParameterError, quoted, whole
from ..progress import Progress
from ..tasks.contract import Batch
from ..tasks.lengths import by_length
from ..tasks.sequences import Content, Sequences, SequencesTask, in_memory, split
from ..tasks.sequences.content import Array, labels, numbers
from ..tasks.sequences.scaling import checked
from ..tasks.sequences.task import padded
from ..training import Trainer, evaluate
from . import recipe
from .asked import check_device, pinned_threads


@dataclass(eq=False, repr=False)
class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """Common base of `IndRNNClassifier` and `IndRNNRegressor`: all but what an answer is.

    X: an array (n, T, channels); or (n, T), of one channel, each row closed by NaN where it is shorter; a list (or
    Series, or array of objects) of arrays (steps, channels) of any lengths; a DataFrame with a row a sequence, or one
    whose index has two levels, sequence and step, and whose columns are the channels: its steps are put in order, its
    sequences are in that of their first rows. What is masked is missing. y: (n,). A 3-D array on disk
    (`numpy.load(..., mmap_mode="r")`) is read a sequence at a time.

    `kind`: a kind of net of `wb.build`, the LSTM and its like too; `hidden`, `depth`, `dropout` are its sizes. `gamma`
    bounds |u| by gamma^(1/T), T the longest training sequence; None leaves u free. One cycle of `epochs` passes at peak
    rate `lr`, batches of `batch`, u at a tenth of the rate. `valid`: the share of the sequences that is held out, whole
    `groups` where fit is given them, and scored after each pass. `patience`: after so many passes without a lower loss
    on it training ends, and the weights of the lowest loss are taken; None: the cycle runs to its end and its last
    weights are taken, which was better where the recipe was chosen (of 270 sequences in cross-validation 266 right,
    with `patience` 20 of 40 passes 261). `missing`: `error`, `mean` or `previous`; `scaling`: `training`, `sequence` or
    `none` (SEQUENCES.md). `net`: other fields of a model's config, such as {"norm": "none"}. `device`: auto, cpu or
    cuda. `random_state` decides all that is random. `progress`: one line of it.

    After fit: `net_`, the trained module; `config_`, what was trained; `scaling_`, what is done to the channels;
    `curve_`, a DataFrame with a row an evaluation; `n_channels_`.

    Raises ParameterError (a ValueError) for what cannot be read, trained on, or answered by a finite number. A fit
    forgets the one before; one that fails or is interrupted leaves the estimator as it was.
    """

    answer: ClassVar[Literal["class", "real"]] = "class"
    kind: str = recipe.KIND
    hidden: int = recipe.NET["hidden"]
    depth: int = recipe.NET["depth"]
    dropout: float = recipe.NET["dropout"]
    gamma: float | None = recipe.NET["gamma"]
    lr: float = recipe.LR
    batch: int = recipe.BATCH
    epochs: int = recipe.EPOCHS
    valid: float = 0.1
    patience: int | None = recipe.PATIENCE
    missing: str = "error"
    scaling: str = "training"
    net: Mapping[str, Any] | None = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    progress: bool = True

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train on X and y; `groups` (n,): who each sequence is from, so that no one is held out in part."""
        before = dict(vars(self))
        for name in before:
            if name.endswith("_"):
                delattr(self, name)
        try:
            with _without_a_task():
                return self._fit(X, y, groups)
        except BaseException:
            self.__dict__ = before
            raise

    def _fit(self, X: Any, y: Any, groups: Any) -> Self:
        if y is None:
            raise ParameterError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        content = self._content(X, y, groups, fitting=True)
        given = self.get_params(deep=False).items()  # searches over settings give numbers of numpy's
        set_ = {name: value.item() if isinstance(value, np.generic) else value for name, value in given}
        task = Sequences(
            name="sequences", answer=self.answer, test=0.0, **{n: set_[n] for n in ("valid", "missing", "scaling")}
        )
        seed = set_["random_state"]
        if not isinstance(seed, int) or isinstance(seed, bool):
            seed = int(check_random_state(seed).randint(2**31))
        whole("random_state", seed, 0, 2**63 - 1, "a seed")
        sizes = ("hidden", "depth", "dropout", "gamma")  # those of the recipe are left out where a kind lacks them
        own = {} if set_["net"] is None else set_["net"]
        if not isinstance(own, Mapping) or (twice := sorted({*own} & {"kind", *sizes}, key=str)):
            why = f"{twice[0]} is a parameter of its own" if isinstance(own, Mapping) else "a mapping is needed"
            raise ParameterError(f"net: {quoted(own)} received; {why}")
        net = {name: set_[name] for name in sizes if set_[name] != recipe.NET[name]} | dict(own)
        cycle = {name: set_[name] for name in ("kind", "lr", "batch", "epochs", "patience")}
        self.config_ = recipe.recipe(task, *split.counts(content, task), net=net, **cycle)
        made = SequencesTask(content, task, seed, self.config_.train.batch)
        self.scaling_, self.answer_scaling_, self.n_channels_ = made.scaling, made.answer_scaling, content.channels
        self._train(made, seed)
        return self

    def _train(self, task: SequencesTask, seed: int) -> None:
        curve: list[dict[str, Any]] = []
        with pinned_threads(1):
            trainer = Trainer(self.config_, seed, device=check_device(self.device), task=task)
            progress = Progress(type(self).__name__, 0, shown=self.progress)
            while not trainer.ended:
                loss = trainer.advance()
                if trainer.due:
                    curve.append({name: part for name, part in trainer.evaluation().items() if name != "u"})
                progress.show(trainer.step, self.config_.train.steps, loss)
            progress.close("done")
            self.net_ = trainer.best_net().cpu().eval()
        self.curve_ = pd.json_normalize(curve)

    def _outputs(self, X: Any) -> Tensor:
        """The net's outputs (n, outputs), in the order of X."""
        check_is_fitted(self)
        with _without_a_task():
            content = self._content(X, None, None, fitting=False)
            checked(content, self.missing)
        net = self.net_.to(check_device(self.device))
        found: list[tuple[Tensor, Tensor]] = []
        every = torch.arange(len(content.lengths))
        with torch.no_grad(), pinned_threads(1):
            for rows in by_length(torch.from_numpy(content.lengths), every, recipe.BATCH):
                x, lengths = padded(content, self.scaling_, rows)
                found.append((rows, evaluate.answer(net, Batch(x, rows, lengths), self.answer)[0].cpu()))
        self.net_.cpu()
        order, answers = map(torch.cat, zip(*found, strict=True))
        outputs: Tensor = answers[order.argsort()]
        if (wrong := (~outputs.isfinite()).any(-1).nonzero()).numel():
            row = int(wrong[0])
            raise ParameterError(
                f"X: sequence {row}: its answer is no finite number: its {content.lengths[row]} steps are too many, or "
                "its values too large, for what was trained on"
            )
        return outputs

    def _content(self, X: Any, y: Any, groups: Any, *, fitting: bool) -> Content:
        """X, y and groups as sequences."""
        read, lengths, channels = self._sequences(X, fitting)
        n = len(lengths)
        if fitting:
            for name, given in (("y", y), ("groups", groups)):
                _check_beside(name, given, X)
            y = self._answers(y)
            check_consistent_length(lengths, y, groups)
            if n < 2:
                raise ParameterError(f"X: n_samples = {n} received; at least 2 sequences are needed")
        elif channels != self.n_channels_:
            raise ParameterError(f"X: {channels} channels received; {self.n_channels_} were trained on")
        answers = np.zeros(n) if y is None else y
        return Content("X", read, lengths, channels, answers, None if groups is None else labels(groups, "groups"))

    def _answers(self, y: Any) -> Array:
        """Answers as a task of sequences has them."""
        raise NotImplementedError

    def _sequences(self, X: Any, fitting: bool) -> in_memory.Found:
        """`read`, lengths and channels of X."""
        X = in_memory.listed(X)
        found, frame = in_memory.read(X), in_memory.channels(X)
        if frame is not None and (fitting or hasattr(self, "feature_names_in_")):  # the channels' names and order
            validate_data(self, frame, reset=fitting, skip_check_array=True, ensure_2d=False)
        if found is None:
            values = validate_data(self, X, reset=fitting, dtype=np.float64, ensure_all_finite=False)
            found = in_memory.rows(values[:, :, None])
        return found

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        tags.input_tags.three_d_array = True
        return tags


def _check_beside(name: str, given: Any, X: Any) -> None:
    """ParameterError for what is masked, and for a Series whose index names the sequences in another order than X."""
    if np.ma.is_masked(given):
        row = np.flatnonzero(np.ma.getmaskarray(given))[0]
        raise ParameterError(f"{name}: row {row}: masked; each sequence needs a value")
    if not isinstance(given, pd.Series) or not isinstance(X, pd.DataFrame) or X.index.nlevels != 2:
        return
    sequences = X.index.get_level_values(0).unique()
    if not given.index.equals(sequences) and {*given.index} == {*sequences}:
        raise ParameterError(
            f"{name}: its index names the sequences in another order than X does; "
            f"{name}.loc[X.index.get_level_values(0).unique()] is in that of X, {name}.to_numpy() has no names"
        )


def _complete(y: Any) -> Array:
    """Answers as an array (n,) without missing ones."""
    found: Array = column_or_1d(y.to_numpy() if isinstance(y, pd.Series) else y, warn=True)
    if (missing := np.flatnonzero(pd.isna(found))).size:
        raise ParameterError(f"Input y contains NaN: {found[missing[0]]} in row {missing[0]}")
    assert_all_finite(found, input_name="y")
    return found


@contextmanager
def _without_a_task() -> Iterator[None]:
    """Inside, errors of what was read speak of an estimator's parameters and are ValueErrors."""
    try:
        yield
    except DataError as error:
        raise ParameterError(str(error).replace("task.", "")) from None


class IndRNNClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """A classifier of sequences.

        net = wb.IndRNNClassifier(random_state=0).fit(X, y)
        net.predict(X_new), net.predict_proba(X_new), net.score(X_test, y_test)

    Works in `cross_val_score`, `GridSearchCV` and pipelines, can be cloned and pickled. After fit: `classes_`.
    """

    __doc__ += SequenceEstimator.__doc__.partition("\n")[2]  # type: ignore[union-attr]

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class (n, classes), in the order of `classes_`."""
        found: Array = self._outputs(X).double().softmax(-1).numpy()
        return found

    def predict(self, X: Any) -> Array:
        """The class of each sequence (n,)."""
        number = self._outputs(X).argmax(-1).numpy()
        found: Array = self.classes_[number]
        return found

    def _answers(self, y: Any) -> Array:
        y = _complete(y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ParameterError(f"y: 1 class received, {self.classes_.tolist()[0]!r}; at least 2 are needed")
        return labels(codes, "y")


class IndRNNRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """A net that answers a sequence with a number; numbers are scaled by those it was trained on.

    net = wb.IndRNNRegressor(random_state=0).fit(X, y)
    net.predict(X_new), net.score(X_test, y_test)          # the score is R^2
    """

    __doc__ += SequenceEstimator.__doc__.partition("\n")[2]  # type: ignore[union-attr]
    answer: ClassVar[Literal["class", "real"]] = "real"

    def predict(self, X: Any) -> Array:
        """The number of each sequence (n,)."""
        found: Array = self._outputs(X).double().numpy()[:, 0]
        own: Array = found * self.answer_scaling_.deviation[0] + self.answer_scaling_.mean[0]
        return own

    def _answers(self, y: Any) -> Array:
        return numbers(_complete(y), "y")
