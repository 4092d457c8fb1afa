"""What came of a sweep, for a person: a table, two pictures, and the best as a recipe.

text = markdown(config, leaders, pictures(study))
write_recipe(path, config, leaders)                 # which `hemline retrain --recipe PATH` takes
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml
from matplotlib import pyplot, rc_context
from matplotlib.axes import Axes

from hemline.config import recipes
from hemline.config.nested import merge
from hemline.config.sweep import SweepConfig
from hemline.report.blocks import bold, image, page
from hemline.report.blocks import table as columns
from hemline.report.html import data_uri
from hemline.storage.files import whole_file
from hemline.sweeps.study import Leader, Study

ENOUGH = 2  # trained trials below which there is nothing to compare


def table(leaders: Sequence[Leader]) -> list[dict[str, str | int | float]]:
    """A row for each trial, best first: the columns of the UI's table."""
    return [
        {
            "trial": each.trial,
            "state": each.state,
            "val_accuracy": "-" if each.val_accuracy is None else round(each.val_accuracy, 4),
            "epochs": each.epochs,
            **{name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in each.values.items()},
        }
        for each in leaders
    ]


def pictures(study: Study) -> dict[str, str]:
    """SVG by what it shows; empty before there is anything to compare."""
    import optuna
    from optuna.visualization import matplotlib as drawn

    if sum(leader.state == "trained" for leader in study.leaders()) < ENOUGH:
        return {}
    found = {}
    ways: dict[str, Callable[..., Axes]] = {
        "validation accuracy by configuration": drawn.plot_parallel_coordinate,
        "how much each field matters": drawn.plot_param_importances,
    }
    for name, draw in ways.items():
        with rc_context(
            {"svg.hashsalt": "hemline", "svg.fonttype": "none"}
        ):  # Optuna changes the style of all pictures
            try:
                with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
                    axes = draw(study.optuna, target_name="validation accuracy")
            except (RuntimeError, ValueError, optuna.exceptions.OptunaError):  # all trials were equally good
                continue
            figure, file = axes.get_figure(root=True), io.StringIO()
            assert figure
            figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)
        found[name] = file.getvalue()
    return found


def markdown(config: SweepConfig, leaders: Sequence[Leader], found: Mapping[str, str]) -> str:
    """The page of a sweep. found: pictures by what they show."""
    rows = table(leaders)
    note = "Only validation was looked at. `best.yaml` beside the sweep's file is the recipe of the first row."
    trials = columns(tuple(rows[0]), (row.values() for row in rows)) if rows else ""
    images = {name.capitalize(): image(name, data_uri(svg)) for name, svg in found.items()}
    return page(f"Sweep {config.name}", [bold(winner(leaders)), note, trials], images)


def winner(leaders: Sequence[Leader]) -> str:
    """In a sentence, without its full stop."""
    if not leaders or leaders[0].state != "trained":
        return "no trial was trained to its end: the log of each run says why"
    best = leaders[0]
    return f"trial {best.trial} is the best of {len(leaders)}: {best.val_accuracy:.2%} on validation"


def write_recipe(path: Path, config: SweepConfig, leaders: Sequence[Leader]) -> Path | None:
    """The configuration of the best trial, which `hemline retrain --recipe PATH` takes; None if none was trained."""
    if not leaders or leaders[0].state != "trained":
        return None
    best = leaders[0]
    told = (
        f"# Trial {best.trial} of {len(leaders)} of the sweep {config.name}: {best.val_accuracy:.4f} on validation.\n"
    )
    values = config.recipe(best.values)
    if name := values.pop("recipe", None):  # a recipe stands for itself
        values = merge(recipes.read(name), values)
    with whole_file(path) as temporary:
        temporary.write_text(told + yaml.safe_dump(values, sort_keys=False))
    return path
