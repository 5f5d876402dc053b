"""Steps captured as CUDA graphs, and the rest of what only a GPU does; skipped where there is none."""

import gc
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

import isthmus
from isthmus._batch import Batch
from isthmus.engine.capture import captured_step
from isthmus.engine.capture.cuda_graph import capture_cuda_graph
from isthmus.likelihoods import Bernoulli
from isthmus.networks import MLP
from isthmus.objectives import ImportanceWeighted
from isthmus.optimizers import Adam
from isthmus.penalties import Warmup
from isthmus.training import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

X, Y = load_digits(return_X_y=True)
X, Y = (X[:700] / 16).astype(np.float32), Y[:700]
GAPS = X.copy()
GAPS[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
COMMON = {"hidden_layer_sizes": (32,), "max_epochs": 8, "batch_size": 64, "random_state": 0, "device": "cuda"}

FITS = {
    "vae": ("VAE", {}, X),
    "vae, bf16": ("VAE", {"trainer__precision": "bf16"}, X),
    "vae, float64": ("VAE", {"trainer__precision": "float64"}, X),
    "vae, binarised, warm-up": ("VAE", {"likelihood": Bernoulli(binarize=True), "beta": Warmup(1.0, over=0.5)}, X),
    "vae, early stopping": ("VAE", {"early_stopping": True, "corruption": "masking"}, X),
    "vae, missing cells": ("VAE", {}, GAPS),
    "vae, importance weighted": ("VAE", {"objective": ImportanceWeighted(5)}, X),
    "vae, vamp prior": ("VAE", {"prior": "vamp_prior", "likelihood": "bernoulli"}, X),
    "vae, full covariance": ("VAE", {"posterior": "full_normal"}, X),
    "vae, convolutional": ("VAE", {"network": "conv"}, X),
    "vae, rates of the encoder": ("VAE", {"optimizer": Adam(weight_decay=0.01, encoder_learning_rate=1e-3)}, X),
    "vae, clipped gradients": ("VAE", {"optimizer": Adam(gradient_clip=5.0)}, X),
    "conditional vae": ("ConditionalVAE", {}, X),
    "autoencoder": ("Autoencoder", {}, X),
    "sparse": ("SparseAutoencoder", {}, X),
    "denoising": ("DenoisingAutoencoder", {"corruption": "salt_and_pepper"}, X),
    "contractive": ("ContractiveAutoencoder", {}, X),
}


def fit(name, fields, X, compiled):
    model = getattr(isthmus, name)(4, trainer=Trainer(compile=compiled))
    return model.set_params(**COMMON | fields).fit(X, Y)


def losses(model):
    return [record | {"seconds": 0} for record in model.history_]


@pytest.mark.parametrize("name", FITS)
def test_cuda_graphs_have_the_bits_of_eager_steps(name):
    """Warnings are errors: a step that could not be captured, or that gives other numbers, fails."""
    eager, compiled = (fit(*FITS[name], how) for how in (False, True))
    assert losses(compiled) == losses(eager)
    for key, value in eager.model_.state_dict().items():
        assert torch.equal(value, compiled.model_.state_dict()[key]), key


def test_steps_are_captured_by_default(monkeypatch):
    """Threads that fit side by side capture one after the other, and have the bits of fits alone."""
    graphs = []
    capture = captured_step.CAPTURES["cuda"]
    monkeypatch.setitem(captured_step.CAPTURES, "cuda", lambda *step: graphs.append(step) or capture(*step))
    models = [isthmus.VAE(4, **COMMON | {"random_state": seed}) for seed in range(4)]
    alone = [losses(model.fit(X)) for model in models]
    assert len(graphs) == 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda model: losses(clone(model).fit(X)), models)) == alone


def test_a_cuda_graph():
    device = torch.device("cuda")
    weight = torch.ones(3, device=device)

    def step(batch, weights):
        weight.add_(weights[0] * torch.randn(3, device=device))
        return batch.x @ weight

    weights = [torch.full((), 0.5, device=device)]
    torch.cuda.manual_seed(0)
    batches = [Batch(torch.full((2, 3), float(i), device=device), torch.ones(2, device=device)) for i in range(6)]
    first, build = capture_cuda_graph(step, batches[0], weights)
    replay = build()
    found = torch.stack([first, *(replay(batch) for batch in batches[1:])])
    weight.fill_(1)
    torch.cuda.manual_seed(0)
    torch.testing.assert_close(found, torch.stack([step(batch, weights) for batch in batches]))


def test_graphs_of_earlier_fits_are_not_freed_during_a_capture():
    """Freeing one then is an error, and the collector may run at any allocation."""
    gc.collect()
    freed, thresholds = [], gc.get_threshold()

    def step(batch, weights):
        [[i] for i in range(1000)]  # allocates
        return batch.x.sum()

    batch = Batch(torch.ones(2, 3, device="cuda"), torch.ones(2, device="cuda"))
    for _ in range(20):
        cycle = [capture_cuda_graph(step, batch, [])[1]()]
        cycle.append(cycle)
        weakref.finalize(cycle[0], freed.append, True)
        del cycle
        gc.set_threshold(1, 1, 1)
        try:
            replay = capture_cuda_graph(step, batch, [])[1]()
        finally:
            gc.set_threshold(*thresholds)
        assert float(replay(batch)) == 6
    gc.collect()
    assert len(freed) == 20
    assert gc.isenabled()


class Waits(MLP):
    """A network that waits for the device, which ends a capture."""

    def encode(self, x, c=None, mask=None):
        assert np.isfinite(float(x.detach().sum()))
        return super().encode(x, c, mask)


def test_a_step_that_cannot_be_captured_is_taken_once():
    """Afterwards torch's generator draws as before, and its own stream is the current one."""
    stream = torch.cuda.current_stream()
    eager = fit("VAE", {"network": Waits((32,)), "likelihood": "bernoulli"}, X, False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = fit("VAE", {"network": Waits((32,)), "likelihood": "bernoulli"}, X, True)
    fit("VAE", {"network": Waits((32,)), "likelihood": "bernoulli"}, X, "auto")  # without a warning
    [warning] = caught
    assert "not captured, but run eagerly: " in str(warning.message)
    assert "captur" in str(warning.message).partition("eagerly: ")[2]
    assert losses(compiled) == losses(eager)
    assert torch.cuda.current_stream() == stream
    torch.randn(3, device="cuda")
    torch.cuda.empty_cache()
    test_a_cuda_graph()


def test_another_thread_that_draws_does_not_change_a_fit():
    """The fit draws from a generator of its own."""
    alone = fit("VAE", {"likelihood": Bernoulli(binarize=True)}, X, False)
    state, stop = torch.cuda.get_rng_state(), threading.Event()

    def draw():
        own = torch.cuda.Stream()
        while not stop.wait(1e-3):
            with torch.cuda.stream(own):
                torch.randn(3, device="cuda")

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        beside = fit("VAE", {"likelihood": Bernoulli(binarize=True)}, X, False)
    finally:
        stop.set()
        thread.join()
    assert losses(alone) == losses(beside)
    torch.cuda.set_rng_state(state)
    for compiled in (False, True):
        fit("VAE", {"likelihood": Bernoulli(binarize=True)}, X, compiled)
        assert torch.equal(torch.cuda.get_rng_state(), state)


def test_a_gpu_computes_what_a_cpu_does():
    """The same weights give the same codes and the same log p(x), in the type of the data."""
    for dtype, tolerance in ((np.float32, 1e-3), (np.float64, 1e-8)):
        model = fit("VAE", {"likelihood": "bernoulli"}, X, False)
        rows = X[:200].astype(dtype)
        methods = model.transform, model.score_samples, model.reconstruct
        on_gpu = [method(rows) for method in methods]
        model.device = "cpu"
        for found, expected in zip(on_gpu, [method(rows) for method in methods], strict=True):
            assert found.dtype == expected.dtype == dtype
            np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)


def test_a_group_of_one_process_over_nccl_is_the_single_process():
    """Lightning Fabric and DistributedDataParallel change no bit of what one process computes."""
    code = f"""if True:
        import numpy as np, torch
        from sklearn.datasets import load_digits
        import isthmus
        from isthmus.engine.distributed import ProcessGroup
        from isthmus.estimators import _base
        X = (load_digits().data[:700] / 16).astype(np.float32)
        make = lambda: isthmus.VAE(4, **{COMMON!r}).fit(X).model_.state_dict()
        alone = make()
        group = ProcessGroup(torch.device("cuda:0"))
        assert torch.distributed.get_backend() == "nccl"
        _base.find_processes = lambda _=None: group
        assert all(torch.equal(alone[name], value) for name, value in make().items())
        """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1", "--no-python"]
    done = subprocess.run(
        [*launcher, sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
