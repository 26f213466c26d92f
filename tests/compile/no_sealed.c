/* no_sealed.c - WISP_NO_SEALED alone */
#define WISP_NO_SEALED
#include "left_out.h"
