/* wisp.h - events, calls and state between programs, over UDP - version 0.2

   One header, strict C99 (and C++11), no dependency. It takes two callbacks
   that send and receive datagrams, and gives named events and named calls:
   bit-packed, batched, prioritised, rate-limited, reliable where asked; checked
   and packed by schemas, told as differences, compressed, in the codec of your
   choice.

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
       >>type      does a value fit a type, and its storage filled
       >>schema    checking and compiling schemas, their descriptors
       >>migrate   from one version of a schema to another
       >>pack      the self-describing bit-packed form of values
       >>record    the packed form of what has a schema
       >>codec     the interface of codecs, and bytes to values alone
       >>engine    ready schemas of the engine's data types
       >>json      JSON (RFC 8259)
       >>msgpack   MessagePack
       >>protobuf  Protobuf (proto3)
       >>coder     tables of numbers as differences, and a range coder
       >>delta     differences of records and of values
       >>squeeze   compressors, and which of them pays
       >>seal      SipHash, the join cookie, the tag on every packet
       >>packet    header, acks, round trip, loss, congestion, pacing
       >>channel   reliable order, fragments, reassembly
       >>peer      join handshake, session life, leave
       >>track     the values that differences are to, for each peer
       >>form      what the messages of a name look like on the wire
       >>remote    names, their settings, their announcement to peers
       >>content   values to bits and back, by form and schema
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
       schema     what a remote's values are like: both ends check them, and
                  nothing of it is on the wire.
       value told what changes is sent as a difference to what the other end
                  is known to hold.

       fire/invoke -> check -> encode once -> queue per peer -> flush: by
       priority, into packets -> compress -> seal -> link.send ... link.recv ->
       check the tag -> acks -> records -> channel order -> differences ->
       versions -> check -> rate limit -> handlers

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

#define WISP_VERSION      "0.2.0"
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

    /* typed data */
    WISP_E_SCHEMA         = -33, /* a schema that makes no sense */
    WISP_E_INVALID        = -34, /* a value outside its schema */
    WISP_E_VERSION        = -35, /* of a newer schema than is known here */
    WISP_E_MIGRATION      = -36, /* a step is missing, or it failed */
    WISP_E_SYNTAX         = -37, /* bytes that are not of a codec's format */
    WISP_E_COMPRESSED     = -38, /* compressed bytes that make no sense */
    WISP_E_BASELINE       = -39, /* a difference to what is not held here */

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
    int schema_bytes;       /* of schemas that peers have described, in all;
                               1 MiB */
    int baseline_bytes;     /* of values that differences are to, per peer and
                               direction; 1 MiB */
    int baselines;          /* values kept for a name and key until one is
                               acked; power of two 4..64, best the same on
                               both ends; 16 */
    int keys;               /* keys with a baseline per peer and direction;
                               1024 */
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
typedef struct wisp_object     { uint32_t id; } wisp_object;

/* ===========================================================================
 * MARK: >>stats
 * Counters since create (total, remote) or since the join (peer). Bytes are
 * datagram payload, without UDP and IP headers.
 * ======================================================================== */

typedef struct wisp_peer_stats {
    uint64_t packets_sent, packets_received;
    uint64_t bytes_sent, bytes_received;
    uint64_t bytes_saved;         /* not sent, by compression of packets */
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
    uint64_t invalid;             /* received, and outside the schema here */
    uint64_t unchanged;           /* not sent: the peer has the same value */
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
    WISP_TRANSFORM, WISP_COLOR, WISP_ARRAY, WISP_MAP, WISP_OBJECT, WISP_STRUCT
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

typedef struct wisp_value  wisp_value;
typedef struct wisp_pair   wisp_pair;
typedef struct wisp_schema wisp_schema;
typedef struct wisp_type   wisp_type;

struct wisp_value {
    wisp_kind kind;
    int       count;      /* bytes of a string or bytes; elements; pairs;
                             fields */
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
        wisp_object object;
        struct {
            const wisp_schema *schema;
            const void        *data;
            void              *view;     /* private; NULL in your own */
        } structure;
        struct {
            const wisp_type *type;
            const void      *data;
            int              each;
        } items;                         /* private */
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
WISP_API wisp_value wisp_reference(wisp_object object);
/* A C struct described by a schema; neither is copied. */
WISP_API wisp_value wisp_struct(const wisp_schema *schema, const void *data);

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
/* The value under a key; NULL when there is none or it is not a map. It also
   serves structs that were received or decoded (their fields live as long as
   they do); of one that you made yourself read the members. */
WISP_API const wisp_value *wisp_field_of(const wisp_value *map,
                                         const char *key);
/* The bytes of a string or bytes value and how many (size may be NULL);
   NULL for another kind. */
WISP_API const char *wisp_string_of(const wisp_value *value, int *size_bytes);

/* ===========================================================================
 * MARK: >>type
 * What the shape of a message is, known to both ends: then nothing needs to
 * be described on the wire, and no handler sees a value outside of it.
 *
 *     typedef struct stats { float hp; uint32_t xp; char name[21]; } stats;
 *     static const wisp_field stats_fields[] = {
 *         WISP_FIELD(stats, hp,   WISP_T_QUANTIZED(0, 100, 0.5)),
 *         WISP_FIELD(stats, xp,   WISP_T_RANGE(0, 1000000)),
 *         WISP_FIELD(stats, name, WISP_T_STRING(20)),
 *     };
 *     static const wisp_schema stats_schema =
 *         WISP_SCHEMA(stats, 1, stats_fields);
 *
 * Schemas, types and what they point to are read as long as they are in use:
 * make them static. Elements, options and nested types are named statics too.
 * ======================================================================== */

typedef enum wisp_type_kind {
    WISP_TYPE_ANY = 1, WISP_TYPE_EXACT, WISP_TYPE_LITERAL, WISP_TYPE_BOOL,
    WISP_TYPE_INTEGER, WISP_TYPE_UINT, WISP_TYPE_RANGE, WISP_TYPE_NUMBER,
    WISP_TYPE_NUMBER_RANGE, WISP_TYPE_QUANTIZED, WISP_TYPE_STRING,
    WISP_TYPE_BYTES, WISP_TYPE_VEC2, WISP_TYPE_VEC3, WISP_TYPE_VEC4,
    WISP_TYPE_QUAT, WISP_TYPE_TRANSFORM, WISP_TYPE_COLOR, WISP_TYPE_ENUM,
    WISP_TYPE_OBJECT, WISP_TYPE_STRUCT, WISP_TYPE_ARRAY, WISP_TYPE_UNION
} wisp_type_kind;

struct wisp_type {
    int         kind;
    int         max;         /* bytes, elements, names, options, bits */
    int         bytes;       /* of its C storage; 0: as the member has */
    const void *of;          /* element, options, names, schema, ranges */
    double      lo, hi, step;
    int64_t     least, most;
};

typedef struct wisp_range { double lo, hi, step; } wisp_range;

/* In a struct a type is as wide as its member; in a map, an array or a union
   an integer has 64 bits and a number is a double unless the type says.
   Members: bool; any integer; float or double; char[max + 1], NUL ends;
   unsigned char[max]; char[] for a literal text; wisp_vec2 .. wisp_quat,
   wisp_transform; wisp_color or
   unsigned char[4]; an enum; wisp_object; wisp_value (ANY, EXACT, what it
   points to lives as the event does); arrays and unions of these. */
#define WISP_T_ANY             WISP__T(ANY, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_EXACT(a_kind)   WISP__T(EXACT, a_kind, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_LITERAL(number) WISP__T(LITERAL, 0, 0, 0, number, 0, 0, 0, 0)
#define WISP_T_LITERAL_TEXT(text) WISP__T(LITERAL, 0, 0, text, 0, 0, 0, 0, 0)
#define WISP_T_BOOL            WISP__T(BOOL, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_INTEGER         WISP__T(INTEGER, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_UINT            WISP__T(UINT, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_INT8            WISP__T(INTEGER, 0, 1, 0, 0, 0, 0, 0, 0)
#define WISP_T_INT16           WISP__T(INTEGER, 0, 2, 0, 0, 0, 0, 0, 0)
#define WISP_T_INT32           WISP__T(INTEGER, 0, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_INT64           WISP__T(INTEGER, 0, 8, 0, 0, 0, 0, 0, 0)
#define WISP_T_UINT8           WISP__T(UINT, 0, 1, 0, 0, 0, 0, 0, 0)
#define WISP_T_UINT16          WISP__T(UINT, 0, 2, 0, 0, 0, 0, 0, 0)
#define WISP_T_UINT32          WISP__T(UINT, 0, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_UINT64          WISP__T(UINT, 0, 8, 0, 0, 0, 0, 0, 0)
/* the same, but Protobuf writes them as sint, fixed or sfixed */
#define WISP_T_SINT32          WISP__T(INTEGER, 1, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_SINT64          WISP__T(INTEGER, 1, 8, 0, 0, 0, 0, 0, 0)
#define WISP_T_FIXED32         WISP__T(UINT, 2, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_FIXED64         WISP__T(UINT, 2, 8, 0, 0, 0, 0, 0, 0)
#define WISP_T_SFIXED32        WISP__T(INTEGER, 2, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_SFIXED64        WISP__T(INTEGER, 2, 8, 0, 0, 0, 0, 0, 0)
#define WISP_T_RANGE(lo, hi)   WISP__T(RANGE, 0, 0, 0, 0, 0, 0, lo, hi)
#define WISP_T_NUMBER          WISP__T(NUMBER, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_FLOAT           WISP__T(NUMBER, 0, 4, 0, 0, 0, 0, 0, 0)
#define WISP_T_DOUBLE          WISP__T(NUMBER, 0, 8, 0, 0, 0, 0, 0, 0)
#define WISP_T_NUMBER_RANGE(lo, hi) \
    WISP__T(NUMBER_RANGE, 0, 0, 0, lo, hi, 0, 0, 0)
/* lo, lo + step, .. up to hi: sent as a count of steps */
#define WISP_T_QUANTIZED(lo, hi, step) \
    WISP__T(QUANTIZED, 0, 0, 0, lo, hi, step, 0, 0)
#define WISP_T_STRING(max)     WISP__T(STRING, max, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_BYTES(max)      WISP__T(BYTES, max, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_VEC2            WISP__T(VEC2, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_VEC3            WISP__T(VEC3, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_VEC4            WISP__T(VEC4, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_VEC2_QUANTIZED(lo, hi, step) \
    WISP__T(VEC2, 0, 0, 0, lo, hi, step, 0, 0)
#define WISP_T_VEC3_QUANTIZED(lo, hi, step) \
    WISP__T(VEC3, 0, 0, 0, lo, hi, step, 0, 0)
#define WISP_T_VEC4_QUANTIZED(lo, hi, step) \
    WISP__T(VEC4, 0, 0, 0, lo, hi, step, 0, 0)
/* a wisp_range for each component */
#define WISP_T_VEC2_EACH(ranges) WISP__T(VEC2, 0, 0, ranges, 0, 0, 0, 0, 0)
#define WISP_T_VEC3_EACH(ranges) WISP__T(VEC3, 0, 0, ranges, 0, 0, 0, 0, 0)
#define WISP_T_VEC4_EACH(ranges) WISP__T(VEC4, 0, 0, ranges, 0, 0, 0, 0, 0)
/* a rotation, as the smallest three components of 2..20 bits; 0: all four */
#define WISP_T_QUAT(bits)      WISP__T(QUAT, bits, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_TRANSFORM       WISP__T(TRANSFORM, 0, 0, 0, 0, 0, 0, 0, 0)
/* four channels of 8 bits, 0..1 each */
#define WISP_T_COLOR           WISP__T(COLOR, 0, 0, 0, 0, 0, 0, 0, 0)
/* 0..count - 1; in maps the name; names: static const char *const [] */
#define WISP_T_ENUM(names, count) \
    WISP__T(ENUM, count, 0, names, 0, 0, 0, 0, 0)
#define WISP_T_OBJECT          WISP__T(OBJECT, 0, 0, 0, 0, 0, 0, 0, 0)
#define WISP_T_STRUCT(schema)  WISP__T(STRUCT, 0, 0, schema, 0, 0, 0, 0, 0)
/* in a struct without a count member: always max elements */
#define WISP_T_ARRAY(element, max) \
    WISP__T(ARRAY, max, 0, element, 0, 0, 0, 0, 0)
/* one of `count` types (static const wisp_type []) */
#define WISP_T_UNION(options, count) \
    WISP__T(UNION, count, 0, options, 0, 0, 0, 0, 0)
#define WISP__T(kind, max, bytes, of, lo, hi, step, least, most) \
    { WISP_TYPE_##kind, (int)(max), bytes, of, (double)(lo), (double)(hi), \
      (double)(step), (int64_t)(least), (int64_t)(most) }

enum { WISP_FLAG_KEY = 1, WISP_FLAG_OPTIONAL = 2, WISP_FLAG_MAYBE = 4 };

typedef struct wisp_field {
    const char *name;                      /* 1..64 bytes */
    wisp_type   type;
    int         offset, bytes;             /* of the member; -1: of a map */
    int         count_offset, count_bytes; /* of the member that counts the
                                              elements, or says the option */
    int         flags;
    double      fallback;                  /* the default, if optional */
    const char *fallback_text;
    int         number;                    /* Protobuf's; 0: place + 1 */
} wisp_field;

#define WISP__AT(S, m) (int)offsetof(S, m), (int)sizeof(((S *)0)->m)
#define WISP_FIELD(S, m, T) \
    { #m, T, WISP__AT(S, m), 0, 0, 0, 0, NULL, 0 }
/* how many bytes or elements are in use stands in another member */
#define WISP_COUNTED_FIELD(S, m, count, T) \
    { #m, T, WISP__AT(S, m), WISP__AT(S, count), 0, 0, NULL, 0 }
/* a C union, and the member that says which option it holds: 0.. */
#define WISP_UNION_FIELD(S, m, option, T) \
    { #m, T, WISP__AT(S, m), WISP__AT(S, option), 0, 0, NULL, 0 }
/* what a value is about: each key has a baseline of its own (delta) */
#define WISP_KEY_FIELD(S, m, T) \
    { #m, T, WISP__AT(S, m), 0, 0, WISP_FLAG_KEY, 0, NULL, 0 }
/* a bit when it is the default: a number, a bool, or a text */
#define WISP_OPTIONAL_FIELD(S, m, T, number) \
    { #m, T, WISP__AT(S, m), 0, 0, WISP_FLAG_OPTIONAL, (double)(number), \
      NULL, 0 }
#define WISP_OPTIONAL_TEXT_FIELD(S, m, T, text) \
    { #m, T, WISP__AT(S, m), 0, 0, WISP_FLAG_OPTIONAL, 0, text, 0 }
/* with the number that Protobuf has for it */
#define WISP_NUMBERED_FIELD(S, m, T, number) \
    { #m, T, WISP__AT(S, m), 0, 0, 0, 0, NULL, number }
/* the same for maps, and for values in a row, where no struct is needed */
#define WISP_MAP_FIELD(name, T) { name, T, -1, 0, 0, 0, 0, 0, NULL, 0 }
#define WISP_KEY_MAP_FIELD(name, T) \
    { name, T, -1, 0, 0, 0, WISP_FLAG_KEY, 0, NULL, 0 }
#define WISP_OPTIONAL_MAP_FIELD(name, T, number) \
    { name, T, -1, 0, 0, 0, WISP_FLAG_OPTIONAL, (double)(number), NULL, 0 }
#define WISP_OPTIONAL_TEXT_MAP_FIELD(name, T, text) \
    { name, T, -1, 0, 0, 0, WISP_FLAG_OPTIONAL, 0, text, 0 }
/* may be missing, and then is missing over there (or nil, in a row) */
#define WISP_MAYBE_MAP_FIELD(name, T) \
    { name, T, -1, 0, 0, 0, WISP_FLAG_MAYBE, 0, NULL, 0 }
#define WISP_NUMBERED_MAP_FIELD(name, T, number) \
    { name, T, -1, 0, 0, 0, 0, 0, NULL, number }

typedef enum wisp_shape {
    WISP_SHAPE_STRUCT, WISP_SHAPE_MAP, WISP_SHAPE_LIST
} wisp_shape;

struct wisp_schema {
    const char       *name;      /* 1..64 bytes */
    int               version;   /* 1..255 */
    int               bytes;     /* sizeof the struct; 0 without one */
    const wisp_field *fields;
    int               count;     /* 1..1024 */
    wisp_shape        shape;
    const struct wisp__program *program;     /* private: when compiled */
};

#define WISP__LENGTH(list) (int)(sizeof(list) / sizeof(*(list)))
#define WISP_SCHEMA(S, version, fields) { #S, (version), (int)sizeof(S), \
    (fields), WISP__LENGTH(fields), WISP_SHAPE_STRUCT, NULL }
/* one map as a message's only value */
#define WISP_MAP_SCHEMA(name, version, fields) { (name), (version), 0, \
    (fields), WISP__LENGTH(fields), WISP_SHAPE_MAP, NULL }
/* a message's values in a row: wisp_fire(w, "hit", peer, 12, "sword") */
#define WISP_LIST_SCHEMA(name, version, fields) { (name), (version), 0, \
    (fields), WISP__LENGTH(fields), WISP_SHAPE_LIST, NULL }

/* Is this a value of the schema (a struct of it, a map, an array if it is of
   a row)? WISP_OK or WISP_E_INVALID, with the field and why in `text`. */
WISP_API wisp_result wisp_validate(const wisp_schema *schema,
                                   const wisp_value *value, char *text,
                                   int text_bytes);
/* A struct, and all structs in it, as maps made in `memory` (WISP_E_MEMORY:
   too small); other values as they are. */
WISP_API wisp_result wisp_as_map(const wisp_value *value, wisp_value *out,
                                 void *memory, int memory_bytes);
/* Fills a struct from a map or a struct of any schema whose fields match by
   name. WISP_E_INVALID: `data` is as it was. */
WISP_API wisp_result wisp_fill_struct(const wisp_schema *schema,
                                      const wisp_value *value, void *data,
                                      char *text, int text_bytes);

/* ===========================================================================
 * MARK: >>schema
 * ======================================================================== */

/* WISP_OK, or WISP_E_SCHEMA with the field and why in `text` (may be NULL). */
WISP_API wisp_result wisp_schema_check(const wisp_schema *schema, char *text,
                                       int text_bytes);
/* A compiled copy in `memory`, for wisp_encode and wisp_decode: saves them
   most of their time. NULL: WISP_E_SCHEMA, or memory is smaller than
   wisp_schema_bytes(). An endpoint compiles by itself. */
WISP_API const wisp_schema *wisp_schema_compile(const wisp_schema *schema,
                                                void *memory,
                                                int memory_bytes);
WISP_API int wisp_schema_bytes(const wisp_schema *schema);

/* ===========================================================================
 * MARK: >>migrate
 * From one version of a schema to the next. The other end's fields match by
 * name; what else changed is done by steps, each from one version to the next.
 * ======================================================================== */

/* A map under change. Names and values are copied. Set, remove and rename
   return WISP_OK, WISP_E_ARGUMENT, WISP_E_NAME (no such field; for rename also
   when the new name is taken), WISP_E_LIMIT or WISP_E_MEMORY. */
typedef struct wisp_edit wisp_edit;
WISP_API const wisp_value *wisp_edit_get(const wisp_edit *edit,
                                         const char *name);
WISP_API wisp_result wisp_edit_set(wisp_edit *edit, const char *name,
                                   wisp_value value);
WISP_API wisp_result wisp_edit_remove(wisp_edit *edit, const char *name);
WISP_API wisp_result wisp_edit_rename(wisp_edit *edit, const char *from,
                                      const char *to);

/* One step, from version `from` to `from` + 1: WISP_OK, or a negative code
   that is reported. */
typedef struct wisp_migration {
    int         from;
    wisp_result (*step)(wisp_edit *data, void *user);
    void       *user;
} wisp_migration;

/* ===========================================================================
 * MARK: >>codec
 * How values become bytes. Each codec may be a remote's (wisp_config), or be
 * used alone.
 * ======================================================================== */

typedef struct wisp_codec {
    const char *name;        /* 1..32 bytes; travels in announcements */
    /* Bytes written, or a negative result: WISP_E_TOO_BIG (capacity),
       WISP_E_TYPE (this format cannot say it), WISP_E_DEPTH, ... */
    int (*encode)(const struct wisp_codec *codec, const wisp_schema *schema,
                  const wisp_value *value, void *out, int capacity);
    /* Bytes read, or a negative result: WISP_E_SYNTAX, WISP_E_DEPTH,
       WISP_E_MEMORY (too small), ... The value points into memory and bytes. */
    int (*decode)(const struct wisp_codec *codec, const wisp_schema *schema,
                  const void *bytes, int size, wisp_value *out, void *memory,
                  int memory_size);
    void *user;
} wisp_codec;

WISP_API const wisp_codec *wisp_bitpack(void);

/* Bytes written, or a negative result: what the codec says, WISP_E_INVALID,
   WISP_E_SCHEMA. The schema may be NULL. The bit-packed codec needs no memory
   for structs with a compiled schema; a map, or a schema that is not compiled,
   is laid out in 24 KiB of the stack, or in the second half of `out` if that is
   too small (WISP_E_MEMORY: both are). What describes itself (no schema, ANY)
   takes up to twice its size and 64 bytes of `out` while it is made. */
WISP_API int wisp_encode(const wisp_codec *codec, const wisp_schema *schema,
                         const wisp_value *value, void *out, int capacity);
/* Bytes read, or a negative result. With a schema the value is a struct, a map
   or an array as it says. WISP_E_MEMORY: memory is too small. */
WISP_API int wisp_decode(const wisp_codec *codec, const wisp_schema *schema,
                         const void *bytes, int size, wisp_value *out,
                         void *memory, int memory_size);

/* JSON (RFC 8259), strict both ways: one text, blanks around it, UTF-8 without
   a byte order mark, lists at most 256 deep (WISP_E_DEPTH). size * sizeof
   (wisp_value) + 16 bytes of memory are enough to read any text.
   Read: whole numbers that fit are int, else uint; all others are numbers,
   rounded to the nearest (WISP_E_LIMIT: larger than any; -0 is -0.0). Of equal
   keys the last wins. A NUL in a key becomes the bytes C0 80, and again a NUL
   when written. On failure `out` is unchanged.
   Written: without blanks; numbers in the fewest digits that are read back as
   the same bits; bytes as base64, vectors, quat and color as arrays, transform
   as {"position":[..],"rotation":[..]}, an object as its id. NaN, infinities
   and text that is not UTF-8 are WISP_E_TYPE. */
WISP_API const wisp_codec *wisp_json(void);

/* MessagePack (msgpack.org): the whole format, written in its smallest forms,
   read in any. A message is one value; decode returns how many bytes it took,
   so that several may stand one after another.

     nil, bool        as such
     int, uint        the smallest integer; read as int where it fits, else uint
     float, number    float 32, float 64, bit by bit
     string, keys     str, which must be UTF-8: else WISP_E_TYPE on the way out
                      and WISP_E_SYNTAX on the way in; strings have a NUL after
                      them when read
     bytes            bin; points into what was read
     array, map       array, map with str keys; structs are written as maps,
                      without fields that are missing
     vec2, vec3, vec4, quat, transform, color
                      ext 1..6: float 32s, big-endian; a transform's position,
                      then its rotation
     object           ext 7: its id, uint 32, big-endian

   What has no kind is a map of exactly these pairs, in this order, both ways:

     { "$seconds": int, "$nanoseconds": uint below 1e9 }
                      a timestamp (ext -1), in the smallest of its three forms;
                      negative seconds are before 1970
     { "$ext": int -128..127, "$data": bytes }
                      any other ext, also -1 and 1..7 of a wrong size; one of a
                      right size is read as what it is
     { "$map": array of [key, value] arrays }
                      a map with a key that is no string, or one with a NUL
                      inside; written from any such array, so that one with
                      plain keys only is read as a plain map

   Maps that are nearly so are plain maps. Of equal string keys of a map the
   last one read wins, in the place of the first; in "$map" all are kept.
   Values nest 256 deep at most ("$map" counts as the three that it is), else
   WISP_E_DEPTH. WISP_E_SYNTAX: bytes that end early, 0xc1, nanoseconds over
   999999999. When decode fails *out is as it was. It needs no more memory than
   96 bytes for each byte of the message, and 8. */
WISP_API const wisp_codec *wisp_msgpack(void);

/* Protocol Buffers: the proto3 wire form (protobuf.dev). What a schema is in a
   .proto file, by the numbers of its fields (`number`, else their place + 1):

     bool                      bool
     integer, uint             int32, uint32 up to 4 bytes, else int64, uint64;
                               sint, fixed and sfixed by their own types
     range                     int64 if it begins below 0, else uint64
     number, number range,     float if it takes 4 bytes, else double
     quantized
     string, bytes             string (UTF-8), bytes
     literal                   string, or double
     enum                      an enum (int32): the index of the name
     object                    uint32
     vec2, vec3, vec4, quat    message { float x = 1, y = 2, z = 3, w = 4; }
     color                     message { float r = 1, g = 2, b = 3, a = 4; }
     transform                 message { Vec3 position = 1; Quat rotation = 2; }
     struct                    message
     array                     repeated, packed where it can be; in an array or
                               a union: message { repeated .. = 1; }
     union                     message { oneof }, numbered 1.. as its options;
                               written as the first option that fits
     any, exact                google.protobuf.Value

   Fields that are 0, false or empty are not written, optional ones when they
   are their default, those that may be missing when they are; messages always.
   A field that has not come has its default, or is 0, false, empty or missing
   (a union or any: nil); a union without an option is as if it had not come.
   An array of strings or messages that may be missing and is empty comes as
   missing. An enum comes as its number.

   Without a schema a message is one google.protobuf.Value: nil, bool, number,
   string, map and array. Every number comes as a number. Objects are written
   as their id, vectors, quaternions, transforms (position, rotation) and
   colors as lists of numbers, and bytes as base64 text (RFC 4648, padded). Of
   equal keys of a map the last one read wins, in the place of the first.

   Bytes are equal for equal values. Fields that are not known, or come as
   another type, are skipped; what comes twice replaces, or is merged into,
   what came before, as the specification wants.

   encode: WISP_E_TOO_BIG (what is left of `out` may have changed),
   WISP_E_TYPE (text that is not UTF-8; without a schema also an integer that
   no double says exactly), WISP_E_DEPTH (messages 100 deep in the outermost:
   50 arrays, or 33 maps, without a schema), WISP_E_INVALID (not of the
   schema), WISP_E_ARGUMENT.
   decode: all `size` bytes are one message. WISP_E_SYNTAX, WISP_E_DEPTH,
   WISP_E_MEMORY, WISP_E_TYPE (a key with a NUL inside), WISP_E_ARGUMENT; then
   *out is as it was. Texts are copied and have a NUL after them, bytes point
   into what was read. */
WISP_API const wisp_codec *wisp_protobuf(void);

/* ===========================================================================
 * MARK: >>engine
 * The plain data types of the Roblox engine as structs with ready schemas, so
 * that a port keeps its types; names, ranges and defaults are the engine's
 * (create.roblox.com/docs/reference/engine/datatypes). All are in one table:
 *
 *     wisp_udim2 size = { { 0.5f, -20 }, { 0, 300 } };
 *     const wisp_schema *udim2 = wisp_engine_schema("UDim2");
 *     wisp_fire(w, "resize", peer, wisp_struct(udim2, &size));
 *
 * To nest one in a struct of yours, write WISP_T_STRUCT(NULL) for its field, in
 * a table that is not const, and before the schema is used
 * fields[i].type.of = wisp_engine_schema("UDim2").
 * Members marked with a default may be missing in a map, and cost a bit when
 * they have it. What only several members together show is not checked: that a
 * minimum is below its maximum, that keypoints begin at 0, end at 1 and are in
 * order.
 * ======================================================================== */

/* Vector2, Vector3, CFrame and Color3 are values of their own kind: wisp_vec2v,
   wisp_vec3v, wisp_transformv, wisp_color3; Instance is wisp_reference. The
   table has the first four as well: a Color3 there is three floats and an
   alpha, default 1. */
typedef wisp_transform wisp_cframe;

typedef struct wisp_vector2_int16 { int16_t x, y; } wisp_vector2_int16;
typedef struct wisp_vector3_int16 { int16_t x, y, z; } wisp_vector3_int16;

typedef struct wisp_udim  { float scale; int32_t offset; } wisp_udim;
typedef struct wisp_udim2 { wisp_udim x, y; } wisp_udim2;
typedef struct wisp_rect    { wisp_vec2 min, max; } wisp_rect;
typedef struct wisp_ray     { wisp_vec3 origin, direction; } wisp_ray;
typedef struct wisp_region3 { wisp_vec3 min, max; } wisp_region3;
typedef struct wisp_region3_int16 {
    wisp_vector3_int16 min, max;
} wisp_region3_int16;

typedef struct wisp_axes { bool x, y, z; } wisp_axes;
typedef struct wisp_faces {
    bool right, top, back, left, bottom, front;
} wisp_faces;

typedef struct wisp_number_range { float min, max; } wisp_number_range;

enum { WISP_KEYPOINTS_MAX = 20 };

typedef struct wisp_number_keypoint {
    float time;                          /* 0..1 */
    float value;
    float envelope;                      /* 0 or more; default 0 */
} wisp_number_keypoint;

typedef struct wisp_number_sequence {
    int                  count;
    wisp_number_keypoint keypoints[WISP_KEYPOINTS_MAX];
} wisp_number_sequence;

typedef struct wisp_color_keypoint {
    float      time;                     /* 0..1 */
    wisp_color value;                    /* sent as 8 bits a channel */
} wisp_color_keypoint;

typedef struct wisp_color_sequence {
    int                 count;
    wisp_color_keypoint keypoints[WISP_KEYPOINTS_MAX];
} wisp_color_sequence;

/* 1..1032, with gaps */
typedef struct wisp_brick_color { uint16_t number; } wisp_brick_color;

/* milliseconds since 1970, UTC: -17987443200000 (the year 1400) to
   253402300799999 (the year 9999) */
typedef struct wisp_date_time { int64_t milliseconds; } wisp_date_time;

typedef struct wisp_enum_item {
    char    type[65], name[65];          /* "Material", "Neon" */
    int32_t value;
} wisp_enum_item;

typedef int wisp_easing_style;
enum {
    WISP_EASING_LINEAR, WISP_EASING_SINE, WISP_EASING_BACK, WISP_EASING_QUAD,
    WISP_EASING_QUART, WISP_EASING_QUINT, WISP_EASING_BOUNCE,
    WISP_EASING_ELASTIC, WISP_EASING_EXPONENTIAL, WISP_EASING_CIRCULAR,
    WISP_EASING_CUBIC
};

typedef int wisp_easing_direction;
enum { WISP_EASING_IN, WISP_EASING_OUT, WISP_EASING_IN_OUT };

typedef struct wisp_tween_info {
    float                 time;          /* seconds; default 1 */
    wisp_easing_style     easing_style;        /* default QUAD */
    wisp_easing_direction easing_direction;    /* default OUT */
    int32_t               repeat_count;  /* -1: for ever; default 0 */
    bool                  reverses;      /* default false */
    float                 delay_time;    /* seconds; default 0 */
} wisp_tween_info;

typedef struct wisp_physical_properties {
    float density;                       /* 0.0001..100 */
    float friction;                      /* 0..2 */
    float elasticity;                    /* 0..1 */
    float friction_weight;               /* 0..100; default 1 */
    float elasticity_weight;             /* 0..100; default 1 */
    float acoustic_absorption;           /* 0..1; default 1 */
} wisp_physical_properties;

typedef int wisp_font_weight;            /* the engine's: 100 * (this + 1) */
enum {
    WISP_FONT_THIN, WISP_FONT_EXTRA_LIGHT, WISP_FONT_LIGHT, WISP_FONT_REGULAR,
    WISP_FONT_MEDIUM, WISP_FONT_SEMI_BOLD, WISP_FONT_BOLD,
    WISP_FONT_EXTRA_BOLD, WISP_FONT_HEAVY
};

typedef int wisp_font_style;
enum { WISP_FONT_NORMAL, WISP_FONT_ITALIC };

typedef struct wisp_font {
    char             family[256];        /* "rbxasset://fonts/..." */
    wisp_font_weight weight;             /* default REGULAR */
    wisp_font_style  style;              /* default NORMAL */
} wisp_font;

typedef int wisp_content_source;
enum { WISP_CONTENT_NONE, WISP_CONTENT_URI, WISP_CONTENT_OBJECT };

typedef struct wisp_content {
    wisp_content_source source;          /* which member of `as` */
    union {
        char        uri[256];            /* not "": that is NONE */
        wisp_object object;
    } as;
} wisp_content;

typedef int wisp_waypoint_action;
enum { WISP_WAYPOINT_WALK, WISP_WAYPOINT_JUMP, WISP_WAYPOINT_CUSTOM };

typedef struct wisp_path_waypoint {
    wisp_vec3            position;
    wisp_waypoint_action action;         /* default WALK */
    char                 label[65];      /* default "" */
} wisp_path_waypoint;

typedef struct wisp_path2d_control_point {
    wisp_udim2 position, left_tangent, right_tangent;
} wisp_path2d_control_point;

typedef struct wisp_raycast_result {
    wisp_object instance;
    wisp_vec3   position, normal;
    float       distance;                /* 0 or more */
    uint16_t    material;                /* the value of an Enum.Material */
} wisp_raycast_result;

typedef int wisp_curve_interpolation;
enum { WISP_CURVE_CONSTANT, WISP_CURVE_LINEAR, WISP_CURVE_CUBIC };

typedef struct wisp_float_curve_key {
    float                  time, value;
    wisp_curve_interpolation interpolation;
    float                  left_tangent, right_tangent;    /* default 0 */
} wisp_float_curve_key;

typedef struct wisp_rotation_curve_key {
    float                  time;
    wisp_cframe            value;
    wisp_curve_interpolation interpolation;
    float                  left_tangent, right_tangent;    /* default 0 */
} wisp_rotation_curve_key;

typedef struct wisp_value_curve_key {
    float                  time;
    wisp_value             value;
    wisp_curve_interpolation interpolation;
    float                  left_tangent, right_tangent;    /* default 0 */
} wisp_value_curve_key;

typedef struct wisp_engine_type {
    const char        *name;             /* the engine's: "UDim2", "CFrame" */
    const wisp_schema *schema;
} wisp_engine_type;

/* All of them; `count` may be NULL. They live as long as the program. */
WISP_API const wisp_engine_type *wisp_engine_types(int *count);
/* The schema of one; NULL: there is no such type. */
WISP_API const wisp_schema *wisp_engine_schema(const char *name);
/* The color of a number; of 194, medium stone grey, where there is none. */
WISP_API wisp_color wisp_brick_color_rgb(int number);

/* ===========================================================================
 * MARK: >>squeeze
 * Compression. There is no compressor in here but a form for runs of equal
 * bytes; wisp_compress.h plugs in LZ4, deflate and zstd, and you may plug in
 * your own. Both ends tell each other at the join what they have, and only
 * what both have is used. Nothing is ever sent larger than it is.
 * ======================================================================== */

/* How the messages of a remote, or whole batches, are made smaller; 0 is
   WISP_INHERIT. */
typedef int wisp_compression;
enum {
    WISP_COMPRESSION_NONE = 1,
    WISP_COMPRESSION_AUTO,       /* none, runs, LZ4 or zstd: what pays lately;
                                    what does not shrink is soon not tried */
    WISP_COMPRESSION_LZ4,        /* one of these always tries its own, also */
    WISP_COMPRESSION_DEFLATE,    /* when nothing shrinks; a peer that lacks */
    WISP_COMPRESSION_ZSTD,       /* it gets what AUTO picks */
    WISP_COMPRESSION_USER = 16   /* yours: this, 17 and 18 */
};

/* A compressor. Its functions keep no state between two blocks but what
   saves time: each block can be read by itself, in any order. They are called
   by the thread of the endpoint and must not call wisp. */
typedef struct wisp_compressor {
    wisp_compression mode;       /* LZ4, DEFLATE, ZSTD, or USER .. USER + 2 */
    const char *name;            /* for people; not NULL, lives as long */

    /* A context for both ways, made once for each endpoint and dictionary.
       `memory` and the dictionary (NULL and 0: none) live as long as it;
       take all memory from there. NULL: no memory, or this compressor has no
       use for a dictionary. */
    void *(*open)(const struct wisp_compressor *c,
                  const wisp_allocator *memory, const void *dictionary,
                  int dictionary_bytes);
    void  (*close)(const struct wisp_compressor *c, void *context);

    /* Bytes written; 0: they do not fit `capacity`; negative: it failed.
       Sizes are 1 to limits.message_bytes. */
    int   (*compress)(void *context, const void *from, int size, void *to,
                      int capacity);
    /* Bytes written; negative: malformed, or more than `capacity`. The bytes
       come from the wire and may be anything. */
    int   (*decompress)(void *context, const void *from, int size, void *to,
                        int capacity);
    void   *user;
} wisp_compressor;

/* Plugs a compressor in; the struct is copied. One with a mode that is there
   already takes its place. Do so before the first join: peers are told what
   there is when they join. WISP_E_ARGUMENT: a function or the name is NULL,
   or the mode cannot be plugged in. */
WISP_API wisp_result wisp_add_compressor(wisp *w,
                                         const wisp_compressor *compressor);

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

typedef int wisp_encode_mode;
enum {
    WISP_ENCODE_BASIC = 1,   /* values describe themselves: the default */
    WISP_ENCODE_SCHEMA,      /* packed by the schema: the default with one */
    WISP_ENCODE_COMPRESSED,  /* as either, then compressed */
    WISP_ENCODE_SAFE,        /* checked against the schema, sent as BASIC */
    WISP_ENCODE_DELTA        /* as either, and only what has changed */
};

enum { WISP_ON = 1, WISP_OFF = 2 };  /* switches; 0 inherits */

#define WISP_PRIORITY(n) ((n) + 1)   /* 0..999, lower goes first */
#define WISP_CHANNEL(n)  ((n) + 1)   /* 0..15 */

/* What messages look like. The schema, migrations and codec are read as long
   as the endpoint lives. What comes in is checked against the schema too,
   whatever the other end has said about it. */
typedef struct wisp_encoding {
    wisp_encode_mode      mode;
    const wisp_codec     *codec;         /* instead of wisp's own form */
    wisp_compression      compression;   /* of each message; of whole packets
                                            where it is set for all remotes */
    const wisp_schema    *schema;
    const wisp_migration *migrations;
    int                   migration_count;
    int                   adaptive;      /* WISP_ON: differences go through an
                                            adaptive coder: fewer bytes, more
                                            time */
    const void           *dictionary;    /* of compression; copied; the other
                                            end needs the same */
    int                   dictionary_bytes;
} wisp_encoding;

typedef struct wisp_config {
    wisp_encoding   encode;
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
    int             delta_sync;      /* WISP_ON: a hash of the baseline goes
                                        along; default WISP_OFF */
    double          call_timeout;    /* seconds for all tries; default 10 */
    int             call_tries;      /* default 1 */
} wisp_config;

/* What a name's messages are like, wisp_use_config by another name. */
typedef struct wisp_schema_entry {
    const char           *remote;
    const wisp_schema    *schema;
    const wisp_migration *migrations;
    int                   migration_count;
} wisp_schema_entry;

/* Sets the fields that are not zero; the others keep what they had. A NULL
   config makes every field inherit again. */
WISP_API wisp_result wisp_use_config(wisp *w, const wisp_config *config,
                                     const char *remote);
/* All or none. WISP_E_SCHEMA: wisp_why_text names the field. */
WISP_API wisp_result wisp_use_schemas(wisp *w,
                                      const wisp_schema_entry *entries,
                                      int count);
/* `remote` NULL: whole packets are compressed. WISP_E_UNSUPPORTED: no such
   compressor is plugged in. */
WISP_API wisp_result wisp_use_compression(wisp *w, wisp_compression mode,
                                          const char *remote);
/* Only what has changed is sent. The schema may be NULL (maps and arrays). */
WISP_API wisp_result wisp_use_delta(wisp *w, const wisp_schema *schema,
                                    const char *remote);
/* A hash of what a difference is to goes along: what went wrong heals. */
WISP_API wisp_result wisp_enable_delta_sync(wisp *w, const char *remote);
/* Plugs in a codec of your own; it must be there before it comes in. */
WISP_API wisp_result wisp_add_codec(wisp *w, const wisp_codec *codec);
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
WISP_API wisp_object wisp_arg_object(wisp_event *event, int i);
/* The struct of a schema: as it came, or filled from a map or another version
   whose fields match. NULL, and reported: it does not fit. */
WISP_API const void *wisp_arg_struct(wisp_event *event, int i,
                                     const wisp_schema *schema);

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
 * MARK: >>profile
 * Where time and bytes go. Off, which is the default, it costs a comparison
 * here and there; on, some nanoseconds per message and about a kilobyte per
 * name and per peer. Everything counts from when the profiler was turned on,
 * or from the beginning of what began later; rates are of the last full second
 * of the caller's time.
 *
 *     wisp_profiler profiler = { my_clock, NULL, NULL };
 *     wisp_snapshot now;
 *     wisp_use_profiler(w, &profiler);
 *     ...
 *     wisp_snapshot_take(w, NULL, &now);
 *     wisp_fire(w, "stats", admin, wisp_struct(wisp_snapshot_schema(), &now));
 * ======================================================================== */

enum {
    WISP_HISTORY_SECONDS     = 120,
    WISP_SNAPSHOT_REMOTES    = 16,
    WISP_SNAPSHOT_PEERS      = 16,
    WISP_SNAPSHOT_ERRORS     = 8,
    WISP_SNAPSHOT_NAME       = 48,      /* with its NUL; longer ones are cut */
    WISP_SNAPSHOT_TEXT       = 96,      /* the same of texts */
    WISP_SNAPSHOT_JSON_BYTES = 98304    /* no snapshot is longer as JSON */
};

/* Why messages did not reach a handler: places in `drops`. */
typedef int wisp_drop;
enum {
    WISP_DROP_RATE,         /* came in over the rate limit */
    WISP_DROP_BUDGET,       /* over a budget, either way */
    WISP_DROP_FILTER,       /* a middleware or filter said no, either way */
    WISP_DROP_STALE,        /* came in older than one that was delivered */
    WISP_DROP_INVALID,      /* came in outside its schema */
    WISP_DROP_UNREADABLE,   /* came in as bytes that make no sense here */
    WISP_DROP_NO_HANDLER,   /* came in, and nobody is connected */
    WISP_DROP_NO_REMOTE,    /* the name is not known at the other end */
    WISP_DROP_QUEUE_FULL,   /* refused when fired: limits.queue_messages */
    WISP_DROP_ABANDONED,    /* waited or was in flight when a session ended */
    WISP_DROP_LOST,         /* of a peer: packets (not messages) lost */
    WISP_DROPS
};
/* A word or two ("rate limit"); never NULL. */
WISP_API const char *wisp_drop_text(wisp_drop drop);

/* How long something took, in seconds. Quantiles are within 10% between 1 us
   and 100 s. All are 0 while count is. */
typedef struct wisp_timing {
    uint64_t count;
    float    mean, max;
    float    p50, p90, p99;
} wisp_timing;

/* What went one way. For a remote `bytes` are those of its messages, without
   headers; for a peer and in all they are those of datagrams. */
typedef struct wisp_traffic {
    uint64_t messages;
    uint64_t bytes_raw;            /* values as they lie in memory */
    uint64_t bytes_packed;         /* packed, before compression */
    uint64_t bytes;                /* as sent */
    float    messages_per_second;
    float    bytes_per_second;
} wisp_traffic;

typedef struct wisp_remote_profile {
    char         name[WISP_SNAPSHOT_NAME];
    wisp_traffic out, in;
    uint64_t     calls_sent, calls_received;
    uint64_t     calls_answered, calls_failed;   /* of those sent */
    wisp_timing  latency;          /* of calls sent: to their answer */
    wisp_timing  handlers;         /* 0 without profiler.clock */
    uint32_t     drops[WISP_DROPS];
    uint32_t     queued;           /* messages that wait for any peer */
    float        queued_seconds;   /* how long the oldest of them does */
} wisp_remote_profile;

typedef struct wisp_peer_profile {
    uint32_t     id;                             /* of the wisp_peer */
    char         address[WISP_SNAPSHOT_NAME];    /* by the hook, or "" */
    wisp_traffic out, in;
    uint64_t     calls_sent, calls_received;
    uint64_t     calls_answered, calls_failed;   /* of those sent */
    wisp_timing  latency;
    float        rtt, jitter;      /* seconds; 0: not known yet */
    float        loss;             /* 0..1 of the packets sent */
    float        budget_use;       /* 0..1 and over; 0: no budget is set */
    uint32_t     congestion_window, in_flight;   /* bytes */
    uint32_t     queued, queued_bytes;           /* messages that wait */
    float        queued_seconds;   /* how long the oldest of them does */
    uint32_t     drops[WISP_DROPS];
} wisp_peer_profile;

/* One second of the whole endpoint. */
typedef struct wisp_sample {
    float bytes_out, bytes_in;          /* of datagrams */
    float messages_out, messages_in;
    float rtt;                          /* seconds, mean of the peers */
    float loss;                         /* 0..1, in this second */
    float queued_bytes;                 /* at its end, for all peers */
} wisp_sample;

typedef struct wisp_error_note {
    double   time;                      /* the caller's */
    int32_t  code;
    uint32_t peer;                      /* id, or 0 */
    char     remote[WISP_SNAPSHOT_NAME];/* or "" */
    char     text[WISP_SNAPSHOT_TEXT];
} wisp_error_note;

/* Plain data: it may be copied, kept, and sent by wisp_snapshot_schema(). All
   numbers are finite, all texts UTF-8 that ends with a NUL. */
typedef struct wisp_snapshot {
    char         app[65];
    uint32_t     app_version;
    double       time;                  /* the caller's, of the last update */
    double       seconds;               /* since the profiler was turned on */
    wisp_traffic out, in;               /* the whole endpoint */
    wisp_timing  latency, handlers;     /* of all remotes together */
    uint32_t     drops[WISP_DROPS];     /* the same */
    uint64_t     errors;
    uint64_t     memory, memory_peak;   /* bytes from the allocator */
    uint32_t     peers_joined, remotes_known, calls_pending;
    uint32_t     sample_count, remote_count, peer_count, error_count;
    wisp_sample         samples[WISP_HISTORY_SECONDS];   /* oldest first */
    wisp_remote_profile remotes[WISP_SNAPSHOT_REMOTES];  /* most bytes first */
    wisp_peer_profile   peers[WISP_SNAPSHOT_PEERS];      /* most bytes first */
    wisp_error_note     errors_last[WISP_SNAPSHOT_ERRORS];  /* newest first */
} wisp_snapshot;

typedef struct wisp_profiler {
    double (*clock)(void *user);        /* seconds; may be NULL: then the time
                                           that handlers take is not known */
    /* Writes an address as text of less than `size` bytes, NUL ends; may be
       NULL. */
    void   (*address_text)(void *user, const wisp_addr *addr, char *out,
                           int size);
    void    *user;
} wisp_profiler;

/* Turns the profiler on; NULL: off, and what it counted is forgotten. Turned on
   while it is on, it goes on counting with the new hooks. WISP_E_ARGUMENT;
   WISP_E_MEMORY: it is as it was. */
WISP_API wisp_result wisp_use_profiler(wisp *w,
                                       const wisp_profiler *profiler);
/* What there is to see now: the remotes and peers with most bytes lately, then
   in all. `filter` (may be NULL) takes only remotes and errors of remotes whose
   name contains it. WISP_E_ARGUMENT; WISP_E_UNSUPPORTED: the profiler is off.
   `out` is then as it was. Allocates nothing. */
WISP_API wisp_result wisp_snapshot_take(const wisp *w, const char *filter,
                                        wisp_snapshot *out);
/* All of one name or peer. WISP_E_ARGUMENT; WISP_E_UNSUPPORTED: the profiler is
   off; WISP_E_NO_REMOTE: no such name here; WISP_E_STALE. `out` is then as it
   was. */
WISP_API wisp_result wisp_profile_remote(const wisp *w, const char *remote,
                                         wisp_remote_profile *out);
WISP_API wisp_result wisp_profile_peer(const wisp *w, wisp_peer peer,
                                       wisp_peer_profile *out);

/* Of wisp_snapshot, to send it with wisp_struct and read it with
   wisp_arg_struct. It lives as long as the program. */
WISP_API const wisp_schema *wisp_snapshot_schema(void);
/* The snapshot as JSON, NUL ends; bytes without it, or WISP_E_TOO_BIG,
   WISP_E_ARGUMENT, WISP_E_INVALID (a count out of range), WISP_E_TYPE (a number
   that is not finite, text that is not UTF-8). */
WISP_API int wisp_snapshot_json(const wisp_snapshot *snapshot, char *out,
                                int capacity);

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
/* The field and why, after WISP_E_INVALID and WISP_E_SCHEMA; never NULL. */
WISP_API const char *wisp_why_text(const wisp *w);

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
        "schema makes no sense", "value is outside its schema", "schema is newer over there",
        "migration failed", "bytes are not of this format", "compressed bytes make no sense",
        "difference to a value that is not held",
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

/* The low `count` (<= 8) bytes of a word. */
static void wisp__store_part(void *to, uint64_t word, int count) {
    uint8_t bytes[8];
    wisp__store64(bytes, word);
    memcpy(to, bytes, (size_t)count);
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

/* The limits of a message, when nobody says others. */
enum { WISP__MESSAGE_BYTES = 1 << 20, WISP__MESSAGE_VALUES = 65536, WISP__MAP_PAIRS = 4096,
       WISP__NESTING = 16 };

static void wisp__limits_defaults(wisp_limits *limits, int max_peers) {
    wisp_limits *l = limits;
    l->remotes = wisp__min_int(wisp__default_int(l->remotes, 1024), 16384);
    l->connections = wisp__min_int(wisp__default_int(l->connections, 4096), 1 << 20);
    l->message_bytes = wisp__min_int(wisp__default_int(l->message_bytes, WISP__MESSAGE_BYTES),
                                     1 << 28);
    l->message_values = wisp__min_int(wisp__default_int(l->message_values, WISP__MESSAGE_VALUES),
                                      1 << 24);
    l->map_pairs = wisp__min_int(wisp__default_int(l->map_pairs, WISP__MAP_PAIRS), 1 << 24);
    l->nesting = wisp__min_int(wisp__default_int(l->nesting, WISP__NESTING), 256);
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
    l->schema_bytes = wisp__default_int(l->schema_bytes, 1 << 20);
    l->baseline_bytes = wisp__default_int(l->baseline_bytes, 1 << 20);
    l->baselines = wisp__default_int(l->baselines, 16);
    l->baselines = wisp__power_of_two(wisp__max_int(wisp__min_int(l->baselines, 64), 4));
    l->keys = wisp__min_int(wisp__default_int(l->keys, 1024), 1 << 16);
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

/* --- memory that somebody gave, and never more --- */

typedef struct wisp__bump {
    uint8_t *at;
    size_t   left;
    bool     failed;
} wisp__bump;

static wisp__bump wisp__bump_on(void *memory, int size) {
    size_t skip = (size_t)(-(uintptr_t)memory & 7);
    wisp__bump bump = { NULL, 0, false };
    if (!memory || size < 0 || (size_t)size < skip) return bump;
    bump.at = (uint8_t *)memory + skip;
    bump.left = (size_t)size - skip;
    return bump;
}

/* Aligned to 8, not zeroed. NULL, and `failed`: there is not enough. */
static void *wisp__bump_take(wisp__bump *bump, size_t size) {
    void *taken = bump->at;
    size_t rounded = (size + 7) & ~(size_t)7;
    if (bump->failed || rounded < size || rounded > bump->left || !bump->at) {
        bump->failed = true;
        return NULL;
    }
    bump->at += rounded;
    bump->left -= rounded;
    return taken;
}

/* Where whoever reads takes memory from, whichever it is. */
typedef struct wisp__supply {
    void *(*take)(void *owner, size_t size);     /* aligned to 8, or NULL */
    void  *owner;
} wisp__supply;

static void *wisp__supply_bump(void *owner, size_t size) {
    return wisp__bump_take((wisp__bump *)owner, size);
}

static wisp__supply wisp__supply_of_bump(wisp__bump *bump) {
    wisp__supply supply = { wisp__supply_bump, NULL };
    supply.owner = bump;
    return supply;
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

/* `count` bits from the start of `from`, which is readable for 8 bytes beyond them. It may overlap
   what is written if it stands behind it. */
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
        memmove(to, from, (size_t)((count + 7) / 8));
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

wisp_value wisp_reference(wisp_object object) {
    wisp_value value = wisp__value_of(WISP_OBJECT, 0);
    value.as.object = object;
    return value;
}

wisp_value wisp_struct(const wisp_schema *schema, const void *data) {
    wisp_value value = wisp__value_of(WISP_STRUCT, schema && data ? schema->count : 0);
    if (!schema || !data) return wisp_nil();
    value.as.structure.schema = schema;
    value.as.structure.data = data;
    return value;
}

/* --- structs as values: a struct is seen as a map through its schema, without a copy --- */

/* Private kind: elements in memory. Where a type keeps its content elsewhere, its storage is a
   wisp__place and `bytes` of the type is negative: the layout of maps, which no C struct has. */
enum { WISP__ITEMS = WISP_STRUCT + 1 };

typedef struct wisp__place { const void *at; int count; } wisp__place;

/* A union in that layout: which option, then its storage. */
enum { WISP__UNION_HEAD = 8 };

static int64_t wisp__load_int(const void *at, int bytes, bool is_signed) {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (bytes) {
    case 1: memcpy(&u8, at, 1); return is_signed ? (int8_t)u8 : u8;
    case 2: memcpy(&u16, at, 2); return is_signed ? (int16_t)u16 : u16;
    case 4: memcpy(&u32, at, 4); return is_signed ? (int32_t)u32 : (int64_t)u32;
    default: memcpy(&u64, at, 8); return (int64_t)u64;
    }
}

static void wisp__store_int(void *at, int bytes, uint64_t value) {
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    switch (bytes) {
    case 1: memcpy(at, &u8, 1); break;
    case 2: memcpy(at, &u16, 2); break;
    case 4: memcpy(at, &u32, 4); break;
    default: memcpy(at, &value, 8); break;
    }
}

static double wisp__load_number(const void *at, int bytes) {
    float float32;
    double number;
    if (bytes == 4) {
        memcpy(&float32, at, 4);
        return (double)float32;
    }
    memcpy(&number, at, 8);
    return number;
}

static bool wisp__type_signed(const wisp_type *type) {
    return type->kind == WISP_TYPE_INTEGER || (type->kind == WISP_TYPE_RANGE && type->least < 0);
}

/* What a type takes where no member says it; 0: only a member can say. */
static int wisp__type_bytes(const wisp_type *type, int member_bytes) {
    if (type->bytes) return type->bytes;
    if (member_bytes) return member_bytes;
    switch (type->kind) {
    case WISP_TYPE_BOOL: return 1;
    case WISP_TYPE_VEC2: return 8;
    case WISP_TYPE_VEC3: return 12;
    case WISP_TYPE_VEC4:
    case WISP_TYPE_QUAT:
    case WISP_TYPE_COLOR: return 16;
    case WISP_TYPE_TRANSFORM: return 28;
    case WISP_TYPE_ENUM:
    case WISP_TYPE_OBJECT: return 4;
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: return (int)sizeof(wisp_value);
    case WISP_TYPE_STRUCT: return type->of ? ((const wisp_schema *)type->of)->bytes : 0;
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES:
    case WISP_TYPE_ARRAY: return -(int)sizeof(wisp__place);
    case WISP_TYPE_UNION: return -WISP__UNION_HEAD;
    case WISP_TYPE_LITERAL: return 0;
    default: return 8;
    }
}

/* What an option takes in a union of `bytes`: in a C union nothing is elsewhere. */
static int wisp__option_bytes(const wisp_type *option, int bytes) {
    int natural = wisp__type_bytes(option, 0);
    if (bytes < 0 || natural >= 0) return natural;
    if (option->kind == WISP_TYPE_STRING) return option->max + 1;
    if (option->kind == WISP_TYPE_BYTES) return option->max;
    if (!option->of || option->max > 1 << 16) return 0;
    return option->max * wisp__min_int(wisp__type_bytes((const wisp_type *)option->of, 0), 1 << 14);
}

static wisp_value wisp__view_string(const wisp_type *type, int bytes, const void *at, int count) {
    wisp__place place;
    wisp_value value = wisp_string_n((const char *)at, count < 0 ? type->max : count);
    if (bytes < 0) {
        memcpy(&place, at, sizeof place);
        value = wisp_string_n((const char *)place.at, place.count);
    } else if (type->kind != WISP_TYPE_BYTES) {
        const void *end = memchr(at, 0, (size_t)bytes);
        value.count = end ? (int)((const char *)end - (const char *)at) : bytes;
    }
    if (type->kind == WISP_TYPE_BYTES) value.kind = WISP_BYTES;
    return value;
}

static wisp_value wisp__view_color(int bytes, const void *at) {
    const uint8_t *parts = (const uint8_t *)at;
    float all[4];
    if (bytes == 4)
        return wisp_color4((float)parts[0] / 255.0f, (float)parts[1] / 255.0f,
                           (float)parts[2] / 255.0f, (float)parts[3] / 255.0f);
    memcpy(all, at, sizeof all);
    return wisp_color4(all[0], all[1], all[2], all[3]);
}

static wisp_value wisp__view_floats(wisp_kind kind, const void *at, int count) {
    wisp_value value = wisp__value_of(kind, 0);
    memcpy(&value.as, at, (size_t)count * sizeof(float));
    return value;
}

static wisp_value wisp__view_items(const wisp_type *type, int bytes, const void *at, int count) {
    wisp_value value = wisp__value_of((wisp_kind)WISP__ITEMS, count < 0 ? type->max : count);
    const wisp_type *element = (const wisp_type *)type->of;
    wisp__place place;
    if (bytes < 0) {
        memcpy(&place, at, sizeof place);
        at = place.at;
        value.count = place.count;
    }
    value.as.items.type = element;
    value.as.items.data = at;
    value.as.items.each = bytes < 0 ? element->bytes : bytes / wisp__max_int(type->max, 1);
    if (value.as.items.each < 0) value.as.items.each = -value.as.items.each;
    return value;
}

/* What stands at `at`, in storage of `bytes` (negative: elsewhere, see wisp__place). `count`: what
   the member that counts says, or -1. */
static wisp_value wisp__view(const wisp_type *type, int bytes, const void *at, int count) {
    wisp_value value = wisp_nil();
    int64_t integer;
    bytes = wisp__type_bytes(type, bytes);
    while (type->kind == WISP_TYPE_UNION) {
        const wisp_type *options = (const wisp_type *)type->of;
        if (bytes < 0) {
            count = (int)wisp__load_int(at, 4, true);
            at = (const uint8_t *)at + WISP__UNION_HEAD;
        }
        if (count < 0 || count >= type->max) return value;
        type = &options[count];
        count = -1;
        bytes = wisp__option_bytes(type, bytes);
    }
    switch (type->kind) {
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: memcpy(&value, at, sizeof value); break;
    case WISP_TYPE_LITERAL:
        value = type->of ? wisp_string((const char *)type->of) : wisp_number(type->lo);
        if (bytes > 0 && at) value = wisp__view_string(type, bytes, at, -1);
        break;
    case WISP_TYPE_BOOL:
        integer = wisp__load_int(at, bytes, false);
        value = integer & ~(int64_t)1 ? wisp_int(integer) : wisp_bool(integer != 0);
        break;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE:
        integer = wisp__load_int(at, bytes, wisp__type_signed(type));
        value = type->kind == WISP_TYPE_UINT ? wisp_uint((uint64_t)integer) : wisp_int(integer);
        break;
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED:
        value = wisp_number(wisp__load_number(at, bytes));
        if (bytes == 4) value = wisp_float((float)value.as.number);
        break;
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES: value = wisp__view_string(type, bytes, at, count); break;
    case WISP_TYPE_VEC2: value = wisp__view_floats(WISP_VEC2, at, 2); break;
    case WISP_TYPE_VEC3: value = wisp__view_floats(WISP_VEC3, at, 3); break;
    case WISP_TYPE_VEC4: value = wisp__view_floats(WISP_VEC4, at, 4); break;
    case WISP_TYPE_QUAT: value = wisp__view_floats(WISP_QUAT, at, 4); break;
    case WISP_TYPE_TRANSFORM: value = wisp__view_floats(WISP_TRANSFORM, at, 7); break;
    case WISP_TYPE_COLOR: value = wisp__view_color(bytes, at); break;
    case WISP_TYPE_ENUM:
        integer = wisp__load_int(at, bytes, false);
        value = wisp_int(integer);
        if (integer >= 0 && integer < type->max)
            value = wisp_string(((const char *const *)type->of)[integer]);
        break;
    case WISP_TYPE_OBJECT:
        value = wisp__value_of(WISP_OBJECT, 0);
        memcpy(&value.as.object, at, sizeof value.as.object);
        break;
    case WISP_TYPE_STRUCT: value = wisp_struct((const wisp_schema *)type->of, at); break;
    case WISP_TYPE_ARRAY: value = wisp__view_items(type, bytes, at, count); break;
    default: break;
    }
    return value;
}

/* How many elements or which option the field has by its own member; -1: no such member. */
static int wisp__field_count(const wisp_field *field, const void *data) {
    int64_t count;
    if (!field->count_bytes || field->flags & WISP_FLAG_MAYBE) return -1;
    count = wisp__load_int((const uint8_t *)data + field->count_offset, field->count_bytes, false);
    if (count < 0 || count > field->type.max) return field->type.max + 1;
    return (int)count;
}

static bool wisp__field_there(const wisp_field *field, const void *data) {
    return !(field->flags & WISP_FLAG_MAYBE) || ((const uint8_t *)data)[field->count_offset];
}

static wisp_value wisp__view_field(const wisp_field *field, const void *data) {
    int count = wisp__field_count(field, data);
    if (!wisp__field_there(field, data)) return wisp_nil();
    if (field->type.kind != WISP_TYPE_UNION) count = wisp__min_int(count, field->type.max);
    return wisp__view(&field->type, field->bytes, (const uint8_t *)data + field->offset, count);
}

static bool wisp__is_map(const wisp_value *value) {
    return value->kind == WISP_MAP || (value->kind == WISP_STRUCT &&
                                       value->as.structure.schema->shape != WISP_SHAPE_LIST);
}

static bool wisp__is_array(const wisp_value *value) {
    return value->kind == WISP_ARRAY || (int)value->kind == WISP__ITEMS ||
           (value->kind == WISP_STRUCT && value->as.structure.schema->shape == WISP_SHAPE_LIST);
}

/* The i-th element, pair or field: its key (NULL in arrays), and its value, which lives in
   *scratch if need be. A field that is not there is nil. */
static const wisp_value *wisp__child(const wisp_value *value, int i, const char **key,
                                     wisp_value *scratch) {
    *key = NULL;
    if (value->kind == WISP_ARRAY) return &value->as.array[i];
    if (value->kind == WISP_MAP) {
        *key = value->as.map[i].key;
        return &value->as.map[i].value;
    }
    if ((int)value->kind == WISP__ITEMS) {
        const uint8_t *data = (const uint8_t *)value->as.items.data;
        *scratch = wisp__view(value->as.items.type, value->as.items.each,
                              data + (size_t)i * (size_t)value->as.items.each, -1);
        return scratch;
    }
    if (value->as.structure.schema->shape != WISP_SHAPE_LIST)
        *key = value->as.structure.schema->fields[i].name;
    *scratch = wisp__view_field(&value->as.structure.schema->fields[i], value->as.structure.data);
    return scratch;
}

/* The child with a key, searched from `from` onwards and around: maps are mostly in one order. */
static const wisp_value *wisp__child_named(const wisp_value *map, const char *name, int from,
                                           wisp_value *scratch) {
    if (from >= map->count) from = 0;
    for (int i = 0; i < map->count; i++) {
        int at = from + i < map->count ? from + i : from + i - map->count;
        const char *key = map->kind == WISP_MAP ? map->as.map[at].key
                                                : map->as.structure.schema->fields[at].name;
        if (key && strcmp(key, name) == 0) return wisp__child(map, at, &key, scratch);
    }
    return NULL;
}

/* Pairs or elements, without fields that are not there. */
static int wisp__present(const wisp_value *value) {
    int count = value->count;
    for (int i = 0; value->kind == WISP_STRUCT && i < value->count; i++)
        count -= !wisp__field_there(&value->as.structure.schema->fields[i],
                                    value->as.structure.data);
    return count;
}

/* How many floats a kind is made of, and where they are; 0 for other kinds. The vector members
   of the union are packed floats that begin where the union begins. */
static int wisp__value_floats(const wisp_value *value, float out[7]) {
    static const int counts[] = { 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 4, 4, 7, 4, 0, 0, 0, 0, 0 };
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

/* Lists, element by element or pair by pair; a pair that is nil may be missing in a struct. */
typedef bool (*wisp__same)(const wisp_value *a, const wisp_value *b);

static bool wisp__array_equal(const wisp_value *a, const wisp_value *b, wisp__same same) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        wisp_value x, y;
        const char *key;
        const wisp_value *p = wisp__child(a, i, &key, &x);
        if (!same(p, wisp__child(b, i, &key, &y))) return false;
    }
    return true;
}

static bool wisp__map_equal(const wisp_value *a, const wisp_value *b, wisp__same same) {
    if (wisp__present(a) != wisp__present(b)) return false;
    for (int i = 0; i < a->count; i++) {
        wisp_value x, y;
        const char *key;
        const wisp_value *p = wisp__child(a, i, &key, &x), *q;
        if (a->kind == WISP_STRUCT && !wisp__field_there(&a->as.structure.schema->fields[i],
                                                         a->as.structure.data))
            continue;
        q = wisp__child_named(b, key, i, &y);
        if (!q || !same(p, q)) return false;
    }
    return true;
}

bool wisp_equal(const wisp_value *a, const wisp_value *b) {
    wisp__numeric x, y;
    float p[7] = { 0 }, q[7] = { 0 };
    int floats;
    if (!a || !b) return a == b;
    if (wisp__numeric_of(a, &x)) return wisp__numeric_of(b, &y) && wisp__numeric_equal(&x, &y);
    if (wisp__is_array(a)) return wisp__is_array(b) && wisp__array_equal(a, b, wisp_equal);
    if (wisp__is_map(a)) return wisp__is_map(b) && wisp__map_equal(a, b, wisp_equal);
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case WISP_BOOL: return a->as.boolean == b->as.boolean;
    case WISP_OBJECT: return a->as.object.id == b->as.object.id;
    case WISP_STRING:
    case WISP_BYTES: return !a->count || memcmp(a->as.bytes, b->as.bytes, (size_t)a->count) == 0;
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

/* Of lists; a sum over pairs, so that the order of keys does not matter. */
static uint64_t wisp__list_hash(const wisp_value *value, uint64_t (*hash)(const wisp_value *)) {
    bool map = wisp__is_map(value);
    uint64_t h = wisp__mix((map ? WISP_MAP : WISP_ARRAY) + (uint64_t)0x100);
    h += (uint64_t)(unsigned)wisp__present(value);
    for (int i = 0; i < value->count; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(value, i, &key, &scratch);
        if (value->kind == WISP_STRUCT &&
            !wisp__field_there(&value->as.structure.schema->fields[i], value->as.structure.data))
            continue;
        if (map) h += wisp__mix(wisp__hash_bytes(key, (int)strlen(key)) ^ wisp__mix(hash(child)));
        else h = wisp__mix(h + hash(child));
    }
    return h;
}

uint64_t wisp_hash(const wisp_value *value) {
    wisp__numeric numeric;
    float floats[7];
    uint64_t h;
    int count;
    if (!value) return 0;
    if (wisp__numeric_of(value, &numeric)) return wisp__numeric_hash(&numeric);
    if (wisp__is_map(value) || wisp__is_array(value)) return wisp__list_hash(value, wisp_hash);
    h = wisp__mix((uint64_t)value->kind + 0x100) + (uint64_t)(unsigned)value->count;
    switch (value->kind) {
    case WISP_BOOL: return wisp__mix(h + value->as.boolean);
    case WISP_OBJECT: return wisp__mix(h + value->as.object.id);
    case WISP_STRING:
    case WISP_BYTES: return wisp__mix(h ^ wisp__hash_bytes(value->as.bytes, value->count));
    default: break;
    }
    count = wisp__value_floats(value, floats);
    for (int i = 0; i < count; i++) {
        wisp_value part = wisp_float(floats[i]);
        h = wisp__mix(h + wisp_hash(&part));
    }
    return h;
}

/* Where the fields of a struct that was received become values, each when it is asked for. */
typedef struct wisp__fields {
    wisp_result (*make)(struct wisp__fields *fields, const wisp_value *from, wisp_value *out);
    void       *owner;
    wisp_value *values;          /* one for each field, and whether it is there yet */
    bool       *made;
} wisp__fields;

static const wisp_value *wisp__field_at(const wisp_value *value, int i) {
    wisp__fields *fields = (wisp__fields *)value->as.structure.view;
    wisp_value scratch;
    const char *key;
    if (!fields || !wisp__field_there(&value->as.structure.schema->fields[i],
                                      value->as.structure.data))
        return NULL;
    if (!fields->made[i]) {
        const wisp_value *field = wisp__child(value, i, &key, &scratch);
        if (fields->make(fields, field, &fields->values[i])) return NULL;
        fields->made[i] = true;
    }
    return &fields->values[i];
}

wisp_kind wisp_kind_of(const wisp_value *value) { return value ? value->kind : WISP_NIL; }

int wisp_count_of(const wisp_value *value) { return value ? value->count : 0; }

const wisp_value *wisp_element_of(const wisp_value *value, int i) {
    if (!value || i < 0 || i >= value->count) return NULL;
    if (value->kind == WISP_ARRAY) return &value->as.array[i];
    if (value->kind == WISP_STRUCT) return wisp__field_at(value, i);
    return value->kind == WISP_MAP ? &value->as.map[i].value : NULL;
}

const char *wisp_key_of(const wisp_value *map, int i) {
    if (!map || i < 0 || i >= map->count) return NULL;
    if (map->kind == WISP_STRUCT) return map->as.structure.schema->fields[i].name;
    return map->kind == WISP_MAP ? map->as.map[i].key : NULL;
}

const wisp_value *wisp_field_of(const wisp_value *map, const char *key) {
    wisp_value scratch;
    if (!map || !key) return NULL;
    if (map->kind == WISP_MAP) return wisp__child_named(map, key, 0, &scratch);
    for (int i = 0; map->kind == WISP_STRUCT && i < map->count; i++)
        if (strcmp(map->as.structure.schema->fields[i].name, key) == 0)
            return wisp__field_at(map, i);
    return NULL;
}

const char *wisp_string_of(const wisp_value *value, int *size_bytes) {
    bool fits = value && (value->kind == WISP_STRING || value->kind == WISP_BYTES);
    if (size_bytes) *size_bytes = fits ? value->count : 0;
    return fits ? value->as.string : NULL;
}

/* ===========================================================================
 * MARK: >>type
 * What: does a value fit a type? And if so, the type's storage filled from it.
 * Invariants: what does not fit is told by its path and why; storage that is
 *   filled holds nothing outside its type. Strings and elements of the layout
 *   of maps are not copied: they point to where the value has them.
 * Not here: what a type itself must be like (schema).
 * ======================================================================== */

typedef struct wisp__fitting {
    wisp__supply *supply;     /* for elements of the layout of maps */
    bool          lenient;    /* what formats with fewer kinds make of ours is taken too */
    bool          loose;      /* fields that the schema does not have are passed over */
    char         *text;       /* why it does not fit; or NULL */
    int           text_bytes;
    wisp_result   result;     /* WISP_E_INVALID or WISP_E_MEMORY, once something failed */
} wisp__fitting;

static wisp__fitting wisp__fitting_on(char *text, int text_bytes, wisp__supply *supply) {
    wisp__fitting f;
    memset(&f, 0, sizeof f);
    f.supply = supply;
    f.text = text_bytes > 0 ? text : NULL;
    f.text_bytes = text_bytes;
    if (f.text) f.text[0] = 0;
    return f;
}

WISP__PRINTF(2, 3)
static bool wisp__blame(wisp__fitting *f, const char *format, ...) {
    va_list list;
    f->result = WISP_E_INVALID;
    if (!f->text) return false;
    va_start(list, format);
    vsnprintf(f->text, (size_t)f->text_bytes, format, list);
    va_end(list);
    return false;
}

/* Puts what the failing value stands in before the text: a field's name, or an index. */
static bool wisp__blame_in(wisp__fitting *f, const char *name, int index) {
    char place[80];
    size_t length, old;
    if (!f->text) return false;
    if (name) snprintf(place, sizeof place, "%s", name);
    else snprintf(place, sizeof place, "[%d]", index);
    length = strlen(place);
    old = strlen(f->text);
    if (f->text[0] != '[' && f->text[0] != '.') {
        snprintf(place + length, sizeof place - length, ": ");
        length = strlen(place);
    }
    if (length + 2 >= (size_t)f->text_bytes) return false;
    if (old + length + 2 > (size_t)f->text_bytes) old = (size_t)f->text_bytes - length - 2;
    memmove(f->text + length + (name ? 1 : 0), f->text, old);
    memcpy(f->text + (name ? 1 : 0), place, length);
    if (name) f->text[0] = '.';
    f->text[old + length + (name ? 1 : 0)] = 0;
    return false;
}

/* The whole path begins with a name, without its dot. */
static wisp_result wisp__blamed(const wisp__fitting *f) {
    if (f->text && f->text[0] == '.') memmove(f->text, f->text + 1, strlen(f->text));
    return f->result;
}

static bool wisp__fit_integer(wisp__fitting *f, const wisp_type *type, int bytes,
                              const wisp_value *v, void *at) {
    wisp__numeric n;
    bool is_signed = wisp__type_signed(type);
    uint64_t most = UINT64_MAX >> (64 - 8 * bytes), least = 0, value;
    if (!wisp__numeric_of(v, &n) || !n.integral) return wisp__blame(f, "is no integer");
    if (is_signed) most >>= 1, least = most + 1;
    if (n.magnitude > (n.negative ? least : most))
        return wisp__blame(f, "does not fit %d bytes", bytes);
    value = n.negative ? 0 - n.magnitude : n.magnitude;
    if (type->kind == WISP_TYPE_RANGE &&
        ((int64_t)value < type->least || (int64_t)value > type->most ||
         (!is_signed && value > (uint64_t)INT64_MAX)))
        return wisp__blame(f, "%s%.0f is not in %.0f .. %.0f", n.negative ? "-" : "",
                           (double)n.magnitude, (double)type->least, (double)type->most);
    if (at) wisp__store_int(at, bytes, value);
    return true;
}

static bool wisp__numeric_number(const wisp_value *v, double *number) {
    wisp__numeric n;
    if (!wisp__numeric_of(v, &n)) return false;
    *number = n.number;
    if (v->kind == WISP_INT) *number = (double)v->as.integer;
    if (v->kind == WISP_UINT) *number = (double)v->as.uinteger;
    return true;
}

/* Bounds of what is kept as a float are floats too: 0.1f is in 0 .. 0.1. */
static bool wisp__in_bounds(double number, double lo, double hi, int bytes) {
    if (bytes == 4) return (float)number >= (float)lo && (float)number <= (float)hi;
    return number >= lo && number <= hi;
}

static bool wisp__fit_number(wisp__fitting *f, const wisp_type *type, int bytes,
                             const wisp_value *v, void *at) {
    double number = 0, size;
    float float32;
    if (!wisp__numeric_number(v, &number)) return wisp__blame(f, "is no number");
    if (type->kind != WISP_TYPE_NUMBER && !wisp__in_bounds(number, type->lo, type->hi, bytes))
        return wisp__blame(f, "%g is not in %g .. %g", number, type->lo, type->hi);
    size = number < 0 ? -number : number;
    if (bytes == 4 && size > 3.4028235677973366e38 && size - size >= 0)
        return wisp__blame(f, "%g does not fit a float", number);
    if (at && bytes == 4) {
        float32 = v->kind == WISP_FLOAT ? v->as.float32 : (float)number;
        memcpy(at, &float32, 4);
    } else if (at) {
        memcpy(at, &number, 8);
    }
    return true;
}

static bool wisp__fit_bool(wisp__fitting *f, int bytes, const wisp_value *v, void *at) {
    wisp__numeric n;
    bool flag = v->kind == WISP_BOOL && v->as.boolean;
    if (v->kind != WISP_BOOL) {
        if (!wisp__numeric_of(v, &n) || !n.integral || n.negative || n.magnitude > 1)
            return wisp__blame(f, "is no bool");
        flag = n.magnitude == 1;
    }
    if (at) wisp__store_int(at, bytes, flag);
    return true;
}

/* RFC 4648, with its padding. Bytes written, or -1. */
static int wisp__from_base64(const char *text, int count, uint8_t *out) {
    uint32_t word = 0;
    int written = 0, pads = 0;
    if (count % 4) return -1;
    for (int i = 0; i < count; i++) {
        char c = text[i];
        uint32_t six = 64;
        if (c >= 'A' && c <= 'Z') six = (uint32_t)(c - 'A');
        else if (c >= 'a' && c <= 'z') six = (uint32_t)(c - 'a') + 26;
        else if (c >= '0' && c <= '9') six = (uint32_t)(c - '0') + 52;
        else if (c == '+') six = 62;
        else if (c == '/') six = 63;
        else if (c == '=' && i >= count - 2) pads++, six = 0;
        if (six == 64 || (pads && c != '=')) return -1;
        word = word << 6 | six;
        if (i % 4 < 3) continue;
        for (int k = 0; k < 3 - pads; k++) out[written++] = (uint8_t)(word >> (16 - 8 * k));
        word = 0;
    }
    return written;
}

static bool wisp__no_memory(wisp__fitting *f) {
    f->result = WISP_E_MEMORY;
    return wisp__blame(f, "no memory") || (f->result = WISP_E_MEMORY, false);
}

/* Puts `count` bytes into storage: in place, or where they are. */
static bool wisp__fit_place(int bytes, void *at, const void *from, int count) {
    wisp__place place;
    if (!at) return true;
    if (bytes < 0) {
        place.at = from;
        place.count = count;
        memcpy(at, &place, sizeof place);
    } else {
        memset(at, 0, (size_t)bytes);
        if (count) memcpy(at, from, (size_t)count);
    }
    return true;
}

static bool wisp__fit_string(wisp__fitting *f, const wisp_type *type, int bytes,
                             const wisp_value *v, void *at) {
    if (v->kind != WISP_STRING) return wisp__blame(f, "is no string");
    if (v->count > type->max) return wisp__blame(f, "%d bytes are over %d", v->count, type->max);
    if (v->count < 0 || (v->count && !v->as.string)) return wisp__blame(f, "is no string");
    if (bytes > 0 && v->count && memchr(v->as.string, 0, (size_t)v->count))
        return wisp__blame(f, "has a NUL inside");
    return wisp__fit_place(bytes, at, v->as.string, v->count);
}

/* `count` NULL: there is no member that says how many; they are always max. */
static bool wisp__fit_bytes(wisp__fitting *f, const wisp_type *type, int bytes,
                            const wisp_value *v, void *at, int *count) {
    wisp_value decoded = *v;
    if (v->kind == WISP_STRING && f->lenient) {
        int size = v->count / 4 * 3;
        uint8_t *out = NULL;
        if (!f->supply) return true;                   /* is read when there is room for it */
        out = (uint8_t *)f->supply->take(f->supply->owner, (size_t)size + 1);
        if (!out) return wisp__no_memory(f);
        decoded = wisp_bytes(out, wisp__from_base64(v->as.string, v->count, out));
    }
    if (decoded.kind != WISP_BYTES || decoded.count < 0 || (decoded.count && !decoded.as.bytes))
        return wisp__blame(f, "is not bytes");
    if (decoded.count > type->max)
        return wisp__blame(f, "%d bytes are over %d", decoded.count, type->max);
    if ((bytes > 0 ? !count : type->least != 0) && decoded.count != type->max)
        return wisp__blame(f, "%d bytes are not %d", decoded.count, type->max);
    if (count) *count = decoded.count;
    return wisp__fit_place(bytes, at, decoded.as.bytes, decoded.count);
}

/* The floats of a vector, or of an array of numbers where that is all a format has. */
static bool wisp__fit_parts(wisp__fitting *f, wisp_kind kind, int count, const wisp_value *v,
                            float parts[7]) {
    if (v->kind == kind) {
        wisp__value_floats(v, parts);
        return true;
    }
    if (!f->lenient || !wisp__is_array(v) || v->count != count)
        return wisp__blame(f, "is no vector of %d", count);
    for (int i = 0; i < count; i++) {
        wisp_value scratch;
        const char *key;
        double number = 0;
        if (!wisp__numeric_number(wisp__child(v, i, &key, &scratch), &number))
            return wisp__blame(f, "is no vector of %d", count);
        parts[i] = (float)number;
    }
    return true;
}

/* The range of a component; step 0: a plain float. */
static wisp_range wisp__component(const wisp_type *type, int i) {
    wisp_range range;
    if (type->of) return ((const wisp_range *)type->of)[i];
    range.lo = type->lo;
    range.hi = type->hi;
    range.step = type->step;
    return range;
}

static int wisp__vector_count(const wisp_type *type) {
    return type->kind == WISP_TYPE_VEC2 ? 2 : type->kind == WISP_TYPE_VEC3 ? 3 : 4;
}

static bool wisp__fit_vector(wisp__fitting *f, const wisp_type *type, const wisp_value *v,
                             void *at) {
    static const wisp_kind kinds[] = { WISP_VEC2, WISP_VEC3, WISP_VEC4 };
    int count = wisp__vector_count(type);
    float parts[7];
    if (!wisp__fit_parts(f, kinds[count - 2], count, v, parts)) return false;
    for (int i = 0; i < count; i++) {
        wisp_range range = wisp__component(type, i);
        double part = (double)parts[i];
        if (range.step > 0 && !wisp__in_bounds(part, range.lo, range.hi, 4))
            return wisp__blame(f, "component %d: %g is not in %g .. %g", i, part, range.lo,
                               range.hi);
    }
    if (at) memcpy(at, parts, (size_t)count * sizeof(float));
    return true;
}

static bool wisp__is_rotation(const float parts[4]) {
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)parts[i] * (double)parts[i];
    return sum > 1e-12 && sum < 1e12;
}

static bool wisp__fit_quat(wisp__fitting *f, const wisp_type *type, const wisp_value *v, void *at) {
    float parts[7];
    if (!wisp__fit_parts(f, WISP_QUAT, 4, v, parts)) return false;
    if (type->max && !wisp__is_rotation(parts)) return wisp__blame(f, "is no rotation");
    if (at) memcpy(at, parts, 4 * sizeof(float));
    return true;
}

static bool wisp__fit_transform(wisp__fitting *f, const wisp_value *v, void *at) {
    float parts[7], turn[7];
    wisp_value scratch;
    const wisp_value *position, *rotation;
    if (v->kind == WISP_TRANSFORM || !f->lenient || !wisp__is_map(v)) {
        if (!wisp__fit_parts(f, WISP_TRANSFORM, 7, v, parts)) return false;
    } else {
        position = wisp__child_named(v, "position", 0, &scratch);
        if (!position || !wisp__fit_parts(f, WISP_VEC3, 3, position, parts))
            return wisp__blame(f, "is no transform");
        rotation = wisp__child_named(v, "rotation", 1, &scratch);
        if (!rotation || !wisp__fit_parts(f, WISP_QUAT, 4, rotation, turn))
            return wisp__blame(f, "is no transform");
        memcpy(parts + 3, turn, 4 * sizeof(float));
    }
    if (at) memcpy(at, parts, 7 * sizeof(float));
    return true;
}

static uint8_t wisp__to_byte(float part) { return (uint8_t)(part * 255.0f + 0.5f); }

static bool wisp__fit_color(wisp__fitting *f, int bytes, const wisp_value *v, void *at) {
    float parts[7];
    if (!wisp__fit_parts(f, WISP_COLOR, 4, v, parts)) return false;
    for (int i = 0; i < 4; i++)
        if (!(parts[i] >= 0.0f && parts[i] <= 1.0f))
            return wisp__blame(f, "channel %d: %g is not in 0 .. 1", i, (double)parts[i]);
    if (at && bytes == 4)
        for (int i = 0; i < 4; i++) ((uint8_t *)at)[i] = wisp__to_byte(parts[i]);
    else if (at)
        memcpy(at, parts, 4 * sizeof(float));
    return true;
}

static bool wisp__fit_enum(wisp__fitting *f, const wisp_type *type, int bytes, const wisp_value *v,
                           void *at) {
    const char *const *names = (const char *const *)type->of;
    wisp__numeric n;
    int index = type->max;
    if (v->kind == WISP_STRING) {
        for (index = 0; index < type->max; index++)
            if (strlen(names[index]) == (size_t)v->count &&
                memcmp(names[index], v->as.string, (size_t)v->count) == 0)
                break;
    } else if (wisp__numeric_of(v, &n) && n.integral && !n.negative && n.magnitude < INT32_MAX) {
        index = (int)n.magnitude;
    }
    if (index >= type->max) return wisp__blame(f, "is none of %d names", type->max);
    if (at) wisp__store_int(at, bytes, (uint64_t)index);
    return true;
}

static bool wisp__fit_object(wisp__fitting *f, const wisp_value *v, void *at) {
    wisp__numeric n;
    wisp_object object = { 0 };
    if (v->kind == WISP_OBJECT) object = v->as.object;
    else if (f->lenient && wisp__numeric_of(v, &n) && n.integral && !n.negative &&
             n.magnitude <= UINT32_MAX)
        object.id = (uint32_t)n.magnitude;
    else return wisp__blame(f, "is no object");
    if (at) memcpy(at, &object, sizeof object);
    return true;
}

static bool wisp__fit_literal(wisp__fitting *f, const wisp_type *type, int bytes,
                              const wisp_value *v, void *at) {
    wisp_value wanted = wisp__view(type, 0, NULL, -1);
    if (wisp_equal(v, &wanted))
        return bytes <= 0 || wisp__fit_place(bytes, at, wanted.as.string, wanted.count);
    return type->of ? wisp__blame(f, "is not '%s'", (const char *)type->of)
                    : wisp__blame(f, "is not %g", type->lo);
}

static bool wisp__fit_exact(wisp__fitting *f, const wisp_type *type, const wisp_value *v,
                            void *at) {
    if (type->kind == WISP_TYPE_EXACT && (int)v->kind != type->max)
        return wisp__blame(f, "is of another kind");
    if (at) memcpy(at, v, sizeof *v);
    return true;
}

typedef bool (*wisp__fit_type)(wisp__fitting *f, const wisp_type *type, int bytes,
                               const wisp_value *v, void *at, int *count);

/* Elements in place, or in memory of the supply. */
static bool wisp__fit_array(wisp__fitting *f, const wisp_type *type, int bytes,
                            const wisp_value *v, void *at, int *count, wisp__fit_type fit) {
    const wisp_type *element = (const wisp_type *)type->of;
    int each = bytes > 0 ? bytes / wisp__max_int(type->max, 1) : wisp__type_bytes(element, 0);
    uint8_t *items = (uint8_t *)at;
    if (!wisp__is_array(v) || v->count < 0 || (v->count && !v->as.array))
        return wisp__blame(f, "is no array");
    if (v->count > type->max) return wisp__blame(f, "%d elements are over %d", v->count, type->max);
    if ((bytes > 0 ? !count : type->least != 0) && v->count != type->max)
        return wisp__blame(f, "%d elements are not %d", v->count, type->max);
    if (count) *count = v->count;
    if (each < 0) each = -each;
    if (at && bytes < 0) {
        items = (uint8_t *)f->supply->take(f->supply->owner,
                                           (size_t)v->count * (size_t)each + 1);
        if (!items) return wisp__no_memory(f);
        memset(items, 0, (size_t)v->count * (size_t)each + 1);
        wisp__fit_place(bytes, at, items, v->count);
    } else if (at) {
        memset(at, 0, (size_t)bytes);
    }
    for (int i = 0; i < v->count; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(v, i, &key, &scratch);
        void *to = at ? items + (size_t)i * (size_t)each : NULL;
        if (!fit(f, element, bytes > 0 ? each : 0, child, to, NULL))
            return wisp__blame_in(f, NULL, i);
    }
    return true;
}

/* Does the option say the value as it is, and not only something that it can be taken for? */
static bool wisp__says_exactly(const wisp_type *option, const wisp_value *v) {
    double number = 0;
    wisp_value taken;
    switch (option->kind) {
    case WISP_TYPE_BOOL: return v->kind == WISP_BOOL;
    case WISP_TYPE_ENUM: return v->kind == WISP_STRING;
    case WISP_TYPE_OBJECT: return v->kind == WISP_OBJECT;
    case WISP_TYPE_QUANTIZED: return false;
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
        wisp__numeric_number(v, &number);
        taken = option->bytes == 4 ? wisp_float((float)number) : wisp_number(number);
        return wisp_equal(v, &taken);
    default: return true;
    }
}

/* The first option that the value fits as it is, else the first that takes it. */
static bool wisp__fit_union(wisp__fitting *f, const wisp_type *type, int bytes,
                            const wisp_value *v, void *at, int *count, wisp__fit_type fit) {
    const wisp_type *options = (const wisp_type *)type->of;
    wisp__fitting quiet = *f;
    quiet.text = NULL;
    quiet.result = WISP_OK;
    for (int turn = 0; turn < 2 * type->max; turn++) {
        int i = turn % type->max, inner = 0;
        int each = wisp__option_bytes(&options[i], bytes), *in = each < 0 ? &inner : NULL;
        if (turn < type->max && !wisp__says_exactly(&options[i], v)) continue;
        if (!fit(&quiet, &options[i], each, v, NULL, in)) continue;
        if (at && bytes < 0) {
            wisp__store_int(at, 4, (uint64_t)i);
            at = (uint8_t *)at + WISP__UNION_HEAD;
        }
        if (count) *count = i;
        return !at || fit(f, &options[i], each, v, at, in);
    }
    return wisp__blame(f, "is none of %d options", type->max);
}

/* What a field holds when a value lacks it; nil: nothing. */
static wisp_value wisp__fallback(const wisp_field *field) {
    if (!(field->flags & WISP_FLAG_OPTIONAL)) return wisp_nil();
    if (field->fallback_text) return wisp_string(field->fallback_text);
    if (field->type.kind == WISP_TYPE_STRING) return wisp_string("");
    return wisp_number(field->fallback);
}

static bool wisp__fit_field(wisp__fitting *f, const wisp_field *field, const wisp_value *v,
                            void *data, wisp__fit_type fit) {
    uint8_t *base = (uint8_t *)data;
    wisp_value fallback = wisp__fallback(field);
    int count = -1;
    bool maybe = (field->flags & WISP_FLAG_MAYBE) != 0, counted = field->count_bytes && !maybe;
    if (!v || (v->kind == WISP_NIL && field->type.kind != WISP_TYPE_ANY &&
               field->flags & (WISP_FLAG_MAYBE | WISP_FLAG_OPTIONAL))) {
        if (maybe) {
            if (base) base[field->count_offset] = 0;
            return true;
        }
        v = &fallback;
        if (v->kind == WISP_NIL && field->type.kind != WISP_TYPE_LITERAL)
            return wisp__blame(f, "is missing");
        if (v->kind == WISP_NIL) return true;
    }
    if (!fit(f, &field->type, field->bytes, v, base ? base + field->offset : NULL,
             counted || field->bytes <= 0 ? &count : NULL))
        return v->kind == WISP_NIL ? wisp__blame(f, "is missing") : false;
    if (base && counted)
        wisp__store_int(base + field->count_offset, field->count_bytes, (uint64_t)count);
    if (base && maybe) base[field->count_offset] = 1;
    return true;
}

static bool wisp__has_field(const wisp_schema *schema, const char *name) {
    for (int i = 0; i < schema->count; i++)
        if (strcmp(schema->fields[i].name, name) == 0) return true;
    return false;
}

/* What a struct's own member says about a list must be so: it is only seen up to its maximum. */
static bool wisp__count_fits(wisp__fitting *f, const wisp_value *v, const wisp_value *child,
                             int i) {
    const wisp_schema *schema = v->as.structure.schema;
    int count;
    if (schema->shape != WISP_SHAPE_STRUCT || schema->fields[i].type.kind == WISP_TYPE_UNION)
        return true;
    if (i >= schema->count || (int)child->kind < 0) return true;
    count = wisp__field_count(&schema->fields[i], v->as.structure.data);
    if (count <= schema->fields[i].type.max) return true;
    return wisp__blame(f, "its count is over %d", schema->fields[i].type.max);
}

static bool wisp__fit_struct(wisp__fitting *f, const wisp_schema *schema, const wisp_value *v,
                             void *at, wisp__fit_type fit) {
    bool list = schema->shape == WISP_SHAPE_LIST;
    int found = 0;
    wisp_value scratch;
    const char *key;
    if ((list ? !wisp__is_array(v) : !wisp__is_map(v)) || v->count < 0 ||
        (v->count && !v->as.array))
        return wisp__blame(f, list ? "is no array" : "is no map");
    for (int i = 0; i < schema->count; i++) {
        const wisp_field *field = &schema->fields[i];
        const wisp_value *child = NULL;
        if (!list) child = wisp__child_named(v, field->name, i, &scratch);
        else if (i < v->count) child = wisp__child(v, i, &key, &scratch);
        found += child != NULL;
        if (child == &scratch && v->kind == WISP_STRUCT && !wisp__count_fits(f, v, child, i))
            return wisp__blame_in(f, field->name, 0);
        if (!wisp__fit_field(f, field, child, at, fit)) return wisp__blame_in(f, field->name, 0);
    }
    if (f->loose || found == v->count) return true;
    for (int i = 0; !list && i < v->count; i++) {
        wisp__child(v, i, &key, &scratch);
        if (!key) return wisp__blame(f, "has a pair without a key");
        if (wisp__has_field(schema, key)) continue;
        wisp__blame(f, "is no field of %s", schema->name);
        return wisp__blame_in(f, key, 0);
    }
    return wisp__blame(f, list ? "%d values are over %d" : "%d pairs are over %d", v->count,
                       schema->count);
}

/* Does the value fit? With `at` its storage of `bytes` is filled; what was there is lost. `count`
   gets how many elements there are, or which option; NULL: no member says it. */
static bool wisp__match(wisp__fitting *f, const wisp_type *type, int bytes, const wisp_value *v,
                      void *at, int *count) {
    bytes = wisp__type_bytes(type, bytes);
    switch (type->kind) {
    case WISP_TYPE_LITERAL: return wisp__fit_literal(f, type, bytes, v, at);
    case WISP_TYPE_BOOL: return wisp__fit_bool(f, bytes, v, at);
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE: return wisp__fit_integer(f, type, bytes, v, at);
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: return wisp__fit_number(f, type, bytes, v, at);
    case WISP_TYPE_STRING: return wisp__fit_string(f, type, bytes, v, at);
    case WISP_TYPE_BYTES: return wisp__fit_bytes(f, type, bytes, v, at, count);
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: return wisp__fit_vector(f, type, v, at);
    case WISP_TYPE_QUAT: return wisp__fit_quat(f, type, v, at);
    case WISP_TYPE_TRANSFORM: return wisp__fit_transform(f, v, at);
    case WISP_TYPE_COLOR: return wisp__fit_color(f, bytes, v, at);
    case WISP_TYPE_ENUM: return wisp__fit_enum(f, type, bytes, v, at);
    case WISP_TYPE_OBJECT: return wisp__fit_object(f, v, at);
    case WISP_TYPE_STRUCT:
        return wisp__fit_struct(f, (const wisp_schema *)type->of, v, at, wisp__match);
    case WISP_TYPE_ARRAY: return wisp__fit_array(f, type, bytes, v, at, count, wisp__match);
    case WISP_TYPE_UNION: return wisp__fit_union(f, type, bytes, v, at, count, wisp__match);
    default: return wisp__fit_exact(f, type, v, at);
    }
}

/* The same for a whole schema. */
static wisp_result wisp__fit_schema(wisp__fitting *f, const wisp_schema *schema,
                                    const wisp_value *v, void *at) {
    if (wisp__fit_struct(f, schema, v, at, wisp__match)) return WISP_OK;
    return wisp__blamed(f);
}

/* --- a struct as maps --- */

typedef wisp_result (*wisp__make_map)(wisp__supply *supply, const wisp_value *from,
                                      wisp_value *out);

static wisp_result wisp__as_array(wisp__supply *supply, const wisp_value *from, wisp_value *out,
                                  wisp__make_map make) {
    size_t count = (size_t)wisp__max_int(from->count, 0);
    wisp_value *items;
    if (from->count < 0 || (from->count && !from->as.array)) return WISP_E_ARGUMENT;
    items = (wisp_value *)supply->take(supply->owner, count * sizeof *items + 1);
    if (!items) return WISP_E_MEMORY;
    for (int i = 0; i < from->count; i++) {
        wisp_value scratch;
        const char *key;
        wisp_result result = make(supply, wisp__child(from, i, &key, &scratch), &items[i]);
        if (result) return result;
    }
    *out = wisp_array(items, from->count);
    return WISP_OK;
}

/* Maps and arrays of values of a struct, or of maps with structs in them. */
static wisp_result wisp__as_map(wisp__supply *supply, const wisp_value *from, wisp_value *out) {
    wisp_pair *pairs;
    int count = 0;
    *out = *from;
    if (wisp__is_array(from)) return wisp__as_array(supply, from, out, wisp__as_map);
    if (!wisp__is_map(from)) return WISP_OK;
    if (from->count < 0 || (from->count && !from->as.map)) return WISP_E_ARGUMENT;
    pairs = (wisp_pair *)supply->take(supply->owner, (size_t)from->count * sizeof *pairs + 1);
    if (!pairs) return WISP_E_MEMORY;
    for (int i = 0; i < from->count; i++) {
        wisp_value scratch;
        const char *key;
        wisp_result result;
        const wisp_value *child = wisp__child(from, i, &key, &scratch);
        if (from->kind == WISP_STRUCT &&
            !wisp__field_there(&from->as.structure.schema->fields[i], from->as.structure.data))
            continue;
        pairs[count].key = key;
        result = wisp__as_map(supply, child, &pairs[count++].value);
        if (result) return result;
    }
    *out = wisp_map(pairs, count);
    return WISP_OK;
}

wisp_result wisp_as_map(const wisp_value *value, wisp_value *out, void *memory,
                        int memory_bytes) {
    wisp__bump bump = wisp__bump_on(memory, memory_bytes);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    return value && out ? wisp__as_map(&supply, value, out) : WISP_E_ARGUMENT;
}

wisp_result wisp_validate(const wisp_schema *schema, const wisp_value *value, char *text,
                          int text_bytes) {
    wisp__fitting f = wisp__fitting_on(text, text_bytes, NULL);
    return schema && value ? wisp__fit_schema(&f, schema, value, NULL) : WISP_E_ARGUMENT;
}

wisp_result wisp_fill_struct(const wisp_schema *schema, const wisp_value *value, void *data,
                             char *text, int text_bytes) {
    wisp__fitting f = wisp__fitting_on(text, text_bytes, NULL);
    wisp_result result;
    if (!schema || !value || !data || schema->shape != WISP_SHAPE_STRUCT) return WISP_E_ARGUMENT;
    f.loose = true;
    result = wisp__fit_schema(&f, schema, value, NULL);
    return result ? result : wisp__fit_schema(&f, schema, value, data);
}

/* ===========================================================================
 * MARK: >>schema
 * What: checking schemas; compiling them to a flat program of operations, one
 *   for each number or blob that is written; descriptors, which carry a schema
 *   over the wire.
 * Invariants: a program's operations stand in the order of their bits; those
 *   inside an array, an option or what may be missing follow it, up to `end`.
 *   A schema without a C struct is laid out here: its compiled copy has
 *   offsets, and keeps strings and elements elsewhere (wisp__place).
 * Not here: writing and reading by a program (record).
 *
 *   descriptor  version:8 list:1 name, length(count), fields
 *   field       name flags:3 numbered:1 [length] [default: text:1, name | 64] type
 *   name        length bytes
 *   type        kind:5, then by kind
 *     exact 5 · literal text:1, name | 64 · integer uint log2(bytes):2 form:2
 *     range 64 64 · number form:2 (by class, 32, 64) · number range form:2 64 64
 *     quantized float:1 64 64 64 · string length · bytes length fixed:1 · quat 5
 *     vectors form:2 (plain, one range, each its own) 64 64 64 ..
 *     enum length, names · struct descriptor · union length, types
 *     array length fixed:1 type
 * ======================================================================== */

enum { WISP__SCHEMA_DEPTH = 16, WISP__SCHEMA_NODES = 4096, WISP__DESCRIPTOR_BYTES = 16384 };

typedef enum wisp__code {
    WISP__OP_INT,       /* `bits` of value - lo */
    WISP__OP_LONG,      /* 64 bits, by class */
    WISP__OP_FLOATS,    /* `max` floats as they are */
    WISP__OP_DOUBLE, WISP__OP_NUMBER,      /* as it is; by class, as in pack */
    WISP__OP_QUANTIZED, /* `bits` of steps from low */
    WISP__OP_QUAT, WISP__OP_COLOR,
    WISP__OP_TEXT, WISP__OP_BYTES, WISP__OP_PLACE,   /* char[]; uint8_t[]; elsewhere */
    WISP__OP_ANY, WISP__OP_LITERAL,
    WISP__OP_ARRAY, WISP__OP_UNION, WISP__OP_OPTION, WISP__OP_OPTIONAL, WISP__OP_MAYBE
} wisp__code;

enum { WISP__OP_SIGNED = 1, WISP__OP_RANGED = 2, WISP__OP_FIXED = 4, WISP__OP_ELSEWHERE = 8,
       WISP__OP_PLAIN = 16,     /* no order among its numbers; of an array: nothing but numbers */
       WISP__OP_KEY = 32,
       WISP__OP_LAST = 64 };    /* the last of a body */

/* How an operation is done within a run; NONE: by itself. */
typedef enum wisp__quick {
    WISP__QUICK_NONE, WISP__QUICK_U8, WISP__QUICK_I8, WISP__QUICK_U16, WISP__QUICK_I16,
    WISP__QUICK_U32, WISP__QUICK_I32, WISP__QUICK_64, WISP__QUICK_FLOATS, WISP__QUICK_RANGED,
    WISP__QUICK_DOUBLE,
    WISP__QUICK_FLOAT_STEPS, WISP__QUICK_DOUBLE_STEPS, WISP__QUICK_TEXT
} wisp__quick;

enum { WISP__TILE = 32,            /* rows at a time */
       WISP__TILE_HEAD = 64,       /* bytes of a row, without its text, that is done so */
       WISP__RUN_BLOB = 32,        /* bytes of the longest text in a run */
       WISP__RUN_SLACK = 48,       /* beyond a run: words are copied whole */
       WISP__RUN_MOST = 512 };     /* bytes of a run: near the end of a message it is copied */

typedef struct wisp__op {
    uint8_t  code, flags;
    uint8_t  bits;                 /* of the number, length, count or index */
    int8_t   bytes;                /* of the number in memory */
    int8_t   count_bytes;
    uint8_t  quick;                /* how it is done within a run */
    int32_t  end;                  /* the operation after its body */
    int32_t  offset, count_offset; /* in what the body stands in */
    int32_t  max, each;            /* elements, bytes; each: from one to the next */
    int64_t  least;
    uint64_t span;                 /* largest number that is written */
    uint64_t mask;                 /* of `bits` */
    int32_t  run, run_bytes;       /* the operation after the run that begins here, and the most
                                      that it takes; 0: none begins */
    int32_t  head;                 /* of an array whose rows are done in tiles: bits of one
                                      without its text; 0: they are not */
    int16_t  columns, column_bits; /* operations of such an array, or of a column of it: floats
                                      that are neighbours are one; its bits */
    double   low, high, step;
    const wisp_type  *type;
    const wisp_field *field;       /* of the OPTIONAL */
#if UINTPTR_MAX == UINT32_MAX && !defined(__arm__)
    uint32_t fill;                 /* they stand in a row in memory that is given in eights */
#endif
} wisp__op;

typedef char wisp__op_fills_its_place[sizeof(wisp__op) % 8 == 0 ? 1 : -1];

typedef struct wisp__program {
    const wisp_schema *schema;     /* with offsets */
    const wisp_schema *source;     /* as it was given */
    const wisp__op    *ops;
    int                count;
    bool               fixed;      /* nothing but numbers: its length is always the same */
    bool               keyed;
} wisp__program;

/* --- checking --- */

typedef struct wisp__checking {
    wisp__fitting blame;
    int           depth, nodes;
    size_t        bytes;           /* that compiling takes at most */
} wisp__checking;

typedef bool (*wisp__check_fn)(wisp__checking *c, const wisp_type *type, int bytes, bool counted);

static int wisp__bit_length(uint64_t value) {
    int bits = 0;
    for (; value; value >>= 1) bits++;
    return bits;
}

/* Steps of a range; 0: it makes no sense, or takes over 32 bits. */
static uint64_t wisp__steps(const wisp_range *r) {
    double steps;
    if (!(r->step > 0 && r->hi > r->lo && r->hi - r->lo < 1e300)) return 0;
    steps = (r->hi - r->lo) / r->step + 0.5;
    return steps >= 1 && steps < 4294967296.0 ? (uint64_t)steps : 0;
}

static bool wisp__check_steps(wisp__checking *c, const wisp_range *r, int bytes) {
    double most = r->hi > -r->lo ? r->hi : -r->lo;
    if (!wisp__steps(r))
        return wisp__blame(&c->blame, "%g .. %g in steps of %g: no range of at most 32 bits", r->lo,
                           r->hi, r->step);
    if (bytes == 4 && most / 8388608.0 > r->step)
        return wisp__blame(&c->blame, "a float cannot tell %g from %g", most, most - r->step);
    return true;
}

static bool wisp__check_bytes(wisp__checking *c, int bytes, bool fits) {
    return fits || wisp__blame(&c->blame, "does not fit a member of %d bytes", bytes);
}

static bool wisp__is_width(int bytes) {
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

static bool wisp__check_integer(wisp__checking *c, const wisp_type *type, int bytes) {
    uint64_t most = UINT64_MAX >> (64 - 8 * wisp__min_int(wisp__max_int(bytes, 1), 8));
    if (!wisp__check_bytes(c, bytes, wisp__is_width(bytes))) return false;
    if (type->kind != WISP_TYPE_RANGE) return true;
    if (type->least > type->most) return wisp__blame(&c->blame, "its range is upside down");
    if (type->least < 0) most >>= 1;
    return wisp__check_bytes(c, bytes, (type->most < 0 || (uint64_t)type->most <= most) &&
                             (type->least >= 0 || (uint64_t)(-(type->least + 1)) <= most));
}

static bool wisp__check_number(wisp__checking *c, const wisp_type *type, int bytes) {
    wisp_range range = wisp__component(type, 0);
    if (!wisp__check_bytes(c, bytes, bytes == 4 || bytes == 8)) return false;
    if (type->kind == WISP_TYPE_QUANTIZED) return wisp__check_steps(c, &range, bytes);
    if (type->kind == WISP_TYPE_NUMBER_RANGE && !(type->lo <= type->hi))
        return wisp__blame(&c->blame, "its range is upside down");
    return true;
}

static bool wisp__check_vector(wisp__checking *c, const wisp_type *type, int bytes) {
    int count = wisp__vector_count(type);
    if (!wisp__check_bytes(c, bytes, bytes == 4 * count)) return false;
    for (int i = 0; i < count; i++) {
        wisp_range range = wisp__component(type, i);
        if ((type->of || type->step > 0 || type->lo < 0 || type->hi > 0) &&
            !wisp__check_steps(c, &range, 4))
            return false;
    }
    return true;
}

static bool wisp__check_max(wisp__checking *c, const wisp_type *type, int most) {
    if (type->max >= 1 && type->max <= most) return true;
    return wisp__blame(&c->blame, "%d is not in 1 .. %d", type->max, most);
}

static bool wisp__check_enum(wisp__checking *c, const wisp_type *type, int bytes) {
    const char *const *names = (const char *const *)type->of;
    if (!wisp__check_max(c, type, 4096)) return false;
    if (!wisp__check_bytes(c, bytes, wisp__is_width(bytes) && (bytes > 1 || type->max <= 256)))
        return false;
    for (int i = 0; names && i < type->max; i++)
        if (!names[i] || strlen(names[i]) > 64) names = NULL;
    return names || wisp__blame(&c->blame, "a name of the enum is missing, or over 64 bytes");
}

static bool wisp__check_array(wisp__checking *c, const wisp_type *type, int bytes,
                              wisp__check_fn check) {
    const wisp_type *element = (const wisp_type *)type->of;
    int each = bytes > 0 ? bytes / wisp__max_int(type->max, 1) : 0;
    if (!wisp__check_max(c, type, 1 << 24)) return false;
    if (!element) return wisp__blame(&c->blame, "has no element type");
    if (bytes > 0 && (each * type->max != bytes || !each))
        return wisp__blame(&c->blame, "%d bytes are not %d elements", bytes, type->max);
    if (++c->depth > WISP__SCHEMA_DEPTH) return wisp__blame(&c->blame, "nests too deeply");
    if (!check(c, element, each, false)) return wisp__blame_in(&c->blame, "[]", 0);
    c->depth--;
    return true;
}

static bool wisp__check_union(wisp__checking *c, const wisp_type *type, int bytes, bool counted,
                              wisp__check_fn check) {
    const wisp_type *options = (const wisp_type *)type->of;
    if (!wisp__check_max(c, type, 256)) return false;
    if (!options) return wisp__blame(&c->blame, "has no options");
    if (bytes > 0 && !counted) return wisp__blame(&c->blame, "no member says which option it is");
    if (++c->depth > WISP__SCHEMA_DEPTH) return wisp__blame(&c->blame, "nests too deeply");
    for (int i = 0; i < type->max; i++) {
        int each = wisp__option_bytes(&options[i], bytes);
        if (bytes > 0 && options[i].kind == WISP_TYPE_UNION)
            return wisp__blame(&c->blame, "a C union directly in a C union");
        if (each > bytes && bytes > 0)
            return wisp__blame(&c->blame, "option %d takes %d bytes of %d", i, each, bytes);
        if (!check(c, &options[i], bytes > 0 ? each : 0, false))
            return wisp__blame_in(&c->blame, "option", 0);
    }
    c->depth--;
    return true;
}

static bool wisp__check_name(const char *name) {
    return name && name[0] && strlen(name) <= 64;
}

/* Do two fields of a struct share bytes, also with what counts them? */
static bool wisp__overlap(int a, int a_bytes, int b, int b_bytes) {
    return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}

static int wisp__field_number(const wisp_schema *schema, int i) {
    return schema->fields[i].number ? schema->fields[i].number : i + 1;
}

static bool wisp__check_pair(wisp__checking *c, const wisp_schema *schema, int i, int k) {
    const wisp_field *a = &schema->fields[i], *b = &schema->fields[k];
    bool same = strcmp(a->name, b->name) == 0;
    if (same) return wisp__blame(&c->blame, "is there twice");
    if (wisp__field_number(schema, i) == wisp__field_number(schema, k))
        return wisp__blame(&c->blame, "has the number of %s", b->name);
    if (schema->shape != WISP_SHAPE_STRUCT) return true;
    if (wisp__overlap(a->offset, a->bytes, b->offset, b->bytes) ||
        wisp__overlap(a->count_offset, a->count_bytes, b->offset, b->bytes) ||
        wisp__overlap(a->offset, a->bytes, b->count_offset, b->count_bytes) ||
        wisp__overlap(a->count_offset, a->count_bytes, b->count_offset, b->count_bytes))
        return wisp__blame(&c->blame, "overlaps %s", b->name);
    return true;
}

/* A default is a number, a bool or a text that fits. */
static bool wisp__check_fallback(wisp__checking *c, const wisp_field *field, int bytes) {
    wisp_value fallback = wisp__fallback(field);
    if (!(field->flags & WISP_FLAG_OPTIONAL)) return true;
    if (field->flags & WISP_FLAG_MAYBE || field->type.kind >= WISP_TYPE_BYTES + 0)
        if (field->flags & WISP_FLAG_MAYBE || field->type.kind != WISP_TYPE_ENUM)
            return wisp__blame(&c->blame, "cannot have a default");
    if (field->type.kind == WISP_TYPE_ANY || field->type.kind == WISP_TYPE_EXACT ||
        field->type.kind == WISP_TYPE_LITERAL)
        return wisp__blame(&c->blame, "cannot have a default");
    if (wisp__match(&c->blame, &field->type, bytes, &fallback, NULL, NULL)) return true;
    return wisp__blame_in(&c->blame, "its default", 0);
}

static bool wisp__check_field(wisp__checking *c, const wisp_schema *schema, int i,
                              wisp__check_fn check) {
    const wisp_field *field = &schema->fields[i];
    bool c_struct = schema->shape == WISP_SHAPE_STRUCT;
    int number = wisp__field_number(schema, i), bytes = c_struct ? field->bytes : 0;
    if (!wisp__check_name(field->name))
        return wisp__blame(&c->blame, "its name is not 1..64 bytes");
    if (c_struct != (field->offset >= 0))
        return wisp__blame(&c->blame, c_struct ? "is a field of maps" : "is a field of structs");
    if (c_struct && (field->bytes < 1 || field->bytes > schema->bytes - field->offset ||
                     field->count_offset < 0 || field->count_bytes < 0 ||
                     field->count_bytes > schema->bytes - field->count_offset))
        return wisp__blame(&c->blame, "is not inside %d bytes", schema->bytes);
    if (c_struct ? (field->flags & WISP_FLAG_MAYBE) != 0 : field->count_bytes != 0)
        return wisp__blame(&c->blame, c_struct ? "a member is never missing"
                                               : "no member counts it");
    if (field->count_bytes && (!wisp__is_width(field->count_bytes) || field->flags))
        return wisp__blame(&c->blame, "what counts it is no integer");
    if (wisp__overlap(field->offset, field->bytes, field->count_offset, field->count_bytes))
        return wisp__blame(&c->blame, "what counts it is inside of it");
    if (field->count_bytes && field->count_bytes < 4 &&
        (field->type.max - (field->type.kind == WISP_TYPE_UNION)) >> (8 * field->count_bytes))
        return wisp__blame(&c->blame, "%d bytes cannot count to %d", field->count_bytes,
                           field->type.max);
    if (number < 1 || number > (1 << 29) - 1 || (number >= 19000 && number <= 19999))
        return wisp__blame(&c->blame, "%d is no number of Protobuf", number);
    if (c_struct && field->type.bytes > 0 && field->type.bytes != field->bytes)
        return wisp__check_bytes(c, field->bytes, false);
    for (int k = 0; k < i; k++)
        if (!wisp__check_pair(c, schema, i, k)) return false;
    return check(c, &field->type, bytes, field->count_bytes > 0) &&
           wisp__check_fallback(c, field, bytes);
}

static bool wisp__check_struct(wisp__checking *c, const wisp_schema *schema,
                               wisp__check_fn check) {
    if (!schema) return wisp__blame(&c->blame, "has no schema");
    if (++c->depth > WISP__SCHEMA_DEPTH) return wisp__blame(&c->blame, "nests too deeply");
    if (!wisp__check_name(schema->name)) return wisp__blame(&c->blame, "name is not 1..64 bytes");
    if (schema->version < 1 || schema->version > 255)
        return wisp__blame(&c->blame, "version %d is not in 1 .. 255", schema->version);
    if (!schema->fields || schema->count < 1 || schema->count > 1024)
        return wisp__blame(&c->blame, "%d fields are not 1 .. 1024", schema->count);
    c->bytes += sizeof(wisp_schema) + (size_t)schema->count * sizeof(wisp_field);
    for (int i = 0; i < schema->count; i++)
        if (!wisp__check_field(c, schema, i, check))
            return wisp__blame_in(&c->blame, wisp__check_name(schema->fields[i].name)
                                                 ? schema->fields[i].name : "?", 0);
    c->depth--;
    return true;
}

static bool wisp__check_nested(wisp__checking *c, const wisp_type *type, int bytes,
                               wisp__check_fn check) {
    const wisp_schema *schema = (const wisp_schema *)type->of;
    if (schema && (schema->shape == WISP_SHAPE_LIST ||
                   (bytes > 0 && (schema->shape != WISP_SHAPE_STRUCT || schema->bytes != bytes))))
        return wisp__blame(&c->blame, "is no struct of %d bytes", bytes);
    return wisp__check_struct(c, schema, check);
}

/* `bytes`: of the member, 0 in a map. */
static bool wisp__check_type(wisp__checking *c, const wisp_type *type, int bytes, bool counted) {
    int given = bytes;
    bytes = wisp__type_bytes(type, bytes);
    c->bytes += sizeof(wisp_type) + 6 * sizeof(wisp__op);
    if (++c->nodes > WISP__SCHEMA_NODES) return wisp__blame(&c->blame, "is too large a schema");
    if (type->bytes < 0 || (type->bytes && type->kind > WISP_TYPE_QUANTIZED))
        return wisp__blame(&c->blame, "%d bytes are no width of it", type->bytes);
    if (counted && type->kind != WISP_TYPE_BYTES && type->kind != WISP_TYPE_ARRAY &&
        type->kind != WISP_TYPE_UNION)
        return wisp__blame(&c->blame, "has nothing to count");
    switch (type->kind) {
    case WISP_TYPE_ANY: return wisp__check_bytes(c, bytes, bytes == (int)sizeof(wisp_value));
    case WISP_TYPE_EXACT:
        return wisp__check_bytes(c, bytes, bytes == (int)sizeof(wisp_value)) &&
               ((type->max >= WISP_NIL && type->max <= WISP_OBJECT) ||
                wisp__blame(&c->blame, "%d is no kind", type->max));
    case WISP_TYPE_LITERAL:
        if (bytes <= 0) return true;
        if (!type->of) return wisp__blame(&c->blame, "a literal number has no member");
        return wisp__check_bytes(c, bytes, (size_t)bytes > strlen((const char *)type->of));
    case WISP_TYPE_BOOL: return wisp__check_bytes(c, bytes, wisp__is_width(bytes));
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE: return wisp__check_integer(c, type, bytes);
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: return wisp__check_number(c, type, bytes);
    case WISP_TYPE_STRING:
        return wisp__check_max(c, type, 1 << 24) &&
               wisp__check_bytes(c, bytes, bytes < 0 || bytes > type->max);
    case WISP_TYPE_BYTES:
        return wisp__check_max(c, type, 1 << 24) &&
               wisp__check_bytes(c, bytes, bytes < 0 || bytes >= type->max);
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: return wisp__check_vector(c, type, bytes);
    case WISP_TYPE_QUAT:
        return wisp__check_bytes(c, bytes, bytes == 16) &&
               (type->max == 0 || (type->max >= 2 && type->max <= 20) ||
                wisp__blame(&c->blame, "%d bits are not 2 .. 20", type->max));
    case WISP_TYPE_TRANSFORM: return wisp__check_bytes(c, bytes, bytes == 28);
    case WISP_TYPE_COLOR: return wisp__check_bytes(c, bytes, bytes == 16 || bytes == 4);
    case WISP_TYPE_ENUM: return wisp__check_enum(c, type, bytes);
    case WISP_TYPE_OBJECT: return wisp__check_bytes(c, bytes, bytes == 4);
    case WISP_TYPE_STRUCT: return wisp__check_nested(c, type, given, wisp__check_type);
    case WISP_TYPE_ARRAY: return wisp__check_array(c, type, bytes, wisp__check_type);
    case WISP_TYPE_UNION: return wisp__check_union(c, type, bytes, counted, wisp__check_type);
    default: return wisp__blame(&c->blame, "%d is no type", type->kind);
    }
}

/* Checks a schema and says what compiling it takes at most. */
static wisp_result wisp__schema_check(const wisp_schema *schema, char *text, int text_bytes,
                                      size_t *bytes) {
    wisp__checking c;
    memset(&c, 0, sizeof c);
    c.blame = wisp__fitting_on(text, text_bytes, NULL);
    c.bytes = sizeof(wisp__program) + sizeof(wisp_schema) + 64;
    if (!wisp__check_struct(&c, schema, wisp__check_type)) {
        wisp__blamed(&c.blame);
        return WISP_E_SCHEMA;
    }
    if (bytes) *bytes = c.bytes;
    return WISP_OK;
}

/* --- laying out: a copy with offsets, for schemas without a C struct --- */

static int wisp__align(int at, int to) { return (at + to - 1) & -to; }

/* What storage of so many bytes is aligned to. */
static int wisp__alignment(int bytes) {
    if (bytes < 0) return 8;
    return bytes >= 8 || bytes == 0 ? 8 : bytes > 2 ? 4 : bytes;
}

typedef bool (*wisp__lay_fn)(wisp__bump *memory, const wisp_type *from, wisp_type *to);

static const wisp_schema *wisp__lay_schema(wisp__bump *memory, const wisp_schema *from,
                                           wisp__lay_fn lay) {
    wisp_schema *to = (wisp_schema *)wisp__bump_take(memory, sizeof *to);
    wisp_field *fields = (wisp_field *)wisp__bump_take(memory,
                                                       (size_t)from->count * sizeof *fields);
    int at = 0;
    if (!to || !fields) return NULL;
    *to = *from;
    to->fields = fields;
    if (to->shape == WISP_SHAPE_STRUCT) to->shape = WISP_SHAPE_MAP;
    for (int i = 0; i < from->count; i++) {
        int bytes;
        fields[i] = from->fields[i];
        if (!lay(memory, &from->fields[i].type, &fields[i].type)) return NULL;
        bytes = fields[i].type.bytes;
        at = wisp__align(at, wisp__alignment(bytes));
        fields[i].offset = at;
        fields[i].bytes = bytes;
        at += bytes < 0 ? -bytes : bytes;
        if (!(fields[i].flags & WISP_FLAG_MAYBE)) continue;
        fields[i].count_offset = at++;
        fields[i].count_bytes = 1;
    }
    to->bytes = wisp__align(wisp__max_int(at, 1), 8);
    return to;
}

static bool wisp__lay_union(wisp__bump *memory, const wisp_type *from, wisp_type *to,
                            wisp__lay_fn lay) {
    const wisp_type *options = (const wisp_type *)from->of;
    wisp_type *all = (wisp_type *)wisp__bump_take(memory, (size_t)from->max * sizeof *all);
    int most = 0;
    if (!all) return false;
    for (int i = 0; i < from->max; i++) {
        if (!lay(memory, &options[i], &all[i])) return false;
        most = wisp__max_int(most, all[i].bytes < 0 ? -all[i].bytes : all[i].bytes);
    }
    to->of = all;
    to->bytes = -wisp__align(WISP__UNION_HEAD + most, 8);
    return true;
}

static bool wisp__lay_type(wisp__bump *memory, const wisp_type *from, wisp_type *to) {
    const wisp_schema *nested = (const wisp_schema *)from->of;
    wisp_type *element;
    *to = *from;
    to->bytes = wisp__type_bytes(from, 0);
    switch (from->kind) {
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
        to->max = from->bytes == 0 || from->max;       /* written by class */
        return true;
    case WISP_TYPE_STRUCT:
        if (nested->shape != WISP_SHAPE_STRUCT) nested = wisp__lay_schema(memory, nested,
                                                                          wisp__lay_type);
        to->of = nested;
        if (nested) to->bytes = nested->bytes;
        return nested != NULL;
    case WISP_TYPE_ARRAY:
        element = (wisp_type *)wisp__bump_take(memory, sizeof *element);
        to->of = element;
        return element && wisp__lay_type(memory, (const wisp_type *)from->of, element);
    case WISP_TYPE_UNION: return wisp__lay_union(memory, from, to, wisp__lay_type);
    default: return true;
    }
}

/* --- compiling --- */

typedef struct wisp__compiling {
    wisp__bump *memory;
    wisp__op   *ops;           /* grow at the end of the memory */
    int         count;
    bool        fixed;
} wisp__compiling;

static wisp__op *wisp__emit(wisp__compiling *c, wisp__code code, const wisp_type *type, int bytes,
                            int offset) {
    wisp__op *op = (wisp__op *)wisp__bump_take(c->memory, sizeof *op);
    if (!op) return NULL;
    if (!c->count) c->ops = op;
    c->count++;
    memset(op, 0, sizeof *op);
    op->code = (uint8_t)code;
    op->type = type;
    op->bytes = (int8_t)bytes;
    op->offset = offset;
    op->end = c->count;
    op->max = type->max;
    op->low = type->lo;
    op->high = type->hi;
    if (code != WISP__OP_INT && code != WISP__OP_FLOATS && code != WISP__OP_QUANTIZED &&
        code != WISP__OP_QUAT && code != WISP__OP_COLOR && code != WISP__OP_LITERAL &&
        code != WISP__OP_DOUBLE)
        c->fixed = false;
    return op;
}

static void wisp__emit_integer(wisp__compiling *c, const wisp_type *type, int bytes, int offset) {
    uint64_t span = UINT64_MAX >> (64 - 8 * bytes);
    int64_t least = 0;
    bool is_signed = wisp__type_signed(type);
    wisp__op *op;
    if (is_signed) least = -(int64_t)(span >> 1) - 1;
    if (type->kind == WISP_TYPE_BOOL) span = 1;
    if (type->kind == WISP_TYPE_ENUM) span = (uint64_t)type->max - 1;
    if (type->kind == WISP_TYPE_RANGE) {
        least = type->least;
        span = (uint64_t)type->most - (uint64_t)type->least;
    }
    if (type->kind == WISP_TYPE_OBJECT) span = UINT32_MAX;
    op = wisp__emit(c, wisp__bit_length(span) > 32 ? WISP__OP_LONG : WISP__OP_INT, type, bytes,
                    offset);
    if (!op) return;
    op->bits = (uint8_t)wisp__bit_length(span);
    op->least = least;
    op->span = span;
    if (is_signed) op->flags |= WISP__OP_SIGNED;
    if (type->kind == WISP_TYPE_BOOL || type->kind == WISP_TYPE_ENUM ||
        type->kind == WISP_TYPE_OBJECT)
        op->flags |= WISP__OP_PLAIN;
}

static void wisp__emit_quantized(wisp__compiling *c, const wisp_type *type, wisp_range range,
                                 int bytes, int offset) {
    wisp__op *op = wisp__emit(c, WISP__OP_QUANTIZED, type, bytes, offset);
    if (!op) return;
    op->low = range.lo;
    op->high = range.hi;
    op->step = range.step;
    op->span = wisp__steps(&range);
    op->bits = (uint8_t)wisp__bit_length(op->span);
}

static void wisp__emit_floats(wisp__compiling *c, const wisp_type *type, int count, int offset) {
    wisp__op *op = wisp__emit(c, WISP__OP_FLOATS, type, 4, offset);
    if (!op) return;
    op->max = count;
    op->flags |= WISP__OP_PLAIN;
    if (type->kind == WISP_TYPE_NUMBER_RANGE) op->flags |= WISP__OP_RANGED;
}

static void wisp__emit_number(wisp__compiling *c, const wisp_type *type, int bytes, int offset) {
    wisp__op *op;
    if (bytes == 4) {
        wisp__emit_floats(c, type, 1, offset);
        return;
    }
    op = wisp__emit(c, type->max ? WISP__OP_NUMBER : WISP__OP_DOUBLE, type, bytes, offset);
    if (!op) return;
    op->flags |= WISP__OP_PLAIN;
    if (type->kind == WISP_TYPE_NUMBER_RANGE) op->flags |= WISP__OP_RANGED;
}

static void wisp__emit_vector(wisp__compiling *c, const wisp_type *type, int offset) {
    int count = wisp__vector_count(type);
    if (!(wisp__component(type, 0).step > 0)) {
        wisp__emit_floats(c, type, count, offset);
        return;
    }
    for (int i = 0; i < count; i++)
        wisp__emit_quantized(c, type, wisp__component(type, i), 4, offset + 4 * i);
}

static void wisp__emit_blob(wisp__compiling *c, const wisp_type *type, int bytes, int offset,
                            int count_offset, int count_bytes) {
    wisp__code code = bytes < 0 ? WISP__OP_PLACE : WISP__OP_BYTES;
    wisp__op *op;
    if (bytes > 0 && type->kind == WISP_TYPE_STRING) code = WISP__OP_TEXT;
    op = wisp__emit(c, code, type, 0, offset);
    if (!op) return;
    op->each = bytes;
    op->count_offset = count_offset;
    op->count_bytes = (int8_t)count_bytes;
    op->bits = (uint8_t)wisp__bit_length((uint64_t)type->max);
    if (type->kind == WISP_TYPE_BYTES && (bytes < 0 ? type->least != 0 : !count_bytes))
        op->flags |= WISP__OP_FIXED;
}

typedef void (*wisp__emit_fn)(wisp__compiling *c, const wisp_type *type, int bytes, int offset,
                              int count_offset, int count_bytes);

static void wisp__emit_array(wisp__compiling *c, const wisp_type *type, int bytes, int offset,
                             int count_offset, int count_bytes, wisp__emit_fn emit) {
    const wisp_type *element = (const wisp_type *)type->of;
    wisp__op *op = wisp__emit(c, WISP__OP_ARRAY, type, 0, offset);
    bool fixed = c->fixed;
    int each = bytes > 0 ? bytes / type->max : wisp__type_bytes(element, 0);
    if (!op) return;
    op->each = each < 0 ? -each : each;
    op->count_offset = count_offset;
    op->count_bytes = (int8_t)count_bytes;
    op->bits = (uint8_t)wisp__bit_length((uint64_t)type->max);
    if (bytes < 0) op->flags |= WISP__OP_ELSEWHERE;
    if (bytes < 0 ? type->least != 0 : !count_bytes) op->flags |= WISP__OP_FIXED;
    c->fixed = true;
    emit(c, element, each, 0, 0, 0);
    op->end = c->count;
    if (c->fixed) op->flags |= WISP__OP_PLAIN;
    c->fixed = fixed;
}

static void wisp__emit_union(wisp__compiling *c, const wisp_type *type, int bytes, int offset,
                             int count_offset, int count_bytes, wisp__emit_fn emit) {
    const wisp_type *options = (const wisp_type *)type->of;
    wisp__op *op = wisp__emit(c, WISP__OP_UNION, type, 0, offset), *option;
    if (!op) return;
    op->bits = (uint8_t)wisp__bit_length((uint64_t)type->max - 1);
    op->count_offset = bytes < 0 ? offset : count_offset;
    op->count_bytes = (int8_t)(bytes < 0 ? 4 : count_bytes);
    for (int i = 0; i < type->max; i++) {
        option = wisp__emit(c, WISP__OP_OPTION, &options[i], 0, offset);
        if (!option) return;
        emit(c, &options[i], wisp__option_bytes(&options[i], bytes),
             bytes < 0 ? offset + WISP__UNION_HEAD : offset, 0, 0);
        option->end = c->count;
    }
    op->end = c->count;
}

static void wisp__emit_struct(wisp__compiling *c, const wisp_schema *schema, int offset,
                              wisp__emit_fn emit) {
    for (int i = 0; i < schema->count; i++) {
        const wisp_field *field = &schema->fields[i];
        wisp__op *around = NULL;
        int first = c->count;
        bool maybe = (field->flags & WISP_FLAG_MAYBE) != 0;
        if (maybe || field->flags & WISP_FLAG_OPTIONAL) {
            around = wisp__emit(c, maybe ? WISP__OP_MAYBE : WISP__OP_OPTIONAL, &field->type, 0,
                                offset + field->offset);
            if (!around) return;
            around->field = field;
            around->count_offset = offset + field->count_offset;
        }
        emit(c, &field->type, field->bytes, offset + field->offset, offset + field->count_offset,
             maybe ? 0 : field->count_bytes);
        if (around) around->end = c->count;
        for (int k = first; field->flags & WISP_FLAG_KEY && k < c->count; k++)
            c->ops[k].flags |= WISP__OP_KEY;
    }
}

static void wisp__emit_type(wisp__compiling *c, const wisp_type *type, int bytes, int offset,
                            int count_offset, int count_bytes) {
    bytes = wisp__type_bytes(type, bytes);
    switch (type->kind) {
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: wisp__emit(c, WISP__OP_ANY, type, 0, offset); break;
    case WISP_TYPE_LITERAL: {
        wisp__op *op = wisp__emit(c, WISP__OP_LITERAL, type, 0, offset);
        if (op) op->each = wisp__max_int(bytes, 0);
        break;
    }
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE: wisp__emit_number(c, type, bytes, offset); break;
    case WISP_TYPE_QUANTIZED:
        wisp__emit_quantized(c, type, wisp__component(type, 0), bytes, offset);
        break;
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES:
        wisp__emit_blob(c, type, bytes, offset, count_offset, count_bytes);
        break;
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: wisp__emit_vector(c, type, offset); break;
    case WISP_TYPE_QUAT:
        if (type->max) wisp__emit(c, WISP__OP_QUAT, type, 0, offset);
        else wisp__emit_floats(c, type, 4, offset);
        break;
    case WISP_TYPE_TRANSFORM: wisp__emit_floats(c, type, 7, offset); break;
    case WISP_TYPE_COLOR: wisp__emit(c, WISP__OP_COLOR, type, bytes, offset); break;
    case WISP_TYPE_STRUCT:
        wisp__emit_struct(c, (const wisp_schema *)type->of, offset, wisp__emit_type);
        break;
    case WISP_TYPE_ARRAY:
        wisp__emit_array(c, type, bytes, offset, count_offset, count_bytes, wisp__emit_type);
        break;
    case WISP_TYPE_UNION:
        wisp__emit_union(c, type, bytes, offset, count_offset, count_bytes, wisp__emit_type);
        break;
    default: wisp__emit_integer(c, type, bytes, offset); break;
    }
}

static wisp__quick wisp__quick_of(const wisp__op *op) {
    bool is_signed = (op->flags & WISP__OP_SIGNED) != 0;
    switch (op->code) {
    case WISP__OP_INT:
        if (op->bytes == 1) return is_signed ? WISP__QUICK_I8 : WISP__QUICK_U8;
        if (op->bytes == 2) return is_signed ? WISP__QUICK_I16 : WISP__QUICK_U16;
        if (op->bytes == 4) return is_signed ? WISP__QUICK_I32 : WISP__QUICK_U32;
        return WISP__QUICK_64;
    case WISP__OP_FLOATS: return op->flags & WISP__OP_RANGED ? WISP__QUICK_RANGED
                                                             : WISP__QUICK_FLOATS;
    case WISP__OP_DOUBLE: return op->flags & WISP__OP_RANGED ? WISP__QUICK_NONE
                                                             : WISP__QUICK_DOUBLE;
    case WISP__OP_QUANTIZED: return op->bytes == 4 ? WISP__QUICK_FLOAT_STEPS
                                                   : WISP__QUICK_DOUBLE_STEPS;
    case WISP__OP_TEXT:
        return op->max <= WISP__RUN_BLOB && op->each >= 8 ? WISP__QUICK_TEXT : WISP__QUICK_NONE;
    default: return WISP__QUICK_NONE;
    }
}

static int wisp__quick_bits(const wisp__op *op) {
    switch (op->quick) {
    case WISP__QUICK_FLOATS:
    case WISP__QUICK_RANGED: return 32 * op->max;
    case WISP__QUICK_DOUBLE: return 64;
    case WISP__QUICK_TEXT: return op->bits + 7 + 8 * op->max;
    default: return op->bits;
    }
}

/* An array's rows are done in tiles when each is a run that begins and ends at a byte: then where a
   number stands in its row is the same in all of them. */
static int32_t wisp__tile_head(const wisp__op *ops, int array) {
    int32_t bits = 0;
    if (ops[array + 1].run != ops[array].end) return 0;
    for (int i = array + 1; i < ops[array].end; i++) {
        const wisp__op *op = &ops[i];
        bool last = i + 1 == ops[array].end;
        if (op->quick == WISP__QUICK_RANGED || op->quick == WISP__QUICK_DOUBLE) return 0;
        if (op->quick == WISP__QUICK_TEXT && !last) return 0;
        bits += op->quick == WISP__QUICK_TEXT ? op->bits : wisp__quick_bits(op);
        if (last && op->quick != WISP__QUICK_TEXT && bits % 8 != 0) return 0;
    }
    return bits <= 8 * WISP__TILE_HEAD ? bits : 0;
}

static void wisp__find_column(wisp__op *op, bool followed) {
    int bits = op->quick == WISP__QUICK_TEXT ? op->bits : wisp__quick_bits(op), columns = 1;
    if (followed && op->quick == WISP__QUICK_FLOATS && !(op->flags & WISP__OP_LAST) &&
        op[1].quick == WISP__QUICK_FLOATS && op[1].offset == op->offset + 4 * op->max &&
        bits + op[1].column_bits <= 8 * WISP__TILE_HEAD) {
        columns += op[1].columns;
        bits += op[1].column_bits;
    }
    op->columns = (int16_t)columns;
    op->column_bits = (int16_t)bits;
}

/* Finds the runs: operations of one body, one after another, that have a bound. */
static void wisp__find_runs(wisp__op *ops, int count) {
    int after = 0, bits = 0;       /* of the run that the operation may begin */
    for (int i = 0; i < count; i++)
        if (ops[i].end > i + 1) ops[ops[i].end - 1].flags |= WISP__OP_LAST;
    for (int i = count - 1; i >= 0; i--) {
        wisp__op *op = &ops[i];
        op->quick = (uint8_t)wisp__quick_of(op);
        op->mask = wisp__low_bits(UINT64_MAX, wisp__min_int(op->bits, 64));
        if (op->flags & WISP__OP_LAST || !op->quick) bits = 0;
        if (op->code == WISP__OP_ARRAY) op->head = wisp__tile_head(ops, i);
        wisp__find_column(op, i + 1 < count);
        if (op->head) op->columns = (int16_t)(op->end - i - 1);
        if (!op->quick) continue;
        if (!bits || bits + wisp__quick_bits(op) > 8 * WISP__RUN_MOST) {
            after = i + 1;
            bits = 0;
        }
        bits += wisp__quick_bits(op);
        op->run = after;
        op->run_bytes = (bits + 7) / 8 + WISP__RUN_SLACK;
    }
}

/* Compiles a schema that was checked. NULL: the memory is too small. */
static const wisp__program *wisp__compile(wisp__bump *memory, const wisp_schema *schema) {
    wisp__program *program = (wisp__program *)wisp__bump_take(memory, sizeof *program);
    wisp__compiling c;
    memset(&c, 0, sizeof c);
    c.memory = memory;
    c.fixed = true;
    if (!program) return NULL;
    memset(program, 0, sizeof *program);
    program->source = program->schema = schema;
    if (schema->shape != WISP_SHAPE_STRUCT)
        program->schema = wisp__lay_schema(memory, schema, wisp__lay_type);
    if (!program->schema) return NULL;
    wisp__emit_struct(&c, program->schema, 0, wisp__emit_type);
    if (memory->failed) return NULL;
    wisp__find_runs(c.ops, c.count);
    program->ops = c.ops;
    program->count = c.count;
    program->fixed = c.fixed;
    for (int i = 0; i < schema->count; i++)
        program->keyed = program->keyed || (schema->fields[i].flags & WISP_FLAG_KEY) != 0;
    return memory->failed ? NULL : program;
}

/* --- descriptors --- */

static void wisp__put_number(wisp__writer *to, double number) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    wisp__put(to, bits, 64);
}

static void wisp__put_text(wisp__writer *to, const char *text) {
    size_t length = strlen(text);
    wisp__put_length(to, length);
    for (size_t i = 0; i < length; i++) wisp__put(to, (uint8_t)text[i], 8);
}

static void wisp__put_range(wisp__writer *to, wisp_range range, bool step) {
    wisp__put_number(to, range.lo);
    wisp__put_number(to, range.hi);
    if (step) wisp__put_number(to, range.step);
}

/* How a number goes: 0 by class, 1 as a float, 2 as a double. */
static int wisp__number_form(const wisp_type *type, int bytes) {
    if (bytes == 4) return 1;
    return type->max || bytes == 0 ? 0 : 2;
}

typedef void (*wisp__describe_fn)(wisp__writer *to, const wisp_type *type, int bytes,
                                  bool counted);

static void wisp__describe_field(wisp__writer *to, const wisp_field *field,
                                 wisp__describe_fn describe) {
    wisp__put_text(to, field->name);
    wisp__put(to, (uint64_t)field->flags & 7, 3);
    wisp__put(to, field->number != 0, 1);
    if (field->number) wisp__put_length(to, (uint64_t)field->number);
    if (field->flags & WISP_FLAG_OPTIONAL) {
        wisp__put(to, field->fallback_text != NULL, 1);
        if (field->fallback_text) wisp__put_text(to, field->fallback_text);
        else wisp__put_number(to, field->fallback);
    }
    describe(to, &field->type, wisp__max_int(field->offset >= 0 ? field->bytes : 0, 0),
             field->count_bytes > 0);
}

static void wisp__describe_schema(wisp__writer *to, const wisp_schema *schema,
                                  wisp__describe_fn describe) {
    wisp__put(to, (uint64_t)schema->version, 8);
    wisp__put(to, schema->shape == WISP_SHAPE_LIST, 1);
    wisp__put_text(to, schema->name);
    wisp__put_length(to, (uint64_t)schema->count);
    for (int i = 0; i < schema->count; i++)
        wisp__describe_field(to, &schema->fields[i], describe);
}

static void wisp__describe_vector(wisp__writer *to, const wisp_type *type) {
    int form = type->of ? 2 : type->step > 0 ? 1 : 0;
    int count = form == 2 ? wisp__vector_count(type) : form;
    wisp__put(to, (uint64_t)form, 2);
    for (int i = 0; i < count; i++) wisp__put_range(to, wisp__component(type, i), true);
}

static void wisp__describe_array(wisp__writer *to, const wisp_type *type, int bytes, bool counted,
                                 wisp__describe_fn describe) {
    wisp__put_length(to, (uint64_t)type->max);
    wisp__put(to, bytes > 0 ? !counted : type->least != 0, 1);
    describe(to, (const wisp_type *)type->of, bytes > 0 ? bytes / type->max : 0, false);
}

/* `bytes`: of the member; 0 in a map. */
static void wisp__describe_type(wisp__writer *to, const wisp_type *type, int bytes, bool counted) {
    const wisp_type *options = (const wisp_type *)type->of;
    if (type->bytes > 0) bytes = type->bytes;
    wisp__put(to, (uint64_t)type->kind, 5);
    switch (type->kind) {
    case WISP_TYPE_EXACT: wisp__put(to, (uint64_t)type->max, 5); break;
    case WISP_TYPE_LITERAL:
        wisp__put(to, type->of != NULL, 1);
        if (type->of) wisp__put_text(to, (const char *)type->of);
        else wisp__put_number(to, type->lo);
        break;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
        wisp__put(to, (uint64_t)wisp__bit_length((uint64_t)(bytes ? bytes : 8)) - 1, 2);
        wisp__put(to, (uint64_t)type->max & 3, 2);
        break;
    case WISP_TYPE_RANGE:
        wisp__put(to, (uint64_t)type->least, 64);
        wisp__put(to, (uint64_t)type->most, 64);
        break;
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
        wisp__put(to, (uint64_t)wisp__number_form(type, bytes), 2);
        if (type->kind == WISP_TYPE_NUMBER_RANGE)
            wisp__put_range(to, wisp__component(type, 0), false);
        break;
    case WISP_TYPE_QUANTIZED:
        wisp__put(to, bytes == 4, 1);
        wisp__put_range(to, wisp__component(type, 0), true);
        break;
    case WISP_TYPE_STRING: wisp__put_length(to, (uint64_t)type->max); break;
    case WISP_TYPE_BYTES:
        wisp__put_length(to, (uint64_t)type->max);
        wisp__put(to, bytes > 0 ? !counted : type->least != 0, 1);
        break;
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: wisp__describe_vector(to, type); break;
    case WISP_TYPE_QUAT: wisp__put(to, (uint64_t)type->max, 5); break;
    case WISP_TYPE_ENUM:
        wisp__put_length(to, (uint64_t)type->max);
        for (int i = 0; i < type->max; i++)
            wisp__put_text(to, ((const char *const *)type->of)[i]);
        break;
    case WISP_TYPE_STRUCT:
        wisp__describe_schema(to, (const wisp_schema *)type->of, wisp__describe_type);
        break;
    case WISP_TYPE_ARRAY:
        wisp__describe_array(to, type, bytes, counted, wisp__describe_type);
        break;
    case WISP_TYPE_UNION:
        wisp__put_length(to, (uint64_t)type->max);
        for (int i = 0; i < type->max; i++)
            wisp__describe_type(to, &options[i],
                                bytes > 0 ? wisp__option_bytes(&options[i], bytes) : 0, false);
        break;
    default: break;
    }
}

/* Writes a checked schema's descriptor; bits, or WISP_E_TOO_BIG. */
static int wisp__describe(const wisp_schema *schema, uint8_t *out, int capacity) {
    wisp__writer to = wisp__writer_on(out, capacity - WISP__SLACK);
    wisp__describe_schema(&to, schema, wisp__describe_type);
    return to.full ? WISP_E_TOO_BIG : (int)to.at;
}

typedef struct wisp__describing {
    wisp__reader *from;
    wisp__bump   *memory;
    int           depth, nodes;
} wisp__describing;

typedef bool (*wisp__learn_fn)(wisp__describing *d, wisp_type *type);

static bool wisp__learn_fail(wisp__describing *d) {
    d->from->failed = true;
    return false;
}

static const char *wisp__get_text(wisp__describing *d, int most) {
    int length = wisp__get_length(d->from);
    char *text;
    if (length > most || (int64_t)length * 8 > d->from->end - d->from->at) wisp__learn_fail(d);
    if (d->from->failed) return NULL;
    text = (char *)wisp__bump_take(d->memory, (size_t)length + 1);
    if (!text) return NULL;
    for (int i = 0; i < length; i++) text[i] = (char)(uint8_t)wisp__get(d->from, 8);
    text[length] = 0;
    if ((int)strlen(text) != length) wisp__learn_fail(d);
    return text;
}

static double wisp__get_double(wisp__reader *from) {
    uint64_t bits = wisp__get(from, 64);
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

static wisp_range wisp__get_range(wisp__reader *from, bool step) {
    wisp_range range;
    range.lo = wisp__get_double(from);
    range.hi = wisp__get_double(from);
    range.step = step ? wisp__get_double(from) : 0;
    return range;
}

static void wisp__learn_range(wisp__describing *d, wisp_type *type, bool step) {
    wisp_range range = wisp__get_range(d->from, step);
    type->lo = range.lo;
    type->hi = range.hi;
    type->step = range.step;
}

static bool wisp__learn_vector(wisp__describing *d, wisp_type *type) {
    int form = (int)wisp__get(d->from, 2), count = wisp__vector_count(type);
    wisp_range *ranges;
    if (form == 1) wisp__learn_range(d, type, true);
    if (form < 2) return true;
    ranges = (wisp_range *)wisp__bump_take(d->memory, (size_t)count * sizeof *ranges);
    if (!ranges) return false;
    for (int i = 0; i < count; i++) ranges[i] = wisp__get_range(d->from, true);
    type->of = ranges;
    return true;
}

static bool wisp__learn_enum(wisp__describing *d, wisp_type *type) {
    const char **names;
    if (type->max > 4096 || (int64_t)type->max * 8 > d->from->end - d->from->at)
        return wisp__learn_fail(d);
    names = (const char **)wisp__bump_take(d->memory, (size_t)type->max * sizeof *names);
    for (int i = 0; names && i < type->max; i++) {
        names[i] = wisp__get_text(d, 64);
        if (!names[i]) return false;
    }
    type->of = names;
    return names != NULL;
}

static bool wisp__learn_field(wisp__describing *d, wisp_field *field, wisp__learn_fn learn) {
    memset(field, 0, sizeof *field);
    field->name = wisp__get_text(d, 64);
    field->offset = -1;
    field->flags = (int)wisp__get(d->from, 3);
    if (wisp__get(d->from, 1)) field->number = wisp__get_length(d->from);
    if (!field->name) return false;
    if (field->flags & WISP_FLAG_OPTIONAL) {
        if (wisp__get(d->from, 1)) field->fallback_text = wisp__get_text(d, 1 << 16);
        else field->fallback = wisp__get_double(d->from);
    }
    return learn(d, &field->type);
}

static const wisp_schema *wisp__learn_schema(wisp__describing *d, wisp__learn_fn learn) {
    wisp_schema *schema = (wisp_schema *)wisp__bump_take(d->memory, sizeof *schema);
    wisp_field *fields;
    if (!schema || ++d->depth > WISP__SCHEMA_DEPTH) {
        wisp__learn_fail(d);
        return NULL;
    }
    memset(schema, 0, sizeof *schema);
    schema->version = (int)wisp__get(d->from, 8);
    schema->shape = wisp__get(d->from, 1) ? WISP_SHAPE_LIST : WISP_SHAPE_MAP;
    schema->name = wisp__get_text(d, 64);
    schema->count = wisp__get_length(d->from);
    if (schema->count > 1024 || (int64_t)schema->count * 17 > d->from->end - d->from->at)
        wisp__learn_fail(d);
    if (d->from->failed) return NULL;
    fields = (wisp_field *)wisp__bump_take(d->memory, (size_t)schema->count * sizeof *fields);
    for (int i = 0; fields && i < schema->count; i++)
        if (!wisp__learn_field(d, &fields[i], learn)) return NULL;
    schema->fields = fields;
    d->depth--;
    return fields ? schema : NULL;
}

static bool wisp__learn_type(wisp__describing *d, wisp_type *type) {
    wisp_type *inner;
    int form;
    memset(type, 0, sizeof *type);
    type->kind = (int)wisp__get(d->from, 5);
    if (d->from->failed || ++d->nodes > WISP__SCHEMA_NODES) return wisp__learn_fail(d);
    switch (type->kind) {
    case WISP_TYPE_EXACT:
    case WISP_TYPE_QUAT: type->max = (int)wisp__get(d->from, 5); break;
    case WISP_TYPE_LITERAL:
        if (!wisp__get(d->from, 1)) type->lo = wisp__get_double(d->from);
        else type->of = wisp__get_text(d, 1 << 16);
        break;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
        type->bytes = 1 << wisp__get(d->from, 2);
        type->max = (int)wisp__get(d->from, 2);
        break;
    case WISP_TYPE_RANGE:
        type->least = (int64_t)wisp__get(d->from, 64);
        type->most = (int64_t)wisp__get(d->from, 64);
        break;
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
        form = (int)wisp__get(d->from, 2);
        type->bytes = form == 1 ? 4 : form == 2 ? 8 : 0;
        if (type->kind == WISP_TYPE_NUMBER_RANGE) wisp__learn_range(d, type, false);
        break;
    case WISP_TYPE_QUANTIZED:
        type->bytes = wisp__get(d->from, 1) ? 4 : 0;
        wisp__learn_range(d, type, true);
        break;
    case WISP_TYPE_STRING: type->max = wisp__get_length(d->from); break;
    case WISP_TYPE_BYTES:
        type->max = wisp__get_length(d->from);
        type->least = (int64_t)wisp__get(d->from, 1);
        break;
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: return wisp__learn_vector(d, type);
    case WISP_TYPE_ENUM:
        type->max = wisp__get_length(d->from);
        return wisp__learn_enum(d, type);
    case WISP_TYPE_STRUCT:
        type->of = wisp__learn_schema(d, wisp__learn_type);
        return type->of != NULL;
    case WISP_TYPE_ARRAY:
        type->max = wisp__get_length(d->from);
        type->least = (int64_t)wisp__get(d->from, 1);
        inner = (wisp_type *)wisp__bump_take(d->memory, sizeof *inner);
        type->of = inner;
        if (++d->depth > WISP__SCHEMA_DEPTH) return wisp__learn_fail(d);
        if (!inner || !wisp__learn_type(d, inner)) return false;
        d->depth--;
        break;
    case WISP_TYPE_UNION:
        type->max = wisp__get_length(d->from);
        if (type->max > 256 || ++d->depth > WISP__SCHEMA_DEPTH) return wisp__learn_fail(d);
        inner = (wisp_type *)wisp__bump_take(d->memory, (size_t)type->max * sizeof *inner);
        type->of = inner;
        for (int i = 0; inner && i < type->max; i++)
            if (!wisp__learn_type(d, &inner[i])) return false;
        d->depth--;
        return inner != NULL;
    default: break;
    }
    return !d->from->failed;
}

/* Makes a schema of a descriptor's bits, checked, all of it in the memory. NULL: WISP_E_SCHEMA, or
   WISP_E_MEMORY when the memory is too small. */
static const wisp_schema *wisp__undescribe(wisp__reader *from, wisp__bump *memory,
                                           wisp_result *why) {
    wisp__describing d;
    const wisp_schema *schema;
    memset(&d, 0, sizeof d);
    d.from = from;
    d.memory = memory;
    schema = wisp__learn_schema(&d, wisp__learn_type);
    *why = memory->failed ? WISP_E_MEMORY : WISP_E_SCHEMA;
    if (!schema || from->failed || memory->failed) return NULL;
    *why = wisp__schema_check(schema, NULL, 0, NULL);
    return *why ? NULL : schema;
}

wisp_result wisp_schema_check(const wisp_schema *schema, char *text, int text_bytes) {
    return schema ? wisp__schema_check(schema, text, text_bytes, NULL) : WISP_E_ARGUMENT;
}

int wisp_schema_bytes(const wisp_schema *schema) {
    size_t bytes = 0;
    if (!schema || wisp__schema_check(schema, NULL, 0, &bytes)) return WISP_E_SCHEMA;
    return (int)bytes;
}

const wisp_schema *wisp_schema_compile(const wisp_schema *schema, void *memory,
                                       int memory_bytes) {
    wisp__bump bump = wisp__bump_on(memory, memory_bytes);
    wisp_schema *compiled;
    if (!schema || wisp__schema_check(schema, NULL, 0, NULL)) return NULL;
    compiled = (wisp_schema *)wisp__bump_take(&bump, sizeof *compiled);
    if (!compiled) return NULL;
    *compiled = *schema;
    compiled->program = wisp__compile(&bump, schema);
    return compiled->program ? compiled : NULL;
}

/* ===========================================================================
 * MARK: >>migrate
 * What: maps under change, and the steps that lead from one version of a
 *   schema to another.
 * Invariants: a step that fails leaves nothing behind; an edit's memory is
 *   its supply's, so it ends with the message that is migrated.
 * ======================================================================== */

struct wisp_edit {
    wisp__supply *supply;
    wisp_pair    *pairs;
    int           count, room;
    wisp_result   result;        /* the first failure of memory */
};

static int wisp__edit_find(const wisp_edit *edit, const char *name) {
    for (int i = 0; i < edit->count; i++)
        if (strcmp(edit->pairs[i].key, name) == 0) return i;
    return -1;
}

static char *wisp__edit_copy(wisp_edit *edit, const void *from, size_t bytes) {
    char *copy = (char *)edit->supply->take(edit->supply->owner, bytes + 1);
    if (!copy) {
        edit->result = WISP_E_MEMORY;
        return NULL;
    }
    if (bytes) memcpy(copy, from, bytes);
    copy[bytes] = 0;
    return copy;
}

/* Copies all that a value points to. */
static wisp_result wisp__edit_own(wisp_edit *edit, const wisp_value *from, wisp_value *out,
                                  int depth) {
    bool map = wisp__is_map(from);
    wisp_pair *pairs = NULL;
    wisp_value *items = NULL;
    wisp_result result = WISP_OK;
    int count = 0;
    *out = *from;
    if (from->kind == WISP_STRING || from->kind == WISP_BYTES) {
        if (from->count < 0 || (from->count && !from->as.bytes)) return WISP_E_ARGUMENT;
        out->as.string = wisp__edit_copy(edit, from->as.string, (size_t)from->count);
        return out->as.string ? WISP_OK : WISP_E_MEMORY;
    }
    if (!map && !wisp__is_array(from)) return WISP_OK;
    if (from->count < 0 || (from->count && !from->as.array)) return WISP_E_ARGUMENT;
    if (depth > 256) return WISP_E_DEPTH;
    if (map) pairs = (wisp_pair *)edit->supply->take(edit->supply->owner,
                                                     (size_t)from->count * sizeof *pairs + 1);
    else items = (wisp_value *)edit->supply->take(edit->supply->owner,
                                                  (size_t)from->count * sizeof *items + 1);
    if (!pairs && !items) return edit->result = WISP_E_MEMORY;
    for (int i = 0; i < from->count && result == WISP_OK; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(from, i, &key, &scratch);
        if (map && !key) return WISP_E_ARGUMENT;
        if (from->kind == WISP_STRUCT && child->kind == WISP_NIL) continue;
        if (map) pairs[count].key = wisp__edit_copy(edit, key, strlen(key));
        if (map && !pairs[count].key) return WISP_E_MEMORY;
        result = wisp__edit_own(edit, child, map ? &pairs[count].value : &items[count], depth + 1);
        count++;
    }
    *out = map ? wisp_map(pairs, count) : wisp_array(items, count);
    return result;
}

static bool wisp__edit_room(wisp_edit *edit) {
    int room = wisp__max_int(16, edit->room * 2);
    wisp_pair *pairs;
    if (edit->count < edit->room) return true;
    pairs = (wisp_pair *)edit->supply->take(edit->supply->owner, (size_t)room * sizeof *pairs);
    if (!pairs) {
        edit->result = WISP_E_MEMORY;
        return false;
    }
    if (edit->count) memcpy(pairs, edit->pairs, (size_t)edit->count * sizeof *pairs);
    edit->pairs = pairs;
    edit->room = room;
    return true;
}

const wisp_value *wisp_edit_get(const wisp_edit *edit, const char *name) {
    int at = edit && name ? wisp__edit_find(edit, name) : -1;
    return at < 0 ? NULL : &edit->pairs[at].value;
}

static wisp_result wisp__edit_put(wisp_edit *edit, const char *name, const wisp_value *from) {
    int at = wisp__edit_find(edit, name);
    char *key;
    wisp_value value;
    wisp_result result;
    if (at < 0 && edit->count >= 4096) return WISP_E_LIMIT;
    result = wisp__edit_own(edit, from, &value, 0);
    if (result) return result;
    if (at < 0) {
        key = wisp__edit_copy(edit, name, strlen(name));
        if (!key || !wisp__edit_room(edit)) return WISP_E_MEMORY;
        at = edit->count++;
        edit->pairs[at].key = key;
    }
    edit->pairs[at].value = value;
    return WISP_OK;
}

wisp_result wisp_edit_set(wisp_edit *edit, const char *name, wisp_value value) {
    if (!edit || !name || (int)value.kind < 0 || value.kind > WISP_STRUCT) return WISP_E_ARGUMENT;
    return wisp__edit_put(edit, name, &value);
}

wisp_result wisp_edit_remove(wisp_edit *edit, const char *name) {
    int at = edit && name ? wisp__edit_find(edit, name) : -1;
    if (!edit || !name) return WISP_E_ARGUMENT;
    if (at < 0) return WISP_E_NAME;
    edit->count--;
    memmove(&edit->pairs[at], &edit->pairs[at + 1],
            (size_t)(edit->count - at) * sizeof *edit->pairs);
    return WISP_OK;
}

wisp_result wisp_edit_rename(wisp_edit *edit, const char *from, const char *to) {
    int at = edit && from && to ? wisp__edit_find(edit, from) : -1;
    char *key;
    if (!edit || !from || !to) return WISP_E_ARGUMENT;
    if (at < 0 || wisp__edit_find(edit, to) >= 0) return WISP_E_NAME;
    key = wisp__edit_copy(edit, to, strlen(to));
    if (!key) return WISP_E_MEMORY;
    edit->pairs[at].key = key;
    return WISP_OK;
}

/* A row is edited by the names of its fields as well. */
static wisp_result wisp__edit_begin(wisp_edit *edit, wisp__supply *supply,
                                    const wisp_schema *schema, const wisp_value *value) {
    memset(edit, 0, sizeof *edit);
    edit->supply = supply;
    for (int i = 0; i < value->count; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(value, i, &key, &scratch);
        wisp_result result;
        if (!key && i < schema->count) key = schema->fields[i].name;
        if (child->kind == WISP_NIL || !key) continue;
        result = wisp__edit_put(edit, key, child);
        if (result) return result;
    }
    return WISP_OK;
}

/* Runs the steps from one version up to another. WISP_E_VERSION: there is no way back.
   WISP_E_MIGRATION: a step is missing; what a step returns otherwise. */
static wisp_result wisp__migrate(wisp_edit *edit, const wisp_migration *steps, int count,
                                 int from, int to, char *text, int text_bytes) {
    wisp_result result = WISP_OK;
    if (from > to) {
        snprintf(text, (size_t)text_bytes, "version %d is newer than %d", from, to);
        return WISP_E_VERSION;
    }
    for (; from < to && result == WISP_OK; from++) {
        const wisp_migration *step = NULL;
        for (int i = 0; i < count && !step; i++)
            if (steps[i].from == from) step = &steps[i];
        snprintf(text, (size_t)text_bytes, "%s step from version %d to %d",
                 step ? "failing" : "no", from, from + 1);
        result = step ? step->step(edit, step->user) : WISP_E_MIGRATION;
        if (result > 0) result = WISP_E_MIGRATION;
        if (result == WISP_OK) result = edit->result;
    }
    return result;
}

/* The fields that a schema has, in its order, as a map or a row of what it says; others are left
   out, missing ones are for the schema to judge. */
static wisp_result wisp__edit_end(wisp_edit *edit, const wisp_schema *schema, wisp_value *out) {
    wisp_value *row;
    if (schema->shape != WISP_SHAPE_LIST) {
        *out = wisp_map(edit->pairs, edit->count);
        return WISP_OK;
    }
    row = (wisp_value *)edit->supply->take(edit->supply->owner,
                                           (size_t)schema->count * sizeof *row);
    if (!row) return WISP_E_MEMORY;
    for (int i = 0; i < schema->count; i++) {
        int at = wisp__edit_find(edit, schema->fields[i].name);
        row[i] = at < 0 ? wisp_nil() : edit->pairs[at].value;
    }
    *out = wisp_array(row, schema->count);
    return WISP_OK;
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
 *   object    shape: 15:4, 0:1                    data: integer
 *   array     shape: 14:4, 0:1, small(count), homogeneous:1, one shape or all
 *   map       shape: 14:4, 1:1, small(count), each: length, key, shape
 *   integer   data: class:3, then 4 8 12 16 24 32 48 or 64 bits
 *   small     groups of 3 bits and "more"; length: groups of 7 and "more"
 * ======================================================================== */

enum { WISP__CODE_LIST = 14, WISP__CODE_OBJECT = 15 };

typedef enum wisp__parts { WISP__DATA_ONLY, WISP__SHAPE_AND_DATA } wisp__parts;

typedef struct wisp__packer {
    wisp__base  *base;
    void       (*value)(struct wisp__packer *p, const wisp_value *value, wisp__parts parts);
    wisp__writer shape, data;
    int          shape_room, data_room;   /* bytes of the buffers, with slack */
    int          values;                  /* of the message, nested ones too */
    int          raw;                     /* bytes that its reader unpacks */
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
    bool map = wisp__is_map(a);
    if (map != wisp__is_map(b) || wisp__is_array(a) != wisp__is_array(b)) return false;
    if (!map && !wisp__is_array(a))
        return a->kind == b->kind && (a->kind != WISP_BYTES || a->count == b->count);
    if (a->count != b->count || wisp__present(a) != a->count || wisp__present(b) != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        wisp_value x, y;
        const char *p, *q;
        const wisp_value *u = wisp__child(a, i, &p, &x), *v = wisp__child(b, i, &q, &y);
        if ((map && strcmp(p, q) != 0) || !wisp__same_shape(u, v)) return false;
    }
    return true;
}

/* What a message will take at most, known before anything is written. */
typedef struct wisp__measure {
    int     values, blob_bytes;
    int64_t shape_bits, data_bits;
    bool    viewing;                /* inside a struct, where elements in memory are to be seen */
} wisp__measure;

typedef wisp_result (*wisp__measure_fn)(const wisp_limits *limits, const wisp_value *values,
                                        int count, int depth, wisp__measure *m);

static wisp_result wisp__measure_list(const wisp_limits *limits, const wisp_value *v, int depth,
                                      wisp__measure *m, wisp__measure_fn measure) {
    bool map = wisp__is_map(v), viewing = m->viewing;
    wisp_result result = WISP_OK;
    if (v->count < 0 || (v->count && !v->as.array)) return WISP_E_ARGUMENT;
    if (depth > limits->nesting) return WISP_E_DEPTH;
    if (map && v->count > limits->map_pairs) return WISP_E_LIMIT;
    if (v->kind == WISP_ARRAY) return measure(limits, v->as.array, v->count, depth, m);
    m->viewing = v->kind != WISP_MAP;
    for (int i = 0; i < v->count && result == WISP_OK; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(v, i, &key, &scratch);
        size_t length = map && key ? strlen(key) : 0;
        if (map && !key) return WISP_E_ARGUMENT;
        if (length > (size_t)(limits->message_bytes - m->blob_bytes)) return WISP_E_TOO_BIG;
        m->blob_bytes += (int)length;
        m->shape_bits += 40 + (int64_t)length * 8;
        result = measure(limits, child, 1, depth, m);
    }
    m->viewing = viewing;
    return result;
}

/* Checks what a caller may have given wrong, and measures it. */
static wisp_result wisp__pack_measure(const wisp_limits *limits, const wisp_value *values,
                                      int count, int depth, wisp__measure *m) {
    static const uint8_t most_bits[] = { 0, 1, 67, 67, 36, 69, 48, 8,
                                         64, 96, 128, 128, 224, 129, 0, 0, 67, 0, 0 };
    if (count < 0 || (count && !values)) return WISP_E_ARGUMENT;
    if (depth > limits->nesting) return WISP_E_DEPTH;
    if (count > limits->message_values - m->values) return WISP_E_LIMIT;
    m->values += count;
    for (int i = 0; i < count; i++) {
        const wisp_value *v = &values[i];
        wisp_result result = WISP_OK;
        if ((int)v->kind < 0 || (int)v->kind > (int)WISP_STRUCT + m->viewing)
            return WISP_E_TYPE;
        m->shape_bits += 46;
        m->data_bits += most_bits[v->kind] + 1;
        if (v->kind == WISP_STRING || v->kind == WISP_BYTES) {
            if (v->count < 0 || (v->count && !v->as.bytes)) return WISP_E_ARGUMENT;
            if (v->count > limits->message_bytes - m->blob_bytes) return WISP_E_TOO_BIG;
            m->blob_bytes += v->count;
            m->data_bits += (int64_t)v->count * 8;
        } else if (v->kind >= WISP_ARRAY && v->kind != WISP_OBJECT) {
            result = wisp__measure_list(limits, v, depth + 1, m, wisp__pack_measure);
        }
        if (result) return result;
    }
    return WISP_OK;
}

static void wisp__pack_array(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    wisp_value first, scratch;
    const char *key;
    bool alike = true;
    for (int i = 1; alike && i < value->count; i++)
        alike = wisp__same_shape(wisp__child(value, 0, &key, &first),
                                 wisp__child(value, i, &key, &scratch));
    if (parts == WISP__SHAPE_AND_DATA) {
        wisp__put(&p->shape, WISP__CODE_LIST, 5);
        wisp__put_small(&p->shape, (uint64_t)value->count);
        wisp__put(&p->shape, alike, 1);
    }
    for (int i = 0; i < value->count; i++) {
        int64_t before = p->data.at;
        p->value(p, wisp__child(value, i, &key, &scratch), i && alike ? WISP__DATA_ONLY : parts);
        if (p->data.at == before) wisp__put(&p->data, 0, 1);
    }
}

static void wisp__pack_map(wisp__packer *p, const wisp_value *value, wisp__parts parts) {
    if (parts == WISP__SHAPE_AND_DATA) {
        wisp__put(&p->shape, WISP__CODE_LIST | 1 << 4, 5);
        wisp__put_small(&p->shape, (uint64_t)wisp__present(value));
    }
    for (int i = 0; i < value->count; i++) {
        wisp_value scratch;
        const char *name;
        const wisp_value *child = wisp__child(value, i, &name, &scratch);
        int64_t before = p->data.at;
        if (value->kind == WISP_STRUCT &&
            !wisp__field_there(&value->as.structure.schema->fields[i], value->as.structure.data))
            continue;
        if (parts == WISP__SHAPE_AND_DATA) {
            int length = (int)strlen(name);
            wisp__put_length(&p->shape, (uint64_t)length);
            for (int k = 0; k < length; k++) wisp__put(&p->shape, (uint8_t)name[k], 8);
        }
        p->value(p, child, parts);
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
    case WISP_OBJECT:
        if (parts == WISP__SHAPE_AND_DATA) wisp__put(&p->shape, WISP__CODE_OBJECT, 5);
        wisp__put_integer(&p->data, value->as.object.id);
        break;
    case WISP_VEC2:
    case WISP_VEC3:
    case WISP_VEC4:
    case WISP_QUAT:
    case WISP_TRANSFORM:
    case WISP_COLOR: wisp__pack_floats(&p->data, value); break;
    default:
        if (wisp__is_map(value)) wisp__pack_map(p, value, parts);
        else wisp__pack_array(p, value, parts);
        break;
    }
}

/* Packs measured values into p->shape and p->data, from where they stand. */
static void wisp__pack_values(wisp__packer *p, const wisp_value *values, int count) {
    p->value = wisp__pack_value;
    wisp__put_small(&p->shape, (uint64_t)count);
    for (int i = 0; i < count; i++) wisp__pack_value(p, &values[i], WISP__SHAPE_AND_DATA);
}

/* Packs a message's values into p->shape and p->data from their start. What describes them may
   exceed the limit a little, so that a string of message_bytes fits. */
static wisp_result wisp__pack(wisp__packer *p, const wisp_value *values, int count) {
    wisp__measure m = { 0, 0, 40, 0, false };
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
    wisp__pack_values(p, values, count);
    if (p->shape.full || p->data.full ||
        (p->shape.at + p->data.at) / 8 > (int64_t)p->base->limits.message_bytes + 256)
        p->result = WISP_E_TOO_BIG;
    return p->result;
}

/* The same into memory that was given, the data right behind the shape: bits written, or a negative
   result. WISP_E_TOO_BIG: it takes up to twice its size while it is made. */
static int64_t wisp__pack_bits(wisp__base *base, const wisp_value *values, int count,
                               uint8_t *out, int capacity) {
    wisp__measure m = { 0, 0, 40, 0, false };
    wisp__packer p;
    wisp_result result = wisp__pack_measure(&base->limits, values, count, 0, &m);
    int64_t shape = m.shape_bits / 8 + WISP__SLACK + 1, data = m.data_bits / 8 + WISP__SLACK + 1;
    if (result) return result;
    if (shape + data > capacity) return WISP_E_TOO_BIG;
    memset(&p, 0, sizeof p);
    p.base = base;
    p.shape = wisp__writer_on(out, (int)shape - WISP__SLACK);
    p.data = wisp__writer_on(out + shape, (int)data - WISP__SLACK);
    wisp__pack_values(&p, values, count);
    p.shape.end = (int64_t)(capacity - WISP__SLACK) * 8;
    wisp__put_bits(&p.shape, p.data.bytes, p.data.at);
    if (p.shape.full || p.data.full) return WISP_E_TOO_BIG;
    out[p.shape.at / 8] &= (uint8_t)((1u << (p.shape.at & 7)) - 1);
    return p.shape.at;
}

/* In whole bytes, the last ended by zero bits. */
static int wisp__pack_into(wisp__base *base, const wisp_value *values, int count, uint8_t *out,
                           int capacity) {
    int64_t bits = wisp__pack_bits(base, values, count, out, capacity);
    return bits < 0 ? (int)bits : (int)((bits + 7) / 8);
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
    int64_t       room;            /* bytes that elements of records may still take */
    wisp_result   result;
} wisp__unpacker;

static void wisp__unpack_fail(wisp__unpacker *u, wisp_result code) {
    if (u->result == WISP_OK) u->result = code;
    u->shape->failed = true;
    u->data->failed = true;
}

/* A number outside its schema: what follows it can be read all the same. */
static void wisp__unpack_invalid(wisp__unpacker *u) {
    if (u->result == WISP_OK) u->result = WISP_E_INVALID;
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
    case WISP__CODE_OBJECT:
        *out = wisp__value_of(WISP_OBJECT, 0);
        if (wisp__get(u->shape, 1)) wisp__unpack_fail(u, WISP_E_BAD_PACKET);
        out->as.object.id = (uint32_t)wisp__get_integer(u->data);
        break;
    default: wisp__unpack_floats(u, out, (wisp_kind)code); break;
    }
}

static void wisp__skip_value_shape(wisp__reader *shape, int depth) {
    int code = (int)wisp__get(shape, 4), count;
    bool map, alike;
    if (code == WISP_BYTES) wisp__get_length(shape);
    if ((code == WISP__CODE_OBJECT && wisp__get(shape, 1)) || depth > 256) shape->failed = true;
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
 * MARK: >>record
 * What: the packed form of what has a schema: an image (a C struct, or the
 *   layout of maps) written and read by the schema's program.
 * Invariants: what is written is inside its schema, and what is read as well;
 *   reading then writing gives the same bits. Blobs begin at a byte of the
 *   record. A writer never passes its end, a reader never its own.
 *   Runs and tiles are shorter ways to the same bits: where one of them stops, the operations
 *   one by one go on, and tell what is wrong.
 *
 *   int        value - least            quantized  steps from lo
 *   long       integer of value - least, zigzag where it has a sign
 *   floats     32 each                  double     64    number  as in pack
 *   quat       largest:2, three of `bits`: (c * sqrt 2 + 1) / 2 * (2^bits - 2)
 *   color      8 each                   literal    nothing
 *   text bytes length in the bits of max, align, bytes; fixed: align, bytes
 *   any        length(bytes), align, the self-describing form of one value
 *   array      count in the bits of max unless fixed, elements
 *   union      index, the option        optional, maybe   1, it | 0
 * ======================================================================== */

/* Where bits go: passed by value, so that it lives in registers. Words are stored whole up to
   `last`, bytes up to `end`; a pen that is full writes no more. */
typedef struct wisp__pen {
    uint64_t acc;
    uint8_t *to, *last, *end, *start;
    int      n;               /* bits in acc that are not stored yet, 0..7 between calls */
    int      values;          /* that a reader will count: elements, and what describes itself */
    bool     full, wrong;     /* wrong: a value outside its schema */
} wisp__pen;

static wisp__pen wisp__pen_on(void *out, int capacity) {
    wisp__pen pen;
    memset(&pen, 0, sizeof pen);
    pen.start = pen.to = (uint8_t *)out;
    pen.end = pen.start + capacity;
    pen.last = pen.end - 8;
    WISP_ASSERT(capacity >= 8);
    return pen;
}

/* Near the end: byte by byte. */
static wisp__pen wisp__pen_slowly(wisp__pen pen) {
    for (; pen.n >= 8 && pen.to < pen.end; pen.n -= 8, pen.acc >>= 8) *pen.to++ = (uint8_t)pen.acc;
    if (pen.n >= 8) {
        pen.full = true;
        pen.n = 0;
        pen.acc = 0;
    }
    return pen;
}

/* `bits` 0..56, and the value fits in them. */
static inline wisp__pen wisp__pen_put(wisp__pen pen, uint64_t value, int bits) {
    pen.acc |= value << pen.n;
    pen.n += bits;
    if (pen.to > pen.last) return wisp__pen_slowly(pen);
    wisp__store64(pen.to, pen.acc);
    pen.to += pen.n >> 3;
    pen.acc >>= pen.n & 56;
    pen.n &= 7;
    return pen;
}

static wisp__pen wisp__pen_put64(wisp__pen pen, uint64_t value) {
    return wisp__pen_put(wisp__pen_put(pen, value & UINT32_MAX, 32), value >> 32, 32);
}

static wisp__pen wisp__pen_bytes(wisp__pen pen, const void *from, int count) {
    pen = wisp__pen_put(pen, 0, -pen.n & 7);
    if (count > pen.end - pen.to) pen.full = true;
    if (pen.full || !count) return pen;
    memcpy(pen.to, from, (size_t)count);
    pen.to += count;
    return pen;
}

static int64_t wisp__pen_bits(const wisp__pen *pen) {
    return (int64_t)(pen->to - pen->start) * 8 + pen->n;
}

/* The last bits; false: it was full. */
static bool wisp__pen_end(wisp__pen *pen) {
    if (pen->n && pen->to < pen->end) *pen->to = (uint8_t)pen->acc;
    else if (pen->n) pen->full = true;
    return !pen->full;
}

static wisp__pen wisp__pen_integer(wisp__pen pen, uint64_t value) {
    static const uint8_t widths[8] = { 4, 8, 12, 16, 24, 32, 48, 64 };
    int class_of = 0;
    while (class_of < 7 && value >> widths[class_of]) class_of++;
    pen = wisp__pen_put(pen, (uint64_t)class_of, 3);
    if (class_of == 7) return wisp__pen_put64(pen, value);
    return wisp__pen_put(pen, value, widths[class_of]);
}

static wisp__pen wisp__pen_length(wisp__pen pen, uint64_t value) {
    for (; value >= 128; value >>= 7) pen = wisp__pen_put(pen, (value & 127) | 128, 8);
    return wisp__pen_put(pen, value, 8);
}

/* --- numbers --- */

/* Newton's method; not from libm, so that nothing must be linked and every machine agrees. */
static double wisp__root(double square) {
    double root = square > 1 ? square : 1;
    for (int i = 0; i < 64; i++) {
        double next = 0.5 * (root + square / root);
        if (next >= root) break;
        root = next;
    }
    return square > 0 ? root : 0;
}

static uint64_t wisp__quantize(const wisp__op *op, double number) {
    double above = number - op->low;          /* each step rounds by itself, on every machine */
    double steps = above / op->step + 0.5;
    uint64_t n = steps > 0 ? (uint64_t)steps : 0;
    return n < op->span ? n : op->span;
}

static double wisp__dequantize(const wisp__op *op, uint64_t steps) {
    double above = (double)steps * op->step;
    double number = op->low + above;
    return wisp__min(number, op->high);
}

#define WISP__ROOT_2 1.4142135623730951

/* Steps of the smallest three: an even number of them, so that zero is said exactly. */
static double wisp__quat_scale(const wisp__op *op) { return (double)((1u << op->max) - 2); }

static float wisp__magnitude(float number) { return number < 0 ? -number : number; }

/* Three components in steps; the other one, which is made positive, follows from them. */
static void wisp__quat_steps(const float parts[4], int largest, double scale, uint32_t steps[4]) {
    double length = 0;
    for (int i = 0; i < 4; i++) length += (double)parts[i] * (double)parts[i];
    length = wisp__root(length) * (parts[largest] < 0 ? -1 : 1);
    for (int i = 0; i < 4; i++) {
        double part = ((double)parts[i] / length * WISP__ROOT_2 + 1) / 2 * scale + 0.5;
        steps[i] = i == largest ? 0 : (uint32_t)wisp__max(0, wisp__min(part, scale));
    }
}

static void wisp__quat_parts(int largest, const uint32_t steps[4], double scale, float parts[4]) {
    double rest = 1, length;
    for (int i = 0; i < 4; i++) {
        double part = ((double)steps[i] / scale * 2 - 1) / WISP__ROOT_2;
        if (i != largest) rest -= part * part;
    }
    length = rest < 0 ? wisp__root(1 - rest) : 1;
    for (int i = 0; i < 4; i++)
        parts[i] = (float)(((double)steps[i] / scale * 2 - 1) / WISP__ROOT_2 / length);
    parts[largest] = (float)wisp__root(wisp__max(rest, 0));
}

/* Of components that are nearly the largest, the first by which just these parts come out again:
   what was read is written as it was. -1: none. */
static int wisp__quat_again(const float parts[4], double scale, uint32_t steps[4]) {
    float most = 0, again[4];
    for (int i = 0; i < 4; i++)
        if (wisp__magnitude(parts[i]) > most) most = wisp__magnitude(parts[i]);
    for (int i = 0; i < 4; i++) {
        double off = 0;
        if (parts[i] < 0 || (double)parts[i] < (double)most - 4 / scale) continue;
        wisp__quat_steps(parts, i, scale, steps);
        wisp__quat_parts(i, steps, scale, again);
        for (int k = 0; k < 4; k++)
            off = wisp__max(off, (double)wisp__magnitude(again[k] - parts[k]));
        if (off < 3e-7) return i;
    }
    return -1;
}

static wisp__pen wisp__write_quat(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    float parts[4], read[4];
    uint32_t steps[4];
    double scale = wisp__quat_scale(op);
    int largest, first = 0;
    memcpy(parts, at, sizeof parts);
    if (!wisp__is_rotation(parts)) {
        pen.wrong = true;
        return pen;
    }
    largest = wisp__quat_again(parts, scale, steps);
    if (largest < 0) {
        for (int i = 1; i < 4; i++)
            if (wisp__magnitude(parts[i]) > wisp__magnitude(parts[first])) first = i;
        wisp__quat_steps(parts, first, scale, steps);
        wisp__quat_parts(first, steps, scale, read);
        largest = wisp__quat_again(read, scale, steps);
    }
    if (largest < 0) wisp__quat_steps(parts, largest = first, scale, steps);
    pen = wisp__pen_put(pen, (uint64_t)largest, 2);
    for (int i = 0; i < 4; i++)
        if (i != largest) pen = wisp__pen_put(pen, steps[i], op->max);
    return pen;
}

static void wisp__read_quat(wisp__reader *from, const wisp__op *op, uint8_t *at) {
    float parts[4];
    uint32_t steps[4] = { 0, 0, 0, 0 };
    int largest = (int)wisp__get(from, 2);
    for (int i = 0; i < 4; i++)
        if (i != largest) steps[i] = (uint32_t)wisp__get(from, op->max);
    wisp__quat_parts(largest, steps, wisp__quat_scale(op), parts);
    memcpy(at, parts, sizeof parts);
}

static wisp__pen wisp__write_color(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    float parts[4];
    uint64_t word = 0;
    if (op->bytes == 4) return wisp__pen_put(pen, wisp__load_part(at, 4), 32);
    memcpy(parts, at, sizeof parts);
    for (int i = 0; i < 4; i++) {
        if (!(parts[i] >= 0.0f && parts[i] <= 1.0f)) pen.wrong = true;
        else word |= (uint64_t)wisp__to_byte(parts[i]) << (8 * i);
    }
    return wisp__pen_put(pen, word, 32);
}

static void wisp__read_color(wisp__reader *from, const wisp__op *op, uint8_t *at) {
    uint64_t word = wisp__get(from, 32);
    for (int i = 0; i < 4; i++, word >>= 8) {
        float part = (float)(uint8_t)word / 255.0f;
        if (op->bytes == 4) at[i] = (uint8_t)word;
        else memcpy(at + 4 * i, &part, 4);
    }
}

static wisp__pen wisp__write_floats(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    for (int i = 0; i < op->max; i++) {
        float part;
        memcpy(&part, at + 4 * i, 4);
        if (op->flags & WISP__OP_RANGED &&
            !wisp__in_bounds((double)part, op->low, op->high, 4))
            pen.wrong = true;
        pen = wisp__pen_put(pen, wisp__float_bits(part), 32);
    }
    return pen;
}

static wisp__pen wisp__write_double(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    uint8_t form[16 + WISP__SLACK];
    wisp__writer writer = wisp__writer_on(form, 16);
    uint64_t bits;
    double number;
    memcpy(&number, at, 8);
    memcpy(&bits, at, 8);
    if (op->flags & WISP__OP_RANGED && !(number >= op->low && number <= op->high))
        pen.wrong = true;
    if (op->code == WISP__OP_DOUBLE) return wisp__pen_put64(pen, bits);
    memset(form, 0, sizeof form);
    wisp__pack_number(&writer, number);
    pen = wisp__pen_put(pen, wisp__low_bits(wisp__load64(form), wisp__min_int((int)writer.at, 40)),
                        wisp__min_int((int)writer.at, 40));
    if (writer.at > 40)
        pen = wisp__pen_put(pen, wisp__low_bits(wisp__load64(form + 5), (int)writer.at - 40),
                            (int)writer.at - 40);
    return pen;
}

/* --- writing --- */

static wisp__pen wisp__write_int(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    int64_t number = wisp__load_int(at, op->bytes, (op->flags & WISP__OP_SIGNED) != 0);
    uint64_t value = (uint64_t)number - (uint64_t)op->least;
    if (value > op->span) {
        pen.wrong = true;
        value = 0;
    }
    if (op->code == WISP__OP_INT) return wisp__pen_put(pen, value, op->bits);
    if (op->span < UINT64_MAX) return wisp__pen_integer(pen, value);
    return wisp__pen_integer(pen, op->flags & WISP__OP_SIGNED ? wisp__zigzag(number) : value);
}

static wisp__pen wisp__write_quantized(wisp__pen pen, const wisp__op *op, const uint8_t *at) {
    double number = wisp__load_number(at, op->bytes);
    if (wisp__in_bounds(number, op->low, op->high, op->bytes))
        return wisp__pen_put(pen, wisp__quantize(op, number), op->bits);
    pen.wrong = true;
    return pen;
}

/* How many there are by the member that counts, or all. */
static int wisp__op_count(const wisp__op *op, const uint8_t *image) {
    int64_t count;
    if (!op->count_bytes) return op->max;
    count = wisp__load_int(image + op->count_offset, op->count_bytes, false);
    return count < 0 || count > op->max ? -1 : (int)count;
}

static wisp__pen wisp__write_blob(wisp__pen pen, const wisp__op *op, const uint8_t *image) {
    const uint8_t *from = image + op->offset, *end;
    wisp__place place;
    int count;
    if (op->code == WISP__OP_PLACE) {
        memcpy(&place, from, sizeof place);
        from = (const uint8_t *)place.at;
        count = place.count;
    } else if (op->code == WISP__OP_TEXT) {
        end = (const uint8_t *)memchr(from, 0, (size_t)op->each);
        count = end ? (int)(end - from) : op->max + 1;
    } else {
        count = wisp__op_count(op, image);
    }
    if (count < 0 || count > op->max || (op->flags & WISP__OP_FIXED && count != op->max)) {
        pen.wrong = true;
        return pen;
    }
    if (!(op->flags & WISP__OP_FIXED)) pen = wisp__pen_put(pen, (uint64_t)count, op->bits);
    return count ? wisp__pen_bytes(pen, from, count) : pen;
}

static wisp__pen wisp__write_any(wisp__pen pen, const wisp__op *op, const uint8_t *at,
                                 wisp__base *base) {
    wisp__measure m = { 0, 0, 40, 0, false };
    wisp_value value;
    uint8_t *from;
    int64_t room = pen.end - pen.to - 2 * WISP__SLACK;     /* its length is put before it */
    int bytes;
    memcpy(&value, at, sizeof value);
    if (op->type->kind == WISP_TYPE_EXACT && (int)value.kind != op->type->max) pen.wrong = true;
    if (room < 0 || pen.full) {
        pen.full = true;
        return pen;
    }
    from = pen.to + 2 * WISP__SLACK;
    bytes = wisp__pack_into(base, &value, 1, from, room > INT32_MAX ? INT32_MAX : (int)room);
    if (bytes == WISP_E_TOO_BIG) pen.full = true;
    else if (bytes < 0) pen.wrong = true;
    if (bytes < 0) return pen;
    wisp__pack_measure(&base->limits, &value, 1, 0, &m);
    pen.values += m.values;
    pen = wisp__pen_length(pen, (uint64_t)bytes);
    pen = wisp__pen_put(pen, 0, -pen.n & 7);
    if (!pen.full) memmove(pen.to, from, (size_t)bytes);
    pen.to += pen.full ? 0 : bytes;
    return pen;
}

/* Does what may be missing hold its default? */
static bool wisp__holds_fallback(const wisp__op *op, const uint8_t *image) {
    wisp_value value = wisp__view(&op->field->type, op->field->bytes, image + op->offset, -1);
    wisp_value fallback = wisp__fallback(op->field);
    if (value.kind == WISP_FLOAT) fallback = wisp_float((float)op->field->fallback);
    if (op->type->kind == WISP_TYPE_BOOL) fallback = wisp_bool(op->field->fallback > 0);
    if (op->type->kind == WISP_TYPE_ENUM && fallback.kind != WISP_STRING)
        value = wisp_int(wisp__load_int(image + op->offset, wisp__type_bytes(op->type,
                                                                             op->field->bytes),
                                        false));
    return wisp_equal(&value, &fallback);
}

/* --- writing runs: at full speed, because one look at the room left serves a whole run --- */

static inline void wisp__run_put(wisp__pen *pen, uint64_t value, int bits) {
    pen->acc |= value << pen->n;
    pen->n += bits;
    wisp__store64(pen->to, pen->acc);
    pen->to += pen->n >> 3;
    pen->acc >>= pen->n & 56;
    pen->n &= 7;
}

static inline void wisp__run_put64(wisp__pen *pen, uint64_t value) {
    wisp__store64(pen->to, pen->acc | value << pen->n);
    pen->to += 8;
    pen->acc = value >> 1 >> (63 - pen->n);
}

static inline void wisp__run_int(wisp__pen *pen, const wisp__op *op, int64_t number) {
    uint64_t value = (uint64_t)number - (uint64_t)op->least;
    if (value > op->span) {
        pen->wrong = true;
        value = 0;
    }
    wisp__run_put(pen, value, op->bits);
}

static inline void wisp__run_floats(wisp__pen *pen, const uint8_t *from, int count) {
    uint32_t low, high;
    for (; count >= 2; count -= 2, from += 8) {
        memcpy(&low, from, 4);
        memcpy(&high, from + 4, 4);
        wisp__run_put64(pen, low | (uint64_t)high << 32);
    }
    if (count == 0) return;
    memcpy(&low, from, 4);
    wisp__run_put(pen, low, 32);
}

static inline bool wisp__floats_inside(const wisp__op *op, const uint8_t *from) {
    bool inside = true;
    for (int i = 0; i < op->max; i++) {
        double number = wisp__load_number(from + 4 * i, 4);
        inside = inside && number >= op->low && number <= op->high;
    }
    return inside;
}

static inline void wisp__run_steps(wisp__pen *pen, const wisp__op *op, double number) {
    if (number >= op->low && number <= op->high) {
        uint64_t steps = wisp__quantize(op, number);
        wisp__run_put(pen, steps, op->bits);
    } else {
        pen->wrong = true;
    }
}

#define WISP__EACH_BYTE UINT64_C(0x0101010101010101)

/* The top bit of the lowest byte that is 0, and of none below it; above it there may be others. */
static inline uint64_t wisp__zero_byte(uint64_t word) {
    return (word - WISP__EACH_BYTE) & ~word & WISP__EACH_BYTE << 7;
}

/* Bytes below the lowest one that is 0; 8: none is. */
static inline uint64_t wisp__bytes_before_zero(uint64_t word) {
    uint64_t zero = wisp__zero_byte(word);
    return ((((zero & (0 - zero)) >> 7) - 1) & WISP__EACH_BYTE) * WISP__EACH_BYTE >> 56;
}

/* Of a text in `each` bytes, 8 or more; `each`: no NUL is in it. */
static inline int wisp__text_length(const uint8_t *from, int each) {
    for (int i = 0; i < each; i += 8) {
        int at = wisp__min_int(i, each - 8);
        uint64_t word = wisp__load64(from + at);
        if (wisp__zero_byte(word)) return at + (int)wisp__bytes_before_zero(word);
    }
    return each;
}

static inline void wisp__run_text(wisp__pen *pen, const wisp__op *op, const uint8_t *from) {
    int length = wisp__text_length(from, op->each);
    if (length > op->max) {
        pen->wrong = true;
        return;
    }
    wisp__run_put(pen, (uint64_t)length, op->bits);
    if (length == 0) return;
    wisp__run_put(pen, 0, -pen->n & 7);
    for (int i = 0; i < length; i += 8) {
        int at = wisp__min_int(i, op->each - 8);
        wisp__store64(pen->to + at, wisp__load64(from + at));
    }
    pen->to += length;
}

/* Writes `rows` times the run that begins with `op`; returns how many: the next would not fit for
   sure, or has a value outside its schema. */
static int wisp__write_rows(wisp__pen *pen, const wisp__op *op, const wisp__op *end,
                           const uint8_t *image, int rows, int each) {
    wisp__pen row = *pen, before;
    for (int i = 0; i < rows; i++, image += each) {
        if (row.end - row.to < op->run_bytes) {
            *pen = row;
            return i;
        }
        before = row;
        for (const wisp__op *at = op; at < end; at++) {
            const uint8_t *from = image + at->offset;
            switch (at->quick) {
            case WISP__QUICK_U8: wisp__run_int(&row, at, from[0]); break;
            case WISP__QUICK_I8: wisp__run_int(&row, at, (int8_t)from[0]); break;
            case WISP__QUICK_U16: wisp__run_int(&row, at, wisp__load_int(from, 2, false)); break;
            case WISP__QUICK_I16: wisp__run_int(&row, at, wisp__load_int(from, 2, true)); break;
            case WISP__QUICK_U32: wisp__run_int(&row, at, wisp__load_int(from, 4, false)); break;
            case WISP__QUICK_I32: wisp__run_int(&row, at, wisp__load_int(from, 4, true)); break;
            case WISP__QUICK_64: wisp__run_int(&row, at, wisp__load_int(from, 8, false)); break;
            case WISP__QUICK_RANGED:
                row.wrong = row.wrong || !wisp__floats_inside(at, from);
                wisp__run_floats(&row, from, at->max);
                break;
            case WISP__QUICK_FLOATS: wisp__run_floats(&row, from, at->max); break;
            case WISP__QUICK_FLOAT_STEPS:
                wisp__run_steps(&row, at, wisp__load_number(from, 4));
                break;
            case WISP__QUICK_DOUBLE_STEPS:
                wisp__run_steps(&row, at, wisp__load_number(from, 8));
                break;
            case WISP__QUICK_DOUBLE:
                wisp__run_put64(&row, (uint64_t)wisp__load_int(from, 8, false));
                break;
            default: wisp__run_text(&row, at, from); break;
            }
        }
        if (row.wrong) {
            *pen = before;
            return i;
        }
    }
    *pen = row;
    return rows;
}

/* --- writing tiles: column by column, so that what an operation says is looked up once for many
       rows --- */

/* Rows without their texts, side by side, and how long the texts are. */
typedef struct wisp__heads {
    uint8_t slots[WISP__TILE][WISP__TILE_HEAD + 16];
    int     lengths[WISP__TILE];
    int     rows, each;            /* each: bytes from one row to the next in the image */
    int     bit;                   /* where the next column begins */
} wisp__heads;

enum { WISP__SLOT_BYTES = WISP__TILE_HEAD + 16 };

/* The value after what stands before it in its first byte. */
static inline void wisp__slot_put(uint8_t *to, uint64_t value, int shift) {
    wisp__store64(to, (uint64_t)(*to & ((1u << shift) - 1)) | value << shift);
}

/* false: a value is outside. `bytes` and `is_signed` are constants where this is called. */
static inline bool wisp__heads_ints(wisp__heads *h, const wisp__op *op, const uint8_t *from,
                                    int bytes, bool is_signed) {
    uint8_t *to = h->slots[0] + (h->bit >> 3);
    uint64_t least = (uint64_t)op->least, span = op->span;
    int shift = h->bit & 7, each = h->each;
    for (int i = h->rows; i > 0; i--, from += each, to += WISP__SLOT_BYTES) {
        uint64_t value = (uint64_t)wisp__load_int(from, bytes, is_signed) - least;
        if (value > span) return false;
        wisp__slot_put(to, value, shift);
    }
    return true;
}

static inline bool wisp__heads_steps(wisp__heads *h, const wisp__op *op, const uint8_t *from,
                                     int bytes) {
    uint8_t *to = h->slots[0] + (h->bit >> 3);
    int shift = h->bit & 7;
    int64_t span = (int64_t)op->span, steps;       /* of at most 32 bits */
    for (int i = h->rows; i > 0; i--, from += h->each, to += WISP__SLOT_BYTES) {
        double number = wisp__load_number(from, bytes);
        if (!(number >= op->low && number <= op->high)) return false;
        steps = (int64_t)((number - op->low) / op->step + 0.5);
        wisp__slot_put(to, steps < span ? (uint64_t)steps : op->span, shift);
    }
    return true;
}

static inline uint64_t wisp__slot_float(uint8_t *to, const uint8_t *from, uint64_t carry,
                                        int shift) {
    uint32_t bits;
    memcpy(&bits, from, 4);
    carry |= (uint64_t)bits << shift;
    wisp__store64(to, carry);
    return carry >> 32;
}

static void wisp__heads_floats(wisp__heads *h, const uint8_t *from, int count) {
    uint8_t *to = h->slots[0] + (h->bit >> 3);
    int shift = h->bit & 7, each = h->each, rest = count % 3;
    for (int i = h->rows; i > 0; i--, from += each, to += WISP__SLOT_BYTES) {
        uint64_t carry = *to & ((1u << shift) - 1);
        const uint8_t *part = from, *end = from + 4 * (count - rest);
        uint8_t *out = to;
        for (; part < end; part += 12, out += 12) {
            carry = wisp__slot_float(out, part, carry, shift);
            carry = wisp__slot_float(out + 4, part + 4, carry, shift);
            carry = wisp__slot_float(out + 8, part + 8, carry, shift);
        }
        if (!rest) continue;
        carry = wisp__slot_float(out, part, carry, shift);
        if (rest == 2) wisp__slot_float(out + 4, part + 4, carry, shift);
    }
}

/* The same where 16 bytes and no more are looked at; 16: no NUL is in them. */
static inline int wisp__text_length_16(const uint8_t *from) {
    uint64_t low = wisp__load64(from), high = wisp__load64(from + 8);
    if (wisp__zero_byte(low)) return (int)wisp__bytes_before_zero(low);
    return 8 + (int)wisp__bytes_before_zero(high);
}

/* false: a text is too long, or empty, and then its row does not end at a byte. */
static bool wisp__heads_lengths(wisp__heads *h, const wisp__op *op, const uint8_t *from) {
    uint8_t *to = h->slots[0] + (h->bit >> 3);
    int shift = h->bit & 7, each = h->each, most = op->max;
    bool is_short = op->each == 17 && most == 16;
    for (int i = 0; i < h->rows; i++, from += each, to += WISP__SLOT_BYTES) {
        int length = is_short ? wisp__text_length_16(from) : wisp__text_length(from, op->each);
        if (is_short && from[16] && length == 16) return false;
        if (length == 0 || length > most) return false;
        wisp__slot_put(to, (uint64_t)length, shift);
        h->lengths[i] = length;
    }
    return true;
}

static bool wisp__heads_column(wisp__heads *h, const wisp__op *op, const uint8_t *from) {
    switch (op->quick) {
    case WISP__QUICK_U8: return wisp__heads_ints(h, op, from, 1, false);
    case WISP__QUICK_I8: return wisp__heads_ints(h, op, from, 1, true);
    case WISP__QUICK_U16: return wisp__heads_ints(h, op, from, 2, false);
    case WISP__QUICK_I16: return wisp__heads_ints(h, op, from, 2, true);
    case WISP__QUICK_U32: return wisp__heads_ints(h, op, from, 4, false);
    case WISP__QUICK_I32: return wisp__heads_ints(h, op, from, 4, true);
    case WISP__QUICK_64: return wisp__heads_ints(h, op, from, 8, true);
    case WISP__QUICK_FLOAT_STEPS: return wisp__heads_steps(h, op, from, 4);
    case WISP__QUICK_DOUBLE_STEPS: return wisp__heads_steps(h, op, from, 8);
    case WISP__QUICK_FLOATS: wisp__heads_floats(h, from, op->column_bits / 32); return true;
    default: return wisp__heads_lengths(h, op, from);
    }
}

/* The rows one after another, each with its text. */
static uint8_t *wisp__heads_join(const wisp__heads *h, int head_bytes, const wisp__op *text,
                                 const uint8_t *image, uint8_t *to) {
    bool short_text = text && text->each >= 16 && text->max <= 16;
    if (text) image += text->offset;
    for (int i = 0; i < h->rows; i++, image += h->each) {
        memcpy(to, h->slots[i], 32);
        if (head_bytes > 32) memcpy(to + 32, h->slots[i] + 32, 32);
        to += head_bytes;
        if (!text) continue;
        if (short_text) memcpy(to, image, 16);
        else memcpy(to, image, (size_t)h->lengths[i]);
        to += h->lengths[i];
    }
    return to;
}

/* Writes rows of an array in tiles; returns how many: what is left is for runs. */
static int wisp__write_tiles(wisp__pen *pen, const wisp__op *array, const uint8_t *image,
                             int rows) {
    const wisp__op *first = array + 1, *end = first + array->columns;
    const wisp__op *text = end[-1].quick == WISP__QUICK_TEXT ? end - 1 : NULL;
    wisp__heads h;
    int done = 0;
    h.each = array->each;
    h.slots[0][0] = 0;
    for (; done < rows; done += h.rows, image += (ptrdiff_t)h.rows * h.each) {
        h.rows = wisp__min_int(WISP__TILE, rows - done);
        h.bit = 0;
        if (pen->n || pen->end - pen->to < (ptrdiff_t)h.rows * first->run_bytes) return done;
        for (const wisp__op *op = first; op < end; op += op->columns) {
            if (!wisp__heads_column(&h, op, image + op->offset)) return done;
            h.bit += op->column_bits;
        }
        pen->to = wisp__heads_join(&h, (h.bit + 7) / 8, text, image, pen->to);
        pen->acc = 0;
    }
    return done;
}

typedef wisp__pen (*wisp__write_fn)(wisp__pen pen, wisp__base *base, const wisp__op *ops, int at,
                                    int end, const uint8_t *image);

static wisp__pen wisp__write_array(wisp__pen pen, wisp__base *base, const wisp__op *ops, int at,
                                   const uint8_t *image, wisp__write_fn write) {
    const wisp__op *op = &ops[at];
    const uint8_t *items = image + op->offset;
    wisp__place place;
    int done = 0, count = wisp__op_count(op, image);
    if (op->flags & WISP__OP_ELSEWHERE) {
        memcpy(&place, items, sizeof place);
        items = (const uint8_t *)place.at;
        count = place.count;
    }
    if (count < 0 || count > op->max || (op->flags & WISP__OP_FIXED && count != op->max)) {
        pen.wrong = true;
        return pen;
    }
    if (!(op->flags & WISP__OP_FIXED)) pen = wisp__pen_put(pen, (uint64_t)count, op->bits);
    pen.values += count;
    if (op->head) done = wisp__write_tiles(&pen, op, items, count);
    if (ops[at + 1].run == op->end)
        done += wisp__write_rows(&pen, &ops[at + 1], ops + op->end,
                                 items + (ptrdiff_t)done * op->each, count - done, op->each);
    items += (ptrdiff_t)done * op->each;
    for (int i = done; i < count && !pen.full && !pen.wrong; i++, items += op->each)
        pen = write(pen, base, ops, at + 1, op->end, items);
    return pen;
}

static int wisp__option_at(const wisp__op *ops, int at, int index) {
    int option = at + 1;
    for (; index > 0; index--) option = ops[option].end;
    return option;
}

static wisp__pen wisp__write_union(wisp__pen pen, wisp__base *base, const wisp__op *ops, int at,
                                   const uint8_t *image, wisp__write_fn write) {
    const wisp__op *op = &ops[at];
    int64_t index = wisp__load_int(image + op->count_offset, op->count_bytes, false);
    int option;
    if (index < 0 || index >= op->max) {
        pen.wrong = true;
        return pen;
    }
    option = wisp__option_at(ops, at, (int)index);
    pen = wisp__pen_put(pen, (uint64_t)index, op->bits);
    return write(pen, base, ops, option + 1, ops[option].end, image);
}

/* Operations `at` up to `end` over an image. */
static wisp__pen wisp__write_ops(wisp__pen pen, wisp__base *base, const wisp__op *ops, int at,
                                 int end, const uint8_t *image) {
    for (; at < end; at = ops[at].end) {
        const wisp__op *op = &ops[at];
        const uint8_t *from = image + op->offset;
        bool there;
        if (op->run && wisp__write_rows(&pen, op, ops + op->run, image, 1, 0)) {
            at = op->run - 1;
            continue;
        }
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_LONG: pen = wisp__write_int(pen, op, from); break;
        case WISP__OP_FLOATS: pen = wisp__write_floats(pen, op, from); break;
        case WISP__OP_DOUBLE:
        case WISP__OP_NUMBER: pen = wisp__write_double(pen, op, from); break;
        case WISP__OP_QUANTIZED: pen = wisp__write_quantized(pen, op, from); break;
        case WISP__OP_QUAT: pen = wisp__write_quat(pen, op, from); break;
        case WISP__OP_COLOR: pen = wisp__write_color(pen, op, from); break;
        case WISP__OP_TEXT:
        case WISP__OP_BYTES:
        case WISP__OP_PLACE: pen = wisp__write_blob(pen, op, image); break;
        case WISP__OP_ANY: pen = wisp__write_any(pen, op, from, base); break;
        case WISP__OP_LITERAL:
            if (op->each > 0 && strncmp((const char *)from, (const char *)op->type->of,
                                        (size_t)op->each) != 0)
                pen.wrong = true;
            break;
        case WISP__OP_ARRAY:
            pen = wisp__write_array(pen, base, ops, at, image, wisp__write_ops);
            break;
        case WISP__OP_UNION:
            pen = wisp__write_union(pen, base, ops, at, image, wisp__write_ops);
            break;
        default:
            there = op->code == WISP__OP_MAYBE ? image[op->count_offset] != 0
                                               : !wisp__holds_fallback(op, image);
            pen = wisp__pen_put(pen, there, 1);
            if (there) pen = wisp__write_ops(pen, base, ops, at + 1, op->end, image);
            break;
        }
        if (pen.wrong || pen.full) break;
    }
    return pen;
}

/* Writes an image; bits written, WISP_E_INVALID, or WISP_E_TOO_BIG (capacity in bytes). `base` only
   has limits. *values: what its reader will count. */
static int64_t wisp__record_write_counted(wisp__base *base, const wisp__program *program,
                                          const void *image, void *out, int capacity,
                                          int *values) {
    uint8_t small[8] = { 0 };              /* a pen stores whole words */
    bool tiny = capacity < (int)sizeof small;
    wisp__pen pen = wisp__pen_on(tiny ? small : out, tiny ? (int)sizeof small : capacity);
    int64_t bits;
    pen = wisp__write_ops(pen, base, program->ops, 0, program->count, (const uint8_t *)image);
    if (pen.wrong) return WISP_E_INVALID;
    if (!wisp__pen_end(&pen)) return WISP_E_TOO_BIG;
    bits = wisp__pen_bits(&pen);
    if (tiny && (bits + 7) / 8 > capacity) return WISP_E_TOO_BIG;
    if (tiny && bits) memcpy(out, small, (size_t)(bits + 7) / 8);
    *values = pen.values;
    return bits;
}

static int64_t wisp__record_write(wisp__base *base, const wisp__program *program,
                                  const void *image, void *out, int capacity) {
    int values;
    return wisp__record_write_counted(base, program, image, out, capacity, &values);
}

/* --- reading --- */

static void wisp__read_int(wisp__unpacker *u, const wisp__op *op, uint8_t *at) {
    uint64_t value;
    if (op->code == WISP__OP_INT) value = wisp__get(u->data, op->bits);
    else value = wisp__get_integer(u->data);
    if (op->span == UINT64_MAX && op->flags & WISP__OP_SIGNED) {
        value = (uint64_t)wisp__unzigzag(value);
    } else {
        if (value > op->span) wisp__unpack_invalid(u);
        value += (uint64_t)op->least;
    }
    wisp__store_int(at, op->bytes, value);
}

static void wisp__read_number(wisp__unpacker *u, const wisp__op *op, uint8_t *at) {
    wisp_value value;
    uint64_t bits;
    if (op->code == WISP__OP_NUMBER) {
        wisp__unpack_number(u, &value);
    } else {
        bits = wisp__get(u->data, 64);
        value = wisp_number(0);
        memcpy(&value.as.number, &bits, 8);
    }
    if (op->flags & WISP__OP_RANGED &&
        !(value.as.number >= op->low && value.as.number <= op->high))
        wisp__unpack_invalid(u);
    memcpy(at, &value.as.number, 8);
}

static void wisp__read_quantized(wisp__unpacker *u, const wisp__op *op, uint8_t *at) {
    uint64_t steps = wisp__get(u->data, op->bits);
    double number = wisp__dequantize(op, steps);
    float float32 = (float)number;
    if (steps > op->span) wisp__unpack_invalid(u);
    if (op->bytes == 4) memcpy(at, &float32, 4);
    else memcpy(at, &number, 8);
}

static void wisp__read_floats(wisp__unpacker *u, const wisp__op *op, uint8_t *at) {
    for (int i = 0; i < op->max; i++) {
        float part = wisp__bits_float((uint32_t)wisp__get(u->data, 32));
        if (op->flags & WISP__OP_RANGED &&
            !wisp__in_bounds((double)part, op->low, op->high, 4))
            wisp__unpack_invalid(u);
        memcpy(at + 4 * i, &part, 4);
    }
}

static void wisp__read_align(wisp__unpacker *u) {
    wisp__skip(u->data, (u->start - u->data->at) & 7);
}

static void wisp__read_blob(wisp__unpacker *u, const wisp__op *op, uint8_t *image) {
    uint8_t *at = image + op->offset;
    wisp__place place;
    int count = op->max;
    if (!(op->flags & WISP__OP_FIXED)) count = (int)wisp__get(u->data, op->bits);
    if (count > op->max) wisp__unpack_fail(u, WISP_E_INVALID);
    if (count) wisp__read_align(u);
    if ((int64_t)count * 8 > u->data->end - u->data->at) wisp__unpack_fail(u, WISP_E_BAD_PACKET);
    if (u->data->failed) return;
    if (op->code == WISP__OP_PLACE) {
        place.at = count ? wisp__unpack_bytes(u, u->data, count) : "";
        place.count = count;
        memcpy(at, &place, sizeof place);
        return;
    }
    if (op->count_bytes)
        wisp__store_int(image + op->count_offset, op->count_bytes, (uint64_t)count);
    if (((u->data->at) & 7) == 0) {
        if (count) memcpy(at, u->data->bytes + (u->data->at >> 3), (size_t)count);
        wisp__skip(u->data, (int64_t)count * 8);
    } else {
        for (int i = 0; i < count; i++) at[i] = (uint8_t)wisp__get(u->data, 8);
    }
    if (op->code == WISP__OP_TEXT && count && memchr(at, 0, (size_t)count))
        wisp__unpack_invalid(u);
}

static void wisp__read_any(wisp__unpacker *u, const wisp__op *op, uint8_t *at) {
    wisp__unpacker inner = *u;
    wisp__reader shape, data;
    const wisp_value *values = NULL;
    int count = 0, bytes = wisp__get_length(u->data);
    wisp__read_align(u);
    shape = *u->data;
    wisp__skip(u->data, (int64_t)bytes * 8);
    if (u->data->failed) return;
    shape.end = u->data->at;
    data = shape;
    wisp__skip_shape(&data);
    inner.shape = &shape;
    inner.data = &data;
    if (data.failed) inner.result = WISP_E_BAD_PACKET;
    else inner.result = wisp__unpack(&inner, &values, &count);
    u->values = inner.values;
    if (inner.result == WISP_OK && (count != 1 || data.at > shape.end || shape.end - data.at >= 8))
        inner.result = WISP_E_BAD_PACKET;
    if (inner.result == WISP_OK && op->type->kind == WISP_TYPE_EXACT &&
        (int)values[0].kind != op->type->max)
        wisp__unpack_invalid(u);
    if (inner.result) wisp__unpack_fail(u, inner.result);
    else memcpy(at, &values[0], sizeof *values);
}

static void wisp__read_fallback(const wisp__op *op, uint8_t *image) {
    wisp__fitting f = wisp__fitting_on(NULL, 0, NULL);
    wisp_value fallback = wisp__fallback(op->field);
    wisp__match(&f, &op->field->type, op->field->bytes, &fallback, image + op->offset, NULL);
}

/* --- reading runs --- */

/* Where a run is read: beyond `bytes` + the bits `at` there is slack. */
typedef struct wisp__eye {
    const uint8_t *bytes;
    int64_t        at;
    bool           wrong;            /* a value outside its schema */
} wisp__eye;

static inline uint64_t wisp__eye_word(const wisp__eye *eye) {
    return wisp__load64(eye->bytes + (eye->at >> 3)) >> (eye->at & 7);
}

static inline uint64_t wisp__eye_int(wisp__eye *eye, const wisp__op *op) {
    uint64_t value = wisp__eye_word(eye) & op->mask;
    eye->at += op->bits;
    if (value > op->span) eye->wrong = true;
    return value + (uint64_t)op->least;
}

static inline void wisp__eye_floats(wisp__eye *eye, uint8_t *to, int count) {
    const uint8_t *from = eye->bytes + (eye->at >> 3);
    int shift = (int)(eye->at & 7);
    for (int i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)(wisp__load64(from + 4 * i) >> shift);
        memcpy(to + 4 * i, &bits, 4);
    }
    eye->at += 32 * count;
}

static inline uint64_t wisp__eye_64(wisp__eye *eye) {
    int shift = (int)(eye->at & 7);
    uint64_t word = wisp__eye_word(eye) |
                    (uint64_t)eye->bytes[(eye->at >> 3) + 8] << 1 << (63 - shift);
    eye->at += 64;
    return word;
}

static inline double wisp__eye_steps(wisp__eye *eye, const wisp__op *op) {
    uint64_t steps = wisp__eye_word(eye) & op->mask;
    eye->at += op->bits;
    if (steps > op->span) eye->wrong = true;
    return wisp__dequantize(op, steps);
}

/* Eight bytes of which `count` count, whatever it is. */
static inline uint64_t wisp__keep_bytes(int count) {
    static const uint8_t ones[2 * WISP__RUN_BLOB + 16] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    };
    return wisp__load64(ones + WISP__RUN_BLOB - count);
}

/* Whole words, cut off by masks. */
static inline void wisp__eye_text(wisp__eye *eye, const wisp__op *op, uint8_t *to,
                                  int64_t start) {
    int count = (int)(wisp__eye_word(eye) & op->mask), shift;
    const uint8_t *from;
    uint64_t wrong = 0;
    eye->at += op->bits;
    if (count > op->max) eye->wrong = true;
    if (count == 0 || count > op->max) return;
    eye->at += (start - eye->at) & 7;
    from = eye->bytes + (eye->at >> 3);
    shift = (int)(eye->at & 7);
    for (int i = 0; i < count; i += 8) {
        int at = wisp__min_int(i, op->each - 8);
        uint64_t keep = wisp__keep_bytes(count - at), word = wisp__load64(from + at) >> shift;
        if (shift) word |= (uint64_t)from[at + 8] << (64 - shift);
        wrong |= wisp__zero_byte(word | ~keep);
        wisp__store64(to + at, word & keep);
    }
    if (wrong) eye->wrong = true;
    eye->at += 8 * count;
}

static void wisp__eye_run(wisp__eye *eye_at, const wisp__op *op, const wisp__op *end,
                          uint8_t *image, int64_t start) {
    wisp__eye eye = *eye_at;
    for (; op < end; op++) {
        uint8_t *to = image + op->offset;
        double number;
        float float32;
        uint64_t word;
        switch (op->quick) {
        case WISP__QUICK_U8:
        case WISP__QUICK_I8: to[0] = (uint8_t)wisp__eye_int(&eye, op); break;
        case WISP__QUICK_U16:
        case WISP__QUICK_I16: wisp__store_int(to, 2, wisp__eye_int(&eye, op)); break;
        case WISP__QUICK_U32:
        case WISP__QUICK_I32: wisp__store_int(to, 4, wisp__eye_int(&eye, op)); break;
        case WISP__QUICK_64: wisp__store_int(to, 8, wisp__eye_int(&eye, op)); break;
        case WISP__QUICK_FLOATS: wisp__eye_floats(&eye, to, op->max); break;
        case WISP__QUICK_RANGED:
            wisp__eye_floats(&eye, to, op->max);
            eye.wrong = eye.wrong || !wisp__floats_inside(op, to);
            break;
        case WISP__QUICK_DOUBLE:
            word = wisp__eye_64(&eye);
            memcpy(to, &word, 8);
            break;
        case WISP__QUICK_FLOAT_STEPS:
            float32 = (float)wisp__eye_steps(&eye, op);
            memcpy(to, &float32, 4);
            break;
        case WISP__QUICK_DOUBLE_STEPS:
            number = wisp__eye_steps(&eye, op);
            memcpy(to, &number, 8);
            break;
        default: wisp__eye_text(&eye, op, to, start); break;
        }
    }
    *eye_at = eye;
}

/* Reads `rows` times the run that begins with `op`; returns how many: the next is cut off, or has a
   value outside its schema. A run that ends the message is read from a copy with slack. */
static int wisp__read_rows(wisp__unpacker *u, const wisp__op *op, const wisp__op *end,
                          uint8_t *image, int rows, int each) {
    uint8_t copy[2 * (WISP__RUN_MOST + WISP__RUN_SLACK)];
    wisp__reader *data = u->data;
    wisp__eye eye = { NULL, 0, false };
    int64_t moved = 0;             /* bits that the copy begins later */
    eye.bytes = data->bytes;
    eye.at = data->at;
    for (int i = 0; i < rows; i++, image += each) {
        int64_t left = data->size - ((eye.at + moved) >> 3);
        if (left < op->run_bytes && eye.bytes != copy) {
            moved = (eye.at >> 3) * 8;
            memcpy(copy, data->bytes + (eye.at >> 3), (size_t)left);
            memset(copy + left, 0, (size_t)op->run_bytes);
            eye.bytes = copy;
            eye.at -= moved;
        }
        wisp__eye_run(&eye, op, end, image, u->start - moved);
        if (eye.wrong || eye.at + moved > data->end) return i;
        data->at = eye.at + moved;
    }
    return rows;
}

/* --- reading tiles --- */

/* Rows that begin at bytes, and where their images are. */
typedef struct wisp__rows {
    const uint8_t *at[WISP__TILE];
    int            counts[WISP__TILE];   /* of their texts */
    int            rows, each;
    int            bit;            /* where the next column begins */
} wisp__rows;

static inline bool wisp__rows_ints(const wisp__rows *r, const wisp__op *op, uint8_t *to,
                                   int bytes) {
    uint64_t least = (uint64_t)op->least, span = op->span, mask = op->mask;
    int shift = r->bit & 7, byte = r->bit >> 3, rows = r->rows, each = r->each;
    for (int i = 0; i < rows; i++, to += each) {
        uint64_t value = wisp__load64(r->at[i] + byte) >> shift & mask;
        if (value > span) return false;
        wisp__store_int(to, bytes, value + least);
    }
    return true;
}

static inline bool wisp__rows_steps(const wisp__rows *r, const wisp__op *op, uint8_t *to,
                                    bool is_double) {
    for (int i = 0; i < r->rows; i++, to += r->each) {
        uint64_t steps = wisp__load64(r->at[i] + (r->bit >> 3)) >> (r->bit & 7) & op->mask;
        double number = wisp__min(op->low + (double)(int64_t)steps * op->step, op->high);
        float float32 = (float)number;
        if (steps > op->span) return false;
        if (is_double) memcpy(to, &number, 8);
        else memcpy(to, &float32, 4);
    }
    return true;
}

static inline void wisp__row_float(uint8_t *to, const uint8_t *from, int shift) {
    uint32_t bits = (uint32_t)(wisp__load64(from) >> shift);
    memcpy(to, &bits, 4);
}

static void wisp__rows_floats(const wisp__rows *r, uint8_t *to, int count) {
    int shift = r->bit & 7, byte = r->bit >> 3, each = r->each, rest = count % 3;
    for (int i = 0; i < r->rows; i++, to += each) {
        const uint8_t *from = r->at[i] + byte;
        uint8_t *part = to, *end = to + 4 * (count - rest);
        for (; part < end; part += 12, from += 12) {
            wisp__row_float(part, from, shift);
            wisp__row_float(part + 4, from + 4, shift);
            wisp__row_float(part + 8, from + 8, shift);
        }
        if (!rest) continue;
        wisp__row_float(part, from, shift);
        if (rest == 2) wisp__row_float(part + 4, from + 4, shift);
    }
}

/* Eight bytes of a text, `keep` of them; what follows becomes 0. Returns no top bits: no NUL. */
static inline uint64_t wisp__row_word(uint8_t *to, const uint8_t *from, uint64_t keep) {
    uint64_t word = wisp__load64(from);
    wisp__store64(to, word & keep);
    word |= ~keep;
    return (word - WISP__EACH_BYTE) & ~word;
}

/* The texts; false: a NUL is in one. */
static bool wisp__rows_texts(const wisp__rows *r, const wisp__op *op, uint8_t *to) {
    int byte = (r->bit + op->bits + 7) / 8, each = r->each, size = op->each;
    uint64_t wrong = 0;
    for (int i = 0; i < r->rows; i++, to += each) {
        const uint8_t *from = r->at[i] + byte;
        int count = r->counts[i], at = 0;
        for (; at + 16 <= size; at += 16) {
            wrong |= wisp__row_word(to + at, from + at, wisp__keep_bytes(count - at));
            wrong |= wisp__row_word(to + at + 8, from + at + 8, wisp__keep_bytes(count - at - 8));
        }
        for (; at + 1 < size; at += 8) {
            int last = wisp__min_int(at, size - 8);
            wrong |= wisp__row_word(to + last, from + last, wisp__keep_bytes(count - last));
        }
    }
    return (wrong & WISP__EACH_BYTE << 7) == 0;
}

static bool wisp__rows_column(const wisp__rows *r, const wisp__op *op, uint8_t *to) {
    switch (op->quick) {
    case WISP__QUICK_U8:
    case WISP__QUICK_I8: return wisp__rows_ints(r, op, to, 1);
    case WISP__QUICK_U16:
    case WISP__QUICK_I16: return wisp__rows_ints(r, op, to, 2);
    case WISP__QUICK_U32:
    case WISP__QUICK_I32: return wisp__rows_ints(r, op, to, 4);
    case WISP__QUICK_64: return wisp__rows_ints(r, op, to, 8);
    case WISP__QUICK_FLOAT_STEPS: return wisp__rows_steps(r, op, to, false);
    case WISP__QUICK_DOUBLE_STEPS: return wisp__rows_steps(r, op, to, true);
    case WISP__QUICK_FLOATS: wisp__rows_floats(r, to, op->column_bits / 32); return true;
    default: return wisp__rows_texts(r, op, to);
    }
}

/* Finds the rows of a tile from `from` on; returns where they end. Stops before a row that may pass
   `end`, or whose text is too long, or empty. */
static const uint8_t *wisp__rows_find(wisp__rows *r, int head, const wisp__op *text,
                                      const uint8_t *from, const uint8_t *end) {
    int rows = 0, most = r->rows, bytes = (head + 7) / 8;
    int byte = text ? (head - text->bits) >> 3 : 0, shift = text ? (head - text->bits) & 7 : 0;
    uint64_t mask = text ? text->mask : 0;
    int longest = text ? text->max : 0;
    for (; rows < most && from <= end; rows++) {
        int count = (int)(wisp__load64(from + byte) >> shift & mask);
        if (count > longest || (text && !count)) break;
        r->at[rows] = from;
        r->counts[rows] = count;
        from += bytes + count;
    }
    r->rows = rows;
    return from;
}

/* Reads rows of an array in tiles; returns how many: what is left is for runs. */
static int wisp__read_tiles(wisp__unpacker *u, const wisp__op *array, uint8_t *image, int rows) {
    const wisp__op *first = array + 1, *end = first + array->columns;
    const wisp__op *text = end[-1].quick == WISP__QUICK_TEXT ? end - 1 : NULL;
    wisp__reader *data = u->data;
    wisp__rows r;
    int done = 0;
    r.each = array->each;
    while (done < rows && ((data->at | u->start) & 7) == 0) {
        const uint8_t *after;
        r.rows = wisp__min_int(WISP__TILE, rows - done);
        r.bit = 0;
        if ((data->end - data->at) >> 3 < first->run_bytes) return done;
        after = wisp__rows_find(&r, array->head, text, data->bytes + (data->at >> 3),
                                data->bytes + (data->end >> 3) - first->run_bytes);
        for (const wisp__op *op = first; op < end; op += op->columns) {
            if (!wisp__rows_column(&r, op, image + op->offset)) return done;
            r.bit += op->column_bits;
        }
        if (!r.rows) return done;
        data->at = (after - data->bytes) * 8;
        done += r.rows;
        image += (ptrdiff_t)r.rows * r.each;
    }
    return done;
}

typedef void (*wisp__read_fn)(wisp__unpacker *u, const wisp__op *ops, int at, int end,
                              uint8_t *image);

static void wisp__read_array(wisp__unpacker *u, const wisp__op *ops, int at, uint8_t *image,
                             wisp__read_fn read) {
    const wisp__op *op = &ops[at];
    uint8_t *items = image + op->offset;
    wisp__place place;
    int count = op->max, done = 0;
    if (!(op->flags & WISP__OP_FIXED)) count = (int)wisp__get(u->data, op->bits);
    if (count > op->max) wisp__unpack_fail(u, WISP_E_INVALID);
    if (count > u->values) wisp__unpack_fail(u, WISP_E_LIMIT);
    if (u->data->failed) return;
    u->values -= count;
    if (op->count_bytes)
        wisp__store_int(image + op->count_offset, op->count_bytes, (uint64_t)count);
    if (op->flags & WISP__OP_ELSEWHERE) {
        size_t bytes = (size_t)count * (size_t)op->each;
        u->room -= (int64_t)bytes;
        if (u->room < 0) wisp__unpack_fail(u, WISP_E_LIMIT);
        else items = (uint8_t *)wisp__unpack_take(u, bytes + 1);
        if (u->data->failed || !items) return;
        memset(items, 0, bytes);
        place.at = items;
        place.count = count;
        memcpy(image + op->offset, &place, sizeof place);
    }
    if (op->head) done = wisp__read_tiles(u, op, items, count);
    if (ops[at + 1].run == op->end)
        done += wisp__read_rows(u, &ops[at + 1], ops + op->end,
                                items + (ptrdiff_t)done * op->each, count - done, op->each);
    items += (ptrdiff_t)done * op->each;
    for (int i = done; i < count && !u->data->failed; i++, items += op->each)
        read(u, ops, at + 1, op->end, items);
}

static void wisp__read_union(wisp__unpacker *u, const wisp__op *ops, int at, uint8_t *image,
                             wisp__read_fn read) {
    const wisp__op *op = &ops[at];
    int index = (int)wisp__get(u->data, op->bits), option;
    if (index >= op->max) wisp__unpack_fail(u, WISP_E_INVALID);
    if (u->data->failed) return;
    option = wisp__option_at(ops, at, index);
    wisp__store_int(image + op->count_offset, op->count_bytes, (uint64_t)index);
    read(u, ops, option + 1, ops[option].end, image);
}

static void wisp__read_ops(wisp__unpacker *u, const wisp__op *ops, int at, int end,
                           uint8_t *image) {
    for (; at < end && !u->data->failed; at = ops[at].end) {
        const wisp__op *op = &ops[at];
        uint8_t *to = image + op->offset;
        if (op->run && wisp__read_rows(u, op, ops + op->run, image, 1, 0)) {
            at = op->run - 1;
            continue;
        }
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_LONG: wisp__read_int(u, op, to); break;
        case WISP__OP_FLOATS: wisp__read_floats(u, op, to); break;
        case WISP__OP_DOUBLE:
        case WISP__OP_NUMBER: wisp__read_number(u, op, to); break;
        case WISP__OP_QUANTIZED: wisp__read_quantized(u, op, to); break;
        case WISP__OP_QUAT: wisp__read_quat(u->data, op, to); break;
        case WISP__OP_COLOR: wisp__read_color(u->data, op, to); break;
        case WISP__OP_TEXT:
        case WISP__OP_BYTES:
        case WISP__OP_PLACE: wisp__read_blob(u, op, image); break;
        case WISP__OP_ANY: wisp__read_any(u, op, to); break;
        case WISP__OP_LITERAL:
            if (op->each > 0)
                memcpy(to, op->type->of, strlen((const char *)op->type->of) + 1);
            break;
        case WISP__OP_ARRAY: wisp__read_array(u, ops, at, image, wisp__read_ops); break;
        case WISP__OP_UNION: wisp__read_union(u, ops, at, image, wisp__read_ops); break;
        default:
            if (wisp__get(u->data, 1)) {
                if (op->code == WISP__OP_MAYBE) image[op->count_offset] = 1;
                wisp__read_ops(u, ops, at + 1, op->end, image);
            } else if (op->code == WISP__OP_OPTIONAL) {
                wisp__read_fallback(op, image);
            }
            break;
        }
    }
}

/* Reads a record where u->data stands into an image of program->schema->bytes that is all zero.
   WISP_OK, WISP_E_INVALID (when u->data has not failed, it stands at the record's end all the
   same), WISP_E_BAD_PACKET, WISP_E_LIMIT or WISP_E_MEMORY. */
static wisp_result wisp__record_read(wisp__unpacker *u, const wisp__program *program,
                                     void *image) {
    wisp__reader shape = wisp__reader_on(NULL, 0);
    wisp__reader *before = u->shape;
    u->start = u->data->at;
    u->result = WISP_OK;
    u->shape = &shape;                       /* fails together with the data */
    wisp__read_ops(u, program->ops, 0, program->count, (uint8_t *)image);
    u->shape = before;
    if (!u->data->failed || u->result) return u->result;
    return WISP_E_BAD_PACKET;
}

/* ===========================================================================
 * MARK: >>codec
 * What: codecs used alone, without an endpoint; the bit-packed one.
 * Invariants: what goes into a codec and what comes out of it fits the schema.
 *   Everything that is decoded lives in the memory that was given.
 * ======================================================================== */

/* A base that has nothing but the default limits of a message. */
static void *wisp__no_alloc(void *user, size_t size) {
    (void)user;
    (void)size;
    return NULL;
}

static void wisp__base_alone(wisp__base *base) {
    memset(base, 0, sizeof *base);
    base->memory.alloc = wisp__no_alloc;
    base->limits.message_bytes = WISP__MESSAGE_BYTES;
    base->limits.message_values = WISP__MESSAGE_VALUES;
    base->limits.map_pairs = WISP__MAP_PAIRS;
    base->limits.nesting = WISP__NESTING;
}

/* An arena of one block in the memory of a bump, all that is left of it. */
static wisp__arena wisp__arena_in(wisp__bump *memory) {
    wisp__arena arena = { NULL, NULL };
    wisp__arena_block *block;
    size_t skip = (size_t)(-(uintptr_t)memory->at & 15);
    if (!memory->at || memory->left < skip + WISP__ARENA_HEAD) return arena;
    block = (wisp__arena_block *)(void *)(memory->at + skip);
    block->next = NULL;
    block->used = 0;
    block->bytes = (memory->left - skip - WISP__ARENA_HEAD) & ~(size_t)15;
    arena.first = arena.current = block;
    return arena;
}

static void *wisp__supply_arena(void *owner, size_t size) {
    wisp__unpacker *u = (wisp__unpacker *)owner;
    return wisp__arena_take(u->base, u->arena, size);
}

static wisp__supply wisp__supply_of(wisp__unpacker *u) {
    wisp__supply supply = { wisp__supply_arena, NULL };
    supply.owner = u;
    return supply;
}

/* Programs that were not compiled before are compiled for one use. */
enum { WISP__COMPILED_BYTES = 24 << 10 };

/* The program of a schema; NULL with the reason. */
static const wisp__program *wisp__program_of(const wisp_schema *schema, wisp__bump *memory,
                                             wisp_result *why) {
    const wisp__program *program;
    if (schema->program) return schema->program;
    *why = wisp__schema_check(schema, NULL, 0, NULL);
    if (*why) return NULL;
    program = wisp__compile(memory, schema);
    *why = program ? WISP_OK : WISP_E_MEMORY;
    return program;
}

/* The image of a value: the struct itself, or made of a map. NULL with the reason. */
static const void *wisp__image_of(const wisp__program *program, const wisp_value *value,
                                  wisp__supply *supply, bool lenient, wisp_result *why) {
    const wisp_schema *schema = program->schema;
    wisp__fitting f = wisp__fitting_on(NULL, 0, supply);
    void *image;
    if (value->kind == WISP_STRUCT && schema->shape == WISP_SHAPE_STRUCT &&
        (value->as.structure.schema == program->source ||
         value->as.structure.schema == schema ||
         value->as.structure.schema->fields == schema->fields))
        return value->as.structure.data;
    *why = WISP_E_MEMORY;
    image = supply->take(supply->owner, (size_t)schema->bytes);
    if (!image) return NULL;
    memset(image, 0, (size_t)schema->bytes);
    f.lenient = lenient;
    *why = wisp__fit_schema(&f, schema, value, image);
    return *why ? NULL : image;
}

/* --- values of images --- */

/* Fields of a struct that are asked for one by one. */
typedef struct wisp__lazy {
    wisp__fields fields;
    wisp__supply supply;
    wisp__bump   bump;               /* what the supply is, when there is no endpoint */
} wisp__lazy;

static wisp_result wisp__lazy_make(wisp__fields *fields, const wisp_value *from, wisp_value *out) {
    return wisp__as_map(&((wisp__lazy *)fields->owner)->supply, from, out);
}

/* The value of an image: a struct whose fields can be asked for as long as the supply's memory
   lives, or a map, or an array of a row. */
static wisp_result wisp__image_value(const wisp_schema *schema, const void *image,
                                     wisp__supply *supply, wisp_value *out) {
    wisp_value value = wisp_struct(schema, image);
    size_t fields = (size_t)schema->count;
    wisp__lazy *lazy;
    if (schema->shape != WISP_SHAPE_STRUCT) return wisp__as_map(supply, &value, out);
    lazy = (wisp__lazy *)supply->take(supply->owner, sizeof *lazy);
    if (!lazy) return WISP_E_MEMORY;
    lazy->fields.values = (wisp_value *)supply->take(supply->owner,
                                                     fields * sizeof *lazy->fields.values);
    lazy->fields.made = (bool *)supply->take(supply->owner, fields * sizeof(bool));
    if (!lazy->fields.values || !lazy->fields.made) return WISP_E_MEMORY;
    memset(lazy->fields.made, 0, fields * sizeof(bool));
    lazy->supply = *supply;
    lazy->fields.make = wisp__lazy_make;
    lazy->fields.owner = lazy;
    value.as.structure.view = &lazy->fields;
    *out = value;
    return WISP_OK;
}

/* A struct that was decoded alone takes what its fields need from the rest of the memory. */
static void wisp__image_alone(wisp_value *value, const wisp__arena *arena) {
    wisp__fields *fields;
    wisp__lazy *lazy;
    if (value->kind != WISP_STRUCT) return;
    fields = (wisp__fields *)value->as.structure.view;
    lazy = (wisp__lazy *)fields->owner;
    lazy->bump = wisp__bump_on((char *)arena->current + WISP__ARENA_HEAD + arena->current->used,
                               (int)(arena->current->bytes - arena->current->used));
    lazy->supply = wisp__supply_of_bump(&lazy->bump);
}

/* --- the bit-packed codec --- */

static int wisp__bitpack_record(wisp__base *base, const wisp_schema *schema,
                                const wisp_value *value, wisp__bump bump, void *out,
                                int capacity) {
    wisp__supply supply = wisp__supply_of_bump(&bump);
    wisp_result why = WISP_OK;
    const wisp__program *program = wisp__program_of(schema, &bump, &why);
    const void *image = program ? wisp__image_of(program, value, &supply, false, &why) : NULL;
    int64_t bits = image ? wisp__record_write(base, program, image, out, capacity) : why;
    return bits < 0 ? (int)bits : (int)((bits + 7) / 8);
}

static int wisp__bitpack_encode(const wisp_codec *codec, const wisp_schema *schema,
                                const wisp_value *value, void *out, int capacity) {
    uint64_t memory[WISP__COMPILED_BYTES / 8];
    wisp__base base;
    int half = capacity / 2, bytes;
    (void)codec;
    wisp__base_alone(&base);
    if (!schema) return wisp__pack_into(&base, value, 1, (uint8_t *)out, capacity);
    bytes = wisp__bitpack_record(&base, schema, value, wisp__bump_on(memory, (int)sizeof memory),
                                 out, capacity);
    if (bytes != WISP_E_MEMORY || !half) return bytes;
    return wisp__bitpack_record(&base, schema, value,
                                wisp__bump_on((uint8_t *)out + half, capacity - half), out, half);
}

/* A value that describes itself. */
static int wisp__bitpack_decode_plain(wisp__unpacker *u, wisp_value *out) {
    wisp__reader shape = *u->data;
    const wisp_value *values;
    int count;
    wisp_result result;
    u->shape = &shape;
    wisp__skip_shape(u->data);
    if (u->data->failed) return WISP_E_BAD_PACKET;
    result = wisp__unpack(u, &values, &count);
    if (result) return result;
    if (count != 1) return WISP_E_BAD_PACKET;
    *out = values[0];
    return (int)((u->data->at + 7) / 8);
}

static int wisp__bitpack_decode(const wisp_codec *codec, const wisp_schema *schema,
                                const void *bytes, int size, wisp_value *out, void *memory,
                                int memory_size) {
    wisp__bump bump = wisp__bump_on(memory, memory_size);
    wisp__reader data = wisp__reader_on(bytes, size);
    const wisp__program *program;
    wisp__arena arena;
    wisp__base base;
    wisp__unpacker u;
    wisp__supply supply;
    wisp_result result = WISP_OK;
    void *image;
    (void)codec;
    wisp__base_alone(&base);
    memset(&u, 0, sizeof u);
    u.base = &base;
    u.arena = &arena;
    u.data = &data;
    u.values = base.limits.message_values;
    u.room = INT32_MAX;
    program = schema ? wisp__program_of(schema, &bump, &result) : NULL;
    if (schema && !program) return result;
    arena = wisp__arena_in(&bump);
    if (!schema) return wisp__bitpack_decode_plain(&u, out);
    image = wisp__arena_take(&base, &arena, (size_t)program->schema->bytes);
    if (!image) return WISP_E_MEMORY;
    memset(image, 0, (size_t)program->schema->bytes);
    result = wisp__record_read(&u, program, image);
    supply = wisp__supply_of(&u);
    if (result == WISP_OK) result = wisp__image_value(program->schema, image, &supply, out);
    if (result) return result;
    wisp__image_alone(out, &arena);
    return (int)((data.at + 7) / 8);
}

const wisp_codec *wisp_bitpack(void) {
    static const wisp_codec codec = { "bitpack", wisp__bitpack_encode, wisp__bitpack_decode, NULL };
    return &codec;
}

/* --- any codec --- */

int wisp_encode(const wisp_codec *codec, const wisp_schema *schema, const wisp_value *value,
                void *out, int capacity) {
    wisp_result result = WISP_OK;
    if (!codec || !value || capacity < 0 || (capacity && !out)) return WISP_E_ARGUMENT;
    if (schema && codec != wisp_bitpack()) {
        result = schema->program ? WISP_OK : wisp__schema_check(schema, NULL, 0, NULL);
        if (result == WISP_OK) result = wisp_validate(schema, value, NULL, 0);
    }
    return result ? result : codec->encode(codec, schema, value, out, capacity);
}

/* What a codec has decoded becomes what the schema says. */
static wisp_result wisp__conform(const wisp__program *program, wisp__supply *supply,
                                 const wisp_value *decoded, wisp_value *out) {
    wisp_result result = WISP_OK;
    const void *image = wisp__image_of(program, decoded, supply, true, &result);
    return image ? wisp__image_value(program->schema, image, supply, out) : result;
}

int wisp_decode(const wisp_codec *codec, const wisp_schema *schema, const void *bytes, int size,
                wisp_value *out, void *memory, int memory_size) {
    wisp__bump bump = wisp__bump_on(memory, memory_size);
    wisp__supply supply;
    const wisp__program *program;
    wisp_result result = WISP_OK;
    wisp_value decoded;
    wisp__base base;
    wisp__unpacker u;
    wisp__arena arena;
    int half, read;
    if (!codec || !out || size < 0 || (size && !bytes) || memory_size < 0) return WISP_E_ARGUMENT;
    if (!schema || codec == wisp_bitpack())
        return codec->decode(codec, schema, bytes, size, out, memory, memory_size);
    program = wisp__program_of(schema, &bump, &result);
    if (!program) return result;
    half = (int)(bump.left / 2);
    read = codec->decode(codec, schema, bytes, size, &decoded, bump.at, half);
    if (read < 0) return read;
    bump.at += half & ~7;
    bump.left -= (size_t)(half & ~7);
    wisp__base_alone(&base);
    arena = wisp__arena_in(&bump);
    memset(&u, 0, sizeof u);
    u.base = &base;
    u.arena = &arena;
    supply = wisp__supply_of(&u);
    result = wisp__conform(program, &supply, &decoded, out);
    if (result) return result;
    wisp__image_alone(out, &arena);
    return read;
}

/* ===========================================================================
 * MARK: >>engine
 * What: schemas of the plain data types of the Roblox engine, in one table.
 * Invariants: nothing here is written to; a type stands after those it is made
 *   of. Fields, names of enums and the order of both are the wire form: a change
 *   takes a new version of the schema.
 * Not here: types that are handles, queries or generators of the engine's own
 *   (Instance, RaycastParams, Random, ...).
 * ======================================================================== */

/* Over every float but infinity, also after JSON: for what only has a lower bound. */
#define WISP__FINITE 3.5e38

/* --- vectors: kinds of value too, here as structs --- */

static const wisp_field wisp__vector2_fields[] = {
    WISP_FIELD(wisp_vec2, x, WISP_T_NUMBER),
    WISP_FIELD(wisp_vec2, y, WISP_T_NUMBER),
};
static const wisp_schema wisp__vector2_schema = WISP_SCHEMA(wisp_vec2, 1, wisp__vector2_fields);

static const wisp_field wisp__vector3_fields[] = {
    WISP_FIELD(wisp_vec3, x, WISP_T_NUMBER),
    WISP_FIELD(wisp_vec3, y, WISP_T_NUMBER),
    WISP_FIELD(wisp_vec3, z, WISP_T_NUMBER),
};
static const wisp_schema wisp__vector3_schema = WISP_SCHEMA(wisp_vec3, 1, wisp__vector3_fields);

static const wisp_field wisp__cframe_fields[] = {
    WISP_FIELD(wisp_cframe, position, WISP_T_VEC3),
    WISP_FIELD(wisp_cframe, rotation, WISP_T_QUAT(0)),
};
static const wisp_schema wisp__cframe_schema = WISP_SCHEMA(wisp_cframe, 1, wisp__cframe_fields);

static const wisp_field wisp__color3_fields[] = {
    WISP_FIELD(wisp_color, r, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_FIELD(wisp_color, g, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_FIELD(wisp_color, b, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_OPTIONAL_FIELD(wisp_color, a, WISP_T_NUMBER_RANGE(0, 1), 1),
};
static const wisp_schema wisp__color3_schema = WISP_SCHEMA(wisp_color, 1, wisp__color3_fields);

static const wisp_field wisp__vector2_int16_fields[] = {
    WISP_FIELD(wisp_vector2_int16, x, WISP_T_INTEGER),
    WISP_FIELD(wisp_vector2_int16, y, WISP_T_INTEGER),
};
static const wisp_schema wisp__vector2_int16_schema =
    WISP_SCHEMA(wisp_vector2_int16, 1, wisp__vector2_int16_fields);

static const wisp_field wisp__vector3_int16_fields[] = {
    WISP_FIELD(wisp_vector3_int16, x, WISP_T_INTEGER),
    WISP_FIELD(wisp_vector3_int16, y, WISP_T_INTEGER),
    WISP_FIELD(wisp_vector3_int16, z, WISP_T_INTEGER),
};
static const wisp_schema wisp__vector3_int16_schema =
    WISP_SCHEMA(wisp_vector3_int16, 1, wisp__vector3_int16_fields);

/* --- lengths on a screen, areas and volumes --- */

static const wisp_field wisp__udim_fields[] = {
    WISP_FIELD(wisp_udim, scale, WISP_T_NUMBER),
    WISP_FIELD(wisp_udim, offset, WISP_T_INTEGER),
};
static const wisp_schema wisp__udim_schema = WISP_SCHEMA(wisp_udim, 1, wisp__udim_fields);

static const wisp_field wisp__udim2_fields[] = {
    WISP_FIELD(wisp_udim2, x, WISP_T_STRUCT(&wisp__udim_schema)),
    WISP_FIELD(wisp_udim2, y, WISP_T_STRUCT(&wisp__udim_schema)),
};
static const wisp_schema wisp__udim2_schema = WISP_SCHEMA(wisp_udim2, 1, wisp__udim2_fields);

static const wisp_field wisp__rect_fields[] = {
    WISP_FIELD(wisp_rect, min, WISP_T_VEC2),
    WISP_FIELD(wisp_rect, max, WISP_T_VEC2),
};
static const wisp_schema wisp__rect_schema = WISP_SCHEMA(wisp_rect, 1, wisp__rect_fields);

static const wisp_field wisp__ray_fields[] = {
    WISP_FIELD(wisp_ray, origin, WISP_T_VEC3),
    WISP_FIELD(wisp_ray, direction, WISP_T_VEC3),
};
static const wisp_schema wisp__ray_schema = WISP_SCHEMA(wisp_ray, 1, wisp__ray_fields);

static const wisp_field wisp__region3_fields[] = {
    WISP_FIELD(wisp_region3, min, WISP_T_VEC3),
    WISP_FIELD(wisp_region3, max, WISP_T_VEC3),
};
static const wisp_schema wisp__region3_schema = WISP_SCHEMA(wisp_region3, 1, wisp__region3_fields);

static const wisp_field wisp__region3_int16_fields[] = {
    WISP_FIELD(wisp_region3_int16, min, WISP_T_STRUCT(&wisp__vector3_int16_schema)),
    WISP_FIELD(wisp_region3_int16, max, WISP_T_STRUCT(&wisp__vector3_int16_schema)),
};
static const wisp_schema wisp__region3_int16_schema =
    WISP_SCHEMA(wisp_region3_int16, 1, wisp__region3_int16_fields);

static const wisp_field wisp__axes_fields[] = {
    WISP_FIELD(wisp_axes, x, WISP_T_BOOL),
    WISP_FIELD(wisp_axes, y, WISP_T_BOOL),
    WISP_FIELD(wisp_axes, z, WISP_T_BOOL),
};
static const wisp_schema wisp__axes_schema = WISP_SCHEMA(wisp_axes, 1, wisp__axes_fields);

/* In the order of the engine's NormalId. */
static const wisp_field wisp__faces_fields[] = {
    WISP_FIELD(wisp_faces, right, WISP_T_BOOL),
    WISP_FIELD(wisp_faces, top, WISP_T_BOOL),
    WISP_FIELD(wisp_faces, back, WISP_T_BOOL),
    WISP_FIELD(wisp_faces, left, WISP_T_BOOL),
    WISP_FIELD(wisp_faces, bottom, WISP_T_BOOL),
    WISP_FIELD(wisp_faces, front, WISP_T_BOOL),
};
static const wisp_schema wisp__faces_schema = WISP_SCHEMA(wisp_faces, 1, wisp__faces_fields);

/* --- ranges and sequences --- */

static const wisp_field wisp__number_range_fields[] = {
    WISP_FIELD(wisp_number_range, min, WISP_T_NUMBER),
    WISP_FIELD(wisp_number_range, max, WISP_T_NUMBER),
};
static const wisp_schema wisp__number_range_schema =
    WISP_SCHEMA(wisp_number_range, 1, wisp__number_range_fields);

static const wisp_field wisp__number_keypoint_fields[] = {
    WISP_FIELD(wisp_number_keypoint, time, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_FIELD(wisp_number_keypoint, value, WISP_T_NUMBER),
    WISP_OPTIONAL_FIELD(wisp_number_keypoint, envelope, WISP_T_NUMBER_RANGE(0, WISP__FINITE), 0),
};
static const wisp_schema wisp__number_keypoint_schema =
    WISP_SCHEMA(wisp_number_keypoint, 1, wisp__number_keypoint_fields);
static const wisp_type wisp__number_keypoint = WISP_T_STRUCT(&wisp__number_keypoint_schema);

static const wisp_field wisp__number_sequence_fields[] = {
    WISP_COUNTED_FIELD(wisp_number_sequence, keypoints, count,
                       WISP_T_ARRAY(&wisp__number_keypoint, WISP_KEYPOINTS_MAX)),
};
static const wisp_schema wisp__number_sequence_schema =
    WISP_SCHEMA(wisp_number_sequence, 1, wisp__number_sequence_fields);

static const wisp_field wisp__color_keypoint_fields[] = {
    WISP_FIELD(wisp_color_keypoint, time, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_FIELD(wisp_color_keypoint, value, WISP_T_COLOR),
};
static const wisp_schema wisp__color_keypoint_schema =
    WISP_SCHEMA(wisp_color_keypoint, 1, wisp__color_keypoint_fields);
static const wisp_type wisp__color_keypoint = WISP_T_STRUCT(&wisp__color_keypoint_schema);

static const wisp_field wisp__color_sequence_fields[] = {
    WISP_COUNTED_FIELD(wisp_color_sequence, keypoints, count,
                       WISP_T_ARRAY(&wisp__color_keypoint, WISP_KEYPOINTS_MAX)),
};
static const wisp_schema wisp__color_sequence_schema =
    WISP_SCHEMA(wisp_color_sequence, 1, wisp__color_sequence_fields);

/* --- numbers with a meaning --- */

static const wisp_field wisp__brick_color_fields[] = {
    WISP_FIELD(wisp_brick_color, number, WISP_T_RANGE(1, 1032)),
};
static const wisp_schema wisp__brick_color_schema =
    WISP_SCHEMA(wisp_brick_color, 1, wisp__brick_color_fields);

static const wisp_field wisp__date_time_fields[] = {
    WISP_FIELD(wisp_date_time, milliseconds,
               WISP_T_RANGE(INT64_C(-17987443200000), INT64_C(253402300799999))),
};
static const wisp_schema wisp__date_time_schema =
    WISP_SCHEMA(wisp_date_time, 1, wisp__date_time_fields);

static const wisp_field wisp__enum_item_fields[] = {
    WISP_FIELD(wisp_enum_item, type, WISP_T_STRING(64)),
    WISP_FIELD(wisp_enum_item, name, WISP_T_STRING(64)),
    WISP_FIELD(wisp_enum_item, value, WISP_T_INTEGER),
};
static const wisp_schema wisp__enum_item_schema =
    WISP_SCHEMA(wisp_enum_item, 1, wisp__enum_item_fields);

/* --- settings of tweens, parts, texts and paths --- */

static const char *const wisp__easing_styles[] = {
    "Linear", "Sine", "Back", "Quad", "Quart", "Quint", "Bounce", "Elastic", "Exponential",
    "Circular", "Cubic",
};
static const char *const wisp__easing_directions[] = { "In", "Out", "InOut" };

static const wisp_field wisp__tween_info_fields[] = {
    WISP_OPTIONAL_FIELD(wisp_tween_info, time, WISP_T_NUMBER, 1),
    WISP_OPTIONAL_FIELD(wisp_tween_info, easing_style, WISP_T_ENUM(wisp__easing_styles, 11),
                        WISP_EASING_QUAD),
    WISP_OPTIONAL_FIELD(wisp_tween_info, easing_direction, WISP_T_ENUM(wisp__easing_directions, 3),
                        WISP_EASING_OUT),
    WISP_OPTIONAL_FIELD(wisp_tween_info, repeat_count, WISP_T_RANGE(-1, INT32_MAX), 0),
    WISP_OPTIONAL_FIELD(wisp_tween_info, reverses, WISP_T_BOOL, false),
    WISP_OPTIONAL_FIELD(wisp_tween_info, delay_time, WISP_T_NUMBER, 0),
};
static const wisp_schema wisp__tween_info_schema =
    WISP_SCHEMA(wisp_tween_info, 1, wisp__tween_info_fields);

/* The least density is the float that is next to 0.0001; it lies below. */
static const wisp_field wisp__physical_properties_fields[] = {
    WISP_FIELD(wisp_physical_properties, density, WISP_T_NUMBER_RANGE(9.999999747378752e-05, 100)),
    WISP_FIELD(wisp_physical_properties, friction, WISP_T_NUMBER_RANGE(0, 2)),
    WISP_FIELD(wisp_physical_properties, elasticity, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_OPTIONAL_FIELD(wisp_physical_properties, friction_weight, WISP_T_NUMBER_RANGE(0, 100), 1),
    WISP_OPTIONAL_FIELD(wisp_physical_properties, elasticity_weight, WISP_T_NUMBER_RANGE(0, 100),
                        1),
    WISP_OPTIONAL_FIELD(wisp_physical_properties, acoustic_absorption, WISP_T_NUMBER_RANGE(0, 1),
                        1),
};
static const wisp_schema wisp__physical_properties_schema =
    WISP_SCHEMA(wisp_physical_properties, 1, wisp__physical_properties_fields);

static const char *const wisp__font_weights[] = {
    "Thin", "ExtraLight", "Light", "Regular", "Medium", "SemiBold", "Bold", "ExtraBold", "Heavy",
};
static const char *const wisp__font_styles[] = { "Normal", "Italic" };

static const wisp_field wisp__font_fields[] = {
    WISP_FIELD(wisp_font, family, WISP_T_STRING(255)),
    WISP_OPTIONAL_FIELD(wisp_font, weight, WISP_T_ENUM(wisp__font_weights, 9), WISP_FONT_REGULAR),
    WISP_OPTIONAL_FIELD(wisp_font, style, WISP_T_ENUM(wisp__font_styles, 2), WISP_FONT_NORMAL),
};
static const wisp_schema wisp__font_schema = WISP_SCHEMA(wisp_font, 1, wisp__font_fields);

/* "" is nothing, as in the engine: an option of its own, which takes no bits. */
static const wisp_type wisp__content_options[] = {
    WISP_T_LITERAL_TEXT(""), WISP_T_STRING(255), WISP_T_OBJECT,
};
static const wisp_field wisp__content_fields[] = {
    WISP_UNION_FIELD(wisp_content, as, source, WISP_T_UNION(wisp__content_options, 3)),
};
static const wisp_schema wisp__content_schema = WISP_SCHEMA(wisp_content, 1, wisp__content_fields);

static const char *const wisp__waypoint_actions[] = { "Walk", "Jump", "Custom" };

static const wisp_field wisp__path_waypoint_fields[] = {
    WISP_FIELD(wisp_path_waypoint, position, WISP_T_VEC3),
    WISP_OPTIONAL_FIELD(wisp_path_waypoint, action, WISP_T_ENUM(wisp__waypoint_actions, 3),
                        WISP_WAYPOINT_WALK),
    WISP_OPTIONAL_TEXT_FIELD(wisp_path_waypoint, label, WISP_T_STRING(64), ""),
};
static const wisp_schema wisp__path_waypoint_schema =
    WISP_SCHEMA(wisp_path_waypoint, 1, wisp__path_waypoint_fields);

static const wisp_field wisp__path2d_control_point_fields[] = {
    WISP_FIELD(wisp_path2d_control_point, position, WISP_T_STRUCT(&wisp__udim2_schema)),
    WISP_FIELD(wisp_path2d_control_point, left_tangent, WISP_T_STRUCT(&wisp__udim2_schema)),
    WISP_FIELD(wisp_path2d_control_point, right_tangent, WISP_T_STRUCT(&wisp__udim2_schema)),
};
static const wisp_schema wisp__path2d_control_point_schema =
    WISP_SCHEMA(wisp_path2d_control_point, 1, wisp__path2d_control_point_fields);

static const wisp_field wisp__raycast_result_fields[] = {
    WISP_FIELD(wisp_raycast_result, instance, WISP_T_OBJECT),
    WISP_FIELD(wisp_raycast_result, position, WISP_T_VEC3),
    WISP_FIELD(wisp_raycast_result, normal, WISP_T_VEC3),
    WISP_FIELD(wisp_raycast_result, distance, WISP_T_NUMBER_RANGE(0, WISP__FINITE)),
    WISP_FIELD(wisp_raycast_result, material, WISP_T_UINT),
};
static const wisp_schema wisp__raycast_result_schema =
    WISP_SCHEMA(wisp_raycast_result, 1, wisp__raycast_result_fields);

/* --- keys of animation curves: alike but for their values --- */

static const char *const wisp__curve_interpolations[] = { "Constant", "Linear", "Cubic" };

static const wisp_field wisp__float_curve_key_fields[] = {
    WISP_FIELD(wisp_float_curve_key, time, WISP_T_NUMBER),
    WISP_FIELD(wisp_float_curve_key, value, WISP_T_NUMBER),
    WISP_FIELD(wisp_float_curve_key, interpolation, WISP_T_ENUM(wisp__curve_interpolations, 3)),
    WISP_OPTIONAL_FIELD(wisp_float_curve_key, left_tangent, WISP_T_NUMBER, 0),
    WISP_OPTIONAL_FIELD(wisp_float_curve_key, right_tangent, WISP_T_NUMBER, 0),
};
static const wisp_schema wisp__float_curve_key_schema =
    WISP_SCHEMA(wisp_float_curve_key, 1, wisp__float_curve_key_fields);

static const wisp_field wisp__rotation_curve_key_fields[] = {
    WISP_FIELD(wisp_rotation_curve_key, time, WISP_T_NUMBER),
    WISP_FIELD(wisp_rotation_curve_key, value, WISP_T_TRANSFORM),
    WISP_FIELD(wisp_rotation_curve_key, interpolation, WISP_T_ENUM(wisp__curve_interpolations, 3)),
    WISP_OPTIONAL_FIELD(wisp_rotation_curve_key, left_tangent, WISP_T_NUMBER, 0),
    WISP_OPTIONAL_FIELD(wisp_rotation_curve_key, right_tangent, WISP_T_NUMBER, 0),
};
static const wisp_schema wisp__rotation_curve_key_schema =
    WISP_SCHEMA(wisp_rotation_curve_key, 1, wisp__rotation_curve_key_fields);

static const wisp_field wisp__value_curve_key_fields[] = {
    WISP_FIELD(wisp_value_curve_key, time, WISP_T_NUMBER),
    WISP_FIELD(wisp_value_curve_key, value, WISP_T_ANY),
    WISP_FIELD(wisp_value_curve_key, interpolation, WISP_T_ENUM(wisp__curve_interpolations, 3)),
    WISP_OPTIONAL_FIELD(wisp_value_curve_key, left_tangent, WISP_T_NUMBER, 0),
    WISP_OPTIONAL_FIELD(wisp_value_curve_key, right_tangent, WISP_T_NUMBER, 0),
};
static const wisp_schema wisp__value_curve_key_schema =
    WISP_SCHEMA(wisp_value_curve_key, 1, wisp__value_curve_key_fields);

/* --- the table --- */

static const wisp_engine_type wisp__engine_table[] = {
    { "Axes", &wisp__axes_schema },
    { "BrickColor", &wisp__brick_color_schema },
    { "CFrame", &wisp__cframe_schema },
    { "Color3", &wisp__color3_schema },
    { "ColorSequence", &wisp__color_sequence_schema },
    { "ColorSequenceKeypoint", &wisp__color_keypoint_schema },
    { "Content", &wisp__content_schema },
    { "DateTime", &wisp__date_time_schema },
    { "EnumItem", &wisp__enum_item_schema },
    { "Faces", &wisp__faces_schema },
    { "FloatCurveKey", &wisp__float_curve_key_schema },
    { "Font", &wisp__font_schema },
    { "NumberRange", &wisp__number_range_schema },
    { "NumberSequence", &wisp__number_sequence_schema },
    { "NumberSequenceKeypoint", &wisp__number_keypoint_schema },
    { "Path2DControlPoint", &wisp__path2d_control_point_schema },
    { "PathWaypoint", &wisp__path_waypoint_schema },
    { "PhysicalProperties", &wisp__physical_properties_schema },
    { "Ray", &wisp__ray_schema },
    { "RaycastResult", &wisp__raycast_result_schema },
    { "Rect", &wisp__rect_schema },
    { "Region3", &wisp__region3_schema },
    { "Region3int16", &wisp__region3_int16_schema },
    { "RotationCurveKey", &wisp__rotation_curve_key_schema },
    { "TweenInfo", &wisp__tween_info_schema },
    { "UDim", &wisp__udim_schema },
    { "UDim2", &wisp__udim2_schema },
    { "ValueCurveKey", &wisp__value_curve_key_schema },
    { "Vector2", &wisp__vector2_schema },
    { "Vector2int16", &wisp__vector2_int16_schema },
    { "Vector3", &wisp__vector3_schema },
    { "Vector3int16", &wisp__vector3_int16_schema },
};

const wisp_engine_type *wisp_engine_types(int *count) {
    if (count) *count = WISP__LENGTH(wisp__engine_table);
    return wisp__engine_table;
}

const wisp_schema *wisp_engine_schema(const char *name) {
    for (int i = 0; name && i < WISP__LENGTH(wisp__engine_table); i++)
        if (strcmp(wisp__engine_table[i].name, name) == 0) return wisp__engine_table[i].schema;
    return NULL;
}

/* --- the palette of BrickColor, by number; colors as 0xrrggbb --- */

typedef struct wisp__brick {
    uint16_t number;
    uint32_t rgb;
} wisp__brick;

static const wisp__brick wisp__palette[] = {
    { 1, 0xf2f3f3 }, { 2, 0xa1a5a2 }, { 3, 0xf9e999 }, { 5, 0xd7c59a }, { 6, 0xc2dab8 },
    { 9, 0xe8bac8 }, { 11, 0x80bbdb }, { 12, 0xcb8442 }, { 18, 0xcc8e69 }, { 21, 0xc4281c },
    { 22, 0xc470a0 }, { 23, 0x0d69ac }, { 24, 0xf5cd30 }, { 25, 0x624732 }, { 26, 0x1b2a35 },
    { 27, 0x6d6e6c }, { 28, 0x287f47 }, { 29, 0xa1c48c }, { 36, 0xf3cf9b }, { 37, 0x4b974b },
    { 38, 0xa05f35 }, { 39, 0xc1cade }, { 40, 0xececec }, { 41, 0xcd544b }, { 42, 0xc1dff0 },
    { 43, 0x7bb6e8 }, { 44, 0xf7f18d }, { 45, 0xb4d2e4 }, { 47, 0xd9856c }, { 48, 0x84b68d },
    { 49, 0xf8f184 }, { 50, 0xece8de }, { 100, 0xeec4b6 }, { 101, 0xda867a },
    { 102, 0x6e99ca }, { 103, 0xc7c1b7 }, { 104, 0x6b327c }, { 105, 0xe29b40 },
    { 106, 0xda8541 }, { 107, 0x008f9c }, { 108, 0x685c43 }, { 110, 0x435493 },
    { 111, 0xbfb7b1 }, { 112, 0x6874ac }, { 113, 0xe5adc8 }, { 115, 0xc7d23c },
    { 116, 0x55a5af }, { 118, 0xb7d7d5 }, { 119, 0xa4bd47 }, { 120, 0xd9e4a7 },
    { 121, 0xe7ac58 }, { 123, 0xd36f4c }, { 124, 0x923978 }, { 125, 0xeab892 },
    { 126, 0xa5a5cb }, { 127, 0xdcbc81 }, { 128, 0xae7a59 }, { 131, 0x9ca3a8 },
    { 133, 0xd5733d }, { 134, 0xd8dd56 }, { 135, 0x74869d }, { 136, 0x877c90 },
    { 137, 0xe09864 }, { 138, 0x958a73 }, { 140, 0x203a56 }, { 141, 0x27462d },
    { 143, 0xcfe2f7 }, { 145, 0x7988a1 }, { 146, 0x958ea3 }, { 147, 0x938767 },
    { 148, 0x575857 }, { 149, 0x161d32 }, { 150, 0xabadac }, { 151, 0x789082 },
    { 153, 0x957977 }, { 154, 0x7b2e2f }, { 157, 0xfff67b }, { 158, 0xe1a4c2 },
    { 168, 0x756c62 }, { 176, 0x97695b }, { 178, 0xb48455 }, { 179, 0x898788 },
    { 180, 0xd7a94b }, { 190, 0xf9d62e }, { 191, 0xe8ab2d }, { 192, 0x694028 },
    { 193, 0xcf6024 }, { 194, 0xa3a2a5 }, { 195, 0x4667a4 }, { 196, 0x23478b },
    { 198, 0x8e4285 }, { 199, 0x635f62 }, { 200, 0x828a5d }, { 208, 0xe5e4df },
    { 209, 0xb08e44 }, { 210, 0x709578 }, { 211, 0x79b5b5 }, { 212, 0x9fc3e9 },
    { 213, 0x6c81b7 }, { 216, 0x904c2a }, { 217, 0x7c5c46 }, { 218, 0x96709f },
    { 219, 0x6b629b }, { 220, 0xa7a9ce }, { 221, 0xcd6298 }, { 222, 0xe4adc8 },
    { 223, 0xdc9095 }, { 224, 0xf0d5a0 }, { 225, 0xebb87f }, { 226, 0xfdea8d },
    { 232, 0x7dbbdd }, { 268, 0x342b75 }, { 301, 0x506d54 }, { 302, 0x5b5d69 },
    { 303, 0x0010b0 }, { 304, 0x2c651d }, { 305, 0x527cae }, { 306, 0x335882 },
    { 307, 0x102adc }, { 308, 0x3d1585 }, { 309, 0x348e40 }, { 310, 0x5b9a4c },
    { 311, 0x9fa1ac }, { 312, 0x592259 }, { 313, 0x1f801d }, { 314, 0x9fadc0 },
    { 315, 0x0989cf }, { 316, 0x7b007b }, { 317, 0x7c9c6b }, { 318, 0x8aab85 },
    { 319, 0xb9c4b1 }, { 320, 0xcacbd1 }, { 321, 0xa75e9b }, { 322, 0x7b2f7b },
    { 323, 0x94be81 }, { 324, 0xa8bd99 }, { 325, 0xdfdfde }, { 327, 0x970000 },
    { 328, 0xb1e5a6 }, { 329, 0x98c2db }, { 330, 0xff98dc }, { 331, 0xff5959 },
    { 332, 0x750000 }, { 333, 0xefb838 }, { 334, 0xf8d96d }, { 335, 0xe7e7ec },
    { 336, 0xc7d4e4 }, { 337, 0xff9494 }, { 338, 0xbe6862 }, { 339, 0x562424 },
    { 340, 0xf1e7c7 }, { 341, 0xfef3bb }, { 342, 0xe0b2d0 }, { 343, 0xd490bd },
    { 344, 0x965555 }, { 345, 0x8f4c2a }, { 346, 0xd3be96 }, { 347, 0xe2dcbc },
    { 348, 0xedeaea }, { 349, 0xe9dada }, { 350, 0x883e3e }, { 351, 0xbc9b5d },
    { 352, 0xc7ac78 }, { 353, 0xcabfa3 }, { 354, 0xbbb3b2 }, { 355, 0x6c584b },
    { 356, 0xa0844f }, { 357, 0x958988 }, { 358, 0xaba89e }, { 359, 0xaf9483 },
    { 360, 0x966766 }, { 361, 0x564236 }, { 362, 0x7e683f }, { 363, 0x69665c },
    { 364, 0x5a4c42 }, { 365, 0x6a3909 }, { 1001, 0xf8f8f8 }, { 1002, 0xcdcdcd },
    { 1003, 0x111111 }, { 1004, 0xff0000 }, { 1005, 0xffb000 }, { 1006, 0xb480ff },
    { 1007, 0xa34b4b }, { 1008, 0xc1be42 }, { 1009, 0xffff00 }, { 1010, 0x0000ff },
    { 1011, 0x002060 }, { 1012, 0x2154b9 }, { 1013, 0x04afec }, { 1014, 0xaa5500 },
    { 1015, 0xaa00aa }, { 1016, 0xff66cc }, { 1017, 0xffaf00 }, { 1018, 0x12eed4 },
    { 1019, 0x00ffff }, { 1020, 0x00ff00 }, { 1021, 0x3a7d15 }, { 1022, 0x7f8e64 },
    { 1023, 0x8c5b9f }, { 1024, 0xafddff }, { 1025, 0xffc9c9 }, { 1026, 0xb1a7ff },
    { 1027, 0x9ff3e9 }, { 1028, 0xccffcc }, { 1029, 0xffffcc }, { 1030, 0xffcc99 },
    { 1031, 0x6225d1 }, { 1032, 0xff00bf },
};

wisp_color wisp_brick_color_rgb(int number) {
    uint32_t rgb = 0xa3a2a5;             /* medium stone grey */
    wisp_color color;
    for (int i = 0; i < WISP__LENGTH(wisp__palette); i++)
        if (wisp__palette[i].number == number) rgb = wisp__palette[i].rgb;
    color.r = (float)(rgb >> 16) / 255.0f;
    color.g = (float)(rgb >> 8 & 255) / 255.0f;
    color.b = (float)(rgb & 255) / 255.0f;
    color.a = 1.0f;
    return color;
}

/* ===========================================================================
 * MARK: >>json
 * What: JSON text (RFC 8259) to values and back, and between them decimal and
 *   binary numbers, both ways exact. No locale changes any of it.
 * Invariants: what is written is read back as the same value, numbers to the
 *   bit. A reader's memory is what is kept, from its start on, and the items
 *   of lists that are still open, from its end backwards: they never meet, and
 *   size_bytes * sizeof(wisp_value) + 16 are enough for any text.
 * Not here: schemas; whoever calls converts before and after.
 *
 *   nil null · bool true, false · int, uint, object's id: their digits
 *   float, number    the fewest digits that are read back as the same bits
 *   string           in quotes; \" \\ \b \f \n \r \t, other controls \u00xx
 *   bytes            string of base64 (RFC 4648, section 4, with padding)
 *   vec2..4, quat, color  array of 2..4 numbers
 *   transform        {"position":[x,y,z],"rotation":[x,y,z,w]}
 *   array, map, struct    array, object; a NUL in a key is C0 80 in memory
 * ======================================================================== */

enum { WISP__JSON_NESTING = 256 };    /* lists in each other */

/* --- powers of ten --- */

/* floor(log2(10^power)), for -1233..1233. */
static int wisp__json_log2(int power) {
    return (int)(((int64_t)power * 1741647 + (INT64_C(4096) << 19)) >> 19) - 4096;
}

/* The highest 128 bits of 10^power, rounded up: 10^power * 2^(127 - floor(log2(10^power))). */
typedef struct wisp__json_power { uint64_t high, low; } wisp__json_power;

enum { WISP__JSON_POWER_MIN = -351, WISP__JSON_POWER_MAX = 350, WISP__JSON_POWER_EXACT = 55 };

/* Every 27th power is in a table; 5^1..5^26, which fit a word, lead to those between. The product
   is off by -2..1 in its last place, so 1 minus that is kept too: two bits for each, from bit 2 on.
   The correction never carries. Exact (not rounded) for 0..WISP__JSON_POWER_EXACT. */
static wisp__json_power wisp__json_power_of(int power) {
    static const uint64_t steps[26][3] = {
        { UINT64_C(0x8049a4ac0c5811ae), UINT64_C(0x205b896d777d6279), UINT64_C(0x15010004541054) },
        { UINT64_C(0xcf42894a5dce35ea), UINT64_C(0x52064cac828675ba), UINT64_C(0x01054544054554) },
        { UINT64_C(0xa76c582338ed2621), UINT64_C(0xaf2af2b80af6f24f), UINT64_C(0x10551555555544) },
        { UINT64_C(0x873e4f75e2224e68), UINT64_C(0x5a7744a6e804a292), UINT64_C(0x00150040001510) },
        { UINT64_C(0xda7f5bf590966848), UINT64_C(0xaf39a475506a899f), UINT64_C(0x11000140000450) },
        { UINT64_C(0xb080392cc4349dec), UINT64_C(0xbd8d794d96aacfb4), UINT64_C(0x00000000000004) },
        { UINT64_C(0x8e938662882af53e), UINT64_C(0x547eb47b7282ee9d), UINT64_C(0x15592455551554) },
        { UINT64_C(0xe65829b3046b0afa), UINT64_C(0x0cb4a5a3112a5113), UINT64_C(0x05505540040000) },
        { UINT64_C(0xba121a4650e4ddeb), UINT64_C(0x92f34d62616ce414), UINT64_C(0x15565545505558) },
        { UINT64_C(0x964e858c91ba2655), UINT64_C(0x3a6a07f8d510f870), UINT64_C(0x10004150000014) },
        { UINT64_C(0xf2d56790ab41c2a2), UINT64_C(0xfae27299423fb9c4), UINT64_C(0x14000155404450) },
        { UINT64_C(0xc428d05aa4751e4c), UINT64_C(0xaa97e14c3c26b887), UINT64_C(0x00011400504000) },
        { UINT64_C(0x9e74d1b791e07e48), UINT64_C(0x775ea264cf55347e), UINT64_C(0x14541140500040) },
        { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x15555555555554) },
        { UINT64_C(0xcecb8f27f4200f3a), UINT64_C(0x0000000000000000), UINT64_C(0x15555555555554) },
        { UINT64_C(0xa70c3c40a64e6c51), UINT64_C(0x999090b65f67d924), UINT64_C(0x00000000000004) },
        { UINT64_C(0x86f0ac99b4e8dafd), UINT64_C(0x69a028bb3ded71a4), UINT64_C(0x00000100040004) },
        { UINT64_C(0xda01ee641a708de9), UINT64_C(0xe80e6f4820cc9496), UINT64_C(0x00100004010000) },
        { UINT64_C(0xb01ae745b101e9e4), UINT64_C(0x5ec05dcff72e7f90), UINT64_C(0x00011140501104) },
        { UINT64_C(0x8e41ade9fbebc27d), UINT64_C(0x14588f13be847308), UINT64_C(0x155659a4555958) },
        { UINT64_C(0xe5d3ef282a242e81), UINT64_C(0x8f1668c8a86da5fb), UINT64_C(0x00040000000000) },
        { UINT64_C(0xb9a74a0637ce2ee1), UINT64_C(0x6d953e2bd7173693), UINT64_C(0x00155104150500) },
        { UINT64_C(0x95f83d0a1fb69cd9), UINT64_C(0x4abdaf101564f98f), UINT64_C(0x165a4555565664) },
        { UINT64_C(0xf24a01a73cf2dccf), UINT64_C(0xbc633b39673c8ced), UINT64_C(0x05451440441454) },
        { UINT64_C(0xc3b8358109e84f07), UINT64_C(0x0a862f80ec4700c9), UINT64_C(0x14155555655554) },
        { UINT64_C(0x9e19db92b4e31ba9), UINT64_C(0x6c07a2c26a8346d2), UINT64_C(0x14551555455554) }
    };
    static const uint64_t fives[27] = {
        1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625,
        1220703125, UINT64_C(6103515625), UINT64_C(30517578125), UINT64_C(152587890625),
        UINT64_C(762939453125), UINT64_C(3814697265625), UINT64_C(19073486328125),
        UINT64_C(95367431640625), UINT64_C(476837158203125), UINT64_C(2384185791015625),
        UINT64_C(11920928955078125), UINT64_C(59604644775390625), UINT64_C(298023223876953125),
        UINT64_C(1490116119384765625)
    };
    int between = (power - WISP__JSON_POWER_MIN) % 27;
    const uint64_t *step = steps[(power - WISP__JSON_POWER_MIN) / 27];
    wisp__json_power result = { step[0], step[1] };
    uint64_t high, middle, low, carry;
    int down;
    if (between == 0) return result;
    down = wisp__json_log2(power) - wisp__json_log2(power - between) - between;   /* 1..60 */
    low = wisp__multiply(step[1], fives[between], &carry);
    middle = wisp__multiply(step[0], fives[between], &high) + carry;
    high += middle < carry;
    result.high = middle >> down | high << (64 - down);
    result.low = (low >> down | middle << (64 - down)) + 1 - (step[2] >> 2 * between & 3);
    return result;
}

/* --- from decimal to binary --- */

/* A number's text, taken apart: digits * 10^power, and the sign. */
typedef struct wisp__json_number {
    const uint8_t *first, *last;   /* the digits and maybe a point among them */
    uint64_t       digits;         /* the first 19 that matter */
    int64_t        power;          /* of the last of them */
    int64_t        text_power;     /* of the last digit in the text */
    bool           negative;
    bool           whole;          /* neither fraction nor exponent */
    bool           more;           /* there are more than 19: digits <= the truth < digits + 1 */
    bool           fits;           /* whole, and `digits` is all of it in spite of `more` */
} wisp__json_number;

/* The double at or below a number, and whether the next one is nearer. */
typedef struct wisp__json_cut {
    uint64_t bits;      /* of the double, without its sign */
    bool     up;
    bool     unsure;    /* too near to the middle of both to tell */
} wisp__json_cut;

static int wisp__json_leading_zeros(uint64_t word) {
    int zeros = 0;
    for (int step = 32; step > 0; step /= 2)
        if (!(word >> (64 - step))) zeros += step, word <<= step;
    return zeros;
}

/* Multiplies with 128 bits of the power, as D. Lemire does in "Number Parsing at a Gigabyte per
   Second" (2021). The power is rounded up by less than one in its last place, so that the product
   (high, middle, low) is too large by less than 2 in `middle`; digits that were left out make it
   too small by less than 64 in `high`. Digits are not 0, with `more` 19 of them. */
static wisp__json_cut wisp__json_cut_of(uint64_t digits, int power, bool more) {
    wisp__json_cut cut = { 0, false, false };
    wisp__json_power ten = wisp__json_power_of(power);
    int shift = wisp__json_leading_zeros(digits), exponent, keep;
    uint64_t high, middle, low, carry, half, rest;
    bool exact = power >= 0 && power <= WISP__JSON_POWER_EXACT;
    low = wisp__multiply(digits << shift, ten.low, &carry);
    middle = wisp__multiply(digits << shift, ten.high, &high) + carry;
    high += middle < carry;
    exponent = 64 + wisp__json_log2(power) - shift;
    if (!(high >> 63)) {
        high = high << 1 | middle >> 63;
        middle = middle << 1 | low >> 63;
        low <<= 1;
        exponent--;
    }
    if (exponent > 1023) cut.bits = UINT64_C(0x7ff) << 52;
    keep = exponent >= -1022 ? 53 : exponent + 1075;      /* bits of the double; -1: below half */
    cut.unsure = keep == -1 && more;                      /* of the smallest one */
    if (exponent > 1023 || keep < 0) return cut;
    half = UINT64_C(1) << (63 - keep);
    rest = high & (half * 2 - 1);
    cut.bits = keep ? high >> (64 - keep) : 0;
    if (keep == 53) cut.bits += (uint64_t)(exponent + 1022) << 52;
    cut.up = rest > half || (rest == half && ((middle | low) || (cut.bits & 1)));
    if (more) cut.unsure = rest <= half && rest + 64 >= half;
    else if (!exact) cut.unsure = rest == half && middle < 2;
    return cut;
}

/* A large integer, least limb first. What is compared here stays below 2600 bits: 770 digits take
   2558; 5^1094, for 770 digits of the smallest double, times 54 bits takes 2595. */
enum { WISP__JSON_LIMBS = 96, WISP__JSON_DIGITS = 769 };

typedef struct wisp__json_big {
    uint32_t limbs[WISP__JSON_LIMBS];
    int      count;
} wisp__json_big;

static void wisp__json_big_step(wisp__json_big *big, uint32_t factor, uint32_t add) {
    uint64_t carry = add;
    for (int i = 0; i < big->count; i++) {
        carry += (uint64_t)big->limbs[i] * factor;
        big->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    WISP_ASSERT(carry == 0 || big->count < WISP__JSON_LIMBS);
    if (carry) big->limbs[big->count++] = (uint32_t)carry;
}

static void wisp__json_big_fives(wisp__json_big *big, int64_t power) {
    for (; power >= 13; power -= 13) wisp__json_big_step(big, 1220703125, 0);
    for (; power > 0; power--) wisp__json_big_step(big, 5, 0);
}

static void wisp__json_big_twos(wisp__json_big *big, int64_t power) {
    int limbs = (int)(power / 32);
    wisp__json_big_step(big, UINT32_C(1) << (power % 32), 0);
    WISP_ASSERT(big->count + limbs <= WISP__JSON_LIMBS);
    memmove(big->limbs + limbs, big->limbs, (size_t)big->count * sizeof *big->limbs);
    memset(big->limbs, 0, (size_t)limbs * sizeof *big->limbs);
    big->count += limbs;
}

static int wisp__json_big_compare(const wisp__json_big *a, const wisp__json_big *b) {
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    for (int i = a->count - 1; i >= 0; i--)
        if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
    return 0;
}

/* All digits of the text as an integer; returns the power of ten of its last place. The middle of
   two doubles has at most 768 digits, so of all that follow one stands for "there is more". */
static int64_t wisp__json_big_digits(wisp__json_big *big, const wisp__json_number *n) {
    int64_t power = n->text_power;
    int count = 0;
    bool rest = false;
    big->count = 0;
    for (const uint8_t *at = n->first; at < n->last; at++) {
        if (*at == '.') continue;
        if (count < WISP__JSON_DIGITS) {
            wisp__json_big_step(big, 10, (uint32_t)(*at - '0'));
            count += big->count > 0;
        } else {
            rest = rest || *at != '0';
            power++;
        }
    }
    if (!rest) return power;
    wisp__json_big_step(big, 10, 1);
    return power - 1;
}

/* Is the number nearer to the double above `bits` than to this one? In the middle, the even one. */
static bool wisp__json_is_above_middle(const wisp__json_number *n, uint64_t bits) {
    wisp__json_big number, middle;
    int64_t power = wisp__json_big_digits(&number, n), twos;
    int exponent = (int)(bits >> 52), order;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    uint64_t odd = 2 * (exponent ? fraction | UINT64_C(1) << 52 : fraction) + 1;
    middle.limbs[0] = (uint32_t)odd;
    middle.limbs[1] = (uint32_t)(odd >> 32);
    middle.count = odd >> 32 ? 2 : 1;
    twos = power - ((exponent ? exponent : 1) - 1076);    /* the middle is odd * 2^(... - 1076) */
    if (power >= 0) wisp__json_big_fives(&number, power);
    else wisp__json_big_fives(&middle, -power);
    if (twos >= 0) wisp__json_big_twos(&number, twos);
    else wisp__json_big_twos(&middle, -twos);
    order = wisp__json_big_compare(&number, &middle);
    return order > 0 || (order == 0 && (bits & 1));
}

/* Few digits and a small power: both are exact as doubles, so that one product or quotient is
   rounded once (W. Clinger, 1990). Not where a double is computed with more bits than it has. */
static bool wisp__json_is_simple(const wisp__json_number *n, double *out) {
#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 0 || __FLT_EVAL_METHOD__ == 1)
    static const double tens[] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };
    double number = (double)n->digits;
    if (n->digits >> 53 || n->power < -22 || n->power > 22 || n->more) return false;
    number = n->power < 0 ? number / tens[-n->power] : number * tens[n->power];
    *out = n->negative ? -number : number;
    return true;
#else
    (void)n;
    (void)out;
    return false;
#endif
}

/* WISP_E_LIMIT: larger than every double. */
static wisp_result wisp__json_to_double(const wisp__json_number *n, double *out) {
    wisp__json_cut cut = { 0, false, false };
    if (wisp__json_is_simple(n, out)) return WISP_OK;
    if (n->digits == 0 || n->power < -342) cut.bits = 0;     /* 10^19 * 10^-343 is nearer to 0 */
    else if (n->power > 308) return WISP_E_LIMIT;
    else cut = wisp__json_cut_of(n->digits, (int)n->power, n->more);
    if (cut.unsure) cut.up = wisp__json_is_above_middle(n, cut.bits);
    cut.bits += cut.up;
    if (cut.bits >= UINT64_C(0x7ff) << 52) return WISP_E_LIMIT;
    cut.bits |= (uint64_t)n->negative << 63;
    memcpy(out, &cut.bits, 8);
    return WISP_OK;
}

/* --- from binary to decimal --- */

typedef struct wisp__json_decimal {
    uint64_t digits;
    int      power;      /* digits * 10^power */
} wisp__json_decimal;

/* floor(factor * 10^power), its lowest bit set when that leaves a rest; the power's scale is in
   the factor. A rest of up to 2^-63 comes from the power, which is rounded up. */
static uint64_t wisp__json_scale(wisp__json_power ten, uint64_t factor) {
    uint64_t carry, high, low;
    (void)wisp__multiply(ten.low, factor, &carry);
    low = wisp__multiply(ten.high, factor, &high) + carry;
    high += low < carry;
    return high | (low > 1);
}

/* The shortest decimal that is nearer to significand * 2^exponent than to any other number of its
   format, and of these the nearest: R. Giulietti, "The Schubfach way to render doubles" (2020).
   All is counted in quarters of the last binary place. `narrow`: the number below is at half the
   distance, as it is below a power of two. */
static wisp__json_decimal wisp__json_shortest(uint64_t significand, int exponent, bool narrow) {
    int64_t log10 = (int64_t)exponent * 1262611 - (narrow ? 524031 : 0);
    wisp__json_decimal result;
    int power = (int)((log10 + (INT64_C(4096) << 22)) >> 22) - 4096;
    int shift = exponent + wisp__json_log2(-power) + 1;
    wisp__json_power ten = wisp__json_power_of(-power);
    uint64_t odd = significand & 1, middle = wisp__json_scale(ten, 4 * significand << shift);
    uint64_t lower = wisp__json_scale(ten, (4 * significand - 2 + narrow) << shift) + odd;
    uint64_t upper = wisp__json_scale(ten, (4 * significand + 2) << shift) - odd;
    uint64_t units = middle / 4, tens = middle / 40;
    bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
    result.power = power;
    if (units >= 10 && below != above) {
        result.digits = tens + above;
        result.power++;
        return result;
    }
    below = lower <= 4 * units;
    above = 4 * units + 4 <= upper;
    if (below == above)
        above = middle > 4 * units + 2 || (middle == 4 * units + 2 && (units & 1));
    result.digits = units + above;
    return result;
}

/* A finite number of a format with `bits` fraction bits, `bias` above its exponents. */
static wisp__json_decimal wisp__json_decimal_of(uint64_t fraction, int exponent, int bits,
                                                int bias) {
    wisp__json_decimal whole = { 0, 0 };
    uint64_t significand = exponent ? fraction | UINT64_C(1) << bits : fraction;
    int power = (exponent ? exponent : 1) - bias - bits;
    if (significand == 0) return whole;
    if (power <= 0 && power >= -bits && !(significand & ((UINT64_C(1) << -power) - 1))) {
        whole.digits = significand >> -power;
        return whole;
    }
    whole = wisp__json_shortest(significand, power, fraction == 0 && exponent > 1);
    for (; whole.digits % 10 == 0; whole.power++) whole.digits /= 10;
    return whole;
}

/* --- writing --- */

typedef struct wisp__json_writer {
    uint8_t    *at, *end;      /* end == at after a failure: nothing more fits */
    int         depth;
    wisp_result result;        /* the first failure */
} wisp__json_writer;

static void wisp__json_refuse(wisp__json_writer *w, wisp_result code) {
    if (w->result == WISP_OK) w->result = code;
    w->end = w->at;
}

static inline bool wisp__json_has_room(wisp__json_writer *w, int size) {
    if (w->end - w->at >= size) return true;
    wisp__json_refuse(w, WISP_E_TOO_BIG);
    return false;
}

static inline void wisp__json_put(wisp__json_writer *w, char c) {
    if (wisp__json_has_room(w, 1)) *w->at++ = (uint8_t)c;
}

static void wisp__json_put_text(wisp__json_writer *w, const void *text, int size) {
    if (!wisp__json_has_room(w, size)) return;
    memcpy(w->at, text, (size_t)size);
    w->at += size;
}

static int wisp__json_digit_count(uint64_t number) {
    int count = 1;
    for (uint64_t next = 10; count < 20 && number >= next; next *= 10) count++;
    return count;
}

/* The last `count` digits. */
static void wisp__json_write_digits(uint8_t *to, uint64_t number, int count) {
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    for (; count >= 2; count -= 2, number /= 100)
        memcpy(to + count - 2, pairs + number % 100 * 2, 2);
    if (count) *to = (uint8_t)('0' + number % 10);
}

enum { WISP__JSON_NUMBER_BYTES = 32 };    /* "-1.2345678901234567e-308" takes 24 */

static int wisp__json_write_integer(uint8_t *to, uint64_t magnitude, bool negative) {
    int count = wisp__json_digit_count(magnitude);
    *to = '-';
    wisp__json_write_digits(to + negative, magnitude, count);
    return negative + count;
}

/* d.ddde-xx */
static int wisp__json_write_scientific(uint8_t *to, uint64_t digits, int count, int exponent) {
    int size = count > 1 ? count + 1 : 1;
    uint64_t magnitude = (uint64_t)(exponent < 0 ? -exponent : exponent);
    wisp__json_write_digits(to + 1, digits, count);
    to[0] = to[1];
    to[1] = '.';
    to[size++] = 'e';
    return size + wisp__json_write_integer(to + size, magnitude, exponent < 0);
}

/* Zeros are added on the left of up to 6 places, on the right up to `places`: so far every whole
   number differs from all others of the format, and the text says no other integer. */
static int wisp__json_write_decimal(uint8_t *to, wisp__json_decimal d, int places) {
    int count = wisp__json_digit_count(d.digits), point = count + d.power;
    if (point <= -6 || (d.power > 0 && point > places))
        return wisp__json_write_scientific(to, d.digits, count, point - 1);
    if (d.power >= 0) {
        wisp__json_write_digits(to, d.digits, count);
        memset(to + count, '0', (size_t)d.power);
        return point;
    }
    if (point <= 0) {
        memset(to, '0', (size_t)(2 - point));
        to[1] = '.';
        wisp__json_write_digits(to + 2 - point, d.digits, count);
        return 2 - point + count;
    }
    wisp__json_write_digits(to + 1, d.digits, count);
    memmove(to, to + 1, (size_t)point);
    to[point] = '.';
    return count + 1;
}

/* A number is written in place where the longest one fits, else aside, to see its size first. */
static inline uint8_t *wisp__json_place(wisp__json_writer *w, uint8_t *aside) {
    return w->end - w->at >= WISP__JSON_NUMBER_BYTES ? w->at : aside;
}

static void wisp__json_placed(wisp__json_writer *w, const uint8_t *place, int size) {
    if (place == w->at) w->at += size;
    else wisp__json_put_text(w, place, size);
}

static void wisp__json_put_integer(wisp__json_writer *w, uint64_t magnitude, bool negative) {
    uint8_t aside[WISP__JSON_NUMBER_BYTES], *place = wisp__json_place(w, aside);
    wisp__json_placed(w, place, wisp__json_write_integer(place, magnitude, negative));
}

static void wisp__json_put_binary(wisp__json_writer *w, wisp__json_decimal d, bool negative,
                                  int places) {
    uint8_t aside[WISP__JSON_NUMBER_BYTES], *place = wisp__json_place(w, aside);
    if (d.digits == 0 && negative) {
        wisp__json_put_text(w, "-0.0", 4);
        return;
    }
    *place = '-';
    wisp__json_placed(w, place, negative + wisp__json_write_decimal(place + negative, d, places));
}

static void wisp__json_put_float(wisp__json_writer *w, float number) {
    uint32_t bits = wisp__float_bits(number);
    int exponent = (int)(bits >> 23 & 0xff);
    if (exponent == 0xff) wisp__json_refuse(w, WISP_E_TYPE);
    else wisp__json_put_binary(w, wisp__json_decimal_of(bits & 0x7fffff, exponent, 23, 127),
                               bits >> 31 != 0, 7);
}

static void wisp__json_put_double(wisp__json_writer *w, double number) {
    uint64_t bits;
    int exponent;
    memcpy(&bits, &number, 8);
    exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff) wisp__json_refuse(w, WISP_E_TYPE);
    else wisp__json_put_binary(w, wisp__json_decimal_of(bits & ((UINT64_C(1) << 52) - 1), exponent,
                                                        52, 1023),
                               bits >> 63 != 0, 16);
}

static void wisp__json_put_floats(wisp__json_writer *w, const float *parts, int count) {
    for (int i = 0; i < count; i++) {
        wisp__json_put(w, i ? ',' : '[');
        wisp__json_put_float(w, parts[i]);
    }
    wisp__json_put(w, ']');
}

static void wisp__json_put_vector(wisp__json_writer *w, const wisp_value *value) {
    float parts[7];
    int count = wisp__value_floats(value, parts);
    if (value->kind != WISP_TRANSFORM) {
        wisp__json_put_floats(w, parts, count);
        return;
    }
    wisp__json_put_text(w, "{\"position\":", 12);
    wisp__json_put_floats(w, parts, 3);
    wisp__json_put_text(w, ",\"rotation\":", 12);
    wisp__json_put_floats(w, parts + 3, 4);
    wisp__json_put(w, '}');
}

static void wisp__json_put_base64(wisp__json_writer *w, const uint8_t *bytes, int size) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if ((w->end - w->at - 2) / 4 < ((int64_t)size + 2) / 3) {
        wisp__json_refuse(w, WISP_E_TOO_BIG);
        return;
    }
    *w->at++ = '"';
    for (; size > 0; size -= 3, bytes += 3) {
        uint32_t three = (uint32_t)bytes[0] << 16 | (uint32_t)(size > 1 ? bytes[1] : 0) << 8 |
                         (size > 2 ? bytes[2] : 0);
        for (int shift = 18; shift >= 0; shift -= 6)
            *w->at++ = (uint8_t)letters[three >> shift & 63];
        if (size < 2) w->at[-2] = '=';
        if (size < 3) w->at[-1] = '=';
    }
    *w->at++ = '"';
}

/* Marks, in its highest bit, the first of 8 bytes that is a quote, backslash, control character
   or not ASCII, and others after it; a word of 0 when none is. */
static inline uint64_t wisp__json_special(uint64_t word) {
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t marks = (word - each * 0x20) | ((word ^ each * '"') - each) |
                     ((word ^ each * '\\') - each) | word;
    return marks & each * 0x80;
}

/* The place of the first mark, 0..7. */
static inline int wisp__json_first(uint64_t marks) {
    const uint64_t each = UINT64_C(0x0101010101010101);
    return (int)((((marks & (0 - marks)) - 1) & each) * each >> 56) - 1;
}

/* Bytes of one character beyond ASCII, 2..4, or 0: not UTF-8 (RFC 3629; surrogates are not). */
static int wisp__json_character(const uint8_t *at, const uint8_t *end) {
    int lead = at[0], size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    int least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    int most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0xc2 || lead > 0xf4 || end - at < size) return 0;
    if (at[1] < least || at[1] > most) return 0;
    for (int i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return size;
}

static void wisp__json_put_escape(wisp__json_writer *w, int c) {
    static const char letters[] = "uuuuuuuubtnufruu";
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', '0', '0' };
    int size = 2;
    text[1] = c >= 0x20 ? (char)c : letters[c & 15];
    if (c >= 0x10 && c < 0x20) text[1] = 'u';
    if (text[1] == 'u') {
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        size = 6;
    }
    wisp__json_put_text(w, text, size);
}

static inline bool wisp__json_is_plain(uint8_t c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Copies what needs no care; returns where care begins, or the room ends. */
static const uint8_t *wisp__json_put_plain(wisp__json_writer *w, const uint8_t *at,
                                           const uint8_t *end) {
    while (end - at >= 8 && w->end - w->at >= 8) {
        uint64_t word = wisp__load64(at), marks = wisp__json_special(word);
        int size = marks ? wisp__json_first(marks) : 8;
        wisp__store64(w->at, word);
        w->at += size;
        at += size;
        if (marks) return at;
    }
    while (at < end && w->at < w->end && wisp__json_is_plain(*at)) *w->at++ = *at++;
    return at;
}

static void wisp__json_put_string(wisp__json_writer *w, const void *text, int size, bool is_key) {
    const uint8_t *at = (const uint8_t *)text, *end = at ? at + size : at;
    wisp__json_put(w, '"');
    while (w->result == WISP_OK) {
        int bytes = 1;
        at = wisp__json_put_plain(w, at, end);
        if (at == end) break;
        if (*at >= 0x80) bytes = wisp__json_character(at, end);
        if (bytes == 0 && is_key && end - at >= 2 && at[0] == 0xc0 && at[1] == 0x80) {
            wisp__json_put_escape(w, 0);
            bytes = 2;
        } else if (bytes == 0) {
            wisp__json_refuse(w, WISP_E_TYPE);
        } else if (*at < 0x20 || *at == '"' || *at == '\\') {
            wisp__json_put_escape(w, *at);
        } else {
            wisp__json_put_text(w, at, bytes);
        }
        at += bytes;
    }
    wisp__json_put(w, '"');
}

static void wisp__json_put_blob(wisp__json_writer *w, const wisp_value *value) {
    if (value->count < 0 || (value->count && !value->as.bytes))
        wisp__json_refuse(w, WISP_E_ARGUMENT);
    else if (value->kind == WISP_STRING)
        wisp__json_put_string(w, value->as.string, value->count, false);
    else wisp__json_put_base64(w, (const uint8_t *)value->as.bytes, value->count);
}

static void wisp__json_put_leaf(wisp__json_writer *w, const wisp_value *value) {
    switch (value->kind) {
    case WISP_NIL: wisp__json_put_text(w, "null", 4); break;
    case WISP_BOOL:
        if (value->as.boolean) wisp__json_put_text(w, "true", 4);
        else wisp__json_put_text(w, "false", 5);
        break;
    case WISP_INT: {
        uint64_t integer = (uint64_t)value->as.integer;
        bool negative = integer >> 63 != 0;
        wisp__json_put_integer(w, negative ? 0 - integer : integer, negative);
        break;
    }
    case WISP_UINT: wisp__json_put_integer(w, value->as.uinteger, false); break;
    case WISP_FLOAT: wisp__json_put_float(w, value->as.float32); break;
    case WISP_NUMBER: wisp__json_put_double(w, value->as.number); break;
    case WISP_STRING:
    case WISP_BYTES: wisp__json_put_blob(w, value); break;
    case WISP_VEC2:
    case WISP_VEC3:
    case WISP_VEC4:
    case WISP_QUAT:
    case WISP_TRANSFORM:
    case WISP_COLOR: wisp__json_put_vector(w, value); break;
    case WISP_OBJECT: wisp__json_put_integer(w, value->as.object.id, false); break;
    default: wisp__json_refuse(w, WISP_E_TYPE); break;
    }
}

/* A list calls back for its items, at most WISP__JSON_NESTING deep. */
static void wisp__json_put_value(wisp__json_writer *w, const wisp_value *value) {
    bool is_map = wisp__is_map(value);
    if (!is_map && !wisp__is_array(value)) {
        wisp__json_put_leaf(w, value);
        return;
    }
    if (w->depth == WISP__JSON_NESTING) wisp__json_refuse(w, WISP_E_DEPTH);
    if (value->count < 0 || (value->count && !value->as.bytes))
        wisp__json_refuse(w, WISP_E_ARGUMENT);
    w->depth++;
    wisp__json_put(w, is_map ? '{' : '[');
    for (int i = 0; i < value->count && w->result == WISP_OK; i++) {
        const char *key = NULL;
        wisp_value scratch;
        const wisp_value *item = wisp__child(value, i, &key, &scratch);
        if (i) wisp__json_put(w, ',');
        if (!item || (is_map && !key)) {
            wisp__json_refuse(w, WISP_E_ARGUMENT);
            break;
        }
        if (is_map) {
            wisp__json_put_string(w, key, (int)strlen(key), true);
            wisp__json_put(w, ':');
        }
        wisp__json_put_value(w, item);
    }
    wisp__json_put(w, is_map ? '}' : ']');
    w->depth--;
}

static int wisp__json_encode(const wisp_codec *codec, const wisp_schema *schema,
                             const wisp_value *value, void *out, int capacity) {
    uint8_t none[1];
    wisp__json_writer w = { NULL, NULL, 0, WISP_OK };
    const uint8_t *start = out ? (const uint8_t *)out : none;
    (void)codec;
    (void)schema;
    if (!value || capacity < 0 || (!out && capacity)) return WISP_E_ARGUMENT;
    w.at = out ? (uint8_t *)out : none;
    w.end = w.at + capacity;
    wisp__json_put_value(&w, value);
    return w.result ? w.result : (int)(w.at - start);
}

/* --- reading --- */

/* A list whose end has not come. Its items stand in front of `top`, each before the one that came
   earlier: values, or in a map slots, which are aligned alike. */
typedef struct wisp__json_open {
    uint8_t *top;
    int      count;
    bool     is_map;
} wisp__json_open;

typedef struct wisp__json_slot {
    wisp_value  value;      /* first, so that values are found alike in both kinds of list */
    const char *key;        /* NULL: a later pair has the same key */
    uint32_t    mark;       /* hash of the key */
} wisp__json_slot;

typedef struct wisp__json_reader {
    const uint8_t  *at, *end;
    uint8_t        *low, *high;     /* free memory lies between; high is aligned for values */
    wisp_result     result;         /* the first failure */
    int             depth;
    wisp__json_open open[WISP__JSON_NESTING];
} wisp__json_reader;

static bool wisp__json_fail(wisp__json_reader *r, wisp_result code) {
    if (r->result == WISP_OK) r->result = code;
    return false;
}

/* The next byte that is not blank, which stays to be read; 0 at the end. */
static inline int wisp__json_peek(wisp__json_reader *r) {
    for (; r->at < r->end; r->at++) {
        int c = *r->at;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
    }
    return 0;
}

/* Adds the digits at `at` to a number, modulo 2^64; returns where they end. Eight at once are
   summed in pairs, fours and all. */
static const uint8_t *wisp__json_read_digits(const uint8_t *at, const uint8_t *end,
                                             uint64_t *number) {
    uint64_t sum = *number;
    while (end - at >= 8) {
        uint64_t word = wisp__load64(at) ^ UINT64_C(0x3030303030303030);
        if ((word | (word + UINT64_C(0x0606060606060606))) & UINT64_C(0xf0f0f0f0f0f0f0f0)) break;
        word = word * 2561 >> 8 & UINT64_C(0x00ff00ff00ff00ff);
        word = word * 6553601 >> 16 & UINT64_C(0x0000ffff0000ffff);
        sum = sum * 100000000 + (word * UINT64_C(42949672960001) >> 32);
        at += 8;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++) sum = sum * 10 + (uint64_t)(*at - '0');
    *number = sum;
    return at;
}

/* After the e: a sign or none, digits. What is beyond any number of digits stays so. */
static const uint8_t *wisp__json_read_exponent(const uint8_t *at, const uint8_t *end,
                                               int64_t *exponent) {
    const int64_t most = INT64_C(1) << 40;
    bool negative = at < end && *at == '-';
    const uint8_t *first;
    int64_t sum = 0;
    if (at < end && (*at == '-' || *at == '+')) at++;
    for (first = at; at < end && *at >= '0' && *at <= '9'; at++)
        if (sum < most) sum = sum * 10 + (*at - '0');
    *exponent = negative ? -sum : sum;
    return at > first ? at : NULL;
}

/* More than 19 digits: keeps the first 19 that matter. Of 20 it keeps all that fit a word: these
   begin with a 1, and are not below 10^19, as they are when the sum has wrapped. */
static void wisp__json_shorten(wisp__json_number *n, int64_t count) {
    const uint8_t *at = n->first;
    uint64_t digits = 0;
    int taken = 0;
    for (; at < n->last && (*at == '0' || *at == '.'); at++) count -= *at == '0';
    if (count <= 19) return;
    n->more = true;
    n->fits = n->whole && count == 20 && *at == '1' && n->digits >= UINT64_C(10000000000000000000);
    if (n->fits) return;
    for (; taken < 19; at++) {
        if (*at == '.') continue;
        digits = digits * 10 + (uint64_t)(*at - '0');
        taken++;
    }
    n->digits = digits;
    n->power += count - 19;
}

/* Takes a number's text apart. */
static bool wisp__json_scan(wisp__json_reader *r, wisp__json_number *n) {
    const uint8_t *at = r->at, *end = r->end, *point;
    int64_t count, exponent = 0;
    memset(n, 0, sizeof *n);
    n->negative = *at == '-';
    n->whole = true;
    n->first = at += n->negative;
    at = point = wisp__json_read_digits(at, end, &n->digits);
    count = point - n->first;
    if (count == 0 || (count > 1 && *n->first == '0')) return wisp__json_fail(r, WISP_E_SYNTAX);
    if (at < end && *at == '.') {
        at = wisp__json_read_digits(point + 1, end, &n->digits);
        if (at == point + 1) return wisp__json_fail(r, WISP_E_SYNTAX);
        n->power = point + 1 - at;
        n->whole = false;
    }
    n->last = at;
    count -= n->power;
    if (at < end && (*at | 0x20) == 'e') {
        at = wisp__json_read_exponent(at + 1, end, &exponent);
        if (!at) return wisp__json_fail(r, WISP_E_SYNTAX);
        n->whole = false;
    }
    n->power = n->text_power = n->power + exponent;
    if (count > 19) wisp__json_shorten(n, count);
    r->at = at;
    return true;
}

static void wisp__json_read_number(wisp__json_reader *r, wisp_value *out) {
    const uint64_t top = UINT64_C(1) << 63;
    wisp__json_number n;
    double number = 0;
    bool all;
    if (!wisp__json_scan(r, &n)) return;
    all = n.whole && (!n.more || n.fits);
    out->count = 0;
    if (all && !n.negative) {
        out->kind = n.digits < top ? WISP_INT : WISP_UINT;
        if (n.digits < top) out->as.integer = (int64_t)n.digits;
        else out->as.uinteger = n.digits;
    } else if (all && n.digits > 0 && n.digits <= top) {
        out->kind = WISP_INT;
        out->as.integer = -(int64_t)(n.digits - 1) - 1;
    } else {
        if (n.fits) n.more = false;
        if (wisp__json_to_double(&n, &number)) wisp__json_fail(r, WISP_E_LIMIT);
        out->kind = WISP_NUMBER;
        out->as.number = number;
    }
}

/* Four digits of base 16, or -1. */
static int32_t wisp__json_hex4(const uint8_t *at) {
    int32_t sum = 0;
    for (int i = 0; i < 4; i++) {
        int c = at[i], letter = (c | 0x20) - 'a';
        if (c >= '0' && c <= '9') sum = sum * 16 + c - '0';
        else if (letter >= 0 && letter < 6) sum = sum * 16 + letter + 10;
        else return -1;
    }
    return sum;
}

/* Writes a code point as UTF-8; returns its bytes. */
static int wisp__json_write_character(uint8_t *to, int32_t code) {
    int size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (int i = size - 1; i > 0; i--, code >>= 6) to[i] = (uint8_t)(0x80 | (code & 0x3f));
    to[0] = (uint8_t)(leads[size] | code);
    return size;
}

/* An escape at r->at, which is moved behind it. Returns the bytes written, at most 4; 0: none. */
static int wisp__json_read_escape(wisp__json_reader *r, uint8_t *to, bool is_key) {
    static const char letters[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    const uint8_t *at = r->at;
    const char *letter = NULL;
    int32_t code, low;
    if (r->end - at < 2) return 0;
    if (at[1] != 'u') {
        letter = at[1] ? strchr(letters, at[1]) : NULL;
        if (letter) *to = (uint8_t)plain[letter - letters];
        r->at = at + 2;
        return letter != NULL;
    }
    if (r->end - at < 6 || (code = wisp__json_hex4(at + 2)) < 0) return 0;
    r->at = at + 6;
    if (code == 0 && is_key) {
        to[0] = 0xc0;
        to[1] = 0x80;
        return 2;
    }
    if (code < 0xd800 || code > 0xdfff) return wisp__json_write_character(to, code);
    if (code > 0xdbff || r->end - at < 12 || at[6] != '\\' || at[7] != 'u') return 0;
    low = wisp__json_hex4(at + 8);
    r->at = at + 12;
    if (low < 0xdc00 || low > 0xdfff) return 0;
    return wisp__json_write_character(to, 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00));
}

/* Copies what needs no care to `to`; returns its end there. */
static uint8_t *wisp__json_read_plain(wisp__json_reader *r, uint8_t *to) {
    while (r->end - r->at >= 8 && r->high - to >= 8) {
        uint64_t word = wisp__load64(r->at), marks = wisp__json_special(word);
        int size = marks ? wisp__json_first(marks) : 8;
        wisp__store64(to, word);
        r->at += size;
        to += size;
        if (marks) break;
    }
    return to;
}

/* The string that begins at r->at, kept with a NUL behind it; NULL: failed. */
static const char *wisp__json_read_string(wisp__json_reader *r, int *size, bool is_key) {
    uint8_t *to = r->low, *start = to;
    for (r->at++;;) {
        int bytes = 1, c;
        to = wisp__json_read_plain(r, to);
        if (r->at == r->end) break;
        c = *r->at;
        if (r->high - to < 4) {
            wisp__json_fail(r, WISP_E_MEMORY);
            return NULL;
        }
        if (c == '"') {
            r->at++;
            *to = 0;
            *size = (int)(to - start);
            r->low = to + 1;
            return (const char *)start;
        }
        if (c == '\\') {
            bytes = wisp__json_read_escape(r, to, is_key);
        } else {
            if (c >= 0x80) bytes = wisp__json_character(r->at, r->end);
            else if (c < 0x20) bytes = 0;
            memcpy(to, r->at, (size_t)bytes);
            r->at += bytes;
        }
        if (bytes == 0) break;
        to += bytes;
    }
    wisp__json_fail(r, WISP_E_SYNTAX);
    return NULL;
}

static void wisp__json_read_word(wisp__json_reader *r, const char *word, int size) {
    if (r->end - r->at < size || memcmp(r->at, word, (size_t)size) != 0)
        wisp__json_fail(r, WISP_E_SYNTAX);
    else r->at += size;
}

/* A value that is no list and begins with c. */
static bool wisp__json_read_leaf(wisp__json_reader *r, int c, wisp_value *out) {
    int size = 0;
    const char *text;
    switch (c) {
    case '"':
        text = wisp__json_read_string(r, &size, false);
        out->kind = WISP_STRING;
        out->count = size;
        out->as.string = text;
        break;
    case 't':
        wisp__json_read_word(r, "true", 4);
        *out = wisp_bool(true);
        break;
    case 'f':
        wisp__json_read_word(r, "false", 5);
        *out = wisp_bool(false);
        break;
    case 'n':
        wisp__json_read_word(r, "null", 4);
        *out = wisp_nil();
        break;
    default:
        if (c == '-' || (c >= '0' && c <= '9')) wisp__json_read_number(r, out);
        else wisp__json_fail(r, WISP_E_SYNTAX);
        break;
    }
    return r->result == WISP_OK;
}

static bool wisp__json_open_list(wisp__json_reader *r, bool is_map) {
    wisp__json_open *open = &r->open[r->depth];
    if (r->depth == WISP__JSON_NESTING) return wisp__json_fail(r, WISP_E_DEPTH);
    open->top = r->high;
    open->count = 0;
    open->is_map = is_map;
    r->depth++;
    r->at++;
    return true;
}

/* Makes room for one more item of the innermost list, in a map with its key; returns where its
   value goes. NULL: failed. */
static wisp_value *wisp__json_item(wisp__json_reader *r) {
    wisp__json_open *open = &r->open[r->depth - 1];
    int bytes = open->is_map ? (int)sizeof(wisp__json_slot) : (int)sizeof(wisp_value), size = 0;
    const char *key = NULL;
    if (r->high - r->low < bytes) {
        wisp__json_fail(r, WISP_E_MEMORY);
        return NULL;
    }
    r->high -= bytes;
    open->count++;
    if (open->is_map) {
        wisp__json_slot *slot = (wisp__json_slot *)(void *)r->high;
        if (wisp__json_peek(r) == '"') key = wisp__json_read_string(r, &size, true);
        if (!key || wisp__json_peek(r) != ':') {
            wisp__json_fail(r, WISP_E_SYNTAX);
            return NULL;
        }
        slot->key = key;
        slot->mark = (uint32_t)wisp__hash_bytes(key, size);
        r->at++;
    }
    return (wisp_value *)(void *)r->high;
}

/* The i-th pair of a map. */
static wisp__json_slot *wisp__json_slot_at(const wisp__json_open *open, int i) {
    return (wisp__json_slot *)(void *)open->top - (i + 1);
}

/* By mark, key and place. Marks are mostly enough; where input makes them equal, the keys' bytes
   bound the work all the same. */
static bool wisp__json_precedes(const wisp__json_open *open, uint32_t a, uint32_t b) {
    const wisp__json_slot *x = wisp__json_slot_at(open, (int)a);
    const wisp__json_slot *y = wisp__json_slot_at(open, (int)b);
    int order;
    if (x->mark != y->mark) return x->mark < y->mark;
    order = strcmp(x->key, y->key);
    return order ? order < 0 : a < b;
}

/* One step of heapsort: lets the item at `at` sink among the first `count`. */
static void wisp__json_sink(const wisp__json_open *open, uint32_t *order, int at, int count) {
    uint32_t item = order[at];
    for (int child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && wisp__json_precedes(open, order[child], order[child + 1])) child++;
        if (!wisp__json_precedes(open, item, order[child])) break;
        order[at] = order[child];
        at = child;
    }
    order[at] = item;
}

static void wisp__json_sort(const wisp__json_open *open, uint32_t *order) {
    for (int i = 0; i < open->count; i++) order[i] = (uint32_t)i;
    for (int i = open->count / 2 - 1; i >= 0; i--) wisp__json_sink(open, order, i, open->count);
    for (int i = open->count - 1; i > 0; i--) {
        uint32_t last = order[0];
        order[0] = order[i];
        order[i] = last;
        wisp__json_sink(open, order, 0, i);
    }
}

/* Takes a pair away when a later one has its key. */
static int wisp__json_drop(wisp__json_slot *slot, const wisp__json_slot *later) {
    if (slot->mark != later->mark || strcmp(slot->key, later->key) != 0) return 0;
    slot->key = NULL;
    return 1;
}

/* Few pairs: each is compared with each. Returns how many were taken away. */
static int wisp__json_drop_few(const wisp__json_open *open) {
    int dropped = 0;
    for (int i = 0; i < open->count; i++) {
        wisp__json_slot *slot = wisp__json_slot_at(open, i);
        for (int k = i + 1; slot->key && k < open->count; k++)
            dropped += wisp__json_drop(slot, wisp__json_slot_at(open, k));
    }
    return dropped;
}

/* Many pairs: sorted, equal keys stand together, the one that came last at the end. */
static int wisp__json_drop_many(const wisp__json_open *open, uint32_t *order) {
    int dropped = 0;
    wisp__json_sort(open, order);
    for (int i = 0; i + 1 < open->count; i++)
        dropped += wisp__json_drop(wisp__json_slot_at(open, (int)order[i]),
                                   wisp__json_slot_at(open, (int)order[i + 1]));
    return dropped;
}

enum { WISP__JSON_FEW = 16 };

/* The sorted order stands where the pairs will. */
static wisp_value wisp__json_close_map(const wisp__json_open *open, wisp_pair *pairs) {
    bool few = open->count <= WISP__JSON_FEW;
    int dropped = few ? wisp__json_drop_few(open)
                      : wisp__json_drop_many(open, (uint32_t *)(void *)pairs);
    wisp_pair *to = pairs;
    for (int i = 0; i < open->count; i++) {
        const wisp__json_slot *slot = wisp__json_slot_at(open, i);
        if (!slot->key) continue;
        to->key = slot->key;
        to->value = slot->value;
        to++;
    }
    return wisp_map(pairs, open->count - dropped);
}

static wisp_value wisp__json_close_array(const wisp__json_open *open, wisp_value *values) {
    const wisp_value *top = (wisp_value *)(void *)open->top;
    for (int i = 0; i < open->count; i++) values[i] = *(top - (i + 1));
    return wisp_array(values, open->count);
}

/* Moves the innermost list's items to where they stay, in their order, and ends it. */
static bool wisp__json_close_list(wisp__json_reader *r, wisp_value *out) {
    wisp__json_open *open = &r->open[r->depth - 1];
    size_t each = open->is_map ? sizeof(wisp_pair) : sizeof(wisp_value);
    ptrdiff_t pad = -(ptrdiff_t)((uintptr_t)r->low & 7) & 7;
    ptrdiff_t bytes = (ptrdiff_t)open->count * (ptrdiff_t)each;
    uint8_t *place = r->low;
    if (open->count > 0) {
        if (r->high - r->low < pad + bytes) return wisp__json_fail(r, WISP_E_MEMORY);
        place = r->low + pad;
    }
    if (open->is_map) *out = wisp__json_close_map(open, (wisp_pair *)(void *)place);
    else *out = wisp__json_close_array(open, (wisp_value *)(void *)place);
    r->low = place + (size_t)out->count * each;
    r->high = open->top;
    r->depth--;
    r->at++;
    return true;
}

/* After a value, or (fresh) the begin of a list: ends the lists that end here and returns where
   the next value goes. NULL: failed, or the text is complete. */
static wisp_value *wisp__json_step(wisp__json_reader *r, wisp_value *out, bool fresh) {
    for (; r->depth > 0; fresh = false) {
        wisp_value list;
        int c = wisp__json_peek(r), end = r->open[r->depth - 1].is_map ? '}' : ']';
        if (c != end && (fresh || c == ',')) {
            r->at += !fresh;
            return wisp__json_item(r);
        }
        if (c != end) {
            wisp__json_fail(r, WISP_E_SYNTAX);
            return NULL;
        }
        if (!wisp__json_close_list(r, &list)) return NULL;
        *(r->depth ? (wisp_value *)(void *)r->high : out) = list;
    }
    return NULL;
}

static void wisp__json_read(wisp__json_reader *r, wisp_value *out) {
    wisp_value *to = out;
    while (to) {
        int c = wisp__json_peek(r);
        bool is_list = c == '[' || c == '{';
        if (is_list ? !wisp__json_open_list(r, c == '{') : !wisp__json_read_leaf(r, c, to)) return;
        to = wisp__json_step(r, out, is_list);
    }
    wisp__json_peek(r);
    if (r->at < r->end) wisp__json_fail(r, WISP_E_SYNTAX);
}

static int wisp__json_decode(const wisp_codec *codec, const wisp_schema *schema, const void *bytes,
                             int size, wisp_value *out, void *memory, int memory_size) {
    wisp__json_reader r;
    wisp__bump bump;
    wisp_value value;
    (void)codec;
    (void)schema;
    if (!out || size < 0 || memory_size < 0 || (size && !bytes) || (memory_size && !memory))
        return WISP_E_ARGUMENT;
    if (size == 0) return WISP_E_SYNTAX;
    bump = wisp__bump_on(memory, memory_size);
    r.at = (const uint8_t *)bytes;
    r.end = r.at + size;
    r.low = bump.left ? bump.at : (uint8_t *)r.open;
    r.high = r.low + (bump.left & ~(size_t)7);
    r.result = WISP_OK;
    r.depth = 0;
    wisp__json_read(&r, &value);
    if (r.result) return r.result;
    *out = value;
    return size;
}

const wisp_codec *wisp_json(void) {
    static const wisp_codec codec = { "json", wisp__json_encode, wisp__json_decode, NULL };
    return &codec;
}

/* ===========================================================================
 * MARK: >>msgpack
 * What: the MessagePack codec (github.com/msgpack/msgpack, spec.md). Written
 *   in the smallest forms, read in all.
 * Invariants: what encode writes, decode reads. A writer never passes its
 *   capacity; the first failure sticks. A reader never owes more values than
 *   it has bytes left, because each takes one at least: so a length that lies
 *   fails before memory is taken, however deep it stands.
 * Not here: schemas (codec converts before and after).
 *
 *   00..7f  integer 0..127     c4 c5 c6     bin: length in 1, 2, 4 bytes
 *   80..8f  map of 0..15       c7 c8 c9     ext: length in 1, 2, 4, type
 *   90..9f  array of 0..15     ca cb        float 32, float 64
 *   a0..bf  str of 0..31       cc cd ce cf  uint in 1, 2, 4, 8 bytes
 *   c0      nil                d0 d1 d2 d3  int in 1, 2, 4, 8 bytes
 *   c1      never used         d4 .. d8     ext of 1, 2, 4, 8, 16 bytes: type
 *   c2 c3   false, true        d9 da db     str: length in 1, 2, 4 bytes
 *   e0..ff  integer -32..-1    dc dd, de df array, map: count in 2, 4 bytes
 *
 *   timestamp  ext -1 of  4: seconds:32
 *                         8: nanoseconds:30, seconds:34
 *                        12: nanoseconds:32, seconds:64 with sign
 *   vec2..4, quat, transform, color   ext 1..6 of 8 12 16 16 28 16: floats:32
 *   object                            ext 7 of 4: id:32
 *
 * Every number is big-endian.
 * ======================================================================== */

enum {
    WISP__MSGPACK_NESTING   = 256,
    WISP__MSGPACK_TIMESTAMP = -1,     /* type of an ext; those of the floats follow their kinds */
    WISP__MSGPACK_OBJECT    = 7
};

#define WISP__MSGPACK_NANOSECONDS_MAX 999999999u

static uint64_t wisp__msgpack_load(const uint8_t *from, int size) {
    uint64_t number = 0;
    for (int i = 0; i < size; i++) number = number << 8 | from[i];
    return number;
}

static void wisp__msgpack_store(uint8_t *to, uint64_t number, int size) {
    for (int i = size - 1; i >= 0; i--, number >>= 8) to[i] = (uint8_t)number;
}

/* Two's complement, whatever the machine has. */
static int64_t wisp__msgpack_signed(uint64_t bits) {
    return bits >> 63 ? -(int64_t)~bits - 1 : (int64_t)bits;
}

/* Bytes of the UTF-8 character that begins `left` (at least 1) bytes; 0: it is none. The range of
   the second byte keeps out overlong forms, surrogates and what is beyond U+10FFFF (RFC 3629,
   section 4). */
static size_t wisp__msgpack_character(const uint8_t *text, size_t left) {
    uint8_t first = text[0], low = 0x80, high = 0xbf;
    size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4 || size > left) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return size;
}

static bool wisp__msgpack_is_utf8(const void *text, size_t size) {
    const uint8_t *at = (const uint8_t *)text;
    while (size > 0) {
        size_t step = 8;
        if (size < 8 || wisp__load64(at) & UINT64_C(0x8080808080808080))
            step = wisp__msgpack_character(at, size);
        if (step == 0) return false;
        at += step;
        size -= step;
    }
    return true;
}

/* Nanoseconds and seconds of an ext -1; false: no timestamp has this size. */
static bool wisp__msgpack_parse_time(const uint8_t *data, size_t size, uint32_t *nanoseconds,
                                     int64_t *seconds) {
    if (size != 4 && size != 8 && size != 12) return false;
    *nanoseconds = 0;
    if (size == 4) *seconds = (int64_t)wisp__msgpack_load(data, 4);
    if (size == 8) {
        *nanoseconds = (uint32_t)(wisp__msgpack_load(data, 4) >> 2);
        *seconds = (int64_t)(wisp__msgpack_load(data, 8) & ((UINT64_C(1) << 34) - 1));
    }
    if (size == 12) {
        *nanoseconds = (uint32_t)wisp__msgpack_load(data, 4);
        *seconds = wisp__msgpack_signed(wisp__msgpack_load(data + 4, 8));
    }
    return true;
}

/* --- writing --- */

/* Lists call back through `value`, because lists and values hold each other. */
typedef struct wisp__msgpack_writer {
    void      (*value)(struct wisp__msgpack_writer *w, const wisp_value *value, int depth);
    uint8_t    *at;
    size_t      left;      /* bytes of capacity */
    wisp_result result;    /* the first failure */
} wisp__msgpack_writer;

/* How a length is said: in the first byte when it is below `fixed`, else after the code: in one
   byte (code - 1, where there is such a form), two (code) or four (code + 1). */
typedef struct wisp__msgpack_form {
    uint8_t  first;
    unsigned fixed;
    bool     has_byte;
    uint8_t  code;
} wisp__msgpack_form;

static const wisp__msgpack_form wisp__msgpack_str   = { 0xa0, 32, true, 0xda };
static const wisp__msgpack_form wisp__msgpack_bin   = { 0, 0, true, 0xc5 };
static const wisp__msgpack_form wisp__msgpack_ext   = { 0, 0, true, 0xc8 };
static const wisp__msgpack_form wisp__msgpack_array = { 0x90, 16, false, 0xdc };
static const wisp__msgpack_form wisp__msgpack_map   = { 0x80, 16, false, 0xde };

static void wisp__msgpack_refuse(wisp__msgpack_writer *w, wisp_result code) {
    if (w->result == WISP_OK) w->result = code;
}

static void wisp__msgpack_put(wisp__msgpack_writer *w, const void *bytes, size_t size) {
    if (size > w->left) wisp__msgpack_refuse(w, WISP_E_TOO_BIG);
    if (w->result || size == 0) return;
    memcpy(w->at, bytes, size);
    w->at += size;
    w->left -= size;
}

/* A first byte, and a number in `size` (0..8) bytes. */
static void wisp__msgpack_put_code(wisp__msgpack_writer *w, unsigned code, uint64_t number,
                                   int size) {
    uint8_t bytes[9];
    bytes[0] = (uint8_t)code;
    wisp__msgpack_store(bytes + 1, number, size);
    wisp__msgpack_put(w, bytes, (size_t)size + 1);
}

static void wisp__msgpack_put_length(wisp__msgpack_writer *w, const wisp__msgpack_form *form,
                                     size_t length) {
    if (length < form->fixed) wisp__msgpack_put_code(w, form->first + (unsigned)length, 0, 0);
    else if (form->has_byte && length <= 0xff)
        wisp__msgpack_put_code(w, form->code - 1u, length, 1);
    else if (length <= 0xffff) wisp__msgpack_put_code(w, form->code, length, 2);
    else wisp__msgpack_put_code(w, form->code + 1u, length, 4);
}

static void wisp__msgpack_put_uint(wisp__msgpack_writer *w, uint64_t number) {
    if (number <= 0x7f) wisp__msgpack_put_code(w, (unsigned)number, 0, 0);
    else if (number <= 0xff) wisp__msgpack_put_code(w, 0xcc, number, 1);
    else if (number <= 0xffff) wisp__msgpack_put_code(w, 0xcd, number, 2);
    else if (number <= 0xffffffff) wisp__msgpack_put_code(w, 0xce, number, 4);
    else wisp__msgpack_put_code(w, 0xcf, number, 8);
}

static void wisp__msgpack_put_int(wisp__msgpack_writer *w, int64_t number) {
    uint64_t bits = (uint64_t)number;
    if (number >= 0) wisp__msgpack_put_uint(w, bits);
    else if (number >= -32) wisp__msgpack_put_code(w, (unsigned)(bits & 0xff), 0, 0);
    else if (number >= INT8_MIN) wisp__msgpack_put_code(w, 0xd0, bits, 1);
    else if (number >= INT16_MIN) wisp__msgpack_put_code(w, 0xd1, bits, 2);
    else if (number >= INT32_MIN) wisp__msgpack_put_code(w, 0xd2, bits, 4);
    else wisp__msgpack_put_code(w, 0xd3, bits, 8);
}

/* A float or a number, as the bits that stand in memory: a floating-point register may change
   those of a signalling NaN. */
static void wisp__msgpack_put_real(wisp__msgpack_writer *w, const wisp_value *value) {
    uint32_t low = 0;
    uint64_t high = 0;
    memcpy(&low, &value->as.float32, 4);
    memcpy(&high, &value->as.number, 8);
    if (value->kind == WISP_FLOAT) wisp__msgpack_put_code(w, 0xca, low, 4);
    else wisp__msgpack_put_code(w, 0xcb, high, 8);
}

/* The head is not written without the text: a length beyond what it can say does not fit. */
static void wisp__msgpack_put_text(wisp__msgpack_writer *w, const char *text, size_t size) {
    if (size > w->left) wisp__msgpack_refuse(w, WISP_E_TOO_BIG);
    else if (!wisp__msgpack_is_utf8(text, size)) wisp__msgpack_refuse(w, WISP_E_TYPE);
    if (w->result) return;
    wisp__msgpack_put_length(w, &wisp__msgpack_str, size);
    wisp__msgpack_put(w, text, size);
}

static void wisp__msgpack_put_ext(wisp__msgpack_writer *w, int type, const void *data,
                                  size_t size) {
    static const uint8_t codes[] = { 0, 0xd4, 0xd5, 0, 0xd6, 0, 0, 0, 0xd7,
                                     0, 0, 0, 0, 0, 0, 0, 0xd8 };
    uint8_t byte = (uint8_t)(unsigned)type;
    if (size < sizeof codes && codes[size]) wisp__msgpack_put_code(w, codes[size], 0, 0);
    else wisp__msgpack_put_length(w, &wisp__msgpack_ext, size);
    wisp__msgpack_put(w, &byte, 1);
    wisp__msgpack_put(w, data, size);
}

static void wisp__msgpack_put_floats(wisp__msgpack_writer *w, const wisp_value *value) {
    float parts[7];
    uint8_t data[sizeof parts];
    int count = wisp__value_floats(value, parts);
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &parts[i], 4);
        wisp__msgpack_store(data + 4 * i, bits, 4);
    }
    wisp__msgpack_put_ext(w, (int)value->kind - WISP_VEC2 + 1, data, (size_t)count * 4);
}

static void wisp__msgpack_put_object(wisp__msgpack_writer *w, uint32_t id) {
    uint8_t data[4];
    wisp__msgpack_store(data, id, 4);
    wisp__msgpack_put_ext(w, WISP__MSGPACK_OBJECT, data, 4);
}

static void wisp__msgpack_put_time(wisp__msgpack_writer *w, int64_t seconds,
                                   uint32_t nanoseconds) {
    uint8_t data[12];
    uint64_t bits = (uint64_t)seconds;
    int size = bits >> 34 ? 12 : bits >> 32 || nanoseconds ? 8 : 4;
    if (size == 12) {
        wisp__msgpack_store(data, nanoseconds, 4);
        wisp__msgpack_store(data + 4, bits, 8);
    } else {
        wisp__msgpack_store(data, (uint64_t)nanoseconds << 34 | bits, size);
    }
    wisp__msgpack_put_ext(w, WISP__MSGPACK_TIMESTAMP, data, (size_t)size);
}

/* Does the value point to what it counts? */
static bool wisp__msgpack_is_sound(const wisp_value *value) {
    switch (value->kind) {
    case WISP_STRING:
    case WISP_BYTES:
    case WISP_ARRAY:
    case WISP_MAP: return value->count >= 0 && (value->count == 0 || value->as.bytes);
    default: return value->count >= 0;
    }
}

/* Child i of a map if its key is `name`, else NULL. */
static const wisp_value *wisp__msgpack_named(const wisp_value *map, int i, const char *name,
                                             wisp_value *scratch) {
    const char *key = NULL;
    const wisp_value *child = wisp__child(map, i, &key, scratch);
    return key && strcmp(key, name) == 0 ? child : NULL;
}

/* true: an integer from `least` to `most`, whichever its kind. */
static bool wisp__msgpack_in_range(const wisp_value *value, int64_t least, int64_t most,
                                   int64_t *out) {
    if (value->kind == WISP_INT) *out = value->as.integer;
    else if (value->kind == WISP_UINT && value->as.uinteger <= INT64_MAX)
        *out = (int64_t)value->as.uinteger;
    else return false;
    return *out >= least && *out <= most;
}

/* false: it is not {"$seconds", "$nanoseconds"}, and nothing was written. */
static bool wisp__msgpack_put_timestamp(wisp__msgpack_writer *w, const wisp_value *map) {
    wisp_value scratch[2];
    const wisp_value *first = wisp__msgpack_named(map, 0, "$seconds", &scratch[0]);
    const wisp_value *second = first ? wisp__msgpack_named(map, 1, "$nanoseconds", &scratch[1])
                                     : NULL;
    int64_t seconds, nanoseconds;
    if (!second || !wisp__msgpack_in_range(first, INT64_MIN, INT64_MAX, &seconds)) return false;
    if (!wisp__msgpack_in_range(second, 0, WISP__MSGPACK_NANOSECONDS_MAX, &nanoseconds))
        return false;
    wisp__msgpack_put_time(w, seconds, (uint32_t)nanoseconds);
    return true;
}

/* false: it is not {"$ext", "$data"}, and nothing was written. A timestamp that decode would
   refuse cannot be said this way either. */
static bool wisp__msgpack_put_extension(wisp__msgpack_writer *w, const wisp_value *map) {
    wisp_value scratch[2];
    const wisp_value *first = wisp__msgpack_named(map, 0, "$ext", &scratch[0]);
    const wisp_value *data = first ? wisp__msgpack_named(map, 1, "$data", &scratch[1]) : NULL;
    int64_t type, seconds;
    uint32_t nanoseconds = 0;
    if (!data || !wisp__msgpack_in_range(first, INT8_MIN, INT8_MAX, &type)) return false;
    if (data->kind != WISP_BYTES || !wisp__msgpack_is_sound(data)) return false;
    if (type == WISP__MSGPACK_TIMESTAMP)
        wisp__msgpack_parse_time((const uint8_t *)data->as.bytes, (size_t)data->count,
                                 &nanoseconds, &seconds);
    if (nanoseconds > WISP__MSGPACK_NANOSECONDS_MAX) wisp__msgpack_refuse(w, WISP_E_TYPE);
    wisp__msgpack_put_ext(w, (int)type, data->as.bytes, (size_t)data->count);
    return true;
}

/* The array of [key, value] arrays that {"$map"} holds; NULL: it is not that. */
static const wisp_value *wisp__msgpack_entries(const wisp_value *map, wisp_value *scratch) {
    const wisp_value *entries = wisp__msgpack_named(map, 0, "$map", scratch);
    if (!entries || !wisp__is_array(entries) || !wisp__msgpack_is_sound(entries)) return NULL;
    for (int i = 0; i < entries->count; i++) {
        wisp_value inner;
        const char *key;
        const wisp_value *entry = wisp__child(entries, i, &key, &inner);
        if (!wisp__is_array(entry) || entry->count != 2 || !wisp__msgpack_is_sound(entry))
            return NULL;
    }
    return entries;
}

/* false: it is not {"$map"}, and nothing was written. `depth` is the map's own: its entries and
   their keys and values stand one and two lists deeper. */
static bool wisp__msgpack_put_entries(wisp__msgpack_writer *w, const wisp_value *map, int depth) {
    wisp_value outer;
    const wisp_value *entries = wisp__msgpack_entries(map, &outer);
    if (!entries) return false;
    if (depth + (entries->count ? 2 : 1) > WISP__MSGPACK_NESTING)
        wisp__msgpack_refuse(w, WISP_E_DEPTH);
    wisp__msgpack_put_length(w, &wisp__msgpack_map, (size_t)entries->count);
    for (int i = 0; i < entries->count && !w->result; i++) {
        wisp_value inner, leaf;
        const char *key;
        const wisp_value *entry = wisp__child(entries, i, &key, &inner);
        w->value(w, wisp__child(entry, 0, &key, &leaf), depth + 2);
        w->value(w, wisp__child(entry, 1, &key, &leaf), depth + 2);
    }
    return true;
}

/* A field of a struct that may be missing, and is: it is not written. */
static bool wisp__msgpack_is_missing(const wisp_value *map, int i) {
    return map->kind == WISP_STRUCT && !wisp__field_there(&map->as.structure.schema->fields[i],
                                                          map->as.structure.data);
}

static void wisp__msgpack_put_map(wisp__msgpack_writer *w, const wisp_value *map, int depth) {
    if (map->count == 1 && wisp__msgpack_put_entries(w, map, depth)) return;
    if (map->count == 2 && wisp__msgpack_put_timestamp(w, map)) return;
    if (map->count == 2 && wisp__msgpack_put_extension(w, map)) return;
    wisp__msgpack_put_length(w, &wisp__msgpack_map, (size_t)wisp__present(map));
    for (int i = 0; i < map->count && !w->result; i++) {
        wisp_value scratch;
        const char *key = NULL;
        const wisp_value *child = wisp__child(map, i, &key, &scratch);
        if (wisp__msgpack_is_missing(map, i)) continue;
        if (key) wisp__msgpack_put_text(w, key, strlen(key));
        else wisp__msgpack_refuse(w, WISP_E_ARGUMENT);
        w->value(w, child, depth);
    }
}

/* `depth` counts the lists from the outermost down to this one. */
static void wisp__msgpack_put_list(wisp__msgpack_writer *w, const wisp_value *list, int depth) {
    if (depth > WISP__MSGPACK_NESTING) wisp__msgpack_refuse(w, WISP_E_DEPTH);
    if (w->result) return;
    if (wisp__is_map(list)) {
        wisp__msgpack_put_map(w, list, depth);
        return;
    }
    wisp__msgpack_put_length(w, &wisp__msgpack_array, (size_t)list->count);
    for (int i = 0; i < list->count && !w->result; i++) {
        wisp_value scratch;
        const char *key;
        w->value(w, wisp__child(list, i, &key, &scratch), depth);
    }
}

static void wisp__msgpack_put_value(wisp__msgpack_writer *w, const wisp_value *value, int depth) {
    if (!wisp__msgpack_is_sound(value)) wisp__msgpack_refuse(w, WISP_E_ARGUMENT);
    if (w->result) return;
    if (wisp__is_map(value) || wisp__is_array(value)) {
        wisp__msgpack_put_list(w, value, depth + 1);
        return;
    }
    switch (value->kind) {
    case WISP_NIL: wisp__msgpack_put_code(w, 0xc0, 0, 0); break;
    case WISP_BOOL: wisp__msgpack_put_code(w, value->as.boolean ? 0xc3 : 0xc2, 0, 0); break;
    case WISP_INT: wisp__msgpack_put_int(w, value->as.integer); break;
    case WISP_UINT: wisp__msgpack_put_uint(w, value->as.uinteger); break;
    case WISP_FLOAT:
    case WISP_NUMBER: wisp__msgpack_put_real(w, value); break;
    case WISP_STRING: wisp__msgpack_put_text(w, value->as.string, (size_t)value->count); break;
    case WISP_BYTES:
        wisp__msgpack_put_length(w, &wisp__msgpack_bin, (size_t)value->count);
        wisp__msgpack_put(w, value->as.bytes, (size_t)value->count);
        break;
    case WISP_VEC2:
    case WISP_VEC3:
    case WISP_VEC4:
    case WISP_QUAT:
    case WISP_TRANSFORM:
    case WISP_COLOR: wisp__msgpack_put_floats(w, value); break;
    case WISP_OBJECT: wisp__msgpack_put_object(w, value->as.object.id); break;
    default: wisp__msgpack_refuse(w, WISP_E_TYPE); break;
    }
}

/* --- reading --- */

typedef enum wisp__msgpack_family {
    WISP__MSGPACK_NIL, WISP__MSGPACK_NEVER, WISP__MSGPACK_BOOL, WISP__MSGPACK_BIN,
    WISP__MSGPACK_EXT, WISP__MSGPACK_FLOAT, WISP__MSGPACK_NUMBER, WISP__MSGPACK_UINT,
    WISP__MSGPACK_INT, WISP__MSGPACK_STR, WISP__MSGPACK_ARRAY, WISP__MSGPACK_MAP
} wisp__msgpack_family;

/* What a first byte begins, with its number: a value, bits, a length or a count. */
typedef struct wisp__msgpack_head {
    wisp__msgpack_family family;
    uint64_t             number;
} wisp__msgpack_head;

/* Lists call back through `value`, as those of the writer do. */
typedef struct wisp__msgpack_reader {
    void         (*value)(struct wisp__msgpack_reader *r, wisp_value *out, int depth);
    const uint8_t *at;
    size_t         left;       /* bytes */
    size_t         owed;       /* values that begun lists have yet to bring; at most `left` */
    wisp__bump     memory;
    int            deepest;    /* list of the part that is read, from the outermost */
    wisp_result    result;     /* the first failure */
} wisp__msgpack_reader;

static void wisp__msgpack_fail(wisp__msgpack_reader *r, wisp_result code) {
    if (r->result == WISP_OK) r->result = code;
}

/* The next bytes, of those that no value is owed; NULL: there are fewer. */
static const uint8_t *wisp__msgpack_take(wisp__msgpack_reader *r, uint64_t size) {
    const uint8_t *bytes = r->at;
    if (size > r->left - r->owed) wisp__msgpack_fail(r, WISP_E_SYNTAX);
    if (r->result) return NULL;
    r->at += (size_t)size;
    r->left -= (size_t)size;
    return bytes;
}

static void *wisp__msgpack_memory(wisp__msgpack_reader *r, size_t count, size_t item_bytes) {
    void *memory = NULL;
    if (count <= r->memory.left / item_bytes)
        memory = wisp__bump_take(&r->memory, count * item_bytes);
    if (!memory) wisp__msgpack_fail(r, WISP_E_MEMORY);
    return memory;
}

/* Takes note of a list at a depth; false: it is too deep. */
static bool wisp__msgpack_enter(wisp__msgpack_reader *r, int depth) {
    if (depth > WISP__MSGPACK_NESTING) wisp__msgpack_fail(r, WISP_E_DEPTH);
    r->deepest = wisp__max_int(r->deepest, depth);
    return r->result == WISP_OK;
}

/* The first byte of a value and the number that belongs to it. */
static wisp__msgpack_head wisp__msgpack_get_head(wisp__msgpack_reader *r) {
    static const struct { uint8_t family, bytes, number; } heads[32] = {
        { WISP__MSGPACK_NIL, 0, 0 },    { WISP__MSGPACK_NEVER, 0, 0 },
        { WISP__MSGPACK_BOOL, 0, 0 },   { WISP__MSGPACK_BOOL, 0, 1 },
        { WISP__MSGPACK_BIN, 1, 0 },    { WISP__MSGPACK_BIN, 2, 0 },
        { WISP__MSGPACK_BIN, 4, 0 },    { WISP__MSGPACK_EXT, 1, 0 },
        { WISP__MSGPACK_EXT, 2, 0 },    { WISP__MSGPACK_EXT, 4, 0 },
        { WISP__MSGPACK_FLOAT, 4, 0 },  { WISP__MSGPACK_NUMBER, 8, 0 },
        { WISP__MSGPACK_UINT, 1, 0 },   { WISP__MSGPACK_UINT, 2, 0 },
        { WISP__MSGPACK_UINT, 4, 0 },   { WISP__MSGPACK_UINT, 8, 0 },
        { WISP__MSGPACK_INT, 1, 0 },    { WISP__MSGPACK_INT, 2, 0 },
        { WISP__MSGPACK_INT, 4, 0 },    { WISP__MSGPACK_INT, 8, 0 },
        { WISP__MSGPACK_EXT, 0, 1 },    { WISP__MSGPACK_EXT, 0, 2 },
        { WISP__MSGPACK_EXT, 0, 4 },    { WISP__MSGPACK_EXT, 0, 8 },
        { WISP__MSGPACK_EXT, 0, 16 },   { WISP__MSGPACK_STR, 1, 0 },
        { WISP__MSGPACK_STR, 2, 0 },    { WISP__MSGPACK_STR, 4, 0 },
        { WISP__MSGPACK_ARRAY, 2, 0 },  { WISP__MSGPACK_ARRAY, 4, 0 },
        { WISP__MSGPACK_MAP, 2, 0 },    { WISP__MSGPACK_MAP, 4, 0 },
    };
    wisp__msgpack_head head = { WISP__MSGPACK_NEVER, 0 };
    const uint8_t *first = wisp__msgpack_take(r, 1), *rest;
    unsigned code = first ? *first : 0xc1;
    if (code <= 0x7f) head.family = WISP__MSGPACK_UINT, head.number = code;
    else if (code <= 0x8f) head.family = WISP__MSGPACK_MAP, head.number = code & 15;
    else if (code <= 0x9f) head.family = WISP__MSGPACK_ARRAY, head.number = code & 15;
    else if (code <= 0xbf) head.family = WISP__MSGPACK_STR, head.number = code & 31;
    else if (code >= 0xe0) head.family = WISP__MSGPACK_INT, head.number = ~UINT64_C(0xff) | code;
    else {
        int bytes = heads[code & 31].bytes;
        head.family = (wisp__msgpack_family)heads[code & 31].family;
        head.number = heads[code & 31].number;
        rest = wisp__msgpack_take(r, (uint64_t)bytes);
        if (rest && bytes) head.number = wisp__msgpack_load(rest, bytes);
        if (head.family == WISP__MSGPACK_INT && bytes < 8 && head.number >> (8 * bytes - 1))
            head.number |= ~UINT64_C(0) << 8 * bytes;
    }
    return head;
}

static void wisp__msgpack_get_integer(wisp_value *out, wisp__msgpack_head head) {
    if (head.family == WISP__MSGPACK_INT) *out = wisp_int(wisp__msgpack_signed(head.number));
    else if (head.number <= INT64_MAX) *out = wisp_int((int64_t)head.number);
    else *out = wisp_uint(head.number);
}

/* The bits go to memory as they are, and not through a register that might change them. */
static void wisp__msgpack_get_real(wisp_value *out, wisp__msgpack_head head) {
    uint32_t low = (uint32_t)head.number;
    if (head.family == WISP__MSGPACK_FLOAT) {
        *out = wisp__value_of(WISP_FLOAT, 0);
        memcpy(&out->as.float32, &low, 4);
    } else {
        *out = wisp__value_of(WISP_NUMBER, 0);
        memcpy(&out->as.number, &head.number, 8);
    }
}

static void wisp__msgpack_get_text(wisp__msgpack_reader *r, wisp_value *out, uint64_t size) {
    const uint8_t *bytes = wisp__msgpack_take(r, size);
    char *text;
    if (bytes && !wisp__msgpack_is_utf8(bytes, (size_t)size)) wisp__msgpack_fail(r, WISP_E_SYNTAX);
    if (r->result) return;
    text = (char *)wisp__msgpack_memory(r, (size_t)size + 1, 1);
    if (!text) return;
    memcpy(text, bytes, (size_t)size);
    text[size] = 0;
    *out = wisp_string_n(text, (int)size);
}

static void wisp__msgpack_get_bytes(wisp__msgpack_reader *r, wisp_value *out, uint64_t size) {
    const uint8_t *bytes = wisp__msgpack_take(r, size);
    if (bytes) *out = wisp_bytes(bytes, (int)size);
}

/* A map of two pairs that stands for what no kind stands for. */
static void wisp__msgpack_get_stand_in(wisp__msgpack_reader *r, wisp_value *out, int depth,
                                       const wisp_pair pairs[2]) {
    wisp_pair *copy;
    if (!wisp__msgpack_enter(r, depth + 1)) return;
    copy = (wisp_pair *)wisp__msgpack_memory(r, 2, sizeof *copy);
    if (!copy) return;
    memcpy(copy, pairs, 2 * sizeof *copy);
    *out = wisp_map(copy, 2);
}

static void wisp__msgpack_get_floats(wisp_value *out, wisp_kind kind, const uint8_t *data,
                                     size_t size) {
    uint32_t parts[7];
    for (size_t i = 0; i < size / 4; i++)
        parts[i] = (uint32_t)wisp__msgpack_load(data + 4 * i, 4);
    *out = wisp__value_of(kind, 0);
    memcpy(&out->as, parts, size);
}

/* false: a type that is no kind, or a size that is not its own. */
static bool wisp__msgpack_get_kind(wisp_value *out, uint8_t type, const uint8_t *data,
                                   uint64_t size) {
    static const uint8_t sizes[] = { 0, 8, 12, 16, 16, 28, 16, 4 };
    if (type < 1 || type > WISP__MSGPACK_OBJECT || size != sizes[type]) return false;
    if (type < WISP__MSGPACK_OBJECT) {
        wisp__msgpack_get_floats(out, (wisp_kind)(WISP_VEC2 + type - 1), data, (size_t)size);
    } else {
        *out = wisp__value_of(WISP_OBJECT, 0);
        out->as.object.id = (uint32_t)wisp__msgpack_load(data, 4);
    }
    return true;
}

static void wisp__msgpack_get_ext(wisp__msgpack_reader *r, wisp_value *out, uint64_t size,
                                  int depth) {
    const uint8_t *byte = wisp__msgpack_take(r, 1), *data = wisp__msgpack_take(r, size);
    wisp_pair pairs[2];
    uint32_t nanoseconds = 0;
    int64_t seconds = 0;
    int type;
    if (!byte || !data || wisp__msgpack_get_kind(out, *byte, data, size)) return;
    type = *byte < 128 ? *byte : *byte - 256;
    if (type == WISP__MSGPACK_TIMESTAMP &&
        wisp__msgpack_parse_time(data, (size_t)size, &nanoseconds, &seconds)) {
        pairs[0].key = "$seconds";
        pairs[0].value = wisp_int(seconds);
        pairs[1].key = "$nanoseconds";
        pairs[1].value = wisp_uint(nanoseconds);
    } else {
        pairs[0].key = "$ext";
        pairs[0].value = wisp_int(type);
        pairs[1].key = "$data";
        pairs[1].value = wisp_bytes(data, (int)size);
    }
    if (nanoseconds > WISP__MSGPACK_NANOSECONDS_MAX) wisp__msgpack_fail(r, WISP_E_SYNTAX);
    wisp__msgpack_get_stand_in(r, out, depth, pairs);
}

/* The values of a list; NULL: there are none, or the reader has failed. */
static wisp_value *wisp__msgpack_get_items(wisp__msgpack_reader *r, uint64_t count, int depth) {
    wisp_value *items;
    if (!wisp__msgpack_enter(r, depth)) return NULL;
    if (count > r->left - r->owed) wisp__msgpack_fail(r, WISP_E_SYNTAX);
    if (r->result || count == 0) return NULL;
    items = (wisp_value *)wisp__msgpack_memory(r, (size_t)count, sizeof *items);
    if (!items) return NULL;
    r->owed += (size_t)count;
    for (size_t i = 0; i < count && !r->result; i++) r->value(r, &items[i], depth);
    return r->result ? NULL : items;
}

/* Merges two neighbours, both in order, from..middle and middle..end. Of equal keys the one that
   stands first stays first. */
static void wisp__msgpack_merge(const wisp_pair *pairs, const uint32_t *order, uint32_t *merged,
                                size_t from, size_t middle, size_t end) {
    size_t left = from, right = middle;
    for (size_t i = from; i < end; i++) {
        bool take_left = left < middle;
        if (take_left && right < end)
            take_left = strcmp(pairs[order[left]].key, pairs[order[right]].key) <= 0;
        merged[i] = order[take_left ? left++ : right++];
    }
}

/* The order of the pairs by key. `space` has room for two indexes of each pair. */
static const uint32_t *wisp__msgpack_sort(const wisp_pair *pairs, size_t count, uint32_t *space) {
    uint32_t *order = space, *merged = space + count;
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    for (size_t run = 1; run < count; run *= 2) {
        uint32_t *swapped = order;
        for (size_t from = 0; from < count; from += 2 * run) {
            size_t middle = from + run < count ? from + run : count;
            size_t end = middle + run < count ? middle + run : count;
            wisp__msgpack_merge(pairs, order, merged, from, middle, end);
        }
        order = merged;
        merged = swapped;
    }
    return order;
}

/* Leaves one pair of each key, where the first stood, with the value of the last; returns how
   many are left. By sorting, so that keys chosen to collide cost no more than others. */
static size_t wisp__msgpack_distinct(wisp_pair *pairs, size_t count, uint32_t *space) {
    const uint32_t *order = wisp__msgpack_sort(pairs, count, space);
    size_t kept = 0;
    for (size_t i = count; i-- > 1;) {
        wisp_pair *before = &pairs[order[i - 1]], *pair = &pairs[order[i]];
        if (strcmp(before->key, pair->key) != 0) continue;
        before->value = pair->value;
        pair->key = NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key) pairs[kept++] = pairs[i];
    return kept;
}

/* A key and a value hold a pair, and the two indexes that sorting needs for it. */
typedef char wisp__msgpack_pair_fits[
    2 * sizeof(wisp_value) >= sizeof(wisp_pair) + 2 * sizeof(uint32_t) ? 1 : -1];

/* Keys and values in turn become pairs, in the same memory. */
static void wisp__msgpack_plain_map(wisp_value *out, wisp_value *items, size_t count) {
    wisp_pair *pairs = (wisp_pair *)(void *)items;
    for (size_t i = 0; i < count; i++) {
        wisp_pair pair;
        pair.key = items[2 * i].as.string;
        pair.value = items[2 * i + 1];
        memmove(&pairs[i], &pair, sizeof pair);
    }
    count = wisp__msgpack_distinct(pairs, count, (uint32_t *)(void *)(pairs + count));
    *out = wisp_map(pairs, (int)count);
}

/* {"$map": [[key, value], ...]}: two lists deeper than the map was read as. */
static void wisp__msgpack_keyed_map(wisp__msgpack_reader *r, wisp_value *out,
                                    const wisp_value *items, size_t count) {
    wisp_value *entries;
    wisp_pair *pair;
    if (!wisp__msgpack_enter(r, r->deepest + 2)) return;
    entries = (wisp_value *)wisp__msgpack_memory(r, count, sizeof *entries);
    pair = (wisp_pair *)wisp__msgpack_memory(r, 1, sizeof *pair);
    if (!entries || !pair) return;
    for (size_t i = 0; i < count; i++) entries[i] = wisp_array(items + 2 * i, 2);
    pair->key = "$map";
    pair->value = wisp_array(entries, (int)count);
    *out = wisp_map(pair, 1);
}

static bool wisp__msgpack_is_key(const wisp_value *value) {
    return value->kind == WISP_STRING && !memchr(value->as.string, 0, (size_t)value->count);
}

/* `deepest` is of this map alone while it is read: only when all of it has been seen is it known
   whether it stands two lists deeper. */
static void wisp__msgpack_get_map(wisp__msgpack_reader *r, wisp_value *out, uint64_t count,
                                  int depth) {
    int before = r->deepest;
    bool plain = true;
    wisp_value *items;
    r->deepest = 0;
    items = wisp__msgpack_get_items(r, 2 * count, depth);
    for (uint64_t i = 0; items && i < count; i++)
        plain = plain && wisp__msgpack_is_key(&items[2 * i]);
    if (!r->result) {
        if (count == 0) *out = wisp_map(NULL, 0);
        else if (!plain) wisp__msgpack_keyed_map(r, out, items, (size_t)count);
        else wisp__msgpack_plain_map(out, items, (size_t)count);
    }
    r->deepest = wisp__max_int(r->deepest, before);
}

static void wisp__msgpack_get_array(wisp__msgpack_reader *r, wisp_value *out, uint64_t count,
                                    int depth) {
    const wisp_value *items = wisp__msgpack_get_items(r, count, depth);
    if (!r->result) *out = wisp_array(items, (int)count);
}

static void wisp__msgpack_get_value(wisp__msgpack_reader *r, wisp_value *out, int depth) {
    wisp__msgpack_head head;
    r->owed--;
    head = wisp__msgpack_get_head(r);
    *out = wisp_nil();
    if (r->result) return;
    switch (head.family) {
    case WISP__MSGPACK_NIL: break;
    case WISP__MSGPACK_BOOL: *out = wisp_bool(head.number != 0); break;
    case WISP__MSGPACK_UINT:
    case WISP__MSGPACK_INT: wisp__msgpack_get_integer(out, head); break;
    case WISP__MSGPACK_FLOAT:
    case WISP__MSGPACK_NUMBER: wisp__msgpack_get_real(out, head); break;
    case WISP__MSGPACK_STR: wisp__msgpack_get_text(r, out, head.number); break;
    case WISP__MSGPACK_BIN: wisp__msgpack_get_bytes(r, out, head.number); break;
    case WISP__MSGPACK_EXT: wisp__msgpack_get_ext(r, out, head.number, depth); break;
    case WISP__MSGPACK_ARRAY: wisp__msgpack_get_array(r, out, head.number, depth + 1); break;
    case WISP__MSGPACK_MAP: wisp__msgpack_get_map(r, out, head.number, depth + 1); break;
    case WISP__MSGPACK_NEVER: wisp__msgpack_fail(r, WISP_E_SYNTAX); break;
    }
}

/* --- the codec --- */

static int wisp__msgpack_encode(const wisp_codec *codec, const wisp_schema *schema,
                                const wisp_value *value, void *out, int capacity) {
    wisp__msgpack_writer w;
    (void)codec;
    (void)schema;
    if (!value || capacity < 0 || (capacity && !out)) return WISP_E_ARGUMENT;
    w.value = wisp__msgpack_put_value;
    w.at = (uint8_t *)out;
    w.left = (size_t)capacity;
    w.result = WISP_OK;
    wisp__msgpack_put_value(&w, value, 0);
    return w.result ? w.result : capacity - (int)w.left;
}

static int wisp__msgpack_decode(const wisp_codec *codec, const wisp_schema *schema,
                                const void *bytes, int size, wisp_value *out, void *memory,
                                int memory_size) {
    wisp__msgpack_reader r;
    wisp_value value;
    (void)codec;
    (void)schema;
    if (!out || size < 0 || (size && !bytes)) return WISP_E_ARGUMENT;
    if (memory_size < 0 || (memory_size && !memory)) return WISP_E_ARGUMENT;
    if (size == 0) return WISP_E_SYNTAX;
    r.value = wisp__msgpack_get_value;
    r.at = (const uint8_t *)bytes;
    r.left = (size_t)size;
    r.owed = 1;
    r.memory = wisp__bump_on(memory, memory_size);
    r.deepest = 0;
    r.result = WISP_OK;
    wisp__msgpack_get_value(&r, &value, 0);
    if (r.result) return r.result;
    *out = value;
    return size - (int)r.left;
}

const wisp_codec *wisp_msgpack(void) {
    static const wisp_codec codec = { "msgpack", wisp__msgpack_encode, wisp__msgpack_decode,
                                      NULL };
    return &codec;
}

/* ===========================================================================
 * MARK: >>protobuf
 * What: the Protobuf codec: the proto3 wire form of a schema's messages, and
 *   without a schema google.protobuf.Value
 *   (protobuf.dev/programming-guides/encoding, struct.proto).
 * Invariants: what encode writes, decode reads. Fields are written in the
 *   order of their numbers, so equal values have equal bytes. The writer goes
 *   backwards from the end of its room: a message's length is known when its
 *   head is written, and no message is measured twice. Whatever is read twice
 *   merges into what is there, so reading makes an open tree, with nothing for
 *   what has not come; only then defaults are filled in and keys made unique.
 * Not here: ranges, lengths and bounds of enums (the caller validates).
 *
 *   message  { field }
 *   field    tag, then by its wire:   0 varint
 *                                     1 8 bytes, little-endian
 *                                     2 length: varint, bytes
 *                                     3 { field }, tag of wire 4 (a group)
 *                                     5 4 bytes, little-endian
 *   tag      varint of number << 3 | wire, below 2^32 and in at most 5 bytes
 *   varint   groups of seven bits, lowest first, each with a bit that says
 *            whether another follows; at most 64 bits in 10 bytes
 *
 *   bool, enum, integer, uint, range, object   wire 0; sint is zigzag;
 *                                              sfixed and fixed: wire 5 or 1
 *   number (also in a range, and quantized)    wire 5 if it takes 4 bytes, else 1
 *   string, bytes, literal text                wire 2
 *   vec2..4, quat, color   message { float 1, 2, .. }: wire 5
 *   transform              message { 1: position, 2: rotation }
 *   struct                 message { fields by their numbers }
 *   union                  message { one field: the option's index + 1 }
 *   array of these: scalars wire 2 with all of them, others a field for each
 *   array in an array or a union   message { 1: the array }
 *   any, exact             message { 1: nil, wire 0 | 2: number, wire 1 |
 *                                    3: string | 4: bool, wire 0 |
 *                                    5: { 1: { 1: key, 2: any } } | 6: { 1: any } }
 * ======================================================================== */

enum { WISP__PROTOBUF_NESTING = 100 };      /* messages inside the outermost, as others have it */

typedef enum wisp__protobuf_wire {
    WISP__PROTOBUF_VARINT, WISP__PROTOBUF_8, WISP__PROTOBUF_SIZED, WISP__PROTOBUF_BEGIN,
    WISP__PROTOBUF_END, WISP__PROTOBUF_4
} wisp__protobuf_wire;

/* Which of Protobuf's types a type is. Those up to DOUBLE are scalars: 64 bits hold one. */
typedef enum wisp__protobuf_form {
    WISP__PROTOBUF_BOOL, WISP__PROTOBUF_ENUM, WISP__PROTOBUF_OBJECT,
    WISP__PROTOBUF_INT32, WISP__PROTOBUF_INT64, WISP__PROTOBUF_UINT32, WISP__PROTOBUF_UINT64,
    WISP__PROTOBUF_SINT32, WISP__PROTOBUF_SINT64,
    WISP__PROTOBUF_FIXED32, WISP__PROTOBUF_FIXED64,
    WISP__PROTOBUF_SFIXED32, WISP__PROTOBUF_SFIXED64,
    WISP__PROTOBUF_FLOAT, WISP__PROTOBUF_DOUBLE,
    WISP__PROTOBUF_STRING, WISP__PROTOBUF_BYTES, WISP__PROTOBUF_MESSAGE, WISP__PROTOBUF_LIST
} wisp__protobuf_form;

/* --- what the types of a schema are on the wire --- */

static wisp__protobuf_form wisp__protobuf_integer_form(const wisp_type *type, bool narrow) {
    bool is_signed = type->kind == WISP_TYPE_INTEGER;
    if (type->max == 2) {
        narrow = type->bytes > 0 && type->bytes <= 4;
        if (is_signed) return narrow ? WISP__PROTOBUF_SFIXED32 : WISP__PROTOBUF_SFIXED64;
        return narrow ? WISP__PROTOBUF_FIXED32 : WISP__PROTOBUF_FIXED64;
    }
    if (!is_signed) return narrow ? WISP__PROTOBUF_UINT32 : WISP__PROTOBUF_UINT64;
    if (type->max == 1) return narrow ? WISP__PROTOBUF_SINT32 : WISP__PROTOBUF_SINT64;
    return narrow ? WISP__PROTOBUF_INT32 : WISP__PROTOBUF_INT64;
}

/* `bytes`: of the member that holds it, where the type does not say; 0: there is none. */
static wisp__protobuf_form wisp__protobuf_form_of(const wisp_type *type, int bytes) {
    bool narrow;
    if (type->bytes) bytes = type->bytes;
    narrow = bytes > 0 && bytes <= 4;
    switch (type->kind) {
    case WISP_TYPE_BOOL: return WISP__PROTOBUF_BOOL;
    case WISP_TYPE_ENUM: return WISP__PROTOBUF_ENUM;
    case WISP_TYPE_OBJECT: return WISP__PROTOBUF_OBJECT;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT: return wisp__protobuf_integer_form(type, narrow);
    case WISP_TYPE_RANGE: return type->least < 0 ? WISP__PROTOBUF_INT64 : WISP__PROTOBUF_UINT64;
    case WISP_TYPE_NUMBER:
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: return narrow ? WISP__PROTOBUF_FLOAT : WISP__PROTOBUF_DOUBLE;
    case WISP_TYPE_LITERAL: return type->of ? WISP__PROTOBUF_STRING : WISP__PROTOBUF_DOUBLE;
    case WISP_TYPE_STRING: return WISP__PROTOBUF_STRING;
    case WISP_TYPE_BYTES: return WISP__PROTOBUF_BYTES;
    case WISP_TYPE_ARRAY: return WISP__PROTOBUF_LIST;
    default: return WISP__PROTOBUF_MESSAGE;
    }
}

static bool wisp__protobuf_is_scalar(wisp__protobuf_form form) {
    return form <= WISP__PROTOBUF_DOUBLE;
}

static unsigned wisp__protobuf_wire_of(wisp__protobuf_form form) {
    switch (form) {
    case WISP__PROTOBUF_FIXED32:
    case WISP__PROTOBUF_SFIXED32:
    case WISP__PROTOBUF_FLOAT: return WISP__PROTOBUF_4;
    case WISP__PROTOBUF_FIXED64:
    case WISP__PROTOBUF_SFIXED64:
    case WISP__PROTOBUF_DOUBLE: return WISP__PROTOBUF_8;
    default: return form < WISP__PROTOBUF_STRING ? WISP__PROTOBUF_VARINT : WISP__PROTOBUF_SIZED;
    }
}

static int wisp__protobuf_field_bytes(const wisp_field *field) {
    return field->offset >= 0 ? field->bytes : 0;
}

/* Of the member that holds one element. Where an array keeps its elements elsewhere (`bytes` of
   its type is negative) they say themselves what they take. */
static int wisp__protobuf_element_bytes(const wisp_type *array, int bytes) {
    if (array->bytes) bytes = array->bytes;
    return bytes > 0 && array->max > 0 ? bytes / array->max : 0;
}

static uint32_t wisp__protobuf_number(const wisp_schema *schema, int i) {
    int number = schema->fields[i].number;
    return number ? (uint32_t)number : (uint32_t)i + 1;
}

/* The kind of a type that is made of floats. Kinds and types of these stand in the same order. */
static wisp_kind wisp__protobuf_floats_kind(const wisp_type *type) {
    return (wisp_kind)(WISP_VEC2 + (type->kind - WISP_TYPE_VEC2));
}

/* --- scalars as 64 bits, and back --- */

/* false: it is no integer that so many bits hold. */
static bool wisp__protobuf_integer_bits(const wisp_value *value, int width, bool is_signed,
                                        uint64_t *bits) {
    uint64_t most = UINT64_MAX >> (64 - width + is_signed);
    wisp__numeric number;
    if (!wisp__numeric_of(value, &number) || !number.integral) return false;
    *bits = number.negative ? 0 - number.magnitude : number.magnitude;
    if (number.negative) return is_signed && number.magnitude - 1 <= most;
    return number.magnitude <= most;
}

static bool wisp__protobuf_enum_bits(const wisp_type *type, const wisp_value *value,
                                     uint64_t *bits) {
    const char *const *names = (const char *const *)type->of;
    if (value->kind != WISP_STRING) return wisp__protobuf_integer_bits(value, 32, true, bits);
    for (int i = 0; names && i < type->max; i++) {
        if (strlen(names[i]) != (size_t)value->count) continue;
        if (memcmp(names[i], value->as.string, (size_t)value->count) != 0) continue;
        *bits = (uint64_t)i;
        return true;
    }
    return false;
}

/* What is a float or a double already keeps its bits, also those of a NaN. */
static bool wisp__protobuf_real_bits(const wisp_value *value, bool narrow, uint64_t *bits) {
    double number;
    uint32_t low;
    switch (value->kind) {
    case WISP_INT: number = (double)value->as.integer; break;
    case WISP_UINT: number = (double)value->as.uinteger; break;
    case WISP_FLOAT: number = (double)value->as.float32; break;
    case WISP_NUMBER: number = value->as.number; break;
    default: return false;
    }
    low = wisp__float_bits((float)number);
    if (value->kind == WISP_FLOAT) memcpy(&low, &value->as.float32, 4);
    *bits = low;
    if (!narrow) memcpy(bits, &number, 8);
    if (!narrow && value->kind == WISP_NUMBER) memcpy(bits, &value->as.number, 8);
    return true;
}

/* The scalar that a value is; false: it is none of this form. */
static bool wisp__protobuf_bits(wisp__protobuf_form form, const wisp_type *type,
                                const wisp_value *value, uint64_t *bits) {
    switch (form) {
    case WISP__PROTOBUF_BOOL:
        if (value->kind == WISP_BOOL) *bits = value->as.boolean;
        return value->kind == WISP_BOOL;
    case WISP__PROTOBUF_OBJECT:
        if (value->kind == WISP_OBJECT) *bits = value->as.object.id;
        return value->kind == WISP_OBJECT;
    case WISP__PROTOBUF_ENUM: return wisp__protobuf_enum_bits(type, value, bits);
    case WISP__PROTOBUF_INT32:
    case WISP__PROTOBUF_SFIXED32: return wisp__protobuf_integer_bits(value, 32, true, bits);
    case WISP__PROTOBUF_INT64:
    case WISP__PROTOBUF_SFIXED64: return wisp__protobuf_integer_bits(value, 64, true, bits);
    case WISP__PROTOBUF_UINT32:
    case WISP__PROTOBUF_FIXED32: return wisp__protobuf_integer_bits(value, 32, false, bits);
    case WISP__PROTOBUF_UINT64:
    case WISP__PROTOBUF_FIXED64: return wisp__protobuf_integer_bits(value, 64, false, bits);
    case WISP__PROTOBUF_SINT32:
    case WISP__PROTOBUF_SINT64:
        if (!wisp__protobuf_integer_bits(value, form == WISP__PROTOBUF_SINT32 ? 32 : 64, true,
                                         bits))
            return false;
        *bits = wisp__zigzag((int64_t)*bits);
        return true;
    case WISP__PROTOBUF_FLOAT: return wisp__protobuf_real_bits(value, true, bits);
    case WISP__PROTOBUF_DOUBLE: return wisp__protobuf_real_bits(value, false, bits);
    default: return false;
    }
}

static wisp_value wisp__protobuf_real(bool narrow, uint64_t bits) {
    wisp_value value = wisp__value_of(narrow ? WISP_FLOAT : WISP_NUMBER, 0);
    uint32_t low = (uint32_t)bits;
    if (narrow) memcpy(&value.as.float32, &low, 4);
    else memcpy(&value.as.number, &bits, 8);
    return value;
}

/* Of what was read: more bits than a form has are dropped, as the specification wants. */
static wisp_value wisp__protobuf_scalar(wisp__protobuf_form form, const wisp_type *type,
                                        uint64_t bits) {
    wisp_value value;
    switch (form) {
    case WISP__PROTOBUF_BOOL: return wisp_bool(bits != 0);
    case WISP__PROTOBUF_OBJECT:
        value = wisp__value_of(WISP_OBJECT, 0);
        value.as.object.id = (uint32_t)bits;
        return value;
    case WISP__PROTOBUF_ENUM:
    case WISP__PROTOBUF_INT32:
    case WISP__PROTOBUF_SFIXED32: return wisp_int((int32_t)(uint32_t)bits);
    case WISP__PROTOBUF_INT64:
    case WISP__PROTOBUF_SFIXED64: return wisp_int((int64_t)bits);
    case WISP__PROTOBUF_SINT32: return wisp_int(wisp__unzigzag((uint32_t)bits));
    case WISP__PROTOBUF_SINT64: return wisp_int(wisp__unzigzag(bits));
    case WISP__PROTOBUF_UINT32:
    case WISP__PROTOBUF_FIXED32: return wisp_uint((uint32_t)bits);
    case WISP__PROTOBUF_FLOAT: return wisp__protobuf_real(true, bits);
    case WISP__PROTOBUF_DOUBLE: return wisp__protobuf_real(false, bits);
    default: break;
    }
    if (type->kind == WISP_TYPE_RANGE && bits <= INT64_MAX) return wisp_int((int64_t)bits);
    return wisp_uint(bits);
}

/* What a field is that has not come: nil for what consists of other values. */
static wisp_value wisp__protobuf_zero(const wisp_type *type, wisp__protobuf_form form) {
    if (wisp__protobuf_is_scalar(form)) return wisp__protobuf_scalar(form, type, 0);
    if (form == WISP__PROTOBUF_STRING) return wisp_string("");
    if (form == WISP__PROTOBUF_BYTES) return wisp_bytes("", 0);
    if (type->kind >= WISP_TYPE_VEC2 && type->kind <= WISP_TYPE_COLOR)
        return wisp__value_of(wisp__protobuf_floats_kind(type), 0);
    return wisp_nil();
}

/* The default of an optional field. */
static wisp_value wisp__protobuf_fallback(const wisp_field *field, wisp__protobuf_form form) {
    const char *text = field->fallback_text;
    wisp_value value = text ? wisp_string(text) : wisp_number(field->fallback);
    uint64_t bits = 0;
    switch (form) {
    case WISP__PROTOBUF_STRING: return wisp_string(text);
    case WISP__PROTOBUF_BYTES: return wisp_bytes(text ? text : "", text ? (int)strlen(text) : 0);
    case WISP__PROTOBUF_LIST: return wisp_nil();
    case WISP__PROTOBUF_MESSAGE:
        if (field->type.kind == WISP_TYPE_ANY || field->type.kind == WISP_TYPE_EXACT ||
            field->type.kind == WISP_TYPE_UNION)
            return value;
        return wisp__protobuf_zero(&field->type, form);
    case WISP__PROTOBUF_BOOL: return wisp_bool(field->fallback < 0 || field->fallback > 0);
    default: break;
    }
    if (!wisp__protobuf_bits(form, &field->type, &value, &bits)) bits = 0;
    return wisp__protobuf_scalar(form, &field->type, bits);
}

/* --- text --- */

/* Bytes of the character that begins `left` (at least 1) bytes; 0: it is none. The range of the
   second byte keeps out overlong forms, surrogates and what is beyond U+10FFFF (RFC 3629,
   section 4). */
static size_t wisp__protobuf_character(const uint8_t *text, size_t left) {
    uint8_t first = text[0], low = 0x80, high = 0xbf;
    size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4 || size > left) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return size;
}

static bool wisp__protobuf_is_utf8(const void *text, size_t size) {
    const uint8_t *at = (const uint8_t *)text;
    while (size > 0) {
        size_t step = 8;
        if (size < 8 || wisp__load64(at) & UINT64_C(0x8080808080808080))
            step = wisp__protobuf_character(at, size);
        if (step == 0) return false;
        at += step;
        size -= step;
    }
    return true;
}

/* RFC 4648, section 4, with padding; `to` has room for 4 characters for each 3 bytes begun. */
static void wisp__protobuf_base64(const uint8_t *from, size_t size, uint8_t *to) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3, to += 4) {
        uint32_t group = (uint32_t)from[i] << 16;
        if (i + 1 < size) group |= (uint32_t)from[i + 1] << 8;
        if (i + 2 < size) group |= from[i + 2];
        for (int k = 0; k < 4; k++) to[k] = (uint8_t)digits[group >> (18 - 6 * k) & 63];
        if (i + 2 >= size) to[3] = '=';
        if (i + 1 >= size) to[2] = '=';
    }
}

/* --- writing, backwards --- */

/* Messages and what is in them hold each other, so they call back through these. */
typedef struct wisp__protobuf_writer {
    void      (*any)(struct wisp__protobuf_writer *w, const wisp_value *value, int depth);
    void      (*element)(struct wisp__protobuf_writer *w, const wisp_type *type, int bytes,
                         const wisp_value *value, uint32_t number, int depth);
    uint8_t    *begin, *at;     /* what is written begins at `at` */
    wisp_result result;         /* the first failure */
} wisp__protobuf_writer;

static void wisp__protobuf_refuse(wisp__protobuf_writer *w, wisp_result code) {
    if (w->result == WISP_OK) w->result = code;
}

/* Room for `size` bytes in front of what is written; NULL: there is none. */
static uint8_t *wisp__protobuf_room(wisp__protobuf_writer *w, size_t size) {
    if (size > (size_t)(w->at - w->begin)) wisp__protobuf_refuse(w, WISP_E_TOO_BIG);
    if (w->result) return NULL;
    w->at -= size;
    return w->at;
}

static void wisp__protobuf_put_varint(wisp__protobuf_writer *w, uint64_t number) {
    size_t size = 1;
    uint8_t *to;
    for (uint64_t rest = number >> 7; rest; rest >>= 7) size++;
    to = wisp__protobuf_room(w, size);
    if (!to) return;
    for (; number >= 128; number >>= 7) *to++ = (uint8_t)(number | 128);
    *to = (uint8_t)number;
}

static void wisp__protobuf_put_fixed(wisp__protobuf_writer *w, uint64_t bits, size_t size) {
    uint8_t *to = wisp__protobuf_room(w, size);
    for (size_t i = 0; to && i < size; i++, bits >>= 8) to[i] = (uint8_t)bits;
}

static void wisp__protobuf_put_tag(wisp__protobuf_writer *w, uint32_t number, unsigned wire) {
    wisp__protobuf_put_varint(w, (uint64_t)number << 3 | wire);
}

/* Tag and length of what has been written since w->at was `end`. */
static void wisp__protobuf_put_head(wisp__protobuf_writer *w, const uint8_t *end,
                                    uint32_t number) {
    wisp__protobuf_put_varint(w, (uint64_t)(end - w->at));
    wisp__protobuf_put_tag(w, number, WISP__PROTOBUF_SIZED);
}

/* Is there what a text or a list counts? */
static bool wisp__protobuf_is_there(wisp__protobuf_writer *w, const wisp_value *value) {
    bool counts = value->kind == WISP_STRING || value->kind == WISP_BYTES ||
                  value->kind == WISP_ARRAY || value->kind == WISP_MAP;
    if (counts && (value->count < 0 || (value->count && !value->as.bytes)))
        wisp__protobuf_refuse(w, WISP_E_ARGUMENT);
    return w->result == WISP_OK;
}

static void wisp__protobuf_put_bytes(wisp__protobuf_writer *w, const void *bytes, size_t size,
                                     uint32_t number) {
    const uint8_t *end = w->at;
    uint8_t *to = wisp__protobuf_room(w, size);
    if (to && size) memcpy(to, bytes, size);
    wisp__protobuf_put_head(w, end, number);
}

static void wisp__protobuf_put_text(wisp__protobuf_writer *w, const char *text, size_t size,
                                    uint32_t number) {
    if (!wisp__protobuf_is_utf8(text, size)) wisp__protobuf_refuse(w, WISP_E_TYPE);
    wisp__protobuf_put_bytes(w, text, size, number);
}

static void wisp__protobuf_put_bits(wisp__protobuf_writer *w, unsigned wire, uint64_t bits) {
    if (wire == WISP__PROTOBUF_VARINT) wisp__protobuf_put_varint(w, bits);
    else wisp__protobuf_put_fixed(w, bits, wire == WISP__PROTOBUF_4 ? 4 : 8);
}

static void wisp__protobuf_put_scalar(wisp__protobuf_writer *w, wisp__protobuf_form form,
                                      const wisp_type *type, const wisp_value *value) {
    uint64_t bits = 0;
    if (!wisp__protobuf_bits(form, type, value, &bits)) wisp__protobuf_refuse(w, WISP_E_INVALID);
    wisp__protobuf_put_bits(w, wisp__protobuf_wire_of(form), bits);
}

static bool wisp__protobuf_may_nest(wisp__protobuf_writer *w, int depth) {
    if (depth > WISP__PROTOBUF_NESTING) wisp__protobuf_refuse(w, WISP_E_DEPTH);
    return w->result == WISP_OK;
}

/* Floats 1, 2, .. of a message; zeros are not written, minus zero is. */
static void wisp__protobuf_put_floats(wisp__protobuf_writer *w, const void *floats, int count) {
    uint32_t parts[4] = { 0 };
    memcpy(parts, floats, (size_t)count * 4);
    for (int i = count - 1; i >= 0; i--) {
        if (!parts[i]) continue;
        wisp__protobuf_put_fixed(w, parts[i], 4);
        wisp__protobuf_put_tag(w, (uint32_t)i + 1, WISP__PROTOBUF_4);
    }
}

static void wisp__protobuf_put_transform(wisp__protobuf_writer *w, const wisp_value *value,
                                         int depth) {
    const uint8_t *end = w->at;
    if (!wisp__protobuf_may_nest(w, depth + 1)) return;
    wisp__protobuf_put_floats(w, &value->as.transform.rotation, 4);
    wisp__protobuf_put_head(w, end, 2);
    end = w->at;
    wisp__protobuf_put_floats(w, &value->as.transform.position, 3);
    wisp__protobuf_put_head(w, end, 1);
}

/* --- writing values without a type, as google.protobuf.Value --- */

/* Has a double all digits of it? */
static bool wisp__protobuf_is_exact(uint64_t magnitude) {
    while (magnitude && !(magnitude & 1)) magnitude >>= 1;
    return magnitude >> 53 == 0;
}

static void wisp__protobuf_put_number(wisp__protobuf_writer *w, const wisp_value *value) {
    wisp__numeric number;
    uint64_t bits = 0;
    if (wisp__numeric_of(value, &number) && value->kind < WISP_FLOAT &&
        !wisp__protobuf_is_exact(number.magnitude))
        wisp__protobuf_refuse(w, WISP_E_TYPE);
    wisp__protobuf_real_bits(value, false, &bits);
    wisp__protobuf_put_fixed(w, bits, 8);
    wisp__protobuf_put_tag(w, 2, WISP__PROTOBUF_8);
}

static void wisp__protobuf_put_base64(wisp__protobuf_writer *w, const wisp_value *value) {
    const uint8_t *end = w->at;
    size_t size = (size_t)value->count;
    uint8_t *to = wisp__protobuf_room(w, (size + 2) / 3 * 4);
    if (to && size) wisp__protobuf_base64((const uint8_t *)value->as.bytes, size, to);
    wisp__protobuf_put_head(w, end, 3);
}

/* A list of numbers. */
static void wisp__protobuf_put_parts(wisp__protobuf_writer *w, const wisp_value *value, int depth) {
    const uint8_t *end = w->at;
    float parts[7];
    int count = wisp__value_floats(value, parts);
    if (!wisp__protobuf_may_nest(w, depth + 2)) return;
    for (int i = count - 1; i >= 0; i--) {
        const uint8_t *part_end = w->at;
        wisp_value part = wisp_float(parts[i]);
        wisp__protobuf_put_number(w, &part);
        wisp__protobuf_put_head(w, part_end, 1);
    }
    wisp__protobuf_put_head(w, end, 6);
}

/* A field of a struct that may be missing, and is. */
static bool wisp__protobuf_is_missing(const wisp_value *value, int i) {
    return value->kind == WISP_STRUCT && i < value->count &&
           !wisp__field_there(&value->as.structure.schema->fields[i], value->as.structure.data);
}

static void wisp__protobuf_put_any_pair(wisp__protobuf_writer *w, const char *key,
                                        const wisp_value *value, int depth) {
    const uint8_t *end = w->at;
    w->any(w, value, depth + 1);
    wisp__protobuf_put_head(w, end, 2);
    if (!key) wisp__protobuf_refuse(w, WISP_E_ARGUMENT);
    if (!w->result) wisp__protobuf_put_text(w, key, strlen(key), 1);
}

/* A message in the Value; in it elements, or pairs, which are messages too. */
static void wisp__protobuf_put_any_list(wisp__protobuf_writer *w, const wisp_value *value,
                                        int depth) {
    const uint8_t *end = w->at;
    bool map = wisp__is_map(value);
    if (!wisp__protobuf_may_nest(w, depth)) return;
    for (int i = value->count - 1; i >= 0 && !w->result; i--) {
        const uint8_t *item_end = w->at;
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(value, i, &key, &scratch);
        if (map && wisp__protobuf_is_missing(value, i)) continue;
        if (map) wisp__protobuf_put_any_pair(w, key, child, depth + 1);
        else w->any(w, child, depth + 1);
        wisp__protobuf_put_head(w, item_end, 1);
    }
    wisp__protobuf_put_head(w, end, map ? 5 : 6);
}

static void wisp__protobuf_put_any(wisp__protobuf_writer *w, const wisp_value *value, int depth) {
    wisp_value id;
    if (!wisp__protobuf_may_nest(w, depth) || !wisp__protobuf_is_there(w, value)) return;
    if (wisp__is_map(value) || wisp__is_array(value)) {
        wisp__protobuf_put_any_list(w, value, depth + 1);
        return;
    }
    switch (value->kind) {
    case WISP_NIL:
    case WISP_BOOL:
        wisp__protobuf_put_varint(w, value->kind == WISP_BOOL && value->as.boolean);
        wisp__protobuf_put_tag(w, value->kind == WISP_BOOL ? 4 : 1, WISP__PROTOBUF_VARINT);
        break;
    case WISP_INT:
    case WISP_UINT:
    case WISP_FLOAT:
    case WISP_NUMBER: wisp__protobuf_put_number(w, value); break;
    case WISP_OBJECT:
        id = wisp_uint(value->as.object.id);
        wisp__protobuf_put_number(w, &id);
        break;
    case WISP_STRING:
        wisp__protobuf_put_text(w, value->as.string, (size_t)value->count, 3);
        break;
    case WISP_BYTES: wisp__protobuf_put_base64(w, value); break;
    case WISP_VEC2:
    case WISP_VEC3:
    case WISP_VEC4:
    case WISP_QUAT:
    case WISP_TRANSFORM:
    case WISP_COLOR: wisp__protobuf_put_parts(w, value, depth); break;
    default: wisp__protobuf_refuse(w, WISP_E_TYPE); break;
    }
}

/* --- which option of a union a value is --- */

/* Looks into lists as deep as `levels` says: what is further in cannot change the choice. */
typedef bool (*wisp__protobuf_fit)(const wisp_type *type, const wisp_value *value, int levels);

static bool wisp__protobuf_fits_scalar(const wisp_type *type, const wisp_value *value) {
    wisp__protobuf_form form = wisp__protobuf_form_of(type, 0);
    wisp__numeric numeric;
    double number;
    uint64_t bits = 0;
    if (!wisp__protobuf_bits(form, type, value, &bits)) return false;
    if (!wisp__numeric_of(value, &numeric)) return true;
    number = numeric.negative ? -(double)numeric.magnitude : (double)numeric.magnitude;
    if (!numeric.integral) number = numeric.number;
    switch (type->kind) {
    case WISP_TYPE_ENUM: return !numeric.negative && numeric.magnitude < (uint64_t)type->max;
    case WISP_TYPE_RANGE:
        if (type->least < 0) return (int64_t)bits >= type->least && (int64_t)bits <= type->most;
        return bits >= (uint64_t)type->least && bits <= (uint64_t)type->most;
    case WISP_TYPE_LITERAL: return number >= type->lo && number <= type->lo;
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: return number >= type->lo && number <= type->hi;
    case WISP_TYPE_NUMBER: return !numeric.integral || wisp__protobuf_is_exact(numeric.magnitude);
    default: return true;
    }
}

static bool wisp__protobuf_fits_text(const wisp_type *type, const wisp_value *value) {
    const char *literal = (const char *)type->of;
    if (value->kind != (type->kind == WISP_TYPE_BYTES ? WISP_BYTES : WISP_STRING)) return false;
    if (type->kind != WISP_TYPE_LITERAL) return value->count <= type->max;
    return strlen(literal) == (size_t)value->count &&
           memcmp(literal, value->as.string, (size_t)value->count) == 0;
}

static bool wisp__protobuf_fits_list(const wisp_type *type, const wisp_value *value, int levels,
                                     wisp__protobuf_fit fit) {
    if (!wisp__is_array(value) || value->count > type->max) return false;
    for (int i = 0; levels > 0 && i < value->count; i++) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(value, i, &key, &scratch);
        if (!fit((const wisp_type *)type->of, child, levels - 1)) return false;
    }
    return true;
}

/* The value of the i-th field of a schema in a map or a row; NULL: it is not there. A nil in its
   place says the same, but where it can be a value: in a map, of a field that takes any. */
static const wisp_value *wisp__protobuf_child(const wisp_schema *schema, const wisp_value *value,
                                              int i, wisp_value *scratch) {
    const wisp_field *field = &schema->fields[i];
    bool row = schema->shape == WISP_SHAPE_LIST;
    const wisp_value *child = NULL;
    int last = value->count - 1;
    const char *key;
    if (!row) child = wisp__child_named(value, field->name, wisp__min_int(i, last), scratch);
    else if (i <= last) child = wisp__child(value, i, &key, scratch);
    if (!child || child->kind != WISP_NIL || !(field->flags & WISP_FLAG_MAYBE)) return child;
    if (row || field->type.kind != WISP_TYPE_ANY) return NULL;
    return wisp__protobuf_is_missing(value, i) ? NULL : child;
}

static bool wisp__protobuf_is_of_shape(const wisp_schema *schema, const wisp_value *value) {
    return schema->shape == WISP_SHAPE_LIST ? wisp__is_array(value) : wisp__is_map(value);
}

/* How many fields or elements there are that are not nil. */
static int wisp__protobuf_filled(const wisp_value *value) {
    int count = 0;
    for (int i = 0; i < value->count; i++) {
        wisp_value scratch;
        const char *key;
        count += wisp__child(value, i, &key, &scratch)->kind != WISP_NIL;
    }
    return count;
}

/* All its fields, and no others. */
static bool wisp__protobuf_fits_struct(const wisp_schema *schema, const wisp_value *value,
                                       int levels, wisp__protobuf_fit fit) {
    int found = 0;
    if (!wisp__protobuf_is_of_shape(schema, value)) return false;
    for (int i = 0; i < schema->count; i++) {
        const wisp_field *field = &schema->fields[i];
        wisp_value scratch;
        const wisp_value *child = wisp__protobuf_child(schema, value, i, &scratch);
        found += child && child->kind != WISP_NIL;
        if (!child && !(field->flags & (WISP_FLAG_MAYBE | WISP_FLAG_OPTIONAL))) return false;
        if (child && levels > 0 && !fit(&field->type, child, levels - 1)) return false;
    }
    return found == wisp__protobuf_filled(value);
}

static bool wisp__protobuf_fits(const wisp_type *type, const wisp_value *value, int levels) {
    wisp__protobuf_form form = wisp__protobuf_form_of(type, 0);
    if (wisp__protobuf_is_scalar(form)) return wisp__protobuf_fits_scalar(type, value);
    switch (type->kind) {
    case WISP_TYPE_ANY: return true;
    case WISP_TYPE_EXACT:
        if (type->max == WISP_MAP) return wisp__is_map(value);
        if (type->max == WISP_ARRAY) return wisp__is_array(value);
        return (int)value->kind == type->max;
    case WISP_TYPE_LITERAL:
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES: return wisp__protobuf_fits_text(type, value);
    case WISP_TYPE_ARRAY:
        return wisp__protobuf_fits_list(type, value, levels, wisp__protobuf_fits);
    case WISP_TYPE_STRUCT:
        return wisp__protobuf_fits_struct((const wisp_schema *)type->of, value, levels,
                                          wisp__protobuf_fits);
    case WISP_TYPE_UNION:
        for (int i = 0; i < type->max; i++)
            if (wisp__protobuf_fits((const wisp_type *)type->of + i, value, levels)) return true;
        return false;
    default: return value->kind == wisp__protobuf_floats_kind(type);
    }
}

/* --- writing with a schema --- */

/* A scalar that is not its default, or that need not be there. */
static void wisp__protobuf_put_scalar_field(wisp__protobuf_writer *w, const wisp_field *field,
                                            wisp__protobuf_form form, const wisp_value *value,
                                            uint32_t number) {
    unsigned wire = wisp__protobuf_wire_of(form);
    uint64_t bits = 0, otherwise = 0;
    wisp_value fallback;
    if (!wisp__protobuf_bits(form, &field->type, value, &bits))
        wisp__protobuf_refuse(w, WISP_E_INVALID);
    if (field->flags & WISP_FLAG_OPTIONAL) {
        fallback = wisp__protobuf_fallback(field, form);
        wisp__protobuf_bits(form, &field->type, &fallback, &otherwise);
    }
    if (bits == otherwise && !(field->flags & WISP_FLAG_MAYBE)) return;
    wisp__protobuf_put_bits(w, wire, bits);
    wisp__protobuf_put_tag(w, number, wire);
}

static bool wisp__protobuf_is_default_text(const wisp_field *field, wisp__protobuf_form form,
                                           const wisp_value *value) {
    wisp_value fallback;
    if (form == WISP__PROTOBUF_MESSAGE || field->flags & WISP_FLAG_MAYBE) return false;
    if (value->kind != (form == WISP__PROTOBUF_STRING ? WISP_STRING : WISP_BYTES)) return false;
    if (!(field->flags & WISP_FLAG_OPTIONAL)) return value->count == 0;
    fallback = wisp__protobuf_fallback(field, form);
    return value->count == fallback.count &&
           (!value->count || memcmp(value->as.bytes, fallback.as.bytes, (size_t)value->count) == 0);
}

static void wisp__protobuf_put_list(wisp__protobuf_writer *w, const wisp_type *type, int bytes,
                                    const wisp_value *value, uint32_t number, int depth) {
    const wisp_type *element = (const wisp_type *)type->of;
    int each = wisp__protobuf_element_bytes(type, bytes);
    wisp__protobuf_form form = wisp__protobuf_form_of(element, each);
    const uint8_t *end = w->at;
    if (!wisp__is_array(value)) wisp__protobuf_refuse(w, WISP_E_INVALID);
    if (!wisp__protobuf_is_there(w, value)) return;
    for (int i = value->count - 1; i >= 0 && !w->result; i--) {
        wisp_value scratch;
        const char *key;
        const wisp_value *child = wisp__child(value, i, &key, &scratch);
        if (wisp__protobuf_is_scalar(form)) wisp__protobuf_put_scalar(w, form, element, child);
        else w->element(w, element, each, child, number, depth);
    }
    if (wisp__protobuf_is_scalar(form)) wisp__protobuf_put_head(w, end, number);
}

/* A field by the rules of presence. NULL: the value does not have it. */
static void wisp__protobuf_put_field(wisp__protobuf_writer *w, const wisp_field *field,
                                     const wisp_value *value, uint32_t number, int depth) {
    int bytes = wisp__protobuf_field_bytes(field);
    wisp__protobuf_form form = wisp__protobuf_form_of(&field->type, bytes);
    bool maybe = (field->flags & WISP_FLAG_MAYBE) != 0;
    if (!value && !(field->flags & (WISP_FLAG_MAYBE | WISP_FLAG_OPTIONAL)))
        wisp__protobuf_refuse(w, WISP_E_INVALID);
    if (!value || !wisp__protobuf_is_there(w, value)) return;
    if (wisp__protobuf_is_scalar(form)) {
        wisp__protobuf_put_scalar_field(w, field, form, value, number);
    } else if (form == WISP__PROTOBUF_LIST) {
        if (value->count || maybe || !wisp__is_array(value))
            wisp__protobuf_put_list(w, &field->type, bytes, value, number, depth);
    } else if (!wisp__protobuf_is_default_text(field, form, value)) {
        w->element(w, &field->type, bytes, value, number, depth);
    }
}

static bool wisp__protobuf_is_ordered(const wisp_schema *schema) {
    for (int i = 1; i < schema->count; i++)
        if (wisp__protobuf_number(schema, i - 1) >= wisp__protobuf_number(schema, i)) return false;
    return true;
}

/* The field with the highest number below `below`, or -1. */
static int wisp__protobuf_next_lower(const wisp_schema *schema, uint32_t below) {
    int found = -1;
    for (int i = 0; i < schema->count; i++) {
        uint32_t number = wisp__protobuf_number(schema, i);
        if (number < below && (found < 0 || number > wisp__protobuf_number(schema, found)))
            found = i;
    }
    return found;
}

static void wisp__protobuf_put_struct(wisp__protobuf_writer *w, const wisp_schema *schema,
                                      const wisp_value *value, int depth) {
    bool ordered = wisp__protobuf_is_ordered(schema);
    int i = ordered ? schema->count - 1 : wisp__protobuf_next_lower(schema, UINT32_MAX);
    if (!wisp__protobuf_is_of_shape(schema, value)) wisp__protobuf_refuse(w, WISP_E_INVALID);
    if (!wisp__protobuf_is_there(w, value)) return;
    while (i >= 0 && !w->result) {
        uint32_t number = wisp__protobuf_number(schema, i);
        wisp_value scratch;
        const wisp_value *child = wisp__protobuf_child(schema, value, i, &scratch);
        wisp__protobuf_put_field(w, &schema->fields[i], child, number, depth);
        i = ordered ? i - 1 : wisp__protobuf_next_lower(schema, number);
    }
}

static void wisp__protobuf_put_union(wisp__protobuf_writer *w, const wisp_type *type,
                                     const wisp_value *value, int depth) {
    const wisp_type *options = (const wisp_type *)type->of;
    int i = 0;
    while (i < type->max && !wisp__protobuf_fits(&options[i], value, 2)) i++;
    if (i == type->max) wisp__protobuf_refuse(w, WISP_E_INVALID);
    else w->element(w, &options[i], 0, value, (uint32_t)i + 1, depth);
}

static void wisp__protobuf_put_message(wisp__protobuf_writer *w, const wisp_type *type, int bytes,
                                       const wisp_value *value, int depth) {
    if (!wisp__protobuf_may_nest(w, depth)) return;
    switch (type->kind) {
    case WISP_TYPE_STRUCT:
        wisp__protobuf_put_struct(w, (const wisp_schema *)type->of, value, depth);
        return;
    case WISP_TYPE_ARRAY:
        if (value->count || !wisp__is_array(value))
            wisp__protobuf_put_list(w, type, bytes, value, 1, depth);
        return;
    case WISP_TYPE_UNION: wisp__protobuf_put_union(w, type, value, depth); return;
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: wisp__protobuf_put_any(w, value, depth); return;
    default: break;
    }
    if (value->kind != wisp__protobuf_floats_kind(type)) wisp__protobuf_refuse(w, WISP_E_INVALID);
    else if (value->kind == WISP_TRANSFORM) wisp__protobuf_put_transform(w, value, depth);
    else wisp__protobuf_put_floats(w, &value->as, value->kind == WISP_VEC2 ? 2 :
                                                  value->kind == WISP_VEC3 ? 3 : 4);
}

/* A field with one value, whichever it is. */
static void wisp__protobuf_put_element(wisp__protobuf_writer *w, const wisp_type *type, int bytes,
                                       const wisp_value *value, uint32_t number, int depth) {
    wisp__protobuf_form form = wisp__protobuf_form_of(type, bytes);
    const uint8_t *end = w->at;
    if (!wisp__protobuf_is_there(w, value)) return;
    if (wisp__protobuf_is_scalar(form)) {
        wisp__protobuf_put_scalar(w, form, type, value);
        wisp__protobuf_put_tag(w, number, wisp__protobuf_wire_of(form));
    } else if (form == WISP__PROTOBUF_STRING || form == WISP__PROTOBUF_BYTES) {
        bool text = form == WISP__PROTOBUF_STRING;
        if (value->kind != (text ? WISP_STRING : WISP_BYTES))
            wisp__protobuf_refuse(w, WISP_E_INVALID);
        else if (text)
            wisp__protobuf_put_text(w, value->as.string, (size_t)value->count, number);
        else wisp__protobuf_put_bytes(w, value->as.bytes, (size_t)value->count, number);
    } else {
        wisp__protobuf_put_message(w, type, bytes, value, depth + 1);
        wisp__protobuf_put_head(w, end, number);
    }
}

/* --- reading --- */

/* Messages and what is in them hold each other, so they call back through these. */
typedef struct wisp__protobuf_reader {
    void         (*any)(struct wisp__protobuf_reader *r, wisp_value *out, int depth);
    void         (*element)(struct wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                            wisp_value *out, int depth);
    void         (*finish)(struct wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                           wisp_value *value, int depth);
    const uint8_t *at, *end;           /* of the message that is read */
    wisp__bump     memory;
    const wisp_schema *ordered;        /* one whose numbers are known to ascend */
    wisp_result    result;             /* the first failure; then at == end */
} wisp__protobuf_reader;

static void wisp__protobuf_fail(wisp__protobuf_reader *r, wisp_result code) {
    if (r->result == WISP_OK) r->result = code;
    r->at = r->end;
}

static bool wisp__protobuf_more(const wisp__protobuf_reader *r) {
    return r->result == WISP_OK && r->at < r->end;
}

/* NULL, and the reader has failed: there is not enough memory. */
static void *wisp__protobuf_memory(wisp__protobuf_reader *r, size_t count, size_t size) {
    void *memory = NULL;
    if (count <= SIZE_MAX / size) memory = wisp__bump_take(&r->memory, count * size);
    if (!memory) wisp__protobuf_fail(r, WISP_E_MEMORY);
    return memory;
}

/* The next `size` bytes, or NULL and the reader has failed. */
static const uint8_t *wisp__protobuf_take(wisp__protobuf_reader *r, uint64_t size) {
    const uint8_t *taken = r->at;
    if (size > (uint64_t)(r->end - r->at)) wisp__protobuf_fail(r, WISP_E_SYNTAX);
    if (r->result) return NULL;
    r->at += size;
    return taken;
}

static uint64_t wisp__protobuf_get_varint(wisp__protobuf_reader *r) {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = wisp__protobuf_take(r, 1);
        if (!byte || (shift == 63 && *byte > 1)) break;
        number |= (uint64_t)(*byte & 127) << shift;
        if (*byte < 128) return number;
    }
    wisp__protobuf_fail(r, WISP_E_SYNTAX);
    return 0;
}

/* A tag; 0, which is none, and the reader has failed. */
static uint32_t wisp__protobuf_get_tag(wisp__protobuf_reader *r) {
    const uint8_t *begin = r->at;
    uint64_t tag = wisp__protobuf_get_varint(r);
    if (r->result) return 0;
    if (r->at - begin > 5 || tag > UINT32_MAX || tag < 8 || (tag & 7) > WISP__PROTOBUF_4) {
        wisp__protobuf_fail(r, WISP_E_SYNTAX);
        return 0;
    }
    return (uint32_t)tag;
}

static uint64_t wisp__protobuf_get_fixed(wisp__protobuf_reader *r, int size) {
    const uint8_t *bytes = wisp__protobuf_take(r, (uint64_t)size);
    uint64_t bits = 0;
    for (int i = size - 1; bytes && i >= 0; i--) bits = bits << 8 | bytes[i];
    return bits;
}

static uint64_t wisp__protobuf_get_bits(wisp__protobuf_reader *r, unsigned wire) {
    if (wire == WISP__PROTOBUF_VARINT) return wisp__protobuf_get_varint(r);
    return wisp__protobuf_get_fixed(r, wire == WISP__PROTOBUF_4 ? 4 : 8);
}

/* From here to the matching wisp__protobuf_close the reader ends where the length that stands
   here says. Returns what it ends at otherwise. `depth`: of the message that begins. */
static const uint8_t *wisp__protobuf_open(wisp__protobuf_reader *r, int depth) {
    const uint8_t *outer = r->end;
    uint64_t size = wisp__protobuf_get_varint(r);
    const uint8_t *begin = wisp__protobuf_take(r, size);
    if (depth > WISP__PROTOBUF_NESTING) wisp__protobuf_fail(r, WISP_E_DEPTH);
    if (r->result) return outer;
    r->at = begin;
    r->end = begin + size;
    return outer;
}

static void wisp__protobuf_close(wisp__protobuf_reader *r, const uint8_t *outer) {
    r->end = outer;
    if (r->result) r->at = r->end;
}

/* A field that nobody knows, or of another wire than is known, after its tag (which may be 0, if
   the reader has failed). `depth`: of the message it is in. */
static void wisp__protobuf_skip(wisp__protobuf_reader *r, uint32_t tag, int depth) {
    uint32_t groups[WISP__PROTOBUF_NESTING];
    int open = 0;
    do {
        uint32_t number = tag >> 3;
        switch (tag & 7) {
        case WISP__PROTOBUF_VARINT: wisp__protobuf_get_varint(r); break;
        case WISP__PROTOBUF_8: wisp__protobuf_take(r, 8); break;
        case WISP__PROTOBUF_4: wisp__protobuf_take(r, 4); break;
        case WISP__PROTOBUF_SIZED: wisp__protobuf_take(r, wisp__protobuf_get_varint(r)); break;
        case WISP__PROTOBUF_BEGIN:
            if (depth + open >= WISP__PROTOBUF_NESTING) wisp__protobuf_fail(r, WISP_E_DEPTH);
            else groups[open++] = number;
            break;
        default:
            if (open == 0 || groups[--open] != number) wisp__protobuf_fail(r, WISP_E_SYNTAX);
            break;
        }
        if (open) tag = wisp__protobuf_get_tag(r);
    } while (open && !r->result);
}

/* How many fields with this tag follow at once, counting the one whose tag was read. */
static size_t wisp__protobuf_run(const wisp__protobuf_reader *r, uint32_t tag, int depth) {
    wisp__protobuf_reader ahead = *r;
    size_t count = 0;
    uint32_t next = tag;
    for (; next == tag; count++) {
        wisp__protobuf_skip(&ahead, tag, depth);
        next = wisp__protobuf_more(&ahead) ? wisp__protobuf_get_tag(&ahead) : 0;
    }
    return count;
}

/* How many values a packed list has that begins here. */
static size_t wisp__protobuf_packed(const wisp__protobuf_reader *r, unsigned wire) {
    size_t left = (size_t)(r->end - r->at), count = 0;
    if (wire == WISP__PROTOBUF_4) return left / 4;
    if (wire == WISP__PROTOBUF_8) return left / 8;
    for (size_t i = 0; i < left; i++) count += r->at[i] < 128;
    return count;
}

/* How many items there is room for, which stands ahead of them. */
static size_t wisp__protobuf_room_of(const void *items) {
    size_t room = 0;
    if (items) memcpy(&room, (const uint8_t *)items - 8, sizeof room);
    return room;
}

/* Gives back the block that was taken last, so that it can be taken again, and larger. */
static void wisp__protobuf_give_back(wisp__protobuf_reader *r, const uint8_t *block, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (block + size != r->memory.at) return;
    r->memory.at -= size;
    r->memory.left += size;
}

/* Items with room for `more` than `count`; NULL: the reader has failed. The room doubles, so that
   a list that comes in pieces costs no more than its size. */
static void *wisp__protobuf_grow(wisp__protobuf_reader *r, const void *items, int count,
                                 size_t more, size_t size) {
    size_t used = (size_t)count, room = wisp__protobuf_room_of(items);
    uint8_t *block;
    if (r->result) return NULL;
    if (items && more <= room - used) return (void *)items;
    room = used + (more > used ? more : used);
    if (room > INT32_MAX || room > (SIZE_MAX - 8) / size) {
        wisp__protobuf_fail(r, WISP_E_MEMORY);
        return NULL;
    }
    if (items)
        wisp__protobuf_give_back(r, (const uint8_t *)items - 8,
                                 8 + wisp__protobuf_room_of(items) * size);
    block = (uint8_t *)wisp__protobuf_memory(r, 8 + room * size, 1);
    if (!block) return NULL;
    memcpy(block, &room, sizeof room);
    if (used && block + 8 != items) memcpy(block + 8, items, used * size);
    return block + 8;
}

/* The same for one more, the field of which has this tag, and all that follow it at once. */
static void *wisp__protobuf_grow_by_run(wisp__protobuf_reader *r, const void *items, int count,
                                        uint32_t tag, int depth, size_t size) {
    size_t more = 1;
    if (wisp__protobuf_room_of(items) == (size_t)count) more = wisp__protobuf_run(r, tag, depth);
    return wisp__protobuf_grow(r, items, count, more, size);
}

/* A length and text, copied with a NUL after it; NULL: the reader has failed. */
static char *wisp__protobuf_get_text(wisp__protobuf_reader *r, int *size) {
    uint64_t length = wisp__protobuf_get_varint(r);
    const uint8_t *bytes = wisp__protobuf_take(r, length);
    char *text;
    if (bytes && !wisp__protobuf_is_utf8(bytes, (size_t)length))
        wisp__protobuf_fail(r, WISP_E_SYNTAX);
    text = r->result ? NULL : (char *)wisp__protobuf_memory(r, (size_t)length + 1, 1);
    if (!text) return NULL;
    if (length) memcpy(text, bytes, (size_t)length);
    text[length] = 0;
    *size = (int)length;
    return text;
}

static void wisp__protobuf_get_string(wisp__protobuf_reader *r, wisp_value *out) {
    int size = 0;
    const char *text = wisp__protobuf_get_text(r, &size);
    if (text) *out = wisp_string_n(text, size);
}

static void wisp__protobuf_get_bytes(wisp__protobuf_reader *r, wisp_value *out) {
    uint64_t size = wisp__protobuf_get_varint(r);
    const uint8_t *bytes = wisp__protobuf_take(r, size);
    if (bytes) *out = wisp_bytes(bytes, (int)size);
}

/* Floats 1 .. count of a message, into those that are there. */
static void wisp__protobuf_get_floats(wisp__protobuf_reader *r, void *floats, int count,
                                      int depth) {
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r), number = tag >> 3, part;
        if (number > (uint32_t)count || (tag & 7) != WISP__PROTOBUF_4) {
            wisp__protobuf_skip(r, tag, depth);
            continue;
        }
        part = (uint32_t)wisp__protobuf_get_fixed(r, 4);
        if (!r->result) memcpy((uint8_t *)floats + 4 * (number - 1), &part, 4);
    }
}

static void wisp__protobuf_get_transform(wisp__protobuf_reader *r, wisp_transform *out,
                                         int depth) {
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r);
        const uint8_t *outer;
        if (tag != (1 << 3 | WISP__PROTOBUF_SIZED) && tag != (2 << 3 | WISP__PROTOBUF_SIZED)) {
            wisp__protobuf_skip(r, tag, depth);
            continue;
        }
        outer = wisp__protobuf_open(r, depth + 1);
        if (tag >> 3 == 1) wisp__protobuf_get_floats(r, &out->position, 3, depth + 1);
        else wisp__protobuf_get_floats(r, &out->rotation, 4, depth + 1);
        wisp__protobuf_close(r, outer);
    }
}

/* --- reading google.protobuf.Value --- */

static void wisp__protobuf_get_pair(wisp__protobuf_reader *r, wisp_pair *pair, int depth) {
    pair->key = "";
    pair->value = wisp_nil();
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r);
        if (tag == (1 << 3 | WISP__PROTOBUF_SIZED)) {
            int size = 0;
            const char *key = wisp__protobuf_get_text(r, &size);
            if (key && memchr(key, 0, (size_t)size)) wisp__protobuf_fail(r, WISP_E_TYPE);
            if (key) pair->key = key;
        } else if (tag == (2 << 3 | WISP__PROTOBUF_SIZED)) {
            const uint8_t *outer = wisp__protobuf_open(r, depth + 1);
            r->any(r, &pair->value, depth + 1);
            wisp__protobuf_close(r, outer);
        } else {
            wisp__protobuf_skip(r, tag, depth);
        }
    }
}

/* A list or a map, in *out already if more of it comes. */
static void wisp__protobuf_get_any_list(wisp__protobuf_reader *r, wisp_value *out, bool map,
                                        int depth) {
    size_t size = map ? sizeof(wisp_pair) : sizeof(wisp_value);
    if (out->kind != (map ? WISP_MAP : WISP_ARRAY))
        *out = wisp__value_of(map ? WISP_MAP : WISP_ARRAY, 0);
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r);
        const uint8_t *outer;
        uint8_t *items;
        if (tag != (1 << 3 | WISP__PROTOBUF_SIZED)) {
            wisp__protobuf_skip(r, tag, depth);
            continue;
        }
        items = (uint8_t *)wisp__protobuf_grow_by_run(r, out->as.bytes, out->count, tag, depth,
                                                      size);
        if (!items) return;
        out->as.bytes = items;
        items += (size_t)out->count * size;
        if (!map) *(wisp_value *)(void *)items = wisp_nil();
        outer = wisp__protobuf_open(r, depth + 1);
        if (map) wisp__protobuf_get_pair(r, (wisp_pair *)(void *)items, depth + 1);
        else r->any(r, (wisp_value *)(void *)items, depth + 1);
        wisp__protobuf_close(r, outer);
        out->count++;
    }
}

static void wisp__protobuf_get_any(wisp__protobuf_reader *r, wisp_value *out, int depth) {
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r);
        const uint8_t *outer;
        switch (tag) {
        case 1 << 3 | WISP__PROTOBUF_VARINT:
            wisp__protobuf_get_varint(r);
            *out = wisp_nil();
            break;
        case 2 << 3 | WISP__PROTOBUF_8:
            *out = wisp__protobuf_real(false, wisp__protobuf_get_fixed(r, 8));
            break;
        case 3 << 3 | WISP__PROTOBUF_SIZED: wisp__protobuf_get_string(r, out); break;
        case 4 << 3 | WISP__PROTOBUF_VARINT:
            *out = wisp_bool(wisp__protobuf_get_varint(r) != 0);
            break;
        case 5 << 3 | WISP__PROTOBUF_SIZED:
        case 6 << 3 | WISP__PROTOBUF_SIZED:
            outer = wisp__protobuf_open(r, depth + 1);
            wisp__protobuf_get_any_list(r, out, tag >> 3 == 5, depth + 1);
            wisp__protobuf_close(r, outer);
            break;
        default: wisp__protobuf_skip(r, tag, depth); break;
        }
    }
}

/* The order of pairs by key; of equal keys by place. */
static bool wisp__protobuf_before(const wisp_pair *pairs, uint32_t a, uint32_t b) {
    int order = strcmp(pairs[a].key, pairs[b].key);
    return order ? order < 0 : a < b;
}

static void wisp__protobuf_sift(const wisp_pair *pairs, uint32_t *heap, size_t at, size_t count) {
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        uint32_t moved = heap[at];
        if (child + 1 < count && wisp__protobuf_before(pairs, heap[child], heap[child + 1]))
            child++;
        if (!wisp__protobuf_before(pairs, moved, heap[child])) return;
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Sorts the places of the pairs by key: in a heap, so that no keys cost more than others. */
static void wisp__protobuf_sort(const wisp_pair *pairs, uint32_t *places, size_t count) {
    for (size_t i = 0; i < count; i++) places[i] = (uint32_t)i;
    for (size_t i = count / 2; i-- > 0;) wisp__protobuf_sift(pairs, places, i, count);
    for (size_t i = count; i-- > 1;) {
        uint32_t last = places[0];
        places[0] = places[i];
        places[i] = last;
        wisp__protobuf_sift(pairs, places, 0, i);
    }
}

/* Leaves one pair of each key, where the first stood, with the value of the last. */
static void wisp__protobuf_make_distinct(wisp__protobuf_reader *r, wisp_value *map) {
    wisp__bump before = r->memory;
    wisp_pair *pairs = (wisp_pair *)map->as.map;
    size_t count = (size_t)map->count;
    uint32_t *places;
    if (count < 2) return;
    places = (uint32_t *)wisp__protobuf_memory(r, count, sizeof *places);
    if (!places) return;
    wisp__protobuf_sort(pairs, places, count);
    for (size_t i = count; i-- > 1;) {
        wisp_pair *pair = &pairs[places[i]], *earlier = &pairs[places[i - 1]];
        if (strcmp(earlier->key, pair->key) != 0) continue;
        earlier->value = pair->value;
        pair->key = NULL;
    }
    map->count = 0;
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key) pairs[map->count++] = pairs[i];
    r->memory = before;
}

static void wisp__protobuf_finish_any(wisp__protobuf_reader *r, wisp_value *value) {
    if (value->kind == WISP_MAP) wisp__protobuf_make_distinct(r, value);
    if (value->kind != WISP_MAP && value->kind != WISP_ARRAY) return;
    for (int i = 0; i < value->count && !r->result; i++)
        wisp__protobuf_finish_any(r, (wisp_value *)wisp_element_of(value, i));
}

/* --- reading with a schema --- */

/* Is this how a type travels? Else it is skipped as unknown. */
static bool wisp__protobuf_takes(const wisp_type *type, int bytes, uint32_t tag) {
    wisp__protobuf_form form = wisp__protobuf_form_of(type, bytes);
    if (form == WISP__PROTOBUF_LIST) {
        form = wisp__protobuf_form_of((const wisp_type *)type->of,
                                      wisp__protobuf_element_bytes(type, bytes));
        if ((tag & 7) == WISP__PROTOBUF_SIZED) return true;
    }
    return (tag & 7) == wisp__protobuf_wire_of(form);
}

/* The values of a packed list, in items with room for them; returns how many. */
static int wisp__protobuf_get_packed(wisp__protobuf_reader *r, wisp__protobuf_form form,
                                     const wisp_type *type, wisp_value *items) {
    unsigned wire = wisp__protobuf_wire_of(form);
    int count = 0;
    while (wisp__protobuf_more(r)) {
        uint64_t bits = wisp__protobuf_get_bits(r, wire);
        if (!r->result) items[count++] = wisp__protobuf_scalar(form, type, bits);
    }
    return count;
}

/* What a repeated field brings: one element, or scalars packed. */
static void wisp__protobuf_get_list(wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                                    uint32_t tag, wisp_value *out, int depth) {
    const wisp_type *element = (const wisp_type *)type->of;
    int each = wisp__protobuf_element_bytes(type, bytes);
    wisp__protobuf_form form = wisp__protobuf_form_of(element, each);
    unsigned wire = wisp__protobuf_wire_of(form);
    wisp_value *items;
    if (out->kind != WISP_ARRAY) *out = wisp_array(NULL, 0);
    if ((tag & 7) == wire) {
        items = (wisp_value *)wisp__protobuf_grow_by_run(r, out->as.array, out->count, tag, depth,
                                                         sizeof *items);
        if (!items) return;
        out->as.array = items;
        items[out->count] = wisp_nil();
        r->element(r, element, each, &items[out->count++], depth);
    } else {
        const uint8_t *outer = wisp__protobuf_open(r, depth);
        items = (wisp_value *)wisp__protobuf_grow(r, out->as.array, out->count,
                                                  wisp__protobuf_packed(r, wire), sizeof *items);
        if (items) {
            out->as.array = items;
            out->count += wisp__protobuf_get_packed(r, form, element, items + out->count);
        }
        wisp__protobuf_close(r, outer);
    }
}

/* The field with a number, first looked for at `near`; -1: there is none. */
static int wisp__protobuf_find(wisp__protobuf_reader *r, const wisp_schema *schema,
                               uint32_t number, int near) {
    int low = 0, high = schema->count - 1;
    for (int i = near; i < schema->count && i < near + 2; i++)
        if (wisp__protobuf_number(schema, i) == number) return i;
    while (low <= high) {
        int middle = low + (high - low) / 2;
        uint32_t there = wisp__protobuf_number(schema, middle);
        if (there == number) return middle;
        if (there < number) low = middle + 1;
        else high = middle - 1;
    }
    if (r->ordered == schema) return -1;
    for (int i = 0; i < schema->count; i++)
        if (wisp__protobuf_number(schema, i) == number) return i;
    if (wisp__protobuf_is_ordered(schema)) r->ordered = schema;
    return -1;
}

/* The pairs of a message, one for each field: those in *out, or new ones. A pair without key has
   not come yet. NULL: the reader has failed. */
static wisp_pair *wisp__protobuf_pairs(wisp__protobuf_reader *r, const wisp_schema *schema,
                                       wisp_value *out) {
    wisp_pair *pairs;
    if (out->kind == WISP_MAP) return (wisp_pair *)out->as.map;
    pairs = (wisp_pair *)wisp__protobuf_memory(r, (size_t)schema->count, sizeof *pairs);
    if (!pairs) return NULL;
    for (int i = 0; i < schema->count; i++) {
        pairs[i].key = NULL;
        pairs[i].value = wisp_nil();
    }
    *out = wisp_map(pairs, schema->count);
    return pairs;
}

static void wisp__protobuf_get_struct(wisp__protobuf_reader *r, const wisp_schema *schema,
                                      wisp_value *out, int depth) {
    wisp_pair *pairs = wisp__protobuf_pairs(r, schema, out);
    int near = 0;
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r);
        int i = wisp__protobuf_find(r, schema, tag >> 3, near);
        const wisp_field *field = i < 0 ? NULL : &schema->fields[i];
        int bytes = field ? wisp__protobuf_field_bytes(field) : 0;
        if (!field || !wisp__protobuf_takes(&field->type, bytes, tag)) {
            wisp__protobuf_skip(r, tag, depth);
            continue;
        }
        near = i;
        pairs[i].key = field->name;
        if (field->type.kind == WISP_TYPE_ARRAY)
            wisp__protobuf_get_list(r, &field->type, bytes, tag, &pairs[i].value, depth);
        else r->element(r, &field->type, bytes, &pairs[i].value, depth);
    }
}

/* Until it is finished a union is an array, with the value alone in it; its count is the option's
   index + 1. */
static void wisp__protobuf_get_union(wisp__protobuf_reader *r, const wisp_type *type,
                                     wisp_value *out, int depth) {
    while (wisp__protobuf_more(r)) {
        uint32_t tag = wisp__protobuf_get_tag(r), number = tag >> 3;
        bool known = number >= 1 && number <= (uint32_t)type->max;
        const wisp_type *option = (const wisp_type *)type->of + (known ? number - 1 : 0);
        wisp_value *held = (wisp_value *)out->as.array;
        if (!known ||
            (tag & 7) != wisp__protobuf_wire_of(wisp__protobuf_form_of(option, 0))) {
            wisp__protobuf_skip(r, tag, depth);
            continue;
        }
        if (out->kind != WISP_ARRAY) held = (wisp_value *)wisp__protobuf_memory(r, 1, sizeof *held);
        if (!held) return;
        if (out->kind != WISP_ARRAY || out->count != (int)number) *held = wisp_nil();
        *out = wisp_array(held, (int)number);
        r->element(r, option, 0, held, depth);
    }
}

static void wisp__protobuf_get_message(wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                                       wisp_value *out, int depth) {
    static const int counts[] = { 2, 3, 4, 4, 0, 4 };
    switch (type->kind) {
    case WISP_TYPE_STRUCT:
        wisp__protobuf_get_struct(r, (const wisp_schema *)type->of, out, depth);
        return;
    case WISP_TYPE_UNION: wisp__protobuf_get_union(r, type, out, depth); return;
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: wisp__protobuf_get_any(r, out, depth); return;
    case WISP_TYPE_ARRAY:
        while (wisp__protobuf_more(r)) {
            uint32_t tag = wisp__protobuf_get_tag(r);
            if (tag >> 3 != 1 || !wisp__protobuf_takes(type, bytes, tag))
                wisp__protobuf_skip(r, tag, depth);
            else wisp__protobuf_get_list(r, type, bytes, tag, out, depth);
        }
        return;
    default: break;
    }
    if (out->kind == WISP_NIL) *out = wisp__value_of(wisp__protobuf_floats_kind(type), 0);
    if (type->kind == WISP_TYPE_TRANSFORM)
        wisp__protobuf_get_transform(r, &out->as.transform, depth);
    else wisp__protobuf_get_floats(r, &out->as, counts[type->kind - WISP_TYPE_VEC2], depth);
}

/* What stands after the tag of a field with one value: a message goes into what *out has of it,
   anything else takes its place. */
static void wisp__protobuf_get_element(wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                                       wisp_value *out, int depth) {
    wisp__protobuf_form form = wisp__protobuf_form_of(type, bytes);
    if (wisp__protobuf_is_scalar(form)) {
        uint64_t bits = wisp__protobuf_get_bits(r, wisp__protobuf_wire_of(form));
        *out = wisp__protobuf_scalar(form, type, bits);
    } else if (form == WISP__PROTOBUF_STRING) {
        wisp__protobuf_get_string(r, out);
    } else if (form == WISP__PROTOBUF_BYTES) {
        wisp__protobuf_get_bytes(r, out);
    } else {
        const uint8_t *outer = wisp__protobuf_open(r, depth + 1);
        wisp__protobuf_get_message(r, type, bytes, out, depth + 1);
        wisp__protobuf_close(r, outer);
    }
}

/* --- finishing: from the open tree to the value --- */

/* Fields that have not come get their default, and those that may be missing go. */
static void wisp__protobuf_finish_struct(wisp__protobuf_reader *r, const wisp_schema *schema,
                                         wisp_value *value, int depth) {
    wisp_pair *pairs = wisp__protobuf_pairs(r, schema, value);
    bool row = schema->shape == WISP_SHAPE_LIST;
    int kept = 0;
    for (int i = 0; i < schema->count && !r->result; i++) {
        const wisp_field *field = &schema->fields[i];
        int bytes = wisp__protobuf_field_bytes(field);
        wisp__protobuf_form form = wisp__protobuf_form_of(&field->type, bytes);
        wisp_pair pair = pairs[i];
        bool missing = !pair.key && field->flags & WISP_FLAG_MAYBE;
        if (missing && !row) continue;
        if (!pair.key && field->flags & WISP_FLAG_OPTIONAL)
            pair.value = wisp__protobuf_fallback(field, form);
        if (!missing && (pair.key || pair.value.kind == WISP_NIL))
            r->finish(r, &field->type, bytes, &pair.value, depth + 1);
        /* A union that came without any option. */
        if (!row && field->flags & WISP_FLAG_MAYBE && field->type.kind != WISP_TYPE_ANY &&
            pair.value.kind == WISP_NIL)
            continue;
        pair.key = field->name;
        /* A value is smaller than a pair, so a row never overtakes the pairs it comes from. */
        if (row) memcpy((wisp_value *)(void *)pairs + kept++, &pair.value, sizeof pair.value);
        else pairs[kept++] = pair;
    }
    if (r->result) return;
    if (row) *value = wisp_array((const wisp_value *)(const void *)pairs, kept);
    else *value = wisp_map(pairs, kept);
}

/* Two steps are at most one message. `depth` stops types that hold themselves and have not come. */
static void wisp__protobuf_finish(wisp__protobuf_reader *r, const wisp_type *type, int bytes,
                                  wisp_value *value, int depth) {
    const wisp_type *inner = (const wisp_type *)type->of;
    int each = wisp__protobuf_element_bytes(type, bytes);
    wisp__protobuf_form form = wisp__protobuf_form_of(type, bytes);
    if (depth > 2 * WISP__PROTOBUF_NESTING + 2) wisp__protobuf_fail(r, WISP_E_DEPTH);
    if (r->result) return;
    switch (type->kind) {
    case WISP_TYPE_ANY:
    case WISP_TYPE_EXACT: wisp__protobuf_finish_any(r, value); break;
    case WISP_TYPE_STRUCT:
        wisp__protobuf_finish_struct(r, (const wisp_schema *)type->of, value, depth);
        break;
    case WISP_TYPE_UNION:
        if (value->kind != WISP_ARRAY) break;
        inner += value->count - 1;
        *value = value->as.array[0];
        wisp__protobuf_finish(r, inner, 0, value, depth + 1);
        break;
    case WISP_TYPE_ARRAY:
        if (value->kind != WISP_ARRAY) *value = wisp_array(NULL, 0);
        if (wisp__protobuf_form_of(inner, each) < WISP__PROTOBUF_MESSAGE) break;
        for (int i = 0; i < value->count && !r->result; i++)
            wisp__protobuf_finish(r, inner, each, (wisp_value *)&value->as.array[i], depth + 1);
        break;
    default:
        if (value->kind == WISP_NIL) *value = wisp__protobuf_zero(type, form);
        break;
    }
}

/* --- the codec --- */

static int wisp__protobuf_encode(const wisp_codec *codec, const wisp_schema *schema,
                                 const wisp_value *value, void *out, int capacity) {
    wisp__protobuf_writer w;
    uint8_t none;
    size_t size;
    (void)codec;
    if (!value || capacity < 0 || (capacity && !out)) return WISP_E_ARGUMENT;
    w.any = wisp__protobuf_put_any;
    w.element = wisp__protobuf_put_element;
    w.begin = capacity ? (uint8_t *)out : &none;
    w.at = w.begin + capacity;
    w.result = WISP_OK;
    if (schema) wisp__protobuf_put_struct(&w, schema, value, 0);
    else wisp__protobuf_put_any(&w, value, 0);
    if (w.result) return w.result;
    size = (size_t)capacity - (size_t)(w.at - w.begin);
    if (size) memmove(out, w.at, size);
    return (int)size;
}

static int wisp__protobuf_decode(const wisp_codec *codec, const wisp_schema *schema,
                                 const void *bytes, int size, wisp_value *out, void *memory,
                                 int memory_size) {
    wisp__protobuf_reader r;
    wisp_value value = wisp_nil();
    (void)codec;
    if (!out || size < 0 || (size && !bytes)) return WISP_E_ARGUMENT;
    if (memory_size < 0 || (memory_size && !memory)) return WISP_E_ARGUMENT;
    r.any = wisp__protobuf_get_any;
    r.element = wisp__protobuf_get_element;
    r.finish = wisp__protobuf_finish;
    r.at = (const uint8_t *)(bytes ? bytes : "");
    r.end = r.at + size;
    r.memory = wisp__bump_on(memory, memory_size);
    r.ordered = NULL;
    r.result = WISP_OK;
    if (schema) {
        wisp__protobuf_get_struct(&r, schema, &value, 0);
        wisp__protobuf_finish_struct(&r, schema, &value, 0);
    } else {
        wisp__protobuf_get_any(&r, &value, 0);
        wisp__protobuf_finish_any(&r, &value);
    }
    if (r.result) return r.result;
    *out = value;
    return size;
}

const wisp_codec *wisp_protobuf(void) {
    static const wisp_codec codec = { "protobuf", wisp__protobuf_encode, wisp__protobuf_decode,
                                      NULL };
    return &codec;
}

/* ===========================================================================
 * MARK: >>coder
 * What: the difference of a table of small integers from one that the receiver
 *   holds: plainly in bits, and through an adaptive range coder.
 * Invariants: every symbol of both tables is below 2 to the bits of its column.
 *   Both ends adapt to what travelled, never to what did not. The length of a
 *   plain difference can be told without the table it starts from.
 * Not here: what the columns mean (schemas), which table is the base (delta).
 *
 * A row is cut into cells of at most 64 columns. Fields stand in the order
 * drawn, least significant bit first.
 *
 *   plain   0                          nothing differs
 *           1 cell                     the table is one cell
 *           10 spans | 110 spans       it has more; 110: a row of zeros in the base
 *                                      is told from the row above it instead
 *           111 symbols                it has more: every symbol, in its column's bits
 *   spans   { count of cells that are equal, count of cells that differ less 1,
 *             these cells }            until all cells are told; from the second
 *                                      on the first count is less 1 too
 *   cell    mask, then a value for each column that differs
 *           no mask at all             a table of one column and more than one row
 *           mask of zeros, symbols     only where the table is one cell
 *   mask    r zeros, 1                 the mask of rank r among those of before
 *           one zero for each of them  another: one bit a column, or with more
 *                                      than 16 columns eights: 0, or 1 and 8 bits
 *   value   of 1 bit                   nothing: it can only be the other one
 *           kind 0                     number, see wisp__trend
 *           kind 1, up to 8 bits       the symbol
 *           kind 1, more               0 symbol, or 1 and what an exclusive or leaves:
 *                                      zeros below (f bits), width less 1 (f bits; f
 *                                      holds the column's bits less 1), the
 *                                      bits within but for first and last, which are 1
 *   number  of order k                 q ones (q < 4), 0, k bits; 4 << k and beyond:
 *           1111, n zeros, 1, n + k + 1 bits (Golomb, Rice, Elias)
 *
 *   adaptively: no bytes when nothing differs, else bits through the range coder,
 *   each by the chance that was learned for its place:
 *   follows, then for each cell: differs; if so, for each column: differs; then
 *   for each that does: a symbol (wisp__code_symbol), or the error of a guess:
 *   width in steps from the expected one, sign, digits below the first 1
 *   (three by their chances, the rest evenly)
 * ======================================================================== */

#define WISP__CELL   64     /* columns; a mask is a word */
#define WISP__ONES    4     /* of a number, before lengths grow by doubling */
#define WISP__RANKS   8

typedef struct wisp__column {
    uint8_t bits;           /* 1..32 */
    uint8_t kind;           /* 0: near symbols mean near values; 1: they do not */
} wisp__column;

/* The mean width of numbers of late in 256ths of a bit, fast at first, which gives the order of the
   next one. Widths forget a single large number sooner than a mean of numbers would. */
typedef struct wisp__level {
    int width, seen;
} wisp__level;

/* A column's differences of late. They are told either as they are (never 0) or from their mean:
   rows that are neighbours often move together. What was shorter of late is taken. */
typedef struct wisp__trend {
    wisp__level alone, along;
    int64_t     drift;      /* mean difference, times 256 */
} wisp__trend;

/* Masks of before, the commonest first. */
typedef struct wisp__ranks {
    uint64_t masks[WISP__RANKS];
    int      uses[WISP__RANKS];
    int      count;
} wisp__ranks;

/* A table on its way: what writer and reader share. */
typedef struct wisp__table {
    const wisp__column *columns;
    int                 column_count, rows;
    int                 row_cells;      /* cells in a row */
    int64_t             cells;
    const uint32_t     *base;           /* NULL: only the length is wanted */
    uint32_t           *now;
    bool                follows;        /* rows of zeros are told from the row above */
    wisp__trend         trends[WISP__CELL];
    wisp__ranks         ranks;
    wisp__level         equal, differ;  /* cells on end */
} wisp__table;

/* ---- numbers and their orders ---- */

/* Bits that a value takes without leading zeros. */
static int wisp__width(uint64_t value) {
#if defined(__GNUC__)
    return value ? 64 - __builtin_clzll(value) : 0;
#else
    int bits = 0;
    for (int step = 32; step; step /= 2)
        if (value >> step) value >>= step, bits += step;
    return bits + (value != 0);
#endif
}

/* log2(size + 1/2) in 256ths, with a straight line between powers: -256..8448. */
static int wisp__log_size(int64_t number) {
    uint64_t odd = (uint64_t)(number < 0 ? -number : number) * 2 + 1;
    int width = wisp__width(odd) - 1;
    return width * 256 + (int)((odd << 8) >> width) - 512;
}

static wisp__level wisp__level_of_order(int order) {
    wisp__level level = { 0, 0 };
    level.width = order * 256;
    return level;
}

/* An order is below the bits of the number: then a number takes at most twice these and four. */
static int wisp__level_order(const wisp__level *level, int bits) {
    int order = (level->width + 208) / 256;        /* 2 to the mean width is below the mean */
    return order < 0 ? 0 : wisp__min_int(order, bits - 1);
}

static void wisp__level_add(wisp__level *level, uint32_t number) {
    static const int parts[] = { 2, 2, 4, 8, 16 };
    level->width += (wisp__log_size(number) - level->width) / parts[level->seen];
    if (level->seen < 4) level->seen++;
}

static void wisp__put_rice(wisp__writer *to, uint32_t number, int order) {
    uint32_t ones = number >> order;
    uint64_t more;
    int extra;
    if (ones < WISP__ONES) {
        wisp__put(to, (UINT64_C(1) << ones) - 1, (int)ones + 1);
        wisp__put(to, number & ((UINT64_C(1) << order) - 1), order);
        return;
    }
    more = (uint64_t)number - ((uint64_t)WISP__ONES << order) + (UINT64_C(2) << order);
    extra = wisp__width(more >> order >> 1) - 1;
    wisp__put(to, (UINT64_C(1) << WISP__ONES) - 1, WISP__ONES);
    wisp__put(to, UINT64_C(1) << extra, extra + 1);
    wisp__put(to, more - (UINT64_C(1) << (extra + order + 1)), extra + order + 1);
}

/* Zeros before the next one; fails when there are more than `most`. */
static int wisp__get_zeros(wisp__reader *from, int most) {
    for (int zeros = 0; zeros <= most && !from->failed; zeros++)
        if (wisp__get(from, 1)) return zeros;
    from->failed = true;
    return 0;
}

static uint32_t wisp__get_rice(wisp__reader *from, int order, uint32_t most) {
    uint64_t number = 0, ones = 0;
    while (ones < WISP__ONES && wisp__get(from, 1)) ones++;
    number = ones << order;
    if (ones < WISP__ONES) {
        number |= wisp__get(from, order);
    } else {
        int extra = wisp__get_zeros(from, 32 - order);
        number += (UINT64_C(1) << (extra + order + 1)) - (UINT64_C(2) << order);
        number += wisp__get(from, extra + order + 1);
    }
    if (number > most) from->failed = true;
    return from->failed ? 0 : (uint32_t)number;
}

/* ---- differences ---- */

static int64_t wisp__between(int64_t number, int64_t least, int64_t most) {
    return number < least ? least : number > most ? most : number;
}

static uint32_t wisp__column_mask(const wisp__column *column) {
    return (uint32_t)wisp__low_bits(UINT64_MAX, column->bits);
}

/* 0, -1, 1, -2, ... to 0, 1, 2, 3, ..., in numbers of so many bits that wrap around. */
static uint32_t wisp__fold(uint32_t number, int bits) {
    uint32_t mask = (uint32_t)wisp__low_bits(UINT64_MAX, bits);
    return ((number << 1) ^ (0 - (number >> (bits - 1) & 1))) & mask;
}

static uint32_t wisp__unfold(uint32_t folded, int bits) {
    return ((folded >> 1) ^ (0 - (folded & 1))) & (uint32_t)wisp__low_bits(UINT64_MAX, bits);
}

static int64_t wisp__signed(uint32_t number, int bits) {
    return (int64_t)number - (int64_t)((uint64_t)(number >> (bits - 1) & 1) << bits);
}

static wisp__trend wisp__trend_of(const wisp__column *column) {
    wisp__trend trend;
    trend.alone = wisp__level_of_order(2 + column->bits / 8);
    trend.along = trend.alone;
    trend.drift = 0;
    return trend;
}

static bool wisp__trend_along(const wisp__trend *trend) {
    return trend->along.width < trend->alone.width;
}

/* The difference that is expected, in the column's bits. */
static uint32_t wisp__trend_drift(const wisp__trend *trend, const wisp__column *column) {
    return (uint32_t)(uint64_t)(trend->drift / 256) & wisp__column_mask(column);
}

static void wisp__trend_add(wisp__trend *trend, const wisp__column *column, uint32_t difference) {
    uint32_t from_drift = difference - wisp__trend_drift(trend, column);
    int64_t pull = wisp__signed(difference, column->bits) * 256 - trend->drift;
    int64_t most = INT64_C(512) << wisp__max_int(trend->alone.width / 256, 0);
    wisp__level_add(&trend->alone, wisp__fold(difference, column->bits) - 1);
    wisp__level_add(&trend->along, wisp__fold(from_drift & wisp__column_mask(column),
                                              column->bits));
    trend->drift += wisp__between(pull, -most, most) / 8;
}

static void wisp__put_difference(wisp__writer *to, wisp__trend *trend, const wisp__column *column,
                                 uint32_t difference) {
    if (wisp__trend_along(trend)) {
        uint32_t rest = difference - wisp__trend_drift(trend, column);
        wisp__put_rice(to, wisp__fold(rest & wisp__column_mask(column), column->bits),
                         wisp__level_order(&trend->along, column->bits));
    } else {
        wisp__put_rice(to, wisp__fold(difference, column->bits) - 1,
                         wisp__level_order(&trend->alone, column->bits));
    }
    wisp__trend_add(trend, column, difference);
}

/* 0 only if the reader has failed. */
static uint32_t wisp__get_difference(wisp__reader *from, wisp__trend *trend,
                                     const wisp__column *column) {
    uint32_t mask = wisp__column_mask(column), difference;
    if (wisp__trend_along(trend)) {
        int order = wisp__level_order(&trend->along, column->bits);
        uint32_t rest = wisp__get_rice(from, order, mask);
        difference = (wisp__unfold(rest, column->bits) + wisp__trend_drift(trend, column)) & mask;
    } else {
        int order = wisp__level_order(&trend->alone, column->bits);
        uint32_t folded = wisp__get_rice(from, order, mask - 1);
        difference = wisp__unfold(folded + 1, column->bits);
    }
    if (difference == 0) from->failed = true;
    if (from->failed) return 0;
    wisp__trend_add(trend, column, difference);
    return difference;
}

/* ---- symbols without order ---- */

static int wisp__trailing_zeros(uint32_t value) {
    int zeros = 0;
    while (zeros < 31 && !(value >> zeros & 1)) zeros++;
    return zeros;
}

static void wisp__put_symbol(wisp__writer *to, int bits, uint32_t base, uint32_t now) {
    uint32_t changed = base ^ now;
    int field = wisp__width((uint32_t)bits - 1);
    int below = wisp__trailing_zeros(changed), width = wisp__width(changed) - below;
    int within = width > 2 ? width - 2 : 0;
    if (bits <= 8) {
        wisp__put(to, now, bits);
    } else if (2 * field + within >= bits) {
        wisp__put(to, 0, 1);
        wisp__put(to, now, bits);
    } else {
        wisp__put(to, 1, 1);
        wisp__put(to, (uint64_t)below, field);
        wisp__put(to, (uint64_t)(width - 1), field);
        wisp__put(to, wisp__low_bits(changed >> below >> 1, within), within);
    }
}

static uint32_t wisp__get_symbol(wisp__reader *from, int bits, uint32_t base) {
    int field = wisp__width((uint32_t)bits - 1), below, width;
    uint32_t within;
    if (bits <= 8 || !wisp__get(from, 1)) return (uint32_t)wisp__get(from, bits);
    below = (int)wisp__get(from, field);
    width = (int)wisp__get(from, field) + 1;
    within = (uint32_t)wisp__get(from, width > 2 ? width - 2 : 0);
    if (below + width > bits) from->failed = true;
    if (from->failed) return 0;
    within = within << 1 | 1;
    if (width > 1) within |= UINT32_C(1) << (width - 1);
    return base ^ within << below;
}

/* ---- masks ---- */

static void wisp__put_fresh_mask(wisp__writer *to, uint64_t mask, int count) {
    if (count <= 16) {
        wisp__put(to, mask, count);
        return;
    }
    for (; count > 0; count -= 8, mask >>= 8) {
        wisp__put(to, (mask & 255) != 0, 1);
        if (mask & 255) wisp__put(to, mask & 255, 8);
    }
}

static uint64_t wisp__get_fresh_mask(wisp__reader *from, int count) {
    uint64_t mask = 0;
    if (count <= 16) return wisp__get(from, count);
    for (int at = 0; at < count; at += 8)
        if (wisp__get(from, 1)) mask |= wisp__get(from, 8) << at;
    if (count < WISP__CELL && mask >> count) from->failed = true;
    return mask;
}

static void wisp__ranks_age(wisp__ranks *ranks) {
    for (int i = 0; i < ranks->count; i++) ranks->uses[i] /= 2;
}

/* The mask of this rank was used once more; a rank of `count` is one that was not there. */
static void wisp__ranks_use(wisp__ranks *ranks, int rank, uint64_t mask) {
    int uses = 1;
    if (rank < ranks->count) uses = ranks->uses[rank] + 1;
    else if (ranks->count < WISP__RANKS) ranks->count++;
    else rank = WISP__RANKS - 1;
    for (; rank > 0 && ranks->uses[rank - 1] <= uses; rank--) {
        ranks->masks[rank] = ranks->masks[rank - 1];
        ranks->uses[rank] = ranks->uses[rank - 1];
    }
    ranks->masks[rank] = mask;
    ranks->uses[rank] = uses;
    if (uses > 32) wisp__ranks_age(ranks);
}

static void wisp__put_mask(wisp__writer *to, wisp__ranks *ranks, uint64_t mask, int count) {
    int rank = 0;
    while (rank < ranks->count && ranks->masks[rank] != mask) rank++;
    wisp__put(to, 0, rank);
    if (rank < ranks->count) wisp__put(to, 1, 1);
    else wisp__put_fresh_mask(to, mask, count);
    wisp__ranks_use(ranks, rank, mask);
}

/* Never 0 unless the table is one cell or the reader has failed. */
static uint64_t wisp__get_mask(wisp__reader *from, wisp__ranks *ranks, int count) {
    uint64_t mask = 0;
    int rank = 0;
    while (rank < ranks->count && !wisp__get(from, 1)) rank++;
    if (rank < ranks->count) mask = ranks->masks[rank];
    else mask = wisp__get_fresh_mask(from, count);
    if (count < WISP__CELL && mask >> count) from->failed = true;
    if (from->failed) return 0;
    wisp__ranks_use(ranks, rank, mask);
    return mask;
}

/* ---- cells ---- */

static void wisp__table_open(wisp__table *table, const wisp__column *columns, int column_count,
                             int rows) {
    memset(table, 0, sizeof *table);
    table->columns = columns;
    table->column_count = column_count;
    table->rows = rows;
    table->row_cells = (column_count + WISP__CELL - 1) / WISP__CELL;
    table->cells = (int64_t)rows * table->row_cells;
    table->equal = wisp__level_of_order(wisp__width((uint64_t)table->cells) / 2);
    table->differ = wisp__level_of_order(0);
    for (int i = 0; i < WISP__CELL && i < column_count; i++)
        table->trends[i] = wisp__trend_of(&columns[i]);
}

/* Where a cell is. */
typedef struct wisp__cell {
    int    column, count;   /* its first column, and how many they are */
    size_t at;              /* its first symbol */
    bool   first;           /* of all rows */
} wisp__cell;

static wisp__cell wisp__cell_of(const wisp__table *table, int64_t index) {
    wisp__cell cell;
    int64_t row = table->row_cells == 1 ? index : index / table->row_cells;
    cell.column = (int)(index - row * table->row_cells) * WISP__CELL;
    cell.count = wisp__min_int(table->column_count - cell.column, WISP__CELL);
    cell.at = (size_t)row * (size_t)table->column_count + (size_t)cell.column;
    cell.first = row == 0;
    return cell;
}

static bool wisp__all_zero(const uint32_t *symbols, int count) {
    for (int i = 0; i < count; i++)
        if (symbols[i]) return false;
    return true;
}

/* What a cell is told from; base is not NULL. */
static const uint32_t *wisp__cell_reference(const wisp__table *table, const uint32_t *now,
                                            const wisp__cell *cell) {
    const uint32_t *base = table->base + cell->at;
    if (!table->follows || cell->first || !wisp__all_zero(base, cell->count)) return base;
    return now + cell->at - table->column_count;
}

static uint64_t wisp__cell_mask(const uint32_t *from, const uint32_t *now, int count) {
    uint64_t mask = 0;
    for (int i = 0; i < count; i++) mask |= (uint64_t)(from[i] != now[i]) << i;
    return mask;
}

static bool wisp__cell_differs(const wisp__table *table, const uint32_t *now, int64_t index) {
    wisp__cell cell = wisp__cell_of(table, index);
    const uint32_t *from = wisp__cell_reference(table, now, &cell);
    return memcmp(from, now + cell.at, (size_t)cell.count * sizeof *now) != 0;
}

/* Whether a cell has a mask: that of a row of one column is known, unless the table is no more. */
static bool wisp__cell_masked(const wisp__table *table) {
    return table->column_count > 1 || table->cells == 1;
}

static void wisp__put_cell(wisp__writer *to, wisp__table *table, const uint32_t *now,
                           int64_t index) {
    wisp__cell cell = wisp__cell_of(table, index);
    const wisp__column *columns = table->columns + cell.column;
    const uint32_t *from = wisp__cell_reference(table, now, &cell);
    uint64_t mask = wisp__cell_mask(from, now + cell.at, cell.count);
    now += cell.at;
    if (wisp__cell_masked(table)) wisp__put_mask(to, &table->ranks, mask, cell.count);
    for (int i = 0; i < cell.count; i++) {
        const wisp__column *column = &columns[i];
        if (!(mask >> i & 1) || column->bits == 1) continue;
        if (column->kind) wisp__put_symbol(to, column->bits, from[i], now[i]);
        else wisp__put_difference(to, &table->trends[i], column,
                                  (now[i] - from[i]) & wisp__column_mask(column));
    }
}

static uint32_t wisp__get_value(wisp__reader *from, wisp__trend *trend,
                                const wisp__column *column, uint32_t base) {
    if (column->bits == 1) return base ^ 1;
    if (column->kind) return wisp__get_symbol(from, column->bits, base);
    return (base + wisp__get_difference(from, trend, column)) & wisp__column_mask(column);
}

/* Reads what differs into a cell that equals what it is told from. */
static void wisp__get_changes(wisp__reader *from, wisp__table *table, const wisp__cell *cell,
                              uint64_t mask) {
    const wisp__column *columns = table->columns + cell->column;
    for (int i = 0; i < cell->count && !from->failed; i++) {
        uint32_t *now = table->base ? table->now + cell->at + i : NULL, value;
        if (!(mask >> i & 1)) continue;
        value = wisp__get_value(from, &table->trends[i], &columns[i], now ? *now : 0);
        if (now && !from->failed) *now = value;
    }
}

static void wisp__copy_cell(wisp__table *table, int64_t index) {
    wisp__cell cell;
    const uint32_t *from;
    if (!table->base) return;
    cell = wisp__cell_of(table, index);
    from = wisp__cell_reference(table, table->now, &cell);
    if (from != table->now + cell.at)
        memcpy(table->now + cell.at, from, (size_t)cell.count * sizeof *from);
}

/* ---- tables ---- */

WISP__UNUSED static void wisp__coder_check(const wisp__column *columns, int column_count, int rows,
                                           const uint32_t *table) {
    for (int i = 0; i < column_count; i++) WISP_ASSERT(columns[i].bits - 1 < 32);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < column_count; i++)
            WISP_ASSERT((uint64_t)*table++ >> columns[i].bits == 0);
    (void)table;
    (void)columns;
}

static int64_t wisp__row_bits(const wisp__column *columns, int column_count) {
    int64_t bits = 0;
    for (int i = 0; i < column_count; i++) bits += columns[i].bits;
    return bits;
}

/* The most that a table takes, in bits. */
static int64_t wisp__table_bits(const wisp__column *columns, int column_count, int rows) {
    return 1 + 16 + rows * wisp__row_bits(columns, column_count);
}

/* In the form that takes a table's bits whatever it holds. */
static void wisp__put_symbols(wisp__writer *to, const wisp__table *table, const uint32_t *now) {
    if (table->cells == 1) wisp__put(to, 1, 1), wisp__put_fresh_mask(to, 0, table->column_count);
    else wisp__put(to, 7, 3);
    for (int row = 0; row < table->rows; row++)
        for (int i = 0; i < table->column_count; i++) wisp__put(to, *now++, table->columns[i].bits);
}

static bool wisp__get_symbols(wisp__reader *from, const wisp__table *table) {
    uint32_t *now = table->now;
    if (!table->base) {
        wisp__skip(from, table->rows * wisp__row_bits(table->columns, table->column_count));
        return !from->failed;
    }
    for (int row = 0; row < table->rows && !from->failed; row++)
        for (int i = 0; i < table->column_count; i++)
            *now++ = (uint32_t)wisp__get(from, table->columns[i].bits);
    return !from->failed;
}

/* How much shorter the table's new rows are when they are told from the rows above, in bits of
   their differences without leading zeros; more than 0 makes it worth while. */
static int64_t wisp__follow_gain(const wisp__table *table, const uint32_t *now) {
    int64_t gain = 0;
    for (int64_t index = table->row_cells; index < table->cells; index++) {
        wisp__cell cell = wisp__cell_of(table, index);
        if (!wisp__all_zero(table->base + cell.at, cell.count)) continue;
        for (int i = 0; i < cell.count; i++) {
            const wisp__column *column = &table->columns[cell.column + i];
            uint32_t symbol = now[cell.at + (size_t)i];
            uint32_t above = now[cell.at + (size_t)i - (size_t)table->column_count];
            uint32_t difference = (symbol - above) & wisp__column_mask(column);
            gain += wisp__width(wisp__fold(symbol, column->bits));
            gain -= wisp__width(wisp__fold(difference, column->bits));
        }
    }
    return gain;
}

static void wisp__put_spans(wisp__writer *to, wisp__table *table, const uint32_t *now) {
    int64_t at = 0, start;
    while (at < table->cells && !to->full) {
        int64_t least = at > 0;
        for (start = at; at < table->cells && !wisp__cell_differs(table, now, at); at++) {}
        wisp__put_rice(to, (uint32_t)(at - start - least), wisp__level_order(&table->equal, 32));
        wisp__level_add(&table->equal, (uint32_t)(at - start - least));
        if (at == table->cells) return;
        for (start = at; at < table->cells && wisp__cell_differs(table, now, at); at++) {}
        wisp__put_rice(to, (uint32_t)(at - start - 1), wisp__level_order(&table->differ, 32));
        wisp__level_add(&table->differ, (uint32_t)(at - start - 1));
        for (; start < at; start++) wisp__put_cell(to, table, now, start);
    }
}

/* A count of cells, at least `least`; fails when it is more than are left. */
static int64_t wisp__get_count(wisp__reader *from, wisp__level *level, int64_t least,
                               int64_t left) {
    uint32_t count = wisp__get_rice(from, wisp__level_order(level, 32), UINT32_MAX);
    if (count + least > left) from->failed = true;
    wisp__level_add(level, count);
    return from->failed ? 0 : count + least;
}

static void wisp__get_cell(wisp__reader *from, wisp__table *table, int64_t index) {
    wisp__cell cell = wisp__cell_of(table, index);
    uint64_t mask = 1;
    if (wisp__cell_masked(table)) mask = wisp__get_mask(from, &table->ranks, cell.count);
    if (mask == 0) from->failed = true;
    wisp__copy_cell(table, index);
    wisp__get_changes(from, table, &cell, mask);
}

static bool wisp__get_spans(wisp__reader *from, wisp__table *table) {
    int64_t at = 0;
    while (at < table->cells && !from->failed) {
        int64_t end = at + wisp__get_count(from, &table->equal, at > 0, table->cells - at);
        for (; at < end; at++) wisp__copy_cell(table, at);
        if (at == table->cells || from->failed) break;
        end = at + wisp__get_count(from, &table->differ, 1, table->cells - at);
        for (; at < end && !from->failed; at++) wisp__get_cell(from, table, at);
    }
    return !from->failed;
}

static bool wisp__get_one_cell(wisp__reader *from, wisp__table *table) {
    wisp__cell cell = wisp__cell_of(table, 0);
    uint64_t mask = wisp__get_mask(from, &table->ranks, cell.count);
    if (from->failed) return false;
    if (mask == 0) return wisp__get_symbols(from, table);
    wisp__copy_cell(table, 0);
    wisp__get_changes(from, table, &cell, mask);
    return !from->failed;
}

static void wisp__put_differences(wisp__writer *to, wisp__table *table, const uint32_t *now) {
    wisp__put(to, 1, 1);
    if (table->cells == 1) {
        wisp__put_cell(to, table, now, 0);
        return;
    }
    table->follows = wisp__follow_gain(table, now) > 0;
    wisp__put(to, table->follows, table->follows ? 2 : 1);
    wisp__put_spans(to, table, now);
}

/* Writes `now` as it differs from `base`, both of rows x column_count symbols below 2 to the bits
   of their column. */
static void wisp__table_write(wisp__writer *to, const wisp__column *columns, int column_count,
                              int rows, const uint32_t *base, const uint32_t *now) {
    size_t symbols = (size_t)rows * (size_t)column_count;
    wisp__table table;
    wisp__writer start = *to;
    if (symbols == 0 || memcmp(base, now, symbols * sizeof *now) == 0) {
        wisp__put(to, 0, 1);
        return;
    }
    wisp__table_open(&table, columns, column_count, rows);
    table.base = base;
    wisp__put_differences(to, &table, now);
    if (!to->full && to->at - start.at <= wisp__table_bits(columns, column_count, rows)) return;
    *to = start;
    wisp__put_symbols(to, &table, now);
}

/* Reads into `now`, which may be `base` itself. With base NULL it moves past the table, and `now`
   is not touched. False: malformed; what `now` holds then is of no use, but within its bits. */
static bool wisp__table_read(wisp__reader *from, const wisp__column *columns, int column_count,
                             int rows, const uint32_t *base, uint32_t *now) {
    size_t symbols = (size_t)rows * (size_t)column_count;
    wisp__table table;
    if (!wisp__get(from, 1)) {
        if (from->failed) return false;
        if (base && base != now && symbols) memcpy(now, base, symbols * sizeof *now);
        return true;
    }
    if (symbols == 0) from->failed = true;
    if (from->failed) return false;
    wisp__table_open(&table, columns, column_count, rows);
    table.base = base;
    table.now = now;
    if (table.cells == 1) return wisp__get_one_cell(from, &table);
    if (!wisp__get(from, 1)) return wisp__get_spans(from, &table);
    if (wisp__get(from, 1)) return wisp__get_symbols(from, &table);
    table.follows = true;
    return wisp__get_spans(from, &table);
}

/* ---- the adaptive form: a range coder over chances ---- */

/* The chance of a one, in 65536ths, learned at two speeds; its mean is used. The low four bits of
   `fast` count what was seen, as the first few teach the most. */
typedef struct wisp__chance { uint16_t fast, slow; } wisp__chance;

static wisp__chance wisp__chance_even(void) {
    wisp__chance chance = { 0x8000, 0x8000 };
    return chance;
}

/* 32..65504 */
static uint32_t wisp__chance_of(const wisp__chance *chance) {
    uint32_t mean = ((uint32_t)(chance->fast & 0xfff0) + chance->slow) / 2;
    return mean < 32 ? 32 : mean > 65504 ? 65504 : mean;
}

static uint16_t wisp__chance_moved(uint32_t from, int one, int shift) {
    if (one) return (uint16_t)(from + ((65535 - from) >> shift));
    return (uint16_t)(from - (from >> shift));
}

static void wisp__chance_learn(wisp__chance *chance, int one) {
    static const uint8_t shifts[16] = { 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 7 };
    int seen = chance->fast & 15, shift = shifts[seen];
    uint16_t fast = wisp__chance_moved(chance->fast & 0xfff0u, one, shift < 4 ? shift : 4);
    chance->slow = wisp__chance_moved(chance->slow, one, shift);
    chance->fast = (uint16_t)((fast & 0xfff0) | (seen < 15 ? seen + 1 : 15));
}

/* Encodes when `to` is set and decodes otherwise, so that both ends run the same lines. The bytes
   are a number between 0 and 1, of which the zeros at its end are left off. */
typedef struct wisp__range {
    uint8_t       *to;
    const uint8_t *from;
    int            at, size;        /* size: capacity, or bytes that may be read */
    uint64_t       low;             /* 33 bits, of which the top one is a carry */
    uint32_t       width;
    uint32_t       code;            /* of what is decoded, above low */
    bool           failed;
} wisp__range;

static void wisp__range_carry(wisp__range *range) {
    int at = range->at;
    while (at > 0 && ++range->to[--at] == 0) {}
    range->low &= UINT32_MAX;
}

static void wisp__range_shift(wisp__range *range) {
    if (!range->to) {
        range->code = range->code << 8 | (range->at < range->size ? range->from[range->at] : 0u);
        if (range->at < range->size) range->at++;
    } else {
        if (range->low >> 32) wisp__range_carry(range);
        if (range->at >= range->size) range->failed = true;
        else range->to[range->at++] = (uint8_t)(range->low >> 24);
        range->low = range->low << 8 & UINT32_MAX;
    }
    range->width <<= 8;
}

static wisp__range wisp__range_to(uint8_t *to, int capacity) {
    wisp__range range = { NULL, NULL, 0, 0, 0, UINT32_MAX, 0, false };
    range.to = to;
    range.size = capacity;
    return range;
}

static wisp__range wisp__range_from(const uint8_t *from, int size) {
    wisp__range range = { NULL, NULL, 0, 0, 0, 0, 0, false };
    range.from = from;
    range.size = size;
    for (int i = 0; i < 4; i++) wisp__range_shift(&range);
    range.width = UINT32_MAX;
    return range;
}

/* The bit, as it was given or as it was read. */
static int wisp__range_bit(wisp__range *range, uint32_t chance, int one) {
    uint32_t ones = (uint32_t)((uint64_t)range->width * chance >> 16);
    if (!range->to) one = range->code < ones;
    if (one) {
        range->width = ones;
    } else {
        range->width -= ones;
        if (range->to) range->low += ones;
        else range->code -= ones;
    }
    while (range->width < 1u << 24) wisp__range_shift(range);
    return one;
}

/* Bytes written, at least one, or -1. Of all numbers in the range the shortest is taken. */
static int wisp__range_end(wisp__range *range) {
    uint64_t end = range->low + range->width;
    for (int bits = 32; bits >= 0; bits -= 8) {
        uint64_t rounded = (range->low + (UINT64_C(1) << bits) - 1) >> bits << bits;
        if (rounded >= end) continue;
        range->low = rounded;
        break;
    }
    if (range->low >> 32) wisp__range_carry(range);
    for (; range->low || range->at == 0; range->low = range->low << 8 & UINT32_MAX) {
        if (range->at >= range->size) return -1;
        range->to[range->at++] = (uint8_t)(range->low >> 24);
    }
    while (range->at > 1 && range->to[range->at - 1] == 0) range->at--;
    return range->failed ? -1 : range->at;
}

static int wisp__code_bit(wisp__range *range, wisp__chance *chance, int one) {
    one = wisp__range_bit(range, wisp__chance_of(chance), one);
    wisp__chance_learn(chance, one);
    return one;
}

/* By two chances that saw different sides of it. */
static int wisp__code_bit_by(wisp__range *range, wisp__chance *a, wisp__chance *b, int one) {
    one = wisp__range_bit(range, (wisp__chance_of(a) + wisp__chance_of(b)) / 2, one);
    wisp__chance_learn(a, one);
    wisp__chance_learn(b, one);
    return one;
}

/* The low bits (0..32) of the value, all alike. */
static uint32_t wisp__code_evenly(wisp__range *range, uint32_t value, int bits) {
    uint32_t read = 0;
    while (bits > 0) {
        int count = bits < 8 ? bits : 8;
        uint32_t part = value >> (bits - count) & ((1u << count) - 1);
        range->width >>= count;
        if (!range->to) part = range->code / range->width & ((1u << count) - 1);
        if (range->to) range->low += (uint64_t)part * range->width;
        else range->code -= part * range->width;
        while (range->width < 1u << 24) wisp__range_shift(range);
        read = read << count | part;
        bits -= count;
    }
    return read;
}

/* From the top bit down, each by a chance that belongs to the bits above it: chances[1 ..
   2^bits - 1]. */
static uint32_t wisp__code_tree(wisp__range *range, wisp__chance *chances, uint32_t value,
                                int bits) {
    uint32_t node = 1;
    for (int i = bits - 1; i >= 0; i--)
        node = node << 1 | (uint32_t)wisp__code_bit(range, &chances[node], (int)(value >> i & 1));
    return node - (UINT32_C(1) << bits);
}

/* ---- models ---- */

#define WISP__STEPS  20     /* from the expected width of a number to the true one, clipped */
#define WISP__INPUTS  4     /* what a difference is guessed from */

/* What is learned of a column. `moods` below is whether symbols without order changed in the row:
   now (1), in the base (2); what has an order then often jumps. */
typedef struct wisp__column_model {
    wisp__chance differs[16];
    wisp__chance tree[32];                  /* kind 0: signs; kind 1: see wisp__code_symbol */
    int32_t      weights[4][WISP__INPUTS];  /* per mood; of the inputs, in 65536ths */
    int32_t      level[4];                  /* per mood; mean width of the errors, in 65536ths */
    int32_t      recent;                    /* the same of the last few rows */
    int32_t      drift, error;              /* mean difference of rows above; error in the last */
} wisp__column_model;

/* Shared by all columns but for the part at the end; to be copied as bytes. */
typedef struct wisp__models {
    wisp__chance follows, cells[64];
    wisp__chance widths[2][3][WISP__STEPS], paces[8][2][WISP__STEPS];
    wisp__chance digits[16][8];
} wisp__models;

static size_t wisp__models_size(int column_count) {
    return sizeof(wisp__models) + (size_t)column_count * sizeof(wisp__column_model);
}

static wisp__column_model *wisp__models_column(wisp__models *models, int column) {
    return (wisp__column_model *)(void *)(models + 1) + column;
}

static void wisp__chances_even(wisp__chance *chances, size_t count) {
    for (size_t i = 0; i < count; i++) chances[i] = wisp__chance_even();
}

/* What both ends begin with when there is no base yet. Memory is of wisp__models_size and aligned
   for an int32_t. */
static void wisp__models_init(wisp__models *models, const wisp__column *columns,
                              int column_count) {
    wisp__chances_even(&models->follows, sizeof *models / sizeof(wisp__chance));
    for (int i = 0; i < column_count; i++) {
        wisp__column_model *model = wisp__models_column(models, i);
        memset(model, 0, sizeof *model);
        wisp__chances_even(model->differs, 16);
        wisp__chances_even(model->tree, 32);
        for (int mood = 0; mood < 4; mood++) {
            model->level[mood] = columns[i].bits * 65536 / 3;
            model->weights[mood][1] = 59000;    /* 0.9 of how it moved */
            model->weights[mood][2] = 26000;    /* 0.4 of how that changed */
            model->weights[mood][3] = 6500;
        }
    }
}

/* ---- a table through the models ---- */

/* A table on its way, adaptively. `out` is `now` where it is decoded, and NULL elsewhere. */
typedef struct wisp__coding {
    wisp__range     range;
    wisp__table     table;
    wisp__models   *models;
    const uint32_t *now;
    uint32_t       *out;
    const uint32_t *before[2];  /* the base's base, and what that was told from; or NULL */
    int             flag;       /* first column of one bit, or -1 */
} wisp__coding;

/* A cell that differs. */
typedef struct wisp__changing {
    wisp__cell      cell;
    const uint32_t *from;           /* what it is told from */
    const uint32_t *before[2];      /* how that came to be, or NULL */
    uint64_t        mask;
    int             mood;
    int64_t         excess, last;   /* widths above what was expected, in 256ths: sum, last */
    int             numbers;        /* in the sum */
} wisp__changing;

static int wisp__sign3(int64_t number) { return number > 0 ? 2 : number < 0; }

/* What a number is expected to be like. */
typedef struct wisp__outlook {
    int64_t inputs[WISP__INPUTS];   /* drift, motion, its change, error in the row above */
    int64_t guess;
    int64_t level, width;           /* of the error, in 256ths */
    int     pace, sign;             /* contexts */
} wisp__outlook;

static int64_t wisp__step(const wisp__column *column, uint32_t from, uint32_t to) {
    return wisp__signed((to - from) & wisp__column_mask(column), column->bits);
}

/* The weights were found by trial on recorded motion; the chances make up for what they miss. */
static wisp__outlook wisp__look_out(const wisp__changing *change, const wisp__column *column,
                                    const wisp__column_model *model, int i) {
    wisp__outlook out;
    const int32_t *weights = model->weights[change->mood];
    int64_t most = (INT64_C(1) << (column->bits - 1)) - 1, motion_log, bend_log, sum = 0;
    memset(&out, 0, sizeof out);
    out.level = motion_log = bend_log = model->level[change->mood] / 256;
    out.inputs[0] = model->drift;
    out.inputs[3] = model->error;
    if (change->before[0]) {
        const uint32_t *older = change->before[1];
        out.inputs[1] = wisp__step(column, change->before[0][i], change->from[i]);
        if (older) out.inputs[2] = out.inputs[1] -
                                   wisp__step(column, older[i], change->before[0][i]);
        motion_log = wisp__log_size(out.inputs[1]);
        bend_log = older ? wisp__log_size(out.inputs[2]) : motion_log;
    }
    for (int k = 0; k < WISP__INPUTS; k++) sum += weights[k] * out.inputs[k];
    out.guess = wisp__between((sum + 32768 * (sum < 0 ? -1 : 1)) / 65536, -most, most);
    out.width = 159 * out.level + 44 * (model->recent / 256) + 31 * bend_log + 13 * motion_log;
    if (change->numbers) out.width += 102 * change->excess / change->numbers - 13 * change->last;
    out.width = wisp__between(out.width / 256, 0, column->bits * 256 - 256);
    out.pace = (int)wisp__between((bend_log + 384) / 256 - (out.width + 64) / 256 + 3, 0, 7);
    out.sign = wisp__sign3(out.guess) * 9 + wisp__sign3(out.inputs[2]) * 3 +
               wisp__sign3(out.inputs[3]);
    return out;
}

/* Normalised least mean squares; errors beyond four times the usual do not count in full. */
static void wisp__learn_weights(int32_t *weights, const wisp__outlook *out, int64_t error,
                                int bits) {
    int64_t unit = bits > 20 ? INT64_C(1) << (bits - 20) : 1, power, gain;
    int64_t usual = INT64_C(1) << wisp__between(out->level / 256, 0, 32);
    usual = usual / unit + 1;
    error = wisp__between(error / unit, -4 * usual, 4 * usual);
    power = 16 * usual * usual;
    for (int k = 0; k < WISP__INPUTS; k++)
        power += (out->inputs[k] / unit) * (out->inputs[k] / unit);
    gain = error * (5000 << 12) / power;
    for (int k = 0; k < WISP__INPUTS; k++)
        weights[k] = (int32_t)wisp__between(weights[k] + gain * (out->inputs[k] / unit) / 4096,
                                            -131072, 131072);
}

static void wisp__learn_difference(wisp__changing *change, const wisp__column *column,
                                   wisp__column_model *model, const wisp__outlook *out,
                                   int64_t difference, int64_t error) {
    int64_t usual = INT64_C(4) << wisp__between(out->level / 256, 0, 28);
    int64_t log = wisp__log_size(error);
    int32_t *level = &model->level[change->mood];
    wisp__learn_weights(model->weights[change->mood], out, error, column->bits);
    change->last = log - out->level;
    change->excess += change->last;
    change->numbers++;
    *level += (int32_t)(log * 256 - *level) / 25;
    model->recent += (int32_t)(log * 256 - model->recent) * 3 / 10;
    model->drift += (int32_t)((difference - model->drift) * 3 / 10);
    model->error = (int32_t)wisp__between(error, -usual, usual);
}

/* How many bits the size of an error takes: steps up or down from what is expected. */
static int wisp__code_width(wisp__coding *coding, const wisp__changing *change,
                            const wisp__outlook *out, int bits, int width) {
    wisp__range *range = &coding->range;
    int halves = (int)(out->width + 64) / 128, middle = halves / 2, side, at;
    wisp__chance *a, *b;
    if (middle > bits - 1) middle = bits - 1;
    side = middle == 0 ? 2 : change->mood > 0;
    a = coding->models->widths[middle == 0 ? 0 : halves & 1][side];
    b = coding->models->paces[out->pace][middle >= 3];
    at = middle;
    if (wisp__code_bit_by(range, a, b, width > at)) {
        for (at++; at < bits; at++) {
            int step = wisp__min_int(at - middle, 9);
            if (!wisp__code_bit_by(range, a + step, b + step, width > at)) break;
        }
        return at;
    }
    for (; at > 0; at--) {
        int step = wisp__min_int(10 + middle - at, 19);
        if (!wisp__code_bit_by(range, a + step, b + step, width < at)) break;
    }
    return at;
}

/* A number of which the width is known: all bits but the first, which is 1. */
static uint32_t wisp__code_digits(wisp__coding *coding, const wisp__outlook *out, int width,
                                  uint32_t size) {
    int place = (int)wisp__between(width - out->width / 256 + 8, 0, 15);
    int rest = width - 1, top = wisp__min_int(rest, 3);
    uint32_t digits = wisp__code_tree(&coding->range, coding->models->digits[place],
                                      size >> (rest - top) & ((1u << top) - 1), top);
    digits |= 1u << top;
    rest -= top;
    return digits << rest | wisp__code_evenly(&coding->range, size, rest);
}

/* The difference, which is 0 only in bytes that nobody encoded. */
static int64_t wisp__code_difference(wisp__coding *coding, wisp__changing *change,
                                     const wisp__column *column, wisp__column_model *model,
                                     int i, int64_t difference) {
    wisp__outlook out = wisp__look_out(change, column, model, i);
    uint32_t mask = wisp__column_mask(column);
    int64_t error = wisp__signed((uint32_t)(uint64_t)(difference - out.guess) & mask,
                                 column->bits);
    uint32_t size = (uint32_t)(error < 0 ? -error : error);
    int width = wisp__code_width(coding, change, &out, column->bits, wisp__width(size));
    if (width == 0) {
        error = 0;
    } else {
        int negative = wisp__code_bit(&coding->range, &model->tree[out.sign], error < 0);
        size = wisp__code_digits(coding, &out, width, size);
        error = negative ? -(int64_t)size : (int64_t)size;
        error = wisp__signed((uint32_t)(uint64_t)error & mask, column->bits);
    }
    difference = wisp__signed((uint32_t)(uint64_t)(out.guess + error) & mask, column->bits);
    wisp__learn_difference(change, column, model, &out, difference, error);
    return difference;
}

/* Few symbols: by their base if they are at most four. More: how wide the exclusive or is. */
static uint32_t wisp__code_symbol(wisp__range *range, wisp__chance *tree, int bits, uint32_t base,
                                  uint32_t now) {
    uint32_t changed = base ^ now;
    int rest;
    if (bits == 1) return base ^ 1;
    if (bits == 2) return wisp__code_tree(range, tree + 4 * base, now, bits);
    if (bits <= 5) return wisp__code_tree(range, tree, now, bits);
    rest = (int)wisp__code_tree(range, tree, (uint32_t)wisp__width(changed >> 1), 5);
    changed = wisp__code_evenly(range, changed, rest) | UINT32_C(1) << rest;
    return (base ^ changed) & (uint32_t)wisp__low_bits(UINT64_MAX, bits);
}

static void wisp__code_value(wisp__coding *coding, wisp__changing *change, int i) {
    const wisp__column *column = &coding->table.columns[change->cell.column + i];
    wisp__column_model *model = wisp__models_column(coding->models, change->cell.column + i);
    uint32_t from = change->from[i], now = coding->now[change->cell.at + (size_t)i];
    if (column->kind || column->bits == 1) {
        now = wisp__code_symbol(&coding->range, model->tree, column->bits, from, now);
    } else {
        int64_t difference = wisp__step(column, from, now);
        difference = wisp__code_difference(coding, change, column, model, i, difference);
        now = (from + (uint32_t)(uint64_t)difference) & wisp__column_mask(column);
    }
    if (now == from) coding->range.failed = true;
    if (coding->out) coding->out[change->cell.at + (size_t)i] = now;
}

/* Which columns differ; at least one. */
static void wisp__code_mask(wisp__coding *coding, wisp__changing *change) {
    uint64_t mask = 0;
    int jumped = 0, last = 0;
    for (int i = 0; i < change->cell.count; i++) {
        const wisp__column *column = &coding->table.columns[change->cell.column + i];
        wisp__column_model *model = wisp__models_column(coding->models, change->cell.column + i);
        int moved = change->before[0] && change->before[0][i] != change->from[i];
        int context = last | moved << 1 | jumped << 2 | (mask != 0) << 3;
        last = wisp__code_bit(&coding->range, &model->differs[context],
                              (int)(change->mask >> i & 1));
        mask |= (uint64_t)last << i;
        if (column->kind && last) jumped = 1;
        if (column->kind && moved) change->mood = 2;
    }
    change->mask = mask;
    change->mood |= jumped;
    if (mask == 0) coding->range.failed = true;
}

static void wisp__code_changes(wisp__coding *coding, const wisp__cell *cell,
                               const uint32_t *from) {
    wisp__changing change;
    memset(&change, 0, sizeof change);
    change.cell = *cell;
    change.from = from;
    if (from == coding->table.base + cell->at)
        for (int k = 0; k < 2 && coding->before[k]; k++)
            change.before[k] = coding->before[k] + cell->at;
    if (!coding->out) change.mask = wisp__cell_mask(from, coding->now + cell->at, cell->count);
    wisp__code_mask(coding, &change);
    for (int i = 0; i < cell->count && !coding->range.failed; i++)
        if (change.mask >> i & 1) wisp__code_value(coding, &change, i);
}

/* Whether a cell of one table differs from that of another, where both are known. */
static int wisp__cell_moved(const wisp__cell *cell, const uint32_t *before, const uint32_t *after) {
    if (!before) return 0;
    return memcmp(before + cell->at, after + cell->at, (size_t)cell->count * sizeof *after) != 0;
}

static int wisp__cell_context(const wisp__coding *coding, const wisp__cell *cell, int moved,
                              int next) {
    const uint32_t *base = coding->table.base;
    int older = coding->before[0] && wisp__cell_moved(cell, coding->before[1], coding->before[0]);
    int flag = coding->flag - cell->column;
    int set = flag >= 0 && flag < cell->count && base[cell->at + (size_t)flag] != 0;
    return moved << 2 | older << 3 | next << 4 | set << 5;
}

static void wisp__code_cells(wisp__coding *coding) {
    const wisp__table *table = &coding->table;
    wisp__cell cell = wisp__cell_of(table, 0), next;
    int moved = wisp__cell_moved(&cell, coding->before[0], table->base), next_moved, recent = 0;
    for (int64_t at = 0; at < table->cells && !coding->range.failed; at++, cell = next) {
        const uint32_t *from = wisp__cell_reference(table, coding->now, &cell);
        size_t size = (size_t)cell.count * sizeof *from;
        int differs = !coding->out && memcmp(from, coding->now + cell.at, size) != 0, context;
        next = at + 1 < table->cells ? wisp__cell_of(table, at + 1) : cell;
        next_moved = wisp__cell_moved(&next, coding->before[0], table->base);
        context = recent | wisp__cell_context(coding, &cell, moved, next_moved);
        differs = wisp__code_bit(&coding->range, &coding->models->cells[context], differs);
        if (coding->out) memcpy(coding->out + cell.at, from, size);
        if (differs) wisp__code_changes(coding, &cell, from);
        recent = (recent << 1 | differs) & 3;
        moved = next_moved;
    }
}

static void wisp__coding_open(wisp__coding *coding, const wisp__column *columns, int column_count,
                              int rows, wisp__models *models, const uint32_t *const held[3]) {
    memset(coding, 0, sizeof *coding);
    wisp__table_open(&coding->table, columns, column_count, rows);
    coding->table.base = held[0];
    coding->before[0] = held[1];
    coding->before[1] = held[1] ? held[2] : NULL;
    coding->models = models;
    coding->flag = -1;
    for (int i = column_count - 1; i >= 0; i--) {
        wisp__column_model *model = wisp__models_column(models, i);
        model->recent = model->level[0];
        model->drift = model->error = 0;
        if (columns[i].bits == 1) coding->flag = i;
    }
}

/* Writes `now` as it differs from held[0]; held[1] is what that was told from, held[2] what that
   was, both NULL if the receiver may not have them. `models` are those from after held[0] was
   told (or as they were initialised, if it was told plainly), and become those of `now`; equal
   tables leave them as they are. Bytes written, 0 when the tables are equal, or -1: more than the
   capacity, then the models are of no use and the plain form, which has a bound, is to be taken. */
static int wisp__table_encode(const wisp__column *columns, int column_count, int rows,
                              wisp__models *models, const uint32_t *const held[3],
                              const uint32_t *now, uint8_t *to, int capacity) {
    wisp__coding coding;
    size_t symbols = (size_t)rows * (size_t)column_count;
    if (symbols == 0 || memcmp(held[0], now, symbols * sizeof *now) == 0) return 0;
    wisp__coding_open(&coding, columns, column_count, rows, models, held);
    coding.range = wisp__range_to(to, capacity);
    coding.now = now;
    coding.table.follows = wisp__follow_gain(&coding.table, now) > 0;
    wisp__code_bit(&coding.range, &models->follows, coding.table.follows);
    wisp__code_cells(&coding);
    if (coding.range.failed) return -1;
    return wisp__range_end(&coding.range);
}

/* The counterpart, on any bytes. `now` is none of the tables held. False: nobody encoded this;
   then `now` and the models are of no use, but `now` is within its bits. */
static bool wisp__table_decode(const wisp__column *columns, int column_count, int rows,
                               wisp__models *models, const uint32_t *const held[3],
                               uint32_t *now, const uint8_t *from, int size) {
    wisp__coding coding;
    size_t symbols = (size_t)rows * (size_t)column_count;
    if (symbols == 0 || size <= 0) {
        if (symbols) memcpy(now, held[0], symbols * sizeof *now);
        return size == 0;
    }
    memset(now, 0, symbols * sizeof *now);
    wisp__coding_open(&coding, columns, column_count, rows, models, held);
    coding.range = wisp__range_from(from, size);
    coding.now = coding.out = now;
    coding.table.follows = wisp__code_bit(&coding.range, &models->follows, 0) != 0;
    wisp__code_cells(&coding);
    return !coding.range.failed;
}

/* ===========================================================================
 * MARK: >>delta
 * What: the difference of a record from another of the same schema, and of
 *   values without a schema from others; and both put together again.
 * Invariants: both ends work on packed bits, so that what one rounds the other
 *   has rounded too; a difference applied to its base gives the very bits it
 *   was made from. Its reader is never led beyond what it was given.
 * Not here: tables of numbers (coder), which value is the base (track).
 *
 *   body      the table of its numbers, 1 x n; then for each that is no number:
 *     array     same count:1 [count], its numbers as a table, rows x n, in the
 *               arrays of the schema itself [by range coder:1 length align bytes];
 *               then for each row what is no number in it
 *     others    differs:1 [as in record]
 *   values    same count:1 [small(count)], then for each: differs:1 [change]
 *   change    0:2 shape data | 1:2 integer (zigzag difference of the kind before)
 *             2:2 map, the keys of before: gone:1 | differs:1 [change] each
 *             3:2 map: gone:1 each; differs:1 [change] for each that is not;
 *                 small(new), for each: length key shape data · array: as values
 * ======================================================================== */

/* Symbols and rows of one difference at most: what is larger goes as it is. */
enum { WISP__DELTA_SYMBOLS = 1 << 20, WISP__DELTA_ROWS = 1 << 18 };

/* A record and where it begins: blobs are aligned to there. */
typedef struct wisp__side {
    wisp__reader from;
    int64_t      start;
    bool         there;
} wisp__side;

typedef struct wisp__differ {
    wisp__unpacker *u;                 /* memory and limits */
    const wisp__op *ops;
    wisp__side      base, now;         /* now: while a difference is made */
    wisp__side      older[2];          /* for the range coder: what the base was told from .. */
    uint8_t        *models;            /* its models, adapted on the way; NULL: plain */
    wisp__writer   *to;                /* the difference, while it is made; the record, else */
    wisp__side      delta;             /* the difference, while it is applied */
    uint8_t        *copies;            /* room for two records, to compare what is no blob */
    int             rows, symbols;     /* that may still come */
    bool            failed;
} wisp__differ;

static wisp__side wisp__side_on(const void *bytes, int64_t bits) {
    wisp__side side;
    memset(&side, 0, sizeof side);
    side.from = wisp__reader_on(bytes, (int)((bits + 7) / 8));
    side.from.end = bits;
    side.there = bytes != NULL;
    return side;
}

static void *wisp__differ_take(wisp__differ *d, size_t size) {
    void *memory = d->failed ? NULL : wisp__arena_take(d->u->base, d->u->arena, size + 16);
    if (!memory) d->failed = true;
    return memory;
}

static bool wisp__op_is_blob(const wisp__op *op) {
    return op->code == WISP__OP_TEXT || op->code == WISP__OP_BYTES || op->code == WISP__OP_PLACE ||
           op->code == WISP__OP_ANY;
}

static bool wisp__op_is_number(const wisp__op *op) {
    return op->code <= WISP__OP_COLOR || op->code == WISP__OP_LITERAL;
}

/* --- moving over records, with or without a copy --- */

/* How many bytes a blob has; the reader stands at the first of them. */
static int wisp__pass_length(const wisp__op *op, wisp__side *side) {
    int count = op->max;
    if (op->code == WISP__OP_ANY) count = wisp__get_length(&side->from);
    else if (!(op->flags & WISP__OP_FIXED)) count = (int)wisp__get(&side->from, op->bits);
    if (op->code != WISP__OP_ANY && count > op->max) side->from.failed = true;
    if (count || op->code == WISP__OP_ANY)
        wisp__skip(&side->from, (side->start - side->from.at) & 7);
    return side->from.failed ? 0 : count;
}

static void wisp__pass_blob(const wisp__op *op, wisp__side *side, wisp__writer *to) {
    int count = wisp__pass_length(op, side);
    int64_t at = side->from.at;
    wisp__skip(&side->from, (int64_t)count * 8);
    if (!to || side->from.failed) return;
    if (op->code == WISP__OP_ANY) wisp__put_length(to, (uint64_t)count);
    else if (!(op->flags & WISP__OP_FIXED)) wisp__put(to, (uint64_t)count, op->bits);
    if (count || op->code == WISP__OP_ANY) wisp__put_align(to);
    for (wisp__reader copy = side->from; count > 0 && !to->full; count--) {
        copy.at = at;
        wisp__put(to, wisp__get(&copy, 8), 8);
        at += 8;
    }
}

static void wisp__pass_bits(wisp__side *side, wisp__writer *to, int bits) {
    uint64_t value = wisp__get(&side->from, bits);
    if (to) wisp__put(to, value, bits);
}

/* Numbers by class keep their class: there is only one for each. */
static void wisp__pass_class(wisp__differ *d, const wisp__op *op, wisp__side *side,
                             wisp__writer *to) {
    wisp_value value;
    uint64_t integer;
    if (op->code == WISP__OP_LONG) {
        integer = wisp__get_integer(&side->from);
        if (to) wisp__put_integer(to, integer);
        return;
    }
    d->u->data = &side->from;
    wisp__unpack_number(d->u, &value);
    if (to) wisp__pack_number(to, value.as.number);
}

static bool wisp__pass_rows(wisp__differ *d, int count) {
    d->rows -= count;
    if (d->rows < 0) d->failed = true;
    return !d->failed;
}

/* Moves over operations `at` up to `end`; what they read goes to `to`, if that is not NULL. */
static void wisp__pass(wisp__differ *d, int at, int end, wisp__side *side, wisp__writer *to) {
    for (; at < end && !side->from.failed && !d->failed; at = d->ops[at].end) {
        const wisp__op *op = &d->ops[at];
        int count, option;
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_QUANTIZED: wisp__pass_bits(side, to, op->bits); break;
        case WISP__OP_FLOATS:
            for (int i = 0; i < op->max; i++) wisp__pass_bits(side, to, 32);
            break;
        case WISP__OP_DOUBLE: wisp__pass_bits(side, to, 64); break;
        case WISP__OP_LONG:
        case WISP__OP_NUMBER: wisp__pass_class(d, op, side, to); break;
        case WISP__OP_QUAT:
            wisp__pass_bits(side, to, 2);
            for (int i = 0; i < 3; i++) wisp__pass_bits(side, to, op->max);
            break;
        case WISP__OP_COLOR: wisp__pass_bits(side, to, 32); break;
        case WISP__OP_LITERAL: break;
        case WISP__OP_ARRAY:
            count = op->flags & WISP__OP_FIXED ? op->max : (int)wisp__get(&side->from, op->bits);
            if (to && !(op->flags & WISP__OP_FIXED)) wisp__put(to, (uint64_t)count, op->bits);
            if (count > op->max) side->from.failed = true;
            if (!wisp__pass_rows(d, count)) break;
            for (int i = 0; i < count && !side->from.failed; i++)
                wisp__pass(d, at + 1, op->end, side, to);
            break;
        case WISP__OP_UNION:
            count = (int)wisp__get(&side->from, op->bits);
            if (count >= op->max) side->from.failed = true;
            if (to) wisp__put(to, (uint64_t)count, op->bits);
            if (side->from.failed) break;
            option = wisp__option_at(d->ops, at, count);
            wisp__pass(d, option + 1, d->ops[option].end, side, to);
            break;
        case WISP__OP_OPTIONAL:
        case WISP__OP_MAYBE:
            count = (int)wisp__get(&side->from, 1);
            if (to) wisp__put(to, (uint64_t)count, 1);
            if (count) wisp__pass(d, at + 1, op->end, side, to);
            break;
        default: wisp__pass_blob(op, side, to); break;
        }
    }
}

/* --- numbers as symbols of a table, the rest as slots --- */

typedef struct wisp__table_shape {
    wisp__column *columns;             /* NULL: only counted */
    int           count, slots;
} wisp__table_shape;

static void wisp__add_columns(wisp__table_shape *shape, int count, int bits, int kind) {
    for (int i = 0; i < count; i++, shape->count++) {
        if (!shape->columns) continue;
        shape->columns[shape->count].bits = (uint8_t)bits;
        shape->columns[shape->count].kind = (uint8_t)kind;
    }
}

static void wisp__shape_of(const wisp__op *ops, int at, int end, wisp__table_shape *shape) {
    for (; at < end; at = ops[at].end) {
        const wisp__op *op = &ops[at];
        int plain = (op->flags & WISP__OP_PLAIN) != 0;
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_QUANTIZED: wisp__add_columns(shape, op->bits > 0, op->bits, plain); break;
        case WISP__OP_FLOATS: wisp__add_columns(shape, op->max, 32, 1); break;
        case WISP__OP_DOUBLE:
        case WISP__OP_NUMBER: wisp__add_columns(shape, 2, 32, 1); break;
        case WISP__OP_LONG: wisp__add_columns(shape, 2, 32, 0); break;
        case WISP__OP_QUAT:
            wisp__add_columns(shape, 1, 2, 1);
            wisp__add_columns(shape, 3, op->max, 0);
            break;
        case WISP__OP_COLOR: wisp__add_columns(shape, 4, 8, 0); break;
        case WISP__OP_LITERAL: break;
        case WISP__OP_OPTIONAL:
        case WISP__OP_MAYBE:
            wisp__add_columns(shape, 1, 1, 1);
            wisp__shape_of(ops, at + 1, op->end, shape);
            break;
        default: shape->slots++; break;
        }
    }
}

/* The cells of one row: its symbols, and the bits where its slots begin (-1: not there). */
typedef struct wisp__cells {
    uint32_t *symbols;
    int64_t  *slots;
} wisp__cells;

static void wisp__take_word(wisp__cells *cells, wisp__side *side, int bits) {
    *cells->symbols++ = side->there ? (uint32_t)wisp__get(&side->from, bits) : 0;
}

static void wisp__take_number(wisp__differ *d, const wisp__op *op, wisp__cells *cells,
                              wisp__side *side) {
    uint64_t bits = 0;
    wisp_value value;
    if (side->there && op->code == WISP__OP_LONG) {
        bits = wisp__get_integer(&side->from);
    } else if (side->there && op->code == WISP__OP_DOUBLE) {
        bits = wisp__get(&side->from, 64);
    } else if (side->there) {
        d->u->data = &side->from;
        wisp__unpack_number(d->u, &value);
        memcpy(&bits, &value.as.number, 8);
    }
    *cells->symbols++ = (uint32_t)bits;
    *cells->symbols++ = (uint32_t)(bits >> 32);
}

/* Takes the cells of a row from a record. A row that is not there is all zero. */
static void wisp__take_cells(wisp__differ *d, int at, int end, wisp__cells *cells,
                             wisp__side *side) {
    bool there = side->there;
    for (; at < end; at = d->ops[at].end) {
        const wisp__op *op = &d->ops[at];
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_QUANTIZED: if (op->bits) wisp__take_word(cells, side, op->bits); break;
        case WISP__OP_FLOATS:
            for (int i = 0; i < op->max; i++) wisp__take_word(cells, side, 32);
            break;
        case WISP__OP_LONG:
        case WISP__OP_DOUBLE:
        case WISP__OP_NUMBER: wisp__take_number(d, op, cells, side); break;
        case WISP__OP_QUAT:
            wisp__take_word(cells, side, 2);
            for (int i = 0; i < 3; i++) wisp__take_word(cells, side, op->max);
            break;
        case WISP__OP_COLOR:
            for (int i = 0; i < 4; i++) wisp__take_word(cells, side, 8);
            break;
        case WISP__OP_LITERAL: break;
        case WISP__OP_OPTIONAL:
        case WISP__OP_MAYBE:
            wisp__take_word(cells, side, 1);
            side->there = there && cells->symbols[-1];
            wisp__take_cells(d, at + 1, op->end, cells, side);
            side->there = there;
            break;
        default:
            *cells->slots++ = there ? side->from.at : -1;
            if (there) wisp__pass(d, at, at + 1, side, NULL);
            break;
        }
    }
}

/* A table of rows with their slots, as one side has it. */
typedef struct wisp__grid {
    int       rows;
    uint32_t *symbols;
    int64_t  *slots;
} wisp__grid;

/* `there` of `rows` rows, one after another where the side stands. */
static void wisp__grid_take(wisp__differ *d, int at, int end, const wisp__table_shape *shape,
                            int there, int rows, wisp__side side, wisp__grid *grid) {
    wisp__cells cells;
    size_t columns = (size_t)shape->count, slots = (size_t)shape->slots;
    grid->rows = rows;
    grid->symbols = (uint32_t *)wisp__differ_take(d, (size_t)rows * columns * 4);
    grid->slots = (int64_t *)wisp__differ_take(d, (size_t)rows * slots * 8);
    if (d->failed) return;
    cells.symbols = grid->symbols;
    cells.slots = grid->slots;
    for (int i = 0; i < rows && !side.from.failed && !d->failed; i++) {
        side.there = i < there;
        wisp__take_cells(d, at, end, &cells, &side);
    }
    if (side.from.failed) d->failed = true;
}

/* Columns of a body; false: there are too many cells for a difference. */
static bool wisp__grid_shape(wisp__differ *d, int at, int end, int rows,
                             wisp__table_shape *shape) {
    memset(shape, 0, sizeof *shape);
    wisp__shape_of(d->ops, at, end, shape);
    if (rows && shape->count + shape->slots > d->symbols / rows) d->failed = true;
    if (d->failed) return false;
    d->symbols -= rows * (shape->count + shape->slots);
    shape->columns = (wisp__column *)wisp__differ_take(d, (size_t)shape->count *
                                                          sizeof *shape->columns);
    if (d->failed) return false;
    shape->count = shape->slots = 0;
    wisp__shape_of(d->ops, at, end, shape);
    return true;
}

/* Elements of the array that begins at `slot`; the side then stands at the first. */
static int wisp__array_open(const wisp__op *op, wisp__side *side, int64_t slot) {
    int count = op->max;
    if (!side->there || slot < 0) return 0;
    side->from.at = slot;
    if (!(op->flags & WISP__OP_FIXED)) count = (int)wisp__get(&side->from, op->bits);
    return count > op->max ? 0 : count;
}

/* --- the range coder, for arrays of nothing but numbers in the schema itself --- */

/* The array's columns, if it is one that the coder takes. */
static bool wisp__coded_array(const wisp__op *ops, int at, wisp__table_shape *shape) {
    memset(shape, 0, sizeof *shape);
    if (ops[at].code != WISP__OP_ARRAY || !(ops[at].flags & WISP__OP_PLAIN)) return false;
    wisp__shape_of(ops, at + 1, ops[at].end, shape);
    return true;
}

/* The operation after, also inside of what may be missing, but not inside arrays and unions. */
static int wisp__op_after(const wisp__op *ops, int at) {
    bool inside = ops[at].code == WISP__OP_OPTIONAL || ops[at].code == WISP__OP_MAYBE;
    return inside ? at + 1 : ops[at].end;
}

/* Bytes of models of such arrays before an operation. */
static size_t wisp__models_before(const wisp__op *ops, int end) {
    size_t bytes = 0;
    wisp__table_shape shape;
    for (int at = 0; at < end; at = wisp__op_after(ops, at))
        if (wisp__coded_array(ops, at, &shape))
            bytes += (wisp__models_size(shape.count) + 7) & ~(size_t)7;
    return bytes;
}

static size_t wisp__delta_models(const wisp__program *program) {
    return wisp__models_before(program->ops, program->count);
}

static void wisp__delta_models_init(wisp__differ *d, const wisp__program *program) {
    wisp__table_shape shape;
    for (int at = 0; at < program->count; at = wisp__op_after(program->ops, at)) {
        size_t bytes = wisp__models_before(program->ops, at);
        if (!wisp__coded_array(program->ops, at, &shape)) continue;
        if (!wisp__grid_shape(d, at + 1, program->ops[at].end, 0, &shape)) return;
        wisp__models_init((wisp__models *)(void *)(d->models + bytes), shape.columns, shape.count);
    }
}

/* The tables of the base and before, all with so many rows. */
static void wisp__older_tables(wisp__differ *d, int at, const wisp__table_shape *shape, int rows,
                               const wisp__grid *base, const int64_t older_at[2],
                               const uint32_t *held[3]) {
    const wisp__op *op = &d->ops[at];
    wisp__grid grid;
    held[0] = base->symbols;
    held[1] = held[2] = NULL;
    for (int i = 0; i < 2 && d->older[i].there && !d->failed; i++) {
        wisp__side side = d->older[i];
        int count = wisp__array_open(op, &side, older_at[i]);
        wisp__grid_take(d, at + 1, op->end, shape, wisp__min_int(count, rows), rows, side, &grid);
        held[i + 1] = grid.symbols;
    }
}

static bool wisp__put_coded(wisp__differ *d, int at, const wisp__table_shape *shape, int rows,
                            const uint32_t *const held[3], const uint32_t *now) {
    size_t models = wisp__models_size(shape->count);
    uint8_t *own = d->models + wisp__models_before(d->ops, at);
    int room = (int)(wisp__table_bits(shape->columns, shape->count, rows) / 8) + 64, bytes = -1;
    uint8_t *out = (uint8_t *)wisp__differ_take(d, (size_t)room);
    uint8_t *before = (uint8_t *)wisp__differ_take(d, models);
    if (d->failed) return false;
    memcpy(before, own, models);
    bytes = wisp__table_encode(shape->columns, shape->count, rows, (wisp__models *)(void *)own,
                               held, now, out, room);
    wisp__put(d->to, bytes >= 0, 1);
    if (bytes < 0) memcpy(own, before, models);
    if (bytes < 0) return false;
    wisp__put_length(d->to, (uint64_t)bytes);
    wisp__put_align(d->to);
    wisp__put_bytes(d->to, out, bytes);
    return true;
}

/* true: the table went this way. */
static bool wisp__get_coded(wisp__differ *d, int at, const wisp__table_shape *shape, int rows,
                            const uint32_t *const held[3], uint32_t *now) {
    uint8_t *own = d->models + wisp__models_before(d->ops, at);
    wisp__models *models = (wisp__models *)(void *)own;
    wisp__reader *from = &d->delta.from;
    uint8_t *bytes;
    int count;
    if (!wisp__get(from, 1)) return false;
    count = wisp__get_length(from);
    wisp__skip(from, (d->delta.start - from->at) & 7);
    if (from->failed || (int64_t)count * 8 > from->end - from->at) d->failed = true;
    bytes = (uint8_t *)wisp__differ_take(d, (size_t)count + WISP__SLACK);
    if (d->failed) return true;
    wisp__get_bits(from, bytes, (int64_t)count * 8);
    if (!wisp__table_decode(shape->columns, shape->count, rows, models, held, now, bytes, count))
        d->failed = true;
    return true;
}

/* --- making a difference --- */

static bool wisp__blob_same(const wisp__op *op, wisp__side a, wisp__side b) {
    int count = wisp__pass_length(op, &a);
    if (count != wisp__pass_length(op, &b)) return false;
    for (; count > 0; count--)
        if (wisp__get(&a.from, 8) != wisp__get(&b.from, 8)) return false;
    return !a.from.failed && !b.from.failed;
}

/* Is what stands in a slot the same on both sides? Other than blobs are compared as copies. */
static bool wisp__slot_same(wisp__differ *d, int at, int64_t base_at, int64_t now_at) {
    wisp__side a = d->base, b = d->now;
    wisp__writer copies[2];
    size_t room = (size_t)wisp__max_int(a.from.size, b.from.size) * 2 + 2 * WISP__SLACK;
    a.from.at = base_at;
    b.from.at = now_at;
    if (base_at < 0) return false;
    if (wisp__op_is_blob(&d->ops[at])) return wisp__blob_same(&d->ops[at], a, b);
    if (!d->copies) d->copies = (uint8_t *)wisp__differ_take(d, 2 * room);
    if (!d->copies) return false;
    for (int i = 0; i < 2; i++) {
        copies[i] = wisp__writer_on(d->copies + (size_t)i * room, (int)room - WISP__SLACK);
        wisp__pass(d, at, at + 1, i ? &b : &a, &copies[i]);
        wisp__put(&copies[i], 0, 64);
    }
    return !copies[0].full && copies[0].at == copies[1].at &&
           memcmp(copies[0].bytes, copies[1].bytes, (size_t)copies[0].at / 8) == 0;
}

typedef void (*wisp__slots_fn)(wisp__differ *d, int at, int end, const wisp__grid *base,
                               const wisp__grid *now, const int64_t *older);

static void wisp__put_array(wisp__differ *d, int at, int64_t base_at, int64_t now_at,
                            const int64_t older[2], bool top, wisp__slots_fn slots) {
    const wisp__op *op = &d->ops[at];
    wisp__side base = d->base, now = d->now;
    int had = wisp__array_open(op, &base, base_at), rows = wisp__array_open(op, &now, now_at);
    wisp__table_shape shape;
    wisp__grid a, b;
    const uint32_t *held[3];
    if (!(op->flags & WISP__OP_FIXED)) {
        wisp__put(d->to, had == rows, 1);
        if (had != rows) wisp__put(d->to, (uint64_t)rows, op->bits);
    }
    if (!wisp__pass_rows(d, rows) || !wisp__grid_shape(d, at + 1, op->end, rows, &shape)) return;
    wisp__grid_take(d, at + 1, op->end, &shape, wisp__min_int(had, rows), rows, base, &a);
    wisp__grid_take(d, at + 1, op->end, &shape, rows, rows, now, &b);
    if (d->failed || !rows) return;
    if (top && d->models && op->flags & WISP__OP_PLAIN) {
        wisp__older_tables(d, at, &shape, rows, &a, older, held);
        if (d->failed || wisp__put_coded(d, at, &shape, rows, held, b.symbols)) return;
    }
    if (shape.count)
        wisp__table_write(d->to, shape.columns, shape.count, rows, a.symbols, b.symbols);
    if (shape.slots) slots(d, at + 1, op->end, &a, &b, NULL);
}

/* What is no number in rows, row by row. `older` is only there for the schema itself. */
static void wisp__put_slots(wisp__differ *d, int at, int end, const wisp__grid *base,
                            const wisp__grid *now, const int64_t *older) {
    const int64_t *a = base->slots, *b = now->slots;
    for (int row = 0; row < now->rows; row++) {
        for (int i = at, next; i < end && !d->failed; i = next) {
            const wisp__op *op = &d->ops[i];
            bool inside = op->code == WISP__OP_OPTIONAL || op->code == WISP__OP_MAYBE;
            int64_t none[2] = { -1, -1 };
            next = wisp__op_after(d->ops, i);
            if (inside || wisp__op_is_number(op)) continue;
            if (*b >= 0 && op->code == WISP__OP_ARRAY) {
                wisp__put_array(d, i, *a, *b, older ? older : none, older != NULL, wisp__put_slots);
            } else if (*b >= 0) {
                bool same = wisp__slot_same(d, i, *a, *b);
                wisp__side from = d->now;
                from.from.at = *b;
                wisp__put(d->to, !same, 1);
                if (!same) wisp__pass(d, i, i + 1, &from, d->to);
            }
            a++;
            b++;
            if (older) older += 2;
        }
    }
}

/* Where the slots of the schema itself are in the two older records, pair by pair. */
static int64_t *wisp__older_slots(wisp__differ *d, int count, const wisp__table_shape *shape) {
    int64_t *pairs = (int64_t *)wisp__differ_take(d, (size_t)shape->slots * 2 * 8);
    wisp__grid grid;
    for (int i = 0; i < 2 && !d->failed; i++) {
        wisp__grid_take(d, 0, count, shape, d->older[i].there, 1, d->older[i], &grid);
        for (int k = 0; k < shape->slots && !d->failed; k++) pairs[2 * k + i] = grid.slots[k];
    }
    return pairs;
}

/* Writes the difference of a record from another. false: there is none that can be made; then
   what was written so far means nothing. */
static bool wisp__delta_write(wisp__differ *d, const wisp__program *program) {
    wisp__table_shape shape;
    wisp__grid base, now;
    int64_t *older = NULL;
    d->ops = program->ops;
    d->rows = WISP__DELTA_ROWS;
    d->symbols = WISP__DELTA_SYMBOLS;
    if (!wisp__grid_shape(d, 0, program->count, 1, &shape)) return false;
    wisp__grid_take(d, 0, program->count, &shape, 1, 1, d->base, &base);
    wisp__grid_take(d, 0, program->count, &shape, 1, 1, d->now, &now);
    if (shape.slots) older = wisp__older_slots(d, program->count, &shape);
    if (d->failed) return false;
    if (shape.count)
        wisp__table_write(d->to, shape.columns, shape.count, 1, base.symbols, now.symbols);
    if (shape.slots) wisp__put_slots(d, 0, program->count, &base, &now, older);
    return !d->failed && !d->to->full;
}

/* --- applying one --- */

static void wisp__rebuild_number(wisp__differ *d, const wisp__op *op, const uint32_t *symbols) {
    uint64_t bits = symbols[0] | (uint64_t)symbols[1] << 32;
    double number;
    memcpy(&number, &bits, 8);
    if (op->code == WISP__OP_LONG) wisp__put_integer(d->to, bits);
    else if (op->code == WISP__OP_DOUBLE) wisp__put(d->to, bits, 64);
    else wisp__pack_number(d->to, number);
}

typedef void (*wisp__rebuild_slot_fn)(wisp__differ *d, int at, int64_t base_at,
                                      const int64_t *older);

/* Writes a row of the new record: its numbers from the table, its slots from where they stand. */
static void wisp__rebuild_cells(wisp__differ *d, int at, int end, wisp__cells *cells, bool there,
                             const int64_t **older, wisp__rebuild_slot_fn slot) {
    for (; at < end && !d->failed; at = d->ops[at].end) {
        const wisp__op *op = &d->ops[at];
        const uint32_t *s = cells->symbols;
        int used = 0;
        switch (op->code) {
        case WISP__OP_INT:
        case WISP__OP_QUANTIZED:
            used = op->bits > 0;
            if (there && used) wisp__put(d->to, s[0], op->bits);
            break;
        case WISP__OP_FLOATS:
            for (used = 0; used < op->max; used++)
                if (there) wisp__put(d->to, s[used], 32);
            break;
        case WISP__OP_LONG:
        case WISP__OP_DOUBLE:
        case WISP__OP_NUMBER:
            if (there) wisp__rebuild_number(d, op, s);
            used = 2;
            break;
        case WISP__OP_QUAT:
            for (used = 0; used < 4; used++)
                if (there) wisp__put(d->to, s[used], used ? op->max : 2);
            break;
        case WISP__OP_COLOR:
            for (used = 0; used < 4; used++)
                if (there) wisp__put(d->to, s[used], 8);
            break;
        case WISP__OP_LITERAL: break;
        case WISP__OP_OPTIONAL:
        case WISP__OP_MAYBE:
            if (there) wisp__put(d->to, s[0], 1);
            cells->symbols++;
            wisp__rebuild_cells(d, at + 1, op->end, cells, there && s[0], older, slot);
            break;
        default:
            if (there) slot(d, at, *cells->slots, *older);
            cells->slots++;
            if (*older) *older += 2;
            break;
        }
        cells->symbols += used;
    }
}

static void wisp__rebuild_grid(wisp__differ *d, int at, int end, const wisp__grid *base,
                            uint32_t *symbols, const int64_t *older, wisp__rebuild_slot_fn slot) {
    wisp__cells cells;
    cells.symbols = symbols;
    cells.slots = base->slots;
    for (int row = 0; row < base->rows && !d->failed; row++)
        wisp__rebuild_cells(d, at, end, &cells, true, &older, slot);
}

static void wisp__rebuild_array(wisp__differ *d, int at, int64_t base_at, const int64_t *older,
                             wisp__rebuild_slot_fn slot) {
    const wisp__op *op = &d->ops[at];
    wisp__side base = d->base;
    int had = wisp__array_open(op, &base, base_at), rows = had;
    wisp__table_shape shape;
    wisp__grid grid;
    const uint32_t *held[3];
    uint32_t *symbols;
    bool coded = false;
    if (op->flags & WISP__OP_FIXED) rows = op->max;
    else if (!wisp__get(&d->delta.from, 1)) rows = (int)wisp__get(&d->delta.from, op->bits);
    if (rows > op->max || d->delta.from.failed) d->failed = true;
    if (d->failed) return;
    if (!(op->flags & WISP__OP_FIXED)) wisp__put(d->to, (uint64_t)rows, op->bits);
    if (!wisp__pass_rows(d, rows) || !wisp__grid_shape(d, at + 1, op->end, rows, &shape)) return;
    wisp__grid_take(d, at + 1, op->end, &shape, wisp__min_int(had, rows), rows, base, &grid);
    symbols = (uint32_t *)wisp__differ_take(d, (size_t)rows * (size_t)shape.count * 4);
    if (d->failed || !rows) return;
    if (older && d->models && op->flags & WISP__OP_PLAIN) {
        wisp__older_tables(d, at, &shape, rows, &grid, older, held);
        coded = !d->failed && wisp__get_coded(d, at, &shape, rows, held, symbols);
    }
    if (!coded && shape.count && !d->failed &&
        !wisp__table_read(&d->delta.from, shape.columns, shape.count, rows, grid.symbols, symbols))
        d->failed = true;
    wisp__rebuild_grid(d, at + 1, op->end, &grid, symbols, NULL, slot);
}

/* `older`: of the schema's own slots; NULL inside an array. */
static void wisp__rebuild_slot(wisp__differ *d, int at, int64_t base_at, const int64_t *older) {
    wisp__side base = d->base;
    if (d->ops[at].code == WISP__OP_ARRAY) {
        wisp__rebuild_array(d, at, base_at, older, wisp__rebuild_slot);
        return;
    }
    base.from.at = base_at;
    if (wisp__get(&d->delta.from, 1)) wisp__pass(d, at, at + 1, &d->delta, d->to);
    else if (base_at >= 0) wisp__pass(d, at, at + 1, &base, d->to);
    else d->failed = true;
    if (d->delta.from.failed) d->failed = true;
}

/* Writes the record that a difference makes of its base. false: malformed, or d->to is full. */
static bool wisp__delta_apply(wisp__differ *d, const wisp__program *program) {
    wisp__table_shape shape;
    wisp__grid base;
    uint32_t *symbols;
    int64_t *older = NULL;
    d->ops = program->ops;
    d->rows = 4 * WISP__DELTA_ROWS;        /* every side is moved over, more than once */
    d->symbols = WISP__DELTA_SYMBOLS;
    if (!wisp__grid_shape(d, 0, program->count, 1, &shape)) return false;
    wisp__grid_take(d, 0, program->count, &shape, 1, 1, d->base, &base);
    symbols = (uint32_t *)wisp__differ_take(d, (size_t)shape.count * 4);
    if (shape.slots) older = wisp__older_slots(d, program->count, &shape);
    if (d->failed) return false;
    if (shape.count && !wisp__table_read(&d->delta.from, shape.columns, shape.count, 1,
                                         base.symbols, symbols))
        return false;
    wisp__rebuild_grid(d, 0, program->count, &base, symbols, older, wisp__rebuild_slot);
    return !d->failed && !d->to->full && !d->delta.from.failed;
}

/* Moves past a difference of a program that is nothing but numbers, without its base. */
static bool wisp__delta_pass(wisp__unpacker *u, const wisp__program *program, wisp__reader *from) {
    wisp__differ d;
    wisp__table_shape shape;
    memset(&d, 0, sizeof d);
    d.u = u;
    d.ops = program->ops;
    d.symbols = WISP__DELTA_SYMBOLS;
    return wisp__grid_shape(&d, 0, program->count, 1, &shape) &&
           (!shape.count || wisp__table_read(from, shape.columns, shape.count, 1, NULL, NULL));
}

/* --- values without a schema: sorted by key on both ends, so that pairs have places --- */

/* Merges sorted runs of pairs, until there is one. */
static wisp_pair *wisp__sort_pairs(wisp_pair *pairs, wisp_pair *spare, int count) {
    for (int run = 1; run < count; run *= 2) {
        wisp_pair *swap = pairs;
        for (int from = 0; from < count; from += 2 * run) {
            int a = from, a_end = wisp__min_int(from + run, count);
            int b = a_end, b_end = wisp__min_int(b + run, count);
            for (int at = from; at < b_end; at++) {
                bool left = b >= b_end || (a < a_end && strcmp(pairs[a].key, pairs[b].key) <= 0);
                spare[at] = pairs[left ? a++ : b++];
            }
        }
        pairs = spare;
        spare = swap;
    }
    return pairs;
}

/* A copy of lists with their maps sorted by key. WISP_E_ARGUMENT: a key is there twice. */
static wisp_result wisp__canonical(wisp__supply *supply, const wisp_value *from, wisp_value *out) {
    wisp_value *items;
    wisp_pair *pairs;
    wisp_result result = wisp__as_map(supply, from, out);
    size_t count = (size_t)out->count;
    if (result || (out->kind != WISP_ARRAY && out->kind != WISP_MAP)) return result;
    if (out->kind == WISP_ARRAY) {
        items = (wisp_value *)supply->take(supply->owner, count * sizeof *items + 1);
        for (int i = 0; items && i < out->count && !result; i++)
            result = wisp__canonical(supply, &out->as.array[i], &items[i]);
        out->as.array = items;
        return items ? result : WISP_E_MEMORY;
    }
    pairs = (wisp_pair *)supply->take(supply->owner, 2 * count * sizeof *pairs + 1);
    if (!pairs) return WISP_E_MEMORY;
    if (count) memcpy(pairs, out->as.map, count * sizeof *pairs);
    pairs = wisp__sort_pairs(pairs, pairs + count, out->count);
    for (int i = 0; i < out->count && !result; i++) {
        wisp_value value = pairs[i].value;
        if (i && strcmp(pairs[i - 1].key, pairs[i].key) == 0) result = WISP_E_ARGUMENT;
        else result = wisp__canonical(supply, &value, &pairs[i].value);
    }
    out->as.map = pairs;
    return result;
}

static void wisp__put_whole(wisp__differ *d, const wisp_value *value) {
    wisp__measure m = { 0, 0, 40, 0, false };
    wisp_result result = wisp__pack_measure(&d->u->base->limits, value, 1, 0, &m);
    size_t room = (size_t)((m.shape_bits + m.data_bits) / 8) + 4 * WISP__SLACK;
    uint8_t *bytes = result ? NULL : (uint8_t *)wisp__differ_take(d, room);
    int64_t bits;
    if (!bytes) {
        d->failed = true;
        return;
    }
    bits = wisp__pack_bits(d->u->base, value, 1, bytes, (int)room);
    if (bits < 0) d->failed = true;
    else wisp__put_bits(d->to, bytes, bits);
}

static bool wisp__same_keys(const wisp_value *a, const wisp_value *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->as.map[i].key, b->as.map[i].key) != 0) return false;
    return true;
}

/* The same bits: 1 and 1.0, or 0.0 and -0.0, are equal but not the same. Maps are sorted. */
static bool wisp__value_same(const wisp_value *a, const wisp_value *b) {
    float p[7], q[7];
    int floats;
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case WISP_INT:
    case WISP_UINT: return a->as.uinteger == b->as.uinteger;
    case WISP_FLOAT: return memcmp(&a->as.float32, &b->as.float32, sizeof(float)) == 0;
    case WISP_NUMBER: return memcmp(&a->as.number, &b->as.number, sizeof(double)) == 0;
    case WISP_ARRAY:
        for (int i = 0; i < a->count; i++)
            if (!wisp__value_same(&a->as.array[i], &b->as.array[i])) return false;
        return true;
    case WISP_MAP:
        for (int i = 0; i < a->count; i++)
            if (strcmp(a->as.map[i].key, b->as.map[i].key) != 0 ||
                !wisp__value_same(&a->as.map[i].value, &b->as.map[i].value))
                return false;
        return true;
    default: break;
    }
    floats = wisp__value_floats(a, p);
    if (!floats) return wisp_equal(a, b);
    wisp__value_floats(b, q);
    return memcmp(p, q, (size_t)floats * sizeof(float)) == 0;
}

typedef void (*wisp__put_change_fn)(wisp__differ *d, const wisp_value *a, const wisp_value *b);

/* An element, unless it is as before. */
static void wisp__put_child(wisp__differ *d, const wisp_value *a, const wisp_value *b,
                            wisp__put_change_fn change) {
    bool differs = !wisp__value_same(a, b);
    wisp__put(d->to, differs, 1);
    if (differs) change(d, a, b);
}

static void wisp__put_list(wisp__differ *d, const wisp_value *a, int a_count, const wisp_value *b,
                           int b_count, wisp__put_change_fn change) {
    wisp__put(d->to, a_count == b_count, 1);
    if (a_count != b_count) wisp__put_small(d->to, (uint64_t)b_count);
    for (int i = 0; i < b_count && !d->failed; i++) {
        if (i < a_count) wisp__put_child(d, &a[i], &b[i], change);
        else wisp__put_whole(d, &b[i]);
    }
}

/* Both are sorted: one walk tells what is gone, what differs and what is new. */
static void wisp__put_map(wisp__differ *d, const wisp_value *a, const wisp_value *b,
                          wisp__put_change_fn change) {
    int k = 0, added = 0, kept = 0;
    for (int i = 0; i < a->count; i++) {
        const wisp_pair *p = &a->as.map[i];
        int order = -1;
        while (k < b->count && (order = strcmp(b->as.map[k].key, p->key)) < 0) k++;
        wisp__put(d->to, k >= b->count || order != 0, 1);
        if (k >= b->count || order != 0) continue;
        kept++;
        wisp__put_child(d, &p->value, &b->as.map[k].value, change);
    }
    added = b->count - kept;
    wisp__put_small(d->to, (uint64_t)added);
    for (int i = 0, n = 0; n < b->count && !d->failed; n++) {
        const wisp_pair *p = &b->as.map[n];
        while (i < a->count && strcmp(a->as.map[i].key, p->key) < 0) i++;
        if (i < a->count && strcmp(a->as.map[i].key, p->key) == 0) continue;
        wisp__put_text(d->to, p->key);
        wisp__put_whole(d, &p->value);
    }
}

static void wisp__put_change(wisp__differ *d, const wisp_value *a, const wisp_value *b) {
    if (a->kind == b->kind && (a->kind == WISP_INT || a->kind == WISP_UINT)) {
        wisp__put(d->to, 1, 2);
        wisp__put_integer(d->to, wisp__zigzag((int64_t)(b->as.uinteger - a->as.uinteger)));
    } else if (a->kind == WISP_MAP && b->kind == WISP_MAP && wisp__same_keys(a, b)) {
        wisp__put(d->to, 2, 2);
        for (int i = 0; i < a->count && !d->failed; i++)
            wisp__put_child(d, &a->as.map[i].value, &b->as.map[i].value, wisp__put_change);
    } else if (a->kind == WISP_MAP && b->kind == WISP_MAP) {
        wisp__put(d->to, 3, 2);
        wisp__put_map(d, a, b, wisp__put_change);
    } else if (a->kind == WISP_ARRAY && b->kind == WISP_ARRAY) {
        wisp__put(d->to, 3, 2);
        wisp__put_list(d, a->as.array, a->count, b->as.array, b->count, wisp__put_change);
    } else {
        wisp__put(d->to, 0, 2);
        wisp__put_whole(d, b);
    }
}

/* Writes the difference of sorted values. false: there is none. */
static bool wisp__values_write(wisp__differ *d, const wisp_value *a, int a_count,
                               const wisp_value *b, int b_count) {
    wisp__put_list(d, a, a_count, b, b_count, wisp__put_change);
    return !d->failed && !d->to->full;
}

static void wisp__get_whole(wisp__differ *d, wisp_value *out) {
    wisp__reader *from = &d->delta.from, shape = *from;
    const wisp_value *values;
    int count;
    *out = wisp_nil();
    d->u->shape = &shape;
    d->u->data = from;
    wisp__skip_shape(from);
    if (from->failed || wisp__unpack(d->u, &values, &count) || count != 1) d->failed = true;
    else *out = values[0];
}

typedef void (*wisp__get_change_fn)(wisp__differ *d, const wisp_value *a, wisp_value *out);

static void wisp__get_child(wisp__differ *d, const wisp_value *a, wisp_value *out,
                            wisp__get_change_fn change) {
    *out = *a;
    if (wisp__get(&d->delta.from, 1)) change(d, a, out);
}

/* May so many more values be made? */
static bool wisp__differ_may(wisp__differ *d, int count) {
    if (count > d->u->values || d->delta.from.failed) d->failed = true;
    d->u->values -= d->failed ? 0 : count;
    return !d->failed;
}

static void wisp__get_list(wisp__differ *d, const wisp_value *a, int a_count, wisp_value *out,
                           wisp__get_change_fn change) {
    int count = a_count;
    wisp_value *items;
    if (!wisp__get(&d->delta.from, 1)) count = wisp__get_small(&d->delta.from);
    if (!wisp__differ_may(d, count)) return;
    items = (wisp_value *)wisp__differ_take(d, (size_t)count * sizeof *items);
    for (int i = 0; i < count && !d->failed; i++) {
        if (i < a_count) wisp__get_child(d, &a[i], &items[i], change);
        else wisp__get_whole(d, &items[i]);
        if (d->delta.from.failed) d->failed = true;
    }
    if (!d->failed) *out = wisp_array(items, count);
}

static const char *wisp__get_key(wisp__differ *d) {
    int length = wisp__get_length(&d->delta.from);
    char *key;
    if ((int64_t)length * 8 > d->delta.from.end - d->delta.from.at) d->failed = true;
    key = (char *)wisp__differ_take(d, (size_t)length + 9);
    if (d->failed) return "";
    wisp__get_bits(&d->delta.from, (uint8_t *)key, (int64_t)length * 8);
    key[length] = 0;
    if ((int)strlen(key) != length) d->failed = true;
    return key;
}

/* What stays, then what is new, merged by key. */
static void wisp__get_map(wisp__differ *d, const wisp_value *a, wisp_value *out,
                          wisp__get_change_fn change) {
    size_t room = (size_t)a->count;
    wisp_pair *stay = (wisp_pair *)wisp__differ_take(d, room * sizeof *stay), *all;
    int kept = 0, added, left;
    for (int i = 0; i < a->count && !d->failed; i++) {
        if (wisp__get(&d->delta.from, 1)) continue;
        stay[kept].key = a->as.map[i].key;
        wisp__get_child(d, &a->as.map[i].value, &stay[kept].value, change);
        kept++;
    }
    added = wisp__get_small(&d->delta.from);
    if (added > d->u->base->limits.map_pairs - kept) d->failed = true;
    if (!wisp__differ_may(d, kept + added)) return;
    all = (wisp_pair *)wisp__differ_take(d, (size_t)(kept + added) * 2 * sizeof *all);
    left = kept;
    for (int i = 0; i < added && !d->failed; i++) {
        all[kept + i].key = wisp__get_key(d);
        wisp__get_whole(d, &all[kept + i].value);
    }
    if (d->failed) return;
    if (left) memcpy(all, stay, (size_t)left * sizeof *all);
    all = wisp__sort_pairs(all, all + kept + added, kept + added);
    for (int i = 1; i < kept + added; i++)
        if (strcmp(all[i - 1].key, all[i].key) == 0) d->failed = true;
    *out = wisp_map(all, kept + added);
}

static void wisp__get_change(wisp__differ *d, const wisp_value *a, wisp_value *out) {
    int how = (int)wisp__get(&d->delta.from, 2);
    wisp_pair *pairs;
    if (how == 0) {
        wisp__get_whole(d, out);
    } else if (how == 1 && (a->kind == WISP_INT || a->kind == WISP_UINT)) {
        uint64_t step = (uint64_t)wisp__unzigzag(wisp__get_integer(&d->delta.from));
        out->as.uinteger = a->as.uinteger + step;
    } else if (how == 2 && a->kind == WISP_MAP && wisp__differ_may(d, a->count)) {
        pairs = (wisp_pair *)wisp__differ_take(d, (size_t)a->count * sizeof *pairs);
        for (int i = 0; i < a->count && !d->failed; i++) {
            pairs[i].key = a->as.map[i].key;
            wisp__get_child(d, &a->as.map[i].value, &pairs[i].value, wisp__get_change);
        }
        *out = wisp_map(pairs, a->count);
    } else if (how == 3 && a->kind == WISP_MAP) {
        wisp__get_map(d, a, out, wisp__get_change);
    } else if (how == 3 && a->kind == WISP_ARRAY) {
        wisp__get_list(d, a->as.array, a->count, out, wisp__get_change);
    } else {
        d->failed = true;
    }
}

/* The values that a difference makes of others; false: malformed. */
static bool wisp__values_apply(wisp__differ *d, const wisp_value *a, int a_count,
                               const wisp_value **values, int *count) {
    wisp_value all = wisp_nil();
    wisp__get_list(d, a, a_count, &all, wisp__get_change);
    *values = all.as.array;
    *count = all.count;
    return !d->failed && !d->delta.from.failed && all.kind == WISP_ARRAY;
}

/* ===========================================================================
 * MARK: >>squeeze
 * What: the compressors that are plugged in and their contexts, dictionaries,
 *   blocks packed and unpacked, the policy of WISP_COMPRESSION_AUTO, and the
 *   only compressor of our own: runs of equal bytes.
 * Invariants: a packed block is smaller than what went in; unpacking writes
 *   `expected` bytes or fails, and takes no memory but a context, once for each
 *   compressor and dictionary; what has not shrunk lately is hardly tried.
 * Not here: how a block stands on the wire. Whoever keeps it tells how it was
 *   packed, in three bits, and how large it was.
 *
 *   method   0 stored · 1 runs · 2 LZ4 block · 3 raw deflate (RFC 1951)
 *            4 zstd frame (RFC 8878) without its magic number · 5..7 the user's
 *   runs     0zzzzlll [more(z)] [more(l)] byte*l    z zeros, then l bytes as they are
 *            1nnnnnnn [more(n)] byte                the byte n + 4 times
 *            more: only after a count of all ones (15, 7, 127): what is to be added,
 *            seven bits to the byte, low ones first, the top bit says that more follow
 * ======================================================================== */

typedef enum wisp__method {
    WISP__STORED, WISP__RUNS, WISP__LZ4, WISP__DEFLATE, WISP__ZSTD, WISP__USER_METHOD,
    WISP__METHODS = 8
} wisp__method;

enum {
    WISP__DICTIONARIES = 15,
    WISP__SQUEEZE_LEAST = 8,            /* bytes: less is not tried */
    WISP__SQUEEZE_SAMPLED = 65536       /* bytes: as much is not tried unseen */
};

typedef struct wisp__dictionary {
    uint32_t id;                        /* its hash, never 0 */
    int      size;
    uint8_t *bytes;
} wisp__dictionary;

/* What packing has cost, over all streams: bytes that came in, calls of a compressor, bytes they
   were given, bytes saved. */
typedef struct wisp__squeeze_cost { uint64_t seen, calls, tried, saved; } wisp__squeeze_cost;

/* Contexts point to `memory`: it must not move. */
typedef struct wisp__squeeze {
    wisp__base        *base;
    wisp_allocator     memory;          /* the base's, counted */
    bool               starved;         /* the memory has returned NULL */
    unsigned           methods;         /* a bit for each that can be used */
    wisp_compressor    compressors[WISP__METHODS];
    wisp__dictionary   dictionaries[WISP__DICTIONARIES];
    int                dictionary_count;
    void              *contexts[WISP__METHODS][WISP__DICTIONARIES + 1];   /* 0: no dictionary */
    wisp__squeeze_cost cost;
} wisp__squeeze;

/* Blocks of one kind: of a remote, or the batches to a peer. */
typedef struct wisp__squeeze_stream {
    wisp_compression mode;
    uint32_t dictionary;                /* its id; 0: none */
    uint32_t turns;                     /* blocks tried */
    int      choice, rival;             /* arms, see below */
    int      misses;                    /* tries in a row that did not pay */
    int64_t  pass;                      /* bytes still to let pass untried */
} wisp__squeeze_stream;

/* One block to be packed. */
typedef struct wisp__squeeze_job {
    wisp__squeeze *sq;
    uint32_t       dictionary;
    unsigned       methods;             /* that both ends have */
    const uint8_t *from;
    int            size;
    uint8_t       *to;
    int            room;                /* less than size */
} wisp__squeeze_job;

/* --- runs --- */

typedef struct wisp__runs { uint8_t *bytes; int at, end; bool full; } wisp__runs;

static void wisp__runs_byte(wisp__runs *to, unsigned byte) {
    if (to->at < to->end) to->bytes[to->at++] = (uint8_t)byte;
    else to->full = true;
}

/* What of `count` did not fit a field whose largest value is `most`. */
static void wisp__runs_more(wisp__runs *to, int count, int most) {
    if (count < most) return;
    for (count -= most; count >= 128; count >>= 7) {
        wisp__runs_byte(to, ((unsigned)count & 127u) | 128u);
    }
    wisp__runs_byte(to, (unsigned)count);
}

static int wisp__runs_same(const uint8_t *from, int size) {
    int count = 1;
    while (count < size && from[count] == from[0]) count++;
    return count;
}

/* Bytes ahead of the next that are better told otherwise: two zeros, or four of a kind. */
static int wisp__runs_literals(const uint8_t *from, int size) {
    int i = 0;
    for (; i + 1 < size; i++) {
        if (from[i] != from[i + 1]) continue;
        if (from[i] == 0) return i;
        if (i + 3 < size && from[i] == from[i + 2] && from[i] == from[i + 3]) return i;
    }
    return size;
}

static void wisp__runs_mixed(wisp__runs *to, const uint8_t *from, int zeros, int literals) {
    wisp__runs_byte(to, (unsigned)(wisp__min_int(zeros, 15) << 3 | wisp__min_int(literals, 7)));
    wisp__runs_more(to, zeros, 15);
    wisp__runs_more(to, literals, 7);
    if (literals > to->end - to->at) to->full = true;
    if (to->full || literals == 0) return;
    memcpy(to->bytes + to->at, from + zeros, (size_t)literals);
    to->at += literals;
}

/* Bytes written, or 0: they do not fit. */
static int wisp__runs_pack(const uint8_t *from, int size, uint8_t *bytes, int room) {
    wisp__runs to = { NULL, 0, 0, false };
    to.bytes = bytes;
    to.end = room;
    for (int at = 0; at < size && !to.full;) {
        int same = wisp__runs_same(from + at, size - at);
        if (from[at] && same >= 4) {
            wisp__runs_byte(&to, 128u | (unsigned)wisp__min_int(same - 4, 127));
            wisp__runs_more(&to, same - 4, 127);
            wisp__runs_byte(&to, from[at]);
            at += same;
        } else {
            int zeros = from[at] ? 0 : same;
            int literals = wisp__runs_literals(from + at + zeros, size - at - zeros);
            wisp__runs_mixed(&to, from + at, zeros, literals);
            at += zeros + literals;
        }
    }
    return to.full ? 0 : to.at;
}

typedef struct wisp__runs_source {
    const uint8_t *bytes;
    int            at, end;
    bool           failed;
} wisp__runs_source;

static unsigned wisp__runs_next(wisp__runs_source *from) {
    if (from->at < from->end) return from->bytes[from->at++];
    from->failed = true;
    return 0;
}

/* The count that begins with `field`; it fails from 2^28 up, which no message has. */
static int wisp__runs_count(wisp__runs_source *from, unsigned field, unsigned most) {
    uint64_t count = 0;
    unsigned byte = 128;
    if (field < most) return (int)field;
    for (int shift = 0; (byte & 128) && shift < 35; shift += 7) {
        byte = wisp__runs_next(from);
        count |= (uint64_t)(byte & 127) << shift;
    }
    if ((byte & 128) || count + most > (1u << 28)) from->failed = true;
    return from->failed ? 0 : (int)(count + most);
}

/* The bytes of one token, of which there are at most `room`: how many, -1: malformed or more. */
static int wisp__runs_token(wisp__runs_source *from, uint8_t *to, int room) {
    unsigned token = wisp__runs_next(from);
    int zeros, literals;
    if (token & 128) {
        int count = wisp__runs_count(from, token & 127, 127) + 4;
        unsigned byte = wisp__runs_next(from);
        if (from->failed || count > room) return -1;
        memset(to, (int)byte, (size_t)count);
        return count;
    }
    zeros = wisp__runs_count(from, token >> 3, 15);
    literals = wisp__runs_count(from, token & 7, 7);
    if (from->failed || zeros > room || literals > room - zeros) return -1;
    if (literals > from->end - from->at || zeros + literals == 0) return -1;
    memset(to, 0, (size_t)zeros);
    if (literals) memcpy(to + zeros, from->bytes + from->at, (size_t)literals);
    from->at += literals;
    return zeros + literals;
}

/* Bytes written, or -1: malformed, or more than fit. */
static int wisp__runs_unpack(const uint8_t *bytes, int size, uint8_t *to, int room) {
    wisp__runs_source from = { NULL, 0, 0, false };
    int at = 0;
    from.bytes = bytes;
    from.end = size;
    while (from.at < from.end) {
        int count = wisp__runs_token(&from, to + at, room - at);
        if (count < 0) return -1;
        at += count;
    }
    return at;
}

/* --- compressors and their contexts --- */

static void *wisp__squeeze_alloc(void *user, size_t size) {
    wisp__squeeze *sq = (wisp__squeeze *)user;
    void *pointer = wisp__alloc(sq->base, size);
    if (!pointer) sq->starved = true;
    return pointer;
}

static void wisp__squeeze_release(void *user, void *pointer, size_t size) {
    wisp__free(((wisp__squeeze *)user)->base, pointer, size);
}

/* The method of a mode that is plugged in; WISP__STORED: it is none of those. */
static int wisp__squeeze_method(wisp_compression mode) {
    if (mode >= WISP_COMPRESSION_LZ4 && mode <= WISP_COMPRESSION_ZSTD)
        return WISP__LZ4 + (mode - WISP_COMPRESSION_LZ4);
    if (mode >= WISP_COMPRESSION_USER && mode <= WISP_COMPRESSION_USER + 2)
        return WISP__USER_METHOD + (mode - WISP_COMPRESSION_USER);
    return WISP__STORED;
}

/* 0: no dictionary; -1: not known here; otherwise one more than its place. */
static int wisp__squeeze_column(const wisp__squeeze *sq, uint32_t dictionary) {
    if (!dictionary) return 0;
    for (int i = 0; i < sq->dictionary_count; i++)
        if (sq->dictionaries[i].id == dictionary) return i + 1;
    return -1;
}

/* WISP_E_UNSUPPORTED: no such compressor or dictionary, or not both together. */
static wisp_result wisp__squeeze_open(wisp__squeeze *sq, int method, uint32_t dictionary,
                                      void **context) {
    int column = wisp__squeeze_column(sq, dictionary);
    const wisp_compressor *c;
    *context = NULL;
    if (method < WISP__LZ4 || method >= WISP__METHODS) return WISP_E_UNSUPPORTED;
    c = &sq->compressors[method];
    if (column < 0 || !c->open) return WISP_E_UNSUPPORTED;
    if (!sq->contexts[method][column]) {
        const wisp__dictionary *d = column ? &sq->dictionaries[column - 1] : NULL;
        sq->starved = false;
        sq->contexts[method][column] = c->open(c, &sq->memory, d ? d->bytes : NULL,
                                               d ? d->size : 0);
    }
    *context = sq->contexts[method][column];
    if (*context) return WISP_OK;
    return sq->starved || !column ? WISP_E_MEMORY : WISP_E_UNSUPPORTED;
}

static void wisp__squeeze_close(wisp__squeeze *sq, int method) {
    const wisp_compressor *c = &sq->compressors[method];
    for (int i = 0; i <= WISP__DICTIONARIES; i++) {
        if (sq->contexts[method][i]) c->close(c, sq->contexts[method][i]);
        sq->contexts[method][i] = NULL;
    }
}

/* --- packing --- */

/* Bytes written, fewer than went in; 0: it did not work out. */
static int wisp__squeeze_try(const wisp__squeeze_job *job, int method) {
    wisp__squeeze *sq = job->sq;
    void *context;
    int size;
    sq->cost.calls++;
    sq->cost.tried += (uint64_t)job->size;
    if (method == WISP__RUNS) return wisp__runs_pack(job->from, job->size, job->to, job->room);
    if (wisp__squeeze_open(sq, method, job->dictionary, &context)) return 0;
    size = sq->compressors[method].compress(context, job->from, job->size, job->to, job->room);
    return size > 0 && size <= job->room ? size : 0;
}

/* What shrank to a sixteenth, or to a few bytes, may be a few runs, which need fewer in our form
   than in any compressor's; they are packed behind the `size` bytes that are there. */
static int wisp__squeeze_runs_instead(const wisp__squeeze_job *job, int size, int *method) {
    wisp__squeeze_job again = *job;
    int runs;
    if (size < 3 || size > wisp__max_int(job->size / 16, 16) || *method == WISP__RUNS) return size;
    again.to += size;
    again.room = wisp__min_int(job->room - size, size - 1);
    runs = wisp__squeeze_try(&again, WISP__RUNS);
    if (!runs) return size;
    memcpy(job->to, again.to, (size_t)runs);
    *method = WISP__RUNS;
    return runs;
}

/* --- auto: one choice, measured against a rival now and then, and left alone while it fails --- */

/* What is picked from. The price is the share of a block, in 64ths, that a method must save before
   it is worth its time; the bytes saved beyond that decide between two. */
typedef struct wisp__arm { int method, price; } wisp__arm;
enum { WISP__ARMS = 3 };

static const wisp__arm wisp__arms[WISP__ARMS] = {
    { WISP__LZ4, 1 }, { WISP__ZSTD, 4 }, { WISP__RUNS, 0 }
};

enum {
    WISP__RIVAL_EVERY = 16,     /* turns from one comparison with a rival to the next */
    WISP__MISSES_FREE = 3,      /* misses until blocks are let pass */
    WISP__BACKOFF_MOST = 6      /* at most 2^6 times the bytes tried in vain */
};

/* Not above 0: it does not pay. */
static int64_t wisp__arm_gain(int arm, int size, int packed) {
    if (!packed) return 0;
    return (int64_t)(size - packed) * 64 - (int64_t)size * wisp__arms[arm].price;
}

/* The next arm that both ends have: runs always are. */
static int wisp__arm_after(int arm, unsigned methods) {
    do arm = (arm + 1) % WISP__ARMS;
    while (!(methods >> wisp__arms[arm].method & 1));
    return arm;
}

/* Of every 2^n times as many bytes one is tried again, n growing from 0. */
static void wisp__squeeze_missed(wisp__squeeze_stream *s, int tried) {
    int level = s->misses + 1 - WISP__MISSES_FREE;
    if (level >= 0) s->pass = (int64_t)tried << level;
    if (level < WISP__BACKOFF_MOST) s->misses++;
}

/* Does one of four pieces, a thirty-second of the block in all, pay? */
static bool wisp__squeeze_sample(const wisp__squeeze_job *job, int arm) {
    wisp__squeeze_job piece = *job;
    piece.size = job->size / 128;
    piece.room = wisp__min_int(job->room, piece.size - 1);
    for (int i = 0; i < 4; i++) {
        int packed;
        piece.from = job->from + job->size / 8 * (2 * i + 1);
        packed = wisp__squeeze_try(&piece, wisp__arms[arm].method);
        if (wisp__arm_gain(arm, piece.size, packed) > 0) return true;
    }
    return false;
}

/* Packs by the choice, or by the rival where that is better and the turn is one to compare. */
static int wisp__squeeze_pick(const wisp__squeeze_job *job, wisp__squeeze_stream *s) {
    bool compares = s->misses == 0 && (s->turns < WISP__ARMS || s->turns % WISP__RIVAL_EVERY == 0);
    int64_t rivals = 0, gain;
    int packed;
    s->turns++;
    if (compares) {
        s->rival = wisp__arm_after(s->rival, job->methods);
        if (s->rival == s->choice) s->rival = wisp__arm_after(s->rival, job->methods);
    }
    if (compares && s->rival != s->choice) {
        packed = wisp__squeeze_try(job, wisp__arms[s->rival].method);
        rivals = wisp__arm_gain(s->rival, job->size, packed);
    }
    packed = wisp__squeeze_try(job, wisp__arms[s->choice].method);
    gain = wisp__arm_gain(s->choice, job->size, packed);
    if (rivals > gain) {
        s->choice = s->rival;
        packed = wisp__squeeze_try(job, wisp__arms[s->choice].method);
        gain = wisp__arm_gain(s->choice, job->size, packed);
    }
    return gain > 0 ? packed : 0;
}

static int wisp__squeeze_auto(const wisp__squeeze_job *job, wisp__squeeze_stream *s, int *method) {
    bool unsure = s->turns == 0 || s->misses > 0;
    bool other = s->misses >= WISP__MISSES_FREE;
    int packed;
    if (s->pass > 0) {
        s->pass -= job->size;
        return 0;
    }
    if (other || !(job->methods >> wisp__arms[s->choice].method & 1))
        s->choice = wisp__arm_after(s->choice, job->methods);
    if (unsure && job->size >= WISP__SQUEEZE_SAMPLED && !wisp__squeeze_sample(job, s->choice)) {
        s->turns++;
        wisp__squeeze_missed(s, job->size / 32);
        return 0;
    }
    packed = wisp__squeeze_pick(job, s);
    if (packed) s->misses = 0;
    else wisp__squeeze_missed(s, job->size);
    *method = wisp__arms[s->choice].method;
    return packed;
}

/* --- for the rooms below --- */

static void wisp__squeeze_init(wisp__squeeze *sq, wisp__base *base) {
    memset(sq, 0, sizeof *sq);
    sq->base = base;
    sq->memory.alloc = wisp__squeeze_alloc;
    sq->memory.free = wisp__squeeze_release;
    sq->memory.user = sq;
    sq->methods = 1u << WISP__STORED | 1u << WISP__RUNS;
}

static void wisp__squeeze_free(wisp__squeeze *sq) {
    for (int method = WISP__LZ4; method < WISP__METHODS; method++) wisp__squeeze_close(sq, method);
    for (int i = 0; i < sq->dictionary_count; i++)
        wisp__free(sq->base, sq->dictionaries[i].bytes, (size_t)sq->dictionaries[i].size);
    memset(sq, 0, sizeof *sq);
}

WISP__UNUSED static void wisp__squeeze_check(const wisp__squeeze *sq) {
    for (int method = 0; method < WISP__METHODS; method++) {
        bool built_in = method == WISP__STORED || method == WISP__RUNS;
        bool there = built_in || sq->compressors[method].open != NULL;
        WISP_ASSERT(there == ((sq->methods >> method & 1) != 0));
        for (int i = 0; i <= WISP__DICTIONARIES; i++)
            if (sq->contexts[method][i])
                WISP_ASSERT(there && !built_in && i <= sq->dictionary_count);
        (void)there;
    }
    for (int i = 0; i < sq->dictionary_count; i++) {
        WISP_ASSERT(sq->dictionaries[i].id != 0 && sq->dictionaries[i].bytes);
        WISP_ASSERT(wisp__squeeze_column(sq, sq->dictionaries[i].id) == i + 1);
    }
    WISP_ASSERT(sq->cost.saved <= sq->cost.seen);
}

/* What wisp_add_compressor promises. */
static wisp_result wisp__squeeze_add(wisp__squeeze *sq, const wisp_compressor *c) {
    int method;
    if (!c || !c->name || !c->open || !c->close || !c->compress || !c->decompress)
        return WISP_E_ARGUMENT;
    method = wisp__squeeze_method(c->mode);
    if (method == WISP__STORED) return WISP_E_ARGUMENT;
    wisp__squeeze_close(sq, method);
    sq->compressors[method] = *c;
    sq->methods |= 1u << method;
    return WISP_OK;
}

/* WISP_OK, WISP_E_UNSUPPORTED (not plugged in), WISP_E_ARGUMENT (no mode). Auto always can. */
static wisp_result wisp__squeeze_can(const wisp__squeeze *sq, wisp_compression mode) {
    int method = wisp__squeeze_method(mode);
    if (mode == WISP_COMPRESSION_NONE || mode == WISP_COMPRESSION_AUTO) return WISP_OK;
    if (method == WISP__STORED) return WISP_E_ARGUMENT;
    return sq->methods >> method & 1 ? WISP_OK : WISP_E_UNSUPPORTED;
}

/* Keeps a copy, until the end, and tells its id, which is the same for the same bytes on every
   machine. WISP_E_ARGUMENT: nothing in it; WISP_E_TOO_BIG: over 1 MiB; WISP_E_LIMIT: there are
   WISP__DICTIONARIES, or others with the same id; WISP_E_MEMORY. */
static wisp_result wisp__squeeze_dictionary(wisp__squeeze *sq, const void *bytes, int size,
                                            uint32_t *id) {
    wisp__dictionary *d = &sq->dictionaries[wisp__min_int(sq->dictionary_count,
                                                          WISP__DICTIONARIES - 1)];
    int column;
    *id = 0;
    if (!bytes || size <= 0) return WISP_E_ARGUMENT;
    if (size > 1 << 20) return WISP_E_TOO_BIG;
    *id = (uint32_t)wisp__hash_bytes(bytes, size);
    if (!*id) *id = 1;
    column = wisp__squeeze_column(sq, *id);
    if (column > 0) {
        d = &sq->dictionaries[column - 1];
        return d->size == size && memcmp(d->bytes, bytes, (size_t)size) == 0 ? WISP_OK
                                                                             : WISP_E_LIMIT;
    }
    if (sq->dictionary_count == WISP__DICTIONARIES) return WISP_E_LIMIT;
    d->bytes = (uint8_t *)wisp__alloc(sq->base, (size_t)size);
    if (!d->bytes) return WISP_E_MEMORY;
    memcpy(d->bytes, bytes, (size_t)size);
    d->size = size;
    d->id = *id;
    sq->dictionary_count++;
    return WISP_OK;
}

/* Makes the contexts that a mode needs, so that later no memory is taken. WISP_E_ARGUMENT,
   WISP_E_MEMORY, WISP_E_UNSUPPORTED: not plugged in, or of no use with this dictionary. */
static wisp_result wisp__squeeze_ready(wisp__squeeze *sq, wisp_compression mode,
                                       uint32_t dictionary) {
    wisp_result result = wisp__squeeze_can(sq, mode);
    void *context;
    if (result || mode == WISP_COMPRESSION_NONE) return result;
    if (mode != WISP_COMPRESSION_AUTO)
        return wisp__squeeze_open(sq, wisp__squeeze_method(mode), dictionary, &context);
    for (int i = 0; i < WISP__ARMS && !result; i++) {
        int method = wisp__arms[i].method;
        if (method != WISP__RUNS && (sq->methods >> method & 1))
            result = wisp__squeeze_open(sq, method, dictionary, &context);
    }
    return result;
}

static void wisp__squeeze_stream_init(wisp__squeeze_stream *s, wisp_compression mode,
                                      uint32_t dictionary) {
    memset(s, 0, sizeof *s);
    s->mode = mode;
    s->dictionary = dictionary;
}

/* Packs a block for a peer that has `methods`: bytes written, fewer than `size`, and how; or 0: it
   does not pay, and what is in `to` has no meaning. */
static int wisp__squeeze_pack(wisp__squeeze *sq, wisp__squeeze_stream *s, unsigned methods,
                              const void *from, int size, void *to, int capacity, int *method) {
    wisp__squeeze_job job = { NULL, 0, 0, NULL, 0, NULL, 0 };
    int fixed = wisp__squeeze_method(s->mode), packed;
    job.sq = sq;
    job.dictionary = s->dictionary;
    job.methods = (methods & sq->methods) | 1u << WISP__RUNS;
    job.from = (const uint8_t *)from;
    job.size = size;
    job.to = (uint8_t *)to;
    job.room = wisp__min_int(capacity, size - 1);
    *method = WISP__STORED;
    if (s->mode == WISP_COMPRESSION_NONE || size <= 0) return 0;
    sq->cost.seen += (uint64_t)size;
    if (size < WISP__SQUEEZE_LEAST || job.room <= 0) return 0;
    if (fixed != WISP__STORED && (job.methods >> fixed & 1)) {
        *method = fixed;
        packed = wisp__squeeze_try(&job, fixed);
    } else {
        packed = wisp__squeeze_auto(&job, s, method);
    }
    packed = wisp__squeeze_runs_instead(&job, packed, method);
    if (!packed) *method = WISP__STORED;
    else sq->cost.saved += (uint64_t)(size - packed);
    return packed;
}

/* Unpacks to exactly `expected` bytes, for which `to` has room. WISP_E_COMPRESSED: malformed, or
   fewer or more come out; WISP_E_UNSUPPORTED: no such method or dictionary here; WISP_E_MEMORY. */
static wisp_result wisp__squeeze_unpack(wisp__squeeze *sq, int method, uint32_t dictionary,
                                        const void *from, int size, void *to, int expected) {
    void *context;
    wisp_result result;
    int count;
    if (!from || size <= 0 || !to || expected <= 0) return WISP_E_COMPRESSED;
    if (method == WISP__STORED) {
        if (size != expected) return WISP_E_COMPRESSED;
        memcpy(to, from, (size_t)size);
        return WISP_OK;
    }
    if (method == WISP__RUNS) {
        count = wisp__runs_unpack((const uint8_t *)from, size, (uint8_t *)to, expected);
        return count == expected ? WISP_OK : WISP_E_COMPRESSED;
    }
    result = wisp__squeeze_open(sq, method, dictionary, &context);
    if (result) return result;
    count = sq->compressors[method].decompress(context, from, size, to, expected);
    return count == expected ? WISP_OK : WISP_E_COMPRESSED;
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
 *   flags     bit 7: session; bit 0: acks first in the body; bit 1: number has 32 bits;
 *             bit 2: the body is method:8 (bit 7: with the dictionary) bytes:16
 *             [dictionary:16] and what the compressor made of it
 *   acks      largest:16 delay:8 (half milliseconds) small(ranges - 1) length(first - 1)
 *             then per range length(gap - 1) length(packets - 1), downwards
 * ======================================================================== */

enum { WISP__FLAG_SESSION = 128, WISP__FLAG_ACKS = 1, WISP__FLAG_WIDE = 2,
       WISP__FLAG_SQUEEZED = 4 };

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
    int      form;             /* index of the entry whose form it has */
    int      track;            /* place of the value that is told unreliably; -1: none */
    uint32_t value;            /* its sequence there */
    int      chunk_bytes;
    int      values, raw;      /* that its reader counts; bytes that it unpacks */
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
    struct wisp__form *form;      /* NULL: plain */
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
    int most = wisp__max_int(base->limits.message_bytes, WISP__DESCRIPTOR_BYTES) + 512;
    wisp_result result;
    if (first == in->assembling) return WISP_E_PROTOCOL;
    if (first) in->whole_bytes = 0;
    if (bytes > most - in->whole_bytes) return WISP_E_LIMIT;
    result = wisp__grow(base, (void **)&in->whole, &in->whole_room,
                        in->whole_bytes + bytes + WISP__SLACK, most + WISP__SLACK, 1);
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
             5..7: LZ4, deflate, zstd can be read; bits 29..31 of window: the user's compressors
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
    uint8_t      methods;          /* of compression, that the other end has */
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
    const wisp__squeeze *squeeze;
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

/* A buffer more, for what is made of a packet. */
static uint8_t *wisp__post_spare(wisp__peers *peers) {
    return peers->post.buffers +
           (size_t)WISP__POST_PACKETS * (size_t)(peers->base->mtu + WISP__SLACK);
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
    unsigned methods = peers->squeeze->methods;
    while (1 << log2 < limits->window_items) log2++;
    wisp__put(to, (peers->base->reliable ? 1u : 0u) | log2 << 1 |
                      (methods >> WISP__LZ4 & 7) << 5, 8);
    wisp__put(to, (uint32_t)wisp__min_int(limits->window_bytes, 0x1fffffff), 29);
    wisp__put(to, methods >> WISP__USER_METHOD & 7, 3);
}

/* false: the link there is of the other kind. */
static bool wisp__take_abilities(const wisp__peers *peers, wisp__peer *peer, uint8_t flags,
                                 uint32_t window) {
    int items = 1 << (flags >> 1 & 15);
    peer->window_bytes = (int)(window & 0x1fffffff);
    peer->methods = (uint8_t)(1u << WISP__STORED | 1u << WISP__RUNS | (unsigned)(flags >> 5)
                              << WISP__LZ4 | (window >> 29) << WISP__USER_METHOD);
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
 * MARK: >>track
 * What: the values that differences are to: of each name and key, those that
 *   were sent to a peer, or came from it, of late.
 * Invariants: the bits of a value are kept once and counted, whoever has been
 *   sent them. What a sender names as the base has been acked, or was sent
 *   before it in the same order; a receiver that has lost it says so, and gets
 *   the whole value. No peer has more than limits.keys tracks and
 *   limits.baseline_bytes of values, each way.
 *
 *   message   [keyed: small(place)] whole:1 [sequence:12, unless in order]
 *             [whole, unless in order: far:1 [the sequence's other bits:20]]
 *             [not whole: base as steps back, 6, unless in order] [adaptive: older:2]
 *             [sync: hash of the base:16] [small(four bits each), unless the
 *             schema is nothing but numbers]] content of the form, or its difference
 * ======================================================================== */

enum { WISP__IN_ORDER = 4, WISP__STEPS_BACK = 63 };

/* A record, or the packed values of a message, or models of the range coder. */
typedef struct wisp__kept {
    int      references;
    int      chunk_bytes;
    int      values;                   /* that a reader of it all counts */
    int64_t  bits;
    uint64_t bytes[1];                 /* aligned for models; slack after them */
} wisp__kept;

typedef struct wisp__stored {
    wisp__kept *value, *models;        /* NULL: nothing; no models */
    uint32_t    sequence, base;        /* base: what it was told from */
    bool        has_base, acked;
} wisp__stored;

typedef struct wisp__track {
    struct wisp__track *next;          /* of the same bucket */
    int          number;               /* index of the form here, or their number */
    uint64_t     key;                  /* hash of the key here, or their place */
    int          place;                /* among the tracks of this side */
    int          room;                 /* of the ring, a power of two */
    uint32_t     sequence;             /* of the next value; of the newest that came, plus 1 */
    bool         begun;
    bool         has_acked, again;     /* again: the newest was lost, and goes once more */
    bool         whole;                /* the other end has nothing: no difference can be told */
    uint32_t     acked;                /* the newest value that was acked */
    uint32_t     floor;                /* what was told before it does not count any more */
    uint64_t     used;                 /* when it was last sent, in messages */
    wisp__stored ring[1];              /* by sequence */
} wisp__track;

enum { WISP__TRACK_BUCKETS = 64 };

typedef struct wisp__tracks {
    wisp__track **places;              /* by place */
    wisp__track **buckets;             /* NULL: there never was a track */
    int           room, count;
    int64_t       bytes;               /* of values and models */
    uint64_t      clock;
    int           again;               /* tracks whose newest value goes once more */
} wisp__tracks;

static wisp__kept *wisp__kept_make(wisp__base *base, wisp__chunks *chunks, const void *bytes,
                                   int64_t bits) {
    size_t count = (size_t)((bits + 7) / 8);
    size_t chunk = sizeof(wisp__kept) + count + WISP__SLACK;
    wisp__kept *kept = (wisp__kept *)wisp__chunk_take(base, chunks, chunk);
    uint8_t *to;
    if (!kept) return NULL;
    kept->references = 1;
    kept->chunk_bytes = (int)chunk;
    kept->values = 1;
    kept->bits = bits;
    to = (uint8_t *)kept->bytes;
    if (count) memcpy(to, bytes, count);
    memset(to + count, 0, WISP__SLACK);
    if (bits & 7) to[count - 1] &= (uint8_t)((1u << (bits & 7)) - 1);
    return kept;
}

static void wisp__kept_release(wisp__base *base, wisp__chunks *chunks, wisp__kept *kept) {
    if (kept && --kept->references == 0)
        wisp__chunk_give(base, chunks, kept, (size_t)kept->chunk_bytes);
}

static bool wisp__kept_same(const wisp__kept *a, const wisp__kept *b) {
    return a && b && (a == b || (a->bits == b->bits &&
                                 memcmp(a->bytes, b->bytes, (size_t)(a->bits + 7) / 8) == 0));
}

static wisp__stored *wisp__track_at(wisp__track *track, uint32_t sequence) {
    return &track->ring[sequence & (uint32_t)(track->room - 1)];
}

/* A value that is still held; NULL: it is not. */
static wisp__stored *wisp__track_find(wisp__track *track, uint32_t sequence) {
    wisp__stored *stored = wisp__track_at(track, sequence);
    return stored->value && stored->sequence == sequence ? stored : NULL;
}

static wisp__stored *wisp__track_newest(wisp__track *track) {
    return track->begun ? wisp__track_find(track, track->sequence - 1) : NULL;
}

static void wisp__stored_drop(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks,
                              wisp__stored *stored) {
    if (stored->value) tracks->bytes -= stored->value->chunk_bytes;
    if (stored->models) tracks->bytes -= stored->models->chunk_bytes;
    wisp__kept_release(base, chunks, stored->value);
    wisp__kept_release(base, chunks, stored->models);
    memset(stored, 0, sizeof *stored);
}

static void wisp__track_forget(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks,
                               wisp__track *track) {
    for (int i = 0; i < track->room; i++)
        wisp__stored_drop(base, chunks, tracks, &track->ring[i]);
    track->has_acked = false;
}

static wisp__track **wisp__track_bucket(wisp__tracks *tracks, int number, uint64_t key) {
    return &tracks->buckets[wisp__mix(key + (uint64_t)number) % WISP__TRACK_BUCKETS];
}

static wisp__track *wisp__track_get(wisp__tracks *tracks, int number, uint64_t key) {
    wisp__track *track = tracks->buckets ? *wisp__track_bucket(tracks, number, key) : NULL;
    while (track && (track->number != number || track->key != key)) track = track->next;
    return track;
}

static void wisp__track_unlink(wisp__tracks *tracks, wisp__track *track) {
    wisp__track **link = wisp__track_bucket(tracks, track->number, track->key);
    while (*link != track) link = &(*link)->next;
    *link = track->next;
}

static void wisp__track_link(wisp__tracks *tracks, wisp__track *track, int number, uint64_t key) {
    wisp__track **link = wisp__track_bucket(tracks, number, key);
    track->number = number;
    track->key = key;
    track->next = *link;
    *link = track;
}

static size_t wisp__track_bytes(int room) {
    return sizeof(wisp__track) + (size_t)room * sizeof(wisp__stored);
}

/* The track that was not used for the longest, of those whose newest value has arrived, or will;
   NULL: there is none. */
static wisp__track *wisp__track_oldest(const wisp__tracks *tracks) {
    wisp__track *oldest = NULL;
    for (int i = 0; i < tracks->count; i++) {
        wisp__track *track = tracks->places[i];
        const wisp__stored *newest = wisp__track_newest(track);
        if (track->again || (newest && track->room != WISP__IN_ORDER && !newest->acked)) continue;
        if (!oldest || track->used < oldest->used) oldest = track;
    }
    return oldest;
}

/* A track of another length at the same place. NULL: no memory, and the old one stays. */
static wisp__track *wisp__track_refit(wisp__base *base, wisp__tracks *tracks, wisp__track *track,
                                      int room) {
    wisp__track *other;
    if (track->room == room) return track;
    other = (wisp__track *)wisp__alloc(base, wisp__track_bytes(room));
    if (!other) return NULL;
    other->room = room;
    other->place = track->place;
    other->sequence = track->sequence;
    tracks->places[track->place] = other;
    wisp__free(base, track, wisp__track_bytes(track->room));
    return other;
}

/* The track of a name and key, made if need be: at the limit the one that has rested longest is
   taken from its key. NULL with the reason. */
static wisp__track *wisp__track_open(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks,
                                     int number, uint64_t key, bool in_order,
                                     wisp_result *why) {
    wisp__track *track = wisp__track_get(tracks, number, key), *old;
    int room = in_order ? WISP__IN_ORDER : base->limits.baselines;
    *why = WISP_OK;
    if (!track && tracks->count >= base->limits.keys) {
        *why = WISP_E_LIMIT;
        track = wisp__track_oldest(tracks);
        if (!track) return NULL;
        *why = WISP_OK;
        wisp__track_forget(base, chunks, tracks, track);
        wisp__track_unlink(tracks, track);
        old = track;
        track = wisp__track_refit(base, tracks, old, room);
        if (!track) *why = WISP_E_MEMORY;
        wisp__track_link(tracks, track ? track : old, number, key);
        if (!track) return NULL;
        track->floor = track->sequence;
        track->whole = true;
    } else if (!track) {
        *why = wisp__grow(base, (void **)&tracks->places, &tracks->room, tracks->count + 1,
                          base->limits.keys, sizeof *tracks->places);
        if (*why == WISP_OK && !tracks->buckets)
            tracks->buckets = (wisp__track **)wisp__alloc(base, WISP__TRACK_BUCKETS *
                                                                    sizeof *tracks->buckets);
        if (*why == WISP_OK && tracks->buckets)
            track = (wisp__track *)wisp__alloc(base, wisp__track_bytes(room));
        if (!track) {
            if (*why == WISP_OK) *why = WISP_E_MEMORY;
            return NULL;
        }
        track->room = room;
        track->place = tracks->count;
        tracks->places[tracks->count++] = track;
        wisp__track_link(tracks, track, number, key);
    }
    track->used = ++tracks->clock;
    return track;
}

/* Keeps a value as the newest; it takes over a reference to the models. Over the limit of bytes it
   is not kept, and what comes next goes whole. */
static void wisp__track_store(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks,
                              wisp__track *track, uint32_t sequence, wisp__kept *value,
                              wisp__kept *models, const uint32_t *from) {
    wisp__stored *stored = wisp__track_at(track, sequence);
    int64_t bytes = value->chunk_bytes + (models ? models->chunk_bytes : 0);
    if (stored->value && wisp__distance(stored->sequence, sequence) > 0) {
        wisp__kept_release(base, chunks, models);      /* it came too late to be a base */
        return;
    }
    wisp__stored_drop(base, chunks, tracks, stored);
    for (uint32_t back = (uint32_t)track->room - 1;
         back > 0 && tracks->bytes + bytes > base->limits.baseline_bytes; back--) {
        uint32_t old = sequence - back;
        if (!(track->has_acked && old == track->acked) && !(from && old == *from))
            wisp__stored_drop(base, chunks, tracks, wisp__track_at(track, old));
    }
    if (tracks->bytes + bytes > base->limits.baseline_bytes) {
        wisp__kept_release(base, chunks, models);
        return;
    }
    tracks->bytes += bytes;
    value->references++;
    stored->value = value;
    stored->models = models;
    stored->sequence = sequence;
    stored->has_base = from != NULL;
    stored->base = from ? *from : 0;
}

/* What was told in a packet has arrived, or is lost. */
static void wisp__track_told(wisp__tracks *tracks, int place, uint32_t low, bool arrived) {
    wisp__track *track = place < tracks->count ? tracks->places[place] : NULL;
    uint32_t sequence;
    wisp__stored *stored;
    if (!track) return;
    sequence = track->sequence - ((track->sequence - low) & 0xffff);
    stored = wisp__track_find(track, sequence);
    if (!stored || wisp__distance(sequence, track->floor) < 0) return;
    if (arrived) {
        stored->acked = true;
        if (!track->has_acked || wisp__distance(sequence, track->acked) > 0) {
            track->has_acked = true;
            track->acked = sequence;
        }
    } else if (sequence == track->sequence - 1 && !track->again) {
        track->again = true;
        tracks->again++;
    }
}

/* The base that a value can be told from; NULL: none, it goes whole. */
static wisp__stored *wisp__track_base(wisp__track *track, bool in_order) {
    if (track->whole) return NULL;
    if (in_order) return wisp__track_newest(track);
    if (!track->has_acked || track->sequence - track->acked > WISP__STEPS_BACK) return NULL;
    return wisp__track_find(track, track->acked);
}

/* Has the other end, or will it have, nothing but this value? */
static bool wisp__track_settled(wisp__track *track, const wisp__kept *value, bool in_order) {
    wisp__stored *newest = wisp__track_newest(track), *stored;
    uint32_t from = track->has_acked ? track->acked : track->sequence - (uint32_t)track->room;
    if (!newest || track->whole || !wisp__kept_same(newest->value, value)) return false;
    if (in_order) return true;
    if (track->sequence - from > (uint32_t)track->room) return false;
    for (; from != track->sequence; from++) {
        stored = wisp__track_find(track, from);
        if (stored ? !wisp__kept_same(stored->value, value) : track->has_acked) return false;
    }
    return true;
}

/* Forgets what was told of a name: its values go whole again, the newest at once (`again`). */
static void wisp__tracks_reset(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks,
                               int number, bool again) {
    for (int i = 0; i < tracks->count; i++) {
        wisp__track *track = tracks->places[i];
        wisp__stored *newest = wisp__track_newest(track), kept;
        if (track->number != number) continue;
        memset(&kept, 0, sizeof kept);
        if (!again) newest = NULL;
        tracks->again -= track->again;
        track->again = false;
        if (newest) {
            kept.value = newest->value;
            kept.value->references++;
            kept.sequence = newest->sequence;
        }
        wisp__track_forget(base, chunks, tracks, track);
        track->whole = true;
        track->floor = track->sequence;
        if (!newest) continue;
        tracks->bytes += kept.value->chunk_bytes;
        *wisp__track_at(track, kept.sequence) = kept;
        tracks->again++;
        track->again = true;
    }
}

static void wisp__tracks_free(wisp__base *base, wisp__chunks *chunks, wisp__tracks *tracks) {
    for (int i = 0; i < tracks->count; i++) {
        wisp__track_forget(base, chunks, tracks, tracks->places[i]);
        wisp__free(base, tracks->places[i], wisp__track_bytes(tracks->places[i]->room));
    }
    wisp__free(base, tracks->places, (size_t)tracks->room * sizeof *tracks->places);
    wisp__free(base, tracks->buckets, WISP__TRACK_BUCKETS * sizeof *tracks->buckets);
    memset(tracks, 0, sizeof *tracks);
}

WISP__UNUSED static void wisp__tracks_check(const wisp__base *base, const wisp__tracks *tracks) {
    int64_t bytes = 0;
    int again = 0;
    for (int i = 0; i < tracks->count; i++) {
        const wisp__track *track = tracks->places[i];
        WISP_ASSERT(track->place == i);
        again += track->again;
        for (int k = 0; k < track->room; k++) {
            const wisp__stored *stored = &track->ring[k];
            if (stored->value) bytes += stored->value->chunk_bytes;
            if (stored->models) bytes += stored->models->chunk_bytes;
            WISP_ASSERT(stored->value || !stored->models);
        }
    }
    WISP_ASSERT(bytes == tracks->bytes && again == tracks->again);
    WISP_ASSERT(tracks->count <= base->limits.keys);
    (void)base;
    (void)bytes;
    (void)again;
}

/* ===========================================================================
 * MARK: >>form
 * What: what messages of a name look like: described by themselves, packed by
 *   a schema, or bytes of a codec; whether differences, whether compressed.
 *   And the schemas behind it, ours and those that peers have described.
 * Invariants: a form never changes once a message or an announcement has it;
 *   a descriptor is kept once, whoever described it, and counted.
 * Not here: who has which form (remote), its bytes (content).
 *
 *   extra    of an announcement: delta:1 sync:1 adaptive:1 squeezed:1
 *            described:1 dictionary:1 [name of the codec] [dictionary:32]
 *            [length(bits) descriptor]
 * ======================================================================== */

typedef enum wisp__form_kind { WISP__VALUES, WISP__RECORD, WISP__CODED } wisp__form_kind;

typedef struct wisp__described {
    struct wisp__described *next;
    uint64_t             hash;             /* of the descriptor's bits */
    int                  references, bits;
    bool                 learnt;           /* from a peer */
    size_t               bytes;            /* of all this in one piece */
    const wisp__program *program;
    uint8_t             *descriptor;
} wisp__described;

typedef struct wisp__schemas {
    wisp__base      *base;
    wisp__described *first;
    wisp__described *dead;                 /* nobody's, but a handler may still see their values */
    size_t           learnt_bytes;         /* of those that peers have described */
} wisp__schemas;

typedef struct wisp__form {
    uint8_t          kind;
    bool             delta, sync, adaptive, squeezed;
    uint8_t          line;                 /* of differences: the order that they need, else 0 */
    uint32_t         dictionary;
    const wisp_codec *codec;
    wisp__described *described;            /* NULL: no schema */
    int              number;               /* of theirs: its number over there */
    bool             asked;                /* of theirs: for values as a whole */
} wisp__form;

static bool wisp__form_equal(const wisp__form *a, const wisp__form *b) {
    return a->kind == b->kind && a->delta == b->delta && a->sync == b->sync &&
           a->adaptive == b->adaptive && a->squeezed == b->squeezed && a->line == b->line &&
           a->dictionary == b->dictionary && a->codec == b->codec && a->described == b->described;
}

/* Values that describe themselves, and nothing else: what needs no announcement but its name. */
static bool wisp__form_plain(const wisp__form *form) {
    return form->kind == WISP__VALUES && !form->delta && !form->squeezed;
}

/* A copy of a compiled schema in memory of its own: compiled twice, to know how much it is. */
static wisp__described *wisp__described_make(wisp__schemas *schemas, const wisp_schema *schema,
                                             const uint8_t *descriptor, int bits, size_t room,
                                             size_t *used, wisp_result *why) {
    size_t head = sizeof(wisp__described) + (size_t)bits / 8 + 1 + WISP__SLACK;
    wisp__described *d = (wisp__described *)wisp__alloc(schemas->base, head + room + 16);
    wisp__bump bump;
    *why = d ? WISP_OK : WISP_E_MEMORY;
    if (!d) return NULL;
    d->bytes = head + room + 16;
    d->bits = bits;
    d->descriptor = (uint8_t *)(d + 1);
    memcpy(d->descriptor, descriptor, (size_t)bits / 8 + 1);
    d->hash = wisp__hash_bytes(d->descriptor, (bits + 7) / 8);
    bump = wisp__bump_on((uint8_t *)d + head, (int)(room + 16));
    if (schema) {
        d->program = wisp__compile(&bump, schema);
    } else {
        wisp__reader from = wisp__reader_on(d->descriptor, bits / 8 + 1);
        const wisp_schema *learnt;
        from.end = bits;
        learnt = wisp__undescribe(&from, &bump, why);
        if (learnt) d->program = wisp__compile(&bump, learnt);
    }
    *used = room + 16 - bump.left;
    if (d->program) return d;
    if (*why == WISP_OK) *why = WISP_E_MEMORY;
    wisp__free(schemas->base, d, d->bytes);
    return NULL;
}

static wisp__described *wisp__described_keep(wisp__schemas *schemas, wisp__described *d,
                                             bool learnt) {
    if (!d) return NULL;
    d->references = 1;
    d->next = schemas->first;
    schemas->first = d;
    d->learnt = learnt;
    if (learnt) schemas->learnt_bytes += d->bytes;
    return d;
}

static void wisp__described_release(wisp__schemas *schemas, wisp__described *d) {
    wisp__described **link = &schemas->first;
    if (!d || --d->references > 0) return;
    while (*link != d) link = &(*link)->next;
    *link = d->next;
    if (d->learnt) schemas->learnt_bytes -= d->bytes;
    d->next = schemas->dead;
    schemas->dead = d;
}

/* No value of theirs is seen any more. */
static void wisp__schemas_bury(wisp__schemas *schemas) {
    while (schemas->dead) {
        wisp__described *d = schemas->dead;
        schemas->dead = d->next;
        wisp__free(schemas->base, d, d->bytes);
    }
}

/* Ours: checked, compiled, with its descriptor; the caller has one more reference to it. */
static wisp__described *wisp__described_of(wisp__schemas *schemas, const wisp_schema *schema,
                                           char *text, int text_bytes, wisp_result *why) {
    uint8_t descriptor[WISP__DESCRIPTOR_BYTES + WISP__SLACK];
    size_t room = 0, used;
    int bits;
    for (wisp__described *d = schemas->first; d; d = d->next) {
        if (d->program->source != schema) continue;
        d->references++;
        return d;
    }
    *why = wisp__schema_check(schema, text, text_bytes, &room);
    if (*why) return NULL;
    memset(descriptor, 0, sizeof descriptor);
    bits = wisp__describe(schema, descriptor, (int)sizeof descriptor);
    *why = bits < 0 ? WISP_E_SCHEMA : WISP_OK;
    if (*why) return NULL;
    return wisp__described_keep(schemas, wisp__described_make(schemas, schema, descriptor, bits,
                                                              room, &used, why), false);
}

/* Theirs: a descriptor's bits, which may be anything. WISP_E_SCHEMA, WISP_E_LIMIT (schema_bytes),
   WISP_E_MEMORY. `descriptor` has zero bits up to the end of its last byte. */
static wisp__described *wisp__described_learn(wisp__schemas *schemas, const uint8_t *descriptor,
                                              int bits, wisp_result *why) {
    uint64_t hash = wisp__hash_bytes(descriptor, (bits + 7) / 8);
    size_t limit = (size_t)schemas->base->limits.schema_bytes, room = (size_t)bits + 1024, used;
    for (wisp__described *d = schemas->first; d; d = d->next) {
        if (d->hash != hash || d->bits != bits ||
            memcmp(d->descriptor, descriptor, (size_t)(bits + 7) / 8) != 0)
            continue;
        d->references++;
        return d;
    }
    *why = WISP_E_MEMORY;
    while (*why == WISP_E_MEMORY) {
        wisp__described *d;
        if (room > 2 * limit) {
            *why = WISP_E_LIMIT;
            return NULL;
        }
        d = wisp__described_make(schemas, NULL, descriptor, bits, room, &used, why);
        room *= 2;
        if (!d) continue;
        wisp__free(schemas->base, d, d->bytes);            /* again, in just what it takes */
        d = wisp__described_make(schemas, NULL, descriptor, bits, used, &used, why);
        if (!d) return NULL;
        if (d->bytes + schemas->learnt_bytes <= limit)
            return wisp__described_keep(schemas, d, true);
        wisp__free(schemas->base, d, d->bytes);
        *why = WISP_E_LIMIT;
    }
    return NULL;
}

static void wisp__schemas_free(wisp__schemas *schemas) {
    wisp__schemas_bury(schemas);
    while (schemas->first) {
        wisp__described *d = schemas->first;
        schemas->first = d->next;
        wisp__free(schemas->base, d, d->bytes);
    }
}

/* Bits of the form in an announcement, without the descriptor. */
static void wisp__put_form(wisp__writer *to, const wisp__form *form) {
    wisp__put(to, form->delta, 1);
    wisp__put(to, form->sync, 1);
    wisp__put(to, form->adaptive, 1);
    wisp__put(to, form->squeezed, 1);
    wisp__put(to, form->described != NULL, 1);
    wisp__put(to, form->dictionary != 0, 1);
    if (form->codec) wisp__put_text(to, form->codec->name);
    if (form->dictionary) wisp__put(to, form->dictionary, 32);
    if (!form->described) return;
    wisp__put_length(to, (uint64_t)form->described->bits);
    wisp__put_bits(to, form->described->descriptor, form->described->bits);
}

/* What it takes at most. */
static int wisp__form_bytes(const wisp__form *form) {
    if (wisp__form_plain(form)) return 1;
    return 64 + (form->described ? form->described->bits / 8 : 0);
}

/* ===========================================================================
 * MARK: >>remote
 * What: the registry of names, their settings, and what each peer knows.
 * Invariants: a remote is never removed; its index is its number on the wire,
 *   less the reserved ones. A peer's names that nobody registered here take
 *   no memory.
 * ======================================================================== */

enum { WISP__NAME_BYTES = 128, WISP__RESERVED = 3, WISP__CODECS = 12 };

typedef struct wisp__remote {
    int               index;
    uint64_t          hash;
    wisp_config       own, now;        /* as set; with what it inherits */
    wisp_remote_stats stats;
    struct wisp__connection *first;      /* connections, in order (event) */
    struct wisp__connection *last;
    wisp_handler      answer;          /* the one invoke handler (call) */
    void             *answer_user;
    struct wisp__remote *main;         /* itself, or what this is an older form of */
    int               newest;          /* index of the entry with the form that is sent now */
    bool              used;            /* the form is known to somebody: it must not change */
    wisp__form        form;
    wisp__described  *schema;          /* what comes in is checked against; or NULL */
    wisp__squeeze_stream squeeze;
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
    wisp__schemas  schemas;
    wisp__squeeze *squeeze;
    wisp__squeeze_stream batches;      /* of whole packets */
    const wisp_codec *codecs[WISP__CODECS];
    int            codec_count;
    char           text[160];          /* what was wrong with a schema or a value, the last time */
} wisp__registry;

/* What a peer's number stands for. */
typedef struct wisp__their {
    uint16_t    remote;                /* local index + 1; 0: nothing */
    wisp__form *form;                  /* NULL: plain */
} wisp__their;

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
    wisp__their   *theirs;             /* by their number */
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
    wisp__tracks   told, heard;        /* values that differences are to: ours, theirs */
    int            heard_values;       /* in this packet, of values that were put together */
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
    static const wisp_config builtin = {
        { 0, NULL, 0, NULL, NULL, 0, 0, NULL, 0 }, WISP_RELIABLE, WISP_CHANNEL(0),
        WISP_BATCH_RELIABLE, 256, WISP_PRIORITY(500), -1, 0, WISP_OFF, 10, 1
    };
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
    now->delta_sync = WISP__RESOLVE(delta_sync);
    now->encode.mode = WISP__RESOLVE(encode.mode);
    now->encode.codec = WISP__RESOLVE(encode.codec);
    now->encode.schema = WISP__RESOLVE(encode.schema);
    now->encode.migrations = WISP__RESOLVE(encode.migrations);
    now->encode.migration_count = WISP__RESOLVE(encode.migration_count);
    now->encode.adaptive = WISP__RESOLVE(encode.adaptive);
    now->encode.dictionary = WISP__RESOLVE(encode.dictionary);
    now->encode.dictionary_bytes = WISP__RESOLVE(encode.dictionary_bytes);
    now->encode.compression = own->encode.compression;     /* the common one is for packets */
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

/* What the settings in force make of the form. The schema that comes with it has a reference. */
static wisp_result wisp__form_wanted(wisp__registry *registry, const wisp__remote *remote,
                                     wisp__form *form) {
    const wisp_encoding *e = &remote->now.encode;
    uint32_t dictionary = 0;
    wisp_result why = WISP_OK;
    memset(form, 0, sizeof *form);
    if (e->schema) form->described = wisp__described_of(&registry->schemas, e->schema,
                                                        registry->text,
                                                        (int)sizeof registry->text, &why);
    if (why) return why;
    form->codec = e->codec;
    form->delta = e->mode == WISP_ENCODE_DELTA && !e->codec;
    form->squeezed = !form->delta && (e->mode == WISP_ENCODE_COMPRESSED ||
                                      e->compression > WISP_COMPRESSION_NONE);
    if (form->delta)
        form->line = remote->now.delivery == WISP_RELIABLE ? (uint8_t)remote->now.channel : 100;
    form->sync = form->delta && remote->now.delta_sync == WISP_ON;
    form->adaptive = form->delta && e->adaptive == WISP_ON;
    if (e->codec) form->kind = WISP__CODED;
    else if (e->schema && e->mode != WISP_ENCODE_BASIC && e->mode != WISP_ENCODE_SAFE)
        form->kind = WISP__RECORD;
    if (e->dictionary)
        why = wisp__squeeze_dictionary(registry->squeeze, e->dictionary, e->dictionary_bytes,
                                       &dictionary);
    if (form->squeezed) form->dictionary = dictionary;
    if (form->squeezed && why == WISP_OK)
        why = wisp__squeeze_ready(registry->squeeze, e->compression ? e->compression
                                                                    : WISP_COMPRESSION_AUTO,
                                  dictionary);
    if (why) wisp__described_release(&registry->schemas, form->described);
    return why;
}

/* Another entry of the same name, for a form that must not take the place of the one in use. */
static wisp__remote *wisp__registry_alias(wisp__registry *registry, wisp__remote *remote,
                                          wisp_result *why) {
    wisp__remote *alias;
    *why = wisp__grow(registry->base, (void **)&registry->remotes, &registry->room,
                      registry->count + 1, registry->base->limits.remotes + WISP__RESERVED,
                      sizeof *registry->remotes);
    if (*why) return NULL;
    alias = (wisp__remote *)wisp__alloc(registry->base, sizeof *alias);
    *why = alias ? WISP_OK : WISP_E_MEMORY;
    if (!alias) return NULL;
    memcpy(alias->name, remote->name, sizeof alias->name);
    alias->hash = remote->hash;
    alias->index = alias->newest = registry->count;
    alias->main = remote;
    registry->remotes[registry->count++] = alias;
    return alias;
}

/* An entry of the name that has this form already, from before; NULL: none. */
static wisp__remote *wisp__form_known(const wisp__registry *registry, const wisp__remote *remote,
                                      const wisp__form *form) {
    for (int i = remote->index; i < registry->count; i++) {
        wisp__remote *entry = registry->remotes[i];
        if (entry->main == remote && entry->used && wisp__form_equal(&entry->form, form))
            return entry;
    }
    return NULL;
}

/* Makes the form that is sent follow the settings; on failure the old one stays. */
static wisp_result wisp__form_refresh(wisp__registry *registry, wisp__remote *remote) {
    wisp__remote *entry = registry->remotes[remote->newest];
    wisp__form form;
    wisp_result result = wisp__form_wanted(registry, remote, &form);
    const wisp_encoding *e = &remote->now.encode;
    wisp_compression mode = e->compression ? e->compression : WISP_COMPRESSION_AUTO;
    if (result) return result;
    if (form.kind != WISP__RECORD && form.kind != WISP__CODED) {
        wisp__described_release(&registry->schemas, remote->schema);
        remote->schema = form.described;
        form.described = NULL;
    } else {
        wisp__described_release(&registry->schemas, remote->schema);
        remote->schema = form.described;
        if (form.described) form.described->references++;
    }
    if (wisp__form_equal(&entry->form, &form)) {
        wisp__described_release(&registry->schemas, form.described);
    } else {
        wisp__remote *known = wisp__form_known(registry, remote, &form);
        if (known) {
            wisp__described_release(&registry->schemas, form.described);
            form = known->form;
            entry = known;
        } else if (entry->used) {
            entry = wisp__registry_alias(registry, remote, &result);
        }
        if (!entry) {
            wisp__described_release(&registry->schemas, form.described);
            return result;
        }
        if (!known) wisp__described_release(&registry->schemas, entry->form.described);
        entry->form = form;
        remote->newest = entry->index;
    }
    if (form.squeezed && (remote->squeeze.mode != mode ||
                          remote->squeeze.dictionary != form.dictionary))
        wisp__squeeze_stream_init(&remote->squeeze, mode, form.dictionary);
    return WISP_OK;
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
    remote->index = remote->newest = registry->count;
    remote->main = remote;
    registry->remotes[registry->count++] = remote;
    wisp__registry_seat(registry, remote);
    wisp__config_resolve(registry, remote);
    *why = wisp__form_refresh(registry, remote);
    if (*why)
        wisp__log(registry->base, WISP_LOG_ERROR, *why, "'%s' does not have its settings: %s", name,
                  wisp_result_text(*why));
    *why = WISP_OK;
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
    if (c->delta_sync < 0 || c->delta_sync > WISP_OFF) return WISP_E_ARGUMENT;
    return WISP_OK;
}

static wisp_result wisp__encoding_check(wisp__registry *registry, const wisp_encoding *e) {
    uint8_t descriptor[WISP__DESCRIPTOR_BYTES + WISP__SLACK];
    int text = (int)sizeof registry->text;
    size_t name = e->codec && e->codec->name ? strlen(e->codec->name) : 0;
    if (e->mode < 0 || e->mode > WISP_ENCODE_DELTA) return WISP_E_ARGUMENT;
    if (e->adaptive < 0 || e->adaptive > WISP_OFF) return WISP_E_ARGUMENT;
    if (e->migration_count < 0 || (e->migration_count && !e->migrations)) return WISP_E_ARGUMENT;
    if (e->dictionary_bytes < 0 || (e->dictionary_bytes && !e->dictionary))
        return WISP_E_ARGUMENT;
    if (e->codec && (name < 1 || name > 32 || !e->codec->encode || !e->codec->decode))
        return WISP_E_ARGUMENT;
    if (e->codec && e->mode == WISP_ENCODE_DELTA) return WISP_E_UNSUPPORTED;
    if (e->schema && wisp__schema_check(e->schema, registry->text, text, NULL))
        return WISP_E_SCHEMA;
    if (e->schema && wisp__describe(e->schema, descriptor, (int)sizeof descriptor) < 0) {
        snprintf(registry->text, (size_t)text, "%s: its description is over %d bytes",
                 e->schema->name, WISP__DESCRIPTOR_BYTES);
        return WISP_E_SCHEMA;
    }
    return e->compression ? wisp__squeeze_can(registry->squeeze, e->compression) : WISP_OK;
}

static void wisp__encoding_merge(wisp_encoding *to, const wisp_encoding *from) {
    if (from->mode) to->mode = from->mode;
    if (from->codec) to->codec = from->codec;
    if (from->compression) to->compression = from->compression;
    if (from->schema) to->schema = from->schema;
    if (from->migrations) {
        to->migrations = from->migrations;
        to->migration_count = from->migration_count;
    }
    if (from->adaptive) to->adaptive = from->adaptive;
    if (from->dictionary) {
        to->dictionary = from->dictionary;
        to->dictionary_bytes = from->dictionary_bytes;
    }
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
    if (from->delta_sync) to->delta_sync = from->delta_sync;
    wisp__encoding_merge(&to->encode, &from->encode);
}

/* What the common settings say of whole packets. */
static wisp_result wisp__batches_settle(wisp__registry *registry) {
    const wisp_encoding *e = &registry->defaults.encode;
    wisp_compression mode = e->compression ? e->compression : WISP_COMPRESSION_NONE;
    uint32_t dictionary = 0;
    wisp_result result = WISP_OK;
    if (e->dictionary)
        result = wisp__squeeze_dictionary(registry->squeeze, e->dictionary, e->dictionary_bytes,
                                          &dictionary);
    if (result == WISP_OK && mode != WISP_COMPRESSION_NONE)
        result = wisp__squeeze_ready(registry->squeeze, mode, dictionary);
    if (result == WISP_OK && (mode != registry->batches.mode ||
                              dictionary != registry->batches.dictionary))
        wisp__squeeze_stream_init(&registry->batches, mode, dictionary);
    return result;
}

/* Settles what the settings in force mean for one remote, or for all of them (NULL). */
static wisp_result wisp__registry_settle(wisp__registry *registry, const wisp__remote *only) {
    wisp_result result = only ? WISP_OK : wisp__batches_settle(registry);
    int count = registry->count;
    for (int i = 0; i < count && result == WISP_OK; i++) {
        wisp__remote *remote = registry->remotes[i];
        if (remote->main != remote || (only && remote != only)) continue;
        wisp__config_resolve(registry, remote);
        if (i >= WISP__RESERVED) result = wisp__form_refresh(registry, remote);
    }
    return result;
}

/* NULL config: inherit everything; NULL name: the common settings. */
static wisp_result wisp__registry_configure(wisp__registry *registry, const char *name,
                                            const wisp_config *config) {
    wisp_result result = config ? wisp__config_check(config) : WISP_OK;
    wisp__remote *remote = NULL;
    wisp_config *to = &registry->defaults, before;
    if (result == WISP_OK && config) result = wisp__encoding_check(registry, &config->encode);
    if (result) return result;
    if (name) {
        remote = wisp__registry_add(registry, name, &result);
        if (!remote) return result;
        if (remote->index < WISP__RESERVED) return WISP_E_NAME;
        to = &remote->own;
    }
    before = *to;
    if (config) wisp__config_merge(to, config);
    else memset(to, 0, sizeof *to);
    result = wisp__registry_settle(registry, remote);
    if (result == WISP_OK) return WISP_OK;
    *to = before;
    wisp__registry_settle(registry, remote);
    return result;
}

static void wisp__registry_free(wisp__registry *registry) {
    wisp__schemas_free(&registry->schemas);
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
    if (number < 0 || number >= session->their_room || !session->theirs[number].remote) return NULL;
    return registry->remotes[session->theirs[number].remote - 1];
}

/* ===========================================================================
 * MARK: >>content
 * What: values of a message to bits and back, by the form of its name; what
 *   has come in made to fit the schema that is registered here.
 * Invariants: what goes out fits its schema, and so does what a handler gets;
 *   every message can be moved past, also when it cannot be used.
 * Not here: how differences are made (delta) and of what (track); packets.
 *
 *   plain      shape and data, as in pack: the only form with a shape apart
 *   others     [squeezed:1] 0: content | 1: method:3 length(bytes) length(packed) align, packed
 *   content    values: shape data · record: as in record
 *              coded: row:1 length(bytes) align, bytes; row: they are an array of the values
 * ======================================================================== */

typedef struct wisp__content {
    wisp__base     *base;
    wisp__registry *registry;
    wisp__packer    packer;            /* what goes out: shape and data */
    wisp__arena     scratch;           /* while it is made */
    wisp__arena     arena;             /* what has come in, until the next message */
    uint32_t        turn;              /* how often the arena was emptied */
    int64_t         unpacked, taken;   /* bytes, in this packet: by compression, by elements */
} wisp__content;

/* What one packet holds at most, unpacked, unless it is a single message. */
enum { WISP__PACKET_RAW = 4 << 20 };

/* What was read of a message. */
typedef struct wisp__decoded {
    const wisp_value    *values;
    int                  count;
    const wisp__program *program;      /* of the image; NULL: there are values */
    void                *image;
} wisp__decoded;

/* What has come in before is no longer there. */
static void wisp__content_turn(wisp__content *c) {
    wisp__arena_reset(&c->arena);
    c->turn++;
}

static wisp__unpacker wisp__content_unpacker(wisp__content *c, wisp__arena *arena,
                                             wisp__reader *data, int values) {
    wisp__unpacker u;
    memset(&u, 0, sizeof u);
    u.base = c->base;
    u.arena = arena;
    u.data = data;
    u.values = values;
    u.room = (int64_t)c->base->limits.message_bytes * 16;
    return u;
}

/* The values of a message as the one value that its schema speaks of. */
static wisp_result wisp__subject(const wisp_schema *schema, const wisp_value *values, int count,
                                 wisp_value *out, char *text, int text_bytes) {
    if (schema->shape == WISP_SHAPE_LIST) {
        *out = wisp_array(values, count);
        return WISP_OK;
    }
    if (count != 1) {
        snprintf(text, (size_t)text_bytes, "%d values are not one %s", count, schema->name);
        return WISP_E_INVALID;
    }
    *out = values[0];
    return WISP_OK;
}

/* --- out --- */

/* Makes room for at least twice what there was, as long as a message may be so large. */
static wisp_result wisp__content_grow(wisp__content *c, int64_t need) {
    wisp__packer *p = &c->packer;
    int64_t most = (int64_t)c->base->limits.message_bytes * 2 + 4096;
    if (need < 1024) need = 1024;
    if (p->data_room >= most) return WISP_E_TOO_BIG;
    if (need > most) need = most;
    wisp__packer_grow(p, &p->data, &p->data_room, need);
    return p->result;
}

static wisp_result wisp__encode_record(wisp__content *c, const wisp__program *program,
                                       const wisp_value *values, int count) {
    wisp__packer *p = &c->packer;
    wisp__registry *registry = c->registry;
    wisp__unpacker u = wisp__content_unpacker(c, &c->scratch, NULL, 0);
    wisp__supply supply = wisp__supply_of(&u);
    wisp_value subject;
    wisp_result why = wisp__subject(program->schema, values, count, &subject, registry->text,
                                    (int)sizeof registry->text);
    const void *image = why ? NULL : wisp__image_of(program, &subject, &supply, false, &why);
    int64_t bits = WISP_E_TOO_BIG;
    while (image && bits == WISP_E_TOO_BIG) {
        if (p->data_room > 64)
            bits = wisp__record_write_counted(c->base, program, image, p->data.bytes,
                                              p->data_room - WISP__SLACK, &p->values);
        if (bits != WISP_E_TOO_BIG) break;
        why = wisp__content_grow(c, (int64_t)p->data_room * 2);
        if (why) return why;
    }
    if (image && bits >= 0) {
        p->data.at = bits;
        p->values = wisp__max_int(p->values, 1);
        if (p->values > c->base->limits.message_values) return WISP_E_LIMIT;
        return WISP_OK;
    }
    if (image) why = (wisp_result)bits;
    if (why == WISP_E_INVALID && image)
        wisp_validate(program->source, &subject, registry->text, (int)sizeof registry->text);
    else if (why == WISP_E_INVALID && !registry->text[0])
        wisp_validate(program->source, &subject, registry->text, (int)sizeof registry->text);
    return why;
}

static wisp_result wisp__encode_coded(wisp__content *c, const wisp__form *form,
                                      const wisp_value *values, int count) {
    const wisp__program *program = form->described ? form->described->program : NULL;
    wisp_value subject = count == 1 ? values[0] : wisp_array(values, count);
    wisp__packer *p = &c->packer;
    wisp_schema compiled;
    bool row = count != 1;
    int room = 1024, bytes = WISP_E_TOO_BIG;
    uint8_t *out = NULL;
    wisp_result why = WISP_OK;
    if (program) {
        row = program->schema->shape == WISP_SHAPE_LIST;
        why = wisp__subject(program->source, values, count, &subject, c->registry->text,
                            (int)sizeof c->registry->text);
        if (why == WISP_OK)
            why = wisp_validate(program->source, &subject, c->registry->text,
                                (int)sizeof c->registry->text);
        if (why) return why;
        compiled = *program->source;
        compiled.program = program;
    }
    for (; bytes == WISP_E_TOO_BIG && room / 2 <= c->base->limits.message_bytes; room *= 2) {
        out = (uint8_t *)wisp__arena_take(c->base, &c->scratch, (size_t)room + 64);
        if (!out) return WISP_E_MEMORY;
        bytes = form->codec->encode(form->codec, program ? &compiled : NULL, &subject, out, room);
    }
    if (bytes < 0 || bytes > c->base->limits.message_bytes)
        return bytes < 0 ? bytes : WISP_E_TOO_BIG;
    if (p->data_room < bytes + 64) why = wisp__content_grow(c, (int64_t)bytes + 64);
    if (why) return why;
    wisp__put(&p->data, row, 1);
    wisp__put_length(&p->data, (uint64_t)bytes);
    wisp__put_align(&p->data);
    wisp__put_bytes(&p->data, out, bytes);
    p->values = 1;
    return WISP_OK;
}

/* Values with their maps sorted, so that differences of them have places to speak of. */
static wisp_result wisp__encode_sorted(wisp__content *c, const wisp_value *values, int count) {
    wisp__unpacker u = wisp__content_unpacker(c, &c->scratch, NULL, 0);
    wisp__supply supply = wisp__supply_of(&u);
    wisp__measure m = { 0, 0, 40, 0, false };
    wisp_value all = wisp_array(values, count), sorted;
    wisp_result result = wisp__pack_measure(&c->base->limits, values, count, 0, &m);
    if (result == WISP_OK) result = wisp__canonical(&supply, &all, &sorted);
    return result ? result : wisp__pack(&c->packer, sorted.as.array, count);
}

/* Puts the bit before the content, and the content compressed where that pays. */
static wisp_result wisp__encode_squeezed(wisp__content *c, wisp__remote *remote,
                                         unsigned methods) {
    wisp__packer *p = &c->packer;
    int bytes = (int)((p->shape.at + p->data.at + 7) / 8), method = 0, packed;
    size_t room = (size_t)bytes + 2 * WISP__SLACK;
    uint8_t *raw = (uint8_t *)wisp__arena_take(c->base, &c->scratch, room);
    uint8_t *to = (uint8_t *)wisp__arena_take(c->base, &c->scratch, room);
    int64_t bits = p->shape.at + p->data.at;
    wisp__writer all;
    if (!raw || !to) return WISP_E_MEMORY;
    memset(raw, 0, room);
    all = wisp__writer_on(raw, bytes + WISP__SLACK);
    wisp__put_bits(&all, p->shape.bytes, p->shape.at);
    wisp__put_bits(&all, p->data.bytes, p->data.at);
    packed = wisp__squeeze_pack(c->registry->squeeze, &remote->squeeze, methods, raw, bytes, to,
                                bytes - 5, &method);
    if (p->data_room < bytes + 64 && wisp__content_grow(c, (int64_t)bytes + 64)) return p->result;
    p->shape.at = p->data.at = 0;
    wisp__put(&p->data, packed > 0, 1);
    p->raw = packed > 0 ? bytes : 0;
    if (packed > 0) {
        wisp__put(&p->data, (uint64_t)method, 3);
        wisp__put_length(&p->data, (uint64_t)bytes);
        wisp__put_length(&p->data, (uint64_t)packed);
        wisp__put_align(&p->data);
        wisp__put_bytes(&p->data, to, packed);
    } else {
        wisp__put_bits(&p->data, raw, bits);
    }
    return p->data.full ? WISP_E_TOO_BIG : WISP_OK;
}

/* Puts values into the packer's shape and data, by the form that the remote has now. `methods`: of
   compression, that everybody who gets it has. */
static wisp_result wisp__encode(wisp__content *c, wisp__remote *remote, const wisp_value *values,
                                int count, unsigned methods) {
    const wisp__form *form = &c->registry->remotes[remote->newest]->form;
    wisp_result result = WISP_OK;
    wisp_value subject;
    char *text = c->registry->text;
    int text_bytes = (int)sizeof c->registry->text;
    c->packer.raw = 0;
    if (form->kind == WISP__VALUES) {
        if (remote->schema && remote->now.encode.mode == WISP_ENCODE_SAFE && count >= 0) {
            const wisp_schema *schema = remote->schema->program->source;
            result = wisp__subject(schema, values, count, &subject, text, text_bytes);
            if (result == WISP_OK) result = wisp_validate(schema, &subject, text, text_bytes);
        }
        if (result == WISP_OK && form->delta) result = wisp__encode_sorted(c, values, count);
        else if (result == WISP_OK) result = wisp__pack(&c->packer, values, count);
    } else {
        if (count < 0 || (count && !values)) return WISP_E_ARGUMENT;
        text[0] = 0;
        c->packer.shape.at = c->packer.data.at = 0;
        c->packer.shape.full = c->packer.data.full = false;
        if (form->kind == WISP__RECORD)
            result = wisp__encode_record(c, form->described->program, values, count);
        else
            result = wisp__encode_coded(c, form, values, count);
        if (result == WISP_OK &&
            c->packer.data.at / 8 > (int64_t)c->base->limits.message_bytes + 256)
            result = WISP_E_TOO_BIG;
    }
    if (result == WISP_OK && form->squeezed) result = wisp__encode_squeezed(c, remote, methods);
    wisp__arena_reset(&c->scratch);
    return result;
}

/* --- in --- */

static wisp_result wisp__decode_values(wisp__unpacker *u, wisp__decoded *out) {
    wisp__reader shape = *u->data;
    u->shape = &shape;
    wisp__skip_shape(u->data);
    return u->data->failed ? WISP_E_BAD_PACKET : wisp__unpack(u, &out->values, &out->count);
}

static wisp_result wisp__decode_record(wisp__unpacker *u, const wisp__program *program,
                                       wisp__decoded *out) {
    size_t bytes = (size_t)program->schema->bytes;
    void *image = wisp__arena_take(u->base, u->arena, bytes);
    if (!image) return WISP_E_MEMORY;
    memset(image, 0, bytes);
    out->image = image;
    out->program = program;
    return wisp__record_read(u, program, image);
}

/* What a codec needs to decode is not known before; it never gets more than values may take. */
static wisp_result wisp__decode_coded(wisp__unpacker *u, const wisp__form *form,
                                      wisp__decoded *out) {
    const wisp__program *program = form->described ? form->described->program : NULL;
    int64_t most = (int64_t)u->base->limits.message_values * (int)sizeof(wisp_pair) + 65536;
    wisp_value *value = (wisp_value *)wisp__unpack_take(u, sizeof *value);
    bool row = wisp__get(u->data, 1) != 0;
    int bytes = wisp__get_length(u->data), read = WISP_E_MEMORY;
    const char *from;
    wisp_schema compiled;
    wisp__read_align(u);
    from = u->data->failed ? NULL : wisp__unpack_bytes(u, u->data, bytes);
    if (u->data->failed || !value) return u->result ? u->result : WISP_E_BAD_PACKET;
    if (program) {
        compiled = *program->schema;
        compiled.program = program;
    }
    most = most < 1 << 28 ? most : 1 << 28;
    for (int64_t room = 1024 + (int64_t)bytes * 8; read == WISP_E_MEMORY; room *= 2) {
        void *memory;
        room = room < most ? room : most;
        memory = wisp__arena_take(u->base, u->arena, (size_t)room);
        if (!memory) return WISP_E_MEMORY;
        read = form->codec->decode(form->codec, program ? &compiled : NULL, from, bytes, value,
                                   memory, (int)room);
        if (read == WISP_E_MEMORY && room >= most) read = WISP_E_LIMIT;
    }
    if (read >= 0 && read != bytes) read = WISP_E_SYNTAX;
    if (read >= 0 && row && value->kind != WISP_ARRAY) read = WISP_E_SYNTAX;
    if (read < 0) wisp__unpack_invalid(u);
    out->values = row && read >= 0 ? value->as.array : value;
    out->count = row && read >= 0 ? value->count : 1;
    return read < 0 ? read : WISP_OK;
}

static wisp_result wisp__decode_content(wisp__unpacker *u, const wisp__form *form,
                                        wisp__decoded *out) {
    if (form->kind == WISP__RECORD)
        return wisp__decode_record(u, form->described->program, out);
    return form->kind == WISP__CODED ? wisp__decode_coded(u, form, out)
                                     : wisp__decode_values(u, out);
}

/* Compressed content, within the bound that its length and the limits set. */
static wisp_result wisp__decode_squeezed(wisp__content *c, wisp__unpacker *u,
                                         const wisp__form *form, wisp__decoded *out) {
    int method = (int)wisp__get(u->data, 3), bytes = wisp__get_length(u->data);
    int packed = wisp__get_length(u->data);
    wisp__reader *outer = u->data, inner;
    const char *from;
    uint8_t *to;
    wisp_result result;
    wisp__read_align(u);
    if ((int64_t)packed * 8 > outer->end - outer->at) outer->failed = true;
    from = outer->failed ? NULL : wisp__unpack_bytes(u, outer, packed);
    if (outer->failed) return WISP_E_BAD_PACKET;
    if (bytes > c->base->limits.message_bytes + 512) return WISP_E_COMPRESSED;
    if (c->unpacked && c->unpacked + bytes > WISP__PACKET_RAW) return WISP_E_LIMIT;
    c->unpacked += bytes;
    to = (uint8_t *)wisp__arena_take(c->base, u->arena, (size_t)bytes + WISP__SLACK);
    if (!to) return WISP_E_MEMORY;
    result = wisp__squeeze_unpack(c->registry->squeeze, method, form->dictionary, from, packed, to,
                                  bytes);
    if (result) return result;
    inner = wisp__reader_on(to, bytes);
    u->data = &inner;
    u->start = 0;
    result = wisp__decode_content(u, form, out);
    u->data = outer;
    return inner.failed && !result ? WISP_E_BAD_PACKET : result;
}

/* Reads a message of a form that is not plain where `data` stands. When `data` has not failed it
   stands behind the message, also if that cannot be used. */
static wisp_result wisp__decode(wisp__content *c, const wisp__form *form, wisp__reader *data,
                                int *budget, wisp__decoded *out) {
    int most = wisp__min_int(*budget, c->base->limits.message_values);
    wisp__unpacker u = wisp__content_unpacker(c, &c->arena, data, most);
    wisp__reader shape = wisp__reader_on(NULL, 0);
    wisp_result result;
    int64_t room;
    memset(out, 0, sizeof *out);
    wisp__content_turn(c);
    u.shape = &shape;
    u.start = data->at;
    u.room = u.room > c->taken ? u.room - c->taken : 0;
    room = u.room;
    if (form->squeezed && wisp__get(data, 1)) {
        result = wisp__decode_squeezed(c, &u, form, out);
    } else {
        u.start = data->at;
        result = wisp__decode_content(&u, form, out);
    }
    *budget -= most - u.values;
    c->taken += room - u.room;
    if (data->failed && !result) return WISP_E_BAD_PACKET;
    return result;
}

/* --- differences --- */

/* What stands before the content of a message that tells a value. */
typedef struct wisp__telling {
    int      place, back, older;       /* older: bit 0: the base's base is used; bit 1: its own */
    bool     whole;
    uint32_t sequence;                 /* low 12 bits of it, when read and not far */
    bool     far;                      /* whole, and all of the sequence is told */
    uint32_t hash;                     /* 16 bits */
    int64_t  end;                      /* -1: not told */
} wisp__telling;

enum { WISP__SEQUENCE_BITS = 12 };

/* Does its length have to be told, because only the base can say it? */
static bool wisp__told_length(const wisp__form *form) {
    return form->kind != WISP__RECORD || !form->described->program->fixed;
}

static bool wisp__form_keyed(const wisp__form *form) {
    return form->kind == WISP__RECORD && form->described->program->keyed;
}

static void wisp__put_telling(wisp__writer *to, const wisp__form *form, bool in_order,
                              const wisp__telling *t, int64_t bits) {
    if (wisp__form_keyed(form)) wisp__put_small(to, (uint64_t)t->place);
    wisp__put(to, t->whole, 1);
    if (!in_order) wisp__put(to, t->sequence & ((1u << WISP__SEQUENCE_BITS) - 1),
                             WISP__SEQUENCE_BITS);
    if (t->whole && !in_order) wisp__put(to, t->far, 1);
    if (t->far) wisp__put(to, t->sequence >> WISP__SEQUENCE_BITS, 32 - WISP__SEQUENCE_BITS);
    if (t->whole) return;
    if (!in_order) wisp__put(to, (uint64_t)t->back, 6);
    if (form->adaptive) wisp__put(to, (uint64_t)t->older, 2);
    if (form->sync) wisp__put(to, t->hash, 16);
    if (wisp__told_length(form)) wisp__put_small(to, (uint64_t)(bits + 3) / 4);
}

static void wisp__get_telling(wisp__reader *from, const wisp__form *form, bool in_order,
                              wisp__telling *t) {
    memset(t, 0, sizeof *t);
    t->end = -1;
    if (wisp__form_keyed(form)) t->place = wisp__get_small(from);
    t->whole = wisp__get(from, 1) != 0;
    if (!in_order) t->sequence = (uint32_t)wisp__get(from, WISP__SEQUENCE_BITS);
    if (t->whole && !in_order) t->far = wisp__get(from, 1) != 0;
    if (t->far)
        t->sequence |= (uint32_t)wisp__get(from, 32 - WISP__SEQUENCE_BITS) << WISP__SEQUENCE_BITS;
    if (t->whole) return;
    if (!in_order) t->back = (int)wisp__get(from, 6);
    if (form->adaptive) t->older = (int)wisp__get(from, 2);
    if (form->sync) t->hash = (uint32_t)wisp__get(from, 16);
    if (!wisp__told_length(form)) return;
    t->end = (int64_t)wisp__get_small(from) * 4;
    t->end += from->at;
}

static uint32_t wisp__told_hash(const wisp__kept *kept) {
    return (uint32_t)wisp__hash_bytes(kept->bytes, (int)((kept->bits + 7) / 8)) & 0xffff;
}

/* The content in the packer as a value that is kept. NULL: no memory. */
static wisp__kept *wisp__content_keep(wisp__content *c, wisp__chunks *chunks) {
    wisp__packer *p = &c->packer;
    int64_t bits = p->shape.at + p->data.at;
    size_t room = (size_t)(bits / 8) + 2 * WISP__SLACK;
    uint8_t *all = (uint8_t *)wisp__arena_take(c->base, &c->scratch, room);
    wisp__kept *kept;
    wisp__writer to;
    if (!all) return NULL;
    memset(all, 0, room);
    to = wisp__writer_on(all, (int)room - WISP__SLACK);
    wisp__put_bits(&to, p->shape.bytes, p->shape.at);
    wisp__put_bits(&to, p->data.bytes, p->data.at);
    kept = wisp__kept_make(c->base, chunks, all, bits);
    if (kept) kept->values = p->values;
    return kept;
}

/* What a value is about: a hash of its key fields; 0 without any. */
static uint64_t wisp__kept_key(wisp__content *c, const wisp__form *form, const wisp__kept *kept) {
    uint8_t bytes[256 + WISP__SLACK];
    wisp__reader data = wisp__reader_on(NULL, 0), shape = data;
    wisp__unpacker u = wisp__content_unpacker(c, &c->scratch, &data, 0);
    wisp__writer to = wisp__writer_on(bytes, 256);
    wisp__differ d;
    if (!wisp__form_keyed(form)) return 0;
    memset(&d, 0, sizeof d);
    memset(bytes, 0, sizeof bytes);
    u.shape = &shape;
    d.u = &u;
    d.ops = form->described->program->ops;
    d.rows = WISP__DELTA_ROWS;
    d.base = wisp__side_on(kept->bytes, kept->bits);
    for (int at = 0; at < form->described->program->count; at = d.ops[at].end)
        wisp__pass(&d, at, at + 1, &d.base, d.ops[at].flags & WISP__OP_KEY ? &to : NULL);
    wisp__put_align(&to);
    return wisp__hash_bytes(bytes, (int)(to.at / 8)) | 1;
}

static void wisp__differ_on(wisp__differ *d, wisp__unpacker *u, const wisp__kept *base,
                            const wisp__kept *const older[2]) {
    memset(d, 0, sizeof *d);
    d->u = u;
    d->base = wisp__side_on(base->bytes, base->bits);
    for (int i = 0; i < 2; i++)
        if (older[i]) d->older[i] = wisp__side_on(older[i]->bytes, older[i]->bits);
}

/* The models to begin with, in memory of the arena: those after the base, or new ones. */
static uint8_t *wisp__models_begin(wisp__differ *d, const wisp__program *program,
                                   const wisp__kept *models) {
    size_t bytes = wisp__delta_models(program);
    uint8_t *copy = bytes ? (uint8_t *)wisp__differ_take(d, bytes) : NULL;
    if (!copy) return NULL;
    d->models = copy;
    d->symbols = WISP__DELTA_SYMBOLS;
    d->ops = program->ops;
    if (models && (size_t)(models->bits / 8) == bytes) memcpy(copy, models->bytes, bytes);
    else wisp__delta_models_init(d, program);
    d->models = copy;
    return copy;
}

/* A value of packed values, or NULL when it cannot be read. */
static const wisp_value *wisp__kept_values(wisp__unpacker *u, const wisp__kept *kept, int *count) {
    wisp__reader data = wisp__reader_on(kept->bytes, (int)((kept->bits + 7) / 8));
    wisp__decoded out;
    memset(&out, 0, sizeof out);
    u->data = &data;
    u->result = WISP_OK;
    if (wisp__decode_values(u, &out)) return NULL;
    *count = out.count;
    return out.values ? out.values : (const wisp_value *)kept->bytes;
}

/* A difference that was made, to be used for everybody who has the same base. */
typedef struct wisp__difference {
    const wisp__kept *base, *older[2], *models;
    const uint8_t    *bytes;
    int64_t           bits;            /* 0: there is none that is shorter than the value */
    const uint8_t    *adapted;         /* models after it; NULL: none */
    size_t            adapted_bytes;
    wisp__kept       *after;           /* the same, once somebody keeps them */
} wisp__difference;

/* Makes the difference of a value from a base; its memory is of c->scratch. */
static void wisp__difference_make(wisp__content *c, const wisp__form *form,
                                  const wisp__kept *value, wisp__difference *out) {
    const wisp__program *program = form->kind == WISP__RECORD ? form->described->program : NULL;
    wisp__reader data = wisp__reader_on(NULL, 0), shape = data;
    wisp__unpacker u = wisp__content_unpacker(c, &c->scratch, &data, 1 << 26);
    size_t room = (size_t)(value->bits / 8) + 16;
    wisp__differ d;
    wisp__writer to;
    uint8_t *bytes, *models = NULL;
    const wisp_value *a, *b;
    int a_count = 0, b_count = 0;
    bool made;
    u.shape = &shape;
    out->bits = 0;
    out->adapted = NULL;
    wisp__differ_on(&d, &u, out->base, out->older);
    d.now = wisp__side_on(value->bytes, value->bits);
    bytes = (uint8_t *)wisp__differ_take(&d, room + WISP__SLACK);
    if (form->adaptive && program) models = wisp__models_begin(&d, program, out->models);
    if (!bytes || d.failed) return;
    to = wisp__writer_on(bytes, (int)room);
    d.to = &to;
    if (program) {
        made = wisp__delta_write(&d, program);
    } else {
        a = wisp__kept_values(&u, out->base, &a_count);
        b = wisp__kept_values(&u, value, &b_count);
        made = a && b && wisp__values_write(&d, a, a_count, b, b_count);
    }
    if (!made || to.at >= value->bits) return;
    out->bytes = bytes;
    out->bits = to.at;
    out->adapted = models;
    out->adapted_bytes = models ? wisp__delta_models(program) : 0;
}

/* Applies a difference where `from` stands: the new value, with the models after it in *models.
   NULL with the reason. */
static wisp__kept *wisp__difference_apply(wisp__content *c, wisp__chunks *chunks,
                                          const wisp__form *form, const wisp__reader *from,
                                          const wisp__difference *base, wisp__kept **models,
                                          wisp_result *why) {
    const wisp__program *program = form->kind == WISP__RECORD ? form->described->program : NULL;
    wisp__reader data = *from, shape = *from;
    wisp__unpacker u = wisp__content_unpacker(c, &c->arena, &data, c->base->limits.message_values);
    int64_t most = (int64_t)c->base->limits.message_bytes + 512;
    int64_t room = wisp__min_int((int)most, (int)(base->base->bits / 8) + from->size + 256);
    wisp__writer to;
    wisp__differ d;
    wisp__kept *value = NULL;
    uint8_t *bytes = NULL, *adapted = NULL;
    bool made = false, full = true;
    wisp__content_turn(c);
    u.shape = &shape;
    *models = NULL;
    while (full) {
        wisp__differ_on(&d, &u, base->base, base->older);
        d.delta.from = *from;
        d.delta.start = from->at;
        d.delta.there = true;
        u.values = c->base->limits.message_values;
        if (form->adaptive && program) adapted = wisp__models_begin(&d, program, base->models);
        bytes = (uint8_t *)wisp__differ_take(&d, (size_t)room + WISP__SLACK);
        *why = WISP_E_MEMORY;
        if (!bytes) return NULL;
        memset(bytes, 0, WISP__SLACK);
        to = wisp__writer_on(bytes, (int)room);
        d.to = &to;
        if (program) {
            made = wisp__delta_apply(&d, program);
        } else {
            const wisp_value *a, *values = NULL;
            int a_count = 0, count = 0;
            a = wisp__kept_values(&u, base->base, &a_count);
            u.values = c->base->limits.message_values;
            made = a && wisp__values_apply(&d, a, a_count, &values, &count);
            to.at = made ? wisp__pack_bits(c->base, values, count, bytes, (int)room) : 0;
            if (to.at < 0) to.full = true;
        }
        full = to.full && room < most;
        room = room * 2 < most ? room * 2 : most;
    }
    *why = WISP_E_BAD_PACKET;
    if (!made || to.full) return NULL;
    *why = WISP_E_MEMORY;
    value = wisp__kept_make(c->base, chunks, bytes, to.at);
    if (!value || !adapted) return value;
    *models = wisp__kept_make(c->base, chunks, adapted, (int64_t)wisp__delta_models(program) * 8);
    if (*models) return value;
    wisp__kept_release(c->base, chunks, value);
    return NULL;
}

/* Moves past a message that tells a value: it is applied only when its turn comes. */
static wisp_result wisp__told_extent(wisp__content *c, const wisp__form *form,
                                     wisp__reader *data, bool in_order, int *budget) {
    wisp__telling t;
    wisp__reader shape = wisp__reader_on(NULL, 0);
    wisp__unpacker u = wisp__content_unpacker(c, &c->arena, data,
                                              wisp__min_int(*budget,
                                                            c->base->limits.message_values));
    wisp__decoded out;
    wisp_result result = WISP_OK;
    int most = u.values;
    wisp__content_turn(c);
    wisp__get_telling(data, form, in_order, &t);
    u.shape = &shape;
    u.start = data->at;
    memset(&out, 0, sizeof out);
    if (t.whole) result = wisp__decode_content(&u, form, &out);
    else if (t.end >= 0) wisp__skip(data, t.end - data->at);
    else if (!wisp__delta_pass(&u, form->described->program, data)) data->failed = true;
    *budget -= most - u.values;
    return data->failed && result != WISP_E_MEMORY ? WISP_E_BAD_PACKET
         : result == WISP_E_INVALID ? WISP_OK : result;
}

/* --- what has come in, as the schema here wants it --- */

/* Makes values of a value: those of a row, or the one. */
static wisp_result wisp__decoded_set(wisp__content *c, const wisp_schema *schema,
                                     const wisp_value *value, wisp__decoded *d) {
    wisp_value *one;
    if (schema->shape == WISP_SHAPE_LIST && value->kind == WISP_ARRAY) {
        d->values = value->as.array;
        d->count = value->count;
        return WISP_OK;
    }
    one = (wisp_value *)wisp__arena_take(c->base, &c->arena, sizeof *one);
    if (!one) return WISP_E_MEMORY;
    *one = *value;
    d->values = one;
    d->count = 1;
    return WISP_OK;
}

/* Takes what came through the steps to the version that is wanted here. */
static wisp_result wisp__conform_version(wisp__content *c, const wisp__remote *remote,
                                         const wisp_schema *theirs, wisp__supply *supply,
                                         wisp_value *value) {
    const wisp_schema *ours = remote->schema->program->schema;
    const wisp_encoding *e = &remote->now.encode;
    char *text = c->registry->text;
    wisp_edit edit;
    wisp_result result;
    if (theirs->version == ours->version) return WISP_OK;
    result = wisp__edit_begin(&edit, supply, theirs, value);
    if (result == WISP_OK)
        result = wisp__migrate(&edit, e->migrations, e->migration_count, theirs->version,
                               ours->version, text, (int)sizeof c->registry->text);
    return result ? result : wisp__edit_end(&edit, ours, value);
}

/* Makes values of what was read that fit the schema registered here, if there is one. The text of
   the registry says what does not. */
static wisp_result wisp__conform_decoded(wisp__content *c, const wisp__remote *remote,
                                         const wisp__form *form, wisp__decoded *d) {
    const wisp__program *ours = remote->schema ? remote->schema->program : NULL;
    wisp__described *described = form ? form->described : NULL;
    wisp__unpacker u = wisp__content_unpacker(c, &c->arena, NULL, 0);
    wisp__supply supply = wisp__supply_of(&u);
    wisp__fitting f = wisp__fitting_on(c->registry->text, (int)sizeof c->registry->text, &supply);
    const wisp_schema *schema;
    wisp_value value;
    wisp_result result = WISP_OK;
    void *image = d->image;
    if (!ours && !d->image) return WISP_OK;
    schema = ours ? ours->schema : d->program->schema;
    if (d->image) value = wisp_struct(d->program->schema, d->image);
    else result = wisp__subject(schema, d->values, d->count, &value, f.text, f.text_bytes);
    if (result) return result;
    if (ours && d->program != ours) {
        if (described)
            result = wisp__conform_version(c, remote, described->program->schema, &supply, &value);
        if (result) return result;
        image = wisp__arena_take(c->base, &c->arena, (size_t)schema->bytes);
        if (!image) return WISP_E_MEMORY;
        memset(image, 0, (size_t)schema->bytes);
        f.loose = described != NULL;
        f.lenient = form && form->kind == WISP__CODED;
        result = wisp__fit_schema(&f, schema, &value, image);
        if (result) return result;
    }
    result = wisp__image_value(schema, image, &supply, &value);
    return result ? result : wisp__decoded_set(c, schema, &value, d);
}

static void wisp__content_free(wisp__content *c) {
    wisp__packer_free(&c->packer);
    wisp__arena_free(c->base, &c->scratch);
    wisp__arena_free(c->base, &c->arena);
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
 *   RESYNC 10: length(id), whose values are to come whole
 * ======================================================================== */

typedef enum wisp__record {
    WISP__R_END, WISP__R_SECTION, WISP__R_FRAGMENT, WISP__R_INVOKE, WISP__R_REPLY,
    WISP__R_ANNOUNCE, WISP__R_BOUND, WISP__R_UNKNOWN, WISP__R_PING, WISP__R_LEAVE,
    WISP__R_RESYNC,
    WISP__R_EVENT, WISP__R_VALUE, WISP__R_NOTHING      /* never on the wire */
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
    int                  run, values, messages, raw;
    bool                 eliciting, acks;
} wisp__filler;

typedef enum wisp__fit { WISP__FITS, WISP__FULL, WISP__WAITS } wisp__fit;

enum { WISP__ANNOUNCEMENT = 100 };     /* type of a message: what is too large for a packet */

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
    uint64_t id = (uint64_t)wisp__wire_id(m->form);
    if (m->type == WISP__ANNOUNCEMENT) {
        wisp__put_control(to, WISP__R_ANNOUNCE);
        bound = true;
    } else if (m->type == WISP__EVENT) {
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
    if (!p || m->type != WISP__EVENT || p->form != m->form || p->shape_bits != m->shape_bits ||
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

/* What an announcement takes at most, and is it too large to stand beside others in a packet? */
static int wisp__announcement_bytes(const wisp__remote *entry) {
    return 32 + (int)strlen(entry->name) + wisp__form_bytes(&entry->form);
}

static bool wisp__announced_apart(const wisp__base *base, const wisp__remote *entry) {
    return wisp__announcement_bytes(entry) > wisp__piece_bytes(base) / 2;
}

static void wisp__put_announcement(wisp__writer *to, wisp__remote *entry) {
    const wisp__form *form = &entry->form;
    uint8_t extra[WISP__DESCRIPTOR_BYTES + 128];
    wisp__writer out = wisp__writer_on(extra, (int)sizeof extra - WISP__SLACK);
    const wisp__program *program = form->described ? form->described->program : NULL;
    entry->used = true;
    wisp__put_length(to, (uint64_t)wisp__wire_id(entry->index));
    wisp__put_text(to, entry->name);
    wisp__put(to, program ? (uint64_t)program->source->version : 0, 8);
    wisp__put(to, form->kind, 8);
    if (!wisp__form_plain(form)) wisp__put_form(&out, form);
    wisp__put_align(&out);
    wisp__put_length(to, (uint64_t)(out.at / 8));
    for (int64_t i = 0; i < out.at / 8; i++) wisp__put(to, extra[i], 8);
}

static bool wisp__fill_announcement(wisp__filler *f, int index) {
    wisp__remote *remote = f->sender->registry->remotes[index];
    wisp__route *route = wisp__route_of(f->sender->base, f->session, index);
    int64_t at;
    if (!route || !wisp__fill_may(f)) return false;
    wisp__fill_run(f);
    at = f->to.at;
    wisp__put_control(&f->to, WISP__R_ANNOUNCE);
    wisp__put_announcement(&f->to, remote);
    if (!wisp__fill_done(f, at)) return false;
    wisp__fill_carry(f, WISP__R_ANNOUNCE, 0, (uint32_t)index);
    route->known = f->sender->base->reliable ? WISP__HEARD : WISP__TOLD;
    route->told_in = f->session->peer.flow.next;
    return true;
}

/* The announcement that must stand before a message, if its peer may not have it yet. When both
   are too large for one packet the announcement goes alone, and the message waits for its ack. */
static inline wisp__fit wisp__fill_introduce(wisp__filler *f, const wisp__message *m, int bytes) {
    wisp__route *route = wisp__route_of(f->sender->base, f->session, m->form);
    const wisp__remote *entry = f->sender->registry->remotes[m->form];
    uint64_t packet = f->session->peer.flow.next;
    bool beside;
    if (!route) return WISP__WAITS;
    if (m->type == WISP__REPLY || m->type == WISP__ANNOUNCEMENT || route->known >= WISP__HEARD)
        return WISP__FITS;
    if (wisp__announced_apart(f->sender->base, entry)) return WISP__WAITS;
    beside = bytes + wisp__announcement_bytes(entry) <= wisp__piece_bytes(f->sender->base);
    if (route->known == WISP__TOLD && !beside) return WISP__WAITS;
    if (route->known == WISP__TOLD && route->told_in == packet) return WISP__FITS;
    if (!wisp__fill_announcement(f, m->form)) return WISP__FULL;
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
    if (f->raw && f->raw + m->raw > WISP__PACKET_RAW) return WISP__FULL;
    fit = wisp__fill_introduce(f, m, m->size);
    if (fit != WISP__FITS) return fit;
    at = f->to.at;
    run = f->run;
    previous = f->previous;
    bound = m->type == WISP__REPLY || m->type == WISP__ANNOUNCEMENT ||
            s->routes[m->form].known == WISP__BOUND;
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
    if (f->run <= run || f->sender->registry->remotes[m->form]->form.delta) {
        f->values += m->values;
        f->raw += m->raw;
    } else {
        f->values++;                   /* a repeat is not read again */
    }
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
    wisp__route *route = wisp__route_of(base, s, wisp__max_int(m->remote, m->form));
    wisp__entry *entry;
    int bytes = m->size;
    if (!route) return WISP_E_MEMORY;
    route = &s->routes[m->remote];
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
        const wisp__remote *entry = f->sender->registry->remotes[s->untold];
        if (!route) return WISP__FULL;
        if (entry->main->newest != entry->index) continue;
        if (wisp__announced_apart(f->sender->base, entry)) continue;
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

/* Puts an announcement that is too large for a packet ahead of the first message of its form. It
   goes reliably, in fragments; the messages wait until it is answered. */
static wisp__message *wisp__queue_announcement(wisp__sender *sender, wisp__session *s,
                                               const wisp__message *first) {
    wisp__remote *entry = sender->registry->remotes[first->form];
    wisp__base *base = sender->base;
    size_t bytes = (size_t)wisp__announcement_bytes(entry);
    size_t chunk = sizeof(wisp__message) + bytes + WISP__SLACK;
    wisp__message *m = (wisp__message *)wisp__chunk_take(base, sender->chunks, chunk);
    wisp__entry *place = (wisp__entry *)wisp__chunk_take(base, sender->chunks, sizeof *place);
    wisp__route *route = &s->routes[first->remote];
    wisp__writer to;
    if (!m || !place) {
        wisp__chunk_give(base, sender->chunks, m, chunk);
        wisp__chunk_give(base, sender->chunks, place, sizeof *place);
        return NULL;
    }
    *m = *first;
    m->references = 1;
    m->chunk_bytes = (int)chunk;
    m->type = WISP__ANNOUNCEMENT;
    m->delivery = WISP_RELIABLE;
    to = wisp__writer_on(m->bytes, (int)bytes);
    wisp__put_announcement(&to, entry);
    wisp__message_measure(m, 0, to.at);
    place->message = m;
    place->next = route->first;
    route->first = place;
    s->queued++;
    s->queued_bytes += m->size;
    s->routes[first->form].known = WISP__TOLD;
    return m;
}

static wisp__fit wisp__fill_queued(wisp__filler *f, int index, uint32_t *blocked) {
    wisp__sender *sender = f->sender;
    wisp__session *s = f->session;
    wisp__message *m = s->routes[index].first->message;
    wisp__remote *remote = sender->registry->remotes[index];
    wisp__fit fit;
    if (m->type != WISP__REPLY && s->routes[m->form].known == WISP__UNTOLD &&
        wisp__announced_apart(sender->base, sender->registry->remotes[m->form]))
        m = wisp__queue_announcement(sender, s, m);
    if (!m) return WISP__WAITS;
    if (s->routes[m->form].known == WISP__UNKNOWN && m->type != WISP__REPLY) {
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
        if (m->size > wisp__piece_bytes(sender->base) || m->type == WISP__ANNOUNCEMENT) {
            lane->out.cutting = wisp__message_whole(sender, m, s->call_floor);
            lane->out.cut = 0;
            if (!lane->out.cutting) return WISP__WAITS;
            fit = WISP__FITS;
        } else {
            fit = wisp__fill_first(f, &lane->out, item);
        }
    } else {
        if (m->track >= 0 && !wisp__fill_may(f)) return WISP__WAITS;
        fit = wisp__fill_message(f, m, 0);
        if (fit == WISP__FITS && m->track >= 0)
            wisp__fill_carry(f, WISP__R_VALUE, 0, (uint32_t)m->track << 16 | (m->value & 0xffff));
    }
    if (fit != WISP__FITS) return fit;
    if (m->type != WISP__ANNOUNCEMENT) {
        remote->stats.messages_sent++;
        remote->stats.bits_sent += (uint64_t)(m->shape_bits + m->data_bits);
        s->peer.stats.messages_sent++;
        sender->base->stats.messages_sent++;
    }
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

/* Compresses the body where that pays; its new size. */
static int wisp__packet_squeeze(wisp__filler *f, int size) {
    wisp__registry *registry = f->sender->registry;
    wisp__peer *peer = &f->session->peer;
    wisp__squeeze_stream *stream = &registry->batches;
    uint8_t *body = f->packet + f->head, *packed = wisp__post_spare(f->sender->peers);
    int head = stream->dictionary ? 5 : 3, method, bytes;
    if (stream->mode <= WISP_COMPRESSION_NONE || size <= 16) return size;
    bytes = wisp__squeeze_pack(registry->squeeze, stream, peer->methods, body, size, packed,
                               size - head - 1, &method);
    if (bytes <= 0) return size;
    f->packet[0] |= WISP__FLAG_SQUEEZED;
    wisp__store_part(body, (uint64_t)method | (stream->dictionary ? 128u : 0u) |
                               (uint64_t)size << 8 | (uint64_t)stream->dictionary << 24, head);
    memcpy(body + head, packed, (size_t)bytes);
    peer->stats.bytes_saved += (uint64_t)(size - bytes - head);
    return bytes + head;
}

static void wisp__packet_end(wisp__filler *f) {
    wisp__peers *peers = f->sender->peers;
    wisp__peer *peer = &f->session->peer;
    wisp__flow *flow = &peer->flow;
    int size;
    wisp__fill_run(f);
    f->to.end += WISP__RUN_BITS;
    wisp__put_align(&f->to);
    size = f->head + wisp__packet_squeeze(f, (int)(f->to.at / 8));
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
        if (ref->kind == WISP__R_VALUE) {
            uint32_t value = ref->number + i;
            wisp__track_told(&s->told, (int)(value >> 16), value & 0xffff, arrived);
        } else if (ref->kind == WISP__R_ANNOUNCE) {
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
    wisp__tracks_free(base, sender->chunks, &s->told);
    wisp__tracks_free(base, sender->chunks, &s->heard);
    s->peer.stats.messages_abandoned += (uint64_t)wisp__peer_abandon(sender->peers, &s->peer);
    base->stats.messages_abandoned += s->peer.stats.messages_abandoned;
    wisp__free(base, s->routes, (size_t)s->route_room * sizeof *s->routes);
    for (int i = 0; i < s->their_room; i++) {
        wisp__form *form = s->theirs[i].form;
        if (!form) continue;
        wisp__described_release(&sender->registry->schemas, form->described);
        wisp__free(base, form, sizeof *form);
    }
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
    wisp__content  content;
    wisp__squeeze  squeeze;
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

/* What so many buffers for datagrams take. */
static size_t wisp__buffer_bytes(const wisp *w, int packets) {
    return (size_t)packets * (size_t)(w->base.mtu + WISP__SLACK);
}

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
    return !from->failed;
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
    wisp__form   *form;           /* NULL: plain */
    int64_t       shape_at, shape_end, data_at, end;     /* bits in the packet */
    wisp_result   readable;       /* WISP_OK, or why the values cannot be read */
    wisp__reader  from;           /* of a value that is told: applied when its turn comes */
    bool          told, in_order, stale;
    bool          conformed;      /* the content is as the schema here wants it */
    uint32_t      turn;           /* of the arena that the content is in */
    bool          parsed;         /* in->end is right, whether they can be used or not */
    wisp__decoded content;
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
    event->args = in->content.values;
    event->count = in->content.count;
    event->text = "";
    event->time = w->now;
}

/* Reads values at the places that `in` names; the end of the data goes to in->end. */
static void wisp__read_values(wisp *w, const wisp__reader *from, wisp__incoming *in, int *budget) {
    wisp__reader shape = *from, data = *from;
    int most = wisp__min_int(*budget, w->base.limits.message_values);
    wisp__unpacker u;
    shape.at = in->shape_at;
    data.at = in->data_at;
    in->told = in->form && in->form->delta && in->kind == WISP__R_EVENT;
    if (in->told) {
        in->from = *from;
        in->readable = wisp__told_extent(&w->content, in->form, &data, in->in_order, budget);
        in->parsed = !data.failed;
    } else if (in->form) {
        in->readable = wisp__decode(&w->content, in->form, &data, budget, &in->content);
        in->parsed = !data.failed;
    } else {
        wisp__content_turn(&w->content);
        memset(&in->content, 0, sizeof in->content);
        u = wisp__content_unpacker(&w->content, &w->content.arena, &data, most);
        u.shape = &shape;
        in->readable = wisp__unpack(&u, &in->content.values, &in->content.count);
        in->parsed = in->readable == WISP_OK;
        *budget -= most - u.values;
    }
    in->end = data.at;
    in->turn = w->content.turn;
    in->conformed = false;
}

static wisp__message *wisp__message_make(wisp *w, const wisp__remote *remote, int type,
                                         wisp_result *why) {
    wisp__packer *p = &w->content.packer;
    size_t shape = (size_t)(p->shape.at + 7) / 8, data = (size_t)(p->data.at + 7) / 8;
    size_t bytes = sizeof(wisp__message) + shape + data + WISP__SLACK;
    wisp__message *m = (wisp__message *)wisp__chunk_take(&w->base, &w->chunks, bytes);
    *why = m ? WISP_OK : WISP_E_MEMORY;
    if (!m) return NULL;
    m->references = 1;
    m->chunk_bytes = (int)bytes;
    m->remote = remote->index;
    m->form = type == WISP__REPLY ? remote->index : remote->newest;
    m->track = -1;
    w->registry.remotes[m->form]->used = true;
    m->call = 0;
    m->result = WISP_OK;
    m->type = (uint8_t)type;
    m->delivery = (uint8_t)remote->now.delivery;
    m->channel = (uint8_t)(remote->now.channel - 1);
    m->immediate = remote->now.batching == WISP_BATCH_NEVER || w->registry.unbatched;
    m->values = p->values;
    m->raw = p->raw;
    m->time = w->base.time;
    m->order = w->order++;
    wisp__message_measure(m, (int)p->shape.at, p->data.at);
    if (shape) memcpy(m->bytes, p->shape.bytes, shape);
    if (data) memcpy(m->bytes + shape, p->data.bytes, data);
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
    wisp__route *route = wisp__route_of(&w->base, s, m->form);
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

/* --- values that are told by differences --- */

/* The differences that were made of one value, for the next who has the same base. */
typedef struct wisp__spread {
    wisp__difference made[8];
    int              count;
} wisp__spread;

static void wisp__spread_free(wisp *w, wisp__spread *spread) {
    while (spread->count > 0)
        wisp__kept_release(&w->base, &w->chunks, spread->made[--spread->count].after);
    wisp__arena_reset(&w->content.scratch);
}

static wisp__difference *wisp__spread_of(wisp *w, wisp__spread *spread, const wisp__form *form,
                                         const wisp__kept *value, const wisp__difference *base) {
    wisp__difference *d;
    for (int i = 0; i < spread->count; i++) {
        d = &spread->made[i];
        if (d->base == base->base && d->models == base->models && d->older[0] == base->older[0] &&
            d->older[1] == base->older[1])
            return d;
    }
    if (spread->count == (int)(sizeof spread->made / sizeof *spread->made))
        wisp__spread_free(w, spread);
    d = &spread->made[spread->count++];
    *d = *base;
    wisp__difference_make(&w->content, form, value, d);
    return d;
}

/* What the other end holds of a track, that the range coder can use beside the base. */
static int wisp__told_older(wisp__track *track, const wisp__stored *base,
                            wisp__difference *difference) {
    int older = 0;
    for (int i = 0; i < 2; i++) {
        base = base->has_base ? wisp__track_find(track, base->base) : NULL;
        if (!base) break;
        difference->older[i] = base->value;
        older |= 1 << i;
    }
    return older;
}

/* Puts a telling and its content into the packer. */
static wisp_result wisp__tell_pack(wisp *w, const wisp__form *form, bool in_order,
                                   const wisp__telling *t, const uint8_t *bytes, int64_t bits) {
    wisp__packer *p = &w->content.packer;
    wisp_result result = WISP_OK;
    if (p->data_room < (int)(bits / 8) + 64)
        result = wisp__content_grow(&w->content, bits / 8 + 64);
    if (result) return result;
    p->shape.at = p->data.at = 0;
    p->shape.full = p->data.full = false;
    wisp__put_telling(&p->data, form, in_order, t, bits);
    wisp__put_bits(&p->data, bytes, bits);
    if (!t->whole && wisp__told_length(form)) wisp__put(&p->data, 0, (int)(-bits & 3));
    return p->data.full ? WISP_E_TOO_BIG : WISP_OK;
}

/* Gives a value to a peer: whole, or as a difference; nothing when the peer has it, unless it was
   lost (`again`). */
static wisp_result wisp__tell_value(wisp *w, wisp__session *s, wisp__remote *remote,
                                    wisp__kept *value, wisp__spread *spread, bool again) {
    wisp__remote *entry = w->registry.remotes[remote->newest];
    const wisp__form *form = &entry->form;
    bool in_order = w->base.reliable || remote->now.delivery == WISP_RELIABLE;
    uint64_t key = wisp__kept_key(&w->content, form, value);
    wisp_result why;
    wisp__track *track = wisp__track_open(&w->base, &w->chunks, &s->told, entry->index, key,
                                          in_order, &why);
    wisp__stored *stored = track ? wisp__track_base(track, in_order) : NULL;
    wisp__difference wanted, *d = NULL;
    wisp__telling t;
    wisp__message *m;
    wisp__kept *models = NULL;
    uint32_t from = stored ? stored->sequence : 0;
    if (!track) return why;
    if (!again && wisp__track_settled(track, value, in_order)) {
        remote->stats.unchanged++;
        return WISP_OK;
    }
    memset(&t, 0, sizeof t);
    memset(&wanted, 0, sizeof wanted);
    t.place = track->place;
    t.sequence = track->sequence;
    if (stored) {
        wanted.base = stored->value;
        wanted.models = form->adaptive ? stored->models : NULL;
        if (form->adaptive) t.older = wisp__told_older(track, stored, &wanted);
        t.back = (int)(track->sequence - stored->sequence);
        t.hash = wisp__told_hash(stored->value);
        d = wisp__spread_of(w, spread, form, value, &wanted);
        if (!d->bits) d = NULL;
    }
    t.whole = d == NULL;
    t.far = t.whole && !in_order && track->sequence >= 1024 &&
            (!track->has_acked || track->sequence - track->acked > 1024);
    w->content.packer.values = value->values;
    why = wisp__tell_pack(w, form, in_order, &t, d ? d->bytes : (const uint8_t *)value->bytes,
                          d ? d->bits : value->bits);
    if (why == WISP_OK && d && d->adapted) {
        if (!d->after)
            d->after = wisp__kept_make(&w->base, &w->chunks, d->adapted,
                                       (int64_t)d->adapted_bytes * 8);
        models = d->after;
        if (models) models->references++;
        else why = WISP_E_MEMORY;
    }
    m = why ? NULL : wisp__compose(w, remote, WISP__EVENT, &why);
    if (m && !in_order) {
        m->track = track->place;
        m->value = track->sequence;
    }
    if (m) why = wisp__give(w, s, m);
    if (m) wisp__message_release(&w->base, &w->chunks, m);
    if (why) {
        wisp__kept_release(&w->base, &w->chunks, models);
        return why;
    }
    wisp__track_store(&w->base, &w->chunks, &s->told, track, track->sequence, value, models,
                      d ? &from : NULL);
    track->sequence++;
    track->begun = true;
    if (t.whole) track->whole = false;
    return WISP_OK;
}

/* Values whose last telling was lost go once more. */
static void wisp__tell_again(wisp *w, wisp__session *s) {
    for (int i = 0; i < s->told.count && s->told.again > 0; i++) {
        wisp__track *track = s->told.places[i];
        wisp__remote *entry = w->registry.remotes[track->number];
        wisp__stored *newest = wisp__track_newest(track);
        wisp__spread spread;
        wisp__kept *value;
        wisp_result result;
        if (!track->again) continue;
        track->again = false;
        s->told.again--;
        if (!newest || entry->main->newest != entry->index) continue;
        value = newest->value;
        value->references++;
        spread.count = 0;
        result = wisp__tell_value(w, s, entry->main, value, &spread, true);
        wisp__kept_release(&w->base, &w->chunks, value);
        wisp__spread_free(w, &spread);
        if (result == WISP_E_QUEUE_FULL || result == WISP_E_MEMORY) {
            track->again = true;           /* when the next news comes */
            s->told.again++;
            return;
        }
        if (result && result != WISP_E_NO_REMOTE)
            wisp__error(w, s, entry->main, result, "a value that was lost cannot go again");
    }
}

/* The answer to a call of theirs. NULL with the reason. */
static wisp__message *wisp__answer_make(wisp *w, const wisp__remote *remote, uint32_t id,
                                        wisp_result code, const wisp_value *values, int count,
                                        wisp_result *why) {
    wisp__message *m = NULL;
    *why = wisp__pack_refused(&w->base, wisp__pack(&w->content.packer, values, count));
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
        const wisp_value *text = in->content.count ? in->content.values : NULL;
        event.text = text && text->kind == WISP_STRING ? text->as.string
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
    if (delivery == WISP_SEQUENCED && !in->told) {        /* what is told has an order by key */
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

/* --- values that are told by differences --- */

/* What is told cannot be applied: the other end is asked for whole values. It is told once, what
   follows until they come is only counted. */
static wisp_result wisp__ask_whole(wisp *w, wisp__session *s, wisp__incoming *in,
                                   const char *why) {
    wisp__form *form = in->form;
    bool first = !form->asked;
    snprintf(w->registry.text, sizeof w->registry.text, "%s", why);
    if (first) wisp__control_add(&w->base, s, WISP__R_RESYNC, form->number);
    form->asked = true;
    in->stale = !first;
    return first ? WISP_E_BASELINE : WISP_OK;
}

/* A value in order that is of no use here must not be followed by differences to it: nothing is
   held any more. */
static void wisp__heard_lost(wisp *w, wisp__session *s, wisp__incoming *in) {
    wisp__reader from = in->from;
    wisp__telling t;
    wisp__track *track;
    if (!in->in_order) return;
    from.at = in->data_at;
    wisp__get_telling(&from, in->form, true, &t);
    track = wisp__track_get(&s->heard, in->form->number, (uint64_t)t.place);
    if (track) wisp__track_forget(&w->base, &w->chunks, &s->heard, track);
    if (!in->form->asked) wisp__control_add(&w->base, s, WISP__R_RESYNC, in->form->number);
    in->form->asked = true;
}

/* The base that a telling names, with what else the range coder uses; false: it is not held. */
static bool wisp__heard_base(wisp__track *track, const wisp__telling *t, uint32_t sequence,
                             bool in_order, wisp__difference *base, uint32_t *from) {
    wisp__stored *stored = NULL;
    *from = sequence - (in_order ? 1 : (uint32_t)t->back);
    if (track && (in_order || t->back)) stored = wisp__track_find(track, *from);
    if (!stored) return false;
    base->base = stored->value;
    base->models = stored->models;
    return wisp__told_older(track, stored, base) >= t->older;
}

/* Keeps what was heard; false: it is not news. */
static bool wisp__heard_store(wisp *w, wisp__session *s, wisp__track *track, uint32_t sequence,
                              wisp__kept *value, wisp__kept *models, const uint32_t *base,
                              wisp__incoming *in) {
    wisp__stored *newest = wisp__track_newest(track);
    bool newer = !track->begun || wisp__distance(sequence, track->sequence) >= 0;
    bool news = in->in_order || (newer && !(newest && wisp__kept_same(newest->value, value)));
    in->stale = !newer;
    wisp__track_store(&w->base, &w->chunks, &s->heard, track, sequence, value, models, base);
    if (wisp__track_find(track, sequence)) wisp__track_find(track, sequence)->acked = true;
    if (newer) track->sequence = sequence + 1;
    track->begun = true;
    return news;
}

/* A value that was told whole, where `from` stands. NULL: no memory. */
static wisp__kept *wisp__heard_whole(wisp *w, wisp__reader *from) {
    int64_t bits = from->end - from->at;
    uint8_t *bytes;
    wisp__content_turn(&w->content);
    bytes = (uint8_t *)wisp__arena_take(&w->base, &w->content.arena,
                                        (size_t)(bits / 8) + 2 * WISP__SLACK);
    if (!bytes) return NULL;
    wisp__get_bits(from, bytes, bits);
    return wisp__kept_make(&w->base, &w->chunks, bytes, bits);
}

/* Applies what was told, in its turn. *deliver: it is new. */
static wisp_result wisp__hear_value(wisp *w, wisp__session *s, wisp__incoming *in, bool *deliver) {
    wisp__form *form = in->form;
    wisp__reader from = in->from;
    wisp__telling t;
    wisp__track *track;
    wisp__difference base;
    wisp__kept *value = NULL, *models = NULL;
    wisp_result why;
    uint32_t sequence, base_at = 0;
    bool in_order = in->in_order;
    memset(&base, 0, sizeof base);
    *deliver = true;
    from.at = in->data_at;
    from.end = in->end;
    wisp__get_telling(&from, form, in_order, &t);
    track = wisp__track_open(&w->base, &w->chunks, &s->heard, form->number, (uint64_t)t.place,
                             in_order, &why);
    *deliver = t.whole || track != NULL;
    if (!track && why == WISP_E_MEMORY) return why;
    if (track && track->whole) {                     /* taken from another key: nothing is known */
        track->whole = track->begun = false;
        track->sequence = 0;
    }
    sequence = track ? track->sequence : 0;
    if (t.far) {
        sequence = t.sequence;
    } else if (!in_order && track && track->begun) {
        uint32_t ahead = (t.sequence - sequence) & ((1u << WISP__SEQUENCE_BITS) - 1);
        sequence += ahead - ((ahead & (1u << (WISP__SEQUENCE_BITS - 1))) << 1);
    } else if (!in_order) {
        sequence = t.sequence;
    }
    if (t.whole) {
        value = wisp__heard_whole(w, &from);
        form->asked = false;
        why = WISP_E_MEMORY;
    } else {
        bool held = wisp__heard_base(track, &t, sequence, in_order, &base, &base_at);
        *deliver = false;
        if (!held && !in_order && track && track->begun &&
            wisp__distance(sequence, track->sequence) < 0) {
            in->stale = true;
            return WISP_OK;
        }
        if (!held) return wisp__ask_whole(w, s, in, "a difference to a value that is not held");
        if (!(t.older & 1)) base.older[0] = NULL;
        if (!(t.older & 2)) base.older[1] = NULL;
        if (form->sync && wisp__told_hash(base.base) != t.hash)
            return wisp__ask_whole(w, s, in, "a difference to another value than is held");
        s->heard_values += base.base->values;
        if (s->heard_values > WISP__PACKET_VALUES + w->base.limits.message_values)
            return wisp__ask_whole(w, s, in, "more in a packet than can be put together");
        value = wisp__difference_apply(&w->content, &w->chunks, form, &from, &base, &models, &why);
        if (!value && why == WISP_E_BAD_PACKET)
            return wisp__ask_whole(w, s, in, "a difference that makes no sense");
        *deliver = true;
    }
    if (!value) return why;
    if (track) *deliver = wisp__heard_store(w, s, track, sequence, value, models,
                                            t.whole ? NULL : &base_at, in);
    else wisp__kept_release(&w->base, &w->chunks, models);
    if (*deliver) {
        int budget = w->base.limits.message_values;
        wisp__reader data = wisp__reader_on(value->bytes, (int)((value->bits + 7) / 8));
        why = wisp__decode(&w->content, form, &data, &budget, &in->content);
        value->values = w->base.limits.message_values - budget + 1;
    }
    wisp__kept_release(&w->base, &w->chunks, value);
    return *deliver ? why : WISP_OK;
}

/* A message that is of no use. The caller of an invoke gets to know why. */
static void wisp__on_unreadable(wisp *w, wisp__session *s, const wisp__incoming *in) {
    wisp__remote *remote = in->remote ? in->remote : w->registry.remotes[WISP__ON_ERROR];
    wisp_value text = wisp_string(w->registry.text);
    wisp__message *m;
    wisp_result why;
    s->peer.stats.bad_messages++;
    if (in->remote && in->readable == WISP_E_INVALID) in->remote->stats.invalid++;
    wisp__error(w, s, in->remote, in->readable,
                w->registry.text[0] ? w->registry.text : "message cannot be read");
    if (in->kind != WISP__R_INVOKE) return;
    m = wisp__answer_make(w, remote, in->call, in->readable, &text, w->registry.text[0] != 0, &why);
    if (m) wisp__answer_give(w, s, NULL, m);
    else wisp__error(w, s, remote, why, "the answer of a call was not made");
}

/* What has been read, as the schema that is registered here wants it. */
static void wisp__conform_incoming(wisp *w, wisp__incoming *in) {
    if (!in->remote || in->kind == WISP__R_REPLY) return;
    if (!in->form && !in->remote->schema) return;
    in->readable = wisp__conform_decoded(&w->content, in->remote, in->form, &in->content);
}

/* A message whose turn it is. What happened before it is told before it. */
static void wisp__deliver(wisp *w, wisp__session *s, wisp__incoming *in, int delivery,
                          uint64_t number) {
    if (w->events.notice_count || w->calls.done_first) wisp__dispatch(w);
    if (s->peer.state != WISP__JOINED || w->destroyed) return;
    w->registry.text[0] = 0;
    if (in->told && in->readable) wisp__heard_lost(w, s, in);
    if (in->told && !in->readable) {
        bool fresh;
        in->readable = wisp__hear_value(w, s, in, &fresh);
        if (in->readable && in->readable != WISP_E_INVALID) wisp__heard_lost(w, s, in);
        if (in->stale) {
            in->remote->stats.stale++;
            s->peer.stats.stale++;
        }
        if (!fresh && !in->readable) return;
    }
    if (!in->readable && !in->conformed) wisp__conform_incoming(w, in);
    in->conformed = true;
    if (in->readable) {
        wisp__on_unreadable(w, s, in);
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
        if (!in->form) wisp__skip_shape(&at);
        in->shape_end = at.at;
    }
    in->data_at = at.at;
    if (at.failed) in->readable = WISP_E_BAD_PACKET;
    else wisp__read_values(r->w, &r->from, in, &r->values);
    if (in->readable == WISP_E_MEMORY) wisp__break_with(r, in->readable, "no memory for a message");
    else if (in->readable && !in->parsed) wisp__break(r, "a message that cannot be read");
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
    if (!in->form) wisp__skip_shape(&within);
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

/* What their number stands for. */
static void wisp__read_name(wisp__reading *r, wisp__incoming *in, int number) {
    in->remote = wisp__theirs(&r->w->registry, r->session, number);
    if (in->remote) in->form = r->session->theirs[number].form;
    in->in_order = r->w->base.reliable || r->delivery == WISP_RELIABLE;
}

static void wisp__read_event(wisp__reading *r, wisp__incoming *in, bool bound) {
    int number = wisp__get_length(&r->from);
    in->kind = WISP__R_EVENT;
    wisp__read_name(r, in, number);
    wisp__read_content(r, in, number, bound);
}

static void wisp__read_invoke(wisp__reading *r, wisp__incoming *in) {
    wisp__session *s = r->session;
    uint32_t low;
    int ahead, number = wisp__get_length(&r->from);
    in->kind = WISP__R_INVOKE;
    wisp__read_name(r, in, number);
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

/* --- names that are announced --- */

/* They know the name by now: ours is announced again. */
static void wisp__tell_anew(wisp__session *s, int index) {
    s->routes[index].known = WISP__UNTOLD;
    s->untold = wisp__min_int(s->untold, index);
}

/* A codec by its name; NULL: not plugged in. */
static const wisp_codec *wisp__codec_named(const wisp__registry *registry, const char *name) {
    for (int i = 0; i < registry->codec_count; i++)
        if (strcmp(registry->codecs[i]->name, name) == 0) return registry->codecs[i];
    return NULL;
}

/* An announcement while it is read. */
typedef struct wisp__learning {
    int          number, length;
    char         name[WISP__NAME_BYTES + WISP__SLACK];
    wisp__form   form;
    bool         plain;
    char         codec[WISP__SLACK + 40];
    int          bits;                 /* of the descriptor, at */
    int64_t      at;
} wisp__learning;

/* The form, all but the schema behind it. false: it makes no sense. */
static bool wisp__read_form(wisp__reader *from, wisp__learning *l, int kind) {
    bool described, dictionary;
    int length;
    l->form.kind = (uint8_t)kind;
    l->form.delta = wisp__get(from, 1) != 0;
    l->form.sync = wisp__get(from, 1) != 0;
    l->form.adaptive = wisp__get(from, 1) != 0;
    l->form.squeezed = wisp__get(from, 1) != 0;
    described = wisp__get(from, 1) != 0;
    dictionary = wisp__get(from, 1) != 0;
    if (kind == WISP__CODED) {
        length = wisp__get_length(from);
        if (length < 1 || length > 32) return false;
        wisp__get_bits(from, (uint8_t *)l->codec, (int64_t)length * 8);
        l->codec[length] = 0;
    }
    if (dictionary) l->form.dictionary = (uint32_t)wisp__get(from, 32);
    if (described) l->bits = wisp__get_length(from);
    l->at = from->at;
    if (l->bits > WISP__DESCRIPTOR_BYTES * 8 || (described && !l->bits)) return false;
    wisp__skip(from, l->bits);
    return !from->failed && kind <= WISP__CODED && (described || kind != WISP__RECORD) &&
           !(l->form.delta && kind == WISP__CODED);
}

/* A form of theirs, with the schema that is behind it. NULL with the reason: what they announce
   cannot be understood here. */
static wisp__form *wisp__learn_form(wisp *w, const wisp__reader *packet,
                                    const wisp__learning *l, wisp_result *why) {
    uint8_t bytes[WISP__DESCRIPTOR_BYTES + 2 * WISP__SLACK];
    wisp__reader from = *packet;
    wisp__form *form = (wisp__form *)wisp__alloc(&w->base, sizeof *form);
    *why = form ? WISP_OK : WISP_E_MEMORY;
    if (!form) return NULL;
    *form = l->form;
    if (l->form.kind == WISP__CODED) {
        form->codec = wisp__codec_named(&w->registry, l->codec);
        if (!form->codec) *why = WISP_E_UNSUPPORTED;
    }
    if (form->dictionary && wisp__squeeze_column(&w->squeeze, form->dictionary) < 0)
        *why = WISP_E_UNSUPPORTED;
    if (*why == WISP_OK && l->bits) {
        memset(bytes, 0, sizeof bytes);
        from.at = l->at;
        wisp__get_bits(&from, bytes, l->bits);
        bytes[l->bits / 8] &= (uint8_t)((1u << (l->bits & 7)) - 1);
        form->described = wisp__described_learn(&w->registry.schemas, bytes, l->bits, why);
    }
    form->number = l->number;
    if (*why == WISP_OK) return form;
    wisp__free(&w->base, form, sizeof *form);
    return NULL;
}

static void wisp__form_release(wisp *w, wisp__form *form) {
    if (!form) return;
    wisp__described_release(&w->registry.schemas, form->described);
    wisp__free(&w->base, form, sizeof *form);
}

/* Learns their number for a name. A name that nobody registered here takes no memory. */
static void wisp__learn(wisp__reading *r, const wisp__learning *l) {
    wisp *w = r->w;
    wisp__session *s = r->session;
    wisp__remote *remote = wisp__registry_find(&w->registry, l->name, l->length);
    wisp__route *route = remote ? wisp__route_of(&w->base, s, remote->index) : NULL;
    wisp_result room = WISP_E_LIMIT, why = WISP_OK;
    wisp__form *form = NULL;
    if (remote && remote->index >= WISP__RESERVED)
        room = wisp__grow(&w->base, (void **)&s->theirs, &s->their_room, l->number + 1,
                          w->base.limits.remotes, sizeof *s->theirs);
    if (room == WISP_OK && s->theirs[l->number].remote) {
        if (s->theirs[l->number].remote != remote->index + 1)
            wisp__break(r, "a number that was announced for another name");
        else wisp__control_add(&w->base, s, WISP__R_BOUND, l->number);
        return;
    }
    if (room == WISP_OK && !l->plain) form = wisp__learn_form(w, &r->from, l, &why);
    if (room == WISP_E_MEMORY || why == WISP_E_MEMORY || (remote && !route)) {
        wisp__form_release(w, form);
        wisp__break_with(r, WISP_E_MEMORY, "no memory for a name");
        return;
    }
    if (why) wisp__error(w, s, remote, why, "what was announced for it cannot be understood");
    if (room == WISP_E_LIMIT || why) {
        w->base.stats.names_unknown++;
        wisp__control_add(&w->base, s, WISP__R_UNKNOWN, l->number);
        return;
    }
    s->theirs[l->number].remote = (uint16_t)(remote->index + 1);
    s->theirs[l->number].form = form;
    wisp__control_add(&w->base, s, WISP__R_BOUND, l->number);
    route->named = true;
    if (route->known == WISP__UNKNOWN) wisp__tell_anew(s, remote->index);
}

static void wisp__read_announcement(wisp__reading *r) {
    wisp__learning l;
    int kind, extra;
    int64_t end;
    memset(&l, 0, sizeof l);
    l.number = wisp__get_length(&r->from);
    l.length = wisp__get_length(&r->from);
    if (l.length < 1 || l.length > WISP__NAME_BYTES || l.number > 0xffff) {
        wisp__break(r, "an announcement out of range");
        return;
    }
    wisp__get_bits(&r->from, (uint8_t *)l.name, (int64_t)l.length * 8);
    l.name[l.length] = 0;
    wisp__get(&r->from, 8);               /* the schema's version, which its descriptor says too */
    kind = (int)wisp__get(&r->from, 8);
    extra = wisp__get_length(&r->from);
    end = r->from.at + (int64_t)extra * 8;
    l.plain = extra == 0 && kind == WISP__VALUES;
    if (end > r->from.end) r->from.failed = true;
    if (!l.plain && !r->from.failed && !wisp__read_form(&r->from, &l, kind))
        r->from.failed = true;
    if (r->from.failed || r->from.at > end) {
        wisp__break(r, "an announcement cut short");
        return;
    }
    r->from.at = end;
    wisp__learn(r, &l);
}

/* --- turns: what is in order goes on, what is early is kept --- */

/* The last fragment has come: the whole is one record, a message behind its length. */
static void wisp__read_whole(wisp__reading *r, const wisp__lane_in *lane) {
    wisp__reading whole = *r;
    wisp__incoming in;
    int kind;
    memset(&in, 0, sizeof in);
    whole.delivery = WISP_RELIABLE;
    whole.from = wisp__reader_on(lane->whole, lane->whole_bytes);
    whole.values = r->w->base.limits.message_values;
    if (wisp__get(&whole.from, 4) == 8) {
        wisp__read_event(&whole, &in, false);
    } else {
        kind = (int)wisp__get(&whole.from, 4);
        if (kind == WISP__R_INVOKE) wisp__read_invoke(&whole, &in);
        else if (kind == WISP__R_REPLY) wisp__read_reply(&whole, &in);
        else if (kind == WISP__R_ANNOUNCE) wisp__read_announcement(&whole);
        else wisp__break(&whole, "fragments of no message");
        if (kind == WISP__R_ANNOUNCE) in.kind = WISP__R_NOTHING;
    }
    if (whole.broken) wisp__break_with(r, whole.code, whole.broken);
    else if (in.kind != WISP__R_NOTHING)
        wisp__deliver(r->w, r->session, &in, WISP_RELIABLE, r->number);
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
static void wisp__hold(wisp__reading *r, wisp__lane *lane, uint32_t sequence, wisp__incoming *in) {
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
    held->form = in->form;
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
    in.form = held->form;
    in.in_order = true;
    in.call = held->call;
    in.floor = held->floor;
    in.result = held->result;
    in.shape_end = held->shape_bits;
    in.data_at = (int64_t)data_at * 8;
    in.end = in.data_at + held->data_bits;
    kept.from = wisp__reader_on(held->bytes, data_at + (int)((held->data_bits + 7) / 8));
    kept.values = wisp__max_int(WISP__PACKET_VALUES, r->w->base.limits.message_values);
    if ((in.kind == WISP__R_EVENT || in.kind == WISP__R_REPLY || in.kind == WISP__R_INVOKE) &&
        (held->shape_bits || held->data_bits || in.form))
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
        wisp__tracks_reset(&w->base, &w->chunks, &s->told, index, false);
        w->registry.remotes[index]->stats.unknown++;
        for (wisp__pending *call = s->calls_first, *next; call; call = next) {
            next = call->next;
            if (call->remote == w->registry.remotes[index]->main->index)
                wisp__call_end(&w->calls, call, WISP_E_NO_REMOTE);
        }
    }
}

/* They have lost what differences are to. */
static void wisp__read_resync(wisp__reading *r) {
    int index = wisp__get_length(&r->from) + WISP__RESERVED;
    if (r->from.failed || index >= r->w->registry.count) {
        wisp__break(r, "a number that was never given");
        return;
    }
    r->session->steps += r->session->told.count;
    if (r->session->steps > WISP__SETTLE_STEPS + 16 * r->w->base.limits.keys) {
        wisp__break(r, "whole values are asked for too often");
        return;
    }
    wisp__tracks_reset(&r->w->base, &r->w->chunks, &r->session->told, index, true);
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
    case WISP__R_RESYNC: wisp__read_resync(r); break;
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
        bool there = !r->previous.told && r->previous.turn == r->w->content.turn;
        if (!there) wisp__read_values(r->w, &r->from, &r->previous, &r->values);
        if (r->previous.readable && !r->previous.parsed)
            wisp__break(r, "a repeat that cannot be read");
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

/* The body of a compressed packet: never larger than a packet. */
static void wisp__read_squeezed(wisp__reading *r) {
    wisp *w = r->w;
    uint8_t *to = w->incoming + wisp__buffer_bytes(w, WISP__RECEIVED);
    int kind = (int)wisp__get(&r->from, 8), size = (int)wisp__get(&r->from, 16);
    bool dictionary = (kind & 128) != 0;
    uint32_t known = w->registry.batches.dictionary;
    const uint8_t *from;
    int left;
    if (dictionary && (uint32_t)wisp__get(&r->from, 16) != (known & 0xffff)) r->from.failed = true;
    from = r->from.bytes + r->from.at / 8;
    left = r->from.size - (int)(r->from.at / 8);
    if (r->from.failed || size > w->base.mtu || (kind & 127) >= WISP__METHODS ||
        wisp__squeeze_unpack(&w->squeeze, kind & 127, dictionary ? known : 0, from, left, to, size))
        wisp__break_with(r, WISP_E_COMPRESSED, dictionary && !known
                                                   ? "no such dictionary here"
                                                   : "a packet cannot be unpacked");
    else
        r->from = wisp__reader_on(to, size);
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
    s->steps = s->misses = s->told_errors = s->heard_values = 0;
    w->content.unpacked = w->content.taken = 0;
    memset(&r, 0, sizeof r);
    r.w = w;
    r.session = s;
    r.number = number;
    r.from = wisp__reader_on(bytes + head, packet->size - head);
    r.values = wisp__max_int(WISP__PACKET_VALUES, w->base.limits.message_values);
    if (bytes[0] & 0x78) wisp__break(&r, "flags of no meaning");
    else if (bytes[0] & WISP__FLAG_SQUEEZED) wisp__read_squeezed(&r);
    if (!r.broken) wisp__read_body(&r, (bytes[0] & WISP__FLAG_ACKS) != 0);
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
        if (((wisp__session *)(void *)peer)->told.again > 0)
            wisp__tell_again(w, (wisp__session *)(void *)peer);
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
    wisp__tracks_check(&w->base, &s->told);
    wisp__tracks_check(&w->base, &s->heard);
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
           l->notices >= 0 && l->schema_bytes >= 0 && l->baseline_bytes >= 0 &&
           l->baselines >= 0 && l->keys >= 0;
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

/* Makes the first `count` places ready for datagrams, each one byte larger than allowed, to see
   what is too large. */
static void wisp__make_room(wisp *w, int count) {
    for (int i = 0; i < count; i++) {
        w->received[i].data = w->incoming + wisp__buffer_bytes(w, i);
        w->received[i].size = w->base.mtu + 1;
    }
}

static void wisp__codecs_builtin(wisp__registry *registry) {
    registry->codecs[registry->codec_count++] = wisp_bitpack();
    registry->codecs[registry->codec_count++] = wisp_json();
    registry->codecs[registry->codec_count++] = wisp_msgpack();
    registry->codecs[registry->codec_count++] = wisp_protobuf();
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
    w->registry.base = w->peers.base = w->events.base = w->calls.base = &w->base;
    w->content.base = w->content.packer.base = w->registry.schemas.base = &w->base;
    w->content.registry = &w->registry;
    w->registry.squeeze = &w->squeeze;
    w->peers.squeeze = &w->squeeze;
    wisp__squeeze_init(&w->squeeze, &w->base);
    wisp__codecs_builtin(&w->registry);
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
    w->incoming = (uint8_t *)wisp__alloc(&w->base, wisp__buffer_bytes(w, WISP__RECEIVED + 1));
    w->peers.post.buffers = (uint8_t *)wisp__alloc(&w->base,
                                                   wisp__buffer_bytes(w, WISP__POST_PACKETS + 1));
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
    wisp__content_free(&w->content);
    wisp__squeeze_free(&w->squeeze);
    wisp__chunks_free(&w->base, &w->chunks);
    wisp__free(&w->base, w->peers.timers.heap,
               (size_t)w->peers.timers.room * sizeof *w->peers.timers.heap);
    wisp__free(&w->base, w->peers.table, (size_t)w->peers.table_room * 4);
    wisp__free(&w->base, w->incoming, wisp__buffer_bytes(w, WISP__RECEIVED + 1));
    wisp__free(&w->base, w->peers.post.buffers, wisp__buffer_bytes(w, WISP__POST_PACKETS + 1));
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
    if (w->registry.schemas.dead) wisp__schemas_bury(&w->registry.schemas);
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
const char *wisp_why_text(const wisp *w) { return w ? w->registry.text : ""; }

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

static wisp_config wisp__entry_config(const wisp_schema_entry *entry) {
    wisp_config config = wisp__config_none();
    config.encode.schema = entry->schema;
    config.encode.migrations = entry->migrations;
    config.encode.migration_count = entry->migration_count;
    return config;
}

wisp_result wisp_use_schemas(wisp *w, const wisp_schema_entry *entries, int count) {
    wisp_config *before = NULL;
    wisp_result result = WISP_OK;
    int set = 0;
    if (!w || count < 0 || (count && !entries)) return WISP_E_ARGUMENT;
    for (int i = 0; i < count && result == WISP_OK; i++) {
        wisp_config config = wisp__entry_config(&entries[i]);
        result = entries[i].remote && entries[i].schema ? WISP_OK : WISP_E_ARGUMENT;
        if (result == WISP_OK) result = wisp__encoding_check(&w->registry, &config.encode);
        if (result == WISP_OK) wisp__registry_add(&w->registry, entries[i].remote, &result);
        if (result == WISP_OK && strncmp(entries[i].remote, "wisp:", 5) == 0) result = WISP_E_NAME;
    }
    if (result || !count) return result;
    before = (wisp_config *)wisp__alloc(&w->base, (size_t)count * sizeof *before);
    if (!before) return WISP_E_MEMORY;
    for (; set < count && result == WISP_OK; set++) {
        wisp_config config = wisp__entry_config(&entries[set]);
        before[set] = wisp__registry_add(&w->registry, entries[set].remote, &result)->own;
        result = wisp_use_config(w, &config, entries[set].remote);
    }
    while (result && set-- > 0) {                    /* back to what was, the last first */
        wisp_result ignored;
        wisp__remote *remote = wisp__registry_add(&w->registry, entries[set].remote, &ignored);
        remote->own = before[set];
        wisp__registry_settle(&w->registry, remote);
    }
    wisp__free(&w->base, before, (size_t)count * sizeof *before);
    return result;
}

wisp_result wisp_use_compression(wisp *w, wisp_compression mode, const char *remote) {
    wisp_config config = wisp__config_none();
    config.encode.compression = mode;
    return mode ? wisp_use_config(w, &config, remote) : WISP_E_ARGUMENT;
}

wisp_result wisp_use_delta(wisp *w, const wisp_schema *schema, const char *remote) {
    wisp_config config = wisp__config_none();
    config.encode.mode = WISP_ENCODE_DELTA;
    config.encode.schema = schema;
    return wisp_use_config(w, &config, remote);
}

wisp_result wisp_enable_delta_sync(wisp *w, const char *remote) {
    wisp_config config = wisp__config_none();
    config.delta_sync = WISP_ON;
    return wisp_use_config(w, &config, remote);
}

wisp_result wisp_add_codec(wisp *w, const wisp_codec *codec) {
    wisp__registry *registry = w ? &w->registry : NULL;
    if (!w || !codec || !codec->encode || !codec->decode || !codec->name || !codec->name[0] ||
        strlen(codec->name) > 32)
        return WISP_E_ARGUMENT;
    for (int i = 0; i < registry->codec_count; i++)
        if (strcmp(registry->codecs[i]->name, codec->name) == 0)
            return registry->codecs[i] == codec ? WISP_OK : WISP_E_NAME;
    if (registry->codec_count == WISP__CODECS) return WISP_E_LIMIT;
    registry->codecs[registry->codec_count++] = codec;
    return WISP_OK;
}

wisp_result wisp_add_compressor(wisp *w, const wisp_compressor *compressor) {
    return w ? wisp__squeeze_add(&w->squeeze, compressor) : WISP_E_ARGUMENT;
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

/* The remote if it is there already and messages can go to it. */
static wisp__remote *wisp__remote_found(wisp *w, wisp_target target) {
    wisp_result why;
    int length;
    wisp__remote *remote = NULL;
    if (!target.name && target.remote.id) return wisp__remote_to_send(w, target, &why);
    if (wisp__name_check(target.name, &length) == WISP_OK)
        remote = wisp__registry_find(&w->registry, target.name, length);
    return remote && remote->index >= WISP__RESERVED ? remote : NULL;
}

/* What compressors everybody has who a message goes to: a peer, or (NULL) all of them. */
static unsigned wisp__methods_of(const wisp *w, const wisp__session *s) {
    unsigned methods = w->squeeze.methods;
    if (s) return s->peer.state == WISP__JOINED ? methods & s->peer.methods : 1u << WISP__RUNS;
    for (const wisp__peer *peer = w->peers.first; peer; peer = peer->next)
        methods &= peer->methods;
    return methods;
}

/* Tells what a caller gave wrong. */
static wisp_result wisp__encode_refused(wisp *w, const wisp__remote *remote, wisp_result result) {
    if (result != WISP_E_INVALID) return wisp__pack_refused(&w->base, result);
    wisp__log(&w->base, WISP_LOG_WARNING, result, "'%s': %s", remote->name, w->registry.text);
    return result;
}

static void wisp__keep_first(wisp_result *first, wisp_result result) {
    if (*first == WISP_OK) *first = result;
}

/* What is fired: a message for everybody, or a value that each is told in another way. */
typedef struct wisp__shot {
    wisp__message *message;
    wisp__remote  *remote;
    wisp__kept    *value;
    wisp__spread   spread;
} wisp__shot;

static wisp_result wisp__shoot(wisp *w, wisp__session *s, wisp__shot *shot) {
    if (shot->message) return wisp__give(w, s, shot->message);
    return wisp__tell_value(w, s, shot->remote, shot->value, &shot->spread, false);
}

static wisp_result wisp__fire_list(wisp *w, wisp_to to, wisp__shot *shot) {
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
        wisp__keep_first(&first, wisp__shoot(w, s, shot));
    }
    return first;
}

static wisp_result wisp__fire_all(wisp *w, wisp_to to, wisp__shot *shot) {
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
        if (s->mark != mark) wisp__keep_first(&first, wisp__shoot(w, s, shot));
    }
    return first;
}

wisp_result wisp_fire_target(wisp *w, wisp_target target, wisp_to to, const wisp_value *values,
                             int count) {
    wisp__remote *remote;
    wisp__session *s = NULL;
    wisp__shot shot;
    wisp_result result;
    if (!w || to.count < 0 || (to.mode >= WISP__TO_LIST && to.count && !to.list))
        return WISP_E_ARGUMENT;
    if (to.mode == WISP__TO_PEER && (s = wisp__session_of(w, to.peer)) == NULL) return WISP_E_STALE;
    if (count < 0 || (count && !values)) return WISP_E_ARGUMENT;
    remote = wisp__remote_found(w, target);
    if (!remote) {                     /* a name that is new is registered only if all goes well */
        result = wisp__pack(&w->content.packer, values, count);
        if (result) return wisp__pack_refused(&w->base, result);
        remote = wisp__remote_to_send(w, target, &result);
        if (!remote) return result;
    }
    result = wisp__encode(&w->content, remote, values, count, wisp__methods_of(w, s));
    if (result) return wisp__encode_refused(w, remote, result);
    shot.message = NULL;
    shot.remote = remote;
    shot.value = NULL;
    shot.spread.count = 0;
    if (w->registry.remotes[remote->newest]->form.delta) {
        shot.value = wisp__content_keep(&w->content, &w->chunks);
        if (!shot.value) result = WISP_E_MEMORY;
    } else {
        shot.message = wisp__compose(w, remote, WISP__EVENT, &result);
    }
    if (result) return result;
    if (s) result = wisp__shoot(w, s, &shot);
    else if (to.mode == WISP__TO_LIST) result = wisp__fire_list(w, to, &shot);
    else result = wisp__fire_all(w, to, &shot);
    if (shot.message) wisp__message_release(&w->base, &w->chunks, shot.message);
    wisp__kept_release(&w->base, &w->chunks, shot.value);
    wisp__spread_free(w, &shot.spread);
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

wisp_object wisp_arg_object(wisp_event *event, int i) {
    return wisp__arg_or_zero(event, i, WISP_OBJECT).as.object;
}

const void *wisp_arg_struct(wisp_event *event, int i, const wisp_schema *schema) {
    const wisp_value *value = wisp_arg_value(event, i);
    wisp__unpacker u;
    wisp__supply supply;
    wisp__fitting f;
    void *image = NULL;
    if (!event || !event->w || !schema || schema->shape != WISP_SHAPE_STRUCT) return NULL;
    if (value && value->kind == WISP_STRUCT &&
        value->as.structure.schema->fields == schema->fields)
        return value->as.structure.data;
    u = wisp__content_unpacker(&event->w->content, &event->w->content.arena, NULL, 0);
    supply = wisp__supply_of(&u);
    f = wisp__fitting_on(event->w->registry.text, (int)sizeof event->w->registry.text, &supply);
    f.loose = true;
    if (value && wisp__is_map(value))
        image = wisp__arena_take(u.base, u.arena, (size_t)schema->bytes);
    if (image) memset(image, 0, (size_t)schema->bytes);
    if (image && wisp__fit_schema(&f, schema, value, image) == WISP_OK) return image;
    wisp__arg_wrong(event, i, value);
    return NULL;
}

const wisp_value *wisp_arg_array(wisp_event *event, int i) {
    return wisp__arg(event, i, WISP_ARRAY);
}

const wisp_value *wisp_arg_map(wisp_event *event, int i) {
    const wisp_value *value = wisp_arg_value(event, i);
    if (value && wisp__is_map(value)) return value;
    wisp__arg_wrong(event, i, value);
    return NULL;
}

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
    wisp__remote *remote;
    wisp__pending *call;
    if (!w) return handle;
    w->why = WISP_E_ARGUMENT;
    if (to.mode != WISP__TO_PEER || how->tries < 0 || !(how->timeout >= 0 && how->timeout <= 1e9))
        return handle;
    w->why = WISP_E_STALE;
    s = wisp__session_of(w, to.peer);
    if (!s) return handle;
    w->why = WISP_E_ARGUMENT;
    if (count < 0 || (count && !values)) return handle;
    remote = wisp__remote_found(w, target);
    if (remote) w->why = wisp__encode(&w->content, remote, values, count, wisp__methods_of(w, s));
    else w->why = wisp__pack(&w->content.packer, values, count);
    if (w->why && remote) wisp__encode_refused(w, remote, w->why);
    else if (w->why) wisp__pack_refused(&w->base, w->why);
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
    return bytes + (size_t)s->told.bytes + (size_t)s->heard.bytes;
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
