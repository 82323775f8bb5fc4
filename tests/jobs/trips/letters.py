"""What `city_name` imports."""


def count(text):
    """The number of letters of a text."""
    return len(text)
