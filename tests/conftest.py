"""Fixtures that every part of the tests may use: the real Fashion-MNIST, fetched once a checkout, and an S3 server."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: a failure reads better alone
os.environ.pop("HEMLINE_ARTIFACTS", None)  # or tests would publish to the store of whoever has set it

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import prefect.main  # noqa: F401  before TensorFlow, or it closes absl's log handler, and with that pytest's own file
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from hemline.config.data import DataConfig
from hemline.data import decoding
from hemline.data.dataset import DatasetRef
from hemline.errors import DatasetUnavailableError
from hemline.storage.locks import locked

# The same examples every time, and as long as they take: a test fails for what it tests alone.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


# Of the tests alone: what a person's run does to data/ while they run is nothing to them. It outlives a session.
DATA = Path(__file__).parents[1] / ".pytest-data"
SYSTEM = Path(__file__).parent / "system"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs and real servers first: begun last, they are waited for when all else is done."""
    items.sort(key=lambda item: not item.path.is_relative_to(SYSTEM))


@pytest.fixture(scope="session")
def fashion_mnist() -> DatasetRef:
    """The real data set, prepared once a checkout. Skips where no source has it."""
    files, copy = (data / "downloads" / "manual" for data in (DATA.with_name("data"), DATA))
    DATA.mkdir(exist_ok=True)
    with locked(DATA / ".copy.lock"):  # what a run has prepared here need not be fetched again; it is verified
        if files.is_dir() and not copy.exists():
            shutil.copytree(files, copy)
    try:
        return decoding.prepare(DataConfig(data_dir=DATA))
    except DatasetUnavailableError as error:
        pytest.skip(f"Fashion-MNIST is not to be had here: {error}")


class BySurroundings(LoadFileScheduling):
    """A file stays in one process, with what it shares; all of tests/flows in one, with one Prefect."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/flows" if file.startswith("tests/flows/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySurroundings:
    return BySurroundings(config, log)


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of this session have."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def parity_table(of_all_processes: Path) -> pd.DataFrame:
    """LayerNorm's parity in the default grid, computed once; must be left as it is."""
    kept = of_all_processes / "parity.parquet"
    with locked(of_all_processes / "parity.lock"):
        if not kept.exists():
            from hemline.proofs import parity

            parity.compare().to_parquet(kept)
    return pd.read_parquet(kept)


@pytest.fixture(scope="session")
def proofs(of_all_processes: Path, parity_table: pd.DataFrame) -> Path:
    """What `retrain` relies on, proved once, as an earlier run of the same machine leaves it."""
    from hemline.proofs import parity
    from hemline.proofs.questions import RELIED_ON
    from hemline.runtime.devices import select
    from tasks import verify_claims, verify_layers

    device, kept = select("auto"), of_all_processes / "proofs"
    with locked(of_all_processes / "proofs.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "compare", lambda grid: parity_table)
        for module in (verify_claims, verify_layers):  # for no run
            patch.setattr(module, "in_ui", lambda *made, **content: None)
        verify_layers.verify_layers.fn(device, kept)
        verify_claims.verify_claims.fn(device, kept, only=tuple(RELIED_ON))
    return kept


@pytest.fixture(scope="session")
def debian_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four files of Debian's package as Debian packs them. Skips where no package registry answers."""
    from hemline.data import sources

    if sources.DEBIAN_DIR.is_dir():
        return sources.DEBIAN_DIR
    directory = tmp_path_factory.mktemp("debian")
    config = DataConfig(data_dir=directory)
    with ExitStack() as stack:
        try:
            sources.SOURCES["apt"](sources.find_builder(config), config, stack)
        except sources.Absent as reason:
            pytest.skip(f"Debian's package is not to be had here: {reason}")
        (unpacked,) = directory.glob(f".apt-*/unpacked/{sources.DEBIAN_DIR.relative_to('/')}")
        shutil.copytree(unpacked, directory / "files")
    return directory / "files"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server on loopback."""
    from tests.hemline.storage.s3 import s3_server  # here, since few tests need it

    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place there, which every store of the test reaches."""
    from tests.hemline.storage.s3 import new_bucket, use

    use(s3, monkeypatch)
    return new_bucket(s3)


@pytest.fixture
def copies(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Of that place, on two machines."""
    from tests.hemline.storage.s3 import machine

    return [machine(tmp_path / name, bucket, monkeypatch) for name in ("a", "b")]
