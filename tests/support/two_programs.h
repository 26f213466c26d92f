/* two_programs.h - what the two programs of test_compat.c say to each other, without wisp

   One program holds the frozen header (compat_before.c), the other one today's (test_compat.c).
   Both make their endpoints by the same script, compat_script.h. The network between the endpoints
   and the journal of what happens at each are test_compat.c's own.
*/
#ifndef TWO_PROGRAMS_H
#define TWO_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

enum { COMPAT_SIDES = 8, COMPAT_STREAMS = 48 };

/* The sides that are special: 0 is the server, 1 and 2 are plain clients. */
enum { DENIED = 3, OTHER_APP, WAITS, DIES, FORGES };

/* Messages are numbered and checked in the first two; in the last the sessions end. */
typedef enum compat_phase { COMPAT_TALK, COMPAT_DRAIN, COMPAT_END } compat_phase;

typedef struct compat_run compat_run;

/* One endpoint. */
typedef struct compat_role {
    compat_run *run;
    uint64_t    seed;
    int         side, mtu;
    bool        reliable;         /* the link */
    bool        few_keys;         /* so that differences have no baseline, and heal */
} compat_role;

/* A datagram; false: not now. */
bool compat_send(compat_run *run, int from, int to, const void *bytes, int size);
/* Its size, or 0: none. */
int  compat_recv(compat_run *run, int side, int *from, void *bytes, int room);

/* One more line of the journal. */
void compat_line(compat_run *run, int side, const char *text);
/* An error or a log line, which is a line of the journal too. */
void compat_error(compat_run *run, int side, const char *text);
/* A reliable message of a stream was fired with the next number, and has come. */
void compat_fired(compat_run *run, int from, int to, int stream);
void compat_came(compat_run *run, int from, int to, int stream, int64_t number, uint64_t hash);

typedef struct compat_program {
    void *(*open)(const compat_role *role);
    void  (*step)(void *end, compat_phase phase, int step, double now);
    void  (*close)(void *end);
    void  (*alone)(compat_run *run, uint64_t seed);    /* what needs no network */
} compat_program;

const compat_program *compat_before(void);

#endif /* TWO_PROGRAMS_H */
