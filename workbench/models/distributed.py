"""The processes that train one run together, as torchrun starts them: each takes a part of every batch.

All hold the same weights and come to the same decisions; process 0 alone keeps the record. The gradient is that of the
whole batch (DistributedDataParallel), and so are batch norm's statistics and dropout's masks, so that the number of
processes changes a result by rounding only.
"""

from __future__ import annotations

import atexit
import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed, nn

from ..errors import ParameterError, Stopped, WorkbenchError
from ..tasks.contract import Batch

PATIENCE = timedelta(minutes=30)  # for one of the others, which may be writing to a slow disk
_Answer = TypeVar("_Answer")


class Share(NamedTuple):
    """The rows of a batch that are this process's, of how many."""

    rows: slice
    whole: int


class Ranks:
    """Process `rank` of `count`. What it asks of the others, all must ask in the same order; alone it asks nobody.

    `share` is set while a net is trained on a part of a batch: what depends on the whole batch must ask then.
    """

    def __init__(self, rank: int = 0, count: int = 1):
        self.rank, self.count = rank, count
        self.share: Share | None = None

    @property
    def leads(self) -> bool:
        """True in the process that keeps the record and speaks."""
        return self.rank == 0

    @contextmanager
    def part(self, batch: Batch) -> Iterator[Batch]:
        """This process's part of a batch, whole examples, as even as can be; it is trained on while inside."""
        if self.count == 1:
            yield batch
            return
        examples, each = batch.y.shape[-1], batch.samplings
        self.check(examples)
        first, end = (examples * rank // self.count for rank in (self.rank, self.rank + 1))
        rows = slice(first * each, end * each)
        lengths = None if batch.lengths is None else batch.lengths[rows]
        self.share = Share(rows, batch.x.shape[1])
        try:
            yield batch._replace(x=batch.x[:, rows].contiguous(), y=batch.y[..., first:end], lengths=lengths)
        finally:
            self.share = None

    def check(self, examples: int) -> None:
        """A ParameterError for a batch that leaves a process without an example."""
        if examples < self.count:
            raise ParameterError(
                f"train.batch: {examples} received, fewer than the {self.count} processes of this run; "
                f"each needs an example, so start at most {examples}"
            )

    def parallel(self, net: nn.Module) -> nn.Module:
        """The net whose backward pass leaves the mean of all processes' gradients."""
        if self.count == 1:
            return net
        warnings.filterwarnings("ignore", "Grad strides do not match")  # a matrix of one column has many strides
        parallel: Callable[..., nn.Module] = nn.parallel.DistributedDataParallel
        renamed = "forward_sync_buffers"  # in torch 2.13
        buffers = renamed if renamed in inspect.signature(parallel).parameters else "broadcast_buffers"
        return parallel(net, **{buffers: False})  # ours are alike as they are

    def lead(self, call: Callable[[], _Answer]) -> _Answer:
        """Run `call` in process 0, return its answer in all; an error of ours that it raises there is raised in all."""
        if self.count == 1:
            return call()
        said: list[Any] = [None, None]
        if self.leads:
            try:
                said[0] = call()
            except WorkbenchError as error:
                said[1] = error
        distributed.broadcast_object_list(said, 0, device=torch.device("cpu"))
        answer, refusal = said
        if refusal is not None:
            raise refusal
        return answer  # type: ignore[no-any-return]

    def any(self, flag: bool) -> bool:
        """Test whether `flag` holds in at least one of the processes."""
        return flag if self.count == 1 else self.total(float(flag))[0] > 0

    def total(self, *values: float) -> list[float]:
        """The sums of numbers over the processes."""
        if self.count == 1:
            return list(values)
        return self.sum(torch.tensor(values, dtype=torch.float64)).tolist()

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        distributed.all_reduce(value)
        return value

    def gather(self, value: Tensor) -> list[Tensor]:
        """The tensors of all processes, in their order; all of one shape."""
        found = [torch.empty_like(value) for _ in range(self.count)]
        distributed.all_gather(found, value.contiguous())
        return found

    def joined(self, value: Tensor, examples: int) -> Tensor:
        """From the parts (..., b, N) of all processes the whole (..., B, N), `examples` being B."""
        if self.count == 1:
            return value
        most = -(-examples // self.count)  # gathered at one size, since parts may differ by a row
        padded = nn.functional.pad(value, (0, 0, 0, most - value.shape[-2]))
        sizes = [examples * (rank + 1) // self.count - examples * rank // self.count for rank in range(self.count)]
        return torch.cat([v[..., :n, :] for v, n in zip(self.gather(padded), sizes, strict=True)], -2)

    def own(self, value: Tensor) -> Tensor:
        """Of the whole (..., B, N) this process's part (..., b, N)."""
        first, end = (value.shape[-2] * rank // self.count for rank in (self.rank, self.rank + 1))
        return value[..., first:end, :].contiguous()

    def broken(self, error: Exception) -> bool:
        """Test whether an error says that another process is gone, or silent for too long."""
        signs = ("gloo", "NCCL", "closed by peer", "reset by peer", "Timed out")
        kind = isinstance(error, RuntimeError) and self.count > 1
        return kind and (isinstance(error, distributed.DistError) or any(sign in str(error) for sign in signs))

    @contextmanager
    def company(self, label: str) -> Iterator[None]:
        """Stopped where another process goes away while inside."""
        try:
            yield
        except RuntimeError as error:
            if not self.broken(error):
                raise
            gone = f"another of its {self.count} processes is gone"
            raise Stopped(f"{label}: stopped: {gone}; the same command continues from its checkpoint") from None


ALONE = Ranks()


def join(device: str) -> Ranks:
    """The processes among which torchrun started this one, `ALONE` where it did not; they meet on the first call."""
    if not _launched() or (count := _told("WORLD_SIZE")) == 1:
        return ALONE
    rank = _told("RANK")
    if rank >= count:
        raise ParameterError(f"RANK: {rank} received; 0 to {count - 1} is allowed")
    if device != "cpu":
        torch.accelerator.set_device_index(device)
    if not distributed.is_initialized():
        distributed.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl", timeout=PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return Ranks(rank, count)


def own_device(device: str) -> str:
    """`cuda` as the one of this machine's GPUs that torchrun meant for this process; others as they are."""
    if device != "cuda" or not _launched():
        return device
    index, there = _told("LOCAL_RANK"), torch.accelerator.device_count()
    if index >= there:
        raise ParameterError(
            f"device: process {index} of this machine received, which has {there} CUDA devices; "
            f"start at most {there} processes with --nproc-per-node, or choose cpu"
        )
    return f"cuda:{index}"


def _told(name: str) -> int:
    """A number that torchrun puts into the environment."""
    value = os.environ.get(name, "")
    if not value.isdigit():
        raise ParameterError(f"{name}: {value!r} received; the whole number that torchrun sets is needed")
    return int(value)


def _launched() -> bool:
    """Test whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()
