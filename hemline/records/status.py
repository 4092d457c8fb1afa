"""What a person asks in the morning, of one model's name: did it run, is it better, why or why not, what needs me?

status.latest.state, status.latest.sentence         # 'Kept', 'kept fashion_mnist 7: challenger 8 is ...'
status.champion                                     # version, since when, by what decision, how good
status.nights                                       # the newest runs, oldest first
status.needs                                        # sentences with the command to type
status.headline                                     # all of it in a line
"""

from collections import Counter
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from hemline.records.decider import decider

NEWEST = 30  # runs that are looked at
NIGHT_HOURS = 26  # between the ends of two nights
# What a run came to. The UI calls Refused and Failed *Failed*, and Unfinished *Crashed* or *Cancelled*; Finished is one
# of which the ledger does not tell.
State = Literal[
    "Promoted",
    "Kept",
    "Needs approval",
    "Unchanged",
    "Trained",
    "Refused",
    "Failed",
    "Unfinished",
    "Running",
    "Finished",
]
WELL: tuple[State, ...] = ("Promoted", "Kept", "Needs approval", "Unchanged", "Trained")


class Later(BaseModel):
    """What a person decided about a run's version after the run."""

    decision: Literal["promoted", "kept", "rolled back"]
    at: datetime
    by: str
    reason: str

    @property
    def sentence(self) -> str:
        """'rolled back 2026-11-24 by ada@laptop: shirts are not recognised'."""
        return f"{self.decision} {self.at:%Y-%m-%d} by {decider(self.by)[0]}: {self.reason}"


class Night(BaseModel):
    """A run of the name."""

    run: str  # its directory's name
    flow_run: str | None  # id in Prefect of its latest attempt
    started: datetime  # UTC
    state: State
    sentence: str  # why
    version: str | None  # that it published, or would have made again
    accuracy: float | None  # on test, with Wilson's 95 % interval; of an unchanged night, its version's
    interval: tuple[float, float] | None
    seconds: float | None  # that its steps took
    examples: dict[str, int]  # by split; empty before the data was verified
    doubts: list[str]  # about its data, for a person
    report: bool  # whether it has written one
    later: Later | None = None

    @property
    def fate(self) -> str:
        """What became of it in the end: the state, unless a person has decided since."""
        return self.later.decision.capitalize() if self.later else self.state


class ChampionStatus(BaseModel):
    """The version in production."""

    version: str
    path: str  # of its files
    since: datetime  # UTC
    decision: str  # 'promoted' or 'rolled back'
    by: str
    sentence: str
    accuracy: float | None  # on test, as it was made; None: its manifest cannot be read
    interval: tuple[float, float] | None
    problem: str = ""  # what is wrong with its files, if that shows without reading them


class Need(BaseModel):
    """What a person must do now."""

    sentence: str
    command: str = ""  # to type; empty where the sentence says what to do


class Status(BaseModel):
    """Of one model's name, at one moment."""

    name: str
    at: datetime  # UTC
    champion: ChampionStatus | None
    nights: list[Night]  # oldest first, at most NEWEST
    needs: list[Need]  # most urgent first

    @property
    def latest(self) -> Night | None:
        """The newest run."""
        return self.nights[-1] if self.nights else None

    @property
    def counts(self) -> dict[str, int]:
        """Nights by what became of them."""
        return dict(Counter(night.fate for night in self.nights))

    @property
    def headline(self) -> str:
        """What a person reads first."""
        number = len(self.needs)
        needs = f"{number} things need you" if number > 1 else "1 thing needs you" if number else "Nothing needs you"
        if self.latest is None:
            return f"{needs}. No run yet"
        return f"{needs}. {self.latest.state} {self.latest.started:%Y-%m-%d}: {self.latest.sentence}"
