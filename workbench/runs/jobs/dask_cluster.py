"""Jobs on dask.distributed: an embedded cluster on this machine, a scheduler that runs already, or Slurm's nodes.

dask places the jobs and brings their outcomes back; attempts, quarantine and records are ours (`worker`). Nothing
listens on the network unless a scheduler or Slurm is asked for, and then under TLS: an open dask port is a shell.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ...errors import ParameterError, RunError
from ...files import results
from . import worker
from .worker import Campaign, Files, Job, Outcome

TRIES = 5  # how often a job is placed again when the worker that had it died
TOPIC = "workbench"
SETTINGS = {
    "distributed.scheduler.allowed-failures": TRIES,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
LAST_WORDS = 3 * worker.GRACE  # seconds to wait for what was asked to stop


Jobs = Sequence[tuple[Job, Files | None]]


class Caller(NamedTuple):
    """The one that has jobs done: `done` is given each outcome; all ends early, all told, once `stopping()`."""

    campaign: Campaign
    done: Callable[[Outcome], None]
    stopping: Callable[[], bool]
    say: Callable[[str], None]


class Alone:
    """One job after another in this process's children: what works where dask is not installed.

    `width`: how many at a time; `remote`: whether on other machines.
    """

    width, remote = 1, False

    def run(self, jobs: Jobs, caller: Caller) -> None:
        campaign, done, stopping, say = caller
        with ThreadPoolExecutor(1) as thread:
            for job, files in jobs:
                if stopping():
                    return
                future = thread.submit(worker.perform, job, campaign, files, say)
                while not wait([future], timeout=0.2).done:
                    if stopping() and campaign.name not in worker.FAMILY.stopped:
                        worker.stop(campaign.name)
                done(future.result())


class Cluster:
    """The workers of a dask scheduler."""

    def __init__(self, client: Any, width: int, remote: bool):
        self.client, self.width, self.remote = client, width, remote

    def run(self, jobs: Jobs, caller: Caller) -> None:
        campaign, done, stopping, say = caller
        ended: queue.SimpleQueue[tuple[Any, int]] = queue.SimpleQueue()
        self.client.subscribe_topic(TOPIC, lambda event: say(str(event[1])))
        placed: dict[int, Any] = {}
        tries = [0] * len(jobs)
        asked_at: float | None = None

        def place(index: int) -> None:
            job, files = jobs[index]
            tries[index] += 1
            placed[index] = self.client.submit(
                _perform, job, campaign, files,
                key=f"{job.label}-{campaign.name}-{index}-{tries[index]}", pure=False, priority=-index,
                resources={"GPU": 1} if job.gpu else None,
            )  # fmt: skip
            placed[index].add_done_callback(lambda future: ended.put((future, index)))

        for index in range(len(jobs)):
            place(index)
        while placed:
            if stopping() and asked_at is None:
                asked_at = time.monotonic()
                self.client.run(worker.stop, campaign.name, on_error="ignore")
            if asked_at is not None and time.monotonic() - asked_at > LAST_WORDS:
                return
            with contextlib.suppress(queue.Empty):
                future, index = ended.get(timeout=0.2)
                del placed[index]
                if future.status == "finished":
                    done(future.result())
                    continue
                self._check_alive()
                job = jobs[index][0]
                if tries[index] >= TRIES:
                    done(Outcome(job, 1, 0.0, f"its workers died {TRIES} times"))
                elif asked_at is None:
                    say(f"{job.label}: its worker was lost; placed again")
                    place(index)
            self._check_alive()

    def _check_alive(self) -> None:
        if self.client.status not in ("running", "connecting"):
            raise RunError("scheduler: it is gone; what was finished is recorded, the same command continues")


Pool = Alone | Cluster


def _perform(job: Job, campaign: Campaign, files: Files | None) -> Outcome:
    """Run a job on a worker, in a child process, and send its lines to the caller."""
    from distributed import get_worker

    node = get_worker()
    return worker.perform(job, campaign, files, lambda line: node.log_event(TOPIC, line))


@contextlib.contextmanager
def pool(workers: int | None = None, scheduler: str | None = None, slurm: bool = False) -> Iterator[Pool]:
    """Those who do the jobs: `workers` of this machine (its cores), a scheduler's, or as many nodes of Slurm.

    Without dask.distributed, one job after another. ParameterError for an address that cannot be used.
    """
    try:
        import distributed
    except ImportError:
        if scheduler is not None or slurm:
            raise ParameterError("scheduler: dask.distributed is not installed; leave it out to run here") from None
        yield Alone()
        return
    import dask

    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        if scheduler is not None:
            client = stack.enter_context(_connected(distributed, check_address(scheduler)))
        else:
            own = _slurm(workers or 1) if slurm else _local(distributed, workers or cores())
            client = stack.enter_context(distributed.Client(stack.enter_context(own)))
        found: Mapping[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
        width = workers or cores() if scheduler is None else sum(w["nthreads"] for w in found.values())
        yield Cluster(client, width, scheduler is not None or slurm)


def check_address(address: str) -> str:
    """A scheduler's address: tls://host:port, or tcp:// on this machine alone; a ParameterError for any other."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in ("tcp", "tls") or not host or port is None:
        needed = "tls://HOST:PORT or tcp://127.0.0.1:PORT is needed"
        raise ParameterError(f"scheduler: {address!r} is not an address; {needed}")
    loopback = host == "localhost"
    with contextlib.suppress(ValueError):  # a name, no address
        loopback = loopback or ipaddress.ip_address(host).is_loopback
    if parts.scheme == "tcp" and not loopback:
        why = "is neither encrypted nor on this machine; start it with TLS and write tls://"
        raise ParameterError(f"scheduler: {address!r} {why}")
    return address


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connected(distributed: Any, address: str) -> Any:
    """A client of a scheduler; the certificates of tls:// are those of dask's own configuration."""
    try:
        security = distributed.Security() if address.startswith("tls") else None
        return distributed.Client(address, security=security, timeout=10)
    except (OSError, ValueError, TypeError) as error:
        raise ParameterError(f"scheduler: {address!r} does not answer: {error}") from None


def _local(distributed: Any, workers: int) -> Any:
    """A LocalCluster of threads that wait for child processes, spelt out: dask's own lets its status pages listen on
    every address. Here they are on this machine alone, on a port of the system's choice, and empty."""
    gpus = worker.gpus()
    silent = {"dashboard": False, "dashboard_address": "127.0.0.1:0", "protocol": "inproc://"}
    options = {"nthreads": workers, "memory_limit": None, "resources": {"GPU": len(gpus)} if gpus else None, **silent}
    return distributed.SpecCluster(
        scheduler={"cls": distributed.Scheduler, "options": silent},
        workers={0: {"cls": distributed.Worker, "options": options}},
        silence_logs=logging.ERROR,
    )


def _slurm(nodes: int) -> Any:
    """One worker a Slurm job; queue, memory, time, account come from dask-jobqueue's configuration (jobqueue.slurm)."""
    try:
        from dask_jobqueue.slurm import SLURMCluster
        from distributed import Security
    except ImportError:
        raise ParameterError(
            "slurm: dask-jobqueue is not installed; `pip install dask-jobqueue cryptography`"
        ) from None
    folder = results() / ".cluster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster = SLURMCluster(
        processes=1, protocol="tls://", security=Security.temporary(), shared_temp_directory=str(folder),
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    )  # fmt: skip
    cluster.scale(jobs=nodes)
    return cluster
