"""Tables, clients and browsers for the tests of the explorer."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from isthmus.explorer._app import create_app
from isthmus.explorer._background import Preparation

HOST = "127.0.0.1:8765"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def visits(n=200):
    """Return a mixed table with missing cells."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog", "bird"], n, p=[0.5, 0.4, 0.1])
    table = pd.DataFrame(
        {
            "kind": kind,
            "weight": (pd.Series(kind).map({"cat": 4.0, "dog": 20.0, "bird": 0.1}) * rng.lognormal(0, 0.2, n)).round(2),
            "fee": np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(4, 0.5, n).round(2)),
            "day": rng.choice(pd.bdate_range("2024-01-01", periods=250), n),
            "chipped": rng.random(n) < np.where(kind == "dog", 0.9, 0.3),
        }
    )
    table.loc[rng.random(n) < 0.2, "kind"] = None
    return table


def owners(n=200):
    """Return three columns of `visits`, and a table of conditions without missing cells."""
    table, rng = visits(n), np.random.default_rng(1)
    given = pd.DataFrame(
        {
            "kind": table["kind"].fillna("cat"),
            "chipped": table["chipped"],
            "age": rng.integers(18, 90, n),
            "born": rng.choice(pd.date_range("1950-01-01", periods=9000), n),
            "seen": pd.Series(rng.choice(pd.date_range("2024-01-01", periods=300), n)).dt.strftime("%d.%m.%Y"),
            "stay": pd.to_timedelta(rng.integers(1, 40, n) * 6, unit="h"),
        }
    )
    return table[["weight", "fee", "day"]], given


def prepared(explorer):
    explorer.prepare()
    return explorer


def ready(explorer):
    """Return the preparation of an explorer that is prepared."""
    preparation = Preparation(explorer)
    preparation.ready.set()
    preparation.stage = "done"
    return preparation


class Client:
    """A client of the application, without a server."""

    def __init__(self, preparation):
        from starlette.testclient import TestClient

        app = create_app(preparation, "token", (HOST,))
        self.client = TestClient(app, base_url=f"http://{HOST}")

    def post(self, name, body=None, **options):
        sent = {} if "content" in options else {"json": {} if body is None else body}
        return self.client.post(f"/token/api/{name}", **sent, **options)

    def call(self, name, body=None, **options):
        """Return the object and the bytes of an answer."""
        answer = self.post(name, body, **options)
        assert answer.status_code == 200, answer.text
        length = int.from_bytes(answer.content[:4], "little")
        assert length % 8 == 4
        return json.loads(answer.content[4 : 4 + length]), answer.content[4 + length :]

    def refused(self, name, body=None, **options):
        """Return the message of a request that must be refused."""
        answer = self.post(name, body, **options)
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]


class Page:
    """A page of the explorer in Chromium, which notes what goes wrong on it.

    Attributes
    ----------
    problems : list of str
        Errors on the console, and requests to other hosts.
    """

    def __init__(self, browser, url, **options):
        self.url, self.problems = url, []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)
        self.page.set_default_timeout(60_000)

    def _console(self, message):
        if message.type == "error":
            self.problems.append(message.text)

    def _request(self, request):
        if not request.url.startswith((self.url.rsplit("/", 2)[0], "blob:")):
            self.problems.append(f"request to {request.url}")

    def open(self, address=""):
        self.page.goto(self.url + address)
        self.page.wait_for_selector("body[data-ready]")
        return self

    def text(self, selector):
        return self.page.locator(selector).text_content() or ""

    def wait_for(self, expression, argument=None):
        """Wait until an expression or function of JavaScript is true: Playwright's own waiting needs eval."""
        for _ in range(1200):
            if self.page.evaluate(expression, argument):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not so after a minute: {expression}")

    def drag(self, start, stop, steps=8):
        """Drag on the plane, by fractions of its size."""
        box = self.page.locator("#plane").bounding_box()
        places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, stop)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=steps)
        self.page.mouse.up()

    def address(self):
        """Return the part of the address after "#", once it has been written."""
        self.page.wait_for_timeout(350)
        return self.page.url.partition("#")[2]

    def axe(self, part="html"):
        """Return the violations that axe-core finds in a part of the page."""
        source = (Path(__file__).parent / "explorer" / "vendor" / "axe.min.js").read_text()
        self.page.evaluate(source)  # the page's own policy allows no inline script; the debugger's is another world
        found = self.page.evaluate("part => axe.run(part, {resultTypes: ['violations']})", part)
        return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found["violations"]]
