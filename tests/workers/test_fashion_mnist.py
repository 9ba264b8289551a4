"""Fashion-MNIST from small idx files, plain and compressed, whole and damaged."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import fashion_mnist

TRAIN, TEST = 12, 4


def idx(array):
    """The bytes of an idx file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (TRAIN + TEST, 28, 28), np.uint8), rng.integers(0, 10, TRAIN + TEST, np.uint8)


@pytest.fixture
def folder(tmp_path, images, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "VALIDATION", 5)
    for part, rows in (("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images[0][rows]))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(images[1][rows]))
    return tmp_path


def compress(folder):
    for path in list(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("compressed", [False, True])
def test_the_files_give_the_centred_images(folder, images, compressed):
    if compressed:
        compress(folder)
    data = fashion_mnist.load(folder)
    assert [len(data.x_train), len(data.x_val), len(data.x_test)] == [7, 5, 4]
    pixels = images[0].reshape(-1, 784)
    centred = pixels - pixels[:7].mean(axis=0)
    np.testing.assert_allclose(np.concatenate([data.x_train, data.x_val, data.x_test]), centred, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_val, data.y_test]), images[1])
    assert data.x_train.dtype == np.float32


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte is missing, and so is .*\.gz"):
        fashion_mnist.load(folder)


@pytest.mark.parametrize("keep", [0, 3, 9, 200])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_file_is_named(folder, keep, compressed):
    if compressed:
        compress(folder)
    path = next(folder.glob("train-images*"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is truncated or"):
        fashion_mnist.load(folder)


def test_a_damaged_archive_is_named(folder):
    compress(folder)
    path = folder / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:10] + b"\xff" * 20 + whole[30:])
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte is truncated or damaged"):
        fashion_mnist.load(folder)


def test_another_type_of_number_is_refused(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(b"\x00\x00\x0d" + path.read_bytes()[3:])
    with pytest.raises(ValueError, match="no idx file of bytes"):
        fashion_mnist.load(folder)


def test_as_many_labels_as_images_are_needed(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(ValueError, match="differ in number"):
        fashion_mnist.load(folder)


@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_an_idx_file_gives_back_its_array(tmp_path_factory, shape):
    path = tmp_path_factory.getbasetemp() / "array-idx"
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(fashion_mnist._read(path), array)
