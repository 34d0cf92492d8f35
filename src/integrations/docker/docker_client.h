/* Calls to one engine in the version of the API that both speak, agreed at the first call and again after the
 * engine was replaced.
 * Ownership: new/free. Threads: all functions are thread-safe.
 * Errors: those of docker_http.h, and ERR_UPSTREAM when there is no common version. */
#ifndef HB_DOCKER_CLIENT_H
#define HB_DOCKER_CLIENT_H

#include "integrations/docker/docker_http.h"

struct docker_client;
int docker_client_new(const struct docker_target_options *to, struct docker_client **ret, struct error *e);
void docker_client_free(struct docker_client *c);

/* As docker_http_call, but `call->path` has no version ("/containers/json"); it is put before. */
int docker_client_call(struct docker_client *c, const struct docker_call *call, struct docker_reply *ret,
                       struct error *e);
/* A GET whose answer is JSON; refusals are errors, `what` names the object in them. */
int docker_client_get(struct docker_client *c, const char *path, int64_t deadline_ms, const char *what, json_t **ret,
                      struct error *e);

struct docker_range {
    int min, max, used; /* 1041; min 0: not said */
};
/* Asks the engine now, whatever was agreed before. `ret_version`: its own answer about itself (new reference). */
int docker_client_agree(struct docker_client *c, struct docker_range *ret, json_t **ret_version, struct error *e);

#endif
