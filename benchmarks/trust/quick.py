"""Change the descriptions, headers and bytes of saved models at random, quickly, and look what loading them does.

Usage: python benchmarks/trust/quick.py [--minutes 10] [--seed 0]

Most changes are made to the values in a header or a description, and are passed to `load` without writing and reading
their text again; all that `load` does after it has read the JSON, up to the checksum, is done as for a file. One in
forty of those that it would compare with their checksum next is then written to a file, with one that fits, and loaded
and used, as fuzz.py does. One change in fifty is of the bytes of a file, or of its header as text. What loads without a
new checksum must be equal to the model that was saved.

Memory is limited as in docs/trust.md. The counts are added to those of earlier runs in benchmarks/trust/quick.json.
What fails is written to tests/corpus/, where `make test` reads it again.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import datetime
import faulthandler
import json
import platform
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

import isthmus

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("quick.json")
sys.path.insert(0, str(ROOT / "tests"))

from fuzz import keep  # noqa: E402 - after the path is set

from hostile import checked_message, join, judge_model, little_memory, split  # noqa: E402
from isthmus import load, serialization  # noqa: E402
from isthmus.serialization import FileError, SavedFile, _header  # noqa: E402
from isthmus.serialization._container import _checksum, _tensor  # noqa: E402
from isthmus.serialization._errors import shortened  # noqa: E402
from mutations import change_bytes, change_json, changed_json, places, signed  # noqa: E402
from seeds import write_models  # noqa: E402

USED = 40  # of those that pass all checks before the checksum, one in so many is loaded with its tensors, and used
FILES, HEADERS = 0.02, 0.75
BATCH = 500  # changes for which memory is limited at once
SLOW = 0.2  # seconds after which a change is judged again, with the clock of the processor: the machine may be busy
SLOWEST = 2.0  # seconds of a processor that a file may take, at most
HANGING = 300  # seconds of a batch after which the run ends with a traceback
CHECKSUM = "its checksum does not fit"
WRONG = "passes all checks before the checksum"


class Seed(NamedTuple):
    """A saved model: its bytes and their parts, and the places of values in its header and its description."""

    raw: bytes
    header: dict[str, Any]
    body: bytes
    description: dict[str, Any]
    metadata: dict[str, str]
    tensors: dict[str, torch.Tensor]
    infos: dict[str, Any]
    kind: str
    in_header: list[tuple]
    in_description: list[tuple]
    file: IO[bytes]
    model: Any

    @classmethod
    def read(cls, path: Path) -> Seed:
        raw = path.read_bytes()
        header, body = split(raw)
        with serialization.open_saved(path) as file:
            tensors = {name: tensor.clone() for name, tensor in file.read_tensors().items()}
        metadata = header["__metadata__"] | {"format": str(_header.FORMAT), "kind": file.kind}
        found = places(header), places(file.description)
        values = raw, header, body, file.description, metadata, tensors, file.tensors, file.kind, *found
        return cls(*values, path.open("rb", buffering=0), load(path))


class Described(NamedTuple):
    """Stands for an open file whose header has been read."""

    description: dict[str, Any]
    tensors: dict[str, Any]
    kind: str

    def read_tensors(self) -> None:
        raise FileError(CHECKSUM)


class Headed(SavedFile):
    """A file that is read up to its tensors."""

    def read_tensors(self) -> Any:
        raise FileError(CHECKSUM)


class Change(NamedTuple):
    """A change of a seed: `open` is what `load` gets in place of an open file, `content` makes the bytes of a file."""

    kind: str
    open: Callable[[], Any]
    content: Callable[[], bytes]


def change(rng: random.Random, seed: Seed) -> Change:
    """Return a change of the values in a description or in a header."""
    in_header = rng.random() < HEADERS
    root, known = (seed.header, seed.in_header) if in_header else (seed.description, seed.in_description)
    for _ in range(rng.choice([1, 1, 2, 4])):
        root = changed_json(rng, root, known)
    if in_header:
        return Change("headers", lambda: headed(seed, root), lambda: sign_header(seed, root))
    return Change("descriptions", lambda: Described(root, seed.infos, seed.kind), lambda: sign(seed, root))


def changed_file(rng: random.Random, seed: Seed) -> bytes:
    """Return the bytes of a file that are changed, or of which the header is."""
    if rng.random() < 0.5:
        return change_bytes(rng, seed.raw)
    header = copy.deepcopy(seed.header)
    change_json(rng, header)
    return join(header, seed.body)


def headed(seed: Seed, header: dict[str, Any]) -> SavedFile:
    """Return a file, read as if its header had these values: JSON is not parsed, but what was changed is."""
    texts = {seed.raw[8 : len(seed.raw) - len(seed.body)].decode(): header}
    texts[seed.header["__metadata__"]["isthmus"]] = seed.description
    parse, _header._object = _header._object, lambda text: dict(texts[text]) if text in texts else parse(text)
    seed.file.seek(0)
    try:
        return Headed(seed.file, ("model", "meta_estimator"))
    finally:
        _header._object = parse


@contextlib.contextmanager
def opened(made: Callable[[], Any], **_: Any) -> Iterator[Any]:
    """Stand for `open_saved`: errors are what it makes of them."""
    try:
        yield made()
    except FileError as error:
        raise FileError(f"file: {shortened(str(error), 260)}") from error
    except ValueError as error:
        raise FileError(f"file: {shortened(str(error))}") from error


def look(what: Any, name: str, seed: Seed) -> str:
    """Load a file, or what stands for one, and return whether it was refused."""
    try:
        model = load(what)
    except FileError as error:
        reason = checked_message(name, str(error))
        cause: BaseException | None = error
        while cause is not None:  # it is refused by a check, not because something happened to fail
            assert isinstance(cause, ValueError), repr(cause)
            cause = cause.__cause__
        return WRONG if CHECKSUM in reason else "refused"
    assert_equal(model, seed.model)
    return "loaded, equal"


def assert_equal(model: Any, expected: Any) -> None:
    """Raise an AssertionError unless two estimators are of one class, and have the same parameters and tensors."""
    assert repr(model) == repr(expected)
    inner, other = (getattr(each, "estimator_", each) for each in (model, expected))
    inner, other = (getattr(each, "estimator", each).model_.state_dict() for each in (inner, other))
    assert inner.keys() == other.keys()
    assert all(torch.equal(inner[name], other[name]) for name in inner)


class Run:
    """Counts of what happened to changed files.

    Attributes
    ----------
    counts : dict of str to Counter
        How many descriptions, headers and files had each outcome.
    failed : list of str
        Those that failed.
    slowest : float
        Seconds that the slowest took: those of a processor if they are more than `SLOW`.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.path, self.seed = folder / "m.safetensors", seed
        self.seeds = [Seed.read(path) for path in write_models(folder)]
        self.texts = [json.dumps([each.header, each.description]) for each in self.seeds]
        self.counts = {name: collections.Counter[str]() for name in ("descriptions", "headers", "files")}
        self.failed: list[str] = []
        self.slowest, self.number = 0.0, 0

    def batch(self) -> None:
        """Look at a batch, with limited memory, and then load and use what nothing but the checksum kept out."""
        again: list[Change] = []
        faulthandler.dump_traceback_later(HANGING, exit=True)
        with little_memory(2 * max(len(each.raw) for each in self.seeds) + 100_000_000):
            rng = random.Random(f"{self.seed}/{self.number}")
            for _ in range(BATCH):
                self.number += 1
                seed = rng.choice(self.seeds)
                if rng.random() < FILES:
                    content = changed_file(rng, seed)
                    self.path.write_bytes(content)
                    self.count("files", content, lambda seed=seed: look(self.path, str(self.path), seed))
                    continue
                made = change(rng, seed)
                if self.count(made.kind, made.content, lambda m=made, s=seed: look_at(m, s)) == WRONG:
                    again.append(made)
        for made in again[::USED]:
            self.counts[made.kind][WRONG] -= 1
            content = made.content()
            self.path.write_bytes(content)
            self.count(made.kind, content, lambda: judge_model(self.path))
        faulthandler.cancel_dump_traceback_later()

    def count(self, kind: str, content: bytes | Callable[[], bytes], judge: Callable[[], str]) -> str:
        """Count an outcome, and keep what failed."""
        began = time.perf_counter()
        try:
            outcome = judge()
            seconds = time.perf_counter() - began
            if seconds > SLOW:
                began = time.process_time()
                judge()
                seconds = time.process_time() - began
            self.slowest = max(self.slowest, seconds)
        except Exception as error:
            outcome = "failed"
            self.failed.append(f"{self.seed}/{self.number}: {type(error).__name__}: {error}"[:300])
            keep(content if isinstance(content, bytes) else content(), "model")
        self.counts[kind][outcome] += 1
        return outcome

    def check_seeds(self) -> None:
        """Raise an AssertionError if what changes start from has changed."""
        assert self.texts == [json.dumps([each.header, each.description]) for each in self.seeds]

    def close(self) -> None:
        """Check once more what changes started from, and close its files."""
        self.check_seeds()
        for each in self.seeds:
            each.file.close()


def look_at(made: Change, seed: Seed) -> str:
    """Load what a change makes, as if it were a file."""
    real, serialization.open_saved = serialization.open_saved, opened
    try:
        return look(made.open, "file", seed)
    finally:
        serialization.open_saved = real


def sign(seed: Seed, description: dict[str, Any]) -> bytes:
    """Return a file with a description, and a checksum that fits."""
    return signed(seed.metadata | {"isthmus": json.dumps(description)}, seed.tensors)


def sign_header(seed: Seed, header: dict[str, Any]) -> bytes:
    """Return a file with a header, and a checksum that fits, if the header is valid."""
    metadata = header.get("__metadata__", {})
    with contextlib.suppress(ValueError, KeyError):
        file = headed(seed, header)
        body = memoryview(bytearray(seed.body))
        tensors = {name: _tensor(body, info) for name, info in file.tensors.items()}
        metadata = metadata | {"checksum": _checksum(metadata, tensors)}
    return join(header | {"__metadata__": metadata}, seed.body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="by default, one more than that of the last run")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else 1 + max((each["seed"] for each in earlier()), default=0)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        run = Run(Path(folder), seed)
        began = time.monotonic()
        while time.monotonic() < began + 60 * arguments.minutes:
            run.batch()
            if run.number % (100 * BATCH) == 0:
                run.check_seeds()
                print(run.number, run.counts, run.failed[-1:], flush=True)
        run.close()
    result = {
        "seed": seed,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "mutations": run.number,
        "outcomes": {kind: dict(sorted((+counter).items())) for kind, counter in run.counts.items()},
        "failed": run.failed,
        "slowest_seconds": round(run.slowest, 3),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"isthmus": isthmus.__version__, "python": platform.python_version(), "torch": torch.__version__},
    }
    runs = [*earlier(), result]  # another run may have ended meanwhile
    total = sum(each["mutations"] for each in runs)
    RESULTS.write_text(json.dumps({"mutations": total, "runs": runs}, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(bool(run.failed or run.slowest > SLOWEST))


def earlier() -> list[dict[str, Any]]:
    """Return the results of earlier runs."""
    return json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []


if __name__ == "__main__":
    main()
