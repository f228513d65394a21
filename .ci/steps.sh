# The steps of .ci/run, one function each.

lock_file_is_current() {
    cargo fetch --locked
}

# What the later steps need from outside.
everything_is_installed() {
    local directory
    for directory in tests/no-std fuzz benches; do
        cargo fetch --locked --manifest-path "$directory/Cargo.toml"
    done
    install_python "$tools" .ci/requirements.txt
    install_python tests/python/.venv tests/python/requirements.txt
    npm ci --prefix tests/js
    install_debian chromium openssl valgrind
}

# format_is_kept DIR...: of each workspace.
format_is_kept() {
    local directory
    for directory in "$@"; do
        cargo fmt --manifest-path "$directory/Cargo.toml" --all --check
    done
}

lints_are_kept() {
    # Only with all features: what is compiled where a feature is missing is not compiled by the defaults of all packages either.
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --package multiwa-ws-core --all-targets --no-default-features -- -D warnings
    # Its tests enable most features, so the bare library is checked too.
    cargo clippy --package multiwa-ws-core --no-default-features -- -D warnings
}

# What a build without TLS compiles in place of TLS. Another package would enable it: the tests of the blocking binding enable
# TLS of the driver.
tests_without_tls_pass() {
    cargo test --package multiwa-ws-driver --package multiwa-ws-tokio --no-default-features --lib --test without_tls
    cargo test --package multiwa-ws-tungstenite --no-default-features --test without_tls
}

# lints_of_workspace_are_kept DIR [ARGUMENT...]: of a workspace beside the main one. With the profile and the target folder of
# the main one, what it has checked is not checked again.
lints_of_workspace_are_kept() {
    local directory=$1
    local -x CARGO_TARGET_DIR="$PWD/target" CARGO_PROFILE_DEV_DEBUG=line-tables-only
    shift
    cargo clippy --config 'profile.dev.package."*".opt-level=1' --manifest-path "$directory/Cargo.toml" --workspace "$@" -- -D warnings
}

# The core compiles for browsers, the bindings and the program for Windows.
other_systems_compile() {
    compiles_for wasm32-unknown-unknown --package multiwa-ws-core
    if ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
        apt-get update --quiet=2
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends gcc-mingw-w64-x86-64
    fi
    compiles_for x86_64-pc-windows-gnu --package multiwa-ws --package multiwa-ws-async-std --package multiwa-ws-tungstenite
}

# compiles_for TARGET ARGUMENT...: unless the target cannot be had, which is said.
compiles_for() {
    local target=$1
    shift
    if ! rustup target add "$target"; then
        printf 'not run: rustup has no target %s here\n' "$target"
        return
    fi
    CARGO_TARGET_DIR="$PWD/target/other-systems" RUSTFLAGS="-D warnings" cargo check --locked --target "$target" "$@"
}

documentation_builds() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
}

# readme_says COMMAND...: runs a command of README.md, after a check that README.md still has it.
readme_says() {
    if ! grep --quiet --fixed-strings --line-regexp -- "$ $*" README.md; then
        printf 'README.md has no line: $ %s\n' "$*" >&2
        return 1
    fi
    "$@"
}

# Installs the program as README.md says, and runs its first command.
program_is_installed() {
    export CARGO_INSTALL_ROOT="$PWD/target/installed"
    export PATH="$CARGO_INSTALL_ROOT/bin:$PATH"
    readme_says cargo install --locked --path cli
    readme_says multiwa-ws demo
}

# Links core without std and drives both roles in memory.
no_std_program_runs() {
    cargo run --locked --release --manifest-path tests/no-std/Cargo.toml
}

# Checks the comparison with the peers, whose optimized build takes far longer than all other steps. Builds and tests the rest
# without optimization: "Instruction counts" builds its program as it is shipped.
benchmarks_build() {
    lints_of_workspace_are_kept benches --locked --all-targets
    local -x CARGO_PROFILE_DEV_DEBUG=false
    cargo build --locked --manifest-path benches/Cargo.toml --no-default-features --all-targets
    cargo test --locked --manifest-path benches/Cargo.toml --no-default-features --lib
}

# Every order of the steps of the client's tasks that the models explore.
models_hold() {
    RUSTFLAGS="--cfg loom" cargo clippy --locked --manifest-path tests/loom/Cargo.toml --all-targets -- -D warnings
    RUSTFLAGS="--cfg loom" cargo test --locked --manifest-path tests/loom/Cargo.toml
}

# simulation_holds SEEDS STEPS: the machines of core at random, in virtual time. A failure is reported with its seed.
simulation_holds() {
    # Built by the tests, as the echo programs are.
    target/debug/simulate --seeds "$1" --steps "$2"
}

autobahn_passes() {
    python3 tests/autobahn/run.py --programs target/debug
}

# fuzz_targets_run SECONDS: runs each target over its corpus, two at a time. What they find new goes to target/.
fuzz_targets_run() {
    local names
    names=$(cargo +nightly fuzz list)
    export -f fuzz_target_runs
    xargs -P 2 -I NAME bash -euo pipefail -c 'fuzz_target_runs "$@"' - NAME "$1" <<<"$names"
}

# fuzz_target_runs NAME SECONDS
fuzz_target_runs() {
    local found="$PWD/target/fuzz-found/$1" dictionary=() output status=0
    mkdir -p "$found"
    if [[ -f "fuzz/dictionaries/$1.dict" ]]; then
        dictionary=("-dict=$PWD/fuzz/dictionaries/$1.dict")
    fi
    output=$(cargo +nightly fuzz run "$1" "$found" "$PWD/fuzz/corpus/$1" -- \
        -max_total_time="$2" -print_final_stats=1 "${dictionary[@]}" 2>&1) || status=$?
    printf 'fuzzed %s for %d s\n%s\n' "$1" "$2" "$output"
    return "$status"
}

# Every crate that is published can be packaged. The next step compiles the packages.
packages_are_complete() {
    local packages
    packages=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print("--package", package["name"])
')
    # Word splitting is wanted.
    # shellcheck disable=SC2086
    cargo package --locked --no-verify $packages
}

# Programs that depend on the packages of the step before, and on nothing of this folder, compile without warnings: with the
# default features of each crate, without features, and with each feature alone. So does the program that is published.
features_stand_alone() {
    local programs="$PWD/target/programs"
    cargo metadata --no-deps --format-version 1 | python3 .ci/programs.py target/package "$programs"
    CARGO_TARGET_DIR="$PWD/target" \
        cargo hack check --manifest-path "$programs/Cargo.toml" --workspace --each-feature --exclude-all-features
}

# dependencies_are_allowed DIR...: of each workspace. Only the main one has to use every license of deny.toml.
dependencies_are_allowed() {
    local directory unused=()
    for directory in "$@"; do
        if [[ $directory != . ]]; then
            unused=(--allow license-not-encountered)
        fi
        cargo deny --manifest-path "$directory/Cargo.toml" --config deny.toml --workspace check \
            --allow license-exception-not-encountered "${unused[@]}" licenses bans sources
    done
}
