/* no_engine_types.c - WISP_NO_ENGINE_TYPES alone */
#define WISP_NO_ENGINE_TYPES
#include "left_out.h"
