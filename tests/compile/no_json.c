/* no_json.c - WISP_NO_JSON alone */
#define WISP_NO_JSON
#include "left_out.h"
