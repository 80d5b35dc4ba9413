"""Reads the schema files (*.ksc): one message or record per block, one field per line.

    api KEY NAME [on LISTENER,...] [unstable]     whose request and response stand in the file
    coordinator group|share|transaction           in whose log the file's keys and values stand
    KIND [KEY] NAME VERSIONS [flexible VERSIONS]  KIND: request, response, header, data; with a KEY:
                                                  record (of the metadata log), key, value
      FIELD TYPE[?[VERSIONS]] [VERSIONS] [= DEFAULT] [tag N] [ignorable] [flexible none]
      struct NAME                                 a struct that several fields of the message share

A deeper line is a field of the struct that the line above it introduces. VERSIONS is "3", "3-7",
"3+" or "none"; a field without it exists in every version. "?" after a type: may be null, in all
versions of the field or in those that follow. A field with a tag is tagged in all versions it has.
A default is the type's zero (empty string, empty array) where none is given. "unstable": the
request's latest version may change.
"""
import re

ALWAYS = (0, 255)
NEVER = (1, 0)
NUMBERS = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
           "float64": 8}
PRIMITIVES = set(NUMBERS) | {"uuid", "string", "bytes", "records"}
KEYED_KINDS = {"record", "key", "value"}
KINDS = KEYED_KINDS | {"request", "response", "header", "data"}


class SchemaError(Exception):
    pass


class Field:
    def __init__(self, name, line):
        self.name, self.line = name, line
        self.type = ""  # without "[]": a primitive or the name of a struct
        self.is_array = False
        self.versions = ALWAYS
        self.nullable = NEVER
        self.default = None  # as written
        self.tag = None
        self.ignorable = False
        self.never_flexible = False
        self.fields = None  # of a struct that is declared in place


class Struct:
    def __init__(self, name, fields):
        self.name, self.fields = name, fields


class Message:
    def __init__(self, kind, key, name, versions, flexible):
        self.kind, self.key, self.name = kind, key, name
        self.versions, self.flexible = versions, flexible
        self.fields = []
        self.structs = {}  # every struct by name, inner ones before those that hold them


class Schema:
    """One file."""

    def __init__(self, name):
        self.name = name
        self.api_key, self.api_name, self.listeners, self.unstable = None, None, [], False
        self.coordinator = None
        self.messages = []


def content_lines(path):
    """The lines that say something, as (line number, text)."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield number, line.rstrip("\n")


def parse_versions(text):
    if text == "none":
        return NEVER
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        raise SchemaError(f"not a version range: {text}")
    low = int(match[1])
    high = 255 if match[2] == "+" else int(match[3] or low)
    if not low <= high <= 255:
        raise SchemaError(f"not a version range: {text}")
    return low, high


def parse_field(line, words):
    field = Field(words[0], line)
    match = re.fullmatch(r"(\[\])?(\w+)(\?(.*))?", words[1])
    if not match:
        raise SchemaError(f"not a type: {words[1]}")
    field.is_array, field.type = bool(match[1]), match[2]
    words = words[2:]
    if words and words[0][0].isdigit():
        field.versions = parse_versions(words.pop(0))
    if match[3]:
        field.nullable = parse_versions(match[4]) if match[4] else field.versions
    while words:
        word = words.pop(0)
        if word == "=":
            field.default = words.pop(0)
        elif word == "tag":
            field.tag = int(words.pop(0))
        elif word == "ignorable":
            field.ignorable = True
        elif word == "flexible" and words.pop(0) == "none":
            field.never_flexible = True
        else:
            raise SchemaError(f"not understood: {word}")
    return field


def parse_head(line, words):
    kind = words.pop(0)
    key = int(words.pop(0)) if kind in KEYED_KINDS else None
    name, versions = words.pop(0), parse_versions(words.pop(0))
    flexible = NEVER
    if words:
        if words[0] != "flexible" or len(words) != 2:
            raise SchemaError(f"not understood: {' '.join(words)}")
        flexible = parse_versions(words[1])
    if versions[1] == 255:
        raise SchemaError("the versions of a message have an end")
    return Message(kind, key, name, versions, flexible)


def parse_directive(schema, words):
    if words[0] == "coordinator":
        schema.coordinator = words[1]
        return
    schema.api_key, schema.api_name = int(words[1]), words[2]
    words = words[3:]
    if words and words[0] == "on":
        schema.listeners = words[1].split(",")
        words = words[2:]
    if words == ["unstable"]:
        schema.unstable = True
    elif words:
        raise SchemaError(f"not understood: {' '.join(words)}")


def parse_line(schema, stack, number, line):
    """stack: (indentation, list that lines of this depth belong to)."""
    indentation = len(line) - len(line.lstrip())
    words = line.split()
    if indentation == 0:
        if words[0] in ("api", "coordinator"):
            parse_directive(schema, words)
            return
        if words[0] not in KINDS:
            raise SchemaError(f"not understood: {words[0]}")
        message = parse_head(number, words)
        schema.messages.append(message)
        stack[:] = [(2, message.fields)]
        return
    while stack and indentation < stack[-1][0]:
        stack.pop()
    if not stack or indentation != stack[-1][0]:
        raise SchemaError("bad indentation")
    if words[0] == "struct":
        inner = []
        schema.messages[-1].structs[words[1]] = Struct(words[1], inner)
    else:
        field = parse_field(number, words)
        stack[-1][1].append(field)
        inner = field.fields = []
    stack.append((indentation + 2, inner))


def link(message, fields, done):
    """Fills message.structs, inner structs first, and checks what a field's type allows."""
    for field in fields:
        if field.type in PRIMITIVES:
            if field.fields:
                raise SchemaError(f"line {field.line}: {field.type} has no fields")
            field.fields = None
            continue
        if field.fields:
            if field.type in message.structs or field.type in done:
                raise SchemaError(f"line {field.line}: {field.type} is declared twice")
            struct = Struct(field.type, field.fields)
        elif field.type in done:
            field.fields = None
            continue
        elif field.type in message.structs:
            struct, field.fields = message.structs[field.type], None
        else:
            raise SchemaError(f"line {field.line}: unknown type {field.type}")
        link(message, struct.fields, done)
        done[field.type] = struct


def check_tags(fields):
    tags = [field.tag for field in fields if field.tag is not None]
    if sorted(tags) != list(range(len(tags))) or len(tags) > 64:
        raise SchemaError(f"line {fields[0].line}: tags must be 0, 1, 2 and so on, at most 64")


def parse(path, name):
    schema, stack = Schema(name), []
    for number, line in content_lines(path):
        try:
            parse_line(schema, stack, number, line)
        except (SchemaError, IndexError, ValueError) as error:
            raise SchemaError(f"{path}:{number}: {error}") from error
    for message in schema.messages:
        try:
            done = {}
            link(message, message.fields, done)
            if unused := set(message.structs) - set(done):
                raise SchemaError(f"unused: {unused}")
            message.structs = done
            for struct in [Struct(message.name, message.fields), *done.values()]:
                check_tags(struct.fields)
        except SchemaError as error:
            raise SchemaError(f"{path}: {message.name}: {error}") from error
    return schema


def parse_errors(path):
    """Error codes: code, name, "retriable" or "-", message."""
    errors = []
    for number, line in content_lines(path):
        code, name, retriable, message = line.split(None, 3)
        if retriable not in ("retriable", "-"):
            raise SchemaError(f"{path}:{number}: expected 'retriable' or '-', got {retriable}")
        if errors and int(code) != errors[-1][0] + 1:
            raise SchemaError(f"{path}:{number}: codes must ascend without a gap")
        errors.append((int(code), name, retriable == "retriable", message))
    return errors
