"""A user's own decoder, preset and analysis enter a study as objects, are known by their code, and are read without it."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from dina.analyses import Analysis, Decoded, PlainResult
from dina.analyses.verdict import Rule
from dina.checks import DataError
from dina.cli import main
from dina.models.spaces.components import ComponentSpace
from dina.models.spaces.pursued_gabors import PursuedGabors
from dina.models.towers.tower import ImageTower
from dina.recordings.recording import Recording
from dina.statistics.finding import Finding
from dina.study import StudyResult, StudySettings, TogetherSettings, read_settings, run_study
from dina.study.code_identity import describe_code
from dina.study.interpret import interpret_run, judge_run, judge_runs
from dina.study.judged_decoders import compare_runs
from dina.study.verify import verify_run
from dina.training.presets import Default, RecordingShape, Scratch
from dina.training.presets.default import DefaultSettings
from dina.training.presets.scratch import ScratchSettings
from dina.training.saved import load_towers

QUICK = StudySettings(decoders=("dina",), evaluation={"n_resamples": 100}, dina={"fit": {"n_epochs": 1}})
SCALE = 2.0


class Luminance:
    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def fit(self, train: Any, validation: Any) -> None:
        self.chosen = {"scale": np.float64(SCALE), "sign": self.sign}

    def score(self, queries: Any, gallery: Any) -> Any:
        distance = queries.responses.mean(axis=1)[:, None] - gallery.images.mean(axis=(1, 2, 3))
        return -self.sign * np.abs(distance)


class Crooked(Luminance):
    def score(self, queries: Any, gallery: Any) -> Any:
        return super().score(queries, gallery)[0]


class OneFilter(ImageTower):
    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__(image_shape, (1, *image_shape[1:]), ())
        self.filter = torch.nn.Conv2d(image_shape[0], 1, 9, padding=4)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        return self.filter(images)


def count_images(decoded: Decoded) -> PlainResult:
    """How many images were kept for the test?"""
    n = decoded.test.n_stimuli
    finding = Finding("n_images", np.float64(n), "1", n, 7.0, 9.0, 0.0, 1.0, "no images")  # as numpy gives it
    return PlainResult(xr.Dataset({"n": ((), n)}), (finding,))


def occlusion(decoded: Decoded) -> PlainResult:
    """A name that is taken."""
    return count_images(decoded)


CLAIM = Rule(
    "Images were kept.", "image", "Their number.", (("count_images", "n_images"),), lambda found: ("supported", "There are some.")
)
ROW = Analysis(count_images, "neural", "How many?", rules={"kept": CLAIM})


@pytest.fixture(scope="module")
def study(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    place = tmp_path_factory.mktemp("own") / "run"
    decoders = {"luminance": Luminance, "dark": Luminance(-1.0), "crooked": Crooked}
    result = run_study(small_session, QUICK, place, preset=Scratch(image_tower=OneFilter), decoders=decoders)
    found = interpret_run(result, small_session, [ROW])  # the study knows its preset
    assert repr(found) == "InterpretedRun(count_images: 1 findings)"
    assert found.table()[["analysis", "name", "value"]].to_numpy().tolist() == [["count_images", "n_images", 8.0]]
    assert found["count_images"].table()["beats_null"].tolist() == [True]
    return result


def test_own_decoders_stand_in_the_table_beside_dina(study: StudyResult) -> None:
    table = study.table(whole=True)
    rows = table[(table["queries"] == "averaged") & (table["direction"] == "image_from_response")].set_index("decoder")
    assert list(rows.index) == ["dina", "crooked", "dark", "luminance"]
    ours, it = rows.loc["dina", "top1"], rows.loc["luminance", "top1"]
    assert rows.loc["luminance", "dina_minus_it"] == pytest.approx(ours - it)
    assert rows["chance"].dropna().tolist() == [12.5] * 3
    assert "shape (n_queries, n_gallery) = (8, 8); got float32 of (8,)" in rows.loc["crooked", "reason"]
    assert study.summary["fits"]["luminance"] == {"scale": 2.0, "sign": 1.0}
    assert {row["preset"] for row in study.summary["decoding"] if row["decoder"] == "dina"} == {"scratch with OneFilter"}


def test_a_study_of_the_same_code_is_finished_and_of_another_is_refused(study: StudyResult, small_session: Recording) -> None:
    given: dict[str, Any] = {"luminance": Luminance, "dark": Luminance(-1.0), "crooked": Crooked}
    before = (study.path / "summary.json").stat().st_mtime_ns
    again = run_study(small_session, QUICK, study.path, preset=Scratch(image_tower=OneFilter), decoders=given)
    assert again.summary == study.summary | {key: again.summary[key] for key in ("interpretation", "verdicts")}
    assert (study.path / "summary.json").stat().st_mtime_ns == before
    with pytest.raises(DataError, match=r"already holds a study \(own\.decoders\.dark\.sha256: "):
        run_study(
            small_session, QUICK, study.path, preset=Scratch(image_tower=OneFilter), decoders={**given, "dark": Luminance(-2.0)}
        )
    with pytest.raises(DataError, match="already holds a study"):
        run_study(small_session, QUICK, study.path, preset=Scratch(), decoders=given)


def test_a_run_is_read_without_the_code_of_its_parts(study: StudyResult, small_session: Recording) -> None:
    assert "luminance" in compare_runs([study.path])["decoder"]
    assert {one.decoder for one in verify_run(study.path, small_session).from_scores} == {"dina", "luminance", "dark"}
    assert judge_run(study.path)["kept"].reason == "There are some."
    table = judge_runs([study.path]).table().set_index("name")
    assert tuple(table.loc["kept", ["run", "verdict", "reason"]]) == ("run", "supported", "There are some.")


def test_its_settings_are_read_with_the_preset(study: StudyResult) -> None:
    settings = read_settings(study.path / "study.toml", preset=Scratch(image_tower=OneFilter))
    assert settings.preset == "scratch with OneFilter"
    with pytest.raises(DataError, match="Unknown preset 'scratch with OneFilter'"):
        read_settings(study.path / "study.toml")


@pytest.mark.long
def test_commands_read_a_run_without_the_code_of_its_parts(study: StudyResult, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(study.path)
    for words in (["report", run], ["verdict", run], ["compare", run]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code in (0, None), words
    page = (study.path / "report.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("luminance", "scratch with OneFilter", "How many?", "n images", "Images were kept."))
    assert "own decoder crooked" in page
    assert "of which dina knows nothing: Images were kept." in page
    assert f"{__name__}.Crooked, SHA-256" in page
    printed = capsys.readouterr().out
    assert "Images were kept." in printed
    assert "luminance" in printed


def test_what_needs_the_towers_needs_their_preset(study: StudyResult, small_session: Recording) -> None:
    said = (
        r"'scratch with OneFilter', a preset of a user's own, whose code .* recording, preset=Scratch\(…\)\) with the arguments"
    )
    with pytest.raises(DataError, match=said):
        interpret_run(study.path, small_session, ["neuron_profiles"])
    with pytest.raises(DataError, match="was made with another preset"):
        other = type("OneFilter", (OneFilter,), {})
        interpret_run(study, small_session, ["neuron_profiles"], preset=Scratch(image_tower=other))
    with pytest.raises(DataError, match="which is no preset of dina"):
        load_towers(study.path / "model.safetensors")
    towers = load_towers(study.path / "model.safetensors", preset=Scratch(image_tower=OneFilter))
    assert isinstance(towers.image_tower, OneFilter)


def test_an_analysis_is_repeated_when_its_code_changes(study: StudyResult, small_session: Recording) -> None:
    def read() -> dict[str, Any]:
        return json.loads((study.path / "results" / "interpretation" / "count_images.json").read_text(encoding="utf-8"))

    before = read()
    interpret_run(study, small_session, [ROW])  # without its preset: nothing is to be done
    assert read() == before
    with pytest.raises(DataError, match="a preset of a user's own"):
        interpret_run(study.path, small_session, [count_images])  # without the rule it is another one


@pytest.mark.parametrize(
    ("decoders", "message"),
    [
        ({"ridge": Luminance}, "not taken; got 'ridge'"),
        ({"../x": Luminance}, "not taken; got '../x'"),
        ({"mine": object}, r"object has no fit"),
    ],
)
def test_what_is_no_decoder_is_refused_before_anything_is_fitted(decoders: Any, message: str, small_session: Recording) -> None:
    with pytest.raises(DataError, match=message):
        run_study.__wrapped__(small_session, QUICK, decoders=decoders) if hasattr(run_study, "__wrapped__") else run_study(
            small_session, QUICK, decoders=decoders
        )


def _stating(tower: OneFilter, map_shape: tuple[int, int, int]) -> OneFilter:
    tower.map_shape = map_shape
    return tower


def test_what_is_no_part_is_refused(small_session: Recording, study: StudyResult) -> None:
    with pytest.raises(DataError, match="for a study of one recording; 2 were given"):
        run_study([small_session, replace(small_session, name="b")], TogetherSettings(), decoders={"a": Luminance})
    with pytest.raises(DataError, match="word and not taken; got 'pixels'"):
        Default(spaces={"pixels": ComponentSpace})
    with pytest.raises(
        DataError, match=r"spaces beside the local channels, which always take part; got 'local'\. Choose from: pixels"
    ):
        Default().build(DefaultSettings(spaces=("local",)), RecordingShape(1, 24, 48, 60))
    with pytest.raises(DataError, match="must be a class that derives from FeatureSpace"):
        Default(spaces={"mine": PursuedGabors})
    with pytest.raises(
        DataError, match=r"OneFilter must turn 2 inputs into maps of shape \(2, 2, 24, 48\), .* it gives \(2, 1, 24, 48\)"
    ):
        Scratch(image_tower=lambda shape: _stating(OneFilter(shape), (2, *shape[1:]))).build(
            ScratchSettings(), RecordingShape(1, 24, 48, 60)
        )
    with pytest.raises(DataError, match=r"must derive from dina\.ImageTower or dina\.NeuralTower; got Conv2d"):
        Scratch(image_tower=lambda shape: torch.nn.Conv2d(1, 1, 3)).build(ScratchSettings(), RecordingShape(1, 24, 48, 60))
    with pytest.raises(DataError, match="Analyses must be given as a list"):
        interpret_run(study, small_session, "occlusion")
    with pytest.raises(DataError, match="name that is not taken; got 'occlusion'"):
        interpret_run(
            study, small_session, [Analysis(type("f", (), {"__call__": print, "__name__": "occlusion"})(), "image", "?")]
        )


def test_a_checksum_of_code_follows_source_values_and_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = describe_code(Luminance)
    assert (known["name"], known["module"]) == ("Luminance", Luminance.__module__)
    assert describe_code(Luminance)["sha256"] == known["sha256"]
    assert describe_code(Crooked)["sha256"] != known["sha256"]
    assert describe_code(Luminance(1.0))["sha256"] != describe_code(Luminance(2.0))["sha256"]
    assert describe_code(partial(Luminance, 1.0))["sha256"] != describe_code(partial(Luminance, 2.0))["sha256"]
    both = [describe_code(lambda sign=sign: Luminance(sign))["sha256"] for sign in (1.0, 2.0)]
    assert both[0] != both[1]
    monkeypatch.setitem(Luminance.fit.__globals__, "SCALE", 3.0)
    assert describe_code(Luminance)["sha256"] != known["sha256"]


def test_code_without_source_has_a_checksum_too() -> None:
    made: list[dict[str, Any]] = [{}, {}, {}]
    for names, number in zip(made, (1, 1, 2), strict=True):
        exec(f"class Mine:\n    def score(self):\n        return {number}", names)
    first, same, other = (describe_code(names["Mine"])["sha256"] for names in made)
    assert first == same != other
