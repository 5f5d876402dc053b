"""The demo: six models trained on handwritten digits, with a page of figures and measured numbers."""

__all__: list[str] = []  # the command imports `isthmus.demo.run`, and with it matplotlib, only when it runs
