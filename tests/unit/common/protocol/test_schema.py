#!/usr/bin/env python3
"""The schema files say what Kafka's own message definitions say, and mistakes in them are noticed.

The comparison needs Kafka's definitions in ../shared/kafka-spec beside the project; without them it
is skipped.
"""
import glob
import json
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../.."))
SPEC = os.path.abspath(os.path.join(ROOT, "../shared/kafka-spec"))
SCHEMAS = os.path.join(ROOT, "common/protocol/schema")
sys.path.insert(0, os.path.join(ROOT, "common/protocol"))
sys.dont_write_bytecode = True
import schema  # noqa: E402

# What only our own nodes say to each other.
OWN_FILES = ("quorum_peer",)
COORDINATORS = ("group", "share", "transaction")
NUMBERS = ("int8", "int16", "uint16", "int32", "uint32", "int64", "float64")


def load_json(path):
    """Kafka's definitions are JSON with // comments."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return json.loads(re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda m: m.group(1) or "", text))


def spec_versions(text):
    if text in (None, "none"):
        return None
    low, plus, high = re.fullmatch(r"(\d+)(\+?)-?(\d*)", text).groups()
    return (int(low), None) if plus else (int(low), int(high or low))


def own_versions(versions):
    low, high = versions
    return None if low > high else (low, None if high == 255 else high)


def default_value(type_name, is_array, text):
    """What a field holds before anything is set; None for null."""
    if text is None:
        text = ""
    text = str(text).lower() if isinstance(text, bool) else str(text)
    if text == "null":
        return None
    if is_array:
        return []
    if type_name in NUMBERS:
        return int(text or "0", 0)
    if type_name == "bool":
        return text == "true"
    return text


def spec_field(field):
    is_array = field["type"].startswith("[]")
    type_name = field["type"].removeprefix("[]")
    tagged = spec_versions(field.get("taggedVersions"))
    return {
        "name": field["name"],
        "type": field["type"],
        "versions": spec_versions(field.get("versions")) or tagged,
        "nullable": spec_versions(field.get("nullableVersions")),
        "default": default_value(type_name, is_array, field.get("default")),
        "tagged": tagged,
        "tag": field.get("tag"),
        "ignorable": field.get("ignorable", False),
        "never flexible": field.get("flexibleVersions") == "none",
    }


def own_field(field):
    return {
        "name": field.name,
        "type": "[]" * field.is_array + field.type,
        "versions": own_versions(field.versions),
        "nullable": own_versions(field.nullable),
        "default": default_value(field.type, field.is_array, field.default),
        "tagged": own_versions(field.versions) if field.tag is not None else None,
        "tag": field.tag,
        "ignorable": field.ignorable,
        "never flexible": field.never_flexible,
    }


def spec_structs(definition):
    """Fields of the message (under its own name) and of every struct in it."""
    structs = {}

    def walk(name, fields):
        structs[name] = [spec_field(field) for field in fields]
        for field in fields:
            if field.get("fields"):
                walk(field["type"].removeprefix("[]"), field["fields"])

    walk(definition["name"], definition.get("fields", []))
    for struct in definition.get("commonStructs", []):
        walk(struct["name"], struct["fields"])
    return structs


def own_structs(message):
    structs = {message.name: [own_field(field) for field in message.fields]}
    for name, struct in message.structs.items():
        structs[name] = [own_field(field) for field in struct.fields]
    return structs


def spec_messages():
    for path in glob.glob(os.path.join(SPEC, "messages/*.json")):
        yield "messages", load_json(path)
    for path in glob.glob(os.path.join(SPEC, "records/*/*.json")):
        yield os.path.basename(os.path.dirname(path)), load_json(path)


def own_schemas():
    for path in sorted(glob.glob(os.path.join(SCHEMAS, "*.ksc"))):
        name = os.path.basename(path)[:-4]
        if name != "errors":
            yield schema.parse(path, name)


@unittest.skipUnless(os.path.isdir(SPEC), "Kafka's definitions are not beside the project")
class EqualsKafka(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.own = {m.name: (file, m) for file in own_schemas() for m in file.messages
                   if file.name not in OWN_FILES}
        cls.spec = {d["name"]: (place, d) for place, d in spec_messages()}

    def test_the_same_messages(self):
        self.assertEqual(sorted(self.own), sorted(self.spec))
        self.assertEqual(len(self.spec), 281)

    def test_versions(self):
        for name, (_, definition) in self.spec.items():
            message = self.own[name][1]
            with self.subTest(name):
                self.assertEqual(own_versions(message.versions),
                                 spec_versions(definition["validVersions"]))
                self.assertEqual(own_versions(message.flexible),
                                 spec_versions(definition.get("flexibleVersions")))

    def test_kinds_and_keys(self):
        for name, (place, definition) in self.spec.items():
            file, message = self.own[name]
            kind = {"metadata": "record", "coordinator-key": "key",
                    "coordinator-value": "value"}.get(definition["type"], definition["type"])
            with self.subTest(name):
                self.assertEqual(message.kind, kind)
                key = file.api_key if kind in ("request", "response") else message.key
                self.assertEqual(key, definition.get("apiKey"))
                if kind in ("key", "value"):
                    self.assertEqual(f"{file.coordinator}-coordinator", place)

    def test_apis(self):
        for name, (_, definition) in self.spec.items():
            if definition["type"] != "request":
                continue
            file = self.own[name][0]
            with self.subTest(name):
                self.assertEqual(file.api_name + "Request", name)
                self.assertEqual(file.listeners, definition.get("listeners", []))
                self.assertEqual(file.unstable, definition.get("latestVersionUnstable", False))

    def test_fields(self):
        for name, (_, definition) in self.spec.items():
            with self.subTest(name):
                self.assertEqual(own_structs(self.own[name][1]), spec_structs(definition))


class Mistakes(unittest.TestCase):
    def parse(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".ksc") as file:
            file.write(text)
            file.flush()
            return schema.parse(file.name, "test")

    def refuse(self, text, what):
        with self.assertRaisesRegex(schema.SchemaError, what):
            self.parse(text)

    def test_a_good_file(self):
        file = self.parse("api 7 Some on broker,controller unstable\n"
                          "request SomeRequest 1-3 flexible 2+\n"
                          "  # a remark\n"
                          "  Names []Name? 2+ = null tag 0 ignorable\n"
                          "    Text string?3+ 1-3\n"
                          "  Other Name\n")
        message = file.messages[0]
        self.assertEqual((file.api_key, file.listeners, file.unstable),
                         (7, ["broker", "controller"], True))
        names, other = message.fields
        self.assertEqual((names.nullable, names.default, names.tag), ((2, 255), "null", 0))
        self.assertEqual(names.fields[0].nullable, (3, 255))
        self.assertEqual(names.fields[0].versions, (1, 3))
        self.assertEqual(list(message.structs), ["Name"])
        self.assertIsNone(other.fields)

    def test_mistakes_are_refused(self):
        head = "data Thing 0-1 flexible none\n"
        self.refuse("thing Thing 0-1\n", "not understood: thing")
        self.refuse("data Thing 0+\n", "versions of a message have an end")
        self.refuse("data Thing 3-1\n", "not a version range")
        self.refuse(head + "   A int8\n", "bad indentation")
        self.refuse(head + "  A int8\n    B int8\n", "int8 has no fields")
        self.refuse(head + "  A Unknown\n", "unknown type Unknown")
        self.refuse(head + "  A int8 sometimes\n", "not understood: sometimes")
        self.refuse(head + "  A int8 tag 1\n", "tags must be 0, 1, 2")
        self.refuse(head + "  A S\n    B int8\n  C S\n    D int8\n", "S is declared twice")
        self.refuse(head + "  A int8\n  struct S\n    B int8\n", "unused")
        self.refuse(head + "  A\n", ":2:")

    def test_errors_ascend_without_a_gap(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ksc") as file:
            file.write("1 A - a\n3 B - b\n")
            file.flush()
            with self.assertRaisesRegex(schema.SchemaError, "without a gap"):
                schema.parse_errors(file.name)


if __name__ == "__main__":
    unittest.main()
