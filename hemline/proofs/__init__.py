"""Proofs that training relies on, gathered on the machine that will train.

    table = compare()                                   # hemline.proofs.parity: LayerNorm against its references
    results = check()                                   # hemline.proofs.claims: the chapter's nine answers
    Proofs(directory, device).obtain(name, module, prove)   # hemline.proofs.store: an earlier proof, or a new one

Others import all but the evidence. A case of parity is a value in `grid`; a claim is a question and a function in
`CLAIMS`; another proof is a function, and a task that obtains it.
"""
