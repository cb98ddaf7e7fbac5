"""Checkpoints made to do harm, under the name that their hash gives them: refused, and nothing in them is run."""

import hashlib
import io
import pickle
import shutil
import zipfile

import pytest
import torch
from bad_inputs.case import ADDING, TINY

import workbench as wb
from workbench.errors import StoreError
from workbench.runs.bundle import adopt
from workbench.runs.folder import Run


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def inside(state, pickled):
    """The zip archive that torch writes, its pickle replaced."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(state))) as whole, zipfile.ZipFile(made, "w") as changed:
        for member in whole.infolist():
            changed.writestr(member, pickled if member.filename.endswith("data.pkl") else whole.read(member))
    return made.getvalue()


NESTED = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
FORGED = {
    "a pickle that runs": lambda state, bomb: pickle.dumps(bomb),
    "a pickle that runs inside": lambda state, bomb: inside(state, pickle.dumps(bomb)),
    "a pickle that runs among the numbers": lambda state, bomb: saved(state | {"cost": bomb}),
    "a pickle that runs in the old format": lambda state, bomb: legacy(state | {"cost": bomb}),
    "a function by name": lambda state, bomb: saved(state | {"cost": print}),
    "a class of ours": lambda state, bomb: saved(state | {"cost": wb.Config}),
    "a module whole": lambda state, bomb: saved(torch.nn.Linear(1, 1)),
    "a zip that holds nothing": lambda state, bomb: b"PK\x05\x06" + bytes(18),
    "10**12 elements in a kilobyte": lambda state, bomb: saved(weights(state, torch.zeros(1).expand(10**12))),
    "a sparse tensor": lambda state, bomb: saved(weights(state, torch.eye(4).to_sparse())),
    "a tensor nowhere": lambda state, bomb: saved(weights(state, torch.empty(10**12, device="meta"))),
    "weights that are NaN": lambda state, bomb: saved(weights(state, torch.full((4,), torch.nan))),
    "weights that are words": lambda state, bomb: saved(weights(state, "a" * 4)),
    "lists in lists, 100,000 deep": lambda state, bomb: inside(state, NESTED),
}


def legacy(state):
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def weights(state, value):
    state["trainer"]["net"]["layers.0.u"] = value
    return state


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    root = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(root))
        wb.run(ADDING, "smoke", changes=TINY, until=1, progress=False)
    return root


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_checkpoint_runs_nothing(name, begun, store, tmp_path):
    shutil.copytree(begun, tmp_path / "theirs")
    (folder,) = (tmp_path / "theirs" / "runs").iterdir()
    (path,) = folder.glob("ck-*.pt")
    mark = tmp_path / "it ran"
    content = FORGED[name](torch.load(path, weights_only=True), Bomb(mark))
    path.unlink()
    forged = folder / f"ck-1-{hashlib.sha256(content).hexdigest()[:16]}.pt"
    forged.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        Run(folder).read_checkpoint(forged)
    assert "\n" not in str(caught.value)
    assert forged.name in str(caught.value)
    with pytest.raises(StoreError):
        adopt(tmp_path / "theirs")
    assert not (store / "runs").exists()
    assert not mark.exists()
    assert not list(tmp_path.rglob("climbed"))


def test_the_bomb_of_these_tests_goes_off_where_pickle_is_trusted(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "it ran"))).close()
    assert (tmp_path / "it ran").exists()
