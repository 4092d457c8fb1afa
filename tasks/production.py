"""The morning page, however a run ends: what is in production, what became of the night, what needs a person.

    with shown_in_the_end(config): ...                  # a run of `retrain`, unless a signal ends it
    @flow(on_crashed=[show_after], on_cancellation=[show_after])        # then it is this
    show_production(artifacts, "fashion_mnist")         # or of all names: after a rollback, a prune, a proof

It is artifacts/index.html, and in the UI for each name an artifact that is called after it, `production-fashion-mnist`.
A page that cannot be made fails nothing: why is in the log. No task, since all tasks have ended when it is made.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.logging.loggers import flow_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings
from prefect.utilities.urls import url_for

from hemline.config.retrain import RetrainConfig
from hemline.storage.runs import find_run
from tasks.live import in_ui

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

    from hemline.records.status import Night

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def show_production(artifacts: Path, name: str | None = None, log: Log | None = None, wait: bool = True) -> None:
    """Brings index.html, and the artifact of this name or of all, up to date.

    log: of the flow run, if this is not called within it. wait: for a server that is away.
    """
    log = log or get_run_logger()
    try:
        from hemline.registry.index import write_index
        from hemline.report.html import data_uri
        from hemline.report.morning import morning_markdown

        for status, picture in write_index(artifacts, datetime.now(UTC)):
            if name in (None, status.name):
                text = morning_markdown(status, data_uri(picture), _page)
                _in_ui(key_of(status.name), text, status.headline, log, wait)
    except Exception:  # whatever it is: the run has its result, or its own error
        log.warning("the morning page is not up to date", exc_info=True)


def key_of(name: str) -> str:
    """Of a name's artifact, in which Prefect takes small letters, digits and dashes alone."""
    return f"production-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"


@contextmanager
def shown_in_the_end(config: RetrainConfig) -> Iterator[None]:
    """Shows it after the block, unless a signal ended that: whoever sent it waits."""
    try:
        yield
    except Exception:
        show_production(config.artifacts_path, config.name)
        raise
    show_production(config.artifacts_path, config.name)


def show_after(flow: "Flow[..., object]", flow_run: "FlowRun", state: "State[object]") -> None:
    """A hook, called in a process of the worker's once the run's own has ended, or at that one's end."""
    config = RetrainConfig.model_validate(flow_run.parameters.get("config", {}))
    if config.resume_path or find_run(config.artifacts_path, str(flow_run.id)):
        show_production(config.artifacts_path, config.name, flow_run_logger(flow_run), wait=False)


def _in_ui(key: str, markdown: str, description: str, log: Log, wait: bool) -> None:
    create = {"key": key, "markdown": markdown, "description": description}
    if wait:
        in_ui(create_markdown_artifact, **create)
    else:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            create_markdown_artifact(**create)


def _page(night: "Night") -> str | None:
    """Of the run in the UI, if somebody has said where that is."""
    known = "ui_url" in get_current_settings().model_fields_set  # else Prefect guesses it from the API's
    return url_for("flow-run", night.flow_run) if known and night.flow_run else None
