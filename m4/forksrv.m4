# SPDX-License-Identifier: LGPL-2.1-or-later

# FORKSRV_UNIT_DIR(VARIABLE OF systemd.pc, NAME OF THE OPTION, WHAT GOES THERE)
# The folder that systemd names, below our own prefix if that is not systemd's.
AC_DEFUN([FORKSRV_UNIT_DIR], [
    AC_ARG_WITH([$2-dir], [AS_HELP_STRING([--with-$2-dir=DIR], [where $3 go])],
        [$1=$withval],
        [PKG_CHECK_VAR([FORKSRV_PC_$1], [systemd], [$1])
         AS_CASE([$1],
            [systemdsystemunitdir], [fallback='${prefix}/lib/systemd/system'],
            [systemduserunitdir], [fallback='${prefix}/lib/systemd/user'],
            [systemdsystempresetdir], [fallback='${prefix}/lib/systemd/system-preset'],
            [systemduserpresetdir], [fallback='${prefix}/lib/systemd/user-preset'],
            [systemdsystemgeneratordir], [fallback='${prefix}/lib/systemd/system-generators'],
            [systemdusergeneratordir], [fallback='${prefix}/lib/systemd/user-generators'],
            [sysusersdir], [fallback='${prefix}/lib/sysusers.d'],
            [tmpfilesdir], [fallback='${prefix}/lib/tmpfiles.d'],
            [fallback='${prefix}/lib/systemd/catalog'])
         AS_IF([test "x$prefix" = x/usr && test -n "$FORKSRV_PC_$1"], [$1=$FORKSRV_PC_$1], [$1=$fallback])])
    AC_SUBST([$1])
])

# FORKSRV_COMPLETION_DIR(VARIABLE, SHELL, PKG-CONFIG NAME or nothing, ITS VARIABLE, FALLBACK)
# Where completions for a shell go: --with-SHELL-completions-dir, the shell's own place for a prefix of /usr, the fallback.
AC_DEFUN([FORKSRV_COMPLETION_DIR], [
    AC_ARG_WITH([$2-completions-dir], [AS_HELP_STRING([--with-$2-completions-dir=DIR], [where completions for $2 go])],
        [$1=$withval],
        [m4_ifval([$3], [PKG_CHECK_VAR([FORKSRV_PC_$1], [$3], [$4])])
         AS_IF([test "x$prefix" = x/usr && test -n "$FORKSRV_PC_$1"], [$1=$FORKSRV_PC_$1], [$1='$5'])])
    AC_SUBST([$1])
])

# FORKSRV_UNIT_KEYS(VERSION...)
# Lines of unit files that begin with @sinceVERSION@ are for that systemd and later ones.
AC_DEFUN([FORKSRV_UNIT_KEYS], [
    UNIT_SED_SINCE=
    m4_foreach_w([wanted], [$1],
        [PKG_CHECK_EXISTS([libsystemd >= wanted],
            [UNIT_SED_SINCE="$UNIT_SED_SINCE -e 's|^@since[]wanted[]@||'"],
            [UNIT_SED_SINCE="$UNIT_SED_SINCE -e '/^@since[]wanted[]@/d'"])])
    AC_SUBST([UNIT_SED_SINCE])
])

# FORKSRV_PYTHON
# Where the Python package goes: the folder of python3 for packages, below our own prefix. The system's python3 is preferred to one that
# happens to be first in PATH; $PYTHON names another one.
AC_DEFUN([FORKSRV_PYTHON], [
    AC_ARG_WITH([python], [AS_HELP_STRING([--without-python], [do not install the Python package])], [], [with_python=check])
    AC_ARG_WITH([python-dir], [AS_HELP_STRING([--with-python-dir=DIR], [where the Python package goes])], [], [with_python_dir=])
    have_python=no
    AS_IF([test "$with_python" != no], [
        AS_IF([test -z "$PYTHON" && /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null], [PYTHON=/usr/bin/python3])
        AM_PATH_PYTHON([3.11], [have_python=yes], [have_python=no])
        AS_IF([test "$with_python$have_python" = yesno], [AC_MSG_ERROR([--with-python: there is no Python 3.11 or later])])])
    AS_IF([test $have_python = no], [pythondir=],
        [test -n "$with_python_dir"], [pythondir=$with_python_dir],
        [forksrv_prefix=$prefix
         AS_IF([test "x$forksrv_prefix" = xNONE], [forksrv_prefix=$ac_default_prefix])
         # Debian's python3 has folders of its own, and another one for what Debian itself installs.
         pythondir=`$PYTHON -c '
import sys, sysconfig
name = "dist-packages" if "deb_system" in sysconfig.get_scheme_names() else "site-packages"
version = "3" if name == "dist-packages" and sys.argv@<:@1@:>@ == "/usr" else "%d.%d" % sys.version_info@<:@:2@:>@
print("$" + "{prefix}/lib/python%s/%s" % (version, name))' "$forksrv_prefix"`])
    AC_SUBST([pythondir])
    AM_CONDITIONAL([HAVE_PYTHON], [test $have_python = yes])
])

# FORKSRV_TRY(VARIABLE, FLAG): takes the flag if the compiler and linker do.
AC_DEFUN([FORKSRV_TRY], [
    AC_MSG_CHECKING([whether $CC takes $2])
    forksrv_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes]); $1="$$1 $2"],
        [AC_MSG_RESULT([no]); FORKSRV_REFUSED="$FORKSRV_REFUSED $2"])
    CFLAGS=$forksrv_saved_CFLAGS
])

AC_DEFUN([FORKSRV_FLAGS], [
    FORKSRV_CFLAGS= FORKSRV_LDFLAGS= FORKSRV_PIE_CFLAGS= FORKSRV_PIE_LDFLAGS= FORKSRV_REFUSED= CHILD_CFLAGS=-fno-stack-protector
    m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wwrite-strings
            -Wpointer-arith -Wformat=2 -Wlogical-op -Wimplicit-fallthrough -Wswitch-enum -Wcast-qual
            -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-common],
        [FORKSRV_TRY([FORKSRV_CFLAGS], flag)])
    FORKSRV_TRY([FORKSRV_LDFLAGS], [-Wl,-z,relro])
    FORKSRV_TRY([FORKSRV_LDFLAGS], [-Wl,-z,now])
    FORKSRV_TRY([FORKSRV_LDFLAGS], [-Wl,--as-needed])
    FORKSRV_TRY([FORKSRV_PIE_CFLAGS], [-fPIE])
    FORKSRV_TRY([FORKSRV_PIE_LDFLAGS], [-pie])
    AS_IF([test "$enable_werror" = yes], [FORKSRV_CFLAGS="$FORKSRV_CFLAGS -Werror"])
    AS_IF([test "$enable_sanitizers" = yes], [
        FORKSRV_CFLAGS="$FORKSRV_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
        FORKSRV_LDFLAGS="$FORKSRV_LDFLAGS -fsanitize=address,undefined"
        CHILD_CFLAGS="$CHILD_CFLAGS -fno-sanitize=all"
        AC_DEFINE([FORKSRV_SANITIZERS], [1], [Built with ASan and UBSan])],
        [AS_IF([test "$enable_fuzzing" != yes], [FORKSRV_TRY([FORKSRV_LDFLAGS], [-Wl,-z,defs])])])
    AS_IF([test "$enable_fuzzing" = yes], [
        FORKSRV_CFLAGS="$FORKSRV_CFLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
        CHILD_CFLAGS="$CHILD_CFLAGS -fno-sanitize=all"
        FORKSRV_LDFLAGS="$FORKSRV_LDFLAGS -fsanitize=address,undefined"])
    AS_IF([test "$enable_coverage" = yes], [
        FORKSRV_CFLAGS="$FORKSRV_CFLAGS --coverage -fprofile-update=atomic"
        FORKSRV_LDFLAGS="$FORKSRV_LDFLAGS --coverage"
        AC_DEFINE([FORKSRV_COVERAGE], [1], [Built for make coverage])])
    AC_SUBST([CHILD_CFLAGS])
    AC_SUBST([FORKSRV_CFLAGS])
    AC_SUBST([FORKSRV_LDFLAGS])
    AC_SUBST([FORKSRV_PIE_CFLAGS])
    AC_SUBST([FORKSRV_PIE_LDFLAGS])
])
