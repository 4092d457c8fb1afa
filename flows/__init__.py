"""What runs: one file for each deployable flow. A flow reads as a table of contents of `tasks`.

`command`, `server` and `terminal` are for a person who runs one in a terminal; `approval` asks a person on the way;
`places` holds a deployment's runs to their directories.
"""

import atexit
import gc
import logging
import os

# Prefect reads these when it is first imported, which is after this. A worker's runs have Prefect before
# they have this package: what they need of it is under job_variables in prefect.yaml.
for _name, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # a nightly job reports to no one
    "PREFECT_LOGGING_EXTRA_LOGGERS": "hemline",  # what the computing layer says is in a run's log too
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; what gives no sign is not *Running* for ever
    "PREFECT_CLIENT_MAX_RETRIES": "8",  # a server that is away is waited for, 8 minutes in all
}.items():
    os.environ.setdefault(_name, _value)
# Prefect sends that logger's records to the API and leaves its level to the root, which takes warnings alone.
logging.getLogger("hemline").setLevel(logging.INFO)
# Python's last search for garbage takes 2 s among TensorFlow's objects, and whoever cancels a run waits for it.
atexit.register(gc.freeze)
