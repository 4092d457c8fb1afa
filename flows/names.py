"""What runs are called: for what a person looks for, and the day that they were scheduled for.

@flow(flow_run_name=dated(lambda config: (config.title,)))              # 'fashion_mnist mlp 2026-11-24'
@flow(flow_run_name=dated(lambda name, **_: ("rollback", name)))        # 'rollback fashion_mnist 2026-11-24'
"""

from collections.abc import Callable, Iterable

from prefect import runtime


def dated(words: Callable[..., Iterable[str | None]]) -> Callable[[], str]:
    """A name for Prefect to ask for. words: of the flow's parameters, by their names; None is left out."""

    def name() -> str:
        this = runtime.flow_run
        return " ".join([*filter(None, words(**this.parameters)), f"{this.scheduled_start_time:%Y-%m-%d}"])

    return name
