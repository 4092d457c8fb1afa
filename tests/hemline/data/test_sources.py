"""The chain of sources: what is not there is passed over, what is corrupt stops it."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
import tensorflow_datasets as tfds

from hemline.config.data import DataConfig
from hemline.data import sources
from hemline.data.sources import Absent, find_builder, prepare_files
from hemline.errors import DatasetError, DatasetUnavailableError
from hemline.storage.files import sha256_of

FILES = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    return DataConfig(data_dir=tmp_path / "data", manual_dir=tmp_path / "manual")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """No network, no package installed, no package manager; what was asked of the network."""
    asked: list[str] = []

    def no_answer(url: str, **options: object) -> requests.Response:
        asked.append(url)
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "head", no_answer)
    monkeypatch.setattr(sources, "DEBIAN_DIR", tmp_path / "not-installed")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return asked


def write_files(directory: Path, names: list[str]) -> None:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).write_bytes(b"\x1f\x8b\x08\x00" + bytes(6) + name.encode())


def refused(config: DataConfig) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        prepare_files(find_builder(config), config)
    return caught.value


def test_a_proxys_password_is_in_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://ada:Hunter2@127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(requests, "head", requests.api.head)
    config = DataConfig(data_dir=tmp_path)
    with pytest.raises(DatasetUnavailableError, match="Unable to connect to proxy") as caught:
        sources.prepare_files(sources.find_builder(config), config)
    assert "Hunter2" not in str(caught.value)


def test_all_sources_are_named_when_none_has_the_files(config: DataConfig) -> None:
    error = refused(config)
    assert isinstance(error, DatasetUnavailableError)  # trying again may help
    message = str(error)
    assert message.startswith("the files of fashion_mnist/3.0.1 must be in one of the sources. Received: none")
    for reason in (
        f"manual: no directory {config.manual_path}",
        f"debian: no directory {sources.DEBIAN_DIR}",
        "upstream: no answer from http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "(Name or service not known)",
        "apt: apt-get and dpkg are not on this machine",
    ):
        assert reason in message
    assert f"Put its files into {config.manual_path}, or set manual_dir, or connect to the network." in message


def test_sources_are_tried_in_order() -> None:
    order = ["manual", "debian", "upstream", "apt"]
    assert [name for name in sources.SOURCES if name in order] == order


def test_the_network_is_probed_once_for_a_dead_host(config: DataConfig, offline: list[str]) -> None:
    refused(config)
    assert len(offline) == 1  # TFDS alone would try four files for 204 s


@pytest.mark.parametrize("missing", FILES)
def test_a_directory_that_lacks_a_file_is_passed_over(missing: str, config: DataConfig) -> None:
    # TFDS would go to the network for the missing one, and wait there.
    write_files(config.manual_path, [name for name in FILES if name != missing])
    error = refused(config)
    assert isinstance(error, DatasetUnavailableError)
    assert f"manual: {config.manual_path} lacks {missing}" in str(error)


def test_another_data_set_is_not_looked_for_in_debians_package(tmp_path: Path) -> None:
    message = str(refused(DataConfig(dataset="mnist", data_dir=tmp_path / "data")))
    assert "debian: has only fashion_mnist" in message
    assert "apt: has only fashion_mnist" in message


def test_a_licence_that_asks_for_a_download_by_hand_is_told(tmp_path: Path, offline: list[str]) -> None:
    message = str(refused(DataConfig(dataset="imagenet2012", data_dir=tmp_path / "data")))
    assert "upstream: its licence asks for a download by hand: " in message
    assert offline == []


def test_a_corrupt_file_stops_the_chain(config: DataConfig, offline: list[str]) -> None:
    write_files(config.manual_path, FILES)
    error = refused(config)
    assert not isinstance(error, DatasetUnavailableError)  # trying again will not help
    message = str(error)
    assert any(message.startswith(f"{config.manual_path / name} must have the SHA-256") for name in FILES)
    assert message.endswith("The file is corrupt: fetch it again.")
    assert offline == []


def test_a_corrupt_file_of_debians_package_names_the_packages_directory(
    config: DataConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The copy with upstream's header is gone when the message is read.
    monkeypatch.setattr(sources, "DEBIAN_DIR", tmp_path / "debian")
    write_files(sources.DEBIAN_DIR, FILES)
    assert str(sources.DEBIAN_DIR) in str(refused(config))


def test_debians_files_get_upstreams_header(config: DataConfig, tmp_path: Path) -> None:
    write_files(tmp_path / "debian", FILES)
    config.data_path.mkdir()
    with ExitStack() as stack:
        restored = sources.restored_files(tmp_path / "debian", config, stack)
        assert sorted(path.name for path in restored.iterdir()) == FILES
        for name in FILES:
            # RFC 1952: magic, deflate, flag FNAME, mtime, no extra flags, Unix, name.
            mtime = 1504176606 if name.startswith("train") else 1504176627
            header = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 8, mtime, 0, 3) + name.removesuffix(".gz").encode() + b"\0"
            assert (restored / name).read_bytes() == header + name.encode()
    assert not restored.exists()


def test_sources_are_tried_until_one_has_the_files(config: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def source(name: str, absent: bool) -> sources.Source:
        def fetch(builder: tfds.core.DatasetBuilder, config: DataConfig, stack: ExitStack) -> Path | None:
            tried.append(name)
            if absent:
                raise Absent("not here")
            return config.manual_path

        return fetch

    prepared: list[Path | None] = []
    monkeypatch.setattr(sources, "SOURCES", {"a": source("a", True), "b": source("b", False), "c": source("c", False)})
    monkeypatch.setattr(sources, "prepare_from", lambda builder, config, directory: prepared.append(directory))
    prepare_files(find_builder(config), config)
    assert tried == ["a", "b"]
    assert prepared == [config.manual_path]


def test_a_network_that_dies_on_the_way_is_an_absent_source(
    config: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: tfds.core.DatasetBuilder, **options: object) -> None:
        raise requests.ConnectionError("reset by peer")

    monkeypatch.setattr(requests, "head", lambda url, **options: _Answer())
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", dies)
    error = refused(config)
    assert isinstance(error, DatasetUnavailableError)
    assert "upstream: reset by peer" in str(error)


class _Answer:
    def raise_for_status(self) -> None:
        pass


def test_a_command_that_fails_is_an_absent_source_with_its_last_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(words: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 100, "", "W: a warning\nE: Unable to locate package x\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Absent, match="apt-get download x: E: Unable to locate package x"):
        sources.run_command("apt-get", "-qq", "download", "x", cwd=tmp_path)


def test_a_command_that_hangs_is_an_absent_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(words: tuple[str, ...], timeout: float, **options: object) -> None:
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Absent, match="apt-get took more than 300 s"):
        sources.run_command("apt-get", "update", cwd=tmp_path)


# --- the real files of Debian's package


@pytest.fixture
def installed(debian_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as if installed, in files that the test may damage."""
    directory = tmp_path / "debian"
    directory.mkdir()
    for file in debian_files.glob("*.gz"):
        (directory / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(sources, "DEBIAN_DIR", directory)
    return directory


def test_debians_files_with_upstreams_header_are_upstreams(installed: Path, config: DataConfig) -> None:
    config.data_path.mkdir()
    registered = {info.filename: info.checksum for info in find_builder(config).url_infos.values()}
    with ExitStack() as stack:
        restored = sources.restored_files(installed, config, stack)
        assert {path.name: sha256_of(path) for path in restored.iterdir()} == registered


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_of_a_packed_file_is_noticed(
    name: str, installed: Path, config: DataConfig, offline: list[str], flip_byte: Callable[[Path, int], None]
) -> None:
    flip_byte(installed / name, (installed / name).stat().st_size // 2)
    error = refused(config)
    assert not isinstance(error, DatasetUnavailableError)
    assert name in str(error)
    assert offline == []


@pytest.mark.parametrize("name", FILES[1::2])
def test_one_flipped_byte_in_manual_dir_is_noticed(
    name: str, installed: Path, config: DataConfig, offline: list[str], flip_byte: Callable[[Path, int], None]
) -> None:
    # The sound package of Debian is there too, and must not hide that the chosen files are corrupt.
    config.data_path.mkdir()
    with ExitStack() as stack:
        restored = sources.restored_files(installed, config, stack)
        restored.rename(config.manual_path)
        restored.mkdir()  # for the stack to remove
    flip_byte(config.manual_path / name, -1)
    message = str(refused(config))
    assert str(config.manual_path / name) in message
    assert offline == []
