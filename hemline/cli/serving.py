"""The command that serves a champion."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from hemline.cli.program import Name, app, artifacts_of


@app.command()
def serve(
    context: typer.Context,
    name: Name = None,
    host: Annotated[str, typer.Option(help="Address to listen at; whoever reaches it can ask.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8501,
) -> None:
    """Serve the champion on HTTP, as TensorFlow Serving does."""
    import uvicorn

    from hemline.registry.champion import registry_of
    from hemline.runtime.native_log import noise_in
    from hemline.serving.app import make_app
    from hemline.serving.champion import Champion

    def say(sentence: str) -> None:
        print(sentence, flush=True)

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client that hangs up is no reason to end
    with noise_in(Path(os.devnull), loggers=("absl", "tensorflow")):
        champion = Champion(registry_of(artifacts_of(context), name), say)
    say(f"{champion.now().manifest.title} is served")
    with suppress(KeyboardInterrupt):
        uvicorn.run(make_app(champion), host=host, port=port, access_log=False)
