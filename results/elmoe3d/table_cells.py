"""All cells of the table side by side, for laws that are looked at on a grid: unions and hits as arrays."""

import numpy as np
import table_model as tm

OWN_DRAFTER = ("eagle", "slm")  # the others draft with the target itself


def dense_seconds(machine, model, batch, tokens, bits, near):
    whole = tm.pass_seconds(machine, model, tm.Pass(batch, tokens, 0, 0, (0, 0), (0, 0), bits, bits, near))
    return whole - model.moe_layers * computing(machine, model, tokens, bits)


def computing(machine, model, tokens, bits):
    bits = bits if model.sliceable else model.expert_format["bits"]
    return machine.seconds(0, 0, [(model.expert, tokens * model.top_k, bits)])


class Experts:
    """Seconds of all layers' experts in every cell, from hits and misses."""

    def __init__(self, cells):
        self.floor, self.near, self.home = (np.zeros((3 if i else 1, cells)) for i in range(3))
        self.layers = np.zeros(cells)

    def set(self, at, cell, tokens, bits, hit, miss):
        self.layers[at] = cell.model.moe_layers
        self.floor[0, at] = computing(cell.machine, cell.model, tokens, bits)
        self.near[:2, at] = hit[0] / cell.machine.near, miss[0] / cell.machine.near
        self.home[:2, at] = hit[1] / cell.machine.home, miss[1] / cell.machine.home

    def __call__(self, hits, misses):
        return self.layers * np.maximum.reduce([self.floor[0], hits * self.near[0] + misses * self.near[1],
                                                hits * self.home[0] + misses * self.home[1]])


class Table:
    """The cells side by side."""

    def __init__(self, cells, head_factor=1):
        self.cells = cells
        def column(value):
            return np.array([value(cell) for cell in cells])

        self.batch = column(lambda c: c.batch)
        self.alpha = column(lambda c: c.alpha)
        self.published = column(lambda c: c.published or np.nan)
        self.experts = column(lambda c: float(c.model.experts))
        self.top_k = column(lambda c: float(c.model.top_k))
        self.locality = column(lambda c: c.model.locality)
        self.slots = column(lambda c: c.slots(True))
        self.reference = column(lambda c: tm.reference_seconds(c.model, c.batch))
        self.scheme = column(lambda c: c.scheme)
        self.model = column(lambda c: c.model.name)
        self.gib = column(lambda c: c.gib)
        self.own = np.isin(self.scheme, OWN_DRAFTER)
        self.elastic = self.scheme == "elastic"
        self.verify, self.draft = Experts(len(cells)), Experts(len(cells))
        self.verify_dense = column(lambda c: dense_seconds(c.machine, c.model, c.batch, tm.VERIFIED * c.batch, 8, 1))
        self.draft_dense = np.zeros(len(cells))
        for at, cell in enumerate(cells):
            self.add(at, cell, head_factor)
        self.fill_unions()

    def add(self, at, cell, head_factor):
        model, machine, batch = cell.model, cell.machine, cell.batch
        whole, upper, tokens = model.expert_bytes(), model.expert_bytes(4), tm.WIDTH * cell.batch
        hit, miss = (whole, 0), (0, whole)
        if cell.scheme == "elastic":
            hit = (upper, whole - upper)
        elif cell.scheme == "quant" and model.sliceable:
            hit = miss
        self.verify.set(at, cell, tm.VERIFIED * batch, 8, hit, miss)
        if cell.scheme == "eagle":
            size = tm.weights(model.head) * tm.stored(model.dense_format) / 8 + batch * tm.CONTEXT * model.head_kv_bytes
            self.draft_dense[at] = machine.seconds(head_factor * size, 0, [(model.head, tokens, 8)])
        elif cell.scheme == "slm":
            drafter, share = tm.slm(), cell.slm_share()
            size = head_factor * (drafter["read"] + batch * drafter["kv"])
            self.draft_dense[at] = machine.seconds(share * size, (1 - share) * size, [(drafter["matrices"], tokens, 8)])
        else:
            left = machine.capacity - model.dense_bytes() - model.kv(batch)
            near = 1 if cell.scheme == "elastic" else min(1, left / model.dense_bytes(4))
            self.draft_dense[at] = dense_seconds(machine, model, batch, tokens, 4, near)
            self.draft.set(at, cell, tokens, 4, (upper, 0), (0, upper) if cell.scheme == "quant" else (0, 0))

    # ---- unions: of so many independent tokens, of one request's tokens, of all requests ----

    def fill_unions(self):
        self.names = sorted(set(self.model))
        self.of_model = np.array([self.names.index(name) for name in self.model])
        self.tokens = np.concatenate([np.linspace(0, 2, 400)[:-1], np.geomspace(2, 5000, 4000)])
        models = {cell.model.name: cell.model for cell in self.cells}
        self.unions = []
        for name in self.names:
            model = models[name]
            model.distinct(1)
            chosen = model.scale * np.arange(1, model.experts + 1.0) ** -model.popularity
            self.unions.append(-np.expm1(-self.tokens[:, None] * chosen).sum(1))

    def by_model(self, values, function):
        out = np.empty(len(self.cells))
        for number in range(len(self.names)):
            of = self.of_model == number
            out[of] = function(values[of], number)
        return out

    def independent(self, tokens):
        values = np.broadcast_to(np.asarray(tokens, float), self.batch.shape)
        return self.by_model(values, lambda x, m: np.interp(x, self.tokens, self.unions[m]))

    def of_requests(self, union):
        """Requests are independent of each other."""
        alone = self.by_model(np.minimum(union, self.experts * (1 - 1e-9)),
                              lambda x, m: np.interp(x, self.unions[m], self.tokens))
        return self.independent(self.batch * alone)

    def reused(self, tokens, reuse):
        """Each further token of a request adds the share of its experts that the earlier ones' union would miss."""
        union = self.top_k.copy()
        for _ in range(int(tokens) - 1):
            union = union + self.top_k * (1 - (union / self.experts) ** (reuse * self.locality))
        return np.minimum(union, self.experts)

    # ---- hits ----

    def hit_share(self, union, exponent, degrades):
        """The law of the cells without drafting, up to what the slots can hold of the union. It degrades between them:
        at a union of all experts a cache hits what it holds, whatever the locality."""
        locality = self.locality
        if exponent is not None:
            grown = np.clip((union - self.top_k) / (self.experts - self.top_k), 0, 1)
            locality = np.where(degrades, locality + (1 - locality) * grown ** exponent, locality)
        law = np.where(self.slots < 1, 0, np.minimum(1, self.slots / self.experts) ** locality)
        return np.minimum(law, self.slots / union)

    def residents(self, tokens):
        slots, k = np.maximum(self.slots, self.top_k), self.top_k
        return np.where(self.slots <= k, self.slots, slots * (1 - (1 - k / slots) ** tokens))
