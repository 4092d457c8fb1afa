"""What the documents name is there: files and headings behind links, commands and their options, modules, fields.

    faults("docs/use.md", "`make retrian`")     # ['docs/use.md: make retrian: the Makefile has no such target']

Nothing is run, and TensorFlow is not imported.
"""

import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from markdown_it import MarkdownIt
from pydantic import BaseModel

from hemline.cli import app
from hemline.config.retrain import RetrainConfig
from hemline.config.verify import VerifyConfig
from hemline.proofs.questions import QUESTIONS
from tests.test_architecture import LAYERS, ROOMS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECTORIES = {"bench", "docs", "flows", "hemline", "ops", "recipes", "tasks", "tests"}
COMMAND_FENCES = {"", "bash", "console", "sh"}
CONFIGURATIONS: dict[str, type[BaseModel]] = {"retrain": RetrainConfig, "verify": VerifyConfig}
OF_A_PROGRAM = {  # make targets whose ARGS are argparse's
    "up": "ops/up.py",
    "bench": "bench/training.py",
    "bench-gate": "bench/gate.py",
    "bench-growth": "bench/growth.py",
    "bench-workers": "bench/workers.py",
    "bench-scale": "bench/scale.py",
    "chaos": "ops/chaos/__main__.py",
}

DOCUMENTS = sorted(
    subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
)


# --- what a document says


@dataclass
class Document:
    """The parts of a document that can be wrong."""

    links: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)  # inline code
    fences: list[tuple[str, str]] = field(default_factory=list)  # language and content


def read(text: str) -> Document:
    """A document in its parts."""
    found = Document()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for number, token in enumerate(tokens):
        if token.type == "fence":
            found.fences.append((token.info, token.content))
        for child in token.children or []:
            if child.type in ("link_open", "image"):
                found.links.append(str(child.attrs.get("href") or child.attrs.get("src")))
            elif child.type == "code_inline":
                found.spans.append(" ".join(child.content.split()))
        if token.type == "heading_open":
            words = "".join(
                child.content for child in tokens[number + 1].children or [] if child.type in ("text", "code_inline")
            )
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            repeated = sum(
                anchor == slug or re.fullmatch(rf"{slug}-\d+", anchor) is not None for anchor in found.anchors
            )
            found.anchors.append(f"{slug}-{repeated}" if repeated else slug)
    return found


def commands(document: Document) -> Iterator[str]:
    """Lines that may be commands: in fences, and inline."""
    for language, content in document.fences:
        if language in COMMAND_FENCES:
            for line in content.replace("\\\n", " ").splitlines():
                yield from re.split(r"\s&&\s", line)
    yield from document.spans


# --- what there is


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def program() -> dict[str, set[str]]:
    """The options of each command of `hemline`."""
    import_module(PROJECT["scripts"]["hemline"].partition(":")[0])  # which may add commands
    group: Any = typer.main.get_command(app)
    found = {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
        for name, command in group.commands.items()
    }
    for name, model in CONFIGURATIONS.items():
        found[name] = {f"--{option}" for option in options_of(model)}
    everywhere = {"--help", *(option for parameter in group.params for option in parameter.opts)}
    return {name: options | everywhere for name, options in found.items()}


def options_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field as an option, nested ones with dots."""
    for name, info in model.model_fields.items():
        yield (prefix + name).replace("_", "-")
        for part in (info.annotation, *get_args(info.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from options_of(part, f"{prefix}{name}.")


@cache
def fields() -> set[str]:
    """Names of fields of configurations, at any depth, and of a deployment's parameters."""
    names = {part.replace("-", "_") for option in options_of(RetrainConfig) for part in option.split(".")}
    return names | {"config", "promotion", "schedules", "parameters"}


@cache
def deployments() -> dict[str, set[str]]:
    """'flow/deployment' and the parameters that its flow takes."""
    found = {}
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        module, _, function = deployment["entrypoint"].partition(":")
        node = names_in(module)[function]
        assert isinstance(node, ast.FunctionDef)
        found[f"{function}/{deployment['name']}"] = {argument.arg for argument in node.args.args}
    return found


def source_of(module: str) -> Path | None:
    """The file of a module of this project."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def names_in(module: str) -> dict[str, ast.stmt]:
    """What a module of this project defines or imports at its top."""
    found: dict[str, ast.stmt] = {}
    source = source_of(module)
    assert source, module
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name: node for alias in node.names}
    return found


def importable(name: str) -> bool:
    """Whether 'package.module' or 'package.module.attribute...' is there."""
    parts = name.split(".")
    if parts[0] not in LAYERS:
        return find_spec(parts[0]) is not None
    for length in range(len(parts), 0, -1):
        if source_of(".".join(parts[:length])):
            return length == len(parts) or parts[length] in names_in(".".join(parts[:length]))
    return False


# --- what is wrong


def link_faults(path: str, document: Document) -> Iterator[str]:
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / path).parent / target if target else ROOT / path
        if not file.exists():
            yield f"{link}: there is no such file"
        elif anchor:
            anchors = document.anchors if not target else read(file.read_text()).anchors
            if anchor not in anchors:
                yield f"{link}: there is no such heading"


def command_faults(line: str) -> Iterator[str]:
    """Of one line, if it is a command that this project knows about."""
    line = re.sub(r"\s+#.*|\s+\|.*", "", line.strip().removeprefix("$ "))
    try:
        words = shlex.split(line)
    except ValueError:  # an apostrophe: a sentence of a log
        return
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    if not words:
        return
    words[0] = words[0].removeprefix(".venv/bin/")
    match words:
        case ["make", *rest]:
            yield from make_faults(rest)
        case ["hemline", name, *rest] if re.fullmatch(r"[a-z]+", name):
            yield from hemline_faults(name, rest)
        case ["prefect", "deployment", "run", name, *rest]:
            if name not in deployments():
                yield f"{name}: prefect.yaml has no such deployment"
            for given in (rest[n + 1] for n, word in enumerate(rest[:-1]) if word == "--param"):
                if (parameter := given.partition("=")[0]) not in deployments().get(name, {parameter}):
                    yield f"{parameter}: {name} has no such parameter"
        case ["prefect", group, command, *_] if not group.startswith("-"):
            package = find_spec("prefect")
            source = Path(str(package and package.origin)).parent / "cli" / f"{group.replace('-', '_')}.py"
            if not source.exists() or f"def {command.replace('-', '_')}(" not in source.read_text():
                yield f"prefect {group} {command}: Prefect has no such command"
        case ["python" | "python3", "-m", module, *_]:
            if not (source_of(module) if module.split(".")[0] in LAYERS else find_spec(module)):
                yield f"python -m {module}: there is no such module"
        case ["pip", "install", *rest]:
            for extra in re.findall(r"\.\[(\w+)\]", " ".join(rest)):
                if extra not in PROJECT["optional-dependencies"]:
                    yield f"[{extra}]: pyproject.toml has no such extra"
        case [option, *_] if re.fullmatch(r"--[a-z][a-z.-]+", option):
            if not any(option in options for options in program().values()):
                yield f"{option}: no command has this option"


def make_faults(words: list[str]) -> Iterator[str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    for target in (word for word in words if "=" not in word):
        if target not in make_targets():
            yield f"make {target}: the Makefile has no such target"
        elif target in CONFIGURATIONS:
            yield from hemline_faults(target, shlex.split(given.get("ARGS", "")))
        elif target in OF_A_PROGRAM:
            known = (ROOT / OF_A_PROGRAM[target]).read_text()
            for option in (word for word in shlex.split(given.get("ARGS", "")) if word.startswith("--")):
                if f'"{option}"' not in known:
                    yield f"make {target}: {option} is no option of it"


def hemline_faults(name: str, words: list[str]) -> Iterator[str]:
    if name not in program():
        yield f"hemline {name}: there is no such command"
        return
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in program()[name]:
            yield f"hemline {name}: {word} is no option of it"


def name_faults(span: str, absent: set[str]) -> Iterator[str]:
    """Of inline code that is a path, a deployment, a module or a field. absent: files that are yet to be made."""
    if re.fullmatch(r"[\w-]+/[\w./-]*", span) and span.partition("/")[0] in DIRECTORIES:
        if span not in absent and not (ROOT / span).exists():
            yield f"{span}: there is no such file"
    elif re.fullmatch(r"[\w-]+\.(py|toml)", span) and span not in absent:
        if not any(ROOT.rglob(span)):
            yield f"{span}: there is no such file"
    elif re.fullmatch(r"[a-z]+/[a-z]+", span) and span.partition("/")[0] in {
        name.partition("/")[0] for name in deployments()
    }:
        if span not in deployments():
            yield f"{span}: prefect.yaml has no such deployment"
    elif match := re.fullmatch(rf"(?:import )?((?:{'|'.join(LAYERS)})(?:\.\w+)+)(?:\(.*\))?", span):
        if not importable(match[1]):
            yield f"{match[1]}: there is no such module or name"
    elif (match := re.fullmatch(r"([a-z_]+): \S.*", span)) and match[1] not in fields():
        yield f"{match[1]}: no configuration has this field"


def python_faults(content: str) -> Iterator[str]:
    """Of a block of Python: what it imports of this project, and what it takes of `hemline` itself."""
    for node in ast.walk(ast.parse(content)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hemline":
            names = [f"hemline.{node.attr}"]
        for name in names:
            if not importable(name):
                yield f"{name}: there is no such module or name"


def faults(path: str, text: str) -> list[str]:
    """What a document names and is not there. path: relative to the repository."""
    document = read(text)
    absent = set(re.findall(r"^\*\*Create `([^`]+)`", text, re.MULTILINE))
    found = list(link_faults(path, document))
    for line in commands(document):
        found += command_faults(line)
    for span in document.spans:
        found += name_faults(span, absent)
    for language, content in document.fences:
        if language == "python" and path != "CONTRIBUTING.md":  # whose blocks are run by test_contributing
            found += python_faults(content)
    found += [
        f"{word}: a place of somebody's machine" for word in re.findall(r"(?<![\w.…])/(?:root|home|tmp|work)/\S*", text)
    ]
    return [f"{path}: {fault}" for fault in found]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_what_a_document_names_is_there(path: str) -> None:
    assert faults(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "[a page](nowhere.md)",
        "![a picture](flow-runs.png)",
        "[a heading](use.md#rune-it)",
        "[a heading](#nothing)",
        "`make retrian`",
        '`make retrain ARGS="--epoch 3"`',
        '`make up ARGS="--ports 1"`',
        "`hemline verfy 1`",
        "`hemline ledger --on 2026-11-01`",
        "`hemline retrain --groups.lower.rate 3`",
        "`--streamed true`",
        "```\n$ hemline version\n```",
        "```\ncd hemline && make tests\n```",
        "```\n.venv/bin/prefect deployment run 'retrain/weekly'\n```",
        "`prefect deployment run 'rollback/champion' --param why=x`",
        "`prefect flow-run restart ID`",
        "`python -m flows.retrian`",
        "`pip install -e '.[gpus]'`",
        "`retrain/weekly`",
        "`hemline/proofs/parities.py`",
        "`test_paritys.py`",
        "`hemline.registry.load`",
        "`hemline.nothing.load(path)`",
        "`ema_momentun: 0.99`",
        "```python\nimport hemline\nhemline.lood('x')\n```",
        "```python\nfrom hemline.models import built\n```",
        "```python\nfrom hemline.modells import build\n```",
        "see /tmp/base.log",
    ],
)
def test_a_planted_fault_is_found(planted: str) -> None:
    assert faults("docs/use.md", f"# Use\n\n{planted}\n")


@pytest.mark.parametrize(
    "right",
    [
        "[a page](data.md), [the readme](../README.md#two-commands), [here](#use), <http://127.0.0.1:4200>",
        '`make retrain ARGS="--groups.lower.layers \'norm_*\' --gate.margin 0.5"`, `make up ARGS="--port 4201"`',
        "`hemline ledger --at 2026-11-01`, `hemline retrain --help`, `--validation test`, `hemline predict FILE...`",
        "```\n$ PREFECT_API_URL=x .venv/bin/prefect deployment run 'rollback/champion' --param to=7   # words\n```",
        "`retrain/nightly`, `hemline/proofs/parity.py`, `hemline.models.build`, `import hemline.models.layer_norm`",
        "`gate: {promotion: manual}`, `model.fit`, `artifacts/models/1`, `hidden_*/kernel`",
        "```python\nfrom hemline.models import MODELS, build\nimport keras\n```",
        "```\n17:33 | INFO | it's a log line\n```",
    ],
)
def test_what_is_right_is_no_fault(right: str) -> None:
    assert faults("docs/use.md", f"# Use\n\n{right}\n") == []


def test_headings_are_linked_as_on_the_forge() -> None:
    text = "# Two `commands`, now\n\n## runs/…/, a run\n\n## Two commands now\n\n```\n# no heading\n```\n"
    assert read(text).anchors == ["two-commands-now", "runs-a-run", "two-commands-now-1"]


def test_the_readme_is_two_screens() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 100
    assert [line for line in lines if len(line) > 120] == []


def test_the_figure_has_every_room_in_its_place() -> None:
    shown = re.findall(r'font-weight="bold"[^>]*>([^<]+)<', (ROOT / "docs" / "architecture.svg").read_text())
    assert shown == ["ops, bench", "flows", "tasks", "hemline", *reversed(ROOMS)]


@pytest.mark.parametrize("number", QUESTIONS)
def test_the_nine_claims_are_told_as_they_are_proved(number: int) -> None:
    question = QUESTIONS[number]
    row = f"| {number} | {question.english} | {question.claim} | {question.correction or 'none'} |"
    assert row in (ROOT / "docs" / "exercises.md").read_text().splitlines()
