"""A member of a cluster finds the others: it says where it is, and waits until the coordinator says where they are.

    if unintroduced(os.environ.get("TF_CONFIG")):
        join()                                          # before TensorFlow is imported, which reads it once

Both are labels of the member's own flow run: the coordinator reads them together with its state, and to write one
again changes nothing. tasks/members.py is the other side.
"""

import os
import time
from contextlib import suppress
from uuid import UUID

from prefect import get_run_logger, runtime
from prefect.client.orchestration import get_client

from hemline.runtime.cluster import own_address
from tasks.live import AWAY
from tasks.step import step

ADDRESS, INTRODUCTION = "hemline.address", "hemline.tf_config"  # labels; empty until somebody fills them in
LOOK_SECONDS = 1.0  # between two looks whether all others are there


@step("join", timeout_seconds=3600)
def join() -> None:
    """Sets TF_CONFIG to the one with all addresses. It takes as long as the last member needs to start."""
    this = UUID(str(runtime.flow_run.id))
    with get_client(sync_client=True) as client:
        address = own_address(str(client.api_url))
        client.update_flow_run_labels(this, {ADDRESS: address})
        get_run_logger().info("this worker is at %s, and waits for the others", address)
        found = ""
        while not found:
            time.sleep(LOOK_SECONDS)
            with suppress(*AWAY):
                found = str(client.read_flow_run(this).labels.get(INTRODUCTION, ""))
    os.environ["TF_CONFIG"] = found
