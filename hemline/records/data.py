"""What was found when a run looked at its data (data.json).

found.doubts            # for which a person must decide before the version is promoted
found.change            # Change(new=120, gone=3, relabelled=5), since the champion's data
"""

from collections.abc import Mapping

from pydantic import BaseModel

from hemline.config.checks import Answer
from hemline.data.checks_found import Change, Finding


class DataChecks(BaseModel):
    """The data of a run, and what its checks found."""

    fingerprint: str  # of this data
    champion: str | None  # the version whose data it was compared with
    remarks: list[str]  # what could not be compared, and why
    counts: Mapping[str, Mapping[str, int]]  # examples by split and class
    champion_counts: Mapping[str, Mapping[str, int]]  # the same of the champion's data, as far as they are known
    change: Change | None  # None: the champion's examples are not known
    findings: list[Finding]

    def sentences(self, answer: Answer) -> list[str]:
        """Of the findings with this answer."""
        return [finding.sentence for finding in self.findings if finding.answer == answer]

    @property
    def doubts(self) -> list[str]:
        """Sentences for which a person must decide before the version is promoted."""
        return self.sentences("ask")
