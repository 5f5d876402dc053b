"""`isthmus explore`: what it reads, where it serves, and how it ends."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pandas as pd
import pytest

from explorer_clients import owners, visits
from isthmus import Autoencoder, ConditionalVAE
from isthmus.cli import main
from isthmus.explorer import serve
from isthmus.explorer._server import Server, free_socket


@pytest.fixture(scope="module")
def files(tmp_path_factory, image_model, table_model, images):
    folder = tmp_path_factory.mktemp("explore")
    image_model.save(folder / "vae.safetensors")
    table_model.save(folder / "visits.safetensors")
    X, y = owners()
    y = y[["kind", "age", "born"]]
    ConditionalVAE(2, max_epochs=1, random_state=0).fit(X, y).save(folder / "owners.safetensors")
    X.join(y).to_csv(folder / "owners.csv", index=False)
    visits().assign(owner=np.arange(200) % 7).to_csv(folder / "visits.csv", index=False)
    visits().drop(columns="fee").to_csv(folder / "no_fee.csv", index=False)
    np.save(folder / "narrow.npy", images[0][:, :10])
    np.save(folder / "digits.npy", images[0])
    (folder / "damaged.safetensors").write_bytes((folder / "vae.safetensors").read_bytes()[:-100])
    return folder


@pytest.fixture
def explore(files, monkeypatch, capsys):
    """Return a function that runs the command, without serving, and returns its code, the explorer and stderr."""
    served = []
    monkeypatch.chdir(files)
    monkeypatch.setattr("isthmus.explorer.serve", lambda explorer, **options: served.append((explorer, options)))

    def explore(*args):
        code = main(["explore", *args])
        return code, served[-1] if served else None, capsys.readouterr().err

    return explore


def test_images(explore):
    code, (explorer, options), _ = explore("vae.safetensors", "digits", "--port", "9000", "--no-browser")
    assert code == 0
    assert explorer.rows.describe()["width"] == 8
    assert explorer.y is not None
    assert (options["port"], options["open_browser"]) == (9000, False)


def test_images_of_a_shape_that_is_passed(explore):
    _, (explorer, _), _ = explore("vae.safetensors", "digits.npy", "--image-shape", "16x4")
    assert (explorer.rows.height, explorer.rows.width) == (16, 4)


def test_a_table_gets_its_dates_and_a_column_of_labels(explore):
    _, (explorer, _), err = explore("visits.safetensors", "visits.csv", "--y", "owner")
    assert explorer.X["day"].dtype.kind == "M"
    assert explorer.y.tolist()[:8] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert "owner" not in err  # it is not ignored, but the labels


def test_condition_columns_are_named(explore):
    _, (explorer, _), err = explore("owners.safetensors", "owners.csv", "--y", "kind,age,born")
    assert list(explorer.y) == ["kind", "age", "born"]
    table = owners()[1]
    explorer.prepare(scores=False)
    np.testing.assert_allclose(
        explorer.codes, explorer.model.transform(owners()[0], table[list(explorer.y)]), atol=1e-6
    )
    assert explorer.conditions.start["born"] == str(table["born"].quantile(interpolation="lower").date())
    assert "ignored" not in err


def test_a_parquet_file(explore, files):
    visits().to_parquet(files / "visits.parquet")
    _, (explorer, _), _ = explore("visits.safetensors", "visits.parquet")
    pd.testing.assert_series_equal(explorer.X["weight"], visits()["weight"])


def test_without_data(explore):
    _, (explorer, _), _ = explore("visits.safetensors")
    assert explorer.n_rows == 0


BAD = {
    "no model": (["none.safetensors"], "none.safetensors: no such model; create it with"),
    "damaged": (["damaged.safetensors", "digits"], "damaged.safetensors"),
    "other width": (["vae.safetensors", "narrow.npy"], "narrow.npy: X has 10 features, but VAE is expecting 64"),
    "missing column": (["visits.safetensors", "no_fee.csv"], "no_fee.csv: has no column 'fee'"),
    "table model, images": (["visits.safetensors", "digits.npy"], "digits.npy: has 64 columns without names"),
    "no file": (["visits.safetensors", "none.csv"], "none.csv: no such file"),
    "image of a table": (["visits.safetensors", "visits.csv", "--image-shape", "2,2"], "and no images"),
    "another shape": (["vae.safetensors", "digits", "--image-shape", "9,9"], "and an image has 9 x 9"),
    "no shape": (["vae.safetensors", "digits", "--image-shape", "8"], "--image-shape 8: must be height,width"),
    "labels of nothing": (["vae.safetensors", "--y", "y"], "--y y: there are no rows to label; pass DATA, too."),
    "labels with gaps": (["visits.safetensors", "visits.csv", "--y", "kind"], "column 'kind' has no label in row 0"),
    "a model as data": (["vae.safetensors", "vae.safetensors"], "is a model, not data"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(explore, case):
    args, message = BAD[case]
    code, served, err = explore(*args)
    assert (code, served) == (2, None)
    assert message in err
    assert len([line for line in err.splitlines() if "not fitted on" not in line]) == 1


def test_the_next_port_is_taken():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with free_socket(port) as found:
            assert port < found.getsockname()[1] < port + 100
            assert found.getsockname()[0] == "127.0.0.1"
        with pytest.raises(OSError, match="none of the ports .* is free"):
            free_socket(port, n_ports=1)


def test_a_plain_autoencoder_with_one_unit(images):
    from isthmus.explorer import Explorer

    explorer = Explorer(Autoencoder(1, max_epochs=2, random_state=0).fit(images[0]), images[0])
    explorer.prepare()
    assert explorer.describe()["quantity"] == "log p(x|f(x))"
    assert explorer.prior.kind == "none"
    assert np.isfinite(explorer.scores).all()
    assert len(explorer.decode([[0.5]])[0]["text"][0]) == 64


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_at_once(files):
    command = [sys.executable, "-m", "isthmus.cli", "explore", "vae.safetensors", "digits", "--no-browser"]
    process = subprocess.Popen(command, cwd=files, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert err.splitlines()[-1] == "isthmus: the explorer is closed"
        assert "Traceback" not in err
    finally:
        process.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a display")
def test_without_a_display_no_browser_is_started(image_explorer, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(Server, "run", lambda server: server.socket.close())
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    announced = []
    serve(image_explorer, port=0, announce=announced.append)
    assert announced[0].startswith("http://127.0.0.1:")
    assert not opened
    monkeypatch.setenv("DISPLAY", ":0")
    serve(image_explorer, port=0, announce=announced.append)
    for _ in range(100):
        if opened:
            break
        time.sleep(0.01)
    assert opened == announced[1:]
