"""Every fault and every missing guard of this list has to be noticed.

Each line names a switch (common/base/mutation.h, raft/quorum_guard.h) and who notices: a unit test
that fails with it and passes without, or a subject of the simulation of which one of the first
seeds fails. What does not fail any more is a test that has lost its teeth.

usage: test_mutations.py DIRECTORY_OF_UNIT_TESTS KRAFTD_SIM [NAME ...]
"""

import os
import re
import subprocess
import sys
import time

GUARD = "raft.test_quorum_guard"
REPLICAS = "broker.replica.test_partition_replicas"

# switch, test, what has to fail in it
UNIT = [
    ("w1", GUARD, "test_w1_stale_term"),
    ("w2", GUARD, "test_w2_compacted_prefix"),
    ("w3", GUARD, "test_w3_stale_reject"),
    ("w4", GUARD, "test_w4_pre_vote_term"),
    ("w5", GUARD, "test_w5_change_after_commit"),
    ("w6", GUARD, "test_w6_change_first"),
    ("w7", GUARD, "test_w7_live_majority"),
    ("w8", GUARD, "test_w8_commit_is_stored"),
    ("w9", GUARD, "test_w9_nobody_is_demoted"),
    ("w10", GUARD, "test_w10_persisted_after_truncation"),
    ("w11", GUARD, "test_w11_amnesiac"),
    ("w12", GUARD, "test_w12_late_vote_result"),
    ("retry-failed-fsync", "raft.test_quorum_node", "test_disk_errors_stop_the_node"),  # W13
    ("w14", GUARD, "test_w14_last_survivor"),
    ("w15", GUARD, "test_w15_sole_voter"),
    ("w16", "raft.test_quorum_state", "test_w16_import"),
    ("w17", GUARD, "test_w17_whole_batches"),
    ("w18", GUARD, "test_w18_echo"),
    ("w19", GUARD, "test_w19_result_is_batch_end"),
    ("w20", GUARD, "test_w20_unknown_term"),
    ("w21", GUARD, "test_w21_bootstrap_is_no_snapshot"),
    ("barrier", GUARD, "test_barrier_of_our_own"),
    ("formation-one-collect", "raft.test_formation", "test_needs_two_collects"),
    ("formation-no-reset", "raft.test_formation", "test_model"),
    ("formation-majority", "raft.test_formation", "test_model"),
    ("keep-raft-id", "raft.test_quorum_cluster", "test_three"),
    ("keep-raft-id", "raft.test_quorum_open", "test_a_lost_log_is_refused"),
    ("persisted-before-fsync", "raft.test_quorum_cluster", "test_three"),
    ("stale-broker-epoch", "metadata.controller.test_brokers", "registers_and_is_let_in"),
    ("fenced-in-isr", "metadata.controller.test_alter_partition", "fenced_and_stopping_replicas"),
    ("former-life-in-isr", "metadata.controller.test_alter_partition", "another_incarnation"),
    ("unflushed-leads", "metadata.controller.test_elections", "last_replica_standing"),
    ("cut-to-watermark", REPLICAS, "a_new_epoch_alone_cuts_nothing"),
    ("cut-without-epoch", REPLICAS, "fast_double_failover"),
    ("watermark-before-cut", REPLICAS, "the_watermark_waits_for_the_cut"),
    ("ack-before-isr", REPLICAS, "the_watermark_waits_for_who_is_in_sync"),
    ("ignore-durable-end", REPLICAS, "what_is_not_synced_is_not_fetched_beyond"),
    ("delete-alone", REPLICAS, "a_deletion_waits_for_the_others"),
    ("adopt-directory", "common.storage.test_log_manager",
     "another_topic_of_the_same_name_is_set_aside"),
    ("copy-not-synced", "common.storage.test_log_manager_moves", "crash_at_any_call"),
]

# switch, subject, seeds of which one has to fail
SIMULATED = [
    ("persisted-before-fsync", "cluster", "1-600"),
    ("vote-not-durable", "cluster", "1-600"),
    ("fetch-past-commit", "cluster", "1-600"),
    ("formation-majority", "cluster", "1-600"),
    ("keep-raft-id", "cluster", "1-600"),
    ("retry-failed-fsync", "node", "1-600"),
    ("w15", "cluster", "1-600"),
    ("ack-before-isr", "cluster", "1-600"),
    ("ignore-durable-end", "cluster", "1-600"),
    ("cut-to-watermark", "cluster", "1-600"),
    ("unflushed-leads", "cluster", "1-600"),
    ("delete-alone", "cluster", "1-60"),
    ("adopt-directory", "cluster", "1-60"),
    ("copy-not-synced", "cluster", "1-60"),
    ("copy-not-cut", "cluster", "1-60"),
]


def run_unit(path, mutation):
    env = dict(os.environ, LSAN_OPTIONS="detect_leaks=0")
    if mutation:
        env["KRAFTD_MUTATE"] = mutation
    done = subprocess.run([path], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300)
    text = done.stdout.decode(errors="replace")
    return done.returncode, set(re.findall(r"\[  FAILED  \] (\w+)", text))


def check_unit(directory, mutation, test, expected):
    code, failed = run_unit(os.path.join(directory, test), mutation)
    if code != 0 and expected in failed:
        return None
    names = ", ".join(sorted(failed)) or "nothing"
    return f"{test}: {expected} does not fail (exit code {code}, failed: {names})"


def check_simulated(sim, mutation, subject, seeds):
    done = subprocess.run(
        [sim, "--jobs", "1", "--subject", subject, "--seeds", seeds, "--mutate", mutation,
         "--expect-failure"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    return None if done.returncode == 0 else f"none of the seeds {seeds} of {subject} fails"


def main():
    directory, sim, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    checks = [(m, f"{test} {name}", check_unit, (directory, m, test, name))
              for m, test, name in UNIT]
    checks += [(m, f"{subject} {seeds}", check_simulated, (sim, m, subject, seeds))
               for m, subject, seeds in SIMULATED]
    checks = [c for c in checks if not wanted or c[0] in wanted]
    missed = []
    for test in sorted({args[2] for _, _, check, args in checks if check is check_unit}):
        code, failed = run_unit(os.path.join(directory, test), None)
        if code != 0:
            missed.append(f"{test} fails without a fault: {', '.join(sorted(failed))}")
    for mutation, where, check, args in checks:
        began = time.monotonic()
        problem = check(*args)
        took = time.monotonic() - began
        print(f"{'missed' if problem else 'caught':8}{mutation:26}{where} ({took:.1f} s)",
              flush=True)
        if problem:
            missed.append(f"{mutation}: {problem}")
    print("\n".join(missed) or f"{len(checks)} of {len(checks)} are caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
