"""TensorFlow and Keras in three fifths of the time that importing them takes.

    with without_searching(): import prefect        # no search for garbage meanwhile: modules leave none
    import_tensorflow()                             # where a process first needs it

CPU seconds on 2 cores: 3.8 as they come, 2.6 without what Keras imports for nobody here, 2.2 without searching too.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras takes them where they are installed, to plot and to look like an estimator; it does without where they are not.
LEFT_OUT = ("matplotlib", "sklearn")


def import_tensorflow() -> None:
    """Imports both. What is imported already stays as it is."""
    if "keras" not in sys.modules:
        with without_searching(), _left_out():
            import tensorflow  # noqa: F401


@contextmanager
def without_searching() -> Iterator[None]:
    """Inside, Python searches for no garbage; afterwards, not among what was made inside, which stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _left_out() -> Iterator[None]:
    """Inside, importing LEFT_OUT fails as if they were not installed."""
    names = [name for name in LEFT_OUT if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None: Python's own way to say so
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
