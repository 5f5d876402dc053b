"""A machine without a home, without a temporary folder, or with a clock that is set back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "isthmus"
FIT = """
    import numpy as np
    from isthmus import VAE, load
    X = np.random.default_rng(0).normal(size=(60, 3))
    VAE(1, hidden_layer_sizes=4, max_epochs=2, random_state=0).fit(X).save("m.safetensors")
    print(load("m.safetensors").transform(X).shape)
"""


def test_without_a_home_and_a_temporary_folder(tmp_path):
    (tmp_path / "file").touch()
    nowhere = {name: str(tmp_path / "file" / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    command = [sys.executable, "-W", "error", "-c", "\n".join(line.strip() for line in FIT.splitlines())]
    done = subprocess.run(
        command, env=os.environ | nowhere, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.stdout, done.stderr) == ("(60, 1)\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "m.safetensors"]


@pytest.mark.parametrize("clock", ["time.time(", "utcnow(", "import time as"])
def test_no_clock_is_used_that_can_be_set_back(clock):
    """Except to print the date."""
    assert not [path.name for path in SOURCE.rglob("*.py") if clock in path.read_text(encoding="utf-8")]
