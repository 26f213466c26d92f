/* with_state.h - a server that has objects, in a unit of its own; one in a program */
#ifndef WITH_STATE_H
#define WITH_STATE_H

#include "../../wisp.h"

bool with_state_open(wisp_link link);
/* Spawns an object, edits all, despawns those that are some updates old, fires "beat" to all peers,
   and updates. */
void with_state_update(double now);
/* The indices that its objects have had. */
int  with_state_indices(void);
/* Takes it that its peers have the class, whatever they said. */
void with_state_insist(void);
/* Asks for an object of an end that has none. */
void with_state_ask(void);
int  with_state_peers(void);
void with_state_close(void);

#endif /* WITH_STATE_H */
