"""The versions that `make test-oldest` installs are the oldest that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = {"torch"}  # in constraints.txt, for all environments


def bounds():
    """Return the lower bound of each library that the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras, found, waiting = project["optional-dependencies"], {}, [*project["dependencies"], "isthmus[test]"]
    while waiting:
        requirement = waiting.pop()
        if own := re.fullmatch(r"isthmus\[(.+)\]", requirement):
            waiting += [one for extra in own[1].split(",") for one in extras[extra]]
        else:
            name, bound = re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
            found[name] = max(found.get(name, bound), bound)
    return found


def test_the_oldest_versions_are_the_lower_bounds():
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "#" not in line)  # a comment is beside what these need in turn
    expected = {name: bound for name, bound in bounds().items() if name not in PINNED}
    assert pins.keys() == expected.keys()
    for name, pin in pins.items():
        assert pin == expected[name] or pin.startswith(f"{expected[name]}."), name  # the first release of that series
