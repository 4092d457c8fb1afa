"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the repository.

A recipe is a section `### Add ...` of these parts, and the words around them are for people:

    Files: `a.py`, `b.py`                                               all that it touches
    **Create `a.py`:**                                                  and the file in a fenced block
    **In `b.py`, after the line `TABLE = {`, add:**                     or: before the line
    **Run:**                                                            and the commands in a fenced block
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CACHES = (".ruff_cache/", ".hypothesis/")
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = ["Add a model", "Add an optimizer", "Add a gate rule", "Add a check of data", "Add a data source"]
RECIPES += ["Add a flow step"]
STEP = re.compile(r"^\*\*(?P<what>.+?):\*\*\n\n```\w*\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)
CREATE = re.compile(r"Create `(?P<path>[^`]+)`")
INSERT = re.compile(r"In `(?P<path>[^`]+)`, (?P<where>after|before) the line `(?P<line>[^`]+)`, add")


class Recipe(NamedTuple):
    files: list[str]
    steps: list[tuple[str, str]]  # what to do, and the fenced block
    commands: list[str]


def recipe(title: str) -> Recipe:
    """A recipe's parts."""
    section = re.split(r"^#+ ", TEXT.partition(f"\n### {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    listed = re.search(r"^Files: (.+)$", section, re.MULTILINE)
    assert listed, title
    *steps, (what, commands) = STEP.findall(section)
    assert what == "Run"
    return Recipe(re.findall(r"`([^`]+)`", listed[1]), steps, commands.splitlines())


def follow(root: Path, what: str, block: str) -> str:
    """Does one step, and returns the path of the file that it touched."""
    if create := CREATE.fullmatch(what):
        path = root / create["path"]
        assert not path.exists(), f"{path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
        return create["path"]
    insert = INSERT.fullmatch(what)
    assert insert, f"not a step: {what}"
    path = root / insert["path"]
    lines = path.read_text().splitlines(keepends=True)
    assert lines.count(insert["line"] + "\n") == 1, f"{path} must have the line {insert['line']!r} once"
    place = lines.index(insert["line"] + "\n") + (insert["where"] == "after")
    path.write_text("".join([*lines[:place], block, *lines[place:]]))
    return insert["path"]


def copy_of_the_repository(root: Path) -> None:
    """What git would commit now: the tracked files as they are, and new ones that are not ignored."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in names.split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)


def contents(root: Path) -> dict[str, bytes]:
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(CACHES)}


def run(root: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(root), "HEMLINE_ROOT": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    root = tmp_path / "hemline"
    root.mkdir()
    copy_of_the_repository(root)
    return root


def test_these_are_the_recipes() -> None:
    assert re.findall(r"^### (Add .+)$", TEXT, re.MULTILINE) == RECIPES


def changed(root: Path, before: dict[str, bytes]) -> set[str]:
    """Files that were made or changed since. None has gone."""
    after = contents(root)
    assert before.keys() <= after.keys()
    return {name for name in after if before.get(name) != after[name]}


@pytest.mark.slow
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works_alone_and_touches_the_files_that_it_names(title: str, copy: Path) -> None:
    files, steps, commands = recipe(title)
    before = contents(copy)
    for what, block in steps:
        follow(copy, what, block)
    for command in commands:
        run(copy, *shlex.split(command))
    assert changed(copy, before) == set(files)
    run(copy, "ruff", "check", "--no-cache", *files)


def test_recipes_work_one_after_the_other_and_each_touches_the_files_that_it_names(copy: Path) -> None:
    """What they run of pytest runs at the end, once: most of its time is TensorFlow starting."""
    before, touched, tested = contents(copy), list[str](), list[str]()
    for title in RECIPES:
        files, steps, commands = recipe(title)
        made = contents(copy)
        for what, block in steps:
            follow(copy, what, block)
        for program, *words in map(shlex.split, commands):
            if program == "pytest":
                tested += words
            else:
                run(copy, program, *words)
        assert changed(copy, made) == set(files), title
        touched += files
    run(copy, "pytest", *dict.fromkeys(tested))
    assert changed(copy, before) == set(touched)
    run(copy, "ruff", "check", "--no-cache", *touched)


def test_a_line_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("TABLE = {\n}\n")
    assert follow(tmp_path, "In `a.py`, after the line `TABLE = {`, add", "    1: 2,\n") == "a.py"
    assert (tmp_path / "a.py").read_text() == "TABLE = {\n    1: 2,\n}\n"
    with pytest.raises(AssertionError, match="must have the line"):
        follow(tmp_path, "In `a.py`, before the line `ROWS = {`, add", "")
    with pytest.raises(AssertionError, match="is there already"):
        follow(tmp_path, "Create `a.py`", "")
    with pytest.raises(AssertionError, match="not a step"):
        follow(tmp_path, "Change `a.py` somehow", "")
