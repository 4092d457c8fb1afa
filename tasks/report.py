"""The report for whoever wakes up and looks: in the UI, and as report.html in the run's directory.

    report(version, decision)

Made of the version's own manifest and of what the run found in its data.
"""

from prefect import runtime
from prefect.artifacts import create_markdown_artifact

from hemline.records.run import Decision, ModelVersion
from tasks.live import in_ui
from tasks.step import step


@step("report", timeout_seconds=600)
def report(version: ModelVersion, decision: Decision) -> None:
    """Writes report.html of the run and the report of the UI."""
    from hemline.records.data import DataChecks
    from hemline.registry.versions import PICTURES, verify
    from hemline.report.html import data_uri, html
    from hemline.report.markdown import markdown
    from hemline.report.phases import phases_markdown
    from hemline.storage.files import whole_file
    from hemline.storage.timing import by_phase

    manifest = verify(version.path)
    pictures = {name: data_uri((version.path / file).read_text()) for name, file in PICTURES.items()}
    title = f"{runtime.flow_run.name}: model {version.title}"
    found = version.run / "data.json"  # a run that goes on from an older Hemline's may have none
    checks = DataChecks.model_validate_json(found.read_bytes()) if found.exists() else None
    text = markdown(manifest, title, pictures, decision, checks)
    text += f"\n{phases_markdown(by_phase(version.run))}"  # until here; all are in timing.csv
    with whole_file(version.run / "report.html") as path:
        path.write_text(html(text))
    in_ui(
        create_markdown_artifact,
        key="report",
        markdown=text,
        description=f"Model {version.title}: {decision.sentence}.",
    )
