"""What decides the weights of a run, known without TensorFlow.

    decided, surroundings = what_decides(config, dataset, device)

A checkpoint has both, and goes on only with the same. A version has their digest: what would be made of the same again
is not made.
"""

from typing import Any

from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import ConfigurationError
from hemline.models import module_of
from hemline.runtime.code import PACKAGE, digest_of
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions


def what_decides(
    config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a run is told and computes with; and where it runs."""
    decided = {"config": config.what_is_computed(), "fingerprint": dataset.fingerprint, "code": code_of(config)}
    return decided, device.settings | {"device": device.description} | package_versions()


def code_of(config: RetrainConfig) -> dict[str, Any]:
    """What of the code decides the weights: another than a checkpoint's must not go on with it."""
    # Only this model and the step, with what surrounds it in training/. The tables, the configuration and the texts of
    # refusals, which these import too, gain rows and words with every upgrade, and no bit of a run that goes on.
    builder, within = module_of(config.model), ["hemline.training.", "hemline.models."]
    if (package := builder.partition(".")[0]) != PACKAGE:  # one's own
        within.append(package)
    rows = {name: OPTIMIZERS[group.optimizer] for name, group in config.groups.by_name().items()}
    optimizers = {name: [row.keras_class, dict(row.always)] for name, row in rows.items()}
    ours = [module for row in rows.values() if (module := row.keras_class.partition(":")[0]).startswith(PACKAGE)]
    try:
        sha256 = digest_of("hemline.training.loop", builder, *ours, within=tuple(within))
    except (ImportError, SyntaxError) as error:
        raise ConfigurationError(
            "a model's function must be in a Python file, and what that imports of its own package must be Python, so "
            f"that a killed run knows whether it goes on with the same code. Received: model={config.model!r} "
            f"({error}). Write it in a .py file."
        ) from error
    return {"sha256": sha256, "optimizers": optimizers}
