/* 04_reliable_link.c - wisp over a stream that is reliable by itself

   A link need not be UDP. Here it is a Unix socket pair: datagrams become frames with two bytes of
   length, partial writes are finished later, and a full pipe answers WISP_E_AGAIN. link.reliable
   tells wisp that nothing is lost, so it sends no acks and resends nothing. A TCP connection or a
   WebSocket is wired in the same way.

   Build    cc -I.. 04_reliable_link.c -o reliable_link          (POSIX)
   Run      ./reliable_link                      exits 0 when everything has come in order
*/
#include "udp.h"        /* only for its clock; first, as it asks for more than C99 offers */
#include <signal.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { FRAME_MAX = 8192, PARTS = 2000, PART_BYTES = 1500, PIPE_BYTES = 4096 };

typedef struct stream {
    int           fd;
    unsigned char out[2 + FRAME_MAX];     /* one frame that is being written */
    int           out_size, out_done;
    unsigned char in[2 + FRAME_MAX];      /* one frame that is being read */
    int           in_size;
    long          frames, partial, again;
} stream;

static bool not_now(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/* Goes on with the frame in `out`: 1 = all of it is written, 0 = the pipe is full, -1 = broken. */
static int push(stream *s) {
    while (s->out_done < s->out_size) {
        ssize_t n = write(s->fd, s->out + s->out_done, (size_t)(s->out_size - s->out_done));
        if (n < 0) return not_now() ? 0 : -1;
        if (s->out_done == 0 && n < s->out_size) s->partial++;
        s->out_done += (int)n;
    }
    return 1;
}

static int stream_send(void *user, wisp_packet *packets, int count) {
    stream *s = user;
    for (int i = 0; i < count; i++) {
        int state = push(s);
        if (state < 0) return WISP_E_LINK;
        packets[i].status = state == 0 ? WISP_E_AGAIN : WISP_OK;
        if (state == 0) {                 /* the frame before still waits: keep this one */
            s->again++;
            return i + 1;
        }
        s->out[0] = (unsigned char)(packets[i].size >> 8);
        s->out[1] = (unsigned char)packets[i].size;
        memcpy(s->out + 2, packets[i].data, (size_t)packets[i].size);
        s->out_size = packets[i].size + 2;
        s->out_done = 0;
        s->frames++;
    }
    return push(s) < 0 ? WISP_E_LINK : count;
}

/* Reads up to `size` bytes of the frame: 1 = they are there, 0 = not yet, -1 = broken. */
static int pull(stream *s, int size) {
    while (s->in_size < size) {
        ssize_t n = read(s->fd, s->in + s->in_size, (size_t)(size - s->in_size));
        if (n <= 0) return n < 0 && not_now() ? 0 : -1;
        s->in_size += (int)n;
    }
    return 1;
}

static int stream_recv(void *user, wisp_packet *packets, int count) {
    stream *s = user;
    push(s);                              /* a frame left over goes on when there is room */
    for (int i = 0; i < count; i++) {
        int state = pull(s, 2), size = s->in[0] << 8 | s->in[1];
        if (state == 1 && size > FRAME_MAX) state = -1;
        if (state == 1) state = pull(s, 2 + size);
        if (state == 1 && size > packets[i].size) state = -1;
        if (state != 1) return i > 0 || state == 0 ? i : WISP_E_LINK;
        memcpy(packets[i].data, s->in + 2, (size_t)size);
        packets[i].size = size;
        memset(&packets[i].addr, 0, sizeof packets[i].addr);     /* there is one peer only */
        s->in_size = 0;
    }
    return count;
}

/* ---- two endpoints, one at each end of the stream ------------------------ */

static void on_part(wisp_event *event) {
    int *next = event->user, size = 0;
    const unsigned char *bytes = wisp_arg_bytes(event, 1, &size);
    bool good = wisp_arg_int(event, 0) == *next && size == PART_BYTES;
    if (good && bytes[0] == (*next & 255) && bytes[size - 1] == (*next & 255)) ++*next;
}

static wisp *open_end(stream *s) {
    wisp_desc desc = { 0 };
    int bytes = PIPE_BYTES;
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL, 0) | O_NONBLOCK);
    desc.link.send = stream_send;
    desc.link.recv = stream_recv;
    desc.link.user = s;
    desc.link.mtu = FRAME_MAX;
    desc.link.reliable = true;
    desc.limits.message_bytes = 65536;
    desc.limits.queue_bytes = 262144;     /* less than all the parts: wisp_fire refuses at times */
    return wisp_create(&desc, NULL);
}

static int exchange(wisp *a, wisp *b) {
    static unsigned char part[PART_BYTES];
    wisp_addr there = { { 0 } };
    int received = 0, sent = 0;
    double end = udp_seconds() + 8;
    wisp_on(b, "part", on_part, &received);
    wisp_join(a, &there, NULL, 0);
    while (received < PARTS && udp_seconds() < end) {
        for (; sent < PARTS; sent++) {    /* a full queue is no loss: try again later */
            memset(part, sent & 255, sizeof part);
            wisp_value bytes = wisp_bytes(part, PART_BYTES);
            if (wisp_fire(a, "part", WISP_SERVER, wisp_int(sent), bytes) != WISP_OK) break;
        }
        wisp_update(a, udp_clock(NULL));
        wisp_update(b, udp_seconds());
    }
    return received;
}

int main(void) {
    static stream streams[2];
    int fds[2], received;
    signal(SIGPIPE, SIG_IGN);             /* a closed stream is an error code, not a signal */
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    streams[0].fd = fds[0];
    streams[1].fd = fds[1];
    wisp *a = open_end(&streams[0]), *b = open_end(&streams[1]);
    received = a && b ? exchange(a, b) : 0;
    wisp_destroy(a);
    wisp_destroy(b);
    printf("%d of %d messages of %d bytes came in order, in %ld frames;\n", received, PARTS,
           PART_BYTES, streams[0].frames);
    printf("the pipe was full %ld times, %ld frames were written in pieces\n", streams[0].again,
           streams[0].partial);
    close(fds[0]);
    close(fds[1]);
    return received == PARTS ? 0 : 1;
}
