/* no_msgpack.c - WISP_NO_MSGPACK alone */
#define WISP_NO_MSGPACK
#include "left_out.h"
