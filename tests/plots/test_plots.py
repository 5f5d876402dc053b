"""The plots: what they draw, on which axes, and what they refuse."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isthmus import VAE, SparseAutoencoder, plots

X = np.arange(6 * 16, dtype=float).reshape(6, 16)


def picture(ax):
    return ax.get_images()[0].get_array()


@pytest.fixture(scope="module")
def vae(digits):
    return VAE(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(digits)


def test_images_fills_rows_and_leaves_gaps_empty():
    ax = plots.images(X, n_columns=4)
    drawn = picture(ax)
    assert drawn.shape == (9, 19)  # 2 rows of 4 images of 4x4, with gaps of one pixel
    np.testing.assert_array_equal(drawn[:4, 5:9], X[1].reshape(4, 4))
    np.testing.assert_array_equal(drawn[5:, :4], X[4].reshape(4, 4))
    assert np.isnan(drawn.filled(np.nan)[:, 4]).all()
    assert np.isnan(drawn.filled(np.nan)[5:, 10:]).all()


def test_images_takes_axes_limits_and_shape():
    ax = Figure().subplots()
    assert plots.images(X, image_shape=(2, 8), limits=(0, 10), ax=ax) is ax
    assert ax.get_images()[0].get_clim() == (0, 10)
    assert picture(ax).shape == (2 * 3 - 1, 3 * 9 - 1)


def test_images_in_colour_keep_gaps_transparent():
    rows = np.linspace(0, 1, 2 * 12).reshape(2, 12)
    drawn = np.asarray(picture(plots.images(rows, image_shape=(3, 2, 2), n_columns=2)))
    assert drawn.shape == (2, 5, 4)
    np.testing.assert_allclose(drawn[:, :2, :3], rows[0].reshape(3, 2, 2).transpose(1, 2, 0))
    assert (drawn[:, 2, 3] == 0).all()
    assert (drawn[:, :2, 3] == 1).all()


def test_one_channel_is_grey():
    assert picture(plots.images(X, image_shape=(1, 4, 4), n_columns=6)).shape == (4, 29)


@pytest.mark.parametrize(
    ("rows", "shape", "message"),
    [
        (np.zeros((2, 5)), None, "set image_shape"),
        (np.zeros((2, 6)), (2, 2), "set image_shape"),
        (np.zeros((2, 8)), (2, 2, 2), "set image_shape"),
        (np.zeros(4), None, "expected a nonempty matrix"),
        (np.zeros((0, 4)), None, "expected a nonempty matrix"),
    ],
)
def test_samples_that_are_not_images_are_errors(rows, shape, message):
    with pytest.raises(ValueError, match=message):
        plots.images(rows, image_shape=shape)


def test_image_rows_share_the_limits_of_the_first():
    ax = plots.image_rows({"one": X[:3], "two": 2 * X[3:]})
    assert ax.get_images()[0].get_clim() == (X[:3].min(), X[:3].max())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    with pytest.raises(ValueError, match="rows must have equal shapes"):
        plots.image_rows({"one": X[:3], "two": X[:2]})
    with pytest.raises(ValueError, match="rows has no samples"):
        plots.image_rows({})


def test_reconstructions_are_below_the_originals(vae, digits):
    drawn = picture(plots.reconstructions(vae, digits[:3]))
    np.testing.assert_array_equal(drawn[:8, :8], digits[0].reshape(8, 8))
    np.testing.assert_allclose(drawn[9:, :8], vae.reconstruct(digits[:1]).reshape(8, 8))


def test_features_of_a_linear_decoder_are_its_columns(digits):
    model = SparseAutoencoder(5, hidden_layer_sizes=(), k=2, max_epochs=1, random_state=0).fit(digits)
    drawn = picture(plots.features(model, order=[3, 0], n_columns=2))
    column = model.model_.network.decoder_weights()[0][:, 3].detach().numpy().reshape(8, 8)
    scale = model.model_.scaling.scale.numpy().reshape(8, 8)
    varies = np.ptp(digits, axis=0).reshape(8, 8) > 0  # a pixel that is constant in training stays constant
    expected = column * scale * varies / np.abs(column * scale * varies).max()
    np.testing.assert_allclose(drawn[:, :8], expected, atol=1e-5)


def test_latent_plane_names_the_classes_at_their_medians():
    codes = np.array([[0.0, 0.0, 9.0], [2.0, 2.0, 9.0], [-1.0, 5.0, 9.0]])
    ax = plots.latent_plane(codes, ["a", "a", "b"])
    assert {text.get_text(): text.get_position() for text in ax.texts} == {"a": (1.0, 1.0), "b": (-1.0, 5.0)}
    assert len(plots.latent_plane(codes).texts) == 0
    with pytest.raises(ValueError, match="two latent units"):
        plots.latent_plane(codes[:, :1])


def test_a_column_of_numbers_or_dates_is_a_scale_of_colours():
    codes = np.random.default_rng(0).normal(size=(40, 3))
    dates = np.arange("2024-01-01", "2024-02-10", dtype="datetime64[D]")
    dates[3] = np.datetime64("NaT", "D")
    for column in (np.arange(40.0), dates):
        ax = plots.latent_plane(codes, column, units=(2, 0), label="when")
        assert (ax.get_xlabel(), ax.get_ylabel(), len(ax.texts)) == ("unit 2", "unit 0", 0)
        bar = ax.figure.axes[1]
        assert bar.get_ylabel() == "when"
    FigureCanvasAgg(ax.figure).draw()
    assert [label.get_text() for label in bar.get_yticklabels()][:2] == ["2024-01-08", "2024-01-15"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), codes[[3]][:, [2, 0]])  # the missing one, in grey


def test_classes_may_be_missing_or_long():
    codes = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 5.0]])
    ax = plots.latent_plane(codes, np.array(["a name of many words", None, "b"], dtype=object))
    assert sorted(text.get_text() for text in ax.texts) == ["a name of many …", "b"]


def test_names_of_classes_do_not_hide_each_other():
    codes = np.random.default_rng(0).normal(size=(80, 2))
    ax = plots.latent_plane(codes, [f"class {k % 8}" for k in range(80)])
    FigureCanvasAgg(ax.figure).draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_models_of_tables_are_not_images():
    table = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "kind": list("abab")})
    model = VAE(2, hidden_layer_sizes=(), max_epochs=1, random_state=0).fit(table)
    for draw in (plots.features, plots.decoded_plane, lambda model: plots.reconstructions(model, table)):
        with pytest.raises(ValueError, match="rows of a table with other columns: they are not images"):
            draw(model)


def test_more_classes_than_colours():
    assert len(plots.latent_plane(np.random.default_rng(0).normal(size=(12, 2)), np.arange(12)).texts) == 12


def test_decoded_plane_has_large_z2_at_the_top(vae):
    drawn = picture(plots.decoded_plane(vae, n=3, reach=1.0))
    corner = vae.inverse_transform([[-1.0, 1.0]]).reshape(8, 8)
    np.testing.assert_allclose(drawn[:8, :8], corner)
    ax = plots.decoded_plane(vae, n=3, reach=1.5)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["−1.5", "1.5"]
    assert np.diff(ax.get_yticks()) < -16  # over two of three images, downwards: the first pixels are at the top
    with pytest.raises(ValueError, match="n_components=3"):
        plots.decoded_plane(VAE(3))


def test_history_draws_the_terms(vae):
    ax = plots.history(vae.history_)
    assert [line.get_label() for line in ax.get_lines()] == ["loss", "reconstruction", "kl"]
    assert len(plots.history(vae.history_, terms=["kl"]).get_lines()) == 1
    assert plots.history(vae.history_[:1]).get_lines()[0].get_marker() == "o"
    with pytest.raises(ValueError, match="fit the model first"):
        plots.history([])


def test_a_figure_can_be_saved(tmp_path, vae):
    plots.history(vae.history_).figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "isthmus\[report\]"'):
        plots.images(X)


def test_pyplot_and_torch_are_not_imported():
    code = "import sys; from isthmus import plots; plots.images([[0.0] * 4]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "matplotlib.figure" in loaded
    assert not {"matplotlib.pyplot", "torch"} & set(loaded)
