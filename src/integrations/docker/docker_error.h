/* From an engine's refusal to our error: its own words, bounded and without control characters.
 * Pure functions, thread-safe. */
#ifndef HB_DOCKER_ERROR_H
#define HB_DOCKER_ERROR_H

#include "base/error.h"

#define DOCKER_WORDS_MAX 384

/* Copies up to DOCKER_WORDS_MAX-1 bytes, cut between characters, control characters as spaces; returns `ret`. */
char *docker_words(char ret[DOCKER_WORDS_MAX], const char *text, size_t len);
/* For a status that is no success. `what` names the object ("container web"). Values of `secrets` (object of
 * strings, may be NULL) that the engine repeats are masked. Returns the negative code. */
int docker_refused(long status, const char *body, size_t len, const char *what, const json_t *secrets, struct error *e);
/* The host port in an engine's words about a port that is taken; 0: they are about something else. */
int docker_taken_port(const char *words);

#endif
