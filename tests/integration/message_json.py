"""Message definitions in the form of Kafka's own JSON, made from our schema files: for test
programs that read those."""

import glob
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMAS = os.path.join(ROOT, "common", "protocol", "schema")
sys.path.insert(0, os.path.join(ROOT, "common", "protocol"))
sys.dont_write_bytecode = True
import schema  # noqa: E402

NO_UPPER_BOUND = 255


def versions(pair):
    low, high = pair
    if low > high:
        return "none"
    return f"{low}+" if high == NO_UPPER_BOUND else f"{low}-{high}"


def field_json(field):
    out = {
        "name": field.name,
        "type": "[]" * field.is_array + field.type,
        "versions": versions(field.versions),
        "nullableVersions": versions(field.nullable),
    }
    if field.tag is not None:
        out |= {"tag": field.tag, "taggedVersions": versions(field.versions)}
    if field.default is not None:
        out["default"] = field.default
    if field.never_flexible:
        out["flexibleVersions"] = "none"
    return out


def message_json(key, message):
    return {
        "apiKey": key,
        "type": message.kind,
        "name": message.name,
        "validVersions": versions(message.versions),
        "flexibleVersions": versions(message.flexible),
        "fields": [field_json(field) for field in message.fields],
        "commonStructs": [
            {"name": name, "fields": [field_json(field) for field in struct.fields]}
            for name, struct in message.structs.items()
        ],
    }


def write(directory):
    """messages/NAME.json of all requests, responses and headers, and errors.tsv."""
    os.makedirs(os.path.join(directory, "messages"))
    for path in sorted(glob.glob(os.path.join(SCHEMAS, "*.ksc"))):
        name = os.path.basename(path)[:-4]
        if name == "errors":
            continue
        file = schema.parse(path, name)
        for message in file.messages:
            if message.kind in ("request", "response", "header"):
                target = os.path.join(directory, "messages", message.name + ".json")
                with open(target, "w", encoding="utf-8") as out:
                    json.dump(message_json(file.api_key, message), out)
    with open(os.path.join(directory, "errors.tsv"), "w", encoding="utf-8") as out:
        out.write("code\tname\tretriable\n")
        for code, name, retriable, _ in schema.parse_errors(os.path.join(SCHEMAS, "errors.ksc")):
            out.write(f"{code}\t{name}\t{'yes' if retriable else 'no'}\n")
