"""Machines of three tiers in studies: caches are nested, where hits are found comes from the same walks."""

import csv

import program

STORE = ('[{name}]\nkind = "store"\n'
         'capacity = {{ value = {capacity}, unit = "GB", status = "assumed", source = "a test" }}\n'
         'bandwidth = {{ value = {rate}, unit = "GB/s", status = "assumed", source = "a test" }}\n'
         'efficiency = {{ value = 1, unit = "share", status = "assumed", source = "a test" }}\n'
         'energy = {{ value = 1, unit = "pJ/bit", status = "assumed", source = "a test" }}\n')


class Tiers(program.ProgramTest):
    def machine(self, name, near):
        """A card of 8 GB and 400 GB/s before 64 GB of 50 GB/s; before it `near` GB of 4000 GB/s, if any."""
        tiers = (["sram"] if near is not None else []) + ["vram", "ram"]
        listed = ", ".join(f'"{tier}"' for tier in tiers)
        text = f'[system]\ntiers = [{listed}]\nunits = ["gpu"]\ndense_weights = "vram"\n'
        text += (f'[gpu]\nkind = "unit"\nsees = [{listed}]\n'
                 'throughput = { value = 100, unit = "TOPS", status = "assumed", source = "a test" }\n'
                 'bits_per_pass = { value = 8, unit = "bit", status = "assumed", source = "a test" }\n'
                 'energy = { value = 1, unit = "pJ/op", status = "assumed", source = "a test" }\n')
        for store, capacity, rate in (("sram", near, 4000), ("vram", 8, 400), ("ram", 64, 50)):
            if store in tiers:
                text += STORE.format(name=store, capacity=capacity, rate=rate)
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return f"./{path.name}"

    def rates(self, policy):
        self.trace(layers=24, experts=32, top_k=4)
        machines = {"two": self.machine("two", None), "nothing": self.machine("nothing", 1e-6),
                    "some": self.machine("some", 1.5), "more": self.machine("more", 3)}
        systems = [str(self.folder / name[2:]) for name in machines.values()]
        study = self.study(grid={"batch": [2], "depth": [0, 2], "policy": [policy], "capacity": [4]},
                           hardware={"model": "gpt-oss-20b", "systems": systems, "schemes": ["ar", "eagle"],
                                     "reference": "none"})
        out = self.folder / policy
        self.simulate(study, out)
        with open(out / "hardware.csv", newline="") as lines:
            rows = list(csv.DictReader(lines))
        return {(row["system"], row["scheme"], row["depth"]): float(row["value"]) for row in rows
                if row["metric"] == "tokens_per_second"}

    def test_a_near_tier_without_room_changes_nothing_and_one_with_room_never_slows(self):
        for policy in ("static", "lru"):
            rates = self.rates(policy)
            designs = {(scheme, depth) for _, scheme, depth in rates}
            self.assertGreaterEqual(len(designs), 3)
            for scheme, depth in designs:
                two, nothing, some, more = (rates[name, scheme, depth] for name in ("two", "nothing", "some", "more"))
                self.assertAlmostEqual(nothing / two, 1, 9)
                self.assertGreaterEqual(some, two * (1 - 1e-9))
                self.assertGreaterEqual(more, some * (1 - 1e-9))


if __name__ == "__main__":
    program.main()
