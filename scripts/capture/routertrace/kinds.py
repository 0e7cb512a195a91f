"""Which script reads a file: what two of them could be given, and only one reads, is refused with that one's name."""

from . import gguf_file, rtrace
from .refusal import INPUT, Refusal

ARRAYS, LOG, COUNTS = "import_arrays.py", "import_log.py", "import_counts.py"
ZIP, ARRAY = b"PK\x03\x04", b"\x93NUMPY"
LOGS = (rtrace.MAGIC, b"MOETRC01")


def reader_elsewhere(path, what, script):
    return Refusal(INPUT, f"{path}: {what} ({script} reads it)")


def counts(path, what):
    """Counts are no routing of tokens, so that no trace can be made of them."""
    return reader_elsewhere(path, f"{what}, tokens per expert without the routing of a token", COUNTS)


def check(path, script):
    """Refuses what another script reads, as far as the first bytes and the suffix say it."""
    with open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(gguf_file.MAGIC) and script != COUNTS:
        raise counts(path, "an importance matrix")
    if head in LOGS and script != LOG:
        raise reader_elsewhere(path, "a routing log", LOG)
    if head.startswith(ZIP) and path.suffix == ".npz" and script != ARRAYS:
        raise reader_elsewhere(path, "an archive of arrays", ARRAYS)
    if head.startswith(ARRAY) and script == LOG:
        raise reader_elsewhere(path, "an array", f"{ARRAYS}, or {COUNTS} where it holds counts,")
    if script == ARRAYS and (head.startswith(ZIP) and path.suffix != ".npz" or head.lstrip()[:1] in (b"{", b"[")):
        raise reader_elsewhere(path, "no array", f"{LOG}, or {COUNTS} where it holds counts,")
