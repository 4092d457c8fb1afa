"""Whether a version becomes the champion: rules, statistics, and one sentence of reason.

    decision = judge(registry, "8", dataset, config.gate, by, answers_on(device))        # hemline.gate.judging

`case` compares, `rules` decides. Others import `judge` and `answers_on`. A rule is a field of
`hemline.config.gate.Gate`, and a function and a row of `RULES`: CONTRIBUTING.md, "Add a gate rule".
"""
