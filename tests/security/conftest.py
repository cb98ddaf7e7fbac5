"""One JupyterLab as `workbench lab` starts it, one Chromium, and what every door is tried with."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

HOSTILE = "</script><script>window.ran=1</script><img src=x onerror='window.ran=2'><svg onload='window.ran=3'>"
# The lab's own command, on a folder of the test's own: what the server writes must not land among the notebooks.
START = """
import sys
from pathlib import Path
from workbench import files as places
from workbench.__main__ import main
places.notebooks = lambda: Path(sys.argv[1])
sys.exit(main(["lab", "--no-browser", "--port", sys.argv[2]]))
"""


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


class Lab:
    """A JupyterLab started by `workbench lab`; `token` is the one it drew for itself."""

    def __init__(self, root: Path):
        self.root, self.work, self.port = root, root / "work", free_port()
        self.work.mkdir()
        (self.work / "hostile.ipynb").write_text(json.dumps(notebook(HOSTILE)))
        folders = {f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        for name in ("python3", "theirs"):  # of another environment
            (root / "shared" / "kernels" / name).mkdir(parents=True)
            spec = {"argv": ["/gone/bin/python", "-m", "x"], "display_name": "Theirs", "language": "python"}
            (root / "shared" / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
        folders["JUPYTER_PATH"], folders["JUPYTER_PREFER_ENV_PATH"] = str(root / "shared"), "0"
        with (root / "log").open("w") as log:
            self.process = psutil.Popen(
                [sys.executable, "-c", START, str(self.work), str(self.port)],
                env={**os.environ, **folders}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not (told := list((root / "runtime").glob("jpserver-*.json"))):
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                pytest.fail((root / "log").read_text()[-2000:])
            time.sleep(0.1)
        served = json.loads(told[0].read_text())
        self.token: str = served["token"]
        self.port = int(served["port"])  # another one, where somebody took ours meanwhile
        while not answers("127.0.0.1", self.port) and time.monotonic() < deadline:
            time.sleep(0.1)  # it tells its port before it listens

    def ask(self, path: str, method: str = "GET", body: object = None, host: str = "", **headers: str) -> Answer:
        """One request, from this machine; `host` is what its Host header says. Underlines in names are dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Host"] = host or f"127.0.0.1:{self.port}"
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    @property
    def known(self) -> dict[str, str]:
        """The header of one who has the token."""
        return {"Authorization": f"token {self.token}"}

    def stop(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [self.process, *self.process.children(recursive=True)]
            for process in family:
                process.terminate()
            for process in psutil.wait_procs(family, 10)[1]:
                process.kill()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    pytest.importorskip("jupyterlab")
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


def notebook(output: str) -> dict[str, object]:
    """A notebook, never run here, whose output claims to be HTML, SVG, JavaScript and a name."""
    data = {"text/html": output, "application/javascript": "window.ran = 4", "text/plain": "an output"}
    svg = {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{output}</svg>", "text/plain": "a picture"}
    outputs = [
        {"output_type": "display_data", "data": data, "metadata": {}},
        {"output_type": "display_data", "data": svg, "metadata": {}},
        {"output_type": "error", "ename": output, "evalue": output, "traceback": [output]},
    ]
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": output},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": "1", "execution_count": 1, "outputs": outputs},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def outside() -> list[str]:
    """The addresses of this machine under which others reach it."""
    found = (a for each in psutil.net_if_addrs().values() for a in each if a.family == socket.AF_INET)
    return [a.address for a in found if not a.address.startswith("127.")]


def answers(address: str, port: int) -> bool:
    """Test whether anything takes a connection there."""
    with contextlib.closing(socket.socket()) as s:
        s.settimeout(5)
        return s.connect_ex((address, port)) == 0


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """The places where a process and those it started listen: (address, port)."""
    found = set()
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = each.net_connections("inet")
            found |= {tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}
    return found


def free_port() -> int:
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
