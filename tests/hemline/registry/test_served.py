"""What a model server finds: every version under models/<name>, the champion alone under serving/<name>."""

import os
import re
import shutil
from pathlib import Path

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.errors import RegistryError, StorageError
from hemline.registry.champion import Registry, names, registries, registry_of
from hemline.registry.served import Served
from hemline.registry.versions import numbered
from tests.hemline.registry.published import RECORD, make_version

OTHER = RECORD.model_copy(update={"config": RetrainConfig(name="other")})


def tensorflow_serving(base: Path) -> dict[int, str]:
    """The versions that it finds: every child, of any kind, whose name C reads as a whole number of 64 bits."""
    named = {name: re.fullmatch(r"\s*([+-]?\d{1,18})\s*", name, re.ASCII) for name in os.listdir(base)}  # noqa: PTH208
    return {int(match[1]): name for name, match in named.items() if match}


def triton(model: Path) -> list[int]:
    """The versions that it finds: directories with a number for a name, which must not begin with a zero."""
    return sorted(
        int(path.name) for path in model.iterdir() if path.is_dir() and re.fullmatch("[1-9][0-9]*", path.name)
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Twelve versions and no champion."""
    for _ in range(12):
        make_version(tmp_path)
    return Registry(tmp_path, "tiny")


def served(registry: Registry) -> list[str]:
    return [path.name for path in registry.served.path.iterdir()]


def test_servers_find_the_versions_and_nothing_else(registry: Registry) -> None:
    for name in (".13-abcdefgh", ".12-deleted", ".4711-old"):  # what killed processes leave
        (registry.models / name).mkdir()
    assert registry.versions() == [str(number) for number in range(1, 13)]
    assert sorted(tensorflow_serving(registry.models)) == triton(registry.models) == list(range(1, 13))
    assert all((registry.models / name / "saved_model.pb").exists() for name in registry.versions())


def test_the_champion_alone_is_served(registry: Registry) -> None:
    assert not registry.served.path.exists()
    for move, version in (
        (lambda: registry.promote("9", by="a", reason="b"), "9"),
        (lambda: registry.promote("10", by="a", reason="b"), "10"),
        (lambda: registry.protect("3", by="a", reason="b"), "10"),
        (lambda: registry.rollback(by="a", reason="b"), "9"),
    ):
        move()
        assert served(registry) == [version] == [registry.served.version]
        assert tensorflow_serving(registry.served.path) == {int(version): version}
        assert (registry.served.path / version).resolve() == registry.path(version).resolve()
        assert [path.name for path in registry.directory.glob("*champion-*")] == [f"champion-{version}"]


def test_it_moves_with_its_artifacts(registry: Registry, tmp_path: Path) -> None:
    """All links are relative: a backup, or the same disk at another place, serves the same."""
    registry.promote("2", by="a", reason="b")
    moved = Path(shutil.copytree(tmp_path, tmp_path / "elsewhere", symlinks=True))
    shutil.rmtree(registry.models)
    assert (moved / "serving" / "tiny" / "2" / "saved_model.pb").read_bytes() == b"graph"


def test_there_is_one_at_every_moment_and_it_is_whole(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks before every change of a name: the old one is served until the rename, and the new one from then on."""
    registry.promote("1", by="a", reason="b")
    seen, replace, rename = list[list[str]](), Path.replace, Path.rename

    def look(path: Path, target: Path, change: object) -> Path:
        seen.append(served(registry))
        done: Path = change(path, target)  # type: ignore[operator]
        seen.append(served(registry))
        return done

    monkeypatch.setattr(Path, "replace", lambda path, target: look(path, target, replace))
    monkeypatch.setattr(Path, "rename", lambda path, target: look(path, target, rename))
    registry.promote("2", by="a", reason="b")
    assert seen == sorted(seen)
    assert {tuple(each) for each in seen} == {("1",), ("2",)}


@pytest.mark.parametrize(("within", "dies_in"), [(Registry, "_write_alias"), (Served, "point")])
def test_a_writer_that_dies_after_its_line_is_mended_by_the_next_reader(
    within: type, dies_in: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote("1", by="a", reason="b")
    with monkeypatch.context() as dying:
        dying.setattr(within, dies_in, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.promote("2", by="a", reason="b")
    assert (served(registry), registry.entries()[-1].champion_after) == (["1"], "2")
    assert registry.champion() == "2"
    assert served(registry) == ["2"]


@pytest.mark.parametrize("damage", ["link", "directory", "inner link", "another", "left"])
def test_what_was_changed_by_hand_is_repaired(damage: str, registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    inner = registry.directory / "champion-1" / "1"
    if damage in ("link", "another"):
        registry.served.path.unlink()
    if damage == "directory":
        shutil.rmtree(inner.parent)
    if damage == "inner link":
        inner.unlink()
        inner.symlink_to("../../../models/tiny/2")
    if damage == "another":
        registry.served.path.symlink_to("../models/tiny")
    if damage == "left":
        (registry.directory / "champion-7").mkdir()
    assert not registry.served.is_at("1")
    assert registry.champion() == "1"
    assert (served(registry), (registry.served.path / "1").resolve()) == (["1"], registry.path("1").resolve())
    assert registry.served.is_at("1")


def test_what_is_no_link_is_not_replaced(registry: Registry) -> None:
    """It may be somebody's. Readers are answered all the same."""
    registry.served.path.mkdir(parents=True)
    with pytest.raises(
        StorageError, match=r"must be a link that is made here. Received: .*serving/tiny, which is none"
    ):
        registry.promote("1", by="a", reason="b")
    assert registry.champion() == "1"
    registry.served.path.rmdir()
    assert registry.champion() == "1"
    assert served(registry) == ["1"]


def test_without_a_champion_nothing_is_served(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    registry.ledger.path.unlink()
    registry.alias.unlink()
    assert registry.champion() is None
    assert not registry.served.path.is_symlink()
    assert numbered(registry.directory) == []


# --- several names


@pytest.fixture
def both(tmp_path: Path) -> tuple[Registry, Registry]:
    """Three versions of each of two names, 3 the champion of each."""
    for _ in range(3):
        make_version(tmp_path)
        make_version(tmp_path, record=OTHER)
    both = Registry(tmp_path, "tiny"), Registry(tmp_path, "other")
    for registry in both:
        for version in ("1", "3"):
            registry.promote(version, by="a", reason="b")
    return both


def test_a_rollback_of_one_does_not_touch_the_other(both: tuple[Registry, Registry]) -> None:
    tiny, other = both
    files = {path: path.read_bytes() for path in other.directory.iterdir() if path.is_file()}
    tiny.rollback(by="a", reason="b")
    assert (tiny.champion(), served(tiny)) == ("1", ["1"])
    assert (other.champion(), served(other)) == ("3", ["3"])
    assert {path: path.read_bytes() for path in files} == files
    assert (len(tiny.entries()), len(other.entries())) == (3, 2)


def test_the_model_of_another_name_is_refused(both: tuple[Registry, Registry]) -> None:
    """Whole, and by its number; but put there by hand."""
    tiny, other = both
    shutil.copytree(other.path("2"), tiny.models / "4")
    shutil.rmtree(tiny.path("2"))
    shutil.copytree(other.path("2"), tiny.models / "2")
    for version in ("2", "4"):
        with pytest.raises(Exception, match=r"the model that was published by its number"):
            tiny.promote(version, by="a", reason="b")


def test_names_are_found_and_one_is_asked_for_among_several(both: tuple[Registry, Registry], tmp_path: Path) -> None:
    (tmp_path / "models" / ".hidden").mkdir()
    (tmp_path / "registry" / "only a file").mkdir()
    shutil.rmtree(tmp_path / "models" / "other")  # its ledger is left
    assert names(tmp_path) == ["other", "tiny"]
    assert [registry.name for registry in registries(tmp_path, None)] == ["other", "tiny"]
    assert registry_of(tmp_path, "tiny").name == "tiny"
    with pytest.raises(
        RegistryError, match=r"a name must be given where there are several models. .*none of other, tiny"
    ):
        registry_of(tmp_path, None)
    for name in ("third", "", "../models/tiny"):
        with pytest.raises(RegistryError, match=r"name must be that of a model in .*There are other, tiny\."):
            registry_of(tmp_path, name)
    with pytest.raises(RegistryError, match=r"there must be a model. Received: .*Publish a version first"):
        registry_of(tmp_path / "new", None)
