"""The documentation site: what it names exists, what can be installed is named right, and what was built finds its words."""

import ast
import importlib.util
import json
import re
import tomllib
from types import ModuleType

import pytest
from snowballstemmer import stemmer

import dina
from house.sources import ROOT, listing, sources, texts

BUILT = ROOT / "docs" / "_build" / "html"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GAP = "…"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_lists_every_public_name_and_module_of_the_api_page() -> None:
    files = {path.removeprefix("src/") for path in texts()}
    listed = re.findall(r"^   ~?(dina\.[\w.]+)$", texts()["docs/reference.md"], re.MULTILINE)
    expected = {f"dina.{name}" for name in dina.__all__ if not name.startswith("_")}
    rows = re.findall(r"^\| (`dina\.[^|]*) \|", texts()["docs/api.md"].split("## Pieces")[1], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(dina\.[a-z_.]+)`", row)} - {"dina.__version__"}
    is_module = {
        name for name in named if (ROOT / "src" / name.replace(".", "/")).is_dir() or name.replace(".", "/") + ".py" in files
    }
    modules = is_module | {name.rpartition(".")[0] for name in named - is_module}
    missing = sorted((expected | modules) - set(listed))
    assert not missing, listing(missing)


def _messages() -> list[str]:
    """Return the text of every error for users, with gaps for what is filled in."""

    def words(node: ast.AST) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(words(part) for part in node.values)
        return GAP

    return [
        words(node.args[0])
        for source in sources("src/dina")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("DataError", "ValueError") and node.args
    ]


def test_sentences_of_the_page_on_trouble_are_those_of_the_package() -> None:
    quoted = re.findall(r"^\| \*(.+?)\* \|", texts()["docs/troubleshooting.md"], re.MULTILINE)
    assert len(quoted) > 15
    known = "\n".join(_messages())
    patterns = {line: ".*".join(re.escape(part.strip()) for part in line.split(GAP)) for line in quoted}
    gone = [line for line, pattern in patterns.items() if not re.search(pattern, known)]
    assert not gone, listing(gone)


def test_extras_that_documents_and_messages_name_can_be_installed() -> None:
    extras = set(PROJECT["optional-dependencies"])
    unknown = []
    for path, text in texts().items():
        if path.endswith((".md", ".toml", ".py")) or path == "Makefile":
            for name, some in re.findall(r"(?<![\w'-])'?(\.|dina[\w-]*)\[([\w,-]+)\]", text):
                is_install = name == "." or path == "pyproject.toml" or f"install {name}[" in text or f"install '{name}[" in text
                if is_install and (name not in (".", PROJECT["name"]) or not set(some.split(",")) <= extras):
                    unknown.append(f"{path}: {name}[{some}]")
    assert not unknown, listing(unknown)


def test_the_distribution_has_its_own_name_and_the_command_is_dina() -> None:
    assert PROJECT["name"] == "dina-neuro"
    assert PROJECT["scripts"] == {"dina": "dina.cli:main"}
    assert PROJECT["name"] in texts()["docs/install.md"]
    assert PROJECT["version"] == dina.__version__
    asked = [path for path, text in texts().items() if path.startswith("src/") and 'version("dina' in text]
    assert not asked, "the version of dina is dina.__version__, whatever the distribution is called"


def test_versions_are_pinned_without_hosts_or_checksums() -> None:
    lines = texts()["constraints.txt"].splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)]
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0].lower()) for line in lines}
    wanted = {re.match(r"[\w-]+", one)[0].lower() for one in PROJECT["optional-dependencies"]["docs"]}
    assert wanted <= pinned, listing(sorted(wanted - pinned))


@pytest.mark.parametrize(
    ("link", "folder", "page", "expected"),
    [
        ("../CONTRIBUTING.md", "docs", "index", "contributing.md"),
        ("../../SECURITY.md#x", "docs/decisions", "decisions/0010-explorer", "../security.md#x"),
        ("docs/api.md", "", "contributing", "api.md"),
        ("../examples/gallery", "docs", "index", "gallery/index.rst"),
        ("https://doi.org/x", "docs", "index", "https://doi.org/x"),
        ("statistics.md#folds", "docs", "start", "statistics.md#folds"),
    ],
)
def test_links_lead_to_pages_of_the_site(link: str, folder: str, page: str, expected: str) -> None:
    assert _module("page_links").redirect(f"[words]({link})", folder, page) == f"[words]({expected})"


def test_the_navigation_names_pages_that_exist() -> None:
    pages = [page for some in _module("page_links").NAVIGATION.values() for page in some]
    files = [re.sub(r"^.*<(.+)>$", r"\1", page) for page in pages]
    assert len(set(files)) == len(files)
    absent = [page for page in files if page != "gallery/index" and f"docs/{page}.md" not in texts()]
    assert not absent, listing(absent)


@pytest.mark.skipif(not (BUILT / "searchindex.js").is_file(), reason="the site is not built: make docs")
@pytest.mark.parametrize(
    ("words", "page"), [("receptive field", "neural-side"), ("noise ceiling", "validation"), ("leakage", "validation")]
)
def test_the_search_of_the_built_site_finds(words: str, page: str) -> None:
    text = (BUILT / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    place = index["docnames"].index(page)
    for word in words.split():
        stems = {stemmer(language).stemWord(word) for language in ("english", "porter")}
        stem = next((one for one in stems if one in index["terms"]), None)
        assert stem is not None, f"{word} is not in the index"
        found = index["terms"][stem]
        assert place in (found if isinstance(found, list) else [found]), f"{word} is not found on {page}"


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the site is not built: make docs")
def test_the_built_site_loads_nothing_from_the_network() -> None:
    loading = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*|<link\b[^>]*rel=\"(?:stylesheet|preload|preconnect|icon)\"[^>]*href=\"(?:https?:)?//[^\"]*"
    )
    styles = re.compile(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"]?(?:https?:)?//")
    found = [
        f"{path.name}: {match[0][:100]}" for path in BUILT.rglob("*.html") for match in loading.finditer(path.read_text("utf-8"))
    ]
    found += [f"{path.name}: {match[0]}" for path in BUILT.rglob("*.css") for match in styles.finditer(path.read_text("utf-8"))]
    assert not found, listing(found)
