"""Upload and download models with huggingface_hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from isthmus import load
from isthmus.hub._card import model_card

__all__ = ["from_hub", "push_to_hub"]

_FILE = "model.safetensors"
_NETWORK = ("huggingface_hub", "httpx", "httpx2", "httpcore", "requests")  # libraries whose errors are those of the hub


def push_to_hub(
    model: Any,
    repo_id: str,
    *,
    report: Any = None,
    license: str | None = None,  # noqa: A002 - its name in model cards
    private: bool | None = None,
    token: str | None = None,
    message: str = "Add the model",
    endpoint: str | None = None,
) -> str:
    """Upload a fitted estimator, with a model card, to a repository, which is created if needed.

    Parameters
    ----------
    model : estimator
        Fitted.
    repo_id : str
        Name of the repository, as "owner/name".
    report : isthmus.report.Report, optional
        The report on this model, whose verdict the card quotes. Its page and its numbers, which contain rows of the
        data, are uploaded, too.
    license : str, optional
        License of the model, such as "mit".
    private : bool, optional
        Whether a newly created repository is private; by default as set for the account.
    token : str, optional
        Token of the account; by default the one that ``hf auth login`` has saved.
    message : str, default="Add the model"
        Message of the commit.
    endpoint : str, optional
        Address of the hub; by default that of the environment variable ``HF_ENDPOINT``, or huggingface.co.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    ImportError
        If huggingface_hub is not installed.
    ValueError
        If the hub refuses, cannot be reached, or the report is on another model.
    """
    check_is_fitted(model, "model_")
    library = _library()
    card = model_card(model, repo_id, report, license=license)
    with tempfile.TemporaryDirectory(prefix="isthmus-") as temporary:
        folder = Path(temporary)
        model.save(folder / _FILE)
        (folder / "README.md").write_text(card, encoding="utf-8")
        if report is not None:
            report.save(folder / "report.html")
        with _named(repo_id):
            api = library.HfApi(endpoint=endpoint, token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            done = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
    return str(done.commit_url)


def from_hub(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    parts: Sequence[type] = (),
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
) -> Any:
    """Return the model of a repository; only its file model.safetensors is downloaded.

    Parameters
    ----------
    repo_id : str
        Name of the repository, as "owner/name".
    revision : str, optional
        Branch, tag or commit; a commit always gives the same model.
    token : str, optional
        Token of an account, for private repositories.
    parts : sequence of type, optional
        Your own part classes, as for :func:`isthmus.load`.
    cache_dir : str or Path, optional
        Where downloaded files are kept; by default where huggingface_hub keeps them.
    endpoint : str, optional
        Address of the hub; by default that of the environment variable ``HF_ENDPOINT``, or huggingface.co.

    Returns
    -------
    estimator

    Raises
    ------
    ImportError
        If huggingface_hub is not installed.
    ValueError
        If there is no such repository, or the hub cannot be reached.
    isthmus.serialization.FileError
        If the file is damaged, or not a file of isthmus.

    Notes
    -----
    Nothing in the file can run code; see :func:`isthmus.load`.
    """
    library = _library()
    with _named(repo_id):
        path = library.hf_hub_download(
            repo_id, _FILE, revision=revision, token=token, cache_dir=cache_dir, endpoint=endpoint
        )
    return load(path, parts=parts)


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        message = 'the hub needs huggingface_hub, which is not installed: pip install "isthmus[hub]"'
        raise ImportError(message, name="huggingface_hub") from error
    return huggingface_hub


@contextmanager
def _named(repo_id: str) -> Iterator[None]:
    """Turn the errors of the hub into one line that names the repository."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _NETWORK):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"{repo_id}: the hub refused, or cannot be reached: {' '.join(lines[:3])}") from error
