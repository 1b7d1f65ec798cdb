"""The command `dina compare` prints a table, writes files for papers, and refuses in one sentence."""

import json
import shutil
from pathlib import Path

import pytest

from dina.cli import main
from dina.recordings.recording import Recording
from dina.signed_folder import write_checksums
from dina.study import read_settings, run_study

QUICK = ['decoders=["nearest_repeat_raw", "nearest_repeat_zscored"]', "evaluation.n_resamples=100"]


@pytest.fixture(scope="module")
def two_runs(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        run_study(small_session, read_settings(None, [*QUICK, f"seed={seed}"]), folder / f"seed{seed}", n_threads=1)
    return str(folder / "seed0"), str(folder / "seed1")


def test_a_table_is_printed_and_written(two_runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", two_runs[0], "--out", str(tmp_path / "tables"), "--threads", "1"])

    assert not ended.value.code
    assert "nearest repeat" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {"comparison.csv", "comparison.md", "comparison.svg"}


def test_runs_of_two_splits_need_the_word_mixed(two_runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["compare", *two_runs, "--threads", "1"])
    assert refused.value.code == 2
    assert "seed1 has another split than seed0" in capsys.readouterr().err

    with pytest.raises(SystemExit) as allowed:
        main(["compare", *two_runs, "--mixed", "--threads", "1"])
    assert not allowed.value.code


def test_runs_with_and_without_the_trained_network_need_a_word_of_their_own(
    two_runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(two_runs[0], other)
    identity = json.loads((other / "identity.json").read_text(encoding="utf-8"))
    identity["environment"]["trained_network"] = "another network"
    (other / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    write_checksums(other)

    with pytest.raises(SystemExit) as refused:
        main(["compare", two_runs[0], str(other), "--threads", "1"])
    assert refused.value.code == 2
    assert "give --any-network" in capsys.readouterr().err

    with pytest.raises(SystemExit) as allowed:
        main(["compare", two_runs[0], str(other), "--any-network", "--threads", "1"])
    assert not allowed.value.code
    assert "another network: other" in " ".join(capsys.readouterr().out.split())
