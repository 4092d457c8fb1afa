"""A deployment's run stays under HEMLINE_ROOT, whatever parameters it is started with; a person's goes anywhere."""

from pathlib import Path
from typing import Any

import pytest
from prefect import runtime
from prefect.client.schemas.objects import State

from flows.places import confine
from flows.prune import prune
from flows.retrain import retrain
from flows.rollback import rollback
from flows.verify import verify
from hemline.config.retrain import RetrainConfig
from hemline.config.verify import VerifyConfig
from hemline.errors import ConfigurationError
from hemline.registry.prune import Retention
from tests.hemline.registry.published import make_version


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HEMLINE_ROOT of a worker's run; a link in it leads outside."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root / "artifacts", outside / "artifacts"):
        directory.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    monkeypatch.setenv("HEMLINE_ROOT", str(root))
    monkeypatch.setenv("HOME", str(outside))
    monkeypatch.setattr(runtime.deployment, "id", "d0")
    return root


OUTSIDE = ["/", "..", "artifacts/../../outside", "../outside", "link", "link/artifacts", "~", "~/artifacts", "/etc"]


@pytest.mark.parametrize("place", OUTSIDE)
def test_a_place_outside_is_refused_however_it_is_written(root: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match=r"artifacts_dir=.* which is .*HEMLINE_ALLOWED") as caught:
        confine(artifacts_dir=Path(place))
    assert str((root / Path(place).expanduser()).resolve()) in str(caught.value)


@pytest.mark.parametrize("place", ["artifacts", ".", "made/later", "artifacts/../data", None])
def test_a_place_inside_is_not(root: Path, place: str | None) -> None:
    confine(data_dir=None if place is None else Path(place), artifacts_dir=root / "artifacts")


def test_the_operator_of_the_worker_may_allow_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMLINE_ALLOWED", f"/mnt/none:{root.parent / 'outside'}")
    confine(artifacts_dir=root / "link", data_dir=Path("/mnt/none/data"))
    with pytest.raises(ConfigurationError, match="which is /mnt/nonetheless"):  # a name that begins alike is another
        confine(artifacts_dir=Path("/mnt/nonetheless"))


def test_pictures_may_lie_under_the_root_or_where_the_operator_says(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dataset in ("folder:pets", f"folder:{root}/pets", "folder:artifacts/../pets", "mnist", "a.b:C"):
        confine(dataset=RetrainConfig(dataset=dataset).folder)
    monkeypatch.setenv("HEMLINE_ALLOWED", "/srv/pictures")
    confine(dataset=RetrainConfig(dataset="folder:/srv/pictures/pets").folder)
    with pytest.raises(ConfigurationError, match="dataset of a deployment's run must be under HEMLINE_ROOT"):
        confine(dataset=RetrainConfig(dataset="folder:/srv/pictures/../pets").folder)


def test_a_person_in_a_terminal_may_name_any_place(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.deployment, "id", None)
    for place in OUTSIDE:
        confine(artifacts_dir=Path(place))


def refused(state: State[Any], field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} of a deployment's run must be under HEMLINE_ROOT"):
        state.result()


def test_no_flow_writes_or_deletes_outside(root: Path) -> None:
    """Regression: prune/look with delete and artifacts_dir=/srv removed what is called runs and models there."""
    outside = root.parent / "outside"
    for _ in range(3):
        make_version(outside)
    before = sorted(outside.rglob("*"))
    refused(
        prune(Retention(keep_versions=1, keep_days=0), delete=True, artifacts_dir=outside, return_state=True),
        "artifacts_dir",
    )
    refused(rollback("no reason", to="1", artifacts_dir=outside, return_state=True), "artifacts_dir")
    refused(verify(VerifyConfig(artifacts_dir=outside), return_state=True), "artifacts_dir")
    for field in ("artifacts_dir", "data_dir", "manual_dir", "resume"):
        refused(retrain(RetrainConfig(**{field: outside}), return_state=True), field)
    refused(retrain(RetrainConfig(resume=Path("~/runs/one")), return_state=True), "resume")
    for place in OUTSIDE:
        refused(retrain(RetrainConfig(dataset=f"folder:{place}"), return_state=True), "dataset")
    assert sorted(outside.rglob("*")) == before
    assert list((root / "artifacts").iterdir()) == []
