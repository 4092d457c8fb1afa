"""The command line is the configuration, field by field, and nothing else."""

import pytest
from pydantic import BaseModel

from hemline.config.optimizers import LowerGroup, OptimizerGroups, Schedule, UpperGroup
from hemline.config.options import parse
from hemline.config.retrain import RetrainConfig

PREFIXED = [
    ("", RetrainConfig),
    ("groups.", OptimizerGroups),
    ("groups.lower.", LowerGroup),
    ("groups.upper.", UpperGroup),
    ("groups.upper.schedule.", Schedule),
]


def options(*argv: str) -> RetrainConfig:
    return parse(RetrainConfig, "retrain", "Retrains.", argv)


@pytest.fixture
def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        options("--help")
    assert caught.value.code == 0
    return " ".join(capsys.readouterr().out.split())  # argparse breaks lines


@pytest.mark.parametrize(("prefix", "model"), PREFIXED)
def test_every_field_is_an_option_with_its_description(prefix: str, model: type[BaseModel], help_text: str) -> None:
    for name, field in model.model_fields.items():
        assert f"--{prefix}{name.replace('_', '-')} " in help_text
        assert field.description
        assert " ".join(field.description.split()) in help_text


def test_help_has_the_programs_name_and_purpose(help_text: str) -> None:
    assert help_text.startswith("usage: retrain ")
    assert "Retrains." in help_text


def test_no_option_is_the_default_configuration() -> None:
    assert options() == RetrainConfig()


def test_an_option_sets_its_field() -> None:
    assert options("--epochs", "3", "--validation", "test", "--device", "cpu") == RetrainConfig(
        epochs=3, validation="test", device="cpu"
    )


def test_dots_reach_into_a_group_and_leave_the_rest_of_it() -> None:
    config = options("--groups.lower.learning-rate", "0.003", "--groups.upper.optimizer", "lion")
    assert config == RetrainConfig.model_validate(
        {"groups": {"lower": {"learning_rate": 0.003}, "upper": {"optimizer": "lion"}}}
    )


def test_a_schedule_is_given_by_dots() -> None:
    rates = ("--groups.lower.schedule.change-at", "2,4", "--groups.lower.schedule.change-to", "0.5,0.1")
    schedule = options("--groups.lower.schedule.kind", "piecewise", *rates).groups.by_name()["lower"].schedule
    assert schedule == Schedule(kind="piecewise", change_at=[2, 4], change_to=[0.5, 0.1])


def test_json_removes_a_group_and_adds_another() -> None:
    config = options(
        "--groups", '{"upper": null, "head": {"layers": ["logits"], "optimizer": "sgd", "learning_rate": 1}}'
    )
    assert list(config.groups.by_name()) == ["lower", "head"]


@pytest.mark.parametrize("argv", [("--frozen", "a", "--frozen", "b"), ("--frozen", "a,b"), ("--frozen", '["a", "b"]')])
def test_a_list_is_given_in_any_usual_way(argv: tuple[str, ...]) -> None:
    assert options(*argv).frozen == ["a", "b"]


def test_null_is_none() -> None:
    assert options("--data-dir", "null").data_dir is None


def test_variables_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    # A CI system's EPOCHS or a shell's GROUPS must not train another model.
    for name, value in {
        "EPOCHS": "7",
        "GROUPS": '{"lower": null}',
        "GROUPS__LOWER__LEARNING_RATE": "9",
        "DATASET": "mnist",
        "SEED": "not a number",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    assert options() == RetrainConfig()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--epochs", "0"), "epochs must be >= 1. Received: epochs='0'. See retrain --help."),
        (("--epochs", "-1"), "epochs must be >= 1. Received: epochs='-1'. See retrain --help."),
        (("--device", "tpu"), "device must be 'auto', 'cpu' or 'gpu'. Received: device='tpu'. See retrain --help."),
        (
            ("--groups.lower.learning-rate", "nan"),
            "groups.lower.learning_rate must be a finite number. Received: learning_rate='nan'. See retrain --help.",
        ),
    ],
)
def test_a_bad_value_is_a_sentence_and_exit_code_2(
    argv: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        options(*argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err == sentence + "\n"


def test_json_that_is_none_is_a_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options("--groups", "{lower: null}")
    assert caught.value.code == 2
    assert "groups" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [("--epoch", "3"), ("--nope", "3"), ("stray",)])
def test_an_unknown_option_is_exit_code_2(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options(*argv)
    assert caught.value.code == 2
    assert argv[0] in capsys.readouterr().err
