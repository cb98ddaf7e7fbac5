"""Errors of this package, and the exit code with which a command then ends.

Every message is one line that names the argument, the value received and the values allowed.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DONE, FAILED, WRONG_PARAMETER, WRONG_DATA, NO_STORE, STOPPED = range(6)  # with what a command or a worker ends


class WorkbenchError(Exception):
    """The root of our errors; a command that meets one ends with `code`.

    The message is one line of printable characters, whatever names and values it quotes.
    """

    code = FAILED

    def __init__(self, message: object = ""):
        super().__init__(printable(str(message)))


class RunError(WorkbenchError):
    """The work itself failed: a run diverged, a notebook raised."""

    code = FAILED


class ParameterError(WorkbenchError, ValueError):
    """A parameter has a wrong value; nothing was started."""

    code = WRONG_PARAMETER


class KindError(ParameterError, TypeError):
    """A value is of the wrong kind: text where True or False is needed, a list where a tensor is. Also a TypeError."""


class InputError(ParameterError, RuntimeError):
    """A tensor does not fit the layer: its shape, dtype or device. Also a RuntimeError, as PyTorch raises there."""


class FixedError(ParameterError, AttributeError):
    """A setting that the weights' shapes rest on was to change after the layer was made. Also an AttributeError."""


class DataError(WorkbenchError):
    """A data set is missing, altered or malformed."""

    code = WRONG_DATA


class MissingData(DataError):
    """A data set is not on this machine and cannot be fetched."""


class StoreError(WorkbenchError):
    """The store of records cannot be used: unreadable, read-only, altered, held by another process."""

    code = NO_STORE


class Stopped(WorkbenchError):
    """Stopped on request; the same command continues."""

    code = STOPPED


@contextmanager
def reading(place: object, *also: type[Exception]) -> Iterator[None]:
    """Inside, an OSError, or an error of the kinds `also`, becomes a DataError that names the place."""
    kinds: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except kinds as error:
        raise DataError(f"{place}: cannot be read: {error}") from None


@contextmanager
def understood(otherwise: str) -> Iterator[None]:
    """Inside, whatever a library says of bytes that it cannot read becomes a DataError: `otherwise`, its first line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{otherwise}: {str(error).partition(chr(10))[0][:200] or type(error).__name__}") from None


def printable(text: str) -> str:
    """Text without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def told(error: Exception) -> str:
    """An error in one line: an error of ours says all itself, of another its kind comes first."""
    return str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"


def quoted(value: object) -> str:
    """A value received, as a message shows it: at most 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def whole(name: str, value: object, low: int = 1, high: int | None = None, what: str = "") -> int:
    """A whole number from `low` to `high`, or a ParameterError, that it `is not WHAT`; True and 1.0 are none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        end = f"2**{high.bit_length()} - 1" if high and high > 10**9 else str(high)
        allowed = f"of at least {low}" if high is None else f"from {low} to {end}"
        kind = ParameterError if type(value) is int else KindError
        raise kind(
            f"{name}: {quoted(value)} {f'is not {what}' if what else 'received'}; a whole number {allowed} is needed"
        )
    return value


def choices(names: object) -> str:
    """`a, b, c`, sorted, for the end of a message."""
    return ", ".join(sorted(str(name) for name in names))  # type: ignore[attr-defined]


# --- the end of a command ---


def ended(work: Callable[[], object]) -> int:
    """Do a command's work -> the code to end with, which may be what the work returns.

    An error that a user can mend is one plain line on stderr; any other is Python's own.
    """
    _open_streams()
    said: object = "stopped"
    try:
        code = work()
        sys.stdout.flush()  # what it cannot take shows here, and not while Python ends
        return code if isinstance(code, int) else DONE
    except KeyboardInterrupt:
        code = STOPPED
    except WorkbenchError as error:
        said, code = error, error.code
        if launched() and os.environ.get("LOCAL_RANK") != "0" and code != FAILED:
            return code  # of several processes the others would say the same
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "workbench"):
            raise
        package = {"sklearn": "scikit-learn"}.get(package, package)
        how = f"`{sys.executable} -m pip install {package}` adds it, `make setup` all"
        said, code = f"{package} is not installed; {how}", FAILED
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away, as `| head` does
        return DONE
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain while it ends
        said, code = f"the output cannot be written: {error.strerror}", FAILED
    say(f"workbench: {said}")
    return code


def launched() -> bool:
    """Say whether torchrun started this process; asked without loading torch."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def say(line: str) -> None:
    """Print a line for a person, on stderr."""
    print(line, file=sys.stderr, flush=True)


def _open_streams() -> None:
    """Open a stream that was closed, so that the other is not taken; escape what an encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (until Python ends)
        elif getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
