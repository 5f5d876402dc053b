"""The training engine. It trains any module that maps a batch to named loss terms, and knows no model."""

from isthmus.engine.checkpoint import Checkpoints, InterruptedTrainingError, keep_until_saved
from isthmus.engine.diagnose import NonFiniteError
from isthmus.engine.loggers import CSVLogger, TensorBoardLogger
from isthmus.engine.loop import TrainingLoop
from isthmus.engine.protocols import Record
from isthmus.engine.schedules import find_schedule

__all__ = [
    "CSVLogger",
    "Checkpoints",
    "InterruptedTrainingError",
    "NonFiniteError",
    "Record",
    "TensorBoardLogger",
    "TrainingLoop",
    "find_schedule",
    "keep_until_saved",
]
