"""A saved model holds no cell of its training data but those that `isthmus info` lists."""

import struct

import numpy as np
import pandas as pd
import pytest

from isthmus import VAE, ConditionalVAE
from isthmus.cli import main
from isthmus.priors import VampPrior
from isthmus.scaling import MinMax
from isthmus.tables import TableCodec

N = 200
QUICK = {"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": (4,)}
RNG = np.random.default_rng(0)
NUMBERS = RNG.lognormal(3, 1, (N, 3))  # no number is there twice, and each has 17 digits
TABLE = pd.DataFrame(
    {
        "income": NUMBERS[:, 0],
        "fee": np.where(np.arange(N) % 3 == 0, 12.625, NUMBERS[:, 1]),
        "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(np.sort(NUMBERS[:, 2] * 1000).round(), unit="h"),
        "account": 2**53 + 1 + RNG.permutation(10**6)[:N],
        "name": [f"Telltale-{i:03}" for i in range(N)],
        "town": np.array(["Upper Quagmire", "Nether Wallop", "Little Snoring"])[RNG.integers(0, 3, N)],
    }
)


def saved(model, path):
    model.save(path)
    return path.read_bytes()


def kept(path, capsys):
    """Return the titles under which `isthmus info` lists what is kept."""
    assert main(["info", str(path)]) == 0
    _, _, section = capsys.readouterr().out.partition("Kept from the training data")
    return {line[:16].strip(): line[16:] for line in section.splitlines()[1:]}


def found(raw, values):
    """Return the numbers that are in a file, as digits, as bits of either width, or with those beside them."""
    values = np.asarray(values, dtype=np.float64)
    return {
        value
        for value in values.tolist()
        if any(form in raw for form in (repr(value).encode(), struct.pack("<d", value), struct.pack("<f", value)))
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def table_model(folder):
    with pytest.warns(UserWarning, match="Left out of the model"):
        return saved(VAE(2, **QUICK).fit(TABLE), folder / "table.safetensors")


def test_of_a_table_only_what_is_listed_is_kept(folder, table_model, capsys):
    listed = kept(folder / "table.safetensors", capsys)
    assert list(listed) == [
        "column names",
        "levels",
        "extremes",
        "quantiles",
        "frequent values",
        "first identifier",
        "moments",
    ]
    assert listed["levels"] == "town (3)"
    assert listed["extremes"] == "income, fee, born"
    assert listed["frequent values"] == "fee (1)"
    assert listed["first identifier"] == "account"
    assert b"Telltale" not in table_model, "texts that differ in most rows are left out"
    assert all(town.encode() in table_model for town in TABLE.town.unique())
    income = TABLE.income.to_numpy()
    assert found(table_model, income) >= {income.min(), income.max()}
    assert len(found(table_model, income)) <= 2 + int(listed["quantiles"].split("income (")[1].split(")")[0])
    assert [str(a) for a in TABLE.account if str(a).encode() in table_model] == [str(TABLE.account.min())]


def test_of_a_table_no_number_of_a_single_row_need_be_kept(folder, capsys):
    codec = TableCodec(within_support=False)
    with pytest.warns(UserWarning, match="Left out of the model"):
        raw = saved(VAE(2, scaling=codec, **QUICK).fit(TABLE), folder / "free.safetensors")
    listed = kept(folder / "free.safetensors", capsys)
    assert "extremes" not in listed
    assert "first identifier" not in listed
    assert found(raw, TABLE.income) == set()
    assert found(raw, TABLE.fee) == {12.625}, "a third of the rows have it"
    microseconds = TABLE.born.astype("datetime64[us]").astype(np.int64)
    assert [time for time in microseconds if str(time).encode() in raw] == []
    assert [a for a in TABLE.account if str(a).encode() in raw] == []


def test_columns_can_be_left_out(folder, capsys):
    codec = TableCodec(within_support=False, kinds={"town": "left out"}, likelihoods={"income": "student_t"})
    raw = saved(VAE(2, scaling=codec, **QUICK).fit(TABLE[["income", "town"]]), folder / "less.safetensors")
    assert list(kept(folder / "less.safetensors", capsys)) == ["column names", "moments"]
    assert found(raw, TABLE.income) == set()
    assert b"Wallop" not in raw


@pytest.mark.parametrize("prior", ["standard_normal", VampPrior(N)])
def test_of_an_array_no_cell_is_kept(folder, prior, capsys):
    model = VAE(2, prior=prior, **QUICK).fit(NUMBERS)
    raw = saved(model, folder / "array.safetensors")
    assert found(raw, NUMBERS.ravel()) == set()
    scaled = (NUMBERS - model.model_.scaling.shift.numpy()) / model.model_.scaling.scale.numpy()
    assert found(raw, scaled.ravel()) == set()
    listed = kept(folder / "array.safetensors", capsys)
    assert listed.pop("moments").startswith("means and standard deviations")
    assert list(listed) == ([] if isinstance(prior, str) else ["pseudo-inputs"])


def test_labels_and_ranges_are_listed(folder, capsys):
    y = TABLE.town.to_numpy()
    raw = saved(
        ConditionalVAE(2, likelihood="continuous_bernoulli", **QUICK).fit(NUMBERS, y), folder / "labels.safetensors"
    )
    listed = kept(folder / "labels.safetensors", capsys)
    assert list(listed) == ["labels", "range"]
    assert listed["labels"].startswith("3, ")
    assert NUMBERS.min() in found(raw, NUMBERS.ravel())
    scaling = MinMax(0.0, 1000.0)
    model = ConditionalVAE(2, likelihood="continuous_bernoulli", scaling=scaling, **QUICK).fit(NUMBERS, NUMBERS[:, 0])
    assert found(saved(model, folder / "labels.safetensors"), NUMBERS.ravel()) == set()
    assert list(kept(folder / "labels.safetensors", capsys)) == ["conditions"]


def test_messages_and_logs_show_the_cell_that_is_wrong_and_no_other(folder, table_model, tmp_path, capsys):
    spoilt = TABLE.drop(columns="name").astype({"income": object})
    spoilt.loc[7, "income"] = "Spoilt cell"
    spoilt.to_csv(tmp_path / "spoilt.csv", index=False)
    assert (
        main(
            [
                "transform",
                str(folder / "table.safetensors"),
                str(tmp_path / "spoilt.csv"),
                "-o",
                str(tmp_path / "z.npy"),
            ]
        )
        == 2
    )
    log = tmp_path / "log.csv"
    TABLE.drop(columns=["account", "name"]).to_csv(tmp_path / "table.csv", index=False)
    fit = [
        "fit",
        str(tmp_path / "table.csv"),
        "-o",
        str(tmp_path / "m.safetensors"),
        "--log",
        str(log),
        "--set",
        "max_epochs=2",
    ]
    assert main(fit) == 0
    told = capsys.readouterr()
    text = (told.out + told.err + log.read_text()).encode()
    assert found(text, NUMBERS.ravel()) == set()
    assert not any(word in text for word in (b"Telltale", b"Wallop", b"Snoring"))
    unseen = VAE(2, scaling=TableCodec(unseen="error"), **QUICK).fit(TABLE[["income", "town"]])
    with pytest.raises(ValueError, match="has the level 'Much Binding'") as error:
        unseen.transform(TABLE[["income", "town"]].head(1).assign(town="Much Binding"))
    assert not any(town in str(error.value) for town in TABLE.town.unique())
    with pytest.raises(ValueError, match="income") as error:
        unseen.transform(TABLE[["income", "town"]].assign(income=[np.inf, *NUMBERS[1:, 0]]))
    assert found(str(error.value).encode(), NUMBERS[:, 0]) == set()
