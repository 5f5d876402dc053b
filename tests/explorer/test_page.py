"""The page in a browser: Debian's Chromium, driven by Playwright."""

import re

import numpy as np
import pytest

from explorer_clients import Page
from isthmus.explorer._server import Server


@pytest.fixture(scope="module")
def digits_page(open_page, image_explorer):
    return open_page(image_explorer)


@pytest.fixture(scope="module")
def table_page(open_page, table_explorer):
    return open_page(table_explorer)


def pixels(page, selector="#here-row canvas"):
    return page.page.locator(selector).first.evaluate("c => c.toDataURL()")


def hover(page, shown):
    """Move the mouse down the middle of the plane until it is over a point, whose row is shown."""
    place = page.page.locator("#plane").bounding_box()
    for k in range(40):
        y = place["y"] + place["height"] * (0.3 + 0.01 * k)
        page.page.mouse.move(place["x"] + place["width"] / 2, y)
        if page.page.locator(shown).count():
            break
        page.page.wait_for_timeout(30)
    page.page.wait_for_selector(shown)


def brush(page):
    """Brush over a line of pixels of the row at the marker, until its completions are shown."""
    page.page.get_by_role("tab", name="Complete").click()
    page.page.get_by_role("button", name="Row at the marker").click()
    box = page.page.locator(".brush").bounding_box()
    page.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.8)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8)  # at once: no gap is left
    page.page.mouse.up()
    page.page.wait_for_selector("#panel-complete .sheet canvas")


def test_the_page_shows_the_model(digits_page):
    assert digits_page.text("#what") == "vae.safetensors: VAE, 3 units · digits, 200 rows"
    assert digits_page.text("#counts") == "200 rows"
    assert digits_page.page.locator("#legend button").count() == 10
    painted = digits_page.page.locator("#here-row canvas").evaluate("c => [c.width, c.height]")
    assert painted == [8, 8]


def test_dragging_the_marker_changes_the_image(digits_page):
    before = pixels(digits_page)
    digits_page.drag((0.02, 0.02), (0.3, 0.6))
    digits_page.wait_for("b => document.querySelector('#here-row canvas').toDataURL() !== b", before)
    assert digits_page.page.evaluate("performance.getEntriesByName('drag').length") > 0
    digits_page.wait_for("document.querySelector('#status').textContent.startsWith('Marker at unit')")


def test_dragging_the_marker_changes_the_row_of_a_table(table_page):
    cells = "#here-row td:nth-child(2)"
    before = table_page.page.locator(cells).all_text_contents()
    table_page.drag((0.03, 0.5), (0.97, 0.45), steps=3)
    table_page.wait_for(
        "([s, b]) => [...document.querySelectorAll(s)].map(e => e.textContent).join() !== b",
        [cells, ",".join(before)],
    )
    assert len(before) == 5
    table_page.wait_for("/Marker at .*kind .*weight /.test(document.querySelector('#status').textContent)")


def test_fashion_mnist(open_page, clothes_explorer):
    page = open_page(clothes_explorer)
    assert page.text("#what") == "clothes.safetensors: VAE, 2 units · fashion-mnist-test, 200 rows"
    before = pixels(page)
    page.drag((0.02, 0.02), (0.3, 0.6))
    page.wait_for("b => document.querySelector('#here-row canvas').toDataURL() !== b", before)
    hover(page, "#panel-row canvas")
    assert page.page.locator("#panel-row canvas").count() == 3  # original, reconstruction, errors
    assert re.search(r"as expected|unusual pixel", page.text("#panel-row"))
    brush(page)
    canvases = page.page.locator("#panel-complete .sheet canvas").all()
    drawn = [canvas.evaluate("c => [c.width, c.height, c.toDataURL()].join()") for canvas in canvases]
    assert len(set(drawn)) == len(drawn) == 8
    assert all(text.startswith("28,28,") for text in drawn)
    assert not page.problems


def test_choosing_and_looking_at_a_row_by_keyboard(digits_page):
    digits_page.page.locator("#plane").focus()
    digits_page.page.keyboard.press("Enter")
    digits_page.wait_for("/^Row [\\d,]+, label \\d\\. log p/.test(document.querySelector('#status').textContent)")
    assert digits_page.page.locator("#panel-row canvas").count() == 3
    assert re.search(r"more likely than \d+ % of the rows|less likely than nearly all", digits_page.text("#panel-row"))
    first = digits_page.text("#panel-row h3")
    digits_page.page.keyboard.press("n")
    digits_page.wait_for("h => document.querySelector('#panel-row h3').textContent !== h", first)


def test_hovering_over_a_point_shows_its_row(table_page):
    hover(table_page, "#panel-row table")
    words = table_page.text("#panel-row")
    assert "reconstruction" in words
    assert re.search(r"as expected|unusual", words)
    assert table_page.page.locator("#panel-row tbody tr").count() == 5


def test_a_path_between_two_rows(digits_page):
    page = digits_page.page
    page.locator("#plane").focus()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Path").click()
    page.get_by_role("button", name="From the chosen row").click()
    page.locator("#plane").focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel-path canvas")
    assert page.locator("#panel-path canvas").count() == 9
    assert page.locator(".strip").evaluate("e => e.scrollWidth <= e.clientWidth")  # all of them can be seen
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "path.png"
    page.get_by_role("tab", name="Row", exact=True).click()


def test_legend_search_and_lasso_filter(digits_page):
    page = digits_page.page
    page.locator("#legend button").first.click()
    digits_page.wait_for("/ of 200 rows/.test(document.querySelector('#counts').textContent)")
    page.locator("#legend button").first.click()
    page.locator("#legend button").nth(1).dblclick()
    digits_page.wait_for("/^\\d\\d of 200 rows/.test(document.querySelector('#counts').textContent)")
    assert page.locator("#legend button[aria-pressed=true]").count() == 1
    page.locator("#legend button").nth(1).dblclick()
    digits_page.wait_for("document.querySelector('#counts').textContent === '200 rows'")
    page.fill("#find", "17")
    digits_page.wait_for("document.querySelector('#counts').textContent === '1 of 200 rows'")
    page.fill("#find", "")
    digits_page.wait_for("document.querySelector('#counts').textContent === '200 rows'")
    page.get_by_label("Lasso").check()
    box = page.locator("#plane").bounding_box()
    corners = [(0.1, 0.1), (0.55, 0.1), (0.55, 0.95), (0.1, 0.95)]
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=3)
    page.mouse.up()
    digits_page.wait_for("/^\\d+ of 200 rows/.test(document.querySelector('#counts').textContent)")
    page.locator("#plane").focus()
    page.keyboard.press("Escape")
    digits_page.wait_for("document.querySelector('#counts').textContent === '200 rows'")
    page.get_by_label("Drag").check()


def test_a_view_has_an_address(digits_page, open_page, image_explorer):
    page = digits_page.page
    page.select_option("#x-unit", "2")
    page.locator("#plane").focus()
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowUp")
    page.locator("#legend button").nth(3).click()
    address = digits_page.address()
    assert {"x", "y", "z", "view", "colour", "off"} <= {part.partition("=")[0] for part in address.split("&")}
    other = open_page(image_explorer, f"#{address}")
    other.page.wait_for_timeout(300)
    assert other.page.locator("#x-unit").input_value() == "2"
    assert other.text("#counts") == digits_page.text("#counts")
    assert pixels(other) == pixels(digits_page)
    assert other.address() == address
    assert not other.problems


def test_phone_width_and_dark(open_page, table_explorer):
    page = open_page(table_explorer, viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    width = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]  # nothing sticks out
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 23)"
    assert page.axe() == []
    assert not page.problems


def test_without_webgl_there_is_a_density(open_page, image_explorer):
    page = open_page(image_explorer, "?map=density")
    painted = "(() => { const c = document.querySelector('#points'); const d = c.getContext('2d')"
    painted += ".getImageData(0, 0, c.width, c.height).data; return d.some(v => v > 0); })()"
    page.wait_for(painted)
    page.drag((0.02, 0.02), (0.3, 0.6))
    assert not page.problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, image_explorer, table_explorer, scheme):
    page = open_page(image_explorer if scheme == "light" else table_explorer, color_scheme=scheme)
    page.page.locator("#units summary").click()
    page.page.locator("#plane").focus()
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#panel-row h3")
    assert page.axe() == []
    for tab in page.page.get_by_role("tab").all()[1:]:
        tab.click()
        assert page.axe("#tools") == []
    assert not page.problems


def test_another_page_may_not_ask(browser, digits_page):
    """A page of another origin can neither read an answer, nor does its request reach the model."""
    page = browser.new_page()
    page.goto("data:text/html,<title>foreign</title>")
    ask = "u => fetch(u, {method: 'POST', body: '{}'}).then(r => r.status, e => e.name)"
    assert page.evaluate(ask, digits_page.url + "api/status") == "TypeError"
    page.close()


def test_a_server_that_dies_is_named(browser, image_explorer):
    with Server(image_explorer, port=0).running() as url:
        page = Page(browser, url).open()
    page.page.locator("#plane").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.wait_for_selector("#problem:not([hidden])")
    assert "The server does not answer. Is `isthmus explore` still running?" in page.text("#problem")
    page.context.close()


def test_a_slow_processor(digits_page):
    """A quarter of the speed: the image still follows, since requests that were overtaken are left out."""
    session = digits_page.context.new_cdp_session(digits_page.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    before = pixels(digits_page)
    digits_page.drag((0.2, 0.8), (0.7, 0.3), steps=12)
    digits_page.wait_for("b => document.querySelector('#here-row canvas').toDataURL() !== b", before)
    digits_page.wait_for("document.querySelector('#status').textContent.startsWith('Marker at unit')")
    marker = digits_page.page.evaluate("document.querySelector('#status').textContent")
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    session.detach()
    assert "the image has changed" in marker


def test_brushing_over_pixels_shows_eight_completions(digits_page):
    page = digits_page.page
    brush(digits_page)
    assert page.locator("#panel-complete .sheet canvas").count() == 8
    colours = "c => [2, 3, 4, 5, 6].map((x) => c.getContext('2d').getImageData(x, 6, 1, 1).data.slice(0, 3).join())"
    assert set(page.locator(".brush").evaluate(colours)) == {"194,65,12", "143,48,9"}
    assert "completions of the row at the marker" in digits_page.text("#panel-complete h3")
    before = pixels(digits_page, "#panel-complete .sheet canvas")
    page.get_by_role("button", name="Draw again").click()
    digits_page.wait_for("b => document.querySelector('#panel-complete .sheet canvas').toDataURL() !== b", before)


def test_brushing_by_keyboard(digits_page):
    page = digits_page.page
    page.get_by_role("tab", name="Complete").click()
    page.get_by_role("button", name="Clear nothing").click()
    digits_page.wait_for("!document.querySelector('#panel-complete .sheet')")
    page.locator(".brush").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    page.wait_for_selector("#panel-complete .sheet canvas")


def test_clearing_cells_of_a_row(table_page):
    page = table_page.page
    page.locator("#plane").focus()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Complete").click()
    page.wait_for_selector(".cells input")
    page.locator(".cells input").nth(1).uncheck()
    page.wait_for_selector("#panel-complete table")
    assert page.locator("#panel-complete tbody tr").count() == 8
    weights = page.locator("#panel-complete tbody td:nth-child(2)").all_text_contents()
    assert len(set(weights)) > 1
    assert len(set(page.locator("#panel-complete tbody td:nth-child(4)").all_text_contents())) == 1  # the day is kept


def test_choosing_a_class(open_page, class_explorer):
    page = open_page(class_explorer)
    before = pixels(page)
    page.page.select_option("#label", "1")
    page.wait_for("b => document.querySelector('#here-row canvas').toDataURL() !== b", before)
    page.page.get_by_role("tab", name="New rows").click()
    page.page.wait_for_selector("#panel-new canvas")
    page.page.select_option("#sheet-label", "3")
    page.wait_for("document.querySelector('#panel-new canvas').getAttribute('aria-label') === 'New image 1 of class 3'")
    assert page.page.locator("#panel-new canvas").count() == 24
    assert "label=1" in page.address()
    assert page.axe() == []
    assert not page.problems


def test_choosing_values_of_condition_columns(open_page, column_explorer):
    page = open_page(column_explorer)
    shown = "[...document.querySelectorAll('#here-row td')].map(e => e.textContent).join()"

    def field(name):
        return page.page.get_by_label(name, exact=True)

    page.page.get_by_role("tab", name="New rows").click()
    page.wait_for("/given kind cat, .*age 54/.test(document.querySelector('#panel-new p').textContent)")
    start = page.page.evaluate(shown)
    field("kind").select_option("bird")
    page.wait_for(f"b => {shown} !== b", start)
    bird = page.page.evaluate(shown)
    field("age").fill("31")
    field("age").press("Enter")
    page.wait_for(f"b => {shown} !== b", bird)
    page.wait_for("/given kind bird, .*age 31/.test(document.querySelector('#panel-new .wide').ariaLabel)")
    field("born").fill("1960-02-03")
    field("born").press("Tab")
    page.wait_for(
        "/Marker at .*given kind bird, .*born 1960-02-03.*: weight/.test(document.querySelector('#status').textContent)"
    )
    drawn, decoded = page.text("#panel-new"), page.page.evaluate(shown)
    field("age").fill("")
    field("age").press("Enter")
    page.wait_for("document.querySelector('#given .problem:not(:empty)')")
    assert page.page.locator("#given .problem").all_text_contents() == ["", "", "age must be a number.", "", "", ""]
    assert field("age").get_attribute("aria-invalid") == "true"
    assert (page.text("#panel-new"), page.page.evaluate(shown)) == (drawn, decoded)
    assert page.axe() == []
    address = page.address()
    assert {"given.kind=bird", "given.age=31", "given.born=1960-02-03"} <= set(address.split("&"))
    page.problems.clear()  # the browser notes the answer 400
    other = open_page(column_explorer, f"#{address.replace('age=31', 'age=old').replace('kind=bird', 'kind=dog')}")
    assert "age must be a number, and is 'old'." in other.text("#given")
    assert [other.page.locator(f"#given-{k}").input_value() for k in (0, 2, 3)] == ["dog", "54", "1960-02-03"]
    again = open_page(column_explorer, f"#{address}")
    again.wait_for(f"b => {shown} === b", decoded)
    assert again.text("#panel-new") == drawn
    assert again.address() == address
    again.page.locator("#plane").focus()
    again.page.keyboard.press("Enter")  # the condition is now that of the row nearest to the marker
    again.wait_for("/^Row .*, given kind /.test(document.querySelector('#status').textContent)")
    age = re.search(r"age (\d+)", again.text("#status"))[1]
    assert again.page.locator("#given-2").input_value() == age != "31"
    again.page.get_by_role("tab", name="Path").click()
    again.page.get_by_role("button", name="From the chosen row").click()
    again.page.locator("#plane").focus()
    again.page.keyboard.press("n")
    again.page.wait_for_selector("#panel-path table")
    assert again.page.locator("#given-2").input_value() == age  # that of the first row of the path
    path = again.text("#panel-path")
    again.page.locator("#given-0").select_option(
        {"bird": "dog"}.get(again.page.locator("#given-0").input_value(), "bird")
    )
    again.wait_for("p => document.querySelector('#panel-path').textContent !== p", path)
    assert not again.problems


def test_dropping_an_image(digits_page, images):
    page = digits_page.page
    page.get_by_role("tab", name="Your own").click()
    page.set_input_files("#own-file", {"name": "seven.png", "mimeType": "image/png", "buffer": seven()})
    page.wait_for_selector("#panel-own canvas")
    assert page.locator("#panel-own canvas").count() == 3
    assert "Your row" in digits_page.text("#panel-own h3")
    assert re.search(r"log p\(x\|?y?\) is −?[\d.]+ nats", digits_page.text("#panel-own"))


def seven():
    """Return a PNG file, drawn by matplotlib."""
    import io

    from matplotlib.image import imsave

    pixels = np.zeros((32, 32))
    pixels[4:8, 6:26] = pixels[8:28, 18:22] = 1.0
    stream = io.BytesIO()
    imsave(stream, pixels, cmap="gray", format="png")
    return stream.getvalue()


def test_typing_a_row(table_page):
    page = table_page.page
    page.get_by_role("tab", name="Your own").click()
    page.fill("#own-text", "kind,weight,fee,day,chipped\nbird,30,0,2024-03-04,True\n")
    page.get_by_role("button", name="Place these rows").click()
    page.wait_for_selector("#panel-own tr.odd")
    assert "very unusual" in table_page.text("#panel-own tr.odd >> nth=0")
    page.fill("#own-text", "kind\ncat\n")
    page.get_by_role("button", name="Place these rows").click()
    page.wait_for_selector("#problem:not([hidden])")
    assert "typed.csv: lacks weight, fee, day, chipped" in table_page.text("#problem")
    table_page.problems.clear()  # the browser notes the answer 400


def test_no_errors_and_no_requests_to_others(digits_page, table_page):
    assert digits_page.problems == []
    assert table_page.problems == []
