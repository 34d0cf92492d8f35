/* How a deployment replaces what serves: the strategy as the steps know it, and its limits. Internal to the room; no
 * state. */
#ifndef HB_DEPLOYMENT_REPLACEMENT_H
#define HB_DEPLOYMENT_REPLACEMENT_H

#include "base/json.h"

enum strategy {
    STRATEGY_BLUE_GREEN, /* all new ones beside the old, then one switch */
    STRATEGY_ROLLING,    /* one instance after the other, each with its own switch */
    STRATEGY_RECREATE,   /* the old ones stop before the new ones start */
    STRATEGIES
};

const char *strategy_name(enum strategy s); /* the contract's word */
int strategy_parse(const char *name, enum strategy *ret); /* -1 */
/* strategy_of (plan.h) for what runs now: `service` is its first instance's document. */
enum strategy strategy_choose(const json_t *specification, const json_t *service, char *ret_why, size_t size);

/* Limits with their defaults. */
int strategy_drain_s(const json_t *specification);      /* strategy.drainTimeout, 30 */
int strategy_stop_grace_s(const json_t *specification); /* strategy.stopGracePeriod, 10 */
int64_t strategy_instances(const json_t *specification); /* instances, 1 */
bool strategy_is_job(const json_t *specification);      /* lifecycle: job */

#endif
