"""The folder in which a capture keeps what it has finished, so that it can stop anywhere and go on.

Beside OUT.h5 stands OUT.h5.parts/ with `capture.json` (what is being captured) and one file a batch: `sequences-N.h5`
(each a complete trace of its own), `acceptance-N.npz`, `rounds-N.npz`. Every file appears by rename. The folder goes
when the capture is complete.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from .output import expect_new
from .refusal import USAGE, Refusal
from .trace_file import replace


class Parts:
    def __init__(self, output, settings, force=False):
        """`settings`: all that decides what is captured. Parts of another capture are refused."""
        self.output, self.folder, self.settings = Path(output), Path(f"{output}.parts"), settings
        self.mark = self.folder / "capture.json"
        if self.mark.exists():
            found = json.loads(self.mark.read_text())
            other = sorted(key for key in settings.keys() | found.keys() if settings.get(key) != found.get(key))
            if other:
                raise Refusal(USAGE, f"{self.folder}: parts of another capture (other {', '.join(other)}); "
                                     "repeat its command, or delete the folder")
        else:
            expect_new(self.output, force)

    def open(self):
        """Makes the folder, once the model and the prompts are known to be good."""
        if self.mark.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.mark.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.settings, indent=1))
        replace(temporary, self.mark)

    def path(self, kind, number):
        return self.folder / f"{kind}-{number:05d}.{'h5' if kind == 'sequences' else 'npz'}"

    def has(self, kind, number):
        return self.path(kind, number).exists()

    def finished(self, kind):
        """Paths of the parts of one kind, as far as they are there without a gap."""
        number, found = 0, []
        while self.has(kind, number):
            found.append(self.path(kind, number))
            number += 1
        return found

    def save(self, kind, number, **arrays):
        path = self.path(kind, number)
        temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)
            replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self):
        shutil.rmtree(self.folder)
