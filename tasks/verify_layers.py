"""The gate before training: LayerNorm against its references, on the device that will train.

    parity = verify_layers(device, proofs, run_directory)       # ParityError stops the run

The table is written in both cases, and its failures and worst cases are shown in the UI. An earlier proof is
taken if nothing has changed since.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from hemline.config.fields import Grid
from hemline.records.proofs import Parity
from hemline.runtime.devices import DeviceInfo

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 100  # failures in the UI, whose listings carry whole tables


@task(name="verify-layers", cache_policy=NO_CACHE, timeout_seconds=3600, result_serializer="json")
def verify_layers(
    device: DeviceInfo,
    kept: Path,
    directory: Path | None = None,
    grid: Grid = "default",
    stop: bool = True,
) -> Parity:
    """Raises ParityError if a case is out of tolerance. Writes parity.csv into the directory, if there is one.

    kept: directory of earlier proofs. stop: False leaves it to the caller to look at `failed`.
    """
    import io

    import pandas as pd
    import tensorflow as tf

    from hemline.proofs import parity
    from hemline.proofs.store import Proofs
    from hemline.storage.files import whole_file

    log, began, gate = get_run_logger(), time.perf_counter(), f"parity-{grid}"
    proofs = Proofs(kept, device)
    earlier = proofs.find(gate)
    if earlier:
        table, text = pd.read_csv(io.StringIO(earlier.text)), earlier.text
        log.info("nothing has changed since LayerNorm was proved at %s", f"{earlier.made:%F %H:%M} UTC")
    else:
        with tf.device(device.name):
            table = parity.compare(grid=grid)
        text = table.to_csv(index=False)
    summary = parity.summary(table, seconds=None if earlier else time.perf_counter() - began)
    summary.rows = _shown(table, parity.worst_by_axis(table))
    if directory:
        with whole_file(directory / "parity.csv") as path:
            path.write_text(text)
    create_table_artifact(
        key="layer-norm-parity",
        table=summary.rows,
        description=f"LayerNorm against its references on {device.description}: "
        f"{summary.cases - summary.failed} of {summary.cases} cases within tolerance. Failures, then the worst case of "
        "every value of every axis, with its largest difference in units of the tolerance. All cases: parity.csv",
    )
    if stop:
        parity.require(table)
    if not (earlier or summary.failed):
        log.info("LayerNorm agrees with its references in all %d cases (%.1f s)", summary.cases, summary.seconds)
        proofs.keep(gate, text)
    return summary


def _shown(table: "pd.DataFrame", worst: "pd.DataFrame") -> list[dict[str, str]]:
    """As text: the UI cannot show infinity, and small numbers read better so."""
    failures = table[~table["ok"]].sort_values("ratio", ascending=False, kind="stable").head(SHOWN)
    rows = [("failed", "", case, ratio) for case, ratio in zip(failures["case"], failures["ratio"], strict=True)]
    rows += [("worst by " + row["axis"], row["value"], row["case"], row["ratio"]) for row in worst.to_dict("records")]
    return [{"what": what, "value": value, "case": case, "ratio": f"{ratio:.2g}"} for what, value, case, ratio in rows]
