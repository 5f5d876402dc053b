"""The methods that show a fitted model, or write it in other forms; their packages are above the estimators."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["ModelViews"]


class ModelViews(BaseEstimator):
    """Base of the methods that show a fitted model or write it in other forms; they import what they need."""

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
        """Examine the model on samples that it was not fitted to, and return a report of one page.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Held-out samples.
        y : array-like, optional
            Conditions of a ConditionalVAE; labels for any other model.
        labels : array-like of shape (N,), optional
            Labels, which colour the latent plane.
        X_train, y_train : array-like, optional
            Training samples, and their conditions, to check overfitting.
        image_shape : tuple of int, optional
            (height, width), or (3, height, width), if samples are images.
        name : str, default="X"
            What the data are called.
        max_rows : int, default=1000
            Number of samples to use, drawn at random if there are more; fewer of a model with more than 158 units.

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

    def explore(
        self,
        X: Any = None,
        y: Any = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        name: str = "model",
        data_name: str = "X",
        height: int = 780,
    ) -> Any:
        """Return a widget that shows the page of ``isthmus explore`` for the model and samples in a notebook.

        Parameters
        ----------
        X : array-like or table of shape (N, D), optional
            Samples to show.
        y : array-like of shape (N,) or (N, C), or table, optional
            Their labels, or the columns that a ConditionalVAE is conditioned on.
        image_shape : tuple of int, optional
            (height, width), or with 1 or 3 channels before or after them, if samples are images.
        name, data_name : str
            What the page calls the model and the samples.
        height : int, default=780
            Height of the frame in pixels.

        Returns
        -------
        anywidget.AnyWidget
            JupyterLab and marimo show it. The page works while the kernel runs.

        Raises
        ------
        ImportError
            If anywidget is not installed; the extra "notebook" installs it.
        """
        package = importlib.import_module("isthmus.explorer")
        shown = "" if X is None else data_name
        explorer = package.Explorer(self, X, y, image_shape=image_shape, name=name, data_name=shown)
        return package.make_widget(explorer, height)

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
            The floating-point type in which the files compute.

        Returns
        -------
        dict of str to Path
            The files by part. :func:`isthmus.export.to_onnx` describes them.
        """
        files: dict[str, Path] = importlib.import_module("isthmus.export").to_onnx(
            self, folder, parts=parts, dtype=dtype
        )
        return files

    def push_to_hub(self, repo_id: str, *, report: Any = None, private: bool | None = None) -> str:
        """Upload the fitted model to a repository of a hub, with a model card.

        Parameters
        ----------
        repo_id : str
            Name of the repository, as "owner/name".
        report : isthmus.report.Report, optional
            The report on this model, whose verdict the card quotes; it is uploaded, too, and contains rows of the data.
        private : bool, optional
            Whether a newly created repository is private.

        Returns
        -------
        str
            Address of the commit. :func:`isthmus.hub.push_to_hub` has more options, and :func:`isthmus.hub.from_hub`
            returns the model.
        """
        address: str = importlib.import_module("isthmus.hub").push_to_hub(self, repo_id, report=report, private=private)
        return address
