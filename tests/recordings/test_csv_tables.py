"""Tables beside a recording: nothing in them is dropped, shifted or taken as unknown in silence."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.csv_tables import read_labels, read_neurons


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label\nowl, grey\nowl\nfox\n", r"1 fields, as the first line has; row 1 has 2 \(owl, grey\).*between double quotes"),
        ("stimulus_id,label\n0,owl\n1\n", "2 fields, as the first line has; row 2 has 1"),
        ("label,label\nowl,fox\nfox,owl\n", "name of its own; label is there twice"),
        ("Labelz\nowl\nfox\nelk\n", "unknown column 'Labelz'. Did you mean 'label'"),
        ("stimulus id,label\n0,owl\n", "unknown column 'stimulus id'. Did you mean 'stimulus_id'"),
        ("stimulus_id;label\n0;owl\n", "separated by commas; its first line has semicolons"),
        ("stimulus_id\tlabel\n0\towl\n", "its first line has tabs"),
    ],
)
def test_rows_and_headings_that_do_not_fit_are_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_labels(table(tmp_path, text), 3, [])


def test_decimal_commas_are_no_further_coordinates(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 1 has 4 .*Write decimal points"):
        read_neurons(table(tmp_path, "x_um,y_um\n3,5,8,25\n", "neurons.csv"), 1, [])


def test_an_empty_line_of_one_column_is_an_unknown_label(tmp_path: Path) -> None:
    notes: list[str] = []
    found = read_labels(table(tmp_path, "label\nowl\n\nfox\n\n"), 4, notes)
    assert found.tolist() == ["owl", "", "fox", ""]
    assert read_labels(table(tmp_path, "label\nowl\n\nfox\n\n\n"), 3, []).tolist() == ["owl", "", "fox"]
    assert notes == ["2 of 4 images have no label."]


def test_ids_of_labels_count_from_where_those_of_trials_do(tmp_path: Path) -> None:
    path = table(tmp_path, "stimulus_id,label\n1,owl\n3,fox\n")
    assert read_labels(path, 3, [], index_base=1).tolist() == ["owl", "", "fox"]
    with pytest.raises(DataError, match="1 to 2, each once, counted from 1 as index_base = 1 says; got '3' in row 2"):
        read_labels(path, 2, [], index_base=1)
    notes: list[str] = []
    read_labels(path, 4, notes)  # nothing says that they count from 1, but image 0 is left out
    assert any("leaves image 0 out: if its ids count from 1" in note for note in notes)


def test_words_for_unknown_are_taken_as_such_and_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    assert read_labels(table(tmp_path, "label\nowl\nN/A\nNaN\nfox\n"), 4, notes).tolist() == ["owl", "", "", "fox"]
    assert notes[0] == "2 labels of labels.csv were taken as unknown: they say N/A, NaN."
    notes.clear()
    text = "x_um,is_red,area\n3.5,1,V1\nnan,,V1\n?,0,LM\n"
    position, red = read_neurons(table(tmp_path, text, "neurons.csv"), 3, notes)
    assert position is not None
    assert red is not None
    np.testing.assert_array_equal(position[:, 0], np.array([3.5, np.nan, np.nan], dtype=np.float32))
    assert red.tolist() == [True, False, False]
    assert notes == [
        "Columns of neurons.csv that mean nothing here were passed over: area.",
        "2 positions of neurons.csv were taken as unknown: they say ?, nan.",
        "neurons.csv does not say of 1 neurons whether they are red; they were taken as not red.",
    ]
