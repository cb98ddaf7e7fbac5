"""Nets taken away: files of weights that build the net again, ONNX models, and the nets that come with the project."""

import json
import random
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

import workbench as wb
from workbench import files, tasks
from workbench.__main__ import main
from workbench.config import Config, Model
from workbench.errors import DataError, ParameterError, StoreError
from workbench.models.build import build, weights_sha256
from workbench.runs import export, pretrained
from workbench.seeds import generator
from workbench.tasks import download

pytest.importorskip("safetensors")
NAME = "seqdigits_plain6"
TINY = {"train.steps": 4, "train.evaluate_every": 2, "model.hidden": 4, "model.depth": 2, "task.limit": 40}
SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "weights.py"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small trained run, in a store of its own."""
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(root))
        yield wb.run(NAME, "smoke", changes=TINY, progress=False)


@pytest.fixture
def file(trained, tmp_path):
    return next(export.exported([trained.id], "safetensors", tmp_path))


def test_a_file_builds_the_recorded_net_again_and_says_what_it_is(trained, file, tmp_path):
    net, recorded, batch = wb.pretrained(file), trained.net(), trained.examples(8)
    assert not net.training
    assert torch.equal(net(batch.x), recorded(batch.x))
    card, reached = net.card, trained.budgets[-1]
    assert (card.test, card.valid, card.step) == (reached["test"], reached["valid"], 4)
    assert (card.run, card.seed, card.data) == (trained.id, 0, trained.spec["data"])
    assert card.weights_sha256 == weights_sha256(recorded)
    assert "UCI" in card.licence
    assert pretrained.packed(net) == file.read_bytes()
    assert next(export.exported([str(file)], "safetensors", tmp_path / "again")).read_bytes() == file.read_bytes()


def test_the_scaler_gives_what_the_task_gives(trained):
    config = trained.config.task
    task = tasks.load(config, 0, 4)
    images, _ = task.images.test
    raw = images[:5].T.unsqueeze(-1).float()
    assert_close(raw * task.scaler.scale[0] + task.scaler.shift[0], next(task.examples("test", 5)).x, rtol=0, atol=0)


def net_of(scaler=None, spec=None, **model):
    """An untrained net that claims to be trained, its statistics and gains not those it starts with."""
    spec = spec or tasks.Spec(2, 3, 9, "class")
    model = Model(**model)
    net = build(model, spec, generator(0, "init")).eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if "bn" in name and value.is_floating_point():
                value.uniform_(0.5, 1.5, generator=generator(0, name))
    net.card = pretrained.Card(
        format=1, name="made", model=model, spec=spec, scaler=scaler, task={"name": "x"},
        train={}, run="0" * 16, seed=0, step=1, numerics=1, test=None, valid=None, data={}, licence="none",
        weights_sha256=weights_sha256(net),
    )  # fmt: skip
    return net


NETS = {
    "plain": {"kind": "plain", "depth": 2, "hidden": 4, "norm": "after"},
    "residual": {"kind": "residual", "depth": 1, "hidden": 4, "norm": "before", "norm_kind": "layer"},
    "sums": {"kind": "residual", "depth": 1, "hidden": 4, "shortcut": "sum", "norm": "after", "norm_kind": "rms"},
    "dense": {
        "kind": "dense",
        "growth": 2,
        "blocks": (1,),
        "differences": True,
        "activation": "tanh",
        "norm": "after",
        "norm_kind": "layer",
    },
}
KINDS = ("lstm", "gru", "irnn", "sru", "lru", "mingru", "s5", "transformer", "bidirectional", "convolution")
OTHERS = {kind: {"kind": kind, "hidden": 4} for kind in KINDS} | {"linear": {"kind": "linear"}}


@pytest.mark.parametrize("name", [*NETS, *OTHERS])
def test_every_kind_of_net_comes_back_from_its_file(name, tmp_path, rng):
    net, path = net_of(**(NETS | OTHERS)[name]), tmp_path / "net.safetensors"
    path.write_bytes(pretrained.packed(net))
    x = torch.randn(9, 3, 2, generator=rng)
    assert torch.equal(wb.pretrained(path)(x), net(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*")  # the exporter's own, some of every kind
@pytest.mark.parametrize("name", ["plain", "dense"])
@torch.no_grad()
def test_a_model_reads_raw_values_at_any_length_and_batch_and_may_be_cut_anywhere(name, rng):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net = net_of(tasks.Scaler((0.5, 2.0), (-1.0, 2000.3), "volts"), **NETS[name])
    session = runtime.InferenceSession(export.onnx_bytes(net))
    assert json.loads(session.get_modelmeta().custom_metadata_map["workbench"])["scaler"]["raw"] == "volts"
    names = [given.name for given in session.get_inputs()]
    assert names[0] == "x"

    def run(x, states):
        return session.run(None, dict(zip(names, [x.numpy(), *states], strict=True)))

    for T, B in ((9, 2), (1, 1), (7, 1), (50, 5)):
        noise, near = torch.randn(T, B, 2, generator=rng), torch.tensor([2.0, -1000.15])
        raw, start = noise + near, [s.numpy() for s in export.Carrying(net).zeros(B)]
        whole, *_ = run(raw, start)
        scaled = (raw.double() * torch.tensor([0.5, 2.0]) + torch.tensor([-1.0, 2000.3], dtype=torch.float64)).float()
        assert whole.shape == (T, B, 3)
        assert_close(torch.from_numpy(whole[-1]), net(scaled), rtol=1e-5, atol=1e-5)
        if T > 1:
            _, *states = run(raw[:3], start)
            tail, *_ = run(raw[3:], states)
            assert_close(torch.from_numpy(tail), torch.from_numpy(whole[3:]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_raw_values_far_from_zero_lose_no_digits(rng):
    mean, deviation = 101_325.3, 0.7
    net = net_of(tasks.Scaler((1 / deviation,) * 2, (-mean / deviation,) * 2, "pascal"), **NETS["plain"])
    raw = (torch.randn(9, 3, 2, generator=rng) * deviation + mean).float()
    carrying = export.Carrying(net).eval()
    found = carrying(raw, *carrying.zeros(3))[0][-1]
    assert_close(found, net(((raw.double() - mean) / deviation).float()), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*")
@torch.no_grad()
def test_a_bidirectional_net_has_no_states_and_answers_whole_sequences_in_their_own_unit(rng):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net = net_of(**OTHERS["bidirectional"])
    net.card = net.card.model_copy(update={"answer": tasks.Scaler((0.5,), (-3.0,), "grams")})
    session = runtime.InferenceSession(export.onnx_bytes(net))
    assert [given.name for given in session.get_inputs()] == ["x"]
    for T, B in ((9, 2), (1, 1), (50, 3)):
        x = torch.randn(T, B, 2, generator=rng)
        (found,) = session.run(None, {"x": x.numpy()})
        assert_close(torch.from_numpy(found), (net(x) + 3) / 0.5, rtol=1e-5, atol=1e-5)
    with pytest.raises(ParameterError, match="step: a bidirectional net reads a sequence from its end too"):
        net.step(torch.zeros(1, 2))


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_a_net_that_no_model_can_be_written_of_is_named(name):
    with pytest.raises(ParameterError, match=f"to: 'onnx' received; .* {name!r}, target 'class'; safetensors"):
        export.onnx_bytes(net_of(**OTHERS[name]))


def test_the_command_writes_it_by_the_runs_id_and_refuses_what_it_cannot(trained, tmp_path, capsys):
    assert main(["export", trained.id, "--to", "safetensors", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / f"{NAME}.safetensors")
    for arguments, said in (
        ([trained.id, "--to", "gguf"], "to: 'gguf' received; choose one of safetensors, onnx"),
        (["--to", "onnx"], "names: none received"),
        (["bounds", "--seed", "1"], "--seed: it has no meaning without --to"),
        (["0" * 16, "--to", "onnx"], "there is no run 0000000000000000"),
        ([trained.id, "--to", "onnx", "--seed", "1"], f"seed: 1 received; '{trained.id}' is one net whatever its seed"),
        ([trained.id, trained.id, "--to", "onnx"], f"names: two nets received that are called {NAME}"),
        (["seqmnist_plane6", "--to", "onnx"], "did you mean seqmnist_plain6"),
    ):
        assert main(["export", *arguments, "--out", str(tmp_path / "no")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (download.hashes("ptb"), "do not republish"),
        ({"utd_mhad": "0"}, "do not republish"),
        (download.hashes("mnist"), "CC BY-SA 3.0"),
        ({"digits": "0"}, "UCI"),
        ({"data": "0", "test": "1"}, "does not know"),
        ({}, "makes its own data"),
    ],
)
def test_the_licence_is_that_of_the_data_whatever_a_run_is_called(data, says):
    assert says in export.licence(SimpleNamespace(spec={"data": data}, experiment="custom"))


def test_an_experiment_is_the_record_of_the_best_validation_score_and_none_is_an_error(store, tmp_path):
    ways = {"changes": {k: v for k, v in TINY.items() if k != "train.steps"}, "progress": False}
    found = [wb.run(NAME, "smoke", seed, until=2, **ways) for seed in (0, 1, 2)]
    errors = [record.budgets[-1]["valid"]["accuracy"] for record in found]
    assert export.best(found) is found[errors.index(max(errors))]
    with pytest.raises(StoreError, match=f"{NAME}: no trained net of it is here under seed 7; `workbench run {NAME}`"):
        export.taken(NAME, 7)  # smoke runs are not the experiment's


# --- files that others made ---


def cards(**changes):
    """A file whose card differs from the net's own."""
    from safetensors.torch import save

    net = net_of(**NETS["plain"])
    tree = json.loads(net.card.text()) | changes
    return save(dict(net.state_dict()), {"workbench": json.dumps(tree)})


@pytest.mark.parametrize(("content", "said"), [
    (b"", "not a safetensors file"), (b"\xff" * 64, "not a safetensors file"),
    (lambda: cards(format=2), "its card: format"), (lambda: cards(name="../x"), "its card: name"),
    (lambda: cards(model={"kind": "plain", "depth": 3, "hidden": 4, "norm": "after"}), "layers.2.bn.bias is missing"),
    (lambda: cards(model={"kind": "plain", "depth": 2, "hidden": 5, "norm": "after"}), "has shape"),
    (lambda: cards(model={"kind": "plane"}), "its card: model"),
    (lambda: cards(model={"kind": "dense", "blocks": [10**6] * 100}), r"tensors for 100,000,000 layers"),
    (lambda: cards(scaler={"scale": [1.0], "shift": [0.0], "raw": ""}), "scaler: 2 finite numbers"),
    (lambda: cards(scaler={"scale": [1.0, 0.0], "shift": [0.0, 0.0], "raw": ""}), "scaler: .* no scale of 0"),
    (lambda: cards(answer={"scale": [1.0], "shift": [0.0], "raw": ""}), "answer: 3 finite numbers"),
    (lambda: cards(weights_sha256="0" * 64), "altered: its weights do not give the hash"),
    (lambda: cards(more=1), "its card: more"),
])  # fmt: skip
def test_a_file_that_is_not_what_it_says_is_refused(content, said, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content if isinstance(content, bytes) else content())
    with pytest.raises(DataError, match=said):
        wb.pretrained(path)


@pytest.mark.parametrize("name", ["-x.npz", ".x.npz", " x.npz", "(a).npz", "données.csv"])
def test_a_net_of_any_file_has_a_name_that_a_file_can_have(trained, name, tmp_path):
    path = export.written(export.of_record(trained, name), "safetensors", tmp_path)
    assert path.name == re.sub(r"^\W|[()]", "_", name) + ".safetensors"
    assert pretrained.pretrained(path).card.name == path.stem


def test_changed_bytes_give_the_net_or_our_own_error(tmp_path):
    whole, chance, path = pretrained.packed(net_of(**NETS["plain"])), random.Random(0), tmp_path / "x.safetensors"
    refused = 0
    for _ in range(300):
        content, at = bytearray(whole), chance.randrange(len(whole))
        content[at : at + chance.choice((0, 1, 4))] = chance.randbytes(chance.choice((0, 1, 4)))
        path.write_bytes(bytes(content))
        try:
            net = wb.pretrained(path)
        except DataError:
            refused += 1
        else:
            assert weights_sha256(net) == net.card.weights_sha256
    assert refused > 200


def test_a_name_that_is_not_there_and_a_net_without_a_card_are_named(tmp_path):
    with pytest.raises(ParameterError, match=r"name: 'x' received; choose one of .* or a \*\.safetensors file"):
        wb.pretrained("x")
    with pytest.raises(ParameterError, match="is not there"):
        wb.pretrained(tmp_path / "x.safetensors")
    with pytest.raises(ParameterError, match="net: IndRNN has no card"):
        pretrained.packed(wb.IndRNN(1, 2))


# --- the nets that come with the project ---


@pytest.mark.parametrize("name", pretrained.names())
def test_a_published_net_is_small_open_scored_and_its_card_is_the_files(name, tmp_path):
    path, net = pretrained.folder() / f"{name}.safetensors", wb.pretrained(name)
    card = net.card
    assert path.stat().st_size <= 1_000_000
    assert card.name == name
    assert card.task["name"] not in ("treebank", "skeletons")
    assert card.test["n"] > 0
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    SCRIPT["write_card"](copy)
    assert copy.with_suffix(".md").read_text() == path.with_suffix(".md").read_text()
    assert Config.parse({"task": card.task, "model": card.model.model_dump(), "train": card.train}).task


def test_the_nets_lie_in_one_folder_each_with_its_card():
    found = {path.name for path in pretrained.folder().iterdir()}
    assert found == {f"{name}{end}" for name in pretrained.names() for end in (".safetensors", ".md")}
    assert NAME in pretrained.names()
    assert files.published() in pretrained.folder().parents
