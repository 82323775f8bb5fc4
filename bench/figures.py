"""How a benchmark prints what it measured: a line a figure."""

from collections.abc import Sequence

__all__ = ["percentile", "show"]


def show(name: str, ours: str, peer: str, ratio: float, goal: float, at_most: bool = False) -> None:
    """`name ours peer ratio goal met|short`; the goal is the least ratio wanted, or the greatest."""
    met = ratio <= goal if at_most else ratio >= goal
    sign = "<=" if at_most else ">="
    print(
        f"{name:<44} {ours:>14} {peer:>22}   {ratio:7.2f}  {sign} {goal:<5g} {'met' if met else 'short'}",
        flush=True,
    )


def percentile(seconds: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]
