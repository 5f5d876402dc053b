"""The fields that all estimators share, and the decorator that makes an estimator of a dataclass."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar, dataclass_transform

from sklearn.base import BaseEstimator

from isthmus._names import nearest
from isthmus._part import Part, find

__all__ = ["PART_MODULES", "Fields", "estimator", "field_docs", "layer_sizes"]

# The module of isthmus in which the part that a field names is looked up.
PART_MODULES = {
    "network": "networks",
    "likelihood": "likelihoods",
    "posterior": "posteriors",
    "prior": "priors",
    "scaling": "scaling",
    "corruption": "corruptions",
    "objective": "objectives",
}

_T = TypeVar("_T")


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Fields(BaseEstimator):
    """Fields of every estimator.

    Parameters
    ----------
    n_components : int, default=2
        K, number of latent units.
    hidden_layer_sizes : int or tuple of int, default=(256, 128)
        Widths of the encoder's dense hidden layers; the decoder has them in reverse. () makes both linear.
    activation : str, default="elu"
        Of the hidden layers: "identity", "relu", "elu", "silu", "gelu", "tanh", "sigmoid" or "softplus".
    network : {"mlp", "conv"} or Network, default="mlp"
        Encoder and decoder. A Network object brings its own sizes; a name takes them from the fields here.
    image_shape : tuple of int, optional
        (height, width) or (channels, height, width) of a row's image, for network="conv".
    likelihood : str or Likelihood, default="gaussian"
        p(x|z): "gaussian" (one learned sigma), "bernoulli", "continuous_bernoulli", "categorical".
    scaling : {"auto", "standard", "min_max", "none"} or Scaling, default="auto"
        Invertible scaling inside the model; "auto" is the likelihood's own. Likelihoods are reported in the
        data's units all the same.
    corruption : str or Corruption, default="none"
        What the encoder sees while training: "none", "gaussian_noise", "uniform_noise",
        "masking", "salt_and_pepper".
    penalties : sequence of (str or Penalty), default=()
        Further terms of the loss: "l1", "kl_sparsity", "contraction", "kl", or objects with their weights.
    max_epochs : int, default=100
        Most passes over the data.
    batch_size : int, default=128
        Most rows of a step.
    gradient_accumulation : int, default=1
        Parts that a batch is computed in, one after the other, with their gradients summed: the same step in less
        memory. What is a mean over the batch ("kl_sparsity", free_bits) is then one over each part.
    learning_rate : float, default=3e-3
        Peak learning rate of Adam.
    encoder_learning_rate : float, optional
        That of the encoder's parameters, where it is another one. A decoder bears larger steps than an encoder, whose
        codes may collapse: in runs of a few passes, a quarter of the decoder's reaches a given loss sooner.
    schedule : {"one_cycle", "linear", "constant"}, default="one_cycle"
        How the learning rate changes over the training: a short rise and a cosine, the same rise and a straight line
        (for one or two passes over many rows), or not at all.
    weight_decay : float, default=0.0
        Decoupled weight decay.
    adam_betas : tuple of float, default=(0.9, 0.999)
        How much Adam keeps, a step, of its means of the gradient and of its square. A run of a thousand steps ends
        lower with 0.95 for the second: the default remembers the last thousand.
    early_stopping : bool, default=False
        Whether to hold out rows and keep the parameters that were best on them.
    validation_fraction : float, default=0.1
        Share of the rows held out for early stopping.
    n_iter_no_change : int, default=10
        Epochs without a better validation loss before training stops.
    random_state : int, RandomState or None, default=None
        Seed of everything random in ``fit``. None takes fresh entropy; no global generator is touched.
    device : str, default="auto"
        "auto" (the first GPU, else the CPU), "cpu", "cuda", "cuda:1", "mps".
    precision : {"float32", "float64", "bf16"}, default="float32"
        Number format while training. "bf16" casts the network's weights once a step and steps float32 copies; it needs
        a processor or GPU with bf16 arithmetic.
    compile : bool, default=False
        Whether to capture whole training steps and replay them: an operator graph on a CPU, a CUDA graph on a GPU.
        Results are the same, and small networks train faster (docs/speed.md, F). Steps that cannot be captured run
        as without it, with a warning.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit's parameters.
    verbose : int, default=0
        1 shows a progress bar on stderr (a line an epoch where stderr is no terminal).
    callbacks : sequence of callable, default=()
        Each is called with every epoch's record (a dict of numbers); training stops when one returns True.
    loggers : sequence, default=()
        Each has ``log_metrics(metrics, step)``, called with every epoch's numbers: :class:`isthmus.engine.CSVLogger`,
        :class:`isthmus.engine.TensorBoardLogger`, Lightning Fabric's loggers, or your own.
    checkpoint_dir : str, optional
        Folder for checkpoints of ``fit``. A run that was interrupted, at any instant, goes on from the newest one when
        the same ``fit`` is called again, and ends with the very parameters of an uninterrupted run. The checkpoints
        of a run that is complete are removed.
    checkpoint_seconds : float, default=30.0
        Seconds between two checkpoints.
    """

    n_components: int = dataclasses.field(default=2, kw_only=False)
    hidden_layer_sizes: int | tuple[int, ...] = (256, 128)
    activation: str = "elu"
    network: str | Part = "mlp"
    image_shape: tuple[int, ...] | None = None
    likelihood: str | Part = "gaussian"
    scaling: str | Part = "auto"
    corruption: str | Part = "none"
    penalties: Sequence[str | Part] = ()
    max_epochs: int = 100
    batch_size: int = 128
    gradient_accumulation: int = 1
    learning_rate: float = 3e-3
    encoder_learning_rate: float | None = None
    schedule: str = "one_cycle"
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    random_state: Any = None
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    warm_start: bool = False
    verbose: int = 0
    callbacks: Sequence[Callable[[dict[str, float]], object]] = ()
    loggers: Sequence[Any] = ()
    checkpoint_dir: str | None = None
    checkpoint_seconds: float = 30.0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the fields by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the hyperparameters of parts, as ``likelihood__scale``, also of parts that are named by
            a string.

        Returns
        -------
        dict
            Everything that :meth:`set_params` takes.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for field, value in list(params.items()):
                part: Any = self._named_part(field) if isinstance(value, str) else value
                if hasattr(part, "get_params") and not isinstance(part, type):
                    params |= {f"{field}__{name}": inner for name, inner in part.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set fields, and hyperparameters of parts as ``likelihood__scale=0.5``.

        A part that is named by a string is replaced by an object: ``likelihood="gaussian"`` becomes
        ``Gaussian(scale=0.5)``.

        Parameters
        ----------
        **params
            Values by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such field or hyperparameter, or a field holds nothing that has hyperparameters.

        Examples
        --------
        >>> from isthmus import VAE
        >>> VAE().set_params(likelihood__scale=0.5).likelihood
        Gaussian(scale=0.5)
        """
        fields = self._get_param_names()
        nested = {key: value for key, value in params.items() if "__" in key and key.partition("__")[0] in fields}
        super().set_params(**{key: value for key, value in params.items() if key not in nested})
        for key, value in nested.items():
            field, _, name = key.partition("__")
            current = getattr(self, field)
            part: Any = self._named_part(field) if isinstance(current, str) else current
            if not hasattr(part, "set_params"):
                named = f" ({', '.join(find(PART_MODULES[field]))})" if field in PART_MODULES else ""
                raise ValueError(f"{key}: {field}={current!r} has no parameters; set {field}{named} as well.")
            part.set_params(**{name: value})
            if not isinstance(current, str) or part != self._named_part(field):
                setattr(self, field, part)
        return self

    def _named_part(self, field: str) -> Part | None:
        """Return the part that a field names, or None if it names none."""
        cls = find(PART_MODULES[field]).get(getattr(self, field)) if field in PART_MODULES else None
        if cls is None:
            return None
        sizes = self._network_fields() if field == "network" else {}
        return cls(**{name: value for name, value in sizes.items() if name in cls.parameter_names()})

    def _network_fields(self) -> dict[str, Any]:
        """Return the fields that a network takes if it is named by a string."""
        return {
            "hidden_layer_sizes": layer_sizes(self.hidden_layer_sizes),
            "activation": self.activation,
            "image_shape": self.image_shape,
        }


def layer_sizes(hidden_layer_sizes: Any) -> tuple[Any, ...]:
    """Return the widths of hidden layers, unchecked, as a tuple; one number is one layer."""
    return tuple(hidden_layer_sizes) if isinstance(hidden_layer_sizes, Iterable) else (hidden_layer_sizes,)


@dataclass_transform(kw_only_default=True, eq_default=False)
def estimator(cls: type[_T]) -> type[_T]:
    """Make a keyword-only dataclass of an estimator, with the shared fields in its docstring.

    The docstring's own "Parameters" section describes what the class adds or defaults otherwise; the rest is
    taken from the classes that the fields come from, so that every text stands in one place.
    """
    made: type[_T] = dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)
    made.__doc__ = _with_parameters(made)
    init: Any = made.__init__
    names = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in names:
                raise TypeError(str(nearest(f"parameter of {made.__name__}", name, names)))
        init(self, *args, **kwargs)

    setattr(made, "__init__", checked)  # noqa: B010 - mypy refuses to assign to a method
    return made


_ENTRY = re.compile(r"^(\w+) : .*(?:\n(?:[ ]+.*)?)*", re.MULTILINE)


def _entries(doc: str) -> dict[str, str]:
    """Return the entries of a numpydoc Parameters section by name."""
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\w[^\n]*\n-+\n|\Z)", inspect.cleandoc(doc), re.DOTALL)
    return {m[1]: m[0].rstrip() for m in _ENTRY.finditer(section[1])} if section else {}


def field_docs(cls: type) -> dict[str, str]:
    """Return the text of every field of an estimator class, by name, in the order of the fields.

    Examples
    --------
    >>> from isthmus import VAE
    >>> print(field_docs(VAE)["beta"].splitlines()[0])
    beta : float or Warmup, default=1.0
    """
    known: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        known |= _entries(base.__dict__.get("__doc__") or "")
    return {f.name: known[f.name] for f in dataclasses.fields(cls)}


def _with_parameters(cls: type) -> str:
    doc = inspect.cleandoc(cls.__doc__ or "")
    section = "Parameters\n----------\n" + "\n".join(field_docs(cls).values())
    pattern = r"Parameters\n-+\n.*?(?=\n\n\w[^\n]*\n-+\n|\Z)"
    return re.sub(pattern, lambda _: section, doc, count=1, flags=re.DOTALL)
