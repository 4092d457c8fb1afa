"""The gate before training: LayerNorm against its references, on the device that will train.

    parity = verify_layers(device, run_directory)       # ParityError stops the run

The table is written and shown in the UI in both cases.
"""

import json
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from hemline.devices import DeviceInfo
from hemline.record import Parity


@task(name="verify-layers", cache_policy=NO_CACHE, timeout_seconds=600, result_serializer="json")
def verify_layers(device: DeviceInfo, directory: Path) -> Parity:
    """Writes parity.csv and the UI's table; raises ParityError if a case is out of tolerance."""
    import tensorflow as tf

    from hemline import parity
    from hemline.files import whole_file

    with tf.device(device.name):
        table = parity.compare()
    with whole_file(directory / "parity.csv") as path:
        table.to_csv(path, index=False)
    # As text: the UI cannot show NaN or infinity, and small numbers read better so. Failures come first.
    shown = table.sort_values("ok", kind="stable").map(lambda cell: f"{cell:.1e}" if isinstance(cell, float) else cell)
    create_table_artifact(
        key="layer-norm-parity",
        table=json.loads(shown.drop(columns=["case"]).to_json(orient="records")),
        description=f"LayerNorm against its references on {device.description}: "
        f"{int(table['ok'].sum())} of {len(table)} cases within tolerance",
    )
    parity.require(table)
    summary = parity.summary(table)
    get_run_logger().info("LayerNorm agrees with its references in all %d cases", summary.cases)
    return summary
