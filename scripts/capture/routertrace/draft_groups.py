"""Writes what was measured about a draft into a trace: the groups `acceptance` and `rounds`."""

import h5py
import numpy as np


def write_acceptance(trace, parts, configurations, temperature, drafter):
    """The parts of kind acceptance; `configurations` (fraction, bits, augmented) are their rows. The draft's own
    probabilities are those of the configuration nearest to `drafter` (fraction, bits)."""
    found = [np.load(path) for path in parts.finished("acceptance")]
    accept, agree, own = (np.concatenate([part[name] for part in found], 1) for name in ("accept", "agree", "own"))
    for name, augmented in (("acceptance", True), ("acceptance_truncated", False)):
        rows = [c for c, configuration in enumerate(configurations) if configuration[2] == augmented]
        if not rows:
            continue
        group = trace.create_group(name)
        group["cache_fraction"] = np.float32([configurations[c][0] for c in rows])
        group["weight_bits"] = np.uint8([configurations[c][1] for c in rows])
        packed = dict(compression="gzip", compression_opts=9, shuffle=True, chunks=(1, min(8192, accept.shape[1])))
        group.create_dataset("accept_probability", data=accept[rows].astype(np.float16), **packed)
        group.create_dataset("greedy_agreement", data=agree[rows].astype(np.uint8), **packed)
        group.attrs.update(
            drafter="elastic self-draft: the most popular experts of each layer (by prefill tokens) resident, INT8 "
                    f"weights {'LSB-augmented' if augmented else 'truncated'} to weight_bits",
            temperature=temperature)
    nearest = min(range(len(configurations)), key=lambda c: (
        not configurations[c][2], abs(configurations[c][1] - drafter[1]), abs(configurations[c][0] - drafter[0])))
    dataset = trace["acceptance"].create_dataset("draft_probability", data=own[nearest].astype(np.float16),
                                                 compression="gzip", compression_opts=9, shuffle=True)
    dataset.attrs.update(cache_fraction=configurations[nearest][0], weight_bits=configurations[nearest][1])


def write_rounds(trace, parts, options):
    """The parts of kind rounds, their positions moved to where their sequences stand in the whole trace."""
    offset, position, rest = 0, [], []
    for number, path in enumerate(parts.finished("rounds")):
        part = np.load(path)
        position.append(part["position"] + offset)
        rest.append([part[name] for name in ("drafted", "accepted", "verify")])
        with h5py.File(parts.path("sequences", number)) as sequences:
            offset += len(sequences["token_ids"])
    drafted, accepted, verify = (np.concatenate(arrays) for arrays in zip(*rest))
    write_round_group(trace, np.concatenate(position), drafted, accepted, verify).attrs.update(
        drafter="elastic self-draft", cache_fraction=options.rounds_fraction, weight_bits=options.rounds_bits,
        temperature=options.temperature)


def write_round_group(trace, position, drafted, accepted, verify):
    """`verify` [rounds, columns, layers, k], -1 in columns that were not drafted."""
    kind = np.int8 if trace.attrs["num_experts"] <= 128 else np.int16
    group = trace.create_group("rounds")
    group["position"], group["drafted"], group["accepted"] = (np.asarray(position, np.int64), drafted, accepted)
    group.create_dataset("verify_expert_ids", data=verify.astype(kind), compression="gzip", compression_opts=9,
                         shuffle=True, chunks=(min(len(verify), 256), *verify.shape[1:]))
    return group
