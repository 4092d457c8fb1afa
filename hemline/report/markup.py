"""Pieces of Markdown.

bold("kept 7: ...")             # '**Kept 7: ....**'
plain("a|b <c> *d*")            # any text, as it is: an error may have any characters in it
table(("what", "value"), [("loss", 0.5)])
"""

import re
from collections.abc import Iterable, Sequence


def bold(sentence: str) -> str:
    """The sentence, with its capital and its full stop."""
    return f"**{sentence[:1].upper()}{sentence[1:]}.**"


def plain(text: str) -> str:
    """Text in a line that means nothing to Markdown; `table` looks after its own separator."""
    return re.sub(r"([\\`*\[\]<>&~$]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """With a row for each."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
