"""Several processes train one model: gloo and torchrun, on this machine and across two network namespaces."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import worker
from isthmus import VAE, Autoencoder, load
from isthmus.cli import main
from isthmus.networks import MLP
from isthmus.penalties import Warmup
from isthmus.training import Trainer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("lightning_fabric") is None, reason="training in several processes needs isthmus[scale]"
)

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "CUDA_VISIBLE_DEVICES": ""}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
HERE = [*TORCHRUN, "--standalone", "--nproc-per-node=2"]
SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": [16],
    "max_epochs": 4,
    "batch_size": 50,
    "random_state": 0,
    "device": "cpu",
    "trainer__precision": "float64",
    "optimizer__gradient_clip": 5.0,  # of the gradient of the whole batch
}
DRAWS = SMALL | {"early_stopping": True, "corruption": "gaussian_noise"}
WHOLE = {"missing": True, "weights": True}
JOBS = {
    # 203 rows in batches of 41: halves of 21 and 20, and the last batch is padded.
    "VAE": WHOLE | {"estimator": "VAE", "rows": 203, "fields": DRAWS | {"n_components": 2}},
    "Autoencoder": WHOLE | {"estimator": "Autoencoder", "rows": 203, "fields": SMALL},
    # 603 rows in blocks of 10, through pools of 100.
    "VAE, stream": WHOLE | {"estimator": "VAE", "rows": 603, "stream": True, "fields": DRAWS},
    "Autoencoder, stream": WHOLE
    | {
        "estimator": "Autoencoder",
        "rows": 603,
        "stream": True,
        "fields": SMALL | {"trainer__gradient_accumulation": 2},
    },
    "other rows": {"estimator": "VAE", "rows": 60, "fields": SMALL, "other_rows": True, "catch": True},
    "other rows, stream": {
        "estimator": "VAE",
        "rows": 60,
        "fields": SMALL,
        "other_rows": True,
        "stream": True,
        "catch": True,
    },
    # The last one, as it ends the run.
    "infinite": {"estimator": "VAE", "rows": 60, "fields": SMALL, "stream": True, "infinite": [50, 7]},
}


def run(command, timeout=240):
    """Run a command of two processes, and return the exit status and what it wrote to stderr."""
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stderr


def learned(folder, name):
    """Return what both processes learned in a job."""
    return [dict(np.load(folder / f"{name}.{rank}.npz")) for rank in range(2)]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder of all jobs, done by one pair of processes; the exit status, and stderr."""
    folder = tmp_path_factory.mktemp("together")
    return folder, *run([*HERE, worker.__file__, str(folder), json.dumps(JOBS)])


def same(a, b, atol):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=atol, err_msg=name)


def alone(name, parts):
    """Do a job in this process, in so many parts of a batch: each part has draws of its own."""
    job = JOBS[name]
    return worker.fit(job | {"fields": job["fields"] | {"trainer__gradient_accumulation": parts}})


@pytest.mark.parametrize(("name", "parts"), [("VAE", 2), ("Autoencoder", 1)])
def test_two_processes_are_one(together, name, parts):
    """Rows are missing cells and weighted; batches are of odd sizes."""
    two = learned(together[0], name)
    same(two[0], two[1], atol=0)
    same(two[0], alone(name, parts), atol=1e-12)


@pytest.mark.parametrize(("name", "parts"), [("VAE, stream", 2), ("Autoencoder, stream", 4)])
def test_two_processes_stream_as_one_and_read_half_each(together, name, parts):
    """The parameters of one process, from half of the rows each."""
    two, one = learned(together[0], name), alone(name, parts)
    reads = [values.pop("reads") for values in (*two, one)]
    same(two[0], two[1], atol=0)
    same(two[0], one, atol=1e-12)
    for epoch in range(1, SMALL["max_epochs"] + 1):
        mine, other, whole = (np.concatenate([np.arange(*span) for e, *span in read if e == epoch]) for read in reads)
        assert len(np.unique(whole)) == len(whole)
        assert sorted([*mine, *other]) == sorted(whole), "no row is read twice, by one process or by two"
        assert abs(len(mine) - len(whole) / 2) <= 10, "half, to within a block"
    before = [sum(stop - start for epoch, start, stop in read if epoch == 0) for read in reads]
    # Moments, and the sample that is all rows here: half each. Some rows are compared, and some are held out.
    assert max(before[:2]) < 0.5 * before[2] + 8 * 10 + 10


@pytest.mark.parametrize("name", ["other rows", "other rows, stream"])
def test_other_rows_in_one_process_are_an_error_in_both(together, name):
    for rank in range(2):
        text = (together[0] / f"{name}.{rank}.txt").read_text()
        assert text.startswith("process 1 of 2 received different data than process 0")


def test_a_bad_cell_in_the_share_of_one_process_is_the_error_of_both(together):
    _, status, stderr = together
    assert status != 0
    assert stderr.count("ValueError: X contains infinity (inf) in row 50, column 7") == 2, stderr


UNINTERRUPTED = {
    "memory": {"estimator": "VAE", "rows": 120, "fields": SMALL | {"max_epochs": 5}},
    "stream": {"estimator": "VAE", "rows": 240, "stream": True, "fields": SMALL | {"max_epochs": 5}},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of two runs that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    status, stderr = run([*HERE, worker.__file__, str(folder), json.dumps(UNINTERRUPTED)])
    assert status == 0, stderr
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of the same runs, in which one process kills itself in the third epoch, and then both start again.

    The one that streams does so while it reads, inside the epoch.
    """
    folder, jobs = tmp_path_factory.mktemp("killed"), {}
    for name, job in UNINTERRUPTED.items():
        where = {"trainer__checkpoint_dir": str(folder / f"{name}.checkpoints"), "trainer__checkpoint_seconds": -1.0}
        jobs[name] = job | {"fields": job["fields"] | where, "kill": str(folder / f"{name}.killed")}
    status, stderr = run([*HERE, "--max-restarts=2", worker.__file__, str(folder), json.dumps(jobs)])
    assert status == 0, stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", UNINTERRUPTED)
def test_a_killed_process_resumes_from_the_checkpoint(whole, killed, name):
    """The group restarts, and ends with the very same bits."""
    once, again = learned(whole, name), learned(killed, name)
    assert (killed / f"{name}.killed").exists()
    for values in (*once, *again):
        values.pop("reads", None)
    same(again[0], again[1], atol=0)
    same(once[0], again[0], atol=0)
    assert not (killed / f"{name}.checkpoints").exists(), "a complete run leaves no checkpoint"


@pytest.mark.parametrize("n_parts", [2, 3])
def test_micro_batches_are_one_batch(n_parts):
    digits = load_digits().data[:100]
    # From PCA, gradients would be rounding errors at first, which Adam divides by their size.
    fields = {"max_epochs": 3, "batch_size": 40, "random_state": 0, "network": MLP(skip=False)}
    trainers = [Trainer(precision="float64", gradient_accumulation=n) for n in (1, n_parts)]
    whole, parts = (Autoencoder(2, **fields, trainer=trainer).fit(digits) for trainer in trainers)
    for a, b in zip(whole.model_.parameters(), parts.model_.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    losses = [[record["loss"] for record in model.history_] for model in (whole, parts)]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_micro_batches_of_a_model_that_draws_learn_as_well():
    """Other draws, the same model: losses agree within what another seed changes."""
    digits = load_digits().data[:300]
    fields = {"max_epochs": 8, "beta": Warmup(1.0, 0.5), "random_state": 0}
    trainers = [Trainer(gradient_accumulation=n) for n in (1, 4)]
    loss = [VAE(2, **fields, trainer=trainer).fit(digits).history_[-1]["loss"] for trainer in trainers]
    assert abs(loss[0] - loss[1]) < 2


def test_launch_writes_one_model(tmp_path):
    """The command: a model like any other, written once; random_state is one for all."""
    out = tmp_path / "m.safetensors"
    command = [sys.executable, "-m", "isthmus.cli", "launch", "-n", "2", "fit", "iris", "-m", "vae", "-o", str(out)]
    done = subprocess.run(
        [*command, "--epochs", "2", "--set", "batch_size=50", "--set", "prior=standard_normal"],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fitted to 150 rows") == 1
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
    ended = "isthmus: terminated; no partial file was written."  # a process that had not looked for the file yet
    assert set(done.stderr.splitlines()) - {ended} == {
        "isthmus: nothing.npy: no such file; check the name and the folder."
    }


def test_transform_in_two_processes_writes_every_row_once(tmp_path):
    """The same file, bit for bit, from two processes that had half of the chunks each."""
    model, rows = tmp_path / "m.safetensors", tmp_path / "rows.npy"
    VAE(3, hidden_layer_sizes=(16,), max_epochs=1, random_state=0, device="cpu").fit(load_digits().data).save(model)
    np.save(rows, np.random.default_rng(0).normal(size=(100_000, 64)))
    words = ["transform", str(model), str(rows), "-o"]
    assert main([*words, str(tmp_path / "one.npy")]) == 0
    launch = [sys.executable, "-m", "isthmus.cli", "launch", "-n", "2"]
    status, stderr = run([*launch, *words, str(tmp_path / "two.npy")])
    assert status == 0, stderr
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


@pytest.mark.slow
def test_two_hosts_are_one_process(tmp_path):
    """A process on each of two machines that see one another by a cable alone."""
    if reason := why_no_hosts():
        pytest.skip(reason)
    job = {"estimator": "VAE", "rows": 100, "fields": SMALL}
    meet = ["--rdzv-backend=c10d", "--rdzv-endpoint=10.77.0.1:29477", "--rdzv-id=test", "--nnodes=2"]
    with two_hosts() as hosts:
        running = []
        for name, address, device in hosts:
            # Which host keeps the meeting place is said here: both have this machine's name.
            first = f"--rdzv-conf=is_host={int(address == hosts[0][1])}"
            inside = ["ip", "netns", "exec", name, *TORCHRUN, *meet, first, f"--local-addr={address}"]
            command = [*inside, "--nproc-per-node=1", worker.__file__, str(tmp_path), json.dumps({"two": job})]
            environment = {**os.environ, **ENVIRONMENT, "GLOO_SOCKET_IFNAME": device}
            running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    two = learned(tmp_path, "two")
    one = worker.fit(job | {"fields": SMALL | {"trainer__gradient_accumulation": 2}})
    same(two[0], two[1], atol=0)
    same(two[0], one, atol=1e-12)
