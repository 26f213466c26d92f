/* udp.h - the socket callbacks of a wisp link, and a clock

   Non-blocking UDP over IPv4 and IPv6 for Linux, macOS, the BSDs and Windows; whole batches go to
   the system in one call where it takes them (Linux, FreeBSD, NetBSD).

   Include it BEFORE every system header: it asks them for more than strict C99 offers. It includes
   the public half of wisp.h. On Windows link with -lws2_32 (MSVC does so by itself).

       udp_socket s;                           // must not move while the link is used
       wisp_addr  server;
       wisp_desc  desc = {0};
       if (!udp_open(&s, NULL, 0)) ...         // every local address, any free port
       if (!udp_resolve("example.org", 7777, &server)) ...
       desc.link = udp_link(&s);
       wisp *w = wisp_create(&desc, NULL);
       for (;;) {
           udp_wait(&s, 0.005);                // sleeps until something comes, at most 5 ms
           wisp_update(w, udp_seconds());
       }
*/
#ifndef WISP_UDP_H
#define WISP_UDP_H

#if defined(__linux__) && defined(_FEATURES_H) && !defined(__USE_GNU)
#error "include udp.h before any other header, or compile with -D_GNU_SOURCE"
#endif
#if (defined(__linux__) || defined(__CYGWIN__)) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#elif defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE
#elif defined(__NetBSD__) && !defined(_NETBSD_SOURCE)
#define _NETBSD_SOURCE
#elif defined(_WIN32) && !defined(_WIN32_WINNT)
#define _WIN32_WINNT 0x0601
#endif

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#ifdef _MSC_VER
#pragma comment(lib, "ws2_32")
#endif
#else
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <string.h>

#include "wisp.h"

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
#define UDP__BATCH 32          /* datagrams per system call */
#else
#define UDP__BATCH 1
#endif
#define UDP__BUFFER_BYTES (1 << 20)
#define UDP__ERRORS_MAX   64   /* errors skipped by one recv */

#if defined(_WIN32)
typedef SOCKET udp__handle;
#define UDP__NO_HANDLE INVALID_SOCKET
#else
typedef int udp__handle;
#define UDP__NO_HANDLE (-1)
#endif

typedef struct udp_socket {
    udp__handle handle;
    int         family;        /* AF_INET, or AF_INET6 which may carry IPv4 as well */
} udp_socket;

/* ---------------------------------------------------------------------------
 * Time
 * ------------------------------------------------------------------------ */

/* Monotonic seconds; where they begin is the system's affair. */
static inline double udp_seconds(void) {
#if defined(_WIN32)
    LARGE_INTEGER ticks, rate;
    QueryPerformanceFrequency(&rate);
    QueryPerformanceCounter(&ticks);
    return (double)ticks.QuadPart / (double)rate.QuadPart;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
#endif
}

static inline void udp_sleep(double seconds) {
    if (!(seconds > 0)) return;
#if defined(_WIN32)
    Sleep((DWORD)(seconds * 1000 + 0.5));
#else
    struct timespec span;
    span.tv_sec = (time_t)seconds;
    span.tv_nsec = (long)((seconds - (double)span.tv_sec) * 1e9);
    nanosleep(&span, NULL);
#endif
}

/* A wisp_clock: sleeps about a millisecond, then tells the time. */
static inline double udp_clock(void *unused) {
    (void)unused;
    udp_sleep(0.001);
    return udp_seconds();
}

/* ---------------------------------------------------------------------------
 * Addresses. wisp compares them bytewise, so there is one form only:
 *
 *   byte 0       4 or 6; IPv4 that came through an IPv6 socket is 4
 *   bytes 2..3   port, high byte first
 *   bytes 4..19  the address as it travels: 4 or 16 bytes
 *   bytes 20..23 the scope (interface) of a link-local IPv6 address, high byte first
 *   the others   0
 * ------------------------------------------------------------------------ */

typedef union udp__name {
    struct sockaddr         any;
    struct sockaddr_in      v4;
    struct sockaddr_in6     v6;
    struct sockaddr_storage room;
} udp__name;

static const unsigned char udp__mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static inline void udp__set_port(wisp_addr *addr, int port) {
    addr->bytes[2] = (unsigned char)((unsigned)port >> 8);
    addr->bytes[3] = (unsigned char)port;
}

static inline int udp__port_of(const wisp_addr *addr) {
    return addr->bytes[2] << 8 | addr->bytes[3];
}

static inline void udp__pack_v6(const struct sockaddr_in6 *name, wisp_addr *out) {
    unsigned char ip[16];
    uint32_t scope = (uint32_t)name->sin6_scope_id;
    int i;
    memcpy(ip, &name->sin6_addr, sizeof ip);
    if (memcmp(ip, udp__mapped, sizeof udp__mapped) == 0) {
        out->bytes[0] = 4;
        memcpy(out->bytes + 4, ip + 12, 4);
        return;
    }
    out->bytes[0] = 6;
    memcpy(out->bytes + 4, ip, sizeof ip);
    if (ip[0] != 0xfe || (ip[1] & 0xc0) != 0x80) return;
    for (i = 0; i < 4; i++) out->bytes[20 + i] = (unsigned char)(scope >> (24 - 8 * i));
}

static inline bool udp__pack(const udp__name *name, wisp_addr *out) {
    memset(out, 0, sizeof *out);
    if (name->any.sa_family == AF_INET) {
        out->bytes[0] = 4;
        udp__set_port(out, ntohs(name->v4.sin_port));
        memcpy(out->bytes + 4, &name->v4.sin_addr, 4);
        return true;
    }
    if (name->any.sa_family != AF_INET6) return false;
    udp__set_port(out, ntohs(name->v6.sin6_port));
    udp__pack_v6(&name->v6, out);
    return true;
}

/* Returns the size of the name, or 0: a socket of this family cannot reach that address. */
static inline int udp__unpack(const wisp_addr *addr, int family, udp__name *out) {
    unsigned char ip[16] = { 0 };
    uint32_t scope = 0;
    int i;
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        if (addr->bytes[0] != 4) return 0;
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)udp__port_of(addr));
        memcpy(&out->v4.sin_addr, addr->bytes + 4, 4);
        return (int)sizeof out->v4;
    }
    if (addr->bytes[0] == 4) {
        memcpy(ip, udp__mapped, sizeof udp__mapped);
        memcpy(ip + 12, addr->bytes + 4, 4);
    } else if (addr->bytes[0] == 6) {
        memcpy(ip, addr->bytes + 4, sizeof ip);
    } else {
        return 0;
    }
    for (i = 0; i < 4; i++) scope = scope << 8 | addr->bytes[20 + i];
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons((uint16_t)udp__port_of(addr));
    out->v6.sin6_scope_id = scope;
    memcpy(&out->v6.sin6_addr, ip, sizeof ip);
    return (int)sizeof out->v6;
}

/* Windows wants to be asked before the first socket; it counts, so asking again does no harm. */
static inline bool udp__start(void) {
#if defined(_WIN32)
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data) == 0;
#else
    return true;
#endif
}

/* Looks a host up (this may block) by name or number. Of a host with both kinds of address the
   IPv4 one is taken, because every socket opened here for any address can reach it. */
static inline bool udp_resolve(const char *host, int port, wisp_addr *out) {
    struct addrinfo hints, *list = NULL, *each;
    bool found = false;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_DGRAM;
    if (!host || !out || port < 0 || port > 65535 || !udp__start()) return false;
    if (getaddrinfo(host, NULL, &hints, &list) != 0) return false;
    for (each = list; each && !(found && out->bytes[0] == 4); each = each->ai_next) {
        udp__name name;
        wisp_addr addr;
        if ((size_t)each->ai_addrlen > sizeof name) continue;
        memset(&name, 0, sizeof name);
        memcpy(&name, each->ai_addr, (size_t)each->ai_addrlen);
        if (!udp__pack(&name, &addr) || (found && addr.bytes[0] != 4)) continue;
        *out = addr;
        found = true;
    }
    freeaddrinfo(list);
    if (found) udp__set_port(out, port);
    return found;
}

/* "1.2.3.4:80" or "[::1]:80"; 64 bytes are enough for any. */
static inline const char *udp_text(const wisp_addr *addr, char *out, int size) {
    char host[48] = "?";
    bool v6 = addr->bytes[0] == 6;
    inet_ntop(v6 ? AF_INET6 : AF_INET, addr->bytes + 4, host, sizeof host);
    snprintf(out, (size_t)size, v6 ? "[%s]:%d" : "%s:%d", host, udp__port_of(addr));
    return out;
}

/* ---------------------------------------------------------------------------
 * The socket
 * ------------------------------------------------------------------------ */

static inline void udp_close(udp_socket *s) {
    if (s->handle == UDP__NO_HANDLE) return;
#if defined(_WIN32)
    closesocket(s->handle);
#else
    close(s->handle);
#endif
    s->handle = UDP__NO_HANDLE;
}

static inline bool udp__set_nonblocking(udp__handle handle) {
#if defined(_WIN32)
    u_long on = 1;
    return ioctlsocket(handle, (long)FIONBIO, &on) == 0;
#else
    int flags = fcntl(handle, F_GETFL, 0);
    fcntl(handle, F_SETFD, FD_CLOEXEC);
    return flags >= 0 && fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0;
#endif
}

/* Some systems refuse what is over their bound instead of giving what they have: halve then. */
static inline void udp__set_buffer(udp__handle handle, int which) {
    int size;
    for (size = UDP__BUFFER_BYTES; size >= 65536; size /= 2) {
        if (setsockopt(handle, SOL_SOCKET, which, (const char *)&size, sizeof size) == 0) return;
    }
}

/* Windows reports "port unreachable" of one peer as an error of the whole socket: not wanted. */
static inline void udp__ignore_resets(udp__handle handle) {
#if defined(_WIN32)
    static const DWORD controls[2] = { IOC_IN | IOC_VENDOR | 12, IOC_IN | IOC_VENDOR | 15 };
    int i;
    for (i = 0; i < 2; i++) {    /* SIO_UDP_CONNRESET, SIO_UDP_NETRESET */
        BOOL  off = FALSE;
        DWORD bytes = 0;
        WSAIoctl(handle, controls[i], &off, sizeof off, NULL, 0, &bytes, NULL, NULL);
    }
#else
    (void)handle;
#endif
}

static inline bool udp__prepare(udp_socket *s, bool both_families) {
    int on = 1;             /* wisp_query may ask everybody on the LAN */
    setsockopt(s->handle, SOL_SOCKET, SO_BROADCAST, (const char *)&on, sizeof on);
    if (both_families) {
        int off = 0;
        if (setsockopt(s->handle, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&off, sizeof off) != 0) {
            return false;
        }
    }
    udp__set_buffer(s->handle, SO_RCVBUF);
    udp__set_buffer(s->handle, SO_SNDBUF);
    udp__ignore_resets(s->handle);
    return udp__set_nonblocking(s->handle);
}

static inline bool udp__bind(udp_socket *s, const wisp_addr *local, bool both_families) {
    udp__name name;
    int size;
    s->family = local->bytes[0] == 4 ? AF_INET : AF_INET6;
    s->handle = socket(s->family, SOCK_DGRAM, IPPROTO_UDP);
    if (s->handle == UDP__NO_HANDLE) return false;
    size = udp__unpack(local, s->family, &name);
    if (udp__prepare(s, both_families) && bind(s->handle, &name.any, (socklen_t)size) == 0) {
        return true;
    }
    udp_close(s);
    return false;
}

/* Binds a port (0: any free one) of a local address. `host` NULL is every address, IPv6 and IPv4
   alike where the system can do both with one socket, else IPv4. */
static inline bool udp_open(udp_socket *s, const char *host, int port) {
    wisp_addr local;
    memset(&local, 0, sizeof local);
    s->handle = UDP__NO_HANDLE;
    s->family = AF_INET;
    if (port < 0 || port > 65535 || !udp__start()) return false;
    if (host) return udp_resolve(host, port, &local) && udp__bind(s, &local, false);
    udp__set_port(&local, port);
    local.bytes[0] = 6;
    if (udp__bind(s, &local, true)) return true;
    local.bytes[0] = 4;
    return udp__bind(s, &local, false);
}

/* The local port; 0 when the socket is not open. */
static inline int udp_port(const udp_socket *s) {
    udp__name name;
    wisp_addr addr;
    socklen_t size = (socklen_t)sizeof name;
    memset(&name, 0, sizeof name);
    if (getsockname(s->handle, &name.any, &size) != 0 || !udp__pack(&name, &addr)) return 0;
    return udp__port_of(&addr);
}

/* Waits until something can be received; false when `seconds` have passed before. */
static inline bool udp_wait(udp_socket *s, double seconds) {
    int milliseconds = seconds > 0 ? (int)(seconds * 1000 + 0.999) : 0;
#if defined(_WIN32)
    WSAPOLLFD look;
    memset(&look, 0, sizeof look);
    look.fd = s->handle;
    look.events = POLLRDNORM;
    return WSAPoll(&look, 1, milliseconds) > 0;
#else
    struct pollfd look;
    memset(&look, 0, sizeof look);
    look.fd = s->handle;
    look.events = POLLIN;
    return poll(&look, 1, milliseconds) > 0;
#endif
}

/* ---------------------------------------------------------------------------
 * The callbacks
 * ------------------------------------------------------------------------ */

/* What the last failed call means: WISP_E_AGAIN not now, WISP_E_LINK the socket is dead, WISP_OK
   the network's own troubles (nobody there, no route, too large): that datagram is lost. */
static inline wisp_result udp__meaning(void) {
#if defined(_WIN32)
    int error = WSAGetLastError();
    if (error == WSAEWOULDBLOCK || error == WSAENOBUFS || error == WSAEINTR) return WISP_E_AGAIN;
    if (error == WSAENOTSOCK || error == WSANOTINITIALISED) return WISP_E_LINK;
#else
    int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) return WISP_E_AGAIN;
    if (error == EINTR || error == ENOMEM) return WISP_E_AGAIN;
    if (error == EBADF || error == ENOTSOCK || error == ENOTCONN || error == EPIPE) {
        return WISP_E_LINK;
    }
#endif
    return WISP_OK;
}

#if UDP__BATCH > 1

/* Points the system's message at a packet's data and at a name. */
static inline void udp__message(struct mmsghdr *message, struct iovec *part, wisp_packet *packet,
                                udp__name *name, int name_size) {
    memset(message, 0, sizeof *message);
    part->iov_base = packet->data;
    part->iov_len = (size_t)packet->size;
    message->msg_hdr.msg_name = name;
    message->msg_hdr.msg_namelen = (socklen_t)name_size;
    message->msg_hdr.msg_iov = part;
    message->msg_hdr.msg_iovlen = 1;
}

/* Sends packets from the first on. Returns how many are settled, or -1: the first one failed. */
static inline int udp__send_some(udp_socket *s, wisp_packet *packets, int count) {
    struct mmsghdr messages[UDP__BATCH];
    struct iovec parts[UDP__BATCH];
    udp__name names[UDP__BATCH];
    int ready, sent, i;
    for (ready = 0; ready < count && ready < UDP__BATCH; ready++) {
        int size = udp__unpack(&packets[ready].addr, s->family, &names[ready]);
        if (size == 0) break;
        udp__message(&messages[ready], &parts[ready], &packets[ready], &names[ready], size);
    }
    if (ready == 0) {
        packets[0].status = WISP_E_CLOSED;
        return 1;
    }
    sent = (int)sendmmsg(s->handle, messages, (unsigned)ready, 0);
    for (i = 0; i < sent; i++) packets[i].status = WISP_OK;
    return sent;
}

/* Fills packets from the first on. Returns how many, or -1. */
static inline int udp__recv_some(udp_socket *s, wisp_packet *packets, int count) {
    struct mmsghdr messages[UDP__BATCH];
    struct iovec parts[UDP__BATCH];
    udp__name names[UDP__BATCH];
    int room = count < UDP__BATCH ? count : UDP__BATCH;
    int got, i;
    for (i = 0; i < room; i++) {
        memset(&names[i].any, 0, sizeof names[i].any);
        udp__message(&messages[i], &parts[i], &packets[i], &names[i], (int)sizeof names[i]);
    }
    got = (int)recvmmsg(s->handle, messages, (unsigned)room, 0, NULL);
    for (i = 0; i < got; i++) {
        udp__pack(&names[i], &packets[i].addr);
        packets[i].size = (int)messages[i].msg_len;
    }
    return got;
}

#else

static inline int udp__send_some(udp_socket *s, wisp_packet *packets, int count) {
    udp__name name;
    int size = udp__unpack(&packets->addr, s->family, &name);
    (void)count;
    packets->status = size == 0 ? WISP_E_CLOSED : WISP_OK;
    if (size == 0) return 1;
#if defined(_WIN32)
    if (sendto(s->handle, (const char *)packets->data, packets->size, 0, &name.any, size) < 0) {
        return -1;
    }
#else
    if (sendto(s->handle, packets->data, (size_t)packets->size, 0, &name.any,
               (socklen_t)size) < 0) {
        return -1;
    }
#endif
    return 1;
}

static inline int udp__recv_some(udp_socket *s, wisp_packet *packets, int count) {
    udp__name name;
    socklen_t size = (socklen_t)sizeof name;
    int got;
    (void)count;
    memset(&name, 0, sizeof name);
#if defined(_WIN32)
    got = recvfrom(s->handle, (char *)packets->data, packets->size, 0, &name.any, &size);
    if (got < 0 && WSAGetLastError() == WSAEMSGSIZE) got = packets->size;   /* was cut off */
#else
    got = (int)recvfrom(s->handle, packets->data, (size_t)packets->size, 0, &name.any, &size);
#endif
    if (got < 0) return -1;
    udp__pack(&name, &packets->addr);
    packets->size = got;
    return 1;
}

#endif

/* wisp_link.send: an address of a family that the socket cannot reach ends that peer's session. */
static inline int udp_send(void *user, wisp_packet *packets, int count) {
    udp_socket *s = (udp_socket *)user;
    int done = 0;
    while (done < count) {
        int settled = udp__send_some(s, packets + done, count - done);
        wisp_result meaning;
        if (settled > 0) {
            done += settled;
            continue;
        }
        meaning = udp__meaning();
        if (meaning == WISP_E_LINK) return done > 0 ? done : WISP_E_LINK;
        packets[done++].status = meaning;
        if (meaning == WISP_E_AGAIN) break;      /* what follows would fare the same */
    }
    return done;
}

/* wisp_link.recv: errors that tell of an earlier datagram's fate are skipped. */
static inline int udp_recv(void *user, wisp_packet *packets, int count) {
    udp_socket *s = (udp_socket *)user;
    int filled = 0, errors = 0;
    while (filled < count && errors < UDP__ERRORS_MAX) {
        int asked = count - filled < UDP__BATCH ? count - filled : UDP__BATCH;
        int got = udp__recv_some(s, packets + filled, asked);
        wisp_result meaning;
        if (got > 0) {
            filled += got;
            if (got < asked) break;
            continue;
        }
        errors++;
        meaning = udp__meaning();
        if (meaning == WISP_E_AGAIN) break;
        if (meaning == WISP_E_LINK) return filled > 0 ? filled : WISP_E_LINK;
    }
    return filled;
}

static inline wisp_link udp_link(udp_socket *s) {
    wisp_link link;
    memset(&link, 0, sizeof link);
    link.send = udp_send;
    link.recv = udp_recv;
    link.user = s;
    link.drains = true;
    return link;
}

#endif /* WISP_UDP_H */
