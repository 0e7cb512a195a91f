"""What the tests of importers share: a routing, how it is written, and how a trace is read back."""

import json
from types import SimpleNamespace

import h5py
import numpy as np

import common

RNG = np.random.default_rng(7)
IDS = common.random_ids(RNG, 30, 3, 16, 4)
WEIGHTS = RNG.dirichlet(np.ones(4), (30, 3)).astype(np.float32)
OPTIONS = SimpleNamespace(top_k=2, experts=None, scoring="softmax", groups=1, selection_bias=None, map=[])
MODEL = ["--model", "tiny", "--experts", 16]


def save_safetensors(path, tensors):
    """The format by hand, so that no package is needed: length, JSON header, data."""
    header, data = {}, b""
    for name, (kind, array) in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class ImporterTest(common.ScriptTest):
    def read(self, name="trace.h5"):
        with h5py.File(self.folder / name) as trace:
            found = {key: value[:] for key, value in trace.items() if isinstance(value, h5py.Dataset)}
            groups = {key: {name: value[:] for name, value in group.items()} for key, group in trace.items()
                      if key not in found}
            return {**found, **groups}, dict(trace.attrs)
