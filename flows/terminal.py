"""What a flow started from a terminal says to the person there.

    quiet_refusals()                # before the flow: a refusal is a sentence, not a traceback
    print(summary(version))         # after it: how well, and where everything is

Nothing here runs on a worker.
"""

import logging

from hemline.errors import HemlineError
from hemline.record import ModelVersion


def quiet_refusals() -> None:
    """Keeps Prefect's console from printing a refusal with its traceback; the caller prints the sentence."""

    def is_news(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HemlineError))

    for handler in logging.root.handlers:  # the console; run.log and the API keep the traceback
        handler.addFilter(is_news)


def summary(version: ModelVersion) -> str:
    """The last lines of a run."""
    return f"""
validation accuracy {version.val_accuracy:.4f}, test accuracy {version.test_accuracy:.4f}

model     {version.path}
report    {version.run / "report.html"}
tables    {version.run / "epochs.csv"}, {version.run / "iterations.parquet"}
log       {version.run / "run.log"}"""
