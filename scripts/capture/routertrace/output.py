"""The file that a script writes: -o, and --force where there is one already."""

from pathlib import Path

from .refusal import USAGE, Refusal


def add_output(parser, metavar):
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help="file to write")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def expect_new(output, force):
    """Before any work is done: what is there already is replaced only where that was said."""
    if output.exists() and not force:
        raise Refusal(USAGE, f"{output}: is there already (-o FILE writes another, --force this one)")
