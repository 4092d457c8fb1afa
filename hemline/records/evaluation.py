"""How good a trained model is on the test split, and what it costs to serve.

evaluation.json holds Quality, the same for the same configuration; serving.json holds Serving, whose times vary. A
manifest has both as Evaluation.
"""

from pydantic import BaseModel


class ClassScore(BaseModel):
    """Of one class; null where there is nothing to divide by."""

    examples: int
    precision: float | None  # true examples of this class / examples predicted as it
    recall: float | None  # examples of this class predicted as it / examples of this class
    f1: float | None  # harmonic mean of both


class Mistake(BaseModel):
    """An example that the model is wrong about."""

    index: int  # in the split, from 0
    true: str
    predicted: str
    probability: float  # of the predicted class


class Latency(BaseModel):
    """Medians of the time that the saved signature takes, once loaded and warm."""

    single_ms: float
    batch_ms: float
    batch_size: int
    repeats: int


class Quality(BaseModel):
    """How good a model is on a split."""

    split: str
    examples: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]  # Wilson's, 95 %
    classes: dict[str, ClassScore]
    calibration_error: float
    calibration_bins: int
    mistakes: list[Mistake]  # the most confident ones, worst first


class Serving(BaseModel):
    """What it costs to serve a model."""

    latency: Latency
    size_bytes: int  # of model.keras and saved_model/


class Evaluation(Serving, Quality):
    """Both. (Serving is named first for the order of the keys: Quality, then Serving.)"""
