"""Nothing that is not understood is ignored: a misspelt key is refused, another unknown one is noted, once."""

import difflib
import json
import sys

from .refusal import INPUT, Refusal


class Notes:
    """Notes on stderr: at once, or counted over all input and said at the end."""

    def __init__(self):
        self.counts, self.said = {}, set()

    def say(self, line):
        if line not in self.said:
            self.said.add(line)
            print(f"note: {line}", file=sys.stderr, flush=True)

    def count(self, text, number):
        """`text` has a {} for the sum."""
        self.counts[text] = self.counts.get(text, 0) + int(number)

    def close(self, place):
        for text, number in self.counts.items():
            if number:
                self.say(f"{place}: {text.format(number)}")


def refuse_misspelt(place, found, known):
    for key in found:
        meant = [] if key in known else difflib.get_close_matches(str(key), known, 1, 0.8)
        if meant:
            raise Refusal(INPUT, f"{place}: unknown key {key!r} (did you mean {meant[0]!r}?)")


def check_keys(place, found, known, notes):
    """Of the keys `found`, those that are not `known`: refused where one was meant, else noted as not read."""
    refuse_misspelt(place, found, known)
    for key in found:
        if key not in known:
            notes.say(f"{str(place).split(':')[0]}: {str(key)!r} is not read (expected {', '.join(known)})")


def load_json(place, text):
    """A JSON value; a key that stands twice in one object is refused, as one of the two would be ignored."""
    def unique(pairs):
        keys = [key for key, _ in pairs]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None) if len(set(keys)) < len(keys) else None
        if twice is not None:
            raise Refusal(INPUT, f"{place}: key {twice!r} twice in one object")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise Refusal(INPUT, f"{place}: no JSON ({error})") from None
