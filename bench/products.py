"""The MLP's matrix products of an epoch, forward and backward, and nothing else: in NumPy, TensorFlow and XLA.

What a training loop takes beyond the products of its own library is its overhead. TensorFlow's graph has oneDNN's
products, XLA compiles its own (Eigen's). Eight batches of images take turns, or a compiler would do the first product
once for all steps; one number of each result is kept, or it would do none.
"""

from itertools import pairwise

import numpy as np

from bench.work import BATCH_SIZE, SEED, WIDTHS, steps_of
from bench.worker import Epoch

BATCHES = 8


def about() -> dict[str, str]:
    """What NumPy computes with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"NumPy": f"{np.__version__}, {blas['name']} {blas['version']}"}


def _operands() -> tuple[np.ndarray, list[np.ndarray]]:
    """Batches (BATCHES, B, 784), and kernels so small that nothing overflows."""
    rng = np.random.default_rng(SEED)
    batches = rng.random((BATCHES, BATCH_SIZE, WIDTHS[0]), np.float32)
    return batches, [rng.standard_normal(shape, np.float32) / shape[0] for shape in pairwise(WIDTHS)]


def numpy(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """NumPy's."""
    batches, kernels = _operands()

    def epoch(number: int) -> np.ndarray:
        for step in range(steps_of(len(images))):
            x = [batches[step % BATCHES]]
            for kernel in kernels:
                x.append(x[-1] @ kernel)
            upstream = x.pop()
            for i in reversed(range(len(kernels))):
                np.matmul(x[i].T, upstream)  # the kernel's gradient
                if i > 0:
                    upstream = upstream @ kernels[i].T  # the input's, which the first layer does not need
        return np.zeros(0)

    return epoch


def _tensorflow(examples: int, *, jit_compile: bool) -> Epoch:
    import tensorflow as tf

    batches, *kernels = [tf.constant(array) for array in (_operands()[0], *_operands()[1])]

    @tf.function(jit_compile=jit_compile)
    def run(steps, batches, *kernels):  # type: ignore[no-untyped-def]
        kept = tf.zeros([])
        step = tf.constant(0)
        while step < steps:
            x = [batches[step % BATCHES]]
            for kernel in kernels:
                x.append(x[-1] @ kernel)
            upstream = x.pop()
            for i in reversed(range(len(kernels))):
                kept += tf.matmul(x[i], upstream, transpose_a=True)[0, 0]
                if i > 0:
                    upstream = tf.matmul(upstream, kernels[i], transpose_b=True)
            step += 1
        return kept

    def epoch(number: int) -> np.ndarray:
        run(tf.constant(steps_of(examples)), batches, *kernels).numpy()
        return np.zeros(0)

    return epoch


def onednn(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """TensorFlow's, in graph mode."""
    return _tensorflow(len(images), jit_compile=False)


def xla(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """TensorFlow's, compiled by XLA."""
    return _tensorflow(len(images), jit_compile=True)
