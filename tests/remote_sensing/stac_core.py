"""The schemas of STAC 1.1's core, which pystac carries; those of extensions are on the network only."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry
from referencing.jsonschema import DRAFT7

SCHEMAS = {address: DRAFT7.create_resource(schema) for address, schema in get_local_schema_cache().items()}
VALIDATOR = Draft7Validator(
    {"$ref": "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"},
    registry=Registry().with_resources(SCHEMAS.items()),
    format_checker=Draft7Validator.FORMAT_CHECKER,
)


def breaches(item: Path) -> list[str]:
    """What of a STAC item in a file is not as the core's schemas want it."""
    return [error.message for error in VALIDATOR.iter_errors(json.loads(item.read_text()))]
