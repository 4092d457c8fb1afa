"""The report for whoever wakes up and looks: in the UI, and as report.html in the run's directory.

    report(version, decision)

Made of the version's own manifest and of what the run found in its data.
"""

from prefect import runtime
from prefect.artifacts import create_markdown_artifact

from hemline.records.run import Decision, ModelVersion, Rows
from tasks.live import in_ui
from tasks.step import step


@step("report", timeout_seconds=600)
def report(version: ModelVersion, decision: Decision) -> None:
    """Writes report.html of the run and the report of the UI."""
    from hemline.records.data import DataChecks
    from hemline.registry.versions import PICTURES, verify
    from hemline.report.gallery import gallery
    from hemline.report.html import data_uri, html
    from hemline.report.run import Ending, run_report
    from hemline.storage.attempts import attempts
    from hemline.storage.files import whole_file
    from hemline.storage.timing import by_phase

    manifest = verify(version.path)
    drawn = {name: (version.path / file).read_text() for name, file in PICTURES.items()}
    drawn |= gallery(manifest, version.run, decision, _epochs_compared_with(version, decision))
    pictures = {name: data_uri(svg) for name, svg in drawn.items()}
    title = f"{runtime.flow_run.name}: model {version.title}"
    found = version.run / "data.json"  # a run that goes on from an older Hemline's may have none
    checks = DataChecks.model_validate_json(found.read_bytes()) if found.exists() else None
    ending = Ending(decision, checks, by_phase(version.run), attempts(version.run))  # until here
    text = run_report(manifest, title, pictures, ending)
    with whole_file(version.run / "report.html") as path:
        path.write_text(html(text))
    in_ui(
        create_markdown_artifact,
        key="report",
        markdown=text,
        description=f"Model {version.title}: {decision.sentence}.",
    )


def _epochs_compared_with(version: ModelVersion, decision: Decision) -> Rows:
    """Of the champion; none where there is none, or it is not whole any more."""
    from hemline.errors import VersionError
    from hemline.registry.versions import verify

    try:
        return verify(version.path.with_name(str(decision.measurements["compared_with"]))).epochs
    except (KeyError, VersionError):
        return []
