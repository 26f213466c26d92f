/* two_units.h - what one unit shows the other; each may be C or C++ */
#ifndef TWO_UNITS_H
#define TWO_UNITS_H

#include "../../wisp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the endpoint answer: the call "double" with twice its number, the event "ping" with the
   event "pong" and the same text. */
void answer_from_unit_a(wisp *w);

#ifdef __cplusplus
}
#endif
#endif /* TWO_UNITS_H */
