"""Objectives in the table of rivals are fitted alike, and each keeps the epoch that its own loss prefers."""

from benchmark_scripts import import_script
from dina.training.objectives import OBJECTIVES


def test_every_objective_has_one_budget_and_is_selected_by_its_own_loss() -> None:
    rows = import_script("rivals_rows")

    usual = [row for row in rows.all_rows(rows.EPOCHS, []) if row.kind == "objective"]
    told = rows.all_rows(rows.EPOCHS | {"objectives": 2}, ["scratch.fit.select_by=top1"])
    asked = [row for row in told if row.kind == "objective"]

    assert {row.name for row in usual} == OBJECTIVES.keys()
    assert {(fit.n_epochs, fit.select_by) for fit in (row.preset_settings().fit for row in usual)} == {(12, "loss")}
    # who asks for something else gets it
    assert {(fit.n_epochs, fit.select_by) for fit in (row.preset_settings().fit for row in asked)} == {(2, "top1")}
