"""Progress on stderr: a bar on a terminal, elsewhere one plain line every ten seconds."""

import sys
import time


class Progress:
    def __init__(self, what, total, done=0):
        self.what, self.total, self.done = what, total, done
        self.begin = self.last = time.monotonic()
        self.skipped, self.shown = done, None
        self.terminal = sys.stderr.isatty()

    def advance(self, count=1):
        self.done += count
        now = time.monotonic()
        if now - self.last >= (0.2 if self.terminal else 10):
            self.last = now
            self._show()

    def _show(self, end=""):
        self.shown = self.done
        elapsed = time.monotonic() - self.begin
        rate = (self.done - self.skipped) / elapsed if elapsed > 0 else 0
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate > 0 and self.done < self.total else ""
        line = f"{self.what}: {self.done} of {self.total}, {elapsed:.0f} s{left}"
        if self.terminal:
            filled = 30 * self.done // max(1, self.total)
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {line}\033[K", end=end, file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self):
        if self.terminal or self.shown != self.done:
            self._show("\n")
