/* The receipt of a switch: what it cost the service's users, measured by probes through the real route before, during
 * and after; how long the drain took; whether the bound held. Kept in the deployment's record, its small figures in the
 * journal, so that a hub that was killed goes on with what it knew. Internal to the room; used by the run's thread. */
#ifndef HB_DEPLOYMENT_RECEIPT_H
#define HB_DEPLOYMENT_RECEIPT_H

#include "deployment/internal.h"

/* Starts to probe what serves now. Nothing serves through a route: nothing is measured. */
void receipt_before(struct run *r);
/* Blocks until RECEIPT_WINDOW_MS of "before" are there. 0, or RUN_INTERRUPTED, or cancelled with `e`. */
int receipt_await_before(struct run *r, struct error *e);
void receipt_switching(struct run *r); /* probes sent from now on are "during" */
void receipt_switched(struct run *r);  /* the first switch of a service is measured from here */
/* Measures "after" and judges: 0 the bound held, negative with the reason in words. */
int receipt_judge(struct run *r, struct error *e);
/* Figures and points as they are now, into the record. */
void receipt_write(struct run *r);
void receipt_end(struct run *r); /* stops the probes; may be called again */
void receipt_note_drain(struct run *r, int64_t duration_ms, bool forced);
void receipt_note_reload(struct run *r);

#define RECEIPT_WINDOW_MS 2000
/* Probes of this long from the switch on are "during". */
#define RECEIPT_SWITCH_MS 500
/* p99 of a few dozen probes is the slowest one: a rise below this is noise, whatever the ratio. */
#define RECEIPT_LATENCY_FLOOR_MS 250
/* A probe that waits longer for its answer may be one that never gets any: it is awaited before the bound is said to hold. */
#define RECEIPT_HANGS_MS 1000
/* When the latency seems broken, or a probe hangs, more is measured before it is said: up to this long. */
#define RECEIPT_LONGER_MS 8000

#endif
