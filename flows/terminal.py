"""What a flow started from a terminal says to the person there.

    quiet_refusals()                # before the flow: a refusal is a sentence, not a traceback
    print(summary(outcome))         # after `retrain`: how well, and where everything is
    tables(verification)            # after `verify`: what holds and what does not

Nothing here runs on a worker.
"""

import logging
import shlex

from hemline.cli.columns import short_name
from hemline.config.paths import option_of
from hemline.errors import HemlineError
from hemline.records.run import Outcome, Verification
from hemline.report.markdown import claim_rows
from hemline.report.terminal import sentence, show


def quiet_refusals() -> None:
    """Keeps Prefect's console from printing a refusal with its traceback; the caller prints the sentence."""
    import prefect.main  # noqa: F401  which makes Prefect's handlers

    for handler in logging.root.handlers:  # the console; run.log and the API keep the traceback
        handler.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HemlineError)))


def summary(outcome: Outcome) -> str:
    """The last lines of a run."""
    version, decision = outcome.version, outcome.decision
    artifacts = version.run.parent.parent
    elsewhere = option_of(artifacts)
    return f"""
validation accuracy {version.val_accuracy:.4f}, test accuracy {version.test_accuracy:.4f}
{sentence(decision.sentence, good=decision.verdict == "promoted" or None)}

model      {version.path}
report     {version.run / "report.html"}
beside it  epochs.csv, iterations.parquet, run.log
in short   {shlex.join(["hemline", *elsewhere, "show", short_name(version.run.name)])}"""


def tables(verification: Verification) -> None:
    """Prints layer parity, then the claims."""
    print("LayerNorm parity\n")
    show(verification.parity.rows)
    print("\nThe chapter's claims\n")
    show(claim_rows(verification.claims))
