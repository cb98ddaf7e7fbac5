"""Where data sets are, whether they are whole, and the only network code.

A set is looked for in $WORKBENCH_DATA, then in the user's cache, then fetched into the cache with checksums. Nothing
falls through: a file found but altered, or a $WORKBENCH_DATA that does not exist, is an error.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, MissingData, ParameterError, choices
from ..progress import notices


@dataclass(frozen=True)
class DataSet:
    """A published data set: its files with their SHA-256, where they come from, what may be done with them."""

    name: str
    title: str
    url: str
    licence: str
    cite: str
    files: dict[str, str]


SETS: dict[str, DataSet] = {
    "mnist": DataSet(
        name="mnist",
        title="MNIST, 60,000 + 10,000 handwritten digits of 28 x 28",
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        licence="CC BY-SA 3.0",
        cite="LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998",
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
}


def cache() -> Path:
    """The user's cache folder for data."""
    import pooch

    return Path(pooch.os_cache("indrnn-workbench")) / "data"


def hashes(name: str) -> dict[str, str]:
    """The SHA-256 of each file of a set: part of the name of every run on it."""
    return dict(_known(name).files)


def present(name: str) -> bool:
    """Whether all files of a set are on this machine (whole or not: `locate` says)."""
    wanted = _known(name)
    return any(all((folder / f).is_file() for f in wanted.files) for folder in _folders(name))


def locate(name: str, fetch: bool = True) -> Path:
    """The folder of a set, every file of it verified; fetched first where missing and `fetch`.

    Raises DataError that names the file, where it was looked for and where to put it.
    """
    wanted, folders = _known(name), _folders(name)
    for folder in folders:
        found = [f for f in wanted.files if (folder / f).is_file()]
        if len(found) == len(wanted.files):
            return verify(name, folder)
        if found or (folder == folders[0] and "WORKBENCH_DATA" in os.environ and folder.is_dir()):
            missing = next(f for f in wanted.files if f not in found)
            raise DataError(f"{folder / missing}: missing; get it from {wanted.url}{missing} and put it there")
    if not fetch:
        first = next(iter(wanted.files))
        raise MissingData(
            f"{name}: {first} is not in {' or '.join(map(str, folders))}; put the files of {wanted.url} there"
        )
    return _fetch(wanted)


def obtainable(name: str) -> bool:
    """Whether a set is at hand or can be fetched now; one that is there but altered is an error, as in `locate`."""
    try:
        locate(name)
    except MissingData:
        return False
    return True


def verify(name: str, folder: Path) -> Path:
    """Compare every file of a set in a folder with its SHA-256; DataError names the first that differs."""
    for file, expected in _known(name).files.items():
        try:
            found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"{folder / file}: cannot be read: {error.strerror}") from None
        if found != expected:
            raise DataError(f"{folder / file}: altered: SHA-256 {found[:16]}... found, {expected[:16]}... expected")
    return folder


def _known(name: str) -> DataSet:
    if name not in SETS:
        raise ParameterError(f"data set: {name!r} is unknown; choose one of {choices(SETS)}")
    return SETS[name]


def _folders(name: str) -> list[Path]:
    folders = []
    chosen = os.environ.get("WORKBENCH_DATA")
    if chosen is not None:
        root = Path(chosen).absolute()
        if not chosen.strip() or not os.path.isdir(root):  # a blank name would mean the current folder
            raise DataError(f"WORKBENCH_DATA: {chosen!r} is not a folder; unset it or name the one that holds {name}/")
        folders.append(root / name)
    return [*folders, cache() / name]


def _fetch(wanted: DataSet) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would say what we say, on stderr, which a notebook shows as a warning
    print(f"{wanted.name}: fetching from {wanted.url}", file=notices(), flush=True)
    folder = cache() / wanted.name
    for file, sha in wanted.files.items():
        try:
            pooch.retrieve(wanted.url + file, f"sha256:{sha}", file, folder, progressbar=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise MissingData(
                f"{wanted.name}: {file} is not on this machine and could not be fetched ({reason}); "
                f"get it from {wanted.url}{file} and put it into {folder}"
            ) from None
    return folder
