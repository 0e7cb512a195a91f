#!/usr/bin/env python3
"""Exports a sample of expert weights from safetensors as input of `moecarlo bitslice`.

    export_weights.py MODEL -o weights.h5 --layers 0,12,23 --experts 0,7,31

MODEL is a safetensors file or a folder of them (experts stored one by one, stacked, or as the MXFP4 blocks of GPT-OSS).
Without --layers and --experts a few of each are taken, evenly spaced. NumPy and h5py only.

The file, HDF5: root attributes schema = "moecarlo-weights", schema_version = 1, model, source; one group a matrix,
/matrices/NAME, with attributes layer, expert, projection ("gate", "up" or "down") and datasets
  int8      int8 [rows, columns], -127 .. 127; columns = input dimension
  scale     float16 [rows, ceil(columns / 32)]: absmax / 127 of 32 consecutive columns
  original  float16 or float32 [rows, columns], unless --no-original
Exit status: 0 done, 2 wrong usage, 3 the model is refused, 4 the machine failed us.
"""

import argparse
import os
import re
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing
import h5py
import numpy as np

from routertrace import bit_slices
from routertrace.output import add_output, expect_new
from routertrace.progress import Progress
from routertrace.refusal import INPUT, Refusal, run
from routertrace.safetensors_file import SafetensorsFile
from routertrace.trace_file import replace

PROJECTIONS = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down", "w1": "gate", "w3": "up", "w2": "down",
               "linear": "gate", "linear_v": "up", "linear_1": "down"}
ONE = re.compile(r"(?:^|\.)layers\.(\d+)\..*experts\.(\d+)\.(\w+)\.weight$")
STACKED = re.compile(
    r"(?:^|\.)layers\.(\d+)\..*experts\.(gate_up_proj|gate_proj|up_proj|down_proj)(_blocks)?(?:\.weight)?$"
)
FP4 = np.float32([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6])


def decode_mxfp4(blocks, scales):
    """float32 [..., columns] of MXFP4: blocks uint8 [..., n, 16], two values a byte, low half first; scales uint8
    [..., n] are powers of two with bias 127."""
    values = np.stack([FP4[blocks & 15], FP4[blocks >> 4]], -1).reshape(*blocks.shape[:-1], 32)
    return np.ldexp(values, scales.astype(np.int32)[..., None] - 127).reshape(*blocks.shape[:-2], -1)


class Experts:
    """All expert matrices of a model by (layer, expert, projection), read on demand as [rows, columns]."""

    def __init__(self, model):
        self.tensors, self.found = SafetensorsFile(model), {}
        for name in self.tensors:
            one, stacked = ONE.search(name), STACKED.search(name)
            if one and one[3] in PROJECTIONS:
                self.found[int(one[1]), int(one[2]), PROJECTIONS[one[3]]] = (name, None)
            elif stacked:
                self._add_stack(name, int(stacked[1]), stacked[2], bool(stacked[3]))
        if not self.found:
            raise Refusal(INPUT, f"{model}: no expert weights (expected names like "
                                 "layers.0.mlp.experts.0.up_proj.weight, or stacked experts.gate_up_proj)")

    def _add_stack(self, name, layer, kind, packed):
        halves = ("gate", "up") if kind == "gate_up_proj" else (kind.removesuffix("_proj"),)
        # GPT-OSS keeps [experts, inputs, outputs], gate and up interleaved; its blocks are [experts, outputs, n, 16].
        biased = name.replace("_blocks", "") + "_bias" in self.tensors
        for expert in range(self.tensors.shape(name)[0]):
            for half in halves:
                self.found[layer, expert, half] = (
                    name,
                    (expert, half, len(halves) == 2, biased and not packed, biased),
                )

    def read(self, key):
        name, place = self.found[key]
        if place is None:
            return self.tensors[name]
        expert, half, fused, transposed, interleaved = place
        if name.endswith("_blocks"):
            scales = self.tensors[name.removesuffix("_blocks") + "_scales"]
            matrix = decode_mxfp4(self.tensors[name][expert], scales[expert])
        else:
            matrix = self.tensors[name][expert]
        matrix = matrix.T if transposed else matrix
        if not fused:
            return matrix
        if interleaved:
            return matrix[(0 if half == "gate" else 1)::2]
        return np.split(matrix, 2)[0 if half == "gate" else 1]


def spread(values, count):
    """At most `count` of sorted `values`, evenly spaced, first and last included."""
    values = sorted(values)
    return [values[i] for i in sorted({round(i) for i in np.linspace(0, len(values) - 1, min(count, len(values)))})]


def chosen(kind, present, asked, count):
    missing = sorted(set(asked or []) - present)
    if missing:
        raise Refusal(INPUT, f"no {kind} {missing[0]} (expected some of {min(present)} to {max(present)})")
    return set(asked or spread(present, count))


def write_matrix(group, key, matrix, original):
    layer, expert, projection = key
    if not np.isfinite(matrix).all():
        raise Refusal(INPUT, f"layer {layer}, expert {expert}, {projection}: NaN or infinite weights")
    q, scale = bit_slices.quantise(matrix)
    packed = dict(compression="gzip", compression_opts=6, shuffle=True)
    group.attrs.update(layer=layer, expert=expert, projection=projection)
    group.create_dataset("int8", data=q, **packed)
    group.create_dataset("scale", data=scale, **packed)
    if original:
        kind = np.float32 if matrix.dtype != np.float16 and np.abs(matrix).max() > 65504 else np.float16
        group.create_dataset("original", data=matrix.astype(kind), **packed)


def main():
    numbers = lambda text: [int(word) for word in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    add_output(parser, "WEIGHTS")
    parser.add_argument("--layers", type=numbers, help="layer numbers (default: 3, evenly spaced)")
    parser.add_argument("--experts", type=numbers, help="expert numbers (default: 4, evenly spaced)")
    parser.add_argument("--no-original", action="store_true", help="leave out the weights before quantisation")
    parser.add_argument("--model-name", default="")
    parser.add_argument("--source", default="")
    options = parser.parse_args()
    expect_new(options.output, options.force)
    experts = Experts(options.model)
    layers = chosen("layer", {layer for layer, _, _ in experts.found}, options.layers, 3)
    some = chosen("expert", {expert for layer, expert, _ in experts.found if layer in layers}, options.experts, 4)
    keys = sorted(key for key in experts.found if key[0] in layers and key[1] in some)
    temporary = options.output.with_name(f".{options.output.name}.tmp-{os.getpid()}")
    progress = Progress("matrices", len(keys))
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(schema="moecarlo-weights", schema_version=1,
                              model=options.model_name or options.model.name, source=options.source)
            for key in keys:
                layer, expert, projection = key
                write_matrix(file.create_group(f"matrices/layer{layer:03d}.expert{expert:03d}.{projection}"), key,
                             np.ascontiguousarray(experts.read(key)), not options.no_original)
                progress.advance()
        replace(temporary, options.output)
    finally:
        temporary.unlink(missing_ok=True)
    progress.close()


if __name__ == "__main__":
    run(main)
