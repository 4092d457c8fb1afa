"""Pictures for README.md and docs/, taken of a real run in a real browser.

    make screenshots                    # of the newest completed run at PREFECT_API_URL

Needs a server with a completed retrain run, and a Chromium on the PATH (Debian: apt-get install chromium).
Writes docs/flow-run.png, docs/report.png and docs/run-form.png.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort

DOCS = Path(__file__).parents[1] / "docs"
# Chromium's own background requests have no place in a picture, and --no-sandbox lets root take it.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    """Takes every picture the README shows."""
    api = os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    ui = api.removesuffix("/api")
    flow_run, report, deployment = newest_run()
    DOCS.mkdir(exist_ok=True)
    with browser_page() as page:
        take(page, f"{ui}/runs/flow-run/{flow_run}", "Finished in state", DOCS / "flow-run.png")
        take(page, f"{ui}/artifacts/artifact/{report}", "Curves", DOCS / "report.png")
        if deployment:
            take(page, f"{ui}/deployments/deployment/{deployment}/run", "Learning Rate", DOCS / "run-form.png")


def newest_run() -> tuple[str, str, str | None]:
    """Ids of the newest completed retrain run, of its report and of its deployment, if it has one."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": ["retrain"]}}),
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["COMPLETED"]}}}),
            sort=FlowRunSort.END_TIME_DESC,
            limit=1,
        )
        if not runs:
            raise SystemExit("There must be a completed retrain run to look at. Run make deploy, then retrain/smoke.")
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate(
                {"key": {"any_": ["report"]}, "flow_run_id": {"any_": [str(runs[0].id)]}}
            )
        )
    deployment = runs[0].deployment_id
    return str(runs[0].id), str(artifacts[0].id), str(deployment) if deployment else None


def find_chromium() -> str | None:
    """Path of an installed Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a headless Chromium that is installed on the machine."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("A Chromium must be on the PATH. Received: none. Install it: apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def take(page: Page, address: str, text: str, path: Path) -> None:
    """Opens the address, waits for the text to show and for the page to settle, and takes the picture."""
    page.goto(address)
    page.get_by_text(text).first.wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
