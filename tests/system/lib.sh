# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the system tests share. Each is a TAP script that boots a systemd of its own, with forksrv installed in it
# (`make check-system` makes the stage), and two users, alice and bob. Nothing here waits for a guessed time: what
# takes time is awaited.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
throwaway=$here/throwaway-systemd
machine=$(basename "$0" .tap)-$$
stage=${FORKSRV_STAGE:-}
# shellcheck disable=SC2034 # by the tests
sysconf=${FORKSRV_SYSCONFDIR:-/etc}/forksrv
# shellcheck disable=SC2034 # by the tests
bindir=${FORKSRV_BINDIR:-/usr/bin} datadir=${FORKSRV_DATADIR:-/usr/share}
count=0 failures=0

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

bail_out() {
    echo "Bail out! $*"
    exit 1
}

# passed | failed TEXT [FILE OR WORDS THAT TELL MORE]
passed() {
    echo "ok $((count += 1)) - $1"
}

failed() {
    echo "not ok $((count += 1)) - $1"
    failures=$((failures + 1))
    shift
    [ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

skipped() {
    echo "ok $((count += 1)) - $1 # SKIP $2"
}

# is TEXT GOT WANTED
is() {
    if [ "$2" = "$3" ]; then passed "$1"; else failed "$1" "got:    $2" "wanted: $3"; fi
}

# like TEXT GOT PATTERN: bash's own, anywhere in it
like() {
    case $2 in
    *$3*) passed "$1" ;;
    *) failed "$1" "got:             $2" "wanted in it: $3" ;;
    esac
}

unlike() {
    case $2 in
    *$3*) failed "$1" "got:                $2" "not wanted in it: $3" ;;
    *) passed "$1" ;;
    esac
}

# succeeds | fails TEXT CMD...
succeeds() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1); then passed "$text"; else failed "$text" "exit code $? of: $*" "$said"; fi
}

fails() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1); then failed "$text" "this should fail: $*" "$said"; else passed "$text"; fi
}

# await TEXT CMD...: until CMD succeeds, for at most a minute
await() {
    local text=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            failed "$text" "not within 60 s: $*"
            return 1
        fi
        sleep 0.05
    done
    passed "$text"
}

done_testing() {
    echo "1..$count"
    [ "$failures" = 0 ] || {
        in_root journalctl -b --no-pager -n 60 -o short-monotonic 2>&1 | sed 's/^/# /'
        exit 1
    }
}

# ---- inside ----

in_root() {
    "$throwaway" run "$machine" "$@"
}

# in_user USER CMD...: a process of USER that was given no key in the system flavour, with her user manager's bus
in_user() {
    "$throwaway" as "$machine" "$@"
}

# client USER CMD...: a service of USER that shares the key of her system instance, as any service would. A detached
# worker keeps the output open: never read that of a client that leaves one.
client() {
    local user=$1
    shift
    # systemd would expand a $ in a command itself.
    in_root systemd-run --quiet --wait --pipe --collect -p "User=$user" -p "LoadCredential=forksrv.authkey:forksrv.authkey.$user" \
        -p WorkingDirectory=/ "${@//\$/\$\$}"
}

# must_serve USER: where not even one worker can be had, a long list of failures tells nothing
must_serve() {
    client "$1" forksrv run --no-private -- true && return
    in_root journalctl -b --no-pager -n 40 -o short-monotonic | sed 's/^/# /'
    bail_out "no worker for $1"
}

# show PROPERTY UNIT
show() {
    in_root systemctl show -P "$1" "$2"
}

# What systemd from 261 on says about every unit where the cgroups have no controllers.
no_controllers() {
    grep -v ': Failed to read pids.max .*: No data available$'
}

main_pid() {
    show MainPID "forksrv@$1.service"
}

# ---- the machine ----

start_machine() {
    local why root
    why=$("$throwaway" check) || skip_all "no systemd can be booted here: $why"
    [ -n "$stage" ] && [ -d "$stage" ] || skip_all "forksrv is not staged: use 'make check-system'"
    trap '"$throwaway" destroy "$machine"' EXIT
    trap 'exit 1' INT TERM HUP
    root=$("$throwaway" create "$machine" "${FORKSRV_ROOT:-/}") || bail_out "no root file system"
    tar -C "$stage" -cf - . | tar -C "$root" --keep-directory-symlink --no-overwrite-dir -xf - || bail_out "cannot install"
    ldconfig -r "$root"
    chroot "$root" useradd --create-home --shell /bin/bash alice || bail_out "no user alice"
    chroot "$root" useradd --create-home --shell /bin/bash bob || bail_out "no user bob"
    # Otherwise what a user manager runs would end with alice's last login.
    mkdir -p "$root/var/lib/systemd/linger"
    touch "$root/var/lib/systemd/linger/alice"
    "$throwaway" boot "$machine" || bail_out "systemd does not boot"
}
