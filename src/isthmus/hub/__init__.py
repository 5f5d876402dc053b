"""Share fitted models on a hub: one file without code, and a model card with the verdict of the report."""

from isthmus.hub._card import model_card
from isthmus.hub._hub import from_hub, push_to_hub

__all__ = ["from_hub", "model_card", "push_to_hub"]
