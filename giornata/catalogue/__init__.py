"""The catalogue of features: what the documents say of each, what is published of it, and which models use it.

Pure: documents, statistics and records come in, plain data goes out; `live` alone asks a store.
"""
