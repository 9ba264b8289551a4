"""What the driver knows of a slot of a cluster, from what is sent there and what is heard."""

import numpy as np

from workers.columns import EndColumns, ReportColumns
from workers.messages import Batch, Lost, Ready, Results, Status
from workers.slot import Slot

LOSS = Lost(0, Status.LOST, None, np.nan, np.nan, "its node is gone")


def batch(id, *trials):
    """A batch of trials without parameters."""
    given = np.array(trials, np.int64)
    return Batch(id, given, given, given * 0, given * 0 + 1, ())


def ended(id, *trials):
    """The word that some trials of a batch have ended."""
    ends = EndColumns()
    for trial in trials:
        ends.add(trial, Status.COMPLETED, 0.0, 1.0, None, None)
    return Results(0, id, 0, ReportColumns().arrays(), ends.arrays())


def test_a_batch_is_pending_until_all_of_its_trials_have_ended():
    slot = Slot(0)
    slot.take(batch(7, 1, 2, 3))
    slot.take(batch(8, 4))
    slot.hear(ended(7, 1, 2))
    assert slot.pending == {7: 1, 8: 1}
    slot.hear(ended(7, 3))
    assert slot.pending == {8: 1}
    slot.hear(ended(7))  # nobody waits for it any more
    assert slot.pending == {8: 1}


def test_what_a_slot_had_to_do_is_gone_with_its_process():
    slot = Slot(0)
    slot.hear(Ready(0, "node", 1))
    slot.take(batch(7, 1))
    slot.hear(LOSS)
    assert (slot.up, slot.pending, slot.outbox) == (False, {}, [])


def test_a_slot_that_comes_up_is_not_to_be_killed_and_its_earlier_deaths_are_forgiven():
    slot = Slot(0, kill_at=5.0, deaths=2)
    slot.hear(Ready(0, "node", 1))
    assert (slot.up, slot.host, slot.kill_at, slot.deaths) == (True, "node", float("inf"), 0)
