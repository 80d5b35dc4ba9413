#!/usr/bin/env python3
"""Makes C headers and tables from the schema files.

usage: generate.py SCHEMA_FOLDER OUTPUT_FOLDER

A file is written only when its contents change, so that editing one schema rebuilds little.
"""
import os
import sys

HEAD = "/* Made by common/protocol/generate.py; do not edit. */\n"


class SchemaError(Exception):
    pass


def content_lines(path):
    """The lines that say something, as (line number, text)."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield number, line.rstrip("\n")


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ---- errors.ksc: code, name, "retriable" or "-", message


def parse_errors(path):
    errors = []
    for number, line in content_lines(path):
        code, name, retriable, message = line.split(None, 3)
        if retriable not in ("retriable", "-"):
            raise SchemaError(f"{path}:{number}: expected 'retriable' or '-', got {retriable}")
        if errors and int(code) != errors[-1][0] + 1:
            raise SchemaError(f"{path}:{number}: codes must ascend without a gap")
        errors.append((int(code), name, retriable == "retriable", message))
    return errors


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
    outputs = emit_errors(parse_errors(os.path.join(schema_folder, "errors.ksc")))
    for name, text in outputs.items():
        write_if_changed(os.path.join(output_folder, name), text)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2])
    except SchemaError as error:
        sys.exit(str(error))
