"""What a model must be: each refusal says what was returned and what to do."""

from collections.abc import Callable

import keras
import pytest

from hemline.errors import ConfigurationError
from hemline.models import MODELS, build
from hemline.models.contract import require_contract
from hemline.models.random_layers import with_dropout_of_ours
from tests.hemline.models import own_models as own
from tests.hemline.models.own_models import ending

layers = keras.layers
SHAPE = (4, 4, 1)


@pytest.mark.parametrize("name", [*MODELS, "tests.hemline.models.own_models:everything"])
@pytest.mark.parametrize("shape", [SHAPE, (7, 5, 3), (1, 1, 2)])
def test_what_keeps_the_contract_passes(name: str, shape: tuple[int, int, int]) -> None:
    require_contract(build(name, shape, 3, seed=1), name, shape, classes=3)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_float32_in_every_precision(name: str, precision: str) -> None:
    require_contract(build(name, SHAPE, 3, 1, precision), name, SHAPE, classes=3)


def test_a_finished_network_with_dropout_of_ours_keeps_the_contract() -> None:
    """The remedy that its refusal names."""
    model = own.on(with_dropout_of_ours(own.backbone(), seed=1))
    require_contract(model, "my_models:wide", SHAPE, classes=3)


def test_a_precision_that_no_layer_computes_in_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="compute in float32, and none in precision='mixed_bfloat16'"):
        require_contract(ending(layers.Dense(3)), "my_models:wide", SHAPE, 3, "mixed_bfloat16")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "nothing": (lambda: None, "which returned None. Return the model"),
    "a layer": (lambda: layers.Dense(3), "an object of Dense"),
    "a subclass": (own.Subclass, "a Subclass that does not know its inputs. Begin with keras.Input"),
    "no input": (lambda: keras.Sequential([layers.Dense(3)]), "a Sequential that does not know its inputs"),
    "two outputs": (own.two_outputs, "a model with 2 outputs"),
    "other classes": (lambda: ending(layers.Dense(9)), r"outputs \(None, 9\). End with keras.layers.Dense\(3\)"),
    "float pixels": (
        lambda: keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)]),
        r"inputs \(None, 4, 4, 1\), float32. Begin with keras.Input\(image_shape, dtype='uint8'\), and scale",
    ),
    "half logits": (lambda: ending(layers.Dense(3, dtype="mixed_float16")), "outputs in float16"),
    "softmax": (lambda: ending(layers.Dense(3, activation="softmax")), "probabilities: .* has softmax"),
    "sigmoid": (lambda: ending(layers.Dense(3, activation="sigmoid")), "probabilities: .* has sigmoid"),
    "a softmax layer": (lambda: ending(layers.Dense(3), layers.Softmax()), "probabilities: .* has softmax"),
    "softmax inside": (
        lambda: ending(keras.Sequential([layers.Dense(4), layers.Dense(3, activation="softmax")])),
        "probabilities: .* has softmax",
    ),
    "no weights": (lambda: ending(layers.Dense(3, trainable=False)), "a model without a trainable weight"),
    "Keras's dropout": (
        lambda: ending(layers.Dropout(0.5, name="drop"), layers.Dense(3)),
        "a state which a checkpoint does not have: drop. Take random layers from hemline.models.random_layers",
    ),
    "dropout of a finished network": (lambda: own.on(own.backbone()), "does not have: drop.* with_dropout_of_ours"),
    "TensorFlow's random numbers": (lambda: ending(own.Noisy(), layers.Dense(3)), "differ from one call to the next"),
    "Keras's random numbers": (lambda: ending(own.NoisyByKeras(), layers.Dense(3)), "does not have: .*seed_generator"),
    "a hidden state": (lambda: ending(own.Counting(), layers.Dense(3)), "does not have: calls"),
    "a layer that fails": (
        lambda: ending(own.FailingInTraining(), layers.Dense(3)),
        r"fails when it is asked in training \(ValueError: .*there is no such mode",
    ),
    "softmax before a linear layer": (
        lambda: ending(layers.Dense(3, activation="softmax"), layers.Activation("linear")),
        "probabilities: each row of its answers sums to 1",
    ),
    "a softmax layer as activation": (
        lambda: ending(layers.Dense(3, activation=layers.Softmax())),
        "probabilities: .* has softmax",
    ),
    "a class inside a function": (own.defined_inside, "when it loads them: Inside. .* none of them in a function"),
    "noise inside": (
        lambda: ending(keras.Sequential([layers.GaussianNoise(0.1, name="noise"), layers.Dense(3)])),
        "does not have: noise",
    ),
    "a lambda": (lambda: ending(layers.Lambda(lambda x: 2 * x, name="twice"), layers.Dense(3)), "Lambda.*: twice"),
    "unregistered": (
        lambda: ending(own.Unregistered(), layers.Dense(3)),
        "when it loads them: Unregistered. Put @keras",
    ),
    "forgetful": (
        lambda: ending(own.Forgetful(3.0), layers.Dense(3)),
        "answers differently once it is saved and loaded",
    ),
    "idle weights": (own.idle_layer, "weights on which its answers do not depend: idle/kernel, idle/bias"),
    "not finite": (lambda: ending(layers.Rescaling(1e38), layers.Dense(3), layers.Rescaling(1e38)), "are not finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_it_is_refused_in_a_sentence(case: str) -> None:
    make, sentence = REFUSED[case]
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        require_contract(make(), "my_models:wide", SHAPE, classes=3)
    assert "from one input of shape (None, 4, 4, 1), uint8, to logits of shape (None, 3), float32" in str(caught.value)
    assert "Received: model='my_models:wide', which returned " in str(caught.value)
