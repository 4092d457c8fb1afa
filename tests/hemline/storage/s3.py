"""An S3 server of its own, on loopback or elsewhere, and copies of one bucket as several machines have them."""

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from hemline.config.paths import artifacts_at
from hemline.storage import shared

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
_buckets = count()


@contextmanager
def s3_server(on: str = "127.0.0.1") -> Iterator[str]:
    """Its address. on: an address of this machine."""
    from moto.server import ThreadedMotoServer  # a second, in each process that collects tests

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(on, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def use(address: str, patch: pytest.MonkeyPatch) -> None:
    """For every store of this process and those that it starts."""
    for name, value in {"AWS_ENDPOINT_URL": address, **CREDENTIALS}.items():
        patch.setenv(name, value)
    shared._remote.cache_clear()


def new_bucket(address: str) -> str:
    """The URL of an empty place."""
    name = f"bucket-{next(_buckets)}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT"))
    return f"s3://{name}/hemline"


def machine(root: Path, url: str, patch: pytest.MonkeyPatch) -> Path:
    """The copy of a machine with this root."""
    patch.setenv("HEMLINE_ROOT", str(root))
    return artifacts_at(url)
