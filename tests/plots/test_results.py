"""The charts of results: what they draw, and in which order."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isthmus import VAE, plots


def test_units_are_drawn_by_their_information():
    latent = SimpleNamespace(kl_per_unit=[0.2, 3.0, 0.0], activity=[0.5, 0.9, 0.001])
    ax = plots.kl_per_unit(latent)
    assert [bar.get_height() for bar in ax.patches[:3]] == [3.0, 0.2, 0.0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "0", "2"]
    assert [bool(bar.get_hatch()) for bar in ax.patches[:3]] == [False, False, True]
    assert ax.get_legend() is not None
    without = plots.kl_per_unit(SimpleNamespace(kl_per_unit=None, activity=[0.5, 0.9]))
    assert without.get_ylabel() == "variance of the code"
    assert without.get_legend() is None


def test_numbers_of_many_units_do_not_overlap():
    ax = plots.kl_per_unit(SimpleNamespace(kl_per_unit=np.arange(512.0), activity=np.ones(512)))
    FigureCanvasAgg(ax.figure).draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert (len(ax.patches), len(boxes)) == (64, 16)
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_histograms_have_shares_and_means():
    ax = plots.log_likelihoods({"rows": [-1.0, -2.0, -3.0, np.inf], "samples": [-1.0, -1.0]}, ax=Figure().subplots())
    first, second = ax.patches
    assert first.get_data().values.sum() == pytest.approx(100)
    assert second.get_data().values.sum() == pytest.approx(100)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rows: −2.00", "samples: −1.00"]
    with pytest.raises(ValueError, match="no finite log-likelihood"):
        plots.log_likelihoods({"rows": [np.nan]})


def test_coverage_is_drawn_against_the_nominal_share():
    ax = plots.coverage(SimpleNamespace(coverage=[0.1, 0.3, 0.9]))
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[25, 10], [50, 30], [75, 90]])
    with pytest.raises(ValueError, match="no intervals to draw"):
        plots.coverage(SimpleNamespace(coverage=[]))


def test_effects_are_a_heat_map_of_columns_by_units():
    effects = SimpleNamespace(
        units=[3, 0], columns=["a", "a name that is far too long to be drawn"], values=[[1.5, -2.0], [0.0, 0.5]],
        is_category=[False, True],
    )  # fmt: skip
    ax = plots.unit_effects(effects)
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), [[1.5, 0.0], [-2.0, 0.5]])
    assert ax.get_images()[0].get_clim() == (-2, 2)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["3", "0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "a name that is far too … *"]
    assert [text.get_text() for text in ax.texts] == ["1.5", "0.0", "−2.0", "0.5"]


def test_distributions_of_numbers_dates_and_levels():
    numbers = SimpleNamespace(
        name="n", is_date=False, edges=[0.0, 1.0, 2.0], levels=None, rows=[0.25, 0.75], samples=[0.5, 0.5]
    )
    np.testing.assert_array_equal(plots.marginal(numbers).patches[0].get_data().values, [25, 75])
    dates = SimpleNamespace(**{**vars(numbers), "is_date": True, "edges": [19723.0, 19800.0, 19900.0]})
    ax = plots.marginal(dates)
    FigureCanvasAgg(ax.figure).draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2024-01", "2024-03", "2024-05", "2024-07"]
    dates.edges = [19362.0, 19700.0, 19980.0]  # 20 months
    ax = plots.marginal(dates)
    FigureCanvasAgg(ax.figure).draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2023-01", "2023-07", "2024-01", "2024-07"]
    levels = SimpleNamespace(**{**vars(numbers), "edges": None, "levels": ["x", "y"]})
    assert [bar.get_height() for bar in plots.marginal(levels).patches] == [25, 75, 50, 50]


def test_dependencies_of_rows_are_below_the_diagonal():
    result = SimpleNamespace(columns=["a", "b"], rows=[[1.0, 0.2], [0.2, 1.0]], samples=[[1.0, 0.7], [0.7, 1.0]])
    drawn = plots.dependencies(result).get_images()[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(drawn, [[np.nan, 0.7], [0.2, np.nan]])


def test_a_heat_map_in_a_narrow_figure_stays_readable():
    n, names = 12, [f"a column named {k}" for k in range(12)]
    result = SimpleNamespace(columns=names, rows=np.eye(n), samples=np.eye(n))
    assert len(plots.dependencies(result).texts) == n * (n - 1)  # the numbers
    figure = Figure(figsize=(3.4, 2.8), layout="constrained")
    ax = plots.dependencies(result, ax=figure.subplots())
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not ax.texts
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_an_extreme_pixel_does_not_make_all_others_grey(digits):
    rows = digits[:20].copy()
    rows[0, 0] = 1000.0
    model = SimpleNamespace(inverse_transform=lambda Z: rows[: len(Z)])
    ax = plots.traversals(model, np.random.default_rng(0).normal(size=(30, 2)), n=10)
    assert ax.get_images()[0].get_clim() == (0.0, 16.0)
    rows = np.zeros((20, 64))
    rows[0, 0] = 1.0
    ax = plots.traversals(model, np.random.default_rng(0).normal(size=(30, 2)), n=10)
    assert ax.get_images()[0].get_clim() == (0.0, 1.0)


def test_traversals_change_one_unit_of_a_typical_sample(digits):
    model = VAE(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(digits)
    codes = model.transform(digits)
    ax = plots.traversals(model, codes, units=[1], n=3)
    drawn = np.asarray(ax.get_images()[0].get_array())
    typical = codes[np.square((codes - np.median(codes, axis=0)) / codes.std(axis=0)).sum(axis=1).argmin()].copy()
    typical[1] = np.quantile(codes[:, 1], 0.99)
    np.testing.assert_allclose(drawn[:, -8:], model.inverse_transform(typical[None]).reshape(8, 8), rtol=1e-6)
