"""A Dockerfile's steps in a clean Debian, and what they promise of a container, without Docker. For tests, not a test.

    with Machine(directory) as machine:                 # processes and mounts of its own; both end with it
        machine.install(mirror())                       # in the place of python:3.11-slim
        image = Image(machine, context, {"COMMIT": "0123abc"})
        image.build(dockerfile)
        container = image.start(image.command, {"PREFECT_API_URL": url}, log)   # as its user, in its directory
        first_process(container).terminate()            # as `docker stop` of one that has --init

The network is this machine's. A step that changes a directory changes it for all containers: there is one volume.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import IO, Any

import psutil
import pytest

DEBIAN = "bookworm"  # whose python3 is 3.11
PACKAGES = "python3,python3-venv,ca-certificates"  # of python:3.11-slim, what is used of it
ROOM = 6 * 2**30  # bytes of memory, below which the disk is used: Debian and everything installed are 3 GB
# Docker itself tells a build of proxies; who builds, of packages and certificates. Copied or passed on as they are.
FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
PASSED_ON = re.compile(r"PIP_.*|UV_.*|SSL_CERT_FILE|(https?|no)_proxy", re.IGNORECASE)


def mirror() -> str:
    """Where this machine has Debian from. Skips where a root directory cannot be made from it."""
    if os.geteuid() != 0:
        pytest.skip("only root may change the root directory")
    if missing := [each for each in ("apt-get", "mmdebstrap", "unshare", "nsenter") if shutil.which(each) is None]:
        pytest.skip(f"{missing[0]} is not installed (Debian: apt-get install mmdebstrap util-linux)")
    words = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {DEBIAN}"]
    sites = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    if not sites:
        pytest.skip(f"this machine has no package lists of Debian {DEBIAN} (apt-get update)")
    return sites[0]


class Machine:
    """A root directory with processes and mounts that no one else sees, and that end with this process."""

    def __init__(self, directory: Path):
        self.directory = directory

    def __enter__(self) -> "Machine":
        where = shlex.quote(str(self.directory))
        memory = psutil.virtual_memory().available > ROOM  # dpkg waits for the disk after every file
        hold = f"mount -t tmpfs hemline {where} && " if memory else ""
        # Ends when nothing holds its other end any more, and with it, as process 1, all that it has started. Orphans
        # are its own: it does not wait for them.
        hold += "echo && exec env --ignore-signal=CHLD cat"
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", hold]
        self._holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"\n":
            pytest.skip("no mounts and processes of one's own are to be had here")
        (first,) = psutil.Process(self._holder.pid).children()
        self._first = first.pid
        self.root = Path(f"/proc/{first.pid}/root{self.directory}")  # the way for other processes
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holder.stdin
        self._holder.stdin.close()
        self._holder.wait()
        shutil.rmtree(self.directory)

    def inside(self, *words: str) -> list[str]:
        """The words of a command that is among this machine's processes and mounts."""
        return ["nsenter", f"--target={self._first}", "--mount", "--pid", "--", *words]

    def install(self, mirror: str) -> None:
        """A minimal Debian. Skips where its packages are not to be had."""
        words = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(self.directory), mirror]
        done = subprocess.run(self.inside(*words), capture_output=True, text=True)
        if "apt-get update --error-on=any" in done.stderr:
            pytest.skip(f"no packages of Debian {DEBIAN} at {mirror}")
        assert done.returncode == 0, done.stderr
        for file in FILES:
            shutil.copy(file, self.root / file[1:])
        # As Docker mounts them.
        for kind, place in (("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "dev/shm")):
            mount = self.inside("mount", "-t", kind, "-o", "nosuid,nodev,noexec", kind, str(self.directory / place))
            subprocess.run(mount, check=True)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each as its word and its rest: comments left out, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        yield word.upper(), rest.strip()


@dataclass
class Image:
    """A root directory and what containers are started with."""

    machine: Machine
    context: Path  # which COPY copies from
    given: dict[str, str]  # of the arguments
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    directory: str = "/"
    volumes: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def build(self, dockerfile: str) -> None:
        """Executes all of it. Raises AttributeError for an instruction that this does not know."""
        for word, rest in instructions(dockerfile):
            getattr(self, f"_{word.lower()}")(rest)

    def words(self, command: list[str], settings: dict[str, str]) -> list[str]:
        """Of a command in a container: its own environment, user and directory."""
        variables = [f"{name}={value}" for name, value in (self.environment | settings).items()]
        enter = ["chroot", f"--userspec={self.user}:{self.user}", str(self.machine.directory)]
        return self.machine.inside(*enter, "env", "-i", f"--chdir={self.directory}", *variables, *command)

    def start(self, command: list[str], settings: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """A container, which ends when its first process does."""
        return subprocess.Popen(self.words(command, settings), stdout=output, stderr=output, start_new_session=True)

    # --- the instructions

    def _from(self, rest: str) -> None:
        assert rest == "python:3.11-slim", rest
        self.environment["PATH"] = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self.arguments[name] = self.given.get(name, "".join(shlex.split(default)))

    def _env(self, rest: str) -> None:
        self.environment |= dict(each.split("=", 1) for each in shlex.split(self._filled(rest)))

    def _workdir(self, rest: str) -> None:
        self.directory = str(Path(self.directory) / self._filled(rest))
        self._at(self.directory).mkdir(parents=True, exist_ok=True)

    def _user(self, rest: str) -> None:
        self.user = self._filled(rest)

    def _volume(self, rest: str) -> None:
        self.volumes.append(rest)

    def _copy(self, rest: str) -> None:
        *sources, to = shlex.split(self._filled(rest))
        assert not to.startswith("--"), rest
        for source in (self.context / each for each in sources):
            target = self._at(str(Path(self.directory) / to))
            if source.is_dir():  # what is in it
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target / source.name if to.endswith("/") else target)

    def _run(self, rest: str) -> None:
        passed_on = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        words = self.words(["/bin/sh", "-c", rest], {"HOME": "/root"} | passed_on | self.arguments | self.environment)
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, f"{rest}\n{done.stdout[-5000:]}{done.stderr[-5000:]}"

    def _healthcheck(self, rest: str) -> None:
        self.health = _list(rest.partition("CMD ")[2])

    def _cmd(self, rest: str) -> None:
        self.command = _list(rest)

    def _filled(self, text: str) -> str:
        return Template(text).substitute(self.arguments | self.environment)

    def _at(self, path: str) -> Path:
        return self.machine.root / path.removeprefix("/")


def first_process(container: subprocess.Popen[bytes]) -> psutil.Process:
    """The one that `docker stop` tells of it, by way of --init."""
    (process,) = psutil.Process(container.pid).children()
    return process


def _list(text: str) -> list[str]:
    words: Any = json.loads(text)  # the form without a shell
    return list(map(str, words))
