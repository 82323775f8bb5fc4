"""Training: request, dataset, search, fitting, part selection, evaluation."""
