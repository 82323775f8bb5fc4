"""From text to a checked tree: parsing, names and overloads, types, nulls, lowering."""
