// macros.cpp - the implementation after macros that well-known headers define: QT, LWIP or MACOS
#ifdef QT
#define emit
#define slots
#define signals public
#define foreach(a, b) for (a : b)
#define forever for (;;)
#endif
#ifdef LWIP
#define accept(s, addr, addrlen) lwip_accept(s, addr, addrlen)
#define bind(s, name, namelen) lwip_bind(s, name, namelen)
#define connect(s, name, namelen) lwip_connect(s, name, namelen)
#define recv(s, mem, len, flags) lwip_recv(s, mem, len, flags)
#define send(s, dataptr, size, flags) lwip_send(s, dataptr, size, flags)
#define close(s) lwip_close(s)
#define read(s, mem, len) lwip_read(s, mem, len)
#define write(s, dataptr, len) lwip_write(s, dataptr, len)
#endif
#ifdef MACOS
#define check(assertion) ((void)0)
#define verify(assertion) ((void)0)
#define require(assertion, label) ((void)0)
#endif
#define WISP_IMPLEMENTATION
#include "../../wisp.h"
