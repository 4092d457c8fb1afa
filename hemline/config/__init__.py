"""What a run can be told, and where things are.

    RetrainConfig(recipe="chapter", epochs=20)                  # hemline.config.retrain
    explain(error, "Set it under parameters in prefect.yaml.")  # a refusal in sentences: hemline.config.explain
    root() / "artifacts"                                        # hemline.config.paths

Others import anything of it. To add a field, change its configuration and nothing else.
An optimizer is a row of `OPTIMIZERS` (CONTRIBUTING.md, "Add an optimizer"), a recipe a file in recipes/.
"""
