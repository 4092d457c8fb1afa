"""What this machine can do at most: float32 operations a second, and bytes of memory.

    python -m bench.roofline            # {"flops": 4.1e+11, "bytes": 3.2e+10}

The first is reached by one large matrix product of oneDNN on all cores, the second by a copy that is far larger than
any cache, a part of it on each core; what is read and what is written count. The best of many tries.
"""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

SIDE = 4096  # of the matrices: 137 GFLOP
COPIED = 512 * 1024**2  # bytes
TRIES = 10


def best(run: Callable[[], object]) -> float:
    """Seconds of the fastest try."""
    seconds = []
    for _ in range(TRIES):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def flops() -> float:
    """Operations a second of a large product."""
    matrix = tf.random.stateless_normal((SIDE, SIDE), seed=[0, 0])
    product = tf.function(lambda: (matrix @ matrix)[0, 0])
    return 2 * SIDE**3 / best(lambda: product().numpy())


def bandwidth() -> float:
    """Bytes a second of a large copy."""
    source = np.ones(COPIED, np.uint8)
    target = np.zeros_like(source)
    parts = os.cpu_count() or 1
    pairs = list(zip(np.array_split(target, parts), np.array_split(source, parts), strict=True))
    with ThreadPoolExecutor(parts) as pool:
        return 2 * COPIED / best(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)))


if __name__ == "__main__":
    print(json.dumps({"flops": flops(), "bytes": bandwidth()}))
