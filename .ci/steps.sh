# The steps of .ci/run, one function each.

lock_file_is_current() {
    cargo fetch --locked
}

# format_is_kept DIR: of one workspace.
format_is_kept() {
    cargo fmt --manifest-path "$1/Cargo.toml" --all --check
}

lints_are_kept() {
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --package multiwa-ws-core --all-targets --no-default-features -- -D warnings
}

# lints_of_workspace_are_kept DIR [ARGUMENT...]: of a workspace beside the main one.
lints_of_workspace_are_kept() {
    local directory=$1
    shift
    cargo clippy --manifest-path "$directory/Cargo.toml" --workspace "$@" -- -D warnings
}

documentation_builds() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
}

# readme_says COMMAND...: runs a command that README.md tells a person to run, and sees that it still does.
readme_says() {
    if ! grep --quiet --fixed-strings --line-regexp -- "$ $*" README.md; then
        printf 'README.md has no line: $ %s\n' "$*" >&2
        return 1
    fi
    "$@"
}

# The suites that start Node.js, Python and Chromium.
external_tests_pass() {
    need node npm python3
    npm ci --prefix tests/js
    python3 -m venv --clear tests/python/.venv
    tests/python/.venv/bin/pip install --quiet --requirement tests/python/requirements.txt
    install_debian chromium chromium
    cargo test --package multiwa-ws-tests --features external
}

# Links core without std and drives both roles in memory.
no_std_program_runs() {
    cargo run --locked --release --manifest-path tests/no-std/Cargo.toml
}

# Checks the comparison with the peers, whose optimised build takes far longer than all other steps; builds and tests the rest.
benchmarks_build() {
    lints_of_workspace_are_kept benches --locked --all-targets
    cargo build --locked --release --manifest-path benches/Cargo.toml --no-default-features --all-targets
    cargo test --locked --release --manifest-path benches/Cargo.toml --no-default-features --lib
}

instruction_counts_hold() {
    install_debian valgrind valgrind
    python3 benches/counts.py
}

# simulation_holds SEEDS STEPS: the machines of core at random, in virtual time. A broken promise is told with its seed.
simulation_holds() {
    cargo run --release --package multiwa-ws-tests --bin simulate -- --seeds "$1" --steps "$2"
}

# fuzz_targets_run SECONDS: builds every target and runs each over its corpus. What they find new goes to target/.
fuzz_targets_run() {
    local seconds=$1 name found dictionary
    need g++
    install_cargo_tool cargo-fuzz "$CARGO_FUZZ"
    cargo +nightly fuzz build
    local names
    names=$(cargo +nightly fuzz list)
    for name in $names; do
        printf 'fuzzing %s for %d s\n' "$name" "$seconds"
        found="$PWD/target/fuzz-found/$name"
        mkdir -p "$found"
        dictionary=()
        if [[ -f "fuzz/dictionaries/$name.dict" ]]; then
            dictionary=("-dict=$PWD/fuzz/dictionaries/$name.dict")
        fi
        cargo +nightly fuzz run "$name" "$found" "$PWD/fuzz/corpus/$name" -- \
            -max_total_time="$seconds" -print_final_stats=1 "${dictionary[@]}"
    done
}

autobahn_passes() {
    python3 tests/autobahn/run.py "$@"
}

# Every crate that is published builds from its package alone.
packages_are_complete() {
    local packages
    packages=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print("--package", package["name"])
')
    # Word splitting is wanted: one argument a word.
    # shellcheck disable=SC2086
    cargo package --locked $packages
}

# dependencies_are_allowed DIR...: of each workspace. Only the main one has to use every licence of deny.toml.
dependencies_are_allowed() {
    local directory unused=()
    install_cargo_tool cargo-deny "$CARGO_DENY"
    for directory in "$@"; do
        if [[ $directory != . ]]; then
            unused=(--allow license-not-encountered)
        fi
        cargo deny --manifest-path "$directory/Cargo.toml" --config deny.toml --workspace check \
            --allow license-exception-not-encountered "${unused[@]}" licenses bans sources
    done
}
