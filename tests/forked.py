"""Processes forked from one that has loaded torch and the package: what a child does is tested, not how Python starts.

Each is a process of its own with a session, an environment and a folder of its own, as `subprocess.Popen` has it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

LOADED = (
    "torch._dynamo",  # the first step of an optimiser loads it, for longer than the runs here take
    "distributed.cli.dask_scheduler",
    "distributed.cli.dask_worker",
    "ipykernel.kernelapp",
    "pandas",
    "sklearn.datasets",
    "workbench.__main__",
    "workbench.analysis.tables",
    "workbench.runs.jobs.plan",
)


def context() -> multiprocessing.context.ForkServerContext:
    """The one that forks, of this process; it begins with the first child."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(LOADED))
    return found


class Child:
    """A function in a process of its own; an exit code is what it returns. `output` is a file that its words go to."""

    stdin = stdout = stderr = None

    def __init__(
        self,
        target: Callable[..., object],
        *given: object,
        env: Mapping[str, str] = os.environ,
        cwd: str | None = None,
        output: str | Path = os.devnull,
    ):
        there = (dict(env), cwd or os.getcwd(), str(output))
        self.process = context().Process(target=_begin, args=(*there, target, given))
        self.process.start()
        self.pid = self.process.pid
        while self.poll() is None and os.getpgid(self.pid) != self.pid:  # a signal to its group would be one to us
            time.sleep(0.002)

    def poll(self) -> int | None:
        return self.process.exitcode

    returncode = property(poll)

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.process), timeout or 0.0)
        return code

    def send_signal(self, kind: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, kind)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _begin(
    environment: dict[str, str], folder: str, output: str, target: Callable[..., object], given: tuple[object, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for action in filter(None, environment.get("PYTHONWARNINGS", "").split(",")):
        warnings.simplefilter(action)
    with open(output, "a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.setsid()
    sys.exit(target(*given))


def workbench(*arguments: str) -> int:
    """Do what the command line does."""
    from workbench.__main__ import main

    return main(list(arguments))


def dask(command: str, *arguments: str) -> None:
    """A dask `scheduler` or `worker`."""
    from importlib import import_module

    import_module(f"distributed.cli.dask_{command}").main(arguments, f"dask {command}")


def launch_kernel(command: list[str], env: Mapping[str, str], cwd: str | None = None, **_: object) -> Child:
    """`jupyter_client.launcher.launch_kernel`, of this Python's kernel."""
    return Child(_kernel, command[command.index("ipykernel_launcher") + 1 :], env=env, cwd=cwd)


def _kernel(arguments: list[str]) -> None:
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(arguments)
