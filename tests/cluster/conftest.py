"""A Ray cluster of several nodes on this machine, with real raylets."""

import os

import pytest


@pytest.fixture(scope="session")
def ray_cluster():
    """A head without cores for trials, and one worker node of two; tests add nodes of their own."""
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    yield cluster
    cluster.shutdown()
