"""Changes of saved files that keep their structure: what a fuzzer of bytes would hardly ever find.

A changed file has the checksum that fits, so that it is read to the end.
"""

from __future__ import annotations

import copy
import json
import math
import random
import struct

import torch

from hostile import join, split
from isthmus import serialization
from isthmus.serialization._container import _checksum
from isthmus.serialization._header import DTYPES
from isthmus.serialization._values import _hints, _own_parts

NAMES = {dtype: name for name, dtype in DTYPES.items()}
WORDS = ["", "a", "auto", "shared", "feature", "decoder", "gaussian", "poisson", "mixed", "none", "standard", "relu"]
WORDS += ["diag", "full", "one_cycle", "cuda", "..", "/etc/passwd", "os.system"]
WORDS += ["\x1b[2J", "a\nb", "\ud800", "x" * 10_000]
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 10**5, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**30]
NUMBERS += [0.1, 0.5, -0.0, 1e308, -1e308, 5e-324]
TAGGED = [{"float": "nan"}, {"float": "inf"}, {"float": 1}, {"list": [1, 2]}, {"list": 3}]
TAGGED += [{"dict": [[1, 2]]}, {"dict": [1]}]


def any_value(rng: random.Random, depth: int = 0) -> object:
    """Return a JSON value."""
    simple = [
        lambda: rng.choice(WORDS),
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice([None, True, False]),
        lambda: copy.deepcopy(rng.choice(TAGGED)),
        lambda: rng.choice([[], {}, [1] * rng.choice([1, 4, 1000]), [[0], [1]], [0, 1, 2, 3]]),
    ]
    nested = [
        lambda: [any_value(rng, depth + 1) for _ in range(rng.randrange(4))],
        lambda: {rng.choice(WORDS): any_value(rng, depth + 1) for _ in range(rng.randrange(3))},
        lambda: any_part(rng, depth),
    ]
    return rng.choice(simple + nested if depth < 3 else simple)()


def any_part(rng: random.Random, depth: int = 0) -> dict[str, object]:
    """Return a part, or something like it, with some of its parameters."""
    cls = rng.choice(list(_own_parts().values()))
    names = [name for name in _hints()[cls] if name not in ("return", "args", "kwargs")]
    chosen = rng.sample(names, rng.randint(0, len(names)))
    return {"part": cls.__name__, "params": {name: any_value(rng, depth + 1) for name in chosen}}


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Return the paths of all values inside a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def get(value: object, path: tuple) -> object:
    for key in path:
        value = value[key]
    return value


def change_json(rng: random.Random, root: dict, known: list[tuple] | None = None) -> None:
    """Change one value inside a JSON object in place; `known` are its :func:`places`, if they are known."""
    found = known or places(root)
    _change_at(rng, root, rng.choice(found), found)


def changed_json(rng: random.Random, root: dict, known: list[tuple]) -> dict:
    """Return a JSON object with one value changed, which shares most of the others with `root`.

    `known` are the places of the object before earlier changes: nothing changes at a place that is not there any more.
    """
    path = rng.choice(known)
    try:
        copied = _copied_along(root, path[:-1])
        _change_at(rng, copied, path, known)
    except (LookupError, TypeError):
        return root
    return copied


def _copied_along(root: dict, path: tuple) -> dict:
    """Return a copy of a JSON object in which no container on the way to a place is shared with `root`."""
    copied = inner = root.copy()
    for key in path:
        inner[key] = inner[key].copy() if isinstance(inner[key], (dict, list)) else None
        inner = inner[key]
    return copied


def _change_at(rng: random.Random, root: dict, path: tuple, known: list[tuple]) -> None:
    parent, key = get(root, path[:-1]), path[-1]
    old, kind = parent[key], rng.randrange(9)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = copy.deepcopy(get(root, rng.choice(known)))
    elif kind == 2:
        parent[key] = rng.choice([[old], {"list": [old]}, {"dict": [[old, old]]}, {"a": old}])
    elif kind == 3 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(old))
    elif kind == 3:
        parent[rng.choice(WORDS)] = copy.deepcopy(old)
    elif kind == 4 and isinstance(old, (int, float)):
        parent[key] = rng.choice([old + 1, old - 1, -old, old * 1000, old * 0.5, float(old), bool(old)])
    elif kind == 5 and isinstance(old, str):
        parent[key] = rng.choice([old * 3, old[:-1], old.upper(), "\x1b" + old])
    elif kind == 6:
        parent[key] = any_part(rng)
    else:
        parent[key] = any_value(rng)


def change_tensors(rng: random.Random, tensors: dict[str, torch.Tensor]) -> None:
    """Change one tensor in place."""
    if not tensors:
        return
    name = rng.choice(list(tensors))
    tensor, kind = tensors[name], rng.randrange(8)
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[rng.choice([*WORDS, name + "x", *tensors])] = tensors.pop(name)
    elif kind == 2:
        tensors[name] = tensor.to(rng.choice(list(NAMES)))
    elif kind == 3:
        tensors[name] = tensor.reshape(rng.choice([(-1,), (1, -1), (-1, 1), tuple(tensor.shape)[::-1]]))
    elif kind == 4:
        tensors[name] = tensor[:0] if tensor.ndim else tensor.reshape(1)
    elif kind == 5:
        tensors[name] = torch.cat([tensor, tensor]) if tensor.ndim else tensor
    elif tensor.numel():
        values = [math.nan, math.inf, -math.inf, 0.0, -1.0, 3e38, 1e-45, 1e300]
        flat = tensor.double().reshape(-1).clone()
        flat[rng.randrange(len(flat)) if rng.random() < 0.7 else slice(None)] = rng.choice(values)
        tensors[name] = flat.reshape(tensor.shape).to(tensor.dtype)


def change_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Change the bytes of a file; the checksum stays."""
    data, at = bytearray(raw), rng.randrange(max(1, len(raw)))
    kind = rng.randrange(6)
    if kind == 0:
        del data[at:]
    elif kind == 1:
        data[at:at] = rng.randbytes(rng.choice([1, 8, 100]))
    elif kind == 2:
        del data[at : at + rng.choice([1, 8, 100])]
    elif kind == 3:
        lengths = [0, 1, 2**31, 2**62, 2**64 - 1, len(raw), max(0, len(raw) - 8), rng.randrange(len(raw))]
        data[:8] = struct.pack("<Q", rng.choice(lengths))
    else:
        for _ in range(rng.choice([1, 1, 4])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def signed(header: dict, tensors: dict[str, torch.Tensor]) -> bytes:
    """Return a file with these metadata and tensors, and the checksum that fits."""
    metadata = {name: text for name, text in header.items() if name != "checksum"}
    body, entries = bytearray(), {}
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        offsets = [len(body), len(body) + len(content)]
        entries[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        body += content
    try:
        metadata["checksum"] = _checksum(metadata, tensors)
    except UnicodeEncodeError:  # a name that is no text: the file is read no further than it
        metadata["checksum"] = "0"
    return join({"__metadata__": metadata, **entries}, bytes(body))


def mutated(rng: random.Random, path) -> bytes:
    """Return the bytes of a saved file with one to four changes."""
    raw, kind = path.read_bytes(), rng.randrange(10)
    if kind == 0:
        return change_bytes(rng, raw)
    if kind == 1:
        header, body = split(raw)
        change_json(rng, header)
        return join(header, body)
    with serialization.open_saved(path) as file:
        tensors, metadata = {name: tensor.clone() for name, tensor in file.read_tensors().items()}, file._metadata
    description = json.loads(metadata["isthmus"])
    for _ in range(rng.choice([1, 1, 2, 4])):
        if rng.random() < 0.75:
            change_json(rng, description)
        else:
            change_tensors(rng, tensors)
        if not description:
            break
    return signed(metadata | {"isthmus": json.dumps(description)}, tensors)
