/* no_tape.c - WISP_NO_TAPE alone */
#define WISP_NO_TAPE
#include "left_out.h"
