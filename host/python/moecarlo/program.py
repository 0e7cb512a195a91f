"""The program `moecarlo`: where it is, and running a study with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Union

from moecarlo.study import Study

if TYPE_CHECKING:
    from moecarlo.results import Results

PathLike = Union[str, "os.PathLike[str]"]


class MoecarloError(RuntimeError):
    """The program refused something or failed; the text is its one line.

    `status` is its exit status: 2 wrong usage or study, 3 an input file is refused, 4 the machine failed, 75 stopped
    after a checkpoint.
    """

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.status = status


def program() -> Path:
    """The program: $MOECARLO, else the one installed with this package, else the first on the path."""
    if own := os.environ.get("MOECARLO"):
        return Path(own)
    installed = Path(sysconfig.get_path("scripts")) / "moecarlo"
    if installed.is_file():
        return installed
    found = shutil.which("moecarlo")
    if found is None:
        raise FileNotFoundError("moecarlo: no such program (install it, or say where it is in $MOECARLO)")
    return Path(found)


def program_output(*arguments: PathLike) -> str:
    """Runs the program; what it prints on stdout. Raises MoecarloError where it fails."""
    command = [str(program()), *(os.fspath(each) for each in arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise MoecarloError(lines[-1] if lines else f"moecarlo: status {done.returncode}", done.returncode)
    return done.stdout


def run(study: Study | PathLike, output: PathLike, *, resume: bool = False, force: bool = False,
        **options: str | int) -> Results:
    """Simulates a study, given as a `Study` or as the path of a study file, into the folder `output`.

    `options` are those of `moecarlo simulate` by their long names: backend="cpu", threads=4, trajectories=1000, seed=1,
    time_limit="20m". `resume` goes on from a checkpoint there, `force` replaces results that are there.
    """
    from moecarlo.results import Results

    arguments: list[PathLike] = ["-o", output]
    if resume:
        arguments.append("--resume")
    if force:
        arguments.append("--force")
    for name, value in options.items():
        arguments += ["--" + name.replace("_", "-"), str(value)]
    if not isinstance(study, Study):
        program_output("--quiet", "simulate", study, *arguments)
        return Results(output)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        study.write(file)
        program_output("--quiet", "simulate", file, *arguments)
    return Results(output)
