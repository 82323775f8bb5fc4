"""The DAGs of every project, made from its documents: one module per kind, put together in `projects`."""
