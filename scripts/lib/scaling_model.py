"""The study of 10^12 trajectories on 1,000 GPUs, on paper from what scripts/scaling measured; and its page.

Assumed, as nothing here has measured it: 8 GPUs a node, 125 nodes, 10 GB/s from node to node. A rate of one GPU is the
newest in results/gpu; everything else is of this machine.
"""

import json
import math

GPUS, PER_NODE, LINK = 1000, 8, 10e9
TRAJECTORIES, ROUNDS, BATCH, DEPTH, LAYERS, EXPERTS, TOKENS = 10**12, 16, 8, 4, 48, 128, 10**6
REPLICATES = 1.4  # two in five trajectories more, for the intervals of the trace
PASS_SECONDS = 5.0  # the longest pass, after which all counts are added up
CHECKPOINT_SECONDS = 300
TALLIES = {"one design point": 1e6, "10^4 design points": 1e8, "10^5 design points": 1e9}  # bytes of counters


def gpu_rate(folder):
    """(steps per second, the file it is from) of LRU replay."""
    newest = max(folder.glob("*.json"), key=lambda path: path.name)
    rates = json.loads(newest.read_text())["bench"]["cuda"]["rates"]
    return next(rate["steps_per_second"] for rate in rates if rate["name"] == "lru"), newest.name


def model(found, gpu_folder):
    rate, source = gpu_rate(gpu_folder)
    steps = TRAJECTORIES * ROUNDS * BATCH * (DEPTH + 1) * LAYERS * REPLICATES
    compute = steps / rate / GPUS
    table = TOKENS * LAYERS * math.ceil(EXPERTS / 64) * 8
    logits = TOKENS * LAYERS * EXPERTS * 2
    hops = math.ceil(math.log2(GPUS / PER_NODE))
    sums = found.get("reduction", {}).get("add_up_bytes_per_second")
    start = max((row["start_seconds"] for row in found.get("ranks", [])), default=None)
    parts = {
        "gpu_rate": rate, "gpu_rate_from": source, "steps": steps, "compute_seconds": compute,
        "passes": math.ceil(compute / PASS_SECONDS),
        "table_bytes": table, "logits_bytes": logits,
        "read_seconds": logits / found["reading"]["bytes_per_second"],
        "read_cached_seconds": logits / found["reading"]["cached_bytes_per_second"],
        "broadcast_seconds": hops * table / LINK,
        "start_seconds": start,
        "largest_count": TRAJECTORIES * REPLICATES * ROUNDS * BATCH * LAYERS * (DEPTH + 1) * 8,
        "tallies": [],
    }
    for name, counters in TALLIES.items():
        add_up = counters / sums + hops * counters / LINK if sums else None
        parts["tallies"].append({
            "study": name, "counter_bytes": counters, "add_up_seconds": add_up,
            "share_of_passes": add_up / (add_up + PASS_SECONDS) if sums else None,
            "moved_bytes": parts["passes"] * counters * (GPUS / PER_NODE - 1),
            "checkpoints": math.ceil(compute / CHECKPOINT_SECONDS)})
    return parts


def table(rows, columns):
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [row[key] for key in columns]
        lines.append("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int)
                                       else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


AXES = {
    "trajectories": "Flat: a trajectory costs what it costs; few of them share the cost of starting a pass.",
    "threads": "Every thread counts for itself; their counters are added up at the end of a pass.",
    "tokens": "Flat until the masks leave the caches: a round reads depth + 1 neighbouring tokens at a random place.",
    "experts": "A pass does its work by chosen expert: dearer with top-k (1/4 of 16 experts, else 6), not with experts, "
               "but for"
               " one more mask word each 64.",
    "layers": "Flat: layers are walked one after the other, and share draws and acceptance.",
    "capacity": "All capacities share one walk back to find what each holds; what is counted of each (hits, fetches,"
                " drafts, writes) is not shared.",
}


def page(found):
    machine, parts = found["machine"], found["model"]
    text = [f"# What a study costs as it grows\n\n{found['version']} on {machine['processor']}, {machine['cores']} cores, "
            f"{machine['date']}, load {machine['load_at_start']:.1f} at the start. Made by `scripts/scaling`.\n\n"
            f"LRU, batch {4}, depth {4}, 16 rounds; of what is not varied: {json.dumps(found['base'])}. A step is one "
            f"window "
            f"token at one layer of a counted trajectory; what replicates, depth 0 and start-up cost is in it. "
            f"`seconds` is the "
            f"simulation alone, `wall` the whole command."]
    if found["quick"]:
        text.append("**This is a quick run, too short for its figures to say much.**")
    for axis, why in AXES.items():
        rows = found[axis]
        text.append(f"## {axis.capitalize()}\n\n{why}\n\n" + table(rows, {
            axis: axis, "seconds": "seconds", "wall_seconds": "wall", "ns_per_step": "ns a step",
            "tallies_bytes": "bytes of tallies.h5"}))
    if found["gpus"]:
        text.append("## GPUs\n\n" + table(found["gpus"], {"gpus": "GPUs", "seconds": "seconds", "wall_seconds": "wall",
                                                           "ns_per_step": "ns a step"}))
    text.append("## Shards\n\nOne after the other, on one thread: every shard reads the trace again.\n\n" + table(
        found["shards"], {"shards": "shards", "sum_of_wall_seconds": "sum of wall", "longest_seconds": "longest",
                          "merge_seconds": "merge"}))
    if "ranks" in found:
        text.append("## MPI\n\n`start`: what a study of one trajectory takes under mpirun beyond itself and `mpirun -n "
                    "N true`.\n\n" + table(
            found["ranks"], {"ranks": "processes", "seconds": "seconds", "ns_per_step": "ns a step",
                             "start_seconds": "start", "mpirun_seconds": "mpirun alone"}))
    if "reduction" in found:
        sums = found["reduction"]
        text.append(f"{sums['bytes'] / 1e9:.2f} GB of counters of {sums['ranks']} processes are added up at "
                    f"{sums['add_up_bytes_per_second'] / 1e9:.2f} GB/s; in the same run one process copies memory at "
                    f"{sums['copy_bytes_per_second'] / 1e9:.2f} GB/s, all together "
                    f"{sums['copy_together_bytes_per_second'] / 1e9:.2f}: the sum reads {sums['ranks']} bytes and "
                    f"writes one, "
                    f"a copy reads one and writes one.")
    reading = found["reading"]
    text.append(f"## Reading\n\n{reading['logits_bytes'] / 1e9:.2f} GB of compressed logits become the packed table at "
                f"{reading['bytes_per_second'] / 1e9:.2f} GB/s of logits, from `--table-cache` at "
                f"{reading['cached_bytes_per_second'] / 1e9:.2f}; a study of one trajectory on a small trace takes "
                f"{reading['start_seconds']:.2f} s.")
    rate = parts["gpu_rate"] / 1e9
    lines = [f"## 10^12 trajectories on 1,000 GPUs, on paper\n\n{LAYERS} layers, {EXPERTS} experts, batch {BATCH}, "
             f"depth {DEPTH}, "
             f"{ROUNDS} rounds, a trace of {TOKENS:,} tokens; {rate:.1f} G steps/s a GPU (`{parts['gpu_rate_from']}`). "
             f"Assumed: "
             f"{PER_NODE} GPUs a node, {LINK / 1e9:.0f} GB/s from node to node.\n",
             f"* {parts['steps']:.2g} steps: {parts['compute_seconds']:.0f} s in {parts['passes']} passes of at most "
             f"{PASS_SECONDS:.0f} s.",
             f"* {parts['logits_bytes'] / 1e9:.0f} GB of logits are read once, {parts['read_seconds']:.0f} s at the "
             f"rate above "
             f"({parts['read_cached_seconds']:.0f} s with `--table-cache`); the packed table of "
             f"{parts['table_bytes'] / 1e9:.2f} GB is "
             f"handed to 125 nodes in {parts['broadcast_seconds']:.1f} s.",
             f"* The largest counter reaches {parts['largest_count']:.1g} of 1.8e19; `--trajectories` ends at 2.8e14."]
    if parts["start_seconds"] is not None:
        lines.append(f"* Start-up beyond mpirun's own: {parts['start_seconds']:.2f} s here.")
    text.append("\n".join(lines))
    if parts["tallies"][0]["add_up_seconds"] is not None:
        text.append(table(parts["tallies"], {
            "study": "study", "counter_bytes": "bytes of counters", "add_up_seconds": "seconds of a sum",
            "share_of_passes": "share of the run", "moved_bytes": "bytes between nodes", "checkpoints": "checkpoints"}))
    text.append("What breaks first: reading, which one process does while 999 wait (convert the trace once, with "
                "`--table-cache`); "
                "then the sums of tallies of a gigabyte, which take a share of each pass that grows with the points; "
                "then memory, "
                "as every process holds its counters and one table each. A checkpoint holds non-zero counters in their "
                "narrowest "
                "integers, at most the bytes above, and is written by process 0 at most every five minutes and in less "
                "than a "
                "hundredth of the time.")
    return "\n\n".join(text) + "\n"
