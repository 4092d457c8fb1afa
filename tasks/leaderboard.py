"""What a sweep ends with: a table, a page with pictures and the best as a recipe: leaderboard(directory, config)."""

from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from hemline.config.sweep import SweepConfig
from tasks.live import in_ui
from tasks.step import step


@step("leaderboard", timeout_seconds=600)
def leaderboard(directory: Path, config: SweepConfig) -> Path | None:
    """Writes leaderboard.html and best.yaml; returns the latter's path, if any trial was trained to its end."""
    from hemline.report.blocks import sentence
    from hemline.report.html import html
    from hemline.storage.files import whole_file
    from hemline.sweeps.leaderboard import markdown, pictures, table, winner, write_recipe
    from hemline.sweeps.study import Study

    study = Study(directory, config)
    leaders = study.leaders()
    text = markdown(config, leaders, pictures(study))
    with whole_file(directory / "leaderboard.html") as path:
        path.write_text(html(text))
    description = sentence(winner(leaders))
    in_ui(create_table_artifact, key="trials", table=table(leaders), description=description)
    in_ui(create_markdown_artifact, key="leaderboard", markdown=text, description=description)
    get_run_logger().info(description)
    return write_recipe(directory / "best.yaml", config, leaders)
