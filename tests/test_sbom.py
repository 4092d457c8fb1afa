"""The bill of materials: what is installed, each with its version, where it comes from and its licence."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make sbom` writes about the packages that run these tests. Skips where no package registry answers."""
    file = tmp_path_factory.mktemp("sbom") / "sbom.json"
    here = os.path.relpath(Path(sys.executable).parent, ROOT)  # make splits a path at its spaces
    settings = [f"SBOM={file}", f"BIN={here}", f"PYTHON={here}/python"]
    done = subprocess.run(["make", "-s", "-o", "setup", "sbom", *settings], cwd=ROOT, capture_output=True, text=True)
    if "No matching distribution" in done.stderr:
        pytest.skip("cyclonedx-bom is not to be had here")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


@pytest.mark.system
def test_it_lists_what_is_installed(bill: dict[str, Any]) -> None:
    installed = {normal(each.name): each.version for each in importlib.metadata.distributions()}
    listed = {normal(each["name"]): each["version"] for each in bill["components"]}
    own = bill["metadata"]["component"]
    assert (bill["bomFormat"], own["name"]) == ("CycloneDX", "hemline")
    assert listed | {"hemline": own["version"]} == installed
    assert {"tensorflow", "keras", "prefect", "cryptography"} <= set(listed)


@pytest.mark.system
def test_each_has_an_address_that_scanners_know_and_nearly_all_a_licence(bill: dict[str, Any]) -> None:
    for each in bill["components"]:
        assert normal(each["purl"]).startswith(normal(f"pkg:pypi/{each['name']}@{each['version']}"))
    without = [each["name"] for each in bill["components"] if not each.get("licenses")]
    assert len(without) < 0.1 * len(bill["components"]), without


@pytest.mark.system
def test_it_says_what_depends_on_what(bill: dict[str, Any]) -> None:
    names = {each["bom-ref"]: normal(each["name"]) for each in bill["components"]}
    needs = {each["ref"]: {names.get(ref) for ref in each.get("dependsOn", [])} for each in bill["dependencies"]}
    assert {"tensorflow", "prefect", "pandas"} <= needs["root-component"]
    (keras,) = (ref for ref, name in names.items() if name == "keras")
    assert "numpy" in needs[keras]
