"""Proves the chapter's claims before training: that TensorFlow and Keras do here what the code takes for granted.

    results = verify_claims(device, config.proofs_path, only=RELIED_ON)     # ProofError stops the run

The table is shown in the UI whether the claims hold or not. An earlier proof is taken if nothing has changed since.
"""

from collections.abc import Collection
from pathlib import Path

from prefect.artifacts import create_table_artifact
from pydantic import TypeAdapter

from hemline.proofs.questions import QUESTIONS
from hemline.proofs.store import Proofs
from hemline.records.proofs import ClaimResult
from hemline.report.markdown import claim_rows
from hemline.runtime.devices import DeviceInfo
from tasks.live import in_ui
from tasks.step import step

RESULTS = TypeAdapter(list[ClaimResult])


@step("verify-claims", timeout_seconds=600)
def verify_claims(
    device: DeviceInfo, proofs: Path, only: Collection[int] = tuple(QUESTIONS), required: bool = True
) -> list[ClaimResult]:
    """Proves them, or takes an earlier proof. proofs: the directory of earlier proofs. only: numbers of claims.

    required: whether to raise ProofError if a claim fails that `retrain` relies on.
    """
    from hemline.proofs import claims

    def prove() -> tuple[str, bool]:
        results = claims.check(only)
        return RESULTS.dump_json(results).decode(), all(result.finding != "fails" for result in results)

    text, _ = Proofs(proofs, device).obtain(f"claims-{'-'.join(map(str, only))}", claims.__name__, prove)
    results = RESULTS.validate_json(text)
    holding = sum(result.finding != "fails" for result in results)
    in_ui(
        create_table_artifact,
        key="claims",
        table=claim_rows(results),
        description=f"{holding} of {len(results)} claims of the chapter hold on {device.description}.",
    )
    if required:
        claims.require(results)
    return results
