"""A record survives JSON unchanged, and nothing but what it declares enters it."""

import json

import pytest
from pydantic import ValidationError

from giornata.records.model_version import ModelSignature, ModelVersion, PartRecord

KEYS = [["Illinois", "Chicago"], [True, 3], []]


def part(key):
    return PartRecord(
        name="x", level="city", key=key, rows=5, validation_rows=2, kept=False, reason="", metric=None
    )


@pytest.mark.parametrize("key", KEYS)
def test_keys_keep_their_types(key):
    again = PartRecord.model_validate_json(part(key).model_dump_json())
    assert again == part(key)
    assert [type(value) for value in again.key] == [type(value) for value in key]


def test_whole_record(trained):
    version = trained.bundle.version
    again = ModelVersion.model_validate_json(version.model_dump_json())
    assert again == version
    assert again.model_dump(mode="json") == version.model_dump(mode="json")
    assert again.groups["origin_weather"].ttl == version.groups["origin_weather"].ttl
    with pytest.raises(ValidationError, match="Extra inputs"):
        ModelVersion.model_validate_json(json.dumps({**version.model_dump(mode="json"), "other": 1}))


def test_a_signature_from_before_keys_could_be_stated():
    stored = """{"inputs": {"origin": {"type": "str", "nullable": false}},
        "store": {"weather": {"keys": {"origin": "origin"}, "features": {"wind": "float"}}},
        "key": ["id"], "event_time": "at", "task": "regression"}"""
    signature = ModelSignature.model_validate_json(stored)
    assert signature.store["weather"].group == "weather"
    assert ModelSignature.model_validate_json(signature.model_dump_json()) == signature
