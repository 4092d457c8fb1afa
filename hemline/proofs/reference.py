"""LayerNorm by its definition, in float64 NumPy, and what rounding may cost whoever else computes it.

    values, conditions = by_formula("variance", 1e-3, x, alpha, beta, upstream)
    allowed = tolerance(values["output"], conditions["output"], computed_in="float32", result_in="float16")
    measure(ours, values, allowed_of_each, dtypes)["ok"]

A result may be wrong by

    FACTOR * ULP[dtype of the computation] * condition + ULP[dtype of the result] / 2 * |result|

and a comparison of two by twice that. The second term is the last rounding: all that half precision may cost, since it
is computed in float32. The first is what the computation costs. FACTOR is the number of roundings in a row: about
log2(784) = 10 in a sum of 784 terms taken in blocks, then square, sum, root, quotient and two products. `condition` is
what the result would change by, in ulps, if every number on the way to it were wrong by an ulp of the largest that it
is made of. Its heart is a row's amplification, max|x| / divisor. The mean is rounded like the largest x, and a
normalised value carries that, over the divisor: the hand-written layer in x - mean, Keras in scale * x - scale * mean.
It is 3 for normal inputs, 1e4 where an offset is 1e4 deviations, 1000 max|x| for constant rows with an epsilon of 1e-6
under the root, and 1e6 max|x| with the same epsilon outside, where little more than a finite number is asked for.
"""

import numpy as np

from hemline.models.layer_norm import Form

QUANTITIES = ("output", "input_gradient", "alpha_gradient", "beta_gradient")
Quantities = dict[str, np.ndarray]

FACTOR = 16
ULP = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# The smallest normal number. What is below it was seen to become zero in float32, float64 and bfloat16, in all modes
# alike (TensorFlow 2.21 on a CPU); where a device keeps it, that is within tolerance too. float16 keeps it everywhere,
# since it is a normal number in the float32 that it is computed in.
SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


def by_formula(
    form: Form, epsilon: float, x: np.ndarray, alpha: np.ndarray, beta: np.ndarray, upstream: np.ndarray
) -> tuple[Quantities, Quantities]:
    """Output and gradients, and the condition of each.

    x, upstream: (..., features) float64; upstream is the gradient for the output. alpha, beta: (features,).
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return values.mean(axis=-1, keepdims=True)  # (..., 1)

    centred = x - mean(x)
    deviation = np.sqrt(mean(centred**2))
    divisor = np.sqrt(deviation**2 + epsilon) if form == "variance" else deviation + epsilon
    y = centred / divisor
    # d deviation / dx = unit / features. There is none at a deviation of zero; by convention it is zero then.
    unit = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    pull = deviation / divisor if form == "variance" else 1.0  # d divisor / d deviation
    g = alpha * upstream
    instances = tuple(range(x.ndim - 1))
    values = {
        "output": alpha * y + beta,
        "input_gradient": (g - mean(g) - pull * unit * mean(g * y)) / divisor,
        "alpha_gradient": (upstream * y).sum(axis=instances),
        "beta_gradient": upstream.sum(axis=instances),
    }

    # What may become zero, being below the smallest normal number, counts as wrong by an ulp of 2 ** -103.
    largest = np.abs(x).max(axis=-1, keepdims=True)
    amplification = np.maximum(largest, 2.0**-103) / divisor
    of_y = amplification * (1 + np.abs(y))  # by the mean in centred, and by the one in the divisor
    size, of_unit = np.abs(g), 1 + np.abs(unit)
    conditions = {
        "output": np.abs(alpha) * of_y + np.abs(beta),
        "input_gradient": (1 + amplification) * (size + of_unit * mean(size * of_unit)) / divisor,
        "alpha_gradient": (np.abs(upstream) * of_y).sum(axis=instances),
        "beta_gradient": np.abs(upstream).sum(axis=instances),
    }
    return values, conditions


def tolerance(value: np.ndarray, condition: np.ndarray, computed_in: str, result_in: str) -> np.ndarray:
    """What two that round may differ by, in the shape of value."""
    last_rounding = ULP[result_in] / 2 * np.maximum(np.abs(value), SMALLEST[result_in])
    return 2 * (FACTOR * ULP[computed_in] * condition + last_rounding)


def measure(ours: Quantities, expected: Quantities, allowed: Quantities, dtypes: dict[str, str]) -> dict[str, object]:
    """Of each quantity the largest difference in units of what is allowed; the largest of these as ratio; ok if <= 1.

    Infinite for what is not finite, or not of the expected shape and the given dtype. output_error: the largest
    absolute difference of an output.
    """
    ratios, differences = {}, {}
    for name in QUANTITIES:
        with np.errstate(invalid="ignore", over="ignore"):
            differences[name] = np.abs(ours[name].astype(np.float64) - expected[name].astype(np.float64))
            ratio = float((differences[name] / allowed[name]).max())
        alike = ours[name].dtype.name == dtypes[name] and ours[name].shape == expected[name].shape
        ratios[name] = ratio if alike and np.isfinite(ratio) and np.isfinite(allowed[name]).all() else np.inf
    worst = max(ratios.values())
    return {**ratios, "output_error": float(differences["output"].max()), "ratio": worst, "ok": worst <= 1}
