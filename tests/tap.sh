# SPDX-License-Identifier: LGPL-2.1-or-later
# TAP for shell tests: each says what holds, and on failure what does not. Source it, end with `done_testing`.
tap_n=0
tap_failed=0

ok() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1"
}
not_ok() {
    tap_n=$((tap_n + 1))
    tap_failed=1
    echo "not ok $tap_n - $1"
    printf '%s\n' "$2" | sed 's/^/# /'
}
skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}
# Holds if the second argument, a list of offences, is empty.
empty() {
    if [ -z "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}
same() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "is:
$2
should be:
$3"
    fi
}
have() {
    command -v "$1" >/dev/null 2>&1
}
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}
done_testing() {
    echo "1..$tap_n"
    exit "$tap_failed"
}
