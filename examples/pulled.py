"""Makes a trainer of a library that calls back: Lightning, Hugging Face, Keras, XGBoost. Copy it to your project."""

import queue
import threading


class Enough(Exception):
    """Raised in the callback when the trial is stopped: the library ends as after any error, and cleans up."""


def pulled(fit, epochs):
    """What `fit(report)` gives to `report`, one at a time: it goes on when the next one is asked for."""
    asked, told = queue.SimpleQueue(), queue.SimpleQueue()

    def report(metrics):
        told.put(metrics)
        if not asked.get():
            asked.put(False)  # the next time too, where the library goes on regardless
            raise Enough

    def work():
        try:
            fit(report)
            told.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the reports are asked for
            told.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    count = 0
    try:
        while isinstance(item := told.get(), dict):
            count += 1
            yield item
            asked.put(True)
        if isinstance(item, BaseException):
            raise item
    finally:
        if count == epochs:
            asked.put(True)  # all is told: it may end in its own way, and save what it has learnt
        asked.put(False)
        thread.join()
