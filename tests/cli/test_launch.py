"""``isthmus launch``: what it passes to torchrun, and its exit codes; tests/engine/test_distributed.py runs it."""

import os
from types import SimpleNamespace

import pytest
import torch.distributed.run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure


@pytest.fixture
def torchrun(monkeypatch):
    """Replace torchrun by a function that records its arguments, and raises an error if it is given one."""
    seen = SimpleNamespace(arguments=None, error=None)

    def main(arguments):
        seen.arguments, seen.threads = arguments, os.environ["OMP_NUM_THREADS"]
        if seen.error is not None:
            raise seen.error

    monkeypatch.setattr(torch.distributed.run, "main", main)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return seen


def test_one_machine(torchrun, run):
    assert run("launch", "-n", 2, "fit", "digits", "-m", "vae", "-o", "m.safetensors") == (0, "", "")
    words = ["--standalone", "--nproc-per-node=2", "--max-restarts=0", "-m", "isthmus"]
    assert torchrun.arguments == [*words, "fit", "digits", "-m", "vae", "-o", "m.safetensors"]


def test_several_machines(torchrun, run):
    where = ["--nodes", 2, "--rendezvous", "10.0.0.1:29400"]
    assert run("launch", "-n", 8, *where, "--restarts", 3, "info")[0] == 0
    assert torchrun.arguments[:2] == ["--nnodes=2", "--rdzv-backend=c10d"]
    assert "--rdzv-endpoint=10.0.0.1:29400" in torchrun.arguments
    assert torchrun.arguments[-5:] == ["--nproc-per-node=8", "--max-restarts=3", "-m", "isthmus", "info"]


def test_several_machines_need_an_address(torchrun, run):
    code, _, err = run("launch", "-n", 2, "--nodes", 2, "info")
    assert (code, torchrun.arguments) == (2, None)
    assert "--nodes needs --rendezvous HOST:PORT, the same on all nodes." in err


@pytest.mark.parametrize(("cores", "threads"), [(8, "4"), (1, "1"), (None, "1")])
def test_threads_are_divided_among_processes(torchrun, run, monkeypatch, cores, threads):
    monkeypatch.delitem(os.environ, "OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    run("launch", "-n", 2, "info")
    assert torchrun.threads == threads


def test_threads_that_are_set_are_kept(torchrun, run, monkeypatch):
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "3")
    run("launch", "-n", 2, "info")
    assert torchrun.threads == "3"


@pytest.mark.parametrize(("status", "code"), [(2, 2), (-9, 137)])
def test_the_exit_code_is_that_of_the_process_that_failed_first(torchrun, run, status, code):
    failure = ProcessFailure(local_rank=1, pid=1, exitcode=status, error_file="")
    torchrun.error = ChildFailedError("isthmus", {1: failure})
    assert run("launch", "-n", 2, "info")[0] == code


def test_the_exit_code_of_a_signal(torchrun, run):
    torchrun.error = SignalException("received", 15)
    assert run("launch", "-n", 2, "info")[0] == 143
