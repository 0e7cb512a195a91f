"""Sequences from records, one a token and layer."""

import numpy as np

from .importing import Piece
from .refusal import INPUT, Refusal

LARGEST = 1 << 31


class Sequence:
    """The arrays of one sequence, filled record by record."""

    def __init__(self, path, found):
        self.path, self.first = path, found[0][1]
        self.tokens, self.layers = (sorted({record[key] for _, record in found}) for key in ("token", "layer"))
        self.top_k = len(self.first["experts"])
        self.ids = np.full((len(self.tokens), len(self.layers), self.top_k), -1, np.int64)
        self.filled = np.zeros(self.ids.shape[:2], bool)
        self.weights = np.zeros(self.ids.shape, np.float32)
        self.per_token = {name: np.full(len(self.tokens), -1, np.int64) for name in ("token_id", "phase")}
        row, column = ({value: i for i, value in enumerate(values)} for values in (self.tokens, self.layers))
        for place, record in found:
            self._add(place, record, (row[record["token"]], column[record["layer"]]))
        holes = np.argwhere(~self.filled)
        if len(holes):
            token, layer = self.tokens[holes[0][0]], self.layers[holes[0][1]]
            raise Refusal(INPUT, f"{path}: sequence {self.first['sequence']} lacks token {token}, layer {layer}")

    def _add(self, place, record, at):
        if len(record["experts"]) != self.top_k:
            raise Refusal(INPUT, f"{place}: {len(record['experts'])} experts (expected {self.top_k})")
        if not all(-LARGEST <= number < LARGEST for number in (record["token"], record["layer"], *record["experts"])):
            raise Refusal(INPUT, f"{place}: a number past 2^31 (expected a token, a layer and experts)")
        if self.filled[at]:
            raise Refusal(INPUT, f"{place}: token {record['token']}, layer {record['layer']} comes twice")
        for key in ("weights", "token_id", "phase", "label"):
            if (key in record) != (key in self.first):
                raise Refusal(INPUT, f"{place}: {key} in some records of sequence {self.first['sequence']} (expected "
                                     "in all or none)")
        if record.get("label") != self.first.get("label"):
            raise Refusal(INPUT, f"{place}: label {record['label']!r} (expected {self.first['label']!r}, that of the "
                                 "sequence)")
        self.filled[at] = True
        self.ids[at] = record["experts"]
        if "weights" in record:
            self.weights[at] = record["weights"]
        for name, values in self.per_token.items():
            if name not in record:
                continue
            if values[at[0]] not in (-1, record[name]):
                raise Refusal(INPUT, f"{place}: {name} {record[name]} (expected {values[at[0]]}, as in the token's "
                                     "other layers)")
            values[at[0]] = record[name]

    def piece(self):
        arrays = {"expert_ids": self.ids}
        for name, key, values in (("expert_weights", "weights", self.weights),
                                  ("token_ids", "token_id", self.per_token["token_id"]),
                                  ("phase", "phase", self.per_token["phase"])):
            if key in self.first:
                arrays[name] = values
        return Piece(f"{self.path}: sequence {self.first['sequence']}", arrays, str(self.first.get("label", "")),
                     self.layers, self.tokens)
