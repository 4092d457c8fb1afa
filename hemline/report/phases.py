"""Where the time of a run went, for its report: text = phases_markdown({"start": 3.1, "train": 2.4, ...})."""

from collections.abc import Mapping


def phases_markdown(seconds: Mapping[str, float]) -> str:
    """A section with a row for each step and its share. seconds: by hemline.storage.timing.by_phase."""
    rows = [f"| {phase} | {spent:.2f} | {spent / sum(seconds.values()):.0%} |" for phase, spent in seconds.items()]
    return "\n".join(["## Where the time went", "", "| step | seconds | share |", "| --- | --- | --- |", *rows, ""])
