"""Whether a version becomes the champion: rules, statistics, and one sentence of reason.

    decision = judge(registry, "0008", dataset, config.gate, by, device)

Others import `judge`. It imports `config`, `data`, `evaluation`, `records`, `registry` and `runtime`. A rule is a field
of `hemline.config.gate.Gate` and a row of `RULES`: CONTRIBUTING.md, "Add a gate rule".
"""
