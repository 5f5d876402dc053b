"""Results that several processes compute: if one fails, all of them fail, and nothing is left behind."""

import numpy as np
import pytest
import torch

from isthmus.cli._results import _gather
from isthmus.engine.distributed import SingleProcess


class First(SingleProcess):
    """The first of two processes; the other one fails with this message, or succeeds."""

    world_size = 2

    def __init__(self, message=""):
        self.message = message

    def gather(self, values):
        return [values, torch.tensor(list(self.message.encode()), dtype=torch.uint8)]


@pytest.fixture
def process(monkeypatch):
    def process(**message):
        monkeypatch.setattr("isthmus.engine.distributed.find_processes", lambda _: First(**message))

    return process


def test_another_process_fails(process, tmp_path):
    process(message="x.csv, row 7: has 2 cells")
    with pytest.raises(ValueError, match="x.csv, row 7: has 2 cells"):
        _gather(str(tmp_path / "z.npy"), iter([np.ones((2, 3))]))
    assert not list(tmp_path.iterdir())


def test_this_process_fails(process, tmp_path):
    def blocks():
        yield np.ones((2, 3))
        raise OSError("the disk is gone")

    process()
    with pytest.raises(OSError, match="the disk is gone"):
        _gather(str(tmp_path / "z.npy"), blocks())
    assert not list(tmp_path.iterdir())
