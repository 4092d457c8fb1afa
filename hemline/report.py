"""The report a person reads: Markdown made of a run's record, and HTML made of that.

    text = markdown(record, title="retrain-fashion_mnist", picture=data_uri(svg))
    page = html(text)

The same Markdown is the report in the Prefect UI, `report.html` of the run and, with the picture as a
file beside it, the model card of a version.
"""

import base64
from collections.abc import Iterable, Sequence

from markdown_it import MarkdownIt

from hemline.config import OptimizerGroup
from hemline.record import Record, Rows

_SVG = "data:image/svg+xml;base64,"


def data_uri(svg: str) -> str:
    """A picture inside the text: Prefect's UI strips inline SVG and shows this."""
    return _SVG + base64.b64encode(svg.encode()).decode()


def markdown(record: Record, title: str, picture: str, parity: str | None = None) -> str:
    """The report as GitHub-flavoured Markdown. picture, parity: addresses of learning curves and parity map."""
    # A paragraph is one line: Prefect's UI shows a single line break as the end of one.
    shape = ", ".join(map(str, record.dataset.image_shape))
    return f"""# {title}

{_verdict(record)}

![loss and accuracy by epoch]({picture})

## Epochs

{epochs_table(record.epochs)}

{_legend(record)}

## Test accuracy by class

{_table(("class", "accuracy"), ((name, f"{value:.1%}") for name, value in record.evaluation.class_accuracy.items()))}

## LayerNorm parity

{_parity(record, parity)}

## How it was made

{_table(("what", "value"), _provenance(record))}

## How to load it

```python
import tensorflow as tf
serve = tf.saved_model.load("saved_model").signatures["serving_default"]
serve(image=images)  # uint8 (N, {shape}) -> label, name, probabilities
```
"""


def epochs_table(epochs: Rows) -> str:
    """Markdown table, a row an epoch, with what the chapter displays."""
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return _table(("epoch", *names), ((row["epoch"], *(f"{row[name]:.4f}" for name in names)) for row in epochs))


def html(text: str) -> str:
    """A page of its own: no script, no font, no address to load from."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    links = parser.validateLink  # takes PNG and the like inside a text, but not SVG
    parser.validateLink = lambda url: url.startswith(_SVG) or links(url)  # type: ignore[method-assign]
    body = parser.render(text)
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


def _verdict(record: Record) -> str:
    evaluation, epochs = record.evaluation, record.epochs
    return (
        f"**{evaluation.accuracy:.2%}** of {evaluation.examples:,} test examples are classified correctly after "
        f"{len(epochs)} epochs on {record.dataset.full_name} (validation {epochs[-1]['val_accuracy']:.2%})."
    )


def _legend(record: Record) -> str:
    held_out = record.config.validation
    split = "the test split" if held_out == "test" else f"{held_out:,} examples held out from the train split"
    return f"Training loss and accuracy are running means over the epoch's iterations; validation is on {split}."


def _parity(record: Record, picture: str | None) -> str:
    parity = record.parity
    text = f"{parity.cases - parity.failed} of {parity.cases:,} cases within tolerance"
    if parity.seconds is not None:
        text += f", found in {parity.seconds:.0f} s"
    if parity.worst_ratio is not None:
        text += f". Nearest to its tolerance, at {parity.worst_ratio:.0%} of it: `{parity.worst_case}`"
    return f"{text}." + (f"\n\n![largest difference by policy and inputs]({picture})" if picture else "")


def _provenance(record: Record) -> Iterable[tuple[str, str]]:
    config = record.config
    for name, group in config.groups.by_name().items():
        yield f"optimizer, {name}", f"{_optimizer(group)}, on {_code(group.layers)}"
    if config.frozen:
        yield "frozen", _code(config.frozen)
    if config.ema_momentum is not None:
        yield "weights", f"moving average, momentum {config.ema_momentum:g}"
    yield "batch size, seed", f"{config.batch_size}, {config.seed}"
    yield "data fingerprint", f"`{record.fingerprint}`"
    yield "device", f"{record.device.kind}, {record.device.description}"
    yield "settings", ", ".join(f"{name} {value}" for name, value in record.device.settings.items() if value)
    yield "versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield "git commit", record.git_commit or "not from a checkout"
    yield "flow run", f"{record.flow_run.name} ({record.flow_run.id})"
    yield "made", f"{record.created:%Y-%m-%d %H:%M} UTC"


def _optimizer(group: OptimizerGroup) -> str:
    """What is not as by default, in the configuration's words."""
    given = group.model_dump(exclude={"layers", "optimizer", "learning_rate", "schedule"}, exclude_none=True)
    schedule = group.schedule.model_dump(exclude_defaults=True)
    given |= {"schedule" if name == "kind" else name: value for name, value in schedule.items()}
    words = (f"{name.replace('_', ' ')} {value}" for name, value in given.items())
    return ", ".join([group.optimizer, f"learning rate {group.learning_rate:g}", *words])


def _code(patterns: Iterable[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)  # or their wildcards are Markdown's emphasis


def _table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
