/* wisp.h - events and calls between programs, over raw UDP - version 0.1

   One header, strict C99 (and C++11), no dependency. It takes two callbacks
   that send and receive datagrams, and gives named events and named calls:
   bit-packed, batched, prioritised, rate-limited, reliable where asked.

       #define WISP_IMPLEMENTATION       // in exactly one source file
       #include "wisp.h"

       static void on_chat(wisp_event *event) {
           printf("%s\n", wisp_arg_string(event, 0));
       }

       wisp_desc desc = {0};
       desc.link = my_link;              // send, recv, user: examples/udp.h
       desc.app  = "my-game";
       wisp *w = wisp_create(&desc, NULL);
       wisp_join(w, &server_address, NULL, 0);
       wisp_connect(w, "chat", on_chat, NULL);
       wisp_fire(w, "chat", WISP_SERVER, wisp_string("hello"));
       for (;;) wisp_update(w, seconds());

   CONTENTS (search for the marker; each room stands twice, first as public
   interface where it has one, then as implementation, in this order)

       >>base      result codes, memory, log, random numbers, hash
       >>pool      handles with generations, timers, chunks, the arena
       >>stats     the counters that every later room counts into
       >>bits      bit writer and reader, bit copy
       >>value     dynamic values: kinds, equality, stable hash
       >>pack      the self-describing bit-packed form of values
       >>seal      SipHash, the join cookie, the tag on every packet
       >>packet    header, acks, round trip, loss, congestion, pacing
       >>channel   reliable order, fragments, reassembly
       >>peer      join handshake, session life, leave
       >>remote    names, their settings, their announcement to peers
       >>policy    rate limits
       >>batch     scheduler: priorities, packets filled and sent
       >>event     connections, dispatch, life-cycle and error events
       >>call      invoke, reply, defer, timeout, at-most-once
       >>links     loopback and simulated networks, for tests and demos
       >>session   how sessions begin and end, and what comes in for them
       >>host      create, update, destroy: wires the rooms

   THE IDEAS
       endpoint   a wisp *; the whole context. Many may live in one process.
       link       {send, recv, user}: how datagrams leave and come.
       peer       a handle to one session with another endpoint.
       remote     a name, with settings; events and calls go through it.
       message    values for a remote, to a set of peers.

       fire/invoke -> encode once -> queue per peer -> flush: by priority,
       into packets -> seal -> link.send ... link.recv -> check the tag ->
       acks -> records -> channel order -> rate limit -> handlers

   RULES
       - Time comes in as the argument of wisp_update. It may stand still or
         jump: going back counts as standing still, a leap counts as at most
         half of desc.timeout, so that a process which was suspended listens
         before it gives its peers up.
       - Handlers run only inside wisp_update (and inside wisp_await_*, which
         calls it). link.send may also run inside fire, flush and destroy.
       - Inside a handler everything may be called. wisp_update and the
         wisp_await functions answer WISP_E_BUSY there; wisp_destroy takes
         effect when the running wisp_update ends (which then returns
         WISP_E_CLOSED, and the endpoint is gone); wisp_leave, wisp_fire and
         wisp_disconnect take effect at once.
       - One endpoint belongs to one thread at a time. Endpoints share nothing.
       - NULL for `w`, an event or another pointer that is needed is answered
         with WISP_E_ARGUMENT, false, 0 or a handle of id 0.
       - Bytes from the wire are checked, counted and dropped; they never
         assert and never make memory grow past desc.limits.

   SWITCHES (define before the implementation; none changes a public type)
       WISP_IMPLEMENTATION   compile the implementation here
       WISP_STATIC           every function static: private to this file
                             (define it before each include of wisp.h)
       WISP_ASSERT(x)        how caller mistakes stop a debug build; the
                             default is assert() without NDEBUG
       WISP_NO_OS            no system entropy: then desc.entropy or desc.seed
       WISP_NO_STDLIB        no malloc and free: then desc.memory is needed
       WISP_PLAIN_CHUNKS     every message straight from the allocator, not from
                             reused chunks: memory checkers see each one
       WISP_FIRST_NUMBER     where packet numbers, channel sequences and call
                             ids begin; both ends must agree. For tests that
                             start just below a wrap. Default 1.
*/
#ifndef WISP_H
#define WISP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WISP_VERSION      "0.1.0"
#define WISP_WIRE_VERSION 1      /* what both ends must have in common */

#ifndef WISP_API
#if defined(WISP_STATIC) && defined(__GNUC__)
#define WISP_API static __attribute__((unused))
#elif defined(WISP_STATIC)
#define WISP_API static
#else
#define WISP_API extern
#endif
#endif

#if defined(__GNUC__)
#define WISP__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define WISP__PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ===========================================================================
 * MARK: >>base
 * ======================================================================== */

typedef struct wisp wisp;                                   /* an endpoint */

/* Zero is success, errors are negative. wisp_result_text() names each. */
typedef int wisp_result;
enum {
    WISP_OK               = 0,
    WISP_PENDING          = 1,   /* from `accept`: wisp_admit will answer */

    /* what the caller gave */
    WISP_E_ARGUMENT       = -1,  /* NULL, negative, out of range */
    WISP_E_NAME           = -2,  /* empty, over 128 bytes, or "wisp:..." */
    WISP_E_STALE          = -3,  /* a handle of something that is gone */
    WISP_E_TYPE           = -4,  /* a value of another kind was wanted */
    WISP_E_TOO_BIG        = -5,  /* the message, ticket or text is too long */
    WISP_E_DEPTH          = -6,  /* values nested deeper than the limit */
    WISP_E_BUSY           = -7,  /* not inside a handler */
    WISP_E_UNSUPPORTED    = -8,  /* not plugged in, or not in this build */

    /* what there is no room for */
    WISP_E_MEMORY         = -9,  /* the allocator returned NULL */
    WISP_E_LIMIT          = -10, /* a bound of desc.limits is reached */
    WISP_E_QUEUE_FULL     = -11, /* limits.queue_messages or queue_bytes */
    WISP_E_ENTROPY        = -12, /* no random numbers to be had */

    /* joining */
    WISP_E_SERVER_FULL    = -13, /* max_peers are in */
    WISP_E_REFUSED        = -14, /* refuse_joins is set over there */
    WISP_E_DENIED         = -15, /* `accept` said no */
    WISP_E_APP            = -16, /* desc.app differs */
    WISP_E_APP_VERSION    = -17, /* desc.app_version differs */
    WISP_E_WIRE_VERSION   = -18, /* the other end has another wisp */
    WISP_E_LINK_KIND      = -19, /* link.reliable on one side only */

    /* how sessions and calls end */
    WISP_E_CLOSED         = -20, /* the session or endpoint has ended */
    WISP_E_TIMEOUT        = -21, /* silence, or no answer in time */
    WISP_E_REPLACED       = -22, /* the same address joined anew */
    WISP_E_CANCELLED      = -23, /* wisp_cancel */

    /* what reached the other side and was not done */
    WISP_E_NO_REMOTE      = -24, /* the name is not known over there */
    WISP_E_NO_HANDLER     = -25, /* known, but nobody listens */
    WISP_E_RATE           = -26, /* over the rate limit */
    WISP_E_EXPIRED        = -27, /* a repeat of a call long settled */
    WISP_E_HANDLER        = -28, /* the handler failed */

    /* the link and the wire */
    WISP_E_AGAIN          = -29, /* a link's status: not now */
    WISP_E_LINK           = -30, /* the link is broken */
    WISP_E_BAD_PACKET     = -31, /* bytes that make no sense */
    WISP_E_PROTOCOL       = -32, /* a peer broke the rules: session ended */

    WISP_E_USER           = -1000 /* yours: this and everything below */
};

/* A short English text; never NULL; "unknown code" for a foreign number. */
WISP_API const char *wisp_result_text(wisp_result code);

/* Memory: `alloc` returns size bytes aligned for any type, or NULL; `free`
   gets the size that was asked for. Both NULL: malloc and free. */
typedef struct wisp_allocator {
    void *(*alloc)(void *user, size_t size);
    void  (*free)(void *user, void *pointer, size_t size);
    void  *user;
} wisp_allocator;

enum { WISP_LOG_ERROR = 1, WISP_LOG_WARNING = 2, WISP_LOG_INFO = 3 };

/* Every bound there is. Zero means the default in the comment. */
typedef struct wisp_limits {
    int remotes;            /* names here, and names a peer may number; 1024 */
    int connections;        /* handlers connected; 4096 */
    int message_bytes;      /* one reliable message; 1 MiB, at most 256 MiB; a
                               peer can have one on its way per channel */
    int message_values;     /* values in one message, nested ones too; 65536,
                               at most 2^24 */
    int map_pairs;          /* pairs in one map; 4096, at most 2^24 */
    int nesting;            /* arrays and maps inside each other; 16 */
    int queue_messages;     /* waiting to be sent, per peer; 65536 */
    int queue_bytes;        /* the same in bytes, per peer; 4 MiB, and never
                               less than two times message_bytes */
    int window_items;       /* reliable messages and fragments in flight per
                               channel; power of two up to 16384; 2048 */
    int window_bytes;       /* out-of-order bytes held for a peer; 512 KiB */
    int window_packets;     /* packets in flight per peer; power of two up to
                               1024; 1024 */
    int calls;              /* invokes waiting for an answer; 4096 */
    int calls_remembered;   /* answers kept per peer, of calls that did not
                               come reliably; power of two up to 16384; 4096 */
    int packet_messages;    /* messages taken from one packet; 4096, and never
                               less than 2048, which a sender may put in */
    int update_packets;     /* packets taken per wisp_update; 65536 */
    int notices;            /* life-cycle and error events that wait; 1024,
                               and never less than max_peers */
} wisp_limits;

/* ===========================================================================
 * MARK: >>pool
 * Handles. Id 0 is none. A handle of something that is gone is answered with
 * WISP_E_STALE, never with its successor.
 * ======================================================================== */

typedef struct wisp_peer       { uint32_t id; } wisp_peer;
typedef struct wisp_remote     { uint32_t id; } wisp_remote;
typedef struct wisp_connection { uint32_t id; } wisp_connection;
typedef struct wisp_call       { uint32_t id; } wisp_call;

/* ===========================================================================
 * MARK: >>stats
 * Counters since create (total, remote) or since the join (peer). Bytes are
 * datagram payload, without UDP and IP headers.
 * ======================================================================== */

typedef struct wisp_peer_stats {
    uint64_t packets_sent, packets_received;
    uint64_t bytes_sent, bytes_received;
    uint64_t messages_sent, messages_received;
    uint64_t packets_lost;        /* sent by us, declared lost */
    uint64_t packets_acked;
    uint64_t packets_duplicate;   /* received again, or too old to tell */
    uint64_t messages_resent;     /* reliable messages and fragments */
    uint64_t messages_refused;    /* the queue was full: told to the caller */
    uint64_t messages_abandoned;  /* queued or in flight when it ended */
    uint64_t rate_limited;        /* received over the rate limit: dropped */
    uint64_t stale;               /* sequenced, older than one delivered */
    uint64_t bad_messages;        /* could not be read: dropped, reported */
    double   rtt, rtt_variation, rtt_min;      /* seconds; 0: not known yet */
    double   loss;                /* packets_lost / ended packets, 0..1 */
    int      congestion_window;   /* bytes */
    int      in_flight;           /* bytes */
    int      queued_messages, queued_bytes;
    int      memory;              /* bytes held for this peer */
} wisp_peer_stats;

typedef struct wisp_remote_stats {
    uint64_t messages_sent, messages_received; /* one per peer reached */
    uint64_t bits_sent, bits_received;         /* of values, without headers */
    uint64_t unknown;             /* peers that answered "no such name" */
    uint64_t undeliverable;       /* fires to such peers, answered with code */
    uint64_t unhandled;           /* received, and nobody was connected */
    uint64_t rate_limited;
    uint64_t stale;
    uint64_t invokes_sent, invokes_received, replies_sent, replies_received;
    uint64_t invokes_repeated;    /* answered from memory */
    uint64_t failures;            /* handlers that failed */
} wisp_remote_stats;

typedef struct wisp_total_stats {
    uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
    uint64_t messages_sent, messages_received;
    uint64_t packets_foreign;     /* from nobody we know, or not wisp's */
    uint64_t packets_empty;       /* of zero bytes */
    uint64_t packets_oversized;   /* larger than the mtu */
    uint64_t packets_bad_tag;     /* damaged or forged */
    uint64_t packets_malformed;   /* well tagged, but senseless inside */
    uint64_t handshakes_received, handshakes_bad, cookies_refused;
    uint64_t joins, joins_denied, leaves, timeouts;
    uint64_t names_unknown;       /* announced to us, not registered here */
    uint64_t link_failures;       /* send or recv returned an error */
    uint64_t link_refusals;       /* packets answered with WISP_E_AGAIN */
    uint64_t errors;              /* error events raised */
    uint64_t notices_dropped;     /* error events beyond limits.notices */
    uint64_t messages_abandoned;  /* queued or in flight when sessions ended */
    uint64_t targets_skipped;     /* stale or doubled peers in lists */
    uint64_t arguments_wrong;     /* getters asked for what is not there */
    uint64_t clock_back;          /* updates whose time went back */
    uint64_t memory, memory_peak; /* bytes from the allocator */
    uint64_t allocations;         /* calls of the allocator */
    int      peers, remotes, calls_pending;
} wisp_total_stats;

/* ===========================================================================
 * MARK: >>value
 * A value knows its kind. Strings, bytes, arrays and maps point to memory of
 * whoever made the value; wisp copies what it needs before it returns.
 * ======================================================================== */

typedef enum wisp_kind {
    WISP_NIL, WISP_BOOL, WISP_INT, WISP_UINT, WISP_FLOAT, WISP_NUMBER,
    WISP_STRING, WISP_BYTES, WISP_VEC2, WISP_VEC3, WISP_VEC4, WISP_QUAT,
    WISP_TRANSFORM, WISP_COLOR, WISP_ARRAY, WISP_MAP
} wisp_kind;

typedef struct wisp_vec2  { float x, y; } wisp_vec2;
typedef struct wisp_vec3  { float x, y, z; } wisp_vec3;
typedef struct wisp_vec4  { float x, y, z, w; } wisp_vec4;
typedef struct wisp_quat  { float x, y, z, w; } wisp_quat;
typedef struct wisp_color { float r, g, b, a; } wisp_color;   /* 0..1 */
typedef struct wisp_transform {
    wisp_vec3 position;
    wisp_quat rotation;
} wisp_transform;

typedef struct wisp_value wisp_value;
typedef struct wisp_pair  wisp_pair;

struct wisp_value {
    wisp_kind kind;
    int       count;      /* bytes of a string or bytes; elements; pairs */
    union {
        bool             boolean;
        int64_t          integer;
        uint64_t         uinteger;
        float            float32;
        double           number;
        const char      *string;     /* count bytes, then a NUL if received */
        const void      *bytes;
        const wisp_value *array;
        const wisp_pair *map;
        wisp_vec2 vec2; wisp_vec3 vec3; wisp_vec4 vec4; wisp_quat quat;
        wisp_color color;
        wisp_transform transform;
    } as;
};
struct wisp_pair { const char *key; wisp_value value; };  /* key: NUL ends */

WISP_API wisp_value wisp_nil(void);
WISP_API wisp_value wisp_bool(bool);
WISP_API wisp_value wisp_int(int64_t);
WISP_API wisp_value wisp_uint(uint64_t);
WISP_API wisp_value wisp_float(float);
WISP_API wisp_value wisp_number(double);
WISP_API wisp_value wisp_string(const char *text);             /* NULL: "" */
WISP_API wisp_value wisp_string_n(const char *text, int size_bytes);
WISP_API wisp_value wisp_bytes(const void *bytes, int size_bytes);
WISP_API wisp_value wisp_vec2v(float x, float y);
WISP_API wisp_value wisp_vec3v(float x, float y, float z);
WISP_API wisp_value wisp_vec4v(float x, float y, float z, float w);
WISP_API wisp_value wisp_quatv(float x, float y, float z, float w);
WISP_API wisp_value wisp_transformv(wisp_vec3 position, wisp_quat rotation);
WISP_API wisp_value wisp_color3(float r, float g, float b);
WISP_API wisp_value wisp_color4(float r, float g, float b, float a);
WISP_API wisp_value wisp_array(const wisp_value *values, int count);
WISP_API wisp_value wisp_map(const wisp_pair *pairs, int count);

/* Equal by content. Numbers of any kind are equal when they are the same
   number (every NaN is one); maps are equal whatever the order of keys. */
WISP_API bool     wisp_equal(const wisp_value *a, const wisp_value *b);
/* Equal values have equal hashes, on every machine, in every version. */
WISP_API uint64_t wisp_hash(const wisp_value *value);

WISP_API wisp_kind         wisp_kind_of(const wisp_value *value);
WISP_API int               wisp_count_of(const wisp_value *value);
/* Element i of an array or value i of a map; NULL when there is none. */
WISP_API const wisp_value *wisp_element_of(const wisp_value *value, int i);
WISP_API const char       *wisp_key_of(const wisp_value *map, int i);
/* The value under a key; NULL when there is none or it is not a map. */
WISP_API const wisp_value *wisp_field_of(const wisp_value *map,
                                         const char *key);
/* The bytes of a string or bytes value and how many (size may be NULL);
   NULL for another kind. */
WISP_API const char *wisp_string_of(const wisp_value *value, int *size_bytes);

/* ===========================================================================
 * MARK: >>seal
 * ======================================================================== */

/* Fills `out` with `size` random bytes; false: none to be had. */
typedef bool (*wisp_entropy)(void *user, void *out, int size);

/* ===========================================================================
 * MARK: >>peer
 * ======================================================================== */

typedef struct wisp_addr { unsigned char bytes[32]; } wisp_addr; /* opaque */

/* `status` is set by send: 0 = taken (or lost, as datagrams are),
   WISP_E_AGAIN = kept by wisp and offered again, WISP_E_CLOSED = ends the
   session with that peer. A reliable link that answers WISP_E_AGAIN for one
   packet answers so for all that follow it to that address in the array. */
typedef struct wisp_packet {
    wisp_addr addr;
    void     *data;
    int       size;
    int       status;
} wisp_packet;

typedef struct wisp_link {
    /* Returns how many packets it looked at; what it did not look at is
       offered again. Negative: the link is broken (also offered again). */
    int (*send)(void *user, wisp_packet *packets, int count);
    /* In: data, and size = room. Out: addr, size. Returns how many were
       filled; 0 = none now; negative: broken. */
    int (*recv)(void *user, wisp_packet *packets, int count);
    void *user;
    int   mtu;        /* largest datagram in bytes, 256..65000; 0 = 1200 */
    bool  reliable;   /* the link itself is ordered and lossless */
    bool  drains;     /* recv hands over less than asked for only when nothing
                         is left: saves a call in each update */
} wisp_link;

/* Joins the endpoint at an address. The ticket (any bytes, at most mtu - 128)
   is judged by `accept` over there. WISP_JOINED tells of success, WISP_LEFT
   with a code of failure. What is fired before that waits in the queue.
   Returns id 0 on failure: wisp_why. */
WISP_API wisp_peer   wisp_join(wisp *w, const wisp_addr *to,
                               const void *ticket, int ticket_size);
/* Ends a session; on a server this is a kick. What is queued is sent once as
   far as the congestion window lets; the other side sees the reason (at most
   95 bytes of it). The handle is stale at once. */
WISP_API void        wisp_leave(wisp *w, wisp_peer peer, const char *reason);
/* Answers a join that `accept` left WISP_PENDING: WISP_OK or a code. */
WISP_API wisp_result wisp_admit(wisp *w, const wisp_addr *from,
                                wisp_result verdict);
/* Fills in the joined peers; returns how many there are, also beyond
   capacity. */
WISP_API int         wisp_peers(const wisp *w, wisp_peer *out, int capacity);
/* The first peer that this endpoint joined and that is still there, as a
   handle that means whoever that is when it is used. */
WISP_API wisp_peer   wisp_server(void);
#define WISP_SERVER  (wisp_server())

WISP_API bool wisp_peer_equal(wisp_peer a, wisp_peer b);
/* NULL when stale. The address lives as long as the peer. Both, and the
   counters, still answer while WISP_LEFT is told. */
WISP_API const wisp_addr *wisp_peer_addr(const wisp *w, wisp_peer peer);
/* One pointer of yours per peer; NULL at first and when stale. */
WISP_API void       *wisp_peer_user(const wisp *w, wisp_peer peer);
WISP_API wisp_result wisp_set_peer_user(wisp *w, wisp_peer peer, void *user);

/* ===========================================================================
 * MARK: >>remote
 * Settings. `remote` NULL sets what every remote inherits, also those
 * registered later; a remote's own setting wins, field by field. The last
 * call wins. All return WISP_OK, WISP_E_ARGUMENT, WISP_E_NAME, WISP_E_LIMIT
 * or WISP_E_MEMORY, and change nothing when they fail.
 * ======================================================================== */

enum { WISP_INHERIT = 0 };

typedef int wisp_delivery;
enum {
    WISP_RELIABLE = 1,  /* once, in order within its channel: the default */
    WISP_UNRELIABLE,    /* once or never, in any order */
    WISP_SEQUENCED      /* as unreliable, but never older than one before */
};

typedef int wisp_batch_mode;
enum {
    WISP_BATCH_NEVER = 1,   /* sent at once, whatever the delivery */
    WISP_BATCH_UNRELIABLE,  /* batched, delivery unreliable */
    WISP_BATCH_RELIABLE     /* batched, delivery reliable: the default */
};

#define WISP_PRIORITY(n) ((n) + 1)   /* 0..999, lower goes first */
#define WISP_CHANNEL(n)  ((n) + 1)   /* 0..15 */

typedef struct wisp_config {
    wisp_delivery   delivery;
    int             channel;         /* WISP_CHANNEL(n); default 0 */
    wisp_batch_mode batching;        /* also sets delivery if that is 0 */
    int             max_batch_size;  /* messages that wait for one peer before
                                        they are flushed; default 256 */
    int             batch_priority;  /* WISP_PRIORITY(n); default 500 */
    double          rate_limit;      /* least seconds between two messages of
                                        one peer; < 0 is off: the default */
    int             rate_burst;      /* messages at once; default
                                        max(1, ceil(0.25 / rate_limit)) */
    double          call_timeout;    /* seconds for all tries; default 10 */
    int             call_tries;      /* default 1 */
} wisp_config;

/* Sets the fields that are not zero; the others keep what they had. A NULL
   config makes every field inherit again. */
WISP_API wisp_result wisp_use_config(wisp *w, const wisp_config *config,
                                     const char *remote);
/* false: every message is sent at once, as with WISP_BATCH_NEVER. */
WISP_API wisp_result wisp_use_batching(wisp *w, bool enabled);
WISP_API wisp_result wisp_set_unreliable(wisp *w, const char *remote,
                                         bool unreliable);
WISP_API wisp_result wisp_set_batch_mode(wisp *w, const char *remote,
                                         wisp_batch_mode mode);
WISP_API wisp_result wisp_set_batch_priority(wisp *w, const char *remote,
                                             int priority);  /* 0..999 */
WISP_API wisp_result wisp_set_max_batch_size(wisp *w, int messages);
/* seconds: least interval; 0 or less: no limit. */
WISP_API wisp_result wisp_set_rate_limit(wisp *w, double seconds,
                                         const char *remote);

/* Registers a name (or finds it): 1..128 bytes. Id 0: wisp_why. */
WISP_API wisp_remote wisp_remote_named(wisp *w, const char *name);
WISP_API const char *wisp_remote_name(const wisp *w, wisp_remote remote);

/* A remote by name or by handle; made by the macros below. */
typedef struct wisp_target {
    const char *name;
    wisp_remote remote;
} wisp_target;
WISP_API wisp_target wisp_by_name(const char *name);
WISP_API wisp_target wisp_by_handle(wisp_remote remote);

/* ===========================================================================
 * MARK: >>batch
 * ======================================================================== */

/* Sends what waits, as far as congestion and pacing let. */
WISP_API wisp_result wisp_flush_batches(wisp *w);

/* ===========================================================================
 * MARK: >>event
 * ======================================================================== */

#define WISP_JOINED "wisp:joined"  /* peer */
#define WISP_LEFT   "wisp:left"    /* peer, result (WISP_OK: a goodbye), text */
#define WISP_ERROR  "wisp:error"   /* result, text; peer and remote if known */

typedef struct wisp_event {
    wisp             *w;
    wisp_peer         peer;
    wisp_remote       remote;
    const char       *name;
    const wisp_value *args;
    int               count;
    wisp_result       result;     /* replies and errors */
    const char       *text;       /* never NULL */
    double            time;       /* of the wisp_update that runs */
    void             *user;
    struct wisp__request *request; /* private: the call to be answered */
} wisp_event;
/* What an event points to lives until its handler returns. */
typedef void (*wisp_handler)(wisp_event *event);

typedef struct wisp_to {
    int              mode;
    wisp_peer        peer;
    const wisp_peer *list;
    int              count;
} wisp_to;
WISP_API wisp_to wisp_to_peer(wisp_peer peer);
WISP_API wisp_to wisp_to_all(void);                /* every joined peer */
WISP_API wisp_to wisp_to_list(const wisp_peer *peers, int count);
WISP_API wisp_to wisp_to_except(const wisp_peer *peers, int count);

/* Queues a message of `count` values to peers. Errors: WISP_E_ARGUMENT,
   WISP_E_NAME, WISP_E_STALE, WISP_E_TOO_BIG, WISP_E_DEPTH, WISP_E_LIMIT,
   WISP_E_MEMORY, WISP_E_QUEUE_FULL, WISP_E_NO_REMOTE (the peer has told that
   it does not know the name). With several peers the first error is returned
   while the others are served; in a list a stale peer (WISP_E_STALE) and a
   peer named twice (WISP_E_ARGUMENT) are skipped and counted. */
WISP_API wisp_result wisp_fire_values(wisp *w, const char *remote, wisp_to to,
                                      const wisp_value *values, int count);
WISP_API wisp_result wisp_send(wisp *w, wisp_remote remote, wisp_to to,
                               const wisp_value *values, int count);
/* What both come down to. */
WISP_API wisp_result wisp_fire_target(wisp *w, wisp_target remote, wisp_to to,
                                      const wisp_value *values, int count);

/* Connects a handler; several may listen, in the order of connection. Id 0:
   wisp_why. A handler may disconnect any connection, also its own. `once`
   ends it before its first event; what comes then without another handler
   raises WISP_E_NO_HANDLER, also from the same packet. */
WISP_API wisp_connection wisp_connect_target(wisp *w, wisp_target remote,
                                             wisp_handler fn, void *user,
                                             bool once);
WISP_API void wisp_disconnect(wisp *w, wisp_connection connection);

/* The arguments of a handler. A missing one, or one of another kind, gives
   zero, "" or NULL, and is reported by an error event (WISP_E_TYPE). A bool
   may be an integer 0 or 1; integers and numbers convert where exact, and a
   number becomes the nearest float. */
WISP_API bool        wisp_arg_bool(wisp_event *event, int i);
WISP_API int64_t     wisp_arg_int(wisp_event *event, int i);
WISP_API uint64_t    wisp_arg_uint(wisp_event *event, int i);
WISP_API float       wisp_arg_float(wisp_event *event, int i);
WISP_API double      wisp_arg_number(wisp_event *event, int i);
WISP_API const char *wisp_arg_string(wisp_event *event, int i);
WISP_API const char *wisp_arg_string_n(wisp_event *event, int i, int *size);
WISP_API const void *wisp_arg_bytes(wisp_event *event, int i, int *size);
WISP_API wisp_vec2   wisp_arg_vec2(wisp_event *event, int i);
WISP_API wisp_vec3   wisp_arg_vec3(wisp_event *event, int i);
WISP_API wisp_vec4   wisp_arg_vec4(wisp_event *event, int i);
WISP_API wisp_quat   wisp_arg_quat(wisp_event *event, int i);
WISP_API wisp_transform wisp_arg_transform(wisp_event *event, int i);
WISP_API wisp_color  wisp_arg_color(wisp_event *event, int i);
WISP_API const wisp_value *wisp_arg_array(wisp_event *event, int i);
WISP_API const wisp_value *wisp_arg_map(wisp_event *event, int i);
WISP_API const wisp_value *wisp_arg_value(wisp_event *event, int i);

/* ===========================================================================
 * MARK: >>call
 * ======================================================================== */

typedef struct wisp_call_desc {
    wisp_handler on_reply;   /* result, text, and the values; may be NULL */
    void        *user;
    double       timeout;    /* seconds for all tries; 0 = the remote's */
    int          tries;      /* 0 = the remote's; repeats go out only where
                                delivery is not reliable */
} wisp_call_desc;

/* Calls a remote of one peer. on_reply runs exactly once: with WISP_OK and
   the values of the reply, or with the code of the failure: what wisp_fail
   said, WISP_E_TIMEOUT, WISP_E_CLOSED, WISP_E_CANCELLED, WISP_E_RATE,
   WISP_E_NO_REMOTE, WISP_E_NO_HANDLER, WISP_E_EXPIRED, WISP_E_TOO_BIG (the
   reply was). The handler over there runs at most once. Id 0: wisp_why, and
   on_reply will not run. */
WISP_API wisp_call   wisp_invoke_target(wisp *w, wisp_target remote,
                                        wisp_to to,
                                        const wisp_call_desc *desc,
                                        const wisp_value *values, int count);
WISP_API wisp_call   wisp_invoke_values(wisp *w, const char *remote,
                                        wisp_to to,
                                        const wisp_call_desc *desc,
                                        const wisp_value *values, int count);
/* The one handler that answers; NULL removes it. */
WISP_API wisp_result wisp_on_invoke_target(wisp *w, wisp_target remote,
                                           wisp_handler fn, void *user);
/* Inside that handler, once. Returning without an answer replies no values.
   WISP_E_ARGUMENT: not an invoke, or answered already. */
WISP_API wisp_result wisp_reply_values(wisp_event *event,
                                       const wisp_value *values, int count);
/* Fails the handler: the caller of an invoke gets code and text, and in any
   case an error event is raised here. `code` must be negative. */
WISP_API wisp_result wisp_fail(wisp_event *event, wisp_result code,
                               const char *format, ...) WISP__PRINTF(3, 4);
/* Answer later: wisp_answer or wisp_answer_fail, once. Id 0: wisp_why. */
WISP_API wisp_call   wisp_defer(wisp_event *event);
WISP_API wisp_result wisp_answer(wisp *w, wisp_call call,
                                 const wisp_value *values, int count);
WISP_API wisp_result wisp_answer_fail(wisp *w, wisp_call call,
                                      wisp_result code, const char *format,
                                      ...) WISP__PRINTF(4, 5);
/* Ends a call of ours: on_reply runs with WISP_E_CANCELLED. */
WISP_API void        wisp_cancel(wisp *w, wisp_call call);

/* ===========================================================================
 * MARK: >>links
 * ======================================================================== */

/* A network inside one process: any number of sides, 0..65535, each with a
   link of its own. Zero-initialise, wisp_pipe_free at the end. Packets come
   out in the order they went in. */
typedef struct wisp_pipe {
    bool   reliable;      /* the links say so; a full side answers AGAIN */
    int    capacity;      /* bytes that wait per side; 0 = 4 MiB */
    int    mtu;           /* 0 = 1200 */
    wisp_allocator memory;
    struct wisp__pipe_side **sides;   /* private from here */
    int    side_count;
} wisp_pipe;
/* The pipe must not move while its links are used. Without memory the link
   comes back with NULL callbacks, which wisp_create refuses. */
WISP_API wisp_link wisp_loopback(wisp_pipe *pipe, int side);
WISP_API wisp_addr wisp_loopback_addr(int side);
WISP_API void      wisp_pipe_free(wisp_pipe *pipe);

/* A bad network around a link: what is sent through it is lost, delayed,
   doubled and shuffled as told. Zero-initialise and set what you want; set
   `now` before every wisp_update. The same seed gives the same fate. */
typedef struct wisp_simulator {
    double   now;             /* seconds */
    double   latency;         /* seconds one way */
    double   jitter;          /* seconds, up to this much more, per packet */
    double   loss;            /* 0..1 */
    double   burst;           /* mean packets per burst of loss; 0: single */
    double   duplicate;       /* 0..1 */
    double   reorder;         /* 0..1: delayed by another latency + jitter */
    double   rate;            /* bytes per second; 0: no cap */
    int      queue_bytes;     /* waiting for the cap; more is lost; 64 KiB */
    int      capacity;        /* packets on their way; more is lost; 65536 */
    uint64_t seed;
    wisp_allocator memory;
    uint64_t sent, lost, duplicated, reordered;      /* what happened */
    wisp_link inner;                     /* private from here */
    struct wisp__transit *transit;
    int      transit_count, transit_room;
    uint64_t order, random;
    double   link_free;
    bool     in_burst, started;
} wisp_simulator;
/* The simulator must not move while the link is used. */
WISP_API wisp_link wisp_simulate(wisp_simulator *sim, wisp_link inner);
WISP_API void      wisp_simulator_free(wisp_simulator *sim);

/* ===========================================================================
 * MARK: >>host
 * ======================================================================== */

typedef struct wisp_desc {
    wisp_link   link;
    const char *app;            /* the application's protocol, at most 64
                                   bytes; both ends must agree; NULL = "" */
    uint32_t    app_version;
    int         max_peers;      /* 1..16384; 0 = 64 */
    bool        refuse_joins;   /* true on an endpoint that only joins */
    /* Judges a ticket: WISP_OK, WISP_PENDING (wisp_admit will say), or a
       negative code, which the other side gets. NULL: everybody may in. */
    wisp_result (*accept)(wisp *w, const wisp_addr *from, const void *ticket,
                          int ticket_size, void *user);
    double      timeout;        /* seconds of silence that end a session; of
                                   trying that end a join; 0 = 10 */
    wisp_allocator memory;      /* NULL = malloc, free */
    wisp_limits limits;
    uint64_t    seed;           /* 0 = entropy; else deterministic: for tests
                                   and replays only */
    wisp_entropy entropy;       /* NULL = the system's */
    void (*log)(void *user, int level, wisp_result code, const char *text);
    void       *user;           /* for accept, entropy and log */
} wisp_desc;

/* NULL on failure, with the reason in `why` (may be NULL). The strings of the
   desc are copied. */
WISP_API wisp       *wisp_create(const wisp_desc *desc, wisp_result *why);
/* Says goodbye to every peer, ends pending calls with WISP_E_CLOSED through
   their handlers, frees everything. What the link does not take then is lost:
   wisp_leave and some updates before it wait for a link that is full. */
WISP_API void        wisp_destroy(wisp *w);
/* Receives, dispatches, runs timers, flushes, sends. WISP_OK, WISP_E_BUSY,
   WISP_E_ARGUMENT (time is not a number), WISP_E_LINK (the link is broken;
   keep updating, it may mend), WISP_E_CLOSED (a handler destroyed it). */
WISP_API wisp_result wisp_update(wisp *w, double now);
WISP_API double      wisp_now(const wisp *w);        /* of the last update */
WISP_API void       *wisp_user(const wisp *w);       /* desc.user */
/* Why the last call that returned a handle of id 0 did so. */
WISP_API wisp_result wisp_why(const wisp *w);

/* The wisp_await functions call wisp_update with the clock's time until what
   they wait for happens. The clock may sleep a little; it should. They return
   WISP_E_BUSY inside a handler, WISP_E_TIMEOUT, or the code of the failure;
   a clock that stands still for a million updates is a timeout too. */
typedef double (*wisp_clock)(void *user);
/* Until every join under way has ended; WISP_OK if at least one succeeded. */
WISP_API wisp_result wisp_await_ready(wisp *w, wisp_clock clock,
                                      void *clock_user, double timeout);
/* Until an event of that name has come; fn (may be NULL) gets it. */
WISP_API wisp_result wisp_await_event_target(wisp *w, wisp_target remote,
                                             wisp_handler fn, void *user,
                                             wisp_clock clock,
                                             void *clock_user, double timeout);
/* Until the call is answered; fn (may be NULL) gets the answer after the
   call's own on_reply. Returns the answer's result. */
WISP_API wisp_result wisp_await_reply(wisp *w, wisp_call call,
                                      wisp_handler fn, void *user,
                                      wisp_clock clock, void *clock_user);

/* A stale peer or an unknown name gives zeros. */
WISP_API void wisp_stats_peer(const wisp *w, wisp_peer peer,
                              wisp_peer_stats *out);
WISP_API void wisp_stats_remote(const wisp *w, const char *remote,
                                wisp_remote_stats *out);
WISP_API void wisp_stats_total(const wisp *w, wisp_total_stats *out);

#ifdef __cplusplus
} /* extern "C" */
#endif

/* ---------------------------------------------------------------------------
 * The calls with plain values. `remote` is a name or a wisp_remote; each
 * value is wrapped by its type (C11, C++) or a wisp_value (C99). Up to 16;
 * more go through the _values functions.
 *
 *   wisp_result wisp_fire       (wisp *w, remote, wisp_peer to, ...);
 *   wisp_result wisp_fire_all   (wisp *w, remote, ...);
 *   wisp_result wisp_fire_list  (wisp *w, remote, const wisp_peer *to,
 *                                int to_count, ...);
 *   wisp_result wisp_fire_except(wisp *w, remote, const wisp_peer *except,
 *                                int except_count, ...);
 *   wisp_connection wisp_connect(wisp *w, remote, wisp_handler fn, void *user);
 *   wisp_connection wisp_once   (wisp *w, remote, wisp_handler fn, void *user);
 *   wisp_call   wisp_invoke     (wisp *w, remote, wisp_peer to,
 *                                wisp_handler on_reply, void *user, ...);
 *   wisp_result wisp_on_invoke  (wisp *w, remote, wisp_handler fn, void *user);
 *   wisp_result wisp_reply      (wisp_event *event, ...);
 *   wisp_result wisp_await_event(wisp *w, remote, wisp_handler fn, void *user,
 *                                wisp_clock clock, void *clock_user,
 *                                double timeout);
 * ------------------------------------------------------------------------ */

#ifdef __cplusplus

inline wisp_target wisp__target(const char *name) { return wisp_by_name(name); }
inline wisp_target wisp__target(wisp_remote remote) { return wisp_by_handle(remote); }

inline wisp_value wisp__value(const wisp_value &v)     { return v; }
inline wisp_value wisp__value(bool v)                  { return wisp_bool(v); }
inline wisp_value wisp__value(signed char v)           { return wisp_int(v); }
inline wisp_value wisp__value(char v)                  { return wisp_int(v); }
inline wisp_value wisp__value(short v)                 { return wisp_int(v); }
inline wisp_value wisp__value(int v)                   { return wisp_int(v); }
inline wisp_value wisp__value(long v)                  { return wisp_int(v); }
inline wisp_value wisp__value(long long v)             { return wisp_int(v); }
inline wisp_value wisp__value(unsigned char v)         { return wisp_uint(v); }
inline wisp_value wisp__value(unsigned short v)        { return wisp_uint(v); }
inline wisp_value wisp__value(unsigned int v)          { return wisp_uint(v); }
inline wisp_value wisp__value(unsigned long v)         { return wisp_uint(v); }
inline wisp_value wisp__value(unsigned long long v)    { return wisp_uint(v); }
inline wisp_value wisp__value(float v)                 { return wisp_float(v); }
inline wisp_value wisp__value(double v)                { return wisp_number(v); }
inline wisp_value wisp__value(const char *v)           { return wisp_string(v); }
inline wisp_value wisp__value(const wisp_vec2 &v)      { return wisp_vec2v(v.x, v.y); }
inline wisp_value wisp__value(const wisp_vec3 &v)      { return wisp_vec3v(v.x, v.y, v.z); }
inline wisp_value wisp__value(const wisp_vec4 &v)      { return wisp_vec4v(v.x, v.y, v.z, v.w); }
inline wisp_value wisp__value(const wisp_quat &v)      { return wisp_quatv(v.x, v.y, v.z, v.w); }
inline wisp_value wisp__value(const wisp_color &v)     { return wisp_color4(v.r, v.g, v.b, v.a); }
inline wisp_value wisp__value(const wisp_transform &v) {
    return wisp_transformv(v.position, v.rotation);
}
wisp_value wisp__value(const void *) = delete;  /* else a pointer is a bool */

template <typename R, typename... V>
inline wisp_result wisp_fire(wisp *w, R remote, wisp_peer to, V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    return wisp_fire_target(w, wisp__target(remote), wisp_to_peer(to), list + 1, (int)sizeof...(V));
}
template <typename R, typename... V>
inline wisp_result wisp_fire_all(wisp *w, R remote, V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    return wisp_fire_target(w, wisp__target(remote), wisp_to_all(), list + 1, (int)sizeof...(V));
}
template <typename R, typename... V>
inline wisp_result wisp_fire_list(wisp *w, R remote, const wisp_peer *to, int count,
                                  V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    return wisp_fire_target(w, wisp__target(remote), wisp_to_list(to, count), list + 1,
                            (int)sizeof...(V));
}
template <typename R, typename... V>
inline wisp_result wisp_fire_except(wisp *w, R remote, const wisp_peer *except, int count,
                                    V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    return wisp_fire_target(w, wisp__target(remote), wisp_to_except(except, count), list + 1,
                            (int)sizeof...(V));
}
template <typename R, typename... V>
inline wisp_call wisp_invoke(wisp *w, R remote, wisp_peer to, wisp_handler on_reply, void *user,
                             V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    wisp_call_desc desc = wisp_call_desc();
    desc.on_reply = on_reply;
    desc.user = user;
    return wisp_invoke_target(w, wisp__target(remote), wisp_to_peer(to), &desc, list + 1,
                              (int)sizeof...(V));
}
template <typename... V>
inline wisp_result wisp_reply(wisp_event *event, V... v) {
    const wisp_value list[] = { wisp_nil(), wisp__value(v)... };
    return wisp_reply_values(event, list + 1, (int)sizeof...(V));
}
template <typename R>
inline wisp_connection wisp_connect(wisp *w, R remote, wisp_handler fn, void *user) {
    return wisp_connect_target(w, wisp__target(remote), fn, user, false);
}
template <typename R>
inline wisp_connection wisp_once(wisp *w, R remote, wisp_handler fn, void *user) {
    return wisp_connect_target(w, wisp__target(remote), fn, user, true);
}
template <typename R>
inline wisp_result wisp_on_invoke(wisp *w, R remote, wisp_handler fn, void *user) {
    return wisp_on_invoke_target(w, wisp__target(remote), fn, user);
}
template <typename R>
inline wisp_result wisp_await_event(wisp *w, R remote, wisp_handler fn, void *user,
                                    wisp_clock clock, void *clock_user, double timeout) {
    return wisp_await_event_target(w, wisp__target(remote), fn, user, clock, clock_user, timeout);
}

#else

/* Wrapping by type. Functions, because every branch of _Generic must compile. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
static inline wisp_value wisp__from_value(wisp_value v) { return v; }
static inline wisp_value wisp__from_vec2(wisp_vec2 v) { return wisp_vec2v(v.x, v.y); }
static inline wisp_value wisp__from_vec3(wisp_vec3 v) { return wisp_vec3v(v.x, v.y, v.z); }
static inline wisp_value wisp__from_vec4(wisp_vec4 v) {
    return wisp_vec4v(v.x, v.y, v.z, v.w);
}
static inline wisp_value wisp__from_quat(wisp_quat v) {
    return wisp_quatv(v.x, v.y, v.z, v.w);
}
static inline wisp_value wisp__from_color(wisp_color v) {
    return wisp_color4(v.r, v.g, v.b, v.a);
}
static inline wisp_value wisp__from_transform(wisp_transform v) {
    return wisp_transformv(v.position, v.rotation);
}
#define WISP__VALUE(x) _Generic((x), \
    bool: wisp_bool, char: wisp_int, signed char: wisp_int, short: wisp_int, int: wisp_int, \
    long: wisp_int, long long: wisp_int, unsigned char: wisp_uint, unsigned short: wisp_uint, \
    unsigned int: wisp_uint, unsigned long: wisp_uint, unsigned long long: wisp_uint, \
    float: wisp_float, double: wisp_number, char *: wisp_string, const char *: wisp_string, \
    wisp_value: wisp__from_value, wisp_vec2: wisp__from_vec2, wisp_vec3: wisp__from_vec3, \
    wisp_vec4: wisp__from_vec4, wisp_quat: wisp__from_quat, wisp_color: wisp__from_color, \
    wisp_transform: wisp__from_transform)(x)
#define WISP__TARGET(r) _Generic((r), wisp_remote: wisp_by_handle, \
    const char *: wisp_by_name, char *: wisp_by_name)(r)
#else
#define WISP__VALUE(x)  (x)
#define WISP__TARGET(r) wisp_by_name(r)
#endif

/* The list macros take one argument that is not a value, then up to 16 that
   are, so that "..." is never empty. WISP__EXPAND serves MSVC's traditional
   preprocessor, which passes __VA_ARGS__ on as one argument. */
#define WISP__EXPAND(x) x
#define WISP__CAT_(a, b) a##b
#define WISP__CAT(a, b) WISP__CAT_(a, b)
#define WISP__FIRST_(a, ...) a
#define WISP__FIRST(...) WISP__EXPAND(WISP__FIRST_(__VA_ARGS__, 0))
#define WISP__COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, count, ...) count
#define WISP__COUNT(...) WISP__EXPAND(WISP__COUNT_(__VA_ARGS__, \
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0))
#define WISP__L0(z) wisp_nil()
#define WISP__L1(z, a) WISP__L0(z), WISP__VALUE(a)
#define WISP__L2(z, a, b) WISP__L1(z, a), WISP__VALUE(b)
#define WISP__L3(z, a, b, c) WISP__L2(z, a, b), WISP__VALUE(c)
#define WISP__L4(z, a, b, c, d) WISP__L3(z, a, b, c), WISP__VALUE(d)
#define WISP__L5(z, a, b, c, d, e) WISP__L4(z, a, b, c, d), WISP__VALUE(e)
#define WISP__L6(z, a, b, c, d, e, f) WISP__L5(z, a, b, c, d, e), WISP__VALUE(f)
#define WISP__L7(z, a, b, c, d, e, f, g) WISP__L6(z, a, b, c, d, e, f), WISP__VALUE(g)
#define WISP__L8(z, a, b, c, d, e, f, g, h) WISP__L7(z, a, b, c, d, e, f, g), WISP__VALUE(h)
#define WISP__L9(z, a, b, c, d, e, f, g, h, i) WISP__L8(z, a, b, c, d, e, f, g, h), WISP__VALUE(i)
#define WISP__L10(z, a, b, c, d, e, f, g, h, i, j) \
    WISP__L9(z, a, b, c, d, e, f, g, h, i), WISP__VALUE(j)
#define WISP__L11(z, a, b, c, d, e, f, g, h, i, j, k) \
    WISP__L10(z, a, b, c, d, e, f, g, h, i, j), WISP__VALUE(k)
#define WISP__L12(z, a, b, c, d, e, f, g, h, i, j, k, l) \
    WISP__L11(z, a, b, c, d, e, f, g, h, i, j, k), WISP__VALUE(l)
#define WISP__L13(z, a, b, c, d, e, f, g, h, i, j, k, l, m) \
    WISP__L12(z, a, b, c, d, e, f, g, h, i, j, k, l), WISP__VALUE(m)
#define WISP__L14(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n) \
    WISP__L13(z, a, b, c, d, e, f, g, h, i, j, k, l, m), WISP__VALUE(n)
#define WISP__L15(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) \
    WISP__L14(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n), WISP__VALUE(o)
#define WISP__L16(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    WISP__L15(z, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o), WISP__VALUE(p)
#define WISP__LIST(...) \
    WISP__EXPAND(WISP__CAT(WISP__L, WISP__COUNT(__VA_ARGS__))(__VA_ARGS__))
/* A pointer to the values and their count: two arguments. */
#define WISP__VALUES(...) \
    (const wisp_value[]){ WISP__LIST(__VA_ARGS__) } + 1, WISP__COUNT(__VA_ARGS__)

#define wisp_fire(w, remote, ...) wisp_fire_target((w), WISP__TARGET(remote), \
    wisp_to_peer(WISP__FIRST(__VA_ARGS__)), WISP__VALUES(__VA_ARGS__))
#define wisp_fire_all(w, ...) wisp_fire_target((w), \
    WISP__TARGET(WISP__FIRST(__VA_ARGS__)), wisp_to_all(), WISP__VALUES(__VA_ARGS__))
#define wisp_fire_list(w, remote, to, ...) wisp_fire_target((w), WISP__TARGET(remote), \
    wisp_to_list((to), WISP__FIRST(__VA_ARGS__)), WISP__VALUES(__VA_ARGS__))
#define wisp_fire_except(w, remote, except, ...) wisp_fire_target((w), WISP__TARGET(remote), \
    wisp_to_except((except), WISP__FIRST(__VA_ARGS__)), WISP__VALUES(__VA_ARGS__))
#define wisp_invoke(w, remote, to, on_reply, ...) wisp__invoke((w), WISP__TARGET(remote), (to), \
    (on_reply), WISP__FIRST(__VA_ARGS__), WISP__VALUES(__VA_ARGS__))
#define wisp_reply(...) \
    wisp_reply_values(WISP__FIRST(__VA_ARGS__), WISP__VALUES(__VA_ARGS__))
#define wisp_connect(w, remote, fn, user) \
    wisp_connect_target((w), WISP__TARGET(remote), (fn), (user), false)
#define wisp_once(w, remote, fn, user) \
    wisp_connect_target((w), WISP__TARGET(remote), (fn), (user), true)
#define wisp_on_invoke(w, remote, fn, user) \
    wisp_on_invoke_target((w), WISP__TARGET(remote), (fn), (user))
#define wisp_await_event(w, remote, fn, user, clock, clock_user, timeout) \
    wisp_await_event_target((w), WISP__TARGET(remote), (fn), (user), (clock), (clock_user), \
                            (timeout))

static inline wisp_call wisp__invoke(wisp *w, wisp_target remote, wisp_peer to,
                                     wisp_handler on_reply, void *user,
                                     const wisp_value *values, int count) {
    wisp_call_desc desc = { 0 };
    desc.on_reply = on_reply;
    desc.user = user;
    return wisp_invoke_target(w, remote, wisp_to_peer(to), &desc, values, count);
}

#endif /* __cplusplus */
#endif /* WISP_H */

/* ===========================================================================
 *
 *                            IMPLEMENTATION
 *
 * ======================================================================== */
#if defined(WISP_IMPLEMENTATION) && !defined(WISP__IMPLEMENTED)
#define WISP__IMPLEMENTED

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifndef WISP_NO_STDLIB
#include <stdlib.h>
#endif
#ifndef WISP_ASSERT
#include <assert.h>
#define WISP_ASSERT(x) assert(x)
#endif
#ifndef WISP_FIRST_NUMBER
#define WISP_FIRST_NUMBER 1u
#endif
#if defined(__GNUC__)
#define WISP__UNUSED __attribute__((unused))    /* the checks, which only tests run */
#else
#define WISP__UNUSED
#endif

/* ===========================================================================
 * MARK: >>base
 * What: result texts, memory with a count, log, hash, wrapping compare.
 * Invariants: every byte taken through wisp__alloc is given back with its
 *   size; stats.memory is their sum.
 * ======================================================================== */

typedef struct wisp__base {
    wisp_allocator   memory;
    wisp_limits      limits;
    wisp_total_stats stats;
    void           (*log)(void *user, int level, wisp_result code, const char *text);
    void            *user;
    double           time;     /* seconds; only grows, see wisp_update */
    double           timeout;  /* seconds of silence that end a session */
    int              mtu;
    bool             reliable; /* the link needs no acks */
} wisp__base;

const char *wisp_result_text(wisp_result code) {
    static const char *const texts[] = {
        "ok", "argument is NULL or out of range", "name is empty, too long or reserved",
        "handle of something that is gone", "value of another kind was wanted", "too long",
        "nested too deeply", "not inside a handler", "not supported in this build",
        "out of memory", "a limit of the desc is reached", "send queue is full",
        "no entropy", "server is full", "endpoint takes no joins", "join was denied",
        "another application", "another version of the application", "another wire version",
        "link is reliable on one side only", "closed", "timeout",
        "the same address joined anew", "cancelled", "no such remote over there",
        "no handler", "over the rate limit", "call has expired", "handler failed",
        "link is busy", "link is broken", "malformed packet", "peer broke the protocol",
    };
    if (code == WISP_PENDING) return "pending";
    if (code <= WISP_E_USER) return "application error";
    if (code > 0 || code <= -(int)(sizeof texts / sizeof *texts)) return "unknown code";
    return texts[-code];
}

#ifndef WISP_NO_STDLIB
static void *wisp__malloc(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

static void wisp__mfree(void *user, void *pointer, size_t size) {
    (void)user;
    (void)size;
    free(pointer);
}
#endif

/* false: there is no allocator at all. */
static bool wisp__allocator_defaults(wisp_allocator *memory) {
#ifndef WISP_NO_STDLIB
    if (!memory->alloc && !memory->free) {
        memory->alloc = wisp__malloc;
        memory->free = wisp__mfree;
    }
#endif
    return memory->alloc && memory->free;
}

/* Zeroed memory, or NULL. */
static void *wisp__alloc(wisp__base *base, size_t size) {
    void *pointer = base->memory.alloc(base->memory.user, size);
    if (!pointer) return NULL;
    memset(pointer, 0, size);
    base->stats.allocations++;
    base->stats.memory += size;
    if (base->stats.memory > base->stats.memory_peak) base->stats.memory_peak = base->stats.memory;
    return pointer;
}

static void wisp__free(wisp__base *base, void *pointer, size_t size) {
    if (!pointer) return;
    base->stats.memory -= size;
    base->memory.free(base->memory.user, pointer, size);
}

static int wisp__min_int(int a, int b) { return a < b ? a : b; }
static int wisp__max_int(int a, int b) { return a > b ? a : b; }
static double wisp__min(double a, double b) { return a < b ? a : b; }
static double wisp__max(double a, double b) { return a > b ? a : b; }

/* Makes room for `need` items in an array, which doubles when it is not new, up to `limit`; new
   items are zero. On failure the array is as it was. */
static wisp_result wisp__grow(wisp__base *base, void **items, int *room, int need, int limit,
                              size_t item_bytes) {
    int grown = need;
    void *larger;
    if (need <= *room) return WISP_OK;
    if (need > limit) return WISP_E_LIMIT;
    if (*room) grown = *room <= limit / 2 ? wisp__max_int(need, *room * 2) : limit;
    if (grown <= limit - 3) grown = (grown + 3) / 4 * 4;
    larger = wisp__alloc(base, (size_t)grown * item_bytes);
    if (!larger) return WISP_E_MEMORY;
    if (*items) memcpy(larger, *items, (size_t)*room * item_bytes);
    wisp__free(base, *items, (size_t)*room * item_bytes);
    *items = larger;
    *room = grown;
    return WISP_OK;
}

WISP__PRINTF(4, 5)
static void wisp__log(wisp__base *base, int level, wisp_result code, const char *format, ...) {
    char text[256];
    va_list list;
    if (!base->log) return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    base->log(base->user, level, code, text);
}

/* Little-endian words at any address. Compilers make one load or store of the loops. */
static uint64_t wisp__load64(const void *from) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, from, 8);
    return word;
#else
    const uint8_t *b = (const uint8_t *)from;
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) word = word << 8 | b[i];
    return word;
#endif
}

static void wisp__store64(void *to, uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, &word, 8);
#else
    uint8_t *b = (uint8_t *)to;
    for (int i = 0; i < 8; i++, word >>= 8) b[i] = (uint8_t)word;
#endif
}

/* The first `count` (< 8) bytes as a word, the rest zero. */
static uint64_t wisp__load_part(const void *from, int count) {
    uint8_t bytes[8] = { 0 };
    memcpy(bytes, from, (size_t)count);
    return wisp__load64(bytes);
}

static uint64_t wisp__mix(uint64_t h) {
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* Stable over machines and versions; not meant to withstand chosen input. */
static uint64_t wisp__hash_bytes(const void *data, int size) {
    const uint8_t *bytes = (const uint8_t *)data;
    uint64_t h = (uint64_t)size * UINT64_C(0x9e3779b97f4a7c15);
    for (; size >= 8; size -= 8, bytes += 8) {
        h = (h ^ wisp__load64(bytes)) * UINT64_C(0xd6e8feb86659fd93);
        h ^= h >> 32;
    }
    if (size > 0) h ^= wisp__load_part(bytes, size);
    return wisp__mix(h);
}

/* Steps from b to a on a circle of 2^32: negative when a is before b. */
static int32_t wisp__distance(uint32_t a, uint32_t b) {
    return (int32_t)(a - b);
}

/* Steps to the number nearest to `from` whose low 24 bits are `low`. */
#define WISP__LOW_24 0xffffffu
static int32_t wisp__ahead_24(uint32_t low, uint32_t from) {
    uint32_t steps = (low - from) & WISP__LOW_24;
    return (int32_t)steps - (int32_t)((steps & 0x800000u) << 1);
}

/* The number nearest to `expected` whose low `bits` are `low` (RFC 9000 A.3). */
static uint64_t wisp__widen(uint64_t expected, uint64_t low, int bits) {
    uint64_t window = UINT64_C(1) << bits, half = window / 2;
    uint64_t number = (expected & ~(window - 1)) | low;
    if (number + half <= expected) return number + window;
    if (number > expected + half && number >= window) return number - window;
    return number;
}

#define WISP__NEVER 1e300  /* a time that does not come */

static int wisp__power_of_two(int least) {
    int power = 1;
    while (power < least) power *= 2;
    return power;
}

static int wisp__default_int(int value, int fallback) {
    return value > 0 ? value : fallback;
}

static void wisp__limits_defaults(wisp_limits *limits, int max_peers) {
    wisp_limits *l = limits;
    l->remotes = wisp__min_int(wisp__default_int(l->remotes, 1024), 16384);
    l->connections = wisp__min_int(wisp__default_int(l->connections, 4096), 1 << 20);
    l->message_bytes = wisp__min_int(wisp__default_int(l->message_bytes, 1 << 20), 1 << 28);
    l->message_values = wisp__min_int(wisp__default_int(l->message_values, 65536), 1 << 24);
    l->map_pairs = wisp__min_int(wisp__default_int(l->map_pairs, 4096), 1 << 24);
    l->nesting = wisp__min_int(wisp__default_int(l->nesting, 16), 256);
    l->queue_messages = wisp__default_int(l->queue_messages, 65536);
    l->queue_bytes = wisp__default_int(l->queue_bytes, 4 << 20);
    l->queue_bytes = wisp__max_int(l->queue_bytes, 2 * l->message_bytes);
    l->window_items = wisp__default_int(l->window_items, 2048);
    l->window_items = wisp__power_of_two(wisp__min_int(l->window_items, 16384));
    l->window_bytes = wisp__default_int(l->window_bytes, 512 << 10);
    l->window_packets = wisp__default_int(l->window_packets, 1024);
    l->window_packets = wisp__power_of_two(wisp__min_int(l->window_packets, 1024));
    l->calls = wisp__min_int(wisp__default_int(l->calls, 4096), 1 << 20);
    l->calls_remembered = wisp__default_int(l->calls_remembered, 4096);
    l->calls_remembered = wisp__power_of_two(wisp__min_int(l->calls_remembered, 16384));
    l->packet_messages = wisp__max_int(wisp__default_int(l->packet_messages, 4096), 2048);
    l->update_packets = wisp__default_int(l->update_packets, 65536);
    l->notices = wisp__max_int(wisp__default_int(l->notices, 1024), max_peers);
}

/* ===========================================================================
 * MARK: >>pool
 * What: slots with generations behind handles, a heap of timers, chunks of a
 *   few sizes, an arena that is emptied at once.
 * Invariants: a slot never moves; a handle fits only the life it was made for;
 *   memory once taken is kept for reuse until the pool is freed.
 * ======================================================================== */

/* First member of whatever a pool holds. */
typedef struct wisp__slot {
    uint32_t id;       /* generation << index_bits | index; kept while free */
    uint32_t next;     /* free list: index + 1 */
    bool     live;
} wisp__slot;

typedef struct wisp__pool {
    void   **blocks;
    int      block_room;
    int      made;         /* slots that exist */
    int      live;
    int      limit;
    int      block_items, block_shift;    /* 2^block_shift of them */
    int      index_bits;
    size_t   item_bytes;
    uint32_t free_first, free_last;    /* index + 1; first in, first out */
} wisp__pool;

static void wisp__pool_init(wisp__pool *pool, int limit, size_t item_bytes, int block_items) {
    memset(pool, 0, sizeof *pool);
    pool->limit = limit;
    pool->item_bytes = item_bytes;
    while ((1 << pool->block_shift) < block_items) pool->block_shift++;
    pool->block_items = 1 << pool->block_shift;
    while ((1 << pool->index_bits) < limit) pool->index_bits++;
}

static wisp__slot *wisp__pool_at(const wisp__pool *pool, int index) {
    char *block = (char *)pool->blocks[index >> pool->block_shift];
    size_t at = (size_t)(index & (pool->block_items - 1));
    return (wisp__slot *)(void *)(block + at * pool->item_bytes);
}

static void wisp__pool_release(wisp__pool *pool, wisp__slot *slot) {
    uint32_t index = slot->id & ((1u << pool->index_bits) - 1);
    slot->next = 0;
    if (pool->free_last) wisp__pool_at(pool, (int)pool->free_last - 1)->next = index + 1;
    else pool->free_first = index + 1;
    pool->free_last = index + 1;
}

static wisp_result wisp__pool_extend(wisp__base *base, wisp__pool *pool) {
    int blocks = pool->made / pool->block_items;
    int count = wisp__min_int(pool->block_items, pool->limit - pool->made);
    wisp_result result;
    if (count <= 0) return WISP_E_LIMIT;
    result = wisp__grow(base, (void **)&pool->blocks, &pool->block_room, blocks + 1, 1 << 24,
                        sizeof *pool->blocks);
    if (result) return result;
    pool->blocks[blocks] = wisp__alloc(base, pool->item_bytes * (size_t)pool->block_items);
    if (!pool->blocks[blocks]) return WISP_E_MEMORY;
    for (int i = 0; i < count; i++) {
        wisp__slot *slot = wisp__pool_at(pool, pool->made);
        slot->id = (uint32_t)pool->made++;
        wisp__pool_release(pool, slot);
    }
    return WISP_OK;
}

/* A zeroed item with a fresh id; NULL with the reason in *why. Free slots are taken oldest
   first, so that a generation lasts as long as it can. */
static void *wisp__pool_add(wisp__base *base, wisp__pool *pool, wisp_result *why) {
    wisp__slot *slot;
    uint32_t id;
    if (!pool->free_first && (*why = wisp__pool_extend(base, pool)) != WISP_OK) return NULL;
    slot = wisp__pool_at(pool, (int)pool->free_first - 1);
    pool->free_first = slot->next;
    if (!pool->free_first) pool->free_last = 0;
    id = slot->id + (1u << pool->index_bits);
    if (id >> pool->index_bits == 0) id += 1u << pool->index_bits;    /* id 0 is none */
    if (id == UINT32_MAX) id = (1u << pool->index_bits) | (id & ((1u << pool->index_bits) - 1));
    memset(slot, 0, pool->item_bytes);
    slot->id = id;
    slot->live = true;
    pool->live++;
    return slot;
}

static void wisp__pool_remove(wisp__pool *pool, void *item) {
    wisp__slot *slot = (wisp__slot *)item;
    WISP_ASSERT(slot->live);
    slot->live = false;
    pool->live--;
    wisp__pool_release(pool, slot);
}

/* NULL when the handle is stale. */
static inline void *wisp__pool_get(const wisp__pool *pool, uint32_t id) {
    uint32_t index = id & ((1u << pool->index_bits) - 1);
    wisp__slot *slot;
    if (index >= (uint32_t)pool->made) return NULL;
    slot = wisp__pool_at(pool, (int)index);
    return slot->live && slot->id == id ? slot : NULL;
}

/* Slot by index, NULL when free: for walking all. */
static void *wisp__pool_live(const wisp__pool *pool, int index) {
    wisp__slot *slot = wisp__pool_at(pool, index);
    return slot->live ? slot : NULL;
}

static void wisp__pool_free(wisp__base *base, wisp__pool *pool) {
    for (int i = 0; i * pool->block_items < pool->made; i++)
        wisp__free(base, pool->blocks[i], pool->item_bytes * (size_t)pool->block_items);
    wisp__free(base, pool->blocks, (size_t)pool->block_room * sizeof *pool->blocks);
    memset(pool, 0, sizeof *pool);
}

/* --- timers: a binary heap, so that what does not fire costs nothing --- */

typedef struct wisp__timer {
    double at;       /* seconds */
    int    place;    /* in the heap, from 1; 0 = not set */
    int    kind;     /* the owner's: what the timer is inside of */
} wisp__timer;

typedef struct wisp__timers {
    wisp__timer **heap;
    int           count, room;
    int           owners;     /* how many timers there are, set or not */
} wisp__timers;

static void wisp__timers_place(wisp__timers *timers, int place, wisp__timer *timer) {
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static void wisp__timers_up(wisp__timers *timers, wisp__timer *timer) {
    int place = timer->place;
    while (place > 1 && timers->heap[place / 2 - 1]->at > timer->at) {
        wisp__timers_place(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    wisp__timers_place(timers, place, timer);
}

static void wisp__timers_down(wisp__timers *timers, wisp__timer *timer) {
    int place = timer->place;
    for (;;) {
        int child = place * 2;
        if (child > timers->count) break;
        if (child < timers->count && timers->heap[child]->at < timers->heap[child - 1]->at) child++;
        if (timers->heap[child - 1]->at >= timer->at) break;
        wisp__timers_place(timers, place, timers->heap[child - 1]);
        place = child;
    }
    wisp__timers_place(timers, place, timer);
}

/* Room for one more timer: asked for when its owner is made, so that setting cannot fail. */
static wisp_result wisp__timers_reserve(wisp__base *base, wisp__timers *timers) {
    return wisp__grow(base, (void **)&timers->heap, &timers->room, timers->owners + 1, 1 << 26,
                      sizeof *timers->heap);
}

static void wisp__timers_set(wisp__timers *timers, wisp__timer *timer, double at) {
    double before = timer->at;
    timer->at = at;
    if (!timer->place) {
        WISP_ASSERT(timers->count < timers->room);
        timer->place = ++timers->count;
        wisp__timers_up(timers, timer);
    } else if (at < before) {
        wisp__timers_up(timers, timer);
    } else if (at > before) {
        wisp__timers_down(timers, timer);
    }
}

static void wisp__timers_stop(wisp__timers *timers, wisp__timer *timer) {
    wisp__timer *last;
    if (!timer->place) return;
    last = timers->heap[--timers->count];
    if (last != timer) {
        wisp__timers_place(timers, timer->place, last);
        wisp__timers_up(timers, last);
        wisp__timers_down(timers, last);
    }
    timer->place = 0;
}

/* The earliest timer if it is due, stopped; else NULL. */
static wisp__timer *wisp__timers_due(wisp__timers *timers, double now) {
    wisp__timer *timer = timers->count ? timers->heap[0] : NULL;
    if (!timer || timer->at > now) return NULL;
    wisp__timers_stop(timers, timer);
    return timer;
}

/* --- chunks: memory in powers of two, reused by size --- */

#define WISP__CHUNK_CLASSES 11         /* 64 bytes .. 64 KiB; larger ones go to the allocator */
#define WISP__SLAB_BYTES    8192

typedef struct wisp__slab { struct wisp__slab *next; size_t bytes; } wisp__slab;

typedef struct wisp__chunks {
    void       *free[WISP__CHUNK_CLASSES];   /* each free chunk begins with the next one */
    wisp__slab *slabs;
} wisp__chunks;

static int wisp__chunk_class(size_t size) {
    int index = 0;
#ifdef WISP_PLAIN_CHUNKS
    index = WISP__CHUNK_CLASSES;
#endif
    for (size = (size + !size - 1) / 64; size && index < WISP__CHUNK_CLASSES; size /= 2) index++;
    return index;
}

static bool wisp__chunks_refill(wisp__base *base, wisp__chunks *chunks, int index) {
    size_t chunk = (size_t)64 << index;
    size_t count = chunk < WISP__SLAB_BYTES ? WISP__SLAB_BYTES / chunk : 1;
    size_t head = 64, bytes = head + count * chunk;
    wisp__slab *slab = (wisp__slab *)wisp__alloc(base, bytes);
    if (!slab) return false;
    slab->next = chunks->slabs;
    slab->bytes = bytes;
    chunks->slabs = slab;
    for (size_t i = 0; i < count; i++) {
        void **item = (void **)(void *)((char *)slab + head + i * chunk);
        *item = chunks->free[index];
        chunks->free[index] = item;
    }
    return true;
}

/* Not zeroed. NULL: no memory. */
static inline void *wisp__chunk_take(wisp__base *base, wisp__chunks *chunks, size_t size) {
    int index = wisp__chunk_class(size);
    void *chunk;
    if (index == WISP__CHUNK_CLASSES) return wisp__alloc(base, size);
    if (!chunks->free[index] && !wisp__chunks_refill(base, chunks, index)) return NULL;
    chunk = chunks->free[index];
    chunks->free[index] = *(void **)chunk;
    return chunk;
}

static inline void wisp__chunk_give(wisp__base *base, wisp__chunks *chunks, void *chunk,
                                    size_t size) {
    int index = wisp__chunk_class(size);
    if (!chunk) return;
    if (index == WISP__CHUNK_CLASSES) {
        wisp__free(base, chunk, size);
        return;
    }
    *(void **)chunk = chunks->free[index];
    chunks->free[index] = chunk;
}

static void wisp__chunks_free(wisp__base *base, wisp__chunks *chunks) {
    while (chunks->slabs) {
        wisp__slab *slab = chunks->slabs;
        chunks->slabs = slab->next;
        wisp__free(base, slab, slab->bytes);
    }
    memset(chunks, 0, sizeof *chunks);
}

/* --- arena: taken piece by piece, emptied at once --- */

typedef struct wisp__arena_block {
    struct wisp__arena_block *next;
    size_t bytes, used;                    /* of what follows the header */
} wisp__arena_block;

/* What stands before a block's bytes, so that they are aligned for every type. */
#define WISP__ARENA_HEAD ((sizeof(wisp__arena_block) + 15) & ~(size_t)15)

typedef struct wisp__arena {
    wisp__arena_block *first, *current;
} wisp__arena;

static void wisp__arena_reset(wisp__arena *arena) {
    arena->current = arena->first;
    if (arena->current) arena->current->used = 0;
}

static void *wisp__arena_take_slow(wisp__base *base, wisp__arena *arena, size_t size) {
    wisp__arena_block **link = arena->current ? &arena->current->next : &arena->first;
    wisp__arena_block *block = *link;
    if (!block || block->bytes < size) {
        size_t bytes = arena->current ? arena->current->bytes * 2 : 4096 - WISP__ARENA_HEAD;
        if (bytes < size) bytes = size;
        block = (wisp__arena_block *)wisp__alloc(base, WISP__ARENA_HEAD + bytes);
        if (!block) return NULL;
        block->bytes = bytes;
        block->next = *link;
        *link = block;
    }
    block->used = size;
    arena->current = block;
    return (char *)block + WISP__ARENA_HEAD;
}

/* Aligned for every type, not zeroed; NULL: no memory. */
static inline void *wisp__arena_take(wisp__base *base, wisp__arena *arena, size_t size) {
    wisp__arena_block *block = arena->current;
    size = (size + 15) & ~(size_t)15;
    if (block && block->bytes - block->used >= size) {
        void *taken = (char *)block + WISP__ARENA_HEAD + block->used;
        block->used += size;
        return taken;
    }
    return wisp__arena_take_slow(base, arena, size);
}

static void wisp__arena_free(wisp__base *base, wisp__arena *arena) {
    while (arena->first) {
        wisp__arena_block *block = arena->first;
        arena->first = block->next;
        wisp__free(base, block, WISP__ARENA_HEAD + block->bytes);
    }
    arena->current = NULL;
}

/* ===========================================================================
 * MARK: >>stats
 * What: reading the counters. They are plain fields that each room counts
 *   into; the structs are the public ones.
 * ======================================================================== */

/* Packets lost as a share of those whose fate is known. */
static double wisp__stats_loss(const wisp_peer_stats *stats) {
    uint64_t ended = stats->packets_lost + stats->packets_acked;
    return ended ? (double)stats->packets_lost / (double)ended : 0;
}

/* ===========================================================================
 * MARK: >>bits
 * What: values of 1..64 bits, least significant bit first, one after another.
 * Invariants: a writer never passes its capacity, a reader never its end; the
 *   first failure sticks, later calls do nothing, one check at the end is
 *   enough. A writer's buffer has WISP__SLACK bytes beyond its capacity,
 *   because it stores whole words.
 * ======================================================================== */

#define WISP__SLACK 16

typedef struct wisp__writer {
    uint8_t *bytes;
    int64_t  at, end;     /* bits */
    bool     full;
} wisp__writer;

typedef struct wisp__reader {
    const uint8_t *bytes;
    int            size;      /* bytes that may be read */
    int64_t        at, end;   /* bits */
    bool           failed;
} wisp__reader;

static wisp__writer wisp__writer_on(void *bytes, int capacity) {
    wisp__writer writer = { NULL, 0, 0, false };
    writer.bytes = (uint8_t *)bytes;
    writer.end = (int64_t)capacity * 8;
    return writer;
}

static wisp__reader wisp__reader_on(const void *bytes, int size) {
    wisp__reader reader = { NULL, 0, 0, 0, false };
    reader.bytes = (const uint8_t *)bytes;
    reader.size = size;
    reader.end = (int64_t)size * 8;
    return reader;
}

static uint64_t wisp__low_bits(uint64_t value, int count) {
    return count == 64 ? value : value & ((UINT64_C(1) << count) - 1);
}

/* Value must fit in count bits (0..64). */
static inline void wisp__put(wisp__writer *writer, uint64_t value, int count) {
    uint8_t *to = writer->bytes + (writer->at >> 3);
    int shift = (int)(writer->at & 7);
    WISP_ASSERT(count == 64 || value >> count == 0);
    if (writer->full || writer->at + count > writer->end) {
        writer->full = true;
        return;
    }
    wisp__store64(to, (uint64_t)(*to & ((1u << shift) - 1)) | value << shift);
    if (shift + count > 64) to[8] = (uint8_t)(value >> (64 - shift));
    writer->at += count;
}

/* `count` bits from the start of `from`, which is readable for 8 bytes beyond them. */
static void wisp__put_bits(wisp__writer *writer, const uint8_t *from, int64_t count) {
    uint8_t *to = writer->bytes + (writer->at >> 3);
    int shift = (int)(writer->at & 7);
    uint64_t carry = 0;
    if (writer->full || writer->at + count > writer->end) {
        writer->full = true;
        return;
    }
    writer->at += count;
    if (count <= 0) return;
    carry = *to & ((1u << shift) - 1);
    if (shift == 0) {
        memcpy(to, from, (size_t)((count + 7) / 8));
        return;
    }
    for (; count > 0; count -= 64, from += 8, to += 8) {
        uint64_t word = wisp__load64(from);
        wisp__store64(to, carry | word << shift);
        carry = word >> (64 - shift);
    }
    *to = (uint8_t)carry;
}

/* Zero bits up to the next byte. */
static void wisp__put_align(wisp__writer *writer) {
    wisp__put(writer, 0, (int)(-writer->at & 7));
}

static void wisp__put_bytes(wisp__writer *writer, const void *from, int count) {
    WISP_ASSERT((writer->at & 7) == 0);
    if (writer->full || writer->at + (int64_t)count * 8 > writer->end) {
        writer->full = true;
        return;
    }
    if (count) memcpy(writer->bytes + (writer->at >> 3), from, (size_t)count);
    writer->at += (int64_t)count * 8;
}

/* Groups of seven bits, each with a bit that says whether another follows. */
static void wisp__put_length(wisp__writer *writer, uint64_t value) {
    for (; value >= 128; value >>= 7) wisp__put(writer, (value & 127) | 128, 8);
    wisp__put(writer, value, 8);
}

/* The same in groups of three bits, for what is nearly always below 8. */
static void wisp__put_small(wisp__writer *writer, uint64_t value) {
    for (; value >= 8; value >>= 3) wisp__put(writer, (value & 7) | 8, 4);
    wisp__put(writer, value, 4);
}

static uint64_t wisp__peek64(const wisp__reader *reader, int64_t at) {
    int64_t byte = at >> 3;
    if (byte + 8 <= reader->size) return wisp__load64(reader->bytes + byte);
    return wisp__load_part(reader->bytes + byte, (int)(reader->size - byte));
}

/* Near the end, more than 57 bits, or too many. */
static uint64_t wisp__get_slowly(wisp__reader *reader, int count) {
    int shift = (int)(reader->at & 7);
    uint64_t value;
    if (count > reader->end - reader->at || reader->failed) {
        reader->failed = true;
        return 0;
    }
    if (count == 0) return 0;
    value = wisp__peek64(reader, reader->at) >> shift;
    if (shift + count > 64) value |= (uint64_t)reader->bytes[(reader->at >> 3) + 8] << (64 - shift);
    reader->at += count;
    return wisp__low_bits(value, count);
}

/* The next `count` bits (0..64), or 0 and the reader has failed. */
static inline uint64_t wisp__get(wisp__reader *reader, int count) {
    int64_t at = reader->at;
    if (count > 57 || at + 64 > reader->end || reader->failed)
        return wisp__get_slowly(reader, count);
    reader->at = at + count;
    return wisp__load64(reader->bytes + (at >> 3)) >> (at & 7) & ((UINT64_C(1) << count) - 1);
}

static inline void wisp__skip(wisp__reader *reader, int64_t count) {
    if (count < 0 || count > reader->end - reader->at) reader->failed = true;
    if (!reader->failed) reader->at += count;
}

/* Copies `count` bits to the start of `to`, which has room for whole words (8 bytes more). */
static void wisp__get_bits(wisp__reader *reader, uint8_t *to, int64_t count) {
    int64_t at = reader->at;
    int shift = (int)(at & 7);
    wisp__skip(reader, count);
    if (reader->failed) return;
    if ((at + count) / 8 + 8 < reader->size) {          /* words may be read beyond the end */
        const uint8_t *from = reader->bytes + (at >> 3);
        for (; count > 0; count -= 64, from += 8, to += 8)
            wisp__store64(to, wisp__load64(from) >> shift | (uint64_t)from[8] << 1 << (63 - shift));
        return;
    }
    for (; count > 0; count -= 64, at += 64, to += 8) {
        uint64_t word = wisp__peek64(reader, at) >> shift;
        if (shift && (at >> 3) + 8 < reader->size)
            word |= (uint64_t)reader->bytes[(at >> 3) + 8] << (64 - shift);
        wisp__store64(to, count < 64 ? wisp__low_bits(word, (int)count) : word);
    }
}

static uint64_t wisp__get_groups(wisp__reader *reader, int bits, int most_bits) {
    uint64_t value = 0, more = UINT64_C(1) << bits;
    for (int shift = 0; shift < most_bits; shift += bits) {
        uint64_t group = wisp__get(reader, bits + 1);
        value |= (group & (more - 1)) << shift;
        if (!(group & more)) return value;
    }
    reader->failed = true;
    return 0;
}

/* Lengths beyond 2^28 fail, so that sums of them cannot overflow an int. */
static int wisp__get_length(wisp__reader *reader) {
    return (int)wisp__get_groups(reader, 7, 28);
}

static int wisp__get_small(wisp__reader *reader) {
    return (int)wisp__get_groups(reader, 3, 30);
}

static int wisp__length_bits(uint64_t value) {
    int bits = 8;
    for (; value >= 128; value >>= 7) bits += 8;
    return bits;
}

static int wisp__small_bits(uint64_t value) {
    int bits = 4;
    for (; value >= 8; value >>= 3) bits += 4;
    return bits;
}

WISP__UNUSED static void wisp__bits_check(const wisp__reader *reader) {
    WISP_ASSERT(reader->at >= 0 && reader->at <= reader->end);
    WISP_ASSERT(reader->end <= (int64_t)reader->size * 8);
    (void)reader;
}

/* ===========================================================================
 * MARK: >>value
 * What: making, comparing and hashing values.
 * Invariants: a value never owns what it points to. Equality is by content,
 *   and equal values hash alike.
 * ======================================================================== */

static wisp_value wisp__value_of(wisp_kind kind, int count) {
    wisp_value value;
    memset(&value, 0, sizeof value);
    value.kind = kind;
    value.count = count;
    return value;
}

wisp_value wisp_nil(void) { return wisp__value_of(WISP_NIL, 0); }

wisp_value wisp_bool(bool boolean) {
    wisp_value value = wisp__value_of(WISP_BOOL, 0);
    value.as.boolean = boolean;
    return value;
}

wisp_value wisp_int(int64_t integer) {
    wisp_value value = wisp__value_of(WISP_INT, 0);
    value.as.integer = integer;
    return value;
}

wisp_value wisp_uint(uint64_t integer) {
    wisp_value value = wisp__value_of(WISP_UINT, 0);
    value.as.uinteger = integer;
    return value;
}

wisp_value wisp_float(float number) {
    wisp_value value = wisp__value_of(WISP_FLOAT, 0);
    value.as.float32 = number;
    return value;
}

wisp_value wisp_number(double number) {
    wisp_value value = wisp__value_of(WISP_NUMBER, 0);
    value.as.number = number;
    return value;
}

wisp_value wisp_string_n(const char *text, int size_bytes) {
    wisp_value value = wisp__value_of(WISP_STRING, size_bytes);
    value.as.string = text;
    return value;
}

wisp_value wisp_string(const char *text) {
    return wisp_string_n(text ? text : "", text ? (int)strlen(text) : 0);
}

wisp_value wisp_bytes(const void *bytes, int size_bytes) {
    wisp_value value = wisp__value_of(WISP_BYTES, size_bytes);
    value.as.bytes = bytes;
    return value;
}

wisp_value wisp_vec2v(float x, float y) {
    wisp_value value = wisp__value_of(WISP_VEC2, 0);
    value.as.vec2.x = x;
    value.as.vec2.y = y;
    return value;
}

wisp_value wisp_vec3v(float x, float y, float z) {
    wisp_value value = wisp__value_of(WISP_VEC3, 0);
    value.as.vec3.x = x;
    value.as.vec3.y = y;
    value.as.vec3.z = z;
    return value;
}

wisp_value wisp_vec4v(float x, float y, float z, float w) {
    wisp_value value = wisp__value_of(WISP_VEC4, 0);
    value.as.vec4.x = x;
    value.as.vec4.y = y;
    value.as.vec4.z = z;
    value.as.vec4.w = w;
    return value;
}

wisp_value wisp_quatv(float x, float y, float z, float w) {
    wisp_value value = wisp_vec4v(x, y, z, w);
    value.kind = WISP_QUAT;
    return value;
}

wisp_value wisp_transformv(wisp_vec3 position, wisp_quat rotation) {
    wisp_value value = wisp__value_of(WISP_TRANSFORM, 0);
    value.as.transform.position = position;
    value.as.transform.rotation = rotation;
    return value;
}

wisp_value wisp_color4(float r, float g, float b, float a) {
    wisp_value value = wisp_vec4v(r, g, b, a);
    value.kind = WISP_COLOR;
    return value;
}

wisp_value wisp_color3(float r, float g, float b) { return wisp_color4(r, g, b, 1.0f); }

wisp_value wisp_array(const wisp_value *values, int count) {
    wisp_value value = wisp__value_of(WISP_ARRAY, count);
    value.as.array = values;
    return value;
}

wisp_value wisp_map(const wisp_pair *pairs, int count) {
    wisp_value value = wisp__value_of(WISP_MAP, count);
    value.as.map = pairs;
    return value;
}

/* How many floats a kind is made of, and where they are; 0 for other kinds. The vector members
   of the union are packed floats that begin where the union begins. */
static int wisp__value_floats(const wisp_value *value, float out[7]) {
    static const int counts[] = { 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 4, 4, 7, 4, 0, 0 };
    int count = counts[value->kind];
    memcpy(out, &value->as, (size_t)count * sizeof(float));
    return count;
}

/* A number of any kind in one normal form: an integer with sign where it is one, else a double. */
typedef struct wisp__numeric {
    bool     integral, negative;
    uint64_t magnitude;
    double   number;
} wisp__numeric;

static bool wisp__numeric_of(const wisp_value *value, wisp__numeric *out) {
    double number = 0;
    memset(out, 0, sizeof *out);
    switch (value->kind) {
    case WISP_INT:
        out->integral = true;
        out->negative = value->as.integer < 0;
        out->magnitude = out->negative ? 0 - (uint64_t)value->as.integer
                                       : (uint64_t)value->as.integer;
        return true;
    case WISP_UINT:
        out->integral = true;
        out->magnitude = value->as.uinteger;
        return true;
    case WISP_FLOAT: number = (double)value->as.float32; break;
    case WISP_NUMBER: number = value->as.number; break;
    default: return false;
    }
    out->number = number;
    if (number > -18446744073709551616.0 && number < 18446744073709551616.0) {
        double size = number < 0 ? -number : number;
        out->magnitude = (uint64_t)size;
        out->integral = (double)out->magnitude == size;
        out->negative = number < 0;
    }
    if (!out->integral) out->magnitude = 0, out->negative = false;
    return true;
}

static bool wisp__numeric_equal(const wisp__numeric *a, const wisp__numeric *b) {
    if (a->integral != b->integral) return false;
    if (a->integral) return a->negative == b->negative && a->magnitude == b->magnitude;
    if (!(a->number >= a->number)) return !(b->number >= b->number);
    return a->number >= b->number && a->number <= b->number;
}

/* The pair with a key, searched from `from` onwards and around: maps are mostly in one order. */
static int wisp__map_find(const wisp_value *map, const char *key, int from) {
    for (int i = 0; i < map->count; i++) {
        int at = from + i < map->count ? from + i : from + i - map->count;
        if (strcmp(map->as.map[at].key, key) == 0) return at;
    }
    return -1;
}

static bool wisp__map_equal(const wisp_value *a, const wisp_value *b) {
    for (int i = 0; i < a->count; i++) {
        int at = wisp__map_find(b, a->as.map[i].key, i);
        if (at < 0 || !wisp_equal(&a->as.map[i].value, &b->as.map[at].value)) return false;
    }
    return true;
}

bool wisp_equal(const wisp_value *a, const wisp_value *b) {
    wisp__numeric x, y;
    float p[7] = { 0 }, q[7] = { 0 };
    int floats;
    if (!a || !b) return a == b;
    if (wisp__numeric_of(a, &x)) return wisp__numeric_of(b, &y) && wisp__numeric_equal(&x, &y);
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case WISP_BOOL: return a->as.boolean == b->as.boolean;
    case WISP_STRING:
    case WISP_BYTES: return !a->count || memcmp(a->as.bytes, b->as.bytes, (size_t)a->count) == 0;
    case WISP_ARRAY:
        for (int i = 0; i < a->count; i++)
            if (!wisp_equal(&a->as.array[i], &b->as.array[i])) return false;
        return true;
    case WISP_MAP: return wisp__map_equal(a, b);
    default: break;
    }
    floats = wisp__value_floats(a, p);
    wisp__value_floats(b, q);
    for (int i = 0; i < floats; i++) {
        wisp_value u = wisp_float(p[i]), v = wisp_float(q[i]);
        if (!wisp_equal(&u, &v)) return false;
    }
    return true;
}

static uint64_t wisp__numeric_hash(const wisp__numeric *numeric) {
    uint64_t bits;
    if (numeric->integral) return wisp__mix(wisp__mix(numeric->magnitude + 1) + numeric->negative);
    memcpy(&bits, &numeric->number, 8);
    if (!(numeric->number >= numeric->number)) bits = UINT64_C(0x7ff8000000000000);
    return wisp__mix(bits ^ UINT64_C(0x5bd1e9955bd1e995));
}

uint64_t wisp_hash(const wisp_value *value) {
    wisp__numeric numeric;
    float floats[7];
    uint64_t h;
    int count;
    if (!value) return 0;
    if (wisp__numeric_of(value, &numeric)) return wisp__numeric_hash(&numeric);
    h = wisp__mix((uint64_t)value->kind + 0x100) + (uint64_t)(unsigned)value->count;
    switch (value->kind) {
    case WISP_BOOL: return wisp__mix(h + value->as.boolean);
    case WISP_STRING:
    case WISP_BYTES: return wisp__mix(h ^ wisp__hash_bytes(value->as.bytes, value->count));
    case WISP_ARRAY:
        for (int i = 0; i < value->count; i++) h = wisp__mix(h + wisp_hash(&value->as.array[i]));
        return h;
    case WISP_MAP:       /* a sum, so that the order of keys does not matter */
        for (int i = 0; i < value->count; i++) {
            const wisp_pair *pair = &value->as.map[i];
            uint64_t key = wisp__hash_bytes(pair->key, (int)strlen(pair->key));
            h += wisp__mix(key ^ wisp__mix(wisp_hash(&pair->value)));
        }
        return h;
    default: break;
    }
    count = wisp__value_floats(value, floats);
    for (int i = 0; i < count; i++) {
        wisp_value part = wisp_float(floats[i]);
        h = wisp__mix(h + wisp_hash(&part));
    }
    return h;
}

wisp_kind wisp_kind_of(const wisp_value *value) { return value ? value->kind : WISP_NIL; }

int wisp_count_of(const wisp_value *value) { return value ? value->count : 0; }

const wisp_value *wisp_element_of(const wisp_value *value, int i) {
    if (!value || i < 0 || i >= value->count) return NULL;
    if (value->kind == WISP_ARRAY) return &value->as.array[i];
    return value->kind == WISP_MAP ? &value->as.map[i].value : NULL;
}

const char *wisp_key_of(const wisp_value *map, int i) {
    if (!map || map->kind != WISP_MAP || i < 0 || i >= map->count) return NULL;
    return map->as.map[i].key;
}

const wisp_value *wisp_field_of(const wisp_value *map, const char *key) {
    int at;
    if (!map || !key || map->kind != WISP_MAP) return NULL;
    at = wisp__map_find(map, key, 0);
    return at < 0 ? NULL : &map->as.map[at].value;
}

const char *wisp_string_of(const wisp_value *value, int *size_bytes) {
    bool fits = value && (value->kind == WISP_STRING || value->kind == WISP_BYTES);
    if (size_bytes) *size_bytes = fits ? value->count : 0;
    return fits ? value->as.string : NULL;
}

/* ===========================================================================
 * MARK: >>pack
 * What: the self-describing form. A message is two bit strings: its shape
 *   (how many values, their kinds, keys, lengths of blobs) and its data. In a
 *   packet a message whose shape equals the one before costs one bit instead.
 * Invariants: packing then unpacking gives an equal value of the same kind;
 *   what is in an array or map takes at least one bit of data (a nil takes a
 *   zero), so that memory stays in proportion to bytes received.
 * Not here: ids, lengths and order of messages (batch, host).
 *
 *   values    shape: small(count), then each value
 *   nil       shape: 0:4
 *   bool      shape: 1:4                          data: bit
 *   int       shape: 2:4                          data: zigzag integer
 *   uint      shape: 3:4                          data: integer
 *   float     shape: 4:4      data: 1, zigzag integer | 0, 32 bits
 *   number    shape: 5:4      data: 0:2, zigzag | 1:2, float 32 | 2:2, 64 bits
 *   string    shape: 6:4      data: length, align, bytes
 *   bytes     shape: 7:4, length                  data: align, bytes
 *   vec2..4, quat, transform  8:4 .. 12:4         data: 32 bits each
 *   color     shape: 13:4     data: 1, 8 bits each | 0, 32 bits each
 *   array     shape: 14:4, 0:1, small(count), homogeneous:1, one shape or all
 *   map       shape: 14:4, 1:1, small(count), each: length, key, shape
 *   integer   data: class:3, then 4 8 12 16 24 32 48 or 64 bits
 *   small     groups of 3 bits and "more"; length: groups of 7 and "more"
 * ======================================================================== */

enum { WISP__CODE_LIST = 14 };

typedef enum wisp__parts { WISP__DATA_ONLY, WISP__SHAPE_AND_DATA } wisp__parts;

typedef struct wisp__packer {
    wisp__base  *base;
    void       (*value)(struct wisp__packer *p, const wisp_value *value, wisp__parts parts);
    wisp__writer shape, data;
    int          shape_room, data_room;   /* bytes of the buffers, with slack */
    int          values;                  /* of the message, nested ones too */
    wisp_result  result;                  /* the first failure */
} wisp__packer;

/* Room for what may be more than will be used. */
static bool wisp__packer_grow(wisp__packer *p, wisp__writer *writer, int *room, int64_t need) {
    void *buffer = writer->bytes;
    if (need > 1 << 30) p->result = WISP_E_TOO_BIG;
    else p->result = wisp__grow(p->base, &buffer, room, wisp__max_int((int)need, 256), 1 << 30, 1);
    writer->bytes = (uint8_t *)buffer;
    writer->end = (int64_t)(*room - WISP__SLACK) * 8;
    return p->result == WISP_OK;
}

static void wisp__put_integer(wisp__writer *writer, uint64_t value) {
    static const uint8_t widths[8] = { 4, 8, 12, 16, 24, 32, 48, 64 };
    int class_of = 0;
    while (class_of < 7 && value >> widths[class_of]) class_of++;
    wisp__put(writer, (uint64_t)class_of, 3);
    wisp__put(writer, value, widths[class_of]);
}

static uint64_t wisp__get_integer(wisp__reader *reader) {
    static const uint8_t widths[8] = { 4, 8, 12, 16, 24, 32, 48, 64 };
    return wisp__get(reader, widths[wisp__get(reader, 3)]);
}

/* Small magnitudes of either sign become small unsigned numbers. */
static uint64_t wisp__zigzag(int64_t value) {
    return value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1;
}

static int64_t wisp__unzigzag(uint64_t value) {
    uint64_t half = value >> 1;
    return value & 1 ? -(int64_t)half - 1 : (int64_t)half;
}

static uint32_t wisp__float_bits(float number) {
    uint32_t bits;
    memcpy(&bits, &number, 4);
    return bits;
}

static float wisp__bits_float(uint32_t bits) {
    float number;
    memcpy(&number, &bits, 4);
    return number;
}

/* An integer of at most `most` in size, and not minus zero, which an integer cannot say. */
static bool wisp__is_small_integer(double number, double most) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    if (!(number >= -most && number <= most) || bits == UINT64_C(1) << 63) return false;
    return (double)(int64_t)number >= number && (double)(int64_t)number <= number;
}

static void wisp__pack_float(wisp__writer *data, float number) {
    bool small = wisp__is_small_integer((double)number, 16777216.0);
    wisp__put(data, small, 1);
    if (small) wisp__put_integer(data, wisp__zigzag((int64_t)number));
    else wisp__put(data, wisp__float_bits(number), 32);
}

static void wisp__pack_number(wisp__writer *data, double number) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    if (wisp__is_small_integer(number, 140737488355328.0)) {
        wisp__put(data, 0, 2);
        wisp__put_integer(data, wisp__zigzag((int64_t)number));
    } else if (number >= -3.0e38 && number <= 3.0e38 && (double)(float)number >= number &&
               (double)(float)number <= number) {
        wisp__put(data, 1, 2);
        wisp__put(data, wisp__float_bits((float)number), 32);
    } else {
        wisp__put(data, 2, 2);
        wisp__put(data, bits, 64);
    }
}

/* true: every part is k / 255, which a byte says exactly. */
static bool wisp__color_bytes(const float *parts, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        float scaled = parts[i] * 255.0f + 0.5f;
        if (!(scaled >= 0.0f && scaled < 256.0f)) return false;
        out[i] = (uint8_t)scaled;
        if (wisp__float_bits((float)out[i] / 255.0f) != wisp__float_bits(parts[i])) return false;
    }
    return true;
}

static void wisp__pack_floats(wisp__writer *data, const wisp_value *value) {
    float parts[7];
    uint8_t bytes[4];
    int count = wisp__value_floats(value, parts);
    if (value->kind == WISP_COLOR) {
        bool small = wisp__color_bytes(parts, bytes);
        wisp__put(data, small, 1);
        for (int i = 0; small && i < 4; i++) wisp__put(data, bytes[i], 8);
        if (small) return;
    }
    for (int i = 0; i < count; i++) wisp__put(data, wisp__float_bits(parts[i]), 32);
}

/* Would both write the same bits of shape? */
static bool wisp__same_shape(const wisp_value *a, const wisp_value *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == WISP_BYTES) return a->count == b->count;
    if (a->kind != WISP_ARRAY && a->kind != WISP_MAP) return true;
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (a->kind == WISP_MAP && strcmp(a->as.map[i].key, b->as.map[i].key) != 0) return false;
        if (!wisp__same_shape(wisp_element_of(a, i), wisp_element_of(b, i))) return false;
    }
    return true;
}

/* What a message will take at most, known before anything is written. */
typedef struct wisp__measure {
    int     values, blob_bytes;
    int64_t shape_bits, data_bits;
} wisp__measure;

/* Checks what a caller may have given wrong, and measures it. */
static wisp_result wisp__pack_measure(const wisp_limits *limits, const wisp_value *values,
                                      int count, int depth, wisp__measure *m) {
    static const uint8_t most_bits[] = { 0, 1, 67, 67, 36, 69, 48, 8,
                                         64, 96, 128, 128, 224, 129, 0, 0 };
    if (count < 0 || (count && !values)) return WISP_E_ARGUMENT;
    if (depth > limits->nesting) return WISP_E_DEPTH;
    if (count > limits->message_values - m->values) return WISP_E_LIMIT;
    m->values += count;
    for (int i = 0; i < count; i++) {
        const wisp_value *v = &values[i];
        wisp_result result = WISP_OK;
        if ((unsigned)v->kind > WISP_MAP) return WISP_E_TYPE;
        m->shape_bits += 46;
        m->data_bits += most_bits[v->kind] + 1;
        if (v->kind == WISP_STRING || v->kind == WISP_BYTES) {
            if (v->count < 0 || (v->count && !v->as.bytes)) return WISP_E_ARGUMENT;
            if (v->count > limits->message_bytes - m->blob_bytes) return WISP_E_TOO_BIG;
            m->blob_bytes += v->count;
            m->data_bits += (int64_t)v->count * 8;
        } else if (v->kind == WISP_ARRAY) {
            result = wisp__pack_measure(limits, v->as.array, v->count, depth + 1, m);
        } else if (v->kind == WISP_MAP) {
            if (v->count < 0 || (v->count && !v->as.map)) return WISP_E_ARGUMENT;
            if (depth + 1 > limits->nesting) return WISP_E_DEPTH;
            if (v->count > limits->map_pairs) return WISP_E_LIMIT;
            for (int k = 0; k < v->count && result == WISP_OK; k++) {
                const wisp_pair *pair = &v->as.map[k];
                size_t length = pair->key ? strlen(pair->key) : 0;
                if (!pair->key) return WISP_E_ARGUMENT;
                if (length > (size_t)(limits->message_bytes - m->blob_bytes)) return WISP_E_TOO_BIG;
                m->blob_bytes += (int)length;
                m->shape_bits += 40 + (int64_t)length * 8;
                result = wisp__pack_measure(limits, &pair->value, 1, depth + 1, m);
            }
        }
        if (result) return result;
    }
    return WISP_OK;
}

static void wisp__pack_array(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    bool alike = true;
    for (int i = 1; alike && i < value->count; i++)
        alike = wisp__same_shape(&value->as.array[0], &value->as.array[i]);
    if (parts == WISP__SHAPE_AND_DATA) {
        wisp__put(&p->shape, WISP__CODE_LIST, 5);
        wisp__put_small(&p->shape, (uint64_t)value->count);
        wisp__put(&p->shape, alike, 1);
    }
    for (int i = 0; i < value->count; i++) {
        int64_t before = p->data.at;
        p->value(p, &value->as.array[i], i && alike ? WISP__DATA_ONLY : parts);
        if (p->data.at == before) wisp__put(&p->data, 0, 1);
    }
}

static void wisp__pack_map(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    if (parts == WISP__SHAPE_AND_DATA) {
        wisp__put(&p->shape, WISP__CODE_LIST | 1 << 4, 5);
        wisp__put_small(&p->shape, (uint64_t)value->count);
    }
    for (int i = 0; i < value->count; i++) {
        const wisp_pair *pair = &value->as.map[i];
        int64_t before = p->data.at;
        if (parts == WISP__SHAPE_AND_DATA) {
            int length = (int)strlen(pair->key);
            wisp__put_length(&p->shape, (uint64_t)length);
            for (int k = 0; k < length; k++) wisp__put(&p->shape, (uint8_t)pair->key[k], 8);
        }
        p->value(p, &pair->value, parts);
        if (p->data.at == before) wisp__put(&p->data, 0, 1);
    }
}

static void wisp__pack_blob(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    if (value->kind == WISP_STRING) wisp__put_length(&p->data, (uint64_t)value->count);
    else if (parts == WISP__SHAPE_AND_DATA) wisp__put_length(&p->shape, (uint64_t)value->count);
    if (!value->count) return;
    wisp__put_align(&p->data);
    wisp__put_bytes(&p->data, value->as.bytes, value->count);
}

static void wisp__pack_value(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    if (parts == WISP__SHAPE_AND_DATA && value->kind < WISP_ARRAY)
        wisp__put(&p->shape, (uint64_t)value->kind, 4);
    switch (value->kind) {
    case WISP_NIL: break;
    case WISP_BOOL: wisp__put(&p->data, value->as.boolean, 1); break;
    case WISP_INT: wisp__put_integer(&p->data, wisp__zigzag(value->as.integer)); break;
    case WISP_UINT: wisp__put_integer(&p->data, value->as.uinteger); break;
    case WISP_FLOAT: wisp__pack_float(&p->data, value->as.float32); break;
    case WISP_NUMBER: wisp__pack_number(&p->data, value->as.number); break;
    case WISP_STRING:
    case WISP_BYTES: wisp__pack_blob(p, value, parts); break;
    case WISP_ARRAY: wisp__pack_array(p, value, parts); break;
    case WISP_MAP: wisp__pack_map(p, value, parts); break;
    default: wisp__pack_floats(&p->data, value); break;
    }
}

/* Packs a message's values into p->shape and p->data from their start. What describes them may
   exceed the limit a little, so that a string of message_bytes fits. */
static wisp_result wisp__pack(wisp__packer *p, const wisp_value *values, int count) {
    wisp__measure m = { 0, 0, 40, 0 };
    p->value = wisp__pack_value;
    p->result = wisp__pack_measure(&p->base->limits, values, count, 0, &m);
    p->values = m.values;
    if (p->result) return p->result;
    m.shape_bits += (WISP__SLACK + 1) * 8;
    m.data_bits += (WISP__SLACK + 1) * 8;
    if (m.shape_bits >> 3 > p->shape_room &&
        !wisp__packer_grow(p, &p->shape, &p->shape_room, m.shape_bits >> 3))
        return p->result;
    if (m.data_bits >> 3 > p->data_room &&
        !wisp__packer_grow(p, &p->data, &p->data_room, m.data_bits >> 3))
        return p->result;
    p->shape.at = p->data.at = 0;
    p->shape.full = p->data.full = false;
    wisp__put_small(&p->shape, (uint64_t)count);
    for (int i = 0; i < count; i++) wisp__pack_value(p, &values[i], WISP__SHAPE_AND_DATA);
    if (p->shape.full || p->data.full ||
        (p->shape.at + p->data.at) / 8 > (int64_t)p->base->limits.message_bytes + 256)
        p->result = WISP_E_TOO_BIG;
    return p->result;
}

/* Names the knob behind a refusal. */
static wisp_result wisp__pack_refused(wisp__base *base, wisp_result result) {
    const char *knob = NULL;
    if (result == WISP_E_TOO_BIG) knob = "message_bytes";
    if (result == WISP_E_DEPTH) knob = "nesting";
    if (result == WISP_E_LIMIT) knob = "message_values and map_pairs";
    if (knob)
        wisp__log(base, WISP_LOG_WARNING, result, "a message was refused: see limits.%s", knob);
    return result;
}

static void wisp__packer_free(wisp__packer *p) {
    wisp__free(p->base, p->shape.bytes, (size_t)p->shape_room);
    wisp__free(p->base, p->data.bytes, (size_t)p->data_room);
}

/* Lists call back through `value`, because lists and values hold each other. */
typedef struct wisp__unpacker {
    wisp__base   *base;
    void        (*value)(struct wisp__unpacker *u, wisp_value *out, const wisp_value *like,
                         int depth);
    wisp__arena  *arena;
    wisp__reader *shape, *data;    /* may be one and the same kind of bytes, read at two places */
    int           values;          /* that may still be made */
    int64_t       start;           /* bit where the data began: blobs are aligned to it */
    wisp_result   result;
} wisp__unpacker;

static void wisp__unpack_fail(wisp__unpacker *u, wisp_result code) {
    if (u->result == WISP_OK) u->result = code;
    u->shape->failed = true;
    u->data->failed = true;
}

static inline void *wisp__unpack_take(wisp__unpacker *u, size_t bytes) {
    void *memory = wisp__arena_take(u->base, u->arena, bytes);
    if (!memory) wisp__unpack_fail(u, WISP_E_MEMORY);
    return memory;
}

/* `count` bytes and a NUL, from any bit position. */
static const char *wisp__unpack_bytes(wisp__unpacker *u, wisp__reader *from, int count) {
    char *text;
    if ((int64_t)count * 8 > from->end - from->at) {
        wisp__unpack_fail(u, WISP_E_BAD_PACKET);
        return "";
    }
    text = (char *)wisp__unpack_take(u, (size_t)count + 8 + 1);
    if (!text) return "";
    wisp__get_bits(from, (uint8_t *)text, (int64_t)count * 8);
    text[count] = 0;
    return text;
}

/* May `count` more values be made, each of which takes at least `bits` of `from`? */
static inline bool wisp__unpack_may(wisp__unpacker *u, int count, int depth,
                                    const wisp__reader *from, int bits) {
    if (depth > u->base->limits.nesting) wisp__unpack_fail(u, WISP_E_DEPTH);
    else if (count > u->values) wisp__unpack_fail(u, WISP_E_LIMIT);
    else if ((int64_t)count * bits > from->end - from->at) wisp__unpack_fail(u, WISP_E_BAD_PACKET);
    if (u->result || u->shape->failed) return false;
    u->values -= count;
    return true;
}

/* `like` is a value of the same shape, or NULL: from it come the keys of maps, so that they are
   not copied for each element of an array. */
static void wisp__unpack_array(wisp__unpacker *u, wisp_value *out, const wisp_value *like,
                               int depth) {
    int count = wisp__get_small(u->shape);
    bool alike = wisp__get(u->shape, 1) != 0;
    int64_t shape_at = u->shape->at;
    wisp_value *items;
    if (!wisp__unpack_may(u, count, depth, u->data, 1)) return;
    items = (wisp_value *)wisp__unpack_take(u, (size_t)count * sizeof *items);
    if (!items) return;
    for (int i = 0; i < count && !u->shape->failed && !u->data->failed; i++) {
        int64_t before = u->data->at;
        const wisp_value *model = like ? &like->as.array[i] : alike && i ? &items[0] : NULL;
        if (alike) u->shape->at = shape_at;
        u->value(u, &items[i], model, depth);
        if (u->data->at == before) wisp__get(u->data, 1);
    }
    *out = wisp_array(items, count);
}

static const char *wisp__unpack_key(wisp__unpacker *u) {
    int length = wisp__get_length(u->shape);
    const char *key = wisp__unpack_bytes(u, u->shape, length);
    if ((int)strlen(key) != length) wisp__unpack_fail(u, WISP_E_BAD_PACKET);
    return key;
}

static void wisp__unpack_map(wisp__unpacker *u, wisp_value *out, const wisp_value *like,
                             int depth) {
    int count = wisp__get_small(u->shape);
    wisp_pair *pairs;
    if (count > u->base->limits.map_pairs) wisp__unpack_fail(u, WISP_E_LIMIT);
    if ((int64_t)count * 12 > u->shape->end - u->shape->at) wisp__unpack_fail(u, WISP_E_BAD_PACKET);
    if (!wisp__unpack_may(u, count, depth, u->data, 1)) return;
    pairs = (wisp_pair *)wisp__unpack_take(u, (size_t)count * sizeof *pairs);
    if (!pairs) return;
    for (int i = 0; i < count && !u->shape->failed && !u->data->failed; i++) {
        int64_t before;
        if (like) wisp__skip(u->shape, (int64_t)wisp__get_length(u->shape) * 8);
        pairs[i].key = like ? like->as.map[i].key : wisp__unpack_key(u);
        before = u->data->at;
        u->value(u, &pairs[i].value, like ? &like->as.map[i].value : NULL, depth);
        if (u->data->at == before) wisp__get(u->data, 1);
    }
    *out = wisp_map(pairs, count);
}

static void wisp__unpack_blob(wisp__unpacker *u, wisp_value *out, wisp_kind kind) {
    int count = wisp__get_length(kind == WISP_STRING ? u->data : u->shape);
    *out = wisp_string_n("", count);
    out->kind = kind;
    if (!count || u->data->failed || u->shape->failed) return;
    wisp__skip(u->data, (u->start - u->data->at) & 7);
    out->as.string = wisp__unpack_bytes(u, u->data, count);
}

static void wisp__unpack_floats(wisp__unpacker *u, wisp_value *out, wisp_kind kind) {
    static const int counts[] = { 2, 3, 4, 4, 7, 4 };
    float parts[7];
    int count = counts[kind - WISP_VEC2];
    bool small = kind == WISP_COLOR && wisp__get(u->data, 1);
    for (int i = 0; i < count; i++) {
        if (small) parts[i] = (float)wisp__get(u->data, 8) / 255.0f;
        else parts[i] = wisp__bits_float((uint32_t)wisp__get(u->data, 32));
    }
    *out = wisp__value_of(kind, 0);
    memcpy(&out->as, parts, (size_t)count * sizeof(float));
}

static void wisp__unpack_number(wisp__unpacker *u, wisp_value *out) {
    uint64_t bits;
    double number = 0;
    switch (wisp__get(u->data, 2)) {
    case 0: number = (double)wisp__unzigzag(wisp__get_integer(u->data)); break;
    case 1: number = (double)wisp__bits_float((uint32_t)wisp__get(u->data, 32)); break;
    case 2:
        bits = wisp__get(u->data, 64);
        memcpy(&number, &bits, 8);
        break;
    default: wisp__unpack_fail(u, WISP_E_BAD_PACKET); break;
    }
    *out = wisp_number(number);
}

static void wisp__unpack_float(wisp__unpacker *u, wisp_value *out) {
    if (wisp__get(u->data, 1)) *out = wisp_float((float)wisp__unzigzag(wisp__get_integer(u->data)));
    else *out = wisp_float(wisp__bits_float((uint32_t)wisp__get(u->data, 32)));
}

static void wisp__unpack_value(wisp__unpacker *u, wisp_value *out, const wisp_value *like,
                               int depth) {
    int code = (int)wisp__get(u->shape, 4);
    switch (code) {
    case WISP_NIL: *out = wisp_nil(); break;
    case WISP_BOOL: *out = wisp_bool(wisp__get(u->data, 1) != 0); break;
    case WISP_INT: *out = wisp_int(wisp__unzigzag(wisp__get_integer(u->data))); break;
    case WISP_UINT: *out = wisp_uint(wisp__get_integer(u->data)); break;
    case WISP_FLOAT: wisp__unpack_float(u, out); break;
    case WISP_NUMBER: wisp__unpack_number(u, out); break;
    case WISP_STRING:
    case WISP_BYTES: wisp__unpack_blob(u, out, (wisp_kind)code); break;
    case WISP__CODE_LIST:
        *out = wisp_nil();
        if (wisp__get(u->shape, 1)) wisp__unpack_map(u, out, like, depth + 1);
        else wisp__unpack_array(u, out, like, depth + 1);
        break;
    case 15:
        *out = wisp_nil();
        wisp__unpack_fail(u, WISP_E_BAD_PACKET);
        break;
    default: wisp__unpack_floats(u, out, (wisp_kind)code); break;
    }
}

static void wisp__skip_value_shape(wisp__reader *shape, int depth) {
    int code = (int)wisp__get(shape, 4), count;
    bool map, alike;
    if (code == WISP_BYTES) wisp__get_length(shape);
    if (code == 15 || depth > 256) shape->failed = true;
    if (code != WISP__CODE_LIST) return;
    map = wisp__get(shape, 1) != 0;
    count = wisp__get_small(shape);
    alike = !map && wisp__get(shape, 1);
    if (alike) count = wisp__min_int(count, 1);
    for (int i = 0; i < count && !shape->failed; i++) {
        if (map) wisp__skip(shape, (int64_t)wisp__get_length(shape) * 8);
        wisp__skip_value_shape(shape, depth + 1);
    }
}

/* Moves past a message's shape: to where its data begins when they stand in one bit string. */
static void wisp__skip_shape(wisp__reader *shape) {
    int count = wisp__get_small(shape);
    for (int i = 0; i < count && !shape->failed; i++) wisp__skip_value_shape(shape, 0);
}

/* Reads a message's values: the shape where u->shape stands, the data where u->data stands.
   On failure the readers have failed, and the reason is returned. */
static wisp_result wisp__unpack(wisp__unpacker *u, const wisp_value **values, int *count) {
    wisp_value *items = NULL;
    u->start = u->data->at;
    u->value = wisp__unpack_value;
    u->result = WISP_OK;
    *count = wisp__get_small(u->shape);
    *values = NULL;
    if (!wisp__unpack_may(u, *count, 0, u->shape, 4)) goto failed;
    items = (wisp_value *)wisp__unpack_take(u, (size_t)*count * sizeof *items);
    for (int i = 0; i < *count && !u->shape->failed && !u->data->failed; i++)
        wisp__unpack_value(u, &items[i], NULL, 0);
    *values = items;
failed:
    if (!u->shape->failed && !u->data->failed) return WISP_OK;
    *count = 0;
    return u->result ? u->result : WISP_E_BAD_PACKET;
}

/* ===========================================================================
 * MARK: >>seal
 * What: SipHash-2-4 (Aumasson and Bernstein, 2012) for cookies and random
 *   numbers; the 32-bit tag of session packets, an almost-universal hash: NH
 *   over 128-byte blocks (Black et al., UMAC, 1999) on 64-bit words, then a
 *   polynomial modulo 2^61 - 1.
 * Invariants: the tag depends on key, direction, packet number, length and
 *   every byte. It stops those who cannot read the traffic, nobody else.
 * ======================================================================== */

static uint64_t wisp__rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static void wisp__sip_round(uint64_t v[4]) {
    v[0] += v[1]; v[1] = wisp__rotate(v[1], 13); v[1] ^= v[0]; v[0] = wisp__rotate(v[0], 32);
    v[2] += v[3]; v[3] = wisp__rotate(v[3], 16); v[3] ^= v[2];
    v[0] += v[3]; v[3] = wisp__rotate(v[3], 21); v[3] ^= v[0];
    v[2] += v[1]; v[1] = wisp__rotate(v[1], 17); v[1] ^= v[2]; v[2] = wisp__rotate(v[2], 32);
}

static uint64_t wisp__siphash(const uint64_t key[2], const void *data, int size) {
    const uint8_t *bytes = (const uint8_t *)data;
    uint64_t v[4], last = (uint64_t)size << 56;
    v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = key[1] ^ UINT64_C(0x7465646279746573);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word = wisp__load64(bytes);
        v[3] ^= word;
        wisp__sip_round(v);
        wisp__sip_round(v);
        v[0] ^= word;
    }
    if (size > 0) last |= wisp__load_part(bytes, size);
    v[3] ^= last;
    wisp__sip_round(v);
    wisp__sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) wisp__sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Random numbers from a secret key and a counter. */
typedef struct wisp__secret { uint64_t key[2], counter; } wisp__secret;

static uint64_t wisp__random(wisp__secret *secret) {
    uint8_t block[8];
    wisp__store64(block, secret->counter++);
    return wisp__siphash(secret->key, block, 8);
}

typedef struct wisp__seal {
    uint64_t nh[16];
    uint64_t poly, start, multiply, add;
} wisp__seal;

#define WISP__P61 ((UINT64_C(1) << 61) - 1)

/* a * b as two words. */
static inline uint64_t wisp__multiply(uint64_t a, uint64_t b, uint64_t *high) {
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wisp__u128;
    wisp__u128 product = (wisp__u128)a * b;
    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t low = al * bl, mid = ah * bl + (low >> 32), mid2 = al * bh + (uint32_t)mid;
    *high = ah * bh + (mid >> 32) + (mid2 >> 32);
    return mid2 << 32 | (uint32_t)low;
#endif
}

static uint64_t wisp__multiply_p61(uint64_t a, uint64_t b) {
    uint64_t high, low = wisp__multiply(a, b, &high);
    uint64_t sum = (low & WISP__P61) + (low >> 61 | high << 3);
    return (sum & WISP__P61) + (sum >> 61);
}

static void wisp__seal_init(wisp__seal *seal, const uint64_t secret[2]) {
    wisp__secret stream = { { 0, 0 }, 0 };
    stream.key[0] = secret[0];
    stream.key[1] = secret[1];
    for (int i = 0; i < 16; i++) seal->nh[i] = wisp__random(&stream);
    seal->poly = wisp__random(&stream) & (WISP__P61 >> 1);
    seal->start = wisp__random(&stream);
    seal->multiply = wisp__random(&stream) | 1;
    seal->add = wisp__random(&stream);
}

static uint64_t wisp__seal_absorb(const wisp__seal *seal, uint64_t state, uint64_t word) {
    uint64_t reduced = (word & WISP__P61) + (word >> 61);
    return wisp__multiply_p61(state + reduced, seal->poly);
}

typedef struct wisp__sum { uint64_t low, high; } wisp__sum;

/* Two words of a block, with two words of the key. */
static inline void wisp__seal_pair(wisp__sum *sum, const uint64_t *key, uint64_t a, uint64_t b) {
    uint64_t high, low = wisp__multiply(a + key[0], b + key[1], &high);
    sum->low += low;
    sum->high += high + (sum->low < low);
}

/* One block of up to 128 bytes; its 128-bit sum goes into the polynomial as two words. */
static uint64_t wisp__seal_block(const wisp__seal *seal, uint64_t state, const uint8_t *bytes,
                                 int size) {
    wisp__sum sum = { 0, 0 };
    const uint64_t *key = seal->nh;
    for (; size >= 16; size -= 16, bytes += 16, key += 2)
        wisp__seal_pair(&sum, key, wisp__load64(bytes), wisp__load64(bytes + 8));
    if (size >= 8)
        wisp__seal_pair(&sum, key, wisp__load64(bytes), wisp__load_part(bytes + 8, size - 8));
    else if (size > 0)
        wisp__seal_pair(&sum, key, wisp__load_part(bytes, size), 0);
    return wisp__seal_absorb(seal, wisp__seal_absorb(seal, state, sum.low), sum.high);
}

/* `direction` is 0 from the one who joined, 1 from the one who was joined. */
static uint32_t wisp__seal_tag(const wisp__seal *seal, int direction, uint64_t number,
                               const uint8_t *bytes, int size) {
    uint64_t state = wisp__seal_absorb(seal, 0, seal->start ^ number);
    state = wisp__seal_absorb(seal, state, (uint64_t)size << 1 | (uint64_t)direction);
    for (; size > 0; size -= 128, bytes += 128)
        state = wisp__seal_block(seal, state, bytes, wisp__min_int(size, 128));
    return (uint32_t)((state * seal->multiply + seal->add) >> 32);
}

static void wisp__put_tag(uint8_t *to, uint32_t tag) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(tag >> (8 * i));
}

static uint32_t wisp__get_tag(const uint8_t *from) {
    return (uint32_t)wisp__load_part(from, 4);
}

/* Random bytes of the system, without a header of the system. */
#ifndef WISP_NO_OS
#ifdef _WIN32
#ifdef __cplusplus
extern "C"
#endif
unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size); /* RtlGenRandom */
static bool wisp__system_entropy(void *user, void *out, int size) {
    (void)user;
    return SystemFunction036(out, (unsigned long)size) != 0;
}
#else
static bool wisp__system_entropy(void *user, void *out, int size) {
    FILE *file = fopen("/dev/urandom", "rb");
    bool filled;
    (void)user;
    if (!file) return false;
    filled = fread(out, 1, (size_t)size, file) == (size_t)size;
    fclose(file);
    return filled;
}
#endif
#endif

/* ===========================================================================
 * MARK: >>packet
 * What: packet numbers, acks, round trip time, loss detection, congestion
 *   window and pacing, after RFC 9000 and RFC 9002.
 * Invariants: numbers only grow; each tracked packet ends once, acked or
 *   lost, and what it carried is told to the owner then; work per ack is
 *   bounded by window_packets.
 * Not here: what packets carry (channel, batch), where they go (host).
 *
 *   packet    flags:8 tag:32 number:16|32 body      (number: not on reliable links)
 *   flags     bit 7: session; bit 0: acks first in the body; bit 1: number has 32 bits
 *   acks      largest:16 delay:8 (half milliseconds) small(ranges - 1) length(first - 1)
 *             then per range length(gap - 1) length(packets - 1), downwards
 * ======================================================================== */

enum { WISP__FLAG_SESSION = 128, WISP__FLAG_ACKS = 1, WISP__FLAG_WIDE = 2 };

#define WISP__SEEN_WORDS     16        /* 1024 packet numbers that are told apart */
#define WISP__ACK_DELAY      0.025     /* seconds (RFC 9000 18.2: max_ack_delay) */
#define WISP__GRANULARITY    0.001     /* RFC 9002 6.1.2 */
#define WISP__PACE_SECONDS   0.05      /* what a pause saves up for sending at most */
#define WISP__PACKET_HEAD    9         /* flags, tag, widest number */
#define WISP__ACK_BYTES      40        /* acks beside data take no more */
#define WISP__MOST_RANGES    512

/* What a packet carried and must be told of when it is acked or lost. */
typedef struct wisp__ref {
    uint8_t  kind;      /* the owner's */
    uint8_t  channel;
    uint16_t count;
    uint32_t number;
} wisp__ref;

typedef struct wisp__sent {
    uint64_t number;
    double   time;
    uint32_t first_ref;      /* in flow->refs, counted from the session's start */
    uint16_t ref_count;
    uint16_t bytes;          /* 0: ended */
    bool     acked;          /* how it ended */
    bool     probed;         /* what it carried was sent anew: it is not told as lost again */
} wisp__sent;

typedef struct wisp__flow {
    /* sending */
    uint64_t    next, oldest;         /* numbers; oldest: not ended */
    uint64_t    largest_acked;        /* 0: none */
    wisp__sent *sent;                 /* ring by number */
    wisp__ref  *refs;                 /* ring */
    int         sent_room, ref_room;
    uint32_t    ref_first, ref_next;
    double      rtt, variation, rtt_min, rtt_latest;
    double      last_eliciting, recovery_start, loss_time, pace_time, pace_tokens;
    double      first_sample;         /* time of the first round trip sample */
    double      longest_wait;         /* seconds between probes: a session has several of them */
    int         in_flight, window, threshold;            /* bytes */
    int         grown;                /* bytes acked towards the next step of avoidance */
    int         probes, free_packets;  /* timeouts in a row; packets that no window holds back */
    bool        has_rtt, limited;
    /* receiving */
    uint64_t    top;                  /* largest number received; 0: none */
    uint64_t    seen[WISP__SEEN_WORDS];   /* ring of bits by number */
    double      top_time, ack_due;
    int         unacked;              /* ack-eliciting packets not yet acked */
    int         acks_alone;           /* packets with nothing but acks, in a row */
    bool        ack_now;
    uint64_t    told[8];              /* top at the last acks sent: ranges older are not repeated */
    unsigned    told_at;
} wisp__flow;

typedef void (*wisp__ref_told)(void *owner, const wisp__ref *ref, bool arrived);

/* RFC 9002 7.2. */
static int wisp__flow_initial_window(const wisp__base *base) {
    return wisp__min_int(10 * base->mtu, wisp__max_int(14720, 2 * base->mtu));
}

static void wisp__flow_init(wisp__base *base, wisp__flow *flow, double now) {
    memset(flow, 0, sizeof *flow);
    flow->next = flow->oldest = WISP_FIRST_NUMBER;
    flow->window = wisp__flow_initial_window(base);
    flow->threshold = 1 << 30;
    flow->rtt = 0.333;                          /* RFC 9002 6.2.2 */
    flow->variation = 0.1665;
    flow->loss_time = flow->ack_due = WISP__NEVER;
    flow->recovery_start = -1;
    flow->longest_wait = base->timeout / 8;
    flow->pace_time = now;
    flow->pace_tokens = flow->window;
}

static void wisp__flow_free(wisp__base *base, wisp__flow *flow) {
    wisp__free(base, flow->sent, (size_t)flow->sent_room * sizeof *flow->sent);
    wisp__free(base, flow->refs, (size_t)flow->ref_room * sizeof *flow->refs);
    flow->sent = NULL;
    flow->refs = NULL;
    flow->sent_room = flow->ref_room = 0;
}

/* --- receiving: which numbers came --- */

static bool wisp__flow_seen(const wisp__flow *flow, uint64_t number) {
    return flow->seen[(number >> 6) % WISP__SEEN_WORDS] >> (number & 63) & 1;
}

/* A number that came before, or is too old to tell. */
static bool wisp__flow_is_duplicate(const wisp__flow *flow, uint64_t number) {
    if (!flow->top || number > flow->top) return false;
    return flow->top - number >= WISP__SEEN_WORDS * 64 - 64 || wisp__flow_seen(flow, number);
}

/* Remembers a number that is no duplicate. At most one turn of the ring is cleared. */
static void wisp__flow_note(wisp__flow *flow, uint64_t number, double now) {
    if (number > flow->top) {
        uint64_t from = flow->top ? flow->top >> 6 : (number >> 6) - 1, to = number >> 6;
        if (to - from > WISP__SEEN_WORDS) from = to - WISP__SEEN_WORDS;
        while (from < to) flow->seen[++from % WISP__SEEN_WORDS] = 0;
        if (flow->top && number != flow->top + 1) flow->ack_now = true;   /* a gap: tell soon */
        flow->top = number;
        flow->top_time = now;
    } else {
        flow->ack_now = true;
    }
    flow->seen[(number >> 6) % WISP__SEEN_WORDS] |= UINT64_C(1) << (number & 63);
}

/* An ack-eliciting packet came: every second is acked at once (RFC 9000 13.2.2). */
static void wisp__flow_owe_ack(wisp__flow *flow, double now) {
    if (++flow->unacked >= 2) flow->ack_now = true;
    if (flow->ack_due >= WISP__NEVER) flow->ack_due = now + WISP__ACK_DELAY;
}

static bool wisp__flow_must_ack(const wisp__flow *flow, double now) {
    return flow->unacked > 0 && (flow->ack_now || now >= flow->ack_due);
}

/* The number below which nothing is repeated: it stood in the eighth ack before. */
static uint64_t wisp__flow_ack_floor(const wisp__flow *flow) {
    uint64_t floor = flow->told[flow->told_at & 7], window = WISP__SEEN_WORDS * 64 - 64;
    if (flow->top > window && floor < flow->top - window) floor = flow->top - window;
    return floor;
}

/* The ranges of received numbers from the top down: {first, last} each. */
static int wisp__flow_ranges(const wisp__flow *flow, uint64_t (*ranges)[2], int room) {
    uint64_t floor = wisp__flow_ack_floor(flow), number = flow->top;
    int count = 0;
    while (number > floor && count < room) {
        uint64_t last = number;
        while (number > floor && wisp__flow_seen(flow, number)) number--;
        ranges[count][0] = number + 1;
        ranges[count++][1] = last;
        while (number > floor && !wisp__flow_seen(flow, number)) number--;
    }
    return count;
}

/* How many of the ranges fit into so many bits, from the newest on. */
static int wisp__flow_ranges_fit(uint64_t (*ranges)[2], int count, int most_bits) {
    int bits = 24 + wisp__small_bits((uint64_t)count);
    for (int i = 0; i < count; i++) {
        bits += wisp__length_bits(ranges[i][1] - ranges[i][0]);
        if (i) bits += wisp__length_bits(ranges[i - 1][0] - ranges[i][1] - 2);
        if (bits > most_bits) return i;
    }
    return count;
}

static bool wisp__flow_acks_fit(const wisp__flow *flow, int most_bytes) {
    uint64_t ranges[WISP__MOST_RANGES][2];
    int count = wisp__flow_ranges(flow, ranges, WISP__MOST_RANGES);
    return wisp__flow_ranges_fit(ranges, count, most_bytes * 8) == count;
}

/* Writes the acks, or the newest ranges if not all fit (RFC 9000 13.2.3). false: nothing was
   written. */
static bool wisp__flow_put_acks(wisp__flow *flow, wisp__writer *to, double now, int most_bytes) {
    uint64_t ranges[WISP__MOST_RANGES][2];
    int count = wisp__flow_ranges(flow, ranges, WISP__MOST_RANGES);
    double delay = (now - flow->top_time) * 2000;
    count = wisp__flow_ranges_fit(ranges, count, most_bytes * 8);
    if (count == 0) return false;
    wisp__put(to, flow->top & 0xffff, 16);
    wisp__put(to, delay < 255 ? (uint64_t)delay : 255, 8);
    wisp__put_small(to, (uint64_t)count - 1);
    for (int i = 0; i < count; i++) {
        if (i) wisp__put_length(to, ranges[i - 1][0] - ranges[i][1] - 2);
        wisp__put_length(to, ranges[i][1] - ranges[i][0]);
    }
    flow->told[flow->told_at++ & 7] = flow->top;
    flow->unacked = 0;
    flow->ack_now = false;
    flow->ack_due = WISP__NEVER;
    return true;
}

/* --- sending --- */

static wisp__sent *wisp__flow_find(const wisp__flow *flow, uint64_t number) {
    wisp__sent *sent;
    if (!flow->sent_room) return NULL;
    sent = &flow->sent[number & (uint64_t)(flow->sent_room - 1)];
    return sent->number == number && sent->bytes ? sent : NULL;
}

/* Doubles a ring whose entries stand at (index & (room - 1)). */
static wisp_result wisp__ring_grow(wisp__base *base, void **ring, int *room, int limit,
                                   size_t item_bytes, uint32_t first, uint32_t next) {
    int grown = *room ? *room * 2 : wisp__min_int(limit, 16);
    char *larger;
    if (grown > limit) return WISP_E_LIMIT;
    larger = (char *)wisp__alloc(base, (size_t)grown * item_bytes);
    if (!larger) return WISP_E_MEMORY;
    for (uint32_t i = first; *room && i != next; i++)
        memcpy(larger + (i & (uint32_t)(grown - 1)) * item_bytes,
               (char *)*ring + (i & (uint32_t)(*room - 1)) * item_bytes, item_bytes);
    wisp__free(base, *ring, (size_t)*room * item_bytes);
    *ring = larger;
    *room = grown;
    return WISP_OK;
}

/* Room to track one more packet. */
static bool wisp__flow_reserve(wisp__base *base, wisp__flow *flow) {
    if (flow->in_flight == 0) {
        flow->oldest = flow->next;
        flow->ref_first = flow->ref_next;
    }
    if (flow->next - flow->oldest < (uint64_t)flow->sent_room) return true;
    return wisp__ring_grow(base, (void **)&flow->sent, &flow->sent_room,
                           base->limits.window_packets, sizeof *flow->sent,
                           (uint32_t)flow->oldest, (uint32_t)flow->next) == WISP_OK;
}

/* Room to note `count` (at most 16) more things that a packet carries. */
static bool wisp__flow_reserve_refs(wisp__base *base, wisp__flow *flow, uint32_t count) {
    if (flow->ref_next - flow->ref_first + count <= (uint32_t)flow->ref_room) return true;
    return wisp__ring_grow(base, (void **)&flow->refs, &flow->ref_room, 1 << 20,
                           sizeof *flow->refs, flow->ref_first, flow->ref_next) == WISP_OK;
}

/* Notes what the packet being filled carries; runs of one kind become one entry. The caller has
   asked wisp__flow_reserve_refs. */
static inline void wisp__flow_carry(wisp__flow *flow, uint32_t packet_first, wisp__ref ref) {
    wisp__ref *last;
    if (flow->ref_next != packet_first) {
        last = &flow->refs[(flow->ref_next - 1) & (uint32_t)(flow->ref_room - 1)];
        if (last->kind == ref.kind && last->channel == ref.channel &&
            last->number + last->count == ref.number && last->count < 60000) {
            last->count = (uint16_t)(last->count + ref.count);
            return;
        }
    }
    flow->refs[flow->ref_next++ & (uint32_t)(flow->ref_room - 1)] = ref;
}

/* A packet of `bytes` leaves with the number flow->next; wisp__flow_reserve was asked. */
static void wisp__flow_track(wisp__flow *flow, double now, int bytes, uint32_t first_ref) {
    wisp__sent *sent = &flow->sent[flow->next & (uint64_t)(flow->sent_room - 1)];
    sent->number = flow->next;
    sent->time = now;
    sent->bytes = (uint16_t)bytes;
    sent->acked = sent->probed = false;
    sent->first_ref = first_ref;
    sent->ref_count = (uint16_t)(flow->ref_next - first_ref);
    flow->in_flight += bytes;
    flow->last_eliciting = now;
    flow->pace_tokens -= bytes;
    if (flow->free_packets) flow->free_packets--;
}

/* Lets go of what has ended at the old end of both rings. */
static void wisp__flow_advance(wisp__flow *flow) {
    while (flow->oldest < flow->next && !wisp__flow_find(flow, flow->oldest)) flow->oldest++;
    if (flow->oldest == flow->next) flow->ref_first = flow->ref_next;
    else flow->ref_first = wisp__flow_find(flow, flow->oldest)->first_ref;
}

static void wisp__flow_end(wisp__flow *flow, wisp__sent *sent, bool arrived, wisp__ref_told told,
                           void *owner) {
    uint32_t first = sent->first_ref;
    int count = sent->ref_count;
    flow->in_flight -= sent->bytes;
    sent->bytes = 0;
    sent->acked = arrived;
    if (sent->probed && !arrived) return;
    for (int i = 0; i < count; i++) {
        wisp__ref ref = flow->refs[(first + (uint32_t)i) & (uint32_t)(flow->ref_room - 1)];
        told(owner, &ref, arrived);
    }
}

/* RFC 9002 5. */
static void wisp__flow_sample(wisp__flow *flow, double now, double sample, double delay) {
    flow->rtt_latest = sample;
    delay = wisp__min(delay, WISP__ACK_DELAY);
    if (!flow->has_rtt) {
        flow->has_rtt = true;
        flow->first_sample = now;
        flow->rtt = flow->rtt_min = sample;
        flow->variation = sample / 2;
        return;
    }
    flow->rtt_min = wisp__min(flow->rtt_min, sample);
    if (sample >= flow->rtt_min + delay) sample -= delay;
    flow->variation = 0.75 * flow->variation +
                      0.25 * (flow->rtt > sample ? flow->rtt - sample : sample - flow->rtt);
    flow->rtt = 0.875 * flow->rtt + 0.125 * sample;
}

/* RFC 9002 7.3: slow start, then one packet for each window that is acked. */
static void wisp__flow_grow_window(wisp__base *base, wisp__flow *flow, int bytes) {
    if (flow->window < flow->threshold) {
        flow->window += bytes;
    } else if ((flow->grown += bytes) >= flow->window) {
        flow->grown -= flow->window;
        flow->window += base->mtu;
    }
    flow->window = wisp__min_int(flow->window, base->limits.window_packets * base->mtu);
}

static void wisp__flow_congestion(wisp__base *base, wisp__flow *flow, double sent_time,
                                  double now) {
    if (sent_time <= flow->recovery_start) return;
    flow->recovery_start = now;
    flow->window = wisp__max_int(flow->window / 2, 2 * base->mtu);
    flow->threshold = flow->window;
    flow->grown = 0;
}

/* RFC 9002 6.2.1, without backoff. */
static double wisp__flow_period(const wisp__flow *flow) {
    return flow->rtt + wisp__max(4 * flow->variation, WISP__GRANULARITY) + WISP__ACK_DELAY;
}

/* The first packets of a session, which hold its place at the other end, are repeated soon, until
   something comes back. */
static double wisp__flow_pto(const wisp__flow *flow) {
    double period = wisp__flow_period(flow), wait;
    if (!flow->top) return 0.2;
    wait = period * (double)(1 << wisp__min_int(flow->probes, 6));
    return wisp__max(period, wisp__min(wait, flow->longest_wait));
}

/* How long an unbroken run of lost packets is in seconds (RFC 9002 7.6.2). */
typedef struct wisp__outage { double first, longest; bool running; } wisp__outage;

static void wisp__outage_add(wisp__outage *outage, double time) {
    if (!outage->running) outage->first = time;
    outage->running = true;
    outage->longest = wisp__max(outage->longest, time - outage->first);
}

/* RFC 9002 6.1: packets three numbers or 9/8 round trips behind one that was acked. Returns how
   many were lost. */
static int wisp__flow_detect_loss(wisp__base *base, wisp__flow *flow, double now,
                                  wisp__ref_told told, void *owner) {
    double wait = wisp__max(1.125 * wisp__max(flow->rtt, flow->rtt_latest), WISP__GRANULARITY);
    double last_lost = 0;
    wisp__outage outage = { 0, 0, false };
    int lost = 0;
    flow->loss_time = WISP__NEVER;
    for (uint64_t n = flow->oldest; flow->sent_room && n < flow->largest_acked; n++) {
        wisp__sent *sent = &flow->sent[n & (uint64_t)(flow->sent_room - 1)];
        if (sent->number == n && sent->acked) outage.running = false;
        if (sent->number != n || !sent->bytes) continue;
        if (n + 3 > flow->largest_acked && sent->time + wait > now) {
            flow->loss_time = wisp__min(flow->loss_time, sent->time + wait);
            continue;
        }
        lost++;
        last_lost = sent->time;
        if (flow->has_rtt && sent->time > flow->first_sample) wisp__outage_add(&outage, sent->time);
        wisp__flow_end(flow, sent, false, told, owner);
    }
    if (!lost) return 0;
    wisp__flow_congestion(base, flow, last_lost, now);
    if (outage.longest > 3 * wisp__flow_period(flow)) {
        flow->window = 2 * base->mtu;
        flow->recovery_start = -1;
        flow->rtt_min = flow->rtt_latest;
    }
    wisp__flow_advance(flow);
    return lost;
}

typedef struct wisp__ack_news { int acked, lost; bool bad; } wisp__ack_news;

/* Reads the acks of a packet and ends what they name. */
static wisp__ack_news wisp__flow_get_acks(wisp__base *base, wisp__flow *flow, wisp__reader *from,
                                          double now, wisp__ref_told told, void *owner) {
    wisp__ack_news news = { 0, 0, false };
    uint64_t last = wisp__widen(flow->next - 1, wisp__get(from, 16), 16);
    double delay = (double)wisp__get(from, 8) / 2000, largest_time = -1;
    int ranges = wisp__get_small(from) + 1, taken = 0, grown = 0;
    if (from->failed || last >= flow->next) news.bad = true;
    for (int i = 0; i < ranges && !news.bad; i++) {
        uint64_t count = (uint64_t)wisp__get_length(from) + 1;
        if (from->failed || count > last || (taken += 1) > WISP__MOST_RANGES) {
            news.bad = true;
            break;
        }
        if (i == 0 && wisp__flow_find(flow, last)) largest_time = wisp__flow_find(flow, last)->time;
        if (last > flow->largest_acked && i == 0) flow->largest_acked = last;
        for (uint64_t n = last; n + count > last && n >= flow->oldest; n--) {
            wisp__sent *sent = wisp__flow_find(flow, n);
            if (!sent) continue;
            if (sent->time > flow->recovery_start && flow->limited) grown += sent->bytes;
            wisp__flow_end(flow, sent, true, told, owner);
            news.acked++;
        }
        if (i + 1 == ranges) break;
        count += (uint64_t)wisp__get_length(from) + 1;
        if (from->failed || count >= last) news.bad = true;
        else last -= count;
    }
    if (largest_time >= 0) wisp__flow_sample(flow, now, now - largest_time, delay);
    if (news.acked) flow->probes = 0;
    news.lost = wisp__flow_detect_loss(base, flow, now, told, owner);
    if (grown && !news.lost) wisp__flow_grow_window(base, flow, grown);
    wisp__flow_advance(flow);
    return news;
}

/* No ack in time (RFC 9002 6.2.4): what the oldest two packets carried is sent anew, as a probe.
   They stay in flight; only when no more can be tracked the oldest counts as lost. */
static void wisp__flow_probe(wisp__base *base, wisp__flow *flow, double now, wisp__ref_told told,
                             void *owner) {
    int found = 0;
    wisp__sent *oldest;
    flow->probes++;
    flow->free_packets = 2;
    for (uint64_t n = flow->oldest; n < flow->next && found < 2; n++) {
        wisp__sent *sent = wisp__flow_find(flow, n);
        if (!sent || sent->probed) continue;
        sent->probed = true;
        found++;
        for (int i = 0; i < sent->ref_count; i++) {
            uint32_t at = (sent->first_ref + (uint32_t)i) & (uint32_t)(flow->ref_room - 1);
            wisp__ref ref = flow->refs[at];
            told(owner, &ref, false);
        }
    }
    wisp__flow_advance(flow);
    oldest = wisp__flow_find(flow, flow->oldest);
    if (!oldest || flow->next - flow->oldest + 2 < (uint64_t)base->limits.window_packets) return;
    wisp__flow_congestion(base, flow, oldest->time, now);
    for (uint64_t n = flow->oldest; n < flow->oldest + 4; n++)
        if ((oldest = wisp__flow_find(flow, n)) != NULL)
            wisp__flow_end(flow, oldest, false, told, owner);
    wisp__flow_advance(flow);
}

/* The probe timer runs only when loss by time is not awaited (RFC 9002 6.2.1). */
static double wisp__flow_probe_time(const wisp__flow *flow) {
    if (!flow->in_flight || flow->loss_time < WISP__NEVER) return WISP__NEVER;
    return flow->last_eliciting + wisp__flow_pto(flow);
}

static double wisp__flow_deadline(const wisp__flow *flow) {
    double at = flow->unacked ? flow->ack_due : WISP__NEVER;
    return wisp__min(at, wisp__min(flow->loss_time, wisp__flow_probe_time(flow)));
}

/* Pacing (RFC 9002 7.7): 5/4 of a window per round trip; bursts up to the initial window, or what
   the time between two updates gives, if they are few. */
static void wisp__flow_pace(wisp__base *base, wisp__flow *flow, double now) {
    double rate = 1.25 * flow->window / wisp__max(flow->rtt, 0.001);
    double gained = rate * wisp__min(now - flow->pace_time, WISP__PACE_SECONDS);
    double most = wisp__max(wisp__flow_initial_window(base), gained);
    flow->pace_time = now;
    flow->pace_tokens = wisp__min(flow->pace_tokens + gained, most);
}

/* Asked when there is something to send. What only pacing holds back is limited all the same
   (RFC 9002 7.8). */
static bool wisp__flow_may_send(wisp__base *base, wisp__flow *flow) {
    bool room = flow->in_flight + base->mtu <= flow->window || flow->in_flight == 0;
    bool paced = flow->pace_tokens <= 0;
    flow->limited = !room || paced || flow->in_flight * 2 > flow->window;
    if (!flow->free_packets && (!room || paced)) return false;
    return wisp__flow_reserve(base, flow);
}

static int wisp__number_bits(const wisp__flow *flow) {
    uint64_t known = flow->largest_acked ? flow->largest_acked : WISP_FIRST_NUMBER;
    return flow->next > known + (1 << 14) ? 32 : 16;
}

/* The number that stands in a packet's head, from its low bits. */
static uint64_t wisp__flow_number(const wisp__flow *flow, uint64_t low, int bits) {
    return wisp__widen(flow->top ? flow->top + 1 : WISP_FIRST_NUMBER, low, bits);
}

WISP__UNUSED static void wisp__flow_check(const wisp__flow *flow) {
    int in_flight = 0;
    WISP_ASSERT(flow->oldest <= flow->next && flow->largest_acked < flow->next);
    for (uint64_t n = flow->oldest; n < flow->next; n++)
        if (wisp__flow_find(flow, n)) in_flight += wisp__flow_find(flow, n)->bytes;
    WISP_ASSERT(in_flight == flow->in_flight);
    (void)in_flight;
}

/* ===========================================================================
 * MARK: >>channel
 * What: reliable order. A channel (lane) is a stream of items with sequence
 *   numbers; an item is a whole message or one fragment of a large one.
 * Invariants: out: base <= next, at most window_items between; an item leaves
 *   the window when it and all before it have arrived. in: every item is
 *   taken once, in order; what came early is held, at most window_bytes.
 * ======================================================================== */

#define WISP__CHANNELS   16
#define WISP__WHOLE_KEPT 65536    /* bytes that stay when a large message has been put together */

enum { WISP__EVENT, WISP__INVOKE, WISP__REPLY };

/* An encoded message, shared by the queues and windows of every peer it goes to. */
typedef struct wisp__message {
    int      references;
    int      remote;           /* index in the registry */
    int      chunk_bytes;
    int      values;
    int      shape_bits;
    int64_t  data_bits;
    int      data_at;          /* byte of `bytes` where the data begins */
    int      size;             /* bytes of shape and data: what limits and queues count */
    uint32_t call;             /* invoke, reply */
    int16_t  result;           /* reply */
    uint8_t  type, delivery, channel;
    bool     immediate;
    double   time;             /* when it was fired, and its place among all */
    uint64_t order;
    uint8_t  bytes[1];         /* shape, then from the next byte data, then slack */
} wisp__message;

static void wisp__message_measure(wisp__message *m, int shape_bits, int64_t data_bits) {
    m->shape_bits = shape_bits;
    m->data_bits = data_bits;
    m->data_at = (shape_bits + 7) / 8;
    m->size = m->data_at + (int)((data_bits + 7) / 8);
}

static void wisp__message_release(wisp__base *base, wisp__chunks *chunks, wisp__message *m) {
    WISP_ASSERT(m->references > 0);
    if (--m->references == 0) wisp__chunk_give(base, chunks, m, (size_t)m->chunk_bytes);
}

enum { WISP__ITEM_FLYING = 1, WISP__ITEM_LOST, WISP__ITEM_ARRIVED };

typedef struct wisp__item {
    wisp__message *message;
    int            offset;        /* of a fragment; -1: the whole message */
    int            size;          /* bytes that the receiver may have to hold */
    uint8_t        state;
} wisp__item;

typedef struct wisp__lane_out {
    wisp__item    *items;         /* ring by sequence */
    int            room;
    uint32_t       base, next;
    uint32_t       lost_from;     /* none lost before this */
    int            lost;
    wisp__message *cutting;       /* a large message on its way into fragments */
    int            cut;           /* bytes of it that are in the window */
} wisp__lane_out;

/* Something that came before its turn, as it will be delivered. */
typedef struct wisp__held {
    int      chunk_bytes;
    uint8_t  kind;                /* a wisp__record */
    bool     first, last;         /* of a fragment */
    int      remote;              /* -1: not known here */
    uint32_t call, floor;
    int16_t  result;
    int      charge;              /* bytes of the window */
    int      shape_bits;
    int64_t  data_bits;
    uint8_t  bytes[1];            /* shape, then from the next byte data */
} wisp__held;

typedef struct wisp__lane_in {
    wisp__held **held;            /* ring by sequence */
    int          room;
    uint32_t     next;
    uint8_t     *whole;           /* a large message being put together */
    int          whole_room, whole_bytes;
    bool         assembling;
} wisp__lane_in;

typedef struct wisp__lane {
    wisp__lane_out out;
    wisp__lane_in  in;
} wisp__lane;

typedef enum wisp__turn { WISP__NOW, WISP__EARLY, WISP__AGAIN, WISP__BEYOND } wisp__turn;

static wisp__lane *wisp__lane_make(wisp__base *base) {
    wisp__lane *lane = (wisp__lane *)wisp__alloc(base, sizeof *lane);
    if (!lane) return NULL;
    lane->out.base = lane->out.next = lane->out.lost_from = WISP_FIRST_NUMBER;
    lane->in.next = WISP_FIRST_NUMBER;
    return lane;
}

static wisp__item *wisp__lane_item(const wisp__lane_out *out, uint32_t sequence) {
    return &out->items[sequence & (uint32_t)(out->room - 1)];
}

/* Takes the next sequence number for an item; the message gains a reference. */
static wisp_result wisp__lane_push(wisp__base *base, wisp__lane_out *out, wisp__item item) {
    if (out->next - out->base == (uint32_t)out->room) {
        wisp_result result = wisp__ring_grow(base, (void **)&out->items, &out->room,
                                             base->limits.window_items, sizeof item, out->base,
                                             out->next);
        if (result) return result;
    }
    item.state = WISP__ITEM_FLYING;
    item.message->references++;
    *wisp__lane_item(out, out->next++) = item;
    return WISP_OK;
}

/* Tells what became of `count` items; returns the bytes that left the window. */
static int wisp__lane_told(wisp__base *base, wisp__chunks *chunks, wisp__lane_out *out,
                           uint32_t sequence, int count, bool arrived) {
    int freed = 0;
    for (int i = 0; i < count; i++, sequence++) {
        wisp__item *item;
        if (wisp__distance(sequence, out->base) < 0 || wisp__distance(sequence, out->next) >= 0)
            continue;
        item = wisp__lane_item(out, sequence);
        if (item->state == WISP__ITEM_ARRIVED) continue;
        if (!arrived && item->state == WISP__ITEM_FLYING) {
            item->state = WISP__ITEM_LOST;
            if (!out->lost++ || wisp__distance(sequence, out->lost_from) < 0)
                out->lost_from = sequence;
        } else if (arrived) {
            if (item->state == WISP__ITEM_LOST) out->lost--;
            item->state = WISP__ITEM_ARRIVED;
        }
    }
    while (out->base != out->next && wisp__lane_item(out, out->base)->state == WISP__ITEM_ARRIVED) {
        wisp__item *item = wisp__lane_item(out, out->base++);
        freed += item->size;
        wisp__message_release(base, chunks, item->message);
    }
    if (wisp__distance(out->lost_from, out->base) < 0) out->lost_from = out->base;
    return freed;
}

/* The first lost item, or false. */
static bool wisp__lane_lost(wisp__lane_out *out, uint32_t *sequence) {
    if (!out->lost) return false;
    while (wisp__lane_item(out, out->lost_from)->state != WISP__ITEM_LOST) out->lost_from++;
    *sequence = out->lost_from;
    return true;
}

static void wisp__lane_resent(wisp__lane_out *out, uint32_t sequence) {
    wisp__lane_item(out, sequence)->state = WISP__ITEM_FLYING;
    out->lost--;
}

/* Whose turn a sequence number is, from its low 24 bits. As many messages as packets can hold
   until they are too old to be told apart are far fewer than 2^23. */
static wisp__turn wisp__lane_turn(wisp__base *base, const wisp__lane_in *in, uint32_t low,
                                  uint32_t *sequence) {
    int ahead = wisp__ahead_24(low, in->next);
    *sequence = in->next + (uint32_t)ahead;
    if (ahead == 0) return WISP__NOW;
    if (ahead < 0) return WISP__AGAIN;
    if (ahead >= base->limits.window_items) return WISP__BEYOND;
    if (ahead < in->room && in->held[*sequence & (uint32_t)(in->room - 1)]) return WISP__AGAIN;
    return WISP__EARLY;
}

/* Keeps what came early. The caller has asked wisp__lane_turn. */
static wisp_result wisp__lane_hold(wisp__base *base, wisp__lane_in *in, uint32_t sequence,
                                   wisp__held *held) {
    while (sequence - in->next >= (uint32_t)in->room) {
        wisp_result result = wisp__ring_grow(base, (void **)&in->held, &in->room,
                                             base->limits.window_items, sizeof *in->held, in->next,
                                             in->next + (uint32_t)in->room);
        if (result) return result;
    }
    in->held[sequence & (uint32_t)(in->room - 1)] = held;
    return WISP_OK;
}

/* After an item was delivered: the one held for the next turn, or NULL. */
static wisp__held *wisp__lane_next_held(wisp__lane_in *in) {
    wisp__held **place, *held;
    if (!in->room) return NULL;
    place = &in->held[in->next & (uint32_t)(in->room - 1)];
    held = *place;
    *place = NULL;
    return held;
}

/* Adds a fragment to the message being put together. */
static wisp_result wisp__lane_assemble(wisp__base *base, wisp__lane_in *in, bool first,
                                       wisp__reader *from, int bytes) {
    wisp_result result;
    if (first == in->assembling) return WISP_E_PROTOCOL;
    if (first) in->whole_bytes = 0;
    if (bytes > base->limits.message_bytes + 512 - in->whole_bytes) return WISP_E_LIMIT;
    result = wisp__grow(base, (void **)&in->whole, &in->whole_room,
                        in->whole_bytes + bytes + WISP__SLACK,
                        base->limits.message_bytes + 512 + WISP__SLACK, 1);
    if (result) return result;
    wisp__get_bits(from, in->whole + in->whole_bytes, (int64_t)bytes * 8);
    in->whole_bytes += bytes;
    in->assembling = true;
    return from->failed ? WISP_E_BAD_PACKET : WISP_OK;
}

WISP__UNUSED static void wisp__lane_check(const wisp__base *base, const wisp__lane *lane) {
    const wisp__lane_out *out = &lane->out;
    int lost = 0;
    WISP_ASSERT(out->next - out->base <= (uint32_t)base->limits.window_items);
    for (uint32_t n = out->base; n != out->next; n++) {
        const wisp__item *item = wisp__lane_item(out, n);
        WISP_ASSERT(item->message->references > 0);
        lost += item->state == WISP__ITEM_LOST;
    }
    WISP_ASSERT(lost == out->lost);
    WISP_ASSERT(!lane->in.room || !lane->in.held[lane->in.next & (uint32_t)(lane->in.room - 1)]);
    (void)base;
    (void)lost;
}

static int wisp__lane_free(wisp__base *base, wisp__chunks *chunks, wisp__lane *lane) {
    int abandoned = 0;
    wisp__lane_out *out = &lane->out;
    wisp__lane_in *in = &lane->in;
    for (; out->base != out->next; out->base++) {
        abandoned += wisp__lane_item(out, out->base)->state != WISP__ITEM_ARRIVED;
        wisp__message_release(base, chunks, wisp__lane_item(out, out->base)->message);
    }
    if (out->cutting) wisp__message_release(base, chunks, out->cutting);
    for (int i = 0; i < in->room; i++) {
        wisp__held *held = in->held[i];
        if (held) wisp__chunk_give(base, chunks, held, (size_t)held->chunk_bytes);
    }
    wisp__free(base, out->items, (size_t)out->room * sizeof *out->items);
    wisp__free(base, in->held, (size_t)in->room * sizeof *in->held);
    wisp__free(base, in->whole, (size_t)in->whole_room);
    wisp__free(base, lane, sizeof *lane);
    return abandoned;
}

/* ===========================================================================
 * MARK: >>peer
 * What: the join handshake, session states, the table of addresses, packets
 *   on their way to the link.
 * Invariants: nothing is stored for an address before its cookie came back;
 *   no answer is larger than what it answers; one address has at most one
 *   session and one that waits to replace it.
 *
 *   every handshake packet: type:8 "wisp" wire version:8 client nonce:64 ... check:32
 *   REQUEST   padded to 64 bytes
 *   CHALLENGE bucket:8 cookie:64
 *   RESPONSE  bucket:8 cookie:64 flags:8 window:32 app version:32 app ticket, padded
 *   ACCEPT    server nonce:64 flags:8 window:32
 *   DENY      code:16
 *   flags     bit 0: the link is reliable; bits 1..4: log2 of window_items
             app: length:8 bytes; ticket: length:16 bytes
 * ======================================================================== */

enum { WISP__REQUEST = 1, WISP__CHALLENGE, WISP__RESPONSE, WISP__ACCEPT, WISP__DENY };
enum { WISP__HANDSHAKE_HEAD = 14, WISP__HANDSHAKE_LEAST = 64 };

#define WISP__BUCKET_SECONDS 5.0    /* a cookie is good for one to two of them */
#define WISP__HALF_OPEN      2.0    /* seconds until the first tagged packet */
#define WISP__POST_PACKETS   32

typedef enum wisp__state {
    WISP__REQUESTING, WISP__RESPONDING, WISP__PENDING, WISP__HALF_OPENED, WISP__JOINED,
    WISP__LEAVING, WISP__GONE
} wisp__state;

typedef struct wisp__stuck {       /* a packet that the link did not take */
    struct wisp__stuck *next;
    int size;
} wisp__stuck;

typedef struct wisp__peer {
    wisp__slot   slot;
    wisp__state  state;
    bool         joiner;           /* this end asked */
    bool         dirty;            /* has something to send: on the list */
    bool         told;             /* "joined" was told, so "left" will be */
    bool         asked;            /* by wisp_join here, whichever nonce won */
    wisp_addr    addr;
    uint32_t     next_of_address;  /* chain in the table: index + 1 */
    struct wisp__peer *next_dirty;
    struct wisp__peer *previous, *next;    /* the joined ones, in order */
    wisp__timer  timer;
    double       started, heard, spoke;
    int          tries;
    uint64_t     client_nonce, server_nonce, cookie;
    uint8_t      bucket;
    void        *ticket;
    int          ticket_size;
    wisp__seal   seal;
    wisp__flow   flow;
    wisp__lane  *lanes[WISP__CHANNELS];
    int          lane_end;         /* no lane from here on */
    int          window_bytes, window_used;    /* of the other end; what we have in it */
    uint32_t     window_items;     /* per channel, what both ends can do */
    uint64_t     sent_in_order, received_in_order;  /* packets, on a reliable link */
    wisp__stuck *stuck_first, *stuck_last;
    bool         ending;           /* on a reliable link: what is left goes out, then the goodbye */
    wisp_peer_stats stats;
    void        *user;
    wisp_result  result;           /* why it ended */
    char         reason[96];
} wisp__peer;

typedef struct wisp__post {
    wisp_link   link;
    wisp_packet packets[WISP__POST_PACKETS];
    uint32_t    owners[WISP__POST_PACKETS];     /* peer ids; 0: nobody's */
    uint8_t    *buffers;
    int         count;
    bool        broken;
} wisp__post;

typedef struct wisp__peers {
    wisp__base   *base;
    wisp__chunks *chunks;
    wisp__pool    pool;
    wisp__timers  timers;
    uint32_t     *table;          /* by hash of the address: index + 1 */
    int           table_room;
    wisp__secret  secret;
    uint64_t      cookie_key[2];
    char          app[65];
    uint32_t      app_version;
    int           max_peers;
    int           strangers;      /* sessions that others asked for */
    bool          refuse_joins;
    wisp__peer   *first, *last;   /* joined */
    wisp__peer   *dirty;
    wisp__post    post;
    int           joined;
} wisp__peers;

static uint32_t *wisp__peers_bucket(const wisp__peers *peers, const wisp_addr *addr) {
    uint64_t h = wisp__siphash(peers->cookie_key, addr, (int)sizeof *addr);
    return &peers->table[h & (uint64_t)(peers->table_room - 1)];
}

static wisp__peer *wisp__peers_at(const wisp__peers *peers, uint32_t place) {
    return place ? (wisp__peer *)(void *)wisp__pool_at(&peers->pool, (int)place - 1) : NULL;
}

/* The first peer at an address after `after` (NULL: from the start). */
static wisp__peer *wisp__peers_find(const wisp__peers *peers, const wisp_addr *addr,
                                    const wisp__peer *after) {
    uint32_t place = after ? after->next_of_address : *wisp__peers_bucket(peers, addr);
    for (;; ) {
        wisp__peer *peer = wisp__peers_at(peers, place);
        if (!peer || memcmp(&peer->addr, addr, sizeof *addr) == 0) return peer;
        place = peer->next_of_address;
    }
}

static uint32_t wisp__peer_place(const wisp__peers *peers, const wisp__peer *peer) {
    return (peer->slot.id & ((1u << peers->pool.index_bits) - 1)) + 1;
}

static wisp__peer *wisp__peers_add(wisp__peers *peers, const wisp_addr *addr, wisp_result *why) {
    wisp__peer *peer;
    uint32_t *bucket = wisp__peers_bucket(peers, addr);
    *why = wisp__timers_reserve(peers->base, &peers->timers);
    if (*why) return NULL;
    peer = (wisp__peer *)wisp__pool_add(peers->base, &peers->pool, why);
    if (!peer) return NULL;
    peers->timers.owners++;
    peer->addr = *addr;
    peer->next_of_address = *bucket;
    *bucket = wisp__peer_place(peers, peer);
    peer->started = peer->heard = peer->spoke = peers->base->time;
    wisp__flow_init(peers->base, &peer->flow, peers->base->time);
    return peer;
}

static void wisp__peers_unlink(wisp__peers *peers, wisp__peer *peer) {
    uint32_t *place = wisp__peers_bucket(peers, &peer->addr);
    while (wisp__peers_at(peers, *place) != peer)
        place = &wisp__peers_at(peers, *place)->next_of_address;
    *place = peer->next_of_address;
    wisp__timers_stop(&peers->timers, &peer->timer);
    peers->timers.owners--;
}

static void wisp__peers_list(wisp__peers *peers, wisp__peer *peer) {
    peer->previous = peers->last;
    if (peers->last) peers->last->next = peer;
    else peers->first = peer;
    peers->last = peer;
    peers->joined++;
}

static void wisp__peers_unlist(wisp__peers *peers, wisp__peer *peer) {
    if (peer->previous) peer->previous->next = peer->next;
    else peers->first = peer->next;
    if (peer->next) peer->next->previous = peer->previous;
    else peers->last = peer->previous;
    peer->next = peer->previous = NULL;
    peers->joined--;
}

static void wisp__peers_mark(wisp__peers *peers, wisp__peer *peer) {
    if (peer->dirty) return;
    peer->dirty = true;
    peer->next_dirty = peers->dirty;
    peers->dirty = peer;
}

static void wisp__peer_reason(wisp__peer *peer, wisp_result result, const char *reason) {
    size_t length = reason ? strlen(reason) : 0;
    if (length > sizeof peer->reason - 1) length = sizeof peer->reason - 1;
    if (length) memcpy(peer->reason, reason, length);
    peer->reason[length] = 0;
    peer->result = result;
}

/* --- the way out --- */

static void wisp__stick(wisp__peers *peers, wisp__peer *peer, const wisp_packet *packet) {
    size_t bytes = sizeof(wisp__stuck) + (size_t)packet->size;
    wisp__stuck *stuck = (wisp__stuck *)wisp__chunk_take(peers->base, peers->chunks, bytes);
    if (!stuck) return;                  /* as if the network had lost it */
    stuck->next = NULL;
    stuck->size = packet->size;
    memcpy(stuck + 1, packet->data, (size_t)packet->size);
    if (peer->stuck_last) peer->stuck_last->next = stuck;
    else peer->stuck_first = stuck;
    peer->stuck_last = stuck;
    wisp__peers_mark(peers, peer);
}

static void wisp__unstick(wisp__peers *peers, wisp__peer *peer) {
    wisp__stuck *stuck = peer->stuck_first;
    peer->stuck_first = stuck->next;
    if (!stuck->next) peer->stuck_last = NULL;
    wisp__chunk_give(peers->base, peers->chunks, stuck, sizeof *stuck + (size_t)stuck->size);
}

/* The link says that this peer is gone: its timer ends it. */
static void wisp__peer_closed(wisp__peers *peers, wisp__peer *peer) {
    if (peer->state >= WISP__LEAVING) return;
    peer->heard = -WISP__NEVER;
    wisp__timers_set(&peers->timers, &peer->timer, 0);
}

/* Hands what waits to the link; what it does not take stays with its peer. */
static void wisp__post_send(wisp__peers *peers) {
    wisp__post *post = &peers->post;
    int count = post->count, looked;
    if (!count) return;
    post->count = 0;
    looked = post->link.send(post->link.user, post->packets, count);
    if (looked < 0) peers->base->stats.link_failures++;
    post->broken = looked < 0;
    for (int i = 0; i < count; i++) {
        wisp_packet *packet = &post->packets[i];
        wisp__peer *peer = (wisp__peer *)wisp__pool_get(&peers->pool, post->owners[i]);
        int status = i < looked ? packet->status : WISP_E_AGAIN;
        if (status == WISP_E_AGAIN) peers->base->stats.link_refusals++;
        if (status == WISP_E_AGAIN && peer) wisp__stick(peers, peer, packet);
        if (status == WISP_E_CLOSED && peer) wisp__peer_closed(peers, peer);
    }
}

/* Offers what the link did not take once more, in order. */
static void wisp__offer_stuck(wisp__peers *peers, wisp__peer *peer) {
    wisp__post *post = &peers->post;
    int looked = 1;
    while (peer->stuck_first && looked > 0) {
        wisp_packet packet;
        packet.addr = peer->addr;
        packet.data = peer->stuck_first + 1;
        packet.size = peer->stuck_first->size;
        packet.status = 0;
        looked = post->link.send(post->link.user, &packet, 1);
        post->broken = looked < 0;
        if (looked < 0) peers->base->stats.link_failures++;
        if (looked < 1 || packet.status == WISP_E_AGAIN) {
            peers->base->stats.link_refusals++;
            return;
        }
        if (packet.status == WISP_E_CLOSED) wisp__peer_closed(peers, peer);
        wisp__unstick(peers, peer);
    }
}

static uint8_t *wisp__post_buffer(wisp__peers *peers) {
    wisp__post *post = &peers->post;
    if (post->count == WISP__POST_PACKETS) wisp__post_send(peers);
    return post->buffers + (size_t)post->count * (size_t)(peers->base->mtu + WISP__SLACK);
}

/* `owner`: the peer that keeps it if the link does not take it; NULL: nobody. */
static void wisp__post_add(wisp__peers *peers, const wisp_addr *addr, wisp__peer *owner,
                           uint8_t *data, int size) {
    wisp_packet *packet = &peers->post.packets[peers->post.count];
    packet->addr = *addr;
    packet->data = data;
    packet->size = size;
    packet->status = 0;
    peers->base->stats.packets_sent++;
    peers->base->stats.bytes_sent += (uint64_t)size;
    if (owner && owner->stuck_first) wisp__stick(peers, owner, packet);     /* behind those */
    else peers->post.owners[peers->post.count++] = owner ? owner->slot.id : 0;
}

/* --- handshake --- */

static uint32_t wisp__handshake_check(uint64_t nonce, const uint8_t *bytes, int size) {
    uint64_t key[2];
    key[0] = nonce;
    key[1] = WISP_WIRE_VERSION;
    return (uint32_t)wisp__siphash(key, bytes, size);
}

static wisp__writer wisp__handshake_begin(wisp__peers *peers, int type, uint64_t nonce) {
    wisp__writer to = wisp__writer_on(wisp__post_buffer(peers), peers->base->mtu);
    wisp__put(&to, (uint64_t)type, 8);
    wisp__put_bytes(&to, "wisp", 4);
    wisp__put(&to, WISP_WIRE_VERSION, 8);
    wisp__put(&to, nonce, 64);
    return to;
}

static void wisp__handshake_send(wisp__peers *peers, wisp__writer *to, const wisp_addr *addr,
                                 uint64_t nonce, bool padded) {
    int size;
    while (padded && to->at / 8 < WISP__HANDSHAKE_LEAST - 4) wisp__put(to, 0, 8);
    size = (int)(to->at / 8);
    wisp__put(to, wisp__handshake_check(nonce, to->bytes, size), 32);
    wisp__post_add(peers, addr, NULL, to->bytes, size + 4);
}

static void wisp__deny(wisp__peers *peers, const wisp_addr *addr, uint64_t nonce,
                       wisp_result code) {
    wisp__writer to = wisp__handshake_begin(peers, WISP__DENY, nonce);
    wisp__put(&to, (uint16_t)code, 16);
    wisp__handshake_send(peers, &to, addr, nonce, false);
    peers->base->stats.joins_denied++;
}

static uint64_t wisp__cookie(const wisp__peers *peers, const wisp_addr *addr, uint64_t nonce,
                             uint64_t bucket) {
    uint8_t bytes[sizeof *addr + 16];
    memcpy(bytes, addr, sizeof *addr);
    wisp__store64(bytes + sizeof *addr, nonce);
    wisp__store64(bytes + sizeof *addr + 8, bucket);
    return wisp__siphash(peers->cookie_key, bytes, (int)sizeof bytes);
}

static uint64_t wisp__bucket_now(const wisp__peers *peers) {
    return (uint64_t)(peers->base->time / WISP__BUCKET_SECONDS);
}

static void wisp__challenge(wisp__peers *peers, const wisp_addr *addr, uint64_t nonce) {
    uint64_t bucket = wisp__bucket_now(peers);
    wisp__writer to = wisp__handshake_begin(peers, WISP__CHALLENGE, nonce);
    wisp__put(&to, bucket & 255, 8);
    wisp__put(&to, wisp__cookie(peers, addr, nonce, bucket), 64);
    wisp__handshake_send(peers, &to, addr, nonce, false);
}

static bool wisp__cookie_good(const wisp__peers *peers, const wisp_addr *addr, uint64_t nonce,
                              uint8_t low, uint64_t cookie) {
    uint64_t now = wisp__bucket_now(peers);
    for (uint64_t bucket = now; bucket + 2 > now && bucket <= now; bucket--)
        if ((bucket & 255) == low) return wisp__cookie(peers, addr, nonce, bucket) == cookie;
    return false;
}

/* What an end can do: a reliable link, and its windows. */
static void wisp__put_abilities(const wisp__peers *peers, wisp__writer *to) {
    const wisp_limits *limits = &peers->base->limits;
    unsigned log2 = 0;
    while (1 << log2 < limits->window_items) log2++;
    wisp__put(to, (peers->base->reliable ? 1u : 0u) | log2 << 1, 8);
    wisp__put(to, (uint32_t)limits->window_bytes, 32);
}

/* false: the link there is of the other kind. */
static bool wisp__take_abilities(const wisp__peers *peers, wisp__peer *peer, uint8_t flags,
                                 uint32_t window) {
    int items = 1 << (flags >> 1 & 15);
    peer->window_bytes = (int)(window & 0x3fffffff);
    peer->window_items = (uint32_t)wisp__min_int(items, peers->base->limits.window_items);
    return ((flags & 1) != 0) == peers->base->reliable;
}

static void wisp__send_response(wisp__peers *peers, wisp__peer *peer) {
    wisp__writer to = wisp__handshake_begin(peers, WISP__RESPONSE, peer->client_nonce);
    int length = (int)strlen(peers->app);
    wisp__put(&to, peer->bucket, 8);
    wisp__put(&to, peer->cookie, 64);
    wisp__put_abilities(peers, &to);
    wisp__put(&to, peers->app_version, 32);
    wisp__put(&to, (uint64_t)length, 8);
    wisp__put_bytes(&to, peers->app, length);
    wisp__put(&to, (uint64_t)peer->ticket_size, 16);
    wisp__put_bytes(&to, peer->ticket, peer->ticket_size);
    wisp__handshake_send(peers, &to, &peer->addr, peer->client_nonce, true);
}

static void wisp__send_accept(wisp__peers *peers, wisp__peer *peer) {
    wisp__writer to = wisp__handshake_begin(peers, WISP__ACCEPT, peer->client_nonce);
    wisp__put(&to, peer->server_nonce, 64);
    wisp__put_abilities(peers, &to);
    wisp__handshake_send(peers, &to, &peer->addr, peer->client_nonce, false);
}

/* Asks again: now, and at growing intervals. Every fourth answer goes back to the request, in
   case the other end has restarted and no longer knows its cookie. */
static void wisp__handshake_retry(wisp__peers *peers, wisp__peer *peer) {
    double wait = wisp__min(0.1 * (double)(1 << wisp__min_int(peer->tries, 4)), 1.0);
    if (peer->state == WISP__RESPONDING && peer->tries % 4 == 3) peer->state = WISP__REQUESTING;
    peer->tries++;
    peer->spoke = peers->base->time;
    if (peer->state == WISP__REQUESTING) {
        wisp__writer to = wisp__handshake_begin(peers, WISP__REQUEST, peer->client_nonce);
        wisp__handshake_send(peers, &to, &peer->addr, peer->client_nonce, true);
    } else {
        wisp__send_response(peers, peer);
    }
    wisp__timers_set(&peers->timers, &peer->timer, peers->base->time + wait);
}

static void wisp__peer_session(wisp__peer *peer) {
    uint64_t secret[2];
    secret[0] = peer->client_nonce;
    secret[1] = peer->server_nonce;
    wisp__seal_init(&peer->seal, secret);
}

static void wisp__peer_timer(wisp__peers *peers, wisp__peer *peer) {
    double at = wisp__min(peer->heard + peers->base->timeout, wisp__flow_deadline(&peer->flow));
    at = wisp__min(at, peer->spoke + peers->base->timeout / 4);
    wisp__timers_set(&peers->timers, &peer->timer, at);
}

/* A join that we asked for waits on its answer. */
static bool wisp__peer_asks(const wisp__peer *peer) {
    return peer->state == WISP__REQUESTING || peer->state == WISP__RESPONDING;
}

static int wisp__peer_abandon(wisp__peers *peers, wisp__peer *peer) {
    int abandoned = 0;
    for (int i = 0; i < WISP__CHANNELS; i++) {
        wisp__lane *lane = peer->lanes[i];
        if (lane) abandoned += wisp__lane_free(peers->base, peers->chunks, lane);
        peer->lanes[i] = NULL;
    }
    while (peer->stuck_first && !peer->ending) wisp__unstick(peers, peer);
    wisp__flow_free(peers->base, &peer->flow);
    wisp__free(peers->base, peer->ticket, (size_t)peer->ticket_size);
    peer->ticket = NULL;
    return abandoned;
}

static wisp__lane *wisp__peer_lane(wisp__base *base, wisp__peer *peer, int channel) {
    if (!peer->lanes[channel]) peer->lanes[channel] = wisp__lane_make(base);
    if (peer->lanes[channel]) peer->lane_end = wisp__max_int(peer->lane_end, channel + 1);
    return peer->lanes[channel];
}

/* ===========================================================================
 * MARK: >>remote
 * What: the registry of names, their settings, and what each peer knows.
 * Invariants: a remote is never removed; its index is its number on the wire,
 *   less the reserved ones. A peer's names that nobody registered here take
 *   no memory.
 * ======================================================================== */

enum { WISP__NAME_BYTES = 128, WISP__RESERVED = 3 };

typedef struct wisp__remote {
    int               index;
    uint64_t          hash;
    wisp_config       own, now;        /* as set; with what it inherits */
    wisp_remote_stats stats;
    struct wisp__connection *first;      /* connections, in order (event) */
    struct wisp__connection *last;
    wisp_handler      answer;          /* the one invoke handler (call) */
    void             *answer_user;
    char              name[WISP__NAME_BYTES + 1];
} wisp__remote;

typedef struct wisp__registry {
    wisp__base    *base;
    wisp__remote **remotes;
    int            room, count;
    uint16_t      *table;              /* open addressing: index + 1 */
    int            table_room;
    struct { const char *name; wisp__remote *remote; } recent[16];   /* by address of the name */
    wisp_config    defaults;
    bool           unbatched;
} wisp__registry;

enum { WISP__UNTOLD, WISP__TOLD, WISP__HEARD, WISP__BOUND, WISP__UNKNOWN };

/* What stands between one peer and one remote. */
typedef struct wisp__route {
    uint8_t  known;                    /* over there: WISP__UNTOLD.. */
    bool     active;                   /* its queue is not empty */
    bool     named;                    /* they announced this name, and did not refuse it since */
    uint64_t told_in;                  /* packet that carries the announcement */
    uint64_t newest;                   /* packet of the last sequenced message */
    struct wisp__entry *first, *last;  /* the queue (batch) */
    double   tokens, filled;           /* the rate limit (policy); filled 0: not begun */
} wisp__route;

typedef struct wisp__control {         /* records for `count` numbers, one after another */
    uint8_t  kind;
    uint16_t number, count;
} wisp__control;

/* A peer with what the rooms from here on keep for it. */
typedef struct wisp__session {
    wisp__peer     peer;
    wisp__route   *routes;             /* by local index */
    int            route_room;
    uint16_t      *theirs;             /* their number -> local index + 1 */
    int            their_room;
    int            untold;             /* remotes before it have been announced */
    wisp__control *controls;           /* to be sent */
    int            control_room, control_count;
    bool           controls_dropped;   /* some had no room: they are asked for again */
    bool           ping;
    uint16_t      *active;             /* routes with a queue (batch) */
    int            active_room, active_count;
    int            queued, queued_bytes;
    uint32_t       next_call;          /* ids (call) */
    uint32_t       call_floor;         /* every call before it is settled */
    struct wisp__pending *calls_first, *calls_last;
    struct wisp__request *requests;    /* answers kept, by id (call) */
    int            request_room;
    uint32_t       request_floor;
    int            kept_bytes;         /* of answers kept */
    struct wisp__pending *deferred;    /* calls of theirs that are answered later */
    int            held_bytes;         /* received out of order */
    int            steps, misses, told_errors;     /* in this packet: work that is bounded */
    int            notices_left;       /* "joined" and "left", while not told (session) */
    uint64_t       mark;               /* of the last list that named it (host) */
} wisp__session;

static wisp_result wisp__name_check(const char *name, int *length) {
    size_t bytes;
    if (!name) return WISP_E_ARGUMENT;
    bytes = strlen(name);
    if (bytes < 1 || bytes > WISP__NAME_BYTES) return WISP_E_NAME;
    *length = (int)bytes;
    return WISP_OK;
}

static wisp__remote *wisp__registry_find(const wisp__registry *registry, const char *name,
                                         int length) {
    uint64_t hash = wisp__hash_bytes(name, length);
    uint64_t mask = (uint64_t)registry->table_room - 1;
    if (!registry->table_room) return NULL;
    for (uint64_t i = hash & mask; registry->table[i]; i = (i + 1) & mask) {
        wisp__remote *remote = registry->remotes[registry->table[i] - 1];
        if (remote->hash == hash && memcmp(remote->name, name, (size_t)length) == 0 &&
            !remote->name[length])
            return remote;
    }
    return NULL;
}

static void wisp__registry_seat(wisp__registry *registry, const wisp__remote *remote) {
    uint64_t mask = (uint64_t)registry->table_room - 1, i = remote->hash & mask;
    while (registry->table[i]) i = (i + 1) & mask;
    registry->table[i] = (uint16_t)(remote->index + 1);
}

static wisp_result wisp__registry_widen(wisp__registry *registry) {
    int room = registry->table_room ? registry->table_room * 2 : 64;
    uint16_t *table;
    if (registry->count * 2 < registry->table_room) return WISP_OK;
    table = (uint16_t *)wisp__alloc(registry->base, (size_t)room * sizeof *table);
    if (!table) return WISP_E_MEMORY;
    wisp__free(registry->base, registry->table, (size_t)registry->table_room * sizeof *table);
    registry->table = table;
    registry->table_room = room;
    for (int i = 0; i < registry->count; i++) wisp__registry_seat(registry, registry->remotes[i]);
    return WISP_OK;
}

/* The setting in force: the remote's own, else the common one, else the default. */
static void wisp__config_resolve(const wisp__registry *registry, wisp__remote *remote) {
    static const wisp_config builtin = { WISP_RELIABLE, WISP_CHANNEL(0), WISP_BATCH_RELIABLE, 256,
                                         WISP_PRIORITY(500), -1, 0, 10, 1 };
    const wisp_config *own = &remote->own, *all = &registry->defaults, *b = &builtin;
    wisp_config *now = &remote->now;
    double window;
#define WISP__RESOLVE(field) (own->field ? own->field : all->field ? all->field : b->field)
    now->delivery = WISP__RESOLVE(delivery);
    now->channel = WISP__RESOLVE(channel);
    now->batching = WISP__RESOLVE(batching);
    now->max_batch_size = WISP__RESOLVE(max_batch_size);
    now->batch_priority = WISP__RESOLVE(batch_priority);
    now->rate_burst = WISP__RESOLVE(rate_burst);
    now->call_tries = WISP__RESOLVE(call_tries);
#undef WISP__RESOLVE
    now->rate_limit = own->rate_limit < 0 || own->rate_limit > 0 ? own->rate_limit
                                                                 : all->rate_limit;
    now->call_timeout = own->call_timeout > 0 ? own->call_timeout
                      : all->call_timeout > 0 ? all->call_timeout : b->call_timeout;
    if (now->rate_limit > 0 && !now->rate_burst) {
        window = 0.25 / now->rate_limit;
        now->rate_burst = window > 1e6 ? 1000000 : wisp__max_int(1, (int)(window + 0.999999));
    }
}

static wisp__remote *wisp__registry_add_slowly(wisp__registry *registry, const char *name,
                                               wisp_result *why) {
    int length = 0;
    wisp__remote *remote;
    *why = wisp__name_check(name, &length);
    if (*why) return NULL;
    remote = wisp__registry_find(registry, name, length);
    if (remote) return remote;
    *why = WISP_E_NAME;
    if (registry->count >= WISP__RESERVED && strncmp(name, "wisp:", 5) == 0) return NULL;
    *why = wisp__registry_widen(registry);
    if (*why) return NULL;
    *why = wisp__grow(registry->base, (void **)&registry->remotes, &registry->room,
                      registry->count + 1, registry->base->limits.remotes + WISP__RESERVED,
                      sizeof *registry->remotes);
    if (*why == WISP_E_LIMIT)
        wisp__log(registry->base, WISP_LOG_ERROR, *why,
                  "no room for the name '%s': raise desc.limits.remotes", name);
    if (*why) return NULL;
    remote = (wisp__remote *)wisp__alloc(registry->base, sizeof *remote);
    *why = remote ? WISP_OK : WISP_E_MEMORY;
    if (!remote) return NULL;
    memcpy(remote->name, name, (size_t)length);
    remote->hash = wisp__hash_bytes(name, length);
    remote->index = registry->count;
    registry->remotes[registry->count++] = remote;
    wisp__registry_seat(registry, remote);
    wisp__config_resolve(registry, remote);
    return remote;
}

/* Finds or registers a name. A name that was asked for lately, at the same address and with the
   same text, is found without its hash. */
static wisp__remote *wisp__registry_add(wisp__registry *registry, const char *name,
                                        wisp_result *why) {
    size_t at = ((uintptr_t)name >> 2 ^ (uintptr_t)name >> 6) % 16;
    wisp__remote *remote = registry->recent[at].name == name ? registry->recent[at].remote : NULL;
    *why = WISP_OK;
    if (remote && strcmp(remote->name, name) == 0) return remote;
    remote = wisp__registry_add_slowly(registry, name, why);
    registry->recent[at].name = name;
    registry->recent[at].remote = remote;
    return remote;
}

static wisp_result wisp__config_check(const wisp_config *c) {
    if (c->delivery < 0 || c->delivery > WISP_SEQUENCED) return WISP_E_ARGUMENT;
    if (c->channel < 0 || c->channel > WISP__CHANNELS) return WISP_E_ARGUMENT;
    if (c->batching < 0 || c->batching > WISP_BATCH_RELIABLE) return WISP_E_ARGUMENT;
    if (c->max_batch_size < 0 || c->rate_burst < 0 || c->call_tries < 0) return WISP_E_ARGUMENT;
    if (c->batch_priority < 0 || c->batch_priority > 1000) return WISP_E_ARGUMENT;
    if (!(c->rate_limit <= 1e9 && c->rate_limit >= -1e9)) return WISP_E_ARGUMENT;
    if (!(c->call_timeout >= 0 && c->call_timeout <= 1e9)) return WISP_E_ARGUMENT;
    return WISP_OK;
}

/* Lays the fields of `from` that are not zero over `to`. */
static void wisp__config_merge(wisp_config *to, const wisp_config *from) {
    if (from->batching) {
        to->batching = from->batching;
        if (from->batching == WISP_BATCH_UNRELIABLE) to->delivery = WISP_UNRELIABLE;
        if (from->batching == WISP_BATCH_RELIABLE) to->delivery = WISP_RELIABLE;
    }
    if (from->delivery) to->delivery = from->delivery;
    if (from->channel) to->channel = from->channel;
    if (from->max_batch_size) to->max_batch_size = from->max_batch_size;
    if (from->batch_priority) to->batch_priority = from->batch_priority;
    if (from->rate_limit < 0 || from->rate_limit > 0) to->rate_limit = from->rate_limit;
    if (from->rate_burst) to->rate_burst = from->rate_burst;
    if (from->call_timeout > 0) to->call_timeout = from->call_timeout;
    if (from->call_tries) to->call_tries = from->call_tries;
}

/* NULL config: inherit everything; NULL name: the common settings. */
static wisp_result wisp__registry_configure(wisp__registry *registry, const char *name,
                                            const wisp_config *config) {
    wisp_result result = config ? wisp__config_check(config) : WISP_OK;
    wisp__remote *remote = NULL;
    wisp_config *to = &registry->defaults;
    if (result) return result;
    if (name) {
        remote = wisp__registry_add(registry, name, &result);
        if (!remote) return result;
        if (remote->index < WISP__RESERVED) return WISP_E_NAME;
        to = &remote->own;
    }
    if (config) wisp__config_merge(to, config);
    else memset(to, 0, sizeof *to);
    for (int i = 0; i < registry->count; i++)
        if (!remote || registry->remotes[i] == remote)
            wisp__config_resolve(registry, registry->remotes[i]);
    return WISP_OK;
}

static void wisp__registry_free(wisp__registry *registry) {
    for (int i = 0; i < registry->count; i++)
        wisp__free(registry->base, registry->remotes[i], sizeof **registry->remotes);
    wisp__free(registry->base, registry->remotes,
               (size_t)registry->room * sizeof *registry->remotes);
    wisp__free(registry->base, registry->table,
               (size_t)registry->table_room * sizeof *registry->table);
}

/* The route of a remote; NULL: no memory. It moves when another remote is registered. */
static inline wisp__route *wisp__route_of(wisp__base *base, wisp__session *session, int index) {
    if (index >= session->route_room &&
        wisp__grow(base, (void **)&session->routes, &session->route_room, index + 1,
                   base->limits.remotes + WISP__RESERVED, sizeof *session->routes))
        return NULL;
    return &session->routes[index];
}

/* Queues a control record. One that has no room is queued when a message asks for it again. */
static void wisp__control_add(wisp__base *base, wisp__session *session, int kind, int number) {
    wisp__control *c = NULL;
    if (session->control_count) c = &session->controls[session->control_count - 1];
    if (c && c->kind == kind && c->number + c->count == number && c->count < 60000) {
        c->count++;
        return;
    }
    if (wisp__grow(base, (void **)&session->controls, &session->control_room,
                   session->control_count + 1, 2 * base->limits.remotes, sizeof(wisp__control))) {
        session->controls_dropped = true;
        return;
    }
    c = session->controls + session->control_count++;
    c->kind = (uint8_t)kind;
    c->number = (uint16_t)number;
    c->count = 1;
}

/* The remote a peer means by its number, or NULL. */
static wisp__remote *wisp__theirs(const wisp__registry *registry, const wisp__session *session,
                                  int number) {
    if (number < 0 || number >= session->their_room || !session->theirs[number]) return NULL;
    return registry->remotes[session->theirs[number] - 1];
}

/* ===========================================================================
 * MARK: >>policy
 * What: the rate limit of one peer and one remote, a token bucket.
 * ======================================================================== */

/* May one more message come now? Takes its token. */
static bool wisp__policy_admit(const wisp_config *config, wisp__route *route, double now) {
    if (!(config->rate_limit > 0)) return true;
    if (!(route->filled > 0)) {
        route->tokens = config->rate_burst;
    } else {
        double gained = (now - route->filled) / config->rate_limit;
        route->tokens = wisp__min(route->tokens + gained, config->rate_burst);
    }
    route->filled = wisp__max(now, 1e-9);
    if (route->tokens < 1 - 1e-6) return false;
    route->tokens -= 1;
    return true;
}

/* ===========================================================================
 * MARK: >>batch
 * What: the queue of each peer, and packets filled from it: control records,
 *   what was lost, then messages by priority.
 * Invariants: messages of one remote leave in the order they were fired; a
 *   packet can be read by itself; what does not fit leaves no bits behind.
 *
 *   body     acks?, records, end
 *   record   1:1                    as the message before, other data: data
 *            01                     length(id) shape data
 *            001 small(count - 1)   the message before, count times again
 *            0001                   length(id) length(bits) shape data: before BOUND
 *            0000 kind:4            a control record, below
 *   END 0 · SECTION 1: delivery:2 channel:4 [sequence:24 when reliable]
 *   FRAGMENT 2: first:1 last:1 bytes:16 ...
 *   INVOKE 3: length(id) call:24 small(call - floor) bound:1 [length(bits)] shape data
 *   REPLY 4: call:24 ok:1 [code:16] shape data
 *   ANNOUNCE 5: length(id) length(bytes) name version:8 codec:8 length(extra)
 *   BOUND 6 · UNKNOWN 7: length(id) · PING 8 · LEAVE 9: code:16 length(bytes) text
 * ======================================================================== */

typedef enum wisp__record {
    WISP__R_END, WISP__R_SECTION, WISP__R_FRAGMENT, WISP__R_INVOKE, WISP__R_REPLY,
    WISP__R_ANNOUNCE, WISP__R_BOUND, WISP__R_UNKNOWN, WISP__R_PING, WISP__R_LEAVE,
    WISP__R_EVENT, WISP__R_NOTHING
} wisp__record;

/* What one packet holds at most, and a run of equal messages takes at most. */
enum { WISP__PACKET_VALUES = 65536, WISP__PACKET_MESSAGES = 2048, WISP__RUN_BITS = 24 };

/* What waiting is worth: levels of priority per second, so that nothing starves. */
#define WISP__AGING 50.0

typedef struct wisp__entry { struct wisp__entry *next; wisp__message *message; } wisp__entry;

typedef struct wisp__sender {
    wisp__base     *base;
    wisp__chunks   *chunks;
    wisp__registry *registry;
    wisp__peers    *peers;
} wisp__sender;

/* A packet being filled. */
typedef struct wisp__filler {
    wisp__sender        *sender;
    wisp__session       *session;
    wisp__writer         to;
    uint8_t             *packet;
    int                  head;          /* bytes before the body */
    uint32_t             first_ref;
    int                  delivery, channel;   /* the section; 0: none yet */
    uint32_t             sequence;      /* that the next reliable record has */
    const wisp__message *previous;
    wisp__message       *kept;          /* the last from the queue, which `previous` may be */
    int                  run, values, messages;
    bool                 eliciting, acks;
} wisp__filler;

typedef enum wisp__fit { WISP__FITS, WISP__FULL, WISP__WAITS } wisp__fit;

static int wisp__wire_id(int index) { return index - WISP__RESERVED; }

/* The largest message that goes in one piece. */
static int wisp__piece_bytes(const wisp__base *base) { return base->mtu - 96; }

static void wisp__put_control(wisp__writer *to, wisp__record kind) {
    wisp__put(to, (uint64_t)kind << 4, 8);
}

static void wisp__fill_run(wisp__filler *f) {
    if (!f->run) return;
    f->to.end += WISP__RUN_BITS;
    wisp__put(&f->to, 4, 3);
    wisp__put_small(&f->to, (uint64_t)f->run - 1);
    f->to.end -= WISP__RUN_BITS;
    f->run = 0;
}

/* Undoes what was written since `at` when it did not fit. */
static bool wisp__fill_done(wisp__filler *f, int64_t at) {
    if (f->to.full) {
        f->to.at = at;
        f->to.full = false;
        return false;
    }
    f->eliciting = true;
    return true;
}

/* Is there memory to note what the next record carries, and an announcement before it? */
static bool wisp__fill_may(wisp__filler *f) {
    return f->sender->base->reliable ||
           wisp__flow_reserve_refs(f->sender->base, &f->session->peer.flow, 2);
}

static inline void wisp__fill_carry(wisp__filler *f, wisp__record kind, int channel,
                                    uint32_t number) {
    wisp__ref ref;
    ref.kind = (uint8_t)kind;
    ref.channel = (uint8_t)channel;
    ref.count = 1;
    ref.number = number;
    if (!f->sender->base->reliable)
        wisp__flow_carry(&f->session->peer.flow, f->first_ref, ref);
}

static void wisp__put_section(wisp__filler *f, int delivery, int channel, uint32_t sequence) {
    bool reliable = delivery == WISP_RELIABLE;
    bool follows = !reliable || (f->channel == channel && f->sequence == sequence);
    if (f->delivery == delivery && follows) return;
    wisp__fill_run(f);
    wisp__put_control(&f->to, WISP__R_SECTION);
    wisp__put(&f->to, (uint64_t)delivery, 2);
    wisp__put(&f->to, (uint64_t)channel, 4);
    if (reliable) wisp__put(&f->to, sequence & WISP__LOW_24, 24);
    f->previous = NULL;
}

static void wisp__put_content(wisp__writer *to, const wisp__message *m) {
    wisp__put_bits(to, m->bytes, m->shape_bits);
    wisp__put_bits(to, m->bytes + m->data_at, m->data_bits);
}

static void wisp__put_unbound(wisp__writer *to, const wisp__message *m) {
    wisp__put_length(to, (uint64_t)(m->shape_bits + m->data_bits));
    wisp__put_content(to, m);
}

/* Both are readable for a word beyond their bits. */
static bool wisp__same_bits(const uint8_t *a, const uint8_t *b, int64_t bits) {
    for (; bits >= 64; bits -= 64, a += 8, b += 8)
        if (wisp__load64(a) != wisp__load64(b)) return false;
    return !bits || (wisp__load64(a) ^ wisp__load64(b)) << (64 - bits) == 0;
}

/* A message by itself, in the form its peer can read. `floor`: of the peer's calls. */
static void wisp__put_message(wisp__writer *to, const wisp__message *m, bool bound,
                              uint32_t floor) {
    uint64_t id = (uint64_t)wisp__wire_id(m->remote);
    if (m->type == WISP__EVENT) {
        wisp__put(to, bound ? 2 : 8, bound ? 2 : 4);
        wisp__put_length(to, id);
    } else if (m->type == WISP__INVOKE) {
        wisp__put_control(to, WISP__R_INVOKE);
        wisp__put_length(to, id);
        wisp__put(to, m->call & WISP__LOW_24, 24);
        wisp__put_small(to, wisp__distance(m->call, floor) > 0 ? m->call - floor : 0);
        wisp__put(to, bound, 1);
    } else {
        wisp__put_control(to, WISP__R_REPLY);
        wisp__put(to, m->call & WISP__LOW_24, 24);
        wisp__put(to, m->result == WISP_OK, 1);
        if (m->result != WISP_OK) wisp__put(to, (uint16_t)m->result, 16);
        bound = true;
    }
    if (bound) wisp__put_content(to, m);
    else wisp__put_unbound(to, m);
}

/* As the message before in this packet, in one bit, or counted; false: not alike. */
static bool wisp__put_alike(wisp__filler *f, const wisp__message *m) {
    const wisp__message *p = f->previous;
    if (!p || m->type != WISP__EVENT || p->remote != m->remote || p->shape_bits != m->shape_bits ||
        !wisp__same_bits(p->bytes, m->bytes, m->shape_bits))
        return false;
    if (p->data_bits == m->data_bits && f->run < 4096 &&
        wisp__same_bits(p->bytes + p->data_at, m->bytes + m->data_at,
                        m->data_bits)) {
        f->run++;
        return true;
    }
    wisp__fill_run(f);
    wisp__put(&f->to, 1, 1);
    wisp__put_bits(&f->to, m->bytes + m->data_at, m->data_bits);
    return true;
}

static bool wisp__fill_announcement(wisp__filler *f, int index) {
    const wisp__remote *remote = f->sender->registry->remotes[index];
    wisp__route *route = wisp__route_of(f->sender->base, f->session, index);
    int64_t at;
    int length = (int)strlen(remote->name);
    if (!route || !wisp__fill_may(f)) return false;
    wisp__fill_run(f);
    at = f->to.at;
    wisp__put_control(&f->to, WISP__R_ANNOUNCE);
    wisp__put_length(&f->to, (uint64_t)wisp__wire_id(index));
    wisp__put_length(&f->to, (uint64_t)length);
    for (int i = 0; i < length; i++) wisp__put(&f->to, (uint8_t)remote->name[i], 8);
    wisp__put(&f->to, 0, 16);
    wisp__put_length(&f->to, 0);
    if (!wisp__fill_done(f, at)) return false;
    wisp__fill_carry(f, WISP__R_ANNOUNCE, 0, (uint32_t)index);
    route->known = f->sender->base->reliable ? WISP__HEARD : WISP__TOLD;
    route->told_in = f->session->peer.flow.next;
    return true;
}

/* The announcement that must stand before a message, if its peer may not have it yet. When both
   are too large for one packet the announcement goes alone, and the message waits for its ack. */
static inline wisp__fit wisp__fill_introduce(wisp__filler *f, const wisp__message *m, int bytes) {
    wisp__route *route = wisp__route_of(f->sender->base, f->session, m->remote);
    uint64_t packet = f->session->peer.flow.next;
    int name;
    bool beside;
    if (!route) return WISP__WAITS;
    if (m->type == WISP__REPLY || route->known >= WISP__HEARD) return WISP__FITS;
    name = (int)strlen(f->sender->registry->remotes[m->remote]->name);
    beside = bytes + name + 32 <= wisp__piece_bytes(f->sender->base);
    if (route->known == WISP__TOLD && !beside) return WISP__WAITS;
    if (route->known == WISP__TOLD && route->told_in == packet) return WISP__FITS;
    if (!wisp__fill_announcement(f, m->remote)) return WISP__FULL;
    return beside || route->known >= WISP__HEARD ? WISP__FITS : WISP__WAITS;
}

/* Puts one message into the packet. */
static wisp__fit wisp__fill_message(wisp__filler *f, const wisp__message *m, uint32_t sequence) {
    wisp__session *s = f->session;
    const wisp__message *previous;
    wisp__fit fit;
    int64_t at;
    int run;
    bool bound;
    if (f->values + m->values > WISP__PACKET_VALUES && f->messages) return WISP__FULL;
    if (f->messages >= WISP__PACKET_MESSAGES) return WISP__FULL;
    fit = wisp__fill_introduce(f, m, m->size);
    if (fit != WISP__FITS) return fit;
    at = f->to.at;
    run = f->run;
    previous = f->previous;
    bound = m->type == WISP__REPLY || s->routes[m->remote].known == WISP__BOUND;
    wisp__put_section(f, m->delivery, m->channel, sequence);
    if (!bound || !wisp__put_alike(f, m)) {
        wisp__fill_run(f);
        wisp__put_message(&f->to, m, bound, s->call_floor);
    }
    if (f->to.full) {
        f->to.at = at;
        f->to.full = false;
        f->run = run;
        f->previous = previous;
        return WISP__FULL;
    }
    f->eliciting = true;
    f->delivery = m->delivery;
    f->channel = m->channel;
    f->sequence = sequence + 1;
    f->previous = bound && m->type == WISP__EVENT ? m : NULL;
    f->values += m->values;
    f->messages++;
    return WISP__FITS;
}

/* A slice of a large message. */
static wisp__fit wisp__fill_fragment(wisp__filler *f, const wisp__item *item, uint32_t sequence) {
    const wisp__message *m = item->message;
    int total = m->size;
    int64_t at;
    wisp__fit fit = WISP__FITS;
    if (item->offset == 0) fit = wisp__fill_introduce(f, m, item->size);
    if (fit != WISP__FITS) return fit;
    wisp__fill_run(f);
    at = f->to.at;
    wisp__put_section(f, WISP_RELIABLE, m->channel, sequence);
    wisp__put_control(&f->to, WISP__R_FRAGMENT);
    wisp__put(&f->to, item->offset == 0, 1);
    wisp__put(&f->to, item->offset + item->size == total, 1);
    wisp__put(&f->to, (uint64_t)item->size, 16);
    wisp__put_bits(&f->to, m->bytes + item->offset, (int64_t)item->size * 8);
    f->previous = NULL;
    if (!wisp__fill_done(f, at)) return WISP__FULL;
    f->delivery = WISP_RELIABLE;
    f->channel = m->channel;
    f->sequence = sequence + 1;
    return WISP__FITS;
}

static wisp__fit wisp__fill_item(wisp__filler *f, const wisp__item *item, uint32_t sequence) {
    wisp__fit fit;
    if (!wisp__fill_may(f)) return WISP__WAITS;
    fit = item->offset < 0 ? wisp__fill_message(f, item->message, sequence)
                           : wisp__fill_fragment(f, item, sequence);
    if (fit == WISP__FITS) wisp__fill_carry(f, WISP__R_EVENT, item->message->channel, sequence);
    return fit;
}

/* --- the queue --- */

static wisp_result wisp__enqueue(wisp__sender *sender, wisp__session *s, wisp__message *m) {
    wisp__base *base = sender->base;
    wisp__route *route = wisp__route_of(base, s, m->remote);
    wisp__entry *entry;
    int bytes = m->size;
    if (!route) return WISP_E_MEMORY;
    if (s->queued >= base->limits.queue_messages ||
        bytes > base->limits.queue_bytes - s->queued_bytes) {
        if (!s->peer.stats.messages_refused++)
            wisp__log(base, WISP_LOG_WARNING, WISP_E_QUEUE_FULL, "send queue is full: send less, "
                      "or raise desc.limits.queue_messages and queue_bytes");
        return WISP_E_QUEUE_FULL;
    }
    if (s->active_count == s->active_room &&
        wisp__grow(base, (void **)&s->active, &s->active_room, s->active_count + 1, 1 << 15,
                   sizeof *s->active))
        return WISP_E_MEMORY;
    entry = (wisp__entry *)wisp__chunk_take(base, sender->chunks, sizeof *entry);
    if (!entry) return WISP_E_MEMORY;
    entry->next = NULL;
    entry->message = m;
    m->references++;
    if (route->last) route->last->next = entry;
    else route->first = entry;
    route->last = entry;
    if (!route->active) s->active[s->active_count++] = (uint16_t)m->remote;
    route->active = true;
    s->queued++;
    s->queued_bytes += bytes;
    wisp__peers_mark(sender->peers, &s->peer);
    return WISP_OK;
}

/* Takes the first message off a route's queue; its reference passes to the caller. */
static wisp__message *wisp__dequeue(wisp__sender *sender, wisp__session *s, int index) {
    wisp__route *route = &s->routes[index];
    wisp__entry *entry = route->first;
    wisp__message *m = entry->message;
    route->first = entry->next;
    if (!route->first) route->last = NULL;
    s->queued--;
    s->queued_bytes -= m->size;
    wisp__chunk_give(sender->base, sender->chunks, entry, sizeof *entry);
    for (int i = 0; !route->first && i < s->active_count; i++) {
        if (s->active[i] != index) continue;
        s->active[i] = s->active[--s->active_count];
        route->active = false;
        break;
    }
    return m;
}

/* What waits together: a channel, or all that is not reliable. */
static int wisp__line_of(const wisp__message *m) {
    return m->delivery == WISP_RELIABLE ? m->channel : WISP__CHANNELS;
}

static double wisp__urgency(const wisp__registry *registry, const wisp__message *m) {
    return (double)registry->remotes[m->remote]->now.batch_priority + WISP__AGING * m->time;
}

/* The route whose first message goes next: lowest priority number, then fired first. -1: none.
   `only` >= 0 looks at that route alone; `blocked` marks lines that wait. */
static int wisp__queue_pick(const wisp__sender *sender, const wisp__session *s, int only,
                            uint32_t blocked) {
    int best = -1;
    double best_key = 0;
    uint64_t best_order = 0;
    for (int i = 0; i < s->active_count; i++) {
        int index = s->active[i];
        const wisp__message *m = s->routes[index].first->message;
        double key = wisp__urgency(sender->registry, m);
        if (only >= 0 && index != only) continue;
        if (blocked >> wisp__line_of(m) & 1) continue;
        if (best >= 0 && (key > best_key || (key >= best_key && m->order > best_order))) continue;
        best = index;
        best_key = key;
        best_order = m->order;
    }
    return best;
}

/* --- what goes into a packet, in this order --- */

/* The records of one run; false: the packet is full, and what is left stays in the run. */
static bool wisp__fill_control(wisp__filler *f, wisp__control *control) {
    while (control->count) {
        int64_t at = f->to.at;
        if (!wisp__fill_may(f)) return false;
        wisp__put_control(&f->to, (wisp__record)control->kind);
        wisp__put_length(&f->to, control->number);
        if (!wisp__fill_done(f, at)) return false;
        wisp__fill_carry(f, (wisp__record)control->kind, 0, control->number);
        control->number++;
        control->count--;
    }
    return true;
}

static wisp__fit wisp__fill_controls(wisp__filler *f) {
    wisp__session *s = f->session;
    int done = 0;
    while (done < s->control_count && wisp__fill_control(f, &s->controls[done])) done++;
    s->control_count -= done;
    if (s->control_count) {
        memmove(s->controls, s->controls + done, (size_t)s->control_count * sizeof *s->controls);
        return WISP__FULL;
    }
    for (; s->untold < f->sender->registry->count; s->untold++) {
        wisp__route *route = wisp__route_of(f->sender->base, s, s->untold);
        if (!route) return WISP__FULL;
        if (route->known == WISP__UNTOLD && !wisp__fill_announcement(f, s->untold))
            return WISP__FULL;
    }
    if (s->ping) {
        int64_t at = f->to.at;
        wisp__put_control(&f->to, WISP__R_PING);
        if (!wisp__fill_done(f, at)) return WISP__FULL;
        s->ping = false;
    }
    return WISP__FITS;
}

static wisp__fit wisp__fill_lost(wisp__filler *f) {
    for (int c = 0; c < f->session->peer.lane_end; c++) {
        wisp__lane *lane = f->session->peer.lanes[c];
        uint32_t sequence;
        while (lane && wisp__lane_lost(&lane->out, &sequence)) {
            wisp__fit fit = wisp__fill_item(f, wisp__lane_item(&lane->out, sequence), sequence);
            if (fit == WISP__WAITS) break;
            if (fit == WISP__FULL) return fit;
            wisp__lane_resent(&lane->out, sequence);
            f->session->peer.stats.messages_resent++;
        }
    }
    return WISP__FITS;
}

/* Is there room for an item at the receiver, and in the channel? */
static bool wisp__window_open(const wisp__filler *f, const wisp__lane_out *out, int size) {
    const wisp__peer *peer = &f->session->peer;
    if (f->sender->base->reliable) return true;
    if (out->next - out->base >= peer->window_items) return false;
    return peer->window_used == 0 || peer->window_used + size <= peer->window_bytes;
}

/* Sends an item of a channel for the first time. On a reliable link there is no window. */
static wisp__fit wisp__fill_first(wisp__filler *f, wisp__lane_out *out, wisp__item item) {
    wisp__fit fit;
    uint32_t sequence = out->next;
    if (f->sender->base->reliable) {
        fit = wisp__fill_item(f, &item, sequence);
        if (fit == WISP__FITS) out->base = out->lost_from = ++out->next;
        return fit;
    }
    if (wisp__lane_push(f->sender->base, out, item)) return WISP__WAITS;
    fit = wisp__fill_item(f, &item, sequence);
    if (fit != WISP__FITS) {
        item.message->references--;
        out->next--;
    } else {
        f->session->peer.window_used += item.size;
    }
    return fit;
}

static wisp__fit wisp__fill_cutting(wisp__filler *f, int channel, uint32_t *blocked) {
    wisp__lane_out *out = &f->session->peer.lanes[channel]->out;
    while (out->cutting) {
        wisp__item item;
        int total = out->cutting->size;
        wisp__fit fit;
        memset(&item, 0, sizeof item);
        item.message = out->cutting;
        item.offset = out->cut;
        item.size = wisp__min_int(wisp__piece_bytes(f->sender->base), total - out->cut);
        *blocked |= 1u << channel;
        if (!wisp__window_open(f, out, item.size)) return WISP__FITS;
        fit = wisp__fill_first(f, out, item);
        if (fit != WISP__FITS) return fit == WISP__WAITS ? WISP__FITS : fit;
        out->cut += item.size;
        if (out->cut < total) continue;
        wisp__message_release(f->sender->base, f->sender->chunks, out->cutting);
        out->cutting = NULL;
        *blocked &= ~(1u << channel);
    }
    return WISP__FITS;
}

/* The same message as one record in bytes, to be cut. NULL: no memory. */
static wisp__message *wisp__message_whole(wisp__sender *sender, const wisp__message *m,
                                          uint32_t floor) {
    int bytes = m->size + 32;
    size_t chunk = sizeof *m + (size_t)bytes + WISP__SLACK;
    wisp__message *whole = (wisp__message *)wisp__chunk_take(sender->base, sender->chunks, chunk);
    wisp__writer to;
    if (!whole) return NULL;
    *whole = *m;
    whole->references = 1;
    whole->chunk_bytes = (int)chunk;
    to = wisp__writer_on(whole->bytes, bytes);
    wisp__put_message(&to, m, false, floor);
    wisp__put_align(&to);
    wisp__message_measure(whole, 0, to.at);
    return whole;
}

static wisp__fit wisp__fill_queued(wisp__filler *f, int index, uint32_t *blocked) {
    wisp__sender *sender = f->sender;
    wisp__session *s = f->session;
    wisp__message *m = s->routes[index].first->message;
    wisp__remote *remote = sender->registry->remotes[index];
    wisp__fit fit;
    if (s->routes[index].known == WISP__UNKNOWN && m->type != WISP__REPLY) {
        remote->stats.undeliverable++;
        s->peer.stats.messages_abandoned++;
        wisp__message_release(sender->base, sender->chunks, wisp__dequeue(sender, s, index));
        return WISP__FITS;
    }
    if (m->delivery == WISP_RELIABLE) {
        wisp__lane *lane = wisp__peer_lane(sender->base, &s->peer, m->channel);
        wisp__item item;
        memset(&item, 0, sizeof item);
        item.message = m;
        item.offset = -1;
        item.size = m->size + 16;
        if (!lane || !wisp__window_open(f, &lane->out, item.size)) return WISP__WAITS;
        if (m->size > wisp__piece_bytes(sender->base)) {
            lane->out.cutting = wisp__message_whole(sender, m, s->call_floor);
            lane->out.cut = 0;
            if (!lane->out.cutting) return WISP__WAITS;
            fit = WISP__FITS;
        } else {
            fit = wisp__fill_first(f, &lane->out, item);
        }
    } else {
        fit = wisp__fill_message(f, m, 0);
    }
    if (fit != WISP__FITS) return fit;
    remote->stats.messages_sent++;
    remote->stats.bits_sent += (uint64_t)(m->shape_bits + m->data_bits);
    s->peer.stats.messages_sent++;
    sender->base->stats.messages_sent++;
    if (f->kept && f->previous == f->kept) {        /* nothing was written of this message yet */
        wisp__fill_run(f);
        f->previous = NULL;
    }
    if (f->kept) wisp__message_release(sender->base, sender->chunks, f->kept);
    f->kept = wisp__dequeue(sender, s, index);
    return m->delivery == WISP_RELIABLE && s->peer.lanes[m->channel]->out.cutting
               ? wisp__fill_cutting(f, m->channel, blocked) : WISP__FITS;
}

/* Fills a packet with all that may go. */
static wisp__fit wisp__fill(wisp__filler *f, int only) {
    uint32_t blocked = 0;
    int index;
    wisp__fit fit = only >= 0 ? WISP__FITS : wisp__fill_controls(f);
    if (fit == WISP__FITS && only < 0) fit = wisp__fill_lost(f);
    for (int c = 0; c < f->session->peer.lane_end && fit == WISP__FITS; c++)
        if (f->session->peer.lanes[c]) fit = wisp__fill_cutting(f, c, &blocked);
    while (fit == WISP__FITS &&
           (index = wisp__queue_pick(f->sender, f->session, only, blocked)) >= 0) {
        int line = wisp__line_of(f->session->routes[index].first->message);
        fit = wisp__fill_queued(f, index, &blocked);
        if (fit != WISP__WAITS) continue;
        blocked |= 1u << line;
        fit = WISP__FITS;
    }
    return fit;
}

/* --- packets --- */

static void wisp__packet_begin(wisp__filler *f, wisp__sender *sender, wisp__session *s) {
    wisp__flow *flow = &s->peer.flow;
    int wide = wisp__number_bits(flow) == 32;
    memset(f, 0, sizeof *f);
    f->sender = sender;
    f->session = s;
    f->packet = wisp__post_buffer(sender->peers);
    f->head = sender->base->reliable ? 5 : wide ? 9 : 7;
    f->packet[0] = (uint8_t)(WISP__FLAG_SESSION | (wide ? WISP__FLAG_WIDE : 0));
    f->to = wisp__writer_on(f->packet + f->head, sender->base->mtu - f->head);
    f->to.end -= WISP__RUN_BITS;
    f->first_ref = flow->ref_next;
    if (!sender->base->reliable && flow->unacked && wisp__flow_acks_fit(flow, WISP__ACK_BYTES))
        f->acks = wisp__flow_put_acks(flow, &f->to, sender->base->time, WISP__ACK_BYTES);
    if (f->acks) f->packet[0] |= WISP__FLAG_ACKS;
}

static void wisp__packet_end(wisp__filler *f) {
    wisp__peers *peers = f->sender->peers;
    wisp__peer *peer = &f->session->peer;
    wisp__flow *flow = &peer->flow;
    int size;
    wisp__fill_run(f);
    f->to.end += WISP__RUN_BITS;
    wisp__put_align(&f->to);
    size = f->head + (int)(f->to.at / 8);
    if (f->sender->base->reliable) {
        flow->next = ++peer->sent_in_order;
    } else {
        uint64_t number = flow->next;
        for (int i = 0; i < f->head - 5; i++) f->packet[5 + i] = (uint8_t)(number >> (8 * i));
        if (f->eliciting) wisp__flow_track(flow, f->sender->base->time, size, f->first_ref);
        flow->acks_alone = f->eliciting ? 0 : flow->acks_alone + 1;
    }
    wisp__put_tag(f->packet + 1, wisp__seal_tag(&peer->seal, !peer->joiner,
                                                flow->next ^ (uint64_t)f->packet[0] << 56,
                                                f->packet + 5, size - 5));
    if (!f->sender->base->reliable) flow->next++;
    peer->stats.packets_sent++;
    peer->stats.bytes_sent += (uint64_t)size;
    peer->spoke = f->sender->base->time;
    wisp__post_add(peers, &peer->addr, peer, f->packet, size);
}

static void wisp__send_acks(wisp__sender *sender, wisp__session *s) {
    wisp__filler f;
    wisp__packet_begin(&f, sender, s);
    if (!f.acks && s->peer.flow.unacked)
        f.acks = wisp__flow_put_acks(&s->peer.flow, &f.to, sender->base->time,
                                     sender->base->mtu - 32);
    if (!f.acks) return;
    f.packet[0] |= WISP__FLAG_ACKS;
    wisp__packet_end(&f);
    if (s->peer.flow.acks_alone >= 64) s->ping = true;    /* so that our acks are acked too */
}

static bool wisp__has_lost(const wisp__session *s) {
    for (int c = 0; c < s->peer.lane_end; c++) {
        const wisp__lane *lane = s->peer.lanes[c];
        if (lane && (lane->out.lost || lane->out.cutting)) return true;
    }
    return false;
}

static bool wisp__wants_to_send(const wisp__sender *sender, const wisp__session *s) {
    return s->queued || s->control_count || s->ping || s->untold < sender->registry->count ||
           wisp__has_lost(s);
}

static bool wisp__may_send(wisp__sender *sender, wisp__session *s) {
    if (s->peer.stuck_first && !s->peer.ending) return false;
    return sender->base->reliable || wisp__flow_may_send(sender->base, &s->peer.flow);
}

/* Sends what waits for a peer, as far as congestion lets. `only` >= 0: one remote alone.
   true: nothing is left that an ack would not call for. */
static bool wisp__flush(wisp__sender *sender, wisp__session *s, int only) {
    wisp__flow *flow = &s->peer.flow;
    bool acked;
    if (s->peer.state != WISP__JOINED) return true;
    wisp__flow_pace(sender->base, flow, sender->base->time);
    while (wisp__wants_to_send(sender, s) && wisp__may_send(sender, s)) {
        wisp__filler f;
        wisp__fit fit;
        wisp__packet_begin(&f, sender, s);
        fit = wisp__fill(&f, only);
        if (f.eliciting || f.acks) wisp__packet_end(&f);
        if (f.kept) wisp__message_release(sender->base, sender->chunks, f.kept);
        if (fit != WISP__FULL || !f.eliciting) break;
    }
    if (!sender->base->reliable && wisp__flow_must_ack(flow, sender->base->time))
        wisp__send_acks(sender, s);
    wisp__peer_timer(sender->peers, &s->peer);
    acked = !sender->base->reliable && flow->in_flight > 0 && flow->pace_tokens > 0;
    return !s->peer.stuck_first && (acked || !wisp__wants_to_send(sender, s));
}

/* What a packet carried has arrived or is lost. */
typedef struct wisp__fate { wisp__sender *sender; wisp__session *session; } wisp__fate;

static void wisp__fate_told(void *owner, const wisp__ref *ref, bool arrived) {
    wisp__fate *fate = (wisp__fate *)owner;
    wisp__session *s = fate->session;
    wisp__peer *peer = &s->peer;
    wisp__sender *sender = fate->sender;
    if (ref->kind == WISP__R_EVENT) {
        wisp__lane_out *out = &peer->lanes[ref->channel]->out;
        peer->window_used -= wisp__lane_told(sender->base, sender->chunks, out, ref->number,
                                             ref->count, arrived);
    }
    for (uint32_t i = 0; i < ref->count && ref->kind != WISP__R_EVENT; i++) {
        int number = (int)(ref->number + i);
        if (ref->kind == WISP__R_ANNOUNCE) {
            wisp__route *route = &s->routes[number];
            if (route->known != WISP__TOLD) continue;
            route->known = arrived ? WISP__HEARD : WISP__UNTOLD;
            if (!arrived) s->untold = wisp__min_int(s->untold, number);
        } else if (!arrived) {
            wisp__control_add(sender->base, s, ref->kind, number);
        }
    }
    if (!arrived) wisp__peers_mark(sender->peers, peer);
}

static void wisp__send_leave(wisp__sender *sender, wisp__session *s) {
    wisp__filler f;
    int length = (int)strlen(s->peer.reason);
    wisp__packet_begin(&f, sender, s);
    wisp__put_control(&f.to, WISP__R_LEAVE);
    wisp__put(&f.to, (uint16_t)s->peer.result, 16);
    wisp__put_length(&f.to, (uint64_t)length);
    for (int i = 0; i < length; i++) wisp__put(&f.to, (uint8_t)s->peer.reason[i], 8);
    wisp__packet_end(&f);
}

/* Lets go of everything a session has queued. */
static void wisp__session_free(wisp__sender *sender, wisp__session *s) {
    wisp__base *base = sender->base;
    while (s->active_count) {
        wisp__message_release(base, sender->chunks, wisp__dequeue(sender, s, s->active[0]));
        s->peer.stats.messages_abandoned++;
    }
    s->peer.stats.messages_abandoned += (uint64_t)wisp__peer_abandon(sender->peers, &s->peer);
    base->stats.messages_abandoned += s->peer.stats.messages_abandoned;
    wisp__free(base, s->routes, (size_t)s->route_room * sizeof *s->routes);
    wisp__free(base, s->theirs, (size_t)s->their_room * sizeof *s->theirs);
    wisp__free(base, s->controls, (size_t)s->control_room * sizeof *s->controls);
    wisp__free(base, s->active, (size_t)s->active_room * sizeof *s->active);
    s->routes = NULL;
    s->theirs = NULL;
    s->controls = NULL;
    s->active = NULL;
    s->route_room = s->their_room = s->control_room = s->active_room = 0;
    s->control_count = 0;
}

/* ===========================================================================
 * MARK: >>event
 * What: connections of handlers, dispatch, events that wait for the next
 *   update, the getters of arguments.
 * Invariants: a connection that ends while handlers run is only marked, and
 *   unlinked when none runs; a notice is never lost but by limits.notices.
 * ======================================================================== */

typedef struct wisp__connection {
    wisp__slot   slot;
    struct wisp__connection *next;
    int          remote;
    bool         once, dead;
    wisp_handler fn;
    void        *user;
} wisp__connection;

typedef struct wisp__notice {
    int         name;              /* index of a reserved remote */
    wisp_peer   peer;
    wisp_remote remote;
    wisp_result result;
    char        text[96];
} wisp__notice;

typedef struct wisp__events {
    wisp__base     *base;
    wisp__registry *registry;
    wisp__pool      pool;          /* connections */
    wisp__notice   *notices;
    int             notice_room, notice_count;
    int             reserved;      /* room kept for "joined" and "left" of the sessions there are */
    int             running;       /* handlers, inside each other */
    bool            dead;          /* some connection is marked */
} wisp__events;

enum { WISP__ON_JOINED, WISP__ON_LEFT, WISP__ON_ERROR };

/* Room for `count` more, beside what is reserved. */
static wisp_result wisp__notices_reserve(wisp__events *events, int count) {
    return wisp__grow(events->base, (void **)&events->notices, &events->notice_room,
                      events->notice_count + events->reserved + count, 1 << 24,
                      sizeof *events->notices);
}

/* "Joined" and "left" have their room reserved; an error may find none. */
WISP__PRINTF(6, 7)
static void wisp__notice_add(wisp__events *events, int name, wisp_peer peer, wisp_remote remote,
                             wisp_result result, const char *format, ...) {
    wisp__base *base = events->base;
    wisp__notice *notice;
    va_list list;
    if (name == WISP__ON_ERROR) {
        base->stats.errors++;
        if (events->notice_count >= base->limits.notices || wisp__notices_reserve(events, 1)) {
            if (!base->stats.notices_dropped++)
                wisp__log(base, WISP_LOG_WARNING, WISP_E_LIMIT, "error events are dropped: update "
                          "more often, or raise desc.limits.notices");
            return;
        }
    }
    WISP_ASSERT(events->notice_count < events->notice_room);
    notice = &events->notices[events->notice_count++];
    notice->name = name;
    notice->peer = peer;
    notice->remote = remote;
    notice->result = result;
    va_start(list, format);
    vsnprintf(notice->text, sizeof notice->text, format, list);
    va_end(list);
    if (name == WISP__ON_ERROR) wisp__log(base, WISP_LOG_WARNING, result, "%s", notice->text);
}

static void wisp__events_connect(wisp__remote *remote, wisp__connection *c) {
    c->remote = remote->index;
    if (remote->last) remote->last->next = c;
    else remote->first = c;
    remote->last = c;
}

static void wisp__events_sweep(wisp__events *events) {
    if (events->running || !events->dead) return;
    events->dead = false;
    for (int i = 0; i < events->registry->count; i++) {
        wisp__remote *remote = events->registry->remotes[i];
        wisp__connection **link = &remote->first;
        remote->last = NULL;
        while (*link) {
            wisp__connection *c = *link;
            if (c->dead) {
                *link = c->next;
                wisp__pool_remove(&events->pool, c);
            } else {
                remote->last = c;
                link = &c->next;
            }
        }
    }
}

static void wisp__events_disconnect(wisp__events *events, wisp__connection *c) {
    if (c->dead) return;
    c->dead = true;
    events->dead = true;
    wisp__events_sweep(events);
}

/* Runs the handlers of a remote that were connected when the event came. false: there is none. */
static bool wisp__events_run(wisp__events *events, wisp__remote *remote, wisp_event *event) {
    wisp__connection *last = remote->last;
    bool any = false;
    events->running++;                  /* so that no connection is unlinked meanwhile */
    for (wisp__connection *c = remote->first; c; c = c->next) {
        if (!c->dead) {
            any = true;
            event->user = c->user;
            if (c->once) wisp__events_disconnect(events, c);
            c->fn(event);
        }
        if (c == last) break;
    }
    events->running--;
    wisp__events_sweep(events);
    return any;
}

/* Dispatches what waits, also what its handlers add, up to the limit. */
static void wisp__events_notices(wisp__events *events, wisp *w, double now) {
    for (int i = 0; i < events->notice_count && i < 4 * events->base->limits.notices; i++) {
        wisp__notice notice = events->notices[i];
        wisp__remote *remote = events->registry->remotes[notice.name];
        wisp_event event;
        memset(&event, 0, sizeof event);
        event.w = w;
        event.peer = notice.peer;
        event.remote = notice.remote;
        event.name = remote->name;
        event.result = notice.result;
        event.text = notice.text;
        event.time = now;
        wisp__events_run(events, remote, &event);
    }
    events->notice_count = 0;
}

static void wisp__events_free(wisp__events *events) {
    wisp__pool_free(events->base, &events->pool);
    wisp__free(events->base, events->notices,
               (size_t)events->notice_room * sizeof *events->notices);
}

wisp_target wisp_by_name(const char *name) {
    wisp_target target = { NULL, { 0 } };
    target.name = name;
    return target;
}

wisp_target wisp_by_handle(wisp_remote remote) {
    wisp_target target = { NULL, { 0 } };
    target.remote = remote;
    return target;
}

enum { WISP__TO_PEER, WISP__TO_ALL, WISP__TO_LIST, WISP__TO_EXCEPT };

static wisp_to wisp__to(int mode, const wisp_peer *list, int count) {
    wisp_to to;
    memset(&to, 0, sizeof to);
    to.mode = mode;
    to.list = list;
    to.count = count;
    return to;
}

wisp_to wisp_to_peer(wisp_peer peer) {
    wisp_to to = wisp__to(WISP__TO_PEER, NULL, 1);
    to.peer = peer;
    return to;
}

wisp_to wisp_to_all(void) { return wisp__to(WISP__TO_ALL, NULL, 0); }

wisp_to wisp_to_list(const wisp_peer *peers, int count) {
    return wisp__to(WISP__TO_LIST, peers, count);
}

wisp_to wisp_to_except(const wisp_peer *peers, int count) {
    return wisp__to(WISP__TO_EXCEPT, peers, count);
}

wisp_peer wisp_server(void) {
    wisp_peer peer;
    peer.id = UINT32_MAX;
    return peer;
}

bool wisp_peer_equal(wisp_peer a, wisp_peer b) { return a.id == b.id; }

/* ===========================================================================
 * MARK: >>call
 * What: calls that wait for an answer, and answers that are kept so that a
 *   repeated call runs its handler once.
 * Invariants: ids of a peer's calls grow; those before the floor are settled;
 *   a call ends exactly once.
 * ======================================================================== */

typedef struct wisp__pending {          /* a call of ours */
    wisp__slot    slot;
    wisp__timer   timer;
    struct wisp__pending *previous, *next;   /* of the same peer, by id */
    wisp__session *session;
    wisp__message *message;             /* kept for repeats; or NULL */
    uint32_t      id;
    int           remote, tries;
    double        deadline, interval;
    wisp_handler  fn, also;             /* also: of wisp_await_reply */
    void         *user, *also_user;
    wisp_peer     peer;
    wisp_result   result;               /* if done without an answer */
    bool          done, deferred;       /* deferred: a call of theirs to be answered later */
    struct wisp__pending *next_done;
} wisp__pending;

enum { WISP__TIMER_PEER, WISP__TIMER_CALL };
enum { WISP__REQUEST_NONE, WISP__REQUEST_RUNS, WISP__REQUEST_DONE };

typedef struct wisp__request {          /* a call of theirs */
    uint32_t       id;
    int            remote;
    uint8_t        state;
    bool           once;                /* came reliably: no repeat will, so it is in no table */
    wisp__message *reply;               /* kept until the call is settled */
} wisp__request;

typedef struct wisp__calls {
    wisp__base    *base;
    wisp__chunks  *chunks;
    wisp__timers  *timers;
    wisp__pool     pool;                       /* ours and the deferred ones */
    wisp__pending *done_first, *done_last;     /* ended, their handlers not yet run */
    int            ours, deferred;             /* in the pool; each up to limits.calls */
} wisp__calls;

static wisp__request *wisp__request_at(const wisp__session *s, uint32_t id) {
    return &s->requests[id & (uint32_t)(s->request_room - 1)];
}

static void wisp__request_forget(wisp__calls *calls, wisp__session *s, wisp__request *request) {
    if (request->reply) {
        s->kept_bytes -= request->reply->size;
        wisp__message_release(calls->base, calls->chunks, request->reply);
    }
    memset(request, 0, sizeof *request);
}

/* Keeps the answer for repeats of the call, unless too much is kept for this peer. */
static void wisp__request_keep(wisp__calls *calls, wisp__session *s, wisp__request *request,
                               wisp__message *reply) {
    int bytes = reply->size;
    request->state = WISP__REQUEST_DONE;
    if (request->reply || bytes > calls->base->limits.queue_bytes - s->kept_bytes) return;
    s->kept_bytes += bytes;
    reply->references++;
    request->reply = reply;
}

/* The caller has settled every call before `floor`. */
static void wisp__requests_settle(wisp__calls *calls, wisp__session *s, uint32_t floor) {
    int32_t ahead = wisp__distance(floor, s->request_floor);
    if (ahead <= 0) return;
    s->steps += wisp__min_int(ahead, s->request_room);
    if (ahead > s->request_room) {
        for (int i = 0; i < s->request_room; i++)
            if (wisp__distance(s->requests[i].id, floor) < 0)
                wisp__request_forget(calls, s, &s->requests[i]);
    } else {
        for (uint32_t id = s->request_floor; id != floor; id++)
            if (wisp__request_at(s, id)->id == id)
                wisp__request_forget(calls, s, wisp__request_at(s, id));
    }
    s->request_floor = floor;
}

/* The place for a call of theirs, new (state NONE) or known; NULL with the reason. */
static wisp__request *wisp__request_take(wisp__calls *calls, wisp__session *s, uint32_t id,
                                         wisp_result *why) {
    wisp__request *request;
    *why = WISP_E_EXPIRED;
    if (wisp__distance(id, s->request_floor) < 0) return NULL;
    *why = WISP_E_LIMIT;
    while (id - s->request_floor >= (uint32_t)s->request_room) {
        wisp__request *old = s->requests, *larger;
        int limit = calls->base->limits.calls_remembered;
        int room = s->request_room ? s->request_room * 2 : wisp__min_int(limit, 8);
        if (room > limit) return NULL;
        larger = (wisp__request *)wisp__alloc(calls->base, (size_t)room * sizeof *larger);
        if (!larger) return NULL;
        for (int i = 0; i < s->request_room; i++)
            if (old[i].state) larger[old[i].id & (uint32_t)(room - 1)] = old[i];
        wisp__free(calls->base, old, (size_t)s->request_room * sizeof *old);
        s->requests = larger;
        s->request_room = room;
    }
    request = wisp__request_at(s, id);
    if (request->state && request->id == id) return request;
    if (request->state) wisp__request_forget(calls, s, request);
    request->id = id;
    return request;
}

/* A slot for a call of ours or a deferred one of theirs; NULL with the reason. */
static wisp__pending *wisp__call_add(wisp__calls *calls, bool deferred, wisp_result *why) {
    int *count = deferred ? &calls->deferred : &calls->ours;
    wisp__pending *call;
    *why = WISP_E_LIMIT;
    if (*count >= calls->base->limits.calls) return NULL;
    *why = wisp__timers_reserve(calls->base, calls->timers);
    if (*why) return NULL;
    call = (wisp__pending *)wisp__pool_add(calls->base, &calls->pool, why);
    if (!call) return NULL;
    call->timer.kind = WISP__TIMER_CALL;
    call->deferred = deferred;
    calls->timers->owners++;
    ++*count;
    return call;
}

static void wisp__call_remove(wisp__calls *calls, wisp__pending *call) {
    calls->timers->owners--;
    --*(call->deferred ? &calls->deferred : &calls->ours);
    wisp__pool_remove(&calls->pool, call);
}

static void wisp__call_link(wisp__session *s, wisp__pending *call) {
    call->session = s;
    call->id = s->next_call++;
    call->previous = s->calls_last;
    if (s->calls_last) s->calls_last->next = call;
    else s->calls_first = call;
    s->calls_last = call;
    s->call_floor = s->calls_first->id;
}

static void wisp__call_unlink(wisp__pending *call) {
    wisp__session *s = call->session;
    if (!s) return;
    if (call->previous) call->previous->next = call->next;
    else s->calls_first = call->next;
    if (call->next) call->next->previous = call->previous;
    else s->calls_last = call->previous;
    s->call_floor = s->calls_first ? s->calls_first->id : s->next_call;
    call->session = NULL;
}

/* Forgets what timer, list and window hold of a call of ours. */
static void wisp__call_settle(wisp__calls *calls, wisp__pending *call) {
    wisp__timers_stop(calls->timers, &call->timer);
    wisp__call_unlink(call);
    if (call->message) wisp__message_release(calls->base, calls->chunks, call->message);
    call->message = NULL;
}

static void wisp__deferred_link(wisp__session *s, wisp__pending *call) {
    call->session = s;
    call->next = s->deferred;
    if (call->next) call->next->previous = call;
    s->deferred = call;
}

static void wisp__deferred_remove(wisp__calls *calls, wisp__pending *call) {
    if (call->previous) call->previous->next = call->next;
    else call->session->deferred = call->next;
    if (call->next) call->next->previous = call->previous;
    wisp__call_remove(calls, call);
}

/* Ends a call without an answer; its handler runs in wisp__calls_finish. */
static void wisp__call_end(wisp__calls *calls, wisp__pending *call, wisp_result result) {
    if (call->done) return;
    call->done = true;
    call->result = result;
    wisp__call_settle(calls, call);
    if (calls->done_last) calls->done_last->next_done = call;
    else calls->done_first = call;
    calls->done_last = call;
}

/* The oldest call that is over and whose handler has not run; taken off the list. */
static wisp__pending *wisp__calls_next_done(wisp__calls *calls) {
    wisp__pending *call = calls->done_first;
    if (!call) return NULL;
    calls->done_first = call->next_done;
    if (!calls->done_first) calls->done_last = NULL;
    return call;
}

/* A peer is gone: its calls end, its answers are forgotten. */
static void wisp__calls_leave(wisp__calls *calls, wisp__session *s) {
    while (s->calls_first) wisp__call_end(calls, s->calls_first, WISP_E_CLOSED);
    while (s->deferred) wisp__deferred_remove(calls, s->deferred);
    for (int i = 0; i < s->request_room; i++) wisp__request_forget(calls, s, &s->requests[i]);
    wisp__free(calls->base, s->requests, (size_t)s->request_room * sizeof *s->requests);
    s->requests = NULL;
    s->request_room = 0;
}

/* The call of ours that an answer is for, sought from the nearer end; NULL: none that waits. One
   packet may name 64 such in vain, that is the bound of its work. */
static wisp__pending *wisp__call_find(wisp__session *s, uint32_t low) {
    uint32_t id = s->call_floor + (uint32_t)wisp__ahead_24(low, s->call_floor);
    int32_t from_floor = wisp__distance(id, s->call_floor);
    int32_t to_end = wisp__distance(s->next_call, id);
    wisp__pending *call = from_floor <= to_end ? s->calls_first : s->calls_last;
    if (from_floor < 0 || to_end <= 0 || s->misses >= 64) return NULL;
    while (call && call->id != id) call = from_floor <= to_end ? call->next : call->previous;
    if (!call) s->misses++;
    return call;
}

/* ===========================================================================
 * MARK: >>links
 * What: networks inside the process, for tests and demos.
 * Invariants: a pipe keeps order and loses nothing but what is over its
 *   capacity; a simulator's decisions depend on its seed and its time alone.
 * ======================================================================== */

typedef struct wisp__parcel { struct wisp__parcel *next; wisp_addr addr; int size; } wisp__parcel;

typedef struct wisp__pipe_side {
    wisp_pipe    *pipe;
    int           index, waiting;          /* bytes */
    wisp__parcel *first, *last, *spare;
} wisp__pipe_side;

wisp_addr wisp_loopback_addr(int side) {
    wisp_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.bytes[0] = 'p';
    addr.bytes[1] = (unsigned char)(side & 255);
    addr.bytes[2] = (unsigned char)(side >> 8);
    return addr;
}

static wisp__pipe_side *wisp__pipe_side_at(wisp_pipe *pipe, int index) {
    wisp__pipe_side *side;
    if (index < 0 || index > 65535) return NULL;
    if (index >= pipe->side_count) {
        int count = wisp__power_of_two(index + 2);
        size_t bytes = (size_t)count * sizeof *pipe->sides;
        wisp__pipe_side **sides = (wisp__pipe_side **)pipe->memory.alloc(pipe->memory.user, bytes);
        if (!sides) return NULL;
        memset(sides, 0, bytes);
        if (pipe->sides) {
            memcpy(sides, pipe->sides, (size_t)pipe->side_count * sizeof *sides);
            pipe->memory.free(pipe->memory.user, pipe->sides,
                              (size_t)pipe->side_count * sizeof *sides);
        }
        pipe->sides = sides;
        pipe->side_count = count;
    }
    if (pipe->sides[index]) return pipe->sides[index];
    side = (wisp__pipe_side *)pipe->memory.alloc(pipe->memory.user, sizeof *side);
    if (!side) return NULL;
    memset(side, 0, sizeof *side);
    side->pipe = pipe;
    side->index = index;
    pipe->sides[index] = side;
    return side;
}

static size_t wisp__parcel_bytes(const wisp_pipe *pipe) {
    return sizeof(wisp__parcel) + (size_t)wisp__default_int(pipe->mtu, 1200);
}

static void wisp__pipe_put(wisp__pipe_side *from, wisp_packet *packet) {
    wisp_pipe *pipe = from->pipe;
    int index = packet->addr.bytes[1] | packet->addr.bytes[2] << 8;
    wisp__pipe_side *to = index < pipe->side_count ? pipe->sides[index] : NULL;
    wisp__parcel *parcel;
    packet->status = 0;
    if (!to || packet->size > wisp__default_int(pipe->mtu, 1200)) return;
    if (to->waiting + packet->size > wisp__default_int(pipe->capacity, 4 << 20)) {
        if (pipe->reliable) packet->status = WISP_E_AGAIN;
        return;
    }
    parcel = to->spare;
    if (parcel) to->spare = parcel->next;
    else parcel = (wisp__parcel *)pipe->memory.alloc(pipe->memory.user, wisp__parcel_bytes(pipe));
    if (!parcel) {
        packet->status = WISP_E_AGAIN;
        return;
    }
    parcel->next = NULL;
    parcel->addr = wisp_loopback_addr(from->index);
    parcel->size = packet->size;
    if (packet->size) memcpy(parcel + 1, packet->data, (size_t)packet->size);
    to->waiting += packet->size;
    if (to->last) to->last->next = parcel;
    else to->first = parcel;
    to->last = parcel;
}

/* Was a packet before this one refused, to the same address? Then this one is: order. */
static bool wisp__pipe_refused(const wisp_packet *packets, int at) {
    const wisp_addr *addr = &packets[at].addr;
    for (int i = 0; i < at; i++)
        if (packets[i].status && memcmp(&packets[i].addr, addr, sizeof *addr) == 0) return true;
    return false;
}

static int wisp__pipe_send(void *user, wisp_packet *packets, int count) {
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (any && wisp__pipe_refused(packets, i)) packets[i].status = WISP_E_AGAIN;
        else wisp__pipe_put((wisp__pipe_side *)user, &packets[i]);
        any = any || packets[i].status;
    }
    return count;
}

static int wisp__pipe_recv(void *user, wisp_packet *packets, int count) {
    wisp__pipe_side *side = (wisp__pipe_side *)user;
    int filled = 0;
    while (filled < count && side->first) {
        wisp__parcel *parcel = side->first;
        wisp_packet *packet = &packets[filled++];
        side->first = parcel->next;
        if (!side->first) side->last = NULL;
        side->waiting -= parcel->size;
        packet->addr = parcel->addr;
        packet->size = wisp__min_int(parcel->size, packet->size);
        if (packet->size) memcpy(packet->data, parcel + 1, (size_t)packet->size);
        parcel->next = side->spare;
        side->spare = parcel;
    }
    return filled;
}

wisp_link wisp_loopback(wisp_pipe *pipe, int side) {
    wisp_link link;
    memset(&link, 0, sizeof link);
    if (!pipe || !wisp__allocator_defaults(&pipe->memory)) return link;
    link.user = wisp__pipe_side_at(pipe, side);
    if (!link.user) return link;
    link.send = wisp__pipe_send;
    link.recv = wisp__pipe_recv;
    link.mtu = wisp__default_int(pipe->mtu, 1200);
    link.reliable = pipe->reliable;
    link.drains = true;
    return link;
}

static void wisp__parcels_free(wisp_pipe *pipe, wisp__parcel *parcel) {
    while (parcel) {
        wisp__parcel *next = parcel->next;
        pipe->memory.free(pipe->memory.user, parcel, wisp__parcel_bytes(pipe));
        parcel = next;
    }
}

void wisp_pipe_free(wisp_pipe *pipe) {
    if (!pipe || !pipe->sides) return;
    for (int i = 0; i < pipe->side_count; i++) {
        wisp__pipe_side *side = pipe->sides[i];
        if (!side) continue;
        wisp__parcels_free(pipe, side->first);
        wisp__parcels_free(pipe, side->spare);
        pipe->memory.free(pipe->memory.user, side, sizeof *side);
    }
    pipe->memory.free(pipe->memory.user, pipe->sides,
                      (size_t)pipe->side_count * sizeof *pipe->sides);
    pipe->sides = NULL;
    pipe->side_count = 0;
}

/* --- the bad network --- */

typedef struct wisp__transit {
    double    due;
    uint64_t  order;
    wisp_addr addr;
    uint8_t  *bytes;
    int       size;
} wisp__transit;

/* Uniform in 0..1 (splitmix64). */
static double wisp__simulator_chance(wisp_simulator *sim) {
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static bool wisp__transit_before(const wisp__transit *a, const wisp__transit *b) {
    return a->due < b->due || (a->due <= b->due && a->order < b->order);
}

static void wisp__transit_sift(wisp_simulator *sim, int at) {
    wisp__transit *t = sim->transit, item = t[at];
    while (at && wisp__transit_before(&item, &t[(at - 1) / 2])) {
        t[at] = t[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    for (;;) {
        int child = at * 2 + 1, other = child + 1;
        if (child >= sim->transit_count) break;
        if (other < sim->transit_count && wisp__transit_before(&t[other], &t[child])) child = other;
        if (!wisp__transit_before(&t[child], &item)) break;
        t[at] = t[child];
        at = child;
    }
    t[at] = item;
}

static bool wisp__transit_room(wisp_simulator *sim) {
    int room = sim->transit_room ? sim->transit_room * 2 : 64;
    size_t bytes = (size_t)room * sizeof *sim->transit;
    wisp__transit *larger;
    if (sim->transit_count >= wisp__default_int(sim->capacity, 65536)) return false;
    if (sim->transit_count < sim->transit_room) return true;
    larger = (wisp__transit *)sim->memory.alloc(sim->memory.user, bytes);
    if (!larger) return false;
    if (sim->transit) {
        memcpy(larger, sim->transit, (size_t)sim->transit_count * sizeof *larger);
        sim->memory.free(sim->memory.user, sim->transit,
                         (size_t)sim->transit_room * sizeof *larger);
    }
    sim->transit = larger;
    sim->transit_room = room;
    return true;
}

static void wisp__simulator_delay(wisp_simulator *sim, const wisp_packet *packet, double due) {
    wisp__transit *item;
    uint8_t *bytes;
    if (!wisp__transit_room(sim)) {
        sim->lost++;
        return;
    }
    bytes = (uint8_t *)sim->memory.alloc(sim->memory.user, (size_t)packet->size + 1);
    if (!bytes) {
        sim->lost++;
        return;
    }
    if (packet->size) memcpy(bytes, packet->data, (size_t)packet->size);
    item = &sim->transit[sim->transit_count++];
    item->due = due;
    item->order = sim->order++;
    item->addr = packet->addr;
    item->bytes = bytes;
    item->size = packet->size;
    wisp__transit_sift(sim, sim->transit_count - 1);
}

/* Bursts are a two-state chain (Gilbert): the mean share lost stays `loss`. */
static bool wisp__simulator_loses(wisp_simulator *sim) {
    double end;
    if (sim->burst <= 1) return wisp__simulator_chance(sim) < sim->loss;
    if (sim->loss >= 1) return true;
    end = 1 / sim->burst;
    if (sim->in_burst) sim->in_burst = wisp__simulator_chance(sim) >= end;
    else sim->in_burst = wisp__simulator_chance(sim) < end * sim->loss / (1 - sim->loss);
    return sim->in_burst;
}

static void wisp__simulator_take(wisp_simulator *sim, const wisp_packet *packet) {
    double due = sim->now + sim->latency;
    sim->sent++;
    if (wisp__simulator_loses(sim)) {
        sim->lost++;
        return;
    }
    if (sim->rate > 0) {
        sim->link_free = wisp__max(sim->link_free, sim->now);
        if ((sim->link_free - sim->now) * sim->rate > wisp__default_int(sim->queue_bytes, 65536)) {
            sim->lost++;
            return;
        }
        sim->link_free += packet->size / sim->rate;
        due += sim->link_free - sim->now;
    }
    due += sim->jitter * wisp__simulator_chance(sim);
    if (wisp__simulator_chance(sim) < sim->reorder) {
        due += sim->latency + sim->jitter;
        sim->reordered++;
    }
    wisp__simulator_delay(sim, packet, due);
    if (wisp__simulator_chance(sim) >= sim->duplicate) return;
    sim->duplicated++;
    wisp__simulator_delay(sim, packet, due + sim->jitter * wisp__simulator_chance(sim));
}

/* Hands on what has arrived by now. */
static void wisp__simulator_pump(wisp_simulator *sim) {
    while (sim->transit_count && sim->transit[0].due <= sim->now) {
        wisp__transit item = sim->transit[0];
        wisp_packet packet;
        packet.addr = item.addr;
        packet.data = item.bytes;
        packet.size = item.size;
        packet.status = 0;
        if (sim->inner.send(sim->inner.user, &packet, 1) != 1) return;
        if (packet.status == WISP_E_AGAIN) return;
        sim->memory.free(sim->memory.user, item.bytes, (size_t)item.size + 1);
        sim->transit[0] = sim->transit[--sim->transit_count];
        if (sim->transit_count) wisp__transit_sift(sim, 0);
    }
}

static int wisp__simulator_send(void *user, wisp_packet *packets, int count) {
    wisp_simulator *sim = (wisp_simulator *)user;
    for (int i = 0; i < count; i++) {
        packets[i].status = 0;
        wisp__simulator_take(sim, &packets[i]);
    }
    wisp__simulator_pump(sim);
    return count;
}

static int wisp__simulator_recv(void *user, wisp_packet *packets, int count) {
    wisp_simulator *sim = (wisp_simulator *)user;
    wisp__simulator_pump(sim);
    return sim->inner.recv(sim->inner.user, packets, count);
}

wisp_link wisp_simulate(wisp_simulator *sim, wisp_link inner) {
    wisp_link link = inner;
    if (!sim || !inner.send || !inner.recv || !wisp__allocator_defaults(&sim->memory)) {
        memset(&link, 0, sizeof link);
        return link;
    }
    sim->inner = inner;
    sim->random = sim->seed;
    link.user = sim;
    link.send = wisp__simulator_send;
    link.recv = wisp__simulator_recv;
    return link;
}

void wisp_simulator_free(wisp_simulator *sim) {
    if (!sim || !sim->transit) return;
    for (int i = 0; i < sim->transit_count; i++)
        sim->memory.free(sim->memory.user, sim->transit[i].bytes, (size_t)sim->transit[i].size + 1);
    sim->memory.free(sim->memory.user, sim->transit,
                     (size_t)sim->transit_room * sizeof *sim->transit);
    sim->transit = NULL;
    sim->transit_count = sim->transit_room = 0;
}

/* ===========================================================================
 * MARK: >>session
 * What: how sessions begin and end, and what comes in for them: packets, the
 *   records in them, messages in their turn, handed to events and calls.
 * Invariants: a session that has ended keeps its slot until its timer frees
 *   it, so no pointer dangles while a packet is read; after every handler its
 *   state is looked at again.
 * ======================================================================== */

/* Only a last fragment may be smaller: what is held must be worth its place. */
enum { WISP__RECEIVED = 32, WISP__LEAST_FRAGMENT = 128 };

struct wisp {
    wisp__base     base;
    wisp__chunks   chunks;
    wisp__arena    arena;
    wisp__packer   packer;
    wisp__registry registry;
    wisp__peers    peers;
    wisp__events   events;
    wisp__calls    calls;
    wisp__sender   sender;
    wisp_result  (*accept)(wisp *w, const wisp_addr *from, const void *ticket, int ticket_size,
                           void *user);
    double         now, last_now;     /* the caller's time */
    bool           updating, started, destroyed, link_told;
    wisp_result    why, join_failure; /* join_failure: of our own joins, the last */
    uint64_t       joins_done;        /* of our own, with success */
    uint64_t       order;             /* of messages fired */
    uint64_t       mark;              /* of lists fired to */
    int            spread;            /* names that all peers have been marked for */
    int            most_received;     /* datagrams that the link has handed over at once */
    wisp_packet    received[WISP__RECEIVED];     /* places for datagrams, in `incoming` */
    uint8_t       *incoming;
};

static wisp_peer wisp__peer_handle(const wisp__session *s) {
    wisp_peer peer;
    peer.id = s ? s->peer.slot.id : 0;
    return peer;
}

static wisp_remote wisp__remote_handle(const wisp__remote *remote) {
    wisp_remote handle;
    handle.id = remote ? (uint32_t)remote->index + 1 : 0;
    return handle;
}

static wisp__session *wisp__session_at(const wisp *w, int index) {
    return (wisp__session *)wisp__pool_live(&w->peers.pool, index);
}

/* A session that can be talked to: joined, or being joined by us. */
static wisp__session *wisp__session_of(const wisp *w, wisp_peer handle) {
    wisp__session *s;
    if (handle.id == UINT32_MAX) {
        for (int i = 0; i < w->peers.pool.made; i++) {
            s = wisp__session_at(w, i);
            if (s && s->peer.asked && (s->peer.state == WISP__JOINED || wisp__peer_asks(&s->peer) ||
                                       s->peer.state == WISP__HALF_OPENED))
                return s;
        }
        return NULL;
    }
    s = (wisp__session *)wisp__pool_get(&w->peers.pool, handle.id);
    if (!s || s->peer.state >= WISP__LEAVING) return NULL;
    return s->peer.state == WISP__JOINED || s->peer.asked ? s : NULL;
}

static wisp__remote *wisp__remote_of(wisp *w, wisp_target target, wisp_result *why) {
    *why = WISP_E_STALE;
    if (target.name || !target.remote.id) return wisp__registry_add(&w->registry, target.name, why);
    if (target.remote.id > (uint32_t)w->registry.count) return NULL;
    *why = WISP_OK;
    return w->registry.remotes[target.remote.id - 1];
}

/* Of one packet 256 errors are told; the others are only counted. */
static void wisp__error(wisp *w, wisp__session *s, wisp__remote *remote, wisp_result code,
                        const char *text) {
    if (s && ++s->told_errors > 256) {
        w->base.stats.errors++;
        w->base.stats.notices_dropped++;
        return;
    }
    wisp__notice_add(&w->events, WISP__ON_ERROR, wisp__peer_handle(s), wisp__remote_handle(remote),
                     code, "%s%s%s", remote ? remote->name : "", remote ? ": " : "", text);
}

/* Tells of a session's beginning or end; its room was reserved when the session was added. */
static void wisp__tell(wisp *w, wisp__session *s, int name, wisp_result result, const char *text) {
    s->notices_left--;
    w->events.reserved--;
    wisp__notice_add(&w->events, name, wisp__peer_handle(s), wisp__remote_handle(NULL), result,
                     "%s", text);
}

/* --- sessions begin and end --- */

/* Ends a session. `tell`: say goodbye over there, for a while. */
static void wisp__end(wisp *w, wisp__session *s, wisp_result result, const char *reason,
                      bool tell) {
    wisp__peer *peer = &s->peer;
    bool joined = peer->state == WISP__JOINED, asked = wisp__peer_asks(peer);
    char text[sizeof peer->reason];
    if (peer->state >= WISP__LEAVING) return;
    wisp__peer_reason(peer, result, reason);
    memcpy(text, peer->reason, sizeof text);
    if (joined) {
        wisp__peers_unlist(&w->peers, peer);
        w->base.stats.leaves++;
    }
    if (!peer->joiner && !peer->asked) w->peers.strangers--;
    if (peer->asked && !joined) w->join_failure = result;
    if (result == WISP_E_TIMEOUT) w->base.stats.timeouts++;
    if (peer->told || asked || (peer->asked && !joined))
        wisp__tell(w, s, WISP__ON_LEFT, result, text);
    peer->ending = joined && tell && w->base.reliable;
    if (joined && tell) wisp__flush(&w->sender, s, -1);
    wisp__calls_leave(&w->calls, s);
    wisp__session_free(&w->sender, s);
    peer->state = joined && tell ? WISP__LEAVING : WISP__GONE;
    peer->tries = 0;
    if (peer->state == WISP__LEAVING) wisp__send_leave(&w->sender, s);
    wisp__timers_set(&w->peers.timers, &peer->timer,        /* its slot outlives the news of it */
                     w->base.time + (peer->state == WISP__LEAVING ? 0.1 : 1e-6));
}

static void wisp__remove_session(wisp *w, wisp__session *s) {
    w->events.reserved -= s->notices_left;
    wisp__peers_unlink(&w->peers, &s->peer);
    wisp__pool_remove(&w->peers.pool, s);
}

/* Five goodbyes in a second and a half, then the slot is free. */
static void wisp__linger(wisp *w, wisp__session *s) {
    wisp__peer *peer = &s->peer;
    if (peer->state == WISP__LEAVING && peer->ending) {          /* one goodbye is enough */
        if (peer->stuck_first && w->base.time < peer->spoke + w->base.timeout) {
            wisp__timers_set(&w->peers.timers, &peer->timer, w->base.time + 0.1);
            return;
        }
    } else if (peer->state == WISP__LEAVING && ++peer->tries < 5) {
        wisp__send_leave(&w->sender, s);
        wisp__timers_set(&w->peers.timers, &peer->timer,
                         w->base.time + 0.1 * (double)(1 << peer->tries));
        return;
    }
    while (peer->stuck_first) wisp__unstick(&w->peers, peer);
    peer->state = WISP__GONE;
    if (peer->dirty) {                    /* the flush takes it off the list first */
        wisp__timers_set(&w->peers.timers, &peer->timer, w->base.time);
        return;
    }
    wisp__flow_free(&w->base, &peer->flow);
    wisp__remove_session(w, s);
}

static void wisp__joined(wisp *w, wisp__session *s) {
    if (s->peer.tries == 1)                /* the handshake gives the first round trip time */
        wisp__flow_sample(&s->peer.flow, w->base.time, w->base.time - s->peer.spoke, 0);
    s->peer.state = WISP__JOINED;
    s->peer.told = true;
    w->joins_done += s->peer.asked;
    s->peer.heard = s->peer.spoke = w->base.time;
    s->untold = WISP__RESERVED;
    s->ping = true;
    wisp__route_of(&w->base, s, w->registry.count - 1);     /* all at once, not by doubling */
    wisp__peers_list(&w->peers, &s->peer);
    wisp__peers_mark(&w->peers, &s->peer);
    wisp__peer_timer(&w->peers, &s->peer);
    w->base.stats.joins++;
    wisp__tell(w, s, WISP__ON_JOINED, WISP_OK, "");
}

/* Frees a slot whose session has said goodbye at least once; false: there is none. */
static bool wisp__end_lingering(wisp *w) {
    for (int i = 0; i < w->peers.pool.made; i++) {
        wisp__session *s = wisp__session_at(w, i);
        if (!s || s->peer.state < WISP__LEAVING || s->peer.dirty) continue;
        s->peer.state = WISP__GONE;
        wisp__linger(w, s);
        return true;
    }
    return false;
}

static wisp__session *wisp__add_session(wisp *w, const wisp_addr *addr, wisp_result *why) {
    wisp__session *s;
    *why = wisp__notices_reserve(&w->events, 2);
    if (*why) return NULL;
    s = (wisp__session *)wisp__peers_add(&w->peers, addr, why);
    if (!s && *why == WISP_E_LIMIT && wisp__end_lingering(w))
        s = (wisp__session *)wisp__peers_add(&w->peers, addr, why);
    if (!s) return NULL;
    s->notices_left = 2;
    w->events.reserved += 2;
    s->peer.timer.kind = WISP__TIMER_PEER;
    s->next_call = s->call_floor = s->request_floor = WISP_FIRST_NUMBER;
    return s;
}

/* A session is proven: one that stood at this address before is over. */
static void wisp__confirm(wisp *w, wisp__session *s) {
    wisp__peer *other = NULL, *next = wisp__peers_find(&w->peers, &s->peer.addr, NULL);
    while ((other = next) != NULL) {
        next = wisp__peers_find(&w->peers, &s->peer.addr, other);
        if (other != &s->peer && other->state == WISP__JOINED)
            wisp__end(w, (wisp__session *)(void *)other, WISP_E_REPLACED, "joined anew", false);
    }
    wisp__joined(w, s);
}

/* --- handshake packets --- */

static wisp__peer *wisp__peer_asking(wisp *w, const wisp_addr *addr, uint64_t nonce) {
    wisp__peer *peer = NULL;
    while ((peer = wisp__peers_find(&w->peers, addr, peer)) != NULL)
        if (peer->client_nonce == nonce && wisp__peer_asks(peer)) return peer;
    return NULL;
}

typedef struct wisp__response {
    uint64_t    nonce, cookie;
    uint8_t     bucket, flags;
    uint32_t    window, app_version;
    int         app_size, ticket_size;
    const char *app;
    const void *ticket;
} wisp__response;

static bool wisp__read_response(wisp__reader *from, wisp__response *r) {
    r->bucket = (uint8_t)wisp__get(from, 8);
    r->cookie = wisp__get(from, 64);
    r->flags = (uint8_t)wisp__get(from, 8);
    r->window = (uint32_t)wisp__get(from, 32);
    r->app_version = (uint32_t)wisp__get(from, 32);
    r->app_size = (int)wisp__get(from, 8);
    r->app = (const char *)from->bytes + from->at / 8;
    wisp__skip(from, (int64_t)r->app_size * 8);
    r->ticket_size = (int)wisp__get(from, 16);
    r->ticket = from->bytes + from->at / 8;
    wisp__skip(from, (int64_t)r->ticket_size * 8);
    return !from->failed && r->window < 1u << 30;
}

/* What speaks against letting them in; WISP_OK or WISP_PENDING if nothing. */
static wisp_result wisp__judge(wisp *w, const wisp_addr *addr, const wisp__response *r) {
    bool known = false;
    wisp__peer *peer = NULL;
    size_t app_size = strlen(w->peers.app);
    if (w->peers.refuse_joins) return WISP_E_REFUSED;
    if ((size_t)r->app_size != app_size) return WISP_E_APP;
    if (memcmp(r->app, w->peers.app, app_size) != 0) return WISP_E_APP;
    if (r->app_version != w->peers.app_version) return WISP_E_APP_VERSION;
    if ((r->flags & 1) != (w->base.reliable ? 1 : 0)) return WISP_E_LINK_KIND;
    while ((peer = wisp__peers_find(&w->peers, addr, peer)) != NULL)
        known = known || peer->state == WISP__JOINED;
    if (!known && w->peers.strangers >= w->peers.max_peers) return WISP_E_SERVER_FULL;
    return w->accept ? w->accept(w, addr, r->ticket, r->ticket_size, w->base.user) : WISP_OK;
}

static void wisp__half_open(wisp *w, wisp__session *s) {
    s->peer.state = WISP__HALF_OPENED;
    s->peer.tries = 1;
    s->peer.spoke = w->base.time;
    s->peer.server_nonce = wisp__random(&w->peers.secret);
    wisp__peer_session(&s->peer);
    wisp__timers_set(&w->peers.timers, &s->peer.timer, w->base.time + WISP__HALF_OPEN);
    wisp__send_accept(&w->peers, &s->peer);
}

/* The peer at this address that already has this join; our own join that crosses it in *ours;
   another join of theirs that is not done in *waiting. */
static wisp__peer *wisp__known_join(wisp *w, const wisp_addr *addr, uint64_t nonce,
                                    wisp__peer **ours, wisp__peer **waiting) {
    wisp__peer *peer = NULL, *same = NULL;
    *ours = *waiting = NULL;
    while ((peer = wisp__peers_find(&w->peers, addr, peer)) != NULL) {
        if (peer->client_nonce == nonce && !peer->joiner) same = peer;
        else if (peer->joiner && wisp__peer_asks(peer)) *ours = peer;
        else if (peer->state == WISP__PENDING || peer->state == WISP__HALF_OPENED) *waiting = peer;
    }
    return same;
}

static void wisp__on_response(wisp *w, const wisp_addr *addr, uint64_t nonce, wisp__reader *from) {
    wisp__response r;
    wisp__peer *same, *ours, *waiting;
    wisp__session *s;
    wisp_result verdict, why;
    uint32_t id;
    if (!wisp__read_response(from, &r)) {
        w->base.stats.handshakes_bad++;
        return;
    }
    if (!wisp__cookie_good(&w->peers, addr, nonce, r.bucket, r.cookie)) {
        w->base.stats.cookies_refused++;
        return;
    }
    same = wisp__known_join(w, addr, nonce, &ours, &waiting);
    if (same) {
        if (same->state == WISP__HALF_OPENED) {
            wisp__send_accept(&w->peers, same);
            same->tries++;
        }
        return;
    }
    if (ours && ours->client_nonce < nonce) return;
    if (waiting)
        wisp__end(w, (wisp__session *)(void *)waiting, WISP_E_REPLACED, "joined anew", false);
    id = ours ? ours->slot.id : 0;
    verdict = wisp__judge(w, addr, &r);
    if (w->destroyed) return;
    if (ours && (ours->slot.id != id || !wisp__peer_asks(ours))) ours = NULL;   /* left meanwhile */
    if (verdict == WISP_E_SERVER_FULL)
        wisp__log(&w->base, WISP_LOG_WARNING, verdict, "a join was refused: raise desc.max_peers");
    if (verdict < 0) {
        wisp__deny(&w->peers, addr, nonce, verdict);
        return;
    }
    s = (wisp__session *)(void *)ours;
    if (!s) s = wisp__add_session(w, addr, &why);
    if (!s) {
        wisp__deny(&w->peers, addr, nonce, WISP_E_SERVER_FULL);
        return;
    }
    if (!s->peer.asked) w->peers.strangers++;
    s->peer.joiner = false;
    s->peer.client_nonce = nonce;
    wisp__take_abilities(&w->peers, &s->peer, r.flags, r.window);
    s->peer.heard = w->base.time;
    if (verdict == WISP_PENDING) {
        s->peer.state = WISP__PENDING;
        wisp__timers_set(&w->peers.timers, &s->peer.timer, w->base.time + w->base.timeout);
    } else {
        wisp__half_open(w, s);
    }
}

static void wisp__on_answer(wisp *w, wisp__peer *peer, int type, wisp__reader *from) {
    wisp__session *s = (wisp__session *)(void *)peer;
    if (type == WISP__CHALLENGE) {
        peer->bucket = (uint8_t)wisp__get(from, 8);
        peer->cookie = wisp__get(from, 64);
        if (from->failed || peer->state == WISP__RESPONDING) return;
        peer->state = WISP__RESPONDING;
        peer->tries = 0;
        wisp__handshake_retry(&w->peers, peer);
    } else if (type == WISP__ACCEPT && peer->state == WISP__RESPONDING) {
        uint64_t nonce = wisp__get(from, 64);
        uint8_t flags = (uint8_t)wisp__get(from, 8);
        wisp__take_abilities(&w->peers, peer, flags, (uint32_t)wisp__get(from, 32));
        if (from->failed) return;
        peer->server_nonce = nonce;
        wisp__peer_session(peer);
        wisp__confirm(w, s);
    } else if (type == WISP__DENY) {
        wisp_result code = (int16_t)(uint16_t)wisp__get(from, 16);
        if (from->failed || code >= 0) return;
        wisp__end(w, s, code, wisp_result_text(code), false);
    }
}

static void wisp__on_handshake(wisp *w, const wisp_packet *packet) {
    wisp__reader from = wisp__reader_on(packet->data, packet->size - 4);
    int type = (int)wisp__get(&from, 8), version;
    uint64_t nonce;
    wisp__peer *asking;
    w->base.stats.handshakes_received++;
    if (packet->size < WISP__HANDSHAKE_HEAD + 4 || wisp__get(&from, 32) != 0x70736977u) {
        w->base.stats.packets_foreign++;
        return;
    }
    version = (int)wisp__get(&from, 8);
    nonce = wisp__get(&from, 64);
    if (version != WISP_WIRE_VERSION) {
        asking = wisp__peer_asking(w, &packet->addr, nonce);
        if (type == WISP__REQUEST && packet->size >= WISP__HANDSHAKE_LEAST)
            wisp__deny(&w->peers, &packet->addr, nonce, WISP_E_WIRE_VERSION);
        else if (type == WISP__DENY && asking)
            wisp__end(w, (wisp__session *)(void *)asking, WISP_E_WIRE_VERSION,
                      "the other end speaks another wire version", false);
        return;
    }
    if (wisp__handshake_check(nonce, (const uint8_t *)packet->data, packet->size - 4) !=
        wisp__get_tag((const uint8_t *)packet->data + packet->size - 4)) {
        w->base.stats.handshakes_bad++;
        return;
    }
    asking = wisp__peer_asking(w, &packet->addr, nonce);
    if (type == WISP__REQUEST && packet->size >= WISP__HANDSHAKE_LEAST) {
        if (w->peers.refuse_joins) wisp__deny(&w->peers, &packet->addr, nonce, WISP_E_REFUSED);
        else wisp__challenge(&w->peers, &packet->addr, nonce);
    } else if (type == WISP__RESPONSE && packet->size >= WISP__HANDSHAKE_LEAST) {
        wisp__on_response(w, &packet->addr, nonce, &from);
    } else if (asking) {
        wisp__on_answer(w, asking, type, &from);
    } else {
        w->base.stats.packets_foreign++;
    }
}

/* --- what comes in: records --- */

typedef struct wisp__incoming {
    wisp__record  kind;           /* WISP__R_EVENT, INVOKE, REPLY, FRAGMENT; NOTHING: fills a gap */
    bool          first, last;    /* of a fragment */
    wisp__remote *remote;         /* NULL: not known here */
    uint32_t      call, floor;    /* floor: their calls before it are settled */
    int16_t       result;
    int64_t       shape_at, shape_end, data_at, end;     /* bits in the packet */
    wisp_result   readable;       /* WISP_OK, or why the values cannot be read */
    const wisp_value *values;
    int           count;
} wisp__incoming;

/* A packet, or a large message, while it is read. */
typedef struct wisp__reading {
    wisp           *w;
    wisp__session  *session;
    wisp__reader    from;
    uint64_t        number;
    int             delivery, channel;
    uint32_t        sequence;
    wisp__incoming  previous;
    bool            has_previous, eliciting, answered;
    int             values, messages;
    const char     *broken;       /* why the session must end, or NULL */
    wisp_result     code;         /* with which */
} wisp__reading;

static void wisp__message_event(wisp *w, wisp__session *s, const wisp__incoming *in,
                                wisp_event *event) {
    event->result = WISP_OK;
    event->user = NULL;
    event->request = NULL;
    event->w = w;
    event->peer = wisp__peer_handle(s);
    event->remote = wisp__remote_handle(in->remote);
    event->name = in->remote ? in->remote->name : "";
    event->args = in->values;
    event->count = in->count;
    event->text = "";
    event->time = w->now;
}

/* Reads values at the places that `in` names; the end of the data goes to in->end. */
static void wisp__read_values(wisp *w, const wisp__reader *from, wisp__incoming *in, int *budget) {
    wisp__reader shape = *from, data = *from;
    int most = wisp__min_int(*budget, w->base.limits.message_values);
    wisp__unpacker u;
    wisp__arena_reset(&w->arena);
    u.base = &w->base;
    u.arena = &w->arena;
    u.shape = &shape;
    u.data = &data;
    u.values = most;
    shape.at = in->shape_at;
    data.at = in->data_at;
    in->readable = wisp__unpack(&u, &in->values, &in->count);
    *budget -= most - u.values;
    in->end = data.at;
}

static wisp__message *wisp__message_make(wisp *w, const wisp__remote *remote, int type,
                                         wisp_result *why) {
    wisp__packer *p = &w->packer;
    size_t shape = (size_t)(p->shape.at + 7) / 8, data = (size_t)(p->data.at + 7) / 8;
    size_t bytes = sizeof(wisp__message) + shape + data + WISP__SLACK;
    wisp__message *m = (wisp__message *)wisp__chunk_take(&w->base, &w->chunks, bytes);
    *why = m ? WISP_OK : WISP_E_MEMORY;
    if (!m) return NULL;
    m->references = 1;
    m->chunk_bytes = (int)bytes;
    m->remote = remote->index;
    m->call = 0;
    m->result = WISP_OK;
    m->type = (uint8_t)type;
    m->delivery = (uint8_t)remote->now.delivery;
    m->channel = (uint8_t)(remote->now.channel - 1);
    m->immediate = remote->now.batching == WISP_BATCH_NEVER || w->registry.unbatched;
    m->values = p->values;
    m->time = w->base.time;
    m->order = w->order++;
    wisp__message_measure(m, (int)p->shape.at, p->data.at);
    memcpy(m->bytes, p->shape.bytes, shape);
    memcpy(m->bytes + shape, p->data.bytes, data);
    return m;
}

/* Makes a message for a remote of the values just packed. NULL with the reason. */
static wisp__message *wisp__compose(wisp *w, const wisp__remote *remote, int type,
                                    wisp_result *why) {
    wisp__message *m = wisp__message_make(w, remote, type, why);
    if (m && m->delivery != WISP_RELIABLE &&
        m->size > wisp__piece_bytes(&w->base)) {
        if (type == WISP__REPLY) {
            m->delivery = WISP_RELIABLE;
            return m;
        }
        *why = WISP_E_TOO_BIG;
        wisp__log(&w->base, WISP_LOG_WARNING, *why, "'%s' does not fit a packet: send it reliably, "
                  "or raise link.mtu", remote->name);
        wisp__message_release(&w->base, &w->chunks, m);
        return NULL;
    }
    return m;
}

/* Queues a message for one peer and sends at once where that is asked for. */
static wisp_result wisp__give(wisp *w, wisp__session *s, wisp__message *m) {
    wisp__remote *remote = w->registry.remotes[m->remote];
    wisp__route *route = wisp__route_of(&w->base, s, m->remote);
    wisp_result result;
    if (!route) return WISP_E_MEMORY;
    if (route->known == WISP__UNKNOWN && m->type != WISP__REPLY) {
        remote->stats.undeliverable++;
        return WISP_E_NO_REMOTE;
    }
    result = wisp__enqueue(&w->sender, s, m);
    if (result) return result;
    if (!m->immediate && s->queued < remote->now.max_batch_size) return WISP_OK;
    wisp__flush(&w->sender, s, m->immediate ? m->remote : -1);
    wisp__post_send(&w->peers);
    return WISP_OK;
}

/* The answer to a call of theirs. NULL with the reason. */
static wisp__message *wisp__answer_make(wisp *w, const wisp__remote *remote, uint32_t id,
                                        wisp_result code, const wisp_value *values, int count,
                                        wisp_result *why) {
    wisp__message *m = NULL;
    *why = wisp__pack_refused(&w->base, wisp__pack(&w->packer, values, count));
    if (*why == WISP_OK) m = wisp__compose(w, remote, WISP__REPLY, why);
    if (!m) return NULL;
    m->call = id;
    m->result = (int16_t)code;
    return m;
}

/* Sends an answer, and keeps it with the request for repeats of the call, unless there is none or
   it has no repeats. */
static wisp_result wisp__answer_give(wisp *w, wisp__session *s, wisp__request *request,
                                     wisp__message *m) {
    wisp__remote *remote = w->registry.remotes[m->remote];
    wisp_result result = wisp__give(w, s, m);
    if (result) wisp__error(w, s, remote, result, "the answer of a call was not sent");
    else remote->stats.replies_sent++;
    if (request && !request->once) wisp__request_keep(&w->calls, s, request, m);
    wisp__message_release(&w->base, &w->chunks, m);
    return result;
}

/* Answers with a code, or with no values when it is WISP_OK. */
static void wisp__answer_code(wisp *w, wisp__session *s, wisp__request *request, uint32_t id,
                              wisp__remote *remote, wisp_result code) {
    wisp_result why;
    wisp__message *m = wisp__answer_make(w, remote, id, code, NULL, 0, &why);
    if (m) wisp__answer_give(w, s, request, m);
    else wisp__error(w, s, remote, why, "the answer of a call was not made");
}

static void wisp__run_answer(wisp *w, wisp__session *s, wisp__request *request,
                             const wisp__incoming *in) {
    wisp_event event;
    uint32_t id = request->id;
    wisp__message_event(w, s, in, &event);
    event.user = in->remote->answer_user;
    event.request = request;
    request->state = WISP__REQUEST_RUNS;
    request->remote = in->remote->index;
    w->events.running++;
    in->remote->answer(&event);
    w->events.running--;
    wisp__events_sweep(&w->events);
    if (s->peer.state != WISP__JOINED || !event.request) return;
    wisp__answer_code(w, s, request, id, in->remote, event.result);
}

static void wisp__count_received(wisp *w, wisp__session *s, wisp__remote *remote,
                                 const wisp__incoming *in) {
    remote->stats.messages_received++;
    remote->stats.bits_received += (uint64_t)(in->shape_end - in->shape_at + in->end - in->data_at);
    s->peer.stats.messages_received++;
    w->base.stats.messages_received++;
}

/* A call that is new, and may run. */
static void wisp__on_new_call(wisp *w, wisp__session *s, wisp__request *request,
                              const wisp__incoming *in, wisp__remote *remote, wisp__route *route) {
    if (!in->remote) {
        wisp__answer_code(w, s, request, in->call, remote, WISP_E_NO_REMOTE);
    } else if (!wisp__policy_admit(&remote->now, route, w->base.time)) {
        remote->stats.rate_limited++;
        s->peer.stats.rate_limited++;
        wisp__answer_code(w, s, request, in->call, remote, WISP_E_RATE);
    } else if (!remote->answer) {
        wisp__answer_code(w, s, request, in->call, remote, WISP_E_NO_HANDLER);
    } else {
        wisp__run_answer(w, s, request, in);
    }
}

/* An honest floor moves slowly: by fewer calls than this with what one packet sets free. */
enum { WISP__SETTLE_STEPS = 16384 };

/* A repeat is recognised before the rate limit, and answered from memory. */
static void wisp__on_invoked(wisp *w, wisp__session *s, const wisp__incoming *in, int delivery) {
    wisp_result why;
    wisp__remote *remote = in->remote ? in->remote : w->registry.remotes[WISP__ON_ERROR];
    wisp__route *route = wisp__route_of(&w->base, s, remote->index);
    wisp__request once, *request = &once;
    memset(&once, 0, sizeof once);
    once.id = in->call;
    once.once = true;
    wisp__requests_settle(&w->calls, s, in->floor);
    if (s->steps > wisp__max_int(4 * w->base.limits.calls_remembered, WISP__SETTLE_STEPS)) {
        wisp__end(w, s, WISP_E_PROTOCOL, "calls are settled in leaps", true);
        return;
    }
    if (delivery != WISP_RELIABLE) request = wisp__request_take(&w->calls, s, in->call, &why);
    if (!request || !route) {
        wisp__answer_code(w, s, NULL, in->call, remote, request ? WISP_E_MEMORY : why);
        return;
    }
    remote->stats.invokes_received++;
    wisp__count_received(w, s, remote, in);
    if (!request->state) {
        wisp__on_new_call(w, s, request, in, remote, route);
        return;
    }
    remote->stats.invokes_repeated++;
    if (request->reply) wisp__give(w, s, request->reply);
    else if (request->state == WISP__REQUEST_DONE)
        wisp__answer_code(w, s, NULL, in->call, remote, WISP_E_EXPIRED);
}

static void wisp__run_reply(wisp *w, wisp__pending *call, wisp_event *event) {
    wisp_handler fn = call->fn, also = call->also;
    void *user = call->user, *also_user = call->also_user;
    wisp__call_remove(&w->calls, call);
    w->events.running++;
    event->user = user;
    if (fn) fn(event);
    event->user = also_user;
    if (also) also(event);
    w->events.running--;
    wisp__events_sweep(&w->events);
}

static void wisp__on_replied(wisp *w, wisp__session *s, const wisp__incoming *in) {
    wisp__pending *call = wisp__call_find(s, in->call);
    wisp_event event;
    wisp__incoming answer = *in;
    if (!call) return;
    answer.remote = w->registry.remotes[call->remote];
    answer.remote->stats.replies_received++;
    wisp__count_received(w, s, answer.remote, in);
    wisp__message_event(w, s, &answer, &event);
    event.result = in->result;
    if (in->result) {
        event.text = in->count && in->values[0].kind == WISP_STRING ? in->values[0].as.string
                                                                    : wisp_result_text(in->result);
        event.args = NULL;
        event.count = 0;
    }
    wisp__call_settle(&w->calls, call);
    wisp__run_reply(w, call, &event);
}

static void wisp__on_event(wisp *w, wisp__session *s, const wisp__incoming *in, int delivery,
                           uint64_t number) {
    wisp__remote *remote = in->remote;
    wisp__route *route = wisp__route_of(&w->base, s, remote->index);
    wisp_event event;
    if (!route) {
        wisp__end(w, s, WISP_E_MEMORY, "no memory for a name", true);
        return;
    }
    wisp__count_received(w, s, remote, in);
    if (delivery == WISP_SEQUENCED) {
        if (number < route->newest) {
            remote->stats.stale++;
            s->peer.stats.stale++;
            return;
        }
        route->newest = number;
    }
    if (!wisp__policy_admit(&remote->now, route, w->base.time)) {
        remote->stats.rate_limited++;
        s->peer.stats.rate_limited++;
        wisp__error(w, s, remote, WISP_E_RATE, "over the rate limit: dropped");
        return;
    }
    wisp__message_event(w, s, in, &event);
    if (wisp__events_run(&w->events, remote, &event)) return;
    remote->stats.unhandled++;
    wisp__error(w, s, remote, WISP_E_NO_HANDLER, "nobody is connected");
}

/* Runs what waits: calls that ended without an answer, then notices. What their handlers add
   waits for the next time. */
static void wisp__dispatch(wisp *w) {
    wisp__pending *call, *last = w->calls.done_last;
    while (last && (call = wisp__calls_next_done(&w->calls)) != NULL) {
        wisp__incoming in;
        wisp_event event;
        bool end = call == last;
        memset(&in, 0, sizeof in);
        in.remote = w->registry.remotes[call->remote];
        wisp__message_event(w, NULL, &in, &event);
        event.peer = call->peer;
        event.result = call->result;
        event.text = wisp_result_text(call->result);
        wisp__run_reply(w, call, &event);
        if (end) break;
    }
    if (w->events.notice_count) wisp__events_notices(&w->events, w, w->now);
}

/* A message whose turn it is. What happened before it is told before it. */
static void wisp__deliver(wisp *w, wisp__session *s, const wisp__incoming *in, int delivery,
                          uint64_t number) {
    if (w->events.notice_count || w->calls.done_first) wisp__dispatch(w);
    if (s->peer.state != WISP__JOINED || w->destroyed) return;
    if (in->readable) {
        s->peer.stats.bad_messages++;
        wisp__error(w, s, in->remote, in->readable, "message cannot be read");
        if (in->kind == WISP__R_INVOKE)
            wisp__answer_code(w, s, NULL, in->call,
                              in->remote ? in->remote : w->registry.remotes[WISP__ON_ERROR],
                              in->readable);
    } else if (in->kind == WISP__R_INVOKE) {
        wisp__on_invoked(w, s, in, delivery);
    } else if (in->kind == WISP__R_REPLY) {
        wisp__on_replied(w, s, in);
    } else if (in->kind == WISP__R_EVENT && in->remote) {
        wisp__on_event(w, s, in, delivery, number);
    } else if (in->kind == WISP__R_EVENT) {
        s->peer.stats.bad_messages++;
        wisp__error(w, s, NULL, WISP_E_NO_REMOTE, "a message for a name that is not known here");
    }
}

/* --- records of messages --- */

/* Nothing more is read, and the session ends. */
static void wisp__break_with(wisp__reading *r, wisp_result code, const char *why) {
    r->from.failed = true;
    if (r->broken) return;
    r->broken = why;
    r->code = code;
}

static void wisp__break(wisp__reading *r, const char *why) {
    wisp__break_with(r, WISP_E_PROTOCOL, why);
}

/* Values that end where the reader stands afterwards: nothing tells their length. */
static void wisp__read_bound(wisp__reading *r, wisp__incoming *in, bool own_shape) {
    wisp__reader at = r->from;
    if (own_shape) {
        in->shape_at = at.at;
        wisp__skip_shape(&at);
        in->shape_end = at.at;
    }
    in->data_at = at.at;
    if (at.failed) in->readable = WISP_E_BAD_PACKET;
    else wisp__read_values(r->w, &r->from, in, &r->values);
    if (in->readable == WISP_E_MEMORY) wisp__break_with(r, in->readable, "no memory for a message");
    else if (in->readable) wisp__break(r, "a message that cannot be read");
    else r->from.at = in->end;
}

/* Values behind their length in bits: what cannot be read costs nothing but itself. */
static void wisp__read_unbound(wisp__reading *r, wisp__incoming *in) {
    int bits = wisp__get_length(&r->from);
    wisp__reader within = r->from;
    wisp__skip(&r->from, bits);
    if (r->from.failed) {
        wisp__break(r, "a message longer than its packet");
        return;
    }
    within.end = r->from.at;
    in->shape_at = within.at;
    wisp__skip_shape(&within);
    in->shape_end = in->data_at = within.at;
    in->readable = within.failed ? WISP_E_BAD_PACKET : WISP_OK;
    if (in->readable || (in->kind == WISP__R_EVENT && !in->remote)) return;
    within.failed = false;
    wisp__read_values(r->w, &within, in, &r->values);
    if (in->readable == WISP_E_MEMORY) wisp__break_with(r, in->readable, "no memory for a message");
    if (!in->readable && in->end != r->from.at) in->readable = WISP_E_BAD_PACKET;
}

static void wisp__read_content(wisp__reading *r, wisp__incoming *in, int number, bool bound) {
    if (bound && in->remote) {
        wisp__read_bound(r, in, true);
    } else if (bound) {
        wisp__break(r, "a number that was never announced");
    } else {
        if (r->session->controls_dropped && !r->answered && number < 0xffff) {
            wisp__control_add(&r->w->base, r->session, in->remote ? WISP__R_BOUND : WISP__R_UNKNOWN,
                              number);
            r->answered = true;
        }
        wisp__read_unbound(r, in);
    }
}

static void wisp__read_event(wisp__reading *r, wisp__incoming *in, bool bound) {
    int number = wisp__get_length(&r->from);
    in->kind = WISP__R_EVENT;
    in->remote = wisp__theirs(&r->w->registry, r->session, number);
    wisp__read_content(r, in, number, bound);
}

static void wisp__read_invoke(wisp__reading *r, wisp__incoming *in) {
    wisp__session *s = r->session;
    uint32_t low;
    int ahead, number = wisp__get_length(&r->from);
    in->kind = WISP__R_INVOKE;
    in->remote = wisp__theirs(&r->w->registry, s, number);
    low = (uint32_t)wisp__get(&r->from, 24);
    ahead = wisp__get_small(&r->from);
    in->call = s->request_floor + (uint32_t)wisp__ahead_24(low, s->request_floor);
    in->floor = in->call - (uint32_t)ahead;
    wisp__read_content(r, in, number, wisp__get(&r->from, 1) != 0);
}

static void wisp__read_reply(wisp__reading *r, wisp__incoming *in) {
    in->kind = WISP__R_REPLY;
    in->call = (uint32_t)wisp__get(&r->from, 24);
    if (!wisp__get(&r->from, 1)) in->result = (int16_t)(uint16_t)wisp__get(&r->from, 16);
    if (in->result > 0) wisp__break(r, "a failure that is none");
    wisp__read_bound(r, in, true);
}

/* --- turns: what is in order goes on, what is early is kept --- */

/* The last fragment has come: the whole is one record, a message behind its length. */
static void wisp__read_whole(wisp__reading *r, const wisp__lane_in *lane) {
    wisp__reading whole = *r;
    wisp__incoming in;
    int kind;
    memset(&in, 0, sizeof in);
    whole.from = wisp__reader_on(lane->whole, lane->whole_bytes);
    whole.values = r->w->base.limits.message_values;
    if (wisp__get(&whole.from, 4) == 8) {
        wisp__read_event(&whole, &in, false);
    } else {
        kind = (int)wisp__get(&whole.from, 4);
        if (kind == WISP__R_INVOKE) wisp__read_invoke(&whole, &in);
        else if (kind == WISP__R_REPLY) wisp__read_reply(&whole, &in);
        else wisp__break(&whole, "fragments of no message");
    }
    if (whole.broken) wisp__break_with(r, whole.code, whole.broken);
    else wisp__deliver(r->w, r->session, &in, WISP_RELIABLE, r->number);
}

/* What stands at its place in the order. */
static void wisp__arrive(wisp__reading *r, wisp__lane_in *lane, wisp__incoming *in) {
    wisp_result result;
    if (in->kind == WISP__R_NOTHING) return;
    if (in->kind != WISP__R_FRAGMENT) {
        wisp__deliver(r->w, r->session, in, WISP_RELIABLE, r->number);
        return;
    }
    r->from.at = in->data_at;
    result = wisp__lane_assemble(&r->w->base, lane, in->first, &r->from,
                                 (int)((in->end - in->data_at) / 8));
    if (result == WISP_E_LIMIT)
        wisp__log(&r->w->base, WISP_LOG_ERROR, result,
                  "a peer's message is too large: raise desc.limits.message_bytes");
    if (result) wisp__break_with(r, result, "fragments that make no message");
    if (result || !in->last) return;
    lane->assembling = false;
    wisp__read_whole(r, lane);
    if (r->session->peer.state != WISP__JOINED || lane->whole_room <= WISP__WHOLE_KEPT) return;
    wisp__free(&r->w->base, lane->whole, (size_t)lane->whole_room);
    lane->whole = NULL;
    lane->whole_room = 0;
}

/* Keeps what came early. An event that cannot be read or is not known only keeps its place. */
static void wisp__hold(wisp__reading *r, wisp__lane *lane, uint32_t sequence,
                       const wisp__incoming *in) {
    wisp__base *base = &r->w->base;
    bool fragment = in->kind == WISP__R_FRAGMENT;
    bool content = !in->readable && (in->remote || fragment || in->kind == WISP__R_REPLY);
    bool asks_in_vain = in->kind == WISP__R_INVOKE && !in->remote && !in->readable;
    int shape = content ? (int)(in->shape_end - in->shape_at) : 0, data_at = (shape + 7) / 8;
    int64_t data = content ? in->end - in->data_at : 0;
    int charge = data_at + (int)((data + 7) / 8) + (fragment ? 0 : 16);
    size_t chunk = sizeof(wisp__held) + (size_t)charge + WISP__SLACK;
    wisp__reader from = r->from;
    wisp__held *held;
    if (r->session->held_bytes + charge > base->limits.window_bytes) {
        wisp__break(r, "more out of order than the window holds");
        return;
    }
    held = (wisp__held *)wisp__chunk_take(base, &r->w->chunks, chunk);
    if (!held || wisp__lane_hold(base, &lane->in, sequence, held)) {
        wisp__chunk_give(base, &r->w->chunks, held, chunk);
        wisp__break_with(r, WISP_E_MEMORY, "no memory for what came out of order");
        return;
    }
    memset(held, 0, sizeof *held);
    held->chunk_bytes = (int)chunk;
    held->kind = (uint8_t)(content || asks_in_vain ? in->kind : WISP__R_NOTHING);
    held->first = in->first;
    held->last = in->last;
    held->remote = in->remote ? in->remote->index : -1;
    held->call = in->call;
    held->floor = in->floor;
    held->result = in->result;
    held->charge = charge;
    held->shape_bits = shape;
    held->data_bits = data;
    from.at = in->shape_at;
    wisp__get_bits(&from, held->bytes, shape);
    from.at = in->data_at;
    wisp__get_bits(&from, held->bytes + data_at, data);
    r->session->held_bytes += charge;
    if (held->kind == WISP__R_NOTHING)
        wisp__deliver(r->w, r->session, in, WISP_RELIABLE, r->number);   /* reports it */
}

static void wisp__arrive_held(wisp__reading *r, wisp__lane_in *lane, const wisp__held *held) {
    wisp__incoming in;
    wisp__reading kept = *r;
    int data_at = (held->shape_bits + 7) / 8;
    memset(&in, 0, sizeof in);
    in.kind = (wisp__record)held->kind;
    in.first = held->first;
    in.last = held->last;
    in.remote = held->remote >= 0 ? r->w->registry.remotes[held->remote] : NULL;
    in.call = held->call;
    in.floor = held->floor;
    in.result = held->result;
    in.shape_end = held->shape_bits;
    in.data_at = (int64_t)data_at * 8;
    in.end = in.data_at + held->data_bits;
    kept.from = wisp__reader_on(held->bytes, data_at + (int)((held->data_bits + 7) / 8));
    kept.values = wisp__max_int(WISP__PACKET_VALUES, r->w->base.limits.message_values);
    if ((in.kind == WISP__R_EVENT || in.kind == WISP__R_REPLY || in.kind == WISP__R_INVOKE) &&
        held->shape_bits)
        wisp__read_values(r->w, &kept.from, &in, &kept.values);
    if (in.readable == WISP_E_MEMORY)
        wisp__break_with(&kept, in.readable, "no memory for a message");
    else wisp__arrive(&kept, lane, &in);
    if (kept.broken) wisp__break_with(r, kept.code, kept.broken);
}

/* The session may end in a handler; then its lanes are gone. */
static bool wisp__goes_on(const wisp__reading *r) {
    return !r->broken && r->session->peer.state == WISP__JOINED;
}

static void wisp__arrive_in_order(wisp__reading *r, wisp__lane *lane, wisp__incoming *in) {
    wisp__held *held;
    lane->in.next++;
    wisp__arrive(r, &lane->in, in);
    while (wisp__goes_on(r) && (held = wisp__lane_next_held(&lane->in)) != NULL) {
        lane->in.next++;
        r->session->held_bytes -= held->charge;
        wisp__arrive_held(r, &lane->in, held);
        wisp__chunk_give(&r->w->base, &r->w->chunks, held, (size_t)held->chunk_bytes);
    }
}

static void wisp__take_turn(wisp__reading *r, wisp__incoming *in) {
    wisp__base *base = &r->w->base;
    wisp__lane *lane;
    uint32_t sequence;
    if (r->broken) return;
    if (!r->delivery) wisp__break(r, "a message before a section");
    if (++r->messages > base->limits.packet_messages) wisp__break(r, "too many messages");
    if (r->broken) return;
    if (r->delivery != WISP_RELIABLE) {
        wisp__deliver(r->w, r->session, in, r->delivery, r->number);
        return;
    }
    lane = wisp__peer_lane(base, &r->session->peer, r->channel);
    if (!lane) {
        wisp__break_with(r, WISP_E_MEMORY, "no memory for a channel");
        return;
    }
    switch (wisp__lane_turn(base, &lane->in, r->sequence++, &sequence)) {
    case WISP__NOW: wisp__arrive_in_order(r, lane, in); break;
    case WISP__EARLY: wisp__hold(r, lane, sequence, in); break;
    case WISP__AGAIN: break;
    case WISP__BEYOND: wisp__break(r, "a sequence number beyond the window"); break;
    }
}

/* --- control records --- */

static void wisp__read_section(wisp__reading *r) {
    r->delivery = (int)wisp__get(&r->from, 2);
    r->channel = (int)wisp__get(&r->from, 4);
    r->has_previous = false;
    if (r->delivery == WISP_RELIABLE) r->sequence = (uint32_t)wisp__get(&r->from, 24);
    if (r->from.failed || !r->delivery) wisp__break(r, "a section of no delivery");
}

static void wisp__read_fragment(wisp__reading *r) {
    wisp__incoming in;
    int bytes;
    memset(&in, 0, sizeof in);
    in.kind = WISP__R_FRAGMENT;
    in.first = wisp__get(&r->from, 1) != 0;
    in.last = wisp__get(&r->from, 1) != 0;
    bytes = (int)wisp__get(&r->from, 16);
    in.data_at = r->from.at;
    wisp__skip(&r->from, (int64_t)bytes * 8);
    in.end = r->from.at;
    r->has_previous = false;
    if (r->from.failed || bytes < (in.last ? 1 : WISP__LEAST_FRAGMENT) ||
        r->delivery != WISP_RELIABLE)
        wisp__break(r, "a bad fragment");
    wisp__take_turn(r, &in);
}

/* They know the name by now: ours is announced again. */
static void wisp__tell_anew(wisp__session *s, int index) {
    s->routes[index].known = WISP__UNTOLD;
    s->untold = wisp__min_int(s->untold, index);
}

/* Learns their number for a name. A name that nobody registered here takes no memory. */
static void wisp__learn(wisp__reading *r, int number, const char *name, int length, bool readable) {
    wisp *w = r->w;
    wisp__session *s = r->session;
    wisp__remote *remote = readable ? wisp__registry_find(&w->registry, name, length) : NULL;
    wisp__route *route = remote ? wisp__route_of(&w->base, s, remote->index) : NULL;
    wisp_result room = WISP_E_LIMIT;
    if (remote && remote->index >= WISP__RESERVED)
        room = wisp__grow(&w->base, (void **)&s->theirs, &s->their_room, number + 1,
                          w->base.limits.remotes, sizeof *s->theirs);
    if (room == WISP_E_MEMORY || (remote && !route)) {
        wisp__break_with(r, WISP_E_MEMORY, "no memory for a name");
        return;
    }
    if (room == WISP_E_LIMIT) {
        w->base.stats.names_unknown++;
        wisp__control_add(&w->base, s, WISP__R_UNKNOWN, number);
        return;
    }
    if (s->theirs[number] && s->theirs[number] != remote->index + 1) {
        wisp__break(r, "a number that was announced for another name");
        return;
    }
    s->theirs[number] = (uint16_t)(remote->index + 1);
    wisp__control_add(&w->base, s, WISP__R_BOUND, number);
    route->named = true;
    if (route->known == WISP__UNKNOWN) wisp__tell_anew(s, remote->index);
}

static void wisp__read_announcement(wisp__reading *r) {
    char name[WISP__NAME_BYTES + WISP__SLACK];
    int number = wisp__get_length(&r->from), length = wisp__get_length(&r->from), codec;
    if (length < 1 || length > WISP__NAME_BYTES || number > 0xffff) {
        wisp__break(r, "an announcement out of range");
        return;
    }
    wisp__get_bits(&r->from, (uint8_t *)name, (int64_t)length * 8);
    name[length] = 0;
    wisp__skip(&r->from, 8);                                /* version of the schema */
    codec = (int)wisp__get(&r->from, 8);
    wisp__skip(&r->from, (int64_t)wisp__get_length(&r->from) * 8);
    if (r->from.failed) wisp__break(r, "an announcement cut short");
    else wisp__learn(r, number, name, length, codec == 0);
}

/* They have bound our number, or do not know its name. */
static void wisp__read_answer(wisp__reading *r, bool bound) {
    wisp *w = r->w;
    wisp__session *s = r->session;
    int index = wisp__get_length(&r->from) + WISP__RESERVED;
    wisp__route *route;
    if (r->from.failed || index >= w->registry.count) {
        wisp__break(r, "a number that was never given");
        return;
    }
    route = wisp__route_of(&w->base, s, index);
    if (!route || route->known == WISP__UNTOLD) return;
    if (bound) {
        route->known = WISP__BOUND;
    } else if (route->known != WISP__BOUND && route->named) {
        route->named = false;             /* the answer may be older than their announcement */
        wisp__tell_anew(s, index);
    } else if (route->known != WISP__BOUND && route->known != WISP__UNKNOWN) {
        route->known = WISP__UNKNOWN;
        w->registry.remotes[index]->stats.unknown++;
        for (wisp__pending *call = s->calls_first, *next; call; call = next) {
            next = call->next;
            if (call->remote == index) wisp__call_end(&w->calls, call, WISP_E_NO_REMOTE);
        }
    }
}

static void wisp__read_leave(wisp__reading *r) {
    char text[256 + WISP__SLACK];
    wisp_result code = (int16_t)(uint16_t)wisp__get(&r->from, 16);
    int length = wisp__get_length(&r->from);
    if (r->from.failed || length > 255 || code > 0) {
        wisp__break(r, "a goodbye out of range");
        return;
    }
    wisp__get_bits(&r->from, (uint8_t *)text, (int64_t)length * 8);
    text[length] = 0;
    if (r->from.failed) wisp__break(r, "a goodbye cut short");
    else wisp__end(r->w, r->session, code, text, false);
}

/* false: the end of the packet. */
static bool wisp__read_control(wisp__reading *r, int kind) {
    wisp__incoming in;
    memset(&in, 0, sizeof in);
    if (kind == WISP__R_END) return false;
    r->eliciting = true;
    switch (kind) {
    case WISP__R_SECTION: wisp__read_section(r); break;
    case WISP__R_FRAGMENT: wisp__read_fragment(r); break;
    case WISP__R_ANNOUNCE: wisp__read_announcement(r); break;
    case WISP__R_BOUND: wisp__read_answer(r, true); break;
    case WISP__R_UNKNOWN: wisp__read_answer(r, false); break;
    case WISP__R_PING: break;
    case WISP__R_LEAVE: wisp__read_leave(r); break;
    case WISP__R_INVOKE:
        wisp__read_invoke(r, &in);
        r->has_previous = false;
        wisp__take_turn(r, &in);
        break;
    case WISP__R_REPLY:
        wisp__read_reply(r, &in);
        r->has_previous = false;
        wisp__take_turn(r, &in);
        break;
    default: wisp__break(r, "a record of no kind"); break;
    }
    return true;
}

/* --- packets --- */

/* The same message again, `count` times. */
static void wisp__read_run(wisp__reading *r) {
    int count = wisp__get_small(&r->from) + 1;
    if (!r->has_previous || r->from.failed) wisp__break(r, "a repeat of nothing");
    for (int i = 0; i < count && wisp__goes_on(r); i++) {
        wisp__read_values(r->w, &r->from, &r->previous, &r->values);
        if (r->previous.readable) wisp__break(r, "a repeat that cannot be read");
        wisp__take_turn(r, &r->previous);
    }
}

/* A message of the same shape as the one before. */
static void wisp__read_alike(wisp__reading *r) {
    if (!r->has_previous) wisp__break(r, "a message like none before");
    else wisp__read_bound(r, &r->previous, false);
    wisp__take_turn(r, &r->previous);
}

static void wisp__read_message(wisp__reading *r, bool bound) {
    memset(&r->previous, 0, sizeof r->previous);
    wisp__read_event(r, &r->previous, bound);
    r->has_previous = bound;
    wisp__take_turn(r, &r->previous);
}

/* false: the end of the packet. */
static bool wisp__read_record(wisp__reading *r) {
    wisp__reader *from = &r->from;
    int64_t left = from->end - from->at;
    if (left < 8) {
        wisp__reader rest = *from;
        if (wisp__get(&rest, (int)left) == 0) return false;
    }
    if (wisp__get(from, 1)) wisp__read_alike(r);
    else if (wisp__get(from, 1)) wisp__read_message(r, true);
    else if (wisp__get(from, 1)) wisp__read_run(r);
    else if (wisp__get(from, 1)) wisp__read_message(r, false);
    else return wisp__read_control(r, (int)wisp__get(from, 4));
    r->eliciting = true;
    return true;
}

static void wisp__read_body(wisp__reading *r, bool acks) {
    wisp__peer *peer = &r->session->peer;
    wisp *w = r->w;
    if (acks) {
        wisp__fate fate;
        wisp__ack_news news;
        fate.sender = &w->sender;
        fate.session = r->session;
        news = wisp__flow_get_acks(&w->base, &peer->flow, &r->from, w->base.time, wisp__fate_told,
                                   &fate);
        peer->stats.packets_acked += (uint64_t)news.acked;
        peer->stats.packets_lost += (uint64_t)news.lost;
        if (news.bad) wisp__break(r, "acks of what was never sent");
    }
    while (wisp__goes_on(r) && wisp__read_record(r) && !w->destroyed) {
    }
    if (r->from.failed && !r->broken) wisp__break(r, "a record longer than its packet");
}

/* A packet whose tag is right. */
static void wisp__on_packet(wisp *w, wisp__session *s, const wisp_packet *packet, int head,
                            uint64_t number) {
    const uint8_t *bytes = (const uint8_t *)packet->data;
    wisp__peer *peer = &s->peer;
    wisp__reading r;
    if (peer->heard < 0) return;             /* the link has closed it */
    peer->stats.packets_received++;
    peer->stats.bytes_received += (uint64_t)packet->size;
    peer->heard = w->base.time;
    if (w->base.reliable) {
        peer->received_in_order = number;
    } else if (wisp__flow_is_duplicate(&peer->flow, number)) {
        peer->stats.packets_duplicate++;
        return;
    } else {
        wisp__flow_note(&peer->flow, number, w->base.time);
    }
    if (peer->state == WISP__HALF_OPENED) wisp__confirm(w, s);
    s->steps = s->misses = s->told_errors = 0;
    memset(&r, 0, sizeof r);
    r.w = w;
    r.session = s;
    r.number = number;
    r.from = wisp__reader_on(bytes + head, packet->size - head);
    r.values = wisp__max_int(WISP__PACKET_VALUES, w->base.limits.message_values);
    if (bytes[0] & 0x7c) wisp__break(&r, "flags of no meaning");
    wisp__read_body(&r, (bytes[0] & WISP__FLAG_ACKS) != 0);
    if (r.broken) {
        w->base.stats.packets_malformed++;
        wisp__log(&w->base, WISP_LOG_WARNING, r.code, "session ended: %s", r.broken);
        wisp__end(w, s, r.code, r.broken, true);
    }
    if (peer->state != WISP__JOINED) return;
    if (r.eliciting && !w->base.reliable) wisp__flow_owe_ack(&peer->flow, w->base.time);
    wisp__peers_mark(&w->peers, peer);
}

/* Finds the session by address and tag: there may be one that another is about to replace. */
static void wisp__on_session_packet(wisp *w, const wisp_packet *packet) {
    const uint8_t *bytes = (const uint8_t *)packet->data;
    int head = w->base.reliable ? 5 : bytes[0] & WISP__FLAG_WIDE ? 9 : 7;
    wisp__peer *peer = NULL;
    bool known = false, enough = packet->size >= head;
    while (enough && (peer = wisp__peers_find(&w->peers, &packet->addr, peer)) != NULL) {
        uint64_t number = peer->received_in_order + 1;
        if (peer->state != WISP__JOINED && peer->state != WISP__HALF_OPENED) continue;
        known = true;
        if (head > 5)
            number = wisp__flow_number(&peer->flow, wisp__load_part(bytes + 5, head - 5),
                                       (head - 5) * 8);
        if (wisp__seal_tag(&peer->seal, peer->joiner, number ^ (uint64_t)bytes[0] << 56, bytes + 5,
                           packet->size - 5) != wisp__get_tag(bytes + 1))
            continue;
        wisp__on_packet(w, (wisp__session *)(void *)peer, packet, head, number);
        return;
    }
    if (known) w->base.stats.packets_bad_tag++;
    else w->base.stats.packets_foreign++;
}

static void wisp__on_oversized(wisp *w) {
    if (!w->base.stats.packets_oversized++)
        wisp__log(&w->base, WISP_LOG_WARNING, WISP_E_TOO_BIG,
                  "datagrams larger than link.mtu come in: raise it, or lower it over there");
}

static void wisp__on_datagram(wisp *w, const wisp_packet *packet) {
    const uint8_t *bytes = (const uint8_t *)packet->data;
    wisp_total_stats *stats = &w->base.stats;
    stats->packets_received++;
    if (packet->size > 0) stats->bytes_received += (uint64_t)packet->size;
    if (packet->size <= 0) stats->packets_empty++;
    else if (packet->size > w->base.mtu) wisp__on_oversized(w);
    else if (bytes[0] & WISP__FLAG_SESSION) wisp__on_session_packet(w, packet);
    else wisp__on_handshake(w, packet);
}

/* --- timers --- */

static void wisp__on_silence(wisp *w, wisp__session *s) {
    wisp__peer *peer = &s->peer;
    wisp__flow *flow = &peer->flow;
    double now = w->base.time;
    wisp__fate fate;
    fate.sender = &w->sender;
    fate.session = s;
    if (now >= peer->heard + w->base.timeout) {
        if (peer->heard < 0) wisp__end(w, s, WISP_E_CLOSED, "the link closed it", false);
        else wisp__end(w, s, WISP_E_TIMEOUT, "nothing was heard any more", false);
        return;
    }
    if (now >= flow->loss_time) {
        int lost = wisp__flow_detect_loss(&w->base, flow, now, wisp__fate_told, &fate);
        peer->stats.packets_lost += (uint64_t)lost;
    } else if (now >= wisp__flow_probe_time(flow)) {
        wisp__flow_probe(&w->base, flow, now, wisp__fate_told, &fate);
        s->ping = true;
    }
    if (now >= peer->spoke + w->base.timeout / 4) {
        s->ping = true;
        flow->free_packets = wisp__max_int(flow->free_packets, 1);
    }
    wisp__peers_mark(&w->peers, peer);          /* the flush sets the timer anew */
}

static void wisp__on_peer_timer(wisp *w, wisp__session *s) {
    wisp__peer *peer = &s->peer;
    switch (peer->state) {
    case WISP__REQUESTING:
    case WISP__RESPONDING:
        if (w->base.time >= peer->started + w->base.timeout)
            wisp__end(w, s, WISP_E_TIMEOUT, "no answer", false);
        else
            wisp__handshake_retry(&w->peers, peer);
        break;
    case WISP__PENDING:
    case WISP__HALF_OPENED: wisp__end(w, s, WISP_E_TIMEOUT, "never came in", false); break;
    case WISP__JOINED: wisp__on_silence(w, s); break;
    case WISP__LEAVING:
    case WISP__GONE: wisp__linger(w, s); break;
    }
}

/* Ends the call, or repeats it where the delivery may have lost it. */
static void wisp__on_call_timer(wisp *w, wisp__pending *call) {
    if (w->base.time >= call->deadline || !call->message) {
        wisp__call_end(&w->calls, call, WISP_E_TIMEOUT);
        return;
    }
    if (call->message->references == 1)          /* else it still waits in the queue */
        wisp__give(w, call->session, call->message);
    wisp__timers_set(w->calls.timers, &call->timer,
                     wisp__min(call->deadline, w->base.time + call->interval));
}

#define WISP__OWNER(type, member, pointer) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* What is due; what is set anew meanwhile waits for the next update. */
static void wisp__run_timers(wisp *w) {
    wisp__timer *timer;
    for (int left = w->peers.timers.count; left > 0; left--) {
        timer = wisp__timers_due(&w->peers.timers, w->base.time);
        if (!timer) return;
        if (timer->kind == WISP__TIMER_CALL)
            wisp__on_call_timer(w, WISP__OWNER(wisp__pending, timer, timer));
        else
            wisp__on_peer_timer(w, (wisp__session *)(void *)WISP__OWNER(wisp__peer, timer, timer));
    }
}

/* Names that were registered since are news for every peer. */
static void wisp__spread_names(wisp *w) {
    if (w->spread == w->registry.count) return;
    w->spread = w->registry.count;
    for (wisp__peer *peer = w->peers.first; peer; peer = peer->next)
        wisp__peers_mark(&w->peers, peer);
}

/* Sends what waits for those that have something to send. */
static void wisp__flush_dirty(wisp *w) {
    wisp__peer *peer, *next;
    wisp__spread_names(w);
    peer = w->peers.dirty;
    w->peers.dirty = NULL;
    for (; peer; peer = next) {
        bool again;
        next = peer->next_dirty;
        peer->dirty = false;
        wisp__offer_stuck(&w->peers, peer);
        again = !wisp__flush(&w->sender, (wisp__session *)(void *)peer, -1);
        if (again || peer->stuck_first) wisp__peers_mark(&w->peers, peer);
    }
    wisp__post_send(&w->peers);
}

/* Runs all rooms' checks: for tests. */
WISP__UNUSED static void wisp__session_check(const wisp *w, const wisp__session *s) {
    int queued = 0, bytes = 0;
    if (s->peer.state != WISP__JOINED) return;
    if (!w->base.reliable) wisp__flow_check(&s->peer.flow);
    for (int c = 0; c < WISP__CHANNELS; c++)
        if (s->peer.lanes[c]) wisp__lane_check(&w->base, s->peer.lanes[c]);
    for (int i = 0; i < s->active_count; i++)
        for (wisp__entry *e = s->routes[s->active[i]].first; e; e = e->next) {
            queued++;
            bytes += e->message->size;
        }
    WISP_ASSERT(queued == s->queued && bytes == s->queued_bytes);
    WISP_ASSERT(s->held_bytes >= 0 && s->held_bytes <= w->base.limits.window_bytes);
    WISP_ASSERT(s->kept_bytes >= 0 && s->peer.window_used >= 0);
    (void)queued;
    (void)bytes;
}

/* ===========================================================================
 * MARK: >>host
 * What: the endpoint: create, update, destroy; the public calls, which find
 *   their objects and hand on to the rooms.
 * Invariants: handlers run only while `updating`; a call that fails has
 *   changed nothing.
 * ======================================================================== */

/* --- create --- */

static void wisp__desc_defaults(wisp_desc *desc) {
    desc->max_peers = wisp__default_int(desc->max_peers, 64);
    desc->link.mtu = wisp__default_int(desc->link.mtu, 1200);
    if (!(desc->timeout > 0)) desc->timeout = 10;
    if (!desc->app) desc->app = "";
    wisp__limits_defaults(&desc->limits, desc->max_peers);
}

static bool wisp__limits_valid(const wisp_limits *l) {
    return l->remotes >= 0 && l->connections >= 0 && l->message_bytes >= 0 &&
           l->message_values >= 0 && l->map_pairs >= 0 && l->nesting >= 0 &&
           l->queue_messages >= 0 && l->queue_bytes >= 0 && l->window_items >= 0 &&
           l->window_bytes >= 0 && l->window_packets >= 0 && l->calls >= 0 &&
           l->calls_remembered >= 0 && l->packet_messages >= 0 && l->update_packets >= 0 &&
           l->notices >= 0;
}

static wisp_result wisp__desc_validate(const wisp_desc *desc) {
    const wisp_link *link = &desc->link;
    if (!link->send || !link->recv) return WISP_E_ARGUMENT;
    if (link->mtu && (link->mtu < 256 || link->mtu > 65000)) return WISP_E_ARGUMENT;
    if (desc->max_peers < 0 || desc->max_peers > 16384) return WISP_E_ARGUMENT;
    if (!(desc->timeout >= 0 && desc->timeout <= 1e9)) return WISP_E_ARGUMENT;
    if (desc->app && strlen(desc->app) > 64) return WISP_E_TOO_BIG;
    if (!desc->memory.alloc != !desc->memory.free) return WISP_E_ARGUMENT;
    return wisp__limits_valid(&desc->limits) ? WISP_OK : WISP_E_ARGUMENT;
}

/* Keys from the seed, the caller's entropy or the system's. */
static wisp_result wisp__seed(const wisp_desc *desc, wisp__peers *peers) {
    uint64_t keys[4] = { 0, 0, 0, 0 };
    wisp_entropy entropy = desc->entropy;
#ifndef WISP_NO_OS
    if (!entropy) entropy = wisp__system_entropy;
#endif
    if (desc->seed)
        for (int i = 0; i < 4; i++) keys[i] = wisp__mix(desc->seed + (uint64_t)i);
    else if (!entropy || !entropy(desc->user, keys, (int)sizeof keys))
        return WISP_E_ENTROPY;
    peers->secret.key[0] = keys[0];
    peers->secret.key[1] = keys[1];
    peers->cookie_key[0] = keys[2];
    peers->cookie_key[1] = keys[3];
    return WISP_OK;
}

static size_t wisp__buffer_bytes(const wisp *w, int packets) {
    return (size_t)packets * (size_t)(w->base.mtu + WISP__SLACK);
}

/* Makes the first `count` places ready for datagrams, each one byte larger than allowed, to see
   what is too large. */
static void wisp__make_room(wisp *w, int count) {
    for (int i = 0; i < count; i++) {
        w->received[i].data = w->incoming + wisp__buffer_bytes(w, i);
        w->received[i].size = w->base.mtu + 1;
    }
}

/* Lets the rooms know of each other. Nothing is allocated yet. */
static void wisp__wire(wisp *w, const wisp_desc *desc) {
    w->base.memory = desc->memory;
    w->base.limits = desc->limits;
    w->base.log = desc->log;
    w->base.user = desc->user;
    w->base.mtu = desc->link.mtu;
    w->base.reliable = desc->link.reliable;
    w->base.timeout = desc->timeout;
    w->accept = desc->accept;
    w->packer.base = w->registry.base = w->peers.base = w->events.base = w->calls.base = &w->base;
    w->sender.base = &w->base;
    w->peers.chunks = w->calls.chunks = w->sender.chunks = &w->chunks;
    w->events.registry = w->sender.registry = &w->registry;
    w->sender.peers = &w->peers;
    w->calls.timers = &w->peers.timers;
    w->peers.post.link = desc->link;
    w->peers.app_version = desc->app_version;
    w->peers.max_peers = desc->max_peers;
    w->peers.refuse_joins = desc->refuse_joins;
    memcpy(w->peers.app, desc->app, strlen(desc->app));
    wisp__pool_init(&w->peers.pool, 2 * desc->max_peers, sizeof(wisp__session), 4);
    wisp__pool_init(&w->events.pool, desc->limits.connections, sizeof(wisp__connection), 32);
    wisp__pool_init(&w->calls.pool, 2 * desc->limits.calls, sizeof(wisp__pending), 16);
}

static wisp_result wisp__start(wisp *w) {
    static const char *const reserved[] = { WISP_JOINED, WISP_LEFT, WISP_ERROR };
    wisp_result why = WISP_OK;
    w->peers.table_room = wisp__power_of_two(2 * w->peers.max_peers);
    w->peers.table = (uint32_t *)wisp__alloc(&w->base, (size_t)w->peers.table_room * 4);
    w->incoming = (uint8_t *)wisp__alloc(&w->base, wisp__buffer_bytes(w, WISP__RECEIVED));
    w->peers.post.buffers = (uint8_t *)wisp__alloc(&w->base,
                                                   wisp__buffer_bytes(w, WISP__POST_PACKETS));
    if (!w->peers.table || !w->incoming || !w->peers.post.buffers) return WISP_E_MEMORY;
    wisp__make_room(w, WISP__RECEIVED);
    for (int i = 0; i < WISP__RESERVED && why == WISP_OK; i++)
        wisp__registry_add(&w->registry, reserved[i], &why);
    return why;
}

static void wisp__release(wisp *w) {
    wisp__base base;
    for (int i = 0; i < w->peers.pool.made; i++) {
        wisp__session *s = wisp__session_at(w, i);
        if (!s) continue;
        while (s->peer.stuck_first) wisp__unstick(&w->peers, &s->peer);
        wisp__flow_free(&w->base, &s->peer.flow);
    }
    wisp__pool_free(&w->base, &w->peers.pool);
    wisp__pool_free(&w->base, &w->calls.pool);
    wisp__events_free(&w->events);
    wisp__registry_free(&w->registry);
    wisp__packer_free(&w->packer);
    wisp__arena_free(&w->base, &w->arena);
    wisp__chunks_free(&w->base, &w->chunks);
    wisp__free(&w->base, w->peers.timers.heap,
               (size_t)w->peers.timers.room * sizeof *w->peers.timers.heap);
    wisp__free(&w->base, w->peers.table, (size_t)w->peers.table_room * 4);
    wisp__free(&w->base, w->incoming, wisp__buffer_bytes(w, WISP__RECEIVED));
    wisp__free(&w->base, w->peers.post.buffers, wisp__buffer_bytes(w, WISP__POST_PACKETS));
    base = w->base;
    wisp__free(&base, w, sizeof *w);
    WISP_ASSERT(base.stats.memory == 0);
}

wisp *wisp_create(const wisp_desc *desc, wisp_result *why) {
    wisp_desc full;
    wisp_result ignored, *result = why ? why : &ignored;
    wisp__base base;
    wisp *w;
    *result = desc ? wisp__desc_validate(desc) : WISP_E_ARGUMENT;
    if (*result) return NULL;
    full = *desc;
    wisp__desc_defaults(&full);
    *result = WISP_E_MEMORY;
    if (!wisp__allocator_defaults(&full.memory)) return NULL;
    memset(&base, 0, sizeof base);
    base.memory = full.memory;
    w = (wisp *)wisp__alloc(&base, sizeof *w);
    if (!w) return NULL;
    w->base.stats = base.stats;
    wisp__wire(w, &full);
    *result = wisp__seed(&full, &w->peers);
    if (*result == WISP_OK) *result = wisp__start(w);
    if (*result == WISP_OK) return w;
    wisp__release(w);
    return NULL;
}

/* --- destroy --- */

static void wisp__destroy_now(wisp *w) {
    w->destroyed = w->updating = true;
    for (int i = 0; i < w->peers.pool.made; i++) {
        wisp__session *s = wisp__session_at(w, i);
        if (!s) continue;
        wisp__end(w, s, WISP_OK, "closed", true);
        for (int repeat = 0; repeat < 2 && s->peer.state == WISP__LEAVING; repeat++)
            wisp__send_leave(&w->sender, s);
    }
    wisp__post_send(&w->peers);
    w->events.notice_count = 0;
    wisp__dispatch(w);              /* the handlers of calls that have ended */
    w->events.notice_count = 0;
    wisp__post_send(&w->peers);
    wisp__release(w);
}

void wisp_destroy(wisp *w) {
    if (!w || w->destroyed) return;
    if (w->updating) w->destroyed = true;
    else wisp__destroy_now(w);
}

/* --- update --- */

/* The caller's time, made to grow and never to leap. */
static void wisp__advance(wisp *w, double now) {
    double step = w->started ? now - w->now : 0;
    if (step < 0) {
        w->base.stats.clock_back++;
        step = 0;
    }
    w->started = true;
    w->now = now;
    w->base.time += wisp__min(step, w->base.timeout / 2);
}

/* Takes what has come until nothing is left. A link that has handed over several at once before, or
   that says so, has nothing left when it hands over less. false: the link is broken. */
static bool wisp__receive(wisp *w) {
    wisp_link *link = &w->peers.post.link;
    int left = w->base.limits.update_packets, count = WISP__RECEIVED;
    bool more = true;
    while (left > 0 && count > 0 && more && !w->destroyed) {
        int most = wisp__min_int(left, WISP__RECEIVED);
        count = wisp__min_int(link->recv(link->user, w->received, most), most);
        w->most_received = wisp__max_int(w->most_received, count);
        for (int i = 0; i < count && !w->destroyed; i++) wisp__on_datagram(w, &w->received[i]);
        wisp__make_room(w, count);
        more = count == most || (count >= w->most_received && !link->drains);
        left -= count;
    }
    if (count >= 0) return true;
    w->base.stats.link_failures++;
    return false;
}

/* One error event for each time the link breaks. */
static void wisp__tell_link(wisp *w, bool broken) {
    if (broken && !w->link_told)
        wisp__error(w, NULL, NULL, WISP_E_LINK, "the link is broken");
    w->link_told = broken;
}

wisp_result wisp_update(wisp *w, double now) {
    bool received;
    if (!w || !(now - now >= 0)) return WISP_E_ARGUMENT;
    if (w->updating) return WISP_E_BUSY;
    w->updating = true;
    wisp__advance(w, now);
    received = wisp__receive(w);
    wisp__run_timers(w);
    wisp__dispatch(w);
    wisp__flush_dirty(w);
    wisp__tell_link(w, !received || w->peers.post.broken);
    w->updating = false;
    if (w->destroyed) {
        wisp__destroy_now(w);
        return WISP_E_CLOSED;
    }
    return w->link_told ? WISP_E_LINK : WISP_OK;
}

double wisp_now(const wisp *w) { return w ? w->now : 0; }
void *wisp_user(const wisp *w) { return w ? w->base.user : NULL; }
wisp_result wisp_why(const wisp *w) { return w ? w->why : WISP_E_ARGUMENT; }

/* --- peers --- */

wisp_peer wisp_join(wisp *w, const wisp_addr *to, const void *ticket, int ticket_size) {
    wisp_peer none = { 0 };
    wisp__session *s;
    if (!w) return none;
    w->why = WISP_E_CLOSED;
    if (w->destroyed) return none;
    w->why = WISP_E_ARGUMENT;
    if (!to || ticket_size < 0 || (ticket_size && !ticket)) return none;
    w->why = WISP_E_TOO_BIG;
    if (ticket_size > w->base.mtu - 128) return none;
    s = wisp__add_session(w, to, &w->why);
    if (!s) return none;
    s->peer.joiner = s->peer.asked = true;
    s->peer.client_nonce = wisp__random(&w->peers.secret);
    if (ticket_size) s->peer.ticket = wisp__alloc(&w->base, (size_t)ticket_size);
    if (ticket_size && !s->peer.ticket) {
        w->why = WISP_E_MEMORY;
        wisp__remove_session(w, s);
        return none;
    }
    if (ticket_size) memcpy(s->peer.ticket, ticket, (size_t)ticket_size);
    s->peer.ticket_size = ticket_size;
    wisp__handshake_retry(&w->peers, &s->peer);
    wisp__post_send(&w->peers);
    return wisp__peer_handle(s);
}

void wisp_leave(wisp *w, wisp_peer peer, const char *reason) {
    wisp__session *s = w ? wisp__session_of(w, peer) : NULL;
    if (!s) return;
    wisp__end(w, s, WISP_OK, reason, true);
    wisp__post_send(&w->peers);
}

wisp_result wisp_admit(wisp *w, const wisp_addr *from, wisp_result verdict) {
    wisp__peer *peer = NULL;
    if (!w || !from || verdict > 0) return WISP_E_ARGUMENT;
    while ((peer = wisp__peers_find(&w->peers, from, peer)) != NULL) {
        if (peer->state != WISP__PENDING) continue;
        if (verdict == WISP_OK) {
            wisp__half_open(w, (wisp__session *)(void *)peer);
        } else {
            wisp__deny(&w->peers, from, peer->client_nonce, verdict);
            wisp__end(w, (wisp__session *)(void *)peer, verdict, "denied", false);
        }
        wisp__post_send(&w->peers);
        return WISP_OK;
    }
    return WISP_E_STALE;
}

int wisp_peers(const wisp *w, wisp_peer *out, int capacity) {
    int count = 0;
    if (!w) return 0;
    for (wisp__peer *peer = w->peers.first; peer && out && count < capacity; peer = peer->next)
        out[count++].id = peer->slot.id;
    return w->peers.joined;
}

/* The session behind a handle; inside handlers also one that has just left. */
static const wisp__session *wisp__session_or_left(const wisp *w, wisp_peer peer) {
    const wisp__session *s = w ? wisp__session_of(w, peer) : NULL;
    if (s || !w || !w->events.running) return s;
    return (const wisp__session *)wisp__pool_get(&w->peers.pool, peer.id);
}

const wisp_addr *wisp_peer_addr(const wisp *w, wisp_peer peer) {
    const wisp__session *s = wisp__session_or_left(w, peer);
    return s ? &s->peer.addr : NULL;
}

void *wisp_peer_user(const wisp *w, wisp_peer peer) {
    const wisp__session *s = wisp__session_or_left(w, peer);
    return s ? s->peer.user : NULL;
}

wisp_result wisp_set_peer_user(wisp *w, wisp_peer peer, void *user) {
    wisp__session *s = w ? wisp__session_of(w, peer) : NULL;
    if (!s) return w ? WISP_E_STALE : WISP_E_ARGUMENT;
    s->peer.user = user;
    return WISP_OK;
}

/* --- settings --- */

wisp_result wisp_use_config(wisp *w, const wisp_config *config, const char *remote) {
    return w ? wisp__registry_configure(&w->registry, remote, config) : WISP_E_ARGUMENT;
}

wisp_result wisp_use_batching(wisp *w, bool enabled) {
    if (!w) return WISP_E_ARGUMENT;
    w->registry.unbatched = !enabled;
    return WISP_OK;
}

static wisp_config wisp__config_none(void) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    return config;
}

wisp_result wisp_set_unreliable(wisp *w, const char *remote, bool unreliable) {
    wisp_config config = wisp__config_none();
    config.delivery = unreliable ? WISP_UNRELIABLE : WISP_RELIABLE;
    return wisp_use_config(w, &config, remote);
}

wisp_result wisp_set_batch_mode(wisp *w, const char *remote, wisp_batch_mode mode) {
    wisp_config config = wisp__config_none();
    config.batching = mode;
    return mode ? wisp_use_config(w, &config, remote) : WISP_E_ARGUMENT;
}

wisp_result wisp_set_batch_priority(wisp *w, const char *remote, int priority) {
    wisp_config config = wisp__config_none();
    if (priority < 0 || priority > 999) return WISP_E_ARGUMENT;
    config.batch_priority = WISP_PRIORITY(priority);
    return wisp_use_config(w, &config, remote);
}

wisp_result wisp_set_max_batch_size(wisp *w, int messages) {
    wisp_config config = wisp__config_none();
    if (messages < 1) return WISP_E_ARGUMENT;
    config.max_batch_size = messages;
    return wisp_use_config(w, &config, NULL);
}

wisp_result wisp_set_rate_limit(wisp *w, double seconds, const char *remote) {
    wisp_config config = wisp__config_none();
    if (!(seconds - seconds >= 0)) return WISP_E_ARGUMENT;
    config.rate_limit = seconds > 0 ? seconds : -1;
    return wisp_use_config(w, &config, remote);
}

wisp_remote wisp_remote_named(wisp *w, const char *name) {
    return wisp__remote_handle(w ? wisp__registry_add(&w->registry, name, &w->why) : NULL);
}

const char *wisp_remote_name(const wisp *w, wisp_remote remote) {
    if (!w || !remote.id || remote.id > (uint32_t)w->registry.count) return NULL;
    return w->registry.remotes[remote.id - 1]->name;
}

wisp_result wisp_flush_batches(wisp *w) {
    if (!w) return WISP_E_ARGUMENT;
    wisp__flush_dirty(w);
    return w->peers.post.broken ? WISP_E_LINK : WISP_OK;
}

/* --- fire --- */

/* A remote that messages can go to: not one of the reserved names. */
static wisp__remote *wisp__remote_to_send(wisp *w, wisp_target target, wisp_result *why) {
    wisp__remote *remote = wisp__remote_of(w, target, why);
    if (!remote || remote->index >= WISP__RESERVED) return remote;
    *why = WISP_E_NAME;
    return NULL;
}

static void wisp__keep_first(wisp_result *first, wisp_result result) {
    if (*first == WISP_OK) *first = result;
}

static wisp_result wisp__fire_list(wisp *w, wisp_to to, wisp__message *m) {
    wisp_result first = WISP_OK;
    uint64_t mark = ++w->mark;
    for (int i = 0; i < to.count; i++) {
        wisp__session *s = wisp__session_of(w, to.list[i]);
        if (!s || s->mark == mark) {
            w->base.stats.targets_skipped++;
            wisp__keep_first(&first, s ? WISP_E_ARGUMENT : WISP_E_STALE);
            continue;
        }
        s->mark = mark;
        wisp__keep_first(&first, wisp__give(w, s, m));
    }
    return first;
}

static wisp_result wisp__fire_all(wisp *w, wisp_to to, wisp__message *m) {
    wisp_result first = WISP_OK;
    uint64_t mark = ++w->mark;
    wisp__peer *next;
    for (int i = 0; to.mode == WISP__TO_EXCEPT && i < to.count; i++) {
        wisp__session *s = wisp__session_of(w, to.list[i]);
        if (s) s->mark = mark;
    }
    for (wisp__peer *peer = w->peers.first; peer; peer = next) {
        wisp__session *s = (wisp__session *)(void *)peer;
        next = peer->next;
        if (s->mark != mark) wisp__keep_first(&first, wisp__give(w, s, m));
    }
    return first;
}

wisp_result wisp_fire_target(wisp *w, wisp_target target, wisp_to to, const wisp_value *values,
                             int count) {
    wisp__remote *remote;
    wisp__session *s = NULL;
    wisp__message *m;
    wisp_result result;
    if (!w || to.count < 0 || (to.mode >= WISP__TO_LIST && to.count && !to.list))
        return WISP_E_ARGUMENT;
    if (to.mode == WISP__TO_PEER && (s = wisp__session_of(w, to.peer)) == NULL) return WISP_E_STALE;
    result = wisp__pack(&w->packer, values, count);
    if (result) return wisp__pack_refused(&w->base, result);
    remote = wisp__remote_to_send(w, target, &result);      /* may register the name */
    if (!remote) return result;
    m = wisp__compose(w, remote, WISP__EVENT, &result);
    if (!m) return result;
    if (s) result = wisp__give(w, s, m);
    else if (to.mode == WISP__TO_LIST) result = wisp__fire_list(w, to, m);
    else result = wisp__fire_all(w, to, m);
    wisp__message_release(&w->base, &w->chunks, m);
    return result;
}

wisp_result wisp_fire_values(wisp *w, const char *remote, wisp_to to, const wisp_value *values,
                             int count) {
    return wisp_fire_target(w, wisp_by_name(remote), to, values, count);
}

wisp_result wisp_send(wisp *w, wisp_remote remote, wisp_to to, const wisp_value *values,
                      int count) {
    if (!remote.id) return w ? WISP_E_STALE : WISP_E_ARGUMENT;
    return wisp_fire_target(w, wisp_by_handle(remote), to, values, count);
}

/* --- connect --- */

wisp_connection wisp_connect_target(wisp *w, wisp_target target, wisp_handler fn, void *user,
                                    bool once) {
    wisp_connection handle = { 0 };
    wisp__remote *remote;
    wisp__connection *c;
    if (!w) return handle;
    w->why = WISP_E_ARGUMENT;
    if (!fn) return handle;
    c = (wisp__connection *)wisp__pool_add(&w->base, &w->events.pool, &w->why);
    if (!c && w->why == WISP_E_LIMIT)
        wisp__log(&w->base, WISP_LOG_ERROR, w->why, "raise desc.limits.connections");
    if (!c) return handle;
    remote = wisp__remote_of(w, target, &w->why);
    if (!remote) {
        wisp__pool_remove(&w->events.pool, c);
        return handle;
    }
    c->fn = fn;
    c->user = user;
    c->once = once;
    wisp__events_connect(remote, c);
    handle.id = c->slot.id;
    return handle;
}

void wisp_disconnect(wisp *w, wisp_connection connection) {
    wisp__connection *c =
        w ? (wisp__connection *)wisp__pool_get(&w->events.pool, connection.id) : NULL;
    if (c) wisp__events_disconnect(&w->events, c);
}

/* --- arguments --- */

static void wisp__arg_wrong(wisp_event *event, int i, const wisp_value *value) {
    if (!event || !event->w) return;
    event->w->base.stats.arguments_wrong++;
    wisp__notice_add(&event->w->events, WISP__ON_ERROR, event->peer, event->remote, WISP_E_TYPE,
                     "%s: argument %d is %s", event->name, i,
                     value ? "of another kind" : "missing");
}

/* The argument if it is of this kind; else reported, and NULL. */
static const wisp_value *wisp__arg(wisp_event *event, int i, wisp_kind kind) {
    const wisp_value *value = wisp_arg_value(event, i);
    if (value && value->kind == kind) return value;
    wisp__arg_wrong(event, i, value);
    return NULL;
}

/* The number in an argument as an integer with its sign; false: it is none, or not exact. */
static bool wisp__arg_integral(wisp_event *event, int i, bool *negative, uint64_t *magnitude) {
    const wisp_value *value = wisp_arg_value(event, i);
    wisp__numeric numeric;
    if (value && value->kind == WISP_BOOL) {
        *negative = false;
        *magnitude = value->as.boolean;
        return true;
    }
    if (!value || !wisp__numeric_of(value, &numeric) || !numeric.integral) return false;
    *negative = numeric.negative;
    *magnitude = numeric.magnitude;
    return true;
}

const wisp_value *wisp_arg_value(wisp_event *event, int i) {
    return event && i >= 0 && i < event->count ? &event->args[i] : NULL;
}

bool wisp_arg_bool(wisp_event *event, int i) {
    bool negative;
    uint64_t magnitude;
    if (wisp__arg_integral(event, i, &negative, &magnitude) && !negative && magnitude <= 1)
        return magnitude != 0;
    wisp__arg_wrong(event, i, wisp_arg_value(event, i));
    return false;
}

int64_t wisp_arg_int(wisp_event *event, int i) {
    bool negative;
    uint64_t magnitude, most = (uint64_t)INT64_MAX;
    if (wisp__arg_integral(event, i, &negative, &magnitude) && magnitude <= most + negative)
        return negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    wisp__arg_wrong(event, i, wisp_arg_value(event, i));
    return 0;
}

uint64_t wisp_arg_uint(wisp_event *event, int i) {
    bool negative;
    uint64_t magnitude;
    if (wisp__arg_integral(event, i, &negative, &magnitude) && (!negative || !magnitude))
        return magnitude;
    wisp__arg_wrong(event, i, wisp_arg_value(event, i));
    return 0;
}

double wisp_arg_number(wisp_event *event, int i) {
    const wisp_value *value = wisp_arg_value(event, i);
    bool negative;
    uint64_t magnitude;
    if (value && value->kind == WISP_NUMBER) return value->as.number;
    if (value && value->kind == WISP_FLOAT) return (double)value->as.float32;
    if (wisp__arg_integral(event, i, &negative, &magnitude) &&
        (magnitude >> 53 == 0 || (uint64_t)(double)(magnitude >> 1) == magnitude >> 1) &&
        !(magnitude >> 53 && magnitude & 1))
        return negative ? -(double)magnitude : (double)magnitude;
    wisp__arg_wrong(event, i, wisp_arg_value(event, i));
    return 0;
}

float wisp_arg_float(wisp_event *event, int i) {
    double number = wisp_arg_number(event, i), size = number < 0 ? -number : number;
    bool finite = size - size >= 0;
    if (!finite || size <= 3.4028234663852886e38) return (float)number;
    wisp__arg_wrong(event, i, wisp_arg_value(event, i));
    return 0;
}

const char *wisp_arg_string_n(wisp_event *event, int i, int *size) {
    const wisp_value *value = wisp__arg(event, i, WISP_STRING);
    if (size) *size = value ? value->count : 0;
    return value ? value->as.string : "";
}

const char *wisp_arg_string(wisp_event *event, int i) { return wisp_arg_string_n(event, i, NULL); }

const void *wisp_arg_bytes(wisp_event *event, int i, int *size) {
    const wisp_value *value = wisp__arg(event, i, WISP_BYTES);
    if (size) *size = value ? value->count : 0;
    return value ? value->as.bytes : NULL;
}

/* The value, or a nil whose parts are all zero. */
static wisp_value wisp__arg_or_zero(wisp_event *event, int i, wisp_kind kind) {
    const wisp_value *value = wisp__arg(event, i, kind);
    return value ? *value : wisp_nil();
}

wisp_vec2 wisp_arg_vec2(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_VEC2).as.vec2;
}

wisp_vec3 wisp_arg_vec3(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_VEC3).as.vec3;
}

wisp_vec4 wisp_arg_vec4(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_VEC4).as.vec4;
}

wisp_quat wisp_arg_quat(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_QUAT).as.quat;
}

wisp_transform wisp_arg_transform(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_TRANSFORM).as.transform;
}

wisp_color wisp_arg_color(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_COLOR).as.color;
}

const wisp_value *wisp_arg_array(wisp_event *event, int i) {
    return wisp__arg(event, i, WISP_ARRAY);
}

const wisp_value *wisp_arg_map(wisp_event *event, int i) { return wisp__arg(event, i, WISP_MAP); }

/* --- calls --- */

static void wisp__call_schedule(wisp *w, wisp__pending *call, const wisp__remote *remote,
                                const wisp_call_desc *desc, wisp__message *m) {
    double timeout = desc->timeout > 0 ? desc->timeout : remote->now.call_timeout;
    int tries = desc->tries > 0 ? desc->tries : remote->now.call_tries;
    bool repeats = tries > 1 && m->delivery != WISP_RELIABLE && !w->base.reliable;
    call->deadline = w->base.time + timeout;
    call->interval = repeats ? timeout / tries : timeout;
    if (repeats) {
        call->message = m;
        m->references++;
    }
    wisp__timers_set(&w->peers.timers, &call->timer, w->base.time + call->interval);
}

/* Queues the packed values as a call that has its slot. */
static wisp_result wisp__call_begin(wisp *w, wisp__session *s, wisp__pending *call,
                                    wisp_target target, const wisp_call_desc *desc) {
    wisp_result result;
    wisp__remote *remote = wisp__remote_to_send(w, target, &result);
    wisp__message *m = remote ? wisp__compose(w, remote, WISP__INVOKE, &result) : NULL;
    if (!m) return result;
    m->call = s->next_call;
    result = wisp__give(w, s, m);
    if (result == WISP_OK) {
        call->fn = desc->on_reply;
        call->user = desc->user;
        call->remote = remote->index;
        call->peer = wisp__peer_handle(s);
        wisp__call_link(s, call);
        wisp__call_schedule(w, call, remote, desc, m);
        remote->stats.invokes_sent++;
    }
    wisp__message_release(&w->base, &w->chunks, m);
    return result;
}

wisp_call wisp_invoke_target(wisp *w, wisp_target target, wisp_to to, const wisp_call_desc *desc,
                             const wisp_value *values, int count) {
    static const wisp_call_desc none = { NULL, NULL, 0, 0 };
    wisp_call handle = { 0 };
    const wisp_call_desc *how = desc ? desc : &none;
    wisp__session *s;
    wisp__pending *call;
    if (!w) return handle;
    w->why = WISP_E_ARGUMENT;
    if (to.mode != WISP__TO_PEER || how->tries < 0 || !(how->timeout >= 0 && how->timeout <= 1e9))
        return handle;
    w->why = WISP_E_STALE;
    s = wisp__session_of(w, to.peer);
    if (!s) return handle;
    w->why = wisp__pack_refused(&w->base, wisp__pack(&w->packer, values, count));
    if (w->why) return handle;
    call = wisp__call_add(&w->calls, false, &w->why);
    if (!call && w->why == WISP_E_LIMIT)
        wisp__log(&w->base, WISP_LOG_WARNING, w->why,
                  "too many calls wait for answers: raise desc.limits.calls");
    if (!call) return handle;
    w->why = wisp__call_begin(w, s, call, target, how);
    if (w->why) wisp__call_remove(&w->calls, call);
    else handle.id = call->slot.id;
    return handle;
}

wisp_call wisp_invoke_values(wisp *w, const char *remote, wisp_to to, const wisp_call_desc *desc,
                             const wisp_value *values, int count) {
    return wisp_invoke_target(w, wisp_by_name(remote), to, desc, values, count);
}

wisp_result wisp_on_invoke_target(wisp *w, wisp_target target, wisp_handler fn, void *user) {
    wisp_result why;
    wisp__remote *remote = w ? wisp__remote_to_send(w, target, &why) : NULL;
    if (!w) return WISP_E_ARGUMENT;
    if (!remote) return why;
    remote->answer = fn;
    remote->answer_user = user;
    return WISP_OK;
}

/* The session whose call a handler is answering; NULL with the reason. */
static wisp__session *wisp__answering(wisp_event *event, wisp_result *why) {
    wisp__session *s;
    *why = WISP_E_ARGUMENT;
    if (!event || !event->w || !event->request) return NULL;
    *why = WISP_E_CLOSED;
    s = (wisp__session *)wisp__pool_get(&event->w->peers.pool, event->peer.id);
    return s && s->peer.state == WISP__JOINED ? s : NULL;
}

static wisp_result wisp__answer_event(wisp_event *event, wisp_result code, const wisp_value *values,
                                      int count) {
    wisp_result result;
    wisp__session *s = wisp__answering(event, &result);
    wisp__message *m;
    if (!s) return result;
    m = wisp__answer_make(event->w, event->w->registry.remotes[event->request->remote],
                          event->request->id, code, values, count, &result);
    event->result = result;              /* what the caller gets if nothing else follows */
    if (!m) return result;
    result = wisp__answer_give(event->w, s, event->request, m);
    event->request = NULL;
    return result;
}

wisp_result wisp_reply_values(wisp_event *event, const wisp_value *values, int count) {
    return wisp__answer_event(event, WISP_OK, values, count);
}

static void wisp__format(char *text, size_t size, const char *format, va_list list) {
    text[0] = 0;
    if (format) vsnprintf(text, size, format, list);
}

wisp_result wisp_fail(wisp_event *event, wisp_result code, const char *format, ...) {
    char text[256];
    wisp_value value;
    va_list list;
    wisp__remote *remote;
    if (!event || !event->w || code >= 0 || code < INT16_MIN) return WISP_E_ARGUMENT;
    va_start(list, format);
    wisp__format(text, sizeof text, format, list);
    va_end(list);
    remote = event->remote.id ? event->w->registry.remotes[event->remote.id - 1] : NULL;
    if (remote) remote->stats.failures++;
    wisp__notice_add(&event->w->events, WISP__ON_ERROR, event->peer, event->remote, code, "%s: %s",
                     event->name, text);
    if (!event->request) return WISP_OK;
    value = wisp_string(text);
    return wisp__answer_event(event, code, &value, 1);
}

wisp_call wisp_defer(wisp_event *event) {
    wisp_call handle = { 0 };
    wisp_result why;
    wisp__session *s = wisp__answering(event, &why);
    wisp__pending *call;
    if (event && event->w) event->w->why = why;
    if (!s) return handle;
    call = wisp__call_add(&event->w->calls, true, &event->w->why);
    if (!call) return handle;
    call->id = event->request->id;
    call->remote = event->request->remote;
    wisp__deferred_link(s, call);
    event->request = NULL;
    handle.id = call->slot.id;
    return handle;
}

static wisp_result wisp__answer_deferred(wisp *w, wisp_call handle, wisp_result code,
                                         const wisp_value *values, int count) {
    wisp__pending *call = w ? (wisp__pending *)wisp__pool_get(&w->calls.pool, handle.id) : NULL;
    wisp__session *s;
    wisp__request *request = NULL;
    wisp__message *m;
    wisp_result why;
    if (!w) return WISP_E_ARGUMENT;
    if (!call || !call->deferred) return WISP_E_STALE;
    s = call->session;
    m = wisp__answer_make(w, w->registry.remotes[call->remote], call->id, code, values, count,
                          &why);
    if (!m) return why;
    if (s->request_room) request = wisp__request_at(s, call->id);
    if (request && (request->id != call->id || !request->state)) request = NULL;
    wisp__deferred_remove(&w->calls, call);
    return wisp__answer_give(w, s, request, m);
}

wisp_result wisp_answer(wisp *w, wisp_call call, const wisp_value *values, int count) {
    return wisp__answer_deferred(w, call, WISP_OK, values, count);
}

wisp_result wisp_answer_fail(wisp *w, wisp_call call, wisp_result code, const char *format, ...) {
    char text[256];
    wisp_value value;
    va_list list;
    if (code >= 0 || code < INT16_MIN) return WISP_E_ARGUMENT;
    va_start(list, format);
    wisp__format(text, sizeof text, format, list);
    va_end(list);
    value = wisp_string(text);
    return wisp__answer_deferred(w, call, code, &value, 1);
}

void wisp_cancel(wisp *w, wisp_call handle) {
    wisp__pending *call = w ? (wisp__pending *)wisp__pool_get(&w->calls.pool, handle.id) : NULL;
    if (call && !call->deferred) wisp__call_end(&w->calls, call, WISP_E_CANCELLED);
}

/* --- await --- */

/* Updates until `done` says so. */
static wisp_result wisp__await(wisp *w, wisp_clock clock, void *clock_user, double timeout,
                               bool (*done)(void *state), void *state) {
    double now = clock(clock_user), begin = now;
    int still = 0;
    for (;;) {
        double next;
        wisp_result result = wisp_update(w, now);
        if (result != WISP_OK && result != WISP_E_LINK) return result;
        if (done(state)) return WISP_OK;
        next = clock(clock_user);
        still = next > now ? 0 : still + 1;
        now = next;
        if (now - begin >= timeout || still >= 1000000) return WISP_E_TIMEOUT;
    }
}

static bool wisp__joins_done(void *state) {
    const wisp *w = (const wisp *)state;
    for (int i = 0; i < w->peers.pool.made; i++) {
        const wisp__session *s = wisp__session_at(w, i);
        if (s && s->peer.asked && s->peer.state < WISP__JOINED) return false;
    }
    return true;
}

wisp_result wisp_await_ready(wisp *w, wisp_clock clock, void *clock_user, double timeout) {
    wisp_result result;
    uint64_t before;
    bool under_way;
    if (!w || !clock) return WISP_E_ARGUMENT;
    if (w->updating) return WISP_E_BUSY;
    under_way = !wisp__joins_done(w);
    if (under_way) w->join_failure = WISP_OK;
    before = w->joins_done;
    result = wisp__await(w, clock, clock_user, timeout, wisp__joins_done, w);
    if (result) return result;
    if (under_way && w->joins_done != before) return WISP_OK;
    if (!under_way && wisp__session_of(w, wisp_server())) return WISP_OK;
    if (w->join_failure) return w->join_failure;
    return w->peers.joined ? WISP_OK : WISP_E_CLOSED;
}

typedef struct wisp__awaiting {
    wisp_handler fn;
    void        *user;
    wisp_result  result;
    bool         got;
} wisp__awaiting;

static bool wisp__awaiting_done(void *state) { return ((wisp__awaiting *)state)->got; }

static void wisp__awaiting_on(wisp_event *event) {
    wisp__awaiting *awaiting = (wisp__awaiting *)event->user;
    awaiting->got = true;
    awaiting->result = event->result;
    event->user = awaiting->user;
    if (awaiting->fn) awaiting->fn(event);
}

static wisp__awaiting wisp__awaiting_of(wisp_handler fn, void *user) {
    wisp__awaiting awaiting;
    memset(&awaiting, 0, sizeof awaiting);
    awaiting.fn = fn;
    awaiting.user = user;
    return awaiting;
}

wisp_result wisp_await_event_target(wisp *w, wisp_target remote, wisp_handler fn, void *user,
                                    wisp_clock clock, void *clock_user, double timeout) {
    wisp__awaiting awaiting = wisp__awaiting_of(fn, user);
    wisp_connection connection;
    wisp_result result;
    if (!w || !clock) return WISP_E_ARGUMENT;
    if (w->updating) return WISP_E_BUSY;
    connection = wisp_connect_target(w, remote, wisp__awaiting_on, &awaiting, true);
    if (!connection.id) return w->why;
    result = wisp__await(w, clock, clock_user, timeout, wisp__awaiting_done, &awaiting);
    if (result != WISP_E_CLOSED) wisp_disconnect(w, connection);
    return result;
}

wisp_result wisp_await_reply(wisp *w, wisp_call handle, wisp_handler fn, void *user,
                             wisp_clock clock, void *clock_user) {
    wisp__awaiting awaiting = wisp__awaiting_of(fn, user);
    wisp__pending *call;
    wisp_result result;
    if (!w || !clock) return WISP_E_ARGUMENT;
    if (w->updating) return WISP_E_BUSY;
    call = (wisp__pending *)wisp__pool_get(&w->calls.pool, handle.id);
    if (!call || call->deferred) return WISP_E_STALE;
    call->also = wisp__awaiting_on;
    call->also_user = &awaiting;
    result = wisp__await(w, clock, clock_user, WISP__NEVER, wisp__awaiting_done, &awaiting);
    if (result == WISP_OK) return awaiting.result;
    if (result == WISP_E_CLOSED) return result;
    call = (wisp__pending *)wisp__pool_get(&w->calls.pool, handle.id);
    if (call) call->also = NULL;
    return result;
}

/* --- counters --- */

static size_t wisp__lane_memory(const wisp__lane *lane) {
    if (!lane) return 0;
    return sizeof *lane + (size_t)lane->out.room * sizeof *lane->out.items +
           (size_t)lane->in.room * sizeof *lane->in.held + (size_t)lane->in.whole_room;
}

/* What a session holds, without the messages in its queue. */
static size_t wisp__session_memory(const wisp__session *s) {
    const wisp__flow *flow = &s->peer.flow;
    size_t bytes = sizeof *s + (size_t)s->peer.ticket_size + (size_t)s->held_bytes;
    bytes += (size_t)flow->sent_room * sizeof *flow->sent;
    bytes += (size_t)flow->ref_room * sizeof *flow->refs;
    bytes += (size_t)s->route_room * sizeof *s->routes + (size_t)s->their_room * sizeof *s->theirs;
    bytes += (size_t)s->control_room * sizeof *s->controls;
    bytes += (size_t)s->active_room * sizeof *s->active;
    bytes += (size_t)s->request_room * sizeof *s->requests;
    for (int c = 0; c < WISP__CHANNELS; c++) bytes += wisp__lane_memory(s->peer.lanes[c]);
    return bytes;
}

void wisp_stats_peer(const wisp *w, wisp_peer peer, wisp_peer_stats *out) {
    const wisp__session *s = wisp__session_or_left(w, peer);
    if (!out) return;
    memset(out, 0, sizeof *out);
    if (!s) return;
    *out = s->peer.stats;
    if (s->peer.flow.has_rtt) {
        out->rtt = s->peer.flow.rtt;
        out->rtt_variation = s->peer.flow.variation;
        out->rtt_min = s->peer.flow.rtt_min;
    }
    out->loss = wisp__stats_loss(out);
    out->congestion_window = s->peer.flow.window;
    out->in_flight = s->peer.flow.in_flight;
    out->queued_messages = s->queued;
    out->queued_bytes = s->queued_bytes;
    out->memory = (int)wisp__session_memory(s) + s->queued_bytes;
}

void wisp_stats_remote(const wisp *w, const char *remote, wisp_remote_stats *out) {
    int length = 0;
    const wisp__remote *found = NULL;
    if (!out) return;
    memset(out, 0, sizeof *out);
    if (w && wisp__name_check(remote, &length) == WISP_OK)
        found = wisp__registry_find(&w->registry, remote, length);
    if (found) *out = found->stats;
}

void wisp_stats_total(const wisp *w, wisp_total_stats *out) {
    if (!out) return;
    memset(out, 0, sizeof *out);
    if (!w) return;
    *out = w->base.stats;
    out->peers = w->peers.joined;
    out->remotes = w->registry.count - WISP__RESERVED;
    out->calls_pending = w->calls.ours;
}

/* Runs every room's check: for tests. */
WISP__UNUSED static void wisp__host_check(const wisp *w) {
    int joined = 0;
    for (int i = 0; i < w->peers.pool.made; i++) {
        const wisp__session *s = wisp__session_at(w, i);
        if (!s) continue;
        joined += s->peer.state == WISP__JOINED;
        wisp__session_check(w, s);
    }
    WISP_ASSERT(joined == w->peers.joined);
    WISP_ASSERT(w->peers.strangers >= 0);
    (void)joined;
}

#endif /* WISP_IMPLEMENTATION */

/*
wisp is available under two licenses; choose whichever you prefer.
------------------------------------------------------------------------------
ALTERNATIVE A - MIT License
Copyright (c) 2026 the authors of wisp
Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:
The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
------------------------------------------------------------------------------
ALTERNATIVE B - Public Domain (www.unlicense.org)
This is free and unencumbered software released into the public domain.
Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
software, either in source code form or as a compiled binary, for any purpose,
commercial or non-commercial, and by any means.
In jurisdictions that recognize copyright laws, the author or authors of this
software dedicate any and all copyright interest in the software to the public
domain. We make this dedication for the benefit of the public at large and to
the detriment of our heirs and successors. We intend this dedication to be an
overt act of relinquishment in perpetuity of all present and future rights to
this software under copyright law.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
------------------------------------------------------------------------------
*/
