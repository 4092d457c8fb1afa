"""What a record says of its model, section by section: the model card is made of them, and the report of a run.

text = model_card(record, "Model fashion_mnist 8", pictures={"mistakes": "charts/mistakes.svg", ...})

A stranger can read it. pictures: addresses by name, as of `PICTURES` of hemline.registry.versions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hemline.config.nested import differences
from hemline.config.optimizers import DEFAULT_LAYERS, OptimizerGroup, Schedule
from hemline.config.retrain import RetrainConfig
from hemline.records.run import Evaluation, Record, Rows
from hemline.report.blocks import code, counted, image, listed, page, table, together
from hemline.report.markdown import parity_text

SHOWN = 10  # epochs in a table
Pictures = Mapping[str, str]


def model_card(record: Record, title: str, pictures: Pictures) -> str:
    """How good the model is, how to use it, and how it was made."""
    sections = {
        "How to load it": _loading(record),
        "What it is for": _intended_use(record),
        "Test results by class": _classes(record.evaluation),
        "Calibration, size and speed": calibration(record, pictures),
        "Most confident mistakes": mistakes(record.evaluation, pictures),
        "Curves": curves(record, pictures),
        "LayerNorm parity": parity(record, pictures),
        "Data": data(record),
        "Configuration": configuration(record),
        "How it was made": provenance(record),
    }
    return page(title, [result(record)], sections)


def result(record: Record) -> str:
    """In a sentence."""
    evaluation, epochs = record.evaluation, record.epochs
    low, high = evaluation.accuracy_interval
    return (
        f"**{evaluation.accuracy:.2%}** of {evaluation.examples:,} test examples are classified correctly "
        f"(95 % interval {low:.2%} to {high:.2%}) after {counted(len(epochs), 'epoch')} on "
        f"{record.dataset.full_name} (validation {epochs[-1]['val_accuracy']:.2%})."
    )


def _loading(record: Record) -> str:
    shape = ", ".join(map(str, record.dataset.image_shape))
    return f"""In the version's directory, with TensorFlow alone:

```python
import tensorflow as tf
serve = tf.saved_model.load(".").signatures["serving_default"]
serve(image=images)  # uint8 (N, {shape}) -> label, name, probabilities
```

With Hemline, which checks every file first:

```python
import hemline
model, manifest = hemline.load(".")
model(images)  # uint8 (N, {shape}) -> logits (N, {len(record.dataset.class_names)})
```"""


def _intended_use(record: Record) -> str:
    height, width, channels = record.dataset.image_shape
    names = record.dataset.class_names
    return (
        f"It tells {len(names)} classes apart ({', '.join(names)}) in images of {height} x {width} pixels "
        f"with {counted(channels, 'channel')}, 0 to 255, prepared like those of {record.dataset.full_name}. "
        "It answers for any image, one of no class too, and was tested on nothing but the test split of that data. "
        "Where a mistake costs something, set a threshold on the probability and look at the recall below."
    )


def _classes(evaluation: Evaluation) -> str:
    rows = []
    for name, score in evaluation.classes.items():
        shares = ("-" if share is None else f"{share:.1%}" for share in (score.precision, score.recall, score.f1))
        rows.append((name, score.examples, *shares))
    return (
        f"{table(('class', 'examples', 'precision', 'recall', 'F1'), rows)}\n\n"
        "Precision: of the examples that the model gives this class, the share that have it. "
        "Recall: of the examples that have this class, the share to which the model gives it."
    )


def calibration(record: Record, pictures: Pictures) -> str:
    """Whether its probabilities can be believed, how large and how fast it is."""
    alt = "accuracy by confidence beside the diagonal, and below how many test examples have that confidence"
    return together(image(alt, pictures.get("calibration")), table(("what", "value"), _measured(record.evaluation)))


def _measured(evaluation: Evaluation) -> Iterable[tuple[str, str]]:
    latency = evaluation.latency
    bins, of = evaluation.calibration_bins, f"median of {latency.repeats}, through the saved signature"
    yield "expected calibration error", f"{evaluation.calibration_error:.2%} ({bins} bins of confidence)"
    yield "loss", f"{evaluation.loss:.4f}"
    if seeds := evaluation.seeds:
        spread = f"{seeds.mean:.2%} on average, standard deviation {100 * seeds.standard_deviation:.2f} points"
        yield f"accuracy of {len(seeds.test_accuracy)} seeds", f"{spread}; the best on validation is published"
    yield "one prediction", f"{latency.single_ms:.2f} ms ({of})"
    yield f"a batch of {latency.batch_size}", f"{latency.batch_ms:.2f} ms"
    yield "model.keras and the SavedModel", f"{evaluation.size_bytes / 1e6:.2f} MB"


def mistakes(evaluation: Evaluation, pictures: Pictures) -> str:
    """The most confident ones."""
    if not evaluation.mistakes:
        return "It makes none on the test split."
    numbers = ", ".join(str(mistake.index) for mistake in evaluation.mistakes)
    alt = "images that it mistakes most surely, each with what it is and what it was called"
    return together(image(alt, pictures["mistakes"]), f"In the test split: {numbers}.")


def curves(record: Record, pictures: Pictures) -> str:
    """Loss and accuracy over time."""
    held_out, epochs = record.config.validation, record.epochs
    split = "the test split" if held_out == "test" else f"{held_out:,} examples held out from the train split"
    last = f"The last {SHOWN} of {counted(len(epochs), 'epoch')}; all are in epochs.csv." if epochs[SHOWN:] else ""
    return together(
        image("loss and accuracy by epoch, on training and on validation examples", pictures["learning_curves"]),
        epochs_table(epochs[-SHOWN:]),
        last,
        f"Training loss and accuracy are running means over the epoch's iterations; validation is on {split}.",
    )


def epochs_table(epochs: Rows) -> str:
    """Markdown table, a row an epoch, with what the chapter displays."""
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return table(("epoch", *names), ((row["epoch"], *(f"{row[name]:.4f}" for name in names)) for row in epochs))


def parity(record: Record, pictures: Pictures) -> str:
    """Of LayerNorm with its references, before training."""
    alt = "largest difference in units of its tolerance, by policy and inputs: blue is within, red outside"
    return together(parity_text(record.parity), image(alt, pictures["parity"]))


def data(record: Record) -> str:
    """What it was trained and tested on."""
    sizes = ", ".join(f"{name} {split.examples:,}" for name, split in record.dataset.splits.items())
    chose = record.config.validation == "test" and record.config.early_stopping is not None
    config, left_out = record.config, record.dataset.left_out
    origin = "a folder of pictures" if config.folder else "TensorFlow Datasets"
    changes = [f"scaled to {config.image_size} x {config.image_size}"] if config.image_size else []
    changes += ["made grey"] if config.grayscale else []
    made = f"Images were {' and '.join(changes)} as `hemline predict` does it. " if changes else ""
    made += f"{left_out:,} files were no usable pictures and were left out. " if left_out else ""
    return (
        f"{record.dataset.full_name} from {origin} ({sizes} examples), every pixel and label of it as in "
        f"the fingerprint `{record.fingerprint}`. {made}The test split took no part in training"
        f"{', but chose among its epochs' if chose else ''}."
    )


def configuration(record: Record) -> str:
    """What differs from the defaults."""
    defaults = RetrainConfig().model_dump(mode="json")
    changed: dict[str, tuple[Any, Any]] = differences(defaults, record.config.model_dump(mode="json"))
    if not changed:
        return "Every field has its default."
    return table(("field", "default", "here"), ((name, *map(_given, pair)) for name, pair in changed.items()))


def _given(value: Any) -> str:
    return code([str(value)])


def provenance(record: Record) -> str:
    """What made it."""
    return table(("what", "value"), _provenance(record))


def _provenance(record: Record) -> Iterable[tuple[str, str]]:
    config = record.config
    yield "model", " ".join([config.model, *(f"{name}={value!r}" for name, value in config.model_arguments.items())])
    for name, group in config.groups.by_name().items():
        yield f"optimizer, {name}", f"{_optimizer(group)}, on {code(group.layers) or DEFAULT_LAYERS[name]}"
    if config.frozen:
        yield "frozen", code(config.frozen)
    if config.label_smoothing:
        yield "label smoothing", f"{config.label_smoothing:g}"
    if config.ema_momentum is not None:
        yield "weights", f"moving average, momentum {config.ema_momentum:g}"
    yield "batch size, seed", f"{config.batch_size}, {config.seed}"
    yield "device", f"{record.device.kind}, {record.device.description}"
    yield "settings", listed({name: value for name, value in record.device.settings.items() if value})
    yield "packages", listed(record.packages)
    yield "git commit", record.git_commit or "not from a checkout"
    yield "flow run", f"{record.flow_run.name} ({record.flow_run.id})"
    yield "made", f"{record.created:%Y-%m-%d %H:%M} UTC"


def _optimizer(group: OptimizerGroup) -> str:
    """Its name and rate, then what differs from the default, in the configuration's words."""
    given = group.model_dump(exclude={"layers", "optimizer", "learning_rate", "schedule"}, exclude_none=True)
    schedule = Schedule(**group.schedule.model_dump()).model_dump(exclude_defaults=True)  # beside a constant rate
    given |= {"schedule" if name == "kind" else name: value for name, value in schedule.items()}
    words = (f"{name.replace('_', ' ')} {value}" for name, value in given.items())
    return ", ".join([group.optimizer, f"learning rate {group.learning_rate:g}", *words])
