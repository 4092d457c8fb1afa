"""TF_CONFIG: who is where, and what is told to a worker before the addresses are known."""

import socket

import pytest

from hemline.errors import DeviceError
from hemline.runtime.cluster import own_address, place, require_reachable, tf_config, unintroduced


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (0, 1)),
        ("", (0, 1)),
        (tf_config(["a:1", "b:1", "c:1"], 2), (2, 3)),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}', (1, 2)),
    ],
)
def test_a_worker_knows_its_number(given: str | None, expected: tuple[int, int]) -> None:
    assert place(given) == expected


def test_only_a_place_without_addresses_is_unintroduced() -> None:
    assert unintroduced(tf_config(["", ""], 1))
    assert unintroduced(tf_config(["a:1", ""], 0))
    assert not unintroduced(tf_config(["a:1", "b:1"], 1))
    assert not unintroduced('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}')
    assert not unintroduced("")
    assert not unintroduced(None)


def test_the_address_is_a_free_port_where_the_server_is_reached_from() -> None:
    host, _, port = own_address("http://127.0.0.1:4200/api").rpartition(":")
    assert host == "127.0.0.1"  # nothing listens there, and nothing is sent
    with socket.create_server((host, int(port))):
        pass


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1:1", "127.0.0.1:2"], ["10.0.0.1:1", "10.0.0.2:1"], ["[fd00::1]:1"] * 2]
)
def test_workers_of_one_machine_or_of_one_network_reach_each_other(addresses: list[str]) -> None:
    require_reachable(addresses)


@pytest.mark.parametrize("local", ["127.0.0.1:4711", "[::1]:4711"])
def test_a_worker_that_only_its_own_machine_reaches_is_refused(local: str) -> None:
    with pytest.raises(DeviceError, match=r"must reach each other\. Received: 10\.0\.0\.1:1, .*4711 is of one machine"):
        require_reachable(["10.0.0.1:1", local])
