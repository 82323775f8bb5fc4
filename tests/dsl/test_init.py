"""The public names of the language."""

import dsl


def test_public_names():
    assert sorted(dsl.__all__) == [
        "CompiledFeatures",
        "GiornataError",
        "GroupSchema",
        "InputError",
        "Inputs",
        "LanguageError",
        "LanguageErrors",
        "NotFittedError",
        "Schema",
        "SchemaError",
        "StoreInput",
        "StoredFormError",
        "Type",
        "UdfError",
        "Udfs",
        "compile_features",
        "parse_udfs",
    ]
