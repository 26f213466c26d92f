/* compat_before.c - the program of test_compat.c that holds the frozen header */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "data/wisp_before.h"
#include "support/test_runner.h"
#include "support/compat_script.h"

const compat_program *compat_before(void) { return &compat_this; }
