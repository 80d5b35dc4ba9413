# Sourced by the shell scripts beside it: where the project is, and how they speak.
# shellcheck shell=bash
set -euo pipefail
script=$(basename "$0")
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s: %s\n' "$script" "$*"; }

# One clear sentence on standard error, then out.
die() {
    printf '%s: %s\n' "$script" "$*" >&2
    exit 1
}

# quietly LOG COMMAND...: keeps the output in LOG and shows its end only when the command fails.
quietly() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
}

# build_preset PRESET [TARGET...]: configures and builds, with a line of progress per tenth of it.
build_preset() {
    local preset=$1 jobs
    shift
    jobs=$(nproc)
    say "building the preset $preset, $jobs at a time"
    local log
    log=$(mktemp)
    if ! quietly "$log" cmake --preset "$preset"; then
        rm -f "$log"
        die "cmake refused the preset $preset: the reason stands above"
    fi
    rm -f "$log"
    cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"} 2>&1 | awk -v name="$script" '
        match($0, /^\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, 2, RLENGTH - 2), n, "/")
            if (int(n[1] * 10 / n[2]) > tenth) {
                tenth = int(n[1] * 10 / n[2])
                print name ": built " n[1] " of " n[2]; fflush()
            }
            next
        }
        !/^ninja: no work to do/ { print; fflush() }' ||
        die "the build failed: the first error above says where"
}
