#!/usr/bin/env python3
"""Makes the table of configuration keys from configs.tsv (see there for its columns).

usage: generate.py CONFIGS_TSV OUTPUT_FOLDER

Output: config_ids.h with enum config_id, and config_table.c with one struct config_def per row
(config_def.h), in the same order, plus the ids in order of scope and name for look-ups. A file is
written only when its contents change.
"""
import os
import re
import sys

HEAD = "/* Made by metadata/config/generate.py; do not edit. */\n"
COLUMNS = "scope name type default importance valid update synonyms flag effect doc".split()
SCOPES = ["broker", "topic", "group", "client-metrics", "client", "ip", "kraftd"]
TYPES = ["boolean", "string", "int", "short", "long", "double", "list", "class", "password"]
CHOICES = {
    "scope": SCOPES,
    "type": TYPES,
    "importance": ["high", "medium", "low"],
    "update": ["-", "broker", "cluster"],
    "flag": ["-", "internal", "hidden", "dynamic"],
    "effect": ["used", "later", "moot", "refused"],
}
RANGE = re.compile(r"(-?[\d.]+?)?\.\.(-?[\d.]+)?")


class TableError(Exception):
    pass


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def c_str(text):
    """An initialiser of struct str; None is null."""
    return "{NULL, -1}" if text is None else f"{{{c_string(text)}, {len(text.encode())}}}"


def c_name(prefix, text):
    return f"CONFIG_{prefix}_" + re.sub(r"[^A-Z0-9]", "_", text.upper())


def config_id(row):
    # Our own keys carry their prefix in their name.
    name = row["name"].removeprefix("kraftd.") if row["scope"] == "kraftd" else row["name"]
    return c_name(re.sub("-", "_", row["scope"]).upper(), name)


def read_rows(path):
    rows = []
    with open(path, encoding="utf-8") as file:
        lines = [(number, line.rstrip("\n")) for number, line in enumerate(file, 1)
                 if not line.startswith("#")]
    if lines[0][1].split("\t") != COLUMNS:
        raise TableError(f"{path}: the first row must name the columns: {' '.join(COLUMNS)}")
    for number, line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise TableError(f"{path}:{number}: {len(cells)} columns instead of {len(COLUMNS)}")
        row = dict(zip(COLUMNS, cells), line=number)
        for column, words in CHOICES.items():
            if row[column] not in words:
                raise TableError(f"{path}:{number}: {column} is {row[column]}, not one of "
                                 + ", ".join(words))
        rows.append(row)
    names = [(row["scope"], row["name"]) for row in rows]
    for row in rows:
        if names.count((row["scope"], row["name"])) > 1:
            raise TableError(f"{path}:{row['line']}: {row['name']} stands twice")
    if [row["scope"] for row in rows] != sorted((row["scope"] for row in rows), key=SCOPES.index):
        raise TableError(f"{path}: the scopes must stand in this order: {' '.join(SCOPES)}")
    return rows


def rule_of(row, path):
    """(rule, lower bound, upper bound, choices); the bounds as texts."""
    valid = row["valid"]
    words = valid.split(" ")
    bounds = RANGE.fullmatch(valid)
    if bounds:
        return "CONFIG_RULE_RANGE", bounds.group(1), bounds.group(2), []
    if words[0] == "list":
        rule = "CONFIG_RULE_LIST_EMPTY" if "empty" in words[1:2] else "CONFIG_RULE_LIST"
        return rule, None, None, words[words.index("of") + 1:] if "of" in words else []
    simple = {"-": "NONE", "nonempty": "NONEMPTY", "gzip": "GZIP", "replicas": "REPLICAS",
              "voters": "VOTERS", "bootstrap": "BOOTSTRAP", "reset": "RESET"}
    if valid in simple:
        return f"CONFIG_RULE_{simple[valid]}", None, None, []
    if words[0] in ("in", "anycase"):
        return f"CONFIG_RULE_{words[0].upper()}", None, None, words[1:]
    raise TableError(f"{path}:{row['line']}: {valid} is no rule")


def synonyms_of(row, rows, path):
    if row["synonyms"] == "-":
        return []
    result = []
    for word in row["synonyms"].split(" "):
        name, _, factor = word.partition("*")
        target = [other for other in rows if (other["scope"], other["name"]) == ("broker", name)]
        if not target:
            raise TableError(f"{path}:{row['line']}: the synonym {name} is no broker key")
        result.append((config_id(target[0]), int(factor or 1)))
    return result


def emit_table(rows, path):
    text = HEAD + '#include "metadata/config/config_def.h"\n\n#include <math.h>\n\n'
    entries = ""
    for row in rows:
        name = config_id(row)
        rule, low, high, choices = rule_of(row, path)
        synonyms = synonyms_of(row, rows, path)
        if choices:
            text += (f"static const struct str {name}_choices[] = {{"
                     + ", ".join(c_str(choice) for choice in choices) + "};\n")
        if synonyms:
            text += (f"static const struct config_synonym {name}_synonyms[] = {{"
                     + ", ".join(f"{{{target}, {factor}}}" for target, factor in synonyms) + "};\n")
        default = {"null": None, "required": None, '""': ""}.get(row["default"], row["default"])
        entries += f"""    [{name}] = {{
        .id = {name}, .scope = {c_name("SCOPE", row["scope"])},
        .type = CONFIG_TYPE_{row["type"].upper()},
        .importance = CONFIG_IMPORTANCE_{row["importance"].upper()},
        .update = CONFIG_UPDATE_{"NEVER" if row["update"] == "-" else row["update"].upper()},
        .flag = CONFIG_FLAG_{"NONE" if row["flag"] == "-" else row["flag"].upper()},
        .effect = CONFIG_EFFECT_{row["effect"].upper()}, .rule = {rule},
        .required = {str(row["default"] == "required").lower()},
        .name = {c_str(row["name"])}, .default_value = {c_str(default)},
        .min = {low or "-INFINITY"}, .max = {high or "INFINITY"},
        .min_text = {c_str(low)}, .max_text = {c_str(high)},
        .choices = {name + "_choices" if choices else "NULL"}, .choices_count = {len(choices)},
        .synonyms = {name + "_synonyms" if synonyms else "NULL"},
        .synonyms_count = {len(synonyms)}, .doc = {c_str(row["doc"])}}},
"""
    text += f"\nconst struct config_def config_defs[CONFIG_COUNT] = {{\n{entries}}};\n"
    ordered = sorted(rows, key=lambda row: (SCOPES.index(row["scope"]), row["name"].encode()))
    text += ("\nconst enum config_id config_ids_by_name[CONFIG_COUNT] = {\n    "
             + ",\n    ".join(config_id(row) for row in ordered) + "};\n")
    return text


def emit_ids(rows):
    text = HEAD + "#ifndef KRAFTD_GENERATED_CONFIG_IDS_H\n#define KRAFTD_GENERATED_CONFIG_IDS_H\n\n"
    text += "enum config_id {\n" + "".join(f"    {config_id(row)},\n" for row in rows)
    text += "    CONFIG_COUNT\n};\n\n"
    for scope in SCOPES:
        ids = [config_id(row) for row in rows if row["scope"] == scope]
        text += f"#define {c_name('FIRST', scope)} {ids[0]}\n"
        text += f"#define {c_name('LAST', scope)} {ids[-1]}\n"
    return text + "\n#endif\n"


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(path) and open(path, encoding="utf-8").read() == text:
        return
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def main():
    path, folder = sys.argv[1:]
    try:
        rows = read_rows(path)
        write(folder, "config_ids.h", emit_ids(rows))
        write(folder, "config_table.c", emit_table(rows, path))
    except TableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
