"""Several runs in one process, in turns: while a device works on the step of one, the next begins its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import torch

from ..errors import RunError, Stopped, WorkbenchError
from ..training.cuda_graphs import beside
from .record import Record


def in_turns(
    runs: Mapping[int, Generator[None, None, Record]],
    device: torch.device,
    label: str,
    say: Callable[[str], None] = print,
) -> list[Record]:
    """The records of all runs, by seed, in the order given; a run is called `label` and its seed.

    One that fails or stops is told of and leaves the others alone; at the end RunError, or Stopped, if there was one.
    """
    streams = {seed: torch.Stream(device) if device.type != "cpu" else None for seed in runs}
    left, records, failed, stopped = dict(runs), {}, [], []
    while left:
        for seed, steps in list(left.items()):
            try:
                with beside(streams[seed]):
                    next(steps)
                continue
            except StopIteration as end:
                records[seed] = end.value
                say(f"{label} {seed}: {end.value.status}")
            except Stopped as error:
                stopped.append(str(error))
                say(str(error))
            except WorkbenchError as error:
                failed.append(seed)
                say(f"{label} {seed}: failed: {error}")
            del left[seed]
    if failed:
        raise RunError(f"{len(failed)} of {len(runs)} failed: {label} {', '.join(map(str, failed))}")
    if stopped:
        raise Stopped(f"{len(stopped)} of {len(runs)} stopped; the same command continues")
    return [records[seed] for seed in runs]
