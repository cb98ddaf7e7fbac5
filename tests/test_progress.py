"""Progress of a run: a bar on a terminal, a plain line now and then elsewhere, nothing where it is not wanted."""

import io
import os
import re
import subprocess
import sys

import pytest

from workbench import progress
from workbench.progress import Progress, clock, counted


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """terminal(): stderr becomes one, in the test itself: pytest sets its own after the fixtures."""

    def attach():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return attach


@pytest.fixture
def plain(monkeypatch):
    """A place where no bar is drawn, with every line due at once."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "notices", lambda: stream)
    monkeypatch.setattr(progress, "PLAIN_EVERY", -1.0)
    return stream


def test_on_a_terminal_a_resumed_run_is_a_bar_that_begins_where_it_stopped(terminal):
    said = terminal()
    shown = Progress("a run", 40)
    for step in (41, 42):
        shown.show(step, 100, 0.5)
    shown.close("done")
    assert re.search(r"a run: +42%.* 42/100 .*loss 0.5000", said.getvalue())
    assert "after" not in said.getvalue()


SHOWN = """
from workbench.progress import Progress
shown = Progress("seqmnist_plain6 seed 0", 0)
for step in range(1, 1701):
    shown.show(step, 1782, 0.0123)
shown.close("stopped")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize(
    ("columns", "seen"), [(24, r"1700/1782 \d\d:\d\d, 0.01"), (100, r"seqmnist_plain6 seed 0: +95%")]
)
def test_a_narrow_terminal_shows_the_figures_and_a_wide_one_the_name_too(columns, seen):
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    done = subprocess.run([sys.executable, "-c", SHOWN], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert re.search(seen, text), text
    assert all(len(line) <= columns for line in re.split(r"[\r\n]", text) if "\x1b" not in line)


def test_elsewhere_it_is_a_line_now_and_then_and_one_at_the_end(plain, monkeypatch):
    shown = Progress("a run", 0)
    shown.show(5, 1_000, 0.25)
    shown.show(6, None, 0.125)
    first, second = plain.getvalue().splitlines()
    assert re.fullmatch(r"a run: step 5 of 1,000, loss 0.2500, \S+ steps/s, \d+:\d+ left", first)
    assert re.fullmatch(r"a run: step 6, loss 0.1250, \S+ steps/s", second)
    monkeypatch.setattr(progress, "PLAIN_EVERY", 1e9)
    shown.show(7, None, 0.1)
    shown.close("done")
    assert plain.getvalue().splitlines()[2:] == ["a run: done after 0:00"]


def test_where_nobody_reads_it_the_run_goes_on(plain, monkeypatch):
    """As behind `| head`, or on a terminal that was closed."""
    monkeypatch.setattr(plain, "write", lambda text: (_ for _ in ()).throw(BrokenPipeError(32, "Broken pipe")))
    shown = Progress("a run", 0)
    shown.show(1, 2, 0.5)
    shown.close("done")


def test_what_was_soon_over_or_is_not_wanted_says_nothing(plain, monkeypatch):
    hidden = Progress("a run", 0, shown=False)
    hidden.show(1, 2, 0.5)
    hidden.close("done")
    monkeypatch.setattr(progress, "PLAIN_EVERY", 1e9)
    short = Progress("a run", 0)
    short.show(1, 2, 0.5)
    short.close("done")
    assert plain.getvalue() == ""


def test_items_are_counted_from_those_that_were_done_before(plain):
    assert list(counted("ab", "archive", "clip", first=7)) == ["a", "b"]
    assert plain.getvalue().splitlines() == ["archive: clip 7 of 9", "archive: clip 8 of 9"]


def test_on_a_terminal_items_are_a_bar(terminal):
    said = terminal()
    assert list(counted("abc", "archive", "clip", first=1)) == ["a", "b", "c"]
    assert "4/4" in said.getvalue()
    assert "clip 1 of" not in said.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3723, "1:02:03")])
def test_a_time_is_read_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_in_a_notebook_notices_are_no_warnings(monkeypatch):
    from ipykernel.kernelapp import IPKernelApp

    assert progress.notices() is sys.stderr
    monkeypatch.setattr(IPKernelApp, "initialized", lambda: True)
    assert progress.notices() is sys.stdout
