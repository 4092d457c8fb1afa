"""Docker and Kubernetes pools: a real server takes them, and what their real workers send to start a run is right.

Neither an engine nor a cluster is there. A stand-in keeps what it is sent and refuses it.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.utilities.templating import apply_values

from hemline.runtime.provenance import git_commit
from tests.system.conftest import PATIENCE, ROOT, Installation, free_port, wait_until
from tests.system.pools import CONTAINER, IMAGE, StandIn, listening, pools, prefect
from tests.test_prefect_yaml import strict

pytestmark = [pytest.mark.system, pytest.mark.slow]

STORE = "s3://models/hemline"
PASSWORD = "ada:lovelace"
COMMAND = ["python", "-m", "prefect.engine"]  # Prefect's own has a process beside it that kills a run while it trains


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


def test_only_what_the_dockerfile_copies_is_sent_to_the_engine(context: Path) -> None:
    copied = {"README.md", "flows", "hemline", "ops", "pyproject.toml", "recipes", "requirements.lock", "tasks"}
    assert {path.name for path in context.iterdir()} == copied | {".dockerignore"}
    assert {"Dockerfile", "worker.sh", "cuda.lock"} <= {path.name for path in (context / "ops" / "container").iterdir()}


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
    ((_, given),) = document["build"][-1].items()
    assert (ROOT / given["dockerfile"]).is_file()


def test_the_image_is_told_of_which_commit_it_is() -> None:
    step, build = yaml.safe_load((CONTAINER / "prefect.yaml").read_text())["build"]
    ((_, commit),) = step.items()  # Prefect splits the script into words, and no shell is between
    said = subprocess.check_output(shlex.split(commit["script"]), cwd=ROOT, text=True).strip()
    assert said == git_commit(ROOT)
    ((_, given),) = apply_values(build, {commit["id"]: {"stdout": said}}).items()
    assert given["buildargs"]["COMMIT"] == said


# --- with a real server


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with pools(tmp_path_factory.mktemp("server"), programs, STORE) as server:
        yield server


def sent(server: Installation, programs: Path, kind: str, path: str) -> tuple[str, Any]:
    """What a worker of the pool sends to a path to start a run of the deployment of its kind, with a password set."""
    StandIn.kept = []
    with listening(StandIn) as address:
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
    assert body["Cmd"] == COMMAND
    environment = dict(line.split("=", 1) for line in body["Env"])
    assert environment["HEMLINE_ARTIFACTS"] == STORE
    assert environment["PREFECT__FLOW_RUN_ID"]
    assert body["Healthcheck"]["Test"] == ["NONE"]  # the image's asks for a worker's health
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
    assert pod["shareProcessNamespace"] is True  # a process that is number 1 does not hear SIGTERM while it starts
    assert job["backoffLimit"] == 0  # or Kubernetes would start the run again beside the server
    (container,) = pod["containers"]
    assert container["image"] == f"{IMAGE}:latest"
    assert container["args"] == COMMAND
    assert "command" not in container
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    assert container["volumeMounts"] == [{"name": "root", "mountPath": "/srv/hemline"}]
    assert pod["volumes"] == [{"name": "root", "persistentVolumeClaim": {"claimName": "hemline"}}]
    assert container["envFrom"] == [{"secretRef": {"name": "hemline"}}]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["HEMLINE_ARTIFACTS"] == STORE
    assert environment["PREFECT__FLOW_RUN_ID"]
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
