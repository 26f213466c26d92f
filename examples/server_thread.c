/* server_thread.c - a server with the network in one thread and its work in another

   An endpoint belongs to one thread at a time, and wisp keeps no lock. So one thread owns it and
   makes all of its calls. The other threads talk to that thread through queues:

     - A handler copies what it needs, puts it into a queue and returns at once: its arguments are
       gone then, and while a handler waits, nobody is served.
     - A queue has an end. One that is full says no ("busy") instead of growing or blocking.
     - A wisp_peer may be kept and handed over. If the peer has left meanwhile, firing to it returns
       WISP_E_STALE and reaches nobody else.
     - Endpoints share nothing: the client here has its own, in another thread.

   Builds without NDEBUG log a call that another thread makes while one runs, with both names.

   Build    cc -I.. server_thread.c -o server_thread -pthread
   Run      ./server_thread                            a server and its client; exits 0
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <pthread.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { QUEUE = 16, QUESTIONS = 200, AHEAD = 32 };
/* ---- a queue between two threads ---------------------------------------- */

typedef struct letter { wisp_peer peer; int number; } letter; /* plain: a copy is all of it */
typedef struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t  changed;
    letter          letters[QUEUE];
    unsigned        first, count;
    bool            closed;
} queue;
#define EMPTY { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

/* Nothing comes in any more, and nobody waits. */
static void queue_close(queue *q) {
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
}

/* false: it is full, or closed. `wait`: until there is room. */
static bool put(queue *q, letter l, bool wait) {
    pthread_mutex_lock(&q->mutex);
    while (wait && q->count == QUEUE && !q->closed) pthread_cond_wait(&q->changed, &q->mutex);
    bool room = q->count < QUEUE && !q->closed;
    if (room) q->letters[(q->first + q->count++) % QUEUE] = l;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
    return room;
}

/* 1: took one; 0: it is empty (`wait`: until there is one); -1: and it is closed. */
static int take(queue *q, letter *out, bool wait) {
    pthread_mutex_lock(&q->mutex);
    while (wait && q->count == 0 && !q->closed) pthread_cond_wait(&q->changed, &q->mutex);
    int result = q->count > 0 ? 1 : -q->closed;
    if (result > 0) {
        *out = q->letters[q->first++ % QUEUE];
        q->count--;
    }
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
    return result;
}

/* ---- the server --------------------------------------------------------- */

typedef struct server { udp_socket socket; queue asked, answers; } server;

static void on_ask(wisp_event *event) {
    letter l = { event->peer, (int)wisp_arg_int(event, 0) };
    server *s = event->user;
    if (!put(&s->asked, l, false)) wisp_fire(event->w, "busy", l.peer, wisp_int(l.number));
}

/* The thread that owns the endpoint, from its first call to its last. */
static void *network(void *user) {
    server *s = user;
    letter l;
    wisp_desc desc = { .link = udp_link(&s->socket), .app = "thread" };
    wisp *w = wisp_create(&desc, NULL);
    wisp_on(w, "ask", on_ask, s);
    for (int taken = 0; w && taken >= 0;) {
        udp_wait(&s->socket, 0.002);
        while ((taken = take(&s->answers, &l, false)) > 0)
            wisp_fire(w, "answer", l.peer, wisp_int(l.number));
        wisp_update(w, udp_clock(NULL));
    }
    queue_close(&s->asked);
    wisp_destroy(w);
    return NULL;
}

/* The thread that works. It calls nothing of wisp. */
static void *work(void *user) {
    server *s = user;
    letter l;
    while (take(&s->asked, &l, true) > 0) {
        l.number *= l.number; /* here: a query of a database, say */
        put(&s->answers, l, true);
    }
    return NULL;
}

/* ---- the client, in main's thread --------------------------------------- */

typedef struct tally { int asked, answers, busy; } tally;

static void on_answer(wisp_event *event) { ((tally *)event->user)->answers++; }

static void on_busy(wisp_event *event) { /* later: it asks again */
    ((tally *)event->user)->busy++;
    wisp_fire(event->w, "ask", event->peer, wisp_int(wisp_arg_int(event, 0)));
}

static tally ask(int port) {
    tally t = { 0, 0, 0 };
    udp_socket socket;
    wisp_addr to;
    bool good = udp_open(&socket, NULL, 0) && udp_resolve("127.0.0.1", port, &to);
    wisp_desc desc = { .link = udp_link(&socket), .app = "thread" };
    wisp *w = good ? wisp_create(&desc, NULL) : NULL;
    wisp_on(w, "answer", on_answer, &t);
    wisp_on(w, "busy", on_busy, &t);
    wisp_join(w, &to, NULL, 0);
    for (double end = udp_clock(NULL) + 10; w && t.answers < QUESTIONS && udp_clock(NULL) < end;) {
        for (; t.asked < QUESTIONS && t.asked - t.answers < AHEAD; t.asked++)
            wisp_fire(w, "ask", WISP_SERVER, wisp_int(t.asked));
        udp_wait(&socket, 0.002);
        wisp_update(w, udp_clock(NULL));
    }
    wisp_destroy(w);
    return t;
}

int main(void) {
    static server s = { .asked = EMPTY, .answers = EMPTY };
    pthread_t threads[2];
    if (!udp_open(&s.socket, NULL, 0) || pthread_create(&threads[0], NULL, network, &s) ||
        pthread_create(&threads[1], NULL, work, &s))
        return 1;
    tally t = ask(udp_port(&s.socket));
    queue_close(&s.answers); /* then the network closes the other, and work ends */
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("%d answers; %d times the server was busy\n", t.answers, t.busy);
    return t.answers == QUESTIONS ? 0 : 1;
}
