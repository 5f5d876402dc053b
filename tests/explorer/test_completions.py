"""Completions of rows, new rows, and rows that are dropped on the page."""

import io

import numpy as np
import pytest
import torch

from explorer_clients import Client, ready, visits
from isthmus import VAE, Autoencoder
from isthmus.explorer import Explorer
from isthmus.explorer._completions import complete, draw_rows


def test_completions_keep_what_is_observed(image_client, image_explorer, images):
    cleared = list(range(32, 64))
    header, content = image_client.call("complete", {"point": 3, "cleared": cleared})
    assert header == {"n": 8, "drawn": True, "unreliable": header["unreliable"]}
    found = np.frombuffer(content, np.uint8).reshape(8, 64)
    row = images[0][image_explorer.order[3]]
    np.testing.assert_allclose(found[:, :32], np.tile(row[:32] * 255 / 16, (8, 1)), atol=0.51)
    assert len(np.unique(found[:, 32:], axis=0)) == 8
    again = image_client.call("complete", {"point": 3, "cleared": cleared})[1]
    assert again == content
    assert image_client.call("complete", {"point": 3, "cleared": cleared, "seed": 1})[1] != content


def test_every_kind_of_cell_can_be_cleared(table_client, table_explorer):
    for k, name in enumerate(table_explorer.X.columns):
        header, _ = table_client.call("complete", {"point": 0, "cleared": [k], "n": 3})
        _, row, _ = table_explorer.row_like({"point": 0})
        original = table_explorer.rows.pack(row)[0]["text"][0]
        for texts in header["text"]:
            assert None not in texts, name
            kept = [i for i in range(5) if i != k and original[i] is not None]
            assert [texts[i] for i in kept] == [original[i] for i in kept]
    every = table_client.call("complete", {"point": 0, "cleared": [0, 1, 2, 3, 4]})[0]
    assert len({tuple(texts) for texts in every["text"]}) > 4


def test_completions_have_the_frequencies_of_a_gaussian_model():
    """Of the model x = W z + noise, 1,000 completions have the mean and variance of p(x_2 | x_1), within 2 %."""
    X = np.random.default_rng(0).normal(size=(2000, 2)) @ np.array([[2.0, 1.8], [0.0, 0.6]])
    model = VAE(1, hidden_layer_sizes=(), likelihood="gaussian", max_epochs=1, random_state=0).fit(X)
    explorer = Explorer(model, X)
    explorer.prepare()
    net = model.model_
    W, b = (p.detach().double().numpy() for p in net.network.decoder[-1].parameters())
    scale, shift = net.scaling.scale.double().numpy(), net.scaling.shift.double().numpy()
    noise = net.likelihood(net.decode(torch.zeros(1, 1))).stddev[0].detach().double().numpy()
    covariance = (W[:2] @ W[:2].T + np.diag(noise**2)) * np.outer(scale, scale)
    mean = b[:2] * scale + shift
    row = X[explorer.order[0]]
    expected = mean[1] + covariance[1, 0] / covariance[0, 0] * (row[0] - mean[0])
    spread = np.sqrt(covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0])
    header, _ = explorer_completions(explorer, cleared=[1], n=1000)
    drawn = np.array([float(texts[1]) for texts in header["text"]])
    total = np.sqrt(covariance[1, 1])
    assert abs(drawn.mean() - expected) < 0.02 * total + 3 * spread / np.sqrt(1000)
    assert abs(drawn.std() / spread - 1) < 0.02 + 3 / np.sqrt(2000)


def explorer_completions(explorer, *, cleared, n):
    _, X, y = explorer.row_like({"point": 0})
    return complete(explorer, X, y, cleared, n, 0)


def test_a_class_is_drawn(class_explorer):
    client = Client(ready(class_explorer))
    assert client.call("model")[0]["classes"] == list("0123456789")
    header, zeros = client.call("draw", {"n": 12, "condition": 0})
    assert (header["n"], len(zeros)) == (12, 12 * 64)
    ones = client.call("draw", {"n": 12, "condition": 1})[1]
    means = [np.frombuffer(b, np.uint8).reshape(12, 8, 8).mean(0) for b in (zeros, ones)]
    assert means[0][3:5, 3:5].mean() < means[1][3:5, 3:5].mean()  # a zero is empty in the middle
    codes = {"codes": [[0, 0]]}
    assert client.call("decode", {**codes, "condition": 0})[1] != client.call("decode", codes)[1]
    assert "class 10: there are 10" in client.refused("draw", {"condition": 10})
    assert "must be the number of a class" in client.refused("decode", {**codes, "condition": {"y": 1}})
    header, _ = client.call("complete", {"point": 0, "cleared": [1, 2]})
    assert header["n"] == 8


def test_dropped_files_land_where_the_estimator_puts_them(image_client, image_explorer, image_model, images):
    place = image_client.client.post
    rows = images[0][:3]
    npy = io.BytesIO()
    np.save(npy, rows)
    csv = "\n".join(",".join(map(str, row)) for row in rows)
    for name, content in (("rows.npy", npy.getvalue()), ("rows.csv", csv.encode())):
        header, _ = image_client.call("place", content=content, params={"name": name})
        np.testing.assert_allclose(header["codes"], image_model.transform(rows), atol=1e-5)
        np.testing.assert_allclose(header["scores"], image_model.score_samples(rows), atol=1e-4)
        assert all(0 <= rank <= 1 for rank in header["ranks"])
    found, _ = image_client.call("inspect", {"dropped": 2})
    assert found["score"] == pytest.approx(header["scores"][2], abs=1e-4)
    pixels = np.clip(rows[0] * 255 / 16 + 0.5, 0, 255).astype(np.uint8).tobytes()
    header, _ = image_client.call("place", content=pixels, params={"name": "pixels"})
    np.testing.assert_allclose(header["codes"][0], image_model.transform(rows[:1])[0], atol=0.05)
    answer = place("/token/api/place", content=b"x", params={"name": "pixels"})
    assert answer.json()["error"] == "the image has 1 bytes, and one of the model has 64."


def test_a_typed_row_is_judged(table_client):
    text = "kind,weight,fee,day,chipped\nbird,30,0,2024-03-04,True\n"
    header, _ = table_client.call("place", content=text.encode(), params={"name": "typed.csv"})
    assert header["ranks"][0] < 0.05
    found, _ = table_client.call("inspect", {"dropped": 0})
    assert found["odd"][0]["name"] in ("kind", "weight")


BAD_FILES = {
    "no kind": ("notes.txt", b"x", "drop an image, a .csv or an .npy file"),
    "pickle": ("rows.npy", np.lib.format.magic(1, 0) + b"\x10\x00{'descr': '|O'}  \n", ".npy file cannot be read"),
    "no npy": ("rows.npy", b"junk", ".npy file cannot be read"),
    "huge header": (
        "rows.npy",
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 64), }".ljust(117)
        + b"\n",
        "cannot be read",
    ),
    "width": ("rows.csv", b"1,2,3\n", "the rows have 3 numbers, and the model takes 64"),
    "empty": ("rows.csv", b"", "has no rows"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(image_client, case):
    name, content, message = BAD_FILES[case]
    answer = image_client.client.post("/token/api/place", content=content, params={"name": name})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_a_table_refuses_what_is_none(table_client):
    def error(name, content):
        answer = table_client.client.post("/token/api/place", content=content, params={"name": name})
        assert answer.status_code == 400
        return answer.json()["error"]

    assert "lacks fee, day, chipped" in error("rows.csv", b"kind,weight\ncat,3\n")
    assert "has no rows" in error("rows.csv", b"kind,weight,fee,day,chipped\n")
    assert "not one of images" in error("pixels", b"x" * 64)
    assert "drop a .csv" in error("rows.npy", npy_of(np.zeros((2, 5))))


def npy_of(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_bad_completions_say_what_is_wrong(image_client, table_client):
    assert "cleared: must be numbers from 0 to 63" in image_client.refused("complete", {"point": 0, "cleared": [64]})
    assert "cleared: must be numbers" in image_client.refused("complete", {"point": 0, "cleared": ["x"]})
    assert "must be a list" in image_client.refused("complete", {"point": 0, "cleared": 3})
    assert "clear one" in image_client.refused("complete", {"point": 0, "cleared": []})
    assert "1 to 1024" in image_client.refused("complete", {"point": 0, "cleared": [1], "n": 2000})
    assert "1 to 256" in image_client.refused("draw", {"n": 0})
    assert "dropped row 9999" in table_client.refused("inspect", {"dropped": 9999})


def test_a_plain_autoencoder_has_one_completion(images):
    explorer = Explorer(Autoencoder(2, max_epochs=2, random_state=0).fit(images[0]), images[0], image_shape=(8, 8))
    explorer.prepare()
    header, content = explorer_completions(explorer, cleared=[3, 4], n=8)
    assert (header["n"], header["drawn"], len(content)) == (1, False, 64)
    with pytest.raises(ValueError, match="Autoencoder has no density to draw rows from"):
        draw_rows(explorer, 4, None, 0)


def test_a_model_of_another_library_and_columns_in_another_order():
    import polars as pl

    table = visits(60)[["chipped", "kind", "day", "weight", "fee"]]
    model = VAE(2, max_epochs=2, random_state=0, n_draws=10).fit(pl.from_pandas(table))
    explorer = Explorer(model, table[["fee", "day", "weight", "kind", "chipped"]])
    explorer.prepare()
    assert explorer.rows.describe()["columns"] == list(table.columns)
    header, _ = explorer.decode([[0.0, 0.0]])
    assert len(header["text"][0]) == 5
    where = {"code": [0.0, 0.0]}
    _, X, y = explorer.row_like(where)
    found, _ = complete(explorer, X, y, [3], 4, 0)
    kept = [0, 1, 2, 4]
    for texts in found["text"]:
        assert [texts[k] for k in kept] == [header["text"][0][k] for k in kept]
    assert len(draw_rows(explorer, 3, None, 0)[0]["text"]) == 3
    assert "odd" in explorer.inspect(where)[0]
