/* Counts the file operations of a process below one folder, and ends or fails the Nth one, or notes them all.

   Loaded with LD_PRELOAD, so that it sees native code (Arrow, Polars, ONNX Runtime, safetensors) as well as Python.
   What it should do lies in a shared page that FAULTS_STATE names: the same one for all processes of a trial. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN_TO_WRITE = 1, WRITE = 2, SYNC = 4, NAMES = 8, OPEN_TO_READ = 16, READ = 32 };
enum { COUNT = 0, KILL = 1, TEAR_AND_KILL = 2, FAIL_ONCE = 3, FAIL_ON = 4, TEAR_AND_FAIL = 5 };

/* Written by injector.py: keep both alike. */
struct state {
    int armed, mode, error, kinds;
    long nth, count;
    char root[1024];
    char hit[1024];
    /* A folder for `events`, `operations`, and files as they were when they were synced; "": nothing is noted. */
    char trace[1024];
    long n_synced;
    long n_seen, hit_at; /* operations of all kinds: how many there were, and which of them was hit, from 1 on */
    int kinds_after;     /* the kinds of those that came after it */
    unsigned char order[32768]; /* the kind of each */
};

static struct state *state;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTS_STATE");
    if (!name) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (page != MAP_FAILED) state = page;
}

static int below(const char *path) {
    size_t n = strlen(state->root);
    return strncmp(path, state->root, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static void of_descriptor(int fd, char *place) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlink, link, place, PATH_MAX - 1);
    place[n > 0 ? n : 0] = 0;
}

static void whole_path(int folder, const char *path, char *place) {
    place[0] = 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (syscall(SYS_getcwd, place, PATH_MAX) < 0) place[0] = 0;
        } else {
            of_descriptor(folder, place);
        }
        strncat(place, "/", PATH_MAX - strlen(place) - 1);
    }
    strncat(place, path, PATH_MAX - strlen(place) - 1);
}

/* Adds to one of the notes: the same file for all processes and threads. */
static void note(const char *file, const char *line, int n) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/%s", state->trace, file);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, line, (size_t)n) != n) abort();
    syscall(SYS_close, fd);
}

/* 0: go on. 1: fail with errno set. 2: do half of it and then fail or die. */
static int fault(int kind, const char *name, const char *place) {
    if (!below(place)) return 0;
    if (state->trace[0]) {
        char line[PATH_MAX + 64];
        note("operations", line, snprintf(line, sizeof line, "%s %s%c", name, place, 0));
    }
    long seen = __atomic_add_fetch(&state->n_seen, 1, __ATOMIC_SEQ_CST);
    if (seen <= (long)sizeof state->order) state->order[seen - 1] = (unsigned char)kind;
    if (state->hit_at) __atomic_or_fetch(&state->kinds_after, kind, __ATOMIC_SEQ_CST);
    if (!(state->kinds & kind)) return 0;
    long now = __atomic_add_fetch(&state->count, 1, __ATOMIC_SEQ_CST);
    if (now < state->nth || (now > state->nth && state->mode != FAIL_ON) || state->mode == COUNT) return 0;
    if (now == state->nth) {
        snprintf(state->hit, sizeof state->hit, "%s %s", name, place);
        state->hit_at = seen;
    }
    if (kind == WRITE && (state->mode == TEAR_AND_KILL || state->mode == TEAR_AND_FAIL)) return 2;
    if (state->mode == KILL || state->mode == TEAR_AND_KILL) {
        syscall(SYS_kill, 0, SIGKILL); /* the command with all that it has started */
        for (;;) pause();
    }
    errno = state->error;
    return 1;
}

static int at_path(int kind, const char *name, int folder, const char *path) {
    if (!state || !state->armed || !path) return 0;
    char place[PATH_MAX];
    whole_path(folder, path, place);
    return fault(kind, name, place);
}

static int at_descriptor(int kind, const char *name, int fd) {
    if (!state || !state->armed) return 0;
    int before = errno;
    char place[PATH_MAX];
    of_descriptor(fd, place);
    int what = fault(kind, name, place);
    if (what != 1) errno = before;
    return what;
}

static void after_half(void) {
    if (state->mode == TEAR_AND_KILL) {
        syscall(SYS_kill, 0, SIGKILL); /* the command with all that it has started */
        for (;;) pause();
    }
    errno = state->error;
}

/* An event that changes what the disk holds: its kind, a path and another path or a number, each ended by a NUL. */
static void event(const char *kind, const char *place, const char *more) {
    char line[2 * PATH_MAX + 64];
    note("events", line, snprintf(line, sizeof line, "%s%c%s%c%s%c", kind, 0, place, 0, more, 0));
}

/* What was made elsewhere and is moved here, as pip does it: none of it is on the disk for sure. */
static int came_in(const char *place, const struct stat *about, int kind, struct FTW *where) {
    (void)kind, (void)where;
    char size[32];
    snprintf(size, sizeof size, "%ld", (long)about->st_size);
    event(S_ISDIR(about->st_mode) ? "mkdir" : "empty", place, "");
    if (S_ISREG(about->st_mode)) event("write", place, size);
    return 0;
}

static int is_traced(void) { return state && state->armed && state->trace[0]; }

static void noted_name(const char *kind, int folder, const char *path, int other, const char *to) {
    if (!is_traced()) return;
    int before = errno;
    char place[PATH_MAX], more[PATH_MAX] = "";
    whole_path(folder, path, place);
    if (to) whole_path(other, to, more);
    if (!below(place) && below(more)) nftw(more, came_in, 16, FTW_PHYS);
    else if (below(place)) event(kind, place, more);
    errno = before;
}

static int noted_open(int fd, int flags, int folder, const char *path) {
    if (fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE)
        noted_name(flags & O_TRUNC ? "empty" : "make", folder, path, 0, NULL);
    return fd;
}

static void noted_write(int fd) {
    if (!is_traced()) return;
    int before = errno;
    char place[PATH_MAX], size[32];
    struct stat about;
    of_descriptor(fd, place);
    /* What was said counts too: it must be so from then on. */
    if ((fd == 1 || below(place)) && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        snprintf(size, sizeof size, "%ld", (long)about.st_size);
        event("write", place, size);
    }
    errno = before;
}

/* Before the sync itself: what is written meanwhile is not taken for synced. The copy's number; 0 for a folder. */
static long kept(int fd) {
    struct stat about;
    if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) return 0;
    char name[PATH_MAX], own[64], part[65536];
    long number = __atomic_add_fetch(&state->n_synced, 1, __ATOMIC_SEQ_CST), n = 0;
    snprintf(name, sizeof name, "%s/%ld", state->trace, number);
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd); /* it may be open for writing alone */
    int from = (int)syscall(SYS_openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0);
    int to = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while ((n = syscall(SYS_read, from, part, sizeof part)) > 0)
        if (syscall(SYS_write, to, part, (size_t)n) != n) abort();
    if (from < 0 || to < 0 || n < 0) abort();
    syscall(SYS_close, from);
    syscall(SYS_close, to);
    return number;
}

static int synced(int (*real)(int), int fd) {
    char place[PATH_MAX] = "", number[32] = "";
    if (is_traced()) of_descriptor(fd, place);
    int is_here = place[0] && below(place);
    if (is_here) snprintf(number, sizeof number, "%ld", kept(fd));
    int failed = real(fd);
    if (is_here && !failed) event(strcmp(number, "0") ? "sync" : "sync folder", place, number);
    return failed;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static ssize_t after_write(int fd, ssize_t done) {
    if (done >= 0) noted_write(fd);
    return done;
}

static int kind_of(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) ? OPEN_TO_WRITE : OPEN_TO_READ;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (at_path(kind_of(flags), "open", AT_FDCWD, path)) return -1; \
        return noted_open(real(path, flags, mode), flags, AT_FDCWD, path); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (at_path(kind_of(flags), "open", folder, path)) return -1; \
        return noted_open(real(folder, path, flags, mode), flags, folder, path); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(name); \
        int kind = strpbrk(mode, "wa+") ? OPEN_TO_WRITE : OPEN_TO_READ; \
        if (at_path(kind, "fopen", AT_FDCWD, path)) return NULL; \
        FILE *file = real(path, mode); \
        if (file && strpbrk(mode, "wa")) noted_open(0, *mode == 'w' ? O_TRUNC : O_CREAT, AT_FDCWD, path); \
        return file; \
    }
FOPEN(fopen)
FOPEN(fopen64)

int creat(const char *path, mode_t mode) {
    REAL(creat);
    if (at_path(OPEN_TO_WRITE, "creat", AT_FDCWD, path)) return -1;
    return noted_open(real(path, mode), O_TRUNC, AT_FDCWD, path);
}

ssize_t write(int fd, const void *data, size_t n) {
    REAL(write);
    switch (at_descriptor(WRITE, "write", fd)) {
        case 0: return after_write(fd, real(fd, data, n));
        case 2: n = n ? (size_t)real(fd, data, (n + 1) / 2) : 0; after_half(); /* fall through */
        default: return -1;
    }
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t n, offset_type at) { \
        REAL(name); \
        switch (at_descriptor(WRITE, "pwrite", fd)) { \
            case 0: return after_write(fd, real(fd, data, n, at)); \
            case 2: n = n ? (size_t)real(fd, data, (n + 1) / 2, at) : 0; after_half(); /* fall through */ \
            default: return -1; \
        } \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    switch (at_descriptor(WRITE, "writev", fd)) {
        case 0: return after_write(fd, real(fd, parts, n));
        case 2: if (real(fd, parts, n > 1 ? n / 2 : n) >= 0) after_half(); /* fall through */
        default: return -1;
    }
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    REAL(fwrite);
    return at_descriptor(WRITE, "fwrite", fileno(file)) ? 0 : real(data, size, n, file);
}

ssize_t read(int fd, void *data, size_t n) {
    REAL(read);
    return at_descriptor(READ, "read", fd) ? -1 : real(fd, data, n);
}

#define PREAD(name, offset_type) \
    ssize_t name(int fd, void *data, size_t n, offset_type at) { \
        REAL(name); \
        return at_descriptor(READ, "pread", fd) ? -1 : real(fd, data, n, at); \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define ON_DESCRIPTOR(name) \
    int name(int fd) { \
        REAL(name); \
        return at_descriptor(SYNC, #name, fd) ? -1 : synced(real, fd); \
    }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

static int synced_too(const char *place, const struct stat *about, int kind, struct FTW *where) {
    (void)kind, (void)where;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return 0;
    char number[32];
    snprintf(number, sizeof number, "%ld", kept(fd));
    syscall(SYS_close, fd);
    event(S_ISREG(about->st_mode) ? "sync" : "sync folder", place, number);
    return 0;
}

/* Of a trial, nothing needs to be brought to any disk. */
void sync(void) {
    REAL(sync);
    if (!state || !state->armed) real();
    if (is_traced()) nftw(state->root, synced_too, 16, FTW_PHYS);
}

#define TRUNCATE(name, offset_type) \
    int name(int fd, offset_type n) { \
        REAL(name); \
        return at_descriptor(WRITE, "ftruncate", fd) ? -1 : (int)after_write(fd, real(fd, n)); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define MMAP(name, offset_type) \
    void *name(void *where, size_t n, int protection, int flags, int fd, offset_type at) { \
        REAL(name); \
        if (fd >= 0 && at_descriptor((protection & PROT_WRITE) && (flags & MAP_SHARED) ? WRITE : READ, "mmap", fd)) \
            return MAP_FAILED; \
        return real(where, n, protection, flags, fd, at); \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

ssize_t sendfile(int to, int from, off_t *at, size_t n) {
    REAL(sendfile);
    return at_descriptor(WRITE, "sendfile", to) ? -1 : after_write(to, real(to, from, at, n));
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
    REAL(sendfile64);
    return at_descriptor(WRITE, "sendfile", to) ? -1 : after_write(to, real(to, from, at, n));
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t n, unsigned flags) {
    REAL(copy_file_range);
    return at_descriptor(WRITE, "copy_file_range", to) ? -1 : after_write(to, real(from, at, to, there, n, flags));
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (at_path(NAMES, "rename", AT_FDCWD, to)) return -1;
    int failed = real(from, to);
    if (!failed) noted_name("rename", AT_FDCWD, from, AT_FDCWD, to);
    return failed;
}

int renameat(int folder, const char *from, int other, const char *to) {
    REAL(renameat);
    if (at_path(NAMES, "rename", other, to)) return -1;
    int failed = real(folder, from, other, to);
    if (!failed) noted_name("rename", folder, from, other, to);
    return failed;
}

int renameat2(int folder, const char *from, int other, const char *to, unsigned flags) {
    REAL(renameat2);
    if (at_path(NAMES, "rename", other, to)) return -1;
    int failed = real(folder, from, other, to, flags);
    if (!failed) noted_name("rename", folder, from, other, to);
    return failed;
}

int link(const char *from, const char *to) {
    REAL(link);
    if (at_path(NAMES, "link", AT_FDCWD, to)) return -1;
    int failed = real(from, to);
    if (!failed) noted_name("link", AT_FDCWD, from, AT_FDCWD, to);
    return failed;
}

int linkat(int folder, const char *from, int other, const char *to, int flags) {
    REAL(linkat);
    if (at_path(NAMES, "link", other, to)) return -1;
    int failed = real(folder, from, other, to, flags);
    if (!failed) noted_name("link", folder, from, other, to);
    return failed;
}

int symlink(const char *what, const char *path) {
    REAL(symlink);
    return at_path(NAMES, "symlink", AT_FDCWD, path) ? -1 : real(what, path);
}

#define ON_PATH(name) \
    int name(const char *path) { \
        REAL(name); \
        if (at_path(NAMES, #name, AT_FDCWD, path)) return -1; \
        int failed = real(path); \
        if (!failed) noted_name("unlink", AT_FDCWD, path, 0, NULL); \
        return failed; \
    }
ON_PATH(unlink)
ON_PATH(rmdir)

int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    if (at_path(NAMES, "unlink", folder, path)) return -1;
    int failed = real(folder, path, flags);
    if (!failed) noted_name("unlink", folder, path, 0, NULL);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (at_path(NAMES, "mkdir", AT_FDCWD, path)) return -1;
    int failed = real(path, mode);
    if (!failed) noted_name("mkdir", AT_FDCWD, path, 0, NULL);
    return failed;
}

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    if (at_path(NAMES, "mkdir", folder, path)) return -1;
    int failed = real(folder, path, mode);
    if (!failed) noted_name("mkdir", folder, path, 0, NULL);
    return failed;
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    REAL(utimensat);
    return at_path(NAMES, "utime", folder, path) ? -1 : real(folder, path, times, flags);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    return at_path(OPEN_TO_READ, "opendir", AT_FDCWD, path) ? NULL : real(path);
}
