"""Proofs that training relies on, gathered on the machine that will train.

    table = compare()                                   # hemline.proofs.parity: LayerNorm against its references
    results = check([7, 8])                             # hemline.proofs.claims: the chapter's nine answers
    Proofs(directory, device).obtain(name, module, prove)   # hemline.proofs.store: an earlier proof, or a new one

Others import `parity`, `parity_table`, `claims`, `questions` and `store`. It imports `errors`, `models`, `config`,
`storage`, `runtime` and `records`. A case of parity is a value on an axis of `grid`; a claim is a question, and a
function in `CLAIMS`; anything else that training relies on is proved by a function, and obtained by a task.
"""
