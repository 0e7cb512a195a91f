#!/usr/bin/env python3
"""Builds the training text of the reference model: eight domains, from Debian packages that may be redistributed.

    corpus.py -o build/reference_model          # corpus.npz, prompts.jsonl, texts.jsonl

The packages are downloaded with `apt-get download` into OUT/packages and unpacked there, nothing is installed. One
document in twenty, by a hash of its name, is held out. A byte-level BPE of 4,096 tokens is trained on the rest: bytes
alone would make every word a run of near-certain tokens, which flatters a draft, and a large vocabulary would spend the
small model on its embedding.

corpus.npz: `train_D` and `heldout_D` (uint16 tokens, documents separated by token 0) for each domain D, `tokenizer`
(tokenizer.json, bytes), `card` (JSON: packages, licences, documents, bytes, tokens). prompts.jsonl: {token_ids, label},
cut from held-out documents; texts.jsonl: longer ones of the same, for measure_loss.py.
"""

import argparse
import gzip
import hashlib
import html
import json
import random
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))
from routertrace.refusal import MACHINE, Refusal, run  # noqa: E402

VOCABULARY = 4096
SEPARATOR = "<|end|>"
DOCUMENT_CHARACTERS = 40_000  # longer files are cut into documents of about this length
HELD_OUT = 20  # one document in ...

# Package: its licence, as its copyright file states it.
LICENCES = {
    "manpages": "various free licences (GPL, BSD, Linux man-pages verbatim)",
    "manpages-dev": "various free licences (GPL, BSD, Linux man-pages verbatim)",
    "manpages-de": "GPL-3+ and the licences of the originals",
    "manpages-fr": "GPL-3+ and the licences of the originals",
    "manpages-es": "GPL-3+ and the licences of the originals",
    "perl-doc": "Artistic or GPL-1+",
    "perl-modules-5.36": "Artistic or GPL-1+",
    "python3.11-doc": "PSF-2",
    "libpython3.11-stdlib": "PSF-2",
    "libboost1.74-dev": "BSL-1.0",
    "debian-handbook": "GPL-2+ or CC-BY-SA-3.0",
    "dict-devil": "public domain",
    "dict-jargon": "public domain",
    "dict-gcide": "GPL-2+",
}

# Domain: (package, files, how they are read).
DOMAINS = {
    "prose": [
        ("debian-handbook", "usr/share/doc/debian-handbook/html/en-US/*.html", "html"),
        ("dict-devil", "usr/share/dictd/*.dict.dz", "gzip"),
        ("dict-jargon", "usr/share/dictd/*.dict.dz", "gzip"),
        ("dict-gcide", "usr/share/dictd/*.dict.dz", "gzip"),
    ],
    "documentation": [
        ("manpages", "usr/share/man/man*/*.gz", "man"),
        ("manpages-dev", "usr/share/man/man*/*.gz", "man"),
        ("perl-doc", "usr/share/perl/5.36.0/pod/*.pod", "plain"),
        ("python3.11-doc", "usr/share/info/*.info*.gz", "gzip"),
    ],
    "python": [("libpython3.11-stdlib", "usr/lib/python3.11/**/*.py", "plain")],
    "perl": [("perl-modules-5.36", "usr/share/perl/5.36.0/**/*.pm", "plain")],
    "c++": [("libboost1.74-dev", "usr/include/boost/**/*.hpp", "plain")],
    "german": [
        ("manpages-de", "usr/share/man/de/man*/*.gz", "man"),
        ("debian-handbook", "usr/share/doc/debian-handbook/html/de-DE/*.html", "html"),
    ],
    "french": [
        ("manpages-fr", "usr/share/man/fr/man*/*.gz", "man"),
        ("debian-handbook", "usr/share/doc/debian-handbook/html/fr-FR/*.html", "html"),
    ],
    "spanish": [
        ("manpages-es", "usr/share/man/es/man*/*.gz", "man"),
        ("debian-handbook", "usr/share/doc/debian-handbook/html/es-ES/*.html", "html"),
    ],
}


def unpack(package, folder):
    """Downloads and unpacks a package; its version."""
    target = folder / package
    if not target.exists():
        try:
            subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, capture_output=True)
            archive = next(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive.name, f"{package}.tmp"], cwd=folder, check=True)
            (folder / f"{package}.tmp").rename(target)
        except (OSError, StopIteration, subprocess.CalledProcessError) as error:
            detail = getattr(error, "stderr", None) or b""
            raise Refusal(MACHINE, f"package {package}: cannot be fetched ({error}; {detail.decode(errors='replace')})"
                          ) from None
    archive = next(folder.glob(f"{package}_*.deb"))
    return subprocess.run(["dpkg-deb", "-f", archive.name, "Version"], cwd=folder, check=True, capture_output=True,
                          text=True).stdout.strip()


def strip_man(text):
    """A manual page's text without its roff markup."""
    text = re.sub(r'^[.\'](\\"|TH|if|ie|el|de|nr|ds|so|hy|ad|nh|ft|in|ta|UR|UE|PD).*\n?', "", text, flags=re.M)
    text = re.sub(r"^\.(SH|SS)\s+(.*)", r"\n\2\n", text, flags=re.M)
    text = re.sub(r"^\.[A-Z]{1,2}\s*", "", text, flags=re.M)
    text = re.sub(r"\\f(\[[A-Z]*\]|.)|\\&|\\s[-+]?\d|\\c", "", text)
    text = re.sub(r"\\\((..)", lambda m: {"em": "-", "aq": "'", "dq": '"', "bu": "*", "co": "(c)"}.get(m[1], ""), text)
    text = re.sub(r"\\(.)", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text)


def strip_html(text):
    text = re.sub(r"(?s)<(script|style|head).*?</\1>", "", text)
    text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return re.sub(r"\n\s*\n+", "\n\n", text)


def read(path, form):
    raw = path.read_bytes()
    if form in ("man", "gzip") and raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    text = raw.decode("utf-8", errors="ignore")
    return {"man": strip_man, "html": strip_html}.get(form, str)(text)


def documents(folder, sources, limit):
    """(name, text) of a domain's documents, at most `limit` bytes of them, each source its fair share first."""
    shares = []
    for package, pattern, form in sources:
        found = []
        for path in sorted(p for p in (folder / package).glob(pattern) if p.is_file() and not p.is_symlink()):
            text = read(path, form)
            name = f"{package}/{path.relative_to(folder / package)}"
            for part, begin in enumerate(range(0, len(text), DOCUMENT_CHARACTERS)):
                piece = text[begin:begin + DOCUMENT_CHARACTERS]
                if len(piece) >= 500 and not is_generated(piece):
                    found.append((f"{name}#{part}", piece))
        random.Random(package).shuffle(found)
        shares.append(found)
    chosen, size = [], 0
    while any(shares) and size < limit:
        for found in shares:
            if found:
                chosen.append(found.pop())
                size += len(chosen[-1][1].encode())
    return chosen


def is_generated(text):
    """Tables and unrolled macros: text that packs more than sevenfold teaches nothing but copying."""
    raw = text.encode()
    return len(zlib.compress(raw, 6)) * 7 < len(raw)


def held_out(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little") % HELD_OUT == 0


def train_tokenizer(texts):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[SEPARATOR], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def pack(tokenizer, texts):
    pieces = []
    for encoding in tokenizer.encode_batch(texts):
        pieces += [[0], encoding.ids]
    return np.concatenate([np.asarray(piece, np.uint16) for piece in pieces]) if pieces else np.zeros(0, np.uint16)


def write_prompts(path, heldout, per_domain, length):
    """Prompts in turn from all domains, each from a held-out place of its own."""
    rng = random.Random(1)
    drawn = {
        domain: rng.sample(range(0, len(tokens) // (4 * length)), per_domain) for domain, tokens in heldout.items()
    }
    with open(path, "w") as file:
        for i in range(per_domain):
            for domain, tokens in heldout.items():
                begin = drawn[domain][i] * 4 * length
                ids = tokens[begin:begin + length].tolist()
                file.write(json.dumps({"token_ids": ids, "label": domain}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--megabytes", type=float, default=6.0, help="text per domain at most (6)")
    parser.add_argument("--prompts", type=int, default=9, help="prompts per domain (9)")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--texts", type=int, default=24, help="texts per domain (24)")
    parser.add_argument("--text-tokens", type=int, default=192)
    options = parser.parse_args()
    folder = options.output / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    versions = {package: unpack(package, folder) for package in LICENCES}
    domains = {name: documents(folder, sources, options.megabytes * 1e6) for name, sources in DOMAINS.items()}
    train = {name: [text for title, text in found if not held_out(title)] for name, found in domains.items()}
    held = {name: [text for title, text in found if held_out(title)] for name, found in domains.items()}
    sample = [text for texts in train.values() for text in texts[: max(1, len(texts) // 4)]]
    tokenizer = train_tokenizer(sample)
    arrays, card = {}, {
        "packages": {p: {"version": versions[p], "licence": LICENCES[p]} for p in LICENCES},
        "domains": {},
    }
    for name in DOMAINS:
        arrays[f"train_{name}"], arrays[f"heldout_{name}"] = pack(tokenizer, train[name]), pack(tokenizer, held[name])
        card["domains"][name] = {
            "packages": sorted({package for package, _, _ in DOMAINS[name]}), "documents": len(train[name]),
            "bytes": sum(len(text.encode()) for text in train[name]), "tokens": len(arrays[f"train_{name}"]),
            "heldout_documents": len(held[name]), "heldout_bytes": sum(len(text.encode()) for text in held[name]),
            "heldout_tokens": len(arrays[f"heldout_{name}"])}
        print(f"{name:14} {card['domains'][name]['tokens']:9} tokens, "
              f"{card['domains'][name]['heldout_tokens']:7} held out", flush=True)
    heldout = {name: arrays[f"heldout_{name}"] for name in DOMAINS}
    write_prompts(options.output / "prompts.jsonl", heldout, options.prompts, options.prompt_tokens)
    write_prompts(options.output / "texts.jsonl", heldout, options.texts, options.text_tokens)
    encoded = {"tokenizer": tokenizer.to_str(), "card": json.dumps(card)}
    np.savez_compressed(options.output / "corpus.npz", **arrays,
                        **{k: np.frombuffer(v.encode(), np.uint8) for k, v in encoded.items()})


if __name__ == "__main__":
    run(main)
