"""Proves, on the machine that will train, what training relies on: a preflight for a new image or version.

    python -m flows.verify                              # both tables; exit code 1 if anything fails
    prefect deployment run 'verify/preflight' --watch   # on a worker

The hand-written layer against Keras's and against float64, and the chapter's nine claims. Always proved anew;
`retrain` takes a proof of the same surroundings instead of proving again.
"""

import sys

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from hemline.config import VerifyConfig
from hemline.devices import select
from hemline.errors import HemlineError
from hemline.record import Verification
from hemline.report import verification_markdown
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@flow(name="verify", flow_run_name="verify-{config.device}", result_serializer="json")
def verify(config: VerifyConfig = VerifyConfig()) -> Verification:  # noqa: B008  it is frozen
    """Prove the layer and the claims on this machine."""
    device = select(config.device)
    # Both tables are there before the first failure ends the run.
    parity = verify_layers(config, device, grid=config.grid, anew=True, return_state=True)
    claims = verify_claims(config, device, anew=True, return_state=True)
    result = Verification(device=device, parity=parity.result(), claims=claims.result())
    create_markdown_artifact(key="verification", markdown=verification_markdown(result))
    result.require()
    return result
