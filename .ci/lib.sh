# Helpers of .ci/run: steps, and the tools that they need.

readonly CARGO_DENY=0.20.2
readonly CARGO_FUZZ=0.13.2

readonly tools="$PWD/target/ci-tools"
export PATH="$tools/bin:$PATH"
export CARGO_TERM_COLOR=never

current_step="preparation"
trap 'status=$?; if ((status != 0)); then printf "\n=== FAILED in: %s (exit %d)\n" "$current_step" "$status"; fi' EXIT

# step NAME COMMAND...: runs the command under a heading; a failure ends the whole run.
step() {
    current_step=$1
    shift
    local started=$SECONDS
    printf '\n=== %s\n' "$current_step"
    "$@"
    printf -- '--- %s: %d s\n' "$current_step" "$((SECONDS - started))"
}

finish() {
    current_step="the end"
    printf '\n=== All steps passed in %d s\n' "$SECONDS"
}

# need COMMAND...: the run cannot go on without them.
need() {
    local command
    for command in "$@"; do
        if ! command -v "$command" >/dev/null; then
            printf 'needed and not found: %s\n' "$command" >&2
            return 1
        fi
    done
}

# install_debian COMMAND PACKAGE: installs Debian's package unless the command is there.
install_debian() {
    if ! command -v "$1" >/dev/null; then
        apt-get update --quiet=2
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes "$2"
    fi
    need "$1"
}

# install_cargo_tool NAME VERSION: builds a program from crates.io into target/ci-tools, once.
install_cargo_tool() {
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" "$1@$2"
}
