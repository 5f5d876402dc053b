"""``isthmus outliers``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from isthmus._formats import any_of, writable_suffixes
from isthmus.cli._apply import model_and_rows, numbers_per_row, split_files
from isthmus.cli._data import AlignedBlocks, align_columns, read_data
from isthmus.cli._errors import about, note
from isthmus.cli._models import load_any, loading
from isthmus.cli._paths import check_output
from isthmus.cli._results import compute_by_chunks, write_frame_result
from isthmus.cli._tables import as_table, check_holds

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data import Dataset

__all__ = ["outliers"]

_ROWS = 10_000  # of a block in which some are explained
_SHOWN, _LEAST = 20, 3  # rows that are printed, at most and at least


@click.command(short_help="Find improbable rows, and say which cells are odd.")
@click.argument("files", nargs=-1, required=True, metavar="[MODEL] DATA")
@click.option("-o", "--output", metavar="FILE", help=f"Write the result of each row: {any_of(writable_suffixes())}.")
@click.option("--explain", is_flag=True, help="Say which cells are odd, by how many nats, and what was expected.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="Share of normal rows that may be called outliers.",
)
@click.option("--normal", metavar="FILE", help="With MODEL: rows that set the threshold; not its training rows.")
@click.option("--save", metavar="FILE", help="Write the fitted detector; it can be used as MODEL later.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Random seed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def outliers(
    files: tuple[str, ...],
    output: str | None,
    explain: bool,
    rate: float,
    normal: str | None,
    save: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Find the rows of DATA that are improbable.

    Without MODEL, a small vae is fitted to DATA. Some of the rows are held out, and set the threshold: a normal row
    is called an outlier with probability --rate, even if there are no outliers. With MODEL, the rows of --normal set
    the threshold; MODEL must not have been trained on them. Without --normal, the rows of DATA set it, and a share
    --rate of them is called outliers. A detector that was written with --save has a threshold.

    \b
    isthmus outliers people.csv --explain
    isthmus outliers people.csv --save d.safetensors
    isthmus outliers d.safetensors new.csv
    isthmus outliers m.safetensors new.csv --normal held_out.csv --explain -o scored.csv

    Rows are counted from 0. FILE has log p(x) and the p-value of each row, whether it is an outlier, and, with
    --explain, the explanation.
    """  # noqa: D301
    path, data = split_files(files, "outliers")
    if output is not None:
        check_output(output, path, data, normal)
    if path is None and normal is not None:
        raise ValueError(f"--normal {normal}: is for a fitted MODEL; without one, a part of DATA sets the threshold.")
    if save is not None:
        check_output(save, path, data, normal, output, suffix=".safetensors")
    detector, rows = _detector(path, data, normal, rate, seed)
    streamed = isinstance(rows.X, AlignedBlocks)
    X = rows.X if streamed else as_table(rows)
    if explain and output is not None:
        import pandas as pd

        check_holds(output, pd.DataFrame({"explanation": [""]}))
    with about(data):
        scores = _scores(detector, rows) if streamed else detector.score_samples(X)
        found = scores < detector.offset_
        order = scores.argsort(kind="stable")
        shown = order[: max(int(found.sum()), _LEAST)]  # the oddest rows if there is no outlier
        explained = _explained_of_blocks if streamed else _explained
        sentences = explained(detector, X, shown) if explain else {}
    values = _p_values(detector, scores)
    if save is not None:
        detector.save(save)
        note(f"wrote {save}")
    if output is not None:
        _write(output, X, scores, values, found, sentences if explain else None)
    result = [
        {"row": row, "log_p": float(scores[row]), "p_value": float(values[row])}
        | ({"explanation": sentences[row]} if explain else {})
        for row in map(int, shown)
    ]
    n_found = int(found.sum())
    if as_json:
        click.echo(json.dumps({"rows": len(scores), "outliers": result[:n_found]}))
    else:
        click.echo(_text(result, n_found, len(scores), detector.false_alarm_rate))


def _detector(path: str | None, data: str, normal: str | None, rate: float, seed: int) -> tuple[Any, Dataset]:
    """Return a fitted detector and the rows to be judged."""
    if path is None:
        rows = read_data(data)
        with loading():
            from isthmus import AutoencoderOutlierDetector
        detector = AutoencoderOutlierDetector(false_alarm_rate=rate, random_state=seed)
        with about(data):
            return detector.fit(as_table(rows)), rows
    saved = load_any(path) if normal is None else None
    has_threshold = hasattr(saved, "calibration_scores_")
    model, rows, _ = model_and_rows(path, data, None, tables=has_threshold)
    if has_threshold:
        return saved, rows
    from sklearn.frozen import FrozenEstimator

    from isthmus import AutoencoderOutlierDetector

    reference = rows if normal is None else align_columns(model, read_data(normal), normal)
    if normal is None:
        note(f"the threshold is set by {data} itself: about {rate:.0%} of its rows are called outliers (see --normal)")
    detector = AutoencoderOutlierDetector(FrozenEstimator(model), false_alarm_rate=rate, random_state=seed)
    with about(normal or data):
        return detector.fit(as_table(reference)), rows


def _p_values(detector: Any, scores: np.ndarray) -> np.ndarray:
    """Return the p-values of scores, which are not computed again."""
    from isthmus.metaestimators._calibration import p_values

    return p_values(scores, detector.calibration_scores_)


def _explained(detector: Any, X: Any, rows: np.ndarray) -> dict[int, str]:
    """Return a sentence about each of some rows."""
    sentences = [sentence.partition(": ") for sentence in detector.explain(X, rows=rows).sentences]
    return {int(head.split()[1]): text for head, _, text in sentences}


def _scores(detector: Any, rows: Dataset) -> np.ndarray:
    """Return log p(x) of the rows of a table that is read block by block."""
    width = numbers_per_row(detector.estimator_)
    return compute_by_chunks("log p(x)", lambda X, _: detector.score_samples(X), rows, None, width)


def _explained_of_blocks(detector: Any, X: AlignedBlocks, rows: np.ndarray) -> dict[int, str]:
    """Return a sentence about each of some rows of a table that is read block by block."""
    import numpy as np

    found: dict[int, str] = {}
    start = 0
    for part in X.datasets(_ROWS):
        own = np.flatnonzero(np.isin(np.arange(start, start + len(part.X)), rows))
        if len(own):
            sentences = _explained(detector, as_table(part), own)
            found |= {start + row: text for row, text in sentences.items()}
        start += len(part.X)
    return found


def _write(
    path: str, X: Any, scores: np.ndarray, values: np.ndarray, found: np.ndarray, sentences: dict[int, str] | None
) -> None:
    """Write the result of each row."""
    import pandas as pd

    table = pd.DataFrame({"log_p": scores, "p_value": values, "outlier": found}, index=getattr(X, "index", None))
    if sentences is not None:
        table["explanation"] = [sentences.get(row, "") for row in range(len(table))]
    write_frame_result(path, table)


def _text(result: list[dict[str, Any]], n_found: int, n_rows: int, rate: float) -> str:
    """Return the outliers as lines of text, the oddest first, or the oddest rows if there are fewer outliers."""
    few = "; the oddest rows are" if n_found < len(result) else ""
    head = f"{n_found} of {n_rows} rows are outliers, at a false-alarm rate of {rate:.3g}{few}"
    lines = [
        f"row {row['row']:<7} log p(x) {row['log_p']:>10.3f}   p = {row['p_value']:<8.2g} {row.get('explanation', '')}"
        for row in result[:_SHOWN]
    ]
    more = len(result) - _SHOWN
    rest = [f"and {more} more; -o FILE writes all of them"] if more > 0 else []
    return "\n".join([head, *(line.rstrip() for line in lines), *rest])
