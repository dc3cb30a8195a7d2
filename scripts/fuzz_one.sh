#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz_one.sh SECONDS FINDINGS PROGRAM: runs one fuzzer from its corpus, and says nothing if it finds nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=$1 findings=$2 program=$3
name=$(basename "$program")
name=${name#fuzz_}
new=${DUNLIN_WORK:-$(mktemp -d)}/$name
mkdir -p "$new"
# The corpus as it is comes first: an old finding is found again at once.
quietly "$program" -artifact_prefix="$findings/$name-" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -max_len=65536 -print_final_stats=1 "$new" "$root/tests/fuzz/corpus/$name"
