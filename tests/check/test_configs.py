"""Tests of metadata/config/configs.tsv: bad rows are named, and its column "effect" says what the
code does: a key that is used is read somewhere, a key that is read is not called without effect.

Reading a key means its id (CONFIG_BROKER_NUM_PARTITIONS) stands outside of the table's own code, or
a topic key that is read has it as a synonym.
"""
import glob
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "metadata/config"))
sys.dont_write_bytecode = True
import generate  # noqa: E402  pylint: disable=wrong-import-position

# Judge values without acting on them.
JUDGES = re.compile(r"metadata/(config/(config_|compatibility|server_values)|config_|"
                    r"controller/configs_check)")


def ids_read():
    ids = set()
    for folder in ("common", "raft", "metadata", "broker", "tools"):
        for path in glob.glob(os.path.join(ROOT, folder, "**/*.[ch]"), recursive=True):
            if not JUDGES.search(path):
                with open(path, encoding="utf-8") as file:
                    ids.update(re.findall(r"\bCONFIG_[A-Z0-9_]+\b", file.read()))
    return ids


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, "broker/server/main.c")),
                     "there is no server in the tree yet")
class Effects(unittest.TestCase):
    def test_effects_are_true(self):
        path = os.path.join(ROOT, "metadata/config/configs.tsv")
        rows = generate.read_rows(path)
        read = ids_read()
        for row in rows:
            if generate.config_id(row) in read:
                read.update(target for target, _ in generate.synonyms_of(row, rows, path))
        idle = [row["name"] for row in rows
                if row["effect"] == "used" and generate.config_id(row) not in read]
        busy = [row["name"] for row in rows
                if row["effect"] in ("later", "moot") and generate.config_id(row) in read]
        self.assertEqual(idle, [], "called used, but nothing reads them")
        self.assertEqual(busy, [], "called without effect, but something reads them")


class Table(unittest.TestCase):
    """A row that is not understood stops the build with its line."""
    GOOD = ["broker", "a.b", "int", "1", "high", "1..9", "-", "-", "-", "used", "Words."]

    def read(self, *rows):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "configs.tsv")
            with open(path, "w", encoding="utf-8") as out:
                out.write("\n".join("\t".join(row) for row in (generate.COLUMNS, *rows)) + "\n")
            found = generate.read_rows(path)
            return generate.emit_table(found, path)

    def refused(self, message, *rows):
        with self.assertRaisesRegex(generate.TableError, message):
            self.read(*rows)

    def changed(self, column, value):
        row = list(self.GOOD)
        row[generate.COLUMNS.index(column)] = value
        return row

    def test_good_row(self):
        self.assertIn("[CONFIG_BROKER_A_B] = {", self.read(self.GOOD))

    def test_bad_rows(self):
        for column, value in (("scope", "x"), ("type", "number"), ("importance", "-"),
                              ("update", "x"), ("flag", "x"), ("effect", "soon")):
            self.refused(f":2: {column} is {value}", self.changed(column, value))
        self.refused(":2: 1-9 is no rule", self.changed("valid", "1-9"))
        self.refused(":2: the synonym x is no broker key", self.changed("synonyms", "x"))
        self.refused(":2: 10 columns instead of 11", self.GOOD[:-1])
        self.refused(":[23]: a.b stands twice", self.GOOD, self.GOOD)
        self.refused("must stand in this order", self.changed("scope", "topic"), self.GOOD)


if __name__ == "__main__":
    unittest.main()
