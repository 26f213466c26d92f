/* no_overlay.c - WISP_NO_OVERLAY alone */
#define WISP_NO_OVERLAY
#include "left_out.h"
