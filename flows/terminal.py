"""What a flow started from a terminal says to the person there.

    connect()                       # first: Prefect's API answers, and Ctrl-C will find it alive
    quiet_refusals()                # before the flow: a refusal is a sentence, not a traceback
    print(summary(outcome))         # after it: how well, and where everything is

Nothing here runs on a worker.
"""

import logging
import signal
from types import FrameType

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from rich.console import Console
from rich.table import Table

from hemline.errors import HemlineError
from hemline.records.run import Outcome
from hemline.records.verification import Verification
from hemline.report.markdown import claim_rows


def connect() -> None:
    """Reaches the Prefect server, or starts the temporary one, so that it outlives a Ctrl-C.

    A terminal sends SIGINT to the temporary server too. If that died first, the flow would try for minutes
    to report to it that it was interrupted; so it starts with the signal blocked, which a process inherits,
    and is ended when this process ends, by SIGTERM too.
    """
    signal.signal(signal.SIGTERM, _exit)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
    except RuntimeError as error:
        problem = error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if problem is not None:
        raise SystemExit(
            f"Prefect's API must answer. Received: PREFECT_API_URL={PREFECT_API_URL.value()} ({problem}). "
            "Start its server (make up), or unset PREFECT_API_URL to run with a temporary one."
        )


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def quiet_refusals() -> None:
    """Keeps Prefect's console from printing a refusal with its traceback; the caller prints the sentence."""

    def is_news(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HemlineError))

    for handler in logging.root.handlers:  # the console; run.log and the API keep the traceback
        handler.addFilter(is_news)


def summary(outcome: Outcome) -> str:
    """The last lines of a run."""
    version = outcome.version
    return f"""
validation accuracy {version.val_accuracy:.4f}, test accuracy {version.test_accuracy:.4f}
{outcome.decision.sentence}

model     {version.path}
report    {version.run / "report.html"}
tables    {version.run / "epochs.csv"}, {version.run / "iterations.parquet"}
log       {version.run / "run.log"}"""


def tables(found: Verification) -> None:
    """Prints what `verify` found: layer parity, then the claims."""
    console = Console()
    for title, rows in (("LayerNorm parity", found.parity.rows), ("The chapter's claims", claim_rows(found.claims))):
        table = Table(*rows[0], title=title)
        for row in rows:
            table.add_row(*map(str, row.values()))
        console.print(table)
