"""The morning page of one model's name: did it run, is it better, why or why not, what needs a person now.

    text = morning_markdown(status, data_uri(nights_picture(status.nights)), address)

The same Markdown is an artifact in the Prefect UI and a part of artifacts/index.html; they differ in where a run's name
leads.
"""

import textwrap
from collections.abc import Callable

from hemline.records.decider import decider
from hemline.records.status import ChampionStatus, Night, Status
from hemline.report.blocks import bold, image, verbatim
from hemline.report.escaping import escaped
from hemline.report.figures import accuracy, duration
from hemline.report.nights import nights_in_words

LINE = 300  # characters of a night's sentence in the list; a refusal may name each variable of a model


def morning_markdown(status: Status, picture: str, address: Callable[[Night], str | None]) -> str:
    """picture: the address of the nights' picture. address: of a run's report or page; None: its name leads nowhere."""
    paragraphs = [f"# {status.name}", _latest(status.latest, address), _needs(status), _champion(status.champion)]
    if status.nights:
        paragraphs.append(image(nights_in_words(status.nights), picture))
        paragraphs.append("\n".join(f"- {_line(night, address)}" for night in reversed(status.nights)))
    paragraphs.append(f"As of {status.at:%Y-%m-%d %H:%M} UTC; `hemline status` says how it is now.")
    return "\n\n".join(paragraphs) + "\n"


def _latest(night: Night | None, address: Callable[[Night], str | None]) -> str:
    if night is None:
        return bold("no run yet")
    when = f"{night.started:%Y-%m-%d %H:%M} UTC, {duration(night.seconds)}"
    return f"**{night.state}** ({when}): {escaped(night.sentence)} ({_linked(night, 'more', address)})"


def _needs(status: Status) -> str:
    if not status.needs:
        return "**Nothing needs you.**"
    lines = (f"- {escaped(need.sentence)}" + f"\n\n      {need.command}" * bool(need.command) for need in status.needs)
    return "**What needs you now:**\n\n" + "\n".join(lines)


def _champion(champion: ChampionStatus | None) -> str:
    if champion is None:
        return "There is no champion yet."
    whole, by = f", **{escaped(champion.problem)}**" if champion.problem else "", escaped(decider(champion.by)[0])
    return (
        f"**Champion {champion.version}**{whole}: test accuracy {accuracy(champion.accuracy, champion.interval)}, 95 % "
        f"interval in brackets; {champion.decision} {champion.since:%Y-%m-%d %H:%M} UTC by {by}: "
        f"{escaped(champion.sentence)}. Its files: {verbatim(champion.path)}"
    )


def _line(night: Night, address: Callable[[Night], str | None]) -> str:
    """Not a row of a table: in Prefect's UI a column of sentences does not wrap, and is cut off."""
    made = f"version {night.version}" if night.version else ""
    tested = accuracy(night.accuracy, night.interval) if night.accuracy is not None else ""
    facts = ", ".join(filter(None, (made, tested, duration(night.seconds))))
    later = f" ({escaped(night.later.sentence)})" if night.later else ""
    when = _linked(night, f"{night.started:%Y-%m-%d %H:%M}", address)
    why = textwrap.shorten(night.sentence, LINE, placeholder=" ...")
    return f"{when} **{night.fate}**, {facts}: {escaped(why)}{later}"


def _linked(night: Night, text: str, address: Callable[[Night], str | None]) -> str:
    to = address(night)
    return f"[{text}]({to})" if to else f"{text}, `{night.run}`"
