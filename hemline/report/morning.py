"""The morning page of one model's name: did it run, is it better, why or why not, what needs a person now.

    text = morning_markdown(status, data_uri(nights_picture(status.nights)), address)

The same Markdown is an artifact in the Prefect UI and a part of artifacts/index.html; they differ in where a run's name
leads.
"""

from collections.abc import Callable

from hemline.records.status import ChampionStatus, Night, Status, who
from hemline.report.figures import accuracy, duration
from hemline.report.markup import bold, plain, table
from hemline.report.nights import nights_in_words


def morning_markdown(status: Status, picture: str, address: Callable[[Night], str | None]) -> str:
    """picture: the address of the nights' picture. address: of a run's report or page; None: its name leads nowhere."""
    paragraphs = [f"# {status.name}", _latest(status.latest, address), _needs(status), _champion(status.champion)]
    if status.nights:
        paragraphs.append(f"![{nights_in_words(status.nights)}]({picture})")
        names = ("started (UTC)", "became", "version", "test accuracy", "took", "examples", "why")
        paragraphs.append(table(names, (_row(night, address) for night in reversed(status.nights))))
    paragraphs.append(f"As of {status.at:%Y-%m-%d %H:%M} UTC; `hemline status` says how it is now.")
    return "\n\n".join(paragraphs) + "\n"


def _latest(night: Night | None, address: Callable[[Night], str | None]) -> str:
    if night is None:
        return bold("no run yet")
    when = f"{night.started:%Y-%m-%d %H:%M} UTC, {duration(night.seconds)}"
    return f"**{night.state}** ({when}): {plain(night.sentence)} ({_linked(night, 'more', address)})"


def _needs(status: Status) -> str:
    if not status.needs:
        return "**Nothing needs you.**"
    lines = (f"- {plain(need.sentence)}" + f"\n\n      {need.command}" * bool(need.command) for need in status.needs)
    return "**What needs you now:**\n\n" + "\n".join(lines)


def _champion(champion: ChampionStatus | None) -> str:
    if champion is None:
        return "There is no champion yet."
    whole = f", **{plain(champion.problem)}**" if champion.problem else ""
    return (
        f"**Champion {champion.version}**{whole}: test accuracy {accuracy(champion.accuracy, champion.interval)}, 95 % "
        f"interval in brackets; {champion.decision} {champion.since:%Y-%m-%d %H:%M} UTC by {plain(who(champion.by))}: "
        f"{plain(champion.sentence)}"
    )


def _row(night: Night, address: Callable[[Night], str | None]) -> tuple[str, ...]:
    later = f" ({plain(night.later.sentence)})" if night.later else ""
    return (
        _linked(night, f"{night.started:%Y-%m-%d %H:%M}", address),
        night.fate,
        night.version or "-",
        accuracy(night.accuracy, night.interval),
        duration(night.seconds),
        ", ".join(f"{split} {number:,}" for split, number in night.examples.items()) or "-",
        plain(night.sentence) + later,
    )


def _linked(night: Night, text: str, address: Callable[[Night], str | None]) -> str:
    to = address(night)
    return f"[{text}]({to})" if to else f"{text}, `{night.run}`"
