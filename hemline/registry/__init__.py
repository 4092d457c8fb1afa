"""Published versions, which of them is the champion, and why: a ledger that only grows.

    version = publish(artifacts, record, run)           # hemline.registry.versions; verify and load are there too
    registry.champion(), registry.rollback(by, reason)  # hemline.registry.champion, class Registry: of one model's name
    find(artifacts, "8", name="fashion_mnist")          # hemline.registry.catalogue: what there is
    statuses(artifacts, now), write_index(artifacts, now)       # hemline.registry.status and .index: the morning page

`prune` removes what is old, `tracking` tells MLflow. Others import anything of it. A file
of a version is a row of `FILES` in `versions`.
"""
