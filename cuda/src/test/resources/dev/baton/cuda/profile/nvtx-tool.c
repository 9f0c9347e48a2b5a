/* A tool as NVTX's protocol wants it: the library that NVTX_INJECTION64_PATH names. It prints what arrives. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef void (*Function)(void);
typedef const void *(*GetExportTable)(uint32_t);

/* NVTX_ETID_CALLBACKS */
typedef struct {
    size_t bytes;
    int (*functions)(uint32_t module, Function ***table, unsigned int *size);
} Callbacks;

enum { CALLBACKS = 1, CORE = 1, PUSH_A = 9, POP = 11, NAME_THREAD_A = 14 };

static int depth;

static int push(const char *name) {
    printf("tool: push %s\n", name);
    fflush(stdout);
    return depth++;
}

static int pop(void) {
    printf("tool: pop\n");
    fflush(stdout);
    return --depth;
}

static void name_thread(uint32_t thread, const char *name) {
    printf("tool: thread %s %s\n", thread > 0 ? "has a number and is" : "?", name);
    fflush(stdout);
}

int InitializeInjectionNvtx2(GetExportTable get) {
    const Callbacks *callbacks = get(CALLBACKS);
    Function **table;
    unsigned int size;
    if (callbacks == NULL || !callbacks->functions(CORE, &table, &size) || size <= NAME_THREAD_A) {
        return 0;
    }
    *table[PUSH_A] = (Function)push;
    *table[POP] = (Function)pop;
    *table[NAME_THREAD_A] = (Function)name_thread;
    printf("tool: attached\n");
    fflush(stdout);
    return 1;
}
