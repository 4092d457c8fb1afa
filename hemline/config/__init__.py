"""What a run can be told, and where things are: one pydantic model, from which form, options and schema are made.

    RetrainConfig(recipe="chapter", epochs=20)          # hemline.config.retrain
    explain(error, "Set it under parameters in prefect.yaml.")

| module | holds |
| --- | --- |
| `retrain`, `verify`, `data`, `gate`, `optimizers` | the configurations, each with bounds, units and help text |
| `fields` | what they share; `Strict`, the names of devices and precisions |
| `recipes` | complete configurations by name: the files in recipes/ |
| `nested` | a configuration laid over another, flattened, compared |
| `explain`, `options` | refusals in sentences, and the command line's options |
| `paths` | HEMLINE_ROOT and the checkout |

Others import anything of it; it imports `errors` and `models`. A field is added to its configuration and nowhere else.
An optimizer is a row of `OPTIMIZERS` (CONTRIBUTING.md, "Add an optimizer"), a recipe a file in recipes/.
"""
