"""Proves LayerNorm against its references before training, on the device that will train.

    parity = verify_layers(device, config.proofs_path, run_directory)      # ProofError stops the run

The table is written whether the proof holds or not, and its failures and worst cases are shown in the UI. An earlier
proof is taken if nothing has changed since.
"""

from io import StringIO
from pathlib import Path

from prefect.artifacts import create_table_artifact

from hemline.config.fields import Grid
from hemline.proofs.store import Proofs
from hemline.records.proofs import Parity
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import whole_file
from tasks.live import in_ui
from tasks.step import step


@step("verify-layers", timeout_seconds=3600)
def verify_layers(
    device: DeviceInfo, proofs: Path, directory: Path | None = None, grid: Grid = "default", required: bool = True
) -> Parity:
    """Proves it, or takes an earlier proof. Writes parity.csv into the directory, if there is one.

    proofs: the directory of earlier proofs. required: whether to raise ProofError if a case is out of tolerance.
    """
    import pandas as pd

    from hemline.proofs import parity, parity_table

    def prove() -> tuple[str, bool]:
        table = parity.compare(grid=grid)
        return table.to_csv(index=False), bool(table["ok"].all())

    text, seconds = Proofs(proofs, device).obtain(f"parity-{grid}", parity.__name__, prove)
    table = pd.read_csv(StringIO(text))
    if directory:
        with whole_file(directory / "parity.csv") as path:
            path.write_text(text)
    found = parity_table.summary(table, seconds)
    in_ui(
        create_table_artifact,
        key="layer-norm-parity",
        table=found.rows,
        description=f"{found.cases - found.failed} of {found.cases} cases of LayerNorm agree with their references on "
        f"{device.description}. The table has failures, then the worst case of every value of every axis, with its "
        "largest difference in units of the tolerance; parity.csv has all cases.",
    )
    if required:
        parity_table.require(table)
    return found
