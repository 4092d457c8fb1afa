"""The report a person reads: Markdown made of a run's record.

    text = markdown(record, "retrain-fashion_mnist", pictures={"learning_curves": data_uri(svg), ...})
    proof = verification_markdown(found)        # of the flow `verify`
    looked_at = data_markdown(checks, picture)  # of the step check-data

The same Markdown is the report in the Prefect UI, `report.html` of the run and, with the pictures as files beside it,
the model card of a version: a stranger can read it. A paragraph is one line: Prefect's UI shows a single line break
as the end of one.
"""

from collections.abc import Iterable, Mapping

from hemline.config.optimizers import DEFAULT_LAYERS, OptimizerGroup
from hemline.records.data import DataChecks
from hemline.records.proofs import ClaimResult, Parity
from hemline.records.run import Decision, Evaluation, Record, Rows, Verification
from hemline.report.markup import bold as _bold
from hemline.report.markup import table as _table


def markdown(
    record: Record,
    title: str,
    pictures: Mapping[str, str],
    decision: Decision | None = None,
    checks: DataChecks | None = None,
) -> str:
    """The report as GitHub-flavoured Markdown.

    pictures: addresses of learning_curves, mistakes and parity. decision: what became of the version, which its card
    cannot know. checks: what was found in the data, which is the run's own.
    """
    result = f"{_result(record)}\n\n![loss and accuracy by epoch]({pictures['learning_curves']})"
    sections = {
        "How to load it": _loading(record),
        "What it is for": _intended_use(record),
        "Test results by class": _classes(record.evaluation),
        "Calibration, size and speed": _table(("what", "value"), _measured(record.evaluation)),
        "Most confident mistakes": _mistakes(record.evaluation, pictures["mistakes"]),
        "Epochs": _epochs(record),
        "LayerNorm parity": f"{_parity(record.parity)}\n\n![largest difference by policy and inputs]"
        f"({pictures['parity']})",
        "Data": _data(record) + (f"\n\n{_checks(checks)}" if checks else ""),
        "How it was made": _table(("what", "value"), _provenance(record)),
    }
    paragraphs = [f"# {title}", *([_bold(decision.sentence)] if decision else []), result]
    return "\n\n".join([*paragraphs, *(f"## {name}\n\n{text}" for name, text in sections.items())]) + "\n"


def epochs_table(epochs: Rows) -> str:
    """Markdown table, a row an epoch, with what the chapter displays."""
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return _table(("epoch", *names), ((row["epoch"], *(f"{row[name]:.4f}" for name in names)) for row in epochs))


def claim_rows(results: Iterable[ClaimResult]) -> list[dict[str, str | int]]:
    """A row a claim, for the UI's table."""
    return [
        {
            "number": result.number,
            "claim": result.question.claim,
            "finding": result.finding,
            "evidence": f"{sum(fact.holds for fact in result.evidence)} of {len(result.evidence)} facts hold"
            + "".join(f"; not {fact.what}: {fact.observed}" for fact in result.evidence if not fact.holds),
            "correction": result.question.correction or "",
        }
        for result in results
    ]


def decision_markdown(decision: Decision) -> str:
    """The sentence, and the numbers it is made of."""
    rows = (
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in decision.measurements.items()
    )
    return f"{_bold(decision.sentence)}\n\n{_table(('what', 'value'), rows)}\n"


def data_markdown(checks: DataChecks, picture: str) -> str:
    """What is new in the data, and what its checks found. picture: the address of data.svg."""
    return f"{_checks(checks)}\n\n![examples by class; new and suspicious examples]({picture})\n"


def verification_markdown(found: Verification) -> str:
    """What `verify` found: in a sentence, then both proofs."""
    return f"""# Verification on {found.device.description}

{_bold("; ".join(found.failures) or "everything that training relies on holds")}

{_listed(found.packages)}

## LayerNorm parity

{_parity(found.parity)}

{_table(tuple(found.parity.rows[0]), (row.values() for row in found.parity.rows))}

## The chapter's nine claims

{claims_markdown(found.claims)}"""


def claims_markdown(results: Iterable[ClaimResult]) -> str:
    """Each question, the chapter's answer, what is claimed, and the proof."""
    paragraphs = []
    for result in results:
        question = result.question
        paragraphs += [
            f"### {result.number}. {question.english}",
            f"> {question.original}",
            f"> The chapter: {question.original_answer}",
            f"**{result.finding.capitalize()}.** {question.claim}",
        ]
        if question.correction:
            paragraphs.append(f"Correction: {question.correction}")
        if result.relied_on:
            paragraphs.append(f"`retrain` relies on it: {result.relied_on}.")
        rows = []
        for fact in result.evidence:
            held = "**no**" if not fact.holds else "yes, against the chapter" if fact.corrects else "yes"
            rows.append((fact.what, _value(fact.expected), _value(fact.observed), held))
        paragraphs.append(_table(("fact", "expected", "observed", "holds"), rows))
    return "\n\n".join(paragraphs) + "\n"


def _result(record: Record) -> str:
    evaluation, epochs = record.evaluation, record.epochs
    low, high = evaluation.accuracy_interval
    return (
        f"**{evaluation.accuracy:.2%}** of {evaluation.examples:,} test examples are classified correctly "
        f"(95 % interval {low:.2%} to {high:.2%}) after {len(epochs)} epoch{'s' * (len(epochs) > 1)} on "
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
        f"with {channels} channel{'s' * (channels > 1)}, 0 to 255, prepared like those of {record.dataset.full_name}. "
        "It answers for any image, one of no class too, and was tested on nothing but the test split of that data. "
        "Where a mistake costs something, set a threshold on the probability and look at the recall below."
    )


def _classes(evaluation: Evaluation) -> str:
    rows = []
    for name, score in evaluation.classes.items():
        shares = ("-" if share is None else f"{share:.1%}" for share in (score.precision, score.recall, score.f1))
        rows.append((name, score.examples, *shares))
    return (
        f"{_table(('class', 'examples', 'precision', 'recall', 'F1'), rows)}\n\n"
        "Precision: of the examples that the model gives this class, the share that have it. "
        "Recall: of the examples that have this class, the share to which the model gives it."
    )


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


def _mistakes(evaluation: Evaluation, picture: str) -> str:
    if not evaluation.mistakes:
        return "It makes none on the test split."
    numbers = ", ".join(str(mistake.index) for mistake in evaluation.mistakes)
    return f"![mistaken images, with what they are and were called]({picture})\n\nIn the test split: {numbers}."


def _data(record: Record) -> str:
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


def _checks(checks: DataChecks) -> str:
    paragraphs = [f"{remark[:1].upper()}{remark[1:]}." for remark in checks.remarks]
    if change := checks.change:
        paragraphs.append(
            f"Since the data of champion {checks.champion}, {change.new:,} examples came, {change.gone:,} went and "
            f"{change.relabelled:,} were relabelled."
        )
    rows = []
    for finding in checks.findings:
        names = ", ".join(_value(example.name) for example in finding.examples)
        rows.append(
            (
                finding.check,
                finding.answer,
                finding.sentence,
                names + f" and {finding.more:,} more" * (finding.more > 0),
            )
        )
    found = _table(("check", "answer", "what it found", "examples"), rows) if rows else "No check found anything."
    return "\n\n".join([*paragraphs, found])


def _epochs(record: Record) -> str:
    held_out = record.config.validation
    split = "the test split" if held_out == "test" else f"{held_out:,} examples held out from the train split"
    return (
        f"{epochs_table(record.epochs)}\n\n"
        f"Training loss and accuracy are running means over the epoch's iterations; validation is on {split}."
    )


def _parity(parity: Parity) -> str:
    text = f"{parity.cases - parity.failed} of {parity.cases:,} cases within tolerance"
    if parity.seconds is not None:
        text += f", found in {parity.seconds:.0f} s"
    if parity.worst_ratio is not None:
        text += f". Nearest to its tolerance, at {parity.worst_ratio:.0%} of it: `{parity.worst_case}`"
    return f"{text}."


def _provenance(record: Record) -> Iterable[tuple[str, str]]:
    config = record.config
    yield "model", " ".join([config.model, *(f"{name}={value!r}" for name, value in config.model_arguments.items())])
    for name, group in config.groups.by_name().items():
        yield f"optimizer, {name}", f"{_optimizer(group)}, on {_code(group.layers) or DEFAULT_LAYERS[name]}"
    if config.frozen:
        yield "frozen", _code(config.frozen)
    if config.ema_momentum is not None:
        yield "weights", f"moving average, momentum {config.ema_momentum:g}"
    yield "batch size, seed", f"{config.batch_size}, {config.seed}"
    yield "device", f"{record.device.kind}, {record.device.description}"
    yield "settings", _listed({name: value for name, value in record.device.settings.items() if value})
    yield "packages", _listed(record.packages)
    yield "git commit", record.git_commit or "not from a checkout"
    yield "flow run", f"{record.flow_run.name} ({record.flow_run.id})"
    yield "made", f"{record.created:%Y-%m-%d %H:%M} UTC"


def _optimizer(group: OptimizerGroup) -> str:
    """Its name and rate, then what differs from the default, in the configuration's words."""
    given = group.model_dump(exclude={"layers", "optimizer", "learning_rate", "schedule"}, exclude_none=True)
    schedule = group.schedule.model_dump(exclude_defaults=True)
    given |= {"schedule" if name == "kind" else name: value for name, value in schedule.items()}
    words = (f"{name.replace('_', ' ')} {value}" for name, value in given.items())
    return ", ".join([group.optimizer, f"learning rate {group.learning_rate:g}", *words])


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _code(patterns: Iterable[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)  # or their wildcards are Markdown's emphasis


def _value(text: str) -> str:
    return "`" + " ".join(text.replace("`", "'").split()) + "`"  # an error may have any characters in it
