"""The nine claims hold here, and each fails where its ground is taken away."""

import json
import logging
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.errors import ProofError
from hemline.models.layer_norm import LayerNorm
from hemline.proofs import claims, evidence
from hemline.proofs.evidence import fact, refused
from hemline.proofs.questions import QUESTIONS, RELIED_ON
from hemline.records.proofs import ClaimResult, Evidence
from hemline.report.html import html
from hemline.report.markdown import claim_rows, claims_markdown
from tests.forked import Forked


@pytest.fixture(scope="module")
def results() -> list[ClaimResult]:
    return claims.check()


def test_all_hold_here(results: list[ClaimResult]) -> None:
    facts = [f"{result.number} {found}" for result in results for found in result.evidence if not found.holds]
    assert facts == []
    assert [result.number for result in results if result.finding == "holds"] == [1, 2, 5]
    assert [result.number for result in results if result.finding == "holds with a correction"] == [3, 4, 6, 7, 8, 9]


def test_a_correction_is_stated_where_a_fact_contradicts_the_chapter(results: list[ClaimResult]) -> None:
    for result in results:
        assert any(found.corrects for found in result.evidence) == (result.question.correction is not None), (
            result.number
        )


def test_each_answers_its_question(results: list[ClaimResult]) -> None:
    assert [result.number for result in results] == list(QUESTIONS) == list(range(1, 10))
    for result in results:
        names = [found.what for found in result.evidence]
        assert len(set(names)) == len(names) > 4
        assert result.relied_on == RELIED_ON.get(result.number)


def test_results_are_json(results: list[ClaimResult]) -> None:
    for result in results:
        assert ClaimResult.model_validate_json(result.model_dump_json()) == result
        assert result.model_dump(mode="json")["finding"] == result.finding


def test_some_can_be_asked_for() -> None:
    assert [result.number for result in claims.check([8, 2])] == [8, 2]


def test_nothing_is_left_behind_or_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def surroundings() -> list[Any]:
        return [
            keras.config.floatx(),
            keras.config.dtype_policy().name,
            tf.config.functions_run_eagerly(),
            tf.get_logger().level,
            tf.config.list_logical_devices(),
            np.random.get_state()[1].tolist(),  # type: ignore[index]
            dict(keras.saving.get_custom_objects()),
            list(tmp_path.iterdir()),
        ]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    tf.random.set_seed(1)
    drawn = tf.random.uniform([3]).numpy().tolist()
    tf.random.set_seed(1)
    before = surroundings()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15 under NumPy 2
        results = claims.check()
    assert {result.finding for result in results} == {"holds", "holds with a correction"}
    assert surroundings() == before
    assert tf.random.uniform([3]).numpy().tolist() == drawn
    assert capfd.readouterr().out == ""
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_pythons_random_numbers_are_left_alone() -> None:
    """Threads that other tests have left draw some too, now and then; a claim that draws would do so each time."""

    def undisturbed() -> bool:
        before = random.getstate()
        claims.check()
        return random.getstate() == before

    assert any(undisturbed() for _ in range(3))


# --- Each can fail. What is broken, and a fact that must then not hold.


@pytest.fixture
def eager_functions() -> Iterator[None]:
    tf.config.run_functions_eagerly(True)
    yield
    assert tf.config.functions_run_eagerly()  # a failing claim restores what it found, not the default
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager_functions")
@pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions")
@pytest.mark.parametrize(
    ("number", "failing"),
    [
        (1, "computations where one of two is used, eager and in a graph"),
        (7, "`if` in a Keras component"),
        (7, "@tf.function on it: 3 batches, runs of Python"),
        (8, "appends to a Python list in 2 calls"),
        (8, "variable made inside"),
        (8, "graphs for 1, 2, 3 as numbers, in lists, as tensors"),
        (8, "captured list, number, tf.Variable after a change"),
        (9, "`while` in call"),
        (9, "@tf.function on it: the same, graphs"),
    ],
)
def test_fails_where_functions_run_eagerly(number: int, failing: str) -> None:
    assert failing in broken(number)


def broken(number: int) -> list[str]:
    (result,) = claims.check([number])
    assert result.finding == "fails"
    return [found.what for found in result.evidence if not found.holds]


def test_fails_where_keras_computes_in_float64() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        assert broken(1) == ["dtype of a float64 array in a Keras layer"]
    finally:
        keras.config.set_dtype_policy(before)


def transposes_are_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf, "transpose", lambda x: tf.reshape(x, x.shape[::-1]))


def numpy_is_differentiable(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = tf.GradientTape.gradient
    monkeypatch.setattr(tf.GradientTape, "gradient", lambda *args: gradient(*args, unconnected_gradients="zero"))


def range_is_int64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf, "range", lambda limit: tf.constant(np.arange(limit)))


def losses_forget_their_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.losses.Loss, "get_config", lambda self: {"name": self.name})


def precision_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def precision(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(y_true * y_pred) / tf.reduce_sum(y_pred)

    monkeypatch.setattr(keras.metrics, "Precision", lambda name: keras.metrics.MeanMetricWrapper(precision, name=name))


def reset_states_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.metrics.Metric, "reset_states", keras.metrics.Metric.reset_state, raising=False)


def layer_norm_forgets_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LayerNorm, "get_config", lambda self: {"name": self.name})


def layers_can_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.layers.Layer, "fit", keras.Model.fit, raising=False)


def one_rate_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    step = keras.optimizers.SGD.update_step
    monkeypatch.setattr(
        keras.optimizers.SGD, "update_step", lambda self, gradient, variable, rate: step(self, gradient, variable, 0.5)
    )


def no_multi_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(keras.optimizers, "MultiOptimizer")  # as in Keras 3.14


def py_function_has_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tf, "py_function", lambda f, args, dtype: tf.numpy_function(lambda *a: np.sqrt(*a), args, dtype)
    )


def autograph_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    function = tf.function
    monkeypatch.setattr(tf, "function", lambda f, **kwargs: function(f, **kwargs | {"autograph": False}))


def dynamic_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    init = keras.layers.Layer.__init__

    def lenient(self: Any, *args: Any, dynamic: bool = False, **kwargs: Any) -> None:
        init(self, *args, **kwargs)

    monkeypatch.setattr(keras.layers.Layer, "__init__", lenient)


@pytest.mark.parametrize(
    ("number", "breaks", "failing"),
    [
        (1, transposes_are_views, "memory shared by NumPy's .T, tf.reshape, tf.transpose"),
        (1, numpy_is_differentiable, "gradient of x³ by NumPy"),
        (2, range_is_int64, "dtypes"),
        (2, range_is_int64, "their sum"),
        (3, losses_forget_their_reduction, "sum by a loaded subclass"),
        (4, precision_is_averaged, "by a Metric, which keeps counts: 3 of 6"),
        (4, reset_states_is_back, "it has the listing's reset_states"),
        (5, layer_norm_forgets_epsilon, "a loaded layer computes the same"),
        (5, layers_can_fit, "compile, fit, save, summary of a layer, a model"),
        (6, one_rate_for_all, "1 - 0.5 * 2, 1 - 0.25 * 1 by two optimizers"),
        (6, no_multi_optimizer, "gathering the evidence"),
        (7, py_function_has_no_gradient, "gathering the evidence"),
        (7, autograph_is_off, "gathering the evidence"),
        (8, autograph_is_off, "gathering the evidence"),
        (9, dynamic_is_back, "Layer(dynamic=True)"),
        (9, autograph_is_off, "gathering the evidence"),
    ],
)
def test_fails_where_its_ground_is_gone(
    number: int, breaks: Callable[[pytest.MonkeyPatch], None], failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    assert failing in broken(number)


def behaving_like_numpy() -> None:
    """In a process of its own: it cannot be switched off again."""
    tf.experimental.numpy.experimental_enable_numpy_behavior()
    print(json.dumps([[found.what for found in result.evidence if not found.holds] for result in claims.check([1, 2])]))


def test_fails_where_tensors_behave_like_numpy() -> None:
    done = Forked(behaving_like_numpy).ended()
    assert done.code == 0, done.errors
    assert json.loads(done.said[-1]) == [
        ["int32 tensor + float32 tensor", "tensors have .T"],
        ["their sum", "int32 tensor 0 + int64 array 2**40 + 7"],
    ]


def test_times_as_long_is_the_ratio_of_median_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    durations = iter([6.0, 2.0] * 4 + [100.0, 2.0] + [6.0, 2.0] * 4 + [6.0, 0.5])

    def takes_its_time(argument: tf.Tensor) -> tf.Tensor:
        nonlocal now
        now += next(durations)
        return argument

    monkeypatch.setattr(evidence, "perf_counter", lambda: now)
    assert evidence.times_as_long(takes_its_time, lambda x: takes_its_time(x), tf.constant(1.0)) == 3


# --- The machinery


def test_a_fact_is_a_comparison() -> None:
    assert fact("one", 1, 1) == Evidence(what="one", expected="1", observed="1", holds=True)
    assert fact("one", 2, 1, corrects=True) == Evidence(
        what="one", expected="1", observed="2", holds=False, corrects=True
    )


def test_a_refusal_is_of_its_kind() -> None:
    assert refused("text", lambda: int("a"), ValueError).holds
    assert refused("number", lambda: int("1"), ValueError).observed == "accepted"
    with pytest.raises(TypeError):
        refused("nothing", lambda: int(None), ValueError)  # type: ignore[call-overload]


@pytest.fixture
def second_claim(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Iterator[Evidence]]], list[ClaimResult]]:
    """Results of claims 1 and 3, which hold, around another claim 2."""

    def holds() -> Iterator[Evidence]:
        yield fact("one", 1, 1)

    def check(gather: Callable[[], Iterator[Evidence]]) -> list[ClaimResult]:
        monkeypatch.setattr(claims, "CLAIMS", (holds, gather, holds))
        return claims.check([1, 2, 3])

    return check


def test_an_exception_is_evidence_of_failure(second_claim: Callable[..., list[ClaimResult]]) -> None:
    def raises() -> Iterator[Evidence]:
        yield fact("one", 1, 1)
        raise AttributeError("module 'tensorflow' has no attribute 'range'")

    results = second_claim(raises)
    assert [result.finding for result in results] == ["holds", "fails", "holds"]
    assert [found.holds for found in results[1].evidence] == [True, False]
    assert results[1].evidence[1].observed == "AttributeError: module 'tensorflow' has no attribute 'range'"


def test_no_evidence_is_no_proof(second_claim: Callable[..., list[ClaimResult]]) -> None:
    assert second_claim(lambda: iter(()))[1].finding == "fails"


def test_require_names_what_training_relies_on(results: list[ClaimResult]) -> None:
    claims.require(results)
    wrong = fact("one", "1 | `2`", 1)
    failing = [result.model_copy(update={"evidence": [*result.evidence, wrong]}) for result in results]
    with pytest.raises(ProofError, match=r"Received: failed=\[2\]") as caught:
        claims.require([*results[2:4], failing[1], failing[8]])
    assert str(caught.value).endswith("\nclaim 2: one: expected 1, observed 1 | `2`")
    claims.require([failing[2], failing[3], failing[8]])


def test_rows_are_one_a_claim(results: list[ClaimResult], second_claim: Callable[..., list[ClaimResult]]) -> None:
    rows = claim_rows(results)
    assert [row["number"] for row in rows] == list(range(1, 10))
    assert [row["finding"] for row in rows] == [result.finding for result in results]
    assert {type(cell) for row in rows for cell in row.values()} <= {int, str}
    (_, row, _) = claim_rows(second_claim(lambda: iter([fact("one", 1, 1), fact("two", 3, 2)])))
    assert row["evidence"] == "1 of 2 facts hold; not two: 3"


def test_markdown_has_question_answer_correction_and_proof(
    results: list[ClaimResult], second_claim: Callable[..., list[ClaimResult]]
) -> None:
    text = claims_markdown(results)
    for result in results:
        assert f"\n> {result.question.original}\n\n> The chapter: {result.question.original_answer}\n" in text
        assert f"\n**{result.finding.capitalize()}.** {result.question.claim}\n" in text
        assert f"\nCorrection: {result.question.correction}\n" in text or result.question.correction is None
    assert html(text).count("<tr>") == 9 + sum(len(result.evidence) for result in results)
    failing = claims_markdown(second_claim(lambda: iter([fact("two", "a | `b`\nc", 2)]))[1:2])
    assert "| two | `2` | `a \\| 'b' c` | **no** |" in failing
