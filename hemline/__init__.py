"""What each step of the pipeline computes: TensorFlow, Keras and pandas, and no Prefect.

    from hemline.config.retrain import RetrainConfig
    from hemline.models.mlp import build_mlp

A model saved by a run loads wherever this package (or, for `saved_model/`, TensorFlow
alone) is installed, with no orchestrator in sight.
"""

import os

# Layers and loop are written in TensorFlow; a KERAS_BACKEND left over from other work
# would fail much later and less clearly. Must be set before Keras is imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
