"""Images as sequences: order, scale, split, permutation, and the stream of batches."""

import gzip

import pytest
import torch

from workbench import tasks
from workbench.config import Pixels
from workbench.errors import DataError
from workbench.tasks import pixels

DIGITS = Pixels(name="pixels", source="digits")


def digits(seed=0, batch=32, **settings):
    return tasks.load(DIGITS.model_copy(update=settings), seed, batch)


def test_pixels_come_row_by_row_on_their_scale():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y, *_ = next(iter(digits().examples("test", 5)))
    expected = torch.tensor(bunch.images[-360:-355].reshape(5, 64)).T.float() / 16 * 2 - 1
    torch.testing.assert_close(x[..., 0], expected)
    assert y.tolist() == bunch.target[-360:-355].tolist()


def test_splits_share_no_example_and_lose_none():
    task = digits()
    train, valid = task.rows["train"].tolist(), task.rows["valid"].tolist()
    assert len(valid) == 144
    assert sorted(train + valid) == list(range(1437))


def test_the_stream_shows_every_example_once_an_epoch_without_a_seam():
    task = digits(batch=100)
    n = len(task.rows["train"])
    shown = torch.cat([task.batch(step).x[:, :, 0].T for step in range(2 * n // 100 + 1)])
    for epoch in range(2):
        part = shown[epoch * n : (epoch + 1) * n]
        assert torch.equal(
            part.sum(1).sort().values, task._read("train", task.rows["train"]).x[..., 0].sum(0).sort().values
        )
    assert not torch.equal(shown[:n], shown[n : 2 * n])


def shown(x, y):
    """Sequences and their labels as a set can hold them; x (T, B, 1)."""
    return [(tuple(image), label) for image, label in zip(x[..., 0].T.tolist(), y.tolist(), strict=True)]


def written(rows, order=slice(None)):
    """Rows that `shown` has to give for these of scikit-learn's own array, which the package has not touched."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return [(tuple(bunch.data[row][order] / 8 - 1), int(bunch.target[row])) for row in rows]


@pytest.mark.parametrize("permuted", [False, True])
def test_stream_and_splits_are_the_images_of_the_file_in_one_order_each_with_its_label(permuted):
    task = digits(seed=5, batch=100, permuted=permuted)
    order, valid = (task.drawn().get(name) for name in ("permutation", "valid"))
    order = slice(None) if order is None else order
    train = sorted(set(range(1437)) - set(valid))
    stream = [pair for step in range(14) for pair in shown(*task.batch(step)[:2])][: len(train)]
    assert sorted(stream) == sorted(written(train, order))
    assert stream != written(train, order)
    for split, rows in (("train", train), ("valid", valid), ("test", range(1437, 1797))):
        read = [pair for x, y, *_ in task.examples(split, 250) for pair in shown(x, y)]
        assert read == written(rows, order), split


def test_clean_batches_are_training_images_alone():
    task = digits(batch=100)
    clean = {pair for index in range(5) for pair in shown(*task.clean(index)[:2])}
    train, valid = (set(written(task.rows[split].tolist())) for split in ("train", "valid"))
    assert clean <= train
    assert not clean & valid
    assert len(clean) > 400


def test_a_batch_does_not_depend_on_the_ones_before():
    walked = digits()
    for step in range(60):
        last = walked.batch(step)
    assert torch.equal(last.x, digits().batch(59).x)


def test_the_permutation_is_one_for_all_images_and_comes_from_the_seed():
    plain, permuted = digits(), digits(permuted=True)
    order = permuted.drawn()["permutation"]
    assert sorted(order) == list(range(64))
    assert torch.equal(permuted.batch(0).x, plain.batch(0).x[order])
    assert digits(seed=1, permuted=True).drawn()["permutation"] != order
    other = digits(seed=1, permuted=True, permutation=0)
    assert other.drawn()["permutation"] == order
    assert other.drawn()["valid"] == digits(seed=1).drawn()["valid"] != plain.drawn()["valid"]


def test_a_limit_keeps_the_first_of_each_split():
    task = digits(limit=64)
    assert [len(rows) for rows in task.rows.values()] == [64, 64, 64]


@pytest.mark.data
@pytest.mark.usefixtures("real_data")
def test_mnist_is_the_published_one():
    task = tasks.load(Pixels(name="pixels"), 0, 32)
    assert [len(task.rows[s]) for s in ("train", "valid", "test")] == [57_000, 3_000, 10_000]
    images, labels = pixels.mnist().train
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert (images.double() / 255).mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert torch.bincount(pixels.mnist().test[1]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    x = task.batch(0).x
    assert x.shape == (784, 32, 1)
    assert x.min() == -1
    assert x.max() <= 0.9921875


def idx(tmp_path, shape=(2, 3, 3), body=None, zipped=True, magic=None):
    content = (magic or bytes([0, 0, 8, len(shape)])) + b"".join(n.to_bytes(4, "big") for n in shape)
    content += bytes(range(18)) if body is None else body
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_an_idx_file_is_read(tmp_path, zipped):
    array = pixels.read_idx(idx(tmp_path, zipped=zipped), dims=3, cap=10_000)
    assert array.shape == (2, 3, 3)
    assert array.ravel().tolist() == list(range(18))


def test_a_broken_gzip_stream_is_an_error_with_its_place(tmp_path):
    path = idx(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=str(path)):
        pixels.read_idx(path, dims=3, cap=10_000)
