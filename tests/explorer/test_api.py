"""What the page asks the server for, without a browser."""

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from explorer_clients import HOST, Client, prepared, ready, visits
from isthmus import VAE
from isthmus.explorer import Explorer
from isthmus.explorer._app import MAX_BODY, create_app
from isthmus.explorer._background import Preparation
from isthmus.explorer._calls import frame
from isthmus.explorer._guard import HEADERS
from isthmus.explorer._oddness import Oddness
from mixed_tables import every_dtype, only_pandas


def test_model(image_client, table_client):
    found, _ = image_client.call("model")
    assert (found["n_rows"], found["n_units"], found["row"]["kind"]) == (200, 3, "image")
    assert sorted(found["order"]) == [0, 1, 2]
    assert found["colours"][0] == {"name": "label", "kind": "label"}
    found, _ = table_client.call("model")
    assert found["row"]["columns"] == ["kind", "weight", "fee", "day", "chipped"]
    assert found["colours"][found["colour"]]["name"] == "kind"  # the first column of categories


def test_a_unit_is_sent_as_two_bytes_a_row(image_client, image_explorer):
    found, _ = image_client.call("model")
    _, content = image_client.call("unit", {"k": 1})
    low, high = found["low"][1], found["high"][1]
    codes = low + np.frombuffer(content, "<u2") / 65535 * (high - low)
    np.testing.assert_allclose(codes, image_explorer.codes[image_explorer.order, 1], atol=(high - low) / 60000)


def test_decode_returns_the_bytes_of_an_image(image_client, image_model, images):
    code = image_model.transform(images[0][:2])
    header, content = image_client.call("decode", {"codes": code.tolist()})
    expected = image_model.inverse_transform(code.astype(np.float32)) * 255 / images[0].max()
    assert header == {"n": 2}
    np.testing.assert_allclose(np.frombuffer(content, np.uint8).reshape(2, 64), np.clip(expected, 0, 255), atol=0.51)


def test_decode_returns_the_cells_of_a_table(table_client, table_model):
    header, _ = table_client.call("decode", {"codes": [[0.5, -1.0]]})
    expected = table_model.inverse_transform(np.array([[0.5, -1.0]], np.float32)).iloc[0]
    assert header["text"][0][0] == expected["kind"]
    assert float(header["text"][0][1]) == pytest.approx(expected["weight"])
    assert header["text"][0][3] == str(expected["day"].date())
    kind, weight, *_ = header["place"][0]
    assert kind is None
    assert 0 <= weight <= 1


def test_inspect_names_the_odd_cell(table_model):
    odd = visits(50).assign(kind="bird", weight=30.0).iloc[:1]
    explorer = Explorer(table_model, pd.concat([odd, visits(50)], ignore_index=True))
    explorer.prepare()
    header, _ = explorer.inspect({"point": int(np.flatnonzero(explorer.order == 0)[0])})
    assert header["row"] == 0
    assert header["odd"][0]["name"] in ("kind", "weight")
    assert header["words"][header["original"]["text"][0].index("bird")] == "very unusual"
    assert header["rank"] < 0.1
    assert header["given"] == "the other cells of the row"
    np.testing.assert_allclose(header["errors"], -table_model.score_features(odd).to_numpy()[0], atol=1e-3)


def test_a_rare_error_of_a_fraction_of_a_nat_is_as_expected():
    errors = np.linspace(0, 0.5, 200)[:, None]
    oddness = Oddness(errors)
    assert oddness.words(np.array([0.9])) == ["as expected"]
    assert oddness.words(np.array([1.3])) == ["very unusual"]


def test_until_cells_are_compared_errors_are_those_of_the_reconstruction(table_model):
    explorer = Explorer(table_model, visits(50))
    explorer.prepare(scores=False)
    header, _ = explorer.inspect({"point": 0})
    assert header["given"] == "the code of the row"
    row = int(explorer.order[0])
    errors = table_model.feature_errors(visits(50)[row : row + 1]).to_numpy()[0]
    np.testing.assert_allclose(np.array(header["errors"], dtype=float), errors, atol=1e-3)


def test_with_many_units_cells_are_not_compared(table_explorer, monkeypatch):
    assert table_explorer.errors.n_to_compare == 100
    monkeypatch.setattr("isthmus.explorer._inspection._MAX_COST", 5 * 2**2 - 1)
    assert table_explorer.errors.n_to_compare == 0


def test_scores_and_errors_are_those_of_the_estimator(image_client, image_explorer, image_model, images):
    header, content = image_client.call("inspect", {"point": 7})
    row = int(image_explorer.order[7])
    assert header["row"] == row
    assert header["label"] == str(images[1][row])
    assert header["score"] == pytest.approx(float(image_model.score_samples(images[0][row : row + 1])[0]), abs=1e-5)
    assert len(content) == 3 * 64  # original, reconstruction, errors
    np.testing.assert_allclose(np.frombuffer(content[:64], np.uint8), images[0][row] * 255 / 16, atol=0.51)


def test_missing_cells_are_no_errors(table_client, table_explorer):
    row = int(np.flatnonzero(table_explorer.X["kind"].isna())[0])
    header, _ = table_client.call("inspect", {"point": int(np.flatnonzero(table_explorer.order == row)[0])})
    assert header["original"]["text"][0][0] is None
    assert header["errors"][0] is None
    assert header["words"][0] == "missing"
    assert header["reconstruction"]["text"][0][0] in ("cat", "dog", "bird")


def test_a_path_starts_and_ends_at_its_rows(image_client, image_explorer):
    header, content = image_client.call("path", {"start": 0, "stop": 1, "n": 5})
    assert len(content) == 5 * 64
    ends = image_explorer.codes[image_explorer.order[:2]]
    np.testing.assert_allclose([header["codes"][0], header["codes"][-1]], ends, atol=1e-6)
    np.testing.assert_allclose(header["codes"][2], ends.mean(axis=0), atol=1e-6)


def test_colours(table_client, table_explorer):
    found, _ = table_client.call("model")
    number = {colour["name"]: k for k, colour in enumerate(found["colours"])}
    legend, index = table_client.call("colour", {"k": number["kind"]})
    assert legend["names"] == ["bird", "cat", "dog", "missing"]
    kinds = table_explorer.X["kind"].iloc[table_explorer.order].fillna("missing")
    assert [legend["names"][k] for k in index] == kinds.tolist()
    for name in ("weight", "day", "log p(x)"):
        legend, index = table_client.call("colour", {"k": number[name]})
        assert legend["kind"] == "bands"
        assert sum(legend["counts"]) == len(index) == 200
        assert np.ptp(legend["counts"]) <= 8  # eight bands with equally many rows, but for equal values


def test_before_any_row_is_scored_the_legend_says_so(image_model, images):
    explorer = Explorer(image_model, images[0])
    explorer.prepare(scores=False)
    legend, index = explorer.colour(0)
    assert (legend["names"], legend["counts"]) == (["not scored"], [200])
    assert set(index) == {0}
    assert legend["growing"]


def test_if_most_rows_are_not_scored_colours_are_those_of_a_column(monkeypatch):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = VAE(1, max_epochs=1, random_state=0).fit(X)
    names = []
    for most in (60, 20):
        monkeypatch.setattr("isthmus.explorer._explorer.MAX_SCORED", most)
        explorer = Explorer(model, X)
        explorer.finish_codes()
        names.append(explorer.colours[explorer.describe()["colour"]].name)
    assert names == ["log p(x)", "column 0"]


def test_dates_that_are_texts_have_a_place_and_bands_of_colour():
    table = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=99).strftime("%d.%m.%Y")})
    table.loc[7] = None
    explorer = Explorer(VAE(1, max_epochs=1, prior="standard_normal", random_state=0).fit(table), table)
    explorer.finish_codes()
    header, _ = explorer.rows.pack(table.iloc[[0, 49, 98, 7]])
    assert header["text"] == [["01.01.2024"], ["19.02.2024"], ["08.04.2024"], [None]]
    assert [cell for (cell,) in header["place"]] == pytest.approx([0, 0.5, 1, None], abs=0.01)
    decoded, _ = explorer.decode([[0.0]])
    assert decoded["place"][0][0] is not None
    days = [colour.name for colour in explorer.colours].index("day")
    legend, _ = explorer.colour(days)
    assert legend["names"][0] == "2024-01-01 to 2024-01-14"
    assert legend["names"][-1] == "missing"
    assert explorer.rows.pack(table.iloc[[7]])[0]["place"] == [[None]]


def test_many_levels_share_an_entry(image_model, images):
    y = np.array([f"name {k % 40}" for k in range(200)])
    explorer = Explorer(image_model, images[0], y)
    explorer.prepare()
    legend, _ = explorer.colour(0)
    assert len(legend["names"]) == 12
    assert legend["names"][-1] == "29 others"


def test_search(table_client, image_client, table_explorer, image_explorer):
    _, found = table_client.call("find", {"text": "BIR"})
    birds = (table_explorer.X["kind"] == "bird").to_numpy()[table_explorer.order]
    assert [bool(b) for b in found] == birds.tolist()
    _, found = image_client.call("find", {"text": "17"})
    assert int(image_explorer.order[np.flatnonzero(np.frombuffer(found, np.uint8))[0]]) == 17
    _, found = image_client.call("find", {"text": " "})
    assert not any(found)


def test_prior_contours(table_client, image_model, image_explorer):
    contours, _ = table_client.call("prior", {"i": 0, "j": 1})
    assert contours["kind"] in ("circles", "grid")
    contours = image_explorer.prior.contours(0, 2)
    if contours["kind"] == "grid":
        density, levels = np.array(contours["density"]), contours["levels"]
        inside = [density[density >= level].sum() / density.sum() for level in levels]
        np.testing.assert_allclose(inside, [0.393, 0.865, 0.989], atol=0.01)


def test_bad_requests_say_what_is_wrong(image_client):
    assert "finite numbers of shape (n, 3)" in image_client.refused("decode", {"codes": [[0.0, 1.0]]})
    assert (
        "is not a finite number"
        in Client.post(image_client, "decode", content=b'{"codes": [[NaN, 0, 0]]}').json()["error"]
    )
    assert "codes: pass 1 to 1024" in image_client.refused("decode", {"codes": [[0, 0, 0]] * 1025})
    assert "codes is missing" in image_client.refused("decode")
    assert "point 200: there are 200" in image_client.refused("inspect", {"point": 200})
    assert "must be a whole number" in image_client.refused("inspect", {"point": 1.5})
    assert "must be a whole number" in image_client.refused("unit", {"k": "x"})
    assert "unit 3: there are 3" in image_client.refused("prior", {"i": 3, "j": 0})
    assert "2 to 64" in image_client.refused("path", {"start": 0, "stop": 1, "n": 1})
    assert "one JSON object" in image_client.client.post("/token/api/decode", content=b"[]").json()["error"]
    assert image_client.client.post("/token/api/decode", content=b"[" * 100_000).status_code == 400
    assert "1 MiB" in image_client.client.post("/token/api/decode", content=b" " * (2**20 + 1)).json()["error"]


def test_rows_of_a_model_of_named_numbers_have_the_names(images):
    table = pd.DataFrame(images[0][:60, 10:14], columns=list("abcd"))
    explorer = prepared(Explorer(VAE(2, max_epochs=2, random_state=0).fit(table), table))
    client = Client(ready(explorer))
    assert client.client.post("/token/api/place?name=row.csv", content=b"a,b,c,d\n1,2,3,4\n").status_code == 200
    for where in ({"dropped": 0}, {"code": [0.0, 0.0]}, {"point": 3}):  # a warning of scikit-learn is an error here
        assert len(client.call("inspect", where)[0]["code"]) == 2
        assert client.call("complete", {**where, "cleared": [1], "n": 2})[0]["n"] == 2


def test_it_can_be_stopped_by_its_own_thread(image_model, images):
    """In which the garbage collector may find the widget that nobody uses any longer."""
    preparation = Preparation(Explorer(image_model, images[0]), progress=lambda *_: preparation.stop())
    preparation.start()
    preparation._thread.join(timeout=60)
    assert preparation.error is None


def test_nothing_is_shown_before_rows_are_encoded(image_model, images):
    client = Client(Preparation(Explorer(image_model, images[0])))
    assert client.call("status")[0] == {"ready": False, "stage": "codes", "done": 0, "of": 200, "error": None}
    assert "still being encoded" in client.refused("model")


def test_the_preparation_encodes_and_scores(image_model, images):
    seen = []
    preparation = Preparation(Explorer(image_model, images[0]), lambda *step: seen.append(step))
    preparation.start()
    preparation._thread.join(timeout=60)
    assert preparation.status() == {"ready": True, "stage": "done", "done": 200, "of": 200, "error": None}
    assert ("codes", 200, 200) in seen
    assert seen[-1] == ("scores", 200, 200)
    assert np.isfinite(preparation.explorer.scores).all()


def test_rows_of_a_slow_model_are_scored_when_they_are_looked_at(image_model, images, monkeypatch):
    monkeypatch.setattr("isthmus.explorer._background._TOO_LONG", 0.0)
    preparation = Preparation(Explorer(image_model, images[0]))
    preparation.start()
    preparation._thread.join(timeout=60)
    explorer = preparation.explorer
    assert (preparation.status()["stage"], explorer.n_scored, explorer.n_to_score) == ("done", 4, 4)
    assert explorer.rank(0.0) is None  # too few to compare with
    assert np.isfinite(explorer.inspect({"point": 100})[0]["score"])


def test_an_error_of_the_preparation_is_shown(image_model, images, capsys, monkeypatch):
    preparation = Preparation(Explorer(image_model, images[0]))
    monkeypatch.setattr(preparation.explorer, "encode_part", lambda *_: 1 / 0)
    preparation.start()
    preparation._thread.join(timeout=60)
    assert preparation.status()["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err


def test_a_model_without_data(image_model):
    explorer = Explorer(image_model)
    explorer.prepare()
    found = explorer.describe()
    assert (found["n_rows"], found["colour"], found["row"]["kind"]) == (0, None, "image")  # 64 numbers: a square
    assert len(explorer.decode([[0, 0, 0]])[1]) == 64
    assert explorer.unit(0) == b""


# ---- who is let in -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(image_client):
    return image_client.client


def test_the_page_and_its_files(client):
    page = client.get("/token/")
    assert page.status_code == 200
    assert "isthmus explorer" in page.text
    for name, kind in (("style.css", "text/css"), ("main.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        answer = client.get(f"/token/static/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    for name, value in HEADERS.items():
        assert page.headers[name] == value


def test_every_request_needs_the_token(client):
    for path in ("/", "/static/main.js", "/api/model", "/tokem/", "/token2/api/model", "//", "/token/../api/model"):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert "lacks the token" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:80", "null"])
def test_another_origin_is_refused(client, origin):
    answer = client.post("/token/api/status", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "Another page" in answer.json()["error"]
    assert "access-control-allow-origin" not in answer.headers


def test_the_own_origin_may_ask(client):
    assert client.post("/token/api/status", headers={"Origin": f"http://{HOST}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:9", "evil.example:8765"])
def test_another_host_name_is_refused(client, host):
    assert client.post("/token/api/status", headers={"Host": host}).status_code == 403


def test_no_path_reaches_the_disk(client):
    for path in (
        "static/../_app.py",
        "static/%2e%2e/_app.py",
        "static//etc/passwd",
        "static/..%2f_app.py",
        "x",
        "api/",
    ):
        assert client.get(f"/token/{path}").status_code in (403, 404), path


def test_a_large_body_is_refused(client, image_explorer):
    answer = client.post("/token/api/status", headers={"Content-Length": str(MAX_BODY + 1)}, content=b"x")
    assert answer.status_code == 413

    def chunks():  # without a length in the header
        for _ in range(MAX_BODY // 2**20 + 1):
            yield b" " * 2**20

    assert client.post("/token/api/status", content=chunks()).status_code == 400


def test_websockets_are_refused(image_explorer):
    from starlette.websockets import WebSocketDisconnect

    preparation = Preparation(image_explorer)
    client = TestClient(create_app(preparation, "token", (HOST,)), base_url=f"http://{HOST}")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/token/api/decode"):
        pass


def test_bytes_of_an_answer_start_at_a_multiple_of_eight():
    for n in range(9):
        content = frame({"n": "x" * n}, b"12345678")
        assert content[-8:] == b"12345678"
        assert (len(content) - 8) % 8 == 0


def test_decoded_cells_read_as_those_of_the_decoded_table():
    table = every_dtype(n=100).join(only_pandas(n=100))
    model = VAE(2, max_epochs=1, random_state=0).fit(table)
    explorer = Explorer(model, table)
    codes = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    assert explorer.decode(codes) == explorer.rows.pack(model.inverse_transform(codes))
