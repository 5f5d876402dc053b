"""Everything that the report on a model shows, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.assessment import _metrics
from isthmus.assessment._cells import as_pandas
from isthmus.assessment._checks import dead_units, verdict
from isthmus.assessment._columns import dependencies, marginals, strongest_dependence, unit_effects
from isthmus.assessment._context import Context, Stream, quiet
from isthmus.assessment._evidence import Evidence
from isthmus.assessment._examination import Examination
from isthmus.assessment._odd import AT_CODE, OddRow, odd_rows, why_at_code
from isthmus.assessment._references import density_references, independent_columns, linear_reconstruction
from isthmus.assessment._results import Assessment
from isthmus.assessment._rows import count_rows, random_rows, take_rows
from isthmus.assessment._two_sample import ClassifierTest, classifier_test
from isthmus.tables import is_table

__all__ = ["examine"]

Array = np.ndarray

_MAX_CELLS = 200_000  # of the rows of which some are hidden
_N_SAMPLES = 1000  # of the model, for its own likelihoods and distributions
_N_DRAWS = 100  # for models without the parameter n_draws
_MOST_ROWS = 100_000
_FEWEST_ROWS = 100  # of a model with many units
_MAX_SQUARES = 25_000_000  # rows times squared units: with 512 units, log p(x) takes 0.4 s per row
_MANY_UNITS = 100  # imputation is then checked on a tenth of the rows, as each has several modes to find


def examine(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    labels: Any = None,
    X_train: Any = None,
    y_train: Any = None,
    images: bool = False,
    max_rows: int = 1000,
    n_draws: int | None = None,
    impute: float = 0.2,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Examination:
    """Compute everything that the report on a model shows.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X, y : array-like
        Held-out samples, and the conditions of a ConditionalVAE, as in :func:`assess`; the y of any other model are
        labels.
    labels : array-like of shape (N,), optional
        Labels of the samples.
    X_train, y_train : array-like, optional
        Training samples, and their conditions: the simple models are fitted to them, and overfitting is checked.
        Without them, simple models are fitted to two thirds of the rows and score the others, three times.
    images : bool, default=False
        Whether samples are images: pixels are not compared one by one.
    max_rows : int, default=1000
        Number of samples to use, drawn at random if there are more; fewer of a model with more than 158 units.
    n_draws : int, optional
        Importance samples per row. By default as many as ``score_samples`` draws, which then returns the same log p(x).
    impute : float, default=0.2
        Share of the cells to hide and impute.
    seed : int, default=0
        Seed of all random numbers.
    progress : callable, optional
        Called with the name of each part before it is computed.

    Returns
    -------
    Examination

    Raises
    ------
    ValueError
        If there are fewer than two samples, or they do not fit the model.
    """
    say = progress or (lambda _: None)
    say("rows")
    if not estimator.conditional:
        labels, y, y_train = (y if labels is None else labels), None, None
    n_rows, max_rows = _count(X), min(max_rows, _affordable(estimator))
    rows, index = random_rows(X, max_rows, seed)
    ctx = Context.of(estimator, rows, _conditions(y, index), seed)
    if len(ctx.X) < 2:
        raise ValueError("a report needs at least two rows: pass more.")
    labels = None if labels is None else np.asarray(labels)[index]
    train = None
    if X_train is not None:
        own, own_index = random_rows(X_train, max_rows, seed)
        train = Context.of(estimator, own, _conditions(y_train, own_index), seed)
    if n_draws is None:
        n_draws = getattr(estimator, "n_draws", _N_DRAWS)
    return _Examiner(ctx, train, index, n_rows, labels, images, n_draws, impute, say).run()


def _count(X: Any) -> int:
    from isthmus.data import as_source

    source = as_source(X)
    return count_rows(X if source is None else source)


def _conditions(y: Any, index: Array) -> Any:
    """Return the conditions of some rows: a table, or an array; None without conditions."""
    return None if y is None else take_rows(y if is_table(y) else np.asarray(y), index)


def _affordable(estimator: Any) -> int:
    """Return of how many rows log p(x) can be computed in minutes."""
    if not estimator.has_density:
        return _MOST_ROWS
    return max(_FEWEST_ROWS, min(_MOST_ROWS, _MAX_SQUARES // estimator.n_components_**2))


class _Examiner:
    """The computation, part by part; what cannot be computed is noted with its reason."""

    def __init__(
        self,
        ctx: Context,
        train: Context | None,
        index: Array,
        n_rows: int,
        labels: Array | None,
        images: bool,
        n_draws: int,
        impute: float,
        say: Callable[[str], object],
    ) -> None:
        self.ctx, self.train, self.index, self.n_rows, self.labels = ctx, train, index, n_rows, labels
        self.images, self.n_draws, self.impute, self.say = images, n_draws, impute, say
        self.reasons: dict[str, str] = {}

    def run(self) -> Examination:
        """Return everything."""
        ctx, density = self.ctx, self.ctx.estimator.has_density
        codes = np.asarray(ctx.call("transform"))
        self.say("log p(x)")
        estimated = _metrics.estimate(ctx, self.n_draws) if density else None
        scores = self._scores(ctx) if estimated is None else estimated.value.astype(np.float64)
        assessment = self._assess(estimated)
        references, independent, linear = self._compare(self._n_units(codes))
        self.say("samples")
        samples, sample_scores = self._samples()
        training_scores = self._scores(self.train) if self.train else "no training rows were given"
        self.say("columns")
        effects, own_marginals, own_dependencies = self._by_column(codes, samples)
        evidence = Evidence(
            assessment=assessment,
            scores=scores,
            score_name=self._score_name(),
            references=references,
            independent=independent,
            linear=linear,
            training_explained=_metrics.reconstruction(self.train).explained_variance if self.train else None,
            training_scores=training_scores,
            sample_scores=sample_scores,
            history=list(ctx.estimator.history_),
            codes=codes,
            dependence=None if self.images else strongest_dependence(ctx, assessment.reconstruction),
            no_imputation=self.reasons.get("Imputations", "no cells were hidden"),
        )
        return Examination(
            context=ctx,
            index=self.index,
            n_rows=self.n_rows,
            assessment=assessment,
            checks=verdict(evidence),
            codes=codes,
            scores=scores,
            score_name=self._score_name(),
            references=[*_or(references, []), *([] if isinstance(independent, str) else [independent])],
            linear=_or(linear, None),
            samples=samples,
            classifier=self._classify(samples),
            sample_scores=_or(sample_scores, None),
            training_scores=_or(training_scores, None),
            effects=effects,
            marginals=own_marginals,
            dependencies=own_dependencies,
            odd=self._odd(scores),
            labels=self.labels,
            not_computed=self.reasons,
        )

    def _compare(self, n_units: int) -> tuple[Any, Any, Any]:
        """Return the scores of simple models with as many units: densities, independent columns, PCA."""
        self.say("simple models")
        computations: dict[str, Callable[[], Any]] = {
            "Comparison with PCA, FactorAnalysis and GaussianMixture": lambda: density_references(
                self.ctx, self.train, n_units
            ),
            "Comparison with independent columns": lambda: independent_columns(self.ctx, self.train),
            "Reconstructions by PCA": lambda: linear_reconstruction(self.ctx, self.train, n_units),
        }
        references, independent, linear = (self._try(name, compute) for name, compute in computations.items())
        return references, independent, linear

    def _assess(self, estimated: Any) -> Assessment:
        """Return all metrics."""
        ctx, density = self.ctx, self.ctx.estimator.has_density
        parts: dict[str, Callable[[], Any]] = {
            "likelihood": lambda: _metrics.likelihood(ctx, self.n_draws, estimated) if density else None,
            "annealing": lambda: None,
            "latent": lambda: _metrics.latent(ctx) if density else None,
            "reconstruction": lambda: _metrics.reconstruction(ctx),
            "samples": lambda: _metrics.samples(ctx) if density else None,
            "codes": lambda: _metrics.codes(ctx, self.labels),
            "imputation": self._impute,
        }
        results = {}
        for name, compute in parts.items():
            self.say(name)
            results[name] = compute()
        return Assessment(ctx.name, len(ctx.X), **results)

    def _impute(self) -> Any:
        try:
            n_rows, many = max(100, _MAX_CELLS // self.ctx.X.shape[1]), self.ctx.estimator.n_components_ > _MANY_UNITS
            n_rows = min(n_rows, _affordable(self.ctx.estimator) // 10) if many else n_rows
            return _metrics.imputation(self.ctx, self.impute, n_rows)
        except ValueError as error:
            self.reasons["Imputations"] = str(error).rstrip(".")
            return None

    def _scores(self, ctx: Context) -> Array:
        """Return log p(x) of rows, or log p(x|code) of a model without a density, (N,)."""
        if ctx.estimator.has_density:
            return _metrics.estimate(ctx, self.n_draws).value.astype(np.float64)
        return -np.asarray(ctx.call("reconstruction_error"), dtype=np.float64)

    def _odd(self, scores: Array) -> list[OddRow]:
        """Return the least likely rows."""
        self.say("odd rows")
        why = why_at_code(self.ctx)
        if why is not None:
            self.reasons[AT_CODE] = why
        return odd_rows(self.ctx, scores, self.index)

    def _score_name(self) -> str:
        if not self.ctx.estimator.has_density:
            return "log p(x|code)"
        return "log p(x)" if self.ctx.y is None else "log p(x|y)"

    def _n_units(self, codes: Array) -> int:
        """Return the number of active latent units, or of those that are not 0 at a time."""
        dead = dead_units(codes, density=self.ctx.estimator.has_density)
        return max(1, round(float((np.delete(codes, dead, axis=1) != 0).sum(axis=1).mean())))

    def _samples(self) -> tuple[Any, Any]:
        """Return samples of the model, and their scores."""
        ctx, estimator = self.ctx, self.ctx.estimator
        if not estimator.has_density:
            return None, "the model has no density p(x)"
        n = min(_N_SAMPLES, _affordable(estimator))
        index = ctx.generator(Stream.SAMPLES).integers(len(ctx.X), size=n)
        with quiet():
            drawn = estimator.sample(n, random_state=ctx.seed, **ctx.condition(index))
        if ctx.table is not None:
            drawn = as_pandas(drawn, estimator._codec)
        with quiet():
            own = Context.of(estimator, drawn, ctx.given(index), ctx.seed)
            return drawn if ctx.table is not None else own.X, self._scores(own)

    def _classify(self, samples: Any) -> ClassifierTest | None:
        """Return how well trees tell samples from rows."""
        name = "How well trees tell samples from rows"
        if samples is None or self.images:
            self.reasons[name] = "the columns are pixels" if self.images else "the model has no density p(x)"
            return None
        return _or(self._try(name, lambda: classifier_test(self.ctx, samples)), None)

    def _by_column(self, codes: Array, samples: Any) -> tuple[Any, Any, Any]:
        """Return effects, marginals and dependencies."""
        if self.images:
            for name in ("Effect of each unit by column", "Marginal distributions", "Dependencies between columns"):
                self.reasons[name] = "the columns are pixels"
            return None, [], None
        effects = unit_effects(self.ctx, codes)
        if samples is None:
            for name in ("Marginal distributions", "Dependencies between columns"):
                self.reasons[name] = "the model has no density p(x), and so no samples"
            return effects, [], None
        found = self._try("Dependencies between columns", lambda: dependencies(self.ctx, samples))
        return effects, marginals(self.ctx, samples), _or(found, None)

    def _try(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return a result, or the reason why there is none."""
        try:
            return compute()
        except ValueError as error:
            self.reasons[name] = str(error)
            return str(error)


def _or(value: Any, default: Any) -> Any:
    """Return a result, or a default for one that is a reason."""
    return default if isinstance(value, str) else value
