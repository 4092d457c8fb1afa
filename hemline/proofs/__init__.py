"""Proofs that training relies on, gathered on the machine that will train.

    table = compare()                                   # hemline.proofs.parity: LayerNorm against its references
    results = check([7, 8])                             # hemline.proofs.claims: the chapter's nine answers
    proofs.find("parity-default")                       # hemline.proofs.store: kept until what it depends on changes

Others import `parity`, `claims`, `questions` and `store`. It imports `models`, `config`, `storage`, `runtime` and
`records`. A case of parity is a value on an axis of `grid`; a claim is a question, and a function in `CLAIMS`.
"""
