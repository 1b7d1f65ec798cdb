"""What is public is documented, and what the documents say exists."""

import ast
import re

import pytest
import typer

import dina
from dina.analyses import ANALYSES
from dina.cli.app import app
from house.sources import ROOT, Definition, Function, arguments, fields, listing, public_definitions, sources, texts

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
SECTIONS = ["Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "See Also", "Notes", "References", "Examples"]
MANY_ARGUMENTS = 5


def _sections(node: Definition) -> dict[str, str]:
    """Split a docstring into its numpydoc sections."""
    parts = SECTION.split(ast.get_docstring(node) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _documented(section: str) -> list[str]:
    names = [line for line in section.split("\n") if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for line in names for name in line.split(" : ")[0].split(",")]


def _parameters(node: Definition) -> list[str]:
    """Name what a function, or the making of an object, takes."""
    if isinstance(node, Function):
        return arguments(node)
    init = next((member for member in node.body if isinstance(member, Function) and member.name == "__init__"), None)
    return arguments(init) if init else fields(node)


def _raises(function: Function) -> list[str]:
    """Name the errors for users that a function itself raises; nested functions and handlers included."""
    raised = [ast.unparse(node.exc).split("(")[0] for node in ast.walk(function) if isinstance(node, ast.Raise) and node.exc]
    return [name for name in raised if name in ("DataError", "ValueError", "TypeError", "FileNotFoundError")]


def test_every_public_name_is_documented() -> None:
    found = []
    for source in sources("src/dina"):
        for name, node in public_definitions(source):
            first = (ast.get_docstring(node) or "").split("\n")[0]
            if len(first.split()) < 2 or first[-1] not in ".:?":
                found.append(f"{source.path}:{node.lineno}: {name}: {first!r}")
    assert not found, listing(found)


def test_docstrings_have_numpydoc_sections_in_their_order() -> None:
    found = []
    for source in sources("src/dina"):
        for name, node in public_definitions(source):
            used = list(_sections(node))
            known = [section for section in used if section in SECTIONS]
            if used != known or known != sorted(known, key=SECTIONS.index):
                found.append(f"{source.path}:{node.lineno}: {name}: {used}")
    assert not found, listing(found)


def test_documented_parameters_are_those_of_the_signature() -> None:
    found = []
    for source in sources("src/dina"):
        for name, node in public_definitions(source):
            section = _sections(node).get("Parameters")
            actual = _parameters(node)
            if section is None:
                if isinstance(node, Function) and len(actual) > MANY_ARGUMENTS and not source.path.startswith("src/dina/cli/"):
                    found.append(f"{source.path}:{node.lineno}: {name} has {len(actual)} arguments and no Parameters section")
                continue
            # parameters that belong together may share an entry, so their order is free
            unexplained, invented = set(actual) - set(_documented(section)), set(_documented(section)) - set(actual)
            if unexplained or invented:
                found.append(f"{source.path}:{node.lineno}: {name}: unexplained {unexplained}, invented {invented}")
    assert not found, listing(found)


def test_errors_for_users_are_documented() -> None:
    found = []
    for source in sources("src/dina"):
        for name, node in public_definitions(source):
            if isinstance(node, Function) and _raises(node) and "Raises" not in _sections(node):
                found.append(f"{source.path}:{node.lineno}: {name} raises {_raises(node)[0]}: say when")
    assert not found, listing(found)


def test_every_public_name_of_the_package_appears_on_the_api_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [name for name in dina.__all__ if f"dina.{name}" not in page]
    assert not missing, listing(missing)


@pytest.mark.parametrize("side", ["image", "neural"])
def test_documents_list_every_analysis_with_its_question(side: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \| (by default|on request) \|$", texts()[f"docs/{side}-side.md"], re.MULTILINE)
    rows = [(name, row) for name, row in ANALYSES.items() if row.side == side]
    assert listed == [(name, row.question, "on request" if row.is_slow else "by default") for name, row in rows]


def _commands(path: str) -> list[list[str]]:
    """Return the words of every shell command in the fenced blocks of a document."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", texts()[path], flags=re.DOTALL)
    return [line.split("#")[0].split() for block in blocks for line in block.split("\n") if line.split("#")[0].strip()]


def test_make_commands_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", texts()["Makefile"], flags=re.MULTILINE))
    documents = [path for path in texts() if path.endswith(".md")]
    assert any(command[0] == "make" for command in _commands("README.md"))
    unknown = [f"{p}: {' '.join(c)}" for p in documents for c in _commands(p) if c[0] == "make" and c[1] not in targets]
    assert not unknown, listing(unknown)


def test_dina_commands_and_their_options_in_the_documents_exist() -> None:
    group = typer.main.get_command(app)
    unknown = []
    for path in (path for path in texts() if path.endswith(".md")):
        for command in _commands(path):
            if not command[0].endswith("dina") or len(command) < 2 or command[1].startswith("-"):
                continue
            verb = group.commands.get(command[1])
            known = {option for parameter in verb.params for option in parameter.opts} if verb else set()
            options = [word.split("=")[0] for word in command if word.startswith("--") and word not in ("--debug", "--help")]
            if verb is None or set(options) - known:
                unknown.append(f"{path}: {' '.join(command)}")
    assert any(command[0].endswith("dina") for command in _commands("README.md"))
    assert not unknown, listing(unknown)


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path, text in texts().items():
        if path.endswith(".md"):
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
                if not link.startswith(("http", "mailto:")) and not (ROOT / path).parent.joinpath(link).exists():
                    broken.append(f"{path}: {link}")
    assert not broken, listing(broken)
