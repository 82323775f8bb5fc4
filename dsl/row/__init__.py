"""Row back end: a generated Python function for a set of expressions, and its inputs."""
