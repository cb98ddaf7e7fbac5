"""The Penn Treebank, word by word or character by character: say the next token (Li et al. 2019, section 5.3).

The texts are Mikolov's word files. A word line ends with `<eos>`; characters are the same lines with `_` for a blank
and the newline counted as a symbol, which is, symbol for symbol, what his `ptb.char` files hold. Tokens are numbered by
first occurrence in the training text, as in the official code.

Training reads `train.batch` columns of running text side by side, each epoch from another offset, in chunks; the
official codes of 2020 (`random` chunks) and 2018 (`fixed`) start every epoch from the zero state. Scores count every
token of a split once, its first too, which is predicted from an end of line.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..config import Treebank
from ..errors import DataError, ParameterError
from ..seeds import generator
from . import download
from .contract import Batch, Spec, Split

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
END = {"word": "<eos>", "char": "\n"}
VOCABULARY = {"word": 10_000, "char": 50}
LETTERS = "aer_bnkotlizcwyusfmghd-qpx\n<>Njv.'1950&$324867#\\/*"  # the characters by number; _ is a blank
TOKENS = {"word": 929_589, "char": 5_017_482}  # of the training text
OFFSETS = 5  # an epoch starts below so many chunks of text (random: of the whole batch; fixed: of one column)
HALF, RESET = 0.05, 0.1  # random chunks: the share of about half the length; of steps from the zero state
SPREAD, SHORTEST, LONGER = 5, 5, 10  # random chunks: standard deviation, shortest, at most so much over `length`


class Text(NamedTuple):
    """Token numbers (n,) int64 of each split, and what each number stands for."""

    tokens: dict[Split, Tensor]
    vocabulary: tuple[str, ...]


class Epoch(NamedTuple):
    """One pass: tokens left out at its beginning, tokens in a column; of each chunk its place in the columns, its
    length and how many tokens the state has seen since it was zero."""

    offset: int
    height: int
    at: list[int]
    length: list[int]
    start: list[int]


def spec(config: Treebank) -> Spec:
    """The task seen from a net."""
    size = VOCABULARY[config.unit]
    return Spec(inputs=size, outputs=size, steps=config.length, target="token")


class TreebankTask:
    """x, y (T, B) int64: tokens, and the token after each. `text` is the whole treebank, cut here to `config.limit`."""

    def __init__(self, text: Text, config: Treebank, seed: int, batch_size: int):
        self.spec = replace(spec(config), inputs=len(text.vocabulary), outputs=len(text.vocabulary))
        self.text = Text({s: t[: config.limit] for s, t in text.tokens.items()}, text.vocabulary)
        self.end = text.vocabulary.index(END[config.unit])
        self.seed, self.batch_size, self.chunks = seed, batch_size, config.chunks
        n = len(self.text.tokens["train"])
        self._offsets = _offsets(config, batch_size, n)
        self.batches_per_epoch = batches_per_epoch(config, batch_size, n)
        needed = (config.length if config.chunks == "fixed" else 2) + 1
        if (n - self._offsets + 1) // batch_size < needed:
            raise ParameterError(
                f"train.batch: {batch_size} columns are too many for {n} training tokens; each needs {needed} or more "
                f"behind an offset below {self._offsets}"
            )
        self._ends = [0]  # batches before each epoch, as far as anyone asked
        self._last: tuple[int, Epoch] | None = None

    def laid(self, device: torch.device) -> TreebankTask:
        """The same task with its training text on a device, where batches are cut out of it: 7 MB of words."""
        there, tokens = copy.copy(self), self.text.tokens
        there.text = self.text._replace(tokens={**tokens, "train": tokens["train"].to(device)})
        return there

    def epoch(self, number: int) -> Epoch:
        """A pass through the training text, a pure function of the seed and its number."""
        if self._last is None or self._last[0] != number:
            self._last = (number, self._draw(generator(self.seed, "treebank", "epoch", number)))
        return self._last[1]

    def batch(self, step: int) -> Batch:
        while self._ends[-1] <= step:
            self._ends.append(self._ends[-1] + len(self.epoch(len(self._ends) - 1).at))
        number = bisect_right(self._ends, step) - 1
        epoch, index = self.epoch(number), step - self._ends[number]
        text = self.text.tokens["train"][epoch.offset :][: self.batch_size * epoch.height]
        first, T = epoch.at[index], epoch.length[index]
        seen = text.view(self.batch_size, epoch.height)[:, first : first + T + 1].T
        return Batch(seen[:-1].contiguous(), seen[1:].contiguous(), start=epoch.start[index])

    def clean(self, index: int) -> Batch:
        """Chunks from places of their own, read from the zero state."""
        text = self.text.tokens["train"]
        T, rng = min(self.spec.steps, len(text) - 1), generator(self.seed, "treebank", "clean", index)
        at = torch.randint(0, len(text) - T, (self.batch_size,), generator=rng) + torch.arange(T)[:, None]
        at = at.to(text.device)
        return Batch(text[at], text[at + 1])

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        """A split as published: valid in 10 columns, test in one (the 2018 code: 128), chunks of `length`, the state
        carried. One column is slow, but every token has all the text before it; a longer chunk would be quicker, but
        frame-wise batch norm knows tokens by their place in a chunk."""
        columns = {"train": self.batch_size, "valid": 10, "test": 1}[split]
        return self.segments(split, min(size, columns), self.spec.steps)

    def segments(self, split: Split, columns: int, length: int) -> Iterator[Batch]:
        """Every token of a split once, in equal columns (the last one padded, y = -1), `length` tokens at a time."""
        y = self.text.tokens[split]
        height = -(-len(y) // columns)
        columns = -(-len(y) // height)
        x = torch.cat([y.new_tensor([self.end]), y[:-1]])
        missing = columns * height - len(y)
        x = torch.nn.functional.pad(x, (0, missing), value=self.end).view(columns, height).T
        y = torch.nn.functional.pad(y, (0, missing), value=-1).view(columns, height).T
        for start in range(0, height, length):
            part = slice(start, start + length)
            yield Batch(x[part].contiguous(), y[part].contiguous(), start=start)

    def drawn(self) -> dict[str, Any]:
        return {}

    def _draw(self, rng: torch.Generator) -> Epoch:
        T = self.spec.steps
        offset = int(torch.randint(0, self._offsets, (), generator=rng))
        height = (len(self.text.tokens["train"]) - offset) // self.batch_size
        if self.chunks == "fixed":
            at = torch.arange(0, (height - 1) // T * T, T)
            return Epoch(offset, height, at.tolist(), [T] * len(at), at.tolist())
        draws = height // SHORTEST + 1
        base = torch.where(torch.rand(draws, generator=rng) < HALF, T / 2, T)
        drawn = (base + SPREAD * torch.randn(draws, generator=rng)).long().clamp(SHORTEST, longest(T))
        at = drawn.cumsum(0) - drawn
        zeroed = (torch.rand(draws, generator=rng) < RESET) * at
        start = at - zeroed.cummax(0).values
        kept = int((at < height - 2).sum())
        length = torch.minimum(drawn, height - 1 - at)
        return Epoch(offset, height, at[:kept].tolist(), length[:kept].tolist(), start[:kept].tolist())


def batches_per_epoch(config: Treebank, batch_size: int, tokens: int | None = None) -> float:
    """The mean number of batches of a pass, over all that a seed could draw; `tokens` None: of the real text."""
    T = config.length
    n = min(TOKENS[config.unit], config.limit or math.inf) if tokens is None else tokens
    offsets = _offsets(config, batch_size, int(n))
    if config.chunks == "fixed":
        return sum(((n - o) // batch_size - 1) // T for o in range(offsets)) / offsets
    places = (n - (offsets - 1) / 2) / batch_size - 2
    return places / _mean_length(T) + 0.5  # half a chunk more, since the last one is begun and cut


def _offsets(config: Treebank, batch_size: int, tokens: int) -> int:
    """The number of beginnings that an epoch may have."""
    rows = batch_size if config.chunks == "random" else 1
    return max(1, min(OFFSETS * config.length * rows, tokens // 2))


def longest(T: int) -> int:
    """The longest random chunk; no longer than 2 T + 1 (frame-wise batch norm has rows for so many), which matters
    below T = 9, where the official code breaks."""
    return min(T + LONGER, 2 * T + 1)


def _mean_length(T: int) -> float:
    """The mean of a random chunk's length: the sum over k of the chance that it is at least k."""

    def at_least(k: int, base: float) -> float:
        return 0.5 * math.erfc((k - base) / (SPREAD * math.sqrt(2)))

    rest = range(SHORTEST + 1, longest(T) + 1)
    return SHORTEST + sum((1 - HALF) * at_least(k, T) + HALF * at_least(k, T / 2) for k in rest)


def hashes(config: Treebank) -> dict[str, str]:
    """The hashes of the three texts: part of a run's name."""
    return download.hashes("ptb")


def task(config: Treebank, seed: int, batch_size: int) -> TreebankTask:
    """The task under a seed, its texts found and verified at each use, read once."""
    return TreebankTask(read(download.locate("ptb"), config.unit), config, seed, batch_size)


@lru_cache(maxsize=2)
def read(folder: Path, unit: Literal["word", "char"]) -> Text:
    """`ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt` as tokens.

    Raises DataError with file, line, found and expected for a text without a word, and for a token of valid or test
    that the training text lacks; see `read_lines` for the rest.
    """
    lines = {split: read_lines(folder / f"ptb.{split}.txt") for split in SPLITS}
    symbols = {split: symbols_of(lines[split], unit) for split in SPLITS}
    index = {symbol: number for number, symbol in enumerate(dict.fromkeys(symbols["train"]))}
    tokens: dict[Split, Tensor] = {}
    for split, found in symbols.items():
        path = folder / f"ptb.{split}.txt"
        if not any(map(str.strip, lines[split])):
            raise DataError(f"{path}: line 1: {len(lines[split])} empty lines found, text expected")
        try:
            numbers = np.fromiter(map(index.__getitem__, found), np.int64, len(found))
        except KeyError:
            raise _unknown(path, lines[split], index, unit) from None
        tokens[split] = torch.from_numpy(numbers)
    return Text(tokens, tuple(index))


def symbols_of(lines: Sequence[str], unit: Literal["word", "char"]) -> Sequence[str]:
    """The tokens of lines: their words with `<eos>` behind each line, or their characters with a newline."""
    if unit == "char":
        return "".join(line.strip().replace(" ", "_") + "\n" for line in lines)
    return [word for line in lines for word in [*line.split(), END["word"]]]


def _unknown(path: Path, lines: list[str], index: dict[str, int], unit: Literal["word", "char"]) -> DataError:
    number, symbol = next((n, s) for n, line in enumerate(lines, 1) for s in symbols_of([line], unit) if s not in index)
    known = f"one of the {len(index)} {'words' if unit == 'word' else 'characters'} of ptb.train.txt expected"
    return DataError(f"{path}: line {number}: {symbol!r} found, {known}")


def read_lines(path: Path) -> list[str]:
    """The lines of a text in UTF-8 without a byte order mark, each ended by a newline alone.

    Raises DataError with file, byte or line, found and expected for anything else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not content:
        raise DataError(f"{path}: byte 0: an empty file found, text expected")
    for mark, name in ((b"\xef\xbb\xbf", "a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if content.startswith(mark):
            raise DataError(f"{path}: byte 0: {name} found, UTF-8 without a byte order mark expected")
    for wrong, name in ((b"\0", "a zero byte (UTF-16 or no text)"), (b"\r", "a carriage return")):
        if (at := content.find(wrong)) >= 0:
            line = content.count(b"\n", 0, at) + 1
            raise DataError(f"{path}: line {line}: {name} found, UTF-8 with newlines alone expected")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start}: {content[error.start]:#04x} found, UTF-8 expected") from None
    return text.removesuffix("\n").split("\n")


def last_token(text: Text) -> dict[str, Any]:
    """The last of the vocabulary, the row whose gradient the official lookup loses: how often each split reads it."""
    last = len(text.vocabulary) - 1
    row: dict[str, Any] = {"token": text.vocabulary[last]}
    for split, tokens in text.tokens.items():
        row |= {split: int((tokens == last).sum()), f"{split} tokens": len(tokens)}
    return row
