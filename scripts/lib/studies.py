"""Studies as tables, run by the program: what the scripts of results/ share."""

import json
import subprocess

import numpy as np


def toml(tables):
    """{table: {key: value}} as a study file."""
    lines = []
    for table, keys in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def run(program, *arguments):
    """Runs the program quietly; raises CalledProcessError, with what it says on stderr."""
    subprocess.run([str(program), "--quiet", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, text=True)


def simulated(program, tables, output):
    """The summary of a study, run into the folder `output`; its file lies beside that."""
    study = output.with_name(output.name + ".toml")
    study.write_text(toml(tables))
    run(program, "simulate", study, "-o", output, "--force")
    return json.loads((output / "summary.json").read_text())


def put_magnitudes(trace, tokens_and_layers, law, channels=32):
    """Writes magnitudes of the inputs of experts, by a stated law, into an open trace: normal values, as behind a norm;
    `uneven`: channels have scales of their own, the same for all tokens, log-normal with sigma 1."""
    rng = np.random.default_rng(7)
    values = np.abs(rng.standard_normal((*tokens_and_layers, channels)))
    if law == "uneven":
        scale = np.exp(rng.standard_normal((1, *values.shape[1:])))
        values *= scale / np.sqrt((scale**2).mean())
    step = values.max(axis=(0, 2)) / 255
    trace["channel_magnitude"] = np.round(values / step[None, :, None]).astype(np.uint8)
    trace["channel_magnitude"].attrs["scale"] = step.astype(np.float32)
