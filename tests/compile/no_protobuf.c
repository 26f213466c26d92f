/* no_protobuf.c - WISP_NO_PROTOBUF alone */
#define WISP_NO_PROTOBUF
#include "left_out.h"
