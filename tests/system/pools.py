"""The Docker and Kubernetes pools on a real server, and stand-ins for what their real workers start runs with.

    with pools(root, programs, store) as server:        # as docs/team.md creates them, with their deployments
        with Engine(environment) as engine:             # starts processes in the place of containers
            worker("docker", DOCKER_HOST=engine.address)
            engine.containers[0].terminate()            # what `docker stop` does first

For tests, not a test.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.system.conftest import ROOT, Installation, start

CONTAINER = ROOT / "ops" / "container"
IMAGE = "registry.example.org/team/hemline"


@contextmanager
def pools(root: Path, programs: Path, store: str) -> Iterator[Installation]:
    """A server with both pools as docs/team.md creates them, and the deployments, but for building the image."""
    installation = start(root, HEMLINE_ARTIFACTS=store)
    try:
        for kind in ("docker", "kubernetes"):
            words = ["work-pool", "create", kind, "--type", kind]
            prefect(installation, programs, *words, "--base-job-template", f"ops/container/{kind}.json")
        text = (CONTAINER / "prefect.yaml").read_text().replace("{{ image.image }}", f"{IMAGE}:latest")
        document = {key: value for key, value in yaml.safe_load(text).items() if key not in ("build", "push")}
        file = installation.root / "prefect.yaml"
        file.write_text(yaml.safe_dump(document))
        prefect(installation, programs, "--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        yield installation
    finally:
        assert installation.stop() == 0


def prefect(installation: Installation, programs: Path, *words: str, **settings: str) -> str:
    """A command of who deploys, or of a worker."""
    environment = installation.environment | settings
    words = (str(programs / "python"), "-m", "prefect", *words)
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class StandIn(BaseHTTPRequestHandler):
    """An engine, or a cluster's API: says which version it is, keeps what it is to create, and refuses."""

    kept: ClassVar[list[tuple[str, Any]]] = []

    def do_GET(self) -> None:
        self.answer(200, {"ApiVersion": "1.43", "Version": "24.0.0", "Os": "linux"})

    def do_POST(self) -> None:
        self.kept.append((self.path, self.sent()))
        self.answer(200 if "/images/create" in self.path else 422, {"message": "a stand-in starts nothing"})

    def sent(self) -> Any:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(body) if body else None

    def answer(self, code: int, body: Any) -> None:
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        """Nothing."""


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Its address, without a scheme."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@dataclass
class Engine:
    """Starts a process for each container. environment: of the image, and of the machine."""

    environment: dict[str, str]
    directory: Path  # in which they start, and which has their output
    containers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, as DOCKER_HOST."""
        engine, created = self, list[Any]()

        class Handler(StandIn):
            def named(self) -> tuple[int, str]:
                """A container's number, and what of it is asked for: '/v1.43/containers/3/logs?follow=1'."""
                number, _, what = self.path.partition("/containers/")[2].partition("/")
                return int(number), what.partition("?")[0]

            def do_GET(self) -> None:
                if "/containers/" not in self.path:
                    return super().do_GET()
                number, what = self.named()
                if what == "logs":  # which are followed to the end, and are kept elsewhere
                    self.send_response(200)
                    self.end_headers()
                    engine.containers[number].wait()
                    return None
                code = engine.containers[number].poll() if number < len(engine.containers) else None
                state = {"Status": "running" if code is None else "exited", "ExitCode": shells(code or 0)}
                config = {"Tty": False}  # of which docker-py waits for the logs as long as there are some
                return self.answer(200, {"Id": str(number), "Name": f"/{number}", "State": state, "Config": config})

            def do_POST(self) -> None:
                body = self.sent()
                if "/containers/" not in self.path:
                    return self.answer(200, {"status": "pulled"})
                if "/containers/create" in self.path:
                    created.append(body)
                    return self.answer(201, {"Id": str(len(created) - 1), "Warnings": []})
                number, what = self.named()
                if what == "start":
                    engine.start(created[number])
                elif what == "stop":
                    stop(engine.containers[number])
                elif what == "wait":
                    return self.answer(200, {"StatusCode": shells(engine.containers[number].wait())})
                return self.answer(204, None)

        with listening(Handler) as address:
            try:
                yield f"tcp://{address}"
            finally:
                for container in self.containers:
                    container.kill()

    def start(self, body: Any) -> None:
        """A container: its command, with its environment over the image's."""
        environment = self.environment | dict(line.split("=", 1) for line in body["Env"])
        with (self.directory / f"{len(self.containers)}.log").open("wb") as log:
            self.containers.append(
                subprocess.Popen(
                    body["Cmd"], cwd=self.directory, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )


def stop(container: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """As `docker stop` does: SIGTERM to its first process, and SIGKILL if it does not end in time."""
    container.terminate()
    try:
        container.wait(seconds)
    except subprocess.TimeoutExpired:
        container.kill()


def shells(code: int) -> int:
    """An exit code as Docker tells it: killed by a signal is 128 and its number."""
    return 128 - code if code < 0 else code
