"""Files of other tools, built from the description of their bytes, and what is in them: the samples of the page of byte
layouts, so that they are read where that page's folder is not at hand."""

import struct
import zipfile

import numpy as np

# ---- RTRACE01 -----------------------------------------------------------------------------------------------------------

PROBABILITIES = {(0, 1): [.5, .25, .125, .125], (0, 2): [.0625, .0625, .375, .5], (1, 1): [.5, .125, .25, .125],
                 (1, 2): [.125, .5, .25, .125], (2, 1): [.125, .125, .25, .5]}


def rtrace(records, experts=4, version=0):
    """`records`: ((token, layer), probabilities)."""
    body = b"".join(struct.pack(f"<ii{len(values)}f", token, layer, *values) for (token, layer), values in records)
    return b"RTRACE01" + struct.pack("<ii", experts, version) + body


# ---- routecap -----------------------------------------------------------------------------------------------------------

RING = dict(ids=np.array([[[5, 2, 5, 0, -1, -1], [3, 6, 0, 3, -1, -1]], [[7, 2, 1, 5, -1, -1], [3, 4, 6, 3, -1, -1]],
                          [[5, 2, -1, -1, -1, -1], [3, 6, -1, -1, -1, -1]]], np.int16),
            steps=np.array([1, 2, 3]), nlayer=2, topk=2, maxrows=3, ring=1024, ctr=4, lost_to_wrap=0)

# ---- torch.save ---------------------------------------------------------------------------------------------------------

STORAGES = {"<i4": "IntStorage", "<i8": "LongStorage", "<f4": "FloatStorage", "|V2": "BFloat16Storage"}


def _pickled(value, arrays):
    """Instructions of protocol 2 that leave `value` on the stack; arrays become tensors on a GPU."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        strides = [n // value.itemsize for n in value.strides]
        storage = b"(" + _pickled("storage", arrays) + b"ctorch\n" + STORAGES[value.dtype.str].encode() + b"\n" + b"".join(
            _pickled(part, arrays) for part in (str(len(arrays) - 1), "cuda:0", value.size)) + b"tQ"
        shape = b"".join(b"(" + b"".join(_pickled(n, arrays) for n in numbers) + b"t" for numbers in (value.shape, strides))
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + shape + b"\x89ccollections\nOrderedDict\n)RtR"
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(part, arrays) for pair in value.items() for part in pair) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(_pickled(part, arrays) for part in value) + b"e"
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    return b"N" if value is None else b"J" + struct.pack("<i", value)


def save_pickle(path, instructions, arrays=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + instructions + b".")
        archive.writestr("archive/byteorder", "little")
        for number, array in enumerate(arrays):
            archive.writestr(f"archive/data/{number}", array.tobytes())


def save_torch(path, value):
    arrays = []
    save_pickle(path, _pickled(value, arrays), arrays)


MAP = np.array([[0, 1, 2, 3, 0]] * 2)


def recorded_passes():
    """Two passes of a model with 4 experts in 5 places: 2 tokens of a prompt, then one that follows."""
    chosen = [[[[0, 1], [4, 3]], [[2, 3], [1, 0]]], [[[0, 3]], [[1, 4]]]]
    records = []
    for number, (ids, tokens) in enumerate(zip(chosen, ([11, 12], [21]))):
        padded = np.pad(np.array(ids, np.int32), ((0, 0), (0, 0), (0, 6)), constant_values=-1)
        counts = np.stack([np.bincount(np.ravel(layer), minlength=5) for layer in ids]).astype(np.int32)
        records.append(dict(forward_pass_id=7 + number, rank=0, gatherer_key="primary", input_ids=tokens,
                            positions=[[0, 1], [2]][number], extend_seq_lens=[[2], None][number],
                            forward_mode=1 + number, misc_objects=[], topk_ids_of_layer=padded,
                            global_physical_count=counts))
    return dict(records=records, last_physical_to_logical_map=MAP)


def counted_passes():
    value = recorded_passes()
    keys = ("forward_pass_id", "rank", "gatherer_key", "global_physical_count")
    return dict(value, records=[{key: record[key] for key in keys} for record in value["records"]])


STAT = dict(rank=0, logical_count=np.array([[[2, 1, 0, 1], [1, 1, 1, 1]], [[1, 0, 0, 1], [0, 2, 0, 0]], [[0] * 4] * 2],
                                           np.int32), average_utilization_rate_over_window=None)

# ---- GGUF ---------------------------------------------------------------------------------------------------------------


def _text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(metadata, tensors, version=3):
    """`metadata`: texts; `tensors`: float32, of which the file states extents in reverse."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(_text(key) + struct.pack("<I", 8) + _text(value) for key, value in metadata)
    data = b""
    for name, values in tensors:
        head += _text(name) + struct.pack(f"<I{values.ndim}QIQ", values.ndim, *values.shape[::-1], 0, len(data))
        data += values.astype("<f4").tobytes().ljust(-(-values.nbytes // 32) * 32, b"\0")
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + data


def importance(counts, more=()):
    """An importance matrix with `counts` [(layer, projection, counts)], and one of a dense map."""
    tensors = [(f"blk.{layer}.ffn_{name}_exps.weight.{part}", np.reshape(values, (-1, 1)) * np.ones((1, width), "<f4"))
               for layer, name, values in counts for part, width in (("in_sum2", 2), ("counts", 1))]
    tensors += [("blk.0.attn_q.weight.counts", np.array([4], "<f4")), *more]
    return gguf([("general.type", "imatrix")], [(name, values.astype("<f4")) for name, values in tensors])


COUNTS = [(0, "gate", [3, 0, 4, 1]), (0, "down", [3, 0, 4, 1]), (1, "gate", [2, 2, 2, 2]), (1, "down", [2, 2, 2, 2])]
