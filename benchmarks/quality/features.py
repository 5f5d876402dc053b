"""Features of 1,000 units for a linear classifier.

After Rifai et al. (2011). Each autoencoder has one hidden layer of the same width. A logistic regression on its
standardised codes is trained on labelled training rows and evaluated on all test rows. Random features are the layer
with its initial weights. "on" is the mean activation of sigmoid units, and for others the share of units that are not
0. A unit is dead if it does not exceed .01 (0 for ReLU) on any test row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Images, Options, Run, images, main, stopwatch
from _settings import FIXED
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from isthmus.corruptions import GaussianNoise, Masking
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP

TASK = "linear classifier on the units"
RHO = 0.05
SIGMA = Gaussian(scale=0.3)
PLAIN, DENOISING, CONTRACTIVE = "plain", "denoising, masking .5", "contractive, .1"
SPARSE, SPARSE_KL, RANDOM = "sparse, largest 40 %", "sparse, KL to .05", "random features"
Make = Callable[[int], Any]


def point(cls: type, **fields: Any) -> Make:
    """Return a factory of estimators with one hidden layer of the given width."""
    base = FIXED | {"hidden_layer_sizes": (), "likelihood": SIGMA}
    return lambda n: cls(n, **(base | fields))


def top_k(share: float, **fields: Any) -> Make:
    """Return a factory of sparse autoencoders that keep this share of the units, the largest of each row."""
    return lambda n: point(SparseAutoencoder, method="top_k", k=round(share * n), **fields)(n)


def kl(sparsity: float, **fields: Any) -> Make:
    """Return a factory of sparse autoencoders with sigmoid units, which start at one half and change slowly."""
    return point(
        SparseAutoencoder, **({"method": "kl", "rho": RHO, "sparsity": sparsity, "learning_rate": 0.03} | fields)
    )


RELU: dict[str, Any] = {"code_activation": "relu"}
SIGMOID: dict[str, Any] = {"code_activation": "sigmoid", "network": MLP(tied=True), "learning_rate": 0.01}
MODELS: dict[str, Make] = {
    PLAIN: point(Autoencoder, **RELU),
    DENOISING: point(DenoisingAutoencoder, corruption=Masking(0.5), **RELU),
    CONTRACTIVE: point(ContractiveAutoencoder, contraction=0.1, **RELU),
    SPARSE: top_k(0.4),
    SPARSE_KL: kl(30.0, scaling="none"),
}
CANDIDATES: dict[str, Make] = {
    "plain, sigmoid, tied": point(Autoencoder, **SIGMOID),
    "plain, sigmoid, tied, unscaled": point(Autoencoder, scaling="none", **SIGMOID),
    "plain, ReLU": MODELS[PLAIN],
    "denoising, masking .5, ReLU": MODELS[DENOISING],
    "denoising, masking .5, ReLU, unscaled": point(
        DenoisingAutoencoder, corruption=Masking(0.5), scaling="none", **RELU
    ),
    "denoising, Gaussian .5, ReLU": point(DenoisingAutoencoder, corruption=GaussianNoise(0.5), **RELU),
    "contractive, 1, sigmoid, tied": point(ContractiveAutoencoder, contraction=1.0, **SIGMOID),
    "contractive, 10, sigmoid, tied": point(ContractiveAutoencoder, contraction=10.0, **SIGMOID),
    "contractive, .1, ReLU": MODELS[CONTRACTIVE],
    "contractive, 1, ReLU": point(ContractiveAutoencoder, contraction=1.0, **RELU),
    "contractive, 10, ReLU": point(ContractiveAutoencoder, contraction=10.0, **RELU),
    "sparse, largest 10 %": top_k(0.1),
    "sparse, largest 20 %": top_k(0.2),
    "sparse, largest 20 %, rate .01": top_k(0.2, learning_rate=0.01),
    "sparse, largest 40 %": MODELS[SPARSE],
    "sparse, largest 40 %, rate .001": top_k(0.4, learning_rate=0.001),
    "sparse, largest 20 %, batch 32": top_k(0.2, batch_size=32),
    "sparse, L1 .3": point(SparseAutoencoder, method="l1", sparsity=0.3),
    "sparse, largest 20 %, unscaled": top_k(0.2, scaling="none"),
    "sparse, KL 30, rate .1": kl(30.0, learning_rate=0.1),
    "sparse, KL 100, unscaled": kl(100.0, scaling="none"),
    "sparse, KL 30, unscaled": MODELS[SPARSE_KL],
}


def probe(train: Array, y: Array, test: Array, y_test: Array) -> float:
    """Return the accuracy of a logistic regression on standardised features."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200, tol=1e-3))
    return float(classifier.fit(train, y).score(test, y_test))


def activity(Z: Array) -> dict[str, float]:
    """Return the mean activation of the units, and the share of dead units."""
    sigmoid = Z.min() >= 0 and Z.max() <= 1
    return {
        "on": float(Z.mean() if sigmoid else np.mean(Z != 0)),
        "dead": float(np.mean((np.abs(Z) <= (0.01 if sigmoid else 0.0)).all(axis=0))),
    }


class Split:
    """Rows to learn features from, labelled rows for the classifier, and test rows."""

    def __init__(self, data: Images, options: Options) -> None:
        X, y = data.everything()
        order = np.random.default_rng(0).permutation(len(X))
        n, labelled = options.pick(quick=(200, 200), short=(15_000, 10_000), full=(len(X), len(X)))
        self.X, self.labelled, self.y = X[order[:n]], X[order[:labelled]], y[order[:labelled]]
        self.test, self.y_test = data.test, data.y_test

    def judged(self, model: Any) -> dict[str, float]:
        Z, Z_test = model.transform(self.labelled), model.transform(self.test)
        return {"accuracy": probe(Z, self.y, Z_test, self.y_test)} | activity(Z_test)


def learned(make: Make, width: int, split: Split, seed: int, epochs: int) -> Run:
    model = make(width).set_params(max_epochs=epochs, random_state=seed)
    with stopwatch() as seconds:
        model.fit(split.X)
    return Run(split.judged(model), seconds[0], sum(p.numel() for p in model.model_.parameters()))


def untrained(width: int, split: Split, seed: int) -> Run:
    """Return random features: an untrained ReLU layer on the same scaled rows."""
    model = point(Autoencoder, code_activation="relu")(width)
    model.set_params(max_epochs=1, learning_rate=1e-12, random_state=seed).fit(split.X[:256])
    return Run(split.judged(model), 0.0, 0)


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    split, width = Split(data, options), options.pick(quick=64, short=1000, full=2000)
    epochs = options.pick(quick=2, short=5, full=40)
    pixels = Run({"accuracy": probe(split.labelled, split.y, split.test, split.y_test)}, 0.0, 0)
    yield Entry.of(TASK, "raw pixels", "peer", [pixels])
    yield Entry.of(TASK, RANDOM, "peer", [untrained(width, split, s) for s in options.seeds])
    for name, make in MODELS.items():
        yield Entry.of(TASK, name, "ours", [learned(make, width, split, s, epochs) for s in options.seeds])


def tune(options: Options) -> Iterator[Entry]:
    split, width = Split(images(options).tuning(), options), options.pick(quick=32, short=1000, full=2000)
    epochs = options.pick(quick=1, short=5, full=20)
    task = f"{TASK}, {epochs} epochs"
    if options.wants(RANDOM):
        yield Entry.of(task, RANDOM, "peer", [untrained(width, split, 0)])
    for name in filter(options.wants, CANDIDATES):
        yield Entry.of(task, name, "tried", [learned(CANDIDATES[name], width, split, 0, epochs)])


def judge(found: Found) -> list[Bar]:
    accuracy = {e.model: e.mean("accuracy") for e in found.entries}
    error = {model: 1 - value for model, value in accuracy.items()}
    best = max((e.model for e in found.entries if e.role == "ours"), key=accuracy.__getitem__)
    sparse = max((SPARSE, SPARSE_KL), key=accuracy.__getitem__)
    dead = {model: found.mean(TASK, model, "dead") for model in (SPARSE, SPARSE_KL)}
    rate = abs(found.mean(TASK, SPARSE_KL, "on") - RHO)
    return [
        Bar("denoising: error at most that of the plain one", DENOISING, error[DENOISING], error[PLAIN]),
        Bar("contractive: error at most that of the plain one", CONTRACTIVE, error[CONTRACTIVE], error[PLAIN]),
        Bar("sparse: random features + 1 point", sparse, accuracy[sparse], accuracy[RANDOM] + 0.01, higher=True),
        Bar("KL sparsity: activation within .01 of .05", SPARSE_KL, rate, 0.01),
        *(Bar(f"{model}: dead units under 1 %", model, share, 0.01) for model, share in dead.items()),
        Bar("accuracy .875", best, accuracy[best], 0.875, higher=True, aim=True),
    ]


BENCHMARK = Benchmark("features", measure, judge, tune)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
