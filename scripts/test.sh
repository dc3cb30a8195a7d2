#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Dunlin and runs its tests; `--help` says the rest.
set -uo pipefail # no -e here: a failed step is counted, and the other steps still run
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
scripts/test.sh [--all] [STEP...]

Installs what is missing (Debian 12; root or sudo), builds Dunlin and runs every test.
The last line is `N passed, N failed`; the exit code is 0 if nothing failed.

  --all    everything that a change must pass, in these steps:
             licences  every source file names its licence
             format    every C++ file is formatted as .clang-format says
             build     a build where warnings are errors (build-strict/)
             tests     every test of programs, those that take minutes, and those that trap the allocator
             install   `cmake --install`, then the Python module imported from there, and every example built and
                       run against it
             sanitize  all unit tests under the address and undefined-behaviour sanitizers (build-sanitize/, with clang)
             fuzz      every decoder fed with made-up input, 10 seconds each, from the corpus in
                       tests/fuzz/corpus (build-sanitize/; DUNLIN_FUZZ_SECONDS changes the time)
             browser   the pages in Chromium: every view at two widths, what axe finds, actions, attacks
             firmware  boards' images in their emulators (scripts/firmware.sh), two of them in a fleet
             cross     for ARM Linux of 32 bits: unit tests in an emulator, a node's package, and a fleet of such
                       nodes and this machine's (scripts/cross.sh)
           without it: the steps build and tests, in build/
  STEP     only these steps, for example: scripts/test.sh --all format. Two more, only by name:
             sanitize-all  every test under the sanitizers, the programs' own too
             cross-all     the step cross for 64 bits, too, with a fleet of both
HELP
}

preset=release
steps=(build tests)
packages=("${host_packages[@]}")
all=
chosen=()
for argument in "$@"; do
    case $argument in
        --all)
            all=--all
            preset=strict
            steps=(licences format build tests install sanitize fuzz browser firmware cross)
            packages+=("${check_packages[@]}" "${clang_packages[@]}")
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) chosen+=("$argument") ;;
    esac
done
for step in "${chosen[@]}"; do
    [[ " ${steps[*]}${all:+ sanitize-all cross-all} " == *" $step "* ]] ||
        die "there is no step '$step' here; the steps are: ${steps[*]} (see scripts/test.sh --help)"
done
((${#chosen[@]} == 0)) || steps=("${chosen[@]}")

need_packages "${packages[@]}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root" || exit

# The files of the checkout that match, also where it belongs to another user.
tracked() { git -c safe.directory="$root" ls-files -z -- "$@"; }

# run_tests PRESET [OPTION OF CTEST...]: the tests of a preset that is built.
run_tests() {
    local preset=$1
    shift
    ctest --preset "$preset" --parallel "$(nproc)" --output-on-failure --no-tests=error \
        --output-junit "$work/$preset.xml" "$@"
}

step_licences() {
    tracked '*.cpp' '*.hpp' '*.ipp' '*.c' '*.h' '*.S' '*.ld' '*.cmake' '*.cmake.in' '*CMakeLists.txt' '*.sh' '*.py' \
        '*.proto' '*.fbs' '*.js' '*.mjs' '*.ts' '*.css' .ci/run >"$work/sources"
    local file unnamed=0
    while IFS= read -r -d '' file; do
        if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: '; then
            say "$file: no SPDX-License-Identifier in the first three lines"
            unnamed=1
        fi
    done <"$work/sources"
    return "$unnamed"
}

step_format() {
    tracked '*.cpp' '*.hpp' '*.ipp' '*.c' '*.h' | xargs -0 clang-format-14 --dry-run --Werror
}

step_build() { build_preset "$preset"; }

step_tests() {
    build_preset "$preset"
    run_tests "$preset"
}

step_install() {
    build_preset "$preset"
    quietly cmake --install "build-$preset" --prefix "$work/prefix"
    "$work/prefix/bin/dunlin" --version
    PYTHONPATH=$work/prefix/lib/python3/dist-packages /usr/bin/python3 -B -c \
        'import dunlin; print(dunlin.train("navigation", seed=7).summary["tasks"][0]["return_ratio"])'
    # What the example of firmware takes in, made by what was installed.
    quietly "$work/prefix/bin/dunlin" train board-table --out "$work/board" --quiet
    quietly "$work/prefix/bin/dunlin" export "$work/board" --format bundle --name rover --out "$work/rover" --quiet
    local project name program programs
    for project in examples/*/CMakeLists.txt; do
        [[ -f $project ]] || continue
        name=$(basename "$(dirname "$project")")
        say "examples/$name against the installed Dunlin"
        quietly cmake -S "examples/$name" -B "$work/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release \
            -DCMAKE_PREFIX_PATH="$work/prefix" -DBUNDLE="$work/rover"
        cmake --build "$work/$name"
        if [[ -x examples/$name/try.sh ]]; then
            "examples/$name/try.sh" "$work/$name"
            continue
        fi
        programs=$(find "$work/$name" -maxdepth 1 -type f -executable)
        [[ -n $programs ]] || die "examples/$name builds no program in the top of its build folder"
        for program in $programs; do
            (cd "$work/$name" && "$program")
        done
    done
}

step_sanitize() {
    build_preset sanitize unit_tests
    run_tests sanitize --exclude-regex '^((fleet_)?program_tests|chaos)'
}

step_sanitize-all() {
    build_preset sanitize
    run_tests sanitize
}

# Fuzzers run side by side; what one finds is left in fuzz-findings/, to be repeated with it as the only argument.
step_fuzz() {
    build_preset sanitize fuzz
    local findings=$root/fuzz-findings seconds=${DUNLIN_FUZZ_SECONDS:-10} program
    mkdir -p "$work/fuzz" "$findings"
    for program in build-sanitize/fuzz/fuzz_*; do
        say "$(basename "$program"): $seconds s"
        printf '%s\0' "$program"
    done | DUNLIN_WORK=$work/fuzz xargs -0 -n 1 -P "$(nproc)" "$root/scripts/fuzz_one.sh" "$seconds" "$findings"
    rmdir --ignore-fail-on-non-empty "$findings"
}

# What drives the browser comes from npm, into a folder that is gone afterwards.
step_browser() {
    build_preset "$preset" dunlin dunlin-node
    cp tests/browser/package.json "$work"
    (cd "$work" && quietly npm install --no-audit --no-fund --ignore-scripts)
    for page in page hostile view; do
        node "tests/browser/$page.mjs" "build-$preset/apps/dunlin" "$work" "${DUNLIN_PICTURES:-$work/pictures}"
    done
}

# One board of each kind of processor: Cortex-M4F, M7, M33 and, without an FPU, M0.
step_firmware() { DUNLIN_PRESET=$preset scripts/firmware.sh mps2-an386 mps2-an500 mps2-an505 microbit virt-rv32 mps3-an547; }

step_cross() {
    export DUNLIN_WERROR=ON DUNLIN_PRESET=$preset
    scripts/cross.sh armhf
    scripts/cross.sh fleet armhf
    scripts/cross.sh armhf package
}

step_cross-all() {
    export DUNLIN_WERROR=ON DUNLIN_PRESET=$preset
    local target
    for target in aarch64 armhf; do
        scripts/cross.sh "$target"
        scripts/cross.sh "$target" package
    done
    scripts/cross.sh fleet
}

# What a failed step said last; of its tests only those that failed, with their last lines.
explain() {
    local step=$1 report=$work/$preset.xml
    [[ $step != sanitize* ]] || report=$work/sanitize.xml
    if [[ $step == tests || $step == sanitize* ]] && grep -q '<testcase .*status="fail"' "$report" 2>/dev/null; then
        awk '/<testcase /  { failed = /status="fail"/; if (failed) { lines = 0; print } }
             failed && !/<testcase / { line[lines++ % 60] = $0 }
             /<\/testcase>/ && failed { for (i = lines > 60 ? lines - 60 : 0; i < lines; i++) print line[i % 60] }' \
            "$report" | sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g'
    else
        # What failed may lie far before the last lines, where the step went on.
        grep -nE -A12 'FAILED|error:|Error [0-9]|fatal' "$work/$step.log" | head -n 80
        echo '-- its last lines:'
        tail -n 40 "$work/$step.log"
    fi
}

# How many tests of a CTest report have this status ("run" is CTest's word for passed).
count() { grep -c "<testcase .*status=\"$2\"" "$work/$1.xml" 2>/dev/null; }

passed=0
failed=0
failed_steps=()
for step in "${steps[@]}"; do
    say ""
    say "== $step"
    SECONDS=0
    (
        set -e
        "step_$step"
    ) </dev/null 2>&1 | tee "$work/$step.log" >&2
    status=${PIPESTATUS[0]}

    step_passed=$((status == 0 ? 1 : 0))
    step_failed=$((1 - step_passed))
    if [[ $step == tests ]]; then
        step_passed=$(count "$preset" run)
        tests_failed=$(count "$preset" fail)
        # A broken test program, or none at all, fails without a single failed test.
        if ((tests_failed > step_failed)); then step_failed=$tests_failed; fi
    elif [[ $step == build && -z $all && $status == 0 ]]; then
        step_passed=0 # only the way to the tests
    fi
    ((passed += step_passed, failed += step_failed))

    if ((status == 0)); then
        say "== $step: passed in $SECONDS s"
    else
        failed_steps+=("$step")
        say "== $step: FAILED after $SECONDS s; repeat it with: scripts/test.sh${all:+ $all} $step"
        [[ $step != build ]] || break # nothing after it can succeed
    fi
done

# Once more at the end, where a long log is read first.
for step in "${failed_steps[@]}"; do
    say ""
    say "== what failed in $step"
    explain "$step" >&2
done
say ""
echo "$passed passed, $failed failed"
((failed == 0))
