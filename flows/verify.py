"""Proves, on the machine that will train, what training relies on: a preflight for a new image or version.

    hemline verify                                      # both tables; exit code 1 if anything fails
    prefect deployment run 'verify/preflight' --watch   # on a worker

The hand-written layer against Keras's and against float64, and the chapter's nine claims. Always proved anew;
`retrain` takes a proof of the same surroundings instead of proving again.
"""

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.names import dated
from flows.places import confine
from hemline.config.verify import VerifyConfig
from hemline.errors import ProofError
from hemline.proofs.store import Proofs
from hemline.records.run import Verification
from hemline.report.blocks import sentence
from hemline.report.markdown import verification_markdown
from hemline.runtime.devices import select, set_up
from hemline.runtime.provenance import package_versions
from tasks.live import in_ui
from tasks.production import show_production
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@flow(name="verify", flow_run_name=dated(lambda config: ("verify", config.device)), result_serializer="json")
def verify(config: VerifyConfig = VerifyConfig()) -> Verification:  # noqa: B008  it is frozen
    """Prove what training relies on, on this machine: its layer against references, and the chapter's claims.

    Its artifacts `verification`, `layer-norm-parity` and `claims` have every case. Read on in `docs/exercises.md`.
    """
    confine(artifacts_dir=config.artifacts_dir)
    device = select(config.device)
    set_up(device)
    Proofs(config.proofs_path, device).forget()  # if they do not hold any more, no run may take them
    parity = verify_layers(device, config.proofs_path, grid=config.grid, required=False)
    claims = verify_claims(device, config.proofs_path, required=False)
    found = Verification(device=device, parity=parity, claims=claims, packages=package_versions())
    in_ui(
        create_markdown_artifact,
        key="verification",
        markdown=verification_markdown(found),
        description=sentence(
            "; ".join(found.failures) or f"everything that training relies on holds on {device.description}"
        ),
    )
    show_production(config.artifacts_path)
    if found.failures:
        raise ProofError(
            f"everything that training relies on must hold. Received: {'; '.join(found.failures)}. The tables "
            "layer-norm-parity and claims have the cases; look for a change of version or device.",
            found,
        )
    return found
