"""Published versions, which of them is the champion, and why: a ledger that only grows.

    version = publish(models, record, run)              # hemline.registry.versions
    registry.champion(), registry.rollback(by, reason)  # the champion and the ledger
    find(registry, "0008")                              # hemline.registry.catalogue: what there is

`prune` removes what is old, `tracking` tells MLflow. Others import anything of it; it imports `config`, `records`,
`report` and `storage`. A kind of decision is added to the ledger and written by the registry.
"""
