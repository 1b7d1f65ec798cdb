"""Studies of a sweep run on workers of this process: within memory, begun again when lost, and without any port."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sweep.stand_in import words

pytest.importorskip("distributed", reason="the extra sweep is not installed")

if TYPE_CHECKING:
    from distributed import Client


@pytest.fixture(scope="module")
def client() -> Iterator["Client"]:
    from dina.sweep.workers import workers_here

    with workers_here(3) as here:
        yield here


def ends_of(
    folder: Path, client: "Client", budget_gb: float, *, retries: int = 1, **studies: tuple[list[str], float]
) -> dict[str, int]:
    """Carry out studies by name, each with the words of its command and its memory, and return their exit codes."""
    from dina.sweep.workers import Task, carry_out_all

    tasks = [Task(name, tuple(some), str(folder / name), memory) for name, (some, memory) in studies.items()]
    return {one.name: one.code for one in carry_out_all(tasks, str(folder), client, 3, budget_gb, retries)}


def most_at_once(journal: Path) -> int:
    running, most = 0, 0
    for line in journal.read_text().splitlines():
        running += 1 if line.startswith("begins") else -1
        most = max(most, running)
    return most


def test_no_more_run_at_once_than_memory_allows(sweep_folder: Path, client: "Client") -> None:
    studies = {name: (words(sweep_folder / name, seconds=0.15), 1.0) for name in "abcd"}
    studies["large"] = (words(sweep_folder / "large", seconds=0.15), 9.0)  # more than there is: it runs alone
    assert ends_of(sweep_folder, client, 2.5, **studies) == dict.fromkeys("abcd", 0) | {"large": 0}
    assert most_at_once(sweep_folder / "journal.txt") == 2
    lines = (sweep_folder / "journal.txt").read_text().splitlines()
    assert lines.index("ends large") == lines.index("begins large") + 1


def test_a_study_whose_process_was_lost_is_begun_again_and_one_that_is_refused_is_not(
    sweep_folder: Path, client: "Client"
) -> None:
    lost, refused, failed = (sweep_folder / name for name in ("lost", "refused", "failed"))
    studies = {
        "lost": (words(lost, deaths=1), 1.0),
        "refused": (words(refused, code=2), 1.0),
        "failed": (words(failed, code=1), 1.0),
    }
    ends = ends_of(sweep_folder, client, 9.0, **studies, hopeless=(words(sweep_folder / "hopeless", deaths=5), 1.0))
    assert ends == {"lost": 0, "refused": 2, "failed": 1, "hopeless": -9}
    begun = (sweep_folder / "journal.txt").read_text()
    assert {name: begun.count(f"begins {name}") for name in ends} == {"lost": 2, "refused": 1, "failed": 1, "hopeless": 2}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lists sockets there")
def test_workers_of_this_process_open_no_port(client: "Client") -> None:
    sockets = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            target = str(handle.readlink())
        except OSError:
            continue
        sockets.add(target.removeprefix("socket:[").removesuffix("]"))
    rows = [row for kind in ("tcp", "tcp6") for row in Path(f"/proc/self/net/{kind}").read_text().splitlines()[1:]]
    assert not [row for row in rows if row.split()[9] in sockets and row.split()[3] == "0A"]
    assert client.cluster is not None


def test_a_scheduler_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    from dina.checks import DataError
    from dina.sweep.workers import workers_of

    with pytest.raises(DataError, match="it does not answer"), workers_of(str(tmp_path / "none.json")):
        pass
