"""Several processes train one model: gloo, torchrun, on this machine and across two network namespaces."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus import VAE, Autoencoder, load
from isthmus.penalties import Warmup

WORKER = str(Path(__file__).with_name("worker.py"))
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "CUDA_VISIBLE_DEVICES": ""}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
HERE = [*TORCHRUN, "--standalone", "--nproc-per-node=2"]
SMALL = {"n_components": 3, "hidden_layer_sizes": [16], "max_epochs": 4, "batch_size": 50, "precision": "float64"}

pytest.importorskip("lightning_fabric", reason="training in several processes needs isthmus[scale]")


def run(command, out, told, timeout=240):
    """Run the worker with what it is told, and return (exit status, what it said)."""
    command = [*command, WORKER, str(out), json.dumps(told)]
    done = subprocess.run(
        command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stderr


def fitted(command, out, told):
    """Return parameters and history that every process ended with."""
    status, said = run(command, out, told)
    assert status == 0, said
    return [dict(np.load(path)) for path in sorted(out.parent.glob(f"{out.name}.*.npz"))]


def same(a, b, atol):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize(
    ("estimator", "more", "parts"),
    [
        # It draws, so the one process computes its batches in two parts: each part has draws of its own.
        ("VAE", {"early_stopping": True, "corruption": "gaussian_noise", "n_components": 2}, 2),
        ("Autoencoder", {}, 1),
    ],
    ids=["VAE", "Autoencoder"],
)
def test_two_processes_are_one(tmp_path, estimator, more, parts):
    """203 rows in batches of 41: halves of 21 and 20, the last batch padded; missing cells and weights too."""
    told = {"estimator": estimator, "rows": 203, "holes": True, "weights": True}
    fields = SMALL | {"random_state": 0} | more
    two = fitted(HERE, tmp_path / "two", told | {"fields": fields})
    one = fitted([sys.executable], tmp_path / "one", told | {"fields": fields | {"gradient_accumulation": parts}})
    assert len(two) == 2
    same(two[0], two[1], atol=0)
    same(two[0], one[0], atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "more"),
    [("VAE", {"early_stopping": True, "corruption": "gaussian_noise"}), ("Autoencoder", {"gradient_accumulation": 2})],
    ids=["VAE", "Autoencoder"],
)
def test_two_processes_stream_as_one_and_read_half_each(tmp_path, estimator, more):
    """603 rows in blocks of 10, through pools of 100: the parameters of one process, from half of the rows each."""
    n, fields = 603, SMALL | {"random_state": 0} | more
    told = {"estimator": estimator, "rows": n, "holes": True, "weights": True, "stream": True}
    two = fitted(HERE, tmp_path / "two", told | {"fields": fields})
    accumulated = {"gradient_accumulation": 2 * fields.get("gradient_accumulation", 1)}
    (one,) = fitted([sys.executable], tmp_path / "one", told | {"fields": fields | accumulated})
    reads = [values.pop("read") for values in (*two, one)]
    same(two[0], two[1], atol=0)
    same(two[0], one, atol=1e-12)
    for epoch in range(1, SMALL["max_epochs"] + 1):
        mine, other, whole = (np.concatenate([np.arange(*span) for e, *span in read if e == epoch]) for read in reads)
        assert len(np.unique(whole)) == len(whole)
        assert sorted([*mine, *other]) == sorted(whole), "no row is read twice, by one process or by two"
        assert abs(len(mine) - len(whole) / 2) <= 10, "half, to within a block"
    before = [sum(stop - start for epoch, start, stop in read if epoch == 0) for read in reads]
    # AdamState, and the sample that is all rows here: half each. Some rows are compared, and some are held out.
    assert max(before[:2]) < 0.5 * before[2] + 8 * 10 + 10


@pytest.mark.parametrize("n_parts", [2, 3])
def test_micro_batches_are_one_batch(n_parts):
    digits = load_digits().data[:100]
    fields = {"precision": "float64", "max_epochs": 3, "batch_size": 40, "random_state": 0}
    whole, parts = (Autoencoder(2, gradient_accumulation=n, **fields).fit(digits) for n in (1, n_parts))
    for a, b in zip(whole.model_.parameters(), parts.model_.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    losses = [[record["loss"] for record in model.history_] for model in (whole, parts)]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_micro_batches_of_a_model_that_draws_learn_as_well():
    """Other draws, the same model: losses agree within what another seed changes."""
    digits = load_digits().data[:300]
    fields = {"max_epochs": 20, "beta": Warmup(1.0, 0.5)}
    loss = [VAE(2, gradient_accumulation=n, random_state=0, **fields).fit(digits).history_[-1]["loss"] for n in (1, 4)]
    assert abs(loss[0] - loss[1]) < 2


@pytest.mark.parametrize("stream", [False, True], ids=["in memory", "stream"])
def test_a_killed_worker_starts_again_from_the_checkpoint(tmp_path, stream):
    """One of two processes kills itself in the third epoch; the group restarts, and ends with the very same bits.

    The one that streams does so while it reads, inside the epoch.
    """
    told = {"estimator": "VAE", "rows": 240 if stream else 120, "stream": stream}
    fields = SMALL | {"random_state": 0, "max_epochs": 5, "checkpoint_seconds": -1.0}
    alone = fitted(HERE, tmp_path / "alone", told | {"fields": fields | {"checkpoint_dir": str(tmp_path / "a")}})
    killed = told | {"kill": str(tmp_path / "killed"), "kill_epoch": 3}
    again = fitted(
        [*HERE, "--max-restarts=2"],
        tmp_path / "again",
        killed | {"fields": fields | {"checkpoint_dir": str(tmp_path / "b")}},
    )
    assert (tmp_path / "killed").exists()
    for values in (*alone, *again) if stream else ():
        values.pop("read")
    same(again[0], again[1], atol=0)
    same(alone[0], again[0], atol=0)
    assert not (tmp_path / "b").exists()  # complete: nothing to go on with


@pytest.mark.parametrize("stream", [False, True], ids=["in memory", "stream"])
def test_processes_with_other_rows_say_so(tmp_path, stream):
    told = {"estimator": "VAE", "rows": 60, "fields": SMALL, "other_rows": True, "stream": stream}
    status, said = run(HERE, tmp_path / "out", told)
    assert status != 0
    assert said.count("ValueError: process 1 of 2 was given other rows than process 0") == 2, "in both"


def test_a_bad_cell_in_the_share_of_one_process_is_the_error_of_all(tmp_path):
    told = {"estimator": "VAE", "rows": 60, "fields": SMALL, "stream": True, "infinite": [50, 7]}
    status, said = run(HERE, tmp_path / "out", told)
    assert status != 0
    assert said.count("ValueError: X contains infinity (inf) in row 50, column 7") == 2, said


def test_launch_writes_one_model(tmp_path):
    """The command: a model like any other, written once; random_state is one for all."""
    out = tmp_path / "m.safetensors"
    command = [sys.executable, "-m", "isthmus.cli", "launch", "-n", "2", "fit", "digits", "-m", "vae", "-o", str(out)]
    done = subprocess.run(
        [*command, "--epochs", "2", "--set", "batch_size=500"],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("learned from 1797 rows") == 1
    assert load(out).n_iter_ == 2
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_launch_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "isthmus.cli", "launch", "-n", "2", "fit", "nothing.npy", "-m", "vae", "-o"]
    done = subprocess.run(
        [*command, str(tmp_path / "m.safetensors")],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert set(done.stderr.splitlines()) == {"isthmus: nothing.npy: no such file; check the name and the folder."}


def test_transform_in_two_processes_writes_every_row_once(tmp_path):
    """The same file, bit for bit, from two processes that had half of the chunks each."""
    model, rows = tmp_path / "m.safetensors", tmp_path / "rows.npy"
    VAE(3, hidden_layer_sizes=(16,), max_epochs=1, random_state=0).fit(load_digits().data).save(model)
    np.save(rows, np.random.default_rng(0).normal(size=(100_000, 64)))
    done = []
    for name, launch in (("one", []), ("two", ["launch", "-n", "2"])):
        words = ["transform", str(model), str(rows), "-o", str(tmp_path / f"{name}.npy")]
        done.append(
            subprocess.run(
                [sys.executable, "-m", "isthmus.cli", *launch, *words],
                env={**os.environ, **ENVIRONMENT},
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
        )
    assert [process.returncode for process in done] == [0, 0], done[1].stderr
    one, two = (np.load(tmp_path / f"{name}.npy") for name in ("one", "two"))
    assert one.shape == (100_000, 3)
    assert (one == two).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "one.npy", "rows.npy", "two.npy"]


# ---- two hosts ------------------------------------------------------------------------------------------------------


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def two_hosts():
    """Two network namespaces joined by a cable: (name, address, device) of each."""
    names = [f"isthmus{os.getpid()}{letter}" for letter in "ab"]
    hosts = [(name, f"10.77.0.{i}", f"veth{i}") for i, name in enumerate(names, start=1)]
    try:
        for name in names:
            ip("netns", "add", name)
        (a, _, left), (b, _, right) = hosts
        ip("link", "add", left, "netns", a, "type", "veth", "peer", "name", right, "netns", b)
        for name, address, device in hosts:
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield hosts
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


def why_no_hosts():
    """Return why network namespaces cannot be made here, or None."""
    if shutil.which("ip") is None:
        return "network namespaces need the command `ip` (Debian package iproute2)"
    try:
        with two_hosts():
            return None
    except (subprocess.CalledProcessError, OSError) as error:
        return f"no network namespace could be made here: {getattr(error, 'stderr', error)!r}"


def test_two_hosts_are_one_process(tmp_path):
    """A process on each of two machines that see one another by a cable alone."""
    if reason := why_no_hosts():
        pytest.skip(reason)
    told = {"estimator": "VAE", "rows": 100, "fields": SMALL | {"random_state": 0}}
    meet = ["--rdzv-backend=c10d", "--rdzv-endpoint=10.77.0.1:29477", "--rdzv-id=test", "--nnodes=2"]
    with two_hosts() as hosts:
        running = []
        for name, address, device in hosts:
            # Which host keeps the meeting place is said here: both have this machine's name.
            first = f"--rdzv-conf=is_host={int(address == hosts[0][1])}"
            inside = ["ip", "netns", "exec", name, *TORCHRUN, *meet, first, f"--local-addr={address}"]
            command = [*inside, "--nproc-per-node=1", WORKER, str(tmp_path / "two"), json.dumps(told)]
            environment = {**os.environ, **ENVIRONMENT, "GLOO_SOCKET_IFNAME": device}
            running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    two = [dict(np.load(path)) for path in sorted(tmp_path.glob("two.*.npz"))]
    parts = told | {"fields": told["fields"] | {"gradient_accumulation": 2}}
    (one,) = fitted([sys.executable], tmp_path / "one", parts)
    same(two[0], two[1], atol=0)
    same(two[0], one, atol=1e-12)
