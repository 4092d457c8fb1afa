"""Every trainable variable has exactly one owner, or nothing is trained at all."""

from fnmatch import fnmatchcase
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import keras
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from hemline.config.optimizers import OPTIMIZERS, KerasOptimizer, OptimizerGroup
from hemline.config.retrain import RetrainConfig
from hemline.errors import ConfigurationError
from hemline.models.mlp import build_mlp
from hemline.training.groups import assign, labelled_variables, partition

LABELS = [
    "hidden_1/kernel",
    "hidden_1/bias",
    "norm_1/alpha",
    "norm_1/beta",
    "hidden_2/kernel",
    "hidden_2/bias",
    "norm_2/alpha",
    "norm_2/beta",
    "logits/kernel",
    "logits/bias",
]
LOWER = ["hidden_*", "norm_*"]


@pytest.fixture
def mlp() -> keras.Model:
    return build_mlp((4, 4, 1), classes=3, seed=0)


def test_labels_are_layer_and_variable(mlp: keras.Model) -> None:
    assert list(labelled_variables(mlp)) == LABELS


def test_labels_are_stable_when_the_model_is_saved_and_loaded(mlp: keras.Model, tmp_path: Path) -> None:
    # Whole paths are not: 'mlp/logits/kernel' may come back as 'logits/kernel'.
    mlp.save(tmp_path / "model.keras")
    assert list(labelled_variables(keras.saving.load_model(tmp_path / "model.keras"))) == LABELS


def test_the_default_split_trains_all_ten_variables(mlp: keras.Model) -> None:
    # Regression of the chapter's listing, which trained 4 of them.
    lower, upper = partition(mlp, RetrainConfig().groups.by_name(), steps_per_epoch=4, epochs=5)
    assert [group.name for group in (lower, upper)] == ["lower", "upper"]
    assert [id(variable) for variable in (*lower.variables, *upper.variables)] == [
        id(variable) for variable in mlp.trainable_variables
    ]
    assert len(upper.variables) == 2
    assert isinstance(lower.optimizer, keras.optimizers.Adam)
    assert isinstance(upper.optimizer, keras.optimizers.SGD)
    assert float(lower.optimizer.learning_rate) == pytest.approx(2e-3)  # before the first step
    assert float(upper.optimizer.learning_rate) == pytest.approx(0.1)


VALUES = {
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.25,
    "ns_steps": 3,
}  # of each field that only some optimizers take
ELSE_FROZEN = ["hidden_*/bias", "norm_*", "logits"]


def of_matrices(optimizer: str, **fields: Any) -> OptimizerGroup:
    return OptimizerGroup.model_validate(
        {"layers": ["hidden_*/kernel"], "optimizer": optimizer, "learning_rate": 0.5} | fields
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_the_table_is_made_with_what_it_takes(mlp: keras.Model, name: str) -> None:
    row = OPTIMIZERS[name]
    given: dict[str, Any] = {field: VALUES[field] for field in row.takes}
    (group,) = partition(mlp, {"all": of_matrices(name, clip_norm=2.0, **given)}, ELSE_FROZEN)
    assert type(group.optimizer) is resolve_name(row.keras_class)
    assert group.optimizer.built  # slots made inside a trace would be lost
    made = group.optimizer.get_config()
    expected = {**given, **row.always, "learning_rate": 0.5, "global_clipnorm": 2.0}
    assert {field: made[field] for field in expected} == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_null_is_what_the_table_says(mlp: keras.Model, name: str) -> None:
    """The help tells it, and Keras decides it."""
    (group,) = partition(mlp, {"all": of_matrices(name)}, ELSE_FROZEN)
    made = group.optimizer.get_config()
    assert {field: made[field] for field in OPTIMIZERS[name].takes} == OPTIMIZERS[name].takes


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_does_not_take_is_refused(name: str) -> None:
    for field in VALUES.keys() - OPTIMIZERS[name].takes.keys():
        takers = ", ".join(other for other, row in OPTIMIZERS.items() if field in row.takes)
        with pytest.raises(ValidationError) as caught:
            of_matrices(name, **{field: VALUES[field]})
        assert (
            f"{field} is for {takers}. Received: optimizer={name!r}, {field}={VALUES[field]!r}. "
            "Remove it or change optimizer."
        ) in str(caught.value)


def test_an_optimizer_is_one_row(monkeypatch: pytest.MonkeyPatch, mlp: keras.Model) -> None:
    monkeypatch.setitem(OPTIMIZERS, "sgd", KerasOptimizer("keras.optimizers:Adagrad", always={"epsilon": 0.5}))
    (group,) = partition(mlp, {"all": of_matrices("sgd")}, ELSE_FROZEN)
    assert isinstance(group.optimizer, keras.optimizers.Adagrad)
    assert group.optimizer.epsilon == 0.5


def muon(*layers: str) -> dict[str, OptimizerGroup]:
    return {"matrices": OptimizerGroup(layers=list(layers), optimizer="muon", learning_rate=0.05)}


def test_muon_is_muon_for_every_variable_of_its_group(mlp: keras.Model) -> None:
    (group,) = partition(mlp, muon("hidden_*/kernel"), frozen=["hidden_*/bias", "norm_*", "logits"])
    assert isinstance(group.optimizer, keras.optimizers.Muon)
    assert [variable.shape for variable in group.variables] == [(16, 128), (128, 64)]
    # A velocity is Adam's: Keras's Muon makes one for each variable that it will not apply Muon to.
    assert group.optimizer.adam_velocities == [None, None]


@pytest.mark.parametrize(
    ("layers", "frozen", "refused"),
    [
        (["hidden_1"], ["hidden_2", "norm_*", "logits"], "hidden_1/bias"),
        (["norm_*"], ["hidden_*", "logits"], "norm_1/alpha, norm_1/beta, norm_2/alpha, norm_2/beta"),
        (["*/kernel"], ["*/bias", "norm_*"], "logits/kernel"),
    ],
)
def test_muon_refuses_what_it_is_not_for(mlp: keras.Model, layers: list[str], frozen: list[str], refused: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        partition(mlp, muon(*layers), frozen)
    assert f"Received: group 'matrices' with {refused}. Give muon e.g. layers ['hidden_*/kernel']" in str(caught.value)


def test_muon_goes_by_the_layer_and_not_by_its_name() -> None:
    """Keras takes Adam for a path with 'embedding' in it, and Muon for an embedding that is called otherwise."""
    layers = [
        keras.Input((3,), dtype="int32"),
        keras.layers.Embedding(5, 4, name="words"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, use_bias=False, name="embedding_projection"),
        keras.layers.Dense(2, name="head"),
    ]
    model = keras.Sequential(layers)
    with pytest.raises(ConfigurationError, match=r"group 'matrices' with words/embeddings\."):
        partition(model, muon("words", "embedding_projection"), frozen=["head"])
    (group,) = partition(model, muon("embedding_projection"), frozen=["words", "head"])
    assert group.optimizer.adam_velocities == [None]


def test_frozen_layers_belong_to_no_group(mlp: keras.Model) -> None:
    groups = {"lower": OptimizerGroup(layers=["hidden_*"], optimizer="adam", learning_rate=1e-3)}
    (lower,) = partition(mlp, groups, frozen=["norm_*", "logits"])
    assert [variable.name for variable in lower.variables] == ["kernel", "bias", "kernel", "bias"]


@pytest.mark.parametrize(
    ("groups", "frozen", "problem"),
    [
        ({"lower": [*LOWER, "dense"], "upper": ["logits"]}, [], "pattern 'dense' of group 'lower' matches no layer"),
        ({"lower": LOWER, "upper": ["logits"]}, ["conv"], "pattern 'conv' of frozen matches no layer"),
        ({"lower": LOWER, "upper": ["Logits"]}, [], "pattern 'Logits' of group 'upper' matches no layer"),
        (
            {"lower": [*LOWER, "logits"], "upper": ["logits"]},
            [],
            "logits/kernel is in group 'lower' and in group 'upper'",
        ),
        ({"lower": LOWER, "upper": ["logits"]}, ["norm_2"], "norm_2/beta is in group 'lower' and in frozen"),
        ({"lower": LOWER}, [], "logits/bias is in no group and not frozen"),
        ({"lower": ["*/kernel"], "upper": ["logits/bias"]}, [], "hidden_1/bias is in no group and not frozen"),
        ({}, ["hidden_*"], "norm_1/alpha is in no group and not frozen"),
        ({"lower": ["*"], "upper": []}, [], "group 'upper' has no layer"),
    ],
)
def test_refusals_name_the_problem_and_all_variables(
    groups: dict[str, list[str]], frozen: list[str], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        assign(LABELS, groups, frozen)
    message = str(caught.value)
    assert message.startswith("every trainable variable must be in exactly one optimizer group or frozen")
    assert problem in message.partition("Problems: ")[2]
    assert f"Variables: {', '.join(LABELS)}." in message
    assert message.endswith("Change the patterns under groups or frozen.")


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        assign(["a/k", "b/k"], {"one": ["x"], "two": ["a", "y"]})
    problems = str(caught.value).partition("Problems: ")[2].partition(". Variables")[0].split("; ")
    assert len(problems) == 3


def test_a_pattern_may_name_single_variables() -> None:
    assert assign(["a/k", "a/b"], {"kernels": ["*/k"]}, ["a/b"]) == {"a/k": "kernels", "a/b": None}


def test_two_patterns_of_one_group_may_match_one_variable() -> None:
    assert assign(["a/k"], {"one": ["a", "*"]}) == {"a/k": "one"}


patterns = st.sampled_from(["a", "b", "ab", "c", "*", "a*", "?", "[ab]", "*/k", "*/b", "a/k", "A", "k", "a?/*"])
label_lists = st.lists(
    st.builds("{}/{}".format, st.sampled_from(["a", "b", "ab", "A"]), st.sampled_from(["k", "b"])),
    min_size=1,
    unique=True,
)


def naively(labels: list[str], groups: dict[str, list[str]], frozen: list[str]) -> dict[str, str | None] | None:
    """The rule word for word, label by label; None is a refusal."""
    everyone: list[tuple[str | None, list[str]]] = [*groups.items(), (None, frozen)]

    def matches(pattern: str, label: str) -> bool:
        return fnmatchcase(label.split("/")[0], pattern) or fnmatchcase(label, pattern)

    if any(not group for group in groups.values()):
        return None
    if any(not any(matches(pattern, label) for label in labels) for _, given in everyone for pattern in given):
        return None
    owners = {
        label: [name for name, given in everyone if any(matches(pattern, label) for pattern in given)]
        for label in labels
    }
    if any(len(names) != 1 for names in owners.values()):
        return None
    if labels and all(names == [None] for names in owners.values()):
        return None  # nothing is left to train
    return {label: names[0] for label, names in owners.items()}


@given(
    labels=label_lists,
    groups=st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(patterns, max_size=2), max_size=3),
    frozen=st.lists(patterns, max_size=1),
)
def test_accepted_exactly_if_each_variable_has_one_owner(
    labels: list[str], groups: dict[str, list[str]], frozen: list[str]
) -> None:
    expected = naively(labels, groups, frozen)
    if expected is None:
        with pytest.raises(ConfigurationError):
            assign(labels, groups, frozen)
    else:
        assert assign(labels, groups, frozen) == expected


@given(layers=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), data=st.data())
def test_a_partition_by_name_is_accepted_and_complete(layers: list[str], data: st.DataObject) -> None:
    # Random patterns are seldom a partition; these always are.
    owner = {layer: data.draw(st.sampled_from(["one", "two", None])) for layer in layers}
    labels = [f"{layer}/{name}" for layer in layers for name in ("kernel", "bias")]
    groups = {
        group: [layer for layer in layers if owner[layer] == group]
        for group in ("one", "two")
        if group in owner.values()
    }
    frozen = [layer for layer in layers if owner[layer] is None]
    assume(groups)  # or nothing is left to train
    assert assign(labels, groups, frozen) == {label: owner[label[0]] for label in labels}


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing is left to train"):
        assign(["a/kernel", "b/kernel"], {}, ["*"])
