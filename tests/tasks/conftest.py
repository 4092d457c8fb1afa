"""The small data set and the finished run of the computing layer's tests."""

from tests.hemline.conftest import finished, tiny

__all__ = ["finished", "tiny"]
