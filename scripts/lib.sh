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
