"""What the code of a project's functions may say."""
