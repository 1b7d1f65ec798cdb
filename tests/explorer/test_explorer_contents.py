"""What the explorer shows is what the run holds: ranks, best images, maps, neurons; the file is safe and always the same."""

import base64
import gzip
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dina.checks import DataError
from dina.explorer import compute, write_explorer
from dina.explorer.chance import chance_of_maps
from dina.explorer.compute import EVERYTHING, Limits, gather
from dina.explorer.kept_maps import KEPT, read_kept
from dina.explorer.packets import pack, unpack
from dina.explorer.page import renew_explorer
from dina.figures.style import COLOURS
from dina.retrieval.ranks import target_ranks
from dina.signed_folder import verify_checksums, write_checksums
from dina.study.decoder_scores import DecoderScores
from dina.study.run_directory import Run, read_run
from report.page_reader import Page

Packet = tuple[dict[str, Any], dict[str, np.ndarray]]


def overview_of(packets: dict[str, bytes]) -> Packet:
    return unpack(packets["overview"])


def embedded(run: Path, name: str = "overview") -> Packet:
    """Read a packet from the page itself, as a browser does."""
    text = (run / "explorer.html").read_text(encoding="utf-8")
    found = re.search(rf'<script type="text/plain" id="packet-{name}">([A-Za-z0-9+/=]+)</script>', text)
    assert found
    return unpack(base64.b64decode(found[1]))


def test_embedded_ranks_best_images_and_scores_are_those_of_the_run(explorable: Path) -> None:
    facts, arrays = embedded(explorable)
    assert facts["decoders"][:2] == ["dina", "dina before training"]
    names = ["dina", *(name for name in Run(explorable).retrieval if name != "dina")]
    for number, name in enumerate(names):
        stored = xr.load_dataset(explorable / "results" / f"retrieval_{name}.nc", engine="h5netcdf")
        for kind, is_of_kind in (("averaged", arrays["query_trial"] == -1), ("single_trial", arrays["query_trial"] >= 0)):
            if f"scores_{kind}" not in stored:
                assert np.isnan(arrays["rank"][number][is_of_kind]).all()
                continue
            scores, target = stored[f"scores_{kind}"].to_numpy(), stored[f"target_{kind}"].to_numpy()
            # queries are in the order of the run, and all images can be chosen: place and number are the same
            np.testing.assert_array_equal(arrays["query_stimulus"][is_of_kind], target)
            expected = target_ranks(scores, target).astype(np.float32)
            np.testing.assert_array_equal(arrays["rank"][number][is_of_kind], expected)
            np.testing.assert_array_equal(arrays["n_candidates"][number][is_of_kind], scores.shape[1])
            order = np.argsort(-scores, axis=1, kind="stable")
            np.testing.assert_array_equal(arrays["first"][number][is_of_kind], order[:, 0])
            if name == "dina":
                np.testing.assert_array_equal(arrays["best"][is_of_kind], order[:, :5])
                best = np.take_along_axis(scores, order[:, :5], axis=1).astype(np.float32)
                np.testing.assert_array_equal(arrays["best_score"][is_of_kind], best)
                np.testing.assert_array_equal(
                    arrays["true_score"][is_of_kind], scores[np.arange(len(scores)), target].astype("f4")
                )


def test_second_trials_of_an_image_are_matched_by_number_and_not_by_row(explorable: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(explorable, tmp_path / "run"))
    (run / "SHA256SUMS").unlink()
    path = run / "results" / "retrieval_ridge.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        turned = stored.load().isel(query_single_trial=slice(None, None, -1))  # another order; trial numbers are exchanged
    turned.to_netcdf(path, engine="h5netcdf")
    kept = read_kept(Run(run))
    assert kept is not None
    (facts, arrays), (_, before) = overview_of(gather(Run(run), kept, EVERYTHING)), embedded(explorable)
    ridge = facts["decoders"].index("ridge regression")
    single = np.flatnonzero(arrays["query_trial"] >= 0)
    first, second = np.array_split(single, 2)  # 60 images, then the same again
    np.testing.assert_array_equal(arrays["rank"][ridge][first], before["rank"][ridge][second])


def test_maps_and_images_are_those_of_the_run(explorable: Path) -> None:
    facts, _ = embedded(explorable)
    kept = xr.load_dataset(explorable / KEPT, engine="h5netcdf")
    # a wave across, 0° in files, is that of vertical bars, 90° as seen; odd− is of negative sign
    energies = [f"energy {wavelength} px {angle}°" for wavelength in (4, 8) for angle in (90, 0)]
    assert facts["channels"] == [*energies, "luminance", "odd\N{MINUS SIGN} 8 px 90°"]
    assert facts["groups"][0] == ["energy 4 px", [0, 1]]
    maps = np.concatenate([embedded(explorable, f"maps-{n}")[1]["maps"] for n in range(-(-60 // facts["maps_in_packet"]))])
    np.testing.assert_array_equal(maps[:, 0], kept["image_maps"])
    np.testing.assert_array_equal(maps[:, 1], kept["neural_maps"])
    thumbnails = xr.load_dataset(explorable / "results" / "gallery.nc", engine="h5netcdf")["thumbnail"].to_numpy()
    np.testing.assert_array_equal(embedded(explorable, "images-0")[1]["pixels"], thumbnails[: facts["images_in_packet"]])


def test_neurons_that_help_and_best_images_of_neurons_are_those_of_the_run(explorable: Path) -> None:
    facts, arrays = embedded(explorable)
    found = xr.load_dataset(explorable / "results" / "interpretation" / "contributions.nc", engine="h5netcdf")
    lost = found["margin_lost"].sel(lost_by="removed").groupby("stimulus_id").mean().to_numpy()
    order = np.argsort(-lost, axis=1)[:, :20]
    np.testing.assert_array_equal(arrays["contributing"], order)
    np.testing.assert_allclose(arrays["margin_lost"], np.take_along_axis(lost, order, axis=1), rtol=1e-5)  # single precision
    second, last_but_one = np.sort(lost, axis=0)[[1, -2]]  # 2.5 % of 60 images are one on each side
    np.testing.assert_allclose(arrays["usual_margin"], np.stack([second, last_but_one], axis=1), rtol=1e-5)
    np.testing.assert_array_equal(arrays["n_above"], (lost > last_but_one).sum(axis=1))
    assert arrays["n_above"].mean() == pytest.approx(facts["margin_chance"] * lost.shape[1])
    assert facts["margin_chance"] == 1 / 60
    assert facts["fit_chance"] == pytest.approx(0.254, abs=1e-3)  # tanh(1.96 / root of 57), of 60 validation images
    response = xr.load_dataset(explorable / KEPT, engine="h5netcdf")["response"].to_numpy()
    np.testing.assert_array_equal(arrays["best_images"][:, 0], response.argmax(axis=0))
    np.testing.assert_array_equal(arrays["best_responses"][:, 0], response.max(axis=0))
    names = [column["name"] for column in facts["columns"]]
    np.testing.assert_array_equal(arrays["columns"][names.index("contribution")], found["contribution"].to_numpy().astype("f4"))


def test_occlusion_and_layer_profiles_are_those_of_the_run(explorable: Path) -> None:
    facts, arrays = embedded(explorable)
    folder = explorable / "results" / "interpretation"
    found = xr.load_dataset(folder / "occlusion.nc", engine="h5netcdf")
    np.testing.assert_array_equal(arrays["occluded"] * 3, found["stimulus_id"])  # the n-th test image has the id 3 n
    np.testing.assert_array_equal(arrays["score_loss"], found["score_loss"].to_numpy().astype(np.float32))
    second, last_but_one = np.sort(found["score_loss"].to_numpy(), axis=1)[:, [1, -2]].swapaxes(0, 1)
    np.testing.assert_array_equal(arrays["usual_loss"], np.stack([second, last_but_one], axis=1).astype(np.float32))
    assert facts["occlusion_chance"] == pytest.approx(2 / 6)
    assert facts["sweeps"] == ["small window, to grey, 2 px", "medium window, blurred, 4 px"]
    assert facts["main_sweep"] == 1
    layers = xr.load_dataset(folder / "layer_depth.nc", engine="h5netcdf")
    np.testing.assert_array_equal(arrays["layer_row"][:5], [0, -1, 1, -1, 2])  # every other neuron was compared
    np.testing.assert_array_equal(arrays["layer_gain"][1], layers["gain"][:, 1].to_numpy().astype(np.float32))


def test_chance_of_a_map_is_its_correlation_with_maps_of_other_images() -> None:
    generator = np.random.default_rng(0)
    where = ("image", "channel", "map_height", "map_width")
    maps = {
        name: generator.normal(0, 20, (40, 3, 10, 10)).clip(-127, 127).astype(np.int8) for name in ("image_maps", "neural_maps")
    }
    maps["image_maps"][:, 1] = maps["neural_maps"][:, 1] = maps["image_maps"][0, 1]  # the same of every image
    maps["image_maps"][:, 2] = 0
    found = chance_of_maps(xr.Dataset({name: (where, values) for name, values in maps.items()}))
    np.testing.assert_allclose(found[0], [-0.196, 0.196], atol=0.04)  # 1.96 / root of 100 places; sampled by 520 pairs
    np.testing.assert_allclose(found[1], 1.0, atol=1e-6)
    assert np.isnan(found[2]).all()
    assert 0 < found[3, 0] < found[3, 1] < 1


def test_images_that_share_a_score_are_counted(explorable: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(explorable, tmp_path / "run"))
    (run / "SHA256SUMS").unlink()
    path = run / "results" / "retrieval_dina.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        collapsed = stored.load()
    collapsed["scores_averaged"][0] = 0.5
    collapsed.to_netcdf(path, engine="h5netcdf")
    kept = read_kept(Run(run))
    assert kept is not None
    _, arrays = overview_of(gather(Run(run), kept, EVERYTHING))
    assert arrays["best_tied"][0].tolist() == [60] * 5
    assert (arrays["best_tied"][1:] == 1).all()
    assert arrays["first_tied"][0, :2].tolist() == [60, 1]
    assert arrays["rank_tied"][0, :2].tolist() == [59, 0]
    assert arrays["rank"][0, 0] == 30.5


def test_a_small_file_says_what_it_leaves_out_and_keeps_all_candidates(explorable: Path) -> None:
    run, kept = read_run(explorable), read_kept(Run(explorable))
    assert kept is not None
    packets = gather(run, kept, Limits(n_stimuli=10, n_neurons=30, map_bytes=6000, image_bytes=60_000))
    facts, arrays = overview_of(packets)
    assert facts["left_out"] == [
        "10 of 60 test images can be chosen here, evenly spaced.",
        "Images are shown with 17 × 67 of 34 × 135 pixels.",
        "Maps are here for 4 of 10 images, evenly spaced.",
        "30 of 400 neurons are here, those that contribute most or are the most reliable.",
    ]
    assert arrays["stimuli"].tolist() == [0, 7, 13, 20, 26, 33, 39, 46, 52, 59]
    assert len(facts["names"]) == 60
    assert sorted(at for at in facts["map_of_stimulus"] if at >= 0) == [0, 1, 2, 3]
    assert arrays["columns"].shape[1] == len(arrays["neurons"]) == 30
    _, whole = embedded(explorable)
    chosen = np.isin(whole["query_stimulus"], arrays["stimuli"])
    np.testing.assert_array_equal(arrays["rank"], whole["rank"][:, chosen])


def test_writing_twice_gives_the_same_bytes_and_is_in_the_checksums(explorable: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(explorable, tmp_path / "elsewhere"))
    (again / "explorer.html").write_bytes(b"")
    renew_explorer(again)
    assert (again / "explorer.html").read_bytes() == (explorable / "explorer.html").read_bytes()
    assert verify_checksums(again) == {}
    assert gzip.decompress(pack({}, {}))[4:].startswith(b'{"arrays"')
    assert pack({}, {})[4:8] == bytes(4)  # no time


def test_an_explorer_is_renewed_only_where_there_is_one(hostile: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(hostile, tmp_path / "run"))
    Run(run).files.remove(["explorer.html"])
    renew_explorer(run)
    assert not (run / "explorer.html").exists()


def test_a_damaged_file_is_refused(explorable: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(explorable, tmp_path / "run"))
    with (run / KEPT).open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"!")
    with pytest.raises(DataError, match=r"explorer\.nc must be as it was written"):
        write_explorer(run)


def test_runs_without_anything_to_explore_are_refused(hostile: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(hostile, tmp_path / "run"))
    Run(run).files.remove([KEPT])
    with pytest.raises(DataError, match="needs the recording once"):
        write_explorer(run)
    (run / "SHA256SUMS").unlink()
    DecoderScores("dina", "default", "images", reason={"averaged": "There are too few images."}).write(
        run / "results" / "retrieval_dina.nc"
    )
    write_checksums(run)
    with pytest.raises(DataError, match=r"holds no scores of dina\. There are too few images\."):
        write_explorer(run)


def test_page_holds_one_script_by_its_checksum_and_hostile_words_as_words(hostile: Path) -> None:
    page = Page(hostile / "explorer.html")
    scripts = [element.attributes.get("type", "") for element in page.all("script")]
    assert scripts[-1] == ""
    assert set(scripts[:-1]) == {"text/plain"}
    assert not page.all("img", "iframe", "object", "embed", "base", "form")
    assert not [name for element in page.elements for name in element.attributes if name.startswith("on") or name == "style"]
    policy = next(e.attributes["content"] for e in page.all("meta") if "Content-Security-Policy" in e.attributes.values())
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert page.all("h1")[0].words.startswith("<script>alert(1)</script>")
    facts, _ = embedded(hostile)
    for word in (facts["name"], *facts["names"], *facts["labels"], *facts["decoders"]):
        assert len(word) <= compute.LONGEST_WORDS + 1 + 2  # a mark may follow
        assert word.isprintable()


def test_script_puts_in_no_markup_and_style_has_the_colours_of_the_page() -> None:
    here = Path(compute.__file__).parent
    script, style = ((here / name).read_text(encoding="utf-8") for name in ("explorer.js", "explorer.css"))
    unsafe = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "</")
    assert not [word for word in unsafe if word in script]
    for meaning in ("ink", "muted", "grid", "paper", "dina", "rival"):
        for value in COLOURS[meaning]:
            assert f"--{meaning}: {value};" in style
