"""Proofs that training relies on, gathered on the machine that will train.

    table = compare()                                   # hemline.proofs.parity: LayerNorm against its references
    results = check([7, 8])                             # hemline.proofs.claims: the chapter's nine answers
    Proof(name, module, prove, ...).obtain(proofs, ...) # hemline.proofs.proof: an earlier one, or a new one
    Proofs(directory, device)                           # hemline.proofs.store: kept until what they depend on changes

Others import `parity`, `parity_table`, `claims`, `questions`, `proof` and `store`. It imports `errors`, `models`,
`config`, `storage`, `runtime` and `records`. A case of parity is a value on an axis of `grid`; a claim is a question,
and a function in `CLAIMS`; anything else that training relies on is a `Proof` and a task that obtains it.
"""
