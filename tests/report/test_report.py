"""The report: one page that needs nothing else, whose numbers are those of its JSON."""

import html
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder, ConditionalVAE, ContractiveAutoencoder
from isthmus.assessment import CHECKS, examine
from isthmus.assessment._context import Context, estimate_log_likelihood
from isthmus.assessment._evidence import percent
from isthmus.assessment._odd import cell_scores
from isthmus.assessment._rows import random_rows
from isthmus.assessment._two_sample import classifier_test
from isthmus.cli import main
from isthmus.explorer import Explorer
from isthmus.export import scoring_noise
from isthmus.report import make_comparison, make_report
from isthmus.report._charts import _colours
from isthmus.report._compare import _difference
from isthmus.tables import TableCodec

X, Y = load_iris(return_X_y=True)
TRAIN, TEST = X[::2], X[1::2]
QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 30, "random_state": 0}
OUTSIDE = re.compile(
    r"""(?:src|href|srcset|action|data)\s*=\s*["'](?!data:|#)|url\(|@import|<script|<link|<iframe""", re.IGNORECASE
)


def table(n=300, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    rows = pd.DataFrame(
        {
            "size": np.exp(z + 0.2 * rng.normal(size=n)),
            "kind": np.where(z > 0, "<large>", "small & thin"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta((30 * z).round(), unit="D"),
            "noise": rng.normal(size=n),
        }
    )
    rows.loc[rng.random(n) < 0.1, "size"] = np.nan
    return rows


@pytest.fixture(scope="module")
def vae():
    return VAE(2, **QUICK).fit(TRAIN)


@pytest.fixture(scope="module")
def report(vae):
    return vae.report(TEST, Y[1::2], X_train=TRAIN, name="iris <test>")


@pytest.fixture(scope="module")
def table_report():
    rows = table()
    return VAE(2, **QUICK).fit(rows[:200]).report(rows[200:], name="table")


@pytest.fixture(scope="module")
def image_report(digits):
    model = Autoencoder(3, hidden_layer_sizes=(16,), max_epochs=2, random_state=0).fit(digits[:120])
    return model.report(digits[120:], image_shape=(8, 8), name="digits")


REPORTS = ("report", "table_report", "image_report")


def page_of(request, name):
    return request.getfixturevalue(name)


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_needs_nothing_else(request, name):
    page = page_of(request, name).html
    assert not OUTSIDE.search(page)
    assert page.count('<source media="screen and (prefers-color-scheme: dark)"') == page.count("<picture>") > 0
    assert '<th scope="col"></th>' not in page  # screen readers would read an empty header with each cell
    assert "default-src 'none'" in page
    assert len(page) < 5e6
    pictures = re.findall(r"<img [^>]*>", page)
    assert len(pictures) > 2
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)
    assert len(set(re.findall(r' id="([^"]*)"', page))) == len(re.findall(r' id="([^"]*)"', page))
    assert "nan" not in re.sub(r'"data:[^"]*"', "", page).lower().replace("covariance", "")


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_has_the_sentences_of_the_json(request, name):
    found = page_of(request, name)
    text = html.unescape(found.html)
    assert [check["id"] for check in found.numbers["verdict"]] == list(CHECKS)
    for check in found.numbers["verdict"]:
        assert f"<p>{check['sentence']}</p>" in text
        assert f'id="{check["id"]}" class="{check["status"]}"' in text
        if check["status"] == "none":
            assert check["value"] is None
    for what, reason in found.numbers["not_computed"].items():
        assert what in text
        assert f"Not computed, because {reason}." in text
    json.dumps(found.numbers, allow_nan=False)


def test_the_page_has_the_numbers_of_the_json(report):
    found, text = report.numbers, html.unescape(report.html)
    latent, part = found["assessment"]["latent"], found["assessment"]["likelihood"]
    assert f"{latent['active_units']} of {latent['n_units']} units are active" in text
    for value in (found["scores"]["rows"]["mean"], part["distortion"], part["rate"], latent["mutual_information"]):
        assert f"{value:.2f}".replace("-", "−") in text
    for reference in found["references"]:
        assert f"{reference['mean']:.2f}".replace("-", "−") in text
    for column in found["assessment"]["reconstruction"]["columns"]:
        assert f"{column['negative_log_likelihood']:.2f}".replace("-", "−") in text
    for row in found["odd_rows"]:
        assert f"row {row['row']}" in text


def test_numbers_are_those_of_the_model(vae, report):
    scores = vae.score_samples(TEST)
    assert report.numbers["scores"]["rows"]["mean"] == pytest.approx(scores.mean())
    assert report.numbers["odd_rows"][0]["row"] == int(scores.argmin())
    training = vae.score_samples(TRAIN)
    auc = ((training[:, None] > scores) + 0.5 * (training[:, None] == scores)).mean()
    assert report.numbers["membership"]["auc"] == pytest.approx(auc)
    assert "which of two rows was a training row is right in" in report.numbers["verdict"][1]["sentence"]
    names = [reference["name"] for reference in report.numbers["references"]]
    assert sorted(names) == ["FactorAnalysis", "GaussianMixture", "PCA", "independent columns"]
    from sklearn.decomposition import PCA

    own = next(r for r in report.numbers["references"] if r["name"] == "PCA")
    assert own["mean"] == pytest.approx(PCA(2, random_state=0).fit(TRAIN).score(TEST))


def test_names_and_levels_are_escaped(report, table_report):
    assert "iris <test>" not in report.html
    assert "iris &lt;test&gt;" in report.html
    assert "&lt;large&gt;" in table_report.html
    assert "<large>" not in table_report.html


def test_sections_by_kind_of_data(report, table_report, image_report):
    def keys(found):
        return re.findall(r'<section id="([^"]*)"', found.html)

    assert keys(report)[:6] == ["verdict", "model", "training", "reconstructions", "latent", "units"]
    assert {"samples", "likelihood", "odd", "imputation", "columns", "marginals", "dependencies"} <= set(
        keys(table_report)
    )
    assert not {"samples", "columns", "marginals"} & set(keys(image_report))
    assert "the columns are pixels" in image_report.html
    assert "the model has no density p(x)" in image_report.html
    assert "their cells that are oddest given the code of the row" in image_report.html
    assert "their cells that are oddest given the other cells of the row" in table_report.html


def test_the_plane_is_coloured_by_dates_that_are_texts():
    days = pd.date_range("2024-01-01", periods=99)
    table = pd.DataFrame({"day": days.strftime("%d.%m.%Y"), "kind": ["a", "b", "c"] * 33})
    effects = SimpleNamespace(units=[0, 1], columns=["day", "kind"], values=[[2.0, 0.1], [0.0, 0.9]])
    estimator = SimpleNamespace(_codec=TableCodec().fit(table))
    context = SimpleNamespace(table=table, estimator=estimator)
    found = _colours(SimpleNamespace(labels=None, effects=effects, context=context), (0, 1))
    np.testing.assert_array_equal(found["day"], days.to_numpy())
    assert found["kind"].tolist() == table["kind"].tolist()


def test_y_of_a_model_without_conditions_are_labels(vae, report):
    found = examine(vae, TEST[:20], Y[1::2][:20], X_train=TRAIN, y_train=Y[::2], n_draws=5)
    assert (found.labels == Y[1::2][:20]).all()
    assert "by label" in report.html
    other = examine(vae, TEST[:20], Y[1::2][:20], labels=np.arange(20), n_draws=5)
    assert (other.labels == np.arange(20)).all()


def test_it_is_saved_with_its_numbers(report, tmp_path):
    report.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == report.html
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report.numbers))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json"]
    with pytest.raises(ValueError, match=r"a\.pdf: a report is a page: name a file that ends in \.html"):
        report.save(tmp_path / "a.pdf")


def test_a_notebook_shows_it_in_a_frame(report):
    shown = report._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "sandbox" in shown
    assert "ISTH-03" in repr(report)


def test_the_size_does_not_grow_with_the_rows():
    model = Autoencoder(2, **QUICK).fit(TRAIN)
    few, many = (make_report(model, np.tile(TEST, (n, 1))) for n in (14, 140))
    assert (few.numbers["data"]["rows"], many.numbers["data"]["rows"]) == (1050, 10_500)
    assert many.numbers["data"]["rows_used"] == 1000
    assert abs(len(many.html) / len(few.html) - 1) < 0.2


def test_a_conditional_model_is_examined_with_its_conditions():
    model = ConditionalVAE(2, **QUICK).fit(TRAIN, Y[::2])
    found = examine(model, TEST, Y[1::2], n_draws=20)
    assert found.score_name == "log p(x|y)"
    assert found.effects.columns == [f"column {d}" for d in range(4)]
    assert "the model is conditional on y" in found.checks[0].sentence


def test_a_model_that_is_given_columns_of_a_table_is_examined():
    rows = table()
    X, y = rows[["size", "noise"]], rows[["kind", "day"]]
    model = ConditionalVAE(1, **QUICK).fit(X[:200], y[:200])
    found = examine(model, X, y, X_train=X[:200], y_train=y[:200], n_draws=20, max_rows=150)
    assert found.score_name == "log p(x|y)"
    scores = estimate_log_likelihood(model, X, y, n_draws=20, proposal_scale=1.0).value
    assert np.allclose(found.scores, scores[found.index], rtol=0, atol=1e-5)
    assert len(found.samples) == len(found.sample_scores) == 1000


def test_a_level_that_was_not_learned_is_named_once():
    rows = table()
    model = VAE(1, **QUICK).fit(rows[:200])
    rows.loc[250, "kind"] = "medium"
    with pytest.warns(UserWarning, match="'medium', which the training data did not have") as noted:
        examine(model, rows[200:], n_draws=20)
    assert len(noted) == 1


def test_cells_of_a_row_have_the_same_errors_in_report_and_explorer():
    rows = table()[:60]
    model = VAE(2, n_draws=20, **QUICK).fit(rows)
    explorer = Explorer(model, rows)
    explorer.prepare()
    shown = explorer.inspect({"point": int(np.flatnonzero(explorer.order == 7)[0])})[0]
    assert shown["given"] == "the other cells of the row"
    names, scores = cell_scores(Context.of(model, rows, None, 0), np.array([7]))
    assert names == list(rows)
    assert np.allclose(-scores[0], np.array(shown["errors"], dtype=np.float64), rtol=0, atol=6e-4, equal_nan=True)


def test_random_rows_of_any_container(tmp_path):
    np.save(tmp_path / "x.npy", TEST)
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(TEST, columns=list("abcd"))
    for rows in (TEST, frame, pl.from_pandas(frame), pa.Table.from_pandas(frame), tmp_path / "x.npy", list(TEST)):
        few, index = random_rows(rows, 10, 0)
        taken = few.to_pandas() if hasattr(few, "to_pandas") else few
        np.testing.assert_array_equal(np.asarray(taken), TEST[index])
        assert len(random_rows(rows, 100, 0)[1]) == 75


# ---- bad input --------------------------------------------------------------------------------------------------


def test_rows_that_do_not_fit_are_errors(vae):
    with pytest.raises(ValueError, match="X has 3 features"):
        vae.report(TEST[:, :3])
    with pytest.raises(ValueError, match="at least two rows"):
        vae.report(TEST[:1])


def test_few_rows_give_reasons(vae):
    found = examine(vae, TEST[:5], n_draws=20)
    assert found.assessment.samples is None
    assert found.linear is None
    assert "5 rows are too few to fit PCA to" in found.not_computed["Reconstructions by PCA"]
    assert {check.id for check in found.checks if check.status == "none"} >= {"ISTH-06", "ISTH-07"}


# ---- every check fires on a model made to fail it ---------------------------------------------------------------


def checks(model, rows, n_draws=20, **options):
    found = examine(model, rows, n_draws=n_draws, **options)
    return {check.id: check for check in found.checks}


def factors(n, seed, noise=0.3):
    """Two independent factors, with three columns each; the second has a tenth of the variance."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n, 1))
    return np.concatenate([10 * first + rng.normal(size=(n, 3)), second + noise * rng.normal(size=(n, 3))], axis=1)


@pytest.fixture(scope="module")
def collapsed():
    model = VAE(3, beta=1e4, hidden_layer_sizes=(8,), max_epochs=30, prior="standard_normal", random_state=0)
    return checks(model.fit(factors(300, 0)), factors(200, 1))


def test_collapsed_units(collapsed):
    check = collapsed["ISTH-03"]
    assert (check.status, check.baseline) == ("warning", 3.0)
    assert check.value >= 2
    assert f"{check.value:.0f} of 3 latent units are collapsed: 0, 1" in check.sentence


def test_a_density_worse_than_simple_models(collapsed):
    check = collapsed["ISTH-01"]
    assert check.status == "warning"
    assert check.value < check.baseline
    assert "worse than the best of PCA" in check.sentence


def test_ignored_columns():
    model = Autoencoder(1, hidden_layer_sizes=(), scaling="none", max_epochs=60, random_state=0)
    check = checks(model.fit(factors(400, 0)), factors(300, 1))["ISTH-04"]
    assert check.status == "warning"
    assert check.value == 3
    assert all(f"column {d} (explained" in check.sentence for d in (3, 4, 5))
    independent = np.random.default_rng(0).normal(size=(400, 6))
    model = VAE(2, hidden_layer_sizes=(), max_epochs=30, random_state=0).fit(independent[:200])
    assert checks(model, independent[200:])["ISTH-04"].status == "good"


def test_overfitting_and_unreliable_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(330, 8))
    model = VAE(8, hidden_layer_sizes=(128,), max_epochs=300, batch_size=30, learning_rate=0.003, early_stopping=False)
    model.set_params(random_state=0).fit(rows[:30])
    found = checks(model, rows[30:], X_train=rows[:30])
    assert found["ISTH-02"].status == "warning"
    assert found["ISTH-02"].sentence.startswith("Overfitted: log p(x) is")
    assert found["ISTH-02"].value < found["ISTH-02"].baseline
    assert re.search(r"a training row is right in [6-9]\d\.\d", found["ISTH-02"].sentence)
    assert found["ISTH-05"].status == "warning"  # held-out rows are far below the model's own samples


def test_underfitting():
    model = ContractiveAutoencoder(2, contraction=1e3, hidden_layer_sizes=(16,), max_epochs=2, random_state=0)
    found = checks(model.fit(factors(300, 0)), factors(200, 1))
    assert found["ISTH-02"].status == "warning"
    assert found["ISTH-02"].sentence.startswith("Underfitted")
    assert found["ISTH-06"].status == "warning"
    assert "less than those of PCA" in found["ISTH-06"].sentence


def test_samples_imputations_and_estimates_that_are_poor():
    """A model of other rows: its samples are elsewhere, and so are its imputations, and few draws are effective."""
    model = VAE(2, **QUICK).fit(factors(300, 0))
    found = checks(model, factors(200, 1) * [1, 1, 1, 4, 4, 4] + [0, 0, 0, 8, -8, 8], n_draws=5)
    assert [found[f"ISTH-0{k}"].status for k in (5, 7, 8, 9)] == ["warning"] * 4
    assert found["ISTH-07"].value > 0.7
    assert found["ISTH-08"].value > found["ISTH-08"].baseline
    assert found["ISTH-09"].value > 0.1


# ---- two models -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison(vae):
    other = VAE(1, **QUICK).fit(TRAIN)
    return other, make_comparison([vae, other], ["first", "<second>"], TEST, X_train=TRAIN, name="iris")


def test_two_models_side_by_side(vae, comparison):
    other, found = comparison
    gain = other.score_samples(TEST) - vae.score_samples(TEST)
    assert found.numbers["difference"]["mean"] == pytest.approx(gain.mean())
    assert found.numbers["difference"]["standard_error"] == pytest.approx(gain.std(ddof=1) / np.sqrt(75))
    assert list(found.numbers["reports"]) == ["first", "<second>"]
    text = html.unescape(found.html)
    assert found.numbers["difference"]["sentence"] in text
    for check in found.numbers["verdict"]:
        assert check["sentence"] in text
    assert not OUTSIDE.search(found.html)
    assert "<second>" not in found.html
    json.dumps(found.numbers, allow_nan=False)


def test_scores_of_different_kinds_are_not_compared(vae):
    density, found = examine(vae, TEST, n_draws=10), examine(Autoencoder(2, **QUICK).fit(TRAIN), TEST)
    difference = _difference({"a": density, "b": found})
    assert difference["mean"] is None
    assert "because one score is log p(x) and the other log p(x|code)" in difference["sentence"]
    with pytest.raises(ValueError, match="two models with different names"):
        make_comparison([vae, vae], ["a", "a"], TEST)


# ---- the command ------------------------------------------------------------------------------------------------


def test_the_command(vae, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Autoencoder(2, **QUICK).fit(TRAIN).save("a.safetensors")
    rows = table()
    rows.to_csv("rows.csv", index=False)
    (tmp_path / "rows.json").write_text('{"size": 1.0}\n', encoding="utf-8")
    Autoencoder(2, **QUICK).fit(rows).save("b.safetensors")
    assert main(["report", "b.safetensors", "rows.csv", "--train", "rows.csv"]) == 0
    out, err = capsys.readouterr()
    assert [line[:7] for line in out.splitlines()] == list(CHECKS)
    assert "isthmus: wrote report.html, and its numbers as report.json\n" in err
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["data"]["rows"] == 300
    Autoencoder(1, **QUICK).fit(rows).save("c.safetensors")
    assert main(["report", "b.safetensors", "c.safetensors", "rows.csv", "-o", "two.html"]) == 0
    assert "log p(x|code)" in capsys.readouterr().out
    for arguments, message in (
        (["a.safetensors", "b.safetensors", "c.safetensors"], "c.safetensors: is a model, not data"),
        (["b.safetensors", "rows.json", "-o", "rows.html"], "rows.json: would replace rows.json"),
        (["a.safetensors", "iris", "-o", "a.pdf"], "a.pdf: must end in .html; name it a.html."),
        (["a.safetensors", "a.safetensors", "a.safetensors", "iris"], "are 3 models; a report is on one or two."),
        (["a.safetensors"], "a.safetensors: alone is not enough: pass one or two models, then DATA."),
        (["none.safetensors", "iris"], "none.safetensors: no such model"),
        (["b.safetensors", "iris"], "iris"),
    ):
        assert main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_trees_tell_samples_from_rows(vae, table_report):
    ctx = Context.of(vae, TEST, None, 0)
    assert classifier_test(ctx, TEST + 10.0).accuracy > 0.95
    assert abs(classifier_test(ctx, TEST[::-1]).accuracy - 0.5) < 0.2
    with pytest.raises(ValueError, match="there are 5 rows, and two folds need 20"):
        classifier_test(ctx, TEST[:5])
    found = table_report.numbers["samples_told_by_trees"]
    assert 0.3 < found["accuracy"] <= 1
    assert found["n"] == 100
    share = percent(found["accuracy"])
    assert f"Gradient-boosted trees trained to tell them apart are right for {share}" in html.unescape(
        table_report.html
    )


def test_log_p_is_the_same_everywhere(vae, report, tmp_path):
    """By score_samples, the report, the explorer, an ONNX file and the command; and the ELBO in the report, too."""
    import onnxruntime

    log_p = vae.score_samples(TEST)
    vae.save(tmp_path / "m.safetensors")
    model, out = str(tmp_path / "m.safetensors"), tmp_path / "out"
    assert main(["export", model, "--onnx", str(out), "--parts", "scorer", "--dtype", "float64"]) == 0
    assert list(out.iterdir()) == [out / "scorer.onnx"]
    assert b".py" not in (out / "scorer.onnx").read_bytes()  # no paths of this machine
    runtime = onnxruntime.InferenceSession(out / "scorer.onnx", providers=["CPUExecutionProvider"])
    about = json.loads(runtime.get_modelmeta().custom_metadata_map["isthmus"])
    assert (about["part"], about["n_components"], about["takes_missing"]) == ("scorer", 2, False)
    found, bound, effective = runtime.run(None, {"X": TEST, "noise": scoring_noise(vae, TEST)})
    once = effective >= vae.n_draws / 4  # of the others, score_samples makes better draws
    assert once.mean() > 0.8
    assert np.allclose(found[once], log_p[once], rtol=0, atol=1e-5)

    reported = report.numbers["assessment"]["likelihood"]
    assert abs(reported["elbo"]["mean"] - bound.mean()) < 1e-5
    assert abs(reported["log_px"]["mean"] - log_p.mean()) < 1e-5

    explorer = Explorer(vae, TEST)
    explorer.prepare(scores=False)
    shown = [explorer.inspect({"point": point})[0]["score"] for point in range(75)]
    assert np.allclose(shown, log_p[explorer.order], rtol=0, atol=1e-5)

    np.savetxt(tmp_path / "rows.csv", TEST, delimiter=",", header=",".join("abcd"), comments="")
    assert main(["score", model, str(tmp_path / "rows.csv"), "-o", str(tmp_path / "s.npy")]) == 0
    assert np.allclose(np.load(tmp_path / "s.npy").ravel(), log_p, rtol=0, atol=1e-5)
