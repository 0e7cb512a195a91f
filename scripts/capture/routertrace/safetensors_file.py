"""Reads safetensors with NumPy alone: an 8-byte length, a JSON header, raw little-endian data (bfloat16 included)."""

import json
import math
from pathlib import Path

import numpy as np

from .refusal import INPUT, Refusal

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
         "U16": "<u2", "U32": "<u4", "BOOL": "u1"}


def _describes_tensor(entry):
    """Whether an entry of a header says what it has to, and its bytes are those of its shape. A type that is not known
    may have any number of them: it is refused when it is read."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    whole = all(isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
                for numbers in (shape, offsets))
    if not whole or len(offsets) != 2 or offsets[0] > offsets[1]:
        return False
    size = 2 if entry["dtype"] == "BF16" else np.dtype(TYPES.get(entry["dtype"], "V0")).itemsize
    return not size or math.prod(shape) * size == offsets[1] - offsets[0]


class SafetensorsFile:
    """One file, or a folder of them, as a mapping from tensor names to arrays that are read on demand."""

    def __init__(self, path):
        path = Path(path)
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not files:
            raise Refusal(INPUT, f"{path}: no safetensors here (expected *.safetensors)")
        self.path, self.entries = path, {}
        for file in files:
            self._read_header(file)

    def _read_header(self, file):
        size = file.stat().st_size
        with open(file, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= size - 8:
                raise Refusal(INPUT, f"{file}: not a safetensors file (header of {length} bytes in a file of {size})")
            try:
                header = json.loads(stream.read(length))
            except (ValueError, RecursionError) as error:
                raise Refusal(INPUT, f"{file}: not a safetensors file (header is no JSON: {error})") from None
        if not isinstance(header, dict):
            raise Refusal(INPUT, f"{file}: not a safetensors file (header is no JSON object)")
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if not _describes_tensor(entry):
                raise Refusal(INPUT, f"{file}: tensor {name} is {entry!r} (expected dtype, shape and data_offsets that "
                                     "belong together)")
            begin, end = entry["data_offsets"]
            if end > size - 8 - length:
                raise Refusal(INPUT, f"{file}: truncated at tensor {name} (expected {end} bytes of data, "
                                     f"found {size - 8 - length})")
            self.entries[name] = (file, entry["dtype"], entry["shape"], 8 + length + begin, end - begin)

    def __iter__(self):
        return iter(self.entries)

    def __contains__(self, name):
        return name in self.entries

    def shape(self, name):
        return tuple(self.entries[name][2])

    def __getitem__(self, name):
        file, kind, shape, offset, size = self.entries[name]
        if kind == "BF16":
            upper = np.fromfile(file, "<u2", size // 2, offset=offset)
            return (upper.astype(np.uint32) << 16).view(np.float32).reshape(shape)
        if kind not in TYPES:
            raise Refusal(INPUT, f"{file}: tensor {name} has type {kind} (expected one of BF16 {' '.join(TYPES)})")
        return np.fromfile(file, TYPES[kind], size // np.dtype(TYPES[kind]).itemsize, offset=offset).reshape(shape)
