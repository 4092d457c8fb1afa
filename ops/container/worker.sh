# A worker of the pool `gpu`, until SIGTERM as `docker stop` sends it. Then its runs end first, while the worker can still
# say so: each writes its checkpoint and is Crashed, and the next worker resumes it.
prefect worker start --pool gpu --type process --with-healthcheck &
worker=$!
trap 'python -c "from os import environ; from ops.up import end_runs; end_runs(environ[\"PREFECT_API_URL\"])"
      kill "$worker"' TERM INT
wait "$worker" # which the signal interrupts
wait "$worker"
