"""Parameters sharded over two gloo processes (FSDP2): those of the replicated run, half of them in each."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from isthmus import VAE, Autoencoder
from isthmus._names import UnknownNameError
from test_distributed import HERE, SMALL, fitted, run, same

pytest.importorskip("lightning_fabric", reason="training in several processes needs isthmus[scale]")

DRAWS = {"early_stopping": True, "corruption": "gaussian_noise", "gradient_accumulation": 2, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("estimator", "more", "stream"),
    [("VAE", DRAWS, False), ("SparseAutoencoder", {}, True)],
    ids=["VAE", "SparseAutoencoder, streamed"],
)
def test_sharded_is_replicated_and_each_process_has_half(tmp_path, estimator, more, stream):
    told = {"estimator": estimator, "rows": 203, "holes": True, "weights": True, "stream": stream}
    fields = SMALL | {"random_state": 0} | more
    whole = fitted(HERE, tmp_path / "whole", told | {"fields": fields})
    halves = fitted(HERE, tmp_path / "halves", told | {"fields": fields | {"parallel": "sharded"}})
    shares = [values.pop("shares") for values in halves]
    for values in (*whole, *halves) if stream else ():
        values.pop("read")
    same(halves[0], halves[1], atol=0)
    same(halves[0], whole[0], atol=1e-10)
    assert all(np.isfinite(value).all() for value in halves[0].values())
    ((n, first),), ((_, second),) = shares
    assert first + second <= n + 2, "nothing but scalars is kept by both"
    assert max(first, second) < 0.52 * n


def test_a_killed_sharded_run_ends_with_the_same_bits(tmp_path):
    told = {"estimator": "VAE", "rows": 120}
    fields = SMALL | {"random_state": 0, "parallel": "sharded", "checkpoint_seconds": -1.0, "early_stopping": True}
    alone = fitted(HERE, tmp_path / "alone", told | {"fields": fields | {"checkpoint_dir": str(tmp_path / "a")}})
    killed = told | {"kill": str(tmp_path / "killed"), "kill_epoch": 3}
    fields |= {"checkpoint_dir": str(tmp_path / "b")}
    again = fitted([*HERE, "--max-restarts=2"], tmp_path / "again", killed | {"fields": fields})
    assert (tmp_path / "killed").exists()
    for values in (*alone, *again):
        values.pop("shares")
    same(alone[0], again[0], atol=0)
    same(again[0], again[1], atol=0)


def test_a_killed_sharded_run_goes_on_replicated(tmp_path):
    told = {"estimator": "VAE", "rows": 120}
    fields = SMALL | {"random_state": 0, "checkpoint_seconds": -1.0}
    alone = fitted(HERE, tmp_path / "alone", told | {"fields": fields | {"checkpoint_dir": str(tmp_path / "a")}})
    fields |= {"checkpoint_dir": str(tmp_path / "b")}
    killed = told | {"kill": str(tmp_path / "killed"), "kill_epoch": 3, "fields": fields | {"parallel": "sharded"}}
    assert run(HERE, tmp_path / "gone", killed)[0] != 0
    again = fitted(HERE, tmp_path / "again", told | {"fields": fields})
    for values in (*alone, *again):
        values.pop("shares", None)
    same(alone[0], again[0], atol=1e-10)


def test_a_loss_that_is_not_finite_is_the_error_that_it_always_is(tmp_path):
    fields = SMALL | {"random_state": 0, "parallel": "sharded", "learning_rate": 1e200}
    status, said = run(HERE, tmp_path / "out", {"estimator": "Autoencoder", "rows": 60, "fields": fields})
    assert status != 0
    assert said.count("FloatingPointError: training stopped in epoch 1, step") == 2, said
    assert "The parameters are back at what they were before it" in said


def test_one_process_has_the_one_share():
    X, fields = load_digits().data[:60], {"max_epochs": 2, "random_state": 0}
    a, b = (Autoencoder(2, parallel=parallel, **fields).fit(X) for parallel in ("replicated", "sharded"))
    assert (a.transform(X) == b.transform(X)).all()


def test_what_does_not_go_with_it():
    X = load_digits().data[:60]
    with pytest.raises(UnknownNameError, match="unknown parallel 'shard'. Did you mean 'sharded'"):
        VAE(parallel="shard").fit(X)
    for other, text in (({"precision": "bf16"}, "precision='bf16'"), ({"compile": True}, "compile=True")):
        with pytest.raises(ValueError, match=f"parallel='sharded' does not go with {text} yet"):
            VAE(parallel="sharded", **other).fit(X)
