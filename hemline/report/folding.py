"""Text in lines of a terminal.

folded("challenger 2 is worse", width=12)       # ['challenger 2', 'is worse']
folded("runs/2026-11-23-nightly", width=16)     # ['runs/2026-11-23-', 'nightly']: words too long, at their joints
width_of("衬衫")                                 # 4
"""

import re
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

# A letter of Chinese, Japanese or Korean, each of which may end a line, with the closing marks after it; or a word.
WIDE = r"\u1100-\u115f\u2e80-\u2fff\u3005-\u3007\u3021-\ua4cf\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
CLOSING = r"\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
WORD = re.compile(rf"[{WIDE}][{CLOSING}]*\s*|[^\s{WIDE}]+\s*")
JOINT = re.compile(r"(?<=[/\\])(?=[^/\\])|(?<=[_-])(?=[^\W\d_])")  # of paths and names; not in dates and numbers


def width_of(text: str) -> int:
    """In columns of a terminal, where a Chinese letter takes two."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def longest_piece(text: str) -> int:
    """The width below which it is cut elsewhere than between words and at joints."""
    return max((width_of(piece.rstrip()) for word in WORD.findall(text) for piece in JOINT.split(word)), default=0)


def folded(text: str, width: int) -> list[str]:
    """Its lines: between words, else at the joints of a word, else anywhere. width: at least 2."""
    if width_of(text) <= width:
        return [text]
    lines = [""]
    for piece in _pieces(text, width):
        if width_of(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _columns(letter: str) -> int:
    return 0 if combining(letter) else 1 + (east_asian_width(letter) in "WF")


def _pieces(text: str, width: int) -> Iterator[str]:
    for word in WORD.findall(text):
        if width_of(word.rstrip()) <= width:
            yield word
            continue
        for piece in JOINT.split(word):
            yield from [piece] if width_of(piece.rstrip()) <= width else piece
