/* test_wrap16.c - the tests of test_wrap.c, from just below the wrap of 16 bits */
#define WISP_FIRST_NUMBER 0xfff0u
#include "test_wrap.c"
