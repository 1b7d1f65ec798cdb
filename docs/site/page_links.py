"""Navigation of the site, and links of its pages to files outside docs/: they work on the site as on a code-hosting site."""

import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")

# heading of the navigation → its pages, with a shorter title where the own is long; what nobody put into a line comes last
NAVIGATION = {
    "Start": [
        "install",
        "A first report <start>",
        "bring-your-own-recording",
        "simulated-sessions",
        "gallery/index",
    ],
    "Read a result": [
        "Each number <statistics>",
        "Each figure <reading-figures>",
        "The explorer <explorer>",
        "Verdicts <verdicts>",
        "Sharing a run <sharing>",
        "troubleshooting",
    ],
    "Ask": [
        "What in the image <image-side>",
        "Which neurons <neural-side>",
        "Several recordings <several-recordings>",
        "Comparing runs <comparing>",
        "Many studies at once <sweep>",
        "How much more to record <power>",
        "Other objectives <objectives>",
    ],
    "Method": [
        "method",
        "rivals",
        "recipes",
        "Table of all rivals <rivals-table>",
        "Trials of the default <default-experiments>",
    ],
    "Trust": ["validation", "trust", "security"],
    "Extend": ["contributing", "api", "reference"],
    "Project": ["decisions/README", "changelog"],
}
OTHER = "More"

# file or folder of the repository → page that shows it
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "README.md": "index.md",
    "examples/recordings": "recording-descriptions.md",
    "examples/gallery": "gallery/index.rst",
}


def _toctree(pages: list[str], caption: str = "") -> str:
    head = f":caption: {caption}\n" if caption else ""
    return "\n\n```{toctree}\n:hidden:\n" + head + "\n" + "\n".join(pages) + "\n```\n"


def _navigation(environment: BuildEnvironment) -> str:
    named = [re.sub(r"^.*<(.+)>$", r"\1", page) for pages in NAVIGATION.values() for page in pages]
    within = [page for page in environment.found_docs if page.startswith(("decisions/", "gallery/", "generated/"))]
    known = {*named, *within, "index", "recording-descriptions"}
    lines = dict(NAVIGATION)
    if others := sorted(environment.found_docs - known):
        lines[OTHER] = others
    return "".join(_toctree(pages, caption) for caption, pages in lines.items())


def redirect(text: str, folder: str, page: str) -> str:
    """Let the links of a text in a folder of the repository lead to pages of the site, seen from one of its pages."""

    def replacement(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        shown = PAGES.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        return match[1] if shown is None else posixpath.relpath(shown, posixpath.dirname(page) or ".")

    return LINK.sub(replacement, text)


def _read_page(app: Sphinx, page: str, source: list[str]) -> None:
    if Path(app.env.doc2path(page)).suffix != ".md":
        return
    source[0] = redirect(source[0], posixpath.dirname(f"docs/{page}"), page)
    if page == "index":
        source[0] += _navigation(app.env)
    elif page == "decisions/README":
        source[0] += _toctree(sorted(posixpath.basename(one) for one in app.env.found_docs if one.startswith("decisions/0")))
    elif page == "bring-your-own-recording":
        source[0] += _toctree(["recording-descriptions"])


def _read_included(app: Sphinx, path: Path, page: str, content: list[str]) -> None:
    folder = (Path(app.srcdir) / path).resolve().parent.relative_to(ROOT).as_posix()
    content[0] = redirect(content[0], "" if folder == "." else folder, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change pages as they are read."""
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
