"""Models of a project's own class."""
