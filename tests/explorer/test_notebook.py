"""The explorer in a cell of a notebook: the widget in Python, and its frame in a browser."""

import base64
import json

import pytest

from isthmus.explorer import make_widget


@pytest.fixture(scope="module")
def widget(table_explorer):
    made = make_widget(table_explorer, height=600)
    made._calls.preparation.ready.wait(20)
    yield made
    made.close()


def ask(widget, monkeypatch, name, body=b"{}", query=None, view="v", number=1):
    """Return what the widget sends when the page asks: a message, and its bytes."""
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    widget._answer(widget, {"view": view, "number": number, "name": name, "query": query}, [body])
    return sent[0]


def test_the_widget_answers_messages(widget, monkeypatch, table_client):
    content, (answer,) = ask(widget, monkeypatch, "decode", b'{"codes": [[0.5, 0.5]]}', number=7)
    assert content == {"view": "v", "number": 7}
    assert answer == table_client.post("decode", {"codes": [[0.5, 0.5]]}).content
    content, none = ask(widget, monkeypatch, "decode", b'{"codes": [[NaN, 0.5]]}')
    assert (content["error"], none) == ("NaN is not a finite number.", None)
    content, _ = ask(widget, monkeypatch, "__init__")
    assert content["error"] == "There is no '__init__'."
    content, _ = ask(
        widget, monkeypatch, "place", b"kind,weight,fee,day,chipped\nbird,30,0,2024-03-04,True\n", {"name": "a.csv"}
    )
    assert "error" not in content


def test_what_jupyter_prints_without_anywidget(widget):
    assert "anywidget is not installed where Jupyter runs" in repr(widget)


def test_the_page_of_the_widget_loads_nothing(widget):
    policy = widget.page.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; img-src data: blob:; style-src 'sha256-")
    assert "connect-src" not in policy
    assert 'src="static' not in widget.page
    assert 'href="static' not in widget.page


def test_the_widget_in_a_browser(browser, widget, monkeypatch):
    """The frame talks to the kernel through the widget's script; the kernel is this process."""
    page = browser.new_context(viewport={"width": 1000, "height": 700}).new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

    def kernel(content, raw):
        message = json.loads(content)
        body = base64.b64decode(raw) if raw else message["body"].encode()
        found, buffers = ask(
            widget, monkeypatch, message["name"], body, message["query"], message["view"], message["number"]
        )
        return [json.dumps(found), base64.b64encode(buffers[0]).decode() if buffers else None]

    page.expose_function("kernel", kernel)
    page.goto("about:blank")
    state = {"page": widget.page, "height": widget.height}
    page.evaluate(
        """async ([esm, state]) => {
          const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
          const { render } = (await import(url)).default;
          let told;
          const model = {
            get: (key) => state[key],
            on: (_, listener) => (told = listener),
            off: () => {},
            send: async (content, _, [raw]) => {
              const text = raw ? btoa(String.fromCharCode(...raw)) : null;
              const [found, bytes] = await kernel(JSON.stringify(content), text);
              const buffer = bytes && new DataView(Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)).buffer);
              told(JSON.parse(found), buffer ? [buffer] : []);
            },
          };
          render({ model, el: document.body });
        }""",
        [str(widget._esm), state],
    )
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=60_000)
    cells = frame.locator("#here-row td:nth-child(2)")
    before = cells.all_text_contents()
    assert len(before) == 5
    frame.locator("#plane").focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    frame.locator("#status", has_text="Marker at unit").wait_for(timeout=60_000)
    assert cells.all_text_contents() != before
    frame.get_by_role("tab", name="Your own").click()
    frame.locator("#own-text").fill("kind,weight,fee,day,chipped\nbird,30,0,2024-03-04,True\n")
    frame.get_by_role("button", name="Place these rows").click()
    frame.locator("#panel-own tr.odd").first.wait_for(timeout=60_000)
    assert problems == []
    page.context.close()
