"""One program for functions that compute the same: on whose variables, and when not."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hemline.config.retrain import RetrainConfig
from hemline.evaluation.scores import compile_predict
from hemline.models import as_in_a_new_process, build
from hemline.runtime.programs import Programs
from hemline.training.groups import partition
from hemline.training.loop import Trainer
from tests.hemline.conftest import CLASSES, SHAPE, pictures

IMAGES, LABELS = pictures(100, np.random.default_rng(0))


def adding(variable: tf.Variable, number: float = 1.0) -> Any:
    """A function that adds x and a number, in a loop, so that it has functions inside."""

    @tf.function(jit_compile=True)
    def add(x: tf.Tensor) -> tf.Tensor:
        i = tf.constant(0)
        while i < 3:
            variable.assign_add(x + number)
            i += 1
        return variable.value()

    return add


def test_each_function_has_its_own_variables() -> None:
    programs, one, other = Programs(), tf.Variable(0.0), tf.Variable(100.0)
    add, add_to_other = programs.shared(adding(one)), programs.shared(adding(other))
    x = tf.constant(2.0)
    assert (float(add(x)), float(add_to_other(x)), float(add(x))) == (9.0, 109.0, 18.0)  # 3 * (2 + 1) each time
    assert (float(one), float(other)) == (18.0, 109.0)
    assert programs.number == 1


def test_a_number_inside_makes_another_program() -> None:
    programs, variables = Programs(), [tf.Variable(0.0) for _ in range(3)]
    functions = [
        programs.shared(adding(variable, number)) for variable, number in zip(variables, (1, 1.5, 1), strict=True)
    ]
    assert [float(function(tf.constant(0.0))) for function in functions] == [3.0, 4.5, 3.0]
    assert programs.number == 2


def test_another_shape_is_another_program_of_the_same_function() -> None:
    programs, variable = Programs(), tf.Variable(0.0)
    twice = programs.shared(tf.function(lambda x: 2 * x + variable))
    assert twice(tf.constant(1.0)).numpy() == 2
    assert twice(tf.constant([1.0, 2.0])).numpy().tolist() == [2, 4]
    assert twice(tf.constant(3.0)).numpy() == 6
    assert programs.number == 2


def trained(config: RetrainConfig, seed: int, programs: Programs | None) -> list[bytes]:
    """Weights and logits after an epoch."""
    model = build(config.model, SHAPE, len(CLASSES), seed, arguments=config.model_arguments)
    with as_in_a_new_process(seed, "float32"):
        groups = partition(model, config.groups.by_name(), steps_per_epoch=4, epochs=2)
    xla = config.model != "cnn"
    trainer = Trainer(model, groups, IMAGES, LABELS, batch_size=32, seed=seed, xla=xla, programs=programs)
    list(trainer.epoch(1))
    logits = compile_predict(model)(IMAGES)
    return [logits.tobytes(), *(np.asarray(weight).tobytes() for weight in model.weights)]


MUON = {"optimizer": "muon", "learning_rate": 0.05, "layers": ["hidden_*/kernel"]}
REST = {"optimizer": "adam", "layers": ["norm_*", "hidden_*/bias"], "schedule": {"kind": "cosine"}}


@pytest.mark.parametrize(
    ("fields", "compiled"),
    [
        ({}, 1),
        ({"model": "cnn"}, 1),
        ({"groups": {"hidden": MUON, "lower": REST}}, 1),
        ({"model": "tests.hemline.runtime.test_programs:with_dropout"}, 2),  # whose steps have the seed in them
    ],
)
def test_models_of_two_seeds_share_what_is_the_same_and_have_the_bits_of_single_ones(
    fields: dict[str, Any], compiled: int
) -> None:
    programs, config = Programs(), RetrainConfig(**fields)
    assert [trained(config, seed, programs) for seed in (1, 2)] == [trained(config, seed, None) for seed in (1, 2)]
    assert programs.number == compiled


def with_dropout(image_shape: tuple[int, int, int], classes: int, seed: int, precision: str) -> Any:
    """A model with a layer that draws by a seed of its own."""
    import keras

    from hemline.models.random_layers import Dropout

    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="uint8"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, name="hidden"),
            Dropout(0.5, seed=seed),
            keras.layers.Dense(classes, name="logits"),
        ]
    )
