"""Imputing pixels: half of them at random, or the right half.

All methods impute the same missing pixels of the same test rows. The error is the mean squared error over the missing
pixels in [0, 1], after clamping. A Gaussian with the covariance of the training rows imputes its exact conditional
mean, and so does probabilistic PCA. A denoising autoencoder that was trained with masked pixels, and receives the
mask, imputes its reconstruction. A VAE imputes E[missing | observed], importance-weighted. One VAE was trained on
incomplete rows of both kinds and receives the mask. The other one was trained on complete rows and encodes rows with
its own imputations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Options, Run, fitted, images, main, mse, stopwatch
from _local import local_fields
from _settings import FIXED, FIXED_VAE
from scipy.linalg import cho_factor, cho_solve

from isthmus import VAE, DenoisingAutoencoder
from isthmus.corruptions import Masking
from isthmus.networks import MLP

RANDOM, RIGHT = "half of the pixels at random", "the right half"
FULL_GAUSSIAN = "Gaussian, full covariance"
MASKED = "DenoisingAutoencoder, Masking(.5)"
LOCAL = "DenoisingAutoencoder, Masking(.5, input_mask=True), local convolutions"
INCOMPLETE = "VAE, trained on incomplete rows"
COMPLETE = "VAE, trained on complete rows"
DENSE: dict[str, Any] = FIXED | {
    "n_components": 256,
    "hidden_layer_sizes": (512,),
    "network": MLP(activation="silu", skip=False),
    "code_activation": "silu",
}
SILU: dict[str, Any] = FIXED_VAE | {"network": MLP(activation="silu", skip=False), "n_draws": 50}
WIDE = SILU | {"hidden_layer_sizes": (1024, 512)}
CONVOLUTIONS = FIXED | {"batch_size": 32, "learning_rate": 8e-3}  # the other parameters depend on the image shape
WITHOUT_MASK, WITH_MASK = {"corruption": Masking(0.5)}, {"corruption": Masking(0.5, input_mask=True)}


# ---- missing pixels ----------------------------------------------------------------------------------------------


def missing_pixels(task: str, n: int, shape: tuple[int, int], seed: int) -> Array:
    """Return which pixels are missing, (n, D)."""
    if task == RANDOM:
        return np.random.default_rng(seed).random((n, shape[0] * shape[1])) < 0.5
    right = np.zeros(shape, bool)
    right[:, shape[1] // 2 :] = True
    return np.repeat(right.reshape(1, -1), n, axis=0)


def mixed_missing(n: int, shape: tuple[int, int], seed: int) -> Array:
    """Return missing pixels of both kinds for training: random in half of the rows, one image half in the others."""
    rng = np.random.default_rng([seed, 1])
    missing = rng.random((n, *shape)) < rng.uniform(0.1, 0.7, size=(n, 1, 1))
    side = rng.integers(0, 8, n)  # 0 to 3: this half is missing
    for number, half in enumerate(
        (np.s_[:, : shape[1] // 2], np.s_[:, shape[1] // 2 :], np.s_[: shape[0] // 2], np.s_[shape[0] // 2 :])
    ):
        one = np.zeros(shape, bool)
        one[half] = True
        missing[side == number] = one
    return missing.reshape(n, -1)


# ---- peers ------------------------------------------------------------------------------------------------------


class Normal(NamedTuple):
    """N(mean, W W' + diag), with its exact conditional means; `diag` is the noise variance of each column."""

    mean: Array
    W: Array  # (D, K)
    diag: Array  # (D,)

    @classmethod
    def ppca(cls, X: Array, k: int | None) -> Normal:
        """Return probabilistic PCA with k components by maximum likelihood; the full covariance for None."""
        lam, U = np.linalg.eigh(np.cov(X.T.astype(np.float64), bias=True))
        k = len(lam) if k is None else k
        noise = max(float(lam[: len(lam) - k].mean()) if k < len(lam) else 0.0, 1e-6)
        W = U[:, -k:] * np.sqrt(np.clip(lam[-k:] - noise, 0, None))
        return cls(X.mean(0, dtype=np.float64), W, np.full(len(lam), noise))

    @property
    def parameters(self) -> int:
        """The number of learned parameters."""
        D, K = self.W.shape
        return D + D * (D + 1) // 2 if K == D else D + 1 + D * K - K * (K - 1) // 2

    def filled(self, X: Array, missing: Array) -> Array:
        """Impute E[missing | observed]; rows with the same missing pixels share one factorisation."""
        result = X.astype(np.float64)
        groups: dict[bytes, list[int]] = {}
        for i, row in enumerate(missing):
            groups.setdefault(row.tobytes(), []).append(i)
        covariance = self.W @ self.W.T + np.diag(self.diag) if self.W.shape[0] == self.W.shape[1] else None
        for rows in groups.values():
            m, o = missing[rows[0]], ~missing[rows[0]]
            centred = (X[np.ix_(rows, o)] - self.mean[o]).T
            if covariance is not None:
                weighted = cho_solve(cho_factor(covariance[np.ix_(o, o)]), centred)
                guess = covariance[np.ix_(m, o)] @ weighted
            else:
                A = self.W[o] / self.diag[o, None]
                guess = self.W[m] @ np.linalg.solve(np.eye(self.W.shape[1]) + self.W[o].T @ A, A.T @ centred)
            result[np.ix_(rows, m)] = self.mean[m] + guess.T
        return result


# ---- measuring --------------------------------------------------------------------------------------------------

Filler = Callable[[Array, Array], Array]


def local(shape: tuple[int, int], channels: int = 32, depth: int = 2, block: int = 2) -> dict[str, Any]:
    """Return the parameters of a denoising autoencoder with local convolutions that receives the mask."""
    return CONVOLUTIONS | WITH_MASK | local_fields(shape, channels, depth, block)


def denoiser(X: Array, seed: int, fields: dict[str, Any], epochs: int) -> tuple[Filler, float, int]:
    """Fit a denoising autoencoder for pixels missing at random; `fields` says whether it receives the mask."""
    fields = {"max_epochs": epochs, "random_state": seed} | fields
    model, seconds, parameters = fitted(DenoisingAutoencoder(**fields), X)
    return lambda rows, missing: model.impute(np.where(missing, np.float32(np.nan), rows)), seconds, parameters


def vae_of_incomplete_rows(X: Array, seed: int, epochs: int, shape: tuple[int, int]) -> tuple[Filler, float, int]:
    """Fit a VAE to incomplete rows of both kinds; its encoder receives the mask."""
    incomplete = np.where(mixed_missing(len(X), shape, seed), np.float32(np.nan), X)
    fields = SILU | {"hidden_layer_sizes": (512, 256)}
    model, seconds, parameters = fitted(VAE(32, max_epochs=epochs, random_state=seed, **fields), incomplete)
    return lambda rows, missing: model.impute(np.where(missing, np.float32(np.nan), rows)), seconds, parameters


def vae_of_complete_rows(X: Array, seed: int, epochs: int) -> tuple[Filler, float, int]:
    """Fit a VAE to complete rows; it encodes incomplete ones with its own imputations filled in."""
    model, seconds, parameters = fitted(VAE(64, max_epochs=epochs, random_state=seed, **WIDE), X)
    return lambda rows, missing: model.impute(np.where(missing, np.float32(np.nan), rows)), seconds, parameters


def judged(filler: Filler, test: Array, missing: Array, seconds: float, parameters: int) -> Run:
    guess = np.clip(filler(test, missing), 0, 1)
    return Run({"mse": mse(guess[missing], test[missing])}, seconds, parameters)


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    X, _ = data.everything()
    test = data.test[: options.pick(quick=50, short=1000, full=10_000)]
    epochs = options.pick(quick=2, short=8, full=60)
    cuts = {task: [missing_pixels(task, len(test), data.shape, s) for s in options.seeds] for task in (RANDOM, RIGHT)}
    peers: dict[str, int | None] = {FULL_GAUSSIAN: None, "pPCA-64": 64, "pPCA-256": 256}
    peers = peers if options.form != "quick" else {FULL_GAUSSIAN: None, "pPCA-16": 16}
    for name, k in peers.items():
        if not options.wants(name):
            continue
        with stopwatch() as seconds:
            normal = Normal.ppca(X, k)
        for task, cut in cuts.items():
            runs = [judged(normal.filled, test, missing, seconds[0], normal.parameters) for missing in cut]
            yield Entry.of(task, name, "peer", runs)
    if options.wants(LOCAL):
        passes = options.pick(quick=2, short=6, full=60)
        incomplete = [denoiser(X, s, local(data.shape), passes) for s in options.seeds]
        yield from entries(LOCAL, incomplete, test, {RANDOM: cuts[RANDOM]})
    if options.form != "short" and options.wants(MASKED):
        masked = [denoiser(X, s, DENSE | WITHOUT_MASK, epochs) for s in options.seeds]
        yield from entries(MASKED, masked, test, {RANDOM: cuts[RANDOM]})
    if options.wants(INCOMPLETE):
        yield from entries(
            INCOMPLETE, [vae_of_incomplete_rows(X, s, epochs, data.shape) for s in options.seeds], test, cuts
        )
    if options.wants(COMPLETE):
        yield from entries(COMPLETE, [vae_of_complete_rows(X, s, epochs) for s in options.seeds], test, cuts)


def entries(
    model: str, fillers: list[tuple[Filler, float, int]], test: Array, cuts: dict[str, list[Array]]
) -> Iterator[Entry]:
    for task, cut in cuts.items():
        runs = [judged(f, test, missing, s, n) for (f, s, n), missing in zip(fillers, cut, strict=True)]
        yield Entry.of(task, model, "ours", runs)


def candidates(shape: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Return the candidates for validation rows: dense and local networks, with and without mask, of several sizes."""
    wide = DENSE | {"n_components": 1024, "hidden_layer_sizes": ()}
    return {
        "784-512-256": DENSE | WITHOUT_MASK,
        "784-512-256, with mask": DENSE | WITH_MASK,
        "784-1024": wide | WITHOUT_MASK,
        "784-1024, with mask": wide | WITH_MASK,
        "local, 32 channels, 2 + 2 layers": local(shape) | local_fields(shape, input_mask=False) | WITHOUT_MASK,
        "local, 32 channels, 2 + 2 layers, with mask": local(shape),
        "local, 24 channels, 3 + 3 layers, with mask": local(shape, channels=24, depth=3),
        "local, 48 channels, 1 + 1 layers, with mask": local(shape, channels=48, depth=1),
        "local, 64 channels, 2 + 2 layers, blocks of 4, with mask": local(shape, channels=64, block=4),
    }


def tune(options: Options) -> Iterator[Entry]:
    data = images(options).tuning()
    epochs = options.pick(quick=1, short=4, full=20)
    train, test = data.train[: options.pick(quick=300, short=10_000, full=50_000)], data.test[:1000]
    missing = missing_pixels(RANDOM, len(test), data.shape, 0)
    for model, fields in candidates(data.shape).items():
        filler, seconds, parameters = denoiser(train, 0, fields, epochs)
        run = judged(filler, test, missing, seconds, parameters)
        yield Entry.of(f"{RANDOM}, {epochs} epochs of {len(train):,} rows", model, "tried", [run])


def judge(found: Found) -> list[Bar]:
    right, gaussian = found.mean(RIGHT, INCOMPLETE, "mse"), found.mean(RANDOM, FULL_GAUSSIAN, "mse")
    model, random = found.best(RANDOM, "mse")
    return [
        Bar(f"{RANDOM}: at most .0074", model, random, 0.0074),
        Bar(f"{RANDOM}: at most that of the full Gaussian", model, random, gaussian),
        Bar(f"{RANDOM}: aim", model, random, 0.0062, aim=True),
        Bar(f"{RIGHT}: at most .0268", INCOMPLETE, right, 0.0268),
        Bar(f"{RIGHT}: aim", INCOMPLETE, right, 0.022, aim=True),
    ]


BENCHMARK = Benchmark("missing", measure, judge, tune)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
