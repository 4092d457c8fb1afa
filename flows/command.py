"""The program `hemline`: what looks and decides (hemline.cli), and the flows that a person runs here and now.

    hemline retrain --epochs 5 --groups.lower.learning-rate 0.003
    hemline verify                                      # both tables; exit code 1 if anything fails

Not in hemline.cli, since flows import Prefect. It is imported once a flow runs: `hemline retrain --help` takes 0.2 s
(2 cores).
"""

import os
import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from hemline.cli import app, main

# Of a run that trains, while it waits for its server; not matplotlib, which a night without a change can do without.
USED_LATER = ("flows.retrain", "hemline.training.seeds", "tensorflow_datasets")
# The options are those of a configuration, which its command imports; until then any will do.
ANY = {"allow_extra_args": True, "ignore_unknown_options": True}


class OfFields(TyperCommand):
    """A command whose options are the fields of a configuration: a shell completes them."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """As the program does that `_call` makes of the configuration."""
        from hemline.config.options import program
        from hemline.config.retrain import RetrainConfig
        from hemline.config.verify import VerifyConfig

        model: type[Any] = {"retrain": RetrainConfig, "verify": VerifyConfig}[str(self.name)]
        found: list[Any] = typer.main.get_command(program(model, lambda config: None)).shell_complete(ctx, incomplete)
        return found


@app.command(cls=OfFields, context_settings=ANY, add_help_option=False)
def retrain(context: typer.Context) -> None:
    """Train, publish a version, and promote it if it is better."""
    from hemline.config.retrain import RetrainConfig

    def run(config: RetrainConfig) -> None:
        from prefect.exceptions import Abort, TerminationSignal

        from flows.retrain import retrain
        from flows.terminal import summary

        try:
            outcome = retrain(config)
        except (KeyboardInterrupt, TerminationSignal, Abort):  # Ctrl-C; SIGTERM; cancelled in the UI
            raise SystemExit("\nInterrupted. What was written is whole; docs/use.md says how to go on.") from None
        if outcome:
            print(summary(outcome))

    _call(run, RetrainConfig, context)


@app.command(cls=OfFields, context_settings=ANY, add_help_option=False)
def verify(context: typer.Context) -> None:
    """Prove what training relies on: layer parity and claims."""
    from hemline.config.verify import VerifyConfig

    def run(config: VerifyConfig) -> None:
        from flows.terminal import tables
        from flows.verify import verify
        from hemline.errors import ProofError

        try:
            tables(verify(config))
        except ProofError as error:
            tables(error.found)
            raise

    _call(run, VerifyConfig, context)


def _call(run: Callable[[Any], None], model: type[Any], context: typer.Context) -> None:
    """Runs a flow with the configuration that the command line describes, once Prefect's API answers."""
    from hemline.config.options import program

    def connected(config: Any) -> None:
        from flows.server import connect, end_on_signals, require_home

        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a server that hangs up is an error to handle, not the end
        end_on_signals()
        require_home()
        connect(meanwhile=partial(_import_beside_the_server, config))
        from flows.terminal import quiet_refusals

        quiet_refusals()
        run(config)

    artifacts = [] if context.obj is None else ["--artifacts-dir", context.obj]
    program(model, connected, context.command.help)([*artifacts, *context.args], prog_name=context.command_path)


def _import_beside_the_server(config: Any) -> None:
    """What a run needs, while its server starts. What TensorFlow says meanwhile is in no log: none is open yet."""
    from hemline.config.data import DataConfig
    from hemline.runtime.compile_cache import use_compile_cache
    from hemline.runtime.native_log import noise_in
    from hemline.runtime.quick_import import import_tensorflow, without_searching

    trains = isinstance(config, DataConfig)
    if trains:
        use_compile_cache(config.programs_path)
    with noise_in(Path(os.devnull), loggers=("absl", "tensorflow")):
        import_tensorflow()
        if trains:
            with without_searching():
                for module in USED_LATER:
                    import_module(module)


if __name__ == "__main__":
    main()
