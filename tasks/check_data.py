"""A look at the data before it is trained on: what is new in it since the champion's, and what is wrong with it.

    found = check_data(config, dataset, device, run_directory)      # DatasetError if a finding is refused
    found.doubts            # sentences for which a person must decide before the version is promoted

What was found is written, and shown in the UI, whether it is refused or not.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Running

from hemline.config.checks import ANSWERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import VersionError
from hemline.records.data import DataChecks
from hemline.runtime.devices import DeviceInfo
from tasks.live import in_ui, show_state
from tasks.step import step

if TYPE_CHECKING:
    import numpy as np

    from hemline.data.checks_case import Case

SHOWN = 6  # new examples in the picture, and as many that findings name


@step("check-data", timeout_seconds=1800)
def check_data(config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo, directory: Path) -> DataChecks:
    """Checks the data by itself and against the champion's."""
    from hemline.data.checks import check, require
    from hemline.data.checks_case import Case, measured
    from hemline.data.dataset import load_split
    from hemline.gate.judging import answers_on
    from hemline.registry.champion import Registry
    from hemline.registry.champions_data import champions_data, keep

    registry = Registry(config.artifacts_path, config.name)
    arrays = {split: load_split(dataset, split) for split in dataset.splits}
    images = {split: pixels for split, (pixels, _) in arrays.items()}
    before, remarks = champions_data(registry, dataset)
    case = Case(dataset.class_names, {split: measured(*of_it) for split, of_it in arrays.items()}, before)
    if before and config.checks.contradicted != "ignore":
        path = registry.path(before.version)
        try:
            case = case.answered(images, lambda sample: answers_on(device)(path, sample).mean(axis=0))
        except VersionError as error:
            remarks.append(f"champion {before.version} was not asked about new examples: {error.problem}")
    found = DataChecks(
        fingerprint=dataset.fingerprint,
        champion=before.version if before else None,
        remarks=remarks,
        counts=case.counts,
        champion_counts=before.counts if before else {},
        change=case.change,
        findings=check(case, config.checks, _names(dataset, config.split_seed)),
    )
    keep(found, case.examples, directory)
    _show(found, case, images, directory)
    require(found.findings)
    if found.doubts and runtime.flow_run.id:  # of which a person is told, whatever the run ends as
        show_state(Running(name="Data in doubt", message="; ".join(found.doubts)))
    return found


def _found(found: DataChecks) -> str:
    numbers = {answer: len(found.sentences(answer)) for answer in reversed(ANSWERS)}
    listed = ", ".join(f"{number} to {answer}" for answer, number in numbers.items() if number)
    return f"The checks of the data found {listed or 'nothing'}."


def _names(dataset: DatasetRef, split_seed: int) -> Callable[[str, int], str]:
    """What an example is called: in a folder as its file."""
    from hemline.data import folder

    @cache
    def files(split: str) -> list[str]:
        return folder.names(dataset, split, split_seed)

    return lambda split, index: files(split)[index] if dataset.listing else f"{split}[{index}]"


def _show(found: DataChecks, case: "Case", images: "Mapping[str, np.ndarray]", directory: Path) -> None:
    """In the log, as a picture and in the UI."""
    from hemline.report.html import data_uri
    from hemline.report.markdown import data_markdown
    from hemline.report.tiles import data_picture
    from hemline.storage.files import whole_file

    for finding in found.findings:
        if finding.answer != "refuse":  # which is raised
            level = logging.INFO if finding.answer == "note" else logging.WARNING
            get_run_logger().log(level, "%s: %s", finding.check, finding.text)
    new = case.examples[case.new]
    new = new.sample(min(SHOWN, len(new)), random_state=0)
    places = [("new", split, i) for split, i in zip(new["split"], new.index.to_list(), strict=True)]
    named = ([(finding.check, one.split, one.index) for one in finding.examples] for finding in found.findings)
    in_turn = (place for place in chain.from_iterable(zip_longest(*named)) if place)  # the first of each, then ...
    places += islice(dict.fromkeys(in_turn), SHOWN)
    shown = [(images[split][i], f"{why.replace('_', ' ')}\n{case.label_of(split, i)}") for why, split, i in places]
    picture = data_picture(found.champion_counts, found.counts, shown)
    with whole_file(directory / "data.svg") as path:
        path.write_text(picture)
    in_ui(
        create_markdown_artifact,
        key="data",
        markdown=data_markdown(found, data_uri(picture)),
        description=_found(found),
    )
