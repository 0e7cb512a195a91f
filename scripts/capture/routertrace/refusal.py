"""One error style for all scripts: one line that says what, where, expected and found, and an exit status."""

import contextlib
import os
import re
import struct
import sys
import zlib
from tokenize import TokenError
from zipfile import BadZipFile

USAGE, INPUT, MACHINE, INTERRUPTED = 2, 3, 4, 75


class Refusal(Exception):
    """Ends the script with one line on stderr and `status`."""

    def __init__(self, status, line):
        super().__init__(line)
        self.status = status


@contextlib.contextmanager
def array_file(place):
    """Whatever NumPy and its zip reader stumble over while they read an array file is damage of that file."""
    try:
        yield
    except (ValueError, EOFError, KeyError, TypeError, OverflowError, MemoryError, NotImplementedError, SyntaxError,
            RuntimeError, BadZipFile, TokenError, struct.error, zlib.error) as error:
        raise Refusal(INPUT, f"{place}: no array that NumPy can read ({error})") from None
    except OSError as error:
        if error.filename is not None:
            raise
        raise Refusal(INPUT, f"{place}: no array that NumPy can read ({error})") from None


def printable(text, most=1000):
    """One line of no more than this, without what a terminal takes for a command: files say what stands in messages."""
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return text if len(text) <= most else f"{text[:most * 2 // 3]}...{text[-(most // 3 - 3):]}"


def _quiet_about_hdf5(hook):
    """An HDF5 object that cannot be flushed complains whenever it is released, beside the error that matters."""
    def filtered(*arguments):
        value = arguments[0].exc_value if len(arguments) == 1 else arguments[1]
        if "ref count" not in str(value):
            hook(*arguments)
    return filtered


def _describe(error):
    """(line, status) of an error of the machine or of a file."""
    if isinstance(error, MemoryError) or "memory" in str(error)[:200]:
        return f"out of memory ({str(error)[:120]}); a smaller --batch needs less", MACHINE
    text = str(error)
    if "write failed" in text or "Can't write" in text:  # HDF5's long story of a full disk
        name, reason = re.search(r"filename = '(.*?)'", text), re.search(r"error message = '(.*?)'", text)
        return f"{name[1] if name else 'output'}: cannot be written ({reason[1] if reason else text})", MACHINE
    missing = isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError))
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    return text, INPUT if missing else MACHINE


def run(main):
    """Calls main() and leaves with its outcome: 0, or the status of what went wrong. No stack traces but for a bug."""
    sys.excepthook, sys.unraisablehook = _quiet_about_hdf5(sys.excepthook), _quiet_about_hdf5(sys.unraisablehook)
    try:
        main()
    except Refusal as refusal:
        line, status = str(refusal), refusal.status
    except KeyboardInterrupt:
        line, status = "interrupted; the same command goes on where it stopped", INTERRUPTED
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("write failed|out of memory|allocate memory", str(error)):
            raise
        line, status = _describe(error)
    else:
        return
    print(f"{os.path.basename(sys.argv[0])}: {printable(line)}", file=sys.stderr, flush=True)
    os._exit(status)  # HDF5 would try again to flush what it could not
