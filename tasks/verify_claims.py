"""The gate of the chapter's claims: that TensorFlow and Keras do here what the code takes for granted.

    results = verify_claims(device, proofs, only=RELIED_ON)     # ClaimError stops the run

The table is shown in the UI in both cases. An earlier proof is taken if nothing has changed since.
"""

from collections.abc import Collection
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import TypeAdapter

from hemline.proofs.questions import QUESTIONS
from hemline.records.proofs import ClaimResult
from hemline.report.markdown import claim_rows
from hemline.runtime.devices import DeviceInfo

RESULTS = TypeAdapter(list[ClaimResult])


@task(name="verify-claims", cache_policy=NO_CACHE, timeout_seconds=600, result_serializer="json")
def verify_claims(
    device: DeviceInfo, kept: Path, only: Collection[int] = tuple(QUESTIONS), stop: bool = True
) -> list[ClaimResult]:
    """Raises ClaimError if a claim fails that `retrain` relies on.

    kept: directory of earlier proofs. stop: False leaves it to the caller to look at the verdicts.
    """
    import tensorflow as tf

    from hemline.proofs import claims
    from hemline.proofs.store import Proofs

    proofs = Proofs(kept, device)
    gate, log = f"claims-{'-'.join(map(str, only))}", get_run_logger()
    earlier = proofs.find(gate)
    if earlier:
        results = RESULTS.validate_json(earlier.text)
        log.info("nothing has changed since %d claims were proved at %s", len(results), f"{earlier.made:%F %H:%M} UTC")
    else:
        with tf.device(device.name):
            results = claims.check(only)
    holding = sum(result.verdict != "fails" for result in results)
    create_table_artifact(
        key="claims",
        table=claim_rows(results),
        description=f"what the chapter claims, proved on {device.description}: {holding} of {len(results)} hold",
    )
    if stop:
        claims.require(results)
    if not earlier:
        log.info("%d of %d claims hold", holding, len(results))
        if holding == len(results):
            proofs.keep(gate, RESULTS.dump_json(results).decode())
    return results
