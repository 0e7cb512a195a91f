#!/usr/bin/env python3
"""Makes a trace of what engines, servers and tools say about routing; what a file is, is seen from its content.

    import_trace.py answer.json -o trace.h5 --model my-model --experts 128 --top-k 8
    import_trace.py dumps/*.npz -o trace.h5 --model my-model --experts 128
    import_trace.py logits.safetensors -o trace.h5 --model my-model --top-k 8 --scoring sigmoid --renormalize \\
        --groups 8 --top-k-groups 4 --selection-bias ./model
    import_trace.py dump.npz -o trace.h5 --model my-model --experts 64 --map picked=layers,tokens,k
    import_trace.py expert_distribution_rank*.pt -o loads.csv --top-k 8

What it reads, and in [] where the layout is known from:
{table}
The name of a format, or of what writes it ({aliases}),
may stand before the files: they have to be of it then.
Several files are so many sequences, or layers where --map names neither them nor {{layer}}; counts are added up.
Layers that are 0 or -1 throughout are placeholders of dense ones and left out; rows that are so in every layer (a cached
prefix, a request's last token) are cut, as are tokens without a row; how many is said. A misspelt name is refused.
NumPy and h5py only. Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing
from routertrace import axes, counts, formats
from routertrace.importing import layers_of_files, write_trace
from routertrace.keys import Notes
from routertrace.model_options import add_model_options
from routertrace.output import expect_new
from routertrace.progress import Progress
from routertrace.refusal import INPUT, USAGE, Refusal, run


def named_format(options):
    """The format that stands before the files, or None."""
    first = str(options.files[0])
    if first not in (*formats.NAMES, *formats.ALIASES) or options.files[0].exists():
        return None
    if len(options.files) == 1:
        raise Refusal(USAGE, f"no file (expected one after {first})")
    options.files = options.files[1:]
    return first


def check_format(path, wanted, name, found):
    """An engine's arrays are those of any tool, and what its recorder counts are counts."""
    fitting = {name, *("vllm", "sglang") * (name == "arrays"), *("sglang",) * (name == "sglang-recorder"),
               *("counts",) * isinstance(found, formats.Counts)}
    if wanted and formats.ALIASES.get(wanted, wanted) not in fitting:
        raise Refusal(INPUT, f"{path}: {name} (expected {wanted})")


def write_counts(options, tables, notes):
    total = counts.added(tables)
    empty = [str(layer) for layer, row in total.items() if not row.any()]
    total = {layer: row for layer, row in total.items() if row.any()}
    if empty:
        notes.say(f"{options.files[0]}: layers {', '.join(empty)} left out: no tokens, so placeholders of dense layers")
    experts = len(next(iter(total.values())))
    if options.output.suffix != ".csv":
        raise Refusal(INPUT, f"{options.files[0]}: counts of {len(total)} layers and {experts} experts without the routing "
                             "of a token, of which no trace can be made (expected -o LOADS.csv: a table, and what moecarlo "
                             "synth has to be told; or --map, where an array's axes are others)")
    if options.experts not in (None, experts):
        raise Refusal(USAGE, f"--experts {options.experts} (expected {experts}, as in {options.files[0]})")
    exponent = counts.zipf(total, options.top_k) if options.top_k else None
    counts.write(options.output, total)
    synth = f"moecarlo synth -o synthetic.h5 --layers {len(total)} --experts {experts}"
    print(f"{options.output}: tokens per expert, {len(total)} layers of {experts} experts; " + (
        f"as uneven: {synth} --top-k {options.top_k} --zipf {exponent:.3g}" if exponent is not None else
        "with --top-k it is said how moecarlo synth makes loads as uneven"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.format(table=formats.TABLE, aliases=", ".join(formats.ALIASES)),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE",
                        help="what to read; the name of a format may stand before")
    add_model_options(parser)
    options = parser.parse_args()
    expect_new(options.output, options.force)
    wanted, notes, progress = named_format(options), Notes(), Progress("files", 2 * len(options.files))

    def read(path):
        name, found = formats.read(path, options, notes)
        check_format(path, wanted, name, found)
        if options.map and name != "arrays":
            raise Refusal(USAGE, f"--map (expected arrays: {path} is {name}, whose axes are known)")
        return found

    def tables():
        for path in options.files:
            found = read(path)
            if not isinstance(found, formats.Counts):
                raise Refusal(INPUT, f"{path}: routing (expected counts, as in {options.files[0]})")
            yield path, found

    def pieces():
        for path in options.files:
            found = read(path)
            if isinstance(found, formats.Counts):
                raise Refusal(INPUT, f"{path}: counts (expected routing, as in {options.files[0]})")
            yield from found
            progress.advance()

    def joined():
        return layers_of_files([list(read(path)) for path in options.files])

    if isinstance(read(options.files[0]), formats.Counts):
        write_counts(options, tables(), notes)
        return
    one_layer_a_file = len(options.files) > 1 and axes.without_layers(options.map)
    write_trace(options, "import_trace.py", joined if one_layer_a_file else pieces)
    progress.close()


if __name__ == "__main__":
    run(main)
