"""The command line `hemline`: what there is, how good it is, and what a person decides about it.

    hemline status                                          # how it stands, and what needs a person
    hemline runs                                            # also: versions, ledger --at 2026-11-01
    hemline compare 7 8 --picture curves.svg                # also: show champion
    hemline predict shirt.png --json
    hemline rollback --name fashion_mnist --reason "shirts are not recognised any more"

Tables for people, --json for programs. A refusal is a sentence on stderr and exit code 1; a command line that
cannot be is 2. Modules are imported by the commands that need them: `hemline --help` takes 0.2 s, where pandas
alone would take 0.8 and TensorFlow 8 (2 cores, others at work).

Others import `app` and `main`. A command is a function in the module it belongs to; the help has them in this order.
"""

from hemline.cli import status  # noqa: F401, I001  which adds its command
from hemline.cli import looking  # noqa: F401
from hemline.cli import deciding, serving  # noqa: F401
from hemline.cli.program import app, main

__all__ = ["app", "main"]
