/* no_state.c - WISP_NO_STATE alone */
#define WISP_NO_STATE
#include "left_out.h"
