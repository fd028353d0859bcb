"""The functions of the C library that libkeras_bnn may call.

None of them opens a file or a connection, starts a program, or writes to the terminal or the log. Android has each one
since API 21 (libc.map.txt of its C library).
"""

from __future__ import annotations

ALLOWED = frozenset(
    {
        # memory and strings
        "malloc",
        "free",
        "memchr",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "strcmp",
        "strlen",
        "strtol",
        # text for a sentence to the user, in memory
        "snprintf",
        "vsnprintf",
        # threads
        "pthread_atfork",
        "pthread_cond_broadcast",
        "pthread_cond_signal",
        "pthread_cond_wait",
        "pthread_mutex_lock",
        "pthread_mutex_unlock",
        "sched_yield",
        # KERAS_BNN_ISA
        "getenv",
        # what the CPU has, as the kernel tells each program in its memory
        "getauxval",
        "prctl",
        # an end at once, should the stack have been written over or an exception have left a noexcept function
        "__stack_chk_fail",
        "__stack_chk_guard",
        "abort",
        # the end of the process or of the library
        "__cxa_atexit",
        "__cxa_finalize",
    }
)

# What glibc's headers and linker make of those above; other C libraries lack them.
GLIBC = frozenset({"__register_atfork", "__memcpy_chk", "__memset_chk", "__snprintf_chk", "__vsnprintf_chk"})
