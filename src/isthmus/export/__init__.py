"""Write encoder, decoder and log p(x) of a fitted estimator as ONNX files, which run without isthmus and torch."""

from isthmus.export._inputs import onnx_input
from isthmus.export._onnx import scoring_noise, to_onnx

__all__ = ["onnx_input", "scoring_noise", "to_onnx"]
