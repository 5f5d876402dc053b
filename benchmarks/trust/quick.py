"""Change the descriptions, headers and bytes of saved models at random, quickly, and look what loading them does.

Usage: python benchmarks/trust/quick.py [--minutes 10] [--seed 0]

`load` looks at tensors only after all that the description says was checked. So most of the changed descriptions are
passed to it without a file. One in forty of those that it would compare with their checksum next is then written to a
file, with one that fits, and loaded and used, as fuzz.py does. One change in twenty is of the header or the bytes of a
file. The counts are added to those of earlier runs in benchmarks/trust/quick.json. What fails is written to
tests/corpus/, where `make test` reads it again.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import datetime
import json
import pickle
import platform
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

import isthmus

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("quick.json")
sys.path.insert(0, str(ROOT / "tests"))

from fuzz import keep  # noqa: E402 - after the path is set

from hostile import checked_message, join, judge_model, little_memory, split  # noqa: E402
from isthmus import load, serialization  # noqa: E402
from isthmus.serialization import FileError  # noqa: E402
from isthmus.serialization._errors import shortened  # noqa: E402
from isthmus.serialization._header import FORMAT  # noqa: E402
from mutations import change_bytes, change_json, places, signed  # noqa: E402
from seeds import write_models  # noqa: E402

USED = 40  # of descriptions that pass the checks, one in so many is loaded with its tensors, and used
FILES = 0.05  # share of changes of the header or the bytes of a file
BATCH = 200  # files for which memory is limited at once
SLOWEST = 2.0  # seconds of a processor that a file may take, at most
CHECKSUM = "its checksum does not fit"
WRONG = "passes all checks of the description"


class Seed(NamedTuple):
    """A saved model: its bytes and their parts, and the places of values in its header and its description."""

    raw: bytes
    header: dict[str, Any]
    description: bytes
    metadata: dict[str, str]
    tensors: dict[str, torch.Tensor]
    infos: dict[str, Any]
    body: bytes
    places: list[tuple]

    @classmethod
    def read(cls, path: Path) -> Seed:
        raw = path.read_bytes()
        header, body = split(raw)
        with serialization.open_saved(path) as file:
            tensors = {name: tensor.clone() for name, tensor in file.read_tensors().items()}
            description, infos = file.description, file.tensors
        metadata = header["__metadata__"] | {"format": str(FORMAT), "kind": "model"}
        return cls(raw, header, pickle.dumps(description), metadata, tensors, infos, body, places(description))


class Described(NamedTuple):
    """Stands for an open file whose header has been read."""

    description: dict[str, Any]
    tensors: dict[str, Any]

    def read_tensors(self) -> None:
        raise FileError(CHECKSUM)


def described(rng: random.Random, seed: Seed) -> Described:
    """Return a changed description, with the tensors of the model."""
    description = pickle.loads(seed.description)  # noqa: S301 - the quickest copy
    change_json(rng, description, seed.places)
    for _ in range(rng.choice([0, 0, 1, 3])):
        if description:
            change_json(rng, description)
    return Described(description, seed.infos)


def changed(rng: random.Random, seed: Seed) -> bytes:
    """Return the bytes of a file that are changed, or of which the header is."""
    if rng.random() < 0.5:
        return change_bytes(rng, seed.raw)
    header = copy.deepcopy(seed.header)
    change_json(rng, header)
    return join(header, seed.body)


@contextlib.contextmanager
def opened(file: Described, **_: Any) -> Iterator[Described]:
    """Stand for `open_saved`: errors are what it makes of them."""
    try:
        yield file
    except FileError as error:
        raise FileError(f"file: {shortened(str(error), 260)}") from error
    except ValueError as error:
        raise FileError(f"file: {shortened(str(error))}") from error


def look(what: Any, name: str) -> str:
    """Load a file, or what stands for one, and return whether it was refused."""
    try:
        load(what)
    except FileError as error:
        reason = checked_message(name, str(error))
        cause: BaseException | None = error
        while cause is not None:  # it is refused by a check, not because something happened to fail
            assert isinstance(cause, ValueError), repr(cause)
            cause = cause.__cause__
        return WRONG if CHECKSUM in reason else "refused"
    return "loaded"


class Run:
    """Counts of what happened to changed files.

    Attributes
    ----------
    counts : dict of str to Counter
        How many descriptions, and files, had each outcome.
    failed : list of str
        Those that failed.
    slowest : float
        Seconds of a processor that the slowest took.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.path, self.seed = folder / "m.safetensors", seed
        self.seeds = [Seed.read(path) for path in write_models(folder)]
        self.counts = {"descriptions": collections.Counter[str](), "files": collections.Counter[str]()}
        self.failed: list[str] = []
        self.slowest, self.number = 0.0, 0

    def batch(self) -> None:
        """Look at a batch, with limited memory, and then load and use what nothing but the checksum kept out."""
        again = []
        with little_memory(2 * max(len(each.raw) for each in self.seeds) + 100_000_000):
            for _ in range(BATCH):
                self.number += 1
                rng = random.Random(f"{self.seed}/{self.number}")
                seed = rng.choice(self.seeds)
                if rng.random() < FILES:
                    content = changed(rng, seed)
                    self.path.write_bytes(content)
                    self.count("files", lambda content=content: content, self.look_at_file)
                    continue
                file = described(rng, seed)
                if self.count("descriptions", lambda f=file, s=seed: sign(s, f), lambda f=file: look_at(f)) == WRONG:
                    again.append((seed, file))
        for seed, file in again[::USED]:
            self.counts["descriptions"][WRONG] -= 1
            self.path.write_bytes(sign(seed, file))
            self.count("descriptions", self.path.read_bytes, lambda: judge_model(self.path))

    def look_at_file(self) -> str:
        return look(self.path, str(self.path))

    def count(self, kind: str, content: Callable[[], bytes], judge: Callable[[], str]) -> str:
        """Count an outcome, and keep what failed."""
        began = time.process_time()
        try:
            outcome = judge()
        except Exception as error:
            outcome = "failed"
            self.failed.append(f"{self.seed}/{self.number}: {type(error).__name__}: {error}"[:300])
            keep(content(), "model")
        self.slowest = max(self.slowest, time.process_time() - began)
        self.counts[kind][outcome] += 1
        return outcome


def look_at(file: Described) -> str:
    """Load a description with tensors, as if a file had them."""
    real, serialization.open_saved = serialization.open_saved, opened
    try:
        return look(file, "file")
    finally:
        serialization.open_saved = real


def sign(seed: Seed, file: Described) -> bytes:
    """Return a file with a description, and a checksum that fits."""
    return signed(seed.metadata | {"isthmus": json.dumps(file.description)}, seed.tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="by default, one more than that of the last run")
    arguments = parser.parse_args()
    runs = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    seed = arguments.seed if arguments.seed is not None else 1 + max((each["seed"] for each in runs), default=0)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        run = Run(Path(folder), seed)
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < end:
            run.batch()
            if run.number % (100 * BATCH) == 0:
                print(run.number, run.counts, run.failed[-1:], flush=True)
    result = {
        "seed": seed,
        "minutes": arguments.minutes,
        "mutations": run.number,
        "outcomes": {kind: dict(sorted((+counter).items())) for kind, counter in run.counts.items()},
        "failed": run.failed,
        "slowest_seconds": round(run.slowest, 3),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"isthmus": isthmus.__version__, "python": platform.python_version(), "torch": torch.__version__},
    }
    runs.append(result)
    total = sum(each["mutations"] for each in runs)
    RESULTS.write_text(json.dumps({"mutations": total, "runs": runs}, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(bool(run.failed or run.slowest > SLOWEST))


if __name__ == "__main__":
    main()
