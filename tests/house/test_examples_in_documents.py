"""The Python of the API page runs as it stands, and every name of dina in the documents exists."""

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dina
from dina.cli import main
from dina.recordings.recording import Recording
from dina.training.presets import PRESETS
from house.sources import ROOT, listing, texts

MOST_LINES = 10  # of an own part
OWN = [f"{article} {what} of your own" for article, what in (("A", "decoder"), ("A", "tower"), ("An", "objective"))]
QUICK = ["Fit, score, predict", "Towers, maps and analyses without files", *OWN]


def _blocks() -> dict[str, list[str]]:
    """Return the Python under each heading of the API page; the session that it simulates is the small one of the tests."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").replace('dina.simulate("demo")', "small_session")
    parts = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {part.split("\n")[0]: re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL) for part in parts}


@pytest.fixture(scope="module")
def known(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what the first example defines before its study."""
    names: dict[str, Any] = {"small_session": small_session, "np": np, "torch": torch, "__name__": "api_page"}
    exec(next(iter(_blocks().values()))[0].split("study =")[0], names)  # our own text, shown to users as something to run
    return names


@pytest.mark.parametrize("heading", QUICK)
def test_an_example_of_the_api_page_runs(
    heading: str, known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = dict(known)
    exec("\n".join(_blocks()[heading]), names)
    if "study" in names:
        assert names["study"].table()["top1"].notna().all()
        assert names["study"].table(whole=True).shape == (12 if heading == OWN[0] else 8, 12)


@pytest.mark.long
def test_the_api_page_runs_from_top_to_bottom_and_its_runs_are_read_without_its_code(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"small_session": small_session, "__name__": "api_page"}
    for blocks in _blocks().values():
        exec("\n".join(blocks), names)
    page = Path("runs/own/report.html").read_text(encoding="utf-8")
    assert "Do the maps of bright images agree more with those of their responses?" in page
    assert "luminance" in page
    assert re.search(r"local 0\.\d+, pixels 0\.\d+, local_contrast 0\.\d+", capsys.readouterr().out)
    for words in (["report", "runs/own"], ["verdict", "runs/own"], ["compare", "runs/own", "runs/first"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code in (0, None), words
    printed = capsys.readouterr().out
    assert "Bright images are read out better." in printed
    assert "luminance" in printed


def test_parts_of_a_users_own_are_short() -> None:
    found = {heading: blocks[0] for heading, blocks in _blocks().items() if heading.endswith("of your own")}
    statements = {heading: re.split(r"^(?=\S)", code, flags=re.MULTILINE) for heading, code in found.items()}
    written = {
        heading: next(part for part in parts if part.startswith(("class", "def"))) for heading, parts in statements.items()
    }
    n_lines = {heading: sum(bool(line.strip()) for line in part.splitlines()) for heading, part in written.items()}
    assert len(n_lines) == 5
    assert all(n <= MOST_LINES for n in n_lines.values()), listing(n_lines)


def _exists(name: str) -> bool:
    """Say whether a dotted name is a module, or something that a module or a class of one offers."""
    parts = name.split(".")
    for n_module in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:n_module]))
        except ModuleNotFoundError:
            continue
        for part in parts[n_module:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def _is_setting(name: str) -> bool:
    """Say whether a name such as dina.fit.objective can be set in a study."""
    for preset in PRESETS.values():
        value: Any = preset.settings_type()
        for part in name.split(".")[1:]:
            value = getattr(value, part, AttributeError) if part in getattr(type(value), "model_fields", {}) else AttributeError
        if value is not AttributeError:
            return True
    return False


def test_every_name_of_dina_in_the_documents_exists() -> None:
    unknown = []
    for path, text in texts().items():
        if path == "README.md" or (path.startswith("docs/") and path.endswith(".md")):
            names = set(re.findall(r"(?<![\w./-])dina(?:\.\w+)+", text))
            names |= {
                f"{module}.{name.strip()}"
                for module, some in re.findall(r"from (dina[\w.]*) import ([\w, ]+)", text)
                for name in some.split(",")
            }
            unknown += [f"{path}: {name}" for name in sorted(names) if not _exists(name) and not _is_setting(name)]
    assert not unknown, listing(unknown)


def test_everything_that_the_package_offers_is_there() -> None:
    assert not [name for name in dina.__all__ if not hasattr(dina, name)]
    assert set(dina.__all__) == set(dir(dina))
