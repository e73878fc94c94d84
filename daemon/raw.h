/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls that touch nothing but registers: a child that shares our memory until its exec must not write errno, which would
 * be ours, while we go on running. RAW_SHARES_MEMORY tells whether this architecture has them here; elsewhere the daemon waits
 * for the child's exec as vfork does. */

#if defined(__x86_64__)
#define RAW_SHARES_MEMORY 1
static inline long raw_call(long n, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return r;
}
/* clone3 whose child runs fn(arg) on the new stack and must not return. */
static inline long raw_clone3(void *args, long size, void (*fn)(void *), void *arg) {
    long r;
    register void *f __asm__("r12") = (void *)fn;
    register void *a __asm__("r13") = arg;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(r)
                     : "a"((long)SYS_clone3), "D"(args), "S"(size), "r"(f), "r"(a)
                     : "rcx", "r11", "memory");
    return r;
}
#elif defined(__aarch64__)
#define RAW_SHARES_MEMORY 1
static inline long raw_call(long n, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
static inline long raw_clone3(void *args, long size, void (*fn)(void *), void *arg) {
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = size;
    register void *x19 __asm__("x19") = (void *)fn;
    register void *x20 __asm__("x20") = arg;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x20\n\t"
                     "blr x19\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x19), "r"(x20)
                     : "memory");
    return x0;
}
#else
#include <errno.h>
#define RAW_SHARES_MEMORY 0
static inline long raw_call(long n, long a, long b, long c, long d, long e) {
    long r = syscall(n, a, b, c, d, e);
    return r < 0 ? -errno : r;
}
static inline long raw_clone3(void *args, long size, void (*fn)(void *), void *arg) {
    (void)args, (void)size, (void)fn, (void)arg;
    return -ENOSYS;
}
#endif

enum { KERNEL_SIGSET = 8, KERNEL_SIGNALS = 64 };

/* The kernel's own struct sigaction: handler first on every architecture that we know. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
