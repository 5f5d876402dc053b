"""Models on a hub: uploaded with a model card, and downloaded again, from a stand-in on this machine."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder
from isthmus.hub import from_hub, model_card, push_to_hub
from isthmus.report import Report

X = load_iris().data
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as it takes to make a repository, commit files to it, and read them."""

    files = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        address = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            name = json.loads(body)["name"]
            self.answer({"url": f"{address}/me/{name}", "name": f"me/{name}", "id": "1"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif "/commit/" in self.path:
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            found = {"success": True, "commitOid": COMMIT, "commitUrl": f"{address}/me/iris/commit/{COMMIT}"}
            self.answer(found | {"hookOutput": ""})
        else:
            self.answer({"siblings": []})

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/api/"):
            self.answer({"id": "me/iris", "siblings": [], "sha": COMMIT})
        elif "/me/iris/" in self.path and name in self.files:
            self.send(self.files[name], "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_HEAD(self):
        self.do_GET()

    def answer(self, found):
        self.send(json.dumps(found).encode(), "application/json")

    def send(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.files.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def model():
    return VAE(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(X)


def report(kind="VAE"):
    check = {"id": "ISTH-03", "status": "warning", "sentence": "1 of 2 units is <collapsed>: |unit 1|.", "value": 1}
    data = {"name": "iris", "rows": 150, "rows_used": 150, "columns": 4}
    return Report("<html></html>", {"data": data, "model": {"class": kind}, "verdict": [check]})


def test_a_model_comes_back(hub, model, tmp_path):
    address = push_to_hub(model, "me/iris", report=report(), license="mit", token="t", endpoint=hub)
    assert address == f"{hub}/me/iris/commit/{COMMIT}"
    assert set(Hub.files) == {"model.safetensors", "README.md", "report.html", "report.json"}
    again = from_hub("me/iris", token="t", cache_dir=tmp_path, endpoint=hub)
    assert np.array_equal(again.score_samples(X), model.score_samples(X))
    card = Hub.files["README.md"].decode()
    assert card.startswith(
        "---\nlibrary_name: isthmus\nlicense: mit\ntags:\n- autoencoder\n- variational-autoencoder\n---\n"
    )
    assert "| ISTH-03 | **warning** | 1 of 2 units is &lt;collapsed>: \\|unit 1\\|. |" in card
    assert 'model = from_hub("me/iris")' in card


def test_what_the_hub_refuses_is_one_line(hub, model, tmp_path):
    with pytest.raises(ValueError, match=r"^me/gone: the hub refused, or cannot be reached: [^\n]*404") as error:
        from_hub("me/gone", token="t", cache_dir=tmp_path, endpoint=hub)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="a b: the hub refused"):
        push_to_hub(model, "a b", token="t", endpoint=hub)
    Hub.files["model.safetensors"] = b"\x80\x04pickle"
    with pytest.raises(ValueError, match=r"model.safetensors: "):
        from_hub("me/iris", token="t", cache_dir=tmp_path, endpoint=hub)


def test_a_card_without_a_report_says_so(model):
    plain = Autoencoder(1, hidden_layer_sizes=(), max_epochs=1, random_state=0).fit(X)
    card = model_card(plain, "me/iris")
    assert "Not examined: `model.report(X_test)` writes a report on held-out rows." in card
    assert "reconstruction_error(X)" in card
    assert "variational" not in card
    with pytest.raises(ValueError, match="report: is not a report on a single VAE"):
        model_card(model, "me/iris", report("Autoencoder"))
