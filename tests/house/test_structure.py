"""Imports make no circle, every file has a name of its own, and few files serve one sibling alone."""

import ast
from collections import Counter, defaultdict
from functools import cache
from pathlib import PurePosixPath

from house.sources import listing, sources

ROOM = {"__init__", "compute", "page", "rules"}
"""The fixed names of a room."""
MOST_FOR_ONE_SIBLING = 40


@cache
def _modules() -> dict[str, ast.Module]:
    """Return the syntax trees of the package by dotted name."""
    found = {}
    for source in sources("src/dina"):
        name = source.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        found[name.removesuffix(".__init__")] = source.tree
    return found


@cache
def _imports() -> dict[str, set[str]]:
    """Return what every module imports of the package, lazily too; "module:name" in a string counts as an import."""
    known = _modules()
    found: dict[str, set[str]] = {}
    for name, tree in known.items():
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                longer = {f"{node.module}.{alias.name}" for alias in node.names}
                imported |= {one if one in known else node.module for one in longer}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
                imported.add(node.value.split(":")[0])
        found[name] = (imported & known.keys()) - {name}
    return found


def _reached(start: str) -> set[str]:
    """Return every module that one leads to, itself only if it lies on a circle."""
    reached: set[str] = set()
    waiting = list(_imports()[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imports()[name]
    return reached


def test_no_module_imports_itself_in_a_circle_lazy_imports_included() -> None:
    on_a_circle = [name for name in _modules() if name in _reached(name)]
    assert not on_a_circle, listing(on_a_circle)


def test_no_two_files_share_a_base_name() -> None:
    names = Counter(PurePosixPath(source.path).stem for source in sources("src/dina"))
    shared = {name: n for name, n in names.items() if n > 1 and name not in ROOM}
    assert not shared, listing(shared)


def test_few_files_serve_one_sibling_alone() -> None:
    importers = defaultdict(set)
    for name, imported in _imports().items():
        for one in imported:
            importers[one].add(name)
    packages = {source.path.removeprefix("src/").removesuffix("/__init__.py").replace("/", ".") for source in sources("src/dina")}
    alone = [
        f"{name} serves {next(iter(users))}"
        for name, users in importers.items()
        if len(users) == 1
        and name.rpartition(".")[2] not in ROOM
        and name not in packages
        and next(iter(users)) not in packages
        and name.rpartition(".")[0] == next(iter(users)).rpartition(".")[0]
    ]
    assert len(alone) <= MOST_FOR_ONE_SIBLING, listing(alone)
