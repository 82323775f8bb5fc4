"""Finds features that count events and are null, not 0, for entities without rows."""

from giornata.documents.compile import compile_model
from giornata.documents.project_documents import ProjectDocuments


def null_counts(documents: ProjectDocuments) -> list[str]:
    """One line for each model that reads a count of a sliding window without replacing its null."""
    lines = []
    for name in documents.models:
        nulls = compile_model(documents, name).features.store_nulls
        features = [
            feature
            for feature, read in nulls.items()
            if any(_counts(documents, each.group, each.feature) for each in read)
        ]
        if features:
            lines.append(
                f"models/{name}.yaml: where no row is known, {', '.join(features)} "
                f"{'is' if len(features) == 1 else 'are'} null and not 0: write coalesce(…, 0) where 0 is meant"
            )
    return lines


def _counts(documents: ProjectDocuments, group: str, feature: str) -> bool:
    """Whether a feature of the store is the count of a sliding window."""
    declared = documents.groups[group].features.get(feature)
    return bool(declared and declared.window and (declared.window.count or declared.window.distinct))
