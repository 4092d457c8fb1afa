"""TODO records.evaluation."""

from pydantic import BaseModel


class ClassScore(BaseModel):
    """How one class fares; null where there is nothing to divide by."""

    examples: int
    precision: float | None  # share of what was called this class that is
    recall: float | None  # share of this class that was called so
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


class Evaluation(BaseModel):
    """The final judgement of a model, on the test split. Versions of before have not all of it."""

    split: str
    examples: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float] | None = None  # Wilson's, 95 %
    class_accuracy: dict[str, float]
    classes: dict[str, ClassScore] = {}
    calibration_error: float | None = None
    calibration_bins: int | None = None
    mistakes: list[Mistake] = []  # the most confident ones, worst first
    latency: Latency | None = None
    size_bytes: int | None = None  # of model.keras and saved_model/
