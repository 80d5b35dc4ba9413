"""What all parts of the chaos harness share."""

import ctypes
import os
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What went wrong and what to do, in one sentence."""


class Unhealthy(Exception):
    """The cluster did not become whole again in time."""


class Interrupted(BaseException):
    """A signal asked for the end."""


def monotonic_ms():
    """The clock that the load uses as well."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def die_with_parent():
    """For preexec_fn: a harness that is killed leaves no process behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(*words, ok=True):
    """A short command of the system; its output. Raises Failure with what it said."""
    result = subprocess.run(words, capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    if ok and result.returncode != 0:
        reason = (result.stderr or result.stdout).strip().splitlines()
        raise Failure(f"{' '.join(words)}: {reason[-1] if reason else 'failed without a word'}")
    return result.stdout


def until(what, seconds, is_so, step=0.1, error=Unhealthy):
    """Waits until is_so() gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = is_so()
        if found:
            return found
        if time.monotonic() > deadline:
            raise error(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(step)
