"""The order in which a person chooses: of the form in the Prefect UI, and of the options of `hemline retrain`.

    class RetrainConfig(...):
        model_config = ConfigDict(json_schema_extra=in_sections)

The form is one column, so a field's title begins with its section: 'Data: Image size (pixels)'.
"""

from typing import Any

from hemline.config.fields import for_the_form

SECTIONS = {
    "": ["recipe", "name"],
    "Data": [
        "dataset",
        "image_size",
        "grayscale",
        "test_share",
        "split_seed",
        "unreadable",
        "image_key",
        "label_key",
    ],
    "Model": ["model", "model_arguments", "precision"],
    "Training": ["epochs", "batch_size", "groups", "frozen", "label_smoothing", "ema_momentum", "seed", "seeds"],
    "Validation": ["validation", "early_stopping"],
    "Judgement": ["gate", "checks"],
    "Machine": ["device", "replicas", "streaming"],
    "Operation": [
        "force",
        "only_train",
        "resume",
        "attempts",
        "checkpoint_steps",
        "keep_checkpoints",
        "log_lines",
        "tensorboard",
        "artifacts_dir",
        "data_dir",
        "manual_dir",
    ],
}


def in_sections(schema: dict[str, Any]) -> None:
    """Changes the configuration's JSON schema: what `for_the_form` does, then order and sections."""
    for_the_form(schema)
    fields = schema["properties"]
    schema["properties"] = {name: fields[name] for names in SECTIONS.values() for name in names}
    for position, field in enumerate(schema["properties"].values()):
        field["position"] = position  # by which the form goes: JSON's objects have no order
    for section, names in SECTIONS.items():
        for name in names if section else ():
            fields[name]["title"] = f"{section}: {fields[name]['title']}"
