/* test_plain.c - the tests of test_batch.c, with every message straight from the allocator, so that
   the sanitizer sees one that is used after it is gone */
#define WISP_PLAIN_CHUNKS
#include "test_batch.c"
