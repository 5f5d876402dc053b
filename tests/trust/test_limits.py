"""Files of about a megabyte that hold all that they describe: they are loaded, within the limits of hostile ones."""

import json
from pathlib import Path

import pytest
import torch

from hostile import load_within_limits
from isthmus import serialization

GOLDEN = Path(__file__).parents[1] / "golden_files" / f"vae-{serialization.FORMAT}.safetensors"


def described(n_features, hidden, n_components=1):
    """Return the description and the tensors of a model with dense layers, and no tensors of a likelihood."""
    description, _ = serialization.read(GOLDEN)
    description |= {"n_features": n_features, "n_components": n_components, "columns": None, "dataframe_columns": None}
    description["parts"]["network"]["params"]["hidden_layer_sizes"] = hidden
    scaling = {"shift": 0.0, "scale": 1.0, "constant": torch.inf}
    tensors = {f"scaling.{k}": torch.full((n_features,), v, dtype=torch.float64) for k, v in scaling.items()}
    for name, widths in (
        ("encoder", [n_features, *hidden, 2 * n_components]),
        ("decoder", [n_components, *reversed(hidden), n_features]),
    ):
        for i in range(len(widths) - 1):
            tensors[f"network.{name}.{i}.weight"] = torch.zeros(widths[i + 1], widths[i])
            tensors[f"network.{name}.{i}.bias"] = torch.zeros(widths[i + 1])
    return description, tensors


def layers():
    description, tensors = described(4, [1] * 2700)
    return description, tensors | {"likelihood.raw_log_scale": torch.zeros(1)}


def groups(part="bernoulli", n=10_000, **tensors_of_each):
    def build():
        description, tensors = described(n, [1])
        groups = {"parts": [part] * n, "columns": [[i] for i in range(n)]}
        description["parts"]["likelihood"] = {"part": "Mixed", "params": groups}
        each = {f"likelihood.members.{i}.{k}": v.clone() for i in range(n) for k, v in tensors_of_each.items()}
        return description, tensors | each | ({} if each else {"centre": torch.zeros(n)})

    return build


def with_fields(**fields):
    def build():
        description, tensors = described(4, [1])
        description["fields"] |= fields
        return description, tensors | {"likelihood.raw_log_scale": torch.zeros(1)}

    return build


def with_entries(**entries):
    def build():
        description, tensors = with_fields()()
        return description | entries, tensors

    return build


FILES = {
    "layers": layers,
    "groups of columns": groups(),
    "groups with parts": groups({"part": "Bernoulli", "params": {}}),
    "groups with tensors": groups("poisson", 2500, log_centre=torch.zeros(1), log_spread=torch.ones(())),
    "penalties": with_fields(penalties={"list": [{"part": "KL", "params": {}}] * 28_000}),
    "widths": with_fields(hidden_layer_sizes=[1] * 300_000),
    "records": with_entries(history=[{}] * 250_000),
    "names": with_entries(dataframe_columns=[[[]] * 250_000, "a", "b", "c"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_megabyte_is_loaded_in_two_seconds(tmp_path, name):
    description, tensors = FILES[name]()
    assert len(json.dumps(description)) > 1000
    path = tmp_path / "m.safetensors"
    serialization.write(path, description, tensors)
    model = load_within_limits(path)
    assert model.n_features_in_ == description["n_features"]
