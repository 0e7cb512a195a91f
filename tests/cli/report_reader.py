"""Reads back what a report says: its answer sentence by sentence, its key figures, its tables."""

import math
import re


def unescaped(text):
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


class Report:
    def __init__(self, folder):
        text = (folder / "report.md").read_text()
        lines = text.splitlines()
        self.paragraphs = [unescaped(line[2:]) for line in lines if line.startswith("> ")]
        self.tables, self.notes = {}, [unescaped(line[2:]) for line in lines if line.startswith("- ")]
        caption = None
        for line in lines:
            if line.startswith("**") and line.endswith("**"):
                caption = unescaped(line[2:-2])
                self.tables[caption] = []
            elif line.startswith("|") and caption and not line.startswith(("| ---", "| ---:")):
                cells = [unescaped(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                self.tables[caption].append(cells)

    def table(self, start):
        """Rows of the table whose caption starts so, each {title: cell}; none where there is no such table."""
        for caption, (header, *rows) in self.tables.items():
            if caption.startswith(start):
                return [dict(zip(header, row, strict=True)) for row in rows]
        return []

    def caption(self, start):
        return next((caption for caption in self.tables if caption.startswith(start)), "")


# ---- how numbers are written for people (host/report/results/number_text.hpp) ----

def known(value):
    return value is not None and math.isfinite(value)


def decimals_for(value, significant):
    return min(8, max(0, significant - 1 - math.floor(math.log10(abs(value))))) if value else 0


def number(value, significant=4):
    if not known(value):
        return "n/a"
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{significant - 1}e}"
    text = f"{value:,.{decimals_for(value, significant)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def three_digits(value):
    if not known(value):
        return "n/a"
    size = abs(value)
    return f"{value:,.{3 if size < 0.9995 else 2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def decimals_of(estimate):
    value = estimate["value"]
    widths = [width for width in (estimate["mc_half_width"], estimate["trace_half_width"]) if width]
    return min(decimals_for(min(widths), 1), decimals_for(value, 7)) if widths else decimals_for(value, 4)


def estimate_value(estimate):
    return f"{estimate['value']:,.{decimals_of(estimate)}f}" if known(estimate["value"]) else "n/a"


def half_width(width, decimals):
    return "± n/a" if not known(width) else "± 0" if width == 0 else f"± {width:,.{decimals}f}"


def estimate_cell(estimate, simulation="", trace=""):
    """"1.42 ± 0.01 ± 0.02"."""
    value = estimate["value"]
    if not known(value):
        return "n/a"
    decimals = decimals_of(estimate)
    widths = [half_width(estimate[key], decimals) for key in ("mc_half_width", "trace_half_width")]
    return f"{value:,.{decimals}f} {widths[0]}{simulation} {widths[1]}{trace}"


def estimate_text(estimate):
    """"1.42 ± 0.01 (simulation) ± 0.02 (trace)"."""
    return estimate_cell(estimate, " (simulation)", " (trace)")


def scaled(estimate, factor):
    return {key: None if estimate[key] is None else factor * estimate[key]
            for key in ("value", "mc_half_width", "trace_half_width")}


# ---- designs ----

def bits_text(bits):
    return "" if bits == 8 else f", {bits} bits"


def cache(design):
    """"policy lru, 12 experts per layer, 4 bits"."""
    return f"policy {design['policy']}, {number(design['capacity'])} experts per layer{bits_text(design['bits'])}"


def point_text(point):
    return (f"batch {point['batch']}, depth {point['depth']}, {point['policy']}, {number(point['capacity'])} experts "
            f"per layer{bits_text(point['bits'])}")


def choice(row):
    return f"depth {row['depth']}, {cache(row)}"


def row_text(row):
    return f"{row['system']} with scheme {row['scheme']} ({choice(row)})"
