"""Data sets where they are looked for."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import os
from pathlib import Path

from workbench.tasks import download, speech

from .case import DATA, refused
from .skeleton import TEXT
from .speech import WAV, wav, zipped

MNIST = {f"data/mnist/{name}": b"<html>404</html>" for name in download.SETS["mnist"].files}
LOCATE = ("data", "mnist", "--check")
_LISTS = Path(os.environ.get("WORKBENCH_DATA", "")) / "ntu"
NTU_LISTS = {
    f"data/ntu/{name}": (_LISTS / name).read_bytes() for name in download.SETS["ntu"].files if (_LISTS / name).is_file()
}
# fmt: off
CASES = [
    *refused("Data", "cli", DATA,
        ("web pages in MNIST's folder", LOCATE, ("mnist/train-images", "altered", "SHA-256", "440fcabf73cc546f"), {"files": MNIST, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("a run on altered data", ("run", "seqmnist_plain6", "--budget", "smoke"), ("mnist/train-images", "altered"), {"files": MNIST, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("an archive of other spoken digits", ("run", "speech_plain", "--budget", "smoke"), ("data/fsdd: samples of SHA-256", "found", speech.CONTENT[:16]), {"files": {f"data/fsdd/{download.SETS['fsdd'].original}": zipped((WAV, wav()))}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no spoken digits anywhere", ("data", "fsdd", "--check"), ("fsdd: recordings.npy.xz is not in", "get https://github.com/", "there"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
        ("spoken digits that were altered", ("data", "fsdd", "--check"), ("fsdd/recordings.npy.xz: altered", "SHA-256", "44d90893995fddb6"), {"files": {f"data/fsdd/{name}": b"x" for name in download.SETS["fsdd"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        *[("NTU without its recordings", ("run", "ntu_cs_plain6", "--budget", "smoke"), ("ntu: no *.skeleton in ", "nturgbd_skeletons_s001_to_s017.zip", "put it"), {"files": NTU_LISTS, "env": {"WORKBENCH_DATA": "{here}/data"}})][: len(NTU_LISTS)],
        ("NTU without its lists", ("data", "ntu", "--check"), ("NTU_RGBD_samples_with_missing_skeletons.txt, NTU_RGBD120_samples_with_missing_skeletons.txt: missing", "get them from https://", "put them there"), {"files": {"data/ntu/S001C001P001R001A001.skeleton": TEXT}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("NTU with a list that was altered", ("data", "ntu", "--check"), ("NTU_RGBD_samples_with_missing_skeletons.txt: altered",), {"files": {f"data/ntu/{name}": b"x" for name in download.SETS["ntu"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("UTD-MHAD that was altered", ("data", "utd_mhad", "--check"), ("utd_mhad/skeletons.npy.xz: altered", "a8420161c753beeb"), {"files": {f"data/utd_mhad/{name}": b"x" for name in download.SETS["utd_mhad"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no UTD-MHAD anywhere", ("run", "utd_plain6", "--budget", "smoke"), ("utd_mhad: skeletons.npy.xz is not in", "Skeleton.zip and put it there"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
        ("a treebank that was altered", ("data", "ptb", "--check"), ("ptb/ptb.train.txt: altered", "SHA-256", "fcea919f6cf83f35"), {"files": {f"data/ptb/{name}": b" a \n" for name in download.SETS["ptb"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("MNIST's folder without its files", LOCATE, ("data/mnist: train-images-idx3-ubyte.gz, train-labels", "t10k-labels-idx1-ubyte.gz: missing", "put them there"), {"files": {"data/mnist": None}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no MNIST anywhere", LOCATE, ("mnist: train-images-idx3-ubyte.gz is not in", "put the files"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
    ),
]
# fmt: on
