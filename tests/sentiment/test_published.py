"""Published figures are told with their data, protocol and source, in our units, and none is of Self-MI."""

from __future__ import annotations

from plait_sentiment.cli import app
from plait_sentiment.metrics import metrics_of
from plait_sentiment.published import published

FIGURES = {(row.data, row.subject, row.metric): row for row in published()}


def test_every_figure_is_a_metric_of_ours_in_its_unit():
    for row in published():
        assert row.task == "sentiment/prediction"
        assert row.metric in metrics_of(1.0 if row.data == "CH-SIMS" else 3.0)
        assert 0.2 < row.value < 1.0  # shares, correlations, and errors below one
        assert row.data
        assert row.protocol
        assert row.source.startswith("MMSA")
        assert set(row.layouts) <= set(app.layouts)
    assert len(FIGURES) == len(published()) == 8 * 7 + 8 * 6 + 4 * 6


def test_figures_as_their_source_has_them():
    assert FIGURES["CMU-MOSI", "Self-MM", "mae"].value == 0.7080
    assert FIGURES["CMU-MOSI", "MISA", "acc2_has0"].value == 0.8184
    assert FIGURES["CMU-MOSI", "TFN", "acc7"].value == 0.3446
    assert FIGURES["CMU-MOSEI", "CENET", "corr"].value == 0.7775
    assert FIGURES["CH-SIMS", "MulT", "f1"].value == 0.7966


def test_a_mosi_table_is_shown_beside_mosi_alone_and_no_figure_is_of_self_mi():
    assert {row.data for row in published() if "mosi" in row.layouts} == {"CMU-MOSI"}
    assert not any("Self-MI" in row.subject for row in published())
