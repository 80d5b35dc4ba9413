"""Tests of what the shell scripts say and how they end, with small stand-ins for what they call."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*words, **environment):
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))
    return done.returncode, done.stdout, done.stderr


class Tree:
    """A folder with some of our scripts, and stand-ins of one line for others."""

    def __init__(self, test, *scripts):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = folder.name
        for name in ("scripts/lib.sh", *scripts):
            os.makedirs(os.path.dirname(self / name), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), self / name)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def put(self, name, body):
        os.makedirs(os.path.dirname(self / name), exist_ok=True)
        with open(self / name, "w", encoding="ascii") as out:
            out.write("#!/bin/bash\n" + body + "\n")
        os.chmod(self / name, 0o755)


class Ci(unittest.TestCase):
    def ends(self, **bodies):
        tree = Tree(self, ".ci/run")
        for name, body in bodies.items():
            tree.put("scripts/" + name.replace("_", "-"), body)
        rc, out, _ = run(tree / ".ci/run")
        return rc, out.strip().split("\n")[-2:], out

    def test_all_parts_pass(self):
        rc, lines, _ = self.ends(test="true", fresh_check="true", tsan="true", fuzz="true",
                                 interop="true")
        self.assertEqual(rc, 0)
        self.assertRegex(lines[1], r"^run: passed: 5 parts in \d+ minutes "
                                   r"\(test fresh-check tsan fuzz interop\)$")

    def test_parts_that_cannot_run_are_named(self):
        rc, lines, out = self.ends(test="true", fresh_check="exit 77", tsan="true")
        self.assertEqual(rc, 0)
        self.assertEqual(lines[0], "run: left out: fresh-check fuzz upgrade interop chaos")
        self.assertIn("passed: 2 parts", lines[1])
        self.assertIn("=== fuzz: left out, the tree has no scripts/fuzz", out)

    def test_a_part_that_fails_fails_all_but_stops_nothing(self):
        rc, lines, out = self.ends(test="exit 3", fresh_check="true", tsan="exit 1", fuzz="true")
        self.assertEqual(rc, 1)
        self.assertRegex(lines[1], r"^run: FAILED after \d+ minutes: test; tsan$")
        self.assertIn("=== test: FAILED (exit code 3)", out)
        self.assertIn("=== fuzz: passed", out)

    def test_nothing_is_read_from_the_terminal(self):
        rc, _, _ = self.ends(test="! read -r -t 5 line")
        self.assertEqual(rc, 0)


class Setup(unittest.TestCase):
    def stand_ins(self, installed):
        tree = Tree(self, "scripts/setup")
        tree.put("bin/dpkg-query", f'case " {installed} " in *" ${{@: -1}} "*) '
                                   'echo "installed 0.22.1-1";; *) exit 1;; esac')
        tree.put("bin/apt-get", "exit 1")
        tree.put("bin/apt-cache", "echo x")
        tree.put("bin/id", "echo 1000")
        return tree, tree / "bin" + ":" + tree / "minimal"

    def test_an_unknown_part_is_refused(self):
        rc, out, err = run(os.path.join(ROOT, "scripts/setup"), "nonsense")
        self.assertEqual((rc, out), (1, ""))
        self.assertRegex(err, r"^setup: usage: scripts/setup \[build\|.*\n$")

    def test_without_rights_it_says_what_to_do(self):
        tree, _ = self.stand_ins("gcc cmake")
        # Everything but sudo.
        for tool in ("bash", "sed", "sort", "tr", "cat", "dirname", "basename", "dpkg", "mktemp",
                     "env", "head", "grep"):
            os.makedirs(tree / "minimal", exist_ok=True)
            os.symlink(shutil.which(tool), tree / f"minimal/{tool}")
        rc, out, err = run(tree / "scripts/setup", "fresh",
                           PATH=tree / "bin" + ":" + tree / "minimal")
        self.assertEqual((rc, out, err.count("\n")), (1, "", 1), err)
        self.assertIn("3 Debian packages are missing and installing them takes root: run "
                      '"scripts/setup fresh" as root once', err)
        self.assertIn("(missing: debootstrap git python3)", err)

    def test_when_all_is_there_it_needs_no_rights(self):
        tree, path = self.stand_ins("debootstrap git python3")
        rc, out, err = run(tree / "scripts/setup", "fresh",
                           PATH=path + ":" + os.environ["PATH"])
        self.assertEqual((rc, out, err), (0, "setup: all 3 packages are installed\n", ""))


class Quickstart(unittest.TestCase):
    def test_usage(self):
        rc, out, err = run(os.path.join(ROOT, "scripts/quickstart"), "--port", "1")
        self.assertEqual((rc, out), (1, ""))
        self.assertEqual(err, "quickstart: usage: scripts/quickstart [--dir D] [--base-port P]\n")

    def tour(self, **bodies):
        tree = Tree(self, "scripts/quickstart")
        tree.put("scripts/setup", "true")
        tree.put("scripts/cluster", 'echo "node 1: ready, pid 1, clients 127.0.0.1:19092, more"')
        for name in ("cmake", "kcat"):
            tree.put("bin/" + name, "true")
        for name in ("kafka-topics", "kafka-console-producer", "kafka-console-consumer"):
            tree.put(f"build/bin/{name}.sh", "cat >/dev/null")
        # What was produced last comes back.
        tree.put("bin/kcat", 'for w; do case $w in -P) cat >"$0.log";; -C) cat "$0.log";; esac; '
                             'done')
        for name, body in bodies.items():
            tree.put(name.replace("_", "/", 1).replace("_", "-"), body)
        return run(tree / "scripts/quickstart", PATH=tree / "bin" + ":" + os.environ["PATH"])

    def test_the_tour_ends_with_how_to_go_on(self):
        rc, out, err = self.tour()
        self.assertEqual((rc, err), (0, ""))
        self.assertIn("kraftd runs. Clients connect to 127.0.0.1:19092;", out)
        self.assertIn("http://127.0.0.1:19292/metrics", out)

    def test_what_fails_is_said_in_one_sentence(self):
        rc, _, err = self.tour(bin_cmake="exit 1")
        self.assertEqual((rc, err), (1, "quickstart: cmake refused the preset release: the reason "
                                        "stands above\n"))
        rc, _, err = self.tour(bin_kcat="for w; do [ $w != -P ] || cat >/dev/null; done")
        self.assertEqual(rc, 1)
        self.assertIn("what kcat produced did not come back", err)
        rc, _, err = self.tour(scripts_cluster="echo port 9092 is in use >&2; exit 1")
        self.assertEqual((rc, err), (1, "port 9092 is in use\n"))


if __name__ == "__main__":
    unittest.main()
