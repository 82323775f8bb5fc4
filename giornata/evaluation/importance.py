"""Feature importance of a model with parts."""

from collections.abc import Mapping, Sequence

__all__ = ["combined_importance"]


def combined_importance(
    features: Sequence[str], shares: Sequence[Mapping[int, float]], rows: Sequence[int]
) -> dict[str, float]:
    """Share of the gain of each feature over models that predict for different numbers of rows, largest first.

    `shares` holds for each model the share by column of the feature, and `rows` its weight. A constant model has no
    shares and does not count. The result adds up to 1, or is all 0 if every model is constant.
    """
    weighted = [(model, weight) for model, weight in zip(shares, rows, strict=True) if model]
    total = sum(weight for _, weight in weighted)
    combined = {
        name: sum(model.get(column, 0.0) * weight for model, weight in weighted) / total if total else 0.0
        for column, name in enumerate(features)
    }
    return dict(sorted(combined.items(), key=lambda item: -item[1]))
