"""Which GPUs a slot sees: laws for any number of devices and any share, and one look at the machine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.gpus import MEMORY, VISIBLE, environment, present, room

JAX = "XLA_PYTHON_CLIENT_MEM_FRACTION"
DEVICES = st.integers(1, 16).map(lambda count: tuple(map(str, range(count))))
PARTS = st.sampled_from([0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.6, 1.0])


def seen(devices, share, slots):
    """The devices of each slot."""
    return [environment(slot, devices, share, {})[VISIBLE].split(",") for slot in range(slots)]


def test_a_quarter_gives_four_trials_a_device_each():
    devices = ("0", "1")
    assert room(devices, 0.25) == 8
    assert seen(devices, 0.25, 8) == [["0"], ["1"]] * 4


def test_whole_devices_belong_to_one_slot():
    assert room(tuple("01234"), 2) == 2
    assert seen(tuple("01234"), 2, 2) == [["0", "1"], ["2", "3"]]


@given(devices=DEVICES, share=PARTS)
@settings(max_examples=100)
def test_no_device_is_promised_more_than_once(devices, share):
    promised = [name for names in seen(devices, share, room(devices, share)) for name in names]
    assert all(promised.count(name) * share <= 1 + 1e-9 for name in devices)
    assert room(devices, share) + len(devices) > len(devices) / share - 1e-9 * len(devices)


@given(devices=DEVICES, share=PARTS, slots=st.integers(1, 40))
@settings(max_examples=100)
def test_slots_are_spread_evenly(devices, share, slots):
    used = [names[0] for names in seen(devices, share, slots)]
    counts = [used.count(name) for name in devices]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.5])
def test_the_memory_of_all_slots_of_a_device_fits_into_it(share):
    told = environment(0, ("0",), share, {})
    assert told[MEMORY] == told[JAX]
    assert 0 < float(told[MEMORY]) * room(("0",), share) < 1


@pytest.mark.parametrize("name", [JAX, "XLA_CLIENT_MEM_FRACTION"])
def test_what_a_person_said_of_jaxs_memory_stays(name):
    """JAX refuses to start where both of its names are set."""
    assert not {JAX, "XLA_CLIENT_MEM_FRACTION"} & environment(0, ("0",), 0.5, {name: "0.3"}).keys()


def test_a_whole_device_leaves_memory_to_the_framework():
    assert environment(0, ("0",), 1, {}) == {VISIBLE: "0"}


def test_nothing_is_said_where_nothing_is_asked_for_or_present():
    assert environment(0, ("0",), 0, {}) == {}
    assert environment(0, (), 0.5, {}) == {}


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("0,1", ("0", "1")),
        (" 3 , 1", ("3", "1")),
        ("GPU-8f2a,MIG-17", ("GPU-8f2a", "MIG-17")),
        ("", ()),
        ("-1", ()),
        ("1,-1,2", ("1",)),
        ("NoDevFiles", ()),
    ],
)
def test_what_cuda_may_see_is_all_that_there_is(written, names):
    assert present({VISIBLE: written}) == names


def test_without_a_word_the_files_of_the_devices_are_counted(tmp_path):
    for name in ("nvidia2", "nvidia5", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert present({}, str(tmp_path)) == ("0", "1")
    assert present({}, str(tmp_path / "absent")) == ()
