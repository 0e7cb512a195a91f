"""What has to be in one place is there alone: reading what may be hostile, and writing to the terminal."""

import re
import sys
from pathlib import Path

# What stands in no source but these, and why.
ONLY = [
    (r"\bH5(F|G|D|A|O)open|\bH5[AD]read\b", {"host/support/hdf5_stored_*", "host/support/hdf5_write.cpp"},
     "HDF5 files are read in a process of their own, through host/support/hdf5.hpp"),
    (r"\bjson::parse\(|\bJson::parse\(", {"host/support/json_file.cpp", "host/study/speculation_profile.cpp",
                                          "host/report/results/summary.cpp",
                                          "host/report/narrative/simulation_tables.cpp", "host/cli/bench.cpp",
                                          "host/report/narrative/decision.cpp"},
     "JSON of files is read by host/support/json_file.hpp (the others parse what this program or a key of it wrote)"),
    (r"\btoml::parse", {"host/study/table_reader.cpp"}, "TOML is read by parse_toml"),
    (r"\bfmt::print\(|\bprintf\(|\bfputs\(", {"host/cli/terminal.hpp", "host/cli/main.cpp", "host/support/progress.cpp"},
     "commands write through host/cli/terminal.hpp"),
]


ONLY_SCRIPTS = [
    (r"""h5py\.File\((?!.*["']w["'])""", {"scripts/lib/accepted.py", "scripts/capture/routertrace/*"},
     "scripts open HDF5 files through scripts/lib/accepted.py (a capture goes on with the parts that it wrote)"),
]


# Machines are data: where a source names one in a text of its own, and why.
NAMES_A_SYSTEM = {"host/study/study.hpp",  # the reference of studies that name none
                  "hw/reproduce/reproductions.cpp"}  # reproductions are named after papers, as some machines are


def system_names(root):
    """Texts of C++ that are the name of a preset system."""
    names = [re.escape(path.stem) for path in (root / "hw/presets/systems").glob("*.toml")]
    pattern = re.compile(f'"(?:{"|".join(names) or "$^"})"')
    for folder in ("host", "hw"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            name = path.relative_to(root)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if pattern.search(line) and str(name) not in NAMES_A_SYSTEM:
                    yield f"{name}:{number}: a machine by its name (systems are presets)"


def violations(root):
    yield from system_names(root)
    for folder, names, rules in (("host", "*.[ch]pp", ONLY), ("hw", "*.[ch]pp", ONLY), ("scripts", "*.py", ONLY_SCRIPTS)):
        for path in sorted((root / folder).rglob(names)):
            name = path.relative_to(root)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for pattern, places, why in rules:
                    if re.search(pattern, line) and not any(name.match(place) for place in places):
                        yield f"{name}:{number}: {why}"


def main():
    found = list(violations(Path(sys.argv[1])))
    print("\n".join(found) or "all in its place")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
