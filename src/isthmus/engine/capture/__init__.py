"""Whole training steps, captured once and replayed: as an operator graph on a CPU, as a CUDA graph on a GPU.

``captured_step.py`` decides when a step is captured, checks that replaying it gives the bits of the eager step, and
returns to eager steps where it does not. The two other modules capture a step.
"""

from isthmus.engine.capture.captured_step import MIN_STEPS, CapturedStep, ReplayError

__all__ = ["MIN_STEPS", "CapturedStep", "ReplayError"]
