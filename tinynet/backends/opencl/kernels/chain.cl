// Several launches in one, for CPUs: each work-item takes the next task until there is none.
//
// A launch is a *phase* of as many tasks as it had work-items. Tasks are taken in order; before one
// is done, all phases up to the last that it needs must be complete. Who waits, waits for tasks that
// were taken before, by work-items that run: one alone would do all, in order, without waiting.
// `state`: the next task, how many work-items are done, then (from COUNTERS on) how many tasks of
//   each phase are; all 0 before and after.
// `table`: bytes of numbers, among them FIRST, where each phase's tasks begin and all end, and AFTER,
//   the last phase that each needs, or -1.
// Work size: a group of one item for each core that this process may use.
// Macros: PHASES, COUNTERS, PARAMETERS of all phases, DO_TASK: a case for each phase.

#define AT(T, place) (*(global const T *)(table + (place)))
#ifdef IS_POCL
#define FENCE __sync_synchronize();
#else
#define FENCE mem_fence(CLK_GLOBAL_MEM_FENCE);
#endif
#if defined(IS_POCL) && defined(__x86_64__)
#define PAUSE __builtin_ia32_pause();  // leaves the core to its other thread
#else
#define PAUSE
#endif

kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void chain(volatile global int *restrict state, global const char *restrict table PARAMETERS) {
    global const long *first = &AT(long, FIRST), *after = &AT(long, AFTER);
    int phase = 0, complete = 0;
    for (;;) {
        const long next = atomic_inc(state);
        if (next >= first[PHASES]) break;
        while (next >= first[phase + 1]) phase++;
        for (; complete <= after[phase]; complete++)
            while (state[COUNTERS + complete] < first[complete + 1] - first[complete]) { PAUSE }
        FENCE
        const long task = next - first[phase];
        switch (phase) { DO_TASK }
        FENCE
        atomic_inc(state + COUNTERS + phase);
    }
    if (atomic_inc(state + 1) + 1 < (int)get_num_groups(0)) return;
    for (int i = 0; i < COUNTERS + PHASES; i++) state[i] = 0;
}
