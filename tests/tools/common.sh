# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ./quickstart and ./run-tests share: becoming root, installing packages, building outside of the tree.
# To be sourced, after `set -euo pipefail`, with these set: me (name of the script), source_dir (the tree),
# source_copy (where copy_tree puts it), log_dir.
# shellcheck disable=SC2154

step() {
    printf '\n==> %s\n' "$*"
}

note() {
    printf '    %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$me" "$*" >&2
    exit 1
}

# usage_error TEXT: of the command line
usage_error() {
    printf "%s: %s\nTry './%s --help'.\n" "$me" "$*" "$me" >&2
    exit 2
}

# become_root SCRIPT ARG...: goes on as root; FORKSRV_* settings stay
become_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || die "needs root, and there is no sudo: run it as root"
    echo "$me: this needs root (packages, services): going on with sudo"
    exec sudo --preserve-env=FORKSRV_BUILD,FORKSRV_ROOTS,DEBIAN_FRONTEND -- "$@"
}

# Packages by what they are for. All are in Debian 12 and 13.
# shellcheck disable=SC2034 # by those who source this
packages_build=(gcc libc6-dev make autoconf automake libtool pkg-config libsystemd-dev libgnutls28-dev nettle-dev libinih-dev libjansson-dev)
# shellcheck disable=SC2034 # by those who source this
packages_systemd=(systemd systemd-container libpam-systemd dbus dbus-user-session procps util-linux passwd)
# shellcheck disable=SC2034
packages_test=(check debootstrap python3 python3-pip python3-setuptools python3-wheel ruby gdb strace xz-utils g++ clang libclang-rt-dev clang-tidy cppcheck shellcheck mandoc universal-ctags zsh fish polkitd)

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages NAME...: those that are missing; asks apt for nothing if none is
install_packages() {
    local name missing=()
    command -v apt-get >/dev/null || die "knows how to install packages with apt-get only. Install by hand: $*; then use --no-install"
    for name; do
        is_installed "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || { note "all packages are there"; return; }
    note "apt-get install ${missing[*]}"
    export DEBIAN_FRONTEND=${DEBIAN_FRONTEND:-noninteractive}
    apt-get -qq update || note "apt-get update failed: going on with the package lists that are there"
    apt-get -qq -y --no-install-recommends install "${missing[@]}" >"$log_dir/apt.log" 2>&1 || {
        tail -n 20 "$log_dir/apt.log" >&2
        die "apt-get could not install: ${missing[*]}"
    }
}

# logged NAME CMD...: output to NAME.log, whose end is shown if CMD fails
logged() {
    local name=$1
    shift
    "$@" >"$log_dir/$name.log" 2>&1 && return
    tail -n 40 "$log_dir/$name.log" >&2
    printf '%s: failed: %s (whole output: %s)\n' "$me" "$*" "$log_dir/$name.log" >&2
    return 1
}

# copy_tree TO: the sources, without anything built from them, so that the tree stays as it is
copy_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    tar -C "$source_dir" --exclude-vcs --exclude-vcs-ignores --anchored --exclude=./config.status --exclude=./config.h \
        -cf - . | tar -C "$1" -xf -
}

# configure_in BUILD ARG...: needs the copy in $source_copy, with its configure
configure_in() {
    local build=$1
    shift
    rm -rf "$build"
    mkdir -p "$build"
    (cd "$build" && "$source_copy/configure" -q "$@")
}

# put_stage STAGE ROOT: what `make install DESTDIR=STAGE` made, into a root file system. Its links (lib -> usr/lib) stay.
put_stage() {
    tar -C "$1" -cf - . | tar -C "$2" --keep-directory-symlink --no-overwrite-dir -xf -
    ldconfig -r "$2"
}

# debian_root SUITE: prints a folder with what a machine has that was just installed: systemd with its session bus, certificates, and
# nothing to build with. Made the first time, in $FORKSRV_ROOTS (default: /var/cache/forksrv-roots); only to be read. Needs a network.
debian_root() {
    local roots=${FORKSRV_ROOTS:-/var/cache/forksrv-roots}
    local root=$roots/$1
    if [ ! -d "$root" ]; then
        echo "# debootstrap $1 to $root" >&2
        mkdir -p "$roots"
        rm -rf "$root.new"
        debootstrap --variant=minbase --include=systemd-sysv,dbus,libpam-systemd,ca-certificates "$1" "$root.new" >"$root.log" 2>&1 || {
            tail -n 5 "$root.log" | sed 's/^/# /' >&2
            return 1
        }
        mv "$root.new" "$root"
    fi
    echo "$root"
}
