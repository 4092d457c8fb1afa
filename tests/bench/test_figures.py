"""Figures of two processes that divide the work."""

from pathlib import Path

from bench.figures import put, read


def test_what_another_process_kept_meanwhile_stays(tmp_path: Path) -> None:
    """Regression: six figures of bench.pairs were lost, since one process wrote back what it had read before."""
    path = tmp_path / "figures.json"
    assert read(path) == {}
    assert put(path, ("mlp", "adam", "1"), 0.9) == {"mlp": {"adam": {"1": 0.9}}}
    put(path, ("cnn", "adam", "1"), 0.91)
    put(path, ("mlp", "adam", "2"), 0.89)
    put(path, ("mlp", "adam", "1"), 0.88)
    assert read(path) == {"mlp": {"adam": {"1": 0.88, "2": 0.89}}, "cnn": {"adam": {"1": 0.91}}}
