"""Whole training steps, captured once and replayed: as an operator graph on a CPU, as a CUDA graph on a GPU.

``captured_step.py`` decides when a step is captured, checks that a replayed step is bit-identical to the eager one, and
returns to eager steps if it is not. The two other modules capture a step.
"""

from isthmus.engine.capture.captured_step import MIN_STEPS, CapturedStep, ReplayError

__all__ = ["MIN_STEPS", "CapturedStep", "ReplayError"]
