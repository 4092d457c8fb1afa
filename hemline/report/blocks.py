"""Markdown in pieces, as sections are made of them.

    table(("what", "value"), [("loss", "0.3217")])
    counted(1, "epoch"), counted(2, "epoch")    # '1 epoch', '2 epochs'

A paragraph is one line: Prefect's UI shows a single line break as the end of one.
"""

from collections.abc import Iterable, Mapping, Sequence


def page(title: str, paragraphs: Iterable[str], sections: Mapping[str, str]) -> str:
    """A document: a heading, paragraphs, and sections by their headings; one without text is left out."""
    told = (f"## {name}\n\n{text}" for name, text in sections.items() if text)
    return "\n\n".join([f"# {title}", *paragraphs, *told]) + "\n"


def image(alt: str, address: str | None) -> str:
    """A picture, if there is one. alt: what is to be seen in it."""
    return f"![{alt}]({address})" if address else ""


def together(*paragraphs: str) -> str:
    """Those that say something."""
    return "\n\n".join(filter(None, paragraphs))


def table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns under their names."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def counted(number: int, what: str) -> str:
    """'1 epoch', '2,000 epochs'."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def bold(words: str) -> str:
    """As a sentence stands at the top."""
    return f"**{sentence(words)}**"


def listed(values: Mapping[str, object]) -> str:
    """Names with their values."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def code(patterns: Iterable[str]) -> str:
    """Patterns, whose wildcards would be Markdown's emphasis."""
    return ", ".join(f"`{pattern}`" for pattern in patterns)


def verbatim(text: str) -> str:
    """What may have any characters in it, such as an error."""
    return "`" + " ".join(text.replace("`", "'").split()) + "`"
