"""Training steps written down as the operators that torch ran, and run again without modules and autograd around them.

A step of a small network takes longer to arrange than to compute. The tape keeps what is computed: the operators of the
way forward, of the way back and of the optimizer, in their order, on the same numbers. So a step that is run from it
gives the bits of the plain one, draws included.
"""

from __future__ import annotations

import operator
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode

from isthmus._batch import Batch
from isthmus.engine.capture.captured_step import Step

__all__ = ["capture_operator_graph"]

_FRESH = {"aten::empty_like", "aten::empty_strided", "aten::new_empty_strided"}  # memory without numbers in it
_ARITHMETIC = {f"aten::{name}{end}" for name in ("add", "sub", "mul", "div") for end in ("", "_")}
_VARIES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class _Call(NamedTuple):
    """An operator that ran, on what, and what it gave."""

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class _OpRecorder(TorchDispatchMode):
    """Notes every operator that runs inside the block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[_Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it imports torch's compiler, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.lift_fresh.default:  # a number of Python's becomes a tensor, that may be written to
            func, args = torch.ops.aten.clone.default, (args[0].clone(),)
        if torch.Tag.inplace_view not in func.tags:
            result = func(*args, **kwargs)
            self.calls.append(_Call(func, args, kwargs, result))
            return result
        # It gives a tensor another form: written down is the view of that form, of the tensor as it was till now.
        tensor, before = args[0], torch.ops.aten.alias.default(args[0])
        self.calls = [
            _Call(call[0], *map_aggregate(call[1:], lambda leaf: before if leaf is tensor else leaf))
            for call in self.calls
        ]
        result = func(*args, **kwargs)
        view = getattr(torch.ops.aten, func._schema.name.removeprefix("aten::").removesuffix("_"), func)
        self.calls.append(_Call(getattr(view, func._overloadname, func), (before, *args[1:]), kwargs, result))
        return result


def capture_operator_graph(step: Step, batch: Batch, progress: Tensor) -> tuple[Tensor, Step | None]:
    """Take a step; return its result, and what takes such a step with other batches.

    That is None where the step cannot be written down: what it does hangs on numbers that it computes.

    Parameters
    ----------
    step : callable
        Takes a batch and the share of training done. Whatever else it reads and writes stays in the same memory.
    batch : Batch
        The rows.
    progress : Tensor of shape ()
        The share of training done, in memory of its own.
    """
    with _OpRecorder() as recorder:
        result = step(batch, progress)
    if any(_is_data_dependent(call) for call in recorder.calls):
        return result, None
    try:
        return result, _GraphBuilder(batch).to_graph(recorder.calls, result)
    except NotImplementedError:  # an argument that a graph has no form for
        return result, None


def _is_data_dependent(call: _Call) -> bool:
    """Tell whether a call, or what comes after it, may be another one with other numbers."""
    if call.operator is torch.ops.aten.index.Tensor:
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in call.args[1])
    return torch.Tag.inplace_view in call.operator.tags or not _VARIES.isdisjoint(call.operator.tags)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensor_key(tensor: Tensor) -> tuple[Any, ...]:
    """Return which numbers a tensor is of: autograd wraps the same ones in several tensors."""
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_aggregate(value, lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None)
    return found


class _GraphBuilder:
    """The graph of a step: its inputs are the batch's fields and what was there before it."""

    def __init__(self, batch: Batch) -> None:
        self.graph = fx.Graph()
        self.nodes: dict[tuple[Any, ...], fx.Node] = {}
        self.constants: list[Tensor] = []
        self.given: set[int] = set()  # memory of the batch
        self.made: set[int] = set()  # memory of what the step has computed so far
        for name, field in zip(batch._fields, batch, strict=True):
            if field is not None:
                self.nodes[_tensor_key(field)] = self.graph.placeholder(name)
                self.given.add(_storage(field))
        self.head = self.graph.call_function(operator.pos, (0,))  # inputs that are found later go before it

    def to_graph(self, calls: list[_Call], result: Tensor) -> Step:
        """Write the calls down; return what runs them."""
        last = {_storage(tensor): i for i, call in enumerate(calls) for tensor in _tensors((call.args, call.kwargs))}
        empty: set[tuple[Any, ...]] = set()
        for i, call in enumerate(calls):
            if call.operator._schema.name in _FRESH:
                empty.add(_tensor_key(call.result))
            elif self._moves(call, empty) and last[_storage(call.args[1])] == i:
                # Autograd copies a gradient that somebody else holds, as the listener did: there is no need to.
                self.nodes[_tensor_key(call.args[0])] = self.node(call.args[1])
                self.made.add(_storage(call.args[0]))
            else:
                self._write(call)
        self.graph.output(self.node(result))
        self.graph.eliminate_dead_code(_is_impure)
        run = fx.GraphModule(nn.Module(), self.graph).forward
        constants = self.constants

        def replay(batch: Batch, progress: Tensor) -> Tensor:  # noqa: ARG001 - it is among the constants
            with torch.inference_mode():
                row = run(*(field for field in batch if field is not None), *constants)
            return row.clone()  # a tensor like others

        return replay

    def _moves(self, call: _Call, empty: set[tuple[Any, ...]]) -> bool:
        """Tell whether a call copies numbers that the step made into fresh memory of the same form."""
        if call.operator is not torch.ops.aten.copy_.default:
            return False
        to, source = _tensor_key(call.args[0]), _tensor_key(call.args[1])
        return to in empty and to[2:] == source[2:] and source[0] in self.made

    def _write(self, call: _Call) -> None:
        results = _tensors(call.result)
        if call.operator.is_view:
            if all(_tensor_key(tensor) in self.nodes for tensor in results):
                return
            if self.made.isdisjoint(map(_storage, results)) and self.given.isdisjoint(map(_storage, results)):
                return  # what stays where it is has views that stay: each is an input when it is used
        args, kwargs = map_aggregate(
            (call.args, call.kwargs), lambda leaf: self.node(leaf) if isinstance(leaf, Tensor) else leaf
        )
        node = self._call(call.operator, self._with_tensor(call, args), kwargs)
        node.meta["acts"] = call.operator._schema.is_mutable or torch.Tag.nondeterministic_seeded in call.operator.tags
        if isinstance(call.result, Tensor):
            self._made(call.result, node)
        elif isinstance(call.result, (list, tuple)):
            for i, tensor in enumerate(call.result):
                if isinstance(tensor, Tensor):
                    self._made(tensor, self.graph.call_function(operator.getitem, (node, i)))

    def _with_tensor(self, call: _Call, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments with a tensor for a number: torch would make one, and cast it, in every step."""
        if call.operator._schema.name not in _ARITHMETIC or len(args) < 2 or type(args[1]) not in (int, float):
            return args
        if not isinstance(call.args[0], Tensor) or call.args[0].dtype not in (torch.float32, torch.float64):
            return args  # of bf16, say: the number itself is not rounded to that
        return args[0], self.node(call.args[0].new_tensor(args[1])), *args[2:]

    def _call(self, target: Any, args: Any, kwargs: Any) -> fx.Node:
        """Call an operator by torch's compiled function or method, where there is one: they read arguments faster."""
        name = target._schema.name.removeprefix("aten::")
        function, method = getattr(torch, name, None), getattr(Tensor, name, None)
        gaps = any(isinstance(arg, (list, tuple)) and None in arg for arg in args)  # they want lists of tensors whole
        if isinstance(function, BuiltinFunctionType) and not gaps:
            return self.graph.call_function(function, args, kwargs)
        if isinstance(method, MethodDescriptorType) and not gaps:
            return self.graph.call_method(name, args, kwargs)
        return self.graph.call_function(target, args, kwargs)

    def _made(self, tensor: Tensor, node: fx.Node) -> None:
        if _tensor_key(tensor) not in self.nodes:  # it is there already where it was written in its own memory
            self.nodes[_tensor_key(tensor)] = node
            self.made.add(_storage(tensor))

    def node(self, tensor: Tensor) -> fx.Node:
        """Return the node of a tensor; one that nothing in the step has made is a new input."""
        place = _tensor_key(tensor)
        if place not in self.nodes:
            with self.graph.inserting_before(self.head):
                self.nodes[place] = self.graph.placeholder(f"constant_{len(self.constants)}")
            self.constants.append(tensor.detach())
        return self.nodes[place]


def _is_impure(node: fx.Node) -> bool:
    """Tell whether a node does more than to give its result: it writes, or draws."""
    return node.op in ("placeholder", "output") or bool(node.meta.get("acts"))
