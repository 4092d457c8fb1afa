"""What a recipe's values are worth on a validation split: the last 10,000 training examples.

    python -m bench.choices best-mlp --seeds 3 '{}' '{"batch_size": 64}' '{"label_smoothing": 0.05}'

Each JSON object replaces values of the recipe, and is a row. The test split is not read.
"""

import argparse
import json

import numpy as np

from bench.results import trained
from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import load_training
from hemline.data.decoding import prepare
from hemline.evaluation.scores import Score

VALIDATION = 10_000  # examples


def main() -> None:
    """Prints the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m bench.choices", description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", help="a file in recipes/")
    parser.add_argument("changes", nargs="+", type=json.loads, help="values instead of the recipe's, as JSON")
    parser.add_argument("--seeds", type=int, default=3, help="from 1 on (default: 3)")
    given = parser.parse_args()
    train, (images, labels) = load_training(prepare(DataConfig()), VALIDATION)
    print("| change | accuracy | loss | CPU seconds |\n| --- | --- | --- | --- |")
    for change in given.changes:
        rows = []
        for seed in range(1, given.seeds + 1):
            result = trained(RetrainConfig(recipe=given.recipe, seed=seed, **change), *train)
            score = Score.of(result.logits(images), labels)
            rows.append((score.accuracy, score.loss, result.cpu))
        accuracy, loss, cpu = np.mean(rows, axis=0)
        spread = f" ± {np.std(rows, axis=0, ddof=1)[0]:.4f}" if given.seeds > 1 else ""
        print(f"| `{json.dumps(change)}` | {accuracy:.4f}{spread} | {loss:.4f} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
