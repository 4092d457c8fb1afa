"""Numbers as a person reads them.

duration(11.2)                      # '11 s'
accuracy(0.8786, (0.872, 0.8849))   # '87.86 % (87.20 to 88.49)'
"""


def duration(seconds: float | None) -> str:
    """'11 s', '3 min', '2.5 h'; '-' if it is not known."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def accuracy(share: float | None, interval: tuple[float, float] | None) -> str:
    """'87.86 % (87.20 to 88.49)', with the 95 % interval; '-' if it is not known."""
    if share is None:
        return "-"
    span = f" ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})" if interval else ""
    return f"{100 * share:.2f} %{span}"
