"""What steps tell each other: small, typed, JSON, and no TensorFlow to import.

    Record(config=config, dataset=dataset, ..., **provenance())         # hemline.records.run

`proofs` is what was proved, `evaluation` how good a model is, `run` what is known of a run and what became of it.
Others import anything of it; it imports `config`, `data` and `runtime`. artifacts/README.md describes every field.
"""
