"""The benchmark of sparse codes: its world, its scores, and its page."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "sparse"
MODULES = ("world", "scores", "render", "side_isthmus", "candidates", "measure")


@pytest.fixture
def load(monkeypatch):
    """Return what imports a module of the benchmark, and leaves nothing behind."""
    monkeypatch.syspath_prepend(str(HERE))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_world_is_what_the_page_says(load):
    world = load("world").World.of(0)
    strengths, x = world.test(0, 2000)
    np.testing.assert_allclose(np.linalg.norm(world.features, axis=1), 1, rtol=1e-5)
    assert (strengths > 0).sum(1).mean() == pytest.approx(5.12, abs=0.2)
    assert strengths[strengths > 0].min() >= 0.5
    assert strengths.max() <= 1.5
    np.testing.assert_allclose(x, strengths @ world.features, rtol=1e-5)


def test_chunks_are_written_in_order(load, tmp_path):
    world = load("world").World.of(0)
    world.write(tmp_path / "x.npy", 12_000, 0)
    rows = np.load(tmp_path / "x.npy")
    rng = np.random.default_rng([0, 1])
    np.testing.assert_array_equal(rows, np.concatenate([world.draw(rng, n)[1] for n in (10_000, 2000)]))


def test_true_features_in_any_order_have_perfect_scores(load):
    world, scores = load("world").World.of(0), load("scores").scores
    strengths, _ = world.test(0, 3000)
    order = np.random.default_rng(1).permutation(len(world.features))
    found = scores(3 * world.features[order], strengths[:, order], world.features, strengths, 0.0)
    assert found["cosine"] == pytest.approx(1)
    assert found["F1"] == pytest.approx(1)
    assert found["dead"] == 0
    assert scores(-world.features, strengths, world.features, strengths, 0.0)["cosine"] < 0.5
    half = strengths * (np.arange(512) % 2)
    assert scores(world.features, half, world.features, strengths, 0.0)["F1"] == pytest.approx(0.5)
    assert scores(world.features, half, world.features, strengths, 0.0)["dead"] == 256


def test_our_side_returns_directions_and_codes(load, tmp_path):
    world = load("world").World.of(0)
    world.write(tmp_path / "x.npy", 2048, 0)
    settings = {"n_components": 32, "k": 4, "batch_size": 256, "learning_rate": 0.01}
    directions, apply = load("side_isthmus").fit(tmp_path / "x.npy", settings, 0)
    _, x = world.test(0, 10)
    codes, reconstruction = apply(x)
    assert directions.shape == (32, 64)
    assert codes.shape == (10, 32)
    assert reconstruction.shape == x.shape


def test_the_page_is_what_the_results_give(load):
    render = load("render")
    assert render.PAGE.read_text() == render.page()
    assert "{{" not in render.page()
