"""Change the source of central modules, one operator at a time, and look whether the tests notice.

Usage: python benchmarks/trust/mutants.py [--sample 20] [--seed 0] [--groups parts model objectives codec files]

The changes are cosmic-ray's: comparisons, arithmetic, numbers, `not`, `and`, `or`, True, False, loops, exceptions and
decorators. A random sample of those in each group is tried. Each is tried in a process of its own, first with the
quickest tests of the group, and if it survives them with the others. A change that the tests do not notice is a
survivor: a missing test, or a change that makes no difference. The results are written to
benchmarks/trust/mutants.json; what is said there of a survivor stays as long as it survives.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import importlib.machinery
import json
import os
import platform
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("mutants.json")
REWRITE = "pytest.PytestAssertRewriteWarning"  # of hypothesis, which is imported before
SECONDS = 60  # of a processor: more than this is an endless loop, which the tests would not let pass
GROUPS = {
    "parts": (["_part"], ["test_part_properties.py", "test_parts.py"], ["estimators/test_fields.py"]),
    "model": (
        ["model"],
        ["test_tensor_shapes.py", "test_model.py"],
        ["exact/test_missing.py", "exact/test_linear.py", "test_golden.py"],
    ),
    "objectives": (
        ["objectives"],
        ["exact/test_iwae.py", "exact/test_ppca.py"],
        ["test_penalties.py", "exact/test_missing.py", "exact/test_sparse.py", "test_parts.py", "test_golden.py"],
    ),
    "codec": (["tables/codec"], ["tables/test_codec.py"], ["estimators/test_tables.py"]),
    "files": (
        [f"serialization/_{name}" for name in ("container", "errors", "header", "json", "migrations", "values")],
        ["test_serialization.py", "trust/test_format.py"],
        ["trust/test_hostile_models.py", "trust/test_limits.py"],
    ),
}
OPERATORS = (
    *("AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse"),
    *("ReplaceFalseWithTrue", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "ExceptionReplacer"),
    *("RemoveDecorator", "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add"),
    *("ReplaceBinaryOperator_Mul_Div", "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_Pow_Mul"),
    *("ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq"),
    *("ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_LtE_Lt"),
    *("ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_GtE_Gt"),
    *("ReplaceComparisonOperator_Lt_GtE", "ReplaceComparisonOperator_Gt_LtE"),
    *("ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is"),
)


class Mutant(NamedTuple):
    """A changed module: its path, what was changed, and the source that results."""

    path: Path
    change: str
    source: str


def places_of(path: Path) -> list[tuple[Path, str, int]]:
    """Return (path, operator, occurrence) of all changes of a module."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    nodes, found = [*ast_nodes(get_ast(path.read_text()))], []
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        count = sum(len([*operator.mutation_positions(node)]) for node in nodes)
        found += [(path, name, occurrence) for occurrence in range(count)]
    return found


def changed(path: Path, name: str, occurrence: int) -> Mutant:
    """Return a changed module."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = path.read_text()
    mutated = mutate_code(source, get_operator(f"core/{name}")(), occurrence)
    return Mutant(path, difference(source, mutated), mutated)


def difference(source: str, changed: str) -> str:
    """Return the changed lines, with their number."""
    old, new = source.splitlines(), changed.splitlines()
    ((_, start, stop, begin, end),) = [
        code for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"
    ]
    before, after = (" ".join(" ".join(lines).split()) for lines in (old[start:stop], new[begin:end]))
    return f"{start + 1}: {before}  =>  {after}"


def run_tests(tests: list[str], mutant: Mutant | None) -> int:
    """Return what pytest returns in a process that imports the changed module, or the number of a signal below 0."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        if mutant is not None:
            import_instead(mutant)
        import pytest

        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "-W", f"ignore::{REWRITE}"]
        os._exit(int(pytest.main([*options, *(f"tests/{name}" for name in tests)])))
    finally:
        os._exit(99)


def import_instead(mutant: Mutant) -> None:
    """Import the changed source in place of the module."""
    loader: Any = importlib.machinery.SourceFileLoader
    real = loader.get_code

    def get_code(self: Any, name: str) -> Any:
        if self.path == str(mutant.path):
            return compile(mutant.source, self.path, "exec", dont_inherit=True)
        return real(self, name)

    loader.get_code = get_code


def check_unchanged(tests: list[str]) -> None:
    """End the run if tests fail with the source as it is."""
    if code := run_tests(tests, None):
        raise SystemExit(f"the tests {tests} fail with the source as it is ({code}).")


def try_group(name: str, sample: int, rng: random.Random) -> dict[str, Any]:
    """Return how many mutants of a group were noticed, and the survivors."""
    modules, quick, others = GROUPS[name]
    paths = [ROOT / "src" / "isthmus" / f"{module}.py" for module in modules]
    found = [place for path in paths for place in places_of(path)]
    chosen = rng.sample(found, min(sample, len(found)))
    check_unchanged(quick)
    survivors, began = [], time.monotonic()
    for number, place in enumerate(chosen, 1):
        mutant = changed(*place)
        survives = run_tests(quick, mutant) == 0 and run_tests(others, mutant) == 0
        if survives:
            survivors.append(f"{mutant.path.relative_to(ROOT / 'src')}:{mutant.change}")
        print(name, number, "survives" if survives else "noticed", mutant.change, flush=True)
    check_unchanged(others)
    return {
        "possible": len(found),
        "tried": len(chosen),
        "noticed": len(chosen) - len(survivors),
        "survivors": survivors,
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "src"))
    # Imported once, before processes are forked; isthmus is not, so that each imports its own.
    import hypothesis
    import pandas
    import pytest  # noqa: F401
    import sklearn
    import torch

    assert "isthmus" not in sys.modules
    for name in arguments.groups:
        group = try_group(name, arguments.sample, random.Random(f"{arguments.seed}/{name}"))
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"groups": {}}
        said = results["groups"].get(name, {}).get("survivors", {})
        group["survivors"] = {text: said.get(text, "") for text in group["survivors"]}
        results["groups"][name] = group | {
            "seed": arguments.seed,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {
                "python": platform.python_version(),
                **{each.__name__: each.__version__ for each in (torch, sklearn, pandas, hypothesis)},
            },
        }
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        print(json.dumps(group, indent=1))


if __name__ == "__main__":
    main()
