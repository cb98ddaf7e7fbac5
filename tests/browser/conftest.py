"""A real JupyterLab and a real Chromium, one of each for all browser tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from workbench import files


class Lab:
    """A running JupyterLab on a copy of the notebooks, with folders and token of its own."""

    def __init__(self, root: Path, budget: str):
        self.root, self.token, self.port = root, secrets.token_hex(16), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        work = root / "work"
        work.mkdir()
        for path in files.notebooks().glob("*.ipynb"):  # a copy: the browser saves
            source = path.read_text()
            if "records: str" not in source:  # these show published records, and train nothing
                source = source.replace('budget: str = \\"quick\\"', f'budget: str = \\"{budget}\\"')
            (work / path.name).write_text(source)
        settings = root / "config" / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
        command += [f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"]
        command += ["--LabApp.expose_app_in_browser=True"]  # its commands, such as to change the theme
        env = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(root / "config"),
            "JUPYTER_DATA_DIR": str(root / "data"),
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(root / "config" / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(root / "config" / "workspaces"),
        }
        self.log = (root / "lab.log").open("w")
        self.process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={work}"], env=env, stdout=self.log, stderr=subprocess.STDOUT
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=2).close()
                return
            time.sleep(0.2)
        self.stop()
        pytest.fail((self.root / "lab.log").read_text()[-2000:])

    def theme(self, page, name: str) -> None:
        """Switch to `JupyterLab Light` or `JupyterLab Dark`."""
        page.request.put(
            f"{self.url}/lab/api/settings/@jupyterlab/apputils-extension:themes",
            data={"raw": f'{{"theme": "{name}"}}'},
            headers={"Authorization": f"token {self.token}"},
        )

    def open(self, page, name: str, place: str = "doc") -> None:
        """Open a notebook alone on the page, or beside the file browser ("lab"), and wait until its kernel is there."""
        page.goto(f"{self.url}/{place}/tree/{name}.ipynb?token={self.token}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        # The notebook's own indicator reads idle before a kernel exists, and Run All would ask which one to use.
        idle = "document.querySelector('#jp-main-statusbar')?.textContent.includes('| Idle')"
        page.wait_for_function(idle, timeout=60_000)

    def press_run_all(self, page) -> float:
        """Run All; the clock (perf_counter) at that moment."""
        page.get_by_role("menuitem", name="Run", exact=True).click()
        began = time.perf_counter()
        page.get_by_text("Run All Cells", exact=True).first.click()
        return began

    def shut(self, page) -> None:
        """End all kernels: a page that stands in a notebook leaves it."""
        page.evaluate("window.onbeforeunload = null")
        page.goto("about:blank")
        token = {"Authorization": f"token {self.token}"}
        for session in page.request.get(f"{self.url}/api/sessions", headers=token).json():
            page.request.delete(f"{self.url}/api/sessions/{session['id']}", headers=token)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if "PICTURES" not in os.environ:  # pictures show the store that is there
            patch.setenv("WORKBENCH_RESULTS", str(tmp_path_factory.mktemp("results")))
        server = Lab(tmp_path_factory.mktemp("lab"), os.environ.get("PICTURES_BUDGET", "smoke"))
        yield server
        server.stop()


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
