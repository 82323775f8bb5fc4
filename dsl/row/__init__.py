"""One row: a generated Python function for a set of expressions, and its inputs."""
