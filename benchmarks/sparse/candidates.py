"""The models that are compared, and the settings that were tried for them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Candidate(NamedTuple):
    """A model: its name, its side, and its settings as text, so that results can show them."""

    name: str
    side: str
    text: dict[str, str | float]
    main: bool = False

    def settings(self) -> dict[str, Any]:
        """Return the settings; text is a Python expression of isthmus' parts."""
        from isthmus.optimizers import Adam
        from isthmus.penalties import Matryoshka

        names = {"Adam": Adam, "Matryoshka": Matryoshka}
        return {name: eval(value, names) if isinstance(value, str) else value for name, value in self.text.items()}

    def described(self) -> str:
        """Return the settings as the arguments of a call."""
        return ", ".join(f"{name}={value}" for name, value in self.text.items())


CONSTANT = 'Adam(schedule="constant")'
MODELS = (
    Candidate("isthmus", "isthmus", {"learning_rate": 0.005, "optimizer": CONSTANT}, main=True),
    Candidate("SAELens", "saelens", {"learning_rate": 0.01, "dead_feature_window": 40}, main=True),
    Candidate("isthmus, default schedule", "isthmus", {"learning_rate": 0.01}),
    Candidate(
        "isthmus, dead units left dead", "isthmus", {"learning_rate": 0.005, "optimizer": CONSTANT, "sparsity": 0.0}
    ),
    Candidate(
        "isthmus, nested widths",
        "isthmus",
        {"learning_rate": 0.005, "optimizer": CONSTANT, "penalties": "(Matryoshka(),)"},
    ),
    Candidate("SAELens, default window", "saelens", {"learning_rate": 0.003}),
)


def _isthmus(rate: float, schedule: str) -> Candidate:
    text: dict[str, str | float] = {"learning_rate": rate, "optimizer": f'Adam(schedule="{schedule}")'}
    return Candidate(f"isthmus, {schedule}, rate {rate:g}", "isthmus", text)


def _saelens(rate: float, **more: float) -> Candidate:
    words = "".join(f", {name} {value:g}" for name, value in more.items())
    return Candidate(f"SAELens, rate {rate:g}{words}", "saelens", {"learning_rate": rate, **more})


TRIED = (
    *(_isthmus(rate, "one_cycle") for rate in (0.005, 0.01, 0.02)),
    *(_isthmus(rate, "constant") for rate in (0.005, 0.01)),
    *(_saelens(rate, dead_feature_window=40) for rate in (0.001, 0.003, 0.01, 0.03)),
    _saelens(0.003, dead_feature_window=20),
    *(_saelens(rate, dead_feature_window=40, decay=0.7) for rate in (0.003, 0.01)),
    *(_saelens(rate) for rate in (0.003, 0.01)),
)
