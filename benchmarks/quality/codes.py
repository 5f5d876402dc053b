"""Codes of 2 to 64 units, compared with PCA.

The error is the mean squared error over the pixels in [0, 1] of all test rows. "5-NN" is the accuracy of classifying
the codes of the first 2,000 test rows by five nearest neighbours among the codes of the training rows. The code of a
VAE is its posterior mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from _common import Array, Bar, Benchmark, Entry, Found, Images, Options, Run, fitted, images, main, mse, stopwatch
from _settings import FIXED
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from isthmus import VAE, Autoencoder
from isthmus.networks import MLP

WIDTHS = (2, 8, 16, 32, 64)
ERRORS = {2: 0.030, 8: 0.0185, 16: 0.0140, 32: 0.0105, 64: 0.0080}
NEIGHBOURS = {2: 0.70, 8: 0.83, 32: 0.86}
AE, DVAE = "Autoencoder", "VAE"
DENSE: dict[str, Any] = FIXED | {
    "hidden_layer_sizes": (512, 256),
    "network": MLP(activation="silu", skip=False),
    "learning_rate": 2e-3,
}
RELU = DENSE | {"network": MLP(activation="relu", skip=False)}
CANDIDATES: dict[str, dict[str, Any]] = {
    "784-512-256, ReLU": RELU,
    "784-512-256, ELU": RELU | {"network": MLP(activation="elu", skip=False)},
    "784-512-256, SiLU": DENSE,
    "784-512-256, ReLU, rate 4e-3": RELU | {"learning_rate": 4e-3},
    "784-512-256, ReLU, unscaled": RELU | {"scaling": "none"},
}
SHALLOW = DENSE | {"hidden_layer_sizes": (1024,)}
AT_64: dict[str, dict[str, Any]] = {  # a wide code needs more width, or a shallower network
    "784-512-256, SiLU": DENSE,
    "784-1024, SiLU": SHALLOW,
    "784-1024-512, SiLU": DENSE | {"hidden_layer_sizes": (1024, 512)},
}


def scores(codes: Any, decode: Any, data: Images) -> dict[str, float]:
    """Return the error and the accuracy of an encoder and a decoder."""
    X, y = data.everything()
    few, Z = data.test[:2000], codes(data.test)
    nearest = KNeighborsClassifier(5).fit(codes(X), y)
    return {"mse": mse(decode(Z), data.test), "5-NN": float(nearest.score(Z[: len(few)], data.y_test[: len(few)]))}


def pca(k: int, data: Images) -> Run:
    with stopwatch() as seconds:
        model = PCA(k, svd_solver="covariance_eigh").fit(data.everything()[0])
    values = scores(model.transform, model.inverse_transform, data)
    return Run(values, seconds[0], model.components_.size + model.mean_.size)


def ours(cls: type, k: int, data: Images, seed: int, fields: dict[str, Any], epochs: int) -> Run:
    X: Array = data.everything()[0]
    model, seconds, parameters = fitted(cls(k, max_epochs=epochs, random_state=seed, **fields), X)
    return Run(scores(model.transform, model.inverse_transform, data), seconds, parameters)


def task_of(k: int) -> str:
    return f"{k} units"


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    epochs = options.pick(quick=2, short=4, full=40)
    for k in filter(lambda k: options.wants(task_of(k)), WIDTHS):
        fields = SHALLOW if k == 64 else DENSE
        yield Entry.of(task_of(k), "PCA", "peer", [pca(k, data)])
        runs = [ours(Autoencoder, k, data, s, fields, epochs) for s in options.seeds]
        yield Entry.of(task_of(k), AE, "ours", runs)
        if options.form != "short":
            yield Entry.of(task_of(k), DVAE, "ours", [ours(VAE, k, data, s, fields, epochs) for s in options.seeds])


def tune(options: Options) -> Iterator[Entry]:
    data = images(options).tuning()
    epochs = options.pick(quick=1, short=3, full=20)
    for k in filter(lambda k: options.wants(task_of(k)), options.pick(quick=(2,), short=(16, 64), full=(2, 16, 64))):
        for model, fields in (AT_64 if k == 64 else CANDIDATES).items():
            run = ours(Autoencoder, k, data, 0, fields, epochs)
            yield Entry.of(f"{task_of(k)}, {epochs} epochs", model, "tried", [run])


def judge(found: Found) -> list[Bar]:
    bars = []
    for k in WIDTHS:
        task = task_of(k)
        bars.append(Bar(f"{task}: error", AE, found.mean(task, AE, "mse"), ERRORS[k]))
        if k in NEIGHBOURS:
            bars.append(Bar(f"{task}: 5-NN accuracy", AE, found.mean(task, AE, "5-NN"), NEIGHBOURS[k], higher=True))
        at_pca = found.mean(task, "PCA", "5-NN")
        bars.append(Bar(f"{task}: 5-NN accuracy at least PCA's", AE, found.mean(task, AE, "5-NN"), at_pca, higher=True))
    return bars


BENCHMARK = Benchmark("codes", measure, judge, tune)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
