"""The demo and its page: what every model learns of handwritten digits, in pictures and measured numbers."""

__all__: list[str] = []  # the command imports `isthmus.report.demo`, and with it matplotlib, only when it runs
