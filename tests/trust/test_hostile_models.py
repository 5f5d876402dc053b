"""Model files that ask for what they do not hold, or say what no file of isthmus says: refused, quickly and cheaply."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_iris

from hostile import changed, refusal, split, with_header, with_text
from isthmus import VAE, ConditionalVAE, load, serialization
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.posteriors import FullNormal
from isthmus.priors import MixtureOfNormals
from isthmus.training import Trainer
from seeds import TABLE

GOLDEN = Path(__file__).parents[1] / "golden_files"
X, Y = load_iris(return_X_y=True)
QUICK = {"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": (4,), "network": MLP(skip=False)}
QUICK["likelihood"] = Gaussian(scale="shared")
CLASSES = {"vae": VAE, "conditional": ConditionalVAE}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the bytes of a saved model of each kind."""
    folder = tmp_path_factory.mktemp("saved")
    for name, cls in CLASSES.items():
        cls(2, **QUICK).fit(X, Y.astype(str)).save(folder / name)
    load(folder / "conditional")  # what the first one imports is not due to the file
    return {name: (folder / name).read_bytes() for name in CLASSES}


@pytest.fixture
def path(saved, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(saved["vae"])
    return tmp_path / "m.safetensors"


def part(kind, name, **params):
    def change(description, tensors):
        description["parts"][kind] = {"part": name, "params": params}

    return change


def entry(**values):
    return lambda description, tensors: description.update(values)


def field(**values):
    return lambda description, tensors: description["fields"].update(values)


def with_tensor(name, change):
    return lambda description, tensors: tensors.update({name: change(tensors[name])})


# ---- memory and time --------------------------------------------------------------------------------------------


def many_levels(description, tensors):
    part("likelihood", "Categorical", n_levels=[10**9, 1, 1, 1])(description, tensors)


BOMBS = {
    "features": entry(n_features=10**8),
    "features and the columns of a table": lambda d, t: (
        entry(n_features=10**9)(d, t),
        part("likelihood", "Mixed", parts=["gaussian"], columns=[[0]])(d, t),
    ),
    "units": entry(n_components=10**8),
    "units of a full covariance": lambda d, t: (
        entry(n_components=10**5)(d, t),
        part("posterior", "FullNormal")(d, t),
    ),
    "width": part("network", "MLP", hidden_layer_sizes=[10**9]),
    "layers": part("network", "MLP", hidden_layer_sizes=[1] * 10**5),
    "layers with tied weights": part("network", "MLP", hidden_layer_sizes=[1] * 10**5, tied=True),
    "channels": part("network", "Conv", image_shape=[2, 2], channels=[1] * 10**5),
    "layers of a prior": part("prior", "ConditionalNormal", hidden_layer_sizes=[1] * 10**5),
    "mixture": part("prior", "MixtureOfNormals", n_mixture=10**9),
    "mixture of full covariances": part("prior", "MixtureOfNormals", n_mixture=10**8, covariance="full"),
    "pseudo-inputs": part("prior", "VampPrior", n_pseudo_inputs=10**9),
    "layers of a flow": part("prior", "Flow", n_layers=10**9),
    "width of a flow": part("prior", "Flow", hidden_layer_sizes=[10**9]),
    "context of a flow": part("posterior", "FlowNormal", n_context=10**9),
    "levels": many_levels,
    "groups": part("likelihood", "Mixed", parts=["gaussian"] * 10**5, columns=[[i] for i in range(10**5)]),
    "parts": part("likelihood", "Mixed", parts=[{"part": "Gaussian", "params": {}}] * 20_000, columns=[[0]]),
    "column names": entry(columns=["a"] * 10**5),
    "records": entry(history=[{"loss": 0.0}] * 10**5 + [0]),
    "values": entry(history=[[]] * 10**6),
    "objects": entry(history=[{f"{i:x}": {} for i in range(360_000)}]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_cannot_ask_for_much_memory_or_time(path, name):
    changed(path, BOMBS[name])
    refusal(path)


@pytest.mark.parametrize(
    "condition",
    [
        {"labels": ["a", "b", "c"], "type": "str16000000000", "class_weight": [1.0, 1.0, 1.0]},
        {"labels": [*(chr(i) for i in range(97, 117)), "z" * 10**6], "type": "str32000000", "class_weight": [1.0] * 21},
        {"labels": [str(i).zfill(6) for i in range(10**5)], "type": "str192", "class_weight": [1.0] * 10**5},
        {"mean": [0.0] * 10**5, "scale": [1.0] * 10**5},
    ],
    ids=["width of labels", "a long label", "number of labels", "columns"],
)
def test_a_small_file_cannot_ask_for_much_with_its_condition(saved, path, condition):
    path.write_bytes(saved["conditional"])
    changed(path, entry(condition=condition))
    refusal(path)


def test_labels_of_the_older_format_cannot_ask_for_much(path):
    path.write_bytes((GOLDEN / "conditional_vae-3.safetensors").read_bytes())
    header, _ = split(path.read_bytes())
    text = header["__metadata__"]["isthmus"].replace('"<U10"', '"<U500000000"')
    with_text(path, text, format="3")
    assert "no valid 'condition'" in refusal(path)


def test_levels_of_very_different_numbers_cannot_make_a_large_table(path):
    """The tensors of such a likelihood are small, and a table that is not saved is not."""

    def change(description, tensors):
        many_levels(description, tensors)
        levels = [60_000] + [1] * 9999
        entry(n_features=len(levels))(description, tensors)
        part("likelihood", "Categorical", n_levels=levels)(description, tensors)
        part("network", "MLP", hidden_layer_sizes=[1], skip=False)(description, tensors)
        tensors |= {
            f"scaling.{name}": torch.full((len(levels),), value, dtype=torch.float64)
            for name, value in (("shift", 0.0), ("scale", 1.0), ("constant", torch.inf))
        }
        del tensors["likelihood.raw_log_scale"]
        tensors["likelihood.log_frequency"] = torch.zeros(69_999)
        shapes = {"encoder.0": (1, 69_999), "encoder.1": (4, 1), "decoder.0": (1, 2), "decoder.1": (69_999, 1)}
        for name, shape in shapes.items():
            tensors |= {f"network.{name}.weight": torch.zeros(shape), f"network.{name}.bias": torch.zeros(shape[0])}

    changed(path, change)
    assert "n_levels" in refusal(path)


# ---- text and numbers -------------------------------------------------------------------------------------------


TEXTS = {
    "1e999": ("seed", "1e999", "not finite"),
    "Infinity": ("seed", "Infinity", "not finite"),
    "NaN": ("n_iter", "NaN", "not finite"),
    "a long number": ("seed", "9" * 10**5, "too large"),
    "2**63": ("seed", str(2**63), "no valid 'seed'"),
    "a number as a count": ("n_features", "4.0", "no valid 'n_features'"),
    "true as a count": ("n_features", "true", "no valid 'n_features'"),
    "deep lists": ("history", "[" * 10**5 + "]" * 10**5, "nested more than 64 levels deep"),
    "deep objects": ("history", '{"a":' * 10**5 + "0" + "}" * 10**5, "nested more than 64 levels deep"),
    "deep parts": ("parts", '{"part":"KL","params":{"weight":' * 40 + "0" + "}}" * 40, "nested more than 64 levels"),
    "an open string": ("history", '"' + '\\"' * 10**5, "not valid JSON"),
    "an open list": ("history", "[", "not valid JSON"),
    "a name twice": ("history", '[{"loss": 1, "loss": 2}]', "a name twice"),
    "a list as key": ("history", '[{"dict": [[{"list": []}, 1]]}]', "invalid dict"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_numbers_and_texts_that_no_description_has(path, name):
    key, text, message = TEXTS[name]
    description, _ = serialization.read(path)
    with_text(path, json.dumps(description | {key: "@"}).replace('"@"', text))
    assert message in refusal(path)


@pytest.mark.parametrize("text", ["", "0", "[]", "null", '"model"', "{}"])
def test_descriptions_that_are_no_objects_of_a_model(path, text):
    with_text(path, text)
    refusal(path)


LONG = "\x1b[2J\nall is well" + "x" * 100_000
SAYINGS = {
    "estimator": entry(estimator=LONG),
    "field": field(**{LONG: 1}),
    "value of a field": field(device=[LONG]),
    "text of a field": field(likelihood=LONG, max_epochs=LONG),
    "entry": entry(**{LONG: 1}),
    "part": part("prior", LONG),
    "part with a name": part("prior", "x" * 99_999),
    "parameter": part("likelihood", "Gaussian", **{LONG: 1}),
    "value of a parameter": part("likelihood", "Gaussian", scale=LONG),
    "value of a number": part("likelihood", "Gaussian", min_scale=LONG),
    "many values": part("network", "MLP", hidden_layer_sizes=[0] * 10**5),
    "name in a list": part("likelihood", "Mixed", parts=[LONG], columns=[[0, 1, 2, 3]]),
    "activation": part("network", "MLP", activation=LONG, hidden_layer_sizes=[4]),
    "dtype": entry(dtype=LONG),
    "tensor": lambda description, tensors: tensors.update({LONG: tensors.pop("network.encoder.0.bias")}),
    "another tensor": lambda description, tensors: tensors.update({LONG: torch.zeros(2)}),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_messages_are_printable_and_short(path, name):
    changed(path, SAYINGS[name])
    refusal(path)


@pytest.mark.parametrize("name", ["format", "kind"])
def test_messages_about_metadata_are_printable_and_short(path, name):
    header, _ = split(path.read_bytes())
    with_text(path, header["__metadata__"]["isthmus"], **{name: LONG})
    refusal(path)


# ---- the header -------------------------------------------------------------------------------------------------


def first(header, **changes):
    """Change the entry of the first tensor."""
    name = next(name for name in header if name != "__metadata__")
    return header | {name: header[name] | changes}


HEADERS = {
    "no metadata": lambda header: {name: value for name, value in header.items() if name != "__metadata__"},
    "metadata that are a list": lambda header: header | {"__metadata__": []},
    "metadata that are numbers": lambda header: header | {"__metadata__": header["__metadata__"] | {"format": 4}},
    "a list": lambda header: [],
    "deep": lambda header: "[" * 10**5,
    "a number": lambda header: "1e999",
    "an unknown dtype": lambda header: first(header, dtype="F4"),
    "a dtype that is a list": lambda header: first(header, dtype=[]),
    "another dtype": lambda header: first(header, dtype="I64"),
    "a large shape": lambda header: first(header, shape=[2**62, 2**62]),
    "a negative shape": lambda header: first(header, shape=[-4]),
    "a shape of true": lambda header: first(header, shape=[True]),
    "many dimensions": lambda header: first(header, shape=[1] * 10**5),
    "offsets out of range": lambda header: first(header, data_offsets=[2**62, 2**62 + 32]),
    "offsets in reverse": lambda header: first(header, data_offsets=[32, 0]),
    "three offsets": lambda header: first(header, data_offsets=[0, 32, 32]),
    "an overlap": lambda header: first(header, data_offsets=[32, 64]),
    "more keys": lambda header: first(header, path="/etc/passwd"),
    "a tensor that is a list": lambda header: header | {"a": []},
    "a gap": lambda header: header | {"z": {"dtype": "F32", "shape": [1], "data_offsets": [10**6, 10**6 + 4]}},
    "a name twice": lambda header: json.dumps(header)[:-1] + ', "__metadata__": {}}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie(path, name):
    with_header(path, HEADERS[name])
    refusal(path)


@pytest.mark.parametrize("length", [0, 1, 7, 12, 2**31, 2**62, 2**64 - 8])
def test_lengths_of_the_header_that_lie(path, length):
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    refusal(path)


def test_a_file_may_end_anywhere(path):
    whole = path.read_bytes()
    for n_bytes in [*range(16), *range(16, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:n_bytes])
        refusal(path)
    path.write_bytes(whole + b"\0")
    refusal(path)


def test_a_large_file_of_zeros(path):
    """The file takes no space on the disk, and nothing of its size is allocated."""
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(serialization.FileError, match="the length of its header is impossible"):
        load(path)


# ---- meaning ----------------------------------------------------------------------------------------------------


MEANINGS = {
    "a weight that is not a number": (
        with_tensor("network.encoder.0.weight", lambda t: torch.full_like(t, torch.nan)),
        "'network.encoder.0.weight' holds a value that is not a finite number",
    ),
    "an infinite bias": (
        with_tensor("network.decoder.1.bias", lambda t: torch.full_like(t, torch.inf)),
        "'network.decoder.1.bias' holds a value that is not a finite number",
    ),
    "a scale of 0": (
        with_tensor("scaling.scale", torch.zeros_like),
        "'scaling.scale' holds a value that is not positive",
    ),
    "a negative scale": (with_tensor("scaling.scale", torch.neg), "'scaling.scale' holds a value that is not positive"),
    "an infinite shift": (
        with_tensor("scaling.shift", lambda t: t + torch.inf),
        "'scaling.shift' holds a value that is not a finite number",
    ),
    "a constant that is not a number": (
        with_tensor("scaling.constant", lambda t: t * torch.nan),
        "'scaling.constant' holds a value that is not a finite number",
    ),
    "a parameter of another type": (
        with_tensor("likelihood.raw_log_scale", torch.Tensor.double),
        "not all float32, or all float64",
    ),
    "half precision": (
        lambda d, t: t.update({name: v.half() for name, v in t.items() if "scaling" not in name}),
        "not all float32, or all float64",
    ),
    "a scaling in single precision": (with_tensor("scaling.shift", torch.Tensor.float), "wrong shape or type"),
    "whole numbers as weights": (
        with_tensor("network.encoder.0.weight", torch.Tensor.int),
        "not all float32, or all float64",
    ),
    "a tensor more": (lambda d, t: t.update(more=torch.zeros(1)), "other tensors than its description needs"),
    "a negative bound of a scale": (part("likelihood", "Gaussian", min_scale=-1.0), "must be a positive number"),
    "an unknown activation": (
        part("network", "MLP", hidden_layer_sizes=[4], skip=False, activation="rleu"),
        "Did you mean 'relu'",
    ),
    "a condition that the model has not": (entry(condition={"mean": [0.0], "scale": [1.0]}), "no valid 'condition'"),
    "a record of lists": (entry(history=[{"loss": [1]}]), "no valid 'history'"),
    "names for other columns": (entry(columns=["a", "b"]), "2 columns for 4 features"),
    "names that are parts": (
        entry(dataframe_columns=[{"part": "Gaussian", "params": {}}] * 4),
        "no valid 'dataframe_columns'",
    ),
    "a field of another type": (field(hidden_layer_sizes="wide"), "has a value of the wrong type"),
    "a field out of range": (field(batch_size=0), "batch_size=0 must be a whole number of at least 1"),
    "an optimizer of another kind": (
        field(optimizer={"part": "Gaussian", "params": {}}),
        "VAE(optimizer=Gaussian()) has a value of the wrong type",
    ),
    "a scaling for a prior": (part("prior", "Standard"), "no valid 'prior'"),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_values_that_mean_nothing(path, name):
    change, message = MEANINGS[name]
    changed(path, change)
    assert message in refusal(path)


CONDITIONS = {
    "no labels": {"labels": [], "class_weight": []},
    "a label twice": {"labels": ["0", "0", "2"]},
    "labels that are not sorted": {"labels": ["1", "0", "2"]},
    "numbers as labels": {"labels": [0, 1, 2]},
    "labels that are cut": {"labels": ["0", "1", "2" * 30]},
    "another type": {"type": "int64"},
    "a type of objects": {"type": "datetime64"},
    "a type that is a list": {"type": []},
    "labels that are too large": {"labels": [0, 1, 2**70], "type": "int64"},
    "labels of two types": {"labels": [0, 1, "2"], "type": "object"},
    "a negative weight": {"class_weight": [1.0, 1.0, -1.0]},
    "no weight": {"class_weight": [0.0, 0.0, 0.0]},
    "weights for other labels": {"class_weight": [1.0, 1.0]},
    "weights that are text": {"class_weight": ["1", "1", "1"]},
    "more keys": {"path": "x"},
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_that_mean_nothing(saved, path, name):
    path.write_bytes(saved["conditional"])
    changed(path, lambda description, tensors: description["condition"].update(CONDITIONS[name]))
    assert "no valid 'condition'" in refusal(path)


@pytest.mark.parametrize(
    "condition",
    [{"mean": [0.0], "scale": [0.0]}, {"mean": [0.0], "scale": [1.0, 1.0]}, {"mean": [], "scale": []}, {"mean": [0.0]}],
)
def test_columns_of_a_condition_that_mean_nothing(saved, path, condition):
    path.write_bytes(saved["conditional"])
    changed(path, entry(condition=condition))
    assert "no valid 'condition'" in refusal(path)


def test_no_infinite_number_gets_into_a_file(tmp_path):
    model = VAE(2, **QUICK).fit(X)
    with torch.no_grad():
        model.model_.likelihood.raw_log_scale.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"m: the model cannot be saved: its tensor 'likelihood.raw_log_scale' holds"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


# ---- what a file cannot decide ----------------------------------------------------------------------------------


def test_a_file_names_no_folder_to_write_to(path, tmp_path):
    folder = tmp_path / "chosen_by_the_file"
    trainer = serialization.encode(Trainer(checkpoint_dir=str(folder)))
    changed(path, field(trainer=trainer))
    assert "its trainer has checkpoint_dir or callbacks" in refusal(path)
    model = VAE(2, **QUICK, trainer=Trainer(checkpoint_dir=str(folder))).fit(X)
    model.save(path)
    seen = []
    load(path).set_params(trainer=Trainer(callbacks=[lambda _: seen.append(folder.exists())])).fit(X)
    assert seen == [False]


def test_a_file_has_nothing_to_call(path):
    changed(path, field(trainer=serialization.encode(Trainer()) | {"params": {"callbacks": ["os.system"]}}))
    assert "its trainer has checkpoint_dir or callbacks" in refusal(path)


@pytest.mark.parametrize("kind", ["likelihood", "prior", "network"])
def test_parts_of_another_kind(path, kind):
    changed(path, part(kind, "KL"))
    assert f"no valid '{kind}'" in refusal(path)


# ---- what must still be read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"likelihood": Gaussian(scale="feature"), "posterior": FullNormal()},
        {"prior": MixtureOfNormals(2, covariance="full"), "beta": 0.5},
        {"prior": "vamp_prior", "hidden_layer_sizes": (8, 4)},
        {"prior": "flow", "posterior": "flow_normal"},
        {"trainer": Trainer(precision="float64")},
        {"corruption": "masking", "verbose": False, "early_stopping": True, "batch_size": 64},
    ],
    ids=str,
)
def test_models_come_back(tmp_path, fields):
    model = VAE(2, **(QUICK | fields)).fit(X)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert (again.transform(X) == model.transform(X)).all()
    assert again.get_params() == model.get_params()


def test_a_file_that_is_pinned(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(path, sha256=digest.upper()).n_iter_ == 1
    with pytest.raises(
        serialization.FileError, match=f"another file than was asked for: its SHA-256 digest is {digest}"
    ):
        load(path, sha256="0" * 64)
    with pytest.raises(ValueError, match="sha256='abc' must have 64 hexadecimal digits"):
        load(path, sha256="abc")


TABLES = {  # the number of a column, and what is done to its codec
    "levels that are a list of lists": (1, lambda column: column["params"].update(values={"list": [["a"]]})),
    "levels of two types": (1, lambda column: column["params"].update(values={"list": [{"dict": []}]})),
    "no levels": (1, lambda column: column["params"].update(values=[])),
    "knots that do not rise": (0, lambda column: column["params"].update(knots=[[0.0, 0.0], [0.0, 1.0]])),
    "a range upside down": (0, lambda column: column["params"].update(low=1.0, high=0.0)),
    "a dtype of a width": (0, lambda column: column["params"].update(dtype="<U500000000")),
    "a dtype that is a text": (0, lambda column: column["params"].update(dtype="\x1b[2J")),
    "a name twice": (0, lambda column: column["params"].update(name="b")),
    "another kind": (0, lambda column: column.update(part="Gaussian", params={})),
    "no kind": (0, lambda column: column.clear()),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_mean_nothing(tmp_path, name):
    path = tmp_path / "m.safetensors"
    VAE(2, **QUICK).fit(TABLE).save(path)
    assert load(path).n_iter_ == 1
    number, change = TABLES[name]
    changed(path, lambda description, _: change(description["table"]["codec"]["params"]["columns"][number]))
    refusal(path)
