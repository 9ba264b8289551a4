"""CIFAR-10 in both layouts, on folders of a few records; hostile pickles do nothing but fail."""

import io
import pickle
import pickletools
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import cifar10

N = 8  # images per batch here


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES", N)
    monkeypatch.setattr(cifar10, "VALIDATION", 3)


@pytest.fixture(scope="session")
def images():
    """Labels (48,) and pixels (48, 3072) of the six batches."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 10, 6 * N, np.uint8), rng.integers(0, 256, (6 * N, 3072), np.uint8)


@pytest.fixture
def binary(tmp_path, images):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    records = np.column_stack(images)
    for name, batch in zip(cifar10.BATCHES, np.split(records, 6), strict=True):
        batch.tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture
def python(tmp_path, images):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate(cifar10.BATCHES):
        rows = slice(i * N, (i + 1) * N)
        (folder / name).write_bytes(python2_pickle(images[0][rows], images[1][rows]))
    return folder


def text(value):
    return b"U" + bytes([len(value)]) + value


def python2_pickle(labels, pixels, by_columns=False, kind=b"u1"):
    """The opcodes of a batch in the python layout, as Python 2's cPickle wrote them."""
    raw = pixels.tobytes("F" if by_columns else "C")
    shape = b"M" + struct.pack("<H", len(pixels)) + b"M" + struct.pack("<H", pixels.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\nq\x0a" + text(kind) + b"K\x00K\x01\x87Rq\x0b"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85q\x08" + text(b"b")
    array += b"\x87Rq\x09(K\x01" + shape + dtype + (b"\x88" if by_columns else b"\x89")
    array += b"T" + struct.pack("<I", len(raw)) + raw + b"tb"
    names = b"]r\x00\x01\x00\x00(" + b"".join(text(b"image_%d.png" % i) for i in range(len(labels))) + b"e"
    numbers = b"]q\x04(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = [b"batch_label", b"labels", b"data", b"filenames"]
    values = [text(b"testing batch 1 of 1") + b"q\x0c", numbers, array, names]
    body = b"".join(text(key) + value for key, value in zip(items, values, strict=True))
    return b"\x80\x02}q\x01(" + body + b"u."


def replace_batch(folder, content):
    (folder / "data_batch_2").write_bytes(content)


def test_the_pickles_made_here_are_what_python_reads_as_a_batch(images):
    """So that the other tests are about real pickles: Python's own unpickler agrees on what they hold."""
    labels, pixels = images[0][:N], images[1][:N]
    for by_columns in (False, True):
        batch = pickle.loads(python2_pickle(labels, pixels, by_columns), encoding="bytes")
        np.testing.assert_array_equal(batch[b"data"], pixels)
        assert batch[b"labels"] == labels.tolist()
        assert sorted(batch) == [b"batch_label", b"data", b"filenames", b"labels"]


@pytest.mark.parametrize("layout", ["binary", "python"])
@pytest.mark.parametrize("place", ["folder", "parent"])
def test_both_layouts_give_the_centred_images(layout, place, images, request):
    folder = request.getfixturevalue(layout)
    data = cifar10.load(folder if place == "folder" else str(folder.parent))
    assert [len(data.x_train), len(data.x_val), len(data.x_test)] == [5 * N - 3, 3, N]
    labels, pixels = images
    centred = pixels - pixels[: 5 * N - 3].mean(axis=0)
    np.testing.assert_allclose(np.concatenate([data.x_train, data.x_val, data.x_test]), centred, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_val, data.y_test]), labels)
    assert data.x_train.dtype == np.float32
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"


def test_an_array_stored_by_columns_is_read_as_such(python, images):
    expected = cifar10.load(python)
    for i, name in enumerate(cifar10.BATCHES):
        rows = slice(i * N, (i + 1) * N)
        (python / name).write_bytes(python2_pickle(images[0][rows], images[1][rows], by_columns=True))
    np.testing.assert_array_equal(cifar10.load(python).x_train, expected.x_train)


def test_no_folder_is_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no cifar-10-batches-bin or .* in .*nowhere"):
        cifar10.load(tmp_path / "nowhere")


def test_a_missing_batch_is_named(binary):
    (binary / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_4\.bin is missing"):
        cifar10.load(binary.parent)


def test_a_truncated_binary_batch_is_named(binary):
    path = binary / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin is truncated"):
        cifar10.load(binary)


def test_a_label_that_is_no_class_is_refused(binary):
    path = binary / "data_batch_3.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin is damaged"):
        cifar10.load(binary)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_pickle_is_named(python, images, share):
    whole = (python / "data_batch_2").read_bytes()
    replace_batch(python, whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="data_batch_2 is truncated or damaged"):
        cifar10.load(python)


def test_a_pickle_of_fewer_images_is_refused(python, images):
    replace_batch(python, python2_pickle(images[0][: N - 1], images[1][: N - 1]))
    with pytest.raises(ValueError, match="data_batch_2 is damaged"):
        cifar10.load(python)


def test_pixels_of_another_type_are_refused(python, images):
    replace_batch(python, python2_pickle(images[0][:N], images[1][:N], kind=b"i1"))
    with pytest.raises(ValueError, match="pixels are not bytes"):
        cifar10.load(python)


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(python, tmp_path, protocol):
    trap = tmp_path / "trap"
    hostile = pickle.dumps({"labels": [0] * N, "data": Hostile(trap)}, protocol)
    replace_batch(python, hostile)
    with pytest.raises(ValueError, match="data_batch_2 is truncated or damaged"):
        cifar10.load(python)
    assert not trap.exists()
    pickle.loads(hostile)
    assert trap.exists()  # the trap works: only the reader did not step on it


def test_a_hostile_call_in_a_batch_of_the_right_opcodes_runs_nothing(python, tmp_path, images):
    """The array's constructor replaced by os.mkdir: the pixels are read all the same, nothing is called."""
    trap = tmp_path / "trap"
    call = b"cos\nmkdir\n" + text(str(trap).encode()) + b"\x85R0"
    hostile = python2_pickle(images[0][:N], images[1][:N]).replace(b"}q\x01(", call + b"}q\x01(", 1)
    pickle.loads(hostile, encoding="latin-1")
    trap.rmdir()
    replace_batch(python, hostile)
    with pytest.raises(ValueError, match="unexpected POP"):
        cifar10.load(python)
    replace_batch(python, python2_pickle(images[0][:N], images[1][:N]).replace(b"numpy\nndarray", b"os\nabort"))
    cifar10.load(python)
    assert not trap.exists()


def test_a_tuple_too_deep_to_hash_is_refused_as_a_key(python):
    """Python's own hash of it would overflow the C stack and end the process."""
    replace_batch(python, b"\x80\x02}(N" + 300_000 * b"\x85" + b"Nu.")
    with pytest.raises(ValueError, match="must be str, not tuple"):
        cifar10.load(python)


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@given(st.lists(st.one_of(st.sampled_from(OPCODES), st.binary(max_size=5)), max_size=40))
def test_no_bytes_do_anything_but_fail(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "batch"
    path.write_bytes(b"\x80\x02" + b"".join(pieces) + b".")
    with pytest.raises(ValueError, match="is truncated or damaged"):
        cifar10._read_pickle(path)


def test_fetching_unpacks_the_archive(tmp_path, binary, monkeypatch):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(binary, binary.name)

    def download(url, target, checksum):
        assert (url, checksum) == (cifar10.URL, cifar10.CHECKSUM)
        target.parent.mkdir()
        target.write_bytes(archive.getvalue())
        return target

    monkeypatch.setattr(cifar10, "download", download)
    folder = cifar10.fetch(tmp_path / "fetched")
    assert folder == tmp_path / "fetched" / "cifar-10-batches-bin"
    np.testing.assert_array_equal(cifar10.load(folder).x_train, cifar10.load(binary).x_train)


def test_an_archive_that_points_outside_is_refused(tmp_path, monkeypatch):
    def download(url, target, checksum):
        target.parent.mkdir()
        with tarfile.open(target, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("../outside"))
        return target

    monkeypatch.setattr(cifar10, "download", download)
    with pytest.raises(tarfile.OutsideDestinationError):
        cifar10.fetch(tmp_path / "fetched")
    assert not (tmp_path / "outside").exists()
