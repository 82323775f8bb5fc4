"""The feature language: typed expressions that mean the same for one row and for whole columns."""

from dsl.errors import (
    GiornataError,
    InputError,
    LanguageError,
    LanguageErrors,
    NotFittedError,
    SchemaError,
    StoredFormError,
    UdfError,
)
from dsl.features import CompiledFeatures, compile_features
from dsl.schema import GroupSchema, Inputs, Schema, StoreInput
from dsl.types import Type
from dsl.udfs import Udfs, parse_udfs

__all__ = [
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
