#!/usr/bin/env python3
"""The name under which import_trace.py was known first, for arrays."""

from import_trace import main, run

if __name__ == "__main__":
    run(main)
