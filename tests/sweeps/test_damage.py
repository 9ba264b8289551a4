"""Files cut at every byte and with flipped bits: refused, or read as they were. Never read as other numbers."""

import pyarrow as pa
import pytest
from conftest import run_sweep, sweep

from sweeps.tables import DAMAGE, verified

TABLES = ("trials", "reports", "attempts", "stages")
FLIPS = 20_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every file of a small run: its bytes, and its rows."""
    folder = tmp_path_factory.mktemp("run") / "x"
    stages = [{"name": name, "trials": 12, "epochs": 3} for name in ("one", "two")]
    run_sweep(sweep("late_metric", stages=stages), folder)
    found = [path.read_bytes() for table in TABLES for path in sorted((folder / table).iterdir())]
    assert len(found) == 8
    return [(content, rows(content)) for content in found]


def rows(content):
    """What is read of a file's bytes; None when they are refused."""
    try:
        return verified(pa.BufferReader(content)).read(use_threads=False)
    except DAMAGE:
        return None


def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(files):
    cuts = 0
    for content, _ in files:
        for size in range(len(content)):
            assert rows(content[:size]) is None, size
        cuts += len(content)
    assert cuts > 20_000


def test_a_flipped_bit_is_refused_or_changes_nothing(files):
    bits = [(i, bit) for i, (content, _) in enumerate(files) for bit in range(8 * len(content))]
    step = len(bits) // FLIPS
    refused = 0
    flips = bits[:: step - 1 + step % 2]  # an odd step meets every bit of a byte
    for i, bit in flips:
        content, sound = files[i]
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        found = rows(bytes(damaged))
        assert found is None or found.equals(sound), (i, bit)
        refused += found is None
    assert len(flips) >= FLIPS
    assert refused > 0.85 * len(flips)


def test_zeros_in_the_place_of_a_tail_are_refused(files):
    for content, _ in files:
        for size in range(0, len(content), 7):
            damaged = content[:size] + bytes(len(content) - size)
            assert damaged == content or rows(damaged) is None
