"""Machines that train one model together: TF_CONFIG, by which TensorFlow's workers find each other.

    place(os.environ.get("TF_CONFIG"))                  # (1, 2): worker 1 of 2; (0, 1) without a cluster
    tf_config(["10.0.0.1:4711", "10.0.0.2:4712"], 1)    # what worker 1 of these two is told
    own_address("http://10.0.0.9:4200/api")             # '10.0.0.2:4712', which the others can reach

A worker that is started before the others' addresses are known is told empty ones, and is `unintroduced`.
"""

import ipaddress
import json
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from hemline.errors import DeviceError


def place(tf_config: str | None) -> tuple[int, int]:
    """The number of this worker and how many there are; (0, 1) without a cluster."""
    if not tf_config:
        return 0, 1
    try:
        config = json.loads(tf_config)
        tasks = [(kind, n) for kind in ("chief", "worker") for n in range(len(config["cluster"].get(kind, [])))]
        return tasks.index((config["task"]["type"], int(config["task"]["index"]))), len(tasks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(
            "TF_CONFIG must name this task and the cluster's workers. "
            f"Received: TF_CONFIG={tf_config!r} ({type(error).__name__}: {error}). Unset it, or set it to e.g. "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}.'
        ) from error


def tf_config(addresses: Sequence[str], worker: int) -> str:
    """TF_CONFIG of one of the workers. addresses: of all, as host:port, in the order of their numbers."""
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": worker}})


def unintroduced(tf_config: str | None) -> bool:
    """Whether it names a place among workers whose addresses are not known yet."""
    return place(tf_config)[1] > 1 and not all(json.loads(tf_config or "")["cluster"].get("worker", ["chief"]))


def own_address(server: str) -> str:
    """A free port of this machine, at the address from which it reaches the server. server: an URL."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    family, kind, protocol, _, at = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as datagrams:
        datagrams.connect(at)  # sends nothing
        host = datagrams.getsockname()[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}:{listener.getsockname()[1]}"


def require_reachable(addresses: Sequence[str]) -> None:
    """Raises DeviceError if some workers have told an address at which other machines do not reach them."""
    hosts = {address: address.rpartition(":")[0].strip("[]") for address in addresses}
    local = [address for address, host in hosts.items() if ipaddress.ip_address(host).is_loopback]
    if local and len(local) < len(addresses):
        raise DeviceError(
            "workers of several machines must reach each other. "
            f"Received: {', '.join(addresses)}, of which {local[0]} is of one machine alone. Set PREFECT_API_URL of "
            "that machine's worker to the server's address in the network, not to 127.0.0.1."
        )
