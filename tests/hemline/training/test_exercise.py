"""The hands-on exercise 2b as docs/models-and-optimizers.md has it: its model and its command, as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from hemline.config.options import program
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.models import build
from hemline.training import run
from hemline.training.groups import partition
from tests.hemline.conftest import CPU

ROOT = Path(__file__).parents[3]


def test_the_worked_example_trains(tiny: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "models-and-optimizers.md").read_text().partition("## A model of your own")[2]
    model = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0]
    assert len(model.partition("def ")[2].splitlines()) <= 10
    (tmp_path / "my_models.py").write_text(model)
    monkeypatch.syspath_prepend(tmp_path)
    command = re.findall(r"^```\n(make retrain .*?)^```$", text, re.MULTILINE | re.DOTALL)[0]
    (arguments,) = re.findall(r'^make retrain ARGS="(.*)"$', command, re.DOTALL)
    words = shlex.split(arguments.replace('\\"', '"').replace("\\\n", ""))  # as a shell and make hand them on
    configs: list[RetrainConfig] = []
    with pytest.raises(SystemExit) as ended:
        program(RetrainConfig, configs.append)(words)
    assert ended.value.code == 0
    (config,) = configs
    run.check_model(config, CPU, (28, 28, 1), 10)
    small = config.model_copy(update={"validation": 60})  # of 300
    assert len(run.train(small, tiny, CPU, tmp_path / "run", say=print).epochs) == config.epochs
    groups = partition(
        build(config.model, (28, 28, 1), 10, 42, arguments=config.model_arguments), config.groups.by_name()
    )
    found = {group.name: (type(group.optimizer).__name__, len(group.variables)) for group in groups}
    assert found == {"lower": ("SGD", 2), "upper": ("Nadam", 2)}
    rates = [float(group.optimizer.learning_rate) for group in groups]
    assert rates == pytest.approx([1e-4, 1e-3])
    assert groups[0].variables[0].shape == (784, 100)
