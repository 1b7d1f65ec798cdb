"""A finished folder is read as its checksums list it, and a line changes only with its file."""

import os
from pathlib import Path

import pytest

from dina.artifacts import write_text
from dina.checks import DataError
from dina.signed_folder import SignedFolder, verify_checksums, write_checksums
from forked import kill_while_repeating


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    for name in ("a.json", "page.html", "results/b.nc", "results/c.nc"):
        write_text(path / name, name)
    write_checksums(path)
    return path


def rewrite(folder: Path, **contents: str) -> None:
    with SignedFolder(folder).writing() as place:
        for name, content in contents.items():
            write_text(place(f"{name}.json"), content)


def test_checksums_name_what_is_missing_changed_or_new(tmp_path: Path) -> None:
    for name in ("a.txt", "results/b.txt", "results/c.txt", ".lock"):
        write_text(tmp_path / name, name)
    write_checksums(tmp_path)
    assert verify_checksums(tmp_path) == {}
    (tmp_path / "a.txt").write_text("another")
    (tmp_path / "results/b.txt").unlink()
    (tmp_path / "results/d.txt").write_text("new")
    faults = verify_checksums(tmp_path)
    assert faults == {"results/b.txt": "missing", "a.txt": "changed", "results/d.txt": "not listed"}


def test_checksums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "abc")
    write_checksums(tmp_path)
    # the SHA-256 of "abc" is the example of FIPS 180-2
    assert (tmp_path / "SHA256SUMS").read_text() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.txt\n"


def test_a_folder_without_or_with_damaged_checksums_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold SHA256SUMS"):
        verify_checksums(tmp_path)
    (tmp_path / "SHA256SUMS").write_text("<html>")
    with pytest.raises(DataError, match="is damaged"):
        verify_checksums(tmp_path)


def test_a_changed_file_is_refused_by_name_and_the_others_are_read(folder: Path) -> None:
    (folder / "results/b.nc").write_text("results/B.nc")
    files = SignedFolder(folder)
    assert files.read("results/c.nc") == b"results/c.nc"
    for look in (files.read, files.check):
        with pytest.raises(DataError, match=r"results/b\.nc must be as it was written; it differs from its line in SHA256SUMS"):
            look("results/b.nc")


def test_the_bytes_that_are_compared_are_the_bytes_that_are_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, files = Path.read_bytes, SignedFolder(folder)

    def read_and_swap(path: Path) -> bytes:
        content = read(path)
        path.write_text("swapped")
        return content

    files.check("a.json")
    monkeypatch.setattr(Path, "read_bytes", read_and_swap)
    assert files.read("a.json") == b"a.json"
    with pytest.raises(DataError, match=r"a\.json must be as it was written"):  # although it was found right before
        files.read("a.json")


def test_only_the_lines_of_written_files_change(folder: Path) -> None:
    (folder / "page.html").write_text("changed by somebody")
    rewrite(folder, a="another", new="new")
    assert verify_checksums(folder) == {"page.html": "changed"}
    assert SignedFolder(folder).read("new.json") == b"new"


def test_a_file_that_is_not_listed_does_not_belong_to_the_folder(folder: Path) -> None:
    (folder / "results/z.nc").write_text("from elsewhere")
    files = SignedFolder(folder)
    assert files.names("results/*.nc") == ["results/b.nc", "results/c.nc"]
    assert "results/z.nc" not in files


def test_a_lost_file_is_named_unless_nothing_is_read_from_it(folder: Path) -> None:
    (folder / "page.html").unlink()
    assert "a.json" in SignedFolder(folder)
    (folder / "a.json").unlink()
    with pytest.raises(DataError, match=r"a\.json is listed in SHA256SUMS and must be there; it is missing"):
        SignedFolder(folder).names("*")


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_the_listing_goes_unseen(folder: Path, bit: int) -> None:
    listing = folder / "SHA256SUMS"
    whole = listing.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        listing.write_bytes(bytes(changed))
        try:
            found = {
                name: SignedFolder(folder).read(name)
                for name in ("a.json", "results/b.nc", "results/c.nc")
                if name in SignedFolder(folder)
            }
        except DataError:
            continue
        assert len(found) == 3, (place, bit)


def test_a_process_killed_while_it_writes_leaves_a_folder_that_can_be_read(folder: Path) -> None:
    def write(number: int) -> None:
        with SignedFolder(folder).writing() as place:
            write_text(place("a.json"), str(number))

    for n_times in (1, 3, 6):
        kill_while_repeating(write, n_times)
        assert SignedFolder(folder).read("a.json").isdigit()


@pytest.mark.parametrize("where", ["link", "results/link", ".hidden"])
def test_links_are_refused_wherever_they_lie(folder: Path, tmp_path: Path, where: str) -> None:
    (folder / where).symlink_to(tmp_path)
    with pytest.raises(DataError, match="is a link or a device, which could lead elsewhere"):
        SignedFolder(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_are_refused_because_reading_them_would_never_end(folder: Path) -> None:
    os.mkfifo(folder / "history.csv")
    with pytest.raises(DataError, match=r"history\.csv is a link or a device"):
        SignedFolder(folder)


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "a/../../outside.json", "..\\outside.json", ""])
def test_names_that_lead_outside_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(DataError, match="lies outside"), SignedFolder(folder).writing() as place:
        place(name)
    with pytest.raises(DataError, match="lies outside"):
        SignedFolder(folder).read(name)
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]
