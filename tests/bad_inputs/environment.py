"""Variables of the environment: where results and data lie, what torchrun and others set."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

from .case import ADDING, DATA, PARAMETER, STORE, Link, refused, smoke

LOCATE = ("data", "mnist", "--check")


def launched(**changed: str) -> dict[str, dict[str, str]]:
    """The variables that torchrun sets for the first of two processes, some of it changed."""
    return {"env": {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"} | changed}


# fmt: off
CASES = [
    *refused("Store", "env", STORE,
        ("results that are a file", smoke(), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken"}}),
        ("results below a file", ("list",), ("WORKBENCH_RESULTS: ", "Not a directory"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken/runs"}}),
        ("results that are a link to themselves", ("list", "runs"), ("WORKBENCH_RESULTS: ", "symbolic links"), {"files": {"loop": Link("loop")}, "env": {"WORKBENCH_RESULTS": "{here}/loop"}}),
        ("results that are a link to nothing", ("tables",), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"gone": Link("nothing")}, "env": {"WORKBENCH_RESULTS": "{here}/gone"}}),
        ("results whose name is too long", ("status",), ("WORKBENCH_RESULTS: ", "too long"), {"env": {"WORKBENCH_RESULTS": "{here}/" + "x" * 300}}),
        ("results without a name", ("list",), ("WORKBENCH_RESULTS: ''", "is not a folder"), {"env": {"WORKBENCH_RESULTS": ""}}),
        ("results of blanks", ("list",), ("WORKBENCH_RESULTS: '  '", "is not a folder"), {"env": {"WORKBENCH_RESULTS": "  "}}),
        ("results that are a file, for many runs", ("reproduce", ADDING), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken"}}),
        ("results whose name has a line break", ("list",), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"a\nb": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/a\nb"}}),
        ("results in the place of another thing", ("status",), ("WORKBENCH_RESULTS: ", "is not a folder"), {"env": {"WORKBENCH_RESULTS": "/dev/null"}}),
    ),
    *refused("Data", "env", DATA,
        ("a data folder that does not exist", LOCATE, ("WORKBENCH_DATA: ", "nowhere", "is not a folder"), {"env": {"WORKBENCH_DATA": "{here}/nowhere"}}),
        ("a data folder that is a file", LOCATE, ("WORKBENCH_DATA: ", "is not a folder"), {"files": {"data": "x"}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("a data folder without a name", LOCATE, ("WORKBENCH_DATA: ''", "is not a folder"), {"env": {"WORKBENCH_DATA": ""}}),
        ("a data folder of blanks", LOCATE, ("WORKBENCH_DATA: '  '", "is not a folder"), {"env": {"WORKBENCH_DATA": "  "}}),
        ("a data folder that is a link to itself", LOCATE, ("WORKBENCH_DATA: ", "is not a folder"), {"files": {"loop": Link("loop")}, "env": {"WORKBENCH_DATA": "{here}/loop"}}),
        ("a data folder whose name is too long", LOCATE, ("WORKBENCH_DATA: ", "is not a folder"), {"env": {"WORKBENCH_DATA": "{here}/" + "x" * 300}}),
        ("a data folder that is gone, for a run", ("run", "seqmnist_plain6", "--budget", "smoke"), ("WORKBENCH_DATA: ", "is not a folder"), {"env": {"WORKBENCH_DATA": "{here}/nowhere"}}),
        ("a data folder that is gone, for many runs", ("reproduce", "table2_pixels", "--budget", "smoke"), ("WORKBENCH_DATA: ", "is not a folder"), {"env": {"WORKBENCH_DATA": "{here}/nowhere"}}),
    ),
    *refused("Training", "env", PARAMETER,
        ("a count of processes that is none", smoke(), ("WORLD_SIZE: 'two'", "torchrun"), launched(WORLD_SIZE="two")),
        ("a negative count of processes", smoke(), ("WORLD_SIZE: '-2'", "torchrun"), launched(WORLD_SIZE="-2")),
        ("a rank that is no number", smoke(), ("RANK: 'first'", "torchrun"), launched(RANK="first")),
        ("a rank beyond the last", smoke(), ("RANK: 2", "0 to 1"), launched(RANK="2")),
    ),
]
# fmt: on
