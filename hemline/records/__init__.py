"""What steps tell each other: small, typed, JSON, and no TensorFlow to import.

    Record(config=config, dataset=dataset, ..., **provenance())         # hemline.records.run

`proofs` and `verification` are what was proved, `evaluation` how good a model is, `decision` what became of it, `run`
all that is known of a run. Others import anything of it; it imports `config`, `data` and `runtime`. A field that is
added here is described in artifacts/README.md.
"""
