"""The engine: trains anything that maps a batch to named terms. It knows no model."""

from isthmus.engine.checkpoint import Checkpoints, InterruptedTrainingError
from isthmus.engine.history import Record
from isthmus.engine.loop import NonFiniteError, Trainer
from isthmus.engine.schedules import find_schedule

__all__ = ["Checkpoints", "InterruptedTrainingError", "NonFiniteError", "Record", "Trainer", "find_schedule"]
