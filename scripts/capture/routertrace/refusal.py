"""One error style for all scripts: one line that says what, where, expected and found, and an exit status."""

import sys

USAGE, INPUT, MACHINE, INTERRUPTED = 2, 3, 4, 75


class Refusal(Exception):
    """Ends the script with one line on stderr and `status`."""

    def __init__(self, status, line):
        super().__init__(line)
        self.status = status


def _machine_failure(error):
    """Whether an OSError is about the machine (no disk, no permission) and not about an input file."""
    return not isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError))


def run(main):
    """Calls main() and leaves with its outcome: 0, or the status of what went wrong. No stack traces."""
    name = sys.argv[0].rsplit("/", 1)[-1]
    try:
        main()
    except Refusal as refusal:
        line, status = str(refusal), refusal.status
    except KeyboardInterrupt:
        line, status = "interrupted; the same command goes on where it stopped", INTERRUPTED
    except MemoryError as error:
        line, status = f"out of memory ({error}); a smaller --batch needs less", MACHINE
    except OSError as error:
        line, status = str(error), MACHINE if _machine_failure(error) else INPUT
    else:
        return
    print(f"{name}: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(status)
