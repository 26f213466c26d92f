/* slim.c - everything left out that can be */
#define WISP_NO_JSON
#define WISP_NO_MSGPACK
#define WISP_NO_PROTOBUF
#define WISP_NO_ENGINE_TYPES
#define WISP_NO_OVERLAY
#define WISP_NO_STATE
#define WISP_NO_SEALED
#define WISP_NO_TAPE
#include "left_out.h"
