"""Docker and Kubernetes pools: a real server takes them, and what their real workers send to start a run is right.

Neither an engine nor a cluster is there. A stand-in keeps what it is sent and refuses it.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel

from tests.system.conftest import PATIENCE, ROOT, Installation, free_port, start, wait_until
from tests.test_prefect_yaml import strict

pytestmark = [pytest.mark.system, pytest.mark.slow]

CONTAINER = ROOT / "ops" / "container"
IMAGE = "registry.example.org/team/hemline"
STORE = "s3://models/hemline"
PASSWORD = "ada:lovelace"


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the programs of .venv-pools are. Skips where no package registry answers."""
    here = os.path.relpath(Path(sys.executable).parent, ROOT)
    words = ["make", "-s", "-o", "setup", ".venv-pools/installed", f"BIN={here}", f"PYTHON={here}/python"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if "No solution found" in done.stderr or "error sending request" in done.stderr:
        pytest.skip("prefect-docker and prefect-kubernetes are not to be had here")
    assert done.returncode == 0, done.stderr
    return ROOT / ".venv-pools" / "bin"


def template(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONTAINER / f"{kind}.json").read_text())
    return loaded


# --- the files by themselves


def test_hadolint_finds_nothing_in_the_dockerfile_and_something_in_a_worse_one(programs: Path) -> None:
    def lint(text: str) -> str:
        done = subprocess.run([programs / "hadolint", "-"], input=text, capture_output=True, text=True)
        return done.stdout + done.stderr

    text = (CONTAINER / "Dockerfile").read_text()
    assert lint(text) == ""
    assert "DL3007" in lint(text.replace("python:3.11-slim", "python:latest"))


def test_a_run_in_the_image_has_the_settings_of_one_on_a_machine() -> None:
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text())["definitions"]["work_pools"]["gpu"]
    for name, value in pool["job_variables"]["env"].items():
        assert f" {name}={value} " in (CONTAINER / "Dockerfile").read_text()


def test_what_cuda_adds_is_not_in_the_other_lock() -> None:
    """Two locks of one package could disagree."""

    def packages(lock: Path) -> set[str]:
        return {line.partition("==")[0] for line in lock.read_text().splitlines() if "==" in line and line[0].isalpha()}

    cuda = packages(CONTAINER / "cuda.lock")
    assert "nvidia-cudnn-cu12" in cuda
    assert not cuda & packages(ROOT / "requirements.lock")


def test_only_what_the_dockerfile_copies_is_sent_to_the_engine(programs: Path) -> None:
    """By the code of docker-py, which the build step uses."""
    code = (
        "import sys; from docker.utils.build import tar; rules = open('.dockerignore').read().splitlines();"
        "sys.stdout.buffer.write(tar('.', exclude=rules, dockerfile=('ops/container/Dockerfile', None)).read())"
    )
    done = subprocess.run([programs / "python", "-c", code], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as sent:
        names = {name for name in sent.getnames() if not name.endswith(".pyc")}
    top = {name.partition("/")[0] for name in names}
    copied = {"README.md", "flows", "hemline", "ops", "pyproject.toml", "recipes", "requirements.lock", "tasks"}
    assert top == copied | {".dockerignore"}
    assert {"ops/container/Dockerfile", "ops/container/worker.sh", "ops/container/cuda.lock"} <= names


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_a_template_is_the_workers_own_but_for_what_is_ours(kind: str, programs: Path) -> None:
    """So that an upgrade of the worker's package does not leave it behind."""
    code = (
        f"import json; from prefect_{kind}.worker import {kind.title()}Worker as Worker;"
        "print(json.dumps(Worker.get_default_base_job_template()))"
    )
    theirs = json.loads(subprocess.check_output([programs / "python", "-c", code]))
    ours = template(kind)
    assert ours["job_configuration"].keys() == theirs["job_configuration"].keys()

    def variables(of: dict[str, Any]) -> dict[str, Any]:
        return {name: {**each, "default": None} for name, each in of["variables"]["properties"].items()}

    new = {"docker": {"device_requests"}, "kubernetes": {"gpus", "claim", "secret"}}[kind]
    gone = {"docker": {"container_create_kwargs"}, "kubernetes": set()}[kind]  # it is in the template, filled in
    assert variables(ours).keys() == variables(theirs).keys() - gone | new
    assert variables(theirs).items() >= {k: v for k, v in variables(ours).items() if k not in new}.items()


def test_the_document_matches_prefects_schema_and_its_steps_take_what_they_are_given(programs: Path) -> None:
    document = yaml.safe_load((CONTAINER / "prefect.yaml").read_text())
    del document["definitions"]
    jsonschema.validate(document, strict(PrefectYamlModel.model_json_schema()))
    for step in (*document["build"], *document["push"]):
        ((path, given),) = step.items()
        module, _, function = path.rpartition(".")
        # What the step does not know goes on to docker-py.
        code = (
            f"import inspect, sys; from docker.api.build import BuildApiMixin; from {module} import {function} as step;"
            "known = {*inspect.signature(step).parameters, *inspect.signature(BuildApiMixin.build).parameters};"
            "print(*sorted(set(sys.argv[1:]) - known - {'id'}))"
        )
        assert subprocess.check_output([programs / "python", "-c", code, *given, "typo"], text=True) == "typo\n"
    ((_, given),) = document["build"][0].items()
    assert (ROOT / given["dockerfile"]).is_file()


# --- with a real server


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """With both pools as docs/team.md creates them, and the deployments, but for building and pushing the image."""
    installation = start(tmp_path_factory.mktemp("server"))
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
    environment = installation.environment | {"HEMLINE_ARTIFACTS": STORE} | settings
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
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.kept.append((self.path, json.loads(body) if body else None))
        self.answer(200 if "/images/create" in self.path else 422, {"message": "a stand-in starts nothing"})

    def answer(self, code: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        """Nothing."""


def sent(server: Installation, programs: Path, kind: str, path: str) -> tuple[str, Any]:
    """What a worker of the pool sends to a path to start a run of the deployment of its kind, with a password set."""
    StandIn.kept = []
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as stand_in:
        threading.Thread(target=stand_in.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{stand_in.server_address[1]}"
        cluster = {"clusters": [{"name": "c", "cluster": {"server": f"http://{address}"}}], "current-context": "c"}
        cluster |= {
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }
        (server.root / "kubeconfig").write_text(json.dumps(cluster))
        prefect(server, programs, "deployment", "run", f"retrain/{kind}")
        said = prefect(
            server,
            programs,
            *("worker", "start", "--pool", kind, "--type", kind, "--run-once"),
            DOCKER_HOST=f"tcp://{address}",
            KUBECONFIG=str(server.root / "kubeconfig"),
            PREFECT_API_AUTH_STRING=PASSWORD,
            PREFECT_INTEGRATIONS_KUBERNETES_CLUSTER_UID="stand-in",
            PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED="false",
            PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME="hemline",
            PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_KEY="PREFECT_API_AUTH_STRING",
        )
        stand_in.shutdown()
    (found, *_) = [each for each in StandIn.kept if path in each[0]] or pytest.fail(f"{StandIn.kept}\n{said}")
    return found


def test_the_worker_of_a_container_ends_when_docker_stops_it(server: Installation) -> None:
    """It did not: what a shell starts in the background ignores SIGINT, which Prefect sends itself on SIGTERM."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = server.environment | {"PATH": path, "PREFECT_WORKER_WEBSERVER_PORT": str(free_port())}
    log = server.root / "container.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["sh", CONTAINER / "worker.sh"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as worker,
    ):
        try:
            wait_until(lambda: "started!" in log.read_text(), "starting")
            worker.terminate()
            worker.wait(PATIENCE)
            assert "stopped!" in log.read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)


def test_a_container_of_the_docker_pool(server: Installation, programs: Path) -> None:
    path, body = sent(server, programs, "docker", "/containers/create")
    assert parse_qs(urlsplit(path).query)["name"]
    assert body["Image"] == f"{IMAGE}:latest"
    assert " ".join(body["Cmd"]).endswith("prefect flow-run execute")
    environment = dict(line.split("=", 1) for line in body["Env"])
    assert environment["HEMLINE_ARTIFACTS"] == STORE
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    host = body["HostConfig"]
    assert host["Binds"] == ["hemline:/srv/hemline"]
    assert (host["Memory"], host["Init"]) == (8 * 2**30, True)
    (gpu,) = host["DeviceRequests"]
    assert (gpu["Count"], gpu["Capabilities"]) == (1, [["gpu"]])


def test_a_job_of_the_kubernetes_pool(server: Installation, programs: Path, tmp_path: Path) -> None:
    path, body = sent(server, programs, "kubernetes", "/jobs")
    assert path == "/apis/batch/v1/namespaces/hemline/jobs"
    assert valid(body, programs, tmp_path) == ""
    job, pod = body["spec"], body["spec"]["template"]["spec"]
    assert job["backoffLimit"] == 0  # or Kubernetes would start the run again beside the server
    (container,) = pod["containers"]
    assert container["image"] == f"{IMAGE}:latest"
    assert " ".join(container["args"]).endswith("prefect flow-run execute")
    assert "command" not in container
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    assert container["volumeMounts"] == [{"name": "root", "mountPath": "/srv/hemline"}]
    assert pod["volumes"] == [{"name": "root", "persistentVolumeClaim": {"claimName": "hemline"}}]
    assert container["envFrom"] == [{"secretRef": {"name": "hemline"}}]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["HEMLINE_ARTIFACTS"] == STORE
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    assert PASSWORD not in json.dumps(body)
    (password,) = [each for each in container["env"] if each["name"] == "PREFECT_API_AUTH_STRING"]
    assert password["valueFrom"]["secretKeyRef"] == {"name": "hemline", "key": "PREFECT_API_AUTH_STRING"}
    pod["priority"] = "high"
    assert "'high' is not of type 'integer'" in valid(body, programs, tmp_path)


def test_the_claim_is_valid(programs: Path, tmp_path: Path) -> None:
    assert valid(yaml.safe_load((CONTAINER / "claim.yaml").read_text()), programs, tmp_path) == ""


def valid(resource: dict[str, Any], programs: Path, directory: Path) -> str:
    """What the schema of Kubernetes says against it; a field that it does not know is wrong too."""
    file = directory / "resource.json"
    file.write_text(json.dumps(resource))
    done = subprocess.run(
        [programs / "kubernetes-validate", "--strict", "--quiet", file], capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_any_deployment_moves_to_a_pool_by_one_command(server: Installation, programs: Path) -> None:
    variables = (
        "--job-variable",
        f"image={IMAGE}:latest",
        "--job-variable",
        json.dumps({"env": {"HEMLINE_ARTIFACTS": STORE}}),
    )
    prefect(server, programs, "--no-prompt", "deploy", "--name", "daily", "--pool", "kubernetes", *variables)
    with server.client() as client:
        moved = client.read_deployment_by_name("prune/daily")
    assert moved.work_pool_name == "kubernetes"
    assert moved.job_variables == {"image": f"{IMAGE}:latest", "env": {"HEMLINE_ARTIFACTS": STORE}}
    assert moved.parameters == {"delete": True}
