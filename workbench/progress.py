"""Display of a run's progress: a line that rewrites itself on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TextIO, TypeVar

from tqdm import tqdm

PLAIN_EVERY = 15.0  # seconds between plain lines
NARROW = 60  # columns below which a bar has no room for a name
_Item = TypeVar("_Item")


class Progress:
    """Step, loss, steps per second, time left."""

    def __init__(self, label: str, step: int, *, shown: bool = True):
        self.label, self.first, self.began = label, step, time.monotonic()
        self.shown, self.last, self.wrote = shown, time.monotonic(), False
        self.bar: tqdm[NoReturn] | None = None
        self.terminal = shown and sys.stderr.isatty()

    def show(self, step: int, target: int | None, loss: float) -> None:
        """After each step; costs a microsecond unless it is time to write. Where nobody takes it, the run goes on."""
        with contextlib.suppress(OSError):
            self._show(step, target, loss)

    def _show(self, step: int, target: int | None, loss: float) -> None:
        if self.terminal:
            if self.bar is None:
                self.bar = _bar(self.label, target, "step", initial=step - 1, mininterval=0.5)
            self.bar.set_postfix_str(f"{'loss ' if self.bar.desc else ''}{loss:.4f}", refresh=False)
            self.bar.update(1)
        elif self.shown and time.monotonic() - self.last > PLAIN_EVERY:
            self.last, self.wrote = time.monotonic(), True
            print(self.line(step, target, loss), file=notices(), flush=True)

    def rate(self, step: int) -> float:
        """Steps a second since it began."""
        return (step - self.first) / max(time.monotonic() - self.began, 1e-9)

    def line(self, step: int, target: int | None, loss: float) -> str:
        rate = self.rate(step)
        left = "" if target is None else f", {clock((target - step) / max(rate, 1e-9))} left"
        end = "" if target is None else f" of {target:,}"
        return f"{self.label}: step {step:,}{end}, loss {loss:.4f}, {rate:.3g} steps/s{left}"

    def close(self, word: str) -> None:
        with contextlib.suppress(OSError):
            if self.bar is not None:
                self.bar.close()
            elif self.wrote:
                took = clock(time.monotonic() - self.began)
                print(f"{self.label}: {word} after {took}", file=notices(), flush=True)


class Transfer:
    """Progress of a download, as pooch tells it: it sets `total`, calls `update`, then `reset` and `close`."""

    def __init__(self, label: str) -> None:
        self.label, self.total, self.done, self.spoke = label, 0, 0, time.monotonic()
        self.bar: tqdm[NoReturn] | None = None

    def update(self, count: int) -> None:
        """So many bytes more."""
        self.done = min(self.done + count, self.total or self.done + count)
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = _bar(self.label, self.total or None, "B", unit_scale=True)
            self.bar.update(self.done - self.bar.n)
        elif time.monotonic() - self.spoke > PLAIN_EVERY:
            self.spoke = time.monotonic()
            of = f" of {self.total / 1e6:.1f}" if self.total else ""
            print(f"{self.label}: {self.done / 1e6:.1f}{of} MB", file=notices(), flush=True)

    def reset(self) -> None:
        """Nothing: the bytes were counted as they came."""

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def counted(items: Sequence[_Item], label: str, unit: str, *, first: int = 0) -> Iterator[_Item]:
    """The items, counted as they are taken: a bar on a terminal, a plain line now and then anywhere else.

    `first`: so many were done before.
    """
    total, spoke = first + len(items), time.monotonic()
    bar = _bar(label, total, unit, initial=first, disable=not sys.stderr.isatty(), iterable=items)
    for done, item in enumerate(bar, first):
        if bar.disable and time.monotonic() - spoke > PLAIN_EVERY:
            spoke = time.monotonic()
            print(f"{label}: {unit} {done:,} of {total:,}", file=notices(), flush=True)
        yield item


def _bar(label: str, total: int | None, unit: str, **options: Any) -> tqdm[Any]:
    """A bar on a terminal; on a narrow one its figures alone, which the name would push out of sight."""
    if _columns() >= NARROW:
        return tqdm(total=total, desc=label, unit=unit, **options)
    return tqdm(total=total, bar_format="{n_fmt}/{total_fmt} {remaining}{postfix}", **options)


def _columns() -> int:
    """The width of the terminal behind stderr."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or NARROW
    except (OSError, ValueError):  # no terminal: a test's, a notebook's
        return NARROW


def notices() -> TextIO:
    """Stream for notices: stderr, but stdout in a notebook, which shows stderr as a warning."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return sys.stdout if kernel is not None and kernel.IPKernelApp.initialized() else sys.stderr


def clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
