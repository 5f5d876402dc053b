"""docs/notes.md holds the numbers that benchmarks/notes.py measured, and its claims hold in the quick form as well.

The quick form has 256 training rows and one seed: directions and exact values are asserted here, sizes are not.
"""

import importlib
import importlib.util
import json
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import isthmus

ROOT = Path(__file__).resolve().parents[2]


def load():
    spec = importlib.util.spec_from_file_location("notes", ROOT / "benchmarks" / "notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notes = load()


@pytest.fixture(scope="module")
def data():
    return notes.digits(quick=True)


@pytest.fixture
def of(data, request):
    """Run the claim that the test is named after."""
    name = request.node.name.removeprefix("test_")
    return notes.CLAIMS[name](data) if name in notes.EXACT else notes.CLAIMS[name](data, 0)


# ---- the claims, in the order of docs/notes.md ---------------------------------------------------------------------


def test_latent_variable(of):
    assert of["accuracy"] > 0.5
    assert of["log_p_informed"] > of["log_p_plain"] + 2
    assert of["inferred"] > 0.85


def test_identity(of):
    """A wide model copies images that are no digits as well, and so neither denoises nor imputes."""
    assert of["copier_digits"] < 0.01 * of["variance"]
    assert of["copier_scrambled"] < 0.04 * of["variance"]
    assert of["narrow_scrambled"] > 2 * of["narrow_digits"] > 20 * of["copier_digits"]
    assert of["copier_noise"] > 0.7
    assert of["copier_missing"] > 0.85 > of["narrow_missing"]


def test_dimensionality(of):
    for k in (2, 8):
        assert of[f"ae{k}"] < of[f"pca{k}"]
    assert of["ae8"] < of["ae2"]
    assert of["probe_ae8"] > of["probe_ae2"] > of["probe_pca2"] > 0.4


def test_sparse(of):
    assert of["sum_error"] < 1e-4 * abs(of["loss"])
    assert of["active"] < of["active_plain"]
    assert of["top_min"] == of["top_max"] == 16
    for kind in ("", "kl_", "top_"):
        assert of[kind + "scrambled"] > 1.5 * of[kind + "digits"]
        assert of[kind + "scrambled"] > 5  # of a variance of 19
    assert of["missing"] < 0.85


def test_penalty_and_sigma(of):
    """A learned sigma leaves little between too weak a penalty and one that ends with a constant."""
    assert of["learned_1"] < of["fixed_1"] < of["fixed_7"] < of["learned_7"]
    assert of["learned_7"] > 15


def test_denoising(of):
    for kind in ("gaussian", "masking", "salt"):
        assert of[kind] < of[kind + "_plain"] < 1
    assert of["noise_noise"] == pytest.approx(of["gaussian_wiener"], abs=0.02)  # a linear denoiser is Wiener's filter
    assert of["mask_missing"] < 0.7
    assert of["noise_scrambled"] > 3


def test_contractive(of):
    assert of["closed_minus_autodiff"] < 1e-12
    assert of["omega"] < 0.8 * of["omega_plain"]
    assert of["moved"] < of["moved_plain"]
    assert abs(of["deep_projected"] - of["deep_exact"]) < 5 * of["deep_error"]
    assert of["scrambled"] > 1.3 * of["plain_scrambled"]


def test_marginal(of):
    for k in (2, 32):
        assert of[f"sklearn_{k}"] < 1e-9
        assert of[f"exact_{k}"] < 1e-9  # the true posterior: each single draw gives log p(x)
    assert of["prior_2_3"] < 0.3
    assert of["prior_32_3"] > 100 > of["wide_32_1"] > of["wide_32_3"]
    assert of["wide_32_3"] < 1


def test_gaussian(of):
    assert of["gain"] > 5
    assert of["sigma"] == pytest.approx(of["rms"], rel=0.03)
    assert of["kl"] > of["kl_fixed"]


def test_equation_2(of):
    assert of["difference"] < 1e-10
    assert of["kl_posterior"] > 100  # an arbitrary Q, far from the posterior
    assert of["log_p"] - of["kl_posterior"] == pytest.approx(of["expectation"] - of["kl_prior"], abs=1e-9)


def test_conditions_on_q(of):
    assert of["gap_blind"] > 10 * of["gap"] > 0


def test_sigma_exact(of):
    for name in ("straight_diagonal", "straight_full", "rotated_full"):
        assert of[name] < 1e-10
    assert of["rotated_diagonal"] == pytest.approx(of["rotated_theory"], abs=1e-10)
    assert of["rotated_diagonal"] > 0.1


def test_sigma_trained(of):
    for kind in ("diagonal", "full"):
        assert of[f"linear_{kind}_gap"] > 0
    assert of["linear_diagonal_cosine"] < 0.25


def test_lower_bound(of):
    assert of["early_min"] > 0
    assert of["late_min"] > 0
    assert of["late_mean"] < of["early_mean"]
    assert of["share_below"] > 0.99
    assert of["elbo"] == pytest.approx(-of["reconstruction"] - of["kl"])


def test_one_sample_exact(of):
    assert abs(of["bias"]) < 4 * of["bias_error"]
    for draws in (10, 100):
        assert of[f"sd_{draws}"] == pytest.approx(of["sd_1"] / np.sqrt(draws), rel=0.1)


def test_one_sample(of):
    assert abs(of["elbo_10"] - of["elbo_1"]) < 0.1 * abs(of["elbo_1"])
    assert of["sd"] < of["sd_digits"]


def test_closed_form(of):
    assert of["by_hand"] < 1e-12
    assert abs(of["difference"]) < 4 * of["error"]


def test_generation(of):
    assert of["real_recognised"] > of["decoded8_recognised"] > of["scrambled_recognised"]
    assert of["real_apart"] == 0.5
    assert of["drawn8_apart"] > 0.6  # nobody would take them for real
    assert of["kl8"] > of["log_n"]
    assert of["vamp_recognised"] > of["drawn8_recognised"] + 0.2
    assert abs(1 - of["variance_vamp"]) < 1 - of["variance8"]


def test_conditional(of):
    assert of["asked2"] > 0.9
    assert of["accuracy2"] > 0.85
    assert of["log_p2"] > of["log_p_wrong2"] + 20
    assert of["log_p2"] > of["marginal2"]


def test_structured(of):
    assert of["mse"] < 0.85 * of["mean"]
    assert of["mse"] < of["mse_one"]  # a draw has the noise of the unknown, their mean has not
    assert of["log_p_train"] > of["log_p"]


def test_every_claim_is_tested():
    here = Path(__file__).read_text()
    assert [name for name in notes.CLAIMS if f"def test_{name}(of)" not in here] == []


# ---- the page -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report():
    return json.loads(notes.RESULTS.read_text())


@pytest.fixture(scope="module")
def template():
    return notes.TEMPLATE.read_text()


@pytest.fixture(scope="module")
def page():
    return notes.PAGE.read_text()


def test_the_page_is_the_template_with_the_numbers_of_the_run(template, report, page):
    assert notes.render(template, report) == page, "run: python benchmarks/notes.py --render"


def test_the_results_are_of_the_claims_there_are(report):
    assert list(report["claims"]) == list(notes.CLAIMS)
    assert set(report) == {"machine", "versions", "run", "claims"}
    for name, values in report["claims"].items():
        n = 1 if name in notes.EXACT else len(report["run"]["seeds"])
        assert all(len(v) == n and np.isfinite(v).all() for v in values.values()), name


def test_every_claim_is_on_the_page(template):
    assert [name for name in notes.CLAIMS if f"{{{{{name}." not in template] == []


def test_no_measured_number_is_typed_by_hand(template):
    """Outside formulas and code a decimal number is one that the run put there."""
    prose = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\{\{.*?\}\}", "", template, flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+", prose) == []


def test_the_tests_named_on_the_page_exist(page):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 15
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_the_names_on_the_page_exist(page):
    named = set(
        re.findall(r"`((?:isthmus|objectives|penalties|likelihoods|posteriors|evaluation|kl|model)\.[\w.]+)", page)
    )
    assert len(named) > 8
    for name in named:
        module, _, rest = name.removeprefix("isthmus.").partition(".")
        thing = importlib.import_module(f"isthmus.{module}") if rest else isthmus
        for part in (rest or module).split("."):
            thing = getattr(thing, part)


def test_the_reference_has_every_public_module():
    text = (ROOT / "docs" / "api.md").read_text()
    modules = {m.name for m in pkgutil.iter_modules(isthmus.__path__) if not m.name.startswith("_")}
    # the command, and what stands in isthmus itself or serves the estimators
    inside = {"cli", "demo", "engine", "estimators", "metaestimators", "serialization"}
    assert [m for m in sorted(modules - inside) if f"isthmus.{m}\n" not in text] == []
    assert [name for name in isthmus.__all__ if f"   {name}\n" not in text and f"isthmus.{name}\n" not in text] == []
