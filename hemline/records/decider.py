"""Who decided, as a line of the ledger has it: a person, or a flow run by its name and id.

by = by_run("nightly", "0b1c2d3e-...")      # 'nightly (0b1c2d3e-...)'
decider(by)                                 # ('nightly', '0b1c2d3e-...')
decider("ada@laptop")                       # ('ada@laptop', None)
"""

import re


def by_run(name: str, run_id: str) -> str:
    """The flow run, as the ledger names it."""
    return f"{name} ({run_id})"


def decider(by: str) -> tuple[str, str | None]:
    """The name of a person or a flow run, and the latter's id."""
    found = re.fullmatch(r"(.*) \(([0-9a-f-]{8,})\)", by, re.DOTALL)
    return (found[1], found[2]) if found else (by, None)
