"""The saved model's quality on the untouched test split: evaluation = evaluate(trained)."""

from prefect import get_run_logger

from hemline.records.run import Evaluation, TrainedRun
from tasks.step import step


@step("evaluate", timeout_seconds=1800)
def evaluate(trained: TrainedRun) -> Evaluation:
    """Writes evaluation.json and confusion.csv beside the model."""
    from hemline.evaluation.saved import evaluate_saved

    evaluation = evaluate_saved(trained)
    get_run_logger().info("test accuracy %.4f, test loss %.4f", evaluation.accuracy, evaluation.loss)
    return evaluation
