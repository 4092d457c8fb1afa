"""The gate before training: LayerNorm against its references, on the device that will train.

    parity = verify_layers(device, run_directory)       # ParityError stops the run

The table is written in both cases, and its failures and worst cases are shown in the UI.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from hemline.devices import DeviceInfo
from hemline.record import Parity

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 100  # failures in the UI, whose listings carry whole tables


@task(name="verify-layers", cache_policy=NO_CACHE, timeout_seconds=600, result_serializer="json")
def verify_layers(device: DeviceInfo, directory: Path) -> Parity:
    """Writes parity.csv and the UI's table; raises ParityError if a case is out of tolerance."""
    import tensorflow as tf

    from hemline import parity
    from hemline.files import whole_file

    start = time.perf_counter()
    with tf.device(device.name):
        table = parity.compare()
    summary = parity.summary(table, seconds=time.perf_counter() - start)
    with whole_file(directory / "parity.csv") as path:
        table.to_csv(path, index=False)
    create_table_artifact(
        key="layer-norm-parity",
        table=_shown(table, parity.worst_by_axis(table)),
        description=f"LayerNorm against its references on {device.description}: "
        f"{summary.cases - summary.failed} of {summary.cases} cases within tolerance. Failures, then the worst case of "
        "every value of every axis, with its largest difference in units of the tolerance. All cases: parity.csv",
    )
    parity.require(table)
    get_run_logger().info(
        "LayerNorm agrees with its references in all %d cases (%.1f s)", summary.cases, summary.seconds
    )
    return summary


def _shown(table: "pd.DataFrame", worst: "pd.DataFrame") -> list[dict[str, Any]]:
    """As text: the UI cannot show infinity, and small numbers read better so."""
    failures = table[~table["ok"]].sort_values("ratio", ascending=False, kind="stable").head(SHOWN)
    rows = [("failed", "", case, ratio) for case, ratio in zip(failures["case"], failures["ratio"], strict=True)]
    rows += [("worst by " + row["axis"], row["value"], row["case"], row["ratio"]) for row in worst.to_dict("records")]
    return [{"what": what, "value": value, "case": case, "ratio": f"{ratio:.2g}"} for what, value, case, ratio in rows]
