"""ONNX files: onnxruntime computes with them what the estimator does, without isthmus and torch."""

import numpy as np
import pandas as pd
import pytest
import torch

from explorer_clients import visits
from isthmus import VAE, Autoencoder, ConditionalVAE
from isthmus.export import _check, _onnx, onnx_input, scoring_noise, to_onnx
from isthmus.export._graphs import Scorer, make_graphs
from isthmus.export._inputs import condition_input, describe_inputs
from isthmus.export._operators import decompositions

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 20, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    return visits()


@pytest.fixture(scope="module")
def model(table):
    return VAE(2, n_draws=50, **QUICK).fit(table[:150])


def test_what_the_columns_of_a_table_are(model):
    described = describe_inputs(model._codec)
    assert [(c["name"], c.get("element"), c["kind"]) for c in described] == [
        ("kind", None, "code"),
        ("weight", None, "number"),
        ("fee", None, "number"),
        ("day", "week", "number"),
        ("day", "weekday", "code"),
        ("chipped", None, "code"),
    ]
    assert described[-1]["levels"] == [False, True]


def compute(graph, *inputs):
    with torch.no_grad():
        found = graph(*map(torch.tensor, inputs))
    return [values.numpy() for values in (found if isinstance(found, tuple) else (found,))]


def test_graphs_of_a_table(model, table):
    """The codec in the graph is that of the estimator: frequent values, splines, missing cells, elements of dates."""
    graphs, X = make_graphs(model, torch.float64), onnx_input(model, table)
    (code,) = compute(graphs["encoder"], X)
    assert np.allclose(code, model.transform(table))
    (made,) = compute(graphs["decoder"], code)
    expected = model.inverse_transform(code)
    assert np.allclose(made[:, 1:3], expected[["weight", "fee"]])
    assert (np.array(["bird", "cat", "dog"])[made[:, 0].astype(int)] == expected["kind"]).all()
    assert (made[:, 5] == expected["chipped"]).all()


def test_graphs_of_conditional_models(table):
    rows = table.dropna()
    labels = rows["kind"].to_numpy()
    numbers = rows[["weight", "fee"]].to_numpy()
    for X, y in ((numbers, labels), (numbers, numbers[:, 0]), (numbers, rows[["kind", "weight"]])):
        model = ConditionalVAE(1, n_draws=20, **QUICK | {"max_epochs": 3}).fit(X, y)
        graphs, own = make_graphs(model, torch.float64), condition_input(model, y)
        assert np.allclose(compute(graphs["encoder"], X, own)[0], model.transform(X, y))
        code = np.zeros((len(X), 1))
        assert np.allclose(compute(graphs["decoder"], code, own)[0], model.inverse_transform(code, y))
        log_p, bound, effective = compute(graphs["scorer"], X, scoring_noise_of(model, X), own)
        once = effective >= 5
        assert np.allclose(log_p[once], model.score_samples(X, y)[once])
        assert np.allclose(bound, model.elbo(X, y).elbo)


def scoring_noise_of(model, X):
    noise = scoring_noise(model, X)
    assert noise.shape == (model.n_draws, len(X), 1)
    return noise


def test_a_constant_column_costs_what_it_does_in_the_estimator():
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[:, 1] = 7.0
    model = VAE(1, n_draws=20, **QUICK | {"max_epochs": 3}).fit(X)
    X[0, 1] = 8.0
    bound = compute(Scorer(model, torch.float64), X, scoring_noise(model, X))[1]
    assert np.allclose(bound, model.elbo(X).elbo)
    assert bound[0] < bound[1:].min() - 20
    decoded = compute(make_graphs(model, torch.float64)["decoder"], np.ones((2, 1)))[0]
    assert (decoded[:, 1] == 7).all()


def test_missing_cells_of_a_model_that_had_none_are_not_scored():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = VAE(1, n_draws=5, **QUICK | {"max_epochs": 1}).fit(X)
    X[1, 2] = np.nan
    for values in compute(Scorer(model, torch.float64), X, np.zeros((5, 40, 1))):
        assert np.isnan(values).tolist() == [i == 1 for i in range(40)]


def test_operators_that_onnx_lacks():
    own = {str(op): function for op, function in decompositions(torch.float64).items()}
    x = torch.tensor([1e-3, 0.5, 1.0, 2.0, 30.0, 1e6], dtype=torch.float64)
    assert torch.allclose(own["aten.lgamma.default"](x), torch.lgamma(x), rtol=1e-11, atol=1e-11)
    x, y = torch.tensor([[0.0, 3.0, -1e200, 1e-200], [0.0, -4.0, 1e200, 0.0]], dtype=torch.float64)
    assert torch.allclose(own["aten.hypot.default"](x, y), torch.hypot(x, y), rtol=1e-14, atol=1e-300)
    x = torch.linspace(-40, 40, 9, dtype=torch.float64)
    assert torch.allclose(own["aten.elu.default"](x), torch.nn.functional.elu(x))
    assert torch.allclose(own["aten.softplus.default"](x), torch.nn.functional.softplus(x, threshold=1e9))
    lower = torch.randn(
        2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).tril() + 4 * torch.eye(4)
    b = torch.ones(2, 4, 3, dtype=torch.float64)
    solve = own["aten.linalg_solve_triangular.default"]
    for a, upper in ((lower, False), (lower.mT, True)):
        assert torch.allclose(solve(a, b, upper=upper), torch.linalg.solve_triangular(a, b, upper=upper))
    assert "aten.elu.default" not in map(str, decompositions(torch.float32))


def test_a_file_that_differs_is_not_written(monkeypatch, tmp_path):
    model = Autoencoder(1, **QUICK | {"max_epochs": 1}).fit(np.random.default_rng(0).normal(size=(20, 2)))
    monkeypatch.setattr(_onnx, "_write", lambda *_: None)

    class Wrong:
        def get_outputs(self):
            return [type("Output", (), {"name": "code"})]

        def run(self, _, inputs):
            return [np.full((len(inputs["X"]), 1), 99.0)]

    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: Wrong())
    with pytest.raises(ValueError, match=r"the encoder as ONNX differs .* in code with 1 rows; nothing was written"):
        to_onnx(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert _check._SIZES == (1, 2, 1000)


def test_what_cannot_be_written_is_one_clear_error(model, tmp_path, monkeypatch):
    plain = Autoencoder(1, **QUICK | {"max_epochs": 1}).fit(np.random.default_rng(0).normal(size=(20, 2)))
    with pytest.raises(ValueError, match="Autoencoder has no density p\\(x\\), and so no scorer"):
        plain.to_onnx(tmp_path, parts=["scorer"])
    with pytest.raises(ValueError, match="part 'encodr'.*encoder"):
        plain.to_onnx(tmp_path, parts=["encodr"])
    with pytest.raises(ValueError, match="dtype='half': must be"):
        plain.to_onnx(tmp_path, dtype="half")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; name a folder for the ONNX files"):
        plain.to_onnx(tmp_path / "file")
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(OSError, match=r"out: .* cannot be written \(Permission denied\); name another folder"):
        plain.to_onnx(tmp_path / "out")
    monkeypatch.undo()
    assert isinstance(onnx_input(model, pd.DataFrame(visits())), np.ndarray)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [{"likelihood": "student_t"}, {"prior": "vamp_prior"}, {"prior": "flow"}, {"posterior": "flow_normal"}],
    ids=lambda fields: next(iter(fields.values())),
)
def test_scorers_of_other_parts(fields, tmp_path):
    """onnxruntime gives log p(x) of score_samples where enough draws of q(z|x) are effective."""
    import onnxruntime

    X = np.random.default_rng(0).normal(size=(60, 3)) @ np.array([[1.0, 0.5, 0], [0, 1, 0.5], [0, 0, 1]])
    model = VAE(1, n_draws=20, **QUICK | {"max_epochs": 30} | fields).fit(X)
    to_onnx(model, tmp_path / "out", dtype="float64")
    scorer = onnxruntime.InferenceSession(tmp_path / "out" / "scorer.onnx")
    log_p, bound, effective = scorer.run(None, {"X": X, "noise": scoring_noise(model, X)})
    assert (effective >= 5).sum() > 20
    assert np.allclose(log_p[effective >= 5], model.score_samples(X)[effective >= 5])
    assert np.allclose(bound, model.elbo(X).elbo)
