"""Spike times as Phy saves them become spikes per second after each onset."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import read
from onset_folders import IMAGES, ONSET_S, SHOWN, write_presentations, write_spikes


def rates(spikes: dict[int, np.ndarray], neurons: list[int]) -> np.ndarray:
    """Count the spikes of a quarter of a second one by one."""
    return np.array([[4.0 * sum(o <= t < o + 0.25 for t in spikes[n]) for n in neurons] for o in ONSET_S])


def test_spikes_in_seconds_become_rates_and_noise_is_left_out(tmp_path: Path) -> None:
    spikes = write_spikes(write_presentations(tmp_path / "probe"))
    recording = read(tmp_path / "probe")
    np.testing.assert_array_equal(recording.responses, rates(spikes, [2, 5, 9]).astype(np.float32))
    np.testing.assert_array_equal(recording.images[recording.stimulus_id, 0], IMAGES[SHOWN])
    assert "3 of 4 sorted neurons were read (1 good, 1 mua, 1 noise, 1 unsorted by cluster_group.tsv)." in recording.notes


def test_samples_need_their_rate_and_groups_are_chosen(tmp_path: Path) -> None:
    spikes = write_spikes(write_presentations(tmp_path / "probe"), rate_hz=30_000.0)
    with pytest.raises(
        DataError, match=r"sample_rate_hz must be stated, since spike_times\.npy of probe counts samples \(uint64\)"
    ):
        read(tmp_path / "probe")
    (tmp_path / "p.toml").write_text(
        'format = "spike_times"\ndata = "probe"\n[options]\nsample_rate_hz = 30000\ngroups = ["good", "mua"]\n'
    )
    recording = read(tmp_path / "p.toml")
    np.testing.assert_array_equal(recording.responses, rates(spikes, [2, 5]).astype(np.float32))
    with pytest.raises(DataError, match=r"no neuron is left; cluster_group\.tsv says 1 good, 1 mua, 1 noise, 1 unsorted"):
        read(tmp_path / "probe", options={"sample_rate_hz": 30_000.0, "groups": ("best",)})
    (tmp_path / "probe" / "cluster_group.tsv").rename(tmp_path / "probe" / "cluster_KSLabel.tsv")
    by_kilosort = read(tmp_path / "probe", options={"sample_rate_hz": 30_000.0, "groups": ("good", "mua")})
    np.testing.assert_array_equal(by_kilosort.responses, rates(spikes, [2, 5]).astype(np.float32))
    assert "by cluster_KSLabel.tsv" in " ".join(by_kilosort.notes)


def test_seconds_have_no_sample_rate_and_whole_numbers_are_no_seconds(tmp_path: Path) -> None:
    write_spikes(write_presentations(tmp_path / "probe"))
    with pytest.raises(
        DataError, match=r"spike_times\.npy of probe holds fractions, so it is in seconds\. Leave sample_rate_hz out"
    ):
        read(tmp_path / "probe", options={"sample_rate_hz": 30_000.0})
    seconds = np.load(tmp_path / "probe" / "spike_times.npy")
    np.save(tmp_path / "probe" / "spike_times.npy", np.round(30_000 * seconds))  # samples, as MATLAB stores them
    with pytest.raises(DataError, match=r"sample_rate_hz must be stated, .* counts samples \(float64\)"):
        read(tmp_path / "probe")
    assert read(tmp_path / "probe", options={"sample_rate_hz": 30_000.0}).n_neurons == 3
    np.save(tmp_path / "probe" / "spike_times.npy", 1000 * seconds)
    in_ms = read(tmp_path / "probe", options={"window_s": (-60.0, 60.0)})
    assert "s, but presentations to 10 s: check that both are in seconds." in " ".join(in_ms.notes)


def test_spikes_and_neurons_must_agree(tmp_path: Path) -> None:
    write_spikes(write_presentations(tmp_path / "probe"))
    np.save(tmp_path / "probe" / "spike_clusters.npy", np.zeros(7, np.int32))
    with pytest.raises(DataError, match="must hold a neuron for each spike; got 1200 spikes and 7 neurons"):
        read(tmp_path / "probe")


def test_the_columns_of_presentations_are_checked(tmp_path: Path) -> None:
    write_spikes(write_presentations(tmp_path / "probe"))
    table = tmp_path / "probe" / "presentations.csv"
    text = table.read_text()
    for wrong, says in (
        (text.replace("onset_s", "onset_frame"), "presentations must have a column onset_s"),
        (text.replace("onset_s", "onsets"), "unknown column 'onsets'. Did you mean 'onset_s'"),
        (text.replace("onset_s", "onset_ms"), "'onset_s' must be in seconds; got a column 'onset_ms'. Divide it by 1000"),
        (
            text.replace("onset_s", "time"),
            "must have a column image and one of onset_s and onset_frame; it has time, image, running_speed",
        ),
        (text.replace("1.5,", "1.5 s,", 1), "onset_s must be a number; got '1.5 s' in row 2"),
        (text.replace("1.5,", ",", 1), "every row must have onset_s; that of row 2 is unknown"),
    ):
        table.write_text(wrong)
        with pytest.raises(DataError, match=says.replace(".", r"\.")):
            read(tmp_path / "probe")


def test_an_image_before_the_first_spike_of_the_chosen_neurons_stays(tmp_path: Path) -> None:
    folder = write_presentations(tmp_path / "probe")
    np.save(folder / "spike_times.npy", np.array([0.1, ONSET_S[3] + 0.1, ONSET_S[4] + 0.1, ONSET_S[-1] + 1.0]))
    np.save(folder / "spike_clusters.npy", np.array([5, 2, 3, 5]))
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n2\tgood\n3\tgood\n5\tmua\n")
    recording = read(folder, options={"groups": ("good",)})
    np.testing.assert_array_equal(recording.responses, 4.0 * (np.arange(len(SHOWN))[:, None] == [3, 4]))
    np.save(folder / "spike_times.npy", np.float64(3.0))
    with pytest.raises(DataError, match=r"spike_times\.npy must be \(n_spikes,\); got shape \(\)"):
        read(folder)
