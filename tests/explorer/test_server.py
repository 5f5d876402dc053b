"""The server with several pages at once, and with pages that go while they wait for an answer."""

import json
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from isthmus.explorer._server import Server


@pytest.fixture(scope="module")
def url(table_explorer):
    server = Server(table_explorer, port=0)
    with server.running() as url:
        assert server.preparation.ready.wait(20)
        yield url


def ask(url, name, **body):
    request = urllib.request.Request(f"{url}api/{name}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def open_tab(url, k):
    """Return what a page asks for when it is opened, dragged, and used to look at a row."""
    code = [[0.1 * k, -0.2]]
    answers = [ask(url, "model"), ask(url, "unit", k=0), ask(url, "unit", k=1), ask(url, "decode", codes=code)]
    return [*answers, ask(url, "inspect", point=k)]


def test_ten_tabs(url):
    alone = [open_tab(url, k) for k in range(10)]
    with ThreadPoolExecutor(10) as pool:
        together = list(pool.map(lambda k: open_tab(url, k), range(10)))
    assert together == alone
    assert len({tab[3] for tab in alone}) == 10


def test_a_browser_that_goes(url):
    """It leaves in the middle of a request, and while it waits for an answer; the server goes on."""
    host, _, path = url.removeprefix("http://").partition("/")
    address = (host.partition(":")[0], int(host.partition(":")[2]))
    body = json.dumps({"point": 0, "cleared": [1], "n": 8}).encode()
    head = f"POST /{path}api/complete HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head[:20], head + body[:5], head + body):
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(sent)
    assert ask(url, "decode", codes=[[0.0, 0.0]]) == ask(url, "decode", codes=[[0.0, 0.0]])
