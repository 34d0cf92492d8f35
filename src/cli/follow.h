/* Following a deployment to its end: a bar and a live list of steps on a terminal, a line a step elsewhere.
 * The hub may be away meanwhile; the deployment outlives it, so the follower keeps asking until its deadline.
 * Threads: one. */
#ifndef HB_CLI_FOLLOW_H
#define HB_CLI_FOLLOW_H

#include "cli/client.h"

#define FOLLOW_DEFAULT_MS (15 * 60 * (int64_t)1000)
/* Progress goes to the error stream. Ends CLI_OK when it completed, CLI_FAILED when it failed or was rolled back,
 * CLI_TIMED_OUT, CLI_INTERRUPTED (both say that the deployment goes on), or as a refused call. `ret`, when a reply
 * came, is the last one: its `deployment` is the end state. */
int follow_deployment(struct cli *c, const char *id, int64_t timeout_ms, struct api_reply *ret);
/* A reply that started a deployment: prints its id with --no-wait, else follows it, and prints the end with --json, or
 * "NAME DONE" (NULL: nothing). */
int follow_started(struct cli *c, const struct api_reply *started, const char *name, const char *done,
                   int64_t timeout_ms);
/* --timeout or the default; CLI_USAGE where it is zero. */
int follow_timeout(struct cli *c, int64_t *ret_ms);
bool deployment_has_ended(const json_t *deployment);

#endif
