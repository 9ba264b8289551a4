"""Ray's messages, as Ray 2.60 words them, become one line each."""

import pathlib

import pytest

from workers.complaints import loss_of, one_line, remedy

DIED = "The actor died unexpectedly before finishing this task.\n\tclass_name: Supervisor\n\tip: 10.0.0.7\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DIED + "The actor died because its node has died. Node Id: 4a", "node 10.0.0.7 was lost"),
        (DIED + "Worker exit type: NODE_OUT_OF_MEMORY", "killed by Ray: node 10.0.0.7 ran out of memory"),
        (DIED + "Worker exit type: SYSTEM_ERROR", "the worker on node 10.0.0.7 died (system error)"),
        (DIED, "the worker on node 10.0.0.7 died"),
        ("The actor 4022eea0 is unavailable: it may restart", "node cannot be reached"),
    ],
)
def test_the_reason_names_the_node_and_what_became_of_it(text, reason):
    assert loss_of(text, "").reason == reason


def test_a_host_that_is_known_is_named_instead_of_its_address():
    assert loss_of(DIED, "gpu-3").reason == "the worker on node gpu-3 died"


def test_a_preempted_node_is_told_by_the_flag_since_the_message_has_no_word_of_it():
    loss = loss_of(DIED, "spot-1", preempted=True)
    assert loss.reason == "node spot-1 was preempted"
    assert loss.node


def test_a_worker_that_cannot_be_made_at_all_is_the_users_to_mend():
    text = "The actor died because of an error raised in its creation task, x:\n  File x\nImportError: no module"
    loss = loss_of(text, "")
    assert loss.user
    assert loss.reason == "ImportError: no module"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Package size exceeds the maximum size of 512MiB", "all of /p travels"),
        ("Version mismatch: the cluster was started with Python 3.12", "use the cluster's versions"),
        ("InvalidAuthToken: Authentication token is missing", "~/.ray/auth_token"),
        ("Could not find any running Ray instance", "is it up?"),
        ("something else", ""),
    ],
)
def test_a_cluster_that_cannot_be_joined_comes_with_what_to_do(text, advice):
    found = remedy(text, pathlib.Path("/p"))
    assert advice in found
    assert bool(found) == bool(advice)


def test_the_gist_of_a_message_is_its_first_line_and_of_a_traceback_the_last():
    assert one_line("\n  first \nlast\n") == "first"
    assert one_line("\n  first \nlast\n", last=True) == "last"
    assert one_line("") == "str"
