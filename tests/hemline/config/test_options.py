"""The command line is the configuration, field by field, and nothing else."""

import pytest
from pydantic import BaseModel

from hemline.config.optimizers import LowerGroup, OptimizerGroups, Schedule, UpperGroup
from hemline.config.options import program
from hemline.config.retrain import RetrainConfig

PREFIXED = [
    ("", RetrainConfig),
    ("groups.", OptimizerGroups),
    ("groups.lower.", LowerGroup),
    ("groups.upper.", UpperGroup),
    ("groups.upper.schedule.", Schedule),
]


def options(*argv: str) -> RetrainConfig:
    configs: list[RetrainConfig] = []
    with pytest.raises(SystemExit) as caught:
        program(RetrainConfig, configs.append, "Retrains.")(argv, prog_name="retrain")
    if not configs:
        raise caught.value
    assert caught.value.code == 0
    return configs[0]


@pytest.fixture
def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        options("--help")
    assert caught.value.code == 0
    return " ".join(capsys.readouterr().out.split())  # without the breaks of lines


@pytest.mark.parametrize(("prefix", "model"), PREFIXED)
def test_every_field_is_an_option_with_its_description(prefix: str, model: type[BaseModel], help_text: str) -> None:
    for name, field in model.model_fields.items():
        assert f"--{prefix}{name.replace('_', '-')} <" in help_text
        assert field.description
        assert " ".join(field.description.split()) in help_text


def test_help_has_the_programs_name_and_purpose(help_text: str) -> None:
    assert help_text.startswith("Usage: retrain [OPTIONS] Retrains. Options:")


@pytest.mark.parametrize(
    "words",
    [
        '--groups.lower.schedule.kind <constant|cosine|piecewise> what follows the warm-up [default: "cosine"]',
        "--epochs <int> passes over the training examples [default: 5; at least 1; at most 10000]",
        "--data-dir <path|null> directory",
        "--validation <int|test> examples",
        "--device <auto|cpu|gpu> 'gpu'",
        "--streaming <true|false|null> read",
        "--frozen <str...> patterns",
        "--groups.lower <JSON|null> the lower layers",
        "[at least 0; less than 1]",
    ],
)
def test_help_has_kinds_defaults_and_bounds(words: str, help_text: str) -> None:
    assert words in help_text


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
    argv = ["--groups.lower.schedule.kind", "piecewise", "--groups.lower.schedule.change-to", "[0.5, 0.1]"]
    argv += ["--groups.lower.schedule.change-at", "2", "--groups.lower.schedule.change-at", "4"]
    schedule = options(*argv).groups.by_name()["lower"].schedule
    assert schedule.model_dump() == Schedule(kind="piecewise", change_at=[2, 4], change_to=[0.5, 0.1]).model_dump()


def test_json_removes_a_group_and_adds_another() -> None:
    config = options(
        "--groups", '{"upper": null, "head": {"layers": ["logits"], "optimizer": "sgd", "learning_rate": 1}}'
    )
    assert list(config.groups.by_name()) == ["lower", "head"]


def test_an_option_is_laid_over_the_json_of_what_it_is_part_of() -> None:
    config = options("--groups.lower.optimizer", "sgd", "--groups", '{"lower": {"optimizer": "lion", "momentum": 0.9}}')
    lower = config.groups.by_name()["lower"]
    assert (lower.optimizer, lower.momentum) == ("sgd", 0.9)


@pytest.mark.parametrize("argv", [("--frozen", "a", "--frozen", "b[cd]*"), ("--frozen", '["a", "b[cd]*"]')])
def test_a_list_is_given_by_repetition_or_as_json(argv: tuple[str, ...]) -> None:
    assert options(*argv).frozen == ["a", "b[cd]*"]


def test_a_pattern_that_begins_as_json_does_is_a_pattern() -> None:
    assert options("--frozen", "[ab]*").frozen == ["[ab]*"]


def test_null_is_none() -> None:
    assert options("--data-dir", "null").data_dir is None
    assert list(options("--groups.upper", "null").groups.by_name()) == ["lower"]


def test_a_recipe_is_taken_and_options_over_it() -> None:
    config = options("--recipe", "chapter-listing", "--epochs", "3", "--groups.upper.learning-rate", "0.2")
    assert config.frozen == ["hidden_1", "hidden_2", "norm_2"]
    assert (config.epochs, config.validation) == (3, "test")
    assert config.groups.by_name()["upper"].learning_rate == 0.2
    constant = {"kind": "constant"}
    lower = {"layers": ["norm_1"], "learning_rate": 0.001, "schedule": constant}
    assert config.groups.by_name()["lower"] == LowerGroup.model_validate(lower)


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
        (
            ("--recipe", "chapters"),
            "recipe must be one of best-mlp, chapter, chapter-listing, fast-cnn, nightly, or the path of a YAML "
            "file under HEMLINE_ROOT. Received: recipe='chapters'",
        ),
        (("--epochs", "0"), "epochs must be >= 1. Received: epochs='0'"),
        (("--epochs", "-1"), "epochs must be >= 1. Received: epochs='-1'"),
        (
            ("--dataset", ""),
            "dataset must be a text with at least 1 character. Received: dataset=''",
        ),
        (("--device", "tpu"), "device must be 'auto', 'cpu' or 'gpu'. Received: device='tpu'"),
        (
            ("--groups.lower.learning-rate", "nan"),
            "groups.lower.learning_rate must be a finite number. Received: learning_rate='nan'",
        ),
    ],
)
def test_a_bad_value_is_a_sentence_and_exit_code_2(
    argv: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        options(*argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err == sentence + ". See retrain --help.\n"


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
