/* test_plain.c - the tests of test_packet_writer.c, with every message straight from the allocator,
   so that the sanitizer sees one that is used after it is freed */
#define WISP_PLAIN_CHUNKS
#include "test_packet_writer.c"
