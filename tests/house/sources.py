"""What the house rules are asked of: the files of the project, parsed once."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True, eq=False)
class Source:
    """One Python file: its path from the root of the project, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


@cache
def project_files() -> tuple[str, ...]:
    """List the paths of all files that belong to the project; without git, all that are not caches."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        names = listing.stdout.splitlines()
    else:
        folders = ("src", "tests", "benchmarks", "docs", "examples", ".ci")
        names = [str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*")]
        names += [path.name for path in ROOT.iterdir()]
        names = [name for name in names if "__pycache__" not in name and ".egg-info" not in name]
    return tuple(sorted({name for name in names if (ROOT / name).is_file()}))


@cache
def texts() -> dict[str, str]:
    """Read every file of the project that is text."""
    found = {}
    for name in project_files():
        try:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


@cache
def sources(folder: str = "") -> tuple[Source, ...]:
    """Parse the Python files below a folder ("src/dina"); all of them without one."""
    return tuple(_parsed(name) for name in texts() if name.endswith(".py") and name.startswith(folder))


@cache
def _parsed(name: str) -> Source:
    return Source(name, texts()[name], ast.parse(texts()[name]))


def is_public(name: str) -> bool:
    """Tell whether a name is offered to users."""
    return not name.startswith("_")


def public_definitions(source: Source) -> Iterator[tuple[str, Definition]]:
    """Yield every public function, class and method of a file with its dotted name."""
    for node in source.tree.body:
        if isinstance(node, Definition) and is_public(node.name):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, Function) and is_public(member.name):
                        yield f"{node.name}.{member.name}", member


def functions(source: Source) -> Iterator[Function]:
    """Yield every function of a file, private and nested ones too."""
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def arguments(function: Function) -> list[str]:
    """Name the arguments of a function, without ``self`` and ``cls``."""
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def fields(node: ast.ClassDef) -> list[str]:
    """Name the public annotated fields of a class, class variables left out."""
    return [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and is_public(item.target.id)
        and "ClassVar" not in ast.unparse(item.annotation)
    ]


def listing(found: dict | list) -> str:
    """Write findings one on a line, so that a failure shows all of them."""
    lines = [f"{key}: {value}" for key, value in found.items()] if isinstance(found, dict) else map(str, found)
    return "\n" + "\n".join(lines)
