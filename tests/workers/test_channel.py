"""What travels between a driver and its workers: whole messages, columns, and what the shared memory says."""

import select
import socket
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.beat import Beat
from workers.channel import Channel, encode, receive
from workers.columns import EndColumns, ReportColumns
from workers.messages import Status

BIG = bytes(8_000_000)  # more than any socket takes at once
MESSAGES = st.lists(st.one_of(st.none(), st.integers(), st.text(), st.binary(max_size=200)), max_size=8)


@pytest.fixture
def ends():
    """The driver's end of a connection, and the bare socket of the other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def wait_for(channel):
    """What is pulled once there is something to pull."""
    assert select.select([channel], [], [], 10)[0]
    return channel.pull()


# --- messages


@given(MESSAGES, st.data())
def test_messages_arrive_whole_and_in_order_however_their_bytes_are_split(messages, data):
    stream = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    ours, theirs = socket.socketpair()
    channel, arrived = Channel(ours), []
    with theirs:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            theirs.sendall(stream[start:end])
            arrived += channel.pull()
            whole = sum(len(b"".join(map(encode, messages[: i + 1]))) <= end for i in range(len(messages)))
            assert arrived == messages[:whole]
        assert not channel.ended
    assert channel.pull() == []
    assert channel.ended
    channel.close()


@given(MESSAGES)
def test_a_worker_receives_what_a_driver_sends(messages):
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        for message in messages:
            channel.send(message)
        assert [receive(theirs) for _ in messages] == messages
        channel.close()
        with pytest.raises(EOFError):
            receive(theirs)


def test_a_driver_is_not_held_up_by_a_worker_that_does_not_read(ends):
    channel, theirs = ends
    channel.send(BIG)
    channel.send("after")
    assert channel.wants_to_write
    received = []
    reader = threading.Thread(target=lambda: received.extend(receive(theirs) for _ in range(2)))
    reader.start()
    while channel.wants_to_write:
        assert select.select([], [channel], [], 10)[1]
        channel.push()
    reader.join()
    assert received == [BIG, "after"]


def test_a_driver_is_not_held_up_by_half_a_message(ends):
    channel, theirs = ends
    stream = encode("one") + encode("two")
    theirs.sendall(stream[:-1])
    assert channel.pull() == ["one"]
    assert channel.pull() == []
    theirs.sendall(stream[-1:])
    assert channel.pull() == ["two"]


def test_a_message_larger_than_the_socket_arrives(ends):
    channel, theirs = ends
    writer = threading.Thread(target=theirs.sendall, args=(encode(BIG),))
    writer.start()
    received = []
    while not received:
        received += wait_for(channel)
    writer.join()
    assert received == [BIG]


def test_the_last_words_of_a_worker_are_heard_with_its_end(ends):
    channel, theirs = ends
    theirs.sendall(encode("last words") + encode("cut off")[:-1])
    theirs.close()
    assert channel.pull() == ["last words"]
    assert channel.ended
    assert channel.pull() == []


def test_sending_to_a_worker_that_is_gone_is_no_error_and_leaves_nothing_to_write(ends):
    channel, theirs = ends
    theirs.close()
    channel.send(BIG)
    assert channel.ended
    assert not channel.wants_to_write


def test_a_worker_whose_driver_is_gone_in_the_middle_of_a_message_is_told(ends):
    channel, theirs = ends
    channel.send(BIG)
    channel.close()
    channel.close()
    with pytest.raises(EOFError):
        receive(theirs)


# --- columns

NAMES = st.sampled_from(["loss", "acc", "late", "rare"])
REPORTS = st.lists(st.dictionaries(NAMES, st.one_of(st.none(), st.floats())), max_size=10)


@given(REPORTS)
def test_reports_come_back_from_columns_as_they_went_in_with_gaps_where_they_were_silent(reports):
    columns = ReportColumns()
    for row, metrics in enumerate(reports):
        columns.add(row // 3, row % 3 + 1, metrics)
    assert len(columns) == len(reports)
    arrays = columns.arrays()
    assert arrays.trial.tolist() == [row // 3 for row in range(len(reports))]
    assert arrays.epoch.tolist() == [row % 3 + 1 for row in range(len(reports))]
    assert list(arrays.metrics) == list(dict.fromkeys(name for metrics in reports for name in metrics))
    for name, values in arrays.metrics.items():
        expected = [metrics.get(name) for metrics in reports]
        gaps = arrays.missing.get(name, np.zeros(len(reports), np.bool_))
        assert gaps.tolist() == [value is None for value in expected]
        np.testing.assert_array_equal(values[~gaps], [value for value in expected if value is not None])
        assert np.isnan(values[gaps]).all()
        assert (name in arrays.missing) == gaps.any()
    assert arrays.missing.keys() <= arrays.metrics.keys()


def test_columns_have_their_types_also_when_they_are_empty_or_all_gaps():
    columns = ReportColumns()
    assert columns.arrays().trial.dtype == columns.arrays().epoch.dtype == np.int64
    columns.add(0, 1, {"loss": None})
    arrays = columns.arrays()
    assert arrays.metrics["loss"].dtype == np.float64
    assert arrays.missing["loss"].dtype == np.bool_
    assert EndColumns().arrays().status.dtype == np.int64


def test_ends_keep_reasons_and_tracebacks_of_those_that_have_them():
    columns = EndColumns()
    columns.add(4, Status.COMPLETED, 10.0, 0.5, None, None)
    columns.add(2, Status.STOPPED, 11.0, 0.6, "nan", None)
    columns.add(3, Status.FAILED, 12.0, 0.7, "ValueError", "Traceback")
    ends = columns.arrays()
    assert len(columns) == 3
    assert ends.trial.tolist() == [4, 2, 3]
    assert [Status(status) for status in ends.status] == [Status.COMPLETED, Status.STOPPED, Status.FAILED]
    assert ends.started.tolist() == [10.0, 11.0, 12.0]
    assert ends.seconds.tolist() == [0.5, 0.6, 0.7]
    assert ends.reasons == {2: "nan", 3: "ValueError"}
    assert ends.tracebacks == {3: "Traceback"}


# --- beat


def test_a_driver_sees_what_a_worker_said_also_when_that_is_gone():
    ours = Beat()
    assert ours.read()[0] == -1
    theirs = Beat(ours.fileno())
    theirs.strike(12)
    said = theirs.read()
    theirs.close()
    assert ours.read() == said
    assert said[0] == 12
    ours.close()
    ours.close()


def test_every_beat_differs_from_the_one_before_it():
    beat = Beat()
    seen = []
    for trial in [0, -1, 0]:
        beat.strike(trial)
        seen.append(beat.read())
    assert len(set(seen)) == 3
    assert [since for _, since in seen] == sorted(since for _, since in seen)
    beat.close()
