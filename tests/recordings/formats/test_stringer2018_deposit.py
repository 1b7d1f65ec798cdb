"""The deposit is listed page by page, and a recording is fetched with its images and labels, checked and cached."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import read
from dina.recordings.formats import stringer2018
from dina.recordings.formats.stringer2018 import ARTICLE_URL, LABELS_URL, list_recordings
from file_server import FileServer, Served, serving
from stringer_files import write_images, write_labels, write_session

NATURAL = "natimg2800_M170714_MP032_2017-09-14"
EIGHT = "natimg2800_8D_M170717_MP033_2017-08-22"
FILES = (f"{NATURAL}.mat", f"{EIGHT}.mat", "images_natimg2800_all.mat", f"images_{EIGHT}.mat", "dbstims.mat")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    made = tmp_path / "made"
    generator = np.random.default_rng(0)
    for name in (NATURAL, EIGHT):
        write_session(made / f"{name}.mat", generator.random((13, 4)), np.r_[np.tile(np.arange(1, 7), 2), 7])
    for name in ("images_natimg2800_all.mat", f"images_{EIGHT}.mat"):
        write_images(made / name, generator.integers(0, 256, (6, 68, 270)).astype(np.uint8))
    (made / "dbstims.mat").write_bytes(b"never asked for")
    labels = write_labels(made / "labels.mat", np.array([0, 1, 1, 2, 2, 0]), ["unknown", "birds", "cats"])
    with serving() as running:
        for name in FILES:
            running.files[f"/files/{name}"] = Served((made / name).read_bytes())
        running.files["/labels.mat"] = Served(labels.read_bytes())
        running.list_files([entry(running, name) for name in FILES])
        yield running


def entry(server: FileServer, file: str, /, **changes: Any) -> dict[str, Any]:
    content = server.files[f"/files/{file}"].content
    stated = {"name": file, "size": len(content), "computed_md5": hashlib.md5(content).hexdigest()}
    return {**stated, "download_url": f"{server.url}/files/{file}", "id": 1, **changes}


def fetch(server: FileServer, cache: Path, *names: str) -> tuple[Path, ...]:
    return stringer2018.fetch(names, cache, f"{server.url}/article", f"{server.url}/labels.mat")


def test_recordings_are_listed_without_the_other_files(server: FileServer) -> None:
    assert list_recordings(f"{server.url}/article") == (EIGHT, NATURAL)


def test_a_long_list_is_read_to_its_last_page(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dina.recordings.download.FILES_PER_PAGE", 2)
    entries = [entry(server, name) for name in FILES]

    def answer_page(path: str) -> None:
        page = int(path.partition("page=")[2].partition("&")[0])
        server.list_files(entries[2 * (page - 1) : 2 * page])

    plain = server.answer
    monkeypatch.setattr(server, "answer", lambda handler: (answer_page(handler.path), plain(handler)))
    assert list_recordings(f"{server.url}/article") == (EIGHT, NATURAL)
    assert [path for path, _ in server.requests] == [f"/article/files?page={page}&page_size=2" for page in (1, 2, 3)]


def test_a_recording_comes_with_its_images_and_labels_and_can_be_read_by_name(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINA_DATA", str(tmp_path / "data"))
    (path,) = stringer2018.fetch([EIGHT], base_url=f"{server.url}/article", labels_url=f"{server.url}/labels.mat")
    folder = tmp_path / "data" / "stringer2018"
    assert path == folder / f"{EIGHT}.mat"
    fetched = sorted(p.name for p in folder.iterdir() if p.suffix == ".mat")
    assert fetched == sorted([f"{EIGHT}.mat", f"images_{EIGHT}.mat", "stimuli_class_assignment_confident.mat"])
    for name in fetched:
        sidecar = (folder / f"{name}.sha256").read_text()
        assert sidecar == f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
    recording = read(EIGHT)
    assert recording.condition == "8D"
    assert recording.labels is not None
    assert recording.labels.tolist() == ["", "birds", "birds", "cats", "cats", ""]


def test_what_is_in_the_cache_is_checked_and_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "c", NATURAL)
    server.requests.clear()
    (path,) = fetch(server, tmp_path / "c", f"{NATURAL}.mat")
    assert [p for p, _ in server.requests] == ["/article/files?page=1&page_size=100"]
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"x")  # the cache rots
    fetch(server, tmp_path / "c", NATURAL)
    assert path.read_bytes() == good
    assert hashlib.sha256(good).hexdigest() in path.with_name(f"{path.name}.sha256").read_text()


def test_a_new_version_in_the_deposit_comes_with_its_own_checksum(server: FileServer, tmp_path: Path) -> None:
    (path,) = fetch(server, tmp_path / "c", NATURAL)
    changed = path.read_bytes() + bytes(8)
    server.files[f"/files/{NATURAL}.mat"] = Served(changed, etag='"v2"')
    server.list_files([entry(server, name) for name in FILES])
    fetch(server, tmp_path / "c", NATURAL)
    assert path.read_bytes() == changed
    assert path.with_name(f"{path.name}.sha256").read_text().split()[0] == hashlib.sha256(changed).hexdigest()


def test_an_unknown_name_gets_a_suggestion(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"Did you mean '{NATURAL}'"):
        fetch(server, tmp_path, "natimg2800_M170714_MP032_2017-09-15")


def test_images_that_the_deposit_lacks_are_named(server: FileServer, tmp_path: Path) -> None:
    server.list_files([entry(server, f"{NATURAL}.mat")])
    with pytest.raises(DataError, match=r"needs images_natimg2800_all.mat, which the deposit does not hold"):
        fetch(server, tmp_path, NATURAL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../../x.mat"}, "names a file '../../x.mat', which is not safe"),
        ({"name": ".hidden"}, "not safe"),
        ({"download_url": "http://example.org/x"}, "over https only"),
        ({"download_url": "file:///etc/passwd"}, "over https only"),
        ({"size": "12"}, "must state name, size, computed_md5, download_url"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused(changes: dict[str, Any], message: str, server: FileServer) -> None:
    server.list_files([entry(server, FILES[0], **changes)])
    with pytest.raises(DataError, match=message):
        list_recordings(f"{server.url}/article")


def test_a_deposit_that_does_not_answer_as_it_should_is_named(server: FileServer) -> None:
    with pytest.raises(DataError, match="The deposit answered 404"):
        list_recordings(f"{server.url}/elsewhere")
    server.files["/article/files"] = Served(b"<html>down</html>")
    with pytest.raises(DataError, match="sent no JSON"):
        list_recordings(f"{server.url}/article")
    server.files["/article/files"] = Served(b'{"message": "moved"}')
    with pytest.raises(DataError, match="must send a list of files"):
        list_recordings(f"{server.url}/article")
    server.files["/article/files"] = Served(b"[]")
    with pytest.raises(DataError, match="lists no files"):
        list_recordings(f"{server.url}/article")


def test_the_real_addresses_are_https_and_the_labels_are_pinned_to_a_commit() -> None:
    assert ARTICLE_URL == "https://api.figshare.com/v2/articles/6845348"
    assert LABELS_URL.startswith("https://raw.githubusercontent.com/MouseLand/stringer-pachitariu-et-al-2018b/")
    commit = LABELS_URL.split("/")[5]
    assert len(commit) == 40
    assert int(commit, 16) > 0
