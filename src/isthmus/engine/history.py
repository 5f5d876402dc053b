"""History: one record of named numbers an epoch."""

from __future__ import annotations

__all__ = ["Record"]

# {"epoch": 3, "loss": ..., "reconstruction": ..., "kl": ..., "learning_rate": ..., "seconds": ...}
Record = dict[str, float]
