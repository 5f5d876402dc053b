"""Training steps captured as graphs of the operators that torch ran.

In a step of a small network, the Python code of modules, autograd and the optimizer takes longer than the operators.
The graph keeps the operators of the forward pass, the backward pass and the optimizer, in their order and on the same
memory. A replayed step is therefore bit-identical to the eager one, random numbers included.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from isthmus._batch import Batch
from isthmus._torch_private import dispatch_mode, writes

__all__ = ["capture_operator_graph"]

_FRESH = {"empty_like", "empty_strided", "new_empty_strided"}  # return uninitialised memory
_ARITHMETIC = {f"{name}{end}" for name in ("add", "sub", "mul", "div") for end in ("", "_")}
_DATA_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}

Replay = Callable[[Batch], Tensor]
_Key = tuple[Any, ...]


def capture_operator_graph(
    step: Callable[[Batch, list[Tensor]], Tensor], batch: Batch, weights: list[Tensor]
) -> tuple[Tensor, Callable[[], Replay]]:
    """Run a step eagerly; return its result, and a function that builds the replay of such a step.

    Parameters
    ----------
    step : callable
        Takes a batch and weights; everything else that it reads and writes stays in the same memory.
    batch : Batch
        The samples of the step.
    weights : list of Tensor
        Weights of the loss' terms, in memory of their own.

    Raises
    ------
    NotImplementedError
        When building, if what a step does depends on the values of tensors, or if an argument of an operator has no
        form in a graph.
    """
    recorder = _OpRecorder()
    with dispatch_mode(recorder.run):
        result = step(batch, weights)

    def build() -> Replay:
        if recorder.error is not None:
            raise recorder.error
        for call in recorder.calls:
            if _is_data_dependent(call):
                raise NotImplementedError(f"what a step does depends on the values of tensors ({call.operator}).")
        return _GraphBuilder(batch).build(recorder.calls, result)

    return result, build


class _Call(NamedTuple):
    """An operator that ran, its arguments and its result."""

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class _OpRecorder:
    """Record every operator that runs; an error of recording is kept, and the operators run all the same."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.error: Exception | None = None

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator, and record it."""
        if func is torch.ops.aten.lift_fresh.default:  # a Python number becomes a tensor, which may be written to later
            func, args = torch.ops.aten.clone.default, (args[0].clone(),)
        inplace_view = torch.Tag.inplace_view in func.tags
        before = torch.ops.aten.alias.default(args[0]) if inplace_view else None
        result = func(*args, **kwargs)
        try:
            if before is None:
                self.calls.append(_Call(func, args, kwargs, result))
            else:
                self._record_inplace_view(func, args, kwargs, result, before)
        except Exception as error:
            self.error = error
        return result

    def _record_inplace_view(self, func: Any, args: Any, kwargs: Any, result: Any, before: Tensor) -> None:
        """Record an operator that reshapes a tensor in place as a view of the tensor as it was before."""
        self.calls = [
            _Call(call[0], *map_aggregate(call[1:], lambda leaf: before if leaf is args[0] else leaf))
            for call in self.calls
        ]
        view = getattr(torch.ops.aten, _name(func).removesuffix("_"), func)
        overload = func.name().partition(".")[2] or "default"
        self.calls.append(_Call(getattr(view, overload, func), (before, *args[1:]), kwargs, result))


def _name(operator: Any) -> str:
    """Return the name of an operator without its namespace and overload: "add" of ``aten::add.Tensor``."""
    return str(operator.name()).removeprefix("aten::").partition(".")[0]


def _is_data_dependent(call: _Call) -> bool:
    """Return whether a call, or those after it, may differ for other values."""
    if call.operator is torch.ops.aten.index.Tensor:
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in call.args[1])
    return torch.Tag.inplace_view in call.operator.tags or not _DATA_DEPENDENT.isdisjoint(call.operator.tags)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensor_key(tensor: Tensor) -> _Key:
    """Return what identifies the numbers of a tensor: autograd wraps the same ones in several tensors."""
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_aggregate(value, lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None)
    return found


class _GraphBuilder:
    """Build the graph of a step: its inputs are the fields of the batch and all memory that was there before it."""

    def __init__(self, batch: Batch) -> None:
        self.graph = fx.Graph()
        self.nodes: dict[_Key, fx.Node] = {}
        self.constants: list[Tensor | torch.Generator] = []
        self.generators: dict[torch.Generator, fx.Node] = {}
        self.given: set[int] = set()  # memory of the batch
        self.computed: set[int] = set()  # memory of what the step has computed so far
        for name, field in zip(batch._fields, batch, strict=True):
            if field is not None:
                self.nodes[_tensor_key(field)] = self.graph.placeholder(name)
                self.given.add(_storage(field))
        self.head = self.graph.call_function(operator.pos, (0,))  # inputs that are found later go before it

    def build(self, calls: list[_Call], result: Tensor) -> Replay:
        """Return the function that runs the calls on another batch."""
        last_use = {
            _storage(tensor): i for i, call in enumerate(calls) for tensor in _tensors((call.args, call.kwargs))
        }
        empty: set[_Key] = set()
        for i, call in enumerate(calls):
            if _name(call.operator) in _FRESH:
                empty.add(_tensor_key(call.result))
            elif self._is_move(call, empty) and last_use[_storage(call.args[1])] == i:
                # Autograd copies a gradient that others refer to, as the recorder does: a replay needs no copy.
                self.nodes[_tensor_key(call.args[0])] = self.node(call.args[1])
                self.computed.add(_storage(call.args[0]))
            else:
                self._add(call)
        self.graph.output(self.node(result))
        impure = {node for node in self.graph.nodes if node.meta.get("impure")}  # writes to memory or draws numbers
        impure |= {node for node in self.graph.nodes if node.op in ("placeholder", "output")}
        self.graph.eliminate_dead_code(impure.__contains__)
        run = fx.GraphModule(nn.Module(), self.graph).forward
        constants = self.constants

        def replay(batch: Batch) -> Tensor:
            with torch.inference_mode():
                output = run(*(field for field in batch if field is not None), *constants)
            return output.clone()  # a normal tensor, not an inference tensor

        return replay

    def node(self, tensor: Tensor) -> fx.Node:
        """Return the node of a tensor; one that nothing in the step has made is a new input."""
        key = _tensor_key(tensor)
        if key not in self.nodes:
            with self.graph.inserting_before(self.head):
                self.nodes[key] = self.graph.placeholder(f"constant_{len(self.constants)}")
            self.constants.append(tensor.detach())
        return self.nodes[key]

    def _argument(self, leaf: Any) -> Any:
        """Return the node of a tensor or of a generator, of which there is one for each device; else the argument."""
        if isinstance(leaf, torch.Generator):
            if leaf not in self.generators:
                with self.graph.inserting_before(self.head):
                    self.generators[leaf] = self.graph.placeholder(f"constant_{len(self.constants)}")
                self.constants.append(leaf)
            return self.generators[leaf]
        return self.node(leaf) if isinstance(leaf, Tensor) else leaf

    def _is_move(self, call: _Call, empty: set[_Key]) -> bool:
        """Return whether a call copies numbers that the step made into fresh memory of the same shape."""
        if call.operator is not torch.ops.aten.copy_.default:
            return False
        to, source = _tensor_key(call.args[0]), _tensor_key(call.args[1])
        return to in empty and to[2:] == source[2:] and source[0] in self.computed

    def _add(self, call: _Call) -> None:
        """Add a call to the graph."""
        results = _tensors(call.result)
        if call.operator.is_view:
            if all(_tensor_key(tensor) in self.nodes for tensor in results):
                return
            if self.computed.isdisjoint(map(_storage, results)) and self.given.isdisjoint(map(_storage, results)):
                return  # memory that stays where it is has views that stay: each is an input when it is used
        args, kwargs = map_aggregate((call.args, call.kwargs), self._argument)
        node = self._call(call.operator, self._with_tensor(call, args), kwargs)
        node.meta["impure"] = writes(call.operator) or torch.Tag.nondeterministic_seeded in call.operator.tags
        if isinstance(call.result, Tensor):
            self._set_results(call.result, node)
        elif isinstance(call.result, (list, tuple)):
            for i, tensor in enumerate(call.result):
                if isinstance(tensor, Tensor):
                    self._set_results(tensor, self.graph.call_function(operator.getitem, (node, i)))

    def _with_tensor(self, call: _Call, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments with a tensor for a number: torch would make one, and cast it, in every step."""
        if _name(call.operator) not in _ARITHMETIC or len(args) < 2 or type(args[1]) not in (int, float):
            return args
        if not isinstance(call.args[0], Tensor) or call.args[0].dtype not in (torch.float32, torch.float64):
            return args  # for other types, such as bf16, torch does not round the number itself
        return args[0], self.node(call.args[0].new_tensor(args[1])), *args[2:]

    def _call(self, target: Any, args: Any, kwargs: Any) -> fx.Node:
        """Call an operator by torch's compiled function or method, if there is one: they read arguments faster."""
        name = _name(target)
        function, method = getattr(torch, name, None), getattr(Tensor, name, None)
        gaps = any(isinstance(arg, (list, tuple)) and None in arg for arg in args)  # they take no None in lists
        if isinstance(function, BuiltinFunctionType) and not gaps:
            return self.graph.call_function(function, args, kwargs)
        if isinstance(method, MethodDescriptorType) and not gaps:
            return self.graph.call_method(name, args, kwargs)
        return self.graph.call_function(target, args, kwargs)

    def _set_results(self, tensor: Tensor, node: fx.Node) -> None:
        if _tensor_key(tensor) not in self.nodes:  # it is there already if it was written in its own memory
            self.nodes[_tensor_key(tensor)] = node
            self.computed.add(_storage(tensor))
