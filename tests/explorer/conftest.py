"""Models and explorers that the tests of the explorer share."""

import contextlib

import pytest

from explorer_clients import CHROMIUM, Client, Page, owners, prepared, ready, visits
from isthmus import VAE, ConditionalVAE
from isthmus.data import MissingFileError, read
from isthmus.explorer import Explorer
from isthmus.explorer._server import Server


@pytest.fixture(scope="session")
def images():
    """200 digits of 8 x 8 pixels, and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data[:200], bunch.target[:200]


@pytest.fixture(scope="session")
def image_model(images):
    return VAE(3, max_epochs=20, random_state=0, n_draws=20).fit(images[0])


@pytest.fixture(scope="session")
def image_explorer(image_model, images):
    return prepared(Explorer(image_model, *images, image_shape=(8, 8), name="vae.safetensors", data_name="digits"))


@pytest.fixture(scope="session")
def table_model():
    return VAE(2, max_epochs=20, random_state=0, n_draws=20).fit(visits())


@pytest.fixture(scope="session")
def table_explorer(table_model):
    return prepared(Explorer(table_model, visits(), name="visits.safetensors", data_name="visits.csv"))


@pytest.fixture(scope="session")
def class_explorer(images):
    X, y = images
    model = ConditionalVAE(2, max_epochs=10, random_state=0, n_draws=10).fit(X, y)
    return prepared(Explorer(model, X, y, image_shape=(8, 8)))


@pytest.fixture(scope="session")
def column_explorer():
    """A model of mixed rows given a table of conditions."""
    X, y = owners()
    model = ConditionalVAE(2, max_epochs=10, random_state=0, n_draws=10).fit(X, y)
    return prepared(Explorer(model, X, y, name="owners.safetensors", data_name="owners.csv"))


@pytest.fixture(scope="session")
def clothes_explorer():
    """200 images of Fashion-MNIST of 28 x 28 pixels, if the data set is on this machine."""
    try:
        clothes = read("fashion-mnist-test")
    except MissingFileError as error:
        pytest.skip(str(error))
    X, y = clothes.X[:200], clothes.y[:200]
    model = VAE(2, max_epochs=5, random_state=0, n_draws=20, prior="standard_normal").fit(X)
    names = {"name": "clothes.safetensors", "data_name": clothes.name}
    return prepared(Explorer(model, X, y, image_shape=clothes.image_shape, **names))


@pytest.fixture(scope="module")
def image_client(image_explorer):
    return Client(ready(image_explorer))


@pytest.fixture(scope="module")
def table_client(table_explorer):
    return Client(ready(table_explorer))


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: `make test` as root installs it, or `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def open_page(browser):
    """Return a function that serves an explorer, once, and opens its page in a context of its own."""
    with contextlib.ExitStack() as stack:
        urls = {}

        def open_page(explorer, address="", **options):
            if id(explorer) not in urls:
                urls[id(explorer)] = stack.enter_context(Server(explorer, port=0).running())
            return Page(browser, urls[id(explorer)], **options).open(address)

        yield open_page
