/* A small image for tests with real engines, made of this machine's static busybox: put into an engine or a registry.
 * Ownership: results are the caller's. Not thread-safe. Failures end the program with a line on stderr. */
#ifndef HB_LIVE_IMAGE_H
#define HB_LIVE_IMAGE_H

#include "base/buf.h"

#define LIVE_IMAGE "hbcloud-test-live:1"

/* False when this machine has no static busybox. */
bool live_image_possible(void);
/* Imports LIVE_IMAGE into the engine of the tests. */
void live_image_import(void);
/* Puts `repository`:1 with two layers, the second of `bytes` random bytes, into the registry at "host:port";
 * writes the manifest's digest "sha256:…". */
void live_image_push(const char *registry, const char *repository, size_t bytes, char ret_digest[72]);

#endif
