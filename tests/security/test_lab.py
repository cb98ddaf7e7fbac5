"""JupyterLab as `workbench lab` starts it: for whom it answers, and where it listens."""

import json
import os
import sys
import time
from importlib.metadata import version

import pytest
from security.conftest import answers, listening, outside

from workbench import files
from workbench.__main__ import main


def logged_in(lab):
    """The cookies of a browser that opened the lab, and the XSRF token among them."""
    lines = lab.ask(f"/lab?token={lab.token}").headers.get_all("Set-Cookie")
    cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
    return "; ".join(f"{name}={value}" for name, value in cookies.items()), cookies["_xsrf"]


def test_nobody_is_answered_without_the_token(lab):
    assert len(lab.token) >= 32
    for path in ("/api/contents", "/api/kernels", "/api/terminals", "/files/hostile.ipynb", "/nbconvert/html/x.ipynb"):
        assert lab.ask(path).status in (302, 403), path
        assert lab.ask(path, Authorization="token wrong").status in (302, 403), path
    assert lab.ask("/api/contents").status == 403
    page = lab.ask("/lab")
    assert page.status == 302
    assert "/login" in page.headers["Location"]
    assert lab.ask("/api/contents", **lab.known).status == 200


def test_a_page_elsewhere_cannot_use_the_cookie_of_one_who_is_logged_in(lab):
    """Without the XSRF token, which another site cannot read, nothing is written or started."""
    jar, xsrf = logged_in(lab)
    assert lab.ask("/api/contents", Cookie=jar).status == 200
    refused = lab.ask("/api/sessions", "POST", {}, Cookie=jar)
    assert refused.status == 403
    assert b"_xsrf" in refused.body
    assert lab.ask("/api/terminals", "POST", Cookie=jar).status == 403
    known = lab.ask("/api/sessions", "POST", {}, Cookie=jar, X_XSRFToken=xsrf)
    assert known.status == 400  # now it is read, and lacks its content


def test_a_name_that_another_made_point_here_is_refused(lab):
    """DNS rebinding: the Host header names the site from which the page came."""
    for host in ("evil.example", f"evil.example:{lab.port}", outside()[0] if outside() else "192.0.2.1"):
        assert lab.ask("/api/contents", host=host, **lab.known).status == 403
    assert lab.ask("/api/contents", host=f"localhost:{lab.port}", **lab.known).status == 200


def test_no_other_origin_may_read_or_open_a_channel(lab):
    """The headers that a browser sends with a page of another site: the cookie, and that site as origin."""
    jar, _ = logged_in(lab)
    for path in ("/api/contents", "/lab", "/files/hostile.ipynb"):
        answer = lab.ask(path, Origin="http://evil.example", Cookie=jar)
        assert "Access-Control-Allow-Origin" not in answer.headers
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert lab.ask("/api/events/subscribe", Origin="http://evil.example", Cookie=jar, **upgrade).status == 403
    here = f"http://127.0.0.1:{lab.port}"
    assert lab.ask("/api/events/subscribe", Origin=here, Cookie=jar, **upgrade).status == 101
    policy = lab.ask("/lab", **lab.known).headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy


def test_it_listens_on_this_machine_alone_with_a_kernel_too(lab):
    made = lab.ask("/api/kernels", "POST", {"name": "python3"}, **lab.known)
    assert made.status == 201
    deadline = time.monotonic() + 60
    while len(listening(lab.process)) < 4 and time.monotonic() < deadline:  # the server's port, then the kernel's
        time.sleep(0.1)
    found = listening(lab.process)
    assert (("127.0.0.1", lab.port)) in found
    assert len(found) >= 4
    assert {address for address, _ in found} == {"127.0.0.1"}
    assert answers("127.0.0.1", lab.port)
    for address in outside():
        assert not answers(address, lab.port)


def test_its_first_screen_asks_nothing_and_no_news_are_fetched(lab):
    """As JupyterLab comes, a question about news covers the notebook that is opened."""
    page = lab.ask("/lab", **lab.known).body.decode()
    config = json.loads(
        page.partition('id="jupyter-config-data" type="application/json">')[2].partition("</script>")[0]
    )
    assert config["news"] == {"disabled": True}


def test_its_kernel_is_this_python_whatever_kernels_there_are(lab):
    """A foreign `python3` lies where Jupyter looks first (conftest)."""
    found = json.loads(lab.ask("/api/kernelspecs", **lab.known).body)["kernelspecs"]
    assert found["python3"]["spec"]["argv"][0] == sys.executable
    assert "theirs" in found


@pytest.mark.parametrize(("user", "root"), [(0, True), (1000, False)])
def test_it_is_root_only_when_its_user_is_and_nothing_is_switched_off(monkeypatch, user, root):
    asked = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "execve", lambda path, command, environment: asked.append((command, environment)))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    main(["lab", "--port", "9999"])
    ((command, environment),) = asked
    options = command[3:]
    assert environment["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(files.lab_config()), "mine"]
    assert ("--allow-root" in options) is root
    assert "--ip=127.0.0.1" in options
    weak = ("token", "password", "origin", "xsrf", "remote", "iframe", "insecure", "Certificate", "0.0.0.0")
    assert not [option for option in options for word in weak if word in option]


def test_the_file_browser_shows_whole_names(lab):
    """Its column of dates, which cuts them, is off: a setting that this JupyterLab has."""
    known = json.loads(lab.ask("/lab/api/settings/@jupyterlab/filebrowser-extension:browser", **lab.known).body)
    assert known["schema"]["properties"]["showLastModifiedColumn"]["default"] is False


def test_the_server_is_newer_than_its_stored_scripting_fault():
    """Before 2.20 a notebook's name could hold a script that its own error page ran."""
    assert tuple(map(int, version("jupyter_server").split(".")[:2])) >= (2, 20)


def test_a_notebook_from_elsewhere_is_not_trusted(lab, browser):
    """Opened in a real Chromium, its outputs are shown without running what they hold."""
    assert not any(cell["metadata"].get("trusted") for cell in contents(lab)["cells"])
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{lab.port}/doc/tree/hostile.ipynb?token={lab.token}&reset")
    page.wait_for_selector(".jp-OutputArea-output", timeout=90_000)
    page.wait_for_function(
        "document.body.innerText.includes('an output') || document.querySelector('.jp-RenderedHTMLCommon')"
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None
    page.evaluate("window.onbeforeunload = null")
    page.close()


def contents(lab):
    return json.loads(lab.ask("/api/contents/hostile.ipynb", **lab.known).body)["content"]
