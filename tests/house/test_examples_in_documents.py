"""The Python that the documents show runs as it stands, and every name of dina in them exists."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import dina
from dina.cli import main
from dina.recordings.recording import Recording
from house.sources import ROOT, listing, texts

SIMULATED = 'dina.simulate("demo")'
MOST_LINES = 10


def _blocks(path: str) -> dict[str, str]:
    """Return the Python under each heading of a document."""
    found: dict[str, str] = {}
    for part in re.split(r"^## ", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL)
        if blocks:
            found[part.split("\n")[0]] = "\n".join(blocks)
    return found


@pytest.fixture(scope="module")
def shown(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the page from top to bottom on a small session, in a folder of its own, and return all that it names."""
    names: dict[str, Any] = {"small_session": small_session, "__name__": "api_page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("api"))
        for heading, code in _blocks("docs/api.md").items():
            code = code.replace(SIMULATED, "small_session")
            if heading == "From a recording to an answer":  # the first study has every rival; here the quick settings do
                code = code[code.index("own = ") :] if False else code
            exec(code, names)  # our own text, shown to users as something to run
            names[f"# {heading}"] = {name: value for name, value in names.items() if name in ("study", "result")}
        names["runs"] = Path("runs").absolute()
    return names
