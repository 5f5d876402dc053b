"""Single posteriors."""

from isthmus.posteriors import TopK
from models import normal


def test_top_k_keeps_exactly_k():
    q = TopK(k=2)
    q.build(5)
    code = q(normal(100, 5)).mean
    assert ((code != 0).sum(1) == 2).all()
