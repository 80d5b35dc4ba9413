"""The earlier build that upgrades begin from: of the commit that tests/data/upgrade_from names, in
.cache/upgrade. test_upgrade.py makes it; scripts/chaos uses it where it is."""

import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMED = os.path.join(ROOT, "tests", "data", "upgrade_from")


class Unbuilt(Exception):
    """Why there is none."""


def named():
    with open(NAMED, encoding="utf-8") as f:
        return [line for line in f if not line.startswith("#")][0].strip()


def place_of(commit):
    """Its kraftd, there or not."""
    return os.path.join(ROOT, ".cache", "upgrade", commit, "build", "bin", "kraftd")


def at_hand():
    """The kraftd of the named commit, or None."""
    kraftd = place_of(named())
    return kraftd if os.access(kraftd, os.X_OK) else None


def git(*words, **more):
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, check=False, **more)


def built(commit):
    """The kraftd of an earlier commit; made from the git history, once."""
    if not shutil.which("git") or git("rev-parse", "--git-dir").returncode != 0:
        raise Unbuilt("an earlier build needs the git history, and there is none here")
    found = git("rev-parse", "--verify", "--quiet", commit + "^{commit}", text=True)
    if found.returncode != 0:
        raise Unbuilt(f"the git history here does not reach back to {commit}")
    kraftd = place_of(found.stdout.strip())
    if os.path.exists(kraftd):
        return kraftd
    print(f"building {commit} ...", flush=True)
    build = os.path.dirname(os.path.dirname(kraftd))
    source = os.path.join(os.path.dirname(build), "source")
    shutil.rmtree(os.path.dirname(build), ignore_errors=True)
    os.makedirs(source)
    archive = git("archive", found.stdout.strip())
    if archive.returncode != 0:
        raise AssertionError(f"git archive: {archive.stderr}")
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    for step in (["cmake", "-S", source, "-B", build, "-G", "Ninja",
                  "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DKRAFTD_TESTS=OFF",
                  "-DKRAFTD_WERROR=OFF"],
                 ["cmake", "--build", build, "--target", "kraftd", "-j", str(os.cpu_count())]):
        result = subprocess.run(step, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise AssertionError(f"{' '.join(step)} failed:\n{result.stdout[-3000:]}")
    return kraftd
