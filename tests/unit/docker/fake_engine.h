/* An engine that says what a test tells it to: HTTP on a unix socket, a thread a connection.
 * Ownership: new/free; scripts are copied. Threads: all functions may be called while it serves.
 * Calls below /vX.Y are refused as real engines do when the version is outside its range. */
#ifndef HB_FAKE_ENGINE_H
#define HB_FAKE_ENGINE_H

#include "base/base.h"

enum fake_ending {
    FAKE_CLOSE, /* close the connection after the bytes */
    FAKE_HOLD,  /* keep it open until the client closes or the engine is freed */
    FAKE_FLOOD, /* repeat the last 4 KiB block until the client closes */
};

struct fake_engine;
struct fake_engine *fake_engine_new(const char *min, const char *max); /* API range; min NULL: not said */
void fake_engine_free(struct fake_engine *f);
const char *fake_engine_host(const struct fake_engine *f); /* "unix:///…" */
void fake_engine_range(struct fake_engine *f, const char *min, const char *max); /* as after an upgrade */
/* The answer to calls that begin with `call` ("GET /containers/json"), without the version. */
void fake_engine_json(struct fake_engine *f, const char *call, int status, const char *body);
void fake_engine_bytes(struct fake_engine *f, const char *call, const void *bytes, size_t len, enum fake_ending ending);
/* How many calls began so, with the version ("GET /v1.52/containers/json"). */
unsigned fake_engine_calls(struct fake_engine *f, const char *call);
const char *fake_engine_call(struct fake_engine *f, size_t i); /* the one that came as number `i`; NULL: not yet */

#endif
