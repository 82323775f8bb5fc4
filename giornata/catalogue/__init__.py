"""The catalogue of features: their documents, their published data, and the models that use them.

Pure functions from documents, statistics and records to plain data; only `live` queries a store.
"""
