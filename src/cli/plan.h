/* A plan as a person reads it. Threads: one. */
#ifndef HB_CLI_PLAN_H
#define HB_CLI_PLAN_H

#include "cli/client.h"

/* Prints a reply that is a plan; with --json as it came. An exit status. */
int plan_show(struct cli *c, const struct api_reply *reply);
/* Adds "plan=true" when --plan was given; true then. */
bool plan_wanted(struct cli *c, struct buf *path);

#endif
