"""The DAGs of every project, generated from its documents: one module per kind, assembled in `projects`."""
