"""What the flow `verify` found on a machine.

    Verification(device=device, parity=parity, claims=results, versions=versions).failures      # a sentence each

The flow returns it; if there are failures, VerificationError carries it.
"""

from pydantic import BaseModel

from hemline.records.proofs import ClaimResult, Parity
from hemline.runtime.devices import DeviceInfo


class Verification(BaseModel):
    """What the flow `verify` found."""

    device: DeviceInfo
    parity: Parity
    claims: list[ClaimResult]
    versions: dict[str, str]

    @property
    def failures(self) -> list[str]:
        """A sentence for parity, if it fails, and one for each claim that does."""
        failed = [f"claim {one.number} fails: {one.question.claim}" for one in self.claims if one.finding == "fails"]
        if self.parity.failed:
            failed.insert(0, f"{self.parity.failed} of {self.parity.cases} cases of layer parity are out of tolerance")
        return failed
