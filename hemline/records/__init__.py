"""What steps tell each other: small, typed, JSON, and no TensorFlow to import.

    Record(config=config, dataset=dataset, ..., **provenance())         # hemline.records.run

`proofs` is what was proved, `data` what was found in the data, `status` what a person asks in the morning, `run`
everything else. Others import anything of it.
artifacts/README.md describes every field.
"""
