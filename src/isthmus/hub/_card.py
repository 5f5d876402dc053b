"""The model card: what a model is, what the report found, and how to use it."""

from __future__ import annotations

from typing import Any

from isthmus import __version__

__all__ = ["model_card"]

_MARKS = {"good": "passed", "warning": "**warning**", "note": "note", "none": "not checked"}


def model_card(model: Any, repo_id: str, report: Any = None, *, license: str | None = None) -> str:  # noqa: A002
    """Return the model card of a fitted estimator, as Markdown with a header in YAML.

    Parameters
    ----------
    model : estimator
        Fitted.
    repo_id : str
        Name of the repository, as "owner/name".
    report : isthmus.report.Report, optional
        The report on this model, whose verdict the card quotes; without one, the card says that there is none.
    license : str, optional
        License of the model, such as "mit".

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the report is on a model of another class.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> card = model_card(VAE(2, max_epochs=1, random_state=0).fit(load_iris().data), "me/iris")
    >>> card.splitlines()[1]
    'library_name: isthmus'
    """
    kind = type(model).__name__
    if report is not None and report.numbers.get("model", {}).get("class") != kind:
        raise ValueError(f"report: is not a report on a single {kind}; pass model.report(X_test).")
    lines = ["---", "library_name: isthmus"]
    lines += [f"license: {license}"] if license else []
    lines += ["tags:", "- autoencoder", *(["- variational-autoencoder"] if model.has_density else []), "---", ""]
    lines += [f"# {repo_id.rpartition('/')[2]}", ""]
    lines += [
        f"A `{kind}` of isthmus {__version__} with {model.n_components_} latent units, fitted to "
        f"{model.n_features_in_} columns in {model.n_iter_} epochs:",
        "",
        "```python",
        repr(model),
        "```",
        "",
    ]
    lines += _columns(model) + _verdict(report) + _use(model, repo_id)
    return "\n".join(lines) + "\n"


def _columns(model: Any) -> list[str]:
    """Return the columns of a table."""
    if model._codec is None:
        return []
    rows = [f"| {_cell(c.name)} | {c.kind} | {_cell(c.levels())} |" for c in model._codec.columns]
    return ["## Columns", "", "| column | kind | levels |", "|---|---|---|", *rows, ""]


def _verdict(report: Any) -> list[str]:
    """Return what the report found, or that there is none."""
    if report is None:
        return ["## Quality", "", "Not examined: `model.report(X_test)` writes a report on held-out rows.", ""]
    data, checks = report.numbers["data"], report.numbers["verdict"]
    rows = [f"| {check['id']} | {_MARKS[check['status']]} | {_cell(check['sentence'])} |" for check in checks]
    return [
        "## Quality",
        "",
        f"On {data['rows_used']:,} of {data['rows']:,} rows of {data['name']} (report.html has the details):",
        "",
        "| check | result | |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _use(model: Any, repo_id: str) -> list[str]:
    score = "score_samples" if model.has_density else "reconstruction_error"
    return [
        "## Use",
        "",
        "```python",
        "# pip install isthmus[hub]",
        "from isthmus.hub import from_hub",
        "",
        f'model = from_hub("{repo_id}")',
        "codes = model.transform(X)",
        f"scores = model.{score}(X)",
        "```",
        "",
        "The model is one file, model.safetensors, that contains no code.",
    ]


def _cell(text: object) -> str:
    """Return text that fits into one cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
