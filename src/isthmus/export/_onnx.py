"""Write the graphs of a fitted estimator as ONNX files, and compare what onnxruntime computes with the estimator."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus import __version__
from isthmus._names import unknown_name
from isthmus._random import Stream, derive
from isthmus.estimators._inference import Chunk, map_rows
from isthmus.evaluation.row_noise import row_noise
from isthmus.export._check import Examples, check_file
from isthmus.export._graphs import make_graphs
from isthmus.export._inputs import describe_inputs
from isthmus.export._operators import decompositions, translations
from isthmus.model import Model

__all__ = ["check_installed", "scoring_noise", "to_onnx"]

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def check_installed() -> None:
    """Raise an ImportError that names the extra unless the libraries that write and check ONNX files are installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        message = f'writing ONNX files needs {error.name}, which is not installed: pip install "isthmus[onnx]"'
        raise ImportError(message, name=error.name) from error


def to_onnx(
    model: Any, folder: str | Path, *, parts: Sequence[str] | None = None, dtype: str = "float32"
) -> dict[str, Path]:
    r"""Write encoder, decoder and, for the VAE family, log p(x) of a fitted estimator as ONNX files.

    Each is one file, whose inputs and outputs are float64 and may have any number of rows:

    ================  ==============================  ==================================================================
    file              inputs                          outputs
    ================  ==============================  ==================================================================
    ``encoder.onnx``  X (N, F)                        code (N, K), as from ``transform``
    ``decoder.onnx``  code (N, K)                     reconstruction (N, F), as from ``inverse_transform``
    ``scorer.onnx``   X (N, F), noise (S, N, K)       log_p, elbo and effective_sample_size, (N,) each
    ================  ==============================  ==================================================================

    A conditional model has a further input y. Categories are the indices of their levels; NaN is a missing cell. The
    entry "isthmus" of a file's metadata describes each column in JSON, with its levels.

    Before anything is written, onnxruntime computes 1, 2 and 1,000 samples with each file, and the results are compared
    with those of the estimator.

    Parameters
    ----------
    model : estimator
        Fitted.
    folder : str or Path
        Folder for the files, which is created if needed; files with the same names are replaced.
    parts : sequence of {"encoder", "decoder", "scorer"}, optional
        Which files to write; by default all that the model has.
    dtype : {"float32", "float64"}, default="float32"
        The floating-point type in which networks and distributions compute. Float64 agrees with the estimator to about
        ten digits; onnxruntime has no convolutions for it.

    Returns
    -------
    dict of str to Path
        The files by part.

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is not installed.
    ValueError
        If a part cannot be written, or results differ.

    Notes
    -----
    The scorer makes one estimate, with draws from q(z|x) that are made from the `noise` that you pass:

    .. math:: \log \hat p(x) = \log \frac1S \sum_s \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}

    ``score_samples`` does the same with the noise of :func:`scoring_noise`. If less than a quarter of the draws for a
    sample are effective, it estimates that sample again, with better draws. A model that was trained on complete
    samples returns NaN for samples with missing cells.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8; https://onnx.ai.
    """
    check_is_fitted(model, "model_")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype={dtype!r}: must be 'float32' or 'float64'.")
    graphs = make_graphs(model, _DTYPES[dtype])
    chosen = list(graphs) if parts is None else list(dict.fromkeys(parts))
    for part in chosen:
        if part == "scorer" and not model.has_density:
            raise ValueError(f"parts: {type(model).__name__} has no density p(x), and so no scorer.")
        if part not in graphs:
            raise unknown_name("part", part, graphs)
    check_installed()
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: is a file; name a folder for the ONNX files.")
    parent = next(place for place in target.absolute().parents if place.is_dir())
    try:
        aside = tempfile.TemporaryDirectory(prefix=".isthmus-", dir=parent)
    except OSError as error:
        raise OSError(f"{target}: {parent} cannot be written ({error.strerror}); name another folder.") from error
    examples = Examples.of(model)
    with aside as temporary:
        for part in chosen:
            file = Path(temporary) / f"{part}.onnx"
            _write(graphs[part], part, examples, file, _describe(model, part, dtype))
            check_file(file, part, model, examples, dtype)
        target.mkdir(parents=True, exist_ok=True)
        for part in chosen:
            shutil.move(Path(temporary) / f"{part}.onnx", target / f"{part}.onnx")
    return {part: target / f"{part}.onnx" for part in chosen}


def _write(graph: Any, part: str, examples: Examples, file: Path, description: dict[str, Any]) -> None:
    """Write one graph, traced with three rows: with one row, its number might be taken for a constant."""
    inputs = examples.inputs(part, 3)
    n, s = torch.export.Dim("n"), torch.export.Dim("s")
    shapes = tuple({0: s, 1: n} if name == "noise" else {0: n} for name in inputs)
    try:
        with torch.no_grad(), _quiet():
            arguments = tuple(torch.from_numpy(values) for values in inputs.values())
            program = torch.export.export(graph, arguments, dynamic_shapes=_by_argument(graph, shapes))
            own = decompositions(graph.dtype)
            if any(node.target in own for node in program.graph.nodes):
                program = program.run_decompositions(own)
            written = torch.onnx.export(
                program,
                input_names=list(inputs),
                output_names=list(graph.outputs),
                custom_translation_table=translations(),
                dynamo=True,
                verbose=False,
            )
            assert written is not None  # it is without a file name
            _forget_sources(written.model)
            written.model.metadata_props["isthmus"] = json.dumps(description, allow_nan=False)
            written.save(file, external_data=False)
    except Exception as error:  # torch has no common base of what it raises here
        raise ValueError(
            f"the {part} cannot be written as ONNX ({_reason(error)}): leave it out (parts), or fit a model with other "
            "parts."
        ) from error


def _reason(error: BaseException) -> str:
    """Return the first line of the original error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _by_argument(graph: Any, shapes: tuple[dict[int, Any], ...]) -> dict[str, Any]:
    """Return the dynamic shapes by the names that the graph's inputs have in `forward`."""
    names = list(graph.forward.__code__.co_varnames[1 : 1 + len(shapes)])
    return dict(zip(names, shapes, strict=True))


def _forget_sources(model: Any) -> None:
    """Remove what torch notes of each node: where in which file it comes from."""
    for place in (model, model.graph, *model.graph.all_nodes()):
        place.metadata_props.clear()
    for node in model.graph.all_nodes():
        for value in node.outputs:
            value.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's notes on libraries that are not needed here, and on its own deprecated names, from the user."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _describe(model: Any, part: str, dtype: str) -> dict[str, Any]:
    """Return the metadata of a file."""
    names = getattr(model, "feature_names_in_", None)
    codec = model._codec
    plain = None if names is None else [{"name": str(name), "kind": "number"} for name in names]
    described = {
        "isthmus": __version__,
        "format": 1,
        "estimator": type(model).__name__,
        "part": part,
        "dtype": dtype,
        "n_components": int(model._n_features_out),
        "n_inputs": int(model.model_.network.sizes.n_features) if codec is None else len(describe_inputs(codec)),
        "columns": plain if codec is None else describe_inputs(codec),
        "takes_missing": bool(model.model_.network.sizes.masked),
    }
    return described | ({"condition": _describe_condition(model._condition)} if model.conditional else {})


def _describe_condition(condition: Any) -> list[dict[str, Any]]:
    """Return what each column of y is."""
    if hasattr(condition, "codec"):
        return describe_inputs(condition.codec)
    if hasattr(condition, "classes"):
        name = "y" if condition.name is None else str(condition.name)
        return [{"name": name, "kind": "code", "levels": condition.classes.tolist()}]
    return [{"name": f"y{i}", "kind": "number"} for i in range(condition.width)]


def scoring_noise(model: Any, X: Any, n_draws: int | None = None) -> np.ndarray:
    """Return the noise with which ``score_samples`` and ``elbo`` draw codes, for the scorer of :func:`to_onnx`.

    Parameters
    ----------
    model : VAE or ConditionalVAE
        Fitted.
    X : array-like or table of shape (N, D)
        Samples.
    n_draws : int, optional
        S; by default ``n_draws`` of the model.

    Returns
    -------
    ndarray of shape (S, N, K)
        Standard normal numbers, a function of the model's seed and each sample alone. Other standard normal numbers
        give other estimates of the same log p(x).

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.export import scoring_noise
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> scoring_noise(VAE(2, max_epochs=1, random_state=0).fit(X), X, n_draws=10).shape
    (10, 150, 2)
    """
    n, seed = model.n_draws if n_draws is None else n_draws, derive(model.seed_, Stream.SCORING)

    def of_chunk(net: Model, rows: Chunk) -> Tensor:
        return row_noise(rows.raw, n, net.network.sizes.n_components, seed)

    return map_rows(model, of_chunk, model._rows(X), draws=n, axis=1).astype(np.float64)
