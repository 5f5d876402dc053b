"""What isthmus needs: few packages, each within bounds, of which the names are known here."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = {"numpy", "scipy", "scikit-learn", "torch", "safetensors", "click"}


def test_few_packages_are_needed_and_each_is_bounded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = dict(re.fullmatch(r"([\w-]+)(>=[\d.]+,<\d+)", needed).groups() for needed in project["dependencies"])
    assert bounds.keys() == NEEDED


def test_what_builds_a_release_is_pinned():
    """Its version is in the wheel, so that another one would change the bits."""
    assert re.search(r"^hatchling==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
