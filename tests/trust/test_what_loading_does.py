"""While a file is loaded, it is opened once, and nothing else is opened, imported, started or warned of."""

import subprocess
import sys
import textwrap

import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, ConditionalVAE
from isthmus.networks import Conv

X, Y = load_iris(return_X_y=True)

# In a process of its own, because such a hook cannot be removed.
WATCH = """
    import sys, warnings
    import torch
    from isthmus import load
    warnings.simplefilter("error")
    torch.cuda.device_count = lambda: 0  # builds of torch for CUDA open NVIDIA's library
    paths = sys.argv[1:]
    load(paths[0])  # imports what any file needs
    events, watched = [], False

    def hook(event, args):
        if watched:
            events.append((event, str(args[0]) if args else ""))

    sys.addaudithook(hook)
    for path in paths:
        outcome = "loaded"
        watched = True
        try:
            load(path)
        except ValueError as error:
            watched, outcome = False, type(error).__name__
        watched = False
        opened = [what for event, what in events if event == "open"]
        # traces of Python's own work: attributes of objects, identities, and the frames of an exception
        harmless = ("open", "object.__getattr__", "builtins.id", "sys._getframe", "sys._getframemodulename")
        others = sorted({event for event, _ in events if event not in harmless})
        print(outcome, opened == [path], others)
        events.clear()
"""


def watch(*paths):
    command = [sys.executable, "-c", textwrap.dedent(WATCH), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("saved")
    quick = {"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": (4,)}
    VAE(2, **quick).fit(X).save(tmp_path / "vae")
    ConditionalVAE(2, **quick).fit(X, Y.astype(str)).save(tmp_path / "conditional")
    VAE(2, **quick, network=Conv(image_shape=(2, 2), channels=(2,)), prior="vamp_prior").fit(X).save(tmp_path / "conv")
    return [tmp_path / name for name in ("vae", "conditional", "conv")]


def test_a_file_is_opened_once_and_nothing_else_happens(paths, tmp_path):
    """Nor if it is damaged."""
    whole = paths[0].read_bytes()
    damaged = []
    for i in range(0, len(whole), 41):
        damaged.append(tmp_path / f"damaged-{i}")
        damaged[-1].write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
    found = watch(*paths, *damaged)
    assert found[:3] == ["loaded True []"] * 3
    assert set(found[3:]) == {"FileError True []"}
