"""What the checks of the data found, as it is recorded.

    finding.answer, finding.text        # 'ask', 'test has 60 examples of 10,000 (0.6%) with ...: test[17] and 59 more'

Without pandas, which whoever reads this need not import.
"""

from pydantic import BaseModel

from hemline.config.checks import Answer

TOLD = 3  # examples that a sentence names


class Change(BaseModel):
    """How many examples differ from the champion's data, by the hashes of their pixels."""

    new: int
    gone: int
    relabelled: int


class Example(BaseModel):
    """One of a finding's."""

    split: str
    index: int  # in the split, from 0
    name: str  # of its file, or e.g. 'train[123]'


class Finding(BaseModel):
    """What a check found, and what is done about it."""

    check: str
    answer: Answer
    sentence: str
    size: float
    examples: list[Example] = []  # some of them
    more: int = 0  # how many there are besides

    @property
    def text(self) -> str:
        """The sentence, with some examples by name."""
        names = [example.name for example in self.examples]
        more = len(names[TOLD:]) + self.more
        told = ", ".join(names[:TOLD]) + (f" and {more:,} more" if more else "")
        return f"{self.sentence}: {told}" if names else self.sentence
