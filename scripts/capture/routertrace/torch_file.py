"""Reads what torch.save writes (a zip of a pickle and of raw storages) with NumPy alone, tensors as arrays.

A pickle is a program: of its instructions those that build plain values are carried out, and of all names those that
stand for a tensor. What the rest would do is never done; sizes are held against the file before anything is read.
"""

import io
import math
import pickle
import zipfile

import numpy as np

from .refusal import INPUT, Refusal, array_file

TYPES = {"IntStorage": "<i4", "LongStorage": "<i8", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
         "BoolStorage": "?", "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2",
         "UInt16Storage": "<u2", "BFloat16Storage": "V2"}
LARGEST_PICKLE = 256 << 20
PLAIN = (pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
         pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE,
         pickle.SHORT_BINUNICODE, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
         pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.BINPUT, pickle.LONG_BINPUT,
         pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPERSID, pickle.REDUCE)


class _Reader(pickle._Unpickler):  # the C one allocates a memo as long as the pickle asks for
    dispatch = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in PLAIN}

    def __init__(self, place, text, storage):
        super().__init__(io.BytesIO(text))
        self.place, self.storage = place, storage

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("collections", "OrderedDict"):  # hooks of a tensor: always an empty one
            return dict
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise Refusal(INPUT, f"{self.place}: asks for {module}.{name} (expected tensors of {', '.join(TYPES)} and plain "
                             "values; nothing else of a pickle is carried out)")

    def _name(self):
        self.append(self.find_class(*(self.readline()[:-1].decode() for _ in range(2))))

    def _name_on_stack(self):
        name, module = self.stack.pop(), self.stack.pop()
        self.append(self.find_class(str(module), str(name)) if type(name) is type(module) is str else None)

    def _reduce(self):
        arguments, function = self.stack.pop(), self.stack.pop()
        if function is dict and arguments == ():
            self.append({})
        elif function == self._tensor and type(arguments) is tuple and len(arguments) in (6, 7):
            self.append(self._tensor(*arguments[:4]))
        else:
            raise Refusal(INPUT, f"{self.place}: calls something (expected tensors and plain values)")

    def _items(self):
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def _item(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def _set(self, target, items):
        if type(target) is not dict or not all(type(key) in (str, int) for key in items[::2]):
            raise Refusal(INPUT, f"{self.place}: keys that are no texts")
        if len(target.keys() | set(items[::2])) != len(target) + len(items[::2]):
            raise Refusal(INPUT, f"{self.place}: a key comes twice in one dictionary")
        target.update(zip(items[::2], items[1::2]))

    dispatch.update({pickle.GLOBAL[0]: _name, pickle.STACK_GLOBAL[0]: _name_on_stack, pickle.REDUCE[0]: _reduce,
                     pickle.SETITEMS[0]: _items, pickle.SETITEM[0]: _item})

    def persistent_load(self, pid):
        if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage" or pid[1] not in TYPES.values() \
                or type(pid[2]) is not str or type(pid[4]) is not int:
            raise Refusal(INPUT, f"{self.place}: a storage of an unknown kind")
        return self.storage(pid[2], np.dtype(pid[1]), pid[4])

    def _tensor(self, storage, offset, size, stride):
        whole = [offset, *size, *stride] if type(size) is type(stride) is tuple else [None]
        if not isinstance(storage, np.ndarray) or not all(type(n) is int and n >= 0 for n in whole) \
                or len(size) != len(stride) or len(size) > 8:
            raise Refusal(INPUT, f"{self.place}: a tensor without a shape (expected offset, sizes and strides)")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))
        if 0 in size:
            return np.empty([min(n, 1 << 20) for n in size], storage.dtype)
        if last >= len(storage) or math.prod(size) > len(storage):
            raise Refusal(INPUT, f"{self.place}: a tensor {list(size)} (found {len(storage)} values in its storage)")
        values = np.lib.stride_tricks.as_strided(storage[offset:], size, [n * storage.itemsize for n in stride],
                                                 writeable=False)
        return (values.copy().view("<u2").astype("<u4") << 16).view("<f4") if values.dtype.kind == "V" else values


def load(path):
    """The value that torch.save was given: dictionaries, lists, texts, numbers, and arrays where it had tensors."""
    size = path.stat().st_size
    with array_file(path), zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1 or len(entries) != len(archive.infolist()):
            raise Refusal(INPUT, f"{path}: no file of torch.save (expected one data.pkl in a zip)")
        folder = pickles[0][:-len("data.pkl")]

        def content(name, most):
            info = entries.get(folder + name)
            if info is None or info.compress_type != zipfile.ZIP_STORED or info.file_size > min(size, most):
                raise Refusal(INPUT, f"{path}: no {name} as torch.save writes it (expected it stored, of {most} bytes "
                                     "at most)")
            return archive.read(info)

        if folder + "byteorder" in entries and content("byteorder", 16) != b"little":
            raise Refusal(INPUT, f"{path}: written on a big-endian machine (expected little)")
        found = {}

        def storage(name, kind, count):
            if name not in found:
                found[name] = content(f"data/{name}", size)
            if count < 0 or len(found[name]) < count * kind.itemsize:
                raise Refusal(INPUT, f"{path}: storage {name} of {count} x {kind} (found {len(found[name])} bytes)")
            return np.frombuffer(found[name], kind, count)

        try:
            return _Reader(path, content("data.pkl", LARGEST_PICKLE), storage).load()
        except (IndexError, AttributeError, pickle.UnpicklingError, RecursionError) as error:
            raise Refusal(INPUT, f"{path}: its pickle is damaged ({error})") from None
