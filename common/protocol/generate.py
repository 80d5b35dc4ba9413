#!/usr/bin/env python3
"""Makes C structs and descriptor tables from the schema files (see schema.py for their form).

usage: generate.py SCHEMA_FOLDER OUTPUT_FOLDER

Output: messages/NAME.h for each NAME.ksc, messages.h with all of them, schema_tables.c with the
descriptors (their types are in schema.h), and the table of error codes. A file is written only
when its contents change, so that editing one schema rebuilds little.
"""
import os
import re
import sys

import schema
from schema import NEVER, NUMBERS, PRIMITIVES, SchemaError

HEAD = "/* Made by common/protocol/generate.py; do not edit. */\n"
C_TYPES = {
    "bool": "bool", "int8": "int8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "uint32": "uint32_t", "int64": "int64_t", "float64": "double", "uuid": "struct uuid",
    "string": "struct str", "bytes": "struct bytes", "records": "struct bytes",
}
# The structs of a message carry unknown tagged fields in this member, if a version can have them.
UNKNOWN = "unknown_tags"
KEYWORDS = set("auto break case char const continue default do double else enum extern float for "
               "goto if inline int long register restrict return short signed sizeof static "
               "struct switch typedef union unsigned void volatile while".split())
COORDINATORS = ("group", "share", "transaction")


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def snake(name):
    name = name.replace("KRaft", "Kraft")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def overlap(a, b):
    return max(a[0], b[0]) <= min(a[1], b[1])


class Emitter:
    """C names and sizes within one message."""

    def __init__(self, message):
        self.message = message
        self.name = snake(message.name)
        self.has_unknown = overlap(message.versions, message.flexible)
        self.structs = [*message.structs.values(), schema.Struct(message.name, message.fields)]
        self.reached = self.find_reached()

    def struct_name(self, type_name):
        name = snake(type_name)
        return name if name.startswith(self.name) else f"{self.name}_{name}"

    @staticmethod
    def member(field):
        name = snake(field.name)
        return name + "_" if name in KEYWORDS else name

    @staticmethod
    def is_pointer(field):
        """A struct that may be null."""
        return field.type not in PRIMITIVES and not field.is_array and field.nullable != NEVER

    def c_type(self, field):
        return C_TYPES.get(field.type) or f"struct {self.struct_name(field.type)}"

    def min_field_bytes(self, field, version):
        flexible = version_in(version, self.message.flexible) and not field.never_flexible
        if field.is_array or field.type in ("bytes", "records"):
            return 1 if flexible else 4
        if field.type == "string":
            return 1 if flexible else 2
        if field.type == "uuid":
            return 16
        if field.type in NUMBERS:
            return NUMBERS[field.type]
        if self.is_pointer(field):
            return 1
        return self.min_struct_bytes(self.message.structs[field.type].fields, version)

    def min_struct_bytes(self, fields, version):
        total = 1 if version_in(version, self.message.flexible) else 0
        return total + sum(self.min_field_bytes(field, version) for field in fields
                           if version_in(version, field.versions) and field.tag is None)

    def find_reached(self):
        """The versions in which each struct can occur."""
        low, high = self.message.versions
        reached = {struct.name: set() for struct in self.structs}
        reached[self.message.name] = set(range(low, high + 1))
        for struct in reversed(self.structs):  # those that hold others come first
            for field in struct.fields:
                if field.type in reached:
                    reached[field.type] |= {version for version in reached[struct.name]
                                            if version_in(version, field.versions)}
        return reached

    # ---- the header

    def declare_struct(self, struct):
        text, seen = f"struct {self.struct_name(struct.name)} {{\n", {UNKNOWN}
        for field in in_memory_order(struct):
            name = self.member(field)
            names = [name, f"{name}_count"] if field.is_array else [name]
            if seen & set(names):
                raise SchemaError(f"{self.message.name}.{struct.name}: two members named {name}")
            seen |= set(names)
            type_name = self.c_type(field)
            space = " "
            if field.is_array or self.is_pointer(field):
                space = " *"
            text += f"    {type_name}{space}{name};\n"
            if field.is_array:
                text += f"    int32_t {name}_count;\n"
        if self.has_unknown:
            text += f"    struct unknown_tag *{UNKNOWN};\n"
        elif not struct.fields:
            text += "    char none; /* no fields */\n"
        return text + "};\n"

    def header(self):
        text = "".join(self.declare_struct(struct) + "\n" for struct in self.structs)
        for struct in self.structs:
            text += f"extern const struct struct_desc {self.struct_name(struct.name)}_struct;\n"
        return text + f"extern const struct message_desc {self.name}_desc;\n"

    # ---- the tables

    def field_entry(self, struct_name, field):
        if field.is_array and field.type in ("bytes", "records"):
            raise SchemaError(f"{struct_name}.{field.name}: arrays of {field.type} do not exist")
        kind = "STRUCT" if field.type not in PRIMITIVES else field.type.upper()
        element = "0"
        if field.is_array:
            kind, element = "ARRAY", f"FIELD_{kind}"
        elif self.is_pointer(field):
            kind = "STRUCT_PTR"
        flags = [flag for flag, on in (("FIELD_IGNORABLE", field.ignorable),
                                       ("FIELD_NEVER_FLEXIBLE", field.never_flexible),
                                       ("FIELD_TAGGED", field.tag is not None)) if on]
        sub = "NULL"
        if field.type not in PRIMITIVES:
            sub = f"&{self.struct_name(field.type)}_struct"
        numbers = (*field.versions, *field.nullable)
        return (f"    {{offsetof(struct {struct_name}, {self.member(field)}), FIELD_{kind}, "
                f"{element}, {' | '.join(flags) or '0'}, {', '.join(map(str, numbers))}, "
                f"{sub}, {c_string(field.name)}}},\n")

    def initial_value(self, field):
        member, default = self.member(field), field.default
        if default == "null" and field.nullable == NEVER:
            raise SchemaError(f"{self.message.name}.{field.name}: cannot be null by default")
        if field.is_array:
            if default not in (None, "null"):
                raise SchemaError(f"{self.message.name}.{field.name}: bad default for an array")
            return f".{member}_count = {-1 if default else 0}"
        if field.type in ("string", "bytes", "records"):
            if default == "null":
                return f".{member} = {{NULL, -1}}"
            text = default or ""
            return f".{member} = {{{'' if field.type == 'string' else '(const uint8_t *)'}" \
                   f"{c_string(text)}, {len(text)}}}"
        if field.type in NUMBERS:
            if default in (None, "false"):
                return f".{member} = 0"
            value = "1" if default == "true" else str(int(default))
            if value == "-2147483648":
                value = "INT32_MIN"
            return f".{member} = {value}"
        if field.type == "uuid":
            if default:
                raise SchemaError(f"{self.message.name}.{field.name}: bad default for a uuid")
            return f".{member} = {{{{0}}}}"
        sub = self.struct_name(field.type)
        if not self.is_pointer(field):
            return f".{member} = {sub.upper()}_INITIAL"
        if default == "null":
            return f".{member} = NULL"
        return f".{member} = (struct {sub} *)(uintptr_t)&{sub}_initial"

    def struct_tables(self, struct):
        name = self.struct_name(struct.name)
        ordered = in_memory_order(struct)
        tagged = [field for field in ordered if field.tag is not None]
        values = ", ".join(self.initial_value(field) for field in struct.fields) or "0"
        text = f"#define {name.upper()}_INITIAL {{{values}}}\n"
        text += f"static const struct {name} {name}_initial = {name.upper()}_INITIAL;\n"
        fields, order = "NULL", "NULL"
        if struct.fields:
            fields, order = f"{name}_fields", f"{name}_order"
            places = [ordered.index(field) for field in struct.fields]
            text += f"static const struct field_desc {fields}[] = {{\n"
            text += "".join(self.field_entry(name, field) for field in ordered) + "};\n"
            text += f"static const uint8_t {order}[] = {{{', '.join(map(str, places))}}};\n"
        sizes = [self.min_struct_bytes(struct.fields, v) for v in self.reached[struct.name]]
        unknown = f"offsetof(struct {name}, {UNKNOWN})" if self.has_unknown else "NO_UNKNOWN_TAGS"
        first_tag = f"offsetof(struct {name}, {self.member(tagged[0])})" if tagged else unknown
        text += (f"const struct struct_desc {name}_struct = {{{c_string(struct.name)}, {fields}, "
                 f"{order}, &{name}_initial, sizeof(struct {name}), "
                 f"{len(ordered) - len(tagged)}, {len(tagged)}, {first_tag}, {unknown}, "
                 f"{max(min(sizes, default=0), 1)}}};\n")
        return text

    def tables(self):
        low, high = self.message.versions
        flexible = self.message.flexible[0] if self.has_unknown else "NO_FLEXIBLE_VERSION"
        return "".join(self.struct_tables(struct) for struct in self.structs) + (
            f"const struct message_desc {self.name}_desc = {{{c_string(self.message.name)}, "
            f"&{self.name}_struct, {low}, {high}, {flexible}}};\n\n")


def in_memory_order(struct):
    """Tagged fields come last, so that one comparison shows that none is set."""
    tagged = sorted((f for f in struct.fields if f.tag is not None), key=lambda f: f.tag)
    return [field for field in struct.fields if field.tag is None] + tagged


def version_in(version, versions):
    return versions[0] <= version <= versions[1]


def emit_header(file):
    guard = f"KRAFTD_GENERATED_MESSAGES_{file.name.upper()}_H"
    text = f"{HEAD}#ifndef {guard}\n#define {guard}\n\n#include \"common/protocol/schema.h\"\n\n"
    return text + "\n".join(Emitter(message).header() for message in file.messages) + "\n#endif\n"


def api_entry(file):
    descs = {m.kind: m for m in file.messages}
    request, response = descs["request"], descs["response"]
    if request.versions == NEVER:
        return None
    listeners = " | ".join(f"API_ON_{name.upper()}" for name in file.listeners)
    return (f"    [{file.api_key}] = {{{c_string(file.api_name)}, &{snake(request.name)}_desc, "
            f"&{snake(response.name)}_desc, {file.api_key}, {listeners}, "
            f"{'true' if file.unstable else 'false'}}},\n")


def emit_tables(files):
    text = HEAD + '#include "common/protocol/messages.h"\n\n#include <stddef.h>\n\n'
    text += "".join(Emitter(message).tables() for file in files for message in file.messages)
    apis = sorted((f for f in files if f.api_name), key=lambda f: f.api_key)
    text += "const struct api api_table[] = {\n"
    text += "".join(filter(None, map(api_entry, apis)))
    text += f"}};\nconst int api_table_size = {apis[-1].api_key + 1};\n\n"
    records = [m for file in files for m in file.messages if m.kind == "record"]
    text += "const struct message_desc *const metadata_record_table[] = {\n"
    text += "".join(f"    [{m.key}] = &{snake(m.name)}_desc,\n" for m in records)
    text += f"}};\nconst int metadata_record_table_size = {max(m.key for m in records) + 1};\n"
    for name in COORDINATORS:
        parts = [m for file in files if file.coordinator == name for m in file.messages]
        text += f"\nconst struct coordinator_record {name}_record_table[] = {{\n"
        for key in sorted({m.key for m in parts}):
            pair = {m.kind: snake(m.name) for m in parts if m.key == key}
            text += f"    [{key}] = {{&{pair['key']}_desc, &{pair['value']}_desc}},\n"
        text += f"}};\nconst int {name}_record_table_size = {max(m.key for m in parts) + 1};\n"
    return text


def emit_enum(name, comment, prefix, pairs):
    values = "".join(f"    {prefix}_{snake(what).upper()} = {key},\n"
                     for key, what in sorted(pairs))
    return f"/* {comment} */\nenum {name} {{\n{values}}};\n"


def emit_keys(files):
    enums = [emit_enum("api_key", "Keys of the requests that exist.", "API",
                       [(f.api_key, f.api_name) for f in files if f.listeners])]
    messages = [(file.coordinator, m) for file in files for m in file.messages]
    records = [(m.key, m.name) for _, m in messages if m.kind == "record"]
    enums.append(emit_enum("metadata_record_key", "Keys of the records in the metadata log.",
                           "METADATA", records))
    for name in COORDINATORS:
        enums.append(emit_enum(f"{name}_record_type", f"Types of the {name} coordinator's records.",
                               f"{name.upper()}_RECORD",
                               [(m.key, m.name.removesuffix("Key")) for coordinator, m in messages
                                if coordinator == name and m.kind == "key"]))
    guard = "KRAFTD_GENERATED_KEYS_H"
    return f"{HEAD}#ifndef {guard}\n#define {guard}\n\n" + "\n".join(enums) + "\n#endif\n"


def emit_errors(errors):
    codes = HEAD + "#ifndef KRAFTD_GENERATED_KAFKA_ERROR_CODES_H\n"
    codes += "#define KRAFTD_GENERATED_KAFKA_ERROR_CODES_H\n\nenum kafka_error {\n"
    codes += "".join(f"    KAFKA_ERROR_{name} = {code},\n" for code, name, _, _ in errors)
    codes += "};\n\n"
    codes += f"#define KAFKA_ERROR_FIRST {errors[0][0]}\n"
    codes += f"#define KAFKA_ERROR_LAST  {errors[-1][0]}\n"
    codes += "\n#endif\n"
    table = HEAD + "".join(
        f"KAFKA_ERROR_ENTRY({name}, {str(retriable).lower()}, {c_string(message)})\n"
        for _, name, retriable, message in errors)
    return {"kafka_error_codes.h": codes, "kafka_error_table.h": table}


def emit_all(files, errors):
    guard = "KRAFTD_GENERATED_MESSAGES_H"
    includes = "".join(f'#include "common/protocol/messages/{file.name}.h"\n' for file in files)
    outputs = {f"messages/{file.name}.h": emit_header(file) for file in files}
    outputs["messages.h"] = f"{HEAD}#ifndef {guard}\n#define {guard}\n\n{includes}\n#endif\n"
    outputs["schema_tables.c"] = emit_tables(files)
    outputs["schema_keys.h"] = emit_keys(files)
    return outputs | emit_errors(errors)


def write_if_changed(path, text):
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(schema_folder, output_folder):
    names = sorted(name[:-4] for name in os.listdir(schema_folder) if name.endswith(".ksc"))
    path = lambda name: os.path.join(schema_folder, name + ".ksc")
    files = [schema.parse(path(name), name) for name in names if name != "errors"]
    for name, text in emit_all(files, schema.parse_errors(path("errors"))).items():
        write_if_changed(os.path.join(output_folder, name), text)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2])
    except SchemaError as error:
        sys.exit(str(error))
