# A worker of the pool `gpu`, until SIGTERM as `docker stop` sends it. Then its runs end first, while the worker can still
# say so: each writes its checkpoint and is Crashed, and the next worker resumes it.
# What a shell starts with & does not hear SIGINT, which Prefect sends itself to end: so that is put right.
env --default-signal=INT prefect worker start --pool gpu --type process --with-healthcheck &
worker=$!
trap 'python -c "from os import environ; from ops.up import end_runs; end_runs(environ[\"PREFECT_API_URL\"])"
      kill "$worker"' TERM INT
wait "$worker" # which the signal interrupts
wait "$worker"
