"""How Prefect runs each step: retries, caching, timeouts and UI artifacts, one file a step.

What a step computes is in `hemline`. TensorFlow is imported inside the functions: deploying, hooks and
the UI's form import these files again and again, and must not wait for it.
"""

from typing import Any

from prefect.serializers import PickleSerializer

from hemline.errors import DatasetError


def _refuse(serializer: PickleSerializer[Any], blob: bytes) -> Any:
    rule = "a result that Prefect kept must be JSON. Received: a pickle, which runs as a program when it is read."
    raise DatasetError(f"{rule} Find out who put it into Prefect's result storage, and delete it.")


# Whatever serializer a task names, Prefect reads a kept result by the one that the result's own file names.
PickleSerializer.loads = _refuse  # type: ignore[method-assign]
