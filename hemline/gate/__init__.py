"""Whether a version becomes the champion: rules, statistics, and one sentence of reason.

    decision = judge(registry, "8", dataset, config.gate, by, answers_on(device))        # hemline.gate.judging

`case` compares by the tests of `paired`, as surely as `spending` demands and on what `seen` leaves; `first` is for want
of a champion; `rules` decides. Others import `judge` and `answers_on`; `bench.gate` the tests and the level. A rule is
a field of `hemline.config.gate.Gate`, and a function and a row of `RULES`: CONTRIBUTING.md, "Add a gate rule".
"""
