"""Reads GGUF (llama.cpp), little-endian, versions 2 and 3: metadata, and tensors of float32 on demand."""

import math
import struct

import numpy as np

from .refusal import INPUT, Refusal

MAGIC = b"GGUF"
VALUES = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY, FLOAT32 = 8, 9, 0
LARGEST_HEADER = 64 << 20


class GgufFile:
    """`metadata` by key; names of `tensors`, of which `tensor(name)` reads one."""

    def __init__(self, path):
        self.path, self.size, self.at = path, path.stat().st_size, len(MAGIC)
        with open(path, "rb") as file:
            self.data = file.read(LARGEST_HEADER)
        version, tensors, keys = self._take("<I"), self._take("<Q"), self._take("<Q")
        if not self.data.startswith(MAGIC) or version not in (2, 3):
            raise Refusal(INPUT, f"{path}: version {version} (expected GGUF 2 or 3, little-endian)")
        self.metadata, self.tensors = {}, {}
        for _ in range(keys):
            key, kind = self._text(), self._take("<I")
            self._add(self.metadata, key, self._value(kind))
        for _ in range(tensors):
            name, rank = self._text(), self._take("<I")
            if rank > 4:
                raise Refusal(INPUT, f"{path}: tensor {name} has {rank} dimensions (expected 4 at most)")
            shape = [self._take("<Q") for _ in range(rank)]
            self._add(self.tensors, name, (shape[::-1], self._take("<I"), self._take("<Q")))
        alignment = self.metadata.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1:
            raise Refusal(INPUT, f"{path}: general.alignment is no number above 0")
        self.begin = -(-self.at // alignment) * alignment

    def _add(self, group, name, value):
        if name in group:
            raise Refusal(INPUT, f"{self.path}: {name!r} comes twice")
        group[name] = value

    def _take(self, form):
        size = struct.calcsize(form)
        if self.at + size > len(self.data):
            raise Refusal(INPUT, f"{self.path}: cut off in its header, at byte {len(self.data)}")
        self.at += size
        return struct.unpack_from(form, self.data, self.at - size)[0]

    def _text(self):
        return self._take(f"<{self._bounded(self._take('<Q'))}s").decode("utf-8", "backslashreplace")

    def _bounded(self, count):
        """A number of things that take a byte each at least."""
        if count > len(self.data) - self.at:
            raise Refusal(INPUT, f"{self.path}: {count} bytes or values at byte {self.at} (found "
                                 f"{len(self.data) - self.at} bytes)")
        return count

    def _value(self, kind):
        if kind == TEXT:
            return self._text()
        if kind == ARRAY:
            kind, count = self._take("<I"), self._bounded(self._take("<Q"))
            if kind != ARRAY:
                return [self._value(kind) for _ in range(count)]
        if kind not in VALUES:
            raise Refusal(INPUT, f"{self.path}: a value of type {kind} in its metadata (expected numbers, texts and "
                                 "arrays of them)")
        return self._take(VALUES[kind])

    def tensor(self, name):
        """float32, in C order: the file's first extent is the last one."""
        shape, kind, offset = self.tensors[name]
        count, begin = math.prod(shape), self.begin + offset
        if kind != FLOAT32 or begin + 4 * count > self.size:
            raise Refusal(INPUT, f"{self.path}: tensor {name} {shape} of type {kind} (expected float32 within the file's "
                                 f"{self.size} bytes)")
        return np.fromfile(self.path, "<f4", count, offset=begin).reshape(shape)
