# Helpers of .ci/run: steps, and the tools that they need.

readonly tools="$PWD/target/ci-tools"
readonly logs="$PWD/target/ci-logs"
# The system's: the tools below bring one of their own.
python=$(command -v python3)
readonly python
export PATH="$tools/bin:$PATH"
export CARGO_TERM_COLOR=never
# Nothing is compiled again after a change, so what cargo would keep for that is not written.
export CARGO_INCREMENTAL=0
mkdir -p "$logs"

current_step="preparation"
times=()
declare -A pids
trap at_exit EXIT

# step NAME COMMAND...: runs the command under a heading; a failure ends the whole run.
step() {
    current_step=$1
    shift
    local started=$SECONDS
    printf '\n=== %s\n' "$current_step"
    "$@"
    note_time "$current_step" "$((SECONDS - started))"
}

# begin NAME COMMAND...: starts a step beside those that follow. At most one runs beside them.
begin() {
    local name=$1
    shift
    # A process group of its own, so that all of it can be ended.
    set -m
    (
        set +m
        "$@"
        echo "$SECONDS" >"$logs/$name.end"
    ) >"$logs/$name.log" 2>&1 &
    set +m
    pids[$name]=$!
    echo "$SECONDS" >"$logs/$name.begin"
}

# await NAME: shows what a step that was begun has written; its failure ends the whole run.
await() {
    current_step=$1
    local status=0
    wait "${pids[$1]}" || status=$?
    unset "pids[$1]"
    printf '\n=== %s (side by side)\n' "$1"
    cat "$logs/$1.log"
    if ((status != 0)); then
        return "$status"
    fi
    note_time "$1 (side by side)" "$(($(<"$logs/$1.end") - $(<"$logs/$1.begin")))"
}

note_time() {
    printf -- '--- %s: %d s\n' "$1" "$2"
    times+=("$(printf '%6d s  %s' "$2" "$1")")
}

at_exit() {
    local status=$? pid
    for pid in "${pids[@]}"; do
        kill -- "-$pid" || true
    done
    printf '\n=== Time of each step\n'
    printf '%s\n' "${times[@]}"
    printf '%6d s  all\n' "$SECONDS"
    if ((status != 0)); then
        printf '\n=== FAILED in: %s (exit %d)\n' "$current_step" "$status"
    fi
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

# install_debian PACKAGE...: installs Debian's packages whose commands, of the same names, are not there.
install_debian() {
    local command missing=()
    for command in "$@"; do
        if ! command -v "$command" >/dev/null; then
            missing+=("$command")
        fi
    done
    if ((${#missing[@]} > 0)); then
        apt-get update --quiet=2
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes "${missing[@]}"
    fi
    need "$@"
}

# install_python FOLDER FILE: a virtual environment with the packages that a file lists.
install_python() {
    "$python" -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
}
