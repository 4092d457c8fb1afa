"""Files that appear whole, locks between processes, and the directory of a run.

    with whole_file(path) as temporary: ...             # hemline.storage.files
    with locked(directory / "ledger.lock"): ...         # hemline.storage.locks
    directory = open_run(config, started, run_id)       # hemline.storage.runs
    with attempt(directory, owner=run_id): ...          # hemline.storage.attempts

    shared = shared_at(artifacts)                       # hemline.storage.shared: what machines have in common

Others import anything of it. Only this room and `registry` may assume that a rename
is atomic and that `flock` works: another kind of storage is added here.
"""
