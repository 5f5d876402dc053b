"""The architecture: imports point down a table of layers, without cycles, and classes are abstract or final.

A unit is a module or a package directly below `isthmus`. Every failure names the file and the line.
"""

import ast
import dataclasses
import functools
import graphlib
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import isthmus

SOURCE = Path(isthmus.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# unit -> layer; private units are in layer 0
LAYERS = {
    "serialization": 0,
    "networks": 1,
    "likelihoods": 1,
    "posteriors": 1,
    "priors": 1,
    "corruptions": 1,
    "scaling": 1,
    "optimizers": 1,
    "training": 1,
    "model": 2,
    "kl": 2,
    "penalties": 3,
    "objectives": 4,
    "engine": 5,
    "data": 5,
    "tables": 5,
    "evaluation": 5,
    "initialization": 5,
    "estimators": 6,
    "plots": 6,
    "testing": 6,
    "assessment": 7,
    "metaestimators": 7,
    "export": 8,
    "hub": 8,
    "explorer": 8,
    "report": 8,
    "demo": 9,
    "cli": 10,
    "": 11,  # isthmus/__init__.py, which imports nothing until a name is used
}
ONLY_BELOW = {"engine": 0, "data": 0}  # units that must not know any model: the highest layer that they may import


@functools.cache
def parse(file):
    return ast.parse(file.read_text())


def where(file, node=None):
    path = file.relative_to(SOURCE.parent)
    return str(path) if node is None else f"{path}:{node.lineno}"


def module_name(file):
    parts = ("isthmus", *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(module):
    """Return the unit of a dotted module name, "" for isthmus itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def unit_of_file(file):
    return unit_of(module_name(file))


def layer(unit):
    if unit == "__main__":  # runs the command
        return 11
    return 0 if unit.startswith("_") else LAYERS[unit]


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def nodes(tree):
    """Walk a tree, without the imports that only type checkers read."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        todo += [child for child in ast.iter_child_nodes(node) if not is_for_type_checkers(child)]


def imports(file):
    """Return (node, module) for every import of a file, including those inside functions."""
    found = []
    for node in nodes(parse(file)):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where(file, node)}: imports are absolute."
            if node.module == "isthmus":  # `from isthmus import data` imports the unit data
                found += [(node, f"isthmus.{alias.name}") for alias in node.names]
            else:
                found.append((node, node.module))
    return found


def own_imports(file):
    """Return (node, unit) for imports of isthmus; a name of `isthmus` itself counts for the unit that defines it."""
    result = []
    for node, module in imports(file):
        name = unit_of(module)
        if module.split(".")[0] == "isthmus" and name != "__version__":
            home = isthmus._MODULES.get(name) if name else "isthmus.estimators"  # what `import isthmus` is for
            result.append((node, unit_of(home) if home else name))
    return result


def test_every_unit_has_a_layer():
    found = {unit_of_file(file) for file in FILES if not unit_of_file(file).startswith("_")}
    assert found == LAYERS.keys(), "LAYERS lists the public modules and packages, by the table of layers in the design"


def test_imports_point_down():
    wrong = []
    for file in FILES:
        unit = unit_of_file(file)
        allowed = ONLY_BELOW.get(unit, layer(unit) - 1)
        for node, other in own_imports(file):
            both_lowest = layer(unit) == layer(other) == 0
            if other != unit and not both_lowest and layer(other) > allowed:
                wrong.append(
                    f"{where(file, node)}: {unit or 'isthmus'} (layer {layer(unit)}) imports {other} (layer "
                    f"{layer(other)}), but only layers up to {allowed} are below it."
                )
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles():
    """No two files import one another, not even inside functions, for type checkers, or by way of others."""
    files = {module_name(file): file for file in FILES}
    graph = {}
    for name, file in files.items():
        needs = set()
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.Import):
                needs |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                needs |= {module if module in files else node.module for module in full}
        graph[name] = (needs & files.keys()) - {name}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


# ---- which files may use what -----------------------------------------------------------------------------------


def names_of(node):
    """Return the dotted names that an import or an attribute stands for."""
    if isinstance(node, ast.Attribute):
        return [ast.unparse(node)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def uses(*forbidden, but=(), top_only=False):
    """Return where a forbidden dotted name, or one below it, is used."""
    found = []
    for file in FILES:
        if where(file) in but:
            continue
        tree = parse(file)
        for node in tree.body if top_only else nodes(tree):
            names = [name for name in names_of(node) for word in forbidden if f"{name}.".startswith(f"{word}.")]
            found += [f"{where(file, node)}: {name}" for name in names[:1]]
    return found


def test_autocast_is_not_used():
    """Weights are cast once per step, in engine/precision.py; autocast casts them in every product."""
    assert not uses("torch.autocast", "torch.amp", "torch.cuda.amp")


def test_torch_distributed_is_used_in_one_place():
    """And in the command that starts torchrun."""
    assert not uses("torch.distributed", but=["isthmus/engine/distributed.py", "isthmus/cli/_launch.py"])


def test_scikit_learn_is_used_from_the_estimators_up():
    above = [where(file) for file in FILES if layer(unit_of_file(file)) >= 6 and unit_of_file(file) != "testing"]
    above += ["isthmus/initialization/mixture.py"]
    assert not uses("sklearn", but=[*above, "isthmus/data/bundled.py"])
    assert not uses("sklearn", but=above, top_only=True)  # the bundled data sets import it when one is loaded


def test_optional_libraries_are_imported_inside_functions():
    assert not uses(
        "matplotlib", "pandas", "rich", "jinja2", "pyarrow", "polars", "PIL", "h5py", "uvicorn", top_only=True
    )


def test_parts_do_not_print_log_open_files_or_choose_a_device():
    parts = [file for file in FILES if layer(unit_of_file(file)) in range(1, 5)]
    others = [where(file) for file in FILES if file not in parts]
    assert not uses("logging", "warnings", "torch.cuda", "torch.device", "pathlib", but=others)
    for file in parts:
        for node in nodes(parse(file)):
            wrong = isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "open", "input")
            assert not wrong, f"{where(file, node)}: a part may not print or open files."


# ---- classes and signatures -------------------------------------------------------------------------------------


def modules():
    names = [m.name for m in pkgutil.walk_packages([str(SOURCE)], "isthmus.") if not m.name.endswith("__main__")]
    return [importlib.import_module(name) for name in names]


def own_classes():
    found = {}
    for module in modules():
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                found[cls] = module
    return found


def is_base(cls):
    """Tell whether a class is never instantiated: it has abstract methods, is a protocol, or its docstring says so."""
    return inspect.isabstract(cls) or getattr(cls, "_is_protocol", False) or (cls.__doc__ or "").startswith("Base of")


def test_a_class_is_abstract_or_final():
    for cls in own_classes():
        for base in cls.__mro__[1:]:
            if not base.__module__.startswith("isthmus") or issubclass(base, (tuple, Exception)):
                continue
            allowed = is_base(base) or base.__qualname__ in ("Part", "Fields")
            assert allowed, f"{cls.__module__}.{cls.__qualname__} inherits from the concrete {base.__qualname__}."


def test_abstract_bases_cannot_be_instantiated():
    from isthmus.corruptions import Corruption
    from isthmus.likelihoods import Likelihood
    from isthmus.networks import Network
    from isthmus.objectives import Objective
    from isthmus.penalties import Penalty
    from isthmus.posteriors import Posterior
    from isthmus.priors import Prior
    from isthmus.scaling import Scaling

    for base in (Corruption, Likelihood, Network, Objective, Penalty, Posterior, Prior, Scaling):
        with pytest.raises(TypeError, match="abstract"):
            base()


def public_callables():
    """Yield (name, function) for public functions, classes' __init__ and public methods of public modules' __all__."""
    for module in modules():
        if any(part.startswith("_") for part in module.__name__.split(".")[1:]):
            continue
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                own = [(k, v) for c in value.__mro__ if c.__module__.startswith("isthmus") for k, v in vars(c).items()]
                for attribute, function in own:
                    if inspect.isfunction(function) and (attribute == "__init__" or not attribute.startswith("_")):
                        yield f"{module.__name__}.{name}.{attribute}", function


def test_public_signatures_take_no_arbitrary_keywords():
    for name, function in public_callables():
        if name.endswith(".set_params"):  # scikit-learn's own protocol
            continue
        kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
        assert inspect.Parameter.VAR_KEYWORD not in kinds, f"{name}: no **kwargs in a public signature."


def test_estimators_are_keyword_only_dataclasses():
    from isthmus import estimators

    for name in estimators.__all__:
        cls = getattr(estimators, name)
        parameters = list(inspect.signature(cls).parameters.values())
        assert dataclasses.is_dataclass(cls)
        assert parameters[0].name == "n_components", name
        assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:]), name
        assert [f.name for f in dataclasses.fields(cls)] == [p.name for p in parameters], name
        assert cls.__eq__ is object.__eq__, f"{name}: eq=False"


def test_names_in_all_exist():
    for module in modules():
        private = module.__name__.rsplit(".", 1)[-1].startswith("_")
        exports = getattr(module, "__all__", None)
        assert exports is not None or private, f"{module.__name__} has no __all__."
        for name in exports or []:
            assert hasattr(module, name), f"{module.__name__}.__all__ has {name!r}, which does not exist."
