"""The methods that show a fitted model, or write it in other forms; their packages are above the estimators."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["ModelViews"]


class ModelViews(BaseEstimator):
    """Base of the methods that import, only when they are called, what is above the estimators."""

    def report(
        self,
        X: Any,
        y: Any = None,
        *,
        labels: Any = None,
        X_train: Any = None,
        y_train: Any = None,
        image_shape: tuple[int, ...] | None = None,
        name: str = "X",
        max_rows: int = 1000,
    ) -> Any:
        """Examine the model on samples that it was not fitted to, and return one page about it.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Held-out samples.
        y : array-like, optional
            Conditions of a ConditionalVAE.
        labels : array-like of shape (N,), optional
            Labels, which colour the latent plane.
        X_train, y_train : array-like, optional
            Training samples, and their conditions, to check overfitting.
        image_shape : tuple of int, optional
            (height, width), or (3, height, width), if samples are images.
        name : str, default="X"
            What the data are called.
        max_rows : int, default=1000
            Number of samples to use, drawn at random if there are more.

        Returns
        -------
        isthmus.report.Report
            Notebooks show it; ``report.save("report.html")`` writes the page, and its numbers as JSON.
        """
        package = importlib.import_module("isthmus.report")
        return package.make_report(
            self,
            X,
            y,
            labels=labels,
            X_train=X_train,
            y_train=y_train,
            image_shape=image_shape,
            name=name,
            max_rows=max_rows,
        )

    def to_onnx(
        self, folder: str | Path, *, parts: Sequence[str] | None = None, dtype: str = "float32"
    ) -> dict[str, Path]:
        """Write encoder, decoder and, for the VAE family, log p(x) as ONNX files.

        Parameters
        ----------
        folder : str or Path
            Folder for the files.
        parts : sequence of {"encoder", "decoder", "scorer"}, optional
            Which files to write; by default all that the model has.
        dtype : {"float32", "float64"}, default="float32"
            What the files compute in.

        Returns
        -------
        dict of str to Path
            The files by part. :func:`isthmus.export.to_onnx` describes them.
        """
        files: dict[str, Path] = importlib.import_module("isthmus.export").to_onnx(
            self, folder, parts=parts, dtype=dtype
        )
        return files
