"""Loaders: batches for training, from rows in memory or from a source that is read as it is used."""

from isthmus.data.loaders.in_memory import InMemoryLoader
from isthmus.data.loaders.partition import BatchPartition
from isthmus.data.loaders.prefetch import prefetch
from isthmus.data.loaders.streaming import StreamingLoader

__all__ = ["BatchPartition", "InMemoryLoader", "StreamingLoader", "prefetch"]
