/* compat_alone.h - what wisp does without a network, written to the journal

   Included by compat_script.h. */
#ifndef COMPAT_ALONE_H
#define COMPAT_ALONE_H

static void alone(compat_run *run, uint64_t seed) {
    end *e = (end *)calloc(1, sizeof *e);
    if (!e) abort();
    e->role.run = run;
    e->values.random = seed;
    for (int code = 1; code > -50; code--) note(e, "%d: %s", code, wisp_result_text(code));
    free(e);
}

#endif /* COMPAT_ALONE_H */
