"""Whether the code that computes something is still the same.

    digest_of("hemline.proofs.parity")          # SHA-256 of the module and of what it imports of its own package

Imports inside functions count, and so does the `__init__` of each package on the way, but not what its functions
import: nobody calls them on the way. What computes nothing does not count: docstrings, comments, layout, and what
`if TYPE_CHECKING:` imports. Imports are read, not run: a module that only a string names, as in the table of models, is
not found; name it beside the other.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
SOURCE = Path(__file__).parents[2]  # the directory that holds the package


def digest_of(*modules: str, within: tuple[str, ...] = ("",)) -> str:
    """SHA-256 of these modules, as 'hemline.proofs.parity', and of what they import, `within` some packages."""
    trees = {name: tree for name, tree in closure(*modules).items() if name.startswith(within)}
    return hashlib.sha256("\n".join(f"{name} {_dump(trees[name])}" for name in sorted(trees)).encode()).hexdigest()


def closure(*modules: str) -> dict[str, ast.Module]:
    """The code, by name, of these modules, and of what they import of the packages they are in, directly or not."""
    sources = {name: _sources(name) for name in {module.partition(".")[0] for module in modules}}
    found: dict[str, ast.Module] = {}
    done: set[tuple[str, bool]] = set()
    waiting = [(name, True) for name in modules]  # and whether its functions may be called
    while waiting:
        name, called = waiting.pop()
        path = _file(name, sources)
        if path and (name, called) not in done:
            done.add((name, called))
            found[name] = _computing(path.read_bytes())
            above = name.rpartition(".")[0]
            imports = _imports(found[name], called, name if path.stem == "__init__" else above)
            waiting += [(above, False), *((other, True) for other in imports)]
    if missing := set(modules) - found.keys():
        raise ModuleNotFoundError(f"only modules that are files have a digest. Received: {sorted(missing)}.")
    return found


_dump = cache(ast.dump)  # of trees that `_computing` keeps


@cache  # a run asks five times about much the same code
def _computing(source: bytes) -> ast.Module:
    tree: ast.Module = _Computing().visit(ast.parse(source))
    return tree


def _sources(package: str) -> list[Path]:
    """The directories that hold a package, or a module that is in none. Several hold one without an `__init__`."""
    if package == PACKAGE:
        return [SOURCE]
    spec = find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place).parent for place in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin else []


def _file(module: str, sources: dict[str, list[Path]]) -> Path | None:
    """The file of a module of one of the packages; None for any other name."""
    for source in sources.get(module.partition(".")[0], []):
        path = source.joinpath(*module.split("."))
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _imports(tree: ast.AST, in_functions: bool, package: str) -> Iterator[str]:
    """Names of modules, and of what may be one: the `a.b` of `from a import b`. package: what `.` stands for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif in_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(node, in_functions, package)


class _Computing(ast.NodeTransformer):
    """Leaves out what computes nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A string that is a statement is a docstring."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Of `if TYPE_CHECKING:` only the `else` is ever run."""
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") else node
