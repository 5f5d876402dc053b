"""Libraries of the extras: without one, the error names the extra, and a progress bar gives way to lines."""

import sys

import pytest
import torch

from isthmus import VAE
from isthmus.data import DataError, read
from isthmus.demo.progress import TrainingProgress
from isthmus.engine import TensorBoardLogger
from isthmus.engine.distributed import ProcessGroup
from isthmus.explorer import _notebook
from isthmus.explorer._server import check_installed
from isthmus.export import _onnx
from isthmus.hub import from_hub
from isthmus.priors import Flow
from isthmus.tables import TableCodec


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes libraries impossible to import."""

    def without(*modules):
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return without


def read_parquet(folder):
    path = folder / "rows.parquet"
    path.write_bytes(b"PAR1")
    read(path)


NEEDS = {
    "zuko": ("flow", ImportError, lambda _: Flow().build(3)),
    "tensorboardX": ("track", ModuleNotFoundError, TensorBoardLogger),
    "lightning_fabric": ("scale", ModuleNotFoundError, lambda _: ProcessGroup(torch.device("cpu"))),
    "starlette": ("explore", ImportError, lambda _: check_installed()),
    "uvicorn": ("explore", ImportError, lambda _: check_installed()),
    "onnx": ("onnx", ImportError, lambda _: _onnx.check_installed()),
    "onnxruntime": ("onnx", ImportError, lambda _: _onnx.check_installed()),
    "onnxscript": ("onnx", ImportError, lambda _: _onnx.check_installed()),
    "huggingface_hub": ("hub", ImportError, lambda _: from_hub("me/model")),
    "anywidget": ("notebook", ImportError, lambda _: _notebook._widget_class.__wrapped__()),
    "pyarrow": ("table", DataError, read_parquet),
    "pandas": ("table", ModuleNotFoundError, lambda _: TableCodec().fit([{"a": 1.0}])),
}


@pytest.mark.parametrize("library", NEEDS)
def test_a_missing_library_names_the_extra(without, tmp_path, library):
    extra, error, use = NEEDS[library]
    without(library)
    with pytest.raises(error, match=rf"needs .*pip install ['\"]isthmus\[{extra}\]['\"]"):
        use(tmp_path)


class Terminal:
    """A stderr that is a terminal, and records what is written."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def on_terminal(monkeypatch):
    """Return a function that makes stderr a terminal; pytest itself replaces stderr before each test."""

    def on_terminal():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return on_terminal


def test_training_without_rich_writes_lines(on_terminal, without, digits):
    without("rich.console")
    terminal = on_terminal()
    VAE(2, max_epochs=2, verbose=1, random_state=0).fit(digits[:20])
    plan, *epochs = terminal.text.splitlines()
    assert plan.startswith("VAE: 2 epochs in batches of 32, learning rate ")
    assert [line.partition("  ")[0] for line in epochs] == ["VAE: epoch 1/2", "VAE: epoch 2/2"]


def test_the_demo_shows_a_bar_for_each_model_on_a_terminal(on_terminal):
    terminal = on_terminal()
    with TrainingProgress({"VAE": 2}) as progress, progress.track("VAE") as advance:
        advance({"loss": 12.34})
    assert "VAE" in terminal.text
    assert "2/2" in terminal.text
    assert progress.seconds["VAE"] >= 0


def test_the_demo_without_rich_writes_lines(on_terminal, without):
    without("rich.console")
    terminal = on_terminal()
    with TrainingProgress({"VAE": 2}) as progress, progress.track("VAE") as advance:
        advance({"loss": 12.34})
    assert terminal.text.startswith("VAE: 2 epochs, ")
    assert terminal.text.count("\n") == 1
