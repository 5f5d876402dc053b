"""Each estimator documents all its fields itself; what several estimators share has the same words in each."""

import ast
import dataclasses
import inspect
import re

import pytest

from isthmus import estimators
from isthmus._names import PART_MODULES
from isthmus._part import find_parts
from isthmus.estimators._fields import field_docs

CLASSES = [getattr(estimators, name) for name in estimators.__all__]
OWN_WORDS = {  # defaults of their own, or that depend on the method
    ("SparseAutoencoder", "code_activation"),
}
by_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@by_class
def test_every_field_is_documented_in_order(cls):
    assert list(field_docs(cls)) == [field.name for field in dataclasses.fields(cls)]


@by_class
def test_documented_defaults_are_the_defaults(cls):
    for field in dataclasses.fields(cls):
        head = field_docs(cls)[field.name].splitlines()[0]
        if field.default is None:
            assert head.endswith((", optional", ", default=None")), head
        else:
            assert ast.literal_eval(head.rpartition("default=")[2]) == field.default, head


def test_shared_fields_have_the_same_words():
    words = {}
    for cls in CLASSES:
        for name, text in field_docs(cls).items():
            if (cls.__name__, name) not in OWN_WORDS:
                head, _, body = text.partition("\n")
                words.setdefault(name, set()).add((head.partition(", default")[0], body))
    assert [name for name, texts in words.items() if len(texts) > 1] == []


def test_shared_attributes_have_the_same_words():
    pattern = re.compile(r"Attributes\n-+\n(.*?feature_names_in_.*?\n    .*?\n)", re.DOTALL)
    sections = {pattern.search(inspect.getdoc(cls) + "\n")[1] for cls in CLASSES}
    assert len(sections) == 1


@by_class
def test_documented_parts_exist(cls):
    """A text names some parts as examples: names of parts that no longer exist may not stay in it."""
    texts = field_docs(cls)
    for field, module in PART_MODULES.items():
        if field in texts:
            named = re.findall(r'(?<!=)"(\w+)"', texts[field])
            assert named
            assert set(named) <= {*find_parts(module), "auto"}, field
