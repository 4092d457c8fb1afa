"""The report a person reads: Markdown made of a run's record, and HTML made of that.

    text = markdown(record, title="retrain-fashion_mnist", picture=data_uri(svg))
    page = html(text)

The same Markdown is the report in the Prefect UI, `report.html` of the run and, with the picture as a
file beside it, the model card of a version.
"""

import base64
from collections.abc import Iterable, Sequence

from markdown_it import MarkdownIt

from hemline.record import Record, Rows


def data_uri(svg: str) -> str:
    """A picture inside the text: Prefect's UI strips inline SVG and shows this."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def markdown(record: Record, title: str, picture: str) -> str:
    """The report as GitHub-flavoured Markdown. picture: an address of the learning curves."""
    evaluation, last = record.evaluation, record.epochs[-1]
    return f"""# {title}

**{evaluation.accuracy:.2%}** of {evaluation.examples:,} test examples are classified correctly, after
{len(record.epochs)} epochs on {record.dataset.full_name} (validation {last["val_accuracy"]:.2%}).

![loss and accuracy by epoch]({picture})

## Epochs

{epochs_table(record.epochs)}

Training loss and accuracy are running means over the epoch's iterations; validation is on
{_validation(record)}.

## Test accuracy by class

{_table(("class", "accuracy"), ((name, f"{value:.1%}") for name, value in record.evaluation.class_accuracy.items()))}

## LayerNorm parity

{record.parity.cases - record.parity.failed} of {record.parity.cases} cases within tolerance; largest error of an
output {record.parity.worst_output_error:.1e}.

## How it was made

{_table(("what", "value"), _provenance(record))}

## How to load it

```python
import tensorflow as tf
serve = tf.saved_model.load("saved_model").signatures["serving_default"]
serve(image=images)  # uint8 {("N", *record.dataset.image_shape)!r} -> label, name, probabilities
```
""".replace("'N'", "N")


def epochs_table(epochs: Rows) -> str:
    """Markdown table, a row an epoch."""
    names = list(epochs[0])
    rows = ([f"{row[name]:.4f}" if isinstance(row[name], float) else row[name] for name in names] for row in epochs)
    return _table(names, rows)


def html(text: str) -> str:
    """A page of its own: no script, no font, no address to load from."""
    body = MarkdownIt("commonmark").enable("table").render(text)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hemline report</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ border-bottom: 1px solid #ddd; padding: .3rem .8rem .3rem 0; text-align: left }}
img {{ max-width: 100% }} pre {{ background: #f5f5f5; padding: 1rem; overflow-x: auto }}
</style></head><body>
{body}</body></html>
"""


def _validation(record: Record) -> str:
    held_out = record.config.validation
    return "the test split" if held_out == "test" else f"{held_out:,} examples held out from the train split"


def _provenance(record: Record) -> Iterable[tuple[str, str]]:
    config = record.config
    for name, group in config.groups.by_name().items():
        layers = ", ".join(group.layers)
        yield f"optimizer, {name}", f"{group.optimizer}, learning rate {group.learning_rate:g}, on {layers}"
    if config.frozen:
        yield "frozen", ", ".join(config.frozen)
    yield "batch size, seed", f"{config.batch_size}, {config.seed}"
    yield "data fingerprint", f"`{record.fingerprint}`"
    yield "device", f"{record.device.kind}, {record.device.description}"
    yield "settings", ", ".join(f"{name} {value}" for name, value in record.device.settings.items() if value)
    yield "versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield "git commit", record.git_commit or "not from a checkout"
    yield "flow run", f"{record.flow_run.name} ({record.flow_run.id})"
    yield "made", f"{record.created:%Y-%m-%d %H:%M} UTC"


def _table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
