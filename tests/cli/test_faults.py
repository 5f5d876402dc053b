"""What happens to a command when the machine fails it: nothing half-written, nothing lost, and one clear line."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from disk import small_files
from isthmus import VAE, load
from isthmus.cli import main

QUICK = (
    "--set",
    "hidden_layer_sizes=8",
    "--set",
    "prior=standard_normal",
)  # whose choice would take longest
FIT = ("fit", "iris", "-m", "vae", *QUICK, "--epochs", "3", "-o", "m.safetensors")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- standard streams -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["1>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams(here, closed):
    """The number of a closed stream must not become that of a result."""
    command = f'"{sys.executable}" -m isthmus {" ".join(FIT)} -v {closed}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load("m.safetensors").n_iter_ == 3
    assert names(here) == ["m.safetensors"]


def test_errors_without_stderr_have_their_exit_code(here):
    command = f'"{sys.executable}" -m isthmus info missing.safetensors 2>&-'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the device that is always full is Linux's")  # noqa: PTH110
@pytest.mark.parametrize(("arguments", "unbuffered"), [("info iris", ""), ("info iris", "1"), ("--version", "")])
def test_standard_output_is_full(here, arguments, unbuffered):
    command = f'"{sys.executable}" -m isthmus {arguments} > /dev/full'
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "isthmus: standard output could not be written: No space left on device.\n"
    assert done.returncode == 2


def test_progress_that_nobody_reads_costs_no_training(here):
    command = [sys.executable, "-m", "isthmus", *FIT, "-v"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stderr.close()
        assert process.stdout.read().startswith("m.safetensors: VAE")
    assert process.returncode == 0
    assert load("m.safetensors").n_iter_ == 3


def test_streams_are_as_before(here, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", "nothing"]) == 2
    assert sys.stderr is None
    model = VAE(1, max_epochs=1, random_state=0, verbose=1).fit([[0.0], [1.0], [3.0]])
    assert model.n_iter_ == 1


def test_the_current_folder_was_removed(here, run):
    (here / "gone").mkdir()
    os.chdir(here / "gone")
    (here / "gone").rmdir()
    code, _, err = run(*FIT, "-q")
    assert code == 2
    assert "the current folder does not exist any more" in err


# ---- signals ----------------------------------------------------------------------------------------------------


def test_handlers_are_as_before(here, run):
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in numbers]
    assert run(*FIT, "-q")[0] == 0
    assert run("info", "nothing")[0] == 2
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_command_in_a_thread(here):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main([*FIT, "-q"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_somebody_elses_handler_of_sigterm_stays(here, run, monkeypatch):
    received = []

    def stop(self, path):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(VAE, "save", stop)
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        run(*FIT, "-q")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]


def test_a_signal_at_any_instant_leaves_no_temporary_file(here):
    """Most of the time of these fits is the writing of the model, which waits for the disk twice."""
    code = """
        import os, random, signal, sys, time
        from isthmus.cli import main
        from isthmus import VAE, load
        args = sys.argv[1:]
        main([*args, "-q"])  # imports everything
        os.fsync = lambda _: time.sleep(0.06)
        for number in (signal.SIGTERM, signal.SIGINT):
            rng, codes = random.Random(0), []
            for i in range(15):
                os.remove("m.safetensors") if os.path.exists("m.safetensors") else None
                pid = os.fork()
                if pid == 0:
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    os._exit(main([*args, "-q"]))
                time.sleep(rng.uniform(0.02, 0.2))
                os.kill(pid, number)
                codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                left = os.listdir()
                assert not [name for name in left if name.startswith(".isthmus")], left
                if "m.safetensors" in left:
                    load("m.safetensors")
            assert set(codes) <= {0, 128 + number, -number}, codes
            assert codes.count(128 + number) >= 4, codes
    """
    fit = [*FIT, "--set", "trainer.checkpoint_dir=None"]
    command = [sys.executable, "-c", textwrap.dedent(code), *fit]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "terminated; no partial file was written." in done.stderr


# ---- the disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def model(here, run):
    assert run(*FIT, "-q")[0] == 0
    return "m.safetensors"


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "parquet"])
@pytest.mark.parametrize("command", ["transform", "sample", "score"])
def test_a_full_disk_leaves_the_old_result(here, run, model, command, suffix):
    output = f"z.{suffix}"
    (here / output).write_bytes(b"old")
    args = {
        "transform": ("transform", model, "iris", "-o", output),
        "sample": ("sample", model, "-n", "5000", "-o", output),
        "score": ("score", model, "iris", "-o", output),
    }[command]
    with small_files(64):
        code, out, err = run(*args)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"isthmus: {output}: ")
    assert (here / output).read_bytes() == b"old"
    assert names(here) == sorted([model, output])


def test_a_folder_that_is_removed_while_training(here, run, monkeypatch):
    (here / "out").mkdir()
    fit = VAE.fit

    def removed(self, *args):
        fit(self, *args)
        shutil.rmtree(here / "out")
        return self

    monkeypatch.setattr(VAE, "fit", removed)
    code, out, err = run(*FIT[:-1], "out/m.safetensors", "-q", "--set", "trainer.checkpoint_dir=kept")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("isthmus: out/m.safetensors: the model could not be written (")
    assert "the folder" in err
    assert err.endswith("run the same command with --resume (the checkpoints are in kept).\n")
    assert names(here) == ["kept"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_errors_of_the_system_while_writing(here, run, model, monkeypatch, number):
    """A read-only file system, permissions that were lost, a quota, a broken disk."""
    before = (here / model).read_bytes()

    def fail(self, target):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr("pathlib.Path.replace", fail)
    code, out, err = run(*FIT, "-q", "--set", "trainer.checkpoint_dir=None")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert os.strerror(number) in err
    assert (here / model).read_bytes() == before
    assert names(here) == [model]
