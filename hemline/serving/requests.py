"""A request for predictions, and its answer, in TensorFlow Serving's two forms.

    form, images = read(b'{"instances": [[[[0], [255]], ...]]}', shape=(28, 28, 1))     # (N, 28, 28, 1) uint8
    answer(form, model.answer(images))  # {'predictions': [{'label': 4, 'name': 'Coat', 'probabilities': [...]}]}

With `instances`, rows of everything; with `inputs`, each output as a whole, under `outputs`.
"""

import json
from typing import Any, NoReturn

import numpy as np
from fastapi import HTTPException

from hemline.serving.champion import SIGNATURE

MOST_BYTES, MOST_INSTANCES = 16 * 2**20, 1024  # of a request
INPUT = "image"


def answer(form: str, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """The outputs, as JSON, in the form that was asked for."""
    texts = {name: np.char.decode(v.astype("S")) if v.dtype == object else v for name, v in outputs.items()}
    columns = {name: texts[name].tolist() for name in sorted(texts)}
    if form == "inputs":
        return {"outputs": columns}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def read(body: bytes, shape: tuple[int, ...]) -> tuple[str, np.ndarray]:
    """The form of a request and its images, exact, or HTTPException. shape: (H, W, C)."""
    try:
        asked = json.loads(body)
        (form,) = {"instances", "inputs"} & asked.keys()
        signature, values = asked.get("signature_name") or SIGNATURE, asked[form]
        if form == "instances":
            values = [value[INPUT] if isinstance(value, dict) else value for value in values]
        elif isinstance(values, dict):
            values = values[INPUT]
        number, array = len(values), np.array(values)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        rule = f"a request must be JSON with a list of images, as 'instances' or as 'inputs', of the input {INPUT!r}"
        refuse(400, rule, f"{type(error).__name__}: {error}", 'Send {"instances": [...]}')
    if signature != SIGNATURE:
        refuse(400, f"signature_name must be {SIGNATURE!r}", f"{signature!r}", "Leave it out")
    if number > MOST_INSTANCES:
        refuse(413, f"a request may have {MOST_INSTANCES} instances", f"{number}", "Send several requests")
    whole = array.dtype.kind in "iu" and array.shape[1:] == shape and array.min(initial=0) >= 0
    if not whole or array.max(initial=0) > 255:
        rule = f"images must be (N, {', '.join(map(str, shape))}) of whole numbers from 0 to 255"
        refuse(400, rule, f"shape {array.shape} of {array.dtype}", "Scale and cut each as the training data was")
    return form, array.astype(np.uint8)


def refuse(status: int, rule: str, received: str, remedy: str) -> NoReturn:
    """Raises what the server answers with."""
    raise HTTPException(status, f"{rule}. Received: {received}. {remedy}.")
