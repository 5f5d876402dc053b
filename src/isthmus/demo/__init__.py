"""The demo: six models trained on handwritten digits, compared in a table and in a self-contained report."""

__all__: list[str] = []  # `isthmus.demo.run` imports matplotlib, and only the command imports it
