/* The worker pool: a bounded queue of exchanges and the threads that handle them.
 * Thread-safe. Exchanges in the queue belong to it; a handled one is posted to its connection's loop. */
#ifndef HB_HTTP_WORKERS_H
#define HB_HTTP_WORKERS_H

#include "base/error.h"

#include "http/exchange.h"

struct workers;
int workers_start(unsigned threads, unsigned queue_limit, struct workers **ret, struct error *e);
/* Moves as many as fit from `batch` into the queue; what is left in `batch` was refused. */
void workers_push(struct workers *w, struct exchange_list *batch);
unsigned workers_queued(const struct workers *w);
/* Waits for running handlers, joins. Requests nobody took are answered 503. */
void workers_stop(struct workers *w);
void workers_free(struct workers *w);

#endif
