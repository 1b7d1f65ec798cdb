"""What the command prints arrives in any encoding, or nowhere, and links are taken for what they stand for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from array_folders import write_folder
from dina.cli.sessions import full_path, open_recording

PRINT = "from dina.cli.streams import open_streams; open_streams(); print('5 ° → †')"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp932", "cp437"])
def test_signs_that_an_encoding_lacks_are_replaced(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, env=environment, check=True)
    assert done.stdout.decode(encoding).startswith("5 ")
    assert not done.stderr


def test_closed_output_is_no_error(tmp_path: Path) -> None:
    after = tmp_path / "after.txt"
    code = f"{PRINT}; file = open({str(after)!r}, 'w'); print('printed'); file.close()"
    closed = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "$CODE" >&-'], env={**os.environ, "CODE": code}, check=False
    )
    assert closed.returncode == 0
    assert after.read_text(encoding="utf-8") == ""  # the file must not take the number of the closed stream


def test_a_link_names_the_recording_and_its_companions_lie_beside_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "vole3")
    store = tmp_path / "store"
    store.mkdir()
    (store / "8f3a").write_text('condition = "clouds"\n', encoding="utf-8")
    (folder / "session.toml").symlink_to("../store/8f3a")
    recording = open_recording(str(folder / "session.toml"), None, 0)
    assert (recording.name, recording.condition) == ("vole3", "clouds")
    assert full_path(folder / "session.toml").name == "session.toml"
    assert full_path(Path()) == Path.cwd()
