"""Drivers of real trials in this process, whose lives end when the test wants it."""

import itertools
import pathlib
import random

from simulation.runs import Asked, Silent

from sweeps.driver import Driver
from sweeps.launch import reference, work_of
from sweeps.settings import settings_from
from sweeps.stage import Halt
from sweeps.store import Store
from workers.inline import Inline


def live(written, folder, asked=None):
    """Whether a driver came to the end of its plan; it is asked to stop after so many looks, also within trials."""
    settings = settings_from({**written, "run": {"slots": 1, **written.get("run", {})}}, pathlib.Path())
    work = work_of(settings, reference(settings.train, settings.folder), None, folder)
    interrupts = Asked(asked)
    store = Store(folder, settings.space)
    try:
        Driver(settings, store, lambda: Inline(work, stopping=lambda: interrupts.asked), Silent(), interrupts).run()
    except Halt:
        return False
    finally:
        store.close()
    return True


def live_on(written, folder, seed, most):
    """How many drivers it took to the end of the plan, each asked to stop after at most so many looks."""
    rng = random.Random(seed)
    for lives in itertools.count(1):
        if live(written, folder, rng.randrange(most) if lives < 100 else None):
            return lives
